"""Philox-4x32-10 in LLVM IR: the random word of an element of a draw (layout: ``tinygraph.random.philox``)."""

from __future__ import annotations

from llvmlite import ir

from tinygraph.targets.llvm.scalars import I32, I64, constant

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85


def block(b: ir.IRBuilder, key0: ir.Value, key1: ir.Value, counter: ir.Value, lanes: int) -> list[ir.Value]:
    """The four words at a 64-bit counter.

    Words are kept in the low halves of 64-bit lanes, with anything above: products of low halves need no more.
    """
    wide = ir.VectorType(I64, lanes) if lanes else I64
    half = ir.VectorType(I32, lanes) if lanes else I32
    low, thirty_two = constant(0xFFFFFFFF, "uint64", lanes), constant(32, "uint64", lanes)
    key0, key1 = b.zext(key0, wide), b.zext(key1, wide)
    c0, c1 = counter, b.lshr(counter, thirty_two)
    c2 = c3 = constant(0, "uint64", lanes)
    for r in range(10):
        if r:
            key0 = b.add(key0, constant(_W0, "uint64", lanes))
            key1 = b.add(key1, constant(_W1, "uint64", lanes))
        first = b.mul(b.and_(c0, low), constant(_M0, "uint64", lanes))
        second = b.mul(b.and_(c2, low), constant(_M1, "uint64", lanes))
        c0, c1 = b.xor(b.xor(b.lshr(second, thirty_two), c1), key0), second
        c2, c3 = b.xor(b.xor(b.lshr(first, thirty_two), c3), key1), first
    return [b.trunc(c, half) for c in (c0, c1, c2, c3)]


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
