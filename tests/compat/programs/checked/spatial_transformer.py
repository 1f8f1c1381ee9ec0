"""Bilinear sampling from an affine grid by flat gathers; the identity, and the gradient of the grid."""

import numpy as np
import theano
import theano.tensor as T
from theano import function

fx = theano.config.floatX
rng = np.random.RandomState(0)

im = T.tensor4("im")
th = T.tensor3("theta")
B, C, H, W = 2, 3, 5, 6


def _linspace(start, stop, num):
    start = T.cast(start, fx)
    stop = T.cast(stop, fx)
    num = T.cast(num, fx)
    step = (stop - start) / (num - 1)
    return T.arange(num, dtype=fx) * step + start


def _meshgrid(h, w):
    x_t = T.dot(T.ones((h, 1)), _linspace(-1.0, 1.0, w).dimshuffle("x", 0))
    y_t = T.dot(_linspace(-1.0, 1.0, h).dimshuffle(0, "x"), T.ones((1, w)))
    return T.concatenate(
        [x_t.reshape((1, -1)), y_t.reshape((1, -1)), T.ones_like(x_t.reshape((1, -1)))], axis=0
    )


def _repeat(x, n):
    rep = T.ones((n,), dtype="int32").dimshuffle("x", 0)
    x = T.dot(x.reshape((-1, 1)), rep)
    return x.flatten()


nb, ch, h, w = im.shape
T_g = T.dot(th, _meshgrid(h, w))
x_s = T_g[:, 0].flatten()
y_s = T_g[:, 1].flatten()
inp = im.dimshuffle(0, 2, 3, 1)
x = (x_s + 1) / 2 * (T.cast(w, fx) - 1)
y = (y_s + 1) / 2 * (T.cast(h, fx) - 1)
x0_f = T.floor(x)
y0_f = T.floor(y)
x1_f = x0_f + 1
y1_f = y0_f + 1
x0 = T.cast(T.clip(x0_f, 0, w - 1), "int64")
x1 = T.cast(T.minimum(x1_f, w - 1), "int64")
y0 = T.cast(T.clip(y0_f, 0, h - 1), "int64")
y1 = T.cast(T.minimum(y1_f, h - 1), "int64")
base = _repeat(T.arange(nb, dtype="int32") * w * h, h * w)
flat = inp.reshape((-1, ch))
Ia, Ib, Ic, Id = (
    flat[base + y0 * w + x0],
    flat[base + y1 * w + x0],
    flat[base + y0 * w + x1],
    flat[base + y1 * w + x1],
)
wa = ((x1_f - x) * (y1_f - y)).dimshuffle(0, "x")
wb = ((x1_f - x) * (y - y0_f)).dimshuffle(0, "x")
wc = ((x - x0_f) * (y1_f - y)).dimshuffle(0, "x")
wd = ((x - x0_f) * (y - y0_f)).dimshuffle(0, "x")
out = T.sum([wa * Ia, wb * Ib, wc * Ic, wd * Id], axis=0).reshape((nb, h, w, ch)).dimshuffle(0, 3, 1, 2)
out2 = im[T.arange(nb).dimshuffle(0, "x", "x"), :, y0.reshape((nb, h, w)), x0.reshape((nb, h, w))]
f = function([im, th], [out, T.grad((out**2).sum(), th), T.grad((out**2).sum(), im), out2])
iv = rng.rand(B, C, H, W)
tv = np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (B, 1, 1))
r = f(iv, tv)
assert np.allclose(r[0], iv) and r[3].shape == (B, H, W, C)
tv = tv * 0.7 + 0.05 * rng.randn(B, 2, 3)
r = f(iv, tv)
d = np.zeros_like(tv)
d[1, 0, 2] = 1e-6
assert np.allclose(
    r[1][1, 0, 2], ((f(iv, tv + d)[0] ** 2).sum() - (f(iv, tv - d)[0] ** 2).sum()) / 2e-6, atol=1e-4
)
