"""Masked convolutions see only what lies before."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

X = T.tensor4()
F = shared(rng.randn(4, 1, 5, 5).astype(fx))
m = np.ones((4, 1, 5, 5), fx)
m[:, :, 2, 2:] = 0
m[:, :, 3:] = 0
h = T.nnet.relu(T.nnet.conv2d(X, F * m, border_mode="half", filter_flip=False))
G = shared(rng.randn(1, 4, 3, 3))
m2 = np.ones((1, 4, 3, 3))
m2[:, :, 1, 2:] = 0
m2[:, :, 2:] = 0
o = T.nnet.conv2d(
    h,
    G * T.as_tensor_variable(m2),
    border_mode=(1, 1),
    filter_flip=False,
    input_shape=(None, 4, None, None),
    filter_shape=(1, 4, 3, 3),
)
f = function([X], T.grad(o[0, 0, 4, 3], X))
g = f(rng.randn(1, 1, 8, 8).astype(fx))[0, 0]
assert (g[4, 3:] == 0).all() and (g[5:] == 0).all() and (g[:4] != 0).any()
