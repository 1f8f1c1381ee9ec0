"""What is asked of every op: compiled results, inferred shapes and gradients against NumPy and finite differences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.compile.function import function
from tinygraph.gradient import grad, verify_grad
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant

#: results may differ from the oracle by this much of the largest number involved: sums in another order
RTOL = {"float32": 2e-5, "float64": 1e-11, "float16": 2e-2}


def variables(arrays: Sequence[np.ndarray], known: bool) -> list[Any]:
    """A variable for each array, of known sizes or of none."""
    return [
        TensorType(a.dtype.name, a.shape if known else (None,) * a.ndim)(f"x{i}")
        for i, a in enumerate(arrays)
    ]


def outputs_of(build: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    made = build(*inputs)
    return list(made) if isinstance(made, (list, tuple)) else [made]


def interpret(outputs: Sequence[Any], given: dict[Any, np.ndarray]) -> list[np.ndarray]:
    """The outputs computed node by node by each op's ``forward``: the meaning that compiled code must have."""
    values = dict(given)

    def value(v: Any) -> np.ndarray:
        return v.data if isinstance(v, Constant) else values[v]

    for node in toposort(outputs):
        results = node.op.evaluate(node, [value(v) for v in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
    return [value(v) for v in outputs]


def assert_same(got: np.ndarray, want: np.ndarray, what: str = "") -> None:
    """Equal dtype and shape, equal integers, floats within rounding (nan equals nan)."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    finite = np.abs(want[np.isfinite(want)])
    scale = float(finite.max()) if finite.size else 0.0
    rtol = RTOL[want.dtype.name]
    np.testing.assert_allclose(
        got, want, rtol=rtol, atol=rtol * min(scale, 1e30), equal_nan=True, err_msg=what
    )


def check_value(build: Callable[..., Any], arrays: Sequence[np.ndarray], expected: Any = None) -> None:
    """Compiled results equal ``expected`` (by default: the ops' own ``forward``), for known and unknown sizes.

    Sizes and dtypes that the types of the outputs promise must be those of the results.
    """
    for known in (False, True):
        inputs = variables(arrays, known)
        outputs = outputs_of(build, inputs)
        want = interpret(outputs, dict(zip(inputs, arrays, strict=True)))
        if expected is not None:
            oracle = list(expected) if isinstance(expected, (list, tuple)) else [expected]
            assert len(oracle) == len(outputs)
            for k, (mine, other) in enumerate(zip(want, oracle, strict=True)):
                assert_same(mine, other, f"forward, output {k}")
        got = function(inputs, outputs, on_unused_input="ignore")(*arrays)
        for k, (out, g, w) in enumerate(zip(outputs, got, want, strict=True)):
            assert_same(g, w, f"compiled ({'known' if known else 'unknown'} sizes), output {k}")
            assert g.dtype.name == out.type.dtype
            assert g.ndim == out.type.ndim
            for promised, real in zip(out.type.shape, g.shape, strict=True):
                assert promised is None or promised == real, f"output {k}: {out.type} promised, got {g.shape}"


def strided(a: np.ndarray) -> list[np.ndarray]:
    """The same numbers in memory that is not contiguous: Fortran order, a negative step, gaps."""
    if a.ndim == 0:
        return []
    gaps = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    gaps[tuple(slice(None, None, 2) for _ in a.shape)] = a
    return [
        np.asfortranarray(a),
        np.ascontiguousarray(a[::-1])[::-1],
        gaps[tuple(slice(None, None, 2) for _ in a.shape)],
    ]


def check_layouts(build: Callable[..., Any], arrays: Sequence[np.ndarray]) -> None:
    """Results do not depend on how the arguments lie in memory."""
    inputs = variables(arrays, known=False)
    outputs = outputs_of(build, inputs)
    run = function(inputs, outputs, on_unused_input="ignore")
    want = interpret(outputs, dict(zip(inputs, arrays, strict=True)))
    for i, a in enumerate(arrays):
        for other in strided(a):
            changed = [*arrays[:i], other, *arrays[i + 1 :]]
            for k, (g, w) in enumerate(zip(run(*changed), want, strict=True)):
                assert_same(g, w, f"argument {i} with strides {other.strides}, output {k}")


def check_gradient(
    build: Callable[..., Any], arrays: Sequence[np.ndarray], second: bool = False, float32: bool = True
) -> None:
    """First (and ``second``) derivatives by every float argument against finite differences."""
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    def of_floats(*xs: Any) -> list[Any]:
        given: list[Any] = list(arrays)
        for i, x in zip(floats, xs, strict=True):
            given[i] = x
        return [o for o in outputs_of(build, given) if o.type.dtype[0] == "f"]

    points = [arrays[i].astype("float64") for i in floats]
    verify_grad(of_floats, points, n_tests=1)
    if float32:
        verify_grad(of_floats, [p.astype("float32") for p in points], n_tests=1, abs_tol=2e-2, rel_tol=2e-2)
    if second:

        def first_derivative(*xs: Any) -> list[Any]:
            cost = sum((o * o).sum() for o in of_floats(*xs))
            return grad(cost, list(xs), disconnected_inputs="ignore")

        verify_grad(first_derivative, points, n_tests=1, abs_tol=2e-4, rel_tol=2e-4)
