"""Memory network of two hops: embeddings of flattened words, batched_dot as attention, clipped gradients."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

V, Dm, B, M, S = 10, 8, 16, 5, 3
A = shared(0.1 * rng.randn(V, Dm).astype(fx))
C = shared(0.1 * rng.randn(V, Dm).astype(fx))
Wo = shared(0.1 * rng.randn(Dm, V).astype(fx))
TA = shared(0.1 * rng.randn(M, Dm).astype(fx))
c = T.itensor3("c")
q = T.imatrix("q")
y = T.ivector("y")
zero = np.ones((V, 1), fx)
zero[0] = 0
m = (A[c.flatten()].reshape((B, M, S, Dm))).sum(axis=2) + TA.dimshuffle("x", 0, 1)
o = C[c].sum(2) + TA
u = A[q.flatten()].reshape((B, S, Dm)).sum(axis=1)
for hop in range(2):
    p = T.nnet.softmax(T.batched_dot(m, u))
    u = u + T.batched_dot(o.dimshuffle(0, 2, 1), p)
out = T.nnet.softmax(T.dot(u, Wo))
cost = T.nnet.categorical_crossentropy(out, y).mean()
params = [A, C, Wo, TA]
gs = T.grad(cost, params)
norm = T.sqrt(T.sum([T.sum(g**2) for g in gs]))
gs = [g * T.minimum(1, 40.0 / norm) for g in gs]
f = function(
    [c, q, y],
    [cost, T.eq(out.argmax(1), y).mean()],
    updates=[
        (p, T.inc_subtensor((p - 0.5 * g)[:1], 0) if p is A else p - 0.5 * g) for p, g in zip(params, gs)
    ],
)
cv = rng.randint(1, V, (B, M, S))
cv[:, :, 2] = 0
qv = cv[:, 1].copy()
yv = cv[:, 1, 1]
h = [f(cv.astype("int32"), qv.astype("int32"), yv.astype("int32")) for i in range(500)]
assert h[-1][0] < 0.3 and h[-1][1] == 1, h[-1]
