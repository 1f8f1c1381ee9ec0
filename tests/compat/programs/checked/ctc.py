"""Connectionist temporal classification by scan over the forward variables, against all paths."""

import numpy as np
import theano
import theano.tensor as T
from theano import function

fx = theano.config.floatX
rng = np.random.RandomState(0)

# log-domain forward in scan against brute force
import itertools

Tn, L, Y = 5, 4, [1, 2, 2]
probs = T.matrix()
lab = T.ivector()
blanked = T.set_subtensor(T.zeros(2 * lab.shape[0] + 1, "int32")[1::2], lab)
n = blanked.shape[0]
sk = T.concatenate(
    [T.zeros(2), T.cast(T.neq(blanked[2:], blanked[:-2]), fx) * T.cast(T.neq(blanked[2:], 0), fx)]
)
rec = T.eye(n) + T.eye(n, k=1) + T.eye(n, k=2) * sk.dimshuffle("x", 0)
pred = probs[:, blanked]
a, _u = theano.scan(
    lambda p, a_, r: p * T.dot(a_, r),
    sequences=pred,
    outputs_info=[T.set_subtensor(T.zeros((n,))[0], 1.0)],
    non_sequences=rec,
)
tot = T.sum(a[-1, -2:])
cost = -T.log(tot)
f = function([probs, lab], [tot, T.grad(cost, probs)], allow_input_downcast=True)
P = rng.rand(Tn, L)
P /= P.sum(1, keepdims=True)


def brute(P):
    s = 0
    for path in itertools.product(range(L), repeat=Tn):
        c = [k for k, _ in itertools.groupby(path) if k]
        if c == Y:
            s += np.prod(P[np.arange(Tn), path])
    return s


v, g = f(P, np.array(Y, "int32"))
assert np.allclose(v, brute(P)), (v, brute(P))
d = np.zeros_like(P)
d[2, 2] = 1e-6
assert np.allclose(g[2, 2], -(np.log(brute(P + d)) - np.log(brute(P - d))) / 2e-6)
from theano.tensor.nnet.ctc import ctc

act = T.ftensor3()
c2 = ctc(act, T.imatrix("l"), T.ivector("n"))
