"""The ``tinygraph`` command.

Each subcommand is a module with ``add_arguments(parser)`` and ``run(args) -> int | None``, imported when it is
asked for. A demo is such a module in ``tinygraph/demos/``; the first line of its text is its line in the help.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType

from tinygraph.arguments import Parser
from tinygraph.errors import TinygraphError

PACKAGE = Path(__file__).parent
COMMANDS = {
    "data": "tinygraph.datasets.command",
    "doctor": "tinygraph.doctor",
    "explain": "tinygraph.printing.explain",
    "run-theano": "tinygraph.compat.theano.run",
    "config": "tinygraph.switches",
}
EPILOG = """\
Try `tinygraph demo lenet` first: it trains a convolutional network on real digits within a minute.
`tinygraph COMMAND --help` has the arguments of a command, `tinygraph config` the switches that
TINYGRAPH_FLAGS (as in TINYGRAPH_FLAGS="floatX=float32,threads=2") and ~/.tinygraphrc set.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status.

    0: done; 1: done, with a negative answer; 2: an error, told in one line; 130: interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(argv).parse_args(argv)
    except TinygraphError as error:  # a command that cannot be loaded, such as under a misspelt switch
        return _fail(error)
    if args.traceback or getattr(args.module, "SHOWS_TRACEBACKS", False):
        return args.module.run(args) or 0
    try:
        status = args.module.run(args) or 0
        sys.stdout.flush()
        return status
    except (
        BrokenPipeError
    ):  # the reader of our output left; say nothing, and keep the interpreter from saying it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TinygraphError, OSError, MemoryError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def demos() -> dict[str, str]:
    """Every demo by its name on the command line, with the name of its module."""
    files = sorted((PACKAGE / "demos").glob("[a-z]*.py"))
    return {path.stem.replace("_", "-"): f"tinygraph.demos.{path.stem}" for path in files}


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, complete for the command that ``argv`` names; of the others it knows one line each."""
    words = [word for word in argv if not word.startswith("-")][:2]
    parser = Parser(
        prog="tinygraph",
        description="A compiled-graph mini deep-learning compiler in Theano's model.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"tinygraph {version()}")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo", help="train a network, and leave pictures and parameters", description="Train a network."
    )
    names = demo.add_subparsers(title="demos", metavar="NAME", required=True)
    for name, module in demos().items():
        _add(names, name, module, selected=words == ["demo", name])
    for name, module in COMMANDS.items():
        if _file(module).exists():
            _add(commands, name, module, selected=words[:1] == [name])
    return parser


def _add(subparsers: argparse._SubParsersAction, name: str, module_name: str, selected: bool) -> None:
    text = _text(module_name)
    summary = text.partition("\n")[0].rstrip(".")
    first = summary.split(" ")[0]
    if first[1:].islower() or len(first) == 1:  # a sentence's capital, not a name's
        summary = summary[:1].lower() + summary[1:]
    parser = subparsers.add_parser(name, help=summary, description=text)
    if selected:
        module: ModuleType = importlib.import_module(module_name)
        module.add_arguments(parser)
        parser.set_defaults(module=module)


def _file(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")


def _text(module: str) -> str:
    """A module's docstring, read without importing it: the help stays quick."""
    return ast.get_docstring(ast.parse(_file(module).read_text(encoding="utf-8"))) or ""


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("tinygraph")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "(not installed)"


def _fail(error: BaseException) -> int:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, OSError) and error.strerror:
        lines = [f"{error.filename}: {error.strerror}" if error.filename else error.strerror]
    if not lines:
        lines = traceback.format_exception_only(error)[-1:]
    print(f"tinygraph: error: {lines[0].rstrip(':')}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
