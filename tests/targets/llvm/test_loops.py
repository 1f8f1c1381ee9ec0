"""Loops on the LLVM target: products with packed panels, rows shared out to the threads, one code for all sizes."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tinygraph
import tinygraph.tensor as T
from tinygraph import Mode, function, grad
from tinygraph.program.instructions import Loop
from tinygraph.targets.llvm import executable
from tinygraph.targets.llvm.packing import Pack, Packed
from tinygraph.targets.llvm.sharing import shared_rows


@pytest.fixture
def programs(monkeypatch):
    """The programs that the target has made executables of, in order."""
    found = []
    start = executable.LlvmExecutable.__init__

    def noted(self, program, *args, **more):
        start(self, program, *args, **more)
        found.append(self)

    monkeypatch.setattr(executable.LlvmExecutable, "__init__", noted)
    return found


def instructions(block, kind):
    for i in block:
        if isinstance(i, kind):
            yield i
        if isinstance(i, Loop):
            yield from instructions(i.body, kind)


def loops_of(x):
    return list(instructions(x.program.instructions, Loop))


def recurrent(step, dtype, steps, rows, hidden, targets=("llvm", "numpy"), weights=2):
    """A loop's history and gradients on both targets; ``step(x_t, h, *weights)``."""
    x, start = T.tensor3("x", dtype=dtype), T.matrix("h", dtype=dtype)
    ws = [T.matrix(f"w{k}", dtype=dtype) for k in range(weights)]
    out, _ = tinygraph.scan(step, sequences=[x], outputs_info=[start], non_sequences=ws)
    cost = T.sqr(out).sum()
    results = [out, *grad(cost, [x, start, *ws])]
    rng = np.random.default_rng(steps + rows + hidden)
    draw = lambda *shape: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(dtype)  # noqa: E731
    values = [draw(steps, rows, hidden), draw(rows, hidden), *[draw(hidden, hidden) for _ in ws]]
    return [function([x, start, *ws], results, mode=Mode(target=t))(*values) for t in targets]


def simple(x_t, h, w, v):
    return T.tanh(x_t + T.dot(h, w) + T.dot(h, v.T))


def assert_close(found, expected, dtype):
    bound = 2e-5 if dtype == "float32" else 1e-12
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=bound * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(5, 2, 33), (4, 13, 16), (3, 32, 100), (1, 7, 65), (6, 31, 48)])
def test_histories_and_gradients_are_those_of_the_numpy_target(dtype, sizes):
    """Sizes that leave rows and columns over at every tile."""
    found, expected = recurrent(simple, dtype, *sizes)
    assert_close(found, expected, dtype)


def test_matrices_may_lie_in_any_way(programs):
    """Rows, columns, or every second element of each."""
    for turn in (lambda w: w[:21, :21], lambda w: w[:21, :21].T, lambda w: w[::2, ::2]):
        x, w = T.dmatrix("x"), T.dmatrix("w")
        out, _ = tinygraph.scan(lambda h, w: T.tanh(T.dot(h, w)), outputs_info=[x], non_sequences=[turn(w)], n_steps=4)
        rng = np.random.default_rng(0)
        values = rng.standard_normal((9, 21)), rng.standard_normal((42, 42))
        found, expected = (function([x, w], out, mode=Mode(target=t))(*values) for t in ("llvm", "numpy"))
        assert_close([found], [expected], "float64")
        assert any(isinstance(i, Pack) for i in programs.pop().program.instructions)


def test_rows_of_a_table_are_read_and_added_to_whole():
    """Embeddings: the index of a row is one for all its elements, so that they are vectors."""
    w, i = T.matrix("w", dtype="float32"), T.ivector("i")
    picked = w[i] * 2 + 1
    cost = (picked * picked).sum()
    values = np.random.default_rng(0).standard_normal((7, 37)).astype("float32"), np.array([3, 0, 3, -1, 6], "int32")
    outs = [function([w, i], [picked, grad(cost, w)], mode=Mode(target=t))(*values) for t in ("llvm", "numpy")]
    assert_close(*outs, "float32")


def test_weights_are_packed_once_before_the_loop(programs):
    recurrent(simple, "float32", 5, 8, 64, targets=["llvm"])
    (x,) = programs
    assert all(not list(instructions(loop.body, Pack)) for loop in loops_of(x))
    forward, backward = loops_of(x)
    assert len(list(instructions(forward.body, Packed))) == 2
    assert len(list(instructions(backward.body, Packed))) == 2
    assert len([i for i in x.program.instructions if isinstance(i, Pack)]) == 4


def test_two_products_with_one_matrix_share_its_panels(programs):
    found, expected = recurrent(lambda x_t, h, w: T.dot(T.tanh(T.dot(h, w)), w) + x_t, "float64", 4, 6, 32, weights=1)
    assert_close(found, expected, "float64")
    (forward, *_) = loops_of(programs[0])
    packs = {i.pack for i in instructions(forward.body, Packed)}
    assert len(packs) == 1


def test_rows_of_a_batch_are_independent(programs):
    recurrent(simple, "float32", 5, 8, 64, targets=["llvm"])
    assert [shared_rows(loop) for loop in loops_of(programs[0])] == [8, 8]


def test_rows_that_meet_are_not_shared_out(programs):
    """A step that takes the mean over the batch, and one that turns the rows around."""
    for step in (lambda x_t, h, w: T.tanh(T.dot(h, w) - h.mean(0)) + x_t,
                 lambda x_t, h, w: T.tanh(T.dot(h[::-1], w)) + x_t):  # fmt: skip
        found, expected = recurrent(step, "float64", 5, 8, 32, weights=1)
        assert_close(found, expected, "float64")
    assert {shared_rows(loop) for x in programs for loop in loops_of(x)} == {1}


def test_a_matrix_that_the_loop_changes_is_not_packed(programs):
    h, w = T.dmatrix("h"), T.dmatrix("w")
    out, _ = tinygraph.scan(lambda h, w: [T.tanh(T.dot(h, w)), w * 0.9], outputs_info=[h, w], n_steps=5)
    values = np.random.default_rng(0).standard_normal((2, 24, 24))
    found, expected = (function([h, w], out, mode=Mode(target=t))(*values) for t in ("llvm", "numpy"))
    assert_close(found, expected, "float64")
    assert not list(instructions(programs[0].program.instructions, Packed))


def test_loops_in_loops_pack_before_the_outer_one(programs):
    x, w = T.dmatrix("x"), T.dmatrix("w")

    def outer(h, w):
        inner, _ = tinygraph.scan(lambda h, w: T.tanh(T.dot(h, w)), outputs_info=[h], non_sequences=[w], n_steps=3)
        return inner[-1] + h

    out, _ = tinygraph.scan(outer, outputs_info=[x], non_sequences=[w], n_steps=4)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((9, 20)), rng.standard_normal((20, 20))
    found, expected = (function([x, w], out, mode=Mode(target=t))(*values) for t in ("llvm", "numpy"))
    assert_close([found], [expected], "float64")
    assert any(isinstance(i, Pack) for i in programs[0].program.instructions)


def test_a_matrix_chosen_at_each_step_is_packed_at_none(programs):
    """One matrix for each step: a sequence of weights."""
    x, ws = T.dmatrix("x"), T.dtensor3("w")
    out, _ = tinygraph.scan(lambda w, h: T.tanh(T.dot(h, w)), sequences=[ws], outputs_info=[x])
    rng = np.random.default_rng(0)
    values = rng.standard_normal((9, 20)), rng.standard_normal((5, 20, 20))
    found, expected = (function([x, ws], out, mode=Mode(target=t))(*values) for t in ("llvm", "numpy"))
    assert_close([found], [expected], "float64")
    assert not list(instructions(programs[0].program.instructions, Packed))


def test_an_index_error_in_a_thread_of_the_loop_names_its_node(programs):
    """The index depends on the state, so that it is read inside the loop; afterwards the function works as before."""
    w, i, start = T.dmatrix("w"), T.lmatrix("i"), T.dmatrix("h")

    def step(i_t, h, w):
        return T.tanh(T.dot(h, w) + w[i_t + T.cast(h[:, 0] * 0, "int64")])

    out, _ = tinygraph.scan(step, sequences=[i], outputs_info=[start], non_sequences=[w])
    f = function([w, i, start], out, mode=Mode(target="llvm"))
    values = np.random.default_rng(0).standard_normal((40, 40)) / 7, np.zeros((30, 64), "int64"), np.ones((64, 40))
    before = f(*values)
    assert [shared_rows(loop) for loop in loops_of(programs[0])] == [64]
    values[1][20, 50] = 41
    with pytest.raises(tinygraph.errors.IndexOutOfRange, match="index 41") as raised:
        f(*values)
    assert "AdvancedSubtensor" in "".join(raised.value.__notes__)
    values[1][20, 50] = 0
    np.testing.assert_array_equal(f(*values), before)
