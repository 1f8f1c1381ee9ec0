"""Ops of one's own inside loops, with first and second derivatives; those without a gradient say so."""

import numpy as np
import theano
import theano.tensor as T
from theano import function

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.gof import Op, Apply


class Cube(Op):
    __props__ = ("scale",)

    def __init__(self, scale=1.0):
        self.scale = scale
        super(Cube, self).__init__()

    def make_node(self, x, *rest):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [T.TensorType(x.dtype, x.broadcastable)()])

    def perform(self, node, inputs, output_storage):
        (x,) = inputs
        z = output_storage[0]
        if z[0] is None or z[0].shape != x.shape:
            z[0] = np.empty_like(x)
        z[0][...] = self.scale * x**3

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def grad(self, inputs, g):
        return [3 * self.scale * inputs[0] ** 2 * g[0]]

    def R_op(self, inputs, ev):
        return [None] if ev[0] is None else [3 * self.scale * inputs[0] ** 2 * ev[0]]

    def connection_pattern(self, node):
        return [[True]]

    def c_code_cache_version(self):
        return (1,)

    def __str__(self):
        return "Cube{%s}" % self.scale


x = T.vector()
o, u = theano.scan(lambda h: Cube(0.5)(h) + 0.1, outputs_info=x, n_steps=3)
g = T.grad(o[-1].sum(), x)
R = T.Rop(o[-1], x, T.ones_like(x))
H = theano.gradient.hessian(o[-1].sum(), x)
f = function([x], [o[-1], g, R, H])
v = np.array([0.3, 0.7, 1.1])
r = f(v)
F = lambda v: f(v)[0]
n = (F(v + 1e-6) - F(v - 1e-6)) / 2e-6
assert (
    np.allclose(r[1], n)
    and np.allclose(r[2], n)
    and np.allclose(np.diag(r[3]), (f(v + 1e-5)[1] - f(v - 1e-5)[1]) / 2e-5, atol=1e-5)
)
assert Cube(1.0) == Cube(1.0) and Cube(1.0) != Cube(2.0) and hash(Cube(1.0)) == hash(Cube(1.0))
theano.gradient.verify_grad(Cube(2.0), [v], rng=np.random.RandomState(1))
theano.tests.unittest_tools.verify_grad(Cube(2.0), [v])


class T1(theano.tests.unittest_tools.InferShapeTester):
    def runTest(self):
        pass


tt = T1()
tt.setUp()
m = T.dmatrix()
tt._compile_and_check([m], [Cube()(m)], [rng.rand(3, 4)], Cube)


@theano.compile.ops.as_op(
    itypes=[T.dmatrix, T.dvector], otypes=[T.dvector], infer_shape=lambda node, s: [(s[0][0],)]
)
def np_dot(a, b):
    return a.dot(b)


A = T.dmatrix()
assert np.allclose(function([A, x], np_dot(A, x))(np.eye(3), v), v)


class NoGrad(Op):
    itypes = [T.dvector]
    otypes = [T.dscalar]

    def perform(self, node, i, o):
        o[0][0] = np.array(i[0].sum())


try:
    T.grad(NoGrad()(x), x)
    raise AssertionError
except (NotImplementedError, theano.gradient.NullTypeGradError):
    pass


class Und(NoGrad):
    def grad(self, i, g):
        return [theano.gradient.grad_undefined(self, 0, i[0], "nope")]


try:
    T.grad(Und()(x), x)
    raise AssertionError
except theano.gradient.NullTypeGradError:
    pass


class Disc(Op):
    def make_node(self, a, b):
        return Apply(self, [T.as_tensor_variable(a), T.as_tensor_variable(b)], [T.dvector(), T.lscalar()])

    def perform(self, node, i, o):
        o[0][0] = i[0] * 2
        o[1][0] = np.asarray(len(i[1]))

    def connection_pattern(self, node):
        return [[True, False], [False, True]]

    def L_op(self, i, out, g):
        return [g[0] * 2, theano.gradient.DisconnectedType()()]


y = T.dvector()
assert np.allclose(function([x, y], T.grad(Disc()(x, y)[0].sum(), x), on_unused_input="ignore")(v, v), 2)
