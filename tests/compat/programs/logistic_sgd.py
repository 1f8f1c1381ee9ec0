"""Logistic regression in the manner of the deep learning tutorials: classes, givens over shared data, patience."""
from __future__ import division, print_function

import timeit

import numpy
import theano
import theano.tensor as T

__docformat__ = 'restructedtext en'


class LogisticRegression(object):
    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(value=numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name='W', borrow=True)
        self.b = theano.shared(value=numpy.zeros((n_out,), dtype=theano.config.floatX), name='b', borrow=True)
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]
        self.input = input

    def negative_log_likelihood(self, y):
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        if y.ndim != self.y_pred.ndim:
            raise TypeError('y should have the same shape as self.y_pred', ('y', y.type, 'y_pred', self.y_pred.type))
        if y.dtype.startswith('int'):
            return T.mean(T.neq(self.y_pred, y))
        else:
            raise NotImplementedError()


def make_data(n, rng):
    y = rng.randint(0, 3, n)
    x = rng.randn(n, 5) + 2.5 * numpy.eye(3, 5)[y]
    return x, y


def load_data(rng):
    def shared_dataset(data_xy, borrow=True):
        data_x, data_y = data_xy
        shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
        shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
        return shared_x, T.cast(shared_y, 'int32')

    return [shared_dataset(make_data(n, rng)) for n in (600, 200, 200)]


def sgd_optimization(learning_rate=0.13, n_epochs=20, batch_size=50):
    datasets = load_data(numpy.random.RandomState(1234))
    train_set_x, train_set_y = datasets[0]
    valid_set_x, valid_set_y = datasets[1]
    test_set_x, test_set_y = datasets[2]
    n_train_batches = train_set_x.get_value(borrow=True).shape[0] // batch_size
    n_valid_batches = valid_set_x.get_value(borrow=True).shape[0] // batch_size
    index = T.lscalar()
    x = T.matrix('x')
    y = T.ivector('y')
    classifier = LogisticRegression(input=x, n_in=5, n_out=3)
    cost = classifier.negative_log_likelihood(y)
    validate_model = theano.function(
        inputs=[index], outputs=classifier.errors(y),
        givens={x: valid_set_x[index * batch_size: (index + 1) * batch_size],
                y: valid_set_y[index * batch_size: (index + 1) * batch_size]})
    g_W = T.grad(cost=cost, wrt=classifier.W)
    g_b = T.grad(cost=cost, wrt=classifier.b)
    updates = [(classifier.W, classifier.W - learning_rate * g_W), (classifier.b, classifier.b - learning_rate * g_b)]
    train_model = theano.function(
        inputs=[index], outputs=cost, updates=updates,
        givens={x: train_set_x[index * batch_size: (index + 1) * batch_size],
                y: train_set_y[index * batch_size: (index + 1) * batch_size]})
    start_time = timeit.default_timer()
    costs = []
    for epoch in range(n_epochs):
        for minibatch_index in range(n_train_batches):
            costs.append(train_model(minibatch_index))
    validation = numpy.mean([validate_model(i) for i in range(n_valid_batches)])
    end_time = timeit.default_timer()
    print('validation error %f %%, %d epochs in %.1fs' % (validation * 100., n_epochs, end_time - start_time))
    return costs, validation, classifier, datasets


if __name__ == '__main__':
    costs, validation, classifier, datasets = sgd_optimization()
    predict_model = theano.function(inputs=[classifier.input], outputs=classifier.y_pred)
    predicted = predict_model(datasets[2][0].get_value()[:10])
