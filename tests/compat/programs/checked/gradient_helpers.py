"""What changes gradients on their way, against hand calculation."""

import numpy as np
import theano
import theano.tensor as T
from theano import function

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.gradient import (
    zero_grad,
    disconnected_grad,
    grad_clip,
    grad_scale,
)

x = T.scalar()
f = function(
    [x],
    [
        T.grad(zero_grad(x) * x, x),
        T.grad(disconnected_grad(x) * x, x),
        T.grad(grad_clip(x**2, -1, 1) * 3, x),
        T.grad(grad_scale(x**2, -0.5), x),
    ],
)
assert [float(q) for q in f(3.0)] == [3, 3, 6, -3]
v = T.vector()
c = (v**2).sum()
r = T.grad(c, v, consider_constant=[v], disconnected_inputs="ignore")
known = T.grad(None, v, known_grads={c: T.constant(2.0)})
assert np.allclose(function([v], known)([1.0, 2]), [4, 8])
g = T.grad(c, [v])
assert isinstance(g, list)
g = T.grad(c, (v,))
assert isinstance(g, tuple)
g2 = T.grad(c, wrt=v, add_names=True)
J = function([v], [theano.gradient.jacobian(v**2, v), theano.gradient.jacobian(v**2, [v])[0], g2])([1.0, 2])
assert np.allclose(J[0], np.diag([2, 4])) and np.allclose(J[1], J[0]) and np.allclose(J[2], [2, 4])


class ConsiderId(theano.compile.ViewOp):
    def grad(self, args, g_outs):
        return [-g for g in g_outs]


rev = ConsiderId()
assert np.allclose(function([v], T.grad((rev(v) ** 2).sum(), v))([1.0]), -2)
