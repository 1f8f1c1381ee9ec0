"""Two networks against each other, Adam written by hand, both updating their own shared variables."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.sandbox.rng_mrg import MRG_RandomStreams

theano_rng = MRG_RandomStreams(seed=234)


def init(a, b):
    return shared(0.3 * rng.randn(a, b).astype(fx))


Wg, bg, Wg2, bg2 = init(1, 16), shared(np.zeros(16, fx)), init(16, 1), shared(np.zeros(1, fx))
Wd, bd, Wd2, bd2 = init(1, 16), shared(np.zeros(16, fx)), init(16, 1), shared(np.zeros(1, fx))


def G(z):
    return T.dot(T.nnet.relu(T.dot(z, Wg) + bg), Wg2) + bg2


def D(x):
    return T.nnet.sigmoid(T.dot(T.nnet.relu(T.dot(x, Wd) + bd, alpha=0.2), Wd2) + bd2)


x = T.matrix()
z = theano_rng.uniform((64, 1), -1, 1)
fake = G(z)
d_cost = (
    T.nnet.binary_crossentropy(D(x), T.ones((64, 1))).mean()
    + T.nnet.binary_crossentropy(D(fake), T.zeros((64, 1))).mean()
)
g_cost = T.nnet.binary_crossentropy(D(fake), T.ones((64, 1))).mean()


def adam(c, ps, lr=5e-3, b1=0.5, b2=0.999):
    ups = []
    i = shared(np.asarray(0.0, fx))
    i_t = i + 1.0
    fix1 = 1.0 - b1**i_t
    fix2 = 1.0 - b2**i_t
    lr_t = lr * T.sqrt(fix2) / fix1
    for p, g in zip(ps, T.grad(c, ps)):
        m = shared(p.get_value() * 0.0)
        v = shared(p.get_value() * 0.0)
        m_t = (b1 * m) + ((1.0 - b1) * g)
        v_t = b2 * v + (1 - b2) * T.sqr(g)
        ups += [(m, m_t), (v, v_t), (p, p - lr_t * m_t / (T.sqrt(v_t) + 1e-8))]
    ups.append((i, i_t))
    return ups


td = function([x], d_cost, updates=adam(d_cost, [Wd, bd, Wd2, bd2]))
tg = function([], g_cost, updates=adam(g_cost, [Wg, bg, Wg2, bg2]))
gen = function([], fake)
k = []
for i in range(1500):
    td((3 + 0.5 * rng.randn(64, 1)).astype(fx))
    tg()
    if i > 800:
        k.append(gen().mean())
assert abs(np.mean(k) - 3) < 0.5, np.mean(k)
