"""Errors while a program runs: the node, its inputs' shapes and the user's line are named, also inside fused work."""

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.graph.op import Op


def notes(error, call):
    with pytest.raises(error) as caught:
        call()
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def here(text):
    with open(__file__, encoding="utf-8") as f:
        return next(
            f"{__file__}:{n}\n    {line.strip()}" for n, line in enumerate(f, 1) if f"# {text}" in line and "here(" not in line
        )


@pytest.mark.parametrize("mode", ["NONE", "FAST_RUN"])
def test_an_index_out_of_range_inside_a_fused_nest(mode):
    x, i = T.dvector("x"), T.lvector("i")
    picked = T.exp(x)[i]  # the gather
    y = T.tanh(picked * 2) + 1
    f = tg.function([x, i], y.sum(), mode=mode)
    found = notes(IndexError, lambda: f(np.zeros(3), [0, 1, 7]))
    assert "index 7 is out of range for a dimension of size 3" in found
    assert "in AdvancedSubtensor" in found and "int64(3)" in found
    assert f"built at {here('the gather')}" in found
    assert f(np.zeros(3), [0, -1]) == pytest.approx(2 * (np.tanh(2) + 1))


def test_an_index_out_of_range_among_updates_changes_nothing():
    w, i = tg.shared(np.zeros(3)), T.lvector("i")
    f = tg.function([i], [], updates=[(w, T.inc_subtensor(w[i], 1.0))])
    notes(IndexError, lambda: f([0, 5]))
    assert w.get_value().tolist() == [0, 0, 0]


def test_an_integer_argument_out_of_range():
    x, k = T.dmatrix("x"), T.lscalar("k")
    f = tg.function([x, k], x[k] * 2)
    assert "index 4 is out of range for a dimension of size 3" in notes(IndexError, lambda: f(np.zeros((3, 2)), 4))


class Odd(Op):
    """An op in Theano's manner that fails for negative input."""

    itypes = [T.TensorType("float64", (None,))]
    otypes = [T.TensorType("float64", (None,))]

    def perform(self, node, inputs, outputs):
        if inputs[0].min() < 0:
            raise ZeroDivisionError("negative input")
        outputs[0][0] = np.sqrt(inputs[0])


def test_a_failing_op_in_python():
    x = T.dvector("x")
    root = Odd()(x * 2)  # the root
    f = tg.function([x], root + 1)
    found = notes(ZeroDivisionError, lambda: f([1.0, -1.0]))
    assert "negative input" in found
    assert "in Odd" in found and "float64(2,)" in found
    assert f"built at {here('the root')}" in found
    assert f([2.0]).tolist() == [3]


def test_a_failing_library_call():
    x = T.dmatrix("x")
    inverse = T.nlinalg.matrix_inverse(x)  # the inverse
    f = tg.function([x], inverse)
    found = notes(np.linalg.LinAlgError, lambda: f(np.zeros((2, 2))))
    assert "Singular matrix" in found and f"built at {here('the inverse')}" in found


def test_an_error_inside_a_tile_and_a_thread():
    x, i = T.dmatrix("x"), T.lmatrix("i")
    y = T.exp(x).reshape((x.size,))[i] * x  # the large gather
    f = tg.function([x, i], [y, y.sum()])
    index = np.zeros((500, 800), "int64")
    assert f(np.zeros((500, 800)), index)[1] == 0
    index[499, 3] = -400_001
    found = notes(IndexError, lambda: f(np.zeros((500, 800)), index))
    assert "index -400001 is out of range for a dimension of size 400000" in found
    assert f"built at {here('the large gather')}" in found


def test_an_error_inside_a_loop():
    x, i = T.dvector("x"), T.lvector("i")
    total, _ = tg.scan(lambda k, acc: acc + x[k], sequences=i, outputs_info=T.zeros(()))  # the step
    f = tg.function([x, i], total[-1])
    assert f([1.0, 2.0, 3.0], [0, 2]) == 4
    found = notes(IndexError, lambda: f([1.0, 2.0, 3.0], [0, 3]))
    assert "index 3 is out of range for a dimension of size 3" in found


def test_a_specified_shape_that_does_not_hold():
    x = T.dvector("x")
    y = T.specify_shape(x, (3,))  # the promise
    f = tg.function([x], y * 2)
    assert f"built at {here('the promise')}" in notes(ValueError, lambda: f([1.0, 2.0]))
