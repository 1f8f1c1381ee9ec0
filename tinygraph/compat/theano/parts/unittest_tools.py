"""``theano.tests.unittest_tools``: seeds, gradients and shapes in tests."""

from __future__ import annotations

import os
import unittest
from typing import Any

import numpy as np

from tinygraph import function
from tinygraph.config import config
from tinygraph.errors import GradientError
from tinygraph.gradient import verify_grad as _verify_grad


def fetch_seed(pseed: Any = None) -> Any:
    """The seed of tests: given, or from ``THEANO_TEST_SEED``, or 666."""
    return int(os.environ.get("THEANO_TEST_SEED", 666)) if pseed is None else pseed


def seed_rng(pseed: Any = None) -> Any:
    """Seed NumPy's global generator; returns the seed."""
    seed = fetch_seed(pseed)
    np.random.seed(seed)
    return seed


def verify_grad(op: Any, pt: Any, n_tests: int = 2, rng: Any = None, *args: Any, **kwargs: Any) -> None:
    """``theano.gradient.verify_grad`` with a generator seeded for tests."""
    _verify_grad(op, pt, n_tests, np.random.RandomState(fetch_seed()) if rng is None else rng, *args, **kwargs)


verify_grad.E_grad = GradientError  # type: ignore[attr-defined]


def assert_allclose(expected: Any, value: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Raise unless the arrays agree, broadcast, as far as their precision lets one expect."""
    low = "float32" in (str(np.asarray(expected).dtype), str(np.asarray(value).dtype))
    value, expected = np.broadcast_arrays(value, expected)
    np.testing.assert_allclose(
        value, expected, rtol=1e-5 if rtol is None else rtol, atol=(1e-5 if low else 1e-8) if atol is None else atol
    )


def different_dtype_generator(dtype: str) -> str:
    """Another dtype of the same kind."""
    return {"float32": "float64", "float64": "float32", "int32": "int64", "int64": "int32"}[dtype]


class T_OpContractMixin:  # noqa: N801 - Theano's name
    """Tests of an op's equality and hash; set ``self.ops`` and ``self.other_op`` in ``setUp``."""

    other_op: Any = None

    def clone(self, op: Any) -> Any:
        """An equal op."""
        raise NotImplementedError

    def test_eq(self) -> None:
        for i, one in enumerate(self.ops):  # type: ignore[attr-defined]
            assert one == self.clone(one) and one != self.other_op
            assert all(one != other for j, other in enumerate(self.ops) if j != i)  # type: ignore[attr-defined]

    def test_hash(self) -> None:
        for one in self.ops:  # type: ignore[attr-defined]
            assert hash(one) == hash(self.clone(one))

    def test_name(self) -> None:
        for one in self.ops:  # type: ignore[attr-defined]
            assert str(one) and repr(one)


class InferShapeTester(unittest.TestCase):
    """``_compile_and_check`` compares the shapes that a graph says with those it has."""

    def setUp(self) -> None:
        seed_rng()

    def _compile_and_check(self, inputs: Any, outputs: Any, numeric_inputs: Any, cls: Any, excluding: Any = None,
                           warn: bool = True, check_topo: bool = True) -> None:  # fmt: skip
        values = function(inputs, outputs, on_unused_input="ignore")(*numeric_inputs)
        shapes = function(inputs, [o.shape for o in outputs], on_unused_input="ignore")(*numeric_inputs)
        for value, said in zip(values, shapes, strict=True):
            assert tuple(said) == np.shape(value), f"the graph says {tuple(said)}, the value has {np.shape(value)}"


SkipTest = unittest.SkipTest


def attr(*args: Any, **kwargs: Any) -> Any:
    """A decorator that labels a test, for example ``@attr("slow")``."""

    def label(test: Any) -> Any:
        test.__dict__.update(kwargs, **dict.fromkeys(args, True))
        return test

    return label


def assertFailure_fast(f: Any) -> Any:  # noqa: N802 - Theano's name
    """A decorator: under FAST_COMPILE, which rewrites little, the test must fail."""
    if config.mode != "FAST_COMPILE":
        return f

    def must_fail(*args: Any, **kwargs: Any) -> None:
        try:
            f(*args, **kwargs)
        except Exception:
            return
        raise AssertionError(f"{f.__name__} passes under FAST_COMPILE")

    must_fail.__name__ = f.__name__
    return must_fail


class MockRandomState:
    """A generator whose every draw is ``val``."""

    def __init__(self, val: float):
        self.val = val

    def rand(self, *shape: int) -> Any:
        """An array full of the value."""
        return np.zeros(shape) + self.val


class TestOptimizationMixin:
    """Checks of compiled graphs. Names and numbers of ops are tinygraph's own."""

    __test__ = False

    def assertFunctionContains(self, f: Any, op: Any, min: int = 1, max: float = np.inf) -> None:  # noqa: A002, N802
        """Raise unless between ``min`` and ``max`` nodes of ``f`` apply ``op``."""
        found = sum(node.op == op for node in f.maker.fgraph.toposort())
        assert min <= found <= max, f"{found} nodes apply {op}, expected between {min} and {max}"

    def assertFunctionContains0(self, f: Any, op: Any) -> None:  # noqa: N802
        """Raise if a node applies ``op``."""
        self.assertFunctionContains(f, op, min=0, max=0)

    def assertFunctionContains1(self, f: Any, op: Any) -> None:  # noqa: N802
        """Raise unless one node applies ``op``."""
        self.assertFunctionContains(f, op, min=1, max=1)

    def assertFunctionContainsClass(self, f: Any, op: Any, min: int = 1, max: float = np.inf) -> None:  # noqa: A002, N802
        """As ``assertFunctionContains``, for a class of ops."""
        found = sum(isinstance(node.op, op) for node in f.maker.fgraph.toposort())
        assert min <= found <= max, f"{found} nodes apply a {op.__name__}, expected between {min} and {max}"

    def assertFunctionContainsClassN(self, f: Any, op: Any, N: int) -> None:  # noqa: N802, N803
        """Raise unless ``N`` nodes apply an op of the class."""
        self.assertFunctionContainsClass(f, op, min=N, max=N)
