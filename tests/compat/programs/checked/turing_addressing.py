"""Content and location addressing of a Turing machine, a strict scan for the shift, against differences."""

import numpy as np
import theano
import theano.tensor as T
import scipy.linalg
from theano import function

fx = theano.config.floatX
rng = np.random.RandomState(0)

N, M = 6, 4
Mem = T.matrix("M")
k = T.vector("k")
beta = T.scalar()
gg = T.scalar()
s = T.vector("s")
gam = T.scalar()
wp = T.vector()


def cos(k, M):
    return T.dot(M, k) / T.sqrt(T.sum(M**2, axis=1) * T.sum(k**2) + 1e-12)


wc = T.nnet.softmax(beta * cos(k, Mem)).flatten()
wg = gg * wc + (1 - gg) * wp
idx = theano.tensor.constant(scipy.linalg.circulant(np.arange(N)).T[np.arange(-1, 2)].T)
ws = theano.scan(
    lambda i, w, s: T.dot(w[(i + T.arange(-1, 2)) % N], s),
    sequences=T.arange(N),
    non_sequences=[wg, s],
    strict=True,
)[0]
w = ws**gam / T.sum(ws**gam)
e = T.vector()
a = T.vector()
M2 = Mem * (1 - T.outer(w, e)) + w.dimshuffle(0, "x") * a.dimshuffle("x", 0)
r = T.dot(w, M2)
inp = [Mem, k, beta, gg, s, gam, wp, e, a]
f = function(inp, [w, M2, r] + T.grad(r.sum() + w[2], [Mem, k, beta, gg, s, gam]))
v = [
    rng.rand(N, M),
    rng.randn(M),
    2.0,
    0.7,
    np.array([0.1, 0.8, 0.1]),
    1.5,
    np.eye(N)[1],
    rng.rand(M),
    rng.rand(M),
]
out = f(*v)
assert np.isclose(out[0].sum(), 1)
for i, g in zip(range(6), out[3:]):
    d = [np.copy(q) for q in v]
    u = [np.copy(q) for q in v]
    d[i] = d[i] - 1e-6 * np.ones_like(d[i])
    u[i] = u[i] + 1e-6
    h = lambda q: q[2].sum() + q[0][2]
    assert np.allclose((h(f(*u)) - h(f(*d))) / 2e-6, np.sum(g), atol=1e-5), i
theano.gradient.verify_grad(
    lambda M, k: T.dot(T.nnet.softmax(cos(k, M)), M), [v[0], v[1]], rng=np.random.RandomState(1)
)
