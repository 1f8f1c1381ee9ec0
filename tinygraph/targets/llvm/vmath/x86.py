"""Single AVX-512 instructions for what takes several elsewhere, with the same bits as result.

They are used in modules that :func:`allow` has marked, for vectors that fill a register.
"""

from __future__ import annotations

from llvmlite import ir

from tinygraph.targets.llvm.vmath.value import Real

I8, I32 = ir.IntType(8), ir.IntType(32)
CURRENT_ROUNDING = 4

# vfixupimm: what to put in place of a result, by the kind of the argument, 4 bits each.
_KEEP, _QUIET_NAN, _NAN, _MINUS_INF, _PLUS_INF = 0, 2, 3, 4, 5
_LOGARITHM = (
    _QUIET_NAN,  # argument: quiet nan
    _QUIET_NAN,  # signalling nan
    _MINUS_INF,  # zero
    _KEEP,  # one
    _NAN,  # -inf
    _PLUS_INF,  # inf
    _NAN,  # negative
    _KEEP,  # positive
)


def allow(module: ir.Module, triple: str, features: str) -> None:
    """Let code printed into the module use what the processor has (features as LLVM lists them)."""
    have = set(features.split(","))
    x86 = triple.startswith(("x86_64", "i686", "amd64"))
    module.vmath_register_bits = ((512,) if x86 and "+avx512f" in have else ()) + (
        (128, 256) if x86 and {"+avx512f", "+avx512vl"} <= have else ()
    )


def _register_bits(x: Real) -> int:
    """The width of the register that x fills, 0 if these instructions are not for it."""
    bits = x.lanes * x.format.bits
    return bits if bits in getattr(x.builder.module, "vmath_register_bits", ()) else 0


def scale(x: Real, n: Real) -> Real | None:
    """x * 2**n for whole n, rounded once; None where there is no such instruction."""
    bits = _register_bits(x)
    if not bits:
        return None
    return _masked(x, "scalef", bits, [x.value, n.value, x.value])


def logarithm_limits(x: Real, result: Real) -> Real | None:
    """``result``, or what the logarithm of x is where x is not positive and finite; None as above."""
    bits = _register_bits(x)
    if not bits:
        return None
    table = x.integer(sum(response << (4 * k) for k, response in enumerate(_LOGARITHM)))
    return _masked(x, "fixupimm", bits, [result.value, x.value, table.value, I32(0)])


def _masked(x: Real, operation: str, bits: int, args: list[ir.Value]) -> Real:
    """A masked intrinsic with every lane on; in the widest form it also takes the rounding mode."""
    precision = "ps" if x.format.bits == 32 else "pd"
    mask = ir.IntType(max(8, x.lanes))
    args = [*args, mask(-1)] + ([I32(CURRENT_ROUNDING)] if bits == 512 else [])
    module, name = x.builder.module, f"llvm.x86.avx512.mask.{operation}.{precision}.{bits}"
    function = module.globals.get(name) or ir.Function(module, ir.FunctionType(x.type, [a.type for a in args]), name)
    return Real(x.builder, x.builder.call(function, args))
