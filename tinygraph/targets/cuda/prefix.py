"""Running sums and products as launches of ``kernels/prefix_scan.cu``."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygraph.program.instructions import Ref, Routine
from tinygraph.targets.cuda import kernels
from tinygraph.targets.cuda.kernel import Kernel, Scratch, Tuning, flat_launch
from tinygraph.targets.cuda.scalars import C_TYPES
from tinygraph.targets.cuda.writer import Pointer

#: elements of a row that one block takes
_CHUNK = 4096
#: the grid's second size
_MAX_ROWS = 65535


def print_prefix(i: Routine, tuning: Tuning) -> tuple[list[Kernel], dict[str, object]] | None:
    """The kernels of a "cumsum" or "cumprod" of a contiguous array, and their macros; None for anything else."""
    if i.name not in ("cumsum", "cumprod"):
        return None
    (x,), (y,) = i.inputs, i.outputs
    if not (x.contiguous and y.contiguous):
        return None
    axis = i.attrs["axis"]
    outer, size, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    macros: dict[str, object] = {"TG_T": C_TYPES[x.dtype], "TG_OUT": C_TYPES[y.dtype], "TG_CHUNK": _CHUNK,
                                 "TG_SCAN": int(i.name == "cumprod")}  # fmt: skip
    if not outer * size * inner:
        return [], macros
    if inner > 1:
        grid, block = flat_launch(outer * inner, tuning)
        sizes = [("i64", outer), ("i64", size), ("i64", inner)]
        return [_kernel("scan_columns", [_pointer(x), _pointer(y), *sizes], grid, block)], macros
    chunks, rows, block = -(-size // _CHUNK), min(outer, _MAX_ROWS), (tuning.threads,)
    sizes = [("i64", outer), ("i64", size)]
    if chunks == 1:
        return [_kernel("scan_rows", [_pointer(x), _pointer(y), ("pointer", 0), *sizes], (1, rows), block)], macros
    sums = Scratch(outer * chunks * max(np.dtype(y.dtype).itemsize, 4))
    return [
        _kernel("scan_chunks", [_pointer(x), sums, *sizes], (chunks, rows), block),
        _kernel("scan_offsets", [sums, ("i64", outer), ("i64", chunks)], (rows,), block),
        _kernel("scan_rows", [_pointer(x), _pointer(y), sums, *sizes], (chunks, rows), block),
    ], macros


def _kernel(name: str, arguments: list[Any], grid: tuple[int, ...], block: tuple[int, ...]) -> Kernel:
    lines = kernels.read("prefix_scan.cu").split("\n")
    text = "\n".join(line for line in lines if line.strip() and not line.startswith("//")) + "\n"
    return Kernel(name, text, arguments, grid, block)


def _pointer(r: Ref) -> Pointer:
    size = r.buffer.itemsize
    return Pointer(r.buffer, r.offset * size, tuple((name, k * size) for name, k in r.params))
