"""Native functions that set a loop's parameters from its counter: positions in ring buffers and the like."""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from tinygraph.program.expr import Expr, postorder
from tinygraph.targets.llvm.scalars import I64, PTR, constant, operation


def setter_text(params: Mapping[str, Expr], positions: Mapping[str, int]) -> str:
    """``void kernel(ptr params)``: each name's expression, stored at its position."""
    module = ir.Module(name="setter")
    f = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR]), "kernel")
    b = ir.IRBuilder(f.append_basic_block("entry"))

    def place(name: str) -> ir.Value:
        return b.gep(f.args[0], [ir.Constant(I64, positions[name])], source_etype=I64)

    for name, e in params.items():
        values: dict[int, ir.Value] = {}
        for x in postorder(e):
            if x.op == "const":
                values[id(x)] = constant(x.attr, x.dtype)
            elif x.op == "param":
                values[id(x)] = b.load(place(x.attr), typ=I64)
            else:
                values[id(x)] = operation(b, x, [values[id(a)] for a in x.args], 0)
        b.store(values[id(e)], place(name))
    b.ret_void()
    return str(module)
