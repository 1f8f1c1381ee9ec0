"""Lazy choice between values, under the module name it has in Theano."""

from tinygraph.tensor.lazy import IfElse, ifelse

__all__ = ["IfElse", "ifelse"]
