"""Samples with an explicit state, ``(state, ...) -> (next state, sample)``, under their module name in Theano."""

from tinygraph.random.distributions import (
    beta,
    binomial,
    choice,
    exponential,
    gamma,
    multinomial,
    normal,
    permutation,
    poisson,
    random_integers,
    shuffle_row_elements,
    truncated_normal,
    uniform,
)
from tinygraph.random.streams import STATE_TYPE as random_state_type

__all__ = [
    "beta",
    "binomial",
    "choice",
    "exponential",
    "gamma",
    "multinomial",
    "normal",
    "permutation",
    "poisson",
    "random_integers",
    "random_state_type",
    "shuffle_row_elements",
    "truncated_normal",
    "uniform",
]
