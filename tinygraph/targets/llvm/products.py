"""Matrix products by BLAS, called from native code: kernels around ``cblas_gemm`` with their sizes in a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir

from tinygraph.program.contraction import is_product
from tinygraph.program.instructions import Nest
from tinygraph.targets.llvm.blas import find_blas
from tinygraph.targets.llvm.checks import builder
from tinygraph.targets.llvm.kernel import BODY
from tinygraph.targets.llvm.scalars import I8, I32, I64, PTR
from tinygraph.targets.numpy.contraction import plan
from tinygraph.targets.numpy.views import merge_axes

#: host integers that may move one operand
_PARAMS = 2
_ROW_MAJOR, _AS_IS, TRANSPOSED = 101, 111, 112


@dataclass
class Product:
    """A contraction as matrix products: ``out = left @ right`` (m x k by k x n), ``batch`` of them in a row."""

    dtype: str
    slots: list[Any]  # the kernel's table
    rows: int  # what the kernel's iterations count: rows of one product, or the batch
    batched: bool
    work: int


def as_product(nest: Nest) -> Product | None:
    """The nest as BLAS calls, or None if its memory does not read as matrices."""
    if not is_product(nest) or nest.out.dynamic is not None or find_blas() is None:
        return None
    found = plan(nest)
    if any(len(x.params) > _PARAMS for x in (*nest.accesses(), nest.out)):
        return None
    if found is None or len([k for k in found.loop if nest.extents[k] > 1]) > 1:
        return None
    ext = lambda axes: [nest.extents[k] for k in axes]  # noqa: E731
    m, n, k = (_prod(ext(a)) for a in (found.rows, found.columns, found.inner))
    loop = [a for a in found.loop if nest.extents[a] > 1]
    left, right = found.left.access, found.right.access
    merged = [
        (merge_axes(ext(found.rows), [a.strides[x] for x in found.rows]),
         merge_axes(ext(found.inner), [a.strides[x] for x in found.inner])) for a in (left,)
    ] + [(merge_axes(ext(found.inner), [right.strides[x] for x in found.inner]),
          merge_axes(ext(found.columns), [right.strides[x] for x in found.columns]))]  # fmt: skip
    out = (merge_axes(ext(found.rows), [nest.out.strides[x] for x in found.rows]),
           merge_axes(ext(found.columns), [nest.out.strides[x] for x in found.columns]))  # fmt: skip
    if any(s is None for pair in (*merged, out) for s in pair):
        return None
    a_op = _operand(merged[0], m, k)
    b_op = _operand(merged[1], k, n)
    c_op = _operand(out, m, n)
    if a_op is None or b_op is None or c_op is None:
        return None
    step = [a.strides[loop[0]] if loop else 0 for a in (left, right, nest.out)]
    if c_op[0] == TRANSPOSED:  # out is column-major: the transposed product is row-major
        left, right, m, n = right, left, n, m
        step[0], step[1] = step[1], step[0]
        merged = [(merged[1][1], merged[1][0]), (merged[0][1], merged[0][0])]
        a_op, b_op, out = _operand(merged[0], m, k), _operand(merged[1], k, n), (out[1], out[0])  # type: ignore
        c_op = _operand(out, m, n)
    assert a_op is not None and b_op is not None and c_op is not None
    batch = nest.extents[loop[0]] if loop else 1
    slots: list[Any] = [m, n, k, a_op[0], a_op[1], b_op[0], b_op[1], c_op[1], 1 if nest.accumulate else 0, *step]
    row_step = merged[0][0] if m > 1 else 0
    slots += [row_step, out[0] if m > 1 else 0]
    for a in (left, right, nest.out):
        moves = [*a.params, *[(None, 0)] * (_PARAMS - len(a.params))]
        slots += [("buffer", a.buffer), a.offset, *[x for name, k in moves for x in (("param", name), k)]]
    return Product(nest.dtype, slots, batch if loop else m, bool(loop), m * n * k)


def _prod(sizes: list[int]) -> int:
    out = 1
    for s in sizes:
        out *= s
    return out


def _operand(strides: Any, rows: int, columns: int) -> tuple[int, int] | None:
    """BLAS's transpose flag and leading dimension for a matrix with these strides."""
    r, c = strides
    if (c == 1 or columns == 1) and (rows == 1 or r >= max(columns, 1)):
        return _AS_IS, max(r if rows > 1 else columns, columns, 1)
    if (r == 1 or rows == 1) and (columns == 1 or c >= max(rows, 1)):
        return TRANSPOSED, max(c if columns > 1 else rows, rows, 1)
    return None


@cache
def product_text(dtype: str, checked: bool = False) -> str:
    """The kernel: iterations are rows of one product, or whole products of a batch."""
    blas = find_blas()
    assert blas is not None
    module = ir.Module(name=f"product_{dtype}")
    gemm = blas.declare(module, "sgemm" if dtype == "float32" else "dgemm")
    integer = gemm.function_type.args[3]
    number = ir.FloatType() if dtype == "float32" else ir.DoubleType()
    size = 4 if dtype == "float32" else 8
    f = ir.Function(module, BODY, "kernel")
    b = builder(f.append_basic_block("entry"), checked)
    context, begin, end, _ = f.args

    def pointer(index: int) -> ir.Value:
        return b.load(b.gep(context, [ir.Constant(I64, index)], source_etype=I64), typ=PTR)

    table, args = pointer(0), pointer(2)

    def slot(index: int) -> ir.Value:
        return b.load(b.gep(args, [ir.Constant(I64, index)], source_etype=I64), typ=I64)

    m, n, k, ta, lda, tb, ldb, ldc, add, step_a, step_b, step_c, row_a, row_c = (slot(i) for i in range(14))
    bases = []
    params = pointer(1)
    for i in range(14, 14 + 3 * (2 + 2 * _PARAMS), 2 + 2 * _PARAMS):
        index = slot(i)
        base = b.load(b.gep(table, [index], source_etype=I64), typ=PTR)
        b.guard_buffer(base, index)
        offset = slot(i + 1)
        for j in range(_PARAMS):
            moved_by = b.load(b.gep(params, [slot(i + 2 + 2 * j)], source_etype=I64), typ=I64)
            offset = b.add(offset, b.mul(moved_by, slot(i + 3 + 2 * j)))
        bases.append(b.gep(base, [b.mul(offset, ir.Constant(I64, size))], source_etype=I8))
    batched = b.or_(b.icmp_signed("!=", step_c, ir.Constant(I64, 0)), b.icmp_signed("<", m, ir.Constant(I64, 0)))
    one, zero = ir.Constant(number, 1.0), ir.Constant(number, 0.0)
    beta = b.select(b.icmp_signed("!=", add, ir.Constant(I64, 0)), one, zero)

    def span(rows: ir.Value, columns: ir.Value, step: ir.Value, lies: ir.Value) -> ir.Value:
        """Bytes from a matrix's first element to its last."""
        as_is = b.icmp_signed("==", lies, ir.Constant(I64, _AS_IS))
        lines, length = b.select(as_is, rows, columns), b.select(as_is, columns, rows)
        return b.mul(b.add(b.mul(b.sub(lines, ir.Constant(I64, 1)), step), length), ir.Constant(I64, size))

    def call(rows: ir.Value, a: ir.Value, x: ir.Value, c: ir.Value) -> None:
        if checked:
            b.check(a, span(rows, k, lda, ta), False)
            b.check(x, span(k, n, ldb, tb), False)
            b.check(c, span(rows, n, ldc, ir.Constant(I64, _AS_IS)), True)
        flags = [ir.Constant(I32, _ROW_MAJOR), b.trunc(ta, I32), b.trunc(tb, I32)]
        sizes = [v if integer.width == 64 else b.trunc(v, integer) for v in (rows, n, k, lda, ldb, ldc)]
        b.call(gemm, [*flags, *sizes[:3], one, a, sizes[3], x, sizes[4], beta, c, sizes[5]])

    def moved(base: ir.Value, count: ir.Value, step: ir.Value) -> ir.Value:
        return b.gep(base, [b.mul(b.mul(count, step), ir.Constant(I64, size))], source_etype=I8)

    with b.if_else(batched) as (many, single):
        with many:
            inside, after = b.append_basic_block("each"), b.append_basic_block("after")
            before = b.block
            b.branch(inside)
            b.position_at_end(inside)
            i = b.phi(I64)
            i.add_incoming(begin, before)
            call(m, moved(bases[0], i, step_a), moved(bases[1], i, step_b), moved(bases[2], i, step_c))
            following = b.add(i, ir.Constant(I64, 1))
            i.add_incoming(following, b.block)
            b.cbranch(b.icmp_signed("<", following, end), inside, after)
            b.position_at_end(after)
        with single:
            call(b.sub(end, begin), moved(bases[0], begin, row_a), bases[1], moved(bases[2], begin, row_c))
    b.ret_void()
    return str(module)
