"""scipy.optimize over flattened parameters; conjugate gradients through Rop."""

import numpy as np, scipy.optimize
import theano
import theano.tensor as T

fx = theano.config.floatX
rng = np.random.RandomState(0)
X = rng.randn(200, 5).astype(fx)
wt = rng.randn(5, 3)
Y = (X @ wt + 0.3 * rng.randn(200, 3)).argmax(1).astype("int32")
n_in, n_out = 5, 3
theta = theano.shared(np.zeros(n_in * n_out + n_out, dtype=fx), name="theta", borrow=True)
W = theta[0 : n_in * n_out].reshape((n_in, n_out))
b = theta[n_in * n_out : n_in * n_out + n_out]
x = T.matrix("x")
y = T.ivector("y")
idx = T.lscalar()
p = T.nnet.softmax(T.dot(x, W) + b)
cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y]) + 1e-3 * T.sum(T.sqr(theta))
sx = theano.shared(X)
sy = theano.shared(Y)
B = 50
batch_cost = theano.function(
    [idx], cost, givens={x: sx[idx * B : (idx + 1) * B], y: sy[idx * B : (idx + 1) * B]}, name="batch_cost"
)
batch_grad = theano.function(
    [idx],
    T.grad(cost, theta),
    givens={x: sx[idx * B : (idx + 1) * B], y: sy[idx * B : (idx + 1) * B]},
    name="batch_grad",
)


def train_fn(th):
    theta.set_value(th, borrow=True)
    return np.mean([batch_cost(i) for i in range(4)])


def train_grad(th):
    theta.set_value(th, borrow=True)
    g = batch_grad(0)
    for i in range(1, 4):
        g += batch_grad(i)
    return g / 4


best = scipy.optimize.fmin_cg(f=train_fn, x0=np.zeros(18, dtype=fx), fprime=train_grad, disp=0, maxiter=200)
cgv = train_fn(best)
th0 = np.zeros(18, fx)
tv = T.vector("tv")
costv = theano.clone(cost, {theta: tv})
fg = theano.function([tv], [costv, T.grad(costv, tv)], givens=[(x, sx), (y, sy)], allow_input_downcast=True)
res = scipy.optimize.fmin_l_bfgs_b(
    lambda t: [np.float64(v) if np.ndim(v) == 0 else v.astype("float64") for v in fg(t)], th0
)
assert abs(cgv - res[1]) < 1e-5
assert scipy.optimize.check_grad(lambda t: fg(t)[0], lambda t: fg(t)[1], rng.randn(18)) < 1e-5
# newton-cg with hessian-vector product in three ways
v = T.vector("v")
g = T.grad(costv, tv)
hv = [
    T.Rop(g, tv, v),
    T.Lop(g, tv, v),
    T.grad(T.sum(g * v), tv),
    T.dot(theano.gradient.hessian(costv, tv), v),
]
fh = theano.function([tv, v], hv, givens=[(x, sx), (y, sy)])
t0, v0 = rng.randn(18), rng.randn(18)
vals = fh(t0, v0)
num = (fg(t0 + 1e-5 * v0)[1] - fg(t0 - 1e-5 * v0)[1]) / 2e-5
for q in vals:
    assert np.allclose(q, num, atol=1e-7), (q, num)
r = scipy.optimize.minimize(
    lambda t: fg(t)[0], th0, jac=lambda t: fg(t)[1], hessp=lambda t, d: fh(t, d)[0], method="Newton-CG"
)
assert abs(r.fun - res[1]) < 1e-6
