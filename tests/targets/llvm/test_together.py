"""All updates of a step are one instruction, the biases' with the sums that are their gradients."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tests.benchmarks import shapes
from tinygraph import Mode, config, function, grad, shared
from tinygraph.program.instructions import Group
from tinygraph.program.text import program_text


def program_of(f):
    return next(iter(f._programs.values())).program


@pytest.fixture(autouse=True)
def threads_as_before():
    before = config.threads
    yield
    config.threads = before


def trained(target, threads=2, steps=3, mode=None):
    """A network of two layers after some steps of gradient descent: the function and its parameters' values."""
    rng = np.random.default_rng(5)
    x, y = T.fmatrix("x"), T.ivector("y")
    sizes = [(200, 320), (320, 10)]
    parameters = [shared(v.astype("float32")) for m, n in sizes for v in (rng.normal(size=(m, n)) / 9, np.zeros(n))]
    h = T.tanh(T.dot(x, parameters[0]) + parameters[1])
    p = T.nnet.softmax(T.dot(h, parameters[2]) + parameters[3])
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    config.threads = threads
    rules = [(p, p - np.float32(0.1) * g) for p, g in zip(parameters, grad(cost, parameters), strict=True)]
    f = function([x, y], cost, updates=rules, mode=mode or Mode(target=target))
    data, labels = shapes.images(128)
    costs = [f(data[:, :200].copy(), labels) for _ in range(steps)]
    return f, [np.array(costs), *[p.get_value() for p in parameters]]


def test_a_step_ends_with_one_instruction_for_its_updates():
    f, _ = trained("llvm")
    program = program_of(f)
    last = program.instructions[-1]
    assert isinstance(last, Group) and len(last.parts) >= 4  # two biases, two matrices
    summed = [part for part in last.parts if any(n.combine == "add" for n in part.nests)]
    assert len(summed) >= 2
    makers = [i for i in program.instructions if {r.buffer for r in program.updates} & set(i.writes())]
    products = [i for i in makers if isinstance(i, Group) and len(i.nests) == 1]
    assert len(makers) - len(products) == 1 and program_text(program).count("together:") == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_learns_what_it_learns_without_fusion(threads):
    _, ours = trained("llvm", threads)
    _, plain = trained("numpy", mode=Mode("none", target="numpy"))
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_threads_do_not_change_results():
    (_, one), (_, two) = trained("llvm", 1), trained("llvm", 2)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_checked_kernels_take_groups_of_parts():
    with config.change(bounds_check=True):
        _, ours = trained("llvm")
    _, plain = trained("numpy")
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
