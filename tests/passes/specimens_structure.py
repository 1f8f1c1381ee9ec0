"""Specimens of shapes, indexing, spreads, reductions and matrix products."""

import numpy as np

import tinygraph.tensor as T
from tests.passes.specimens import specimen
from tinygraph.tensor.broadcast import alloc_op, sum_to_op
from tinygraph.tensor.index import Slice, Subtensor
from tinygraph.tensor.join import Join
from tinygraph.tensor.maths import cast_op
from tinygraph.tensor.nnet import softmax
from tinygraph.tensor.reduce import Reduce
from tinygraph.tensor.shape import DimShuffle, SpecifyShape
from tinygraph.tensor.signal.pool import pool_2d


def _set_and_get(x, rows, columns):
    return T.set_subtensor(x[rows, columns], T.cast(columns, "float64"))[rows, columns]


# -- identities --------------------------------------------------------------------------------------------------------
specimen("identity_removed", lambda v: T.identity(v.x) + v.y, lambda v: v.x + v.y)
specimen("cast_same", lambda v: cast_op("float64")(v.x) + v.y, lambda v: T.cast(v.x, "float32"))
specimen("cast_cast", lambda v: T.cast(T.cast(v.f, "float64"), "float32"), lambda v: T.cast(T.cast(v.x, "float32"), "float64"),
         lambda v: T.cast(T.cast(v.f, "float64"), "int8"), lambda v: T.cast(T.cast(v.i, "bool"), "int64"))  # fmt: skip
specimen("dimshuffle_identity", lambda v: DimShuffle(2, (0, 1))(v.x) + v.y, lambda v: v.x.T)
specimen("dimshuffle_dimshuffle", lambda v: v.x.T.dimshuffle(0, "x", 1), lambda v: T.exp(v.x.T).T)
specimen("reshape_same", lambda v: v.x.reshape(v.x.shape), lambda v: v.x.reshape((4, 3)), lambda v: v.x.reshape((3, 4)),
         lambda v: v.u.reshape((3,)))  # fmt: skip
specimen("reshape_reshape", lambda v: v.x.flatten().reshape((2, 6)), lambda v: v.x.reshape((2, -1)).reshape((6, 2)))
specimen("reshape_adds_ones", lambda v: v.x.reshape((v.x.shape[0], 1, v.x.shape[1])), lambda v: v.x.reshape((2, 1, 6)))
specimen("alloc_same", lambda v: alloc_op(v.x, *v.x.shape), lambda v: alloc_op(v.w, *v.x.shape), lambda v: alloc_op(v.x, 3, 4))
specimen("alloc_alloc", lambda v: alloc_op(alloc_op(v.s, 4), 3, 4), lambda v: alloc_op(v.s, 3, 4))
specimen("sum_to_same", lambda v: sum_to_op(v.x, T.shape(T.exp(v.x))), lambda v: sum_to_op(v.x, T.shape(v.y)))
specimen("sum_to_known", lambda v: sum_to_op(v.x, T.stack([v.x.shape[1]])), lambda v: sum_to_op(v.x, v.y.shape))
specimen("sum_to_sum_to", lambda v: sum_to_op(sum_to_op(v.x, v.y.shape), v.w.shape), lambda v: sum_to_op(v.x, v.w.shape))
specimen("sum_to_of_neg", lambda v: sum_to_op(-v.x, v.w.shape), lambda v: sum_to_op(v.x, v.w.shape))
specimen("reduce_nothing", lambda v: Reduce("add", (), "float64")(v.x) + v.y, lambda v: v.x.sum(axis=0))
specimen("reduce_size_one", lambda v: v.one.sum(axis=1), lambda v: v.one.sum(axis=0))
specimen("specify_shape_known", lambda v: SpecifyShape((None, 1))(v.one) + v.x, lambda v: T.specify_shape(v.x, (3, None)))
specimen("join_of_one", lambda v: Join(0)(v.x) + v.y, lambda v: T.concatenate([v.x, v.y]))
specimen("join_drops_empty", lambda v: T.concatenate([v.u, np.zeros((0,)), v.w]), lambda v: T.concatenate([v.u, np.zeros((1,)), v.w]))

# -- sizes -------------------------------------------------------------------------------------------------------------
specimen("shape_made_of_sizes", lambda v: T.dot(v.x, v.z).shape)
specimen("shape_i_of_result", lambda v: T.shape_i(T.dot(v.x, v.z), 1), lambda v: T.shape_i(v.x, 1))
specimen("integer_known", lambda v: T.ge(T.shape_i(v.x, 0), 0), lambda v: T.ge(v.n, 0), lambda v: T.shape_i(v.x, 0) + 1)
specimen("integer_is_leaf", lambda v: (T.shape_i(v.x, 0) + v.n) - v.n, lambda v: T.shape_i(v.x, 0) + v.n)

# -- indexing ----------------------------------------------------------------------------------------------------------
specimen("subtensor_constant_index", lambda v: v.x[T.constant(1, dtype="int64") + 1], lambda v: v.x[v.n])
specimen("inc_subtensor_constant_index", lambda v: T.set_subtensor(v.x[T.constant(1, dtype="int64") + 1], v.w),
         lambda v: T.set_subtensor(v.x[v.n], v.w))  # fmt: skip
specimen("subtensor_shape", lambda v: v.x.shape[1], lambda v: v.x.shape[:1])
specimen("subtensor_make_vector", lambda v: T.stack([v.s, v.t, v.s])[1:], lambda v: T.stack([v.s, v.t])[v.n - 1])
specimen("subtensor_all", lambda v: v.x[0 : v.x.shape[0]], lambda v: v.x[0 : v.y.shape[0]], lambda v: v.x[1:])
specimen("subtensor_trailing", lambda v: Subtensor((1, Slice()))(v.x), lambda v: v.x[:, 1])
specimen("subtensor_subtensor", lambda v: v.x[1:, ::2][1:], lambda v: v.x[:-1][1:], lambda v: v.x[1:][1], lambda v: v.x[: v.n][1:])
specimen("subtensor_reversed_twice", lambda v: v.x[:, ::-1][:, ::-1], lambda v: v.x[::-1][:, ::-1])
specimen("subtensor_of_set", lambda v: T.set_subtensor(v.x[0], v.x[1])[0], lambda v: T.set_subtensor(v.x[0], v.w)[0],
         lambda v: T.set_subtensor(v.x[0], v.x[1])[1], lambda v: T.inc_subtensor(v.x[0], v.x[1])[0])  # fmt: skip
specimen("subtensor_alloc", lambda v: T.zeros_like(v.x)[1:], lambda v: T.zeros_like(v.x)[1])
specimen("subtensor_dimshuffle", lambda v: v.x.T[1], lambda v: v.x.dimshuffle(0, "x", 1)[:, ::-1])
specimen("subtensor_join", lambda v: T.concatenate([v.x, v.y])[: v.x.shape[0]], lambda v: T.concatenate([v.x, v.y])[: v.y.shape[0]])
specimen("set_of_read", lambda v: T.set_subtensor(v.x[1], v.x[1]), lambda v: T.set_subtensor(v.x[1], v.x[0]),
         lambda v: T.inc_subtensor(v.x[1], v.x[1]))  # fmt: skip
specimen("set_of_set", lambda v: T.set_subtensor(T.set_subtensor(v.x[1], v.w)[1], v.y[0]),
         lambda v: T.set_subtensor(T.set_subtensor(v.x[1], v.w)[0], v.y[0]),
         lambda v: T.inc_subtensor(T.set_subtensor(v.x[1], v.w)[1], v.y[0]))  # fmt: skip
specimen("inc_of_zero", lambda v: T.inc_subtensor(v.x[1], 0.0), lambda v: T.set_subtensor(v.x[1], 0.0))
specimen("inc_everything", lambda v: T.inc_subtensor(v.x[0 : v.x.shape[0]], v.x), lambda v: T.inc_subtensor(v.x[0:2], v.x[0:2]),
         lambda v: T.inc_subtensor(v.x[0 : v.x.shape[0]], v.y))  # fmt: skip
specimen("set_reversed", lambda v: T.set_subtensor(v.x[::-1], T.exp(v.x)), lambda v: T.set_subtensor(v.x[::-1], v.y),
         lambda v: T.set_subtensor(v.x[::-2], v.x[::2]))  # fmt: skip
specimen("inc_zeros_to_set", lambda v: T.inc_subtensor(T.zeros_like(v.x)[1], v.w), lambda v: T.inc_subtensor(v.x[1], v.w))
specimen("add_inc_of_zeros", lambda v: v.x + T.set_subtensor(T.zeros_like(v.x)[1], v.w),
         lambda v: v.y + T.set_subtensor(T.zeros_like(v.x)[1], v.w),
         lambda v: v.x + T.set_subtensor(T.ones_like(v.x)[1], v.w))  # fmt: skip
specimen("subtensor_elemwise", lambda v: T.tanh(v.x * v.s)[1:], lambda v: (v.x * v.w)[1:], lambda v: [T.tanh(v.x), T.tanh(v.x)[1:]])
specimen("subtensor_reduce", lambda v: v.x.sum(axis=1)[1:], lambda v: v.x.sum(axis=0)[1:])
specimen("gather_of_set", lambda v: _set_and_get(v.x, T.arange(v.k.shape[0]), v.k),
         lambda v: T.set_subtensor(v.x[v.k, v.k], v.u)[v.k, v.k])  # fmt: skip
specimen("gather_everything", lambda v: v.x[T.arange(v.x.shape[0])], lambda v: v.x[T.arange(v.y.shape[0])], lambda v: v.x[v.k])
specimen("scatter_nothing", lambda v: T.inc_subtensor(v.x[v.k], 0.0), lambda v: T.set_subtensor(v.x[v.k], 0.0))
specimen("add_scatter_of_zeros", lambda v: v.x + T.inc_subtensor(T.zeros_like(v.x)[v.k], v.y),
         lambda v: v.y + T.inc_subtensor(T.zeros_like(v.x)[v.k], v.y),
         lambda v: v.x + T.set_subtensor(T.zeros_like(v.x)[v.k], v.y))  # fmt: skip

# -- spreads and reductions --------------------------------------------------------------------------------------------
specimen("elemwise_alloc", lambda v: T.ones_like(v.x) * v.x, lambda v: T.ones_like(v.x) * v.y, lambda v: T.ones_like(v.x) * v.w)
specimen("unary_of_alloc", lambda v: T.exp(alloc_op(v.s, 3, 4)), lambda v: T.exp(v.x), lambda v: alloc_op(v.s, 3, 4) * v.w)
specimen("dimshuffle_alloc", lambda v: alloc_op(v.s, 3).dimshuffle("x", 0), lambda v: alloc_op(v.u, 2, 3).dimshuffle(1, 0))
specimen("alloc_of_dimshuffle", lambda v: alloc_op(v.s.dimshuffle("x", "x"), 3, 4), lambda v: alloc_op(v.u.dimshuffle(0, "x"), 3, 4))
specimen("dimshuffle_elemwise", lambda v: T.exp(v.x).T, lambda v: [T.exp(v.x), T.exp(v.x).T], lambda v: v.x.T)
specimen("sum_of_multiple", lambda v: (2 * v.x).sum(axis=1) + (v.y / T.cast(v.n, "float64")).sum(axis=1),
         lambda v: (v.x / v.u.dimshuffle(0, "x")).sum(axis=1), lambda v: [v.x * 2, (v.x * 2).sum()])  # fmt: skip
specimen("sum_of_positive_multiple", lambda v: (v.x / T.exp(v.u).dimshuffle(0, "x")).sum(axis=1),
         lambda v: (v.q * T.exp(v.u)).sum(axis=1), lambda v: (v.x / v.u.dimshuffle(0, "x")).sum(axis=1),
         lambda v: (v.x * T.exp(v.y)).sum(axis=1))  # fmt: skip
specimen("sum_of_alloc", lambda v: alloc_op(v.s, 3, 4).sum(axis=1), lambda v: alloc_op(v.w, 3, 4).sum(axis=1),
         lambda v: alloc_op(v.s, 3, 4).max(axis=1))  # fmt: skip
specimen("sum_of_join", lambda v: T.concatenate([v.x, v.y]).sum(axis=0), lambda v: T.concatenate([v.x, v.y]).sum(axis=1),
         lambda v: T.concatenate([v.x, v.y]).max(axis=0))  # fmt: skip
specimen("reduce_dimshuffle", lambda v: v.x.T.max(axis=0), lambda v: v.one.dimshuffle(0).max(axis=0))
specimen("reduce_reduce", lambda v: v.x.sum(axis=1).sum(axis=0), lambda v: v.x.sum(axis=1).max(axis=0),
         lambda v: [v.x.sum(axis=1), v.x.sum(axis=1).sum()])  # fmt: skip
specimen("argmax_of_softmax", lambda v: softmax(v.x).argmax(axis=1), lambda v: softmax(v.x).argmax(axis=0))

# -- matrix products ---------------------------------------------------------------------------------------------------
specimen("transpose_of_dot", lambda v: T.dot(v.x, v.z).T, lambda v: [T.dot(v.x, v.z), T.dot(v.x, v.z).T])
specimen("dot_of_multiple", lambda v: T.dot(v.x * v.s, v.z), lambda v: T.dot(v.x * v.w, v.z), lambda v: T.dot(v.x + v.s, v.z))
specimen("dot_of_zeros", lambda v: T.dot(T.zeros((3, 4)), v.z), lambda v: T.dot(T.ones((3, 4)), v.z))
specimen("dot_of_integer_zeros", lambda v: T.dot(T.zeros((4, 3), "int64"), v.i), lambda v: T.dot(T.zeros((3, 4)), v.z))
specimen("sum_of_dots", lambda v: T.dot(v.x, v.z) + T.dot(v.x, T.exp(v.z)), lambda v: T.dot(v.x, v.z) + T.dot(v.y, T.exp(v.z)),
         lambda v: [T.dot(v.x, v.z), T.dot(v.x, v.z) + T.dot(v.x, T.exp(v.z))])  # fmt: skip
specimen("sum_of_dot", lambda v: T.dot(v.x, v.z).sum(axis=0), lambda v: T.dot(v.x, v.z).max(axis=0), lambda v: T.dot(v.x, v.w).sum())
specimen("sum_of_products", lambda v: (v.u * T.exp(v.u)).sum(), lambda v: (v.u * v.s).sum(), lambda v: (v.x * v.y).sum())

specimen("one_hot_dot", lambda v: T.dot(T.to_one_hot(v.k, 4), v.z), lambda v: T.dot(v.x, v.z),
         lambda v: T.dot(T.set_subtensor(T.zeros((5, 4))[T.arange(v.k.shape[0]), v.k], 1.0), v.z),
         lambda v: T.dot(T.set_subtensor(T.zeros((v.k.shape[0], 4))[T.arange(v.k.shape[0]), v.k], 2.0), v.z))  # fmt: skip
specimen("one_hot_sum", lambda v: _rows_of_one_hot(T.exp(T.to_one_hot(v.k, 4)), v.k), lambda v: (T.to_one_hot(v.k, 4) * v.x).sum(axis=1))


def _rows_of_one_hot(x, k):
    """A sum of a one-hot matrix times ``x``, which has its shape."""
    return (T.to_one_hot(k, 4) * x).sum(axis=1)


# -- pooling -----------------------------------------------------------------------------------------------------------
def _pool_gradient(x, factor):
    """The gradient of the sum of squares of the maxima of ``x``, two columns at a time, by ``x``, times ``factor``."""
    maxima = pool_2d(x, (1, 2), ignore_border=False)
    return T.grad(T.sqr(maxima).sum(), x, disconnected_inputs="ignore") * factor


specimen("factor_of_pool_gradient", lambda v: _pool_gradient(T.nnet.relu(v.x), T.gt(v.x, 0)),
         lambda v: _pool_gradient(T.nnet.relu(v.x), T.ge(v.x, 0)), lambda v: _pool_gradient(T.tanh(v.x), T.gt(v.x, 0)),
         lambda v: _pool_gradient(v.x, T.exp(v.y)), lambda v: _pool_gradient(v.x, T.sqr(v.x.sum(axis=0, keepdims=True))))  # fmt: skip
