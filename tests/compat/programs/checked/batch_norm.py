"""Batch normalisation: running averages by updates, by default updates of a clone, and the older function."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

x = T.tensor4("x")
g, b = shared(np.ones(3, fx)), shared(np.zeros(3, fx))
rm, rv = shared(np.zeros(3, fx)), shared(np.ones(3, fx))
out, m, inv, nm, nv = T.nnet.bn.batch_normalization_train(
    x, g, b, "spatial", running_average_factor=0.2, running_mean=rm, running_var=rv
)
f = function([x], out, updates=[(rm, nm), (rv, nv)])
te = function([x], T.nnet.bn.batch_normalization_test(x, g, b, rm, rv, axes="spatial"))
for i in range(60):
    f((2 + 3 * rng.randn(16, 3, 4, 4)).astype(fx))
assert (
    abs(rm.get_value() - 2).max() < 0.3
    and abs(rv.get_value() - 9).max() < 1.5
    and rm.get_value().shape == (3,)
)
z = te((2 + 3 * rng.randn(16, 3, 4, 4)).astype(fx))
assert abs(z.mean()) < 0.2 and abs(z.std() - 1) < 0.1
# Lasagne-like: default_update on a clone
mean = shared(np.zeros(4, fx), "mean")
xm = T.matrix()
r = theano.clone(mean, share_inputs=False)
r.default_update = 0.9 * r + 0.1 * xm.mean(0)
c = xm.mean(0) + 0 * r
o = function([xm], xm - c)
o(np.ones((2, 4), fx))
assert np.allclose(mean.get_value(), 0.1), mean.get_value()
o2 = T.nnet.batch_normalization(xm, T.ones(4), T.zeros(4), xm.mean(0), xm.std(0) + 1e-5, mode="high_mem")
function([xm], o2)(rng.rand(3, 4).astype(fx))
