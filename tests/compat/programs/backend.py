"""Functions of the kind a layer library's Theano back end is made of: placeholders, rnn loops, normalisation, switches."""
import numpy as np
import theano
from theano import tensor as T
from theano.ifelse import ifelse
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams
from theano.tensor.signal import pool
from theano.printing import Print
from theano.tensor.nnet import conv3d2d  # noqa: F401

try:
    import theano.sparse as th_sparse_module
except ImportError:
    th_sparse_module = None
try:
    from theano.tensor.nnet.nnet import softsign as T_softsign
except ImportError:
    from theano.sandbox.softsign import softsign as T_softsign

_FLOATX = theano.config.floatX
_LEARNING_PHASE = T.scalar(dtype='uint8', name='keras_learning_phase')


def variable(value, dtype=None, name=None):
    if isinstance(value, (theano.tensor.TensorVariable, theano.tensor.sharedvar.TensorSharedVariable,
                          theano.tensor.TensorConstant)):
        value = value.eval()
    return theano.shared(value=np.asarray(value, dtype=dtype or _FLOATX), name=name, strict=False)


def placeholder(shape=None, ndim=None, dtype=None, name=None):
    ndim = len(shape) if shape is not None else ndim
    broadcast = (False,) * ndim
    x = T.TensorType(dtype or _FLOATX, broadcast)(name)
    x._keras_shape = shape
    return x


def is_placeholder(x):
    return hasattr(x, 'name') and not x.owner and not isinstance(x, theano.compile.SharedVariable)


def switch(condition, then_expression, else_expression):
    if callable(then_expression):
        then_expression = then_expression()
    if callable(else_expression):
        else_expression = else_expression()
    cond_ndim, expr_ndim = condition.ndim, then_expression.ndim
    if cond_ndim < expr_ndim:
        for _ in range(expr_ndim - cond_ndim):
            condition = T.shape_padright(condition)
            condition = T.addbroadcast(condition, condition.ndim - 1)
    return T.switch(condition, then_expression, else_expression)


def in_train_phase(x, alt):
    return theano.ifelse.ifelse(_LEARNING_PHASE, x, alt)


def dropout(x, level, seed=1):
    rng = RandomStreams(seed=seed)
    retain_prob = 1. - level
    random_tensor = rng.binomial(x.shape, p=retain_prob, dtype=x.dtype)
    return x * random_tensor / retain_prob


def batch_normalization(x, mean, var, beta, gamma, epsilon=0.0001):
    return T.nnet.bn.batch_normalization_test(x, gamma, beta, mean, var, 'spatial', epsilon)


def normalize_batch_in_training(x, gamma, beta, reduction_axes, epsilon=0.0001):
    normed, mean, stdinv = T.nnet.bn.batch_normalization_train(x, gamma, beta, reduction_axes, epsilon)
    return normed, mean, T.inv(stdinv ** 2)


def expand_dims(x, dim=-1):
    pattern = [i for i in range(x.type.ndim)]
    if dim < 0:
        if x.type.ndim == 0:
            dim = 0
        else:
            dim = dim % x.type.ndim + 1
    pattern.insert(dim, 'x')
    return x.dimshuffle(pattern)


def categorical_crossentropy(output, target, from_logits=False, axis=-1):
    output = T.nnet.softmax(output) if from_logits else output / output.sum(axis=axis, keepdims=True)
    output = T.clip(output, 1e-7, 1.0 - 1e-7)
    return T.nnet.categorical_crossentropy(output, target)


def gather(reference, indices):
    return reference[T.cast(indices, 'int32')]


def one_hot(indices, num_classes):
    input_shape = tuple((indices.shape[i] for i in range(indices.ndim)))
    indices = T.flatten(indices)
    oh = T.extra_ops.to_one_hot(indices, num_classes)
    return T.reshape(oh, input_shape + (num_classes,))


def temporal_padding(x, padding=(1, 1)):
    input_shape = x.shape
    output_shape = (input_shape[0], input_shape[1] + sum(padding), input_shape[2])
    output = T.zeros(output_shape)
    return T.set_subtensor(output[:, padding[0]:x.shape[1] + padding[0], :], x)


def rnn(step_function, inputs, initial_states, go_backwards=False, mask=None):
    axes = [1, 0] + list(range(2, inputs.ndim))
    inputs = inputs.dimshuffle(axes)
    if mask is not None:
        if mask.ndim == inputs.ndim - 1:
            mask = expand_dims(mask)
        mask = mask.dimshuffle([1, 0] + list(range(2, mask.ndim)))
        initial_output = step_function(inputs[0], initial_states)[0] * 0
        initial_output = T.unbroadcast(initial_output, 0, 1)

        def _step(inp, msk, output_tm1, *states):
            outputs, new_states = step_function(inp, states)
            outputs = T.switch(msk, outputs, output_tm1)
            return_states = [T.switch(msk, n, s) for s, n in zip(states, new_states)]
            return [outputs] + return_states

        results, _ = theano.scan(_step, sequences=[inputs, mask], outputs_info=[initial_output] + initial_states,
                                 go_backwards=go_backwards)
    else:
        def _step(inp, *states):
            outputs, new_states = step_function(inp, states)
            return [outputs] + new_states

        results, _ = theano.scan(_step, sequences=inputs, outputs_info=[None] + initial_states,
                                 go_backwards=go_backwards)
    outputs = results[0] if type(results) is list else results
    states = results[1:] if type(results) is list else []
    outputs = T.squeeze(outputs)
    last_output = outputs[-1]
    axes = [1, 0] + list(range(2, outputs.ndim))
    outputs = outputs.dimshuffle(axes)
    return last_output, outputs, [T.squeeze(state[-1]) for state in states]


def conv2d(x, kernel, padding='valid'):
    border_mode = {'same': 'half', 'valid': 'valid'}[padding]
    return T.nnet.conv2d(x, kernel, border_mode=border_mode, subsample=(1, 1), filter_flip=False)


def conv2d_transpose(x, kernel, output_shape, strides=(2, 2)):
    op = T.nnet.abstract_conv.AbstractConv2d_gradInputs(imshp=None, kshp=None, subsample=strides,
                                                        border_mode='valid', filter_flip=False)
    return op(kernel, x, output_shape[2:])


def pool2d(x, pool_size, pool_mode='max'):
    mode = 'max' if pool_mode == 'max' else 'average_exc_pad'
    return pool.pool_2d(x, ws=pool_size, stride=pool_size, ignore_border=True, pad=(0, 0), mode=mode)


class Function(object):
    def __init__(self, inputs, outputs, updates=(), **kwargs):
        unique = {v: u for v, u in updates}
        self.function = theano.function(inputs, outputs, updates=list(unique.items()), allow_input_downcast=True,
                                        on_unused_input='ignore', name='backend', **kwargs)

    def __call__(self, inputs):
        return self.function(*inputs)


data = np.random.RandomState(0)
results = {}
x4 = placeholder((None, 3, 6, 6), name='x4')
images = data.normal(size=(2, 3, 6, 6))
kernel = variable(data.normal(size=(4, 3, 3, 3)))
results['conv'] = Function([x4], conv2d(x4, kernel, 'same'))([images])
results['pool'] = Function([x4], pool2d(x4, (2, 2), 'avg'))([images])
back = variable(data.normal(size=(3, 5, 2, 2)))
results['deconv'] = Function([x4], conv2d_transpose(x4, back, (None, 5, 12, 12)))([images])
gamma, beta = variable(np.ones((1, 3, 1, 1))), variable(np.zeros((1, 3, 1, 1)))
normed, mean, var = normalize_batch_in_training(x4, T.addbroadcast(gamma, 0, 2, 3), T.addbroadcast(beta, 0, 2, 3), (0, 2, 3))
results['normed'] = Function([x4], [normed, mean, var])([images])

x3 = placeholder(ndim=3, name='x3')
W, U = variable(data.normal(size=(3, 4)) * 0.5), variable(data.normal(size=(4, 4)) * 0.5)


def simple_step(inp, states):
    h = T.tanh(T.dot(inp, W) + T.dot(states[0], U))
    return h, [h]


sequences = data.normal(size=(5, 7, 3))
zero_state = T.zeros((x3.shape[0], 4))
last, outputs, states = rnn(simple_step, x3, [zero_state])
gradient = T.grad(last.sum(), [W, U])
results['rnn'] = Function([x3], [last, outputs, states[0]] + gradient)([sequences])
mask = placeholder(ndim=2, name='mask', dtype='bool')
masked = rnn(simple_step, x3, [zero_state], mask=mask)[0]
mask_value = np.ones((5, 7), bool)
mask_value[:, 5:] = False
results['masked'] = Function([x3, mask], masked)([sequences, mask_value])
results['backwards'] = Function([x3], rnn(simple_step, x3, [zero_state], go_backwards=True)[0])([sequences])

x2 = placeholder(ndim=2, name='x2')
matrix = data.uniform(0.1, 1, size=(4, 3))
results['phase'] = [Function([x2, _LEARNING_PHASE], in_train_phase(dropout(x2, 0.5), x2))([matrix, p]) for p in (0, 1)]
results['switch'] = Function([x2], switch(T.gt(x2.sum(axis=1), 1.5), x2, lambda: -x2))([matrix])
results['crossentropy'] = Function([x2], categorical_crossentropy(x2, T.eye(4, 3)))([matrix])
indices = placeholder(ndim=2, name='i', dtype='int32')
results['gather'] = Function([indices], gather(W, indices))([[[0, 2], [1, 1]]])
results['one_hot'] = Function([indices], one_hot(indices, 3))([[[0, 2], [1, 1]]])
results['padded'] = Function([x3], temporal_padding(x3, (1, 2)))([sequences])
results['lazy'] = Function([x2], ifelse(T.gt(T.max(x2), 100.), x2 * 2, T_softsign(x2)))([matrix])
results['print'] = Function([x2], Print('x2', ['shape'])(x2))([matrix])
results['dims'] = Function([x2], expand_dims(x2))([matrix]).shape
probes = (is_placeholder(x2), is_placeholder(W), th_sparse_module is not None)
