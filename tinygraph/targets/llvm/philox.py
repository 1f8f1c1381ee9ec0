"""Philox-4x32-10 in LLVM IR: the random word of an element of a draw (layout: ``tinygraph.random.philox``)."""

from __future__ import annotations

from llvmlite import ir

from tinygraph.targets.llvm.scalars import I32, I64, constant

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85


def _product(b: ir.IRBuilder, x: ir.Value, multiplier: int, lanes: int) -> tuple[ir.Value, ir.Value]:
    """High and low half of a 32 by 32 bit product."""
    wide_type = ir.VectorType(I64, lanes) if lanes else I64
    half_type = ir.VectorType(I32, lanes) if lanes else I32
    wide = b.mul(b.zext(x, wide_type), constant(multiplier, "uint64", lanes))
    return b.trunc(b.lshr(wide, constant(32, "uint64", lanes)), half_type), b.trunc(wide, half_type)


def block(b: ir.IRBuilder, key0: ir.Value, key1: ir.Value, counter: ir.Value, lanes: int) -> list[ir.Value]:
    """The four words at a 64-bit counter."""
    half = ir.VectorType(I32, lanes) if lanes else I32
    c0 = b.trunc(counter, half)
    c1 = b.trunc(b.lshr(counter, constant(32, "uint64", lanes)), half)
    c2 = c3 = constant(0, "uint32", lanes)
    for r in range(10):
        if r:
            key0 = b.add(key0, constant(_W0, "uint32", lanes))
            key1 = b.add(key1, constant(_W1, "uint32", lanes))
        high0, low0 = _product(b, c0, _M0, lanes)
        high1, low1 = _product(b, c2, _M1, lanes)
        c0, c1, c2, c3 = b.xor(b.xor(high1, c1), key0), low1, b.xor(b.xor(high0, c3), key1), low0
    return [c0, c1, c2, c3]


def word(b: ir.IRBuilder, key0: ir.Value, key1: ir.Value, counter: ir.Value, element: ir.Value, lanes: int) -> ir.Value:
    """The word of flat element ``element`` (uint64) of a draw that starts at ``counter`` (uint64)."""
    chunk = b.lshr(element, constant(7, "uint64", lanes))
    lane = b.and_(element, constant(31, "uint64", lanes))
    at = b.add(counter, b.add(b.shl(chunk, constant(5, "uint64", lanes)), lane))
    words = block(b, key0, key1, at, lanes)
    which = b.and_(b.lshr(element, constant(5, "uint64", lanes)), constant(3, "uint64", lanes))
    out = words[0]
    for w in (1, 2, 3):
        out = b.select(b.icmp_unsigned("==", which, constant(w, "uint64", lanes)), words[w], out)
    return out
