"""Models that choose by ifelse: by a scalar, of several results, with gradients, inside a loop."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.ifelse import ifelse

a, b = T.scalars("a", "b")
x, y = T.matrices("x", "y")
z = ifelse(T.lt(a, b), T.mean(x), T.mean(y))
f = function([a, b, x, y], z, mode=theano.Mode(linker="vm"))
assert f(0.0, 1.0, np.zeros((2, 2)), np.ones((2, 2))) == 0
p, q = ifelse(T.eq(a, 0), [x * 2, y], [y, x])
g = function([a, x, y], T.grad((p * q).sum(), x))
g(0.0, np.ones((2, 2)), np.ones((2, 2)))
flag = shared(0)
o = ifelse(flag, x / x, x * 1)
h = function([x], o)
assert h(np.zeros((1, 1)))[0, 0] == 0
flag.set_value(1)
assert np.isnan(h(np.zeros((1, 1)))[0, 0])
it = T.iscalar()
r, _ = theano.scan(
    lambda i, s: ifelse(T.eq(i % 2, 0), s + 1.0, s * 2.0),
    sequences=T.arange(it),
    outputs_info=T.constant(1.0, dtype=fx),
)
assert function([it], r[-1])(4) == 10
