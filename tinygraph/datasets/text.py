"""Text for character-level models: a file of yours, or the Python standard library's own sources."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tinygraph.errors import DataError

# Folders of the standard library that hold tests, generated tables, or other people's packages.
_SKIPPED = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "encodings",
    "__pycache__",
}


@dataclass(frozen=True)
class Corpus:
    """A text, as numbers: ``codes`` (n,) int32, indices into ``vocabulary``, its distinct characters in order."""

    text: str
    vocabulary: str
    source: str

    @classmethod
    def of(cls, text: str, source: str = "text", shortest: int = 2) -> Corpus:
        """A Corpus of ``text``; raises DataError if it has under ``shortest`` characters."""
        if len(text) < shortest:
            raise DataError(
                f"{source}: expected a text of at least {shortest:,} characters, found {len(text):,}"
            )
        return cls(text, "".join(sorted(set(text))), source)

    @cached_property
    def codes(self) -> np.ndarray:
        """The text as indices into the vocabulary."""
        return self.encode(self.text)

    def encode(self, text: str) -> np.ndarray:
        """``text`` as int32 indices; raises DataError naming a character that the vocabulary lacks."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        known = np.frombuffer(self.vocabulary.encode("utf-32-le", "surrogatepass"), np.uint32)
        index = np.searchsorted(known, points)
        strangers = known[np.minimum(index, len(known) - 1)] != points
        if strangers.any():
            character = chr(int(points[strangers.argmax()]))
            raise DataError(f"{character!r} does not occur in {self.source}, so a model of it cannot read it")
        return index.astype(np.int32)

    def decode(self, codes: np.ndarray) -> str:
        """The text that ``codes`` stand for."""
        return "".join(self.vocabulary[code] for code in np.asarray(codes).ravel())

    def split(self, held_out: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
        """Codes to train on, and those of the last ``held_out`` part of the text."""
        cut = len(self.codes) - int(len(self.codes) * held_out)
        return self.codes[:cut], self.codes[cut:]


def load_text(path: str | os.PathLike[str], shortest: int = 2) -> Corpus:
    """The UTF-8 text in a file, with or without byte order mark.

    Raises DataError, naming the file, if it is unreadable, not UTF-8, or under ``shortest`` characters long.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: expected a readable text file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text: {error.reason} at byte {error.start}") from error
    return Corpus.of(text.replace("\r\n", "\n"), str(path), shortest)


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def standard_library(characters: int = 1_000_000) -> Corpus:
    """The first ``characters`` characters of the Python standard library's sources, file by file in their order.

    Only ASCII files are taken, so that the vocabulary stays small; the text differs between versions of Python.
    Raises DataError if this Python came without its sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    pieces: list[str] = []
    length = 0
    for path in _sources(root):
        if length >= characters:
            break
        try:
            text = path.read_bytes().decode("ascii")
        except (OSError, UnicodeDecodeError):
            continue
        pieces.append(text.replace("\r\n", "\n"))
        length += len(pieces[-1])
    if not pieces:
        raise DataError(f"{root}: expected the standard library's .py files; name a text file instead")
    return Corpus.of("".join(pieces)[:characters], "Python's standard library")
