"""Types for command line arguments: each turns text into a checked value, or says in a line what it wanted."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Texts as they are written, and room for the longest names beside their lines."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, max_help_position=28, **kwargs)
        self._action_max_length = 20  # argparse forgets that subcommands are indented


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and exit with status 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Formatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Print ``message`` with the way to help, and exit."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)\n")


def _checked(name: str, convert: Callable[[str], Any], fits: Callable[[Any], bool]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"expected {name}, got {text!r}")
        return value

    return parse


positive_int = _checked("a whole number of at least 1", int, lambda n: n >= 1)
natural = _checked("a whole number of at least 0", int, lambda n: n >= 0)
seed = _checked("a whole number from 0 to 4294967295", int, lambda n: 0 <= n < 2**32)
positive_float = _checked("a positive, finite number", float, lambda x: math.isfinite(x) and x > 0)
nonnegative_float = _checked("a finite number of at least 0", float, lambda x: math.isfinite(x) and x >= 0)
probability = _checked("a number from 0 up to, but not including, 1", float, lambda x: 0 <= x < 1)


def existing_directory(text: str) -> Path:
    """A directory that is there."""
    path = Path(text).expanduser()
    if not path.is_dir():
        fault = "a file" if path.exists() else "nothing"
        raise argparse.ArgumentTypeError(f"expected a directory, found {fault}: {text}")
    return path


def output_directory(text: str) -> Path:
    """A directory to write to; it need not be there yet, but nothing else may stand in its place."""
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a directory to write to, found a file: {text}")
    return path


def file_to_write(text: str) -> Path:
    """A file to write, in a directory that is there."""
    path = Path(text).expanduser()
    if path.is_dir() or not path.absolute().parent.is_dir():
        fault = "found a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise argparse.ArgumentTypeError(f"expected a file to write, {fault}: {text}")
    return path
