"""Programs in Theano's style run unmodified, and give what NumPy, SciPy or hand calculation say."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def program(installed):
    def run(name):
        return runpy.run_path(str(PROGRAMS / f"{name}.py"), run_name="__main__")

    return run


def close(a, b, tolerance=1e-8):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


def test_logistic_regression_takes_the_steps_of_numpy(program):
    done = program("logistic_sgd")
    rng = np.random.RandomState(1234)
    x, y = done["make_data"](600, rng)
    W, b = np.zeros((5, 3)), np.zeros(3)
    costs = []
    for _ in range(20):
        for i in range(12):
            xs, ys = x[i * 50 : i * 50 + 50], y[i * 50 : i * 50 + 50]
            z = xs @ W + b
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            costs.append(-np.log(p[np.arange(50), ys]).mean())
            d = (p - np.eye(3)[ys]) / 50
            W, b = W - 0.13 * xs.T @ d, b - 0.13 * d.sum(0)
    assert close(done["costs"], costs) and close(done["classifier"].W.get_value(), W)
    assert done["validation"] < 0.1 and done["predicted"].shape == (10,)


def test_a_denoising_autoencoder_learns(program):
    history = program("dA")["history"]
    assert history[-1] < 0.6 * history[0]


def test_a_restricted_boltzmann_machine_learns_and_samples(program):
    done = program("rbm")
    assert done["bits"] == 180 % 12
    assert np.mean(done["history"][-5:]) > np.mean(done["history"][:5])
    assert done["sampled"].shape == (3, 12) and set(np.unique(done["sampled"])) <= {0, 1}
    assert ((done["vis_mf"] > 0) & (done["vis_mf"] < 1)).all()


def test_an_lstm_learns_which_word_came_first(program):
    done = program("lstm")
    assert np.mean(done["history"][-10:]) < 0.35 < 0.6 < np.mean(done["history"][:5])
    assert done["accuracy"] == 1


def test_loops(program):
    done = program("rnn_examples")
    assert done["power"](range(10), 2).tolist() == [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
    assert done["powers"](45).tolist() == [2, 4, 8, 16, 32, 64]
    assert done["polynomial"]([1, 0, 2], 3) == 19
    total, squares = done["folded"]([1, 2, 3])
    assert total == 14 and squares.tolist() == [1, 4, 9]


def test_a_loop_with_several_taps_against_numpy(program):
    run = program("rnn_examples")["recurrent"]
    rng = np.random.RandomState(0)
    u, x0, y0 = rng.randn(10, 2), rng.randn(3, 4), rng.randn(1)
    W, W1, W2, Wf, Wo = (0.3 * rng.randn(*s) for s in ((4, 4), (2, 4), (2, 4), (1, 4), (4, 1)))
    xs, y = list(x0), y0
    ys = []
    for t in range(4, 10):
        new = np.tanh(xs[-1] @ W + u[t] @ W1 + u[t - 4] @ W2 + y @ Wf)
        y = xs[-3] @ Wo
        xs.append(new)
        ys.append(y)
    found = run(u, x0, y0, W, W1, W2, Wf, Wo)
    assert close(found[0], xs[3:]) and close(found[1], ys)


def test_word_embeddings_change_only_where_words_occur(program):
    done = program("rnn_examples")
    used = np.zeros(13, bool)
    used[np.unique(done["window"])] = True
    assert ((done["before"] != done["after"]).any(axis=1) == used).all()
    assert done["history"][-1] < 0.2 * done["history"][0]
    assert (done["classified"] == done["labels"]).all() and close(done["norms"], 1)


def test_a_layer_library(program):
    done = program("layers")
    assert done["output_shape"] == (None, 2) and done["accuracy"] == 1
    assert done["history"][-1] < 0.1 * done["history"][0]
    assert (done["running_mean"] != 0).all()  # moved by default updates of a clone of the shared variable


def _rnn(sequences, W, U, backwards=False, steps=7):
    h, all_h = np.zeros((5, 4)), []
    for t in reversed(range(7)) if backwards else range(steps):
        h = np.tanh(sequences[:, t] @ W + h @ U)
        all_h.append(h)
    return h, np.stack(all_h, axis=1)


def test_a_back_end_of_functions(program):
    done = program("backend")
    r, images, matrix = done["results"], done["images"], done["matrix"]
    assert done["probes"] == (True, False, True)
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    kernel = done["kernel"].get_value()
    correlated = np.zeros((2, 4, 6, 6))
    for i in range(3):
        for j in range(3):
            correlated += np.einsum("nchw,fc->nfhw", padded[:, :, i : i + 6, j : j + 6], kernel[:, :, i, j])
    assert close(r["conv"], correlated)
    assert close(r["pool"], images.reshape(2, 3, 3, 2, 3, 2).mean(axis=(3, 5)))
    spread = np.einsum("nchw,cfij->nfhiwj", images, done["back"].get_value()).reshape(2, 5, 12, 12)
    assert close(r["deconv"], spread)
    normed, mean, var = r["normed"]
    m, v = images.mean((0, 2, 3), keepdims=True), images.var((0, 2, 3), keepdims=True)
    assert close(mean, m) and close(var, v + 1e-4) and close(normed, (images - m) / np.sqrt(v + 1e-4))
    W, U, sequences = done["W"].get_value(), done["U"].get_value(), done["sequences"]
    last, all_h = _rnn(sequences, W, U)
    assert close(r["rnn"][0], last) and close(r["rnn"][1], all_h) and close(r["rnn"][2], last)
    step = 1e-6 * np.ones_like(W)
    numeric = (_rnn(sequences, W + step, U)[0].sum() - _rnn(sequences, W - step, U)[0].sum()) / 2e-6
    assert close(r["rnn"][3].sum(), numeric, 1e-6)
    assert close(r["masked"], _rnn(sequences, W, U, steps=5)[0])
    assert close(r["backwards"], _rnn(sequences, W, U, backwards=True)[0])
    assert close(r["phase"][0], matrix)
    kept = r["phase"][1] != 0
    assert not kept.all() and close(r["phase"][1][kept], 2 * matrix[kept])
    assert close(r["switch"], np.where(matrix.sum(1, keepdims=True) > 1.5, matrix, -matrix))
    p = matrix / matrix.sum(1, keepdims=True)
    assert close(r["crossentropy"], -(np.eye(4, 3) * np.log(p)).sum(1))
    assert close(r["gather"], W[[[0, 2], [1, 1]]]) and close(r["one_hot"], np.eye(3)[[[0, 2], [1, 1]]])
    assert close(r["padded"], np.pad(sequences, ((0, 0), (1, 2), (0, 0))))
    assert close(r["lazy"], matrix / (1 + matrix)) and close(r["print"], matrix) and r["dims"] == (4, 3, 1)


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_ops_of_ones_own(program, target):
    from tinygraph import config

    if target == "llvm":
        pytest.importorskip("llvmlite")
    config.target = target
    done = program("custom_ops")
    x = done["inp"]
    assert close(done["doubled"], 2 * x) and close(done["doubled2"], 2 * x) and close(done["double_mult4"], 8 * x + 1)
    assert close(done["gradient"], 8 * x) and done["shape_only"] == 6
    assert close(done["rop"], 8 * x * (x + 1))
    assert close(done["sums"][0], 4 * x) and close(done["sums"][1], -2 * x)
    assert close(done["only_one"][0], -4 * x) and close(done["only_one"][1], 4 * x)
    f32 = done["f32"]
    assert close(done["added"], 2 * f32) and close(done["product"], f32 @ f32.T + 1, 1e-5)
    assert done["order"].tolist() == [5, 3, 1] and done["equal"] == (True, False, True)
    h, slope = x[0], 1.0
    for _ in range(4):
        slope = slope * 0.5 * (1 - np.tanh(h) ** 2)
        h = 0.5 * np.tanh(h) + 1
    assert close(done["looped"][0], h) and close(done["looped"][1][0], slope)


def test_looking_into_graphs_and_changing_them(program):
    done = program("surgery")
    assert done["facts"] == dict(op_name="add", n_inputs=2, same=True, n_outputs=1, type=True, leaf=True, ndim=2)
    assert close(done["values"], 4 * np.tanh(1) ** 2)
    assert done["leaves"] == [done["w"]] and done["named"] == [done["x"]]
    assert done["order"] == ["Dot", "Elemwise{tanh}", "Elemwise{pow}", "Sum{axis=[0, 1]}"]
    assert done["comparisons"] == (True, False, True) and done["after"] == ["Elemwise{sub}"]
    assert close(done["rewritten"], 2) and done["kinds"] and close(done["opfromgraph"], 2)
    assert done["text"].splitlines() == [
        "Elemwise{add} [id A] ''   ", " |x [id B]", " |Elemwise{mul} [id C] ''   ", "   |y [id D]",
        "   |TensorConstant{2} [id E]",
    ]  # fmt: skip
    assert "''   0" in done["text_of_function"]
    assert done["pretty"][1] == r"(x \dot y)" and done["pretty"][0].startswith("((x + y) * ")


def test_curvature_products(program):
    done = program("hessian_free")
    assert close(done["rop_value"], done["xn"] @ done["Vn"]) and close(done["lop_value"], np.outer(done["xn"], done["vn"]))
    assert close(done["hessian_by_scan"], 24 * np.eye(2)) and close(done["hessian"], 24 * np.eye(2))
    assert close(done["jacobian"], np.diag([8, 10]))
    assert close(done["vector_hessian"], 48) and close(done["hessian_vector"], 48)
    X, p1, p2 = done["Xn"], done["p1"].get_value(), done["p2"].get_value()
    d1, d2 = done["d1n"], done["d2n"]
    h = np.tanh(X @ p1)
    Jv = ((1 - h * h) * (X @ d1)) @ p2 + h @ d2
    g = 2 / 12 * Jv
    assert close(done["Gv"][1], h.T @ g) and close(done["Gv"][0], X.T @ ((g @ p2.T) * (1 - h * h)))
    assert done["clipped"] == 1 and done["constant"] == 9 and done["zeroed"] == 9


def test_errors_by_their_names(program):
    done = program("hessian_free")
    assert "b" in done["disconnected"] and "q" in done["unused"] and "a" in done["missing"]
    assert "1 dimensions" in done["wrong"]


def test_semantics(program):
    done = program("semantics")
    assert [float(v) for v in done["ints"]] == [3, 1, 49, 3.5]
    assert done["dtypes"] == ["float64", "int8", "float32", "float64", "float64", "int64", "int64", "bool", "int64",
                              "float64"]  # fmt: skip
    assert done["flags"] == [(True, False), (False, False), (True, False), (False, True, False),
                             (True, False)]  # fmt: skip
    assert done["borrowed"] == [[1, 1], [1, 1], [2, 2]]
    assert done["counts"] == [0, 1, 301] and done["given"] == 7 and done["swapped"] == 100
    assert done["by_name"] == [68, 70, 34] and done["pickled"] == 301
    assert done["kept"].get_value().tolist() == [0, 1, 2] and done["extra"] == {"n": 1}
    assert done["gpu"] == (False, False, False, False) and done["merged"] == 2
    assert done["asarray"] == "float64" and done["appended"] == 2


def test_sparse_matrices_against_scipy(program):
    done = program("semantics")
    a, d = done["matrix"], np.ones((4, 2))
    assert close(done["sparse_value"][0], a @ d) and close(done["sparse_value"][1], a.T @ (2 * (a @ d)))
    assert close(done["stacked"], scipy.sparse.vstack([a, 2 * a]).toarray())
    assert close(done["structured"], (a != 0).toarray() * 2.0) and close(done["constant_sum"], 2 * a.sum())
