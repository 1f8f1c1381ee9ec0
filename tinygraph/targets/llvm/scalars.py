"""The LLVM form of each intrinsic of ``program.expr``, for scalars and vectors.

Booleans are ``i1`` while computed and bytes in memory. 16-bit floats are computed as 32-bit ones. Integer division
follows NumPy: rounded down, and 0 where the divisor is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from tinygraph.program.expr import Expr
from tinygraph.targets.llvm import vmath

I1, I8, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
PTR = ir.PointerType()

_TYPES: dict[str, Any] = {
    "bool": I1, "int8": I8, "uint8": I8, "int16": ir.IntType(16), "uint16": ir.IntType(16), "int32": I32,
    "uint32": I32, "int64": I64, "uint64": I64, "float16": ir.HalfType(), "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
}  # fmt: skip

_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def scalar_type(dtype: str) -> Any:
    """The LLVM type of one computed value."""
    return _TYPES[dtype]


def memory_type(dtype: str) -> Any:
    """The LLVM type of one element in memory."""
    return I8 if dtype == "bool" else _TYPES[dtype]


def typed(dtype: str, lanes: int) -> Any:
    """The type of a computed value of ``lanes`` lanes (0: a scalar)."""
    return ir.VectorType(_TYPES[dtype], lanes) if lanes else _TYPES[dtype]


def constant(value: Any, dtype: str, lanes: int = 0) -> ir.Constant:
    """A number, the same in every lane."""
    t = _TYPES[dtype]
    if dtype[0] == "f":
        one = ir.Constant(t, float(np.dtype(dtype).type(value)))
    else:
        bits = int(np.array(value).astype(dtype).astype("int64")) if dtype != "uint64" else int(value)
        one = ir.Constant(t, bits & ((1 << t.width) - 1))
    return ir.Constant(ir.VectorType(t, lanes), [one] * lanes) if lanes else one


def splat(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A scalar in every lane of a vector."""
    if not lanes or isinstance(value.type, ir.VectorType):
        return value
    t = ir.VectorType(value.type, lanes)
    first = b.insert_element(ir.Constant(t, ir.Undefined), value, ir.Constant(I32, 0))
    return b.shuffle_vector(first, ir.Constant(t, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def loop(b: ir.IRBuilder, first: ir.Value, last: ir.Value, step: int, body: Callable[[ir.Value], None]) -> None:
    """``body(i)`` for ``i`` from ``first`` in steps while it is below ``last``."""
    before = b.block
    inside, after = b.append_basic_block("loop"), b.append_basic_block("after")
    b.cbranch(b.icmp_signed("<", first, last), inside, after)
    b.position_at_end(inside)
    i = b.phi(I64)
    i.add_incoming(first, before)
    body(i)
    following = b.add(i, ir.Constant(I64, step))
    i.add_incoming(following, b.block)
    b.cbranch(b.icmp_signed("<", following, last), inside, after)
    b.position_at_end(after)


def is_signed(dtype: str) -> bool:
    return dtype[0] == "i"


def operation(b: ir.IRBuilder, x: Expr, args: Sequence[ir.Value], lanes: int) -> ir.Value:
    """The value of the node ``x`` from those of its arguments, all of ``lanes`` lanes."""
    dtype = x.args[-1].dtype if x.args else x.dtype
    if x.op == "cast":
        return convert(b, args[0], x.args[0].dtype, x.dtype, lanes)
    if x.op == "select":
        return b.select(args[0], args[1], args[2])
    if dtype == "float16":
        wide = [convert(b, a, e.dtype, "float32", lanes) if e.dtype == "float16" else a
                for a, e in zip(args, x.args, strict=True)]  # fmt: skip
        out = _float(b, x.op, wide, "float32", lanes)
        return convert(b, out, "float32", "float16", lanes) if x.dtype == "float16" else out
    if dtype[0] == "f":
        return _float(b, x.op, args, dtype, lanes)
    return _integer(b, x.op, args, dtype, lanes)


def _float(b: ir.IRBuilder, op: str, args: Sequence[ir.Value], dtype: str, lanes: int) -> ir.Value:
    if op in ("add", "sub", "mul", "div"):
        return getattr(b, {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}[op])(*args)
    if op == "neg":
        return b.fneg(args[0])
    if op in _COMPARE:
        return (b.fcmp_unordered if op == "ne" else b.fcmp_ordered)(_COMPARE[op], *args)
    if op in ("maximum", "minimum"):
        return extremum(b, op, args[0], args[1], dtype)
    if op in ("abs", "floor", "ceil", "trunc", "rint", "sqrt"):
        return _unary_intrinsic(b, {"abs": "fabs"}.get(op, op), args[0])
    if op == "isnan":
        return b.fcmp_unordered("uno", args[0], args[0])
    if op == "isinf":
        return b.fcmp_ordered("==", _unary_intrinsic(b, "fabs", args[0]), constant(float("inf"), dtype, lanes))
    if op == "sign":
        zero, one = constant(0, dtype, lanes), constant(1, dtype, lanes)
        signed = b.select(b.fcmp_ordered(">", args[0], zero), one, b.select(
            b.fcmp_ordered("<", args[0], zero), constant(-1, dtype, lanes), args[0]))  # fmt: skip
        return b.select(b.fcmp_ordered("==", args[0], zero), zero, signed)
    if op in ("mod", "floordiv"):
        return _float_division(b, op, args[0], args[1], dtype, lanes)
    return vmath.emit(b, op, list(args))


def suffix(t: ir.Type) -> str:
    """A type in an intrinsic's name: ``v16f32``."""
    if isinstance(t, ir.VectorType):
        return f"v{t.count}{suffix(t.element)}"
    return {"half": "f16", "float": "f32", "double": "f64"}.get(str(t), str(t))


def declared(module: ir.Module, name: str, kind: ir.FunctionType) -> ir.Function:
    """The function ``name`` in a module."""
    return module.globals.get(name) or ir.Function(module, kind, name)


def intrinsic(b: ir.IRBuilder, name: str, args: Sequence[ir.Value], result: Any = None) -> ir.Value:
    """A call of ``llvm.<name>``, overloaded on its first argument's type."""
    t = args[0].type
    kind = ir.FunctionType(t if result is None else result, [a.type for a in args])
    return b.call(declared(b.module, f"llvm.{name}.{suffix(t)}", kind), list(args))


def _unary_intrinsic(b: ir.IRBuilder, name: str, x: ir.Value) -> ir.Value:
    return intrinsic(b, name, [x])


def _float_division(b: ir.IRBuilder, op: str, x: ir.Value, y: ir.Value, dtype: str, lanes: int) -> ir.Value:
    """NumPy's remainder (of the sign of y) and floor of the quotient, from the exact remainder."""
    zero = constant(0, dtype, lanes)
    r = b.frem(x, y)
    differs = b.and_(b.fcmp_unordered("!=", r, zero),
                     b.xor(b.fcmp_ordered("<", r, zero), b.fcmp_ordered("<", y, zero)))  # fmt: skip
    moved = b.select(differs, b.fadd(r, y), r)
    if op == "mod":
        return b.select(b.fcmp_ordered("==", moved, zero), intrinsic(b, "copysign", [zero, y]), moved)
    quotient = b.fdiv(b.fsub(x, r), y)
    quotient = b.select(differs, b.fsub(quotient, constant(1, dtype, lanes)), quotient)
    rounded = _unary_intrinsic(b, "floor", b.fadd(quotient, constant(0.5, dtype, lanes)))
    exact = _unary_intrinsic(b, "floor", quotient)
    near = b.fcmp_ordered(">", b.fsub(quotient, exact), constant(0.5, dtype, lanes))
    whole = b.select(near, rounded, exact)
    by_zero = b.fcmp_ordered("==", y, zero)
    return b.select(by_zero, b.fdiv(x, y), whole)


def extremum(b: ir.IRBuilder, op: str, x: ir.Value, y: ir.Value, dtype: str) -> ir.Value:
    """The larger or smaller; nan if either is (NumPy's ``maximum`` and ``minimum``)."""
    if dtype[0] == "f":
        wins = b.fcmp_ordered(">" if op == "maximum" else "<", x, y)
        return b.select(b.or_(wins, b.fcmp_unordered("uno", x, x)), x, y)
    if dtype == "bool":
        return b.or_(x, y) if op == "maximum" else b.and_(x, y)
    compare = b.icmp_signed if is_signed(dtype) else b.icmp_unsigned
    return b.select(compare(">" if op == "maximum" else "<", x, y), x, y)


def _integer(b: ir.IRBuilder, op: str, args: Sequence[ir.Value], dtype: str, lanes: int) -> ir.Value:
    if dtype == "bool":
        return _boolean(b, op, args, lanes)
    if op in ("floordiv", "mod"):
        return _integer_division(b, op, args[0], args[1], dtype, lanes)
    if op == "pow":
        return _integer_power(b, args[0], args[1], dtype, lanes)
    return _simple_integer(b, op, args, dtype, lanes)


def _simple_integer(b: ir.IRBuilder, op: str, args: Sequence[ir.Value], dtype: str, lanes: int) -> ir.Value:
    signed = is_signed(dtype)
    if op in ("add", "sub", "mul", "and", "or", "xor", "shl"):
        return getattr(b, {"and": "and_", "or": "or_"}.get(op, op))(*args)
    if op == "shr":
        return (b.ashr if signed else b.lshr)(*args)
    if op in _COMPARE:
        return (b.icmp_signed if signed else b.icmp_unsigned)(_COMPARE[op], *args)
    if op in ("maximum", "minimum"):
        return extremum(b, op, args[0], args[1], dtype)
    if op == "neg":
        return b.neg(args[0])
    if op in ("invert",):
        return b.not_(args[0])
    if op == "not":
        return b.icmp_unsigned("==", args[0], constant(0, dtype, lanes))
    if op == "abs":
        return args[0] if not signed else b.select(b.icmp_signed("<", args[0], constant(0, dtype, lanes)),
                                                   b.neg(args[0]), args[0])  # fmt: skip
    if op == "sign":
        return _integer_sign(b, args[0], dtype, lanes)
    if op in ("floor", "ceil", "trunc", "rint"):
        return args[0]
    raise NotImplementedError(f"the llvm target has no {op} of {dtype}")


def _boolean(b: ir.IRBuilder, op: str, args: Sequence[ir.Value], lanes: int) -> ir.Value:
    if op in ("and", "mul", "minimum"):
        return b.and_(*args)
    if op in ("or", "add", "maximum"):
        return b.or_(*args)
    if op in ("xor", "ne", "sub"):
        return b.xor(*args)
    if op in ("not", "invert", "neg"):
        return b.not_(args[0])
    if op == "eq":
        return b.not_(b.xor(*args))
    if op == "lt":
        return b.and_(b.not_(args[0]), args[1])
    if op == "gt":
        return b.and_(args[0], b.not_(args[1]))
    if op == "le":
        return b.or_(b.not_(args[0]), args[1])
    if op == "ge":
        return b.or_(args[0], b.not_(args[1]))
    if op in ("abs", "sign"):
        return args[0]
    raise NotImplementedError(f"the llvm target has no {op} of bool")


def _integer_sign(b: ir.IRBuilder, x: ir.Value, dtype: str, lanes: int) -> ir.Value:
    zero, one = constant(0, dtype, lanes), constant(1, dtype, lanes)
    if not is_signed(dtype):
        return b.select(b.icmp_unsigned("==", x, zero), zero, one)
    return b.select(b.icmp_signed(">", x, zero), one, b.select(
        b.icmp_signed("<", x, zero), constant(-1, dtype, lanes), zero))  # fmt: skip


def _integer_division(b: ir.IRBuilder, op: str, x: ir.Value, y: ir.Value, dtype: str, lanes: int) -> ir.Value:
    zero, one = constant(0, dtype, lanes), constant(1, dtype, lanes)
    by_zero = b.icmp_unsigned("==", y, zero)
    if not is_signed(dtype):
        safe = b.select(by_zero, one, y)
        return b.select(by_zero, zero, b.udiv(x, safe) if op == "floordiv" else b.urem(x, safe))
    minus = b.icmp_signed("==", y, constant(-1, dtype, lanes))
    safe = b.select(b.or_(by_zero, minus), one, y)  # the smallest integer by -1 would trap
    q, r = b.sdiv(x, safe), b.srem(x, safe)
    off = b.and_(b.icmp_signed("!=", r, zero), b.icmp_signed("<", b.xor(r, safe), zero))
    if op == "floordiv":
        out = b.select(off, b.sub(q, one), q)
        out = b.select(minus, b.neg(x), out)
    else:
        out = b.select(off, b.add(r, safe), r)
        out = b.select(minus, zero, out)
    return b.select(by_zero, zero, out)


def _integer_power(b: ir.IRBuilder, x: ir.Value, n: ir.Value, dtype: str, lanes: int) -> ir.Value:
    """Repeated squaring over the exponent's bits, unrolled; a negative exponent gives 1, -1 or 0."""
    one, zero = constant(1, dtype, lanes), constant(0, dtype, lanes)
    bits = _TYPES[dtype].width
    result, base, left = one, x, n
    for _ in range(min(bits, 6) if bits > 8 else 3):
        odd = b.icmp_unsigned("!=", b.and_(left, one), zero)
        result = b.select(odd, b.mul(result, base), result)
        base = b.mul(base, base)
        left = b.lshr(left, one)
    if not is_signed(dtype):
        return result
    negative = b.icmp_signed("<", n, zero)
    is_one = b.icmp_signed("==", x, one)
    minus_one = b.icmp_signed("==", x, constant(-1, dtype, lanes))
    odd = b.icmp_unsigned("!=", b.and_(n, one), zero)
    small = b.select(is_one, one, b.select(minus_one, b.select(odd, constant(-1, dtype, lanes), one), zero))
    return b.select(negative, small, result)


def convert(b: ir.IRBuilder, v: ir.Value, source: str, target: str, lanes: int) -> ir.Value:
    """A cast as NumPy makes it; a float outside an integer's range gives that integer's smallest value or 0."""
    if source == target:
        return v
    t = typed(target, lanes)
    if target == "bool":
        zero = constant(0, source, lanes)
        return b.fcmp_unordered("!=", v, zero) if source[0] == "f" else b.icmp_unsigned("!=", v, zero)
    if source == "bool":
        return b.uitofp(v, t) if target[0] == "f" else b.zext(v, t)
    if source == "float64" and target == "float16":
        return b.fptrunc(_rounded_to_odd(b, v, lanes), t)
    if source[0] == "f" and target[0] == "f":
        return b.fpext(v, t) if _bits(target) > _bits(source) else b.fptrunc(v, t)
    if source[0] == "f":
        return _float_to_integer(b, v, source, target, lanes)
    if target[0] == "f":
        return b.sitofp(v, t) if is_signed(source) else b.uitofp(v, t)
    if _bits(target) < _bits(source):
        return b.trunc(v, t)
    if _bits(target) == _bits(source):
        return v
    return b.sext(v, t) if is_signed(source) else b.zext(v, t)


def _rounded_to_odd(b: ir.IRBuilder, v: ir.Value, lanes: int) -> ir.Value:
    """float64 as float32, rounded so that rounding on to float16 gives what rounding once would (Boldo and Melquiond,
    2008: an inexact result has its last bit set). Directly it would take a routine of the C compiler's library."""
    near = b.fptrunc(v, typed("float32", lanes))
    back = b.fpext(near, typed("float64", lanes))
    one = constant(1, "int32", lanes)
    bits = b.bitcast(near, typed("int32", lanes))
    away = b.fcmp_ordered(">", _magnitude(b, back, lanes), _magnitude(b, v, lanes))
    toward_zero = b.select(away, b.sub(bits, one), bits)
    inexact = b.fcmp_ordered("!=", back, v)
    return b.bitcast(b.select(inexact, b.or_(toward_zero, one), bits), typed("float32", lanes))


def _magnitude(b: ir.IRBuilder, v: ir.Value, lanes: int) -> ir.Value:
    bits = b.bitcast(v, typed("int64", lanes))
    return b.bitcast(b.and_(bits, constant(2**63 - 1, "int64", lanes)), typed("float64", lanes))


def _float_to_integer(b: ir.IRBuilder, v: ir.Value, source: str, target: str, lanes: int) -> ir.Value:
    """Truncation through a 64-bit (or for small types 32-bit) integer, as x86 and NumPy do it."""
    wide = "int32" if _bits(target) < 32 or target == "int32" else "int64"
    limit = float(2.0 ** (_bits(wide) - 1))
    low, high = constant(-limit, source, lanes), constant(limit, source, lanes)
    inside = b.and_(b.fcmp_ordered(">=", v, low), b.fcmp_ordered("<", v, high))
    safe = b.select(inside, v, constant(0, source, lanes))
    out = b.fptosi(safe, typed(wide, lanes))
    if target == "uint64":
        over = b.fcmp_ordered(">=", v, high)
        far = b.fptosi(b.select(over, b.fsub(v, high), constant(0, source, lanes)), typed("int64", lanes))
        out = b.select(over, b.add(far, constant(-(2**63), "int64", lanes)), out)
        return out
    out = b.select(inside, out, constant(-(2 ** (_bits(wide) - 1)), wide, lanes))
    if target in ("int8", "uint8", "int16", "uint16"):
        return b.trunc(out, typed(target, lanes))
    if target == "uint32":
        return b.trunc(out, typed(target, lanes))
    return out


def _bits(dtype: str) -> int:
    return 16 if dtype == "float16" else np.dtype(dtype).itemsize * 8


def combine(b: ir.IRBuilder, how: str, x: ir.Value, y: ir.Value, dtype: str, lanes: int) -> ir.Value:
    """Two partial results of a reduction as one."""
    if how in ("maximum", "minimum"):
        if dtype == "float16":
            wide = [convert(b, v, dtype, "float32", lanes) for v in (x, y)]
            return convert(b, extremum(b, how, wide[0], wide[1], "float32"), "float32", dtype, lanes)
        return extremum(b, how, x, y, dtype)
    if dtype == "bool":
        return _boolean(b, {"add": "or", "mul": "and"}.get(how, how), (x, y), lanes)
    if dtype[0] == "f":
        return {"add": b.fadd, "mul": b.fmul}[how](x, y)
    return {"add": b.add, "mul": b.mul, "and": b.and_, "or": b.or_, "xor": b.xor}[how](x, y)
