"""Which results are written over what they are computed from, and which must not be."""

import numpy as np

import tinygraph.tensor as T
from tests.lower.test_fuse import lowered
from tinygraph import Mode, function, grad, shared
from tinygraph.lower.fuse import fuse
from tinygraph.lower.plan import plan_memory
from tinygraph.program.contraction import is_product

x, w = T.matrix("x"), T.matrix("w")
g = T.dot(x, w)


def fused(outputs, updates=(), shapes=((5, 5), (5, 5))):
    program = lowered([x, w], outputs, shapes, updates)
    fuse(program, lambda a, b: True)
    return program


def test_a_gradient_becomes_the_new_value_where_it_lies():
    program = fused([], [w - 0.1 * g])
    assert {b for i in program.instructions for b in i.writes()} == {program.updates[0].buffer}
    assert plan_memory(program).peak == 0


def test_a_chain_of_results_takes_one_block():
    program = fused([T.dot(T.tanh(T.dot(T.tanh(g), w)), w)])
    assert plan_memory(program).peak <= 2 * 25 * 8 + 64


def test_a_result_takes_the_place_of_what_its_group_has_read():
    p = T.nnet.sigmoid(g)
    program = lowered([x, w], [T.gt(p, 0.5), T.dot(p - x, w)], ((5, 5), (5, 5)), ())
    fuse(program, lambda a, b: not (is_product(a) or is_product(b)))
    product, group, final = program.instructions
    (passed,) = set(program.temporaries()) - group.private  # first the product, then what the last product reads
    assert passed in product.writes() and passed in group.writes() and passed in final.reads()


def test_what_is_read_again_later_is_kept():
    program = fused([T.dot(T.tanh(g), g)])
    assert len(program.temporaries()) == 2


def test_what_is_read_turned_is_kept():
    program = fused([T.tanh(g).T - g + 0.0])
    (nest,) = program.instructions[-1].nests
    assert nest.out.buffer not in nest.reads()


def test_arguments_and_shared_variables_are_never_written():
    s = shared(np.ones((5, 5)))
    f = function([x], x * 2 + s, updates=[(s, s * 3)], mode=Mode(target="numpy"))
    value = np.ones((5, 5))
    assert (f(value) == 3).all() and (value == 1).all() and (s.get_value() == 3).all()


def test_training_steps_give_the_same_parameters():
    rng = np.random.default_rng(0)
    start, data = rng.standard_normal((5, 5)), rng.standard_normal((4, 5))
    found = []
    for mode in (Mode(target="numpy"), Mode("none", target="numpy")):
        p, v = shared(start), shared(start * 0)
        moved = 0.9 * v - 0.1 * grad(T.sqr(T.tanh(T.dot(x, p))).sum(), p)
        f = function([x], [], updates=[(v, moved), (p, p + moved)], mode=mode)
        for _ in range(3):
            f(data)
        found.append(p.get_value())
    a, b = data, start
    speed = 0 * start
    for _ in range(3):
        h = np.tanh(a @ b)
        speed = 0.9 * speed - 0.1 * (a.T @ (2 * h * (1 - h * h)))
        b = b + speed
    np.testing.assert_allclose(found[0], b)
    np.testing.assert_allclose(found[1], b)
