"""Convolutions whose results come in pools of 2 by 2, with fewer multiplications (Winograd's minimal filtering).

A window's four results of an r by r filter are sums over the channels of (r+1)^2 products instead of 4 r^2 (36 for 100,
with 5 by 5 filters), of linear combinations of the image's elements and of the filters (Lavin and Gray, "Fast
algorithms for convolutional neural networks", 2016). The matrices are Cook's and Toom's, for the points 0, 1, -1, 2,
-2 and infinity. Rounding errors grow with them, by how much :func:`error_bound` states. Relative to the largest result
in float32, random numbers lose up to 4e-6 with 5 by 5 filters, up to 5e-7 with 3 by 3, where direct sums lose 6e-7; the
signs that are worst lose 8e-6. An infinite element makes its windows nan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

from llvmlite import ir

from tinygraph.targets.llvm import scalars
from tinygraph.targets.llvm.convolution import ConvolutionPrinter
from tinygraph.targets.llvm.convolution_tiling import Tiling, tiling
from tinygraph.targets.llvm.scalars import I32, I64, constant, splat
from tinygraph.targets.llvm.windows import Convolution

#: filters' widths for which the errors stay small
_TAPS = (3, 5)
#: channels from which the transformations pay
_CHANNELS = 8
#: bytes of transformed filters that stay in a common second-level cache
_FILTER_BYTES = 512 << 10
_POINTS = (0, 1, -1, 2, -2)

Matrix = tuple[tuple[Fraction, ...], ...]


def suits(c: Convolution, lanes: int) -> bool:
    """Whether the convolution has pools, filters and channels for which this is faster."""
    r = c.down.extent
    steps = c.rows.image == c.down.image and c.columns.image == c.across.image
    size = (r + 1) ** 2 * c.channels.extent * c.filters.extent * c.nest.out.buffer.itemsize
    return (
        c.window == (2, 2) and c.groups.extent == 1 and r in _TAPS and c.across.extent == r and steps
        and c.channels.extent >= _CHANNELS and c.filters.extent >= lanes and size <= _FILTER_BYTES
    )  # fmt: skip


def error_bound(taps: int, channels: int) -> float:
    """The largest error, in units of epsilon times the largest size in the image times the sum of a filter's sizes.

    Summing one product after another is bounded by their number, ``channels * taps**2``, far above this. The tests
    hold the bound for elements of either sign, of one sign, and for the signs that make the transformed elements as
    large as they can be (measured there with 128 channels: 3 with 3 taps, 47 with 5).
    """
    return 3 + channels / 32 if taps == 3 else 16 + channels / 2


@cache
def matrices(r: int) -> tuple[Matrix, Matrix, Matrix]:
    """For two results of ``r`` taps: the filter's, the image's and the results' matrix."""
    points = [Fraction(p) for p in _POINTS[:r]]
    filters, image = [], []
    for p in points:
        others = [q for q in points if q != p]
        scale = Fraction(1)
        for q in others:
            scale *= p - q
        filters.append(tuple(p**k / scale for k in range(r)))
        image.append((*_polynomial(others), Fraction(0)))
    filters.append(tuple(Fraction(int(k == r - 1)) for k in range(r)))
    image.append(tuple(_polynomial(points)))
    results = [tuple(p**i for p in points) + (Fraction(int(i == 1)),) for i in range(2)]
    return tuple(filters), tuple(image), tuple(results)


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the product of ``x - root``, lowest first."""
    out = [Fraction(1)]
    for q in roots:
        out = [(out[k - 1] if k else 0) - q * (out[k] if k < len(out) else 0) for k in range(len(out) + 1)]
    return out


class WinogradPrinter(ConvolutionPrinter):
    """Prints one sample's part; ``begin`` comes before the samples."""

    def __init__(self, printer: Any, c: Convolution, bits: int):
        super().__init__(printer, c, bits)
        self.t = self._tiling(32 if bits == 512 else 16)
        self.points = c.down.extent + 1
        self.padded = -(-c.filters.extent // self.lanes) * self.lanes

    def _tiling(self, registers: int) -> Tiling:
        c = self.c
        t = tiling(c, self.lanes, registers, blocks=False)
        best: tuple[float, Tiling] | None = None
        for wide in range(1, min(t.vectors, 4) + 1):
            for filters in range(1, min((registers - 2 - wide) // wide, c.filters.extent) + 1):
                waste = -(-t.vectors // wide) * wide / t.vectors * -(-c.filters.extent // filters) * filters
                sums = wide * filters
                cost = waste * max(sums / 2, (filters + wide) / 2, 4.0) / sums
                if best is None or cost < best[0]:
                    best = cost, replace(t, filters=filters, wide=wide)
        assert best is not None
        return best[1]

    def _reserve(self) -> None:
        squares, channels = self.points**2, self.c.channels.extent
        self.stretch = self.t.vectors * self.lanes
        self.packed = self._scratch(squares * self.stretch + self.lanes)  # one channel
        self.image = self._scratch(squares * channels * self.stretch)
        self.slot = 0
        self.sums = self._scratch(squares * self.t.filters * self.t.wide * self.lanes)

    # -- transformations ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The filters, transformed: for each square and channel all filters side by side."""
        c, b = self.c, self.b
        r, lanes = c.down.extent, self.lanes
        self._reserve()
        self.filters = self._scratch(self.points**2 * c.channels.extent * self.padded)
        taps = self._scratch(r * r * lanes)
        start = self.p._start(c.weights)

        def some(i: ir.Value, f: ir.Value) -> None:
            here = b.add(start, b.add(self._times(i, c.channels.weights), self._times(f, c.filters.weights)))

            def tap(y: ir.Value, x: ir.Value) -> None:
                at = b.add(here, b.add(self._times(y, c.down.weights), self._times(x, c.across.weights)))
                v: ir.Value = constant(0, c.nest.dtype, lanes)
                for k in range(lanes):
                    place = b.add(at, ir.Constant(I64, k * c.filters.weights))
                    one = b.gep(self.p.pointer(c.weights.buffer), [place], source_etype=self.memory)
                    v = b.insert_element(v, b.load(one, align=self.itemsize, typ=self.memory), ir.Constant(I32, k))
                self._save(v, taps, b.add(b.mul(y, ir.Constant(I64, r * lanes)), b.mul(x, ir.Constant(I64, lanes))))

            self._loops([r, r], tap)
            to = b.add(b.mul(i, ir.Constant(I64, self.padded)), f)
            step = c.channels.extent * self.padded
            self._transform(matrices(r)[0], lambda y, x: self._held(taps, ir.Constant(I64, (y * r + x) * lanes)),
                            lambda y, x, v: self._save(v, self.filters, b.add(
                                to, ir.Constant(I64, (y * self.points + x) * step))))  # fmt: skip

        def channel(i: ir.Value) -> None:
            self._in_steps(c.filters.extent, lanes, lambda f: some(i, f))

        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, c.channels.extent), 1, channel)

    def _pack(self) -> None:
        """The image's rows, packed and transformed channel by channel."""
        c, b, n = self.c, self.b, self.points
        start = b.add(self._image(), self._times(self.y, c.rows.image * c.window[0]))

        def channel(i: ir.Value) -> None:
            here = b.add(start, self._times(i, c.channels.image))
            self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, n), 1,
                         lambda a: self._pack_row(b.add(here, self._times(a, c.units[0])), a))  # fmt: skip
            to = b.mul(i, ir.Constant(I64, self.stretch))
            step = c.channels.extent * self.stretch

            def vector(v: ir.Value) -> None:
                place = b.add(to, v)
                self._transform(matrices(c.down.extent)[1], lambda y, x: self._held(
                    self.packed, b.add(v, ir.Constant(I64, (y * n + x) * self.stretch))),
                    lambda y, x, value: self._save(value, self.image, b.add(
                        place, ir.Constant(I64, (y * n + x) * step))))  # fmt: skip

            self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, self.stretch), self.lanes, vector)

        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, c.channels.extent), 1, channel)

    def _transform(
        self, m: Matrix, get: Callable[[int, int], ir.Value], put: Callable[[int, int, ir.Value], None]
    ) -> None:
        """``m @ x @ m.T``, of vectors."""
        size = len(m[0])
        columns = [self._combined(m, [get(y, x) for y in range(size)]) for x in range(size)]
        for y in range(len(m)):
            for x, v in enumerate(self._combined(m, [columns[k][y] for k in range(size)])):
                put(y, x, v)

    def _combined(self, m: Matrix, values: Sequence[ir.Value]) -> list[ir.Value]:
        """``m`` times a vector (of vectors)."""
        b, dtype, out = self.b, self.c.nest.dtype, []
        for row in m:
            total: ir.Value | None = None
            for factor, v in sorted(zip(row, values, strict=True), key=lambda t: abs(t[0]) != 1):
                if not factor:
                    continue
                if total is None:
                    total = v if factor == 1 else b.fneg(v) if factor == -1 else b.fmul(v, self._number(factor))
                elif abs(factor) == 1:
                    total = b.fadd(total, v) if factor == 1 else b.fsub(total, v)
                else:
                    total = scalars.intrinsic(b, "fma", [v, self._number(factor), total])
            out.append(constant(0, dtype, self.lanes) if total is None else total)
        return out

    def _number(self, factor: Fraction) -> ir.Constant:
        return constant(float(factor), self.c.nest.dtype, self.lanes)

    # -- products -------------------------------------------------------------------------------------------------

    def _multiply(self, f: ir.Value, v: ir.Value) -> None:
        c, b, t = self.c, self.b, self.t
        lanes, channels = self.lanes, c.channels.extent
        vectors = b.mul(v, ir.Constant(I64, lanes))
        keys = [(i, w) for i in range(t.filters) for w in range(t.wide)]
        cells = {key: self.p.top.alloca(self.type) for key in keys}

        def square(q: ir.Value) -> None:
            for cell in cells.values():
                b.store(constant(0, c.nest.dtype, lanes), cell)
            place = b.add(b.mul(q, ir.Constant(I64, channels * self.stretch)), vectors)
            number = b.add(b.mul(q, ir.Constant(I64, channels * self.padded)), f)

            def channel(i: ir.Value) -> None:
                sums = {key: b.load(cell, typ=self.type) for key, cell in cells.items()}
                at = b.add(place, b.mul(i, ir.Constant(I64, self.stretch)))
                held = [self._held(self.image, b.add(at, ir.Constant(I64, w * lanes))) for w in range(t.wide)]
                row = b.add(number, b.mul(i, ir.Constant(I64, self.padded)))
                for m in range(t.filters):
                    one = b.gep(self.filters, [b.add(row, ir.Constant(I64, m))], source_etype=self.memory)
                    factor = splat(b, b.load(one, align=self.itemsize, typ=self.memory), lanes)
                    for w, x in enumerate(held):
                        sums[m, w] = scalars.intrinsic(b, "fma", [x, factor, sums[m, w]])
                for key, cell in cells.items():
                    b.store(sums[key], cell)

            self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, channels), 1, channel)
            to = b.mul(q, ir.Constant(I64, len(keys) * lanes))
            for k, cell in enumerate(cells.values()):
                self._save(b.load(cell, typ=self.type), self.sums, b.add(to, ir.Constant(I64, k * lanes)))

        self.p._loop(ir.Constant(I64, 0), ir.Constant(I64, self.points**2), 1, square)

    def _values(self, i: ir.Value, w: int) -> list[ir.Value]:
        b, n, t = self.b, self.points, self.t
        first = b.mul(b.add(b.mul(i, ir.Constant(I64, t.wide)), ir.Constant(I64, w)), ir.Constant(I64, self.lanes))
        step = t.filters * t.wide * self.lanes
        out: dict[tuple[int, int], ir.Value] = {}
        self._transform(matrices(self.c.down.extent)[2], lambda y, x: self._held(
            self.sums, b.add(first, ir.Constant(I64, (y * n + x) * step))),
            lambda y, x, v: out.__setitem__((y, x), v))  # fmt: skip
        return [out[d] for d in sorted(out)]

    def _held(self, base: ir.Value, at: ir.Value) -> ir.Value:
        return self.b.load(self.b.gep(base, [at], source_etype=self.memory), align=self.itemsize, typ=self.type)

    def _save(self, value: ir.Value, base: ir.Value, at: ir.Value) -> None:
        self.b.store(value, self.b.gep(base, [at], source_etype=self.memory), align=self.itemsize)
