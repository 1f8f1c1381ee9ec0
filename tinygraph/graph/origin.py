"""Where in the user's program an expression was built: a file and a line, found cheaply."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple


class Origin(NamedTuple):
    """A place in a user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def text(self) -> str:
        """The place and its source line, for error messages."""
        code = linecache.getline(self.file, self.line).strip()
        return f"{self}" + (f"\n    {code}" if code else "")


_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_USER_PARTS = (os.path.join(_ROOT, "demos") + os.sep,)
_is_internal: dict[str, bool] = {}
_override: list[Origin | None] = []


def _internal(filename: str) -> bool:
    known = _is_internal.get(filename)
    if known is None:
        inside = filename.startswith(_ROOT) and not filename.startswith(_USER_PARTS)
        known = _is_internal[filename] = inside or filename.startswith("<frozen")
    return known


def user_origin() -> Origin | None:
    """The innermost frame outside tinygraph, or the origin set by :func:`origin_scope`."""
    if _override:
        return _override[-1]
    frame = sys._getframe(1)
    while frame is not None:
        if not _internal(frame.f_code.co_filename):
            return Origin(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None


@contextlib.contextmanager
def origin_scope(origin: Origin | None) -> Iterator[None]:
    """Attribute everything built inside to ``origin``: gradients and rewrites belong to the user's line."""
    _override.append(origin)
    try:
        yield
    finally:
        _override.pop()
