"""Specimens of arithmetic, logic and powers."""

import numpy as np

import tinygraph.tensor as T
from tests.passes.specimens import specimen

two32 = np.float32(2)

# -- products ----------------------------------------------------------------------------------------------------------
specimen("product_constants", lambda v: 2 * (v.x * 3), lambda v: 2 * v.x, lambda v: v.x * v.y, lambda v: v.x / 3,
         lambda v: 1e200 * (v.x * 1e200), lambda v: 1 / v.x)  # fmt: skip
specimen("integer_products", lambda v: v.i * 0, lambda v: v.x * 0, lambda v: v.i * 2)
specimen("product_meetings", lambda v: v.x * T.sigmoid(v.y) / T.sigmoid(v.y), lambda v: v.x * v.y / v.y,
         lambda v: T.exp(v.q) / T.exp(v.q).sum(axis=1), lambda v: T.exp(v.x) / T.exp(v.y).sum(axis=1, keepdims=True),
         lambda v: T.exp(v.x) / T.exp(v.x).sum(), lambda v: 1 / (2 + T.exp(v.x)))  # fmt: skip
specimen("distribute_to_meet", lambda v: (v.x / T.sigmoid(v.y) - v.x) * T.sigmoid(v.y),
         lambda v: (v.x / v.y - v.x) * v.y, lambda v: (v.x - v.y) * T.sigmoid(v.y))  # fmt: skip

# -- sums --------------------------------------------------------------------------------------------------------------
specimen("add_zero", lambda v: v.x + 0, lambda v: v.x + 1, lambda v: v.s + T.zeros_like(v.x), lambda v: v.w + T.zeros_like(v.x))
specimen("add_neg", lambda v: v.x + -v.y, lambda v: v.x + v.y, lambda v: [(-v.y), v.x + -v.y])
specimen("neg_neg", lambda v: T.neg(-v.x), lambda v: -T.abs(v.x))
specimen("add_negative_multiple", lambda v: v.x - v.y * -2, lambda v: v.x - v.y * 2, lambda v: v.i - v.j * -2)
specimen("neg_sub", lambda v: -(v.x - v.y), lambda v: -(v.x + v.y), lambda v: [v.x - v.y, -(v.x - v.y)])
specimen("sum_constants", lambda v: 1 - (1 - v.x), lambda v: (v.x + 1e16) - 1e16, lambda v: (v.x + v.y) + 1,
         lambda v: (v.x + 1e308) + 1e308)  # fmt: skip
specimen("add_same", lambda v: v.x + 2 * v.x, lambda v: v.x - v.x, lambda v: v.x + v.y, lambda v: v.u + v.x.T)
specimen("integer_sub_self", lambda v: v.i - v.i, lambda v: v.x - v.x, lambda v: v.i - v.j)
specimen("integer_terms_cancel", lambda v: v.i + v.j - v.i, lambda v: v.x + v.y - v.x, lambda v: v.i + v.j + v.i)
specimen("float_terms_cancel", lambda v: v.x + v.y - v.x, lambda v: v.x + v.y + v.x)
specimen("float_times_zero", lambda v: v.x * 0.0, lambda v: v.x * 1)

# -- powers ------------------------------------------------------------------------------------------------------------
specimen("pow_simple", lambda v: v.x**2, lambda v: v.x**3, lambda v: v.x**v.y, lambda v: v.i**2)
specimen("pow_small", lambda v: v.x**5, lambda v: v.x**9, lambda v: v.x**2.5)
specimen("pow_half", lambda v: v.x**0.5, lambda v: v.x**1.5)
specimen("pow_pow", lambda v: (v.x**3) ** 2, lambda v: (v.x**0.5) ** 2, lambda v: (v.x**3) ** -1)
specimen("mul_self", lambda v: v.x * v.x, lambda v: v.x * v.y, lambda v: v.i * v.i)
specimen("div_by_constant", lambda v: v.x / 4, lambda v: v.x / v.s, lambda v: v.x / 0.0, lambda v: v.x / 1e-310)

# -- logic -------------------------------------------------------------------------------------------------------------
specimen("compare_self", lambda v: T.le(v.i, v.i), lambda v: T.le(v.x, v.x), lambda v: T.le(v.i, v.j))
specimen("compare_size_with_zero", lambda v: T.ge(v.c, 0), lambda v: T.ge(v.i, 0), lambda v: T.ge(v.c, 1))
specimen("idempotent", lambda v: T.maximum(v.x, v.x), lambda v: T.maximum(v.x, v.y))
specimen("extremum_nested", lambda v: T.maximum(T.maximum(v.x, 1.0), 2.0), lambda v: T.maximum(T.minimum(v.x, 1.0), 2.0),
         lambda v: T.maximum(T.maximum(v.x, v.y), v.w))  # fmt: skip
specimen("maximum_of_nonnegative", lambda v: T.maximum(T.exp(v.x), 0), lambda v: T.maximum(v.x, 0),
         lambda v: T.maximum(T.exp(v.x), 1))  # fmt: skip
specimen("maximum_of_negatives", lambda v: T.maximum(-v.x, -v.y), lambda v: T.maximum(-v.x, v.y), lambda v: T.maximum(-v.i, -v.j))
specimen("minimum_of_negatives", lambda v: T.minimum(-v.x, -v.y), lambda v: T.minimum(-v.x, v.y), lambda v: T.minimum(-v.i, -v.j))
specimen("max_of_negative", lambda v: (-v.x).max(axis=0), lambda v: v.x.max(axis=0), lambda v: (-v.i).max(axis=0),
         lambda v: (-v.x).sum(axis=0))  # fmt: skip
specimen("switch_known", lambda v: T.switch(T.constant(True), v.x, v.y), lambda v: T.switch(v.c, v.x, v.y))
specimen("switch_of_switch", lambda v: T.switch(v.c, T.switch(v.c, v.x, v.y), v.w),
         lambda v: T.switch(v.c, T.switch(T.invert(v.c), v.x, v.y), v.w))  # fmt: skip
specimen("switch_condition_cast", lambda v: T.switch(T.cast(v.c, "int8"), v.x, v.y), lambda v: T.switch(v.i, v.x, v.y))
specimen("mul_switch_sink", lambda v: T.switch(v.c, v.x, 0) * v.y, lambda v: T.switch(v.c, v.x, 1) * v.y)
specimen("clip_clip", lambda v: T.clip(T.clip(v.x, -1, 1), -1, 1), lambda v: T.clip(T.clip(v.x, -1, 1), 0, 1))
specimen("relu_of_nonnegative", lambda v: T.nnet.relu(T.sqr(v.x)), lambda v: T.nnet.relu(v.x))
specimen("bits_with_constant", lambda v: T.or_(v.i, 0), lambda v: T.or_(v.i, 1), lambda v: T.and_(v.i, v.j))
specimen("invert_invert", lambda v: T.invert(T.invert(v.c)), lambda v: T.invert(v.c))
specimen("invert_comparison", lambda v: T.invert(T.lt(v.i, v.j)), lambda v: T.invert(T.lt(v.x, v.y)))
specimen("integer_division", lambda v: v.i // 1, lambda v: v.x // 1, lambda v: v.i // 2)
specimen("compare_boolean", lambda v: T.eq(v.c, False), lambda v: T.eq(v.i, 1), lambda v: T.eq(v.c, 2))
specimen("function_of_inverse", lambda v: T.deg2rad(T.rad2deg(v.x)), lambda v: T.arcsinh(T.sinh(v.x)), lambda v: T.sinh(T.arctanh(v.x)))
specimen("function_of_partial_inverse", lambda v: T.sin(T.arcsin(v.x)), lambda v: T.arcsin(T.sin(v.x)))
specimen("exp_log", lambda v: T.exp(T.log(v.x)), lambda v: T.exp(T.log2(v.x)), lambda v: T.exp(T.log(v.i)))
specimen("sqr_of_unary", lambda v: T.sqr(T.sqrt(v.x)), lambda v: T.sqr(T.exp(v.x)))
specimen("even_function", lambda v: T.cos(-v.x), lambda v: T.cos(v.x), lambda v: T.exp(-v.x))
specimen("odd_function", lambda v: T.tanh(-v.x), lambda v: T.tanh(v.x), lambda v: [-v.x, T.tanh(-v.x)])
specimen("abs_of_product", lambda v: T.abs(T.exp(v.x) * v.y), lambda v: T.abs(v.x * v.y))
specimen("sign_of_nonzero", lambda v: T.sgn(-v.x), lambda v: T.sgn(T.abs(v.x)))
specimen("unary_of_number", lambda v: T.abs(T.exp(v.x)), lambda v: T.abs(v.x), lambda v: T.abs(T.sqr(v.i)))
specimen("rounding_of_rounded", lambda v: T.floor(T.ceil(v.x)), lambda v: T.floor(v.x))
specimen("constant_folding", lambda v: v.x + (T.constant(2.0) * 3), lambda v: v.x + 2.0, lambda v: T.zeros((2000, 2000)).sum() + v.s)
