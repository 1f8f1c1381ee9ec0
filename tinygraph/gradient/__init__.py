"""Differentiation of expression graphs: reverse mode, forward mode, and what is made of them."""

from tinygraph.errors import DisconnectedInputError, GradientError, NullTypeGradError
from tinygraph.gradient.derived import hessian, hessian_times_vector, jacobian, subgraph_grad
from tinygraph.gradient.forward import Rop
from tinygraph.gradient.modifiers import (
    DisconnectedGrad,
    GradClip,
    GradientModifier,
    GradScale,
    UndefinedGrad,
    ZeroGrad,
    consider_constant,
    disconnected_grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    undefined_grad,
    zero_grad,
)
from tinygraph.gradient.numeric import numeric_grad
from tinygraph.gradient.reverse import Lop, grad
from tinygraph.gradient.verify import VerifyGradError, verify_grad
from tinygraph.graph.type import DisconnectedType, NullType

__all__ = [
    "DisconnectedGrad",
    "DisconnectedInputError",
    "DisconnectedType",
    "GradClip",
    "GradScale",
    "GradientError",
    "GradientModifier",
    "Lop",
    "NullType",
    "NullTypeGradError",
    "Rop",
    "UndefinedGrad",
    "VerifyGradError",
    "ZeroGrad",
    "consider_constant",
    "disconnected_grad",
    "grad",
    "grad_clip",
    "grad_not_implemented",
    "grad_scale",
    "grad_undefined",
    "hessian",
    "hessian_times_vector",
    "jacobian",
    "numeric_grad",
    "subgraph_grad",
    "undefined_grad",
    "verify_grad",
    "zero_grad",
]
