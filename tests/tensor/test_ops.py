"""Every op of the tensor language against NumPy, SciPy and finite differences; see op_cases.py."""

import importlib
import pkgutil

import numpy as np
import pytest
from op_cases import CASES
from op_checks import check_gradient, check_layouts, check_value, outputs_of, variables

import tinygraph.tensor
import tinygraph.tensor as T
from tinygraph.compile.function import function
from tinygraph.gradient import Rop
from tinygraph.graph.op import Op
from tinygraph.graph.traversal import toposort


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_shape(case):
    check_value(case.build, case.arrays, case.expected)


@pytest.mark.parametrize("case", [c for c in CASES if c.name.endswith("-0")], ids=str)
def test_memory_layouts(case):
    check_layouts(case.build, case.arrays)


@pytest.mark.parametrize("case", [c for c in CASES if c.grad], ids=str)
def test_gradient(case):
    check_gradient(case.build, case.arrays, second=case.second, float32=case.name.endswith("-0"))


@pytest.mark.parametrize("case", [c for c in CASES if c.grad and c.name.endswith("-0")], ids=str)
def test_forward_mode(case):
    """The directional derivative by Rop against a central difference."""
    floats = [i for i, a in enumerate(case.arrays) if a.dtype.kind == "f"]
    inputs = variables(case.arrays, known=False)
    outputs = outputs_of(case.build, inputs)
    chosen = [inputs[i] for i in floats]
    directions = [v.type("direction") for v in chosen]
    tangents = Rop(outputs, chosen, directions, disconnected_outputs="ignore")
    rng = np.random.default_rng(5)
    steps = [rng.uniform(-1, 1, case.arrays[i].shape) for i in floats]
    found = function([*inputs, *directions], tangents, on_unused_input="ignore")(*case.arrays, *steps)
    run = function(inputs, outputs, on_unused_input="ignore")

    def at(t):
        moved = list(case.arrays)
        for i, step in zip(floats, steps, strict=True):
            moved[i] = moved[i] + t * step
        return run(*moved)

    for f, high, low in zip(found, at(1e-6), at(-1e-6), strict=True):
        slope = (high - low) / 2e-6
        assert f.shape == slope.shape
        np.testing.assert_allclose(f, slope, rtol=1e-5, atol=1e-7 * max(1, np.abs(slope).max(initial=0)))


#: functions of one array that NumPy has too, on arrays without elements and with one
OF_ONE_ARRAY = {
    "flatten": (T.flatten, np.ravel),
    "repeat": (lambda x: T.repeat(x, 3, 0), lambda x: np.repeat(x, 3, 0)),
    "tile": (lambda x: T.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3))),
    "roll": (lambda x: T.roll(x, 2, 1), lambda x: np.roll(x, 2, 1)),
    "roll all": (lambda x: T.roll(x, 1), lambda x: np.roll(x, 1)),
    "flip": (T.flip, np.flip),
    "pad": (lambda x: T.pad(x, 2), lambda x: np.pad(x, 2)),
    "sum": (lambda x: T.sum(x, axis=0), lambda x: np.sum(x, axis=0)),
    "prod": (lambda x: T.prod(x, axis=1), lambda x: np.prod(x, axis=1)),
    "cumsum": (lambda x: T.cumsum(x, 1), lambda x: np.cumsum(x, 1)),
    "cumprod": (T.cumprod, np.cumprod),
    "sort": (T.sort, np.sort),
    "argsort": (lambda x: T.argsort(x, 0), lambda x: np.argsort(x, 0)),
    "tril": (T.tril, np.tril),
    "diagonal": (T.diagonal, np.diagonal),
    "trace": (T.trace, np.trace),
    "diff": (T.diff, np.diff),
    "nonzero": (lambda x: list(T.nonzero(x)), lambda x: list(np.nonzero(x))),
    "unique": (T.unique, np.unique),
    "mask": (lambda x: x[x > 0.5], lambda x: x[x > 0.5]),
    "gather": (lambda x: x[[[]]], lambda x: x[np.zeros((1, 0), int)]),
    "transpose": (lambda x: x.T, np.transpose),
    "product": (lambda x: T.dot(x, x.T), lambda x: x @ x.T),
    "tensordot": (
        lambda x: T.tensordot(x, x, [[0, 1], [0, 1]]),
        lambda x: np.tensordot(x, x, [[0, 1], [0, 1]]),
    ),
    "einsum": (lambda x: T.einsum("ij,ik->jk", x, x), lambda x: np.einsum("ij,ik->jk", x, x)),
    "concatenate": (lambda x: T.concatenate([x, x], 1), lambda x: np.concatenate([x, x], 1)),
    "searchsorted": (lambda x: T.searchsorted([0.1, 0.9], x), lambda x: np.searchsorted([0.1, 0.9], x)),
    "kron": (lambda x: T.kron(x, x), lambda x: np.kron(x, x)),
    "any": (lambda x: [T.any(x > 0, 1), T.all(x > 0, 0)], lambda x: [np.any(x > 0, 1), np.all(x > 0, 0)]),
}


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0), (1, 1), (1, 4)], ids=str)
@pytest.mark.parametrize("name", OF_ONE_ARRAY)
def test_sizes_0_and_1(name, shape):
    build, oracle = OF_ONE_ARRAY[name]
    x = np.random.default_rng(1).random(shape)
    check_value(build, [x], oracle(x))


#: base classes, and ops that do not compute anything of their own (their tests are beside those of debugging)
ELSEWHERE = {"GatherIndex", "MatrixOp", "Assert", "Print", "PdbBreakpoint", "IfElse", "LazyIfElse"}


def op_classes():
    """Every op class defined in the modules of ``tinygraph.tensor`` itself."""
    found = set()
    for info in pkgutil.iter_modules(tinygraph.tensor.__path__):
        module = importlib.import_module(f"tinygraph.tensor.{info.name}")
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Op) and value.__module__ == module.__name__
        }
    return {c for c in found if c.__name__ not in ELSEWHERE}


def test_every_op_has_a_case():
    used = set()
    for case in CASES:
        outputs = outputs_of(case.build, variables(case.arrays, known=False))
        used |= {type(node.op) for node in toposort(outputs)}
    # Recurrence is made by the gradient of cumprod, whose cases differentiate it
    missing = {c.__name__ for c in op_classes() - used} - {"Recurrence"}
    assert not missing, f"no case in op_cases.py uses {sorted(missing)}"
