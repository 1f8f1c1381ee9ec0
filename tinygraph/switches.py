"""List every switch: its value now, what it means, what is allowed.

Switches come from ~/.tinygraphrc, the files named in TINYGRAPHRC, and TINYGRAPH_FLAGS; later ones win.
"""

from __future__ import annotations

import argparse

from tinygraph.config import config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph config``."""
    parser.add_argument("name", nargs="*", metavar="NAME", help="only these switches")


def run(args: argparse.Namespace) -> None:
    """Print the switches."""
    for name in args.name or config.options():
        value = getattr(config, name)  # an unknown name raises, with the list of names
        option = config.options()[name]
        print(
            f"{name} = {value!r}\n    {option.__doc__}\n    Allowed: {option.allowed}. Default: {option.default!r}."
        )
