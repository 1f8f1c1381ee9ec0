"""Transposed convolutions, gradient ops, three dimensions, pooling, neighbourhoods, under old and new names."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.tensor.nnet import abstract_conv as ac

W = shared(rng.randn(4, 3, 4, 4))
Z = T.tensor4()
up = ac.conv2d_grad_wrt_inputs(
    Z, W, input_shape=(None, 3, 8, 8), filter_shape=(4, 3, 4, 4), border_mode=(1, 1), subsample=(2, 2)
)
f = function([Z], [up, T.grad((up**2).sum(), W)])
zv = rng.randn(2, 4, 4, 4)
r = f(zv)
assert r[0].shape == (2, 3, 8, 8)
x = T.tensor4()
cv = T.nnet.conv2d(x, W, border_mode=(1, 1), subsample=(2, 2))
xv = rng.randn(2, 3, 8, 8)
assert np.isclose((function([x], cv)(xv) * zv).sum(), (r[0] * xv).sum())
op = ac.AbstractConv2d_gradInputs(imshp=None, kshp=None, border_mode="half", subsample=(2, 2))
o = op(W.dimshuffle(0, 1, 2, 3)[:, :, :3, :3], Z, T.stack([8, 8]))
assert function([Z], o)(zv).shape == (2, 3, 8, 8)
op = ac.AbstractConv2d(
    imshp=(None, 3, 8, 8), kshp=(4, 3, 4, 4), border_mode="valid", subsample=(1, 1), filter_flip=True
)
assert function([x], op(x, W))(xv).shape == (2, 4, 5, 5)
gw = ac.conv2d_grad_wrt_weights(x, Z, (4, 3, 4, 4), border_mode=(1, 1), subsample=(2, 2))
assert np.allclose(function([x, Z], gw)(xv, zv), function([x, Z], T.grad((cv * Z).sum(), W))(xv, zv))
ac.bilinear_upsampling(x, ratio=2)
T.nnet.abstract_conv.bilinear_kernel_2D(3)
v = T.tensor5()
K = shared(rng.randn(2, 3, 2, 3, 3))
o = T.nnet.conv3d(v, K, border_mode="valid")
vv = rng.randn(1, 3, 4, 6, 6)
assert np.isclose(
    function([v], o)(vv)[0, 1, 1, 2, 3],
    (vv[0, :, 1:3, 2:5, 3:6] * K.get_value()[1, :, ::-1, ::-1, ::-1]).sum(),
)
function([v], T.grad(o.sum(), [K, v]))(vv)
p3 = T.signal.pool.pool_3d(v, ws=(2, 2, 2), ignore_border=True)
function([v], p3)(vv)
function(
    [x],
    T.signal.pool.pool_2d(
        x, ds=(2, 2), st=(1, 1), ignore_border=True, padding=(0, 0), mode="average_exc_pad"
    ),
)(xv)
from theano.tensor.signal import downsample, conv

function([x], downsample.max_pool_2d(x, ds=(2, 2), ignore_border=True))(xv)
mat = T.matrix()
function([mat], conv.conv2d(mat, mat[:2, :2]))(rng.rand(4, 4))
from theano.tensor.nnet.neighbours import images2neibs, neibs2images

n = images2neibs(x, neib_shape=(2, 2))
r = function([x], [n, neibs2images(n, (2, 2), x.shape)])(xv)
assert (
    np.allclose(r[1], xv) and r[0].shape == (2 * 3 * 16, 4) and np.allclose(r[0][0], xv[0, 0, :2, :2].ravel())
)
n2 = images2neibs(x, (3, 3), neib_step=(1, 1), mode="ignore_borders")
function([x], T.grad((n2**2).sum(), x))(xv)
from theano.tensor.nnet import conv as oldconv

function([x], oldconv.conv2d(x, W, image_shape=(2, 3, 8, 8), filter_shape=(4, 3, 4, 4), subsample=(2, 2)))(xv)
