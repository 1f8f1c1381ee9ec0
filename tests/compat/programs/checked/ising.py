"""Gibbs sampling of the Ising model by checkerboard until the magnetisation is small; the energy against Onsager."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.tensor.shared_randomstreams import RandomStreams

srng = RandomStreams(5)
N = 12
s0 = shared(np.ones((N, N)).astype(fx))
beta = T.scalar("beta")
mask = shared((np.indices((N, N)).sum(0) % 2).astype(fx))


def half(s, m):
    nb = T.roll(s, 1, 0) + T.roll(s, -1, 0) + T.roll(s, 1, 1) + T.roll(s, -1, 1)
    p = T.nnet.sigmoid(2 * beta * nb)
    new = T.switch(srng.uniform((N, N)) < p, 1.0, -1.0)
    return T.switch(m, new, s).astype(fx)


def step(s, lo):
    s = half(half(s, mask), 1 - mask)
    m = abs(s.mean())
    return [s, m], theano.scan_module.until(T.lt(m, lo))


(ss, ms), up = theano.scan(
    step, outputs_info=[s0, None], non_sequences=[T.constant(0.02).astype(fx)], n_steps=500
)
f = function([beta], [ss[-1], ms, ss.shape[0]], updates=list(up.items()) + [(s0, ss[-1])])
s, m, n = f(0.1)
assert n == len(m) and (m[:-1] >= 0.02).all() and m[-1] < 0.02 and n < 500, (n, m[-5:])
s0.set_value(np.ones((N, N)).astype(fx))
s, m, n = f(0.7)
assert n == 500 and abs(m[50:].mean() - (1 - np.sinh(1.4) ** -4) ** 0.125) < 0.02, m[50:].mean()
