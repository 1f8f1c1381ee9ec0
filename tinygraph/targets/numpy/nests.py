"""Printing one loop nest as NumPy calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.program.contraction import is_contraction
from tinygraph.program.expr import Access, Expr, const, loads, postorder
from tinygraph.program.instructions import Nest
from tinygraph.targets.numpy import random_words
from tinygraph.targets.numpy.code import Code, buffer_name
from tinygraph.targets.numpy.contraction import print_contraction, print_einsum
from tinygraph.targets.numpy.gather import print_gather, print_scatter
from tinygraph.targets.numpy.intrinsics import FUNCTIONS, REDUCERS, UFUNCS
from tinygraph.targets.numpy.views import offset_text
from tinygraph.targets.numpy.windows import is_window, print_place, print_window, spread_axes, unrolled


class NestPrinter:
    """Prints the nests of one group. In a tiled group axis 0 runs over ``lo .. hi`` of its extent."""

    def __init__(self, code: Code, tile: int | None = None, private: Any = ()):
        self.code = code
        self.tile = tile  # rows of a tile, or None
        self.private = private
        self.sliced: dict[str, str] = {}
        self._moves: dict[tuple[int, int], tuple[bool, ...]] = {}  # by expression node, kept alive by nests and below
        self._prepared: dict[int, tuple[Expr, Expr]] = {}

    # -- views ----------------------------------------------------------------------------------------------------

    def shape(self, nest: Nest) -> tuple[int, ...]:
        """Extents, the first cut down to a tile's."""
        if self.tile is None or not nest.extents:
            return nest.extents
        return (min(self.tile, nest.extents[0]), *nest.extents[1:])

    def view(self, access: Access, extents: Sequence[int]) -> str:
        """An array for ``access``, of size 1 along axes it does not move along."""
        shape = [1 if s == 0 else e for e, s in zip(extents, access.strides, strict=True)]
        name = self.code.view(access, shape)
        if self.tile is None or not access.strides or access.strides[0] == 0 or extents[0] == 1:
            return name
        if access.buffer in self.private:
            key, text = f"{name}~", f"{name}[:hi - lo]"
        else:
            key, text = name, f"{name}[lo:hi]"
        if key not in self.sliced:
            self.sliced[key] = self.code.fresh("x")
            self.code.body.add(f"{self.sliced[key]} = {text}")
        return self.sliced[key]

    def scratch(self, dtype: str, shape: Sequence[int], extents: Sequence[int]) -> tuple[str, str]:
        """``(name to give back, name to use)`` of scratch memory for one value of a nest."""
        shape = list(shape)
        tiled = self.tile is not None and shape and extents[0] != 1 and shape[0] != 1
        if tiled:
            shape[0] = min(self.tile, shape[0])  # type: ignore[type-var,assignment]
        name = self.code.take(dtype, shape)
        if not tiled:
            return name, name
        local = self.code.fresh("y")
        self.code.body.add(f"{local} = {name}[:hi - lo]")
        return name, local

    # -- nests ----------------------------------------------------------------------------------------------------

    def print(self, nest: Nest) -> None:
        if nest.points == 0 and nest.combine is None:
            return
        if nest.out.dynamic is not None:
            self._scatter(nest)
        elif nest.combine is None:
            self._map(nest)
        elif nest.points == 0:
            self._identity(nest)
        elif is_contraction(nest):
            print_contraction(self, nest)
        elif is_contraction(nest, any_dtype=True) and nest.dtype != "bool" and self.tile is None:
            print_einsum(self, nest)
        elif nest.combine.startswith("arg"):
            self._arg(nest)
        elif nest.accumulate and "r" not in nest.kinds:
            self._accumulate(nest)
        else:
            self._reduce(nest)

    def out_view(self, nest: Nest) -> str:
        n = nest.kinds.count("p")
        out = nest.out
        return self.view(Access(out.buffer, out.offset, out.strides[:n], out.params), nest.extents[:n])

    def _map(self, nest: Nest) -> None:
        for n in self._apart(nest):
            self.evaluate(n.expr, n, dest=self.out_view(n), dest_buffer=n.out)

    def _apart(self, nest: Nest) -> list[Nest]:
        """The nest for each point of a small window that it spreads values over; itself where there is none."""
        axes = spread_axes(nest)
        return unrolled(self, nest, axes) if axes else [nest]

    def _identity(self, nest: Nest) -> None:
        from tinygraph.program.reduction import identity

        empty = 0 in nest.extents[: nest.kinds.count("p")]
        if not nest.accumulate and not empty:
            value = literal(const(identity(nest.combine, nest.dtype), nest.dtype))  # type: ignore[arg-type]
            self.code.body.add(f"{self.out_view(nest)}.fill({value})")

    def _accumulate(self, nest: Nest) -> None:
        """``out = out combine value`` at each point; points that share an element take turns."""
        for n in self._apart(nest):
            value = self.evaluate(n.expr, n)
            if self.effective_shape(n.expr, n) != self.shape(n):
                value = f"broadcast_to({value}, {self._tile_shape(n)})"
            self.add_value(n, value)

    def add_value(self, nest: Nest, value: str) -> None:
        """``out = out combine value`` for a value of the nest's full shape."""
        out = nest.out
        serial = overlapping_axes(nest)
        ufunc = UFUNCS[nest.combine]  # type: ignore[index]
        if not serial:
            view = self.out_view(nest)
            self.code.body.add(f"{ufunc}({view}, {value}, {view})")
            return
        names = {k: self.code.fresh("i") for k in serial}
        depth = 0
        for k in serial:
            self.code.body.add(f"for {names[k]} in range({nest.extents[k]}):")
            self.code.body.indent += 1
            depth += 1
        rest = [k for k in range(len(nest.extents)) if k not in serial]
        start = offset_text(out) + "".join(f" + {names[k]} * {out.strides[k]}" for k in serial)
        shape = tuple(nest.extents[k] for k in rest)
        strides = tuple(out.strides[k] for k in rest)
        if out.buffer in self.code.private:  # there is memory for the rows of one tile only
            base, rows, row = self.code.private[out.buffer]
            shape = tuple(min(d, rows) if row and s >= row else d for d, s in zip(shape, strides, strict=True))
        else:
            base = self._base(out)
        target = self.code.fresh("w")
        self.code.body.add(f"{target} = strided({base}, {start}, {shape}, {strides})")
        if self.tile is not None and 0 in rest and out.strides[0]:
            self.code.body.add(f"{target} = {target}[{'0:hi - lo' if out.buffer in self.private else 'lo:hi'}]")
        key = ", ".join(names[k] if k in serial else ":" for k in range(len(nest.extents)))
        self.code.body.add(f"{ufunc}({target}, {value}[{key}], {target})")
        self.code.body.indent -= depth

    def _base(self, access: Access) -> str:
        """The array behind a whole buffer (behind a tile of it, where that is all there is)."""
        if access.buffer in self.private:
            return self.code.private[access.buffer][0]
        if access.buffer.kind in ("temp", "const"):
            return self.code.view(Access(access.buffer, 0, (1,)), (access.buffer.size,))
        return buffer_name(access.buffer)

    def _arg(self, nest: Nest) -> None:
        if nest.dtype != "int64" and is_window(nest):  # argmax itself puts a nan first
            print_place(self, nest, self.out_view(nest))
            return
        value = self.evaluate(nest.expr, nest)
        n = nest.kinds.count("p")
        full = self.effective_shape(nest.expr, nest)
        if full != self.shape(nest):
            value = f"broadcast_to({value}, {self._tile_shape(nest)})"
        if len(nest.extents) - n > 1:
            lead = ", ".join([f"{e}" for e in self._tile_shape(nest, as_list=True)[:n]])
            value = f"{value}.reshape({lead + ', ' if lead else ''}-1)"
        out = self.out_view(nest)
        if nest.dtype == "int64":
            self.code.body.add(f"{nest.combine}({value}, axis=-1, out={out})")
        else:
            self.code.body.add(f"copyto({out}, {nest.combine}({value}, axis=-1), 'unsafe')")

    def _tile_shape(self, nest: Nest, as_list: bool = False) -> Any:
        sizes = [str(e) for e in nest.extents]
        if self.tile is not None and sizes:
            sizes[0] = "hi - lo"
        return sizes if as_list else f"({', '.join(sizes)}{',' if sizes else ''})"

    def _reduce(self, nest: Nest) -> None:
        n = nest.kinds.count("p")
        axes = tuple(range(n, len(nest.extents)))
        out = self.out_view(nest)
        ufunc = REDUCERS[nest.combine]  # type: ignore[index]
        if is_window(nest):
            print_window(self, nest, out, UFUNCS[nest.combine])  # type: ignore[index]
            return
        value = self.evaluate(nest.expr, nest)
        effective = self.effective_shape(nest.expr, nest)
        if any(effective[k] != nest.extents[k] for k in axes) or any(
            effective[k] != self.shape(nest)[k] for k in range(n)
        ):
            value = f"broadcast_to({value}, {self._tile_shape(nest)})"
        axis = axes[0] if len(axes) == 1 else axes
        if nest.accumulate:
            twin = UFUNCS[nest.combine]  # type: ignore[index]
            self.code.body.add(f"{twin}({out}, {ufunc}.reduce({value}, axis={axis}), {out})")
        else:
            self.code.body.add(f"{ufunc}.reduce({value}, axis={axis}, out={out})")

    def _scatter(self, nest: Nest) -> None:
        """Writes at addresses read from memory."""
        print_scatter(self, nest, self.evaluate(nest.expr, nest))

    # -- addresses ------------------------------------------------------------------------------------------------

    def _flat(self, access: Access) -> str:
        base = self._base(access)
        if access.buffer in self.code.uneven:
            low, span = self.code.uneven[access.buffer]
            return f"strided({base}, {low}, ({span},), (1,))"
        return base if access.buffer.kind in ("temp", "const") else f"flat({base})"

    def gather_address(self, access: Access, nest: Nest) -> str:
        """Flat element numbers of an access with a dynamic part."""
        affine = Access(access.buffer, access.offset, access.strides, access.params)
        terms = [self.evaluate(access.dynamic, nest)]  # type: ignore[arg-type]
        for k, s in enumerate(affine.strides):
            if s:
                terms.append(self._axis_values(nest, k, s))
        low = self.code.uneven.get(access.buffer, (0, 0))[0]
        start = offset_text(affine._replace(offset=affine.offset - low))
        if start != "0":
            terms.append(f"({start})")
        return " + ".join(terms)

    def _axis_values(self, nest: Nest, k: int, step: int = 1) -> str:
        """``step`` times the loop index of axis ``k``, shaped to broadcast against the nest."""
        shape = [1] * len(nest.extents)
        shape[k] = nest.extents[k]
        name = self.code.constant((np.arange(nest.extents[k], dtype="int64") * step).reshape(shape))
        return f"{name}[lo:hi]" if self.tile is not None and k == 0 else name

    # -- expressions ----------------------------------------------------------------------------------------------

    def effective_shape(self, e: Expr, nest: Nest) -> tuple[int, ...]:
        """The nest's extents (a tile's) along axes that ``e`` varies with, 1 elsewhere."""
        moves = self.moving(e, len(nest.extents))
        return tuple(s if m else 1 for s, m in zip(self.shape(nest), moves, strict=True))

    def moving(self, e: Expr, n: int) -> tuple[bool, ...]:
        """Along which of ``n`` axes the value of ``e`` changes."""
        memo = self._moves
        stack = [e]
        while stack:
            x = stack[-1]
            unknown = [a for a in x.args if (id(a), n) not in memo]
            if unknown and (id(x), n) not in memo:
                stack += unknown
                continue
            stack.pop()
            if (id(x), n) not in memo:
                memo[id(x), n] = self._moves_itself(x, n)
        return memo[id(e), n]

    def _moves_itself(self, x: Expr, n: int) -> tuple[bool, ...]:
        """``moving`` of an expression of which that of its arguments is known."""
        if x.op in ("load", "philox_run"):
            own = tuple([s != 0 for s in x.attr.strides])
            if x.op == "philox_run" or x.attr.dynamic is None:
                return own
            return tuple([a or b for a, b in zip(own, self.moving(x.attr.dynamic, n), strict=True)])
        if x.op == "axis":
            return tuple([k == x.attr for k in range(n)])
        if x.op == "named":
            return tuple(x.attr[1])
        known = [self._moves[id(a), n] for a in x.args]
        return tuple([any(column) for column in zip(*known, strict=True)]) if known else (False,) * n

    def evaluate(self, e: Expr, nest: Nest, dest: str | None = None, dest_buffer: Access | None = None) -> str:
        """Print the computation of ``e``; the name of the result, ``dest`` if given (then of the nest's full shape)."""
        if id(e) not in self._prepared:
            self._prepared[id(e)] = e, random_words.with_runs(e, len(nest.extents))
        return _Evaluation(self, nest, self._prepared[id(e)][1], dest, dest_buffer).run()


class _Evaluation:
    """One expression as a sequence of calls, with scratch memory reused as values die."""

    def __init__(self, printer: NestPrinter, nest: Nest, e: Expr, dest: str | None, dest_access: Access | None):
        self.p = printer
        self.code = printer.code
        self.nest = nest
        self.e = e
        self.dest = dest
        self.order = postorder(e)
        self.uses: dict[int, int] = {}
        for x in self.order:
            for a in x.args:
                self.uses[id(a)] = self.uses.get(id(a), 0) + 1
        #: value -> (name, handle to give back, dtype, shape)
        self.values: dict[int, str] = {}
        self.owned: dict[int, tuple[str, str, str, tuple[int, ...]]] = {}
        reads_dest = dest_access is not None and any(x.attr.buffer is dest_access.buffer for x in loads(e))
        self.dest_free = dest is not None and not reads_dest
        self.full = printer.shape(nest)

    def run(self) -> str:
        for x in self.order:
            self.values[id(x)] = self._value(x, last=x is self.e)
        name = self.values[id(self.e)]
        if self.dest is not None and name != self.dest:
            self.code.body.add(f"copyto({self.dest}, {name}, 'unsafe')")
            self._release(self.e)
            return self.dest
        return name

    def _value(self, x: Expr, last: bool) -> str:
        if x.op == "const":
            return literal(x)
        if x.op == "param":
            return x.attr
        if x.op == "axis":
            return self.p._axis_values(self.nest, x.attr)
        if x.op == "named":  # computed before this nest
            return x.attr[0]
        if x.op == "load":
            return self._load(x)
        shape = self.p.effective_shape(x, self.nest)
        args = [self.values[id(a)] for a in x.args]
        for a in x.args:
            self.uses[id(a)] -= 1
        if all(a.op == "const" for a in x.args):
            args[0] = f"{x.args[0].dtype}({args[0]})"
        out = self._output(x, shape, last)
        self._call(x, args, out)
        for a in x.args:
            if self.uses[id(a)] == 0:
                self._release(a)
        return out

    def _load(self, x: Expr) -> str:
        access = x.attr
        if access.dynamic is None:
            return self.p.view(access, self.nest.extents)
        return print_gather(self.p, access, self.nest)

    def _output(self, x: Expr, shape: tuple[int, ...], last: bool) -> str:
        """Memory for the result: the destination, an argument that dies here, or fresh scratch."""
        if last and self.dest is not None and shape == self.full and x.dtype == self.nest.dtype:
            return self.dest
        for a in x.args:
            own = self.owned.get(id(a))
            if own and self.uses[id(a)] == 0 and own[2] == x.dtype and own[3] == shape:
                self.owned[id(x)] = self.owned.pop(id(a))
                return own[0]
        if self.dest_free and shape == self.full and x.dtype == self.nest.dtype:
            self.dest_free = False
            self.owned[id(x)] = (self.dest, "", x.dtype, shape)  # type: ignore[assignment]
            return self.dest  # type: ignore[return-value]
        real = tuple(e if s != 1 or e == 1 else 1 for e, s in zip(self.full, shape, strict=True))
        handle, name = self.p.scratch(x.dtype, real, self.nest.extents or (1,))
        self.owned[id(x)] = (name, handle, x.dtype, shape)
        return name

    def _release(self, x: Expr) -> None:
        own = self.owned.pop(id(x), None)
        if own is None:
            return
        name, handle, dtype, shape = own
        if not handle:
            self.dest_free = True
        else:
            self.code.give(handle, dtype, shape)

    def _call(self, x: Expr, args: list[str], out: str) -> None:
        add = self.code.body.add
        if x.op == "cast":
            add(f"copyto({out}, {args[0]}, 'unsafe')")
        elif x.op in UFUNCS:
            keyword = "out=" if x.op in ("minimum", "maximum") else ""  # these two deprecate a third position
            add(f"{UFUNCS[x.op]}({', '.join(args)}, {keyword}{out})")
        elif x.op == "philox_run":
            add(random_words.call(x.attr, self.nest.extents, self.p.tile is not None, args, out,
                                  lambda k, s: self.p._axis_values(self.nest, k, s)))  # fmt: skip
        elif x.op == "philox":
            add(f"philox_at({', '.join(args)}, {out})")
        elif x.op == "index":
            line = f"wrap_index({args[0]}, {x.attr}, {out})"
            add(line)
            self.code.bounds[line] = x.attr
        elif x.op in FUNCTIONS:
            add(f"{x.op}_({', '.join(args)}, {out})")
        else:
            raise NotImplementedError(f"the numpy target has no {x.op}")


def literal(x: Expr) -> str:
    """A constant as Python text; NumPy gives a Python number the other operand's dtype."""
    v = x.attr
    if isinstance(v, float) and (v != v or v in (float("inf"), float("-inf"))):
        return f"float({str(v)!r})"
    if x.dtype == "bool":
        return str(bool(v))
    return repr(v)


def overlapping_axes(nest: Nest) -> list[int]:
    """Axes to run one step at a time so that no two points of a step write the same element."""
    strides = nest.out.strides
    order = sorted((k for k in range(len(nest.extents)) if nest.extents[k] > 1), key=lambda k: abs(strides[k]))
    serial = [k for k in order if strides[k] == 0]
    reach = 1
    kept: list[int] = []
    for k in order:
        if strides[k] == 0:
            continue
        if abs(strides[k]) < reach:
            # the shorter of the clashing loops goes serial
            clash = min([j for j in kept if _reach(nest, j) > abs(strides[k])] + [k], key=lambda j: nest.extents[j])
            serial.append(clash)
            if clash != k:
                kept.remove(clash)
                kept.append(k)
        else:
            kept.append(k)
        reach = 1 + sum(abs(strides[j]) * (nest.extents[j] - 1) for j in kept)
    return sorted(serial)


def _reach(nest: Nest, k: int) -> int:
    return 1 + abs(nest.out.strides[k]) * (nest.extents[k] - 1)
