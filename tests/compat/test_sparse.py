"""theano.sparse: every function against SciPy, its gradient against finite differences."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special

from tinygraph.errors import TypeMismatch

RNG = np.random.RandomState(0)
DENSE, WIDE, VECTOR, COLUMN = RNG.rand(5, 4), RNG.rand(4, 3), RNG.rand(4) + 0.5, RNG.rand(5) + 0.5
COMPARISONS = {"eq": "equal", "neq": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
               "ge": "greater_equal"}  # fmt: skip


@pytest.fixture
def S(installed):  # noqa: N802
    import theano.sparse as S  # noqa: N812

    return S


@pytest.fixture(params=["csr", "csc"])
def a(request):
    return sp.random(5, 4, 0.5, request.param, random_state=1)


@pytest.fixture
def b(a):
    return sp.random(5, 4, 0.5, a.format, random_state=2)


def evaluated(f, *values):
    import theano
    import theano.sparse as sparse

    inputs = [
        sparse.matrix(v.format, dtype="float64") if sp.issparse(v) else theano.tensor.TensorType("float64", [False] * np.ndim(v))()
        for v in values
    ]  # fmt: skip
    return theano.function(inputs, f(*inputs))(*values)


def agrees(f, values, expected, sparse, structured=None):
    """The result, whether it is sparse, and, unless ``structured`` is None, the gradient."""
    import theano.sparse

    found = evaluated(f, *values)
    assert sp.issparse(found) == sparse
    assert np.allclose(found.toarray() if sparse else found, expected)
    if structured is not None:
        theano.sparse.verify_grad_sparse(f, values, structured)


SAME_NAME = "sin tan arctan sinh tanh arcsinh arcsin log1p expm1 sqrt deg2rad rad2deg".split()


@pytest.mark.parametrize("name", SAME_NAME)
def test_functions_of_stored_entries(S, a, name):
    agrees(getattr(S, name), [a], getattr(np, name)(a.toarray()), sparse=True, structured=True)


@pytest.mark.parametrize(("name", "numpy"), [("rint", "rint"), ("ceil", "ceil"), ("floor", "floor"), ("trunc", "trunc"),
                                             ("sgn", "sign"), ("sqr", "square")])  # fmt: skip
def test_rounding_of_stored_entries(S, a, name, numpy):
    agrees(getattr(S, name), [a], getattr(np, numpy)(a.toarray()), sparse=True)


def test_structured_functions_leave_zeros_that_are_not_stored(S, a):
    d, stored = a.toarray(), a.toarray() != 0
    agrees(S.structured_exp, [a], np.exp(d) * stored, True, True)
    agrees(S.structured_sigmoid, [a], scipy.special.expit(d) * stored, True, True)
    agrees(S.structured_log, [a], np.log(np.where(stored, d, 1)), True, True)
    agrees(lambda x: S.structured_pow(x, 3.0), [a], d**3, True, True)
    agrees(lambda x: S.structured_add(x, 2.0), [a], (d + 2) * stored, True, True)
    agrees(lambda x: S.structured_minimum(x, 0.5), [a], np.minimum(d, 0.5), True, True)
    agrees(lambda x: S.structured_maximum(x, 0.5), [a], np.maximum(d, 0.5) * stored, True, True)


def test_sums_and_differences(S, a, b):
    d, e = a.toarray(), b.toarray()
    agrees(S.add, [a, b], d + e, True, False)
    agrees(S.add, [a, DENSE], d + DENSE, False, False)
    agrees(S.sub, [a, b], d - e, True, False)
    agrees(lambda x, y: y - x, [a, DENSE], DENSE - d, False, False)
    agrees(lambda x: -x, [a], -d, True, False)
    agrees(S.add_s_s_data, [a, a], 2 * d, True)


def test_products_by_element(S, a, b):
    d = a.toarray()
    agrees(S.mul, [a, b], d * b.toarray(), True, False)
    agrees(lambda x, y: y * x, [a, DENSE], d * DENSE, True, False)
    agrees(lambda x, y: x * y, [a, np.array(3.0)], d * 3, True, False)
    agrees(S.mul_s_v, [a, VECTOR], d * VECTOR, True, True)
    agrees(S.structured_add_s_v, [a, VECTOR], (d + VECTOR) * (d != 0), True, True)
    agrees(S.col_scale, [a, VECTOR], d * VECTOR, True, True)
    agrees(S.row_scale, [a, COLUMN], d * COLUMN[:, None], True, True)


def test_matrix_products(S, a, b):
    d, turned = a.toarray(), b.T.asformat(a.format)
    agrees(S.dot, [a, WIDE], d @ WIDE, False, False)
    agrees(S.dot, [a, turned], d @ turned.toarray(), False, False)
    agrees(S.dot, [DENSE.T, a], DENSE.T @ d, False, False)
    agrees(S.dot, [a, VECTOR], d @ VECTOR, False, False)
    agrees(S.dot, [COLUMN, a], COLUMN @ d, False, False)
    agrees(S.structured_dot, [a, WIDE], d @ WIDE, False, True)
    agrees(S.structured_dot, [a, turned], d @ turned.toarray(), True, True)
    agrees(S.true_dot, [a, WIDE], d @ WIDE, True, False)
    agrees(S.true_dot, [a, turned], d @ turned.toarray(), True, False)
    z = RNG.rand(5, 3)
    agrees(lambda x, y, w: S.usmm(2.0, x, y, w), [a, WIDE, z], 2 * (d @ WIDE) + z, False, False)
    x, y = RNG.rand(5, 3), RNG.rand(4, 3)
    agrees(S.sampling_dot, [x, y, a], (x @ y.T) * d, True, True)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("sparse_grad", [False, True])
def test_sums_of_entries(S, a, axis, sparse_grad):
    agrees(lambda x: x.sum(axis, sparse_grad), [a], a.toarray().sum(axis), False, sparse_grad)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(S, a, b, name):
    compare, numpy = getattr(S, name), getattr(np, COMPARISONS[name])
    agrees(compare, [a, b], numpy(a.toarray(), b.toarray()), sparse=True)
    agrees(compare, [a, DENSE], numpy(a.toarray(), DENSE), sparse=False)
    agrees(compare, [DENSE, a], numpy(DENSE, a.toarray()), sparse=False)
    assert evaluated(compare, a, b).dtype == "uint8"


def test_parts(S, a):
    d = a.toarray()
    agrees(lambda x: x[2, 1], [a], d[2, 1], False, False)
    agrees(lambda x: x[1:4, ::2], [a], d[1:4, ::2], True, False)
    agrees(lambda x: x[2], [a], d[2:3], True, False)
    agrees(lambda x: x[-1], [a], d[-1:], True, False)
    agrees(lambda x: x[[0, 2, 2]], [a], d[[0, 2, 2]], True, False)
    agrees(lambda x: x[[0, 2, 2], [1, 1, 0]], [a], d[[0, 2, 2], [1, 1, 0]], False, False)
    agrees(lambda x, n: x[: n.astype("int64"), :2], [a, np.array(2.0)], d[:2, :2], True)
    with pytest.raises(ValueError, match="two dimensions"):
        S.csr_matrix()[1, 2, 3]


def test_diagonals_and_order(S, a):
    d = a.toarray()
    agrees(S.diag, [a[:4]], d[:4].diagonal(), False, False)
    agrees(S.square_diagonal, [VECTOR], np.diag(VECTOR), True, False)
    agrees(S.clean, [a], d, True, False)
    holed = a.copy()
    holed.data[0] = 0
    assert (
        evaluated(S.remove0, holed).nnz == a.nnz - 1
        and evaluated(S.ensure_sorted_indices, holed).nnz == a.nnz
    )
    agrees(S.sp_ones_like, [a], d != 0, True)
    agrees(S.sp_zeros_like, [a], 0 * d, True)


def test_stacks_casts_and_transposes(S, a, b):
    d, e = a.toarray(), b.toarray()
    agrees(lambda *m: S.hstack(m, a.format), [a, b], np.hstack([d, e]), True)
    agrees(lambda *m: S.vstack(m), [a, b], np.vstack([d, e]), True)
    agrees(lambda x: x.T, [a], d.T, True, False)
    agrees(lambda x: S.cast(x, "float32").astype("float64"), [a], d.astype("float32"), True)
    assert S.fcast(S.csr_matrix(dtype="float64")).dtype == "float32"


def test_a_matrix_from_its_arrays_and_back(S, a):
    make = {"csr": S.CSR, "csc": S.CSC}[a.format]
    agrees(lambda x: make(*S.csm_properties(x)), [a], a.toarray(), True, True)
    parts = [S.csm_data, S.csm_indices, S.csm_indptr, S.csm_shape]
    for part, expected in zip(parts, [a.data, a.indices, a.indptr, a.shape], strict=True):
        assert np.array_equal(evaluated(part, a), expected)
    agrees(lambda x: x.size, [a], a.nnz, False)
    agrees(lambda x: x.toarray(), [a], a.toarray(), False, True)
    with pytest.raises(TypeError, match="integers"):
        make([1.0], [0.0], [0, 1], [1, 1])


def test_rows_put_into_an_empty_matrix(S):
    rows = DENSE[:3]
    expected = np.zeros_like(DENSE)
    np.add.at(expected, [1, 3, 1], rows)
    agrees(lambda x, v: S.construct_sparse_from_list(x, v, [1, 3, 1]), [DENSE, rows], expected, True, False)


def test_theano_itself_takes_sparse_matrices(S, a):
    import theano
    import theano.tensor as T  # noqa: N812

    kept = theano.shared(a, "kept")
    x = T.dmatrix("x")
    assert np.allclose(theano.dot(kept, x).eval({x: WIDE}), a.toarray() @ WIDE)
    assert np.allclose(T.dot(x, kept).eval({x: DENSE.T}), DENSE.T @ a.toarray())
    step = theano.function([x], updates=[(kept, kept - 0.5 * theano.grad(theano.dot(kept, x).sum(), kept))])
    step(WIDE)
    expected = a.toarray() - 0.5 * np.where(a.toarray() != 0, WIDE.sum(axis=1), 0)
    assert np.allclose(kept.get_value().toarray(), expected)
    assert np.allclose((S.as_sparse_variable(a) * a).eval().toarray(), a.toarray() ** 2)
    with pytest.raises(TypeMismatch, match="sparse matrix"):
        S.dot(x, x)


def test_a_vector_becomes_a_row(S):
    agrees(S.csr_from_dense, [VECTOR], VECTOR[None], True, False)
