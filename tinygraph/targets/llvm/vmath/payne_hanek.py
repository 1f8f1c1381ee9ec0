"""The remainder of a large number modulo pi, exactly as far as double precision can tell.

x = m * 2**e with a 53-bit integer m. Of x / pi only the bits below the integer's last one matter, so m is multiplied
by a window of 256 bits of 1/pi, taken where those bits begin, modulo 2**256: the top of the product is the parity of
the multiple, the rest the fraction, with more than 128 good bits after any run of zeros a double can produce
(at most 62; J.-M. Muller, Elementary Functions, section 11.3).
"""

from __future__ import annotations

from llvmlite import ir

from tinygraph.targets.llvm.vmath.constants import PI, inverse_pi_bits
from tinygraph.targets.llvm.vmath.value import FORMATS, Bits, Real, fma

I1, I64, I256 = ir.IntType(1), ir.IntType(64), ir.IntType(256)
WINDOW = 256
SMALLEST_EXPONENT = 20  # arguments are at least 2**20


def reduce_large(x: Real, halves: int, offset: bool = False) -> tuple[Bits, Real]:
    """(n, r) with ``x = n * pi / 2**halves + r`` for finite double x >= 2**20; only n's lowest bit counts.

    r is the remainder to the nearest multiple; with ``offset``, x = (n + 1/2) * pi + r instead.
    """
    builder = x.builder
    bits = x.bits().value
    exponent = builder.lshr(bits, I64(52))  # biased; x is positive
    mantissa = builder.or_(builder.and_(bits, I64((1 << 52) - 1)), I64(1 << 52))
    # x = mantissa * 2**(exponent - 1075). The window starts so that bit 255 of the product weighs one multiple.
    start = builder.add(exponent, I64(halves - 1075 - 1 + 64))
    window = _window(builder, start)
    product = builder.mul(window, builder.zext(mantissa, I256))
    n, fraction, negative = _nearest(builder, product, offset)
    return Bits(builder, n), _times_period(builder, fraction, negative, halves)


def _window(builder: ir.IRBuilder, start: ir.Value) -> ir.Value:
    """256 bits of 1/pi; its first bit is number start - 64 after the point (numbers below 0 are zeros)."""
    table = _table(builder.module)
    word, shift = builder.lshr(start, I64(6)), builder.and_(start, I64(63))
    words = []
    for k in range(5):
        place = builder.gep(table, [builder.add(word, I64(k))], source_etype=I64)
        words.append(builder.load(place, typ=I64))
    funnel = _funnel_shift(builder.module)
    window: ir.Value = I256(0)
    for k in range(4):
        piece = builder.call(funnel, [words[k], words[k + 1], shift])
        window = builder.or_(window, builder.shl(builder.zext(piece, I256), I256(WINDOW - 64 * (k + 1))))
    return window


def _funnel_shift(module: ir.Module) -> ir.Function:
    name = "llvm.fshl.i64"
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(I64, [I64, I64, I64]), name)


def _table(module: ir.Module) -> ir.GlobalVariable:
    """A word of zeros, then the bits of 1/pi."""
    name = "tg.inverse_pi"
    if name in module.globals:
        return module.globals[name]
    words = (0, *inverse_pi_bits())
    table = ir.GlobalVariable(module, ir.ArrayType(I64, len(words)), name)
    table.initializer = ir.Constant(table.value_type, [I64(w) for w in words])
    table.linkage = "internal"
    table.global_constant = True
    return table


def _nearest(builder: ir.IRBuilder, product: ir.Value, offset: bool) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Split the product into the multiple's lowest bit, the size of the fraction, and whether it is negative."""
    fraction = builder.shl(product, I256(1))  # the point is now at the top
    top = builder.trunc(builder.lshr(product, I256(WINDOW - 1)), I64)
    if offset:  # x / pi = n + 1/2 + (fraction - 1/2)
        fraction = builder.xor(fraction, I256(1 << (WINDOW - 1)))
        negative = builder.icmp_signed("<", fraction, I256(0))
        multiple = top
    else:
        negative = builder.icmp_signed("<", fraction, I256(0))
        multiple = builder.add(top, builder.zext(negative, I64))
    size = builder.select(negative, builder.neg(fraction), fraction)
    return multiple, size, negative


def _times_period(builder: ir.IRBuilder, fraction: ir.Value, negative: ir.Value, halves: int) -> Real:
    """fraction / 2**256 * pi / 2**halves, correctly rounded but for a few in 2**50 cases."""
    zeros_of = builder.module.declare_intrinsic("llvm.ctlz", [I256], ir.FunctionType(I256, [I256, I1]))
    zeros = builder.call(zeros_of, [fraction, I1(0)])
    normal = builder.shl(fraction, zeros)
    head = builder.trunc(builder.lshr(normal, I256(WINDOW - 53)), I64)
    tail = builder.trunc(builder.and_(builder.lshr(normal, I256(WINDOW - 106)), I256((1 << 53) - 1)), I64)
    high = Real(builder, builder.sitofp(head, ir.DoubleType())) * 2.0**-53
    low = Real(builder, builder.sitofp(tail, ir.DoubleType())) * 2.0**-106
    pi_high, pi_low = FORMATS[64].split(PI / 2**halves, 2)
    remainder = fma(high, pi_high, fma(high, pi_low, low * pi_high))
    exponent = builder.sub(I64(1023), builder.trunc(zeros, I64))
    scale = Bits(builder, builder.shl(exponent, I64(52))).as_real()
    sign = builder.shl(builder.zext(negative, I64), I64(63))
    return (remainder * scale).flip_sign(Bits(builder, sign))
