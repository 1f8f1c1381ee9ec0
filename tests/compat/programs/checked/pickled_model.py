"""A model object with its functions goes through pickle."""

import pickle
import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)


class M(object):
    def __init__(s):
        s.x = T.matrix("x")
        s.W = shared(rng.randn(3, 2), "W")
        s.y = T.dot(s.x, s.W)
        s.f = function([s.x], s.y)
        s.srng = T.shared_randomstreams.RandomStreams(3)
        s.n = s.srng.normal((2,))
        s.g = function([], s.n)

    def __getstate__(s):
        return (s.W, s.f, s.x, s.y, s.g)

    def __setstate__(s, st):
        s.W, s.f, s.x, s.y, s.g = st


globals()["M"] = M
m = M()
m.__class__.__module__ = "__main__"
M.__qualname__ = "M"
import __main__

__main__.M = M
m2 = pickle.loads(pickle.dumps(m, -1))
v = rng.rand(2, 3)
assert np.allclose(m2.f(v), m.f(v))
m2.W.set_value(np.zeros((3, 2)))
assert (m2.f(v) == 0).all()
assert np.allclose(m.g(), m2.g())
assert m2.y.owner.inputs[1] is m2.W
import copy

mm = copy.deepcopy(m.y)
