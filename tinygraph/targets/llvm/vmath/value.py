"""Numbers, bit patterns and masks in LLVM IR, with operators: what the formulas of this package are written in.

A :class:`Real` stands for one float or double, or a vector of them; an operator on it prints one instruction. The
same formula so serves every lane count and, where it takes its constants from the format, both formats. Python
numbers mix in as constants. Nothing here uses fast-math flags; products and sums fuse only through :func:`fma`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from llvmlite import ir

__all__ = [
    "FORMATS", "Bits", "Format", "Mask", "Real", "fma", "horner", "mangled", "poly", "select", "select_bits",
]  # fmt: skip

Number = int | float


@dataclass(frozen=True)
class Format:
    """What a formula must know of IEEE single or double precision."""

    bits: int
    mantissa: int  # stored bits of the fraction
    type: ir.Type
    integer: ir.IntType

    @property
    def bias(self) -> int:
        return (1 << (self.bits - self.mantissa - 2)) - 1

    @property
    def largest(self) -> float:
        return (2.0 - 2.0**-self.mantissa) * 2.0**self.bias

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.bias)

    @property
    def epsilon(self) -> float:
        """Half the distance from 1 to the next number."""
        return 2.0 ** -(self.mantissa + 1)

    def round(self, x: float) -> float:
        """``x`` as this format holds it."""
        return x if self.bits == 64 else struct.unpack("f", struct.pack("f", x))[0]

    def split(self, value: Fraction, count: int) -> tuple[float, ...]:
        """``count`` numbers of this format, largest first, whose sum comes closest to ``value``."""
        parts = []
        for _ in range(count):
            parts.append(self.round(float(value)))
            value -= Fraction(parts[-1])
        return tuple(parts)


FORMATS = {
    32: Format(32, 23, ir.FloatType(), ir.IntType(32)),
    64: Format(64, 52, ir.DoubleType(), ir.IntType(64)),
}


def _element(type: ir.Type) -> ir.Type:
    return type.element if isinstance(type, ir.VectorType) else type


def _lanes(type: ir.Type) -> int:
    return type.count if isinstance(type, ir.VectorType) else 0


def _with_lanes(element: ir.Type, lanes: int) -> ir.Type:
    return ir.VectorType(element, lanes) if lanes else element


def mangled(type: ir.Type) -> str:
    """The type as intrinsics spell it in their names: ``f32``, ``v8f64``."""
    lanes = _lanes(type)
    return f"v{lanes}{_element(type).intrinsic_name}" if lanes else type.intrinsic_name


def _constant(type: ir.Type, value: Number) -> ir.Value:
    """A constant in every lane; ``splat`` keeps the printed module short, which is most of the cost of parsing it."""
    element = _element(type)
    scalar = ir.Constant(element, value)
    if not _lanes(type):
        return scalar
    return _Splat(type, f"splat ({element} {scalar.get_reference()})")


class _Splat(ir.FormattedConstant):
    def __init__(self, type: ir.Type, text: str) -> None:
        super().__init__(type, text)
        self.constant = text  # the base class has taken the text for the value of one lane


class _Lanes:
    """A value together with the builder that prints what is done with it."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    @property
    def type(self) -> ir.Type:
        return self.value.type

    @property
    def lanes(self) -> int:
        """The number of lanes; 0 for a scalar."""
        return _lanes(self.type)

    def _call(self, intrinsic: str, *args: ir.Value, result: ir.Type | None = None) -> ir.Value:
        """Call ``llvm.<intrinsic>``, overloaded on the first argument's type."""
        module = self.builder.module
        name = f"llvm.{intrinsic}.{mangled(args[0].type)}"
        function = module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(result or args[0].type, [a.type for a in args])
            function = ir.Function(module, signature, name)
        return self.builder.call(function, args)


class Mask(_Lanes):
    """A truth value per lane."""

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.or_(self.value, other.value))

    def __xor__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.xor(self.value, other.value))

    def __invert__(self) -> Mask:
        return Mask(self.builder, self.builder.not_(self.value))

    def any(self) -> ir.Value:
        """One i1: whether it holds in some lane."""
        if not self.lanes:
            return self.value
        return self._call("vector.reduce.or", self.value, result=ir.IntType(1))


class Bits(_Lanes):
    """An integer per lane, as wide as the floating format it came from."""

    def _with(self, other: Bits | int) -> ir.Value:
        return other.value if isinstance(other, Bits) else _constant(self.type, other)

    def __add__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.add(self.value, self._with(other)))

    def __sub__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.sub(self.value, self._with(other)))

    def __and__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.and_(self.value, self._with(other)))

    def __or__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.or_(self.value, self._with(other)))

    def __xor__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.xor(self.value, self._with(other)))

    def __lshift__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.shl(self.value, self._with(other)))

    def __rshift__(self, other: Bits | int) -> Bits:
        """Arithmetic: the sign fills in."""
        return Bits(self.builder, self.builder.ashr(self.value, self._with(other)))

    def compare(self, operator: str, other: Bits | int) -> Mask:
        return Mask(self.builder, self.builder.icmp_signed(operator, self.value, self._with(other)))

    def as_real(self) -> Real:
        """The same bits read as a floating number."""
        fmt = FORMATS[_element(self.type).width]
        return Real(self.builder, self.builder.bitcast(self.value, _with_lanes(fmt.type, self.lanes)))

    def to_real(self) -> Real:
        """The nearest floating number."""
        fmt = FORMATS[_element(self.type).width]
        return Real(self.builder, self.builder.sitofp(self.value, _with_lanes(fmt.type, self.lanes)))


class Real(_Lanes):
    """A floating number per lane."""

    @property
    def format(self) -> Format:
        return FORMATS[64 if isinstance(_element(self.type), ir.DoubleType) else 32]

    def constant(self, value: Number) -> Real:
        return Real(self.builder, _constant(self.type, value))

    def integer(self, value: int) -> Bits:
        return Bits(self.builder, _constant(_with_lanes(self.format.integer, self.lanes), value))

    def _with(self, other: Real | Number) -> ir.Value:
        return other.value if isinstance(other, Real) else _constant(self.type, float(other))

    def _real(self, value: ir.Value) -> Real:
        return Real(self.builder, value)

    def __add__(self, other: Real | Number) -> Real:
        return self._real(self.builder.fadd(self.value, self._with(other)))

    def __radd__(self, other: Number) -> Real:
        return self._real(self.builder.fadd(self._with(other), self.value))

    def __sub__(self, other: Real | Number) -> Real:
        return self._real(self.builder.fsub(self.value, self._with(other)))

    def __rsub__(self, other: Number) -> Real:
        return self._real(self.builder.fsub(self._with(other), self.value))

    def __mul__(self, other: Real | Number) -> Real:
        return self._real(self.builder.fmul(self.value, self._with(other)))

    def __rmul__(self, other: Number) -> Real:
        return self._real(self.builder.fmul(self._with(other), self.value))

    def __truediv__(self, other: Real | Number) -> Real:
        return self._real(self.builder.fdiv(self.value, self._with(other)))

    def __rtruediv__(self, other: Number) -> Real:
        return self._real(self.builder.fdiv(self._with(other), self.value))

    def __neg__(self) -> Real:
        return self._real(self.builder.fneg(self.value))

    def __abs__(self) -> Real:
        return self._real(self._call("fabs", self.value))

    def sqrt(self) -> Real:
        return self._real(self._call("sqrt", self.value))

    def rint(self) -> Real:
        """The nearest integer, ties to even."""
        return self._real(self._call("rint", self.value))

    def with_sign_of(self, other: Real) -> Real:
        return self._real(self._call("copysign", self.value, other.value))

    def compare(self, operator: str, other: Real | Number) -> Mask:
        """Ordered comparison: false where either side is nan, except ``!=``, which is true there."""
        ordered = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        return Mask(self.builder, ordered(operator, self.value, self._with(other)))

    def __lt__(self, other: Real | Number) -> Mask:
        return self.compare("<", other)

    def __le__(self, other: Real | Number) -> Mask:
        return self.compare("<=", other)

    def __gt__(self, other: Real | Number) -> Mask:
        return self.compare(">", other)

    def __ge__(self, other: Real | Number) -> Mask:
        return self.compare(">=", other)

    def equals(self, other: Real | Number) -> Mask:
        return self.compare("==", other)

    def is_nan(self) -> Mask:
        return Mask(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    def clamp(self, low: Number | None = None, high: Number | None = None) -> Real:
        """Within [low, high]; nan stays nan. Each side is one minimum or maximum instruction."""
        out = self
        if high is not None:
            out = select(out > high, self.constant(high), out)
        if low is not None:
            out = select(out < low, self.constant(low), out)
        return out

    def bits(self) -> Bits:
        """The bits of the number, read as an integer."""
        return Bits(self.builder, self.builder.bitcast(self.value, _with_lanes(self.format.integer, self.lanes)))

    def sign(self) -> Bits:
        """The sign bit alone, in its place."""
        return self.bits() & (-1 << (self.format.bits - 1))

    def flip_sign(self, sign: Bits) -> Real:
        """Negated where ``sign`` has the sign bit set."""
        return (self.bits() ^ sign).as_real()

    def widened(self) -> Real:
        """The same number in double precision."""
        target = _with_lanes(ir.DoubleType(), self.lanes)
        return self if self.format.bits == 64 else self._real(self.builder.fpext(self.value, target))

    def narrowed(self, fmt: Format) -> Real:
        """The nearest number of the format."""
        target = _with_lanes(fmt.type, self.lanes)
        return self if self.format == fmt else self._real(self.builder.fptrunc(self.value, target))


def fma(a: Real, b: Real | Number, c: Real | Number) -> Real:
    """``a * b + c``, rounded once."""
    return Real(a.builder, a._call("fma", a.value, a._with(b), a._with(c)))


def select(condition: Mask, yes: Real, no: Real | Number) -> Real:
    """``yes`` where the condition holds, ``no`` elsewhere."""
    return Real(yes.builder, yes.builder.select(condition.value, yes.value, yes._with(no)))


def select_bits(condition: Mask, yes: Bits, no: Bits | int) -> Bits:
    return Bits(yes.builder, yes.builder.select(condition.value, yes.value, yes._with(no)))


def horner(x: Real, coefficients: Sequence[float | Real]) -> Real:
    """The polynomial with these coefficients, lowest power first, one fma per power."""
    *rest, highest = coefficients
    out = highest if isinstance(highest, Real) else x.constant(highest)
    for c in reversed(rest):
        out = fma(out, x, c)
    return out


def poly(x: Real, coefficients: Sequence[float]) -> Real:
    """As :func:`horner`; a long one in blocks side by side, so that its latency does not rule.

    Blocks of neighbouring powers keep the rounding error of an alternating series low; even and odd halves do not.
    """
    count = len(coefficients)
    if count < 7:
        return horner(x, coefficients)
    power, size = x * x, 2
    while size < (4 if count <= 12 else 8):
        power, size = power * power, size * 2
    return horner(power, [horner(x, coefficients[k : k + size]) for k in range(0, count, size)])
