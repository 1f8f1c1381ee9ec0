"""One place that says, for each rule, an expression it rewrites and expressions it must leave alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.traversal import graph_inputs
from tinygraph.graph.variable import Constant


class Specimen(NamedTuple):
    """``fires(v)``: an expression of the variables ``v`` that the rule rewrites; ``misses``: others that it must not."""

    fires: Callable[[Any], Any]
    misses: tuple[Callable[[Any], Any], ...] = ()


SPECIMENS: dict[str, Specimen] = {}


def specimen(rule: str, fires: Callable[[Any], Any], *misses: Callable[[Any], Any]) -> None:
    assert rule not in SPECIMENS, rule
    SPECIMENS[rule] = Specimen(fires, misses)


class Variables:
    """Fresh named variables: matrices x, y and the square q of float64, f of float32, vectors u, w, scalars s, t; integers."""

    SHAPES = {"x": (3, 4), "y": (3, 4), "q": (3, 3), "f": (3, 4), "u": (3,), "w": (4,), "s": (), "t": (),
              "i": (3, 4), "j": (3, 4), "k": (3,), "n": (), "c": (3, 4), "z": (4, 2), "z3": (3, 4, 2),
              "one": (3, 1)}  # fmt: skip
    DTYPES = {"f": "float32", "i": "int64", "j": "int64", "k": "int64", "n": "int64", "c": "bool"}

    def __getattr__(self, name):
        if name not in self.SHAPES:
            raise AttributeError(name)
        dims = tuple(1 if d == 1 else None for d in self.SHAPES[name])
        made = TensorType(self.DTYPES.get(name, "float64"), dims)(name)
        self.__dict__[name] = made
        return made


#: put into ordinary values to see what becomes of them
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 1e-310, 1e4, -1e4])


def value_of(v, special=False):
    """An array for the variable ``v``: the same each time; with ``special`` nan, infinities, zeros and extremes in it."""
    shape, dtype = Variables.SHAPES[v.name], v.type.dtype
    rng = np.random.RandomState(sum(map(ord, v.name)))
    if dtype == "bool":
        return rng.rand(*shape) < 0.5
    if dtype == "int64":
        return np.asarray(rng.randint(0, 3, shape), dtype) if v.name != "n" else np.asarray(2)
    value = np.asarray(rng.uniform(-2, 2, shape))
    if special and value.size > 1:
        value.flat[: min(value.size, 10)] = rng.permutation(SPECIAL)[: min(value.size, 10)]
    with np.errstate(over="ignore"):
        return value.astype(dtype)


def built(make):
    """Inputs and outputs of an expression made by ``make``."""
    out = make(Variables())
    outputs = list(out) if isinstance(out, (list, tuple)) else [out]
    inputs = [v for v in graph_inputs(outputs) if not isinstance(v, Constant)]
    return inputs, outputs


