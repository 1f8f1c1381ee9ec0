"""Elementwise kernels on contiguous operands: each thread moves 16 bytes of the widest operand with one instruction."""

from __future__ import annotations

from collections.abc import Sequence

from tinygraph.program.expr import postorder
from tinygraph.program.instructions import Buffer, Nest
from tinygraph.targets.cuda.kernel import Kernel, Tuning, covering, printed
from tinygraph.targets.cuda.points import points, print_nest
from tinygraph.targets.cuda.scalars import C_TYPES
from tinygraph.targets.cuda.writer import Access, Axes, Parameters, expressions, index_type, normal

#: what one thread moves of the widest operand at a time
_BYTES = 16


def packs(nests: Sequence[Nest]) -> int:
    """How many neighbours one thread can take; 0 where something is not contiguous, or is more than elementwise."""
    n = nests[0].kinds.count("p")
    if any("r" in x.kinds or x.accumulate or x.out.dynamic is not None for x in nests):
        return 0
    if any(e.op in ("axis", "index", "philox") for x in nests for root in expressions(x) for e in postorder(root)):
        return 0
    axes = Axes(range(n), nests, "i")
    if len(axes.live) != 1:
        return 0
    last = next(k for k, name in axes.names.items() if name is not None)
    accesses = [a for x in nests for a in [*x.accesses(), x.out]]
    if any(a.strides[last] not in (0, 1) for a in accesses) or any(x.out.strides[last] != 1 for x in nests):
        return 0
    return 0 if _reads_own_memory(nests) else _BYTES // max(a.buffer.itemsize for a in accesses)


def _reads_own_memory(nests: Sequence[Nest]) -> bool:
    """Whether a buffer that is written is read where no earlier nest of the same point has just written."""
    written = {x.out.buffer for x in nests}
    made: set[Access] = set()
    for x in nests:
        if any(a.buffer in written and normal(a, x.extents) not in made for a in x.accesses()):
            return True
        made.add(normal(x.out, x.extents))
    return len({a.buffer for a in made}) != len(made)


def print_packs(nests: Sequence[Nest], unstored: set[Buffer], width: int, tuning: Tuning) -> Kernel:
    """One kernel for nests that ``packs`` accepts."""
    p = Parameters(index_type(nests), {x.out.buffer for x in nests}, tuning.integers)
    axes = Axes(range(nests[0].kinds.count("p")), nests, "i")
    names: dict[int, str | None] = {k: ("i" if name else None) for k, name in axes.names.items()}
    body: list[str] = []
    registers: dict[Access, str] = {}
    for position, nest in enumerate(nests):
        body += print_nest(nest, p, names, registers, f"t{position}", nest.out.buffer not in unstored)
    read, stored = _operands(nests, names, unstored)
    lane = _lane(nests, p, names, {key: f"in{j}.lane[lane]" for j, key in enumerate(read)}, list(stored))
    into = [(f"in{j}", a, p.pointer(a)) for j, a in enumerate(read.values())]
    out = [(f"out{j}", a, p.pointer(a)) for j, a in enumerate(stored.values())]
    loads = [f"const {_pack(a, width)} {name} = load_pack<{width}>({x} + i);" for name, a, x in into]
    loads += [f"{_pack(a, width)} {name};" for name, a, _ in out]
    stores = [f"store_pack({x} + i, {name});" for name, _, x in out]
    aligned = [f"is_aligned<{width}>({x})" for _, _, x in [*into, *out]]
    size = points(nests[0])
    grid = covering(size, tuning.threads * width, tuning)
    return printed("packs", "elementwise_packed.cuh", p, [("i64", size)], grid, (tuning.threads,), parameters=p.text,
                   definitions="", width=width, aligned=" && ".join(aligned), loads="\n".join(loads),
                   lane="\n".join(lane), stores="\n".join(stores), body="\n".join(body))  # fmt: skip


def _operands(nests: Sequence[Nest], names: dict[int, str | None], unstored: set[Buffer]
              ) -> tuple[dict[Access, Access], dict[Access, Access]]:  # fmt: skip
    """What is loaded and what is stored in packs, by place."""
    extents = nests[0].extents
    last = next(k for k, name in names.items() if name is not None)
    made = {normal(x.out, extents) for x in nests}
    read = {normal(a, extents): a for x in nests for a in x.accesses() if a.strides[last]}
    stored = {normal(x.out, extents): x.out for x in nests if x.out.buffer not in unstored}
    return {key: a for key, a in read.items() if key not in made}, stored


def _lane(nests: Sequence[Nest], p: Parameters, names: dict[int, str | None], registers: dict[Access, str],
          stored: list[Access]) -> list[str]:  # fmt: skip
    """Statements for one element of the packs."""
    lines: list[str] = []
    for position, nest in enumerate(nests):
        lines += print_nest(nest, p, names, registers, f"t{position}", False)
        place = normal(nest.out, nest.extents)
        if place in stored:
            lines.append(f"out{stored.index(place)}.lane[lane] = t{position};")
    return lines


def _pack(a: Access, width: int) -> str:
    return f"Pack<{C_TYPES[a.buffer.dtype]}, {width}>"
