"""What a compiled program shows of the target's promises: single passes, draws in place, native loops, shared kernels."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tinygraph as tg
import tinygraph.tensor as T
from tests.benchmarks import shapes
from tinygraph import Mode, config, function, grad, scan
from tinygraph.lower.cost import cost
from tinygraph.program.expr import postorder
from tinygraph.program.instructions import Group, Loop
from tinygraph.targets.llvm import executable
from tinygraph.targets.llvm.workspace import NativeStep
from tinygraph.tensor.shared_randomstreams import RandomStreams

LLVM = Mode(target="llvm")


def compiled(inputs, outputs, *values, **more):
    """A function's program and its executable, after one call."""
    f = function(inputs, outputs, mode=LLVM, **more)
    f(*values)
    (found,) = f._programs.values()
    return found.program, found.executable


def of_step(monkeypatch, name, *arguments):
    """The program and the executable of a benchmark's step."""
    made = []
    with config.change(floatX="float32"):  # which the module of the steps sets when it is imported
        from tests.benchmarks import tinygraph_steps

        monkeypatch.setattr(tinygraph_steps, "function", lambda *a, **k: made.append(function(*a, **k)) or made[-1])
        getattr(tinygraph_steps, name)("llvm", *arguments)()
    (found,) = made[-1]._programs.values()
    return found.program, found.executable


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


# -- single passes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [T.nnet.softmax, T.nnet.logsoftmax, lambda x: T.log(T.nnet.softmax(x))],
                         ids=["softmax", "log-softmax", "logarithm of softmax"])  # fmt: skip
def test_a_softmax_reads_its_argument_once_and_writes_its_result(op):
    x = T.fmatrix("x")
    program, _ = compiled([x], op(x), numbers(200, 1000))
    (one,) = program.instructions
    assert isinstance(one, Group) and cost(one)[1] == 2 * 200 * 1000 * 4


def test_cross_entropy_and_its_gradient_are_one_pass_over_the_scores(monkeypatch):
    program, _ = of_step(monkeypatch, "softmax_cross_entropy", (300, 1000))
    large = [i for i in program.instructions if cost(i)[1] > 100_000]
    assert len(large) == 1
    assert cost(large[0])[1] <= (2 * 300 * 1000 + 4 * 300) * 4  # scores, their gradient, and some vectors of rows


# -- draws -------------------------------------------------------------------------------------------------------------


def draws_in(nest):
    return any(x.op == "philox" for x in postorder(nest.expr))


def test_dropout_moves_no_byte_more_than_a_multiplication():
    x = T.fmatrix("x")
    program, _ = compiled([x], x * RandomStreams(1).binomial(size=x.shape, p=0.5, dtype="float32"), numbers(200, 625))
    drawing = [i for i in program.instructions if isinstance(i, Group) and any(map(draws_in, i.nests))]
    (work,) = [g for i in drawing for g in (i.parts or [i]) if any(map(draws_in, g.nests))]
    assert cost(work)[1] == 2 * 200 * 625 * 4 + 4 * 4  # the array, the result, and the stream's state


def test_in_training_every_draw_is_made_in_the_nests_that_use_it(monkeypatch):
    program, _ = of_step(monkeypatch, "mlp")
    drawing = [i for i in program.instructions if isinstance(i, Group) and any(map(draws_in, i.nests))]
    assert len(drawing) == 3  # on the input and on two layers
    for group in drawing:
        drawn = {n.out.buffer for n in group.nests if draws_in(n)}
        users = [n for n in group.nests if drawn & set(n.reads())]
        multiplied = any(b.size == n.out.buffer.size for n in group.nests if draws_in(n) for b in n.reads())
        assert users or multiplied


# -- loops -------------------------------------------------------------------------------------------------------------


LOOPS = {
    "a history": lambda x: scan(lambda x_t, h: T.tanh(x_t + h), sequences=[x], outputs_info=[x[0]])[0],
    "backwards": lambda x: scan(lambda x_t, h: x_t * h, sequences=[x], outputs_info=[x[0]], go_backwards=True)[0],
    "two taps": lambda x: scan(lambda a, b: a * b, outputs_info=[{"initial": x[:2], "taps": [-2, -1]}], n_steps=9)[0],
    "until": lambda x: scan(lambda h: (h * 2, tg.until(h.sum() > 1e9)), outputs_info=[x[0]], n_steps=99)[0][-1],
    "a loop in a loop": lambda x: scan(
        lambda h: scan(lambda g: T.tanh(g + 1), outputs_info=[h], n_steps=3)[0][-1] * 2, outputs_info=[x[0]], n_steps=4
    )[0],
    "gradients": lambda x: grad(LOOPS["a history"](x).sum(), x),
    "draws": lambda x: scan(
        lambda x_t: x_t * RandomStreams(3).uniform(size=x_t.shape, dtype="float32"), sequences=[x]
    )[0],
}


@pytest.mark.parametrize("kind", LOOPS)
def test_loops_of_native_steps_run_without_python(kind):
    x = T.ftensor3("x")
    program, made = compiled([x], LOOPS[kind](x), abs(numbers(7, 5, 4)))
    assert any(isinstance(i, Loop) for i in program.instructions)
    python = [s[0] for s in made.steps if not isinstance(s, NativeStep)]
    assert not python or (kind == "until" and not any(isinstance(i, Loop) for i in python))  # then lengths come with data


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_training_steps_of_recurrent_networks_are_one_foreign_call(monkeypatch, cell):
    _, made = of_step(monkeypatch, cell, shapes.RNN_SMALL)
    assert [type(s) for s in made.steps] == [NativeStep]


def test_a_loop_of_which_only_the_end_is_used_needs_no_memory_for_its_steps():
    h, w, n = T.fmatrix("h"), T.fmatrix("w"), T.lscalar("n")
    out, _ = scan(lambda h, w: T.tanh(T.dot(h, w)), outputs_info=[h], non_sequences=[w], n_steps=n)
    f = function([h, w, n], out[-1], mode=LLVM)
    peaks = []
    for steps in (5, 500):
        f(numbers(8, 16), numbers(16, 16), steps)
        peaks.append(f.memory()["peak"])
    assert peaks[0] == peaks[1]


# -- kernels -----------------------------------------------------------------------------------------------------------


def network(batch, inputs, hidden, rate=0.1):
    x, w = T.fmatrix("x"), tg.shared(numbers(inputs, hidden))
    cost_ = T.sqr(T.tanh(T.dot(x, w)) - 1).mean()
    f = function([x], cost_, updates=[(w, w - np.float32(rate) * grad(cost_, w))], mode=LLVM)
    return f, w, numbers(batch, inputs)


def test_kernels_are_shared_by_functions_by_shapes_and_by_constants(monkeypatch):
    monkeypatch.setattr(executable, "_libraries", {})
    f, _, x = network(100, 300, 200)
    f(x)
    made = len(executable._libraries)
    assert made > 1
    g, w, x = network(120, 310, 220, rate=0.03)
    before = w.get_value().astype("float64")
    found = g(x)
    f(numbers(99, 300))
    assert len(executable._libraries) == made
    h = np.tanh(x.astype("float64") @ before)
    np.testing.assert_allclose(found, ((h - 1) ** 2).mean(), rtol=1e-5)
    gradient = x.T.astype("float64") @ (2 * (h - 1) * (1 - h**2) / h.size)
    np.testing.assert_allclose(w.get_value(), before - 0.03 * gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_constants_of_every_type_and_kind_have_their_values_in_shared_kernels(dtype, monkeypatch):
    """Equal ones and different ones, in arithmetic and elsewhere: what comes out is what NumPy makes of them."""
    monkeypatch.setattr(executable, "_libraries", {})
    x = T.tensor(dtype, shape=(None,))
    value = np.linspace(0.5, 2, 37).astype(dtype)
    for a, b, c in [(0.3, 0.3, 0.7), (0.3, 0.7, 0.3), (1.5, -0.0, 3.0), (2.0, 1e-3, 0.5), (-1.7, -0.3, 1.1), (np.inf, 0.1, 1.1)]:
        a, b, c = (np.asarray(v, dtype) for v in (a, b, c))
        out = T.switch(T.gt(x, c), x * a + b, T.maximum(x - c, b) / c) + x**c
        found = function([x], out, mode=LLVM)(value)
        want = np.where(value > c, value * a + b, np.maximum(value - c, b) / c) + value**c
        np.testing.assert_allclose(found, want, rtol=3e-3 if dtype == "float16" else 1e-6)


def test_nothing_is_compiled_before_the_first_call(monkeypatch):
    monkeypatch.setattr(executable, "_libraries", {})
    f, _, x = network(10, 30, 20)
    assert executable._libraries == {} and len(f._programs) == 0
    f(x)
    assert executable._libraries


def test_llvm_is_loaded_by_the_first_function_at_the_earliest():
    code = "import sys, tinygraph, tinygraph.tensor as T; x = T.fvector(); y = T.exp(x); print('llvmlite' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert out == "False\n"
