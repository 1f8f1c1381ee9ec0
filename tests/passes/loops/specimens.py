"""One loop for each pass on loops: what it is to change, and beside it near misses that it must leave alone."""

from dataclasses import dataclass, field

import numpy as np

import tinygraph.tensor as T
from tinygraph import grad, scan, until
from tinygraph.passes import loops
from tinygraph.scan.inner import InnerGraph
from tinygraph.scan.op import Scan
from tinygraph.scan.spec import ScanSpec, State


@dataclass
class Specimen:
    """``build(*inputs) -> outputs``; ``passes`` run on it; ``shapes`` of float64 arguments (ints: their value)."""

    build: object
    passes: list
    shapes: dict
    misses: list = field(default_factory=list)


SPECIMENS = {}


def specimen(name, passes, **shapes):
    def register(build):
        SPECIMENS[name] = Specimen(build, passes, shapes)
        return build

    return register


def miss(name):
    def register(build):
        SPECIMENS[name].misses.append(build)
        return build

    return register


@specimen("invariant", [loops.outside.before], x=(4,), w=(3, 3))
def _(x, w):
    """Made by hand: ``scan`` itself leaves no such work inside."""
    e, s, a = T.dscalar("e"), T.dscalar("s"), T.dmatrix("a")
    op = Scan(ScanSpec(1, (State((1,)),), (), 1), InnerGraph([e, s, a], [s * e + T.exp(a).sum()]))
    return [op(x.shape[0], x, T.ones((1,)), w)[1:]]


@specimen("product_before_the_loop", [loops.outside.before], x=(5, 2, 3), w=(3, 4))
def _(x, w):
    return [scan(lambda r, h, w: T.tanh(h + T.dot(r, w)), x, [T.zeros((2, 4))], [w])[0]]


@miss("product_before_the_loop")
def _(x, w):
    return [scan(lambda r, h: T.tanh(T.dot(h, w)[:, :3] + r), x, [T.zeros((2, 3))])[0]]


@specimen("output_layer", [loops.outside.after], x=(5, 2, 3), w=(3, 4))
def _(x, w):
    def step(r, h):
        h = T.tanh(h + r)
        return h, T.nnet.softmax(T.dot(h, w))

    return [scan(step, x, [T.zeros((2, 3)), None])[0][1]]


@miss("output_layer")
def _(x, w):
    def step(r, h):
        h = T.tanh(h + T.dot(r, w)[:, :3])
        return h, until(h.sum() > 100)

    return [scan(step, x, [T.zeros((2, 3))])[0]]


@specimen("weight_gradients", [loops.outside.after], x=(5, 2, 3), w=(3, 3))
def _(x, w):
    """The gradient loop adds up h[t-1].T @ da[t]; after the loop it is one product."""
    h = scan(lambda r, h: T.tanh(T.dot(h, w) + r), x, [T.zeros((2, 3))])[0]
    return [grad(T.sqr(h).sum(), w)]


@specimen("outer_products", [loops.outside.after], x=(5, 3), w=(3, 3))
def _(x, w):
    h = scan(lambda r, h: T.tanh(T.dot(h, w) + r), x, [T.zeros((3,))])[0]
    return [grad(T.sqr(h).sum(), w)]


@specimen("embedding_gradients", [loops.outside.after], x=(6, 2), w=(3, 2))
def _(x, w):
    """Rows of a table, picked at each step: their gradients go into one array of zeros."""
    at = T.cast(T.abs(x) * 5, "int64") % 3
    h = scan(lambda i, h: T.tanh(h + w[i]), at, [T.zeros((2, 2))])[0]
    return [grad(T.sqr(h).sum(), w)]


@specimen("last_step", [loops.keep.keep], x=(5, 3))
def _(x):
    return [scan(lambda r, h: T.tanh(h + r), x, [T.zeros((3,))])[0][-1]]


@miss("last_step")
def _(x):
    h = scan(lambda r, h: T.tanh(h + r), x, [T.zeros((3,))])[0]
    return [h[-1] + h.sum(axis=0)]


@miss("last_step")
def _(x):
    return [scan(lambda r, h: T.tanh(h + r), x, [T.zeros((3,))])[0][-2:]]  # of one step it is one row


@specimen("last_steps_with_taps", [loops.keep.keep], x=(5,), init=(2,))
def _(x, init):
    y = scan(lambda e, a, b: a + b * e, x, [dict(initial=init, taps=[-2, -1])])[0]
    return [y[-1] * y[-3]]


@specimen("one_range", [loops.merge.merge], x=(5, 3), y=(5, 3))
def _(x, y):
    n = x.shape[0]
    a = scan(lambda r, h: T.tanh(h + r), x, [T.zeros((3,))], n_steps=n)[0]
    b = scan(lambda r, h: h * r, y, [T.ones((3,))], n_steps=n)[0]
    return [a, b]


@miss("one_range")
def _(x, y):
    a = scan(lambda r, h: T.tanh(h + r), x, [T.zeros((3,))])[0]
    return [scan(lambda r, h: h * r, a, [T.ones((3,))], n_steps=x.shape[0])[0]]  # it needs the other


@miss("one_range")
def _(x, y):
    a = scan(lambda r, h: T.tanh(h + r), x, [T.zeros((3,))])[0]
    return [a, scan(lambda r, h: h * r, y, [T.ones((3,))])[0]]  # other lengths, for all one knows


@specimen("equal_states", [loops.tidy.tidy], x=(5,))
def _(x):
    (a, b, c) = scan(lambda e, s, t: (s + e, t + e, s * t), x, [0.0, 0.0, None])[0]
    return [a, b, c]


@specimen("unused_output", [loops.tidy.tidy], x=(5,))
def _(x):
    (a, b, c) = scan(lambda e, s, t: (s + e, t * e, T.exp(e)), x, [0.0, 1.0, None])[0]
    return [a]


@specimen("a_sequence_that_stays_the_same", [loops.tidy.tidy], x=(5,), w=(3,))
def _(x, w):
    many = T.alloc(w, x.shape[0], 3)
    return [scan(lambda e, r, s: s + e * r, [x, many], [T.zeros((3,))])[0]]


@specimen("step_in_normal_form", [loops.tidy.step], x=(5,))
def _(x):
    return [scan(lambda e, s: T.log(T.exp(s)) + e * 1 + 0, x, [0.5])[0]]


@specimen("regrouped_sum", [loops.outside.before], x=(5, 3), y=(5, 3))
def _(x, y):
    return [scan(lambda a, b, s: (s * s + a) + b, [x, y], [T.zeros((3,))], n_steps=x.shape[0])[0]]


def arguments(shapes):
    """Symbolic inputs of a specimen, and values for them."""
    rng = np.random.default_rng(5)
    variables, values = [], []
    for name, shape in shapes.items():
        variables.append(T.TensorType("float64", (None,) * len(shape))(name))
        values.append(rng.normal(size=shape) * 0.7)
    return variables, values


__all__ = ["SPECIMENS", "Specimen", "arguments"]
