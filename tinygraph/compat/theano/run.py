"""Run a script written for Theano, with tinygraph in Theano's place.

`tinygraph run-theano SCRIPT.py [ARGS]` runs the script as `python SCRIPT.py [ARGS]` would; THEANO_FLAGS and .theanorc
are read. docs/from-theano.md says what differs.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from tinygraph.errors import InvalidValue

#: the script's errors are the script's: they are shown as Python shows them
SHOWS_TRACEBACKS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph run-theano``."""
    parser.add_argument("--force", action="store_true", help="also where a real Theano is installed")
    parser.add_argument("script", metavar="SCRIPT.py", help="the program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="its arguments")


def run(args: argparse.Namespace) -> int:
    """Install the names and run the script; returns its exit status."""
    import tinygraph.compat.theano as theano

    script = Path(args.script)
    if not script.is_file():
        print(f"tinygraph: error: {script}: no such file", file=sys.stderr)
        return 2
    try:
        theano.install(force=args.force)
    except InvalidValue as error:
        print(f"tinygraph: error: {error}", file=sys.stderr)
        return 2
    old_argv, old_path = sys.argv, sys.path[:]
    sys.argv = [str(script), *args.arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = old_argv, old_path
    return 0
