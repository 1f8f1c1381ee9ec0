"""Word vectors with negative sampling, gradients of selected rows, nested inc_subtensor, against NumPy."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

V, D = 12, 4
Wi = shared(0.1 * rng.randn(V, D).astype(fx), "Wi")
Wo = shared(np.zeros((V, D), fx), "Wo")
c, o = T.ivectors("c", "o")
neg = T.imatrix("neg")
lr = T.scalar("lr")
vc, vo, vn = Wi[c], Wo[o], Wo[neg]
cost = (
    -T.log(T.nnet.sigmoid((vc * vo).sum(1))).sum()
    - T.log(T.nnet.sigmoid(-T.sum(vc.dimshuffle(0, "x", 1) * vn, axis=2))).sum()
)
g = T.grad(cost, [vc, vo, vn])
up = [
    (Wi, T.inc_subtensor(vc, -lr * g[0])),
    (Wo, T.inc_subtensor(T.inc_subtensor(Wo[o], -lr * g[1])[neg], -lr * g[2])),
]
f = function([c, o, neg, lr], cost, updates=up, allow_input_downcast=True)
wi, wo = Wi.get_value(), Wo.get_value()
cv = rng.randint(0, 6, 20)
ov = cv + 6
nv = rng.randint(0, V, (20, 5))
sg = lambda z: 1 / (1 + np.exp(-z))
gp = sg((wi[cv] * wo[ov]).sum(1)) - 1
gn = sg((wi[cv][:, None] * wo[nv]).sum(2))
gwi = gp[:, None] * wo[ov] + (gn[..., None] * wo[nv]).sum(1)
e = wi.copy()
np.add.at(e, cv, -0.1 * gwi)
eo = wo.copy()
np.add.at(eo, ov, -0.1 * gp[:, None] * wi[cv])
np.add.at(eo, nv, -0.1 * gn[..., None] * wi[cv][:, None])
f(cv, ov, nv, 0.1)
assert np.allclose(Wi.get_value(), e) and np.allclose(Wo.get_value(), eo)
for i in range(300):
    l = f(cv, ov, (ov[:, None] + 1 + rng.randint(0, V - 1, (20, 5))) % V, 0.1)
s = Wi.get_value() @ Wo.get_value().T
assert (s.argmax(1)[np.unique(cv)] == np.unique(cv) + 6).all()
