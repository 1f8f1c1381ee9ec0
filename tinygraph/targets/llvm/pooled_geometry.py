"""The sizes of a convolution under a max-pool, as the kernels of ``pooled_kernels.py`` have them in their code.

Images are packed with their channels innermost, so that what one gradient meets in a row of the image, taps times
channels, is one stretch of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple


class Piece(NamedTuple):
    """A vector of a line: where it lies in the image (from the first tap on) and in a table, and lanes in use."""

    image: int
    table: int
    width: int
    used: int


@dataclass(frozen=True)
class Lines:
    """A row of taps as vectors. Taps lie ``spacing`` apart in the image; without a gap they form one stretch."""

    taps: int
    channels: int
    spacing: int
    lanes: int
    dtype: str

    @property
    def pitch(self) -> int:
        """Distance of taps in a table."""
        return self.channels if self.spacing == self.channels else sum(p.width for p in self._stretch(self.channels))

    @property
    def length(self) -> int:
        """Distance of lines in a table: whole vectors, so that none lies across two lines of the cache."""
        used = sum(p.width for p in self.pieces())
        return -(-used // self.lanes) * self.lanes

    def pieces(self) -> list[Piece]:
        if self.spacing == self.channels:
            return list(self._stretch(self.taps * self.channels))
        return [
            p._replace(image=p.image + t * self.spacing, table=p.table + t * self.pitch)
            for t in range(self.taps)
            for p in self._stretch(self.channels)
        ]

    def _stretch(self, n: int) -> Iterator[Piece]:
        least = 4 if self.dtype == "float32" else 2
        for at in range(0, n, self.lanes):
            used = min(self.lanes, n - at)
            width = least
            while width < used:
                width *= 2
            yield Piece(at, at, min(width, self.lanes), used)


@dataclass(frozen=True)
class Pooled:
    """The pool: how many windows, their size and step, and how far the convolution's first result lies within.

    ``place`` and ``grad``: steps in memory along sample, channel, row and column of windows.
    """

    windows: tuple[int, int]
    size: tuple[int, int]
    step: tuple[int, int]
    first: tuple[int, int]
    place: tuple[int, ...]
    grad: tuple[int, ...]
    place_dtype: str

    @property
    def points(self) -> int:
        return prod(self.size)

    @property
    def flat(self) -> bool:
        """Whether a channel's windows lie one after the other."""
        return all(s[2:] == (self.windows[1], 1) for s in (self.place, self.grad))


@dataclass(frozen=True)
class Geometry:
    """The convolution: ``filters`` and ``channels`` of each group, results, and the image's packed ``grid``."""

    pool: Pooled
    lines: Lines
    dtype: str
    bits: int
    groups: int
    filters: int
    channels: int
    results: tuple[int, int]
    taps: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    grid: tuple[int, int]

    @property
    def lanes(self) -> int:
        return self.lines.lanes

    @property
    def bytes(self) -> int:
        """Of a number."""
        return 4 if self.dtype == "float32" else 8

    @property
    def row(self) -> int:
        """Numbers in a row of the packed image."""
        return self.grid[1] * self.channels

    @property
    def used(self) -> int:
        """Numbers of a packed sample that the image has."""
        return self.groups * self.grid[0] * self.row

    @property
    def sample(self) -> int:
        """Numbers of a packed sample: whole vectors, and one may begin at each number of the image."""
        return -(-(self.used + self.lanes) // self.lanes) * self.lanes

    @property
    def steps(self) -> tuple[int, int]:
        """How far apart in the packed image the first tap meets a result, the one below and the one beside it."""
        return self.strides[0] * self.row, self.strides[1] * self.channels

    @property
    def cut(self) -> bool:
        """Whether windows have points where there is no result."""
        p = self.pool
        reach = ((w - 1) * s + n - f for w, s, n, f in zip(p.windows, p.step, p.size, p.first, strict=True))
        return any(p.first) or any(r > n for r, n in zip(reach, self.results, strict=True))


__all__ = ["Geometry", "Lines", "Piece", "Pooled"]
