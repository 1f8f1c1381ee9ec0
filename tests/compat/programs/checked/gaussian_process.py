"""Likelihood of a Gaussian process in three ways against SciPy; gradients of matrix functions."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.tensor import slinalg, nlinalg

X = T.matrix("X")
y = T.vector("y")
ell = shared(0.0, "ell")
s = shared(-1.0, "s")
D = ((X[:, None, :] - X[None, :, :]) ** 2).sum(2)
K = T.exp(-D / (2 * T.exp(2 * ell))) + T.exp(2 * s) * T.eye(X.shape[0])
L = slinalg.cholesky(K)
alpha = slinalg.solve_upper_triangular(L.T, slinalg.solve_lower_triangular(L, y))
nll = 0.5 * T.dot(y, alpha) + T.sum(T.log(T.diag(L))) + 0.5 * y.shape[0] * np.log(2 * np.pi)
nll2 = (
    0.5 * T.dot(y, T.dot(nlinalg.matrix_inverse(K), y))
    + 0.5 * T.log(nlinalg.det(K))
    + 0.5 * y.shape[0] * np.log(2 * np.pi)
)
nll3 = 0.5 * (T.dot(y, slinalg.solve(K, y)) + T.log(abs(nlinalg.det(K))) + y.shape[0] * np.log(2 * np.pi))
Xv = rng.rand(8, 2) * 3
yv = rng.randn(8)
f = function(
    [X, y], [nll, nll2, nll3] + T.grad(nll, [ell, s]) + T.grad(nll2, [ell, s]) + T.grad(nll3, [ell, s])
)
r = f(Xv, yv)
from scipy.stats import multivariate_normal as mn

Kn = np.exp(-((Xv[:, None] - Xv[None]) ** 2).sum(2) / 2) + np.exp(-2) * np.eye(8)
assert (
    np.allclose(r[:3], -mn(np.zeros(8), Kn).logpdf(yv))
    and np.allclose(r[3:5], r[5:7])
    and np.allclose(r[3:5], r[7:9])
)
A = T.matrix("A")
S = T.dot(A, A.T) + T.eye(4)
av = rng.randn(4, 4)
for fn in (
    lambda A: nlinalg.eigh(S_(A))[0].sum(),
    lambda A: slinalg.expm(A / 4),
    lambda A: nlinalg.det(A),
    lambda A: nlinalg.pinv(S_(A)),
    lambda A: nlinalg.trace(T.dot(A, A)),
    lambda A: slinalg.kron(A, A),
    lambda A: T.nlinalg.matrix_dot(A, A, A),
    lambda A: nlinalg.matrix_power(A, 3),
    lambda A: slinalg.Cholesky(lower=False)(S_(A)),
    lambda A: T.nlinalg.norm(A, "fro"),
    lambda A: slinalg.Solve(A_structure="lower_triangular", lower=True)(slinalg.cholesky(S_(A)), A),
    lambda A: nlinalg.alloc_diag(nlinalg.extract_diag(A)),
    lambda A: nlinalg.tensorinv(A.reshape((2, 2, 2, 2))),
    lambda A: nlinalg.tensorsolve(S_(A).reshape((2, 2, 2, 2)), A[:2, :2]),
):
    S_ = lambda A: T.dot(A, A.T) + T.eye(4)
    theano.gradient.verify_grad(fn, [av], rng=np.random.RandomState(1), eps=1e-6, abs_tol=1e-3, rel_tol=1e-3)
function([A], nlinalg.qr(A))(av)
function([A], nlinalg.qr(A, mode="r"))(av)
function([A], nlinalg.lstsq(A, A, 0.0))(av)
function([A], nlinalg.eig(S))(av)
function([A], slinalg.eigvalsh(S, T.eye(4)))(av)
function([A], T.nlinalg.svd(A, full_matrices=0))(av)
function([A], slinalg.expm(A))
