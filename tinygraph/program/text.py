"""Programs as text: one line for each nest, in the notation of the nest language."""

from __future__ import annotations

from collections.abc import Sequence

from tinygraph.program.expr import Access, Expr, postorder
from tinygraph.program.instructions import (
    Branch,
    Group,
    Host,
    Instruction,
    Loop,
    Nest,
    Program,
    Ref,
    Routine,
)

_AXES = "ijklmnopqrstuvwxyz"
_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "eq": "==", "ne": "!=", "lt": "<",
    "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>", "pow": "**",
}  # fmt: skip


def axis_name(k: int) -> str:
    return _AXES[k] if k < len(_AXES) else f"ax{k}"


def access_text(a: Access) -> str:
    """``t3[784*i + j + 2]``: an element's address."""
    terms = [axis_name(k) if s == 1 else f"{s}*{axis_name(k)}" for k, s in enumerate(a.strides) if s]
    terms += [name if k == 1 else f"{k}*{name}" for name, k in a.params]
    if a.dynamic is not None:
        terms.append(expr_text(a.dynamic))
    if a.offset or not terms:
        terms.append(str(a.offset))
    return f"{a.buffer}[{' + '.join(terms)}]"


def expr_text(e: Expr) -> str:
    """An expression as Python-like text."""
    memo: dict[int, str] = {}
    for x in postorder(e):
        memo[id(x)] = _node_text(x, [memo[id(a)] for a in x.args])
    return memo[id(e)]


def _node_text(x: Expr, args: list[str]) -> str:
    if x.op == "const":
        return repr(x.attr)
    if x.op == "param":
        return str(x.attr)
    if x.op == "axis":
        return axis_name(x.attr)
    if x.op == "load":
        return access_text(x.attr)
    if x.op in _INFIX:
        return f"({args[0]} {_INFIX[x.op]} {args[1]})"
    if x.op == "cast":
        return f"{x.dtype}({args[0]})"
    if x.op == "select":
        return f"({args[1]} if {args[0]} else {args[2]})"
    extra = [str(x.attr)] if x.op == "index" else []
    return f"{x.op}({', '.join(args + extra)})"


def ref_text(r: Ref) -> str:
    where = "".join(f" + {k}*{name}" for name, k in r.params)
    place = f" at {r.offset}{where}" if r.offset or r.params else ""
    strides = "" if r.contiguous else f" strides {r.strides}"
    return f"{r.buffer}{list(r.shape)}{place}{strides}"


def nest_text(n: Nest) -> str:
    """``for i<500, j<10: t3[10*i + j] = max over k<4 of ...``"""
    par = ", ".join(f"{axis_name(k)}<{e}" for k, (e, c) in enumerate(zip(n.extents, n.kinds, strict=True)) if c == "p")
    red = ", ".join(f"{axis_name(k)}<{e}" for k, (e, c) in enumerate(zip(n.extents, n.kinds, strict=True)) if c == "r")
    sign = {None: "=", "add": "+=", "mul": "*="}.get(n.combine, f"{n.combine}=") if n.accumulate else "="
    value = expr_text(n.expr)
    if n.combine and red:
        value = f"{n.combine} over {red} of {value}"
    return (f"for {par}: " if par else "") + f"{access_text(n.out)} {sign} {value}"


def instruction_lines(i: Instruction, indent: str = "") -> list[str]:
    if isinstance(i, Nest):
        return [indent + nest_text(i)]
    if isinstance(i, Group) and i.parts:
        return [f"{indent}together:", *_block(i.parts, indent + "  ")]
    if isinstance(i, Group):
        return [f"{indent}group over {i.outer}:"] + [f"{indent}  {nest_text(n)}" for n in i.nests]
    if isinstance(i, Routine):
        outs, ins = ", ".join(map(ref_text, i.outputs)), ", ".join(map(ref_text, i.inputs))
        return [f"{indent}{outs} = {i.name}({ins}{''.join(f', {k}={v}' for k, v in i.attrs.items())})"]
    if isinstance(i, Host):
        outs, ins = ", ".join(map(ref_text, i.outputs)), ", ".join(map(ref_text, i.inputs))
        return [f"{indent}{outs} = host {i.node.op}({ins})"]
    if isinstance(i, Loop):
        return _loop_lines(i, indent)
    if isinstance(i, Branch):
        return [
            f"{indent}if {ref_text(i.condition)}:", *_block(i.then, indent + "  "), f"{indent}else:",
            *_block(i.otherwise, indent + "  "),
        ]  # fmt: skip
    return [indent + repr(i)]


def _loop_lines(i: Loop, indent: str) -> list[str]:
    """``for step0 < 50: ...``; ``down from`` for loops that run backwards."""
    bound = f"min({i.steps}, {ref_text(i.limit)})" if i.limit is not None else str(i.steps)
    head = f"{indent}for {i.counter} {'down from' if i.backwards else '<'} {bound}"
    head += f" until {ref_text(i.until)}" if i.until is not None else ""
    head += f" counted in {ref_text(i.steps_taken)}" if i.steps_taken is not None else ""
    params = [f"{indent}  {name} = {expr_text(e)}" for name, e in i.body_params.items()]
    return [f"{head}:", *params, *_block(i.body, indent + "  ")]


def _block(body: Sequence[Instruction], indent: str) -> list[str]:
    return [line for i in body for line in instruction_lines(i, indent)]


def program_text(p: Program) -> str:
    """The whole program, a line or block for each instruction."""
    lines = [f"program {p.name}"]
    lines += [f"  input {ref_text(r)} {r.dtype} {r.buffer.name}".rstrip() for r in p.inputs]
    lines += [f"  shared {ref_text(r)} {r.dtype} {r.buffer.name}".rstrip() for r in p.shared]
    lines += [f"  {name} = {expr_text(e)}" for name, e in p.params.items()]
    lines += _block(p.instructions, "  ")
    lines += [f"  output {ref_text(r)}" for r in p.outputs]
    lines += [f"  update {ref_text(r)}" for r in p.updates]
    return "\n".join(lines)
