"""Curvature products for second-order optimisation, by R-op, L-op, jacobian and hessian; gradient tricks."""
import numpy as np
import theano
import theano.tensor as T
from theano.gradient import disconnected_grad, grad_clip, zero_grad

rng = np.random.RandomState(0)
W, V, x = T.dmatrix('W'), T.dmatrix('V'), T.dvector('x')
y = T.dot(x, W)
JV = theano.gradient.Rop(y, W, V)
f_rop = theano.function([W, V, x], JV)
v = T.dvector('v')
VJ = T.Lop(y, W, v)
f_lop = theano.function([v, x], VJ)
Wn, Vn, xn, vn = rng.randn(3, 2), rng.randn(3, 2), rng.randn(3), rng.randn(2)
rop_value, lop_value = f_rop(Wn, Vn, xn), f_lop(vn, xn)

q = T.dvector('q')
cost = T.sum(q ** 3)
gy = T.grad(cost, q)
H, updates = theano.scan(lambda i, gy, q: T.grad(gy[i], q), sequences=T.arange(gy.shape[0]), non_sequences=[gy, q])
hessian_by_scan = theano.function([q], H, updates=updates)([4., 4.])
hessian = theano.function([q], theano.gradient.hessian(cost, q))([4., 4.])
jacobian = theano.function([q], theano.gradient.jacobian(q ** 2, q))([4., 5.])
vH = T.grad(T.sum(T.grad(cost, q) * v), q)
vector_hessian = theano.function([q, v], vH)([4., 4.], [2., 2.])
hessian_vector = theano.function([q, v], T.Rop(gy, q, v))([4., 4.], [2., 2.])


def gauss_newton_product(cost, p, v, s):
    Jv = T.Rop(s, p, v)
    HJv = T.grad(T.sum(T.grad(cost, s) * Jv), s, consider_constant=[Jv], disconnected_inputs='ignore')
    Gv = T.grad(T.sum(HJv * s), p, consider_constant=[HJv, Jv], disconnected_inputs='ignore')
    Gv = [T.as_tensor_variable(g) for g in Gv]
    return Gv


p1, p2 = theano.shared(rng.randn(4, 3), name='p1'), theano.shared(rng.randn(3, 2), name='p2')
X, t = T.dmatrix('X'), T.dmatrix('t')
s = T.dot(T.tanh(T.dot(X, p1)), p2)
loss = T.mean((s - t) ** 2)
d1, d2 = T.dmatrix('d1'), T.dmatrix('d2')
gauss_newton = theano.function([X, t, d1, d2], gauss_newton_product(loss, [p1, p2], [d1, d2], s),
                               on_unused_input='ignore')
Xn, tn, d1n, d2n = rng.randn(6, 4), rng.randn(6, 2), rng.randn(4, 3), rng.randn(3, 2)
Gv = gauss_newton(Xn, tn, d1n, d2n)

a = T.dscalar('a')
clipped = theano.function([a], T.grad(grad_clip(a, -1, 1) ** 2, a))(5.)
constant = theano.function([a], T.grad(a * disconnected_grad(a ** 2), a))(3.)
zeroed = theano.function([a], T.grad(a * zero_grad(a ** 2), a))(3.)
try:
    T.grad(a ** 2, T.dscalar('b'))
    disconnected = None
except theano.gradient.DisconnectedInputError as error:
    disconnected = str(error)
try:
    theano.function([a, q], a)
    unused = None
except theano.compile.UnusedInputError as error:
    unused = str(error)
try:
    theano.function([], a)
    missing = None
except theano.gof.MissingInputError as error:
    missing = str(error)
try:
    theano.function([q], q)(np.ones((2, 2)))
    wrong = None
except TypeError as error:
    wrong = str(error)
