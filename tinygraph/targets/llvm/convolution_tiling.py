"""The tile of a convolution: how many rows, vectors of positions, filters and channels are worked on at once."""

from __future__ import annotations

from dataclasses import dataclass

from tinygraph.targets.llvm.windows import Convolution

#: bytes of packed image that one thread keeps at once; of sums to which later channels are to be added
_PACKED_BYTES, _KEPT_BYTES = 160 << 10, 512 << 10
#: products from which adding to sums in memory does not matter
_SUMMED = 64
#: cycles until a sum can be added to again, and what follows a tile's sums has begun
_LATENCY = 6.0


@dataclass(frozen=True)
class Tiling:
    """``rows`` of positions make ``vectors`` vectors; a tile is ``filters`` by ``wide`` of them.

    ``channels`` are packed at once; where that is not all, a tile's sums wait in memory for the others.
    """

    rows: int
    vectors: int
    filters: int
    wide: int
    channels: int


def tiling(c: Convolution, lanes: int, registers: int, blocks: bool = True) -> Tiling:
    """The tile with the least time for each result, by counting multiplications, loads and wasted lanes."""
    itemsize = 4 if c.nest.dtype == "float32" else 8
    a, b = c.grid
    results = c.window[0] * c.window[1]
    best: tuple[float, Tiling] | None = None
    for rows in range(1, c.height + 1):
        vectors = -(-rows * c.width // lanes)
        channels = _channels(c, vectors * lanes * itemsize, blocks)
        if not channels and rows > 1:
            break
        channels = channels or c.channels.extent
        lost = -(-c.height // rows) * vectors * lanes / (c.height * c.width)
        adding = 2.0 / (channels * c.taps) if channels < c.channels.extent else 0.0
        for wide in range(1, min(vectors, 4) + 1):
            most = (registers - 2 - results * wide) // (results * wide)
            for filters in range(1, min(most, c.filters.extent) + 1):
                waste = lost * -(-vectors // wide) * wide / vectors
                waste *= -(-c.filters.extent // filters) * filters / c.filters.extent
                sums = results * wide * filters
                loads = results * wide + filters
                cost = waste * (max(sums / 2, (sums + loads) / 3.5, _LATENCY) / sums + adding)
                cost += 0.002 * (rows < c.height)
                if best is None or cost < best[0]:
                    best = cost, Tiling(rows, vectors, filters, wide, channels)
    assert best is not None
    return best[1]


def _channels(c: Convolution, stretch: int, blocks: bool) -> int:
    """Channels to pack at once, if each offset of one takes ``stretch`` bytes; 0 if these are too many."""
    a, b = c.grid
    fitting = _PACKED_BYTES // (a * b * stretch)
    if fitting >= c.channels.extent:
        return c.channels.extent
    kept = c.filters.extent * c.window[0] * c.window[1] * stretch
    return fitting if blocks and fitting * c.taps >= _SUMMED and kept <= _KEPT_BYTES else 0
