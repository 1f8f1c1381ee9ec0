"""Specimens of linear algebra, of slices that move and of joined parts, and of functions' tails."""

import tinygraph.tensor as T
from tests.passes.specimens import specimen
from tinygraph.tensor.broadcast import alloc_op
from tinygraph.tensor.nlinalg import det, matrix_inverse
from tinygraph.tensor.nnet import logsoftmax, softmax

# -- tails -------------------------------------------------------------------------------------------------------------
specimen("one_minus_erf", lambda v: 1 - T.erf(v.x), lambda v: 2 - T.erf(v.x), lambda v: 1 - T.tanh(v.x))
specimen("one_plus_erf", lambda v: 1 + T.erf(v.x), lambda v: 2 + T.erf(v.x))
specimen("erf_minus_one", lambda v: T.erf(v.x) - 1, lambda v: T.erf(v.x) - v.y)
specimen("one_minus_erfc", lambda v: 1 - T.erfc(v.x), lambda v: 1 - T.erfcx(v.x))
specimen("erfc_minus_one", lambda v: T.erfc(v.x) - 1, lambda v: T.erfc(v.x) - 2)
specimen("normal_over_erfc", lambda v: T.exp(-T.sqr(v.x)) / T.erfc(v.x), lambda v: T.exp(-T.sqr(v.y)) / T.erfc(v.x),
         lambda v: T.exp(T.sqr(v.x)) / T.erfc(v.x))  # fmt: skip
specimen("multiple_of_normal_over_erfc", lambda v: (v.s / T.erfc(v.x)) * T.exp(-T.sqr(v.x)),
         lambda v: (v.s / T.erfc(v.y)) * T.exp(-T.sqr(v.x)))  # fmt: skip
specimen("log_erfc", lambda v: T.log(T.erfc(v.x)), lambda v: T.log(T.erf(v.x)), lambda v: T.log2(T.erfc(v.x)))
specimen("log_sqrt", lambda v: T.log(T.sqrt(v.x)), lambda v: T.log2(T.sqrt(v.x)))
specimen("log_sqr", lambda v: T.log(T.sqr(v.x)), lambda v: T.log1p(T.sqr(v.x)))
specimen("log_cosh", lambda v: T.log(T.cosh(v.x)), lambda v: T.log(T.sinh(v.x)), lambda v: T.log1p(T.cosh(v.x)))
specimen("log_of_product", lambda v: T.log(T.prod(T.sigmoid(v.x), axis=1)), lambda v: T.log(T.prod(v.x, axis=1)),
         lambda v: T.log(T.sigmoid(v.x).max(axis=1)))  # fmt: skip
specimen("product_of_exponentials", lambda v: T.exp(v.x) * T.exp(v.x * v.s), lambda v: T.exp(v.x) * T.exp(v.w),
         lambda v: T.exp(v.x) * T.exp2(v.x), lambda v: [T.exp(v.x), T.exp(v.x) * T.exp(v.x * v.s)])  # fmt: skip
specimen("quotient_by_exponential", lambda v: v.x / T.exp(v.y), lambda v: v.x / T.exp2(v.y),
         lambda v: [T.exp(v.y), v.x / T.exp(v.y)])  # fmt: skip

# -- diagonals ---------------------------------------------------------------------------------------------------------
specimen("diag_of_diag", lambda v: T.diag(T.diag(v.u)), lambda v: T.diag(T.diag(v.u, 1)), lambda v: T.diag(v.x))
specimen("diag_of_transpose", lambda v: T.diag(v.x.T, 1), lambda v: T.diag(v.x))
specimen("diag_of_elemwise", lambda v: T.diag(T.tanh(v.q * v.s)), lambda v: T.diag(v.q * v.u), lambda v: [T.tanh(v.q), T.diag(T.tanh(v.q))])
specimen("diag_of_dot", lambda v: T.diag(T.dot(v.x, v.z)), lambda v: T.diag(T.dot(v.x, v.z), 1),
         lambda v: [T.dot(v.x, v.z), T.diag(T.dot(v.x, v.z))])  # fmt: skip
specimen("dot_of_diag", lambda v: T.dot(T.diag(v.u), T.exp(v.u)) + T.dot(T.exp(v.u), T.diag(v.u)),
         lambda v: T.dot(T.diag(v.w, 1), T.zeros(5)), lambda v: T.dot(v.q, v.u))  # fmt: skip

# -- inverses and determinants ---------------------------------------------------------------------------------------
specimen("inverse_of_transpose", lambda v: matrix_inverse(v.q.T), lambda v: matrix_inverse(v.q))
specimen("inverse_of_inverse", lambda v: matrix_inverse(matrix_inverse(v.q)), lambda v: matrix_inverse(v.q))
specimen("inverse_of_diag", lambda v: matrix_inverse(T.diag(1 + T.abs(v.u))), lambda v: matrix_inverse(T.diag(v.u[1:], 1) + v.q))
specimen("product_with_inverse", lambda v: T.dot(T.dot(matrix_inverse(v.q), v.x), matrix_inverse(v.s + T.dot(v.x.T, v.x) + T.eye(4))),
         lambda v: [matrix_inverse(v.q), T.dot(matrix_inverse(v.q), v.x)], lambda v: T.dot(v.q, v.x))  # fmt: skip
specimen("log_of_determinant", lambda v: [T.log(T.abs(det(v.q))), T.log(det(v.q))], lambda v: T.log(T.abs(v.q)), lambda v: T.log1p(det(v.q)))
specimen("det_of_inverse", lambda v: det(matrix_inverse(v.q)), lambda v: det(v.q))
specimen("det_of_diag", lambda v: det(T.diag(v.u)), lambda v: det(v.q), lambda v: det(T.diag(v.u, 1)))

# -- slices and joins --------------------------------------------------------------------------------------------------
specimen("subtensor_dot", lambda v: T.dot(v.x, v.z)[v.n, 1:], lambda v: T.dot(v.x, v.w)[1:], lambda v: [T.dot(v.x, v.z), T.dot(v.x, v.z)[1]])
specimen("subtensor_softmax", lambda v: [softmax(v.x)[1], logsoftmax(v.y)[1:]], lambda v: softmax(v.x)[:, 1],
         lambda v: [softmax(v.x), softmax(v.x)[1]])  # fmt: skip
specimen("reshape_elemwise", lambda v: T.exp(v.x.reshape((2, -1))).reshape((-1,)), lambda v: T.exp(v.x).reshape((-1,)),
         lambda v: (v.x.reshape((2, -1)) + v.s).reshape((-1,)))  # fmt: skip
specimen("join_of_slices", lambda v: [T.concatenate([v.x[: v.n], v.x[v.n :]]), T.concatenate([v.x[:, 0:1], v.x[:, 1:3], v.y], axis=1)],
         lambda v: T.concatenate([v.x[:2], v.y[2:]]), lambda v: T.concatenate([v.x[:2], v.x[1:]]),
         lambda v: T.concatenate([v.x[:2], v.x[2:]], axis=1), lambda v: T.concatenate([v.x[2:], v.x[:2]]),
         lambda v: T.concatenate([v.x[1 : v.n], v.x[v.n : 3]]), lambda v: T.concatenate([v.x[::2], v.x[1::2]]))  # fmt: skip
specimen("join_of_alloc", lambda v: T.concatenate([alloc_op(v.s, 3, v.n), alloc_op(v.s, 2, v.n), v.z]),
         lambda v: T.concatenate([alloc_op(v.s, 3, 2), alloc_op(v.t, 2, 2)]),
         lambda v: T.concatenate([alloc_op(v.w, 3, 4), alloc_op(v.w, 2, 4)]))  # fmt: skip
