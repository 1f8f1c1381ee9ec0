"""Download data, and say what is there.

`tinygraph data fetch mnist` downloads MNIST (11 MB) into the per-user cache, where the demos find it;
checksums are verified, and an interrupted download goes on where it broke off.
`tinygraph data show` says which images the demos would use.
"""

from __future__ import annotations

import argparse

from tinygraph.arguments import output_directory
from tinygraph.datasets import fetch_mnist, load_images, mnist
from tinygraph.datasets.fetch import MIRRORS

SETS = ("mnist",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph data``."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    fetch = actions.add_parser("fetch", help="download a data set", description="Download a data set.")
    fetch.add_argument("set", choices=SETS, metavar="SET", help=f"one of: {', '.join(SETS)}")
    fetch.add_argument(
        "--data",
        type=output_directory,
        metavar="DIR",
        help=f"where to put it (default: {mnist.cache_directory()})",
    )
    fetch.add_argument(
        "--mirror",
        action="append",
        metavar="URL",
        help=f"a directory to download from; may be given several times (default: {' '.join(MIRRORS)})",
    )
    show = actions.add_parser(
        "show", help="say which images the demos would use", description="Say what is there."
    )
    show.add_argument("--data", metavar="DIR", help="a directory to look in first")


def run(args: argparse.Namespace) -> None:
    """Fetch or show."""
    if args.action == "show":
        print(load_images(args.data, "float32"))
        return
    root = fetch_mnist(args.data, mirrors=args.mirror or MIRRORS, progress=True)
    print(mnist.load(root, "float32"))
