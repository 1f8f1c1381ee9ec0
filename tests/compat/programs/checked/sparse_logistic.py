"""Logistic regression on sparse rows."""

import numpy as np
import theano
import theano.tensor as T
import scipy.sparse
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

import theano.sparse as sp

x = sp.csr_matrix("x", dtype=fx)
y = T.ivector()
W = shared(np.zeros((30, 2), fx))
b = shared(np.zeros(2, fx))
p = T.nnet.softmax(sp.dot(x, W) + b)
cost = T.nnet.categorical_crossentropy(p, y).mean() + 1e-4 * (W**2).sum()
gW, gb = T.grad(cost, [W, b])
f = function([x, y], cost, updates=[(W, W - gW), (b, b - gb)], allow_input_downcast=True)
X = scipy.sparse.random(60, 30, 0.2, format="csr", random_state=1)
Y = (X.toarray()[:, :10].sum(1) > X.toarray()[:, 10:20].sum(1)).astype("int32")
h = [f(X.astype(fx), Y) for i in range(300)]
assert h[0] > 0.69 and h[-1] < 0.3, h[-1]
s = sp.structured_dot(x, T.matrix("d"))
q = sp.csc_from_dense(T.matrix("e"))
sp.sp_sum(x, axis=0)
sp.transpose(x)
sp.mul(x, x)
sp.basic.add(x, x)
sp.csm_data(x), sp.csm_properties(x), sp.CSR(*sp.csm_properties(x))
x.T
x * 2
sp.as_sparse_or_tensor_variable(x)
sp.row_scale(x, T.vector())
sp.true_dot(x, x.T)
xs = shared(X.astype(fx))
assert isinstance(xs.type, sp.SparseType)
assert np.allclose(function([], sp.dot(xs, T.ones((30, 1))))(), X.sum(1))
i = T.lscalar()
sl = function([i], sp.dot(xs[i * 10 : (i + 1) * 10], T.ones((30, 1))))
assert sl(1).shape == (10, 1)
sp.dense_from_sparse(xs).eval()
xs.get_value().nnz
theano.sparse.sampling_dot(T.matrix(), T.matrix(), x)
