"""Ops written in Theano's way: properties, itypes and otypes, gradients, R_op, shapes, several outputs; used in scan."""
import numpy
import theano
import theano.tensor as T
from theano import gof
from theano.compile.ops import as_op
from theano.gradient import DisconnectedType
from theano.tests import unittest_tools as utt


class DoubleOp1(theano.Op):
    __props__ = ()

    def make_node(self, x):
        x = theano.tensor.as_tensor_variable(x)
        return theano.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        x = inputs[0]
        z = output_storage[0]
        z[0] = x * 2

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, inputs, output_grads):
        return [output_grads[0] * 2]

    def R_op(self, inputs, eval_points):
        if eval_points[0] is None:
            return eval_points
        return self.grad(inputs, eval_points)


class DoubleOp2(theano.Op):
    __props__ = ()
    itypes = [theano.tensor.dmatrix]
    otypes = [theano.tensor.dmatrix]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = inputs[0] * 2

    def grad(self, inputs, output_grads):
        return [output_grads[0] * 2]


class AXPBOp(gof.Op):
    """a * x + b, with a and b as properties."""
    __props__ = ("a", "b")

    def __init__(self, a, b):
        self.a = a
        self.b = b
        super(AXPBOp, self).__init__()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return gof.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = self.a * inputs[0] + self.b

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, inputs, output_grads):
        return [self.a * output_grads[0]]


class SumDiffOp(theano.Op):
    """x + y and x - y."""
    __props__ = ()

    def make_node(self, x, y):
        x, y = T.as_tensor_variable(x), T.as_tensor_variable(y)
        outdim = x.ndim
        output = T.TensorType(dtype=theano.scalar.upcast(x.dtype, y.dtype), broadcastable=[False] * outdim)
        return gof.Apply(self, inputs=[x, y], outputs=[output(), output()])

    def perform(self, node, inputs, output_storage):
        x, y = inputs
        z1, z2 = output_storage
        z1[0] = x + y
        z2[0] = x - y

    def infer_shape(self, node, i0_shapes):
        return [i0_shapes[0], i0_shapes[0]]

    def grad(self, inputs, output_grads):
        og1, og2 = output_grads
        if isinstance(og1.type, DisconnectedType):
            og1 = theano.tensor.zeros_like(inputs[0])
        if isinstance(og2.type, DisconnectedType):
            og2 = theano.tensor.zeros_like(inputs[0])
        return [og1 + og2, og1 - og2]


@as_op(itypes=[theano.tensor.fmatrix, theano.tensor.fmatrix], otypes=[theano.tensor.fmatrix])
def numpy_add(a, b):
    return numpy.add(a, b)


def infer_shape_numpy_dot(node, input_shapes):
    ashp, bshp = input_shapes
    return [ashp[:-1] + bshp[-1:]]


@as_op(itypes=[theano.tensor.fmatrix, theano.tensor.fmatrix], otypes=[theano.tensor.fmatrix],
       infer_shape=infer_shape_numpy_dot)
def numpy_dot(a, b):
    return numpy.dot(a, b)


class ArgSortDescending(theano.Op):
    """An op without a gradient by design, whose size nobody infers."""
    __props__ = ()
    itypes = [T.dvector]
    otypes = [T.lvector]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = numpy.argsort(-inputs[0])


x = theano.tensor.matrix(dtype='float64')
inp = numpy.random.RandomState(0).rand(5, 4)
doubled = theano.function([x], DoubleOp1()(x))(inp)
doubled2 = theano.function([x], DoubleOp2()(x))(inp)
double_mult4 = theano.function([x], AXPBOp(4, 1)(AXPBOp(2, 0)(x)))(inp)
gradient = theano.function([x], T.grad((DoubleOp1()(x) ** 2).sum(), x))(inp)
shape_only = theano.function([x], DoubleOp1()(x).shape[0] + 1)(inp)

v = T.dmatrix('v')
rop = theano.function([x, v], T.Rop(DoubleOp1()(x) ** 2, x, v))(inp, inp + 1)

y = T.dmatrix('y')
plus, minus = SumDiffOp()(x, y)
sums = theano.function([x, y], [plus, minus])(inp, inp * 3)
only_one = theano.function([x, y], T.grad((minus ** 2).sum(), [x, y]))(inp, inp * 3)

a, b = T.fmatrices('a', 'b')
f32 = inp.astype('float32')
added = theano.function([a, b], numpy_add(a, b))(f32, f32)
product = theano.function([a, b], numpy_dot(a, b) + 1)(f32, f32.T)

s = T.dvector('s')
order = theano.function([s], s[ArgSortDescending()(s)])(numpy.array([1., 5., 3.]))

states, _ = theano.scan(lambda h: AXPBOp(0.5, 1)(T.tanh(h)), outputs_info=x[0], n_steps=4)
looped = theano.function([x], [states[-1], T.grad(states[-1].sum(), x)])(inp)

utt.verify_grad(DoubleOp1(), [inp])
utt.verify_grad(SumDiffOp(), [inp, inp * 2])
equal = (AXPBOp(2, 3) == AXPBOp(2, 3), AXPBOp(2, 3) == AXPBOp(2, 4), hash(AXPBOp(2, 3)) == hash(AXPBOp(2, 3)))
