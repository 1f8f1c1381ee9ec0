"""A layer library in small: layer classes that know their shapes, get_output with flags, update rules, save and load."""
from collections import OrderedDict

import numpy as np
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams

_rng = np.random.RandomState(1)


def floatX(arr):
    return np.asarray(arr, dtype=theano.config.floatX)


def as_theano_expression(input):
    if isinstance(input, theano.gof.Variable):
        return input
    return theano.tensor.as_tensor_variable(input)


class Layer(object):
    def __init__(self, incoming, name=None):
        if isinstance(incoming, tuple):
            self.input_shape, self.input_layer = incoming, None
        else:
            self.input_shape, self.input_layer = incoming.output_shape, incoming
        self.name = name
        self.params = OrderedDict()

    @property
    def output_shape(self):
        shape = self.get_output_shape_for(self.input_shape)
        if any(isinstance(s, T.Variable) for s in shape):
            raise ValueError("symbolic")
        return shape

    def get_output_shape_for(self, input_shape):
        return input_shape

    def add_param(self, spec, shape, name, **tags):
        if any(d is not None and d <= 0 for d in shape):
            raise ValueError("bad shape")
        bcast = tuple(s == 1 for s in shape)
        param = theano.shared(floatX(spec(shape)), name=name, broadcastable=bcast)
        tags['trainable'] = tags.get('trainable', True)
        self.params[param] = set(tag for tag, value in tags.items() if value)
        return param


class InputLayer(Layer):
    def __init__(self, shape, input_var=None, name=None):
        self.shape = self.input_shape = shape
        ndim = len(shape)
        if input_var is None:
            input_var_type = T.TensorType(theano.config.floatX, [s == 1 for s in shape])
            input_var = input_var_type("input")
        elif input_var.ndim != ndim:
            raise ValueError("shape has %d dimensions, but variable has %d" % (ndim, input_var.ndim))
        self.input_var, self.input_layer, self.params, self.name = input_var, None, OrderedDict(), name


class DenseLayer(Layer):
    def __init__(self, incoming, num_units, nonlinearity=T.nnet.relu, **kw):
        super(DenseLayer, self).__init__(incoming, **kw)
        self.num_units, self.nonlinearity = num_units, nonlinearity
        num_inputs = int(np.prod(self.input_shape[1:]))
        s = np.sqrt(6.0 / (num_inputs + num_units))
        self.W = self.add_param(lambda sh: _rng.uniform(-s, s, sh), (num_inputs, num_units), name="W", regularizable=True)
        self.b = self.add_param(np.zeros, (num_units,), name="b")

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], self.num_units)

    def get_output_for(self, input, **kwargs):
        if input.ndim > 2:
            input = input.flatten(2)
        activation = T.dot(input, self.W)
        if self.b is not None:
            activation = activation + self.b.dimshuffle('x', 0)
        return self.nonlinearity(activation)


class Conv2DLayer(Layer):
    def __init__(self, incoming, num_filters, filter_size, pad='same', **kw):
        super(Conv2DLayer, self).__init__(incoming, **kw)
        self.num_filters, self.filter_size, self.pad = num_filters, filter_size, pad
        self.W = self.add_param(lambda sh: _rng.normal(0, 0.2, sh),
                                (num_filters, self.input_shape[1]) + filter_size, name="W", regularizable=True)
        self.b = self.add_param(np.zeros, (num_filters,), name="b")

    def get_output_shape_for(self, s):
        return (s[0], self.num_filters, s[2], s[3])

    def get_output_for(self, input, **kwargs):
        border_mode = 'half' if self.pad == 'same' else self.pad
        conved = T.nnet.conv2d(input, self.W, self.input_shape, self.W.get_value().shape, subsample=(1, 1),
                               border_mode=border_mode, filter_flip=False)
        return T.nnet.relu(conved + self.b.dimshuffle('x', 0, 'x', 'x'))


class MaxPool2DLayer(Layer):
    def get_output_shape_for(self, s):
        return (s[0], s[1], s[2] // 2, s[3] // 2)

    def get_output_for(self, input, **kwargs):
        return T.signal.pool.pool_2d(input, ws=(2, 2), stride=(2, 2), ignore_border=True, pad=(0, 0), mode='max')


class DropoutLayer(Layer):
    def __init__(self, incoming, p=0.5, **kw):
        super(DropoutLayer, self).__init__(incoming, **kw)
        self._srng, self.p = MRG_RandomStreams(_rng.randint(1, 2147462579)), p

    def get_output_for(self, input, deterministic=False, **kwargs):
        if deterministic or self.p == 0:
            return input
        one = T.constant(1)
        retain_prob = one - self.p
        input /= retain_prob
        mask_shape = self.input_shape
        if any(s is None for s in mask_shape):
            mask_shape = input.shape
        return input * self._srng.binomial(mask_shape, p=retain_prob, dtype=input.dtype)


class BatchNormLayer(Layer):
    def __init__(self, incoming, epsilon=1e-4, alpha=0.1, **kw):
        super(BatchNormLayer, self).__init__(incoming, **kw)
        self.axes = (0,) + tuple(range(2, len(self.input_shape)))
        shape = [size for axis, size in enumerate(self.input_shape) if axis not in self.axes]
        self.epsilon, self.alpha = epsilon, alpha
        self.beta = self.add_param(np.zeros, shape, 'beta')
        self.gamma = self.add_param(np.ones, shape, 'gamma')
        self.mean = self.add_param(np.zeros, shape, 'mean', trainable=False)
        self.inv_std = self.add_param(np.ones, shape, 'inv_std', trainable=False)

    def get_output_for(self, input, deterministic=False, **kwargs):
        input_mean = input.mean(self.axes)
        input_inv_std = T.inv(T.sqrt(input.var(self.axes) + self.epsilon))
        if deterministic:
            mean, inv_std = self.mean, self.inv_std
        else:
            mean, inv_std = input_mean, input_inv_std
            running_mean = theano.clone(self.mean, share_inputs=False)
            running_inv_std = theano.clone(self.inv_std, share_inputs=False)
            running_mean.default_update = ((1 - self.alpha) * running_mean + self.alpha * input_mean)
            running_inv_std.default_update = ((1 - self.alpha) * running_inv_std + self.alpha * input_inv_std)
            mean += 0 * running_mean
            inv_std += 0 * running_inv_std
        param_axes = iter(range(input.ndim - len(self.axes)))
        pattern = ['x' if input_axis in self.axes else next(param_axes) for input_axis in range(input.ndim)]
        beta, gamma = self.beta.dimshuffle(pattern), self.gamma.dimshuffle(pattern)
        return (input - mean.dimshuffle(pattern)) * (gamma * inv_std.dimshuffle(pattern)) + beta


def get_all_layers(layer):
    layers = []
    while layer is not None:
        layers.insert(0, layer)
        layer = layer.input_layer
    return layers


def get_output(layer, inputs=None, **kwargs):
    chain = get_all_layers(layer)
    out = chain[0].input_var if inputs is None else as_theano_expression(inputs)
    for one in chain[1:]:
        out = one.get_output_for(out, **kwargs)
    return out


def get_all_params(layer, **tags):
    found = []
    for one in get_all_layers(layer):
        for param, have in one.params.items():
            if all((tag in have) == wanted for tag, wanted in tags.items()):
                found.append(param)
    return found


def adam(loss, params, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
    all_grads = theano.grad(loss, params)
    t_prev = theano.shared(np.asarray(0., dtype=theano.config.floatX))
    updates = OrderedDict()
    one = T.constant(1)
    t = t_prev + 1
    a_t = learning_rate * T.sqrt(one - beta2 ** t) / (one - beta1 ** t)
    for param, g_t in zip(params, all_grads):
        value = param.get_value(borrow=True)
        m_prev = theano.shared(np.zeros(value.shape, dtype=value.dtype), broadcastable=param.broadcastable)
        v_prev = theano.shared(np.zeros(value.shape, dtype=value.dtype), broadcastable=param.broadcastable)
        m_t = beta1 * m_prev + (one - beta1) * g_t
        v_t = beta2 * v_prev + (one - beta2) * g_t ** 2
        step = a_t * m_t / (T.sqrt(v_t) + epsilon)
        updates[m_prev], updates[v_prev], updates[param] = m_t, v_t, param - step
    updates[t_prev] = t
    return updates


input_var, target_var = T.tensor4('inputs'), T.ivector('targets')
network = InputLayer((None, 1, 8, 8), input_var)
network = Conv2DLayer(network, 4, (3, 3))
network = BatchNormLayer(network)
bn = network
network = MaxPool2DLayer(network)
network = DropoutLayer(network, 0.2)
network = DenseLayer(network, 16)
network = DenseLayer(network, 2, nonlinearity=T.nnet.softmax)
output_shape = network.output_shape

prediction = get_output(network)
loss = T.nnet.categorical_crossentropy(prediction, target_var).mean()
loss = loss + 1e-4 * sum(T.sum(w ** 2) for w in get_all_params(network, regularizable=True))
params = get_all_params(network, trainable=True)
updates = adam(loss, params, learning_rate=0.02)
train_fn = theano.function([input_var, target_var], loss, updates=updates, allow_input_downcast=True)
test_prediction = get_output(network, deterministic=True)
test_acc = T.mean(T.eq(T.argmax(test_prediction, axis=1), target_var), dtype=theano.config.floatX)
val_fn = theano.function([input_var, target_var], test_acc, allow_input_downcast=True)

data_rng = np.random.RandomState(0)
targets = data_rng.randint(0, 2, 64).astype('int32')
images = data_rng.normal(0, 0.3, (64, 1, 8, 8))
images[np.arange(64), 0, 2 + 3 * targets, :] += 1.5
history = [float(train_fn(images, targets)) for _ in range(60)]
accuracy = float(val_fn(images, targets))
running_mean = bn.mean.get_value()
