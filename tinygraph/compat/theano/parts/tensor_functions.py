"""Functions of ``theano.tensor`` that are compositions of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygraph.tensor as T
from tinygraph.errors import InvalidValue, TypeMismatch
from tinygraph.graph import Constant, Variable, generic

__all__ = [
    "NoneConst", "advanced_boolean_inc_subtensor", "advanced_boolean_set_subtensor",
    "advanced_boolean_subtensor", "advanced_inc_subtensor", "advanced_inc_subtensor1", "advanced_set_subtensor",
    "advanced_set_subtensor1", "advanced_subtensor", "advanced_subtensor1", "ceil_intdiv", "conj", "cov",
    "cpu_contiguous", "default", "divmod", "extract_diag", "floor_div", "gammal", "gammau", "horizontal_stack",
    "inverse_permutation", "iv", "jv", "permute_row_elements", "power", "real", "scalar_from_tensor",
    "setdefault", "stacklists", "tensor_from_scalar", "transfer", "vertical_stack",
]  # fmt: skip

NoneConst = Constant(generic, None)


def horizontal_stack(*args: Any) -> Any:
    """Matrices side by side."""
    return _stack_matrices("horizontal_stack", args, 1)


def vertical_stack(*args: Any) -> Any:
    """Matrices one below the other."""
    return _stack_matrices("vertical_stack", args, 0)


def _stack_matrices(name: str, args: Sequence[Any], axis: int) -> Any:
    matrices = [T.as_tensor_variable(a) for a in args]
    if len(matrices) < 2 or any(m.type.ndim != 2 for m in matrices):
        raise TypeMismatch(f"{name}: expected two or more matrices, got {', '.join(str(m.type) for m in matrices)}")
    return T.concatenate(matrices, axis=axis)


def stacklists(arg: Any) -> Any:
    """Nested lists of tensors of one shape as a tensor with a leading dimension for each level."""
    return T.stack([stacklists(a) for a in arg]) if isinstance(arg, (list, tuple)) else arg


def permute_row_elements(x: Any, y: Any, inverse: int = 0) -> Any:
    """``x`` with its last dimension in the order ``y``, or undoing it; leading dimensions broadcast.

    ``y`` is one permutation, or one for each row of ``x``.
    """
    x, y = T.as_tensor_variable(x), T.as_tensor_variable(y)
    order = T.argsort(y, axis=-1) if inverse else y
    rank = max(x.type.ndim, order.type.ndim)
    if rank == 1:
        return x[order]
    x, order = T.shape_padleft(x, rank - x.type.ndim), T.shape_padleft(order, rank - order.type.ndim)
    shape = [T.maximum(x.shape[d], order.shape[d]) for d in range(rank - 1)] + [x.shape[rank - 1]]
    return T.take_along_axis(T.broadcast_to(x, shape), T.broadcast_to(order, shape), rank - 1)


def inverse_permutation(perm: Any) -> Any:
    """The permutation that undoes ``perm``, a vector or a matrix of permutations."""
    return T.argsort(perm, axis=-1)


def power(x: Any, y: Any) -> Any:
    """``x ** y``."""
    return T.pow(x, y)


def default(x: Any, value: Any) -> Any:
    """``x``, or ``value`` where ``x`` is None (the graph is built once: which of them is decided here)."""
    return value if x is None or x is NoneConst else x


setdefault = default


def divmod(x: Any, y: Any) -> tuple[Any, Any]:  # noqa: A001 - Theano's name
    """Quotient and remainder of whole division."""
    return T.int_div(x, y), T.mod(x, y)


def floor_div(x: Any, y: Any) -> Any:
    """``x // y``."""
    return T.int_div(x, y)


def ceil_intdiv(a: Any, b: Any) -> Any:
    """The quotient rounded up."""
    quotient = T.int_div(a, b)
    return quotient + T.cast(T.neq(T.mod(a, b), 0), quotient.dtype)


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
        fweights: Any = None, aweights: Any = None) -> Any:  # fmt: skip
    """The covariance matrix of variables (rows of ``m``, columns if not ``rowvar``), by ``numpy.cov``'s rules.

    Raises InvalidValue for weights, or a ``ddof`` that is no integer.
    """
    if fweights is not None or aweights is not None:
        raise InvalidValue("cov: weights are not supported")
    if ddof is not None and ddof != int(ddof):
        raise InvalidValue(f"cov: expected an integer for ddof, got {ddof}")
    m = _variables_in_rows(m, rowvar)
    if y is not None:
        m = T.concatenate([m, _variables_in_rows(y, rowvar)], axis=0)
    centred = m - m.mean(axis=1, keepdims=True)
    count = m.shape[1] - (ddof if ddof is not None else 0 if bias else 1)
    return T.dot(centred, centred.T) / T.cast(count, centred.dtype)


def _variables_in_rows(m: Any, rowvar: bool) -> Any:
    m = T.as_tensor_variable(m)
    if m.type.ndim > 2:
        raise InvalidValue(f"cov: expected a vector or a matrix, got {m.type}")
    if m.type.ndim < 2:
        return T.shape_padleft(m, 2 - m.type.ndim)
    return m if rowvar else m.T


def gammau(a: Any, x: Any) -> Any:
    """The upper incomplete gamma function, not divided by gamma(a)."""
    return T.gammaincc(a, x) * T.gamma(a)


def gammal(a: Any, x: Any) -> Any:
    """The lower incomplete gamma function, not divided by gamma(a)."""
    return T.gammainc(a, x) * T.gamma(a)


def _bessel(name: str, sign: int) -> Any:
    """SciPy's Bessel function ``name(order, x)`` as an op that runs in Python; gradients by ``x``.

    Source: DLMF 10.6.1 and 10.29.1: the derivative is half of f(v - 1, x) + sign * f(v + 1, x).
    """
    from tinygraph.compat.theano.parts.scalar_ops import BinaryScalarOp, upgrade_to_float

    class Bessel(BinaryScalarOp):
        def impl(self, v: Any, x: Any) -> Any:
            import scipy.special

            return getattr(scipy.special, self.name)(v, x)

        def grad(self, inputs: Any, output_grads: Any) -> Any:
            from tinygraph.gradient import grad_not_implemented

            v, x = inputs
            slope = (self(v - 1, x) + sign * self(v + 1, x)) / 2
            return [grad_not_implemented(self, 0, v), output_grads[0] * slope]

    return Bessel(upgrade_to_float, name=name)


def jv(v: Any, x: Any) -> Any:
    """The Bessel function of the first kind of order ``v``. Needs SciPy."""
    return _bessel("jv", -1)(v, x)


def iv(v: Any, x: Any) -> Any:
    """The modified Bessel function of the first kind of order ``v``. Needs SciPy."""
    return _bessel("iv", 1)(v, x)


def conj(x: Any) -> Any:
    """``x``: there are no complex numbers."""
    return T.as_tensor_variable(x)


real = conj


def extract_diag(x: Any) -> Any:
    """The diagonal of a matrix."""
    return T.diagonal(x)


def cpu_contiguous(x: Any) -> Any:
    """``x``: the compiler lays arrays out."""
    return T.as_tensor_variable(x)


def transfer(var: Variable, target: str) -> Variable:
    """``var``: where values lie is the target's to decide."""
    return var


def scalar_from_tensor(x: Any) -> Any:
    """``x``, a tensor of no dimensions, which is what a scalar is."""
    x = T.as_tensor_variable(x)
    if x.type.ndim != 0:
        raise TypeMismatch(f"scalar_from_tensor: expected a scalar, got {x.type}")
    return x


tensor_from_scalar = scalar_from_tensor


def advanced_subtensor(x: Any, *index: Any) -> Any:
    """``x[index]``."""
    return T.as_tensor_variable(x)[tuple(index)]


def advanced_inc_subtensor(x: Any, y: Any, *index: Any) -> Any:
    """``x`` with ``y`` added to ``x[index]``."""
    return T.inc_subtensor(T.as_tensor_variable(x)[tuple(index)], y)


def advanced_set_subtensor(x: Any, y: Any, *index: Any) -> Any:
    """``x`` with ``y`` in place of ``x[index]``."""
    return T.set_subtensor(T.as_tensor_variable(x)[tuple(index)], y)


advanced_boolean_subtensor = advanced_subtensor
advanced_boolean_inc_subtensor, advanced_boolean_set_subtensor = advanced_inc_subtensor, advanced_set_subtensor


def advanced_subtensor1(x: Any, index: Any) -> Any:
    """The rows ``index`` of ``x``."""
    return T.as_tensor_variable(x)[T.as_tensor_variable(index)]


def advanced_inc_subtensor1(x: Any, y: Any, index: Any) -> Any:
    """``x`` with ``y`` added to the rows ``index``."""
    return T.inc_subtensor(advanced_subtensor1(x, index), y)


def advanced_set_subtensor1(x: Any, y: Any, index: Any) -> Any:
    """``x`` with ``y`` in place of the rows ``index``."""
    return T.set_subtensor(advanced_subtensor1(x, index), y)
