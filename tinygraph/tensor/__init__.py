"""The symbolic language, by Theano's names: ``import tinygraph.tensor as T``."""
# ruff: noqa: F401, I001, A004

# The order matters: variables first, then what their methods are made of.
from tinygraph.graph.tensortype import TensorType
from tinygraph.tensor.variable import TensorConstant, TensorSharedVariable, TensorVariable
from tinygraph.tensor.basic import *  # noqa: F403
from tinygraph.tensor.basic import CONSTRUCTORS, as_tensor, as_tensor_variable, constant, tensor
from tinygraph.tensor.join import concatenate, join, make_vector, split, stack
from tinygraph.tensor.maths import *  # noqa: F403
from tinygraph.tensor.maths import abs, cast_to, pow, round  # noqa: A004
from tinygraph.tensor.maths import cast_to as cast
from tinygraph.tensor.elemwise import Elemwise
from tinygraph.tensor.shape import *  # noqa: F403
from tinygraph.tensor.broadcast import alloc, broadcast_like, broadcast_to, fill, second, sum_to
from tinygraph.tensor.creation import (
    arange,
    eye,
    full,
    full_like,
    identity_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tri,
    tril,
    triu,
    zeros,
    zeros_like,
)
from tinygraph.tensor.reduce import (  # noqa: A004
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    max,
    max_and_argmax,
    mean,
    min,
    prod,
    ptp,
    std,
    sum,
    var,
)
from tinygraph.tensor.dot import batched_dot, dot, matmul, outer
from tinygraph.tensor.keys import getitem, inc_subtensor, set_subtensor
from tinygraph.tensor.advanced_index import take
from tinygraph.tensor.contract import batched_tensordot, einsum, tensordot
from tinygraph.tensor.cumulative import cumprod, cumsum
from tinygraph.tensor.diagonal import alloc_diag, diag, diagonal, fill_diagonal, fill_diagonal_offset, trace
from tinygraph.tensor.norms import logsumexp, norm_p
from tinygraph.tensor.rearrange import diff, flip, fliplr, flipud, pad, repeat, roll, tile
from tinygraph.tensor.selection import (
    choose,
    compress,
    flatnonzero,
    nonzero,
    nonzero_values,
    ravel_multi_index,
    take_along_axis,
    to_one_hot,
    unravel_index,
)
from tinygraph.tensor.special import *  # noqa: F403
from tinygraph.tensor.incomplete_gamma import chi2sf, gammainc, gammaincc
from tinygraph.tensor.sort import argsort, argtopk, searchsorted, sort, topk, topk_and_argtopk
from tinygraph.tensor.counting import bincount, unique
from tinygraph.tensor.extra_ops import bartlett
from tinygraph.tensor.slinalg import kron
from tinygraph.tensor.constants import (
    NotScalarConstantError,
    extract_constant,
    get_scalar_constant_value,
    get_vector_length,
)
from tinygraph.tensor.grids import allclose, isclose, mgrid, ogrid, tril_indices, triu_indices
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.variable import Constant, Variable
from tinygraph.tensor import extra_ops, fft, nlinalg, nnet, sharedvar, signal, slinalg, subtensor, xlogx

globals().update(CONSTRUCTORS)


def grad(*args, **kwargs):  # noqa: ANN002, ANN003, ANN201
    """``tinygraph.grad`` under Theano's other name."""
    from tinygraph.gradient import grad as gradient

    return gradient(*args, **kwargs)


def Lop(*args, **kwargs):  # noqa: ANN002, ANN003, ANN201
    """``tinygraph.Lop`` under Theano's other name."""
    from tinygraph.gradient import Lop as vector_times_jacobian

    return vector_times_jacobian(*args, **kwargs)


def Rop(*args, **kwargs):  # noqa: ANN002, ANN003, ANN201
    """``tinygraph.Rop`` under Theano's other name."""
    from tinygraph.gradient import Rop as jacobian_times_vector

    return jacobian_times_vector(*args, **kwargs)


def jacobian(*args, **kwargs):  # noqa: ANN002, ANN003, ANN201
    """``tinygraph.jacobian`` under Theano's other name."""
    from tinygraph.gradient import jacobian as of_vector

    return of_vector(*args, **kwargs)


def hessian(*args, **kwargs):  # noqa: ANN002, ANN003, ANN201
    """``tinygraph.hessian`` under Theano's other name."""
    from tinygraph.gradient import hessian as of_scalar

    return of_scalar(*args, **kwargs)


def __getattr__(name):  # noqa: ANN001, ANN202
    """Packages that stand above this one, under their names in Theano: ``T.gradient``, ``T.printing``."""
    if name in ("gradient", "printing"):
        import importlib

        return importlib.import_module(f"tinygraph.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Last: samples are composed of everything above.
from tinygraph.tensor import shared_randomstreams  # noqa: E402
