"""Recomputing the rare lanes that the fast formula cannot serve, in a cold function shared by the module."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from tinygraph.targets.llvm.vmath.value import Mask, Real, mangled

I32 = ir.IntType(32)


def patch_lanes(name: str, x: Real, fast: Real, rare: Mask, formula: Callable[[Real], Real]) -> Real:
    """``fast``, with ``formula(x)``, a scalar formula in double precision, in the lanes where ``rare`` holds.

    Splits the current block: afterwards the builder stands at the end of a new one.
    """
    builder = x.builder
    start, some = builder.block, rare.any()
    cold = builder.append_basic_block(f"{name}.rare")
    join = builder.append_basic_block(f"{name}.join")
    builder.cbranch(some, cold, join).set_weights([1, 4096])
    builder.position_at_end(cold)
    patched = builder.call(_patch_function(builder.module, name, x.type, rare.type, formula),
                           [x.value, fast.value, rare.value])
    builder.branch(join)
    builder.position_at_end(join)
    result = builder.phi(fast.type)
    result.add_incoming(fast.value, start)
    result.add_incoming(patched, cold)
    return Real(builder, result)


def _patch_function(
    module: ir.Module, name: str, type: ir.Type, mask: ir.Type, formula: Callable[[Real], Real]
) -> ir.Function:
    """``type f(type x, type fast, mask rare)``: a loop over the lanes."""
    symbol = f"tg.{name}.rare.{mangled(type)}"
    if symbol in module.globals:
        return module.globals[symbol]
    function = _internal(module, ir.FunctionType(type, [type, type, mask]), symbol)
    x, fast, rare = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    if not isinstance(type, ir.VectorType):
        builder.ret(builder.call(_scalar_function(module, name, type, formula), [x]))
        return function
    scalar = _scalar_function(module, name, type.element, formula)
    entry = builder.block
    loop, compute, following, done = (function.append_basic_block(n) for n in ("loop", "compute", "next", "done"))
    builder.branch(loop)

    builder.position_at_end(loop)
    lane, vector = builder.phi(I32), builder.phi(type)
    builder.cbranch(builder.extract_element(rare, lane), compute, following)

    builder.position_at_end(compute)
    value = builder.call(scalar, [builder.extract_element(x, lane)])
    changed = builder.insert_element(vector, value, lane)
    builder.branch(following)

    builder.position_at_end(following)
    merged = builder.phi(type)
    merged.add_incoming(vector, loop)
    merged.add_incoming(changed, compute)
    after = builder.add(lane, I32(1))
    lane.add_incoming(I32(0), entry)
    lane.add_incoming(after, following)
    vector.add_incoming(fast, entry)
    vector.add_incoming(merged, following)
    builder.cbranch(builder.icmp_unsigned("<", after, I32(type.count)), loop, done)

    builder.position_at_end(done)
    builder.ret(merged)
    return function


def _scalar_function(module: ir.Module, name: str, type: ir.Type, formula: Callable[[Real], Real]) -> ir.Function:
    symbol = f"tg.{name}.rare.{mangled(type)}.one"
    if symbol in module.globals:
        return module.globals[symbol]
    function = _internal(module, ir.FunctionType(type, [type]), symbol)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    x = Real(builder, function.args[0])
    builder.ret(formula(x.widened()).narrowed(x.format).value)
    return function


def _internal(module: ir.Module, type: ir.FunctionType, symbol: str) -> ir.Function:
    function = ir.Function(module, type, symbol)
    function.linkage = "internal"
    for attribute in ("noinline", "cold", "nounwind"):
        function.attributes.add(attribute)
    return function
