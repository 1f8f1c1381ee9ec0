"""The order of instructions: memory is freed early, Python keeps its order, and updates are one instruction."""

import numpy as np

import tinygraph as tg
import tinygraph.tensor as T
from tests.lower.test_fuse import lowered
from tinygraph import Mode, function, grad, shared
from tinygraph.lower.fuse import fuse
from tinygraph.lower.order import reduce_soon
from tinygraph.lower.plan import plan_memory
from tinygraph.program.contraction import is_product
from tinygraph.program.instructions import Group
from tinygraph.program.text import program_text
from tinygraph.updates import adam, momentum


def product(a, b):
    return T.tanh(T.dot(a, b))


def test_what_frees_memory_runs_early():
    x = T.matrix("x")
    halves = [product(x, x) for x in [x * k for k in range(2, 8)]]  # six results, each summed to one number
    program = lowered([x], [sum(T.dot(h, h).sum() for h in halves)], [(8, 8)])
    fuse(program, lambda a, b: False, in_place=False)
    assert plan_memory(program).peak <= 3 * 8 * 8 * 8 + 64 * 8  # of these never more than three matrices


def test_python_keeps_its_order(capsys):
    x = T.vector("x")
    parts = [tg.printing.Print(f"line {k}")(x * k) for k in range(6)]
    function([x], sum(parts), mode=Mode("none", target="numpy"))(np.ones(3))
    lines = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("line")]
    assert lines == sorted(lines) and len(lines) == 6


def parameters():
    rng = np.random.default_rng(0)
    return [shared(rng.standard_normal(s)) for s in ((6, 5), (5, 4), (4, 3))]


def trained(rule, target):
    ws = parameters()
    x = T.matrix("x")
    h = x
    for w in ws:
        h = product(h, w)
    f = function([x], T.sqr(h).mean(), updates=rule(T.sqr(h).mean(), ws), mode=Mode(target=target))
    for _ in range(3):
        f(np.linspace(-1, 1, 12).reshape(2, 6))
    return f, [w.get_value() for w in ws]


def test_all_updates_of_a_step_are_one_instruction():
    f, _ = trained(lambda cost, ws: [(w, w - 0.1 * g) for w, g in zip(ws, grad(cost, ws), strict=True)], "numpy")
    program = next(iter(f._programs.values())).program
    last = program.instructions[-1]
    assert isinstance(last, Group) and {r.buffer for r in program.updates} <= set(last.writes())
    assert program_text(program).count("together:") == 1


def test_rules_with_states_give_what_they_give_apart():
    for rule in (adam, lambda cost, ws: momentum(cost, ws, learning_rate=0.1)):
        _, one = trained(rule, "numpy")
        ws = parameters()
        x = T.matrix("x")
        h = x
        for w in ws:
            h = product(h, w)
        f = function([x], [], updates=rule(T.sqr(h).mean(), ws), mode=Mode("none", target="numpy"))
        for _ in range(3):
            f(np.linspace(-1, 1, 12).reshape(2, 6))
        for a, w in zip(one, ws, strict=True):
            np.testing.assert_allclose(a, w.get_value(), rtol=1e-9)


def test_an_update_that_another_result_reads_stays_where_it_is():
    w, x = shared(np.ones((3, 3))), T.matrix("x")
    new = w + x
    f = function([x], T.dot(new, new), updates=[(w, new)], mode=Mode(target="numpy"))
    np.testing.assert_array_equal(f(np.ones((3, 3))), np.full((3, 3), 12.0))
    assert (w.get_value() == 2).all()


def test_a_result_that_a_later_sum_reads_is_made_before_it():
    x, w = T.matrix("x"), shared(np.full((3, 4), 2.0))
    h = (w + x) / 2
    f = function([x], [h, T.sqr(h).mean()], updates=[(w, w - 0.5 * h)], mode=Mode(target="numpy"))
    a, b = f(np.zeros((3, 4)))
    assert (a == 1).all() and b == 1 and (w.get_value() == 1.5).all()


def kinds(program):
    """What each instruction is: a product, another map, or a reduction."""
    nests = [i.nests[0] if isinstance(i, Group) else i for i in program.instructions]
    return ["product" if is_product(n) else n.combine or "map" for n in nests]


def with_sum(shape):
    """Two products with the same matrix, and its sum last."""
    x, w, v = T.matrix("x"), T.matrix("w"), T.matrix("v")
    h = T.tanh(T.dot(x, w))
    program = lowered([x, w, v], [T.dot(h, v), T.dot(v, w), h.sum(axis=0)], [shape] * 3)
    fuse(program, lambda a, b: not is_product(a) and not is_product(b))
    return program


def test_a_sum_of_a_large_array_comes_right_behind_what_made_it():
    program = with_sum((400, 400))
    assert kinds(program) == ["product", "map", "product", "product", "add"]
    reduce_soon(program)
    assert kinds(program) == ["product", "map", "add", "product", "product"]


def test_sums_of_small_arrays_stay_where_they_are():
    program = with_sum((80, 80))
    before = list(program.instructions)
    reduce_soon(program)
    assert program.instructions == before
