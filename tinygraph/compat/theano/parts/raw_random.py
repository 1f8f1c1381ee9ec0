"""``theano.tensor.raw_random``: samples from an explicit state, ``(state, ...) -> (next state, sample)``.

A state made by ``random_state_type()`` is a ``numpy.random.RandomState``: samples are drawn by NumPy, in Python, and
are the numbers that NumPy gives. States of random streams (four words) draw with the native generator.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

import tinygraph.tensor as T
from tinygraph.config import config
from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.graph import Apply, Op, TensorType, Type
from tinygraph.graph.type import DisconnectedType
from tinygraph.tensor import raw_random as native


class RandomStateType(Type):
    """``numpy.random.RandomState`` objects. They are never changed in place."""

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        if not isinstance(value, np.random.RandomState):
            raise TypeMismatch(f"expected a numpy.random.RandomState, got {type(value).__name__}")
        return value

    def values_eq(self, a: Any, b: Any) -> bool:
        (kind, words, *rest), (kind2, words2, *rest2) = a.get_state(legacy=True), b.get_state(legacy=True)
        return kind == kind2 and rest == rest2 and np.array_equal(words, words2)

    def is_valid_value(self, a: Any) -> bool:
        """Whether ``a`` is such an object."""
        return isinstance(a, np.random.RandomState)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RandomStateType)

    def __hash__(self) -> int:
        return hash(RandomStateType)

    def __repr__(self) -> str:
        return "RandomStateType"


random_state_type = RandomStateType()


class RandomFunction(Op):
    """``RandomFunction(fn, outtype)(state, size, *args)``: the next state, and ``fn`` of ``numpy.random.RandomState``
    (its name, or a function of a state, arguments and a size) as ``outtype``. An empty size means the arguments' shape.
    """

    __props__: ClassVar[tuple[str, ...]] = ("fn", "outtype", "ndim_added")
    data_dependent_shape = True

    def __init__(self, fn: str | Callable[..., Any], outtype: Any, inplace: bool = False, ndim_added: int = 0):
        self.fn, self.outtype, self.inplace, self.ndim_added = fn, outtype, inplace, ndim_added

    def make_node(self, state: Any, shape: Any, *args: Any) -> Apply:
        size = T.as_tensor_variable(np.zeros(0, "int64") if isinstance(shape, (tuple, list)) and not shape else shape)
        if size.type.ndim != 1 or "int" not in size.type.dtype:
            raise TypeMismatch(f"{self}: expected a vector of integers as size, got {size.type}")
        return Apply(self, [state, size, *map(T.as_tensor_variable, args)], [state.type(), self.outtype()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        state, size, *args = inputs
        if size.size and len(size) + self.ndim_added != self.outtype.ndim:
            raise InvalidValue(f"{self}: a size of {len(size)} numbers, expected {self.outtype.ndim - self.ndim_added}")
        following = copy.deepcopy(state)
        draw = getattr(np.random.RandomState, self.fn) if isinstance(self.fn, str) else self.fn
        found = np.asarray(draw(following, *args, tuple(int(n) for n in size) if size.size else None))
        output_storage[0][0], output_storage[1][0] = following, found.astype(self.outtype.dtype)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False, False] for _ in node.inputs]

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:  # noqa: N802 - Theano's name
        return [DisconnectedType()() for _ in inputs]

    def __str__(self) -> str:
        return f"RandomFunction{{{self.fn if isinstance(self.fn, str) else self.fn.__name__}}}"


def _rank(size: Any, ndim: int | None, args: Sequence[Any]) -> int:
    """The rank of a sample: of the size as far as it shows, else ``ndim``, else of the arguments."""
    known = None
    if isinstance(size, (tuple, list)):
        known = len(size)
    elif size is not None:
        v = T.as_tensor_variable(size)
        known = 1 if v.type.ndim == 0 else getattr(v.type, "shape", (None,))[0]
    if known is not None and ndim is not None and known != ndim:
        raise InvalidValue(f"the size {size} has {known} dimensions, ndim is {ndim}")
    rank = known if known is not None else ndim
    if rank is None and size is not None:
        raise InvalidValue("the number of dimensions of the sample is not known: pass ndim")
    return max((v.type.ndim for v in args), default=0) if rank is None else int(rank)


def _sizes(size: Any) -> Any:
    if size is None:
        return ()
    v = T.as_tensor_variable(T.stack(list(size)) if isinstance(size, (tuple, list)) and size else size)
    return T.cast(T.shape_padleft(v), "int64") if v.type.ndim == 0 else T.cast(v, "int64")


def _sampler(name: str, draw: Any, defaults: dict[str, Any], kind: str = "floatX", added: int = 0) -> Any:
    """The function ``name(state, size, <parameters>, ndim, dtype)`` for both kinds of states."""
    ours = getattr(native, name)

    def sample(random_state: Any, size: Any = None, *args: Any, ndim: int | None = None, dtype: Any = None,
               **kwargs: Any) -> Any:  # fmt: skip
        if not isinstance(getattr(random_state, "type", None), RandomStateType):
            if dtype is not None:
                kwargs["dtype"] = dtype
            return ours(random_state, size, *args, ndim=ndim, **kwargs)
        given = {**defaults, **dict(zip([*defaults, "ndim", "dtype"], args, strict=False)), **kwargs}
        ndim, dtype = given.pop("ndim", ndim), given.pop("dtype", dtype)
        unknown = given.keys() - defaults.keys()
        if unknown:
            raise TypeError(f"{name}: unexpected arguments {', '.join(sorted(unknown))}")
        params = [T.as_tensor_variable(v) for v in given.values()]
        if dtype is None:
            floats = [p.dtype for p in params if p.dtype.startswith("float")]
            dtype = np.result_type(config.floatX, *floats).name if kind == "floatX" else kind
        shaping = [] if added or name == "choice" else params
        if added and size is None:
            rank = added + max([params[0].type.ndim, *(p.type.ndim - 1 for p in params[1:])])
        else:
            rank = added + _rank(size, ndim, shaping)
        op = RandomFunction(draw, TensorType(dtype, (None,) * rank), ndim_added=added)
        return op(random_state, _sizes(size), *params)

    sample.__name__, sample.__doc__ = name, ours.__doc__
    return sample


def _draw_integers(state: Any, low: Any, high: Any, size: Any) -> Any:
    return state.randint(low, np.asarray(high) + 1, size)


def _draw_permutation(state: Any, n: Any, size: Any) -> Any:
    if not size:
        return state.permutation(int(n))
    count = int(np.prod(size))
    return np.array([state.permutation(int(n)) for _ in range(count)]).reshape((*size, int(n)))


def _draw_choice(state: Any, a: Any, replace: Any, p: Any, size: Any) -> Any:
    return state.choice(a if np.ndim(a) else int(a), size, bool(replace), p if np.ndim(p) else None)


def _draw_multinomial(state: Any, n: Any, pvals: Any, size: Any) -> Any:
    if np.ndim(n) == 0 and np.ndim(pvals) == 1:
        return state.multinomial(int(n), pvals / pvals.sum(), size)
    rows = np.broadcast_shapes(np.shape(n), np.shape(pvals)[:-1], *([size] if size else []))
    counts = np.broadcast_to(n, rows)
    chances = np.broadcast_to(pvals, (*rows, np.shape(pvals)[-1]))
    out = np.empty(chances.shape, "int64")
    for at in np.ndindex(*rows):
        out[at] = state.multinomial(int(counts[at]), chances[at] / chances[at].sum())
    return out


def _draw_exponential(state: Any, scale: Any, size: Any) -> Any:
    return state.exponential(scale, size)


uniform = _sampler("uniform", "uniform", {"low": 0.0, "high": 1.0})
normal = _sampler("normal", "normal", {"avg": 0.0, "std": 1.0})
binomial = _sampler("binomial", "binomial", {"n": 1, "p": 0.5}, "int64")
poisson = _sampler("poisson", "poisson", {"lam": 1.0}, "int64")
exponential = _sampler("exponential", _draw_exponential, {"scale": 1.0})
random_integers = _sampler("random_integers", _draw_integers, {"low": 0, "high": 1}, "int64")
choice = _sampler("choice", _draw_choice, {"a": 2, "replace": True, "p": 0.0}, "int64")
permutation = _sampler("permutation", _draw_permutation, {"n": 1}, "int64", added=1)
multinomial = _sampler("multinomial", _draw_multinomial, {"n": 1, "pvals": (0.5, 0.5)}, "int64", added=1)

__all__ = [
    "RandomFunction", "RandomStateType", "binomial", "choice", "exponential", "multinomial", "normal", "permutation",
    "poisson", "random_integers", "random_state_type", "uniform",
]  # fmt: skip
