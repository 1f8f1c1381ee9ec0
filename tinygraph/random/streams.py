"""Random streams: states as shared variables that every function which draws from them moves on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable
from tinygraph.random import distributions
from tinygraph.tensor.variable import TensorSharedVariable

STATE_TYPE = TensorType("uint32", (4,))


def state_from_seed(seed: Any, stream: int = 0) -> np.ndarray:
    """The initial state of stream number ``stream`` of a seed: its key is a hash of both, its counter 0.

    Keys by NumPy's SeedSequence (M. O'Neill, 2015): streams of one seed, and those of other seeds, do not overlap.
    """
    keys = np.random.SeedSequence(_entropy(seed), spawn_key=(stream,)).generate_state(2, "uint32")
    return np.array([*keys, 0, 0], "uint32")


def _entropy(seed: Any) -> Any:
    if seed is None or (type(seed) is int and seed >= 0):
        return seed
    values = np.asarray(seed)
    if values.dtype.kind not in "iu":
        raise TypeMismatch(f"a seed must be an integer, a list of them, or None, got {seed!r}")
    if np.any(values < 0):
        raise InvalidValue(f"a seed must not be negative, got {seed!r}")
    return int(values) if values.ndim == 0 else [int(x) for x in values.reshape(-1)]


class PhiloxState(np.ndarray):
    """The value of a random state: four words, with a method to seed them."""

    def seed(self, seed: Any = None) -> None:
        """Start the stream of ``seed`` (in place; hand the array back with ``set_value``)."""
        self[...] = state_from_seed(seed)


class RandomStateSharedVariable(TensorSharedVariable):
    """A shared variable that holds the state of a stream."""

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        value = super().get_value(borrow=borrow, return_internal_type=return_internal_type)
        return value.view(PhiloxState) if isinstance(value, np.ndarray) else value

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Takes a state, or a ``numpy.random.RandomState`` or ``Generator`` from which one is drawn."""
        if isinstance(new_value, np.random.RandomState):
            new_value = np.array([*new_value.randint(0, 2**32, 2, dtype="uint64"), 0, 0], "uint32")
        elif isinstance(new_value, np.random.Generator):
            new_value = np.array([*new_value.integers(0, 2**32, 2), 0, 0], "uint32")
        elif isinstance(new_value, PhiloxState):
            new_value = new_value.view(np.ndarray)
        super().set_value(new_value, borrow=borrow)


class RandomStreams:
    """Makes samples. Each has a state of its own, which is updated by default in every function that uses it.

    Equal seeds, and equal calls in the same order, give equal streams, on every target.

    Attributes: ``state_updates``, pairs (state, next state) of all samples made so far.

    Example
    -------
    >>> import tinygraph
    >>> streams = RandomStreams(seed=1)
    >>> f = tinygraph.function([], streams.uniform((2,)))
    >>> bool((f() != f()).all())
    True
    """

    def __init__(self, seed: Any = None):
        self.default_instance_seed = seed
        self._entropy = np.random.SeedSequence(_entropy(seed)).entropy
        self.state_updates: list[tuple[RandomStateSharedVariable, Variable]] = []

    # -- states ---------------------------------------------------------------------------------------------------

    def seed(self, seed: Any = None) -> None:
        """Restart every stream made so far, and fix those still to come; None means the seed given at first."""
        chosen = self.default_instance_seed if seed is None else seed
        self._entropy = np.random.SeedSequence(_entropy(chosen)).entropy
        for i, (state, _) in enumerate(self.state_updates):
            state.set_value(state_from_seed(self._entropy, i))

    def updates(self) -> list[tuple[RandomStateSharedVariable, Variable]]:
        """The updates of all states made so far, for functions that are told to have no default updates."""
        return list(self.state_updates)

    def _state(self) -> RandomStateSharedVariable:
        return RandomStateSharedVariable(STATE_TYPE, state_from_seed(self._entropy, len(self.state_updates)), "rng")

    def __getitem__(self, state: Variable) -> Any:
        """The value of one of these streams' states."""
        return self._known(state).get_value(borrow=True)

    def __setitem__(self, state: Variable, value: Any) -> None:
        self._known(state).set_value(value)

    def _known(self, state: Variable) -> RandomStateSharedVariable:
        for known, _ in self.state_updates:
            if known is state:
                return known
        raise KeyError(f"{state} is not a state of these streams")

    def gen(self, distribution: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A sample of ``distribution(state, *args, **kwargs) -> (next state, sample)``."""
        state = self._state()
        following, sample = distribution(state, *args, **kwargs)
        state.default_update = following
        self.state_updates.append((state, following))
        sample.rng = state
        sample.update = (state, following)
        return sample

    # -- samples; the distributions' docstrings say what the parameters mean ------------------------------------------

    def uniform(self, size: Any = None, low: Any = 0.0, high: Any = 1.0, ndim: int | None = None, dtype: Any = None,
                nstreams: Any = None) -> Any:  # fmt: skip
        """Real numbers between ``low`` and ``high``."""
        return self.gen(distributions.uniform, size, low, high, ndim, dtype)

    def normal(self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None, dtype: Any = None,
               nstreams: Any = None, truncate: bool = False) -> Any:  # fmt: skip
        """Normal deviates; with ``truncate`` none further than two standard deviations from the mean."""
        chosen = distributions.truncated_normal if truncate else distributions.normal
        return self.gen(chosen, size, avg, std, ndim, dtype)

    def truncated_normal(self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None,
                         dtype: Any = None, nstreams: Any = None) -> Any:  # fmt: skip
        """Normal deviates no further than two standard deviations from the mean."""
        return self.gen(distributions.truncated_normal, size, avg, std, ndim, dtype)

    def exponential(self, size: Any = None, scale: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Any:
        """Waiting times with mean ``scale``."""
        return self.gen(distributions.exponential, size, scale, ndim, dtype)

    def gamma(self, size: Any = None, shape: Any = 1.0, scale: Any = 1.0, ndim: int | None = None,
              dtype: Any = None) -> Any:  # fmt: skip
        """Gamma deviates."""
        return self.gen(distributions.gamma, size, shape, scale, ndim, dtype)

    def beta(self, size: Any = None, a: Any = 1.0, b: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Any:
        """Beta deviates, in [0, 1]."""
        return self.gen(distributions.beta, size, a, b, ndim, dtype)

    def binomial(self, size: Any = None, n: Any = 1, p: Any = 0.5, ndim: int | None = None, dtype: Any = "int64",
                 nstreams: Any = None, prob: Any = None) -> Any:  # fmt: skip
        """The number of successes in ``n`` trials of probability ``p``."""
        return self.gen(distributions.binomial, size, n, p, ndim, dtype, prob)

    def poisson(self, size: Any = None, lam: Any = None, ndim: int | None = None, dtype: Any = "int64") -> Any:
        """Counts with mean ``lam``."""
        return self.gen(distributions.poisson, size, lam, ndim, dtype)

    def random_integers(self, size: Any = None, low: Any = 0, high: Any = 1, ndim: int | None = None,
                        dtype: Any = "int64") -> Any:  # fmt: skip
        """Integers from ``low`` to ``high``, both included."""
        return self.gen(distributions.random_integers, size, low, high, ndim, dtype)

    def choice(self, size: Any = None, a: Any = 2, replace: bool = True, p: Any = None, ndim: int | None = None,
               dtype: Any = "int64") -> Any:  # fmt: skip
        """Elements of a vector, or numbers below ``a``."""
        return self.gen(distributions.choice, size, a, replace, p, ndim, dtype)

    def permutation(self, size: Any = None, n: Any = 1, ndim: int | None = None, dtype: Any = "int64") -> Any:
        """Orders of the numbers below ``n``."""
        return self.gen(distributions.permutation, size, n, ndim, dtype)

    def multinomial(self, size: Any = None, n: Any = 1, pvals: Sequence[float] | Any = (0.5, 0.5),
                    ndim: int | None = None, dtype: Any = "int64", nstreams: Any = None) -> Any:  # fmt: skip
        """How often each category comes up in ``n`` trials."""
        return self.gen(distributions.multinomial, size, n, pvals, ndim, dtype)

    def shuffle_row_elements(self, input: Any) -> Any:
        """``input`` with the elements of each row in random order."""
        return self.gen(distributions.shuffle_row_elements, input)


class MRG_RandomStreams(RandomStreams):  # noqa: N801 - its name in Theano
    """:class:`RandomStreams` under Theano's other name, with that class's arguments; the generator is the same, Philox.

    ``nstreams`` and ``use_cuda`` are accepted and mean nothing here: draws do not depend on where they are made.
    """

    def __init__(self, seed: Any = 12345, use_cuda: Any = None):
        super().__init__(12345 if seed is None else seed)

    def choice(self, size: Any = 1, a: Any = None, replace: bool = True, p: Any = None,  # type: ignore[override]
               ndim: int | None = None, dtype: Any = "int64", nstreams: Any = None, **kwargs: Any) -> Any:  # fmt: skip
        """With a matrix ``p``, ``size`` categories for each of its rows; else as :meth:`RandomStreams.choice`."""
        by_row = a is None and p is not None and getattr(distributions.as_tensor_variable(p).type, "ndim", 0) == 2
        if by_row:
            return self.gen(distributions.choice_by_row, size, None, replace, p, ndim, dtype)
        return self.gen(distributions.choice, size, 2 if a is None else a, replace, p, ndim, dtype)

    def multinomial(self, size: Any = None, n: Any = 1, pvals: Any = None, ndim: int | None = None,
                    dtype: Any = "int64", nstreams: Any = None, **kwargs: Any) -> Any:  # fmt: skip
        """How often each category comes up in ``n`` trials, for each row of the matrix ``pvals``."""
        if pvals is None:
            raise TypeMismatch("multinomial: pvals, the probabilities, must be given")
        return self.gen(distributions.multinomial, size, n, pvals, ndim, dtype)

    def multinomial_wo_replacement(self, size: Any = None, n: Any = 1, pvals: Any = None, ndim: int | None = None,
                                   dtype: Any = "int64", nstreams: Any = None, **kwargs: Any) -> Any:  # fmt: skip
        """``n`` different categories for each row of the matrix ``pvals``; an older name of :meth:`choice`."""
        return self.gen(distributions.choice_by_row, n, None, False, pvals, ndim, dtype)
