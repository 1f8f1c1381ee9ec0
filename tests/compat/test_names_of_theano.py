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


def test_solve_is_made_by_the_structure_of_the_matrix(installed):
    import theano
    import theano.tensor as T  # noqa: N812
    from theano.tensor.slinalg import Solve

    rng = np.random.RandomState(0)
    a, b = rng.randn(3, 3) + 3 * np.eye(3), rng.randn(3)
    A, y = T.dmatrix(), T.dvector()
    for structure, used in (("general", a), ("lower_triangular", np.tril(a)), ("upper_triangular", np.triu(a))):
        found = theano.function([A, y], Solve(A_structure=structure)(A, y))(a, b)
        assert np.allclose(found, np.linalg.solve(used, b))
    with pytest.raises(ValueError, match="A_structure must be one of"):
        Solve(A_structure="round")


def test_debug_mode_takes_the_settings_of_theano(installed):
    import theano
    import theano.tensor as T  # noqa: N812

    x = T.dscalar()
    mode = theano.compile.debugmode.DebugMode(optimizer="fast_run", check_py_code=False, stability_patience=3)
    assert theano.function([x], x + 1, mode=mode)(1) == 2
    with pytest.raises(TypeError, match="unexpected keyword argument 'chek'"):
        theano.compile.debugmode.DebugMode(chek=1)


def test_param_names_its_default_so(installed):
    import theano
    import theano.tensor as T  # noqa: N812

    x = T.dscalar()
    assert theano.function([theano.Param(x, default=2.0)], x + 1)() == 3


def test_the_step_of_a_loop_can_be_looked_at(installed):
    import theano
    import theano.tensor as T  # noqa: N812

    x = T.dvector()
    out, _ = theano.scan(lambda a, b: T.tanh(a + b), sequences=x, outputs_info=T.zeros(()))
    node = out.owner
    while not isinstance(node.op, theano.scan_module.scan_op.Scan):
        node = node.inputs[0].owner
    step = theano.function(node.op.inputs, node.op.outputs)
    assert len(node.op.inputs) == 2 and np.isclose(step(0.2, 0.3)[0], np.tanh(0.5))


@pytest.mark.parametrize("name", ["jv", "iv"])
def test_bessel_functions_of_any_order(theano, T, name):
    v, x = T.dscalar("v"), T.dvector("x")
    at = np.array([0.5, 1.5, 4.0])
    function = getattr(scipy.special, name)
    assert np.allclose(getattr(T, name)(v, x).eval({v: 1.5, x: at}), function(1.5, at))
    theano.gradient.verify_grad(lambda x: getattr(T, name)(1.5, x), [at], rng=np.random.RandomState(0))


def test_writing_at_several_indices_by_name(T):
    x, a = T.dmatrix("x"), np.arange(6.0).reshape(2, 3)
    added = T.subtensor.advanced_inc_subtensor(x, np.ones(2), [0, 0], [1, 1]).eval({x: a})
    assert added.tolist() == [[0, 3, 2], [3, 4, 5]]
    assert T.subtensor.advanced_set_subtensor(x, 9.0, x > 3).eval({x: a}).tolist() == [[0, 1, 2], [3, 9, 9]]


def test_a_first_column(T):
    m, a = T.dmatrix("m"), np.ones((2, 2))
    found = T.nnet.nnet.Prepend_scalar_constant_to_each_row(4.0)(m).eval({m: a})
    assert found.tolist() == [[4, 1, 1], [4, 1, 1]]
    assert T.nnet.nnet.Prepend_scalar_to_each_row()(4, m).eval({m: a}).tolist() == found.tolist()


def test_scalars_by_several_names(theano):
    a, b = theano.scalar.floats("ab")
    assert (a.name, b.dtype, a.ndim) == ("a", "float64", 0) and theano.scalar.ints("i").dtype == "int64"
    assert theano.scalar.convert_to_float32(b).dtype == "float32"
    assert theano.scalar.basic.gammau is theano.tensor.gammau
    assert theano.configdefaults.local_bitwidth() in (32, 64)


def test_examples_of_variables(theano, T):
    from theano.gof.op import get_test_value

    x = T.dvector("x")
    with pytest.raises(AttributeError):
        get_test_value(x)
    x.tag.test_value = np.ones(2)
    assert get_test_value(x) is x.tag.test_value
    assert get_test_value(theano.shared(3.0)) == 3 and get_test_value(T.constant(4)) == get_test_value(4) == 4


def test_ops_that_change_gradients(theano, T):
    x = T.dscalar("x")
    g = theano.gradient
    assert T.grad(x * g.zero_grad_(x) + x * g.consider_constant_(x) + x * g.disconnected_grad_(x), x).eval({x: 3.0}) == 9


def test_pages_of_graphs(theano, T, tmp_path):
    from theano.d3viz import d3viz, d3write

    x = T.dscalar("x")
    f = theano.function([x], T.exp(x) + 1)
    f(1.0)
    for k, what in enumerate([f, T.exp(x), [x + 1, x + 2], theano.gof.FunctionGraph([x], [T.exp(x)])]):
        page = tmp_path / f"page{k}.html"
        d3viz(what, str(page))
        assert "<svg" in page.read_text() and "exp" in page.read_text() or k == 2
    d3write(f, str(tmp_path / "graph.dot"))
    assert (tmp_path / "graph.dot").read_text().startswith("digraph")


def test_elemwise_is_a_module_below_tensor(installed):
    import theano.tensor as T  # noqa: N812

    assert T.elemwise.CAReduce and T.elemwise.Elemwise and T.elemwise.DimShuffle


def test_the_shape_of_reshape_can_be_named(T):
    x = T.dvector("x")
    assert x.reshape(shape=(2, -1), ndim=2).eval({x: np.arange(6.0)}).shape == (2, 3)
