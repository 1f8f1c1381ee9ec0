"""Scalar expressions as CUDA C: types, literals, and one C expression for each intrinsic."""

from __future__ import annotations

import math

from tinygraph.program.expr import Expr

C_TYPES = {
    "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "i64", "uint8": "unsigned char",
    "uint16": "unsigned short", "uint32": "u32", "uint64": "u64", "float16": "half_t", "float32": "float",
    "float64": "double",
}  # fmt: skip
#: what C computes in int must be cut back to these at once, as NumPy does
_NARROW = {"bool", "int8", "int16", "uint8", "uint16", "float16"}

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">",
    "ge": ">=", "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
_COMPARES = {"eq", "ne", "lt", "le", "gt", "ge"}


def accumulator(dtype: str) -> str:
    """The C type in which values of ``dtype`` are added up."""
    return "float" if dtype == "float16" else C_TYPES[dtype]


def literal(value: object, dtype: str) -> str:
    """A constant as C text."""
    kind = C_TYPES[dtype]
    if dtype == "bool":
        return "true" if value else "false"
    if dtype.startswith(("int", "uint")):
        return _integer(int(value), dtype)  # type: ignore[call-overload]
    number = float(value)  # type: ignore[arg-type]
    suffix = "" if dtype == "float64" else "f"
    if math.isnan(number):
        return f"Limits<{kind}>::nan()"
    if math.isinf(number):
        return f"Limits<{kind}>::{'highest' if number > 0 else 'lowest'}()"
    text = repr(number) + suffix
    if dtype == "float16":
        return f"half_t({text})"
    return f"({text})" if number < 0 or text.startswith("-") else text


def _integer(value: int, dtype: str) -> str:
    suffix = {"int64": "ll", "uint64": "ull", "uint32": "u"}.get(dtype, "")
    lowest = {"int32": -(2**31), "int64": -(2**63)}.get(dtype)
    if value == lowest:
        return f"({value + 1}{suffix} - 1)"
    text = f"({value}{suffix})" if value < 0 else f"{value}{suffix}"
    return f"({C_TYPES[dtype]}){text}" if dtype in _NARROW else text


def operation(x: Expr, args: list[str], error: str = "error") -> str:
    """The C expression of one node whose arguments are the C expressions ``args``."""
    if x.op == "cast":
        return f"op_cast<{C_TYPES[x.dtype]}>({args[0]})"
    if x.op == "index":
        return f"checked_index({args[0]}, {x.attr}ll, {error})"
    if x.op == "philox":
        key0, key1, counter, element = args
        return f"philox_word({counter}, {element}, {key0}, {key1})"
    half = x.args[0].dtype == "float16" or x.dtype == "float16"
    if half and x.op != "select":
        args = [f"(float){a}" for a in args]
    text = _plain(x, args)
    return f"({C_TYPES[x.dtype]})({text})" if x.dtype in _NARROW and x.op not in _COMPARES else text


def _plain(x: Expr, args: list[str]) -> str:
    if x.op in _INFIX:
        return f"({args[0]} {_INFIX[x.op]} {args[1]})"
    if x.op == "neg":
        return f"(-{args[0]})"
    if x.op == "not":
        return f"(!{args[0]})"
    if x.op == "select":
        return f"({args[0]} ? {args[1]} : {args[2]})"
    return f"op_{x.op}({', '.join(args)})"


def combined(combine: str, dtype: str, a: str, b: str) -> str:
    """``a`` combined with ``b`` in a reduction, as a C expression of the accumulator's type."""
    kind = accumulator(dtype)
    if combine in ("maximum", "minimum"):
        return f"op_{combine}<{kind}>({a}, {b})"
    sign = {"add": "+", "mul": "*", "and": "&", "or": "|", "xor": "^"}[combine]
    return f"({kind})({a} {sign} {b})"


#: the functor of ``block.cuh`` or ``generated.cuh`` for each combiner
FUNCTORS = {
    "add": "Sum()", "mul": "Product()", "maximum": "Maximum()", "minimum": "Minimum()", "and": "And()", "or": "Or()",
    "xor": "Xor()", "argmax": "First<true>()", "argmin": "First<false>()",
}  # fmt: skip
