"""The vector mathematics against extended precision: stated bounds over the whole range, and every special value."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

pytest.importorskip("llvmlite")
mpmath = pytest.importorskip("mpmath")

from llvmlite import ir  # noqa: E402

from tinygraph.errors import InvalidValue  # noqa: E402
from tinygraph.targets.llvm import vmath  # noqa: E402
from tinygraph.targets.llvm.engine import Engine, Target, host_engine  # noqa: E402

DTYPES = [np.float32, np.float64]
EXTENDED = np.longdouble
INF, NAN = math.inf, math.nan
UNARY = [name for name, function in vmath.FUNCTIONS.items() if function.arguments == 1]
BINARY = [name for name, function in vmath.FUNCTIONS.items() if function.arguments == 2]

needs_extended = pytest.mark.skipif(
    np.finfo(EXTENDED).nmant < 60, reason="the oracle for double precision needs a longer long double"
)


# ---------------------------------------------------------------------- the functions as NumPy would have them


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _by_mpmath(function: Callable, limit: float) -> Callable:
    """Element by element in 40 digits; beyond the limit the function no longer changes."""

    def one(x):
        if np.isnan(x):
            return EXTENDED(NAN)
        with mpmath.workdps(40):
            return EXTENDED(mpmath.nstr(function(mpmath.mpf(float(np.clip(x, -limit, limit)))), 30))

    def apply(x):
        zero = float(function(0))
        return np.array([x_ if x_ == 0 and zero == 0 else one(x_) for x_ in x], EXTENDED)

    return apply


def _inverse_erf(x):
    """Outside (-1, 1) as NumPy's arctanh, which has the same poles and domain."""
    inside = _by_mpmath(lambda v: mpmath.erfinv(v), 1)(np.where(np.abs(x) < 1, x, 0.25))
    return np.where(np.abs(x) < 1, inside, np.arctanh(x))


def _log_gamma(x):
    """For x > 0; below, where the function has zeros that no formula in x resolves, nan stands for unknown."""

    def one(v):
        if not v > 0 or np.isinf(v):
            return EXTENDED(v if v > 0 else NAN)
        with mpmath.workdps(40):
            v = mpmath.mpf(float(v))
            large = v > mpmath.mpf("1e300")
            return EXTENDED(mpmath.nstr(v * (mpmath.log(v) - 1) if large else mpmath.loggamma(v), 30))

    return np.array([one(v) for v in x], EXTENDED)


ORACLE: dict[str, Callable] = {
    name: getattr(np, name)
    for name in "sqrt exp exp2 expm1 sinh cosh tanh log log1p log2 log10 sin cos tan".split()
}
ORACLE |= {
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "pow": np.power,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "log_sigmoid": lambda x: -_softplus(-x),
    "erf": _by_mpmath(mpmath.erf, 100),
    "erfc": _by_mpmath(mpmath.erfc, 100),
}
ORACLE |= {"erfinv": _inverse_erf, "lgamma": _log_gamma}
SLOW_ORACLE = {"erf", "erfc", "erfinv", "lgamma"}


# ---------------------------------------------------------------------- compiled loops over arrays


def loop_module(name: str, dtype: type, lanes: int, target: Target | None = None) -> ir.Module:
    """void k(in..., out, n): the function over n elements, n a multiple of the lanes."""
    element = ir.FloatType() if dtype is np.float32 else ir.DoubleType()
    type_ = ir.VectorType(element, lanes) if lanes > 1 else element
    count, pointer, i64 = vmath.FUNCTIONS[name].arguments, ir.PointerType(), ir.IntType(64)
    module = ir.Module(name)
    if target:
        vmath.allow_features(module, target.triple, target.features)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * (count + 1) + [i64]), "k")
    *sources, target, length = function.args
    entry, loop, done = (function.append_basic_block(n) for n in ("entry", "loop", "done"))
    ir.IRBuilder(entry).branch(loop)
    builder = ir.IRBuilder(loop)
    index = builder.phi(i64)
    index.add_incoming(i64(0), entry)
    align = np.dtype(dtype).itemsize

    def place(base):
        return builder.gep(base, [index], source_etype=element)

    result = vmath.emit(builder, name, [builder.load(place(s), typ=type_, align=align) for s in sources])
    builder.store(result, place(target), align=align)
    after = builder.add(index, i64(lanes))
    index.add_incoming(after, builder.block)
    builder.cbranch(builder.icmp_unsigned("<", after, length), loop, done)
    ir.IRBuilder(done).ret_void()
    return module


@cache
def compiled(name: str, dtype: type, lanes: int | None = None, special: bool = False) -> Callable[..., np.ndarray]:
    """The function over arrays, by the code for this many lanes (one full register unless told).

    ``special``: with the processor's special instructions.
    """
    target = host_engine().target
    lanes = lanes or target.vector_bits // (8 * np.dtype(dtype).itemsize)
    library = host_engine().load(loop_module(name, dtype, lanes, target if special else None), ["k"])
    count = vmath.FUNCTIONS[name].arguments
    native = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (count + 1), ctypes.c_int64)(library.address("k"))

    def apply(*arrays: np.ndarray) -> np.ndarray:
        size = len(arrays[0])
        padded = [np.concatenate([a, np.ones(-size % lanes or lanes, dtype)]).astype(dtype) for a in arrays]
        out = np.empty_like(padded[0])
        native(*(a.ctypes.data for a in padded), out.ctypes.data, len(out) // lanes * lanes)
        return out[:size]

    apply.library = library  # keeps the code alive as long as the function
    return apply


# ---------------------------------------------------------------------- the measure


def ulp_error(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Distance in units in the last place; 0 for the right nan, infinity or zero, infinite for a wrong one.

    A result next to the largest number may overflow when the exact one rounds to within two units of it.
    """
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype)
        exponent = np.maximum(np.frexp(want)[1] - 1, info.minexp)
        error = np.abs(got.astype(want.dtype) - want) / np.ldexp(want.dtype.type(1), exponent - info.nmant)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        error = np.where(same & ~np.isfinite(got), 0, error)
        near_end = np.isinf(got) & (np.abs(want) > info.max * (1 - 4 * info.eps)) & (np.sign(got) == np.sign(want))
        error = np.where(near_end, 0, error)
        error = np.where(np.isnan(error), INF, error)
        wrong_zero = (got == 0) & (rounded == 0) & (np.signbit(got) != np.signbit(rounded))
    return np.where(wrong_zero, INF, error).astype(float)


def expect_within(name: str, dtype: type, got: np.ndarray, want: np.ndarray, *inputs: np.ndarray) -> None:
    function = vmath.FUNCTIONS[name]
    bound = function.ulp32 if dtype is np.float32 else function.ulp64
    error = ulp_error(got, want)
    worst = int(np.argmax(error))
    shown = ", ".join(repr(x[worst]) for x in inputs)
    assert error[worst] <= bound, f"{name}({shown}) = {got[worst]!r}, not {want[worst]!r}: {error[worst]:.2f} ulp"


def special_numbers(dtype: type) -> list[float]:
    info = np.finfo(dtype)
    sizes = [0.0, info.smallest_subnormal, info.tiny * (1 - info.eps), info.tiny, info.epsneg, info.eps, 0.25, 0.5]
    sizes += [1.0 - info.epsneg, 1.0, 1.0 + info.eps, 1.5, 2.0, 3.0, math.pi, 88.8, 89.5, 104.0, 709.9, 710.5, 745.2]
    sizes += [2.0**20, 2.0**31, 1e30, info.max * (1 - info.eps), info.max, INF]
    return [sign * size for size in sizes for sign in (1, -1)] + [NAN, -NAN]


def sample(dtype: type, count: int, seed: int) -> np.ndarray:
    """Every kind of number: random bits, and the ranges where functions bend, all with their special values."""
    random = np.random.default_rng(seed)
    part = count // 6
    unsigned = np.uint32 if dtype is np.float32 else np.uint64
    bits = random.integers(0, np.iinfo(unsigned).max, 2 * part, dtype=unsigned, endpoint=True).view(dtype)
    near_one = 1 + random.standard_normal(part) * np.exp(-random.uniform(0, 12, part))
    return np.concatenate(
        [
            np.array(special_numbers(dtype), dtype),
            np.nan_to_num(bits, nan=1, posinf=1, neginf=1),
            random.standard_normal(part).astype(dtype),
            random.uniform(-30, 30, part).astype(dtype),
            random.uniform(-800, 800, part).astype(dtype),
            near_one.astype(dtype),
        ]
    )


# ---------------------------------------------------------------------- accuracy


@needs_extended
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_keep_their_bounds(name, dtype):
    x = sample(dtype, 2_000 if name in SLOW_ORACLE else 60_000, seed=1)
    with np.errstate(all="ignore"):
        want = ORACLE[name](x.astype(EXTENDED))
    known = (x > 0) | np.isnan(x) if name == "lgamma" else np.full(len(x), True)
    expect_within(name, dtype, compiled(name, dtype)(x)[known], want[known], x[known])


@needs_extended
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_keep_their_bounds(name, dtype):
    random = np.random.default_rng(2)
    first, second = sample(dtype, 120_000, seed=3), random.permutation(sample(dtype, 120_000, seed=4))
    specials = np.array(special_numbers(dtype), dtype)
    with np.errstate(over="ignore"):
        base = np.exp(random.uniform(-30, 30, 60_000)).astype(dtype)
    exponent = (random.uniform(-20, 20, 60_000) / np.log10(base.astype(float))).astype(dtype)
    x = np.concatenate([first, np.repeat(specials, len(specials)), base])
    y = np.concatenate([second, np.tile(specials, len(specials)), exponent])
    with np.errstate(all="ignore"):
        want = ORACLE[name](x.astype(EXTENDED), y.astype(EXTENDED))
    expect_within(name, dtype, compiled(name, dtype)(x, y), want, x, y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lgamma_of_negative_numbers_is_good_relative_to_its_terms(dtype):
    """Error against the larger of 1 and the result: next to its zeros two larger numbers cancel."""
    random = np.random.default_rng(6)
    x = -np.concatenate([random.uniform(0, 6, 1000), random.uniform(0, 150, 500), 10.0 ** random.uniform(-45, 0, 300)])
    x = x.astype(dtype)[x.astype(dtype) != 0]
    with mpmath.workdps(40):
        want = np.array([float(mpmath.re(mpmath.loggamma(mpmath.mpf(float(v))))) for v in x])
    error = np.abs(compiled("lgamma", dtype)(x) - want) / np.maximum(1, np.abs(want))
    assert np.max(error) < 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, function", [("sin", mpmath.sin), ("cos", mpmath.cos), ("tan", mpmath.tan)])
def test_trigonometry_next_to_multiples_of_half_pi(name, function, dtype):
    """Where the remainder is smallest: nearest numbers to n pi/2, and the hardest double there is (Kahan 1983)."""
    multiples = [n for n in range(1, 120)] + [3**k for k in range(5, 180 if dtype is np.float64 else 60, 3)]
    with mpmath.workdps(400):
        near = [float(n * mpmath.pi / 2) for n in multiples]
        x = np.array([*near, 6381956970095103.0 * 2.0**797 if dtype is np.float64 else 16367173.0 * 2.0**72], dtype)
        want = np.array([EXTENDED(mpmath.nstr(function(mpmath.mpf(float(v))), 30)) for v in x])
    expect_within(name, dtype, compiled(name, dtype)(x), want, x)


def float32_oracle(name: str) -> Callable:
    """A fast function of double arrays."""
    if name not in SLOW_ORACLE:
        return ORACLE[name]
    special = pytest.importorskip("scipy.special")
    if name == "erfinv":  # SciPy's loses the sign of zero
        return lambda x: np.where(x == 0, x, special.erfinv(x))
    return special.gammaln if name == "lgamma" else getattr(special, name)


def all_float32(stride: int) -> Iterator[np.ndarray]:
    """Every ``stride``-th bit pattern, from that of 0 on, in pieces."""
    step = stride * 2**15  # small enough for the cache
    for start in range(0, 2**32, step):
        yield np.arange(start, min(start + step, 2**32), stride, dtype=np.uint64).astype(np.uint32).view("f4")


# ---------------------------------------------------------------------- exact cases

EXACT = {
    "exp": [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0.0), (1e30, INF), (-1e30, 0.0)],
    "exp2": [(0.0, 1), (10, 1024), (-3, 0.125), (127, 2.0**127), (-149, 2.0**-149), (INF, INF), (-INF, 0.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1)],
    "log": [(1, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (-INF, NAN)],
    "log2": [(2.0**k, k) for k in range(-149, 128, 7)] + [(0.0, -INF), (-1e-45, NAN)],
    "log10": [(1, 0.0), (0.0, -INF), (INF, INF), (-1, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1, -INF), (-1.5, NAN), (INF, INF), (-INF, NAN)],
    "sqrt": [(4, 2), (0.0, 0.0), (-0.0, -0.0), (-1, NAN), (INF, INF)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (40, 1), (-40, -1)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "cosh": [(0.0, 1), (INF, INF), (-INF, INF)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF)],
    "acosh": [(1, 0.0), (0.5, NAN), (-5, NAN), (INF, INF), (-INF, NAN)],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1, INF), (-1, -INF), (1.5, NAN), (INF, NAN)],
    "sigmoid": [(0.0, 0.5), (INF, 1), (-INF, 0.0)],
    "softplus": [(INF, INF), (-INF, 0.0), (1e30, 1e30)],
    "log_sigmoid": [(INF, -0.0), (-INF, -INF)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "cos": [(0.0, 1), (-0.0, 1), (INF, NAN)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (-INF, NAN)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (-INF, NAN)],
    "acos": [(1, 0.0), (1.5, NAN), (-1.5, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1)],
    "erfc": [(0.0, 1), (INF, 0.0), (-INF, 2)],
    "erfinv": [(0.0, 0.0), (-0.0, -0.0), (1, INF), (-1, -INF), (1.5, NAN), (-INF, NAN)],
    "lgamma": [(1, 0.0), (2, 0.0), (INF, INF), (-INF, INF), (0.0, INF), (-0.0, INF), (-3, INF), (-1e30, INF)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_special_arguments_give_exact_results(name, dtype):
    arguments, results = zip(*EXACT[name], (NAN, NAN))
    want = np.array(results, dtype)
    got = compiled(name, dtype)(np.array(arguments, dtype))
    np.testing.assert_array_equal(got, want)
    real = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[real]), np.signbit(want[real]))


# C17, annex F.10.4.4: base, exponent, result.
POWERS = [
    (0.0, -3, INF), (-0.0, -3, -INF), (-0.0, -2, INF), (0.0, -INF, INF), (0.0, 3, 0.0), (-0.0, 3, -0.0),
    (-0.0, 2, 0.0), (0.0, 0.5, 0.0), (-0.0, 0.5, 0.0), (-1, INF, 1), (-1, -INF, 1), (1, NAN, 1), (1, -INF, 1),
    (NAN, 0.0, 1), (INF, -0.0, 1), (0.0, 0.0, 1), (-2, 0.5, NAN), (-INF, 0.5, INF), (0.5, -INF, INF), (-2, -INF, 0.0),
    (0.5, INF, 0.0), (-2, INF, INF), (-INF, -3, -0.0), (-INF, -2, 0.0), (-INF, -0.5, 0.0), (-INF, 3, -INF),
    (-INF, 2, INF), (INF, -0.5, 0.0), (INF, 0.5, INF), (NAN, 1, NAN), (2, NAN, NAN), (0.0, NAN, NAN), (NAN, NAN, NAN),
    (-2, 3, -8), (-2, 4, 16), (2, -1, 0.5), (9, 0.5, 3), (10, 3, 1000), (-3, 8388609, -INF), (-1, 1e30, 1),
]  # fmt: skip
ANGLES = [
    (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0), (0.0, -0.0, math.pi), (-0.0, -0.0, -math.pi), (0.0, 1, 0.0),
    (-0.0, -1, -math.pi), (1, 0.0, math.pi / 2), (-1, -0.0, -math.pi / 2),
    (INF, INF, math.pi / 4), (-INF, INF, -math.pi / 4),
    (INF, -INF, 3 * math.pi / 4), (1, INF, 0.0), (-1, INF, -0.0), (1, -INF, math.pi), (INF, 1, math.pi / 2),
    (NAN, 0.0, NAN), (0.0, NAN, NAN), (1e-30, 1e30, None),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, table", [("pow", POWERS), ("atan2", ANGLES)])
def test_pairs_of_special_arguments_follow_the_c_standard(name, table, dtype):
    rows = [(x, y, ORACLE[name](dtype(x), dtype(y)) if want is None else want) for x, y, want in table]
    x, y, want = (np.array(column, dtype) for column in zip(*rows))
    got = compiled(name, dtype)(x, y)
    np.testing.assert_array_max_ulp(got, want, maxulp=1)
    real = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[real]), np.signbit(want[real]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, bound", [("sin", 1), ("cos", 1), ("tanh", 1), ("erf", 1), ("sigmoid", 1), ("erfc", 2)])
def test_no_result_leaves_the_range_of_its_function(name, bound, dtype):
    got = compiled(name, dtype)(sample(dtype, 60_000, seed=5))
    assert np.nanmax(np.abs(got)) <= bound


# ---------------------------------------------------------------------- code


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", vmath.FUNCTIONS)
def test_every_lane_count_gives_the_same_bits(name, dtype):
    count = vmath.FUNCTIONS[name].arguments
    arrays = [np.roll(sample(dtype, 1_200, seed=6), 17 * k) for k in range(count)]
    want = compiled(name, dtype, 1)(*arrays)
    for lanes in (4, 16):
        np.testing.assert_array_equal(compiled(name, dtype, lanes)(*arrays), want, err_msg=f"{lanes} lanes")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", vmath.FUNCTIONS)
def test_special_instructions_change_no_bit(name, dtype):
    size = np.dtype(dtype).itemsize
    count = vmath.FUNCTIONS[name].arguments
    arrays = [np.roll(sample(dtype, 1_200, seed=6), 17 * k) for k in range(count)]
    want = compiled(name, dtype, 1)(*arrays)
    for lanes in (32 // size, 64 // size):
        got = compiled(name, dtype, lanes, special=True)(*arrays)
        np.testing.assert_array_equal(got, want, err_msg=f"{lanes} lanes")


def test_special_instructions_are_used_only_where_they_are_allowed():
    target = Target("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx512f,+avx512vl,+avx512dq")
    allowed = Engine(target).assembly(loop_module("exp", np.float32, 16, target))
    assert "vscalefps" in allowed
    assert "vscalef" not in Engine(target).assembly(loop_module("exp", np.float32, 16))
    older = Target("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma")
    assert "scalef" not in str(loop_module("exp", np.float32, 8, older))


@pytest.mark.parametrize("name", vmath.FUNCTIONS)
def test_no_function_needs_a_library(name):
    module = loop_module(name, np.float64, 8)
    declared = [f.name for f in module.functions if f.is_declaration]
    assert all(f.startswith("llvm.") for f in declared)
    assembly = host_engine().assembly(module)
    assert "@PLT" not in assembly and "fma@" not in assembly


@pytest.mark.parametrize("dtype, lanes", [(np.float32, 4), (np.float64, 2), (np.float32, 1)])
@pytest.mark.parametrize("name", vmath.FUNCTIONS)
def test_code_for_aarch64_needs_no_library_either(name, dtype, lanes):
    engine = Engine(Target("aarch64-unknown-linux-gnu", "neoverse-n1", ""))
    lines = engine.assembly(loop_module(name, dtype, lanes)).splitlines()
    calls = [line.split()[-1] for line in lines if "\tbl\t" in line]
    assert all(call.startswith('"tg.') or call.startswith("tg.") for call in calls), calls


def test_one_cold_function_serves_a_module():
    module = ir.Module()
    type_ = ir.VectorType(ir.FloatType(), 8)
    function = ir.Function(module, ir.FunctionType(type_, [type_]), "twice")
    builder = ir.IRBuilder(function.append_basic_block())
    once = vmath.emit(builder, "sin", [function.args[0]])
    builder.ret(vmath.emit(builder, "sin", [once]))
    defined = [f.name for f in module.functions if not f.is_declaration]
    assert sorted(defined) == ["tg.sin.rare.f32.one", "tg.sin.rare.v8f32", "twice"]
    host_engine().parse(module)


def test_an_unknown_function_is_refused_with_the_list():
    with pytest.raises(InvalidValue, match="vmath: expected one of acos, .*, got 'sine'"):
        vmath.emit(ir.IRBuilder(), "sine", [])


@pytest.mark.parametrize(
    "name, types",
    [("exp", []), ("exp", [ir.IntType(32)]), ("pow", [ir.FloatType()]), ("pow", [ir.FloatType(), ir.DoubleType()])],
)
def test_arguments_that_do_not_fit_are_refused(name, types):
    with pytest.raises(InvalidValue, match=rf"vmath {name}: expected [12] float or double"):
        vmath.emit(ir.IRBuilder(), name, [ir.Constant(t, 1) for t in types])


# ---------------------------------------------------------------------- the measure itself


def test_the_measure_finds_planted_errors():
    want = np.array([1.0, 0.0, INF, NAN, 2.0**-1074, 1.0], EXTENDED)
    good = want.astype(np.float64)
    assert ulp_error(good, want).max() == 0
    for place, wrong in [(0, 1 + 5 * 2.0**-52), (1, -0.0), (2, 1e308), (3, 1.0), (4, 6 * 2.0**-1074), (5, NAN)]:
        bad = good.copy()
        bad[place] = wrong
        assert ulp_error(bad, want)[place] >= 5
        with pytest.raises(AssertionError, match="ulp"):
            expect_within("exp", np.float64, bad, want, good)


def test_every_function_has_its_oracle_and_a_bound_of_four_ulp():
    assert set(ORACLE) == set(vmath.FUNCTIONS) and set(EXACT) == set(UNARY)
    assert all(max(f.ulp32, f.ulp64) <= 4 for f in vmath.FUNCTIONS.values())
