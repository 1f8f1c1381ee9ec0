"""The engine: modules become callable code, by way of the cache, and mistakes become errors that say so."""

from __future__ import annotations

import ctypes
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("llvmlite")

from llvmlite import ir  # noqa: E402

from tinygraph.errors import InvalidValue  # noqa: E402
from tinygraph.targets.llvm.cache import ObjectCache  # noqa: E402
from tinygraph.targets.llvm.engine import CodeError, Engine, Target, host_engine, host_target  # noqa: E402

I64 = ir.IntType(64)


def adder(number: int, calls: str | None = None) -> ir.Module:
    """i64 add(i64 x): x + number, through a function ``calls`` when one is named."""
    module = ir.Module("adder")
    function = ir.Function(module, ir.FunctionType(I64, [I64]), "add")
    builder = ir.IRBuilder(function.append_basic_block())
    x = function.args[0]
    if calls:
        x = builder.call(ir.Function(module, ir.FunctionType(I64, [I64]), calls), [x])
    builder.ret(builder.add(x, I64(number)))
    return module


def call(library, x: int) -> int:
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("add"))(x)


@pytest.mark.parametrize("source", [adder(3), str(adder(3)), lambda: adder(3)], ids=["module", "text", "function"])
def test_a_module_its_text_or_a_function_that_makes_it_can_be_loaded(source):
    assert call(host_engine().load(source, ["add"]), 4) == 7


def test_two_modules_may_use_the_same_names():
    first, second = (host_engine().load(adder(k), ["add"]) for k in (1, 2))
    assert (call(first, 10), call(second, 10)) == (11, 12)


def test_an_unexported_name_is_refused():
    with pytest.raises(InvalidValue, match=r"llvm: expected one of \['add'\], got 'sub'"):
        host_engine().load(adder(1), ["add"]).address("sub")


def test_an_invalid_module_is_refused_with_the_reason():
    with pytest.raises(CodeError, match="the module is not valid"):
        host_engine().load("define i64 @add(i64 %x) { ret i32 %x }", ["add"])


@pytest.mark.parametrize("calls, exports", [("no_such_function_anywhere", ["add"]), (None, ["sub"])])
def test_a_missing_symbol_is_an_error_not_a_crash(calls, exports):
    with pytest.raises(CodeError, match="cannot link"):
        host_engine().load(adder(1, calls), exports)


def test_symbols_are_found_by_the_address_given_for_them():
    double = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 2 * x)
    engine = Engine(symbols={"double_it": ctypes.cast(double, ctypes.c_void_p).value})
    assert call(engine.load(adder(1, "double_it"), ["add"]), 20) == 41


def test_the_process_provides_what_is_not_given():
    assert call(host_engine().load(adder(1, "labs"), ["add"]), -20) == 21


def test_source_is_shown_as_ir_and_as_assembly():
    library = host_engine().load(adder(1234), ["add"])
    assert "add i64" in library.ir_text() and "1234" in library.ir_text(optimized=True)
    assert "1234" in library.asm_text() and "add:" in library.asm_text()


def test_the_pass_list_cleans_up():
    wasteful = """define i64 @add(i64 %x) {
      %slot = alloca i64
      store i64 %x, ptr %slot
      %y = load i64, ptr %slot
      %z = add i64 %y, 0
      %unused = mul i64 %z, %z
      ret i64 %z
    }"""
    text = host_engine().load(wasteful, ["add"]).ir_text(optimized=True)
    assert "alloca" not in text and "mul" not in text and "ret i64 %x" in text


def test_a_second_engine_takes_the_object_from_the_cache(tmp_path):
    first, second = (Engine(cache=ObjectCache(tmp_path)) for _ in range(2))
    assert not first.load(adder(5), ["add"]).from_cache
    library = second.load(adder(5), ["add"])
    assert library.from_cache and call(library, 1) == 6
    assert not second.load(adder(6), ["add"]).from_cache
    assert second.cache.statistics.hits == 1 and second.cache.statistics.seconds_saved > 0


def test_a_hit_by_key_does_not_print_the_module_until_it_is_asked_for(tmp_path):
    printed = []

    def source():
        printed.append(1)
        return adder(5)

    engine = Engine(cache=ObjectCache(tmp_path))
    engine.load(source, ["add"], key=("adder", 5))
    again = engine.load(source, ["add"], key=("adder", 5))
    assert call(again, 1) == 6 and len(printed) == 1
    assert "@\"add\"" in again.ir_text() and len(printed) == 2


def test_the_cache_tells_processors_apart(tmp_path):
    cache = ObjectCache(tmp_path)
    host = host_target()
    Engine(cache=cache).load(adder(5), ["add"])
    plain = Engine(Target(host.triple, "generic", ""), cache)
    assert not plain.load(adder(5), ["add"]).from_cache


def test_damaged_cache_entries_are_compiled_anew(tmp_path):
    engine = Engine(cache=ObjectCache(tmp_path))
    engine.load(adder(5), ["add"])
    [path] = engine.cache.directory.glob("*/*")
    path.write_bytes(path.read_bytes()[:-7])
    library = engine.load(adder(5), ["add"])
    assert not library.from_cache and call(library, 1) == 6


def test_code_is_released_with_its_library():
    for k in range(300):  # would exhaust nothing, but a stale address would show
        library = host_engine().load(adder(k), ["add"])
        assert call(library, 1) == k + 1
        del library
    gc.collect()


def test_several_threads_may_compile_with_one_engine():
    engine = Engine()
    with ThreadPoolExecutor(4) as pool:
        libraries = list(pool.map(lambda k: engine.load(adder(k), ["add"]), range(40)))
    assert [call(library, 1) for library in libraries] == list(range(1, 41))


def test_code_for_another_processor_can_be_printed():
    engine = Engine(Target("aarch64-unknown-linux-gnu", "neoverse-n1", ""))
    assert engine.target.vector_bits == 128
    assert "ret" in engine.assembly(adder(1))
    assert engine.compile(adder(1))[:4] == b"\x7fELF"


def test_an_unknown_processor_family_is_named():
    with pytest.raises(CodeError, match="no code generator for pdp11"):
        Engine(Target("pdp11-unknown-unix", "generic", ""))


@pytest.mark.parametrize("features, bits", [("+avx512f,+avx", 512), ("+avx", 256), ("+sse2", 128), ("-avx", 128)])
def test_vector_width_follows_the_features(features, bits):
    assert Target("x86_64-unknown-linux-gnu", "generic", features).vector_bits == bits
