"""Functions and classes of Theano's modules that are compositions, aliases or bases of ops of one's own."""

import numpy as np
import pytest
import scipy.special

import tinygraph
from tinygraph.errors import GradientError, TypeMismatch


@pytest.fixture
def theano(installed):
    import theano

    return theano


@pytest.fixture
def T(installed):  # noqa: N802
    import theano.tensor as T  # noqa: N812

    return T


def test_several_variables_from_one_word_of_letters(T):
    p, t = T.matrices("pt")
    assert (p.name, t.name) == ("p", "t")
    assert T.dvectors("x").name == "x"


def test_a_list_that_holds_a_slice_is_a_key(T):
    x = T.dtensor3("x")
    a = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(x[[slice(None), slice(None, None, -1), slice(0, 2)]].eval({x: a}), a[:, ::-1, :2])


@pytest.mark.parametrize(("dtype", "wide"), [("float32", "float64"), ("int8", "int32")])
def test_values_of_a_wider_dtype_can_be_put_into_a_narrower_one(T, dtype, wide):
    y = T.vector("y", dtype=wide)
    out = T.set_subtensor(T.zeros((2, 3), dtype=dtype)[1, :], y)
    value = out.eval({y: np.array([1, 2, 3], wide)})
    assert out.dtype == dtype and value.dtype == dtype and value.tolist() == [[0, 0, 0], [1, 2, 3]]


def test_the_gradient_passes_through_a_narrower_tensor(theano, T):
    y = T.dvector("y")
    out = T.set_subtensor(T.zeros((3,), dtype="float32")[:2], y)
    g = T.grad((out**2).sum(), y)
    assert g.dtype == "float64" and np.allclose(g.eval({y: [1.0, 2.0]}), [2, 4])


def test_stacks(T):
    x, y = T.dmatrices("xy")
    a, b = np.ones((2, 2)), np.zeros((2, 2))
    assert np.array_equal(T.horizontal_stack(x, y).eval({x: a, y: b}), np.hstack([a, b]))
    assert np.array_equal(T.vertical_stack(x, y).eval({x: a, y: b}), np.vstack([a, b]))
    assert np.array_equal(T.stacklists([[x, y], [y, x]]).eval({x: a, y: b}), np.array([[a, b], [b, a]]))
    with pytest.raises(TypeMismatch, match="two or more matrices"):
        T.horizontal_stack(x, T.dvector())


def test_permutations(T):
    x, p = T.dmatrix("x"), T.lmatrix("p")
    a = np.arange(6.0).reshape(2, 3)
    orders = np.array([[1, 2, 0], [2, 1, 0]])
    expected = np.take_along_axis(a, orders, 1)
    assert np.array_equal(T.permute_row_elements(x, p).eval({x: a, p: orders}), expected)
    assert np.array_equal(T.permute_row_elements(x, p, inverse=1).eval({x: expected, p: orders}), a)
    assert np.array_equal(T.permute_row_elements(x, [2, 0, 1]).eval({x: a}), a[:, [2, 0, 1]])
    v = np.array([5.0, 6.0, 7.0])
    assert T.permute_row_elements(v, [2, 0, 1]).eval().tolist() == [7, 5, 6]
    assert T.inverse_permutation(p).eval({p: orders}).tolist() == [[2, 0, 1], [2, 1, 0]]


@pytest.mark.parametrize("settings", [{}, {"bias": True}, {"ddof": 2}, {"rowvar": False}])
def test_covariance(T, settings):
    x = T.dmatrix("x")
    a = np.random.RandomState(0).randn(3, 5)
    assert np.allclose(T.cov(x, **settings).eval({x: a}), np.cov(a, **settings))
    assert np.allclose(T.cov(x, x, **settings).eval({x: a}), np.cov(a, a, **settings))


def test_quotients_and_gammas(T):
    a, b = T.lvectors("ab")
    values = {a: [7, 8, -7], b: [2, 2, 2]}
    assert [v.eval(values).tolist() for v in T.divmod(a, b)] == [[3, 4, -4], [1, 0, 1]]
    assert T.ceil_intdiv(a, b).eval(values).tolist() == [4, 4, -3]
    k, x = T.dscalars("kx")
    at = {k: 2.5, x: 1.5}
    assert np.isclose(T.gammau(k, x).eval(at), scipy.special.gammaincc(2.5, 1.5) * scipy.special.gamma(2.5))
    assert np.isclose(T.gammal(k, x).eval(at), scipy.special.gammainc(2.5, 1.5) * scipy.special.gamma(2.5))


def test_rows_by_index(T):
    x = T.dmatrix("x")
    a = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(T.subtensor.advanced_subtensor1(x, [2, 0]).eval({x: a}), a[[2, 0]])
    added = T.subtensor.advanced_inc_subtensor1(x, T.ones((2, 2)), [1, 1]).eval({x: a})
    assert added.tolist() == [[0, 1], [4, 5], [4, 5]]


def test_a_scalar_op_of_ones_own(theano, T):
    class Hypotenuse(theano.scalar.BinaryScalarOp):
        def impl(self, x, y):
            return np.sqrt(x * x + y * y)

        def grad(self, inputs, gradients):
            (x, y), (g,) = inputs, gradients
            length = self(x, y)
            return [g * x / length, g * y / length]

    hypotenuse = T.Elemwise(Hypotenuse(theano.scalar.upgrade_to_float), name="hypotenuse")
    x, y = T.dmatrix("x"), T.lvector("y")
    a, b = np.arange(1.0, 7).reshape(2, 3), np.array([1, 2, 3])
    out = hypotenuse(x, y)
    assert out.dtype == "float64" and isinstance(out.owner.op, T.Elemwise)
    assert np.allclose(out.eval({x: a, y: b}), np.hypot(a, b))
    points = [a, b.astype("float64")]
    theano.gradient.verify_grad(hypotenuse, points, rng=np.random.RandomState(0))
    with pytest.raises(GradientError):

        class Wrong(Hypotenuse):
            def grad(self, inputs, gradients):
                return [gradients[0], gradients[0]]

        theano.gradient.verify_grad(Wrong(theano.scalar.upgrade_to_float), points, rng=np.random.RandomState(0))


def test_classes_of_scalar_ops(theano, T):
    x, y = T.dvectors("xy")
    assert isinstance((x + y).owner.op.scalar_op, theano.scalar.Add)
    assert not isinstance((x * y).owner.op.scalar_op, theano.scalar.Add)
    assert isinstance(T.exp(x).owner.op.scalar_op, theano.scalar.Exp)
    assert isinstance(T.argmax(x).owner.op, T.Argmax)


def test_every_class_of_scalar_ops_names_a_row(theano):
    from tinygraph.compat.theano.parts.scalar_ops import _CLASSES
    from tinygraph.tensor.elemwise import SCALAR_OPS

    assert {row for row in _CLASSES.values() if row != "cast"} <= set(SCALAR_OPS)


def test_equal_computations(theano, T):
    from theano.scan_module.scan_utils import equal_computations

    x, y = T.dvectors("xy")
    assert equal_computations([T.exp(x)], [T.exp(y)], [x], [y])
    assert not equal_computations([T.exp(x)], [T.exp(y)])
    assert not equal_computations([T.exp(x)], [T.log(x)])


def test_a_directory_called_theano_is_no_theano(tmp_path, monkeypatch):
    import tinygraph.compat.theano as compat

    (tmp_path / "theano").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert compat.install().__name__ == "theano"
    compat.uninstall()


def test_flags_for_a_while(theano):
    with theano.change_flags(floatX="float32"):
        assert tinygraph.config.floatX == "float32"
