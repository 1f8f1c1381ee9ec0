"""Run a script and write the report of the compiled function it calls NAME."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from tinygraph.errors import InvalidValue
from tinygraph.printing.report import report

HELP = "write the report of a compiled function of a script"
SHOWS_TRACEBACKS = True  # the script's own errors pass as they are


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="FILE.py:NAME", help="the script, and the global name of the function in it")
    parser.add_argument("--out", metavar="FILE", help="where to write the page (default NAME.html)")


def run(args: argparse.Namespace) -> int:
    """Run the script as ``__main__`` and report on the function; errors of the script keep their traceback."""
    file, _, name = args.what.rpartition(":")
    try:
        _write(file, name, args)
    except InvalidValue as error:
        if not str(error).startswith("explain:"):
            raise
        print(f"tinygraph: error: {error}", file=sys.stderr)
        return 2
    return 0


def _write(file: str, name: str, args: argparse.Namespace) -> None:
    from tinygraph.compile.compiled import CompiledFunction

    if not file or not name:
        raise InvalidValue(f"explain: expected FILE.py:NAME, got {args.what!r}")
    if not Path(file).is_file():
        raise InvalidValue(f"explain: there is no file {file}")
    names = runpy.run_path(file, run_name="__main__")
    found = names.get(name)
    if not isinstance(found, CompiledFunction):
        known = ", ".join(sorted(k for k, v in names.items() if isinstance(v, CompiledFunction))) or "none"
        raise InvalidValue(f"explain: {file} has no compiled function {name!r}; it has: {known}")
    print(f"wrote {report(found, args.out or f'{name}.html')}")
