"""Ten highway layers whose gates begin closed learn to shift their input."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

x = T.matrix()
h = x
ps = []
for l in range(10):
    Wh, Wt, bt = (
        shared(0.3 * rng.randn(6, 6).astype(fx)),
        shared(0.3 * rng.randn(6, 6).astype(fx)),
        shared(np.full(6, -2.0, fx), "bt"),
    )
    ps += [Wh, Wt, bt]
    t = T.nnet.hard_sigmoid(T.dot(h, Wt) + bt)
    h = T.nnet.relu(T.dot(h, Wh)) * t + h * (1.0 - t)
cost = T.sqr(h - T.roll(x, 1, axis=1)).mean()
f = function([x], cost, updates=[(p, p - 0.3 * g) for p, g in zip(ps, T.grad(cost, ps))])
X = rng.rand(50, 6).astype(fx)
h = [f(X) for i in range(400)]
assert h[-1] < 0.5 * h[0], (h[0], h[-1])
