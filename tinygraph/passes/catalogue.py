"""The rules as a document, and what Theano and PyTensor call the same: ``python -m tinygraph.passes.catalogue``.

``PEERS`` goes through the rewrites that Theano 1.0 (doc/optimizations.txt and theano/tensor/opt.py) and PyTensor
document, by their names without the leading ``local_``, and says which rules do that work here, or where it is done
instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from tinygraph.passes.pipeline import PIPELINE
from tinygraph.passes.rewrite import PASSES, RULES, Rule

#: a peer's name -> rules here; a sentence where the work is done otherwise or has no place here
PEERS: dict[str, str] = {
    "merge": "merge merge_constants",
    "constant_folding": "constant_folding",
    "ShapeFeature, shape_to_shape_i": "shape_made_of_sizes shape_i_of_result integer_known integer_is_leaf",
    "useless_elemwise": "identity_removed cast_same compare_self idempotent",
    "useless_elemwise_comparison": "compare_self compare_size_with_zero integer_known",
    "cast_cast": "cast_cast cast_same",
    "remove_useless_assert": "Assert is never removed; a check of sizes is, by specify_shape_known",
    "specify_shape (useless_SpecifyShape)": "specify_shape_known",
    "fill_to_alloc, fill_cut, second_sink": "fill is Alloc from the start; elemwise_alloc",
    "elemwise_alloc": "elemwise_alloc",
    "alloc_unary": "unary_of_alloc",
    "useless_alloc, canonicalize_alloc, merge_alloc": "alloc_same alloc_alloc alloc_of_dimshuffle dimshuffle_alloc",
    "useless_dimshuffle, dimshuffle_lift": "dimshuffle_identity dimshuffle_dimshuffle dimshuffle_elemwise",
    "reshape_chain, useless_reshape": "reshape_reshape reshape_same",
    "reshape_to_dimshuffle": "reshape_adds_ones",
    "add_canonizer": "add_zero add_neg neg_sub neg_neg sum_constants add_same integer_terms_cancel",
    "add_canonizer (negative constants)": "add_negative_multiple",
    "add_canonizer (cancelling float terms)": "float_terms_cancel",
    "mul_canonizer": "product_constants integer_products product_meetings",
    "mul_zero, 0_dot_x, zero_div": "float_times_zero dot_of_zeros dot_of_integer_zeros integer_products",
    "neg_neg, neg_to_mul, neg_div_neg": "neg_neg product_constants",
    "sub to add of negative": "add_neg the other way round: subtraction is kept as it is",
    "elemwise_sub_zeros": "integer_sub_self float_terms_cancel",
    "pow_canonicalize, pow_specialize": "pow_simple pow_small pow_half",
    "pow_specialize_device": "pow_small",
    "pow_to_nested_squaring": "pow_small pow_pow",
    "mul_to_sqr": "mul_self",
    "div_to_reciprocal, reciprocal_canon": "div_by_constant product_constants pow_simple",
    "intdiv_by_one": "integer_division",
    "abs_merge, abs_lift": "unary_of_number abs_of_product",
    "func_inv": "function_of_inverse function_of_partial_inverse log_exp log2_exp2 log1p_expm1",
    "exp_log, exp_log_nan_switch": "exp_log",
    "sqrt_sqr": "sqrt_sqr sqrt_square",
    "sqr_sqrt": "sqr_of_unary",
    "expm1": "exp_minus_one one_minus_exp expm1_plus_one",
    "log1p, log1p_minus": "log_one_plus log_one_minus log1p_of_difference",
    "log_add_exp": "log_sum_of_two_exp",
    "log_sum_exp": "log_sum_exp_stable log_softmax_from_logsumexp",
    "log1mexp_stabilize": "log1p_minus_exp",
    "log1msigm_to_softplus, log1pexp_to_softplus": "log1p_minus_sigmoid log_sigmoid log1p_exp",
    "1msigmoid": "one_minus_sigmoid sigmoid_minus_one",
    "exp_over_1_plus_exp, inv_1_plus_exp, sigm_times_exp": "product_meetings",
    "crossentropy_to_crossentropy_with_softmax": "log_softmax distribute_to_meet scatter_times_positive",
    "advanced_indexing_crossentropy_onehot": "log_softmax",
    "advanced_indexing_crossentropy_onehot_grad": "distribute_to_meet scatter_times_positive product_meetings",
    "softmax_stabilize (exp(x) / sum(exp(x)))": "product_meetings softmax_of_shifted",
    "logsoftmax, logsoftmax_grad": "log_softmax exp_log_softmax distribute_to_meet",
    "greedy_distributor": "distribute_to_meet, only where a factor then cancels",
    "useless_switch": "switch_known switch_of_switch switch_condition_cast",
    "mul_switch_sink, div_switch_sink": "mul_switch_sink",
    "merge_switch_same_cond": "fusion puts switches of one condition into one loop",
    "max_to_min, max_and_argmax": "max_of_negative maximum_of_negatives minimum_of_negatives argmax_of_softmax",
    "useless_max_min (clip)": "extremum_nested maximum_of_nonnegative clip_clip relu_of_nonnegative",
    "even and odd functions (polar)": "even_function odd_function sqr_of_unary sign_of_nonzero",
    "bitwise identities": "bits_with_constant invert_invert invert_comparison compare_boolean",
    "round of rounded": "rounding_of_rounded",
    "sum_prod_mul_by_scalar": "sum_of_multiple sum_of_positive_multiple",
    "sum_prod_div_dimshuffle": "sum_of_positive_multiple sum_of_multiple",
    "sum_prod_all_to_none": "all axes are listed from the start",
    "op_of_op (sum of sum)": "reduce_reduce",
    "cut_useless_reduce, reduce_broadcastable": "reduce_nothing reduce_size_one",
    "reduce_join": "sum_of_join",
    "opt_alloc (sum of alloc)": "sum_of_alloc",
    "sum_make_vector": "integer_known",
    "reduce of dimshuffle": "reduce_dimshuffle",
    "unbroadcast_lift, useless_rebroadcast": "sum_to_same sum_to_known sum_to_sum_to sum_to_of_neg",
    "lift_transpose_through_dot": "transpose_of_dot",
    "dot_to_dot22, gemm, dot22_to_dot22scalar": "dot_of_multiple; the lowering forms gemm, alpha and beta",
    "one-hot products (not done by either)": "one_hot_dot one_hot_sum",
    "dot of sums": "sum_of_dots sum_of_dot sum_of_products",
    "useless_slice, useless_subtensor": "subtensor_all subtensor_trailing subtensor_constant_index",
    "subtensor_merge": "subtensor_subtensor subtensor_reversed_twice",
    "subtensor_make_vector": "subtensor_make_vector subtensor_shape",
    "subtensor_lift": "subtensor_elemwise subtensor_reduce subtensor_dimshuffle",
    "subtensor_of_alloc": "subtensor_alloc",
    "subtensor_of_join": "subtensor_join",
    "subtensor_inc_subtensor": "subtensor_of_set",
    "useless_inc_subtensor, set_to_inc_subtensor": "set_of_read set_of_set inc_everything inc_of_zero set_reversed",
    "useless_inc_subtensor_alloc": "inc_of_zero inc_subtensor_constant_index",
    "incsubtensor_of_zeros_to_setsubtensor": "inc_zeros_to_set add_inc_of_zeros",
    "adv_sub1_adv_inc_sub1": "gather_of_set gather_everything",
    "useless_AdvancedSubtensor": "gather_everything scatter_nothing add_scatter_of_zeros",
    "factors of a max-pool's gradient (not done by either)": "factor_of_pool_gradient",
    "join_1, join_empty": "join_of_one join_drops_empty",
    "variance in one pass (not done by either)": "variance",
    "erf and erfc and 1, log_erfc, grad_log_erfc_neg": "one_minus_erf one_plus_erf erf_minus_one one_minus_erfc "
    "erfc_minus_one log_erfc normal_over_erfc multiple_of_normal_over_erfc",
    "log_sqrt, log_prod_to_sum_log": "log_sqrt log_of_product",
    "log of squares and of cosh (not done by either)": "log_sqr log_cosh",
    "mul_exp_to_exp_add, div_exp_to_mul_exp": "product_of_exponentials quotient_by_exponential",
    "mul_pow_to_pow_add": "not done for powers of different exponents: x**0.5 * x**0.5 is nan below 0",
    "logmexpm1_to_log1mexp, log1p_plusminus_exp": "log1p_minus_exp log1p_exp",
    "extract_diag_lift, extract_diag_of_transpose": "diag_of_diag diag_of_transpose diag_of_elemwise",
    "dot_diag_to_elemwise": "dot_of_diag",
    "trace and diagonal of a product (not done by either)": "diag_of_dot",
    "inv_of_inv, transpose_of_inv, inv_of_diag_to_diag_reciprocal": "inverse_of_inverse inverse_of_transpose "
    "inverse_of_diag",
    "inv_to_solve": "product_with_inverse",
    "slogdet_specialization, det_of_inv, det of a diagonal": "log_of_determinant det_of_inverse det_of_diag",
    "cholesky, eigh, svd, qr, lu of a diagonal, of Kronecker and block matrices, of matrices marked as orthogonal":
    "not done, as these matrices are rare and nothing is marked; each is computed as written",
    "reuse_decomposition_multiple_solves": "not done for different right sides; equal calls are one, by merge",
    "subtensor_of_dot, subtensor_of_softmax": "subtensor_dot subtensor_softmax",
    "subtensor_of_adv_subtensor, adv_idx_to_slice": "not done, since the index that is left out may be out "
    "of range, which raises",
    "join_subtensors, join_of_alloc, join_to_repeat": "join_of_slices join_of_alloc; a join of equal parts is one nest",
    "join_make_vector": "a join of scalars is made as one vector from the start",
    "reshape_lift": "reshape_elemwise",
    "useless_split": "split makes slices from the start; subtensor_all",
    "batched_matmul_to_core_matmul, Blockwise": "the lowering forms one nest of any batched product",
    "einsum": "einsum is made of products and sums from the start",
    "inline OpFromGraph": "calls of functions are opened before the passes run",
    "2f1grad loops, kv, i0 and i1 gradients": "not done, as there is no loop in the graphs of these gradients here",
    "tanh and softplus written out (not done by either)": "tanh_of_exponentials softplus_difference",
    "norm and x log x at 0 (not done by either)": "x_over_norm x_log_x x_log_x_gradient",
    "inplace_elemwise, destroy handlers, random in place": "the memory plan decides on buffers of the lowered program",
    "elemwise fusion": "the lowered program is fused, where sizes are known",
    "scan_* (push out, merge, inplace, save memory)": "the passes of the stage `loops`",
    "gpu transfers": "the target decides where a program runs",
}

_MEANING = {
    "exact": "same value for every input (the sign of a zero aside)",
    "rounding": "differs by rounding only, unless an intermediate result overflows in one order and not in the other",
    "improves": "differs by rounding, and may be finite or more exact where the original was not",
    "fast_math": "may change what happens to nan, infinity or overflow; only with `including(\"fast_math\")`",
}


_YOUR_OWN = [
    "## Your own rewrites",
    "",
    "An algebraic rule is a line in the pattern language of `tinygraph.passes`: structure, constants, and tests of",
    "what a variable may be. It applies where the result is proven to have the shape of what it replaces.",
    "",
    "```python",
    "from tinygraph.passes import op, rewrite, rule, variables",
    "",
    "x, y = variables('x y')",
    "rewrite('max_minus_min', op.maximum(x, y) - op.minimum(x, y), op.abs(x - y), tags='specialise mine')",
    "",
    "@rule('exp', tags='stabilise mine', numerics='rounding')",
    "def exp_of_double(node):",
    "    \"\"\"exp(2 * x) -> exp(x)**2.\"\"\"",
    "    ...  # a variable, one for each output, or None to leave the node alone",
    "```",
    "",
    "`Mode().excluding('mine')` leaves them out. `@graph_pass(name, tags)` registers a function of a whole graph,",
    "which changes it by `fgraph.replace`; it runs in the stage that is among its tags, after the stage's rules.",
    "`optimise(fgraph, check=values)` evaluates both sides of every replacement and names the first wrong rule.",
    "",
]


def own_rules() -> list[Rule]:
    """The rules of this package, loops aside."""
    return [r for r in RULES.values() if r.function.__module__.rpartition(".")[0] == "tinygraph.passes"]


def named_in(text: str) -> list[str]:
    """The rules and passes that an entry of ``PEERS`` names."""
    return [w for w in text.replace(",", " ").replace(";", " ").replace(":", " ").split() if w in RULES or w in PASSES]


def markdown() -> str:
    """The document ``docs/optimizations.md``."""
    lines = [
        "# Optimizations",
        "",
        "Written by `python -m tinygraph.passes.catalogue`; a test compares this file with the registry.",
        "",
        "## The pipeline",
        "",
        *_table(("stage", "stands there because"), [(f"`{s.name}`", s.why) for s in PIPELINE]),
        "",
        "A mode chooses rules and stages by tag or name: `Mode().excluding('softmax').including('fast_math')`.",
        "`optimizer='fast_compile'` runs `canonicalise` and `stabilise`, `'none'` runs nothing.",
        "",
        *_YOUR_OWN,
        "## What a rule may change numerically",
        "",
        *_table(("class", "meaning"), _MEANING.items()),
        "",
    ]
    for stage in ("canonicalise", "stabilise", "specialise"):
        rules = sorted((r for r in own_rules() if stage in r.tags), key=lambda r: r.name)
        lines += [f"## {stage.capitalize()}", ""]
        lines += _table(("rule", "what it does", "class"), [(f"`{r.name}`", _sentence(r), r.numerics) for r in rules])
        lines.append("")
    lines += ["## Theano's and PyTensor's rewrites", ""]
    lines += _table(("theirs", "here"), [(k, " ".join(f"`{w}`" if w in RULES or w in PASSES else w for w in v.split()))
                                         for k, v in PEERS.items()])  # fmt: skip
    return "\n".join(lines) + "\n"


def _sentence(r: Rule) -> str:
    return " ".join(r.doc.split()).replace("|", "\\|").replace("*", "\\*")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


if __name__ == "__main__":
    print(markdown(), end="")
