"""scan with dictionaries, taps, non-sequences and until; foldl, map; word embeddings updated by inc_subtensor."""
import numpy as np
import theano
import theano.tensor as T
from theano import shared

floatX = theano.config.floatX

# a recurrent network with taps, as in scan's documentation
W, W_in_1, W_in_2 = T.matrix('W'), T.matrix('W_in_1'), T.matrix('W_in_2')
W_feedback, W_out = T.matrix('W_feedback'), T.matrix('W_out')
u, x0, y0 = T.matrix('u'), T.matrix('x0'), T.vector('y0')


def oneStep(u_tm4, u_t, x_tm3, x_tm1, y_tm1, W, W_in_1, W_in_2, W_feedback, W_out):
    x_t = T.tanh(theano.dot(x_tm1, W) + theano.dot(u_t, W_in_1) + theano.dot(u_tm4, W_in_2)
                 + theano.dot(y_tm1, W_feedback))
    y_t = theano.dot(x_tm3, W_out)
    return [x_t, y_t]


([x_vals, y_vals], updates) = theano.scan(fn=oneStep,
                                          sequences=dict(input=u, taps=[-4, -0]),
                                          outputs_info=[dict(initial=x0, taps=[-3, -1]), y0],
                                          non_sequences=[W, W_in_1, W_in_2, W_feedback, W_out],
                                          strict=True)
recurrent = theano.function([u, x0, y0, W, W_in_1, W_in_2, W_feedback, W_out], [x_vals, y_vals], updates=updates)

# A ** k, and the power of two that is first above a value
k = T.iscalar("k")
A = T.vector("A")
result, updates = theano.scan(fn=lambda prior_result, A: prior_result * A, outputs_info=T.ones_like(A),
                              non_sequences=A, n_steps=k)
power = theano.function(inputs=[A, k], outputs=result[-1], updates=updates)


def power_of_2(previous_power, max_value):
    return previous_power * 2, theano.scan_module.until(previous_power * 2 > max_value)


max_value = T.scalar()
values, _ = theano.scan(power_of_2, outputs_info=T.constant(1.), non_sequences=max_value, n_steps=1024)
powers = theano.function([max_value], values)

coefficients, free = T.vector("coefficients"), T.scalar("x")
components, _ = theano.scan(fn=lambda coefficient, power, x: coefficient * (x ** power), outputs_info=None,
                            sequences=[coefficients, T.arange(1000)], non_sequences=free)
polynomial = theano.function([coefficients, free], components.sum())

total, _ = theano.foldl(lambda a, acc: acc + a ** 2, sequences=coefficients, outputs_info=T.constant(np.asarray(0, floatX)))
squares, _ = theano.map(lambda a: a ** 2, coefficients)
folded = theano.function([coefficients], [total, squares])

# Elman's network on words, with sub-gradients of the embeddings only
rng = np.random.RandomState(42)
nh, nc, ne, de, cs = 7, 3, 12, 4, 3


class model(object):
    def __init__(self):
        self.emb = shared(0.2 * rng.uniform(-1.0, 1.0, (ne + 1, de)).astype(floatX))
        self.Wx = shared(0.2 * rng.uniform(-1.0, 1.0, (de * cs, nh)).astype(floatX))
        self.Wh = shared(0.2 * rng.uniform(-1.0, 1.0, (nh, nh)).astype(floatX))
        self.W = shared(0.2 * rng.uniform(-1.0, 1.0, (nh, nc)).astype(floatX))
        self.bh = shared(np.zeros(nh, dtype=floatX))
        self.b = shared(np.zeros(nc, dtype=floatX))
        self.h0 = shared(np.zeros(nh, dtype=floatX))
        self.params = [self.Wx, self.Wh, self.W, self.bh, self.b, self.h0]
        idxs = T.imatrix()
        vectors = self.emb[idxs]
        x = vectors.reshape((idxs.shape[0], de * cs))
        y = T.ivector('y')

        def recurrence(x_t, h_tm1):
            h_t = T.nnet.sigmoid(T.dot(x_t, self.Wx) + T.dot(h_tm1, self.Wh) + self.bh)
            s_t = T.nnet.softmax(T.dot(h_t, self.W) + self.b)
            return [h_t, s_t]

        [h, s], _ = theano.scan(fn=recurrence, sequences=x, outputs_info=[self.h0, None], n_steps=x.shape[0])
        p_y_given_x_sentence = s[:, 0, :]
        y_pred = T.argmax(p_y_given_x_sentence, axis=1)
        lr = T.scalar('lr')
        nll = -T.mean(T.log(p_y_given_x_sentence)[T.arange(x.shape[0]), y])
        gradients = T.grad(nll, self.params)
        updates = dict((p, p - lr * g) for p, g in zip(self.params, gradients))
        updates[self.emb] = T.inc_subtensor(vectors, -lr * T.grad(nll, vectors))
        self.classify = theano.function(inputs=[idxs], outputs=y_pred)
        self.train = theano.function(inputs=[idxs, y, lr], outputs=nll, updates=updates)
        norm = T.sqrt((self.emb ** 2).sum(axis=1)).dimshuffle(0, 'x')
        self.normalize = theano.function(inputs=[], updates={self.emb: self.emb / norm})


rnn = model()
words = rng.randint(0, ne, 9)
window = np.asarray([[words[i - 1], words[i], words[(i + 1) % 9]] for i in range(9)], dtype='int32')
labels = (words % nc).astype('int32')
before = rnn.emb.get_value()
history = [float(rnn.train(window, labels, 0.5)) for _ in range(200)]
after = rnn.emb.get_value()
classified = rnn.classify(window)
rnn.normalize()
norms = np.sqrt((rnn.emb.get_value() ** 2).sum(axis=1))
