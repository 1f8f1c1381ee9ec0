"""A mixture density network on an inverse problem with several answers."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

x = T.matrix()
y = T.matrix()
K = 5
ps = [
    shared(s)
    for s in (0.5 * rng.randn(1, 20), np.zeros(20), 0.5 * rng.randn(20, 3 * K), np.linspace(-1, 1, 3 * K))
]
W1, b1, W2, b2 = ps
o = T.dot(T.tanh(T.dot(x, W1) + b1), W2) + b2
pi = T.nnet.softmax(o[:, :K])
mu = o[:, K : 2 * K]
sg = T.nnet.softplus(o[:, 2 * K :]) + 1e-3
ll = T.log(pi) - 0.5 * ((y - mu) / sg) ** 2 - T.log(sg) - 0.5 * np.log(2 * np.pi)
mx = T.max(ll, axis=1, keepdims=True)
cost = -T.mean(mx.flatten() + T.log(T.sum(T.exp(ll - mx), axis=1)))
cost = cost + 0 * theano.tensor.sum(T.sqr(W1))
up = []
for p, g in zip(ps, T.grad(cost, ps)):
    a = shared(p.get_value() * 0)
    an = 0.9 * a + 0.1 * g**2
    up += [(a, an), (p, p - 0.01 * g / T.sqrt(an + 1e-6))]
f = function([x, y], cost, updates=up)
t_ = rng.rand(300, 1)
X = t_ + 0.3 * np.sin(2 * np.pi * t_) + 0.02 * rng.randn(300, 1)
h = [f(X, t_) for i in range(1200)]
assert h[-1] < -0.5, h[-1]
