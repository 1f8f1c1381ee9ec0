"""A variational autoencoder with the reparametrised normal and the divergence in closed form."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

theano_rng = T.shared_randomstreams.RandomStreams(1)
X = (rng.rand(8, 16) > 0.5)[rng.randint(0, 8, 400)].astype(fx)
ps = {}


def W(n, a, b):
    ps["W_" + n] = shared((rng.randn(a, b) * 0.1).astype(fx), name="W_" + n)
    ps["b_" + n] = shared(np.zeros(b, fx), name="b_" + n)
    return lambda h: T.dot(h, ps["W_" + n]) + ps["b_" + n].dimshuffle("x", 0)


x = T.matrix("x")
h = T.tanh(W("h", 16, 20)(x))
mu = W("mu", 20, 3)(h)
ls = W("s", 20, 3)(h)
eps = theano_rng.normal((x.shape[0], 3))
z = mu + T.exp(0.5 * ls) * eps
xh = T.nnet.sigmoid(W("o", 20, 16)(T.nnet.softplus(W("d", 3, 20)(z))))
KL = 0.5 * T.sum(1 + ls - mu**2 - T.exp(ls), axis=1)
logpxz = -T.nnet.binary_crossentropy(xh, x).sum(axis=1)
lb = T.mean(KL + logpxz)
gs = T.grad(lb, list(ps.values()))
up = []
for p, g in zip(ps.values(), gs):
    a = shared(p.get_value() * 0 + 1e-6)
    an = a + g**2
    up += [(a, an), (p, p + 0.3 * g / T.sqrt(an))]
b = T.iscalar()
f = function([b], lb, updates=up, givens={x: shared(X)[b * 50 : (b + 1) * 50]})
hist = [np.mean([f(i) for i in range(8)]) for e in range(80)]
assert hist[0] < -9 and hist[-1] > -5.5, (hist[0], hist[-1])
