"""What loops become: programs without copies in the loop, the same however the loop was written."""

import re

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import config, function, grad, scan, shared
from tinygraph.program.instructions import Loop, Nest
from tinygraph.program.text import program_text


@pytest.fixture(autouse=True)
def numpy_target():
    """The programs looked at here are those that the numpy target prints."""
    with config.change(target="numpy"):
        yield


def values(*shape, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 0.3).astype("float32")


def program(f):
    return next(reversed(f._programs.values())).program


def loops(f):
    return [i for i in program(f).instructions if isinstance(i, Loop)]


def work(f):
    """What the program does, line by line, whatever its buffers are called and in which order operands stand."""
    text = re.sub(r"\b(step|[a-z])\d+(_\d+)?", lambda m: m[1], program_text(program(f)))
    return sorted(
        "".join(sorted(line.replace(" ", ""))) for line in text.splitlines() if "group over" not in line
    )


class Network:
    """A recurrent network's training step, its inner products written in the step or before it."""

    def __init__(self, T_=6, B=2, V=4, H=3):
        names = dict(w_xh=(V, H), w_hh=(H, H), b_h=(H,), w_o=(H, V), b_o=(V,))
        self.params = [shared(values(*s, seed=k), n) for k, (n, s) in enumerate(names.items())]
        self.x, self.h0 = T.ftensor3("x"), T.fmatrix("h0")
        self.args = values(T_, B, V, seed=9), values(B, H, seed=8)

    def function(self, hs, ys):
        cost = T.sqr(ys).mean()
        updates = [
            (p, p - np.float32(0.1) * g) for p, g in zip(self.params, grad(cost, self.params), strict=True)
        ]
        f = function([self.x, self.h0], [cost, hs[-1]], updates=updates)
        f(*self.args)
        return f

    def all_in_the_step(self):
        w_xh, w_hh, b_h, w_o, b_o = self.params

        def step(x_t, h):
            h = T.tanh(T.dot(x_t, w_xh) + b_h + T.dot(h, w_hh))
            return h, T.dot(h, w_o) + b_o

        return self.function(*scan(step, self.x, [self.h0, None])[0])

    def products_outside(self):
        w_xh, w_hh, b_h, w_o, b_o = self.params
        steps, batch = self.x.shape[0], self.x.shape[1]
        flat = T.dot(self.x.reshape((steps * batch, self.x.shape[2])), w_xh)
        xw = flat.reshape((steps, batch, w_xh.shape[1])) + b_h
        h = scan(lambda x_t, h, w: T.tanh(x_t + T.dot(h, w)), xw, [self.h0], [w_hh])[0]
        y = T.dot(h.reshape((steps * batch, w_xh.shape[1])), w_o).reshape((steps, batch, w_o.shape[1])) + b_o
        return self.function(h, y)


def test_forward_and_backward_are_one_loop_each():
    f = Network().all_in_the_step()
    forward, backward = loops(f)
    assert not forward.backwards and backward.backwards


def test_the_loops_hold_one_product_each_and_copy_nothing():
    f = Network().all_in_the_step()
    for loop in loops(f):
        nests = [n for i in loop.body for n in getattr(i, "nests", [i])]
        assert all(isinstance(n, Nest) for n in nests)
        assert sum(n.combine == "add" for n in nests) == 1, program_text(program(f))
        assert not any(n.combine is None and n.expr.op == "load" for n in nests), program_text(program(f))


def test_two_ways_to_write_a_network_compile_to_the_same_program():
    one, other = Network().all_in_the_step(), Network().products_outside()
    assert work(one) == work(other)
    for a, b in zip(one.get_shared(), other.get_shared(), strict=True):
        np.testing.assert_allclose(a.get_value(), b.get_value(), rtol=1e-5)


def test_a_state_of_which_the_end_is_used_needs_no_history():
    x = T.fmatrix("x")
    h, _ = scan(lambda r, h: T.tanh(h + r), x, [T.zeros((100,), dtype="float32")])
    f = function([x], h[-1])
    sizes = []
    for n in (10, 1000):
        f(values(n, 100))
        sizes.append(sum(b.nbytes for b in program(f).temporaries()))
    assert sizes[0] == sizes[1]


def test_checkpoints_need_memory_for_the_square_root_of_the_steps():
    from tinygraph import scan_checkpoints
    from tinygraph.lower.plan import plan_memory

    x, w = T.fmatrix("x"), T.fmatrix("w")

    def peak(n, chunk):
        h, _ = scan_checkpoints(lambda r, h, w: T.tanh(T.dot(h, w) + r), x, [T.zeros((64,), dtype="float32")], [w],
                                save_every_N=chunk, padding=False)  # fmt: skip
        f = function([x, w], grad(h[-1].sum(), w))
        f(values(n, 64), 0.1 * values(64, 64))
        return plan_memory(program(f)).peak

    assert peak(1600, 40) < 0.1 * peak(1600, 1600)
    assert peak(1600, 40) < 2 * peak(400, 20)


def test_steps_cost_a_few_numpy_calls():
    x, w = T.fmatrix("x"), T.fmatrix("w")
    h, _ = scan(lambda r, h, w: T.tanh(T.dot(h, w) + r), x, [T.zeros((8,), dtype="float32")], [w])
    f = function([x, w], h)
    f(values(5, 8), values(8, 8))
    body = f.source().split("for (")[1].split("\n    #")[0]
    calls = [line for line in body.splitlines()[1:] if line.strip() and "#" not in line]
    assert len(calls) == 3, f.source()
