"""Specimens of the formulas that overflow or lose digits as written."""

import tinygraph.tensor as T
from tests.passes.specimens import specimen
from tinygraph.tensor.nnet import logsoftmax, softmax


def columns(x):
    """The number of columns of a matrix as a float; one variable for each matrix, as after merging."""
    return x.__dict__.setdefault("_columns", T.cast(T.shape_i(x, 1), "float64"))


specimen("log_one_plus", lambda v: T.log(1 + v.x), lambda v: T.log(2 + v.x), lambda v: T.log2(1 + v.x), lambda v: T.log(v.y + v.x))
specimen("log_one_minus", lambda v: T.log(1 - v.x), lambda v: T.log(v.x - 1), lambda v: T.log(2 - v.x))
specimen("log1p_of_difference", lambda v: T.log1p(v.x - 1), lambda v: T.log1p(1 - v.x))
specimen("exp_minus_one", lambda v: T.exp(v.x) - 1, lambda v: T.exp(v.x) - 2, lambda v: T.exp2(v.x) - 1)
specimen("one_minus_exp", lambda v: 1 - T.exp(v.x), lambda v: 2 - T.exp(v.x))
specimen("expm1_plus_one", lambda v: T.expm1(v.x) + 1, lambda v: T.expm1(v.x) - 1)
specimen("log1p_expm1", lambda v: T.log1p(T.expm1(v.x)), lambda v: T.log(T.expm1(v.x)))
specimen("log_exp", lambda v: T.log(T.exp(v.x)), lambda v: T.log(T.exp2(v.x)), lambda v: T.log(T.exp(v.x) + 1))
specimen("log2_exp2", lambda v: T.log2(T.exp2(v.x)), lambda v: T.log2(T.exp(v.x)))
specimen("log1p_exp", lambda v: T.log1p(T.exp(v.x)), lambda v: T.log1p(T.exp2(v.x)), lambda v: T.log1p(v.x))
specimen("log_sigmoid", lambda v: T.log(T.sigmoid(v.x)), lambda v: T.log(T.tanh(v.x)), lambda v: T.log2(T.sigmoid(v.x)))
specimen("log1p_minus_sigmoid", lambda v: T.log1p(-T.sigmoid(v.x)), lambda v: T.log1p(T.sigmoid(v.x)))
specimen("one_minus_sigmoid", lambda v: 1 - T.sigmoid(v.x), lambda v: 2 - T.sigmoid(v.x), lambda v: 1 - T.tanh(v.x))
specimen("sigmoid_minus_one", lambda v: T.sigmoid(v.x) - 1, lambda v: T.sigmoid(v.x) - 2)
specimen("softplus_difference", lambda v: T.softplus(v.x) - T.softplus(-v.x), lambda v: T.softplus(v.x) - T.softplus(-v.y))
specimen("sqrt_sqr", lambda v: T.sqrt(T.sqr(v.x)), lambda v: T.sqrt(v.x))
specimen("sqrt_square", lambda v: T.sqrt(v.x * v.x), lambda v: T.sqrt(v.x * v.y))
specimen("tanh_of_exponentials", lambda v: (T.exp(v.x) - T.exp(-v.x)) / (T.exp(v.x) + T.exp(-v.x)),
         lambda v: (T.exp(v.x) - T.exp(-v.y)) / (T.exp(v.x) + T.exp(-v.x)))  # fmt: skip
specimen("log1p_minus_exp", lambda v: T.log1p(-T.exp(v.x)), lambda v: T.log1p(-T.exp2(v.x)))
specimen("log_sum_of_two_exp", lambda v: T.log(T.exp(v.x) + T.exp(v.y)), lambda v: T.log(T.exp(v.x) - T.exp(v.y)))
specimen("log_softmax", lambda v: T.log(softmax(v.x))[T.arange(v.k.shape[0]), v.k], lambda v: T.log(softmax(v.x) + v.y))
specimen("log_softmax_from_logsumexp", lambda v: v.x - T.log(T.exp(v.x).sum(axis=1, keepdims=True)),
         lambda v: v.q - T.log(T.exp(v.q).sum(axis=1)), lambda v: v.y - T.log(T.exp(v.x).sum(axis=1, keepdims=True)),
         lambda v: v.x - T.log(T.exp(v.x).sum()))  # fmt: skip
specimen("softmax_of_shifted", lambda v: softmax(v.x - v.x.max(axis=1, keepdims=True)), lambda v: softmax(v.x - v.w),
         lambda v: softmax(v.one - v.x.max(axis=1, keepdims=True), axis=0))  # fmt: skip
specimen("exp_log_softmax", lambda v: T.exp(logsoftmax(v.x)), lambda v: [logsoftmax(v.x), T.exp(logsoftmax(v.x))])
specimen("log_sum_exp_stable", lambda v: T.log(T.exp(v.x).sum(axis=0)), lambda v: T.log(T.exp(v.x).mean(axis=0)),
         lambda v: T.log(T.exp(v.x - v.x.max(axis=0)).sum(axis=0)))  # fmt: skip
specimen("x_log_x", lambda v: v.x * T.log(v.x), lambda v: v.x * T.log(v.y), lambda v: v.x * T.log1p(v.x))
specimen("x_log_x_gradient", lambda v: T.log(v.x) + v.x / v.x, lambda v: v.y + v.x / v.x, lambda v: T.log(v.y) + v.x / v.x)
specimen("x_over_norm", lambda v: v.x / T.sqrt(T.sqr(v.x).sum(axis=1, keepdims=True)),
         lambda v: v.q / T.sqrt(T.sqr(v.q).sum(axis=1)), lambda v: v.y / T.sqrt(T.sqr(v.x).sum()))  # fmt: skip
specimen("variance", lambda v: T.sqr(v.x).sum(axis=1) / columns(v.x) - T.sqr(v.x.sum(axis=1) / columns(v.x)),
         lambda v: T.mean(T.sqr(v.q), axis=1) - T.sqr(T.mean(v.q, axis=0)),
         lambda v: T.mean(T.sqr(v.x)) - T.sqr(T.mean(v.y)), lambda v: T.sum(T.sqr(v.x)) - T.sqr(T.sum(v.x)))  # fmt: skip
specimen("scatter_times_positive",
         lambda v: T.inc_subtensor(T.zeros_like(v.x)[1:], v.x[1:] / softmax(v.x)[1:]) * softmax(v.x),
         lambda v: T.inc_subtensor(T.zeros_like(v.x)[1:], v.x[1:] / v.x[1:]) * v.x,
         lambda v: T.inc_subtensor(v.y[1:], v.x[1:] / softmax(v.x)[1:]) * softmax(v.x))  # fmt: skip
