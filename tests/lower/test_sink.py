"""Elementwise rows that only a loop's steps read are computed in the loop; results stay."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.compile.mode import Mode
from tinygraph.lower.sink import sink_into_loops
from tinygraph.program.expr import Access, axis_index, call, cast, const, load
from tinygraph.program.instructions import Buffer, Loop, Nest, Program, Ref
from tinygraph.program.text import nest_text

STEPS, ROW = 5, 4
RNG = np.random.default_rng(2)


class Case:
    """``d[t, i] = expr(h)`` before a loop of steps ``g[i] = d[t, i] * g[i]``."""

    def __init__(self, expr=None, extents=(STEPS, ROW), strides=(ROW, 1), shift=0):
        self.h, self.d = (Buffer(k, "float32", STEPS * ROW, kind) for k, kind in enumerate(("input", "temp")))
        self.g = Buffer(2, "float32", ROW, "output")
        self.before = Nest(extents, "p" * len(extents), expr or self.one_minus(strides), Access(self.d, 0, strides))
        row = load(Access(self.d, shift, (1,), (("t", ROW),)), "float32")
        self.step = Nest((ROW,), "p", row * load(Access(self.g, 0, (1,)), "float32"), Access(self.g, 0, (1,)))
        self.loop = Loop(STEPS, "t", [self.step])

    def one_minus(self, strides):
        return const(1.0, "float32") - load(Access(self.h, 0, strides), "float32")

    def run(self, block=None, wanted=None):
        outs = [Ref(b, (b.size,), (1,)) for b in (wanted or [self.g])]
        program = Program("f", [Ref(self.h, (STEPS, ROW), (ROW, 1))], [], [], block or [self.before, self.loop], outs,
                          [], {}, [self.h, self.d, self.g])  # fmt: skip
        sink_into_loops(program)
        return program.instructions


def test_a_row_is_computed_at_its_step():
    case = Case()
    (loop,) = case.run()
    assert [nest_text(n) for n in loop.body] == [
        "for i<4: t3[i] = (1.0 - i0[i + 4*t])",
        "for i<4: o2[i] = (t3[i] * o2[i])",
    ]


def test_axes_of_the_row_may_be_merged_with_the_steps():
    case = Case(extents=(STEPS * 2, 2), strides=(2, 1))
    (loop,) = case.run()
    assert nest_text(loop.body[0]) == "for i<2, j<2: t3[2*i + j] = (1.0 - i0[2*i + j + 4*t])"


def test_a_chain_moves_as_a_whole():
    case = Case()
    early = Buffer(3, "float32", STEPS * ROW, "temp")
    first = Nest((STEPS, ROW), "pp", case.before.expr, Access(early, 0, (ROW, 1)))
    second = Nest((STEPS, ROW), "pp", -load(Access(early, 0, (ROW, 1)), "float32"), Access(case.d, 0, (ROW, 1)))
    (loop,) = case.run([first, second, case.loop])
    assert len(loop.body) == 3


@pytest.mark.parametrize("why", ["costly", "wanted", "read elsewhere", "another row", "numbered", "overwritten"])
def test_what_cannot_or_should_not_move_stays(why):
    case, wanted = Case(), None
    block = [case.before, case.loop]
    if why == "costly":
        e = case.one_minus((ROW, 1))
        for _ in range(4):
            e = call("tanh", e)
        case.before.expr = e
    elif why == "wanted":
        wanted = [case.g, case.d]
    elif why == "read elsewhere":
        block.append(Nest((ROW,), "p", load(Access(case.d, 0, (1,)), "float32"), Access(case.h, 0, (1,))))
    elif why == "another row":
        case = Case(shift=ROW)
        block = [case.before, case.loop]
    elif why == "numbered":
        case.before.expr = cast(axis_index(0), "float32")
    else:  # what it reads is written before the loop
        block.insert(1, Nest((ROW,), "p", const(0.0, "float32"), Access(case.h, 0, (1,))))
    assert case.run(list(block), wanted) == block


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 6])
def test_gated_steps_agree_with_numpys(threads, batch, monkeypatch):
    """Slices of a joint pre-activation, biases, an embedding, and the factors of all gradients."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(tinygraph.config, "threads", threads)
    n, v, steps = 24, 5, 9
    e, w, u, b, x = T.fmatrix("e"), T.fmatrix("w"), T.fmatrix("u"), T.fvector("b"), T.imatrix("x")
    start = T.zeros((x.shape[1], n), dtype="float32")

    def step(x_t, h, c):
        z = T.dot(x_t, w) + T.dot(h, u) + b
        i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return [T.nnet.sigmoid(o) * T.tanh(c), c]

    (h, _), _ = tinygraph.scan(step, sequences=[e[x]], outputs_info=[start, start])
    outputs = [h, *tinygraph.grad((h**2).sum(), [e, w, u, b])]
    shapes = [(v, n), (n, 4 * n), (n, 4 * n), (4 * n,)]
    args = [(RNG.standard_normal(s) / 4).astype("float32") for s in shapes]
    args.append(RNG.integers(0, v, (steps, batch)).astype("int32"))
    native, plain = (tinygraph.function([e, w, u, b, x], outputs, mode=Mode(target=t)) for t in ("llvm", "numpy"))
    for _ in range(2):
        for a, z in zip(native(*args), plain(*args), strict=True):
            np.testing.assert_allclose(a, z, rtol=2e-4, atol=2e-5)
