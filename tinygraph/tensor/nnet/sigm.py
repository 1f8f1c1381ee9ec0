"""Sigmoids under Theano's module name."""

from tinygraph.tensor.nnet.activations import (
    hard_sigmoid,
    scalar_sigmoid,
    sigmoid,
    softplus,
    ultra_fast_sigmoid,
)

__all__ = ["hard_sigmoid", "scalar_sigmoid", "sigmoid", "softplus", "ultra_fast_sigmoid"]
