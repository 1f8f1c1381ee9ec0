"""Contractive autoencoder: the Jacobian's norm in closed form and by theano.gradient.jacobian."""

import numpy as np
import theano
import theano.tensor as T

fx = theano.config.floatX
rng = np.random.RandomState(3)


class cA(object):
    def __init__(self, numpy_rng, input=None, n_visible=784, n_hidden=100, n_batchsize=1):
        self.n_batchsize = n_batchsize
        self.n_hidden = n_hidden
        self.n_visible = n_visible
        self.W = theano.shared(
            np.asarray(numpy_rng.uniform(-1, 1, (n_visible, n_hidden)), dtype=fx), name="W", borrow=True
        )
        self.b = theano.shared(np.zeros(n_hidden, fx), name="b")
        self.b_prime = theano.shared(np.zeros(n_visible, fx))
        self.W_prime = self.W.T
        self.x = input if input is not None else T.dmatrix("input")
        self.params = [self.W, self.b, self.b_prime]

    def get_hidden_values(self, input):
        return T.nnet.sigmoid(T.dot(input, self.W) + self.b)

    def get_jacobian(self, hidden, W):
        return T.reshape(hidden * (1 - hidden), (self.n_batchsize, 1, self.n_hidden)) * T.reshape(
            W, (1, self.n_visible, self.n_hidden)
        )

    def get_reconstructed_input(self, hidden):
        return T.nnet.sigmoid(T.dot(hidden, self.W_prime) + self.b_prime)

    def get_cost_updates(self, contraction_level, learning_rate):
        y = self.get_hidden_values(self.x)
        z = self.get_reconstructed_input(y)
        J = self.get_jacobian(y, self.W)
        self.L_rec = -T.sum(self.x * T.log(z) + (1 - self.x) * T.log(1 - z), axis=1)
        self.L_jacob = T.sum(J**2) // self.n_batchsize
        self.J = T.sum(J**2)
        cost = T.mean(self.L_rec) + contraction_level * T.mean(self.L_jacob)
        gparams = T.grad(T.mean(self.L_rec) + contraction_level * self.J / self.n_batchsize, self.params)
        return cost, [(p, p - learning_rate * g) for p, g in zip(self.params, gparams)]


x = T.matrix("x")
index = T.lscalar()
data = theano.shared(np.asarray(rng.rand(100, 9) > 0.5, dtype=fx))
ca = cA(rng, input=x, n_visible=9, n_hidden=5, n_batchsize=10)
cost, updates = ca.get_cost_updates(contraction_level=0.1, learning_rate=0.1)
train = theano.function(
    [index],
    [T.mean(ca.L_rec), ca.L_jacob, ca.J],
    updates=updates,
    givens={x: data[index * 10 : (index + 1) * 10]},
)
hist = []
for epoch in range(30):
    hist.append(np.mean([train(i) for i in range(10)], axis=0))
assert hist[-1][0] + 0.1 * hist[-1][2] / 10 < hist[0][0] + 0.1 * hist[0][2] / 10, (hist[0], hist[-1])
# floor division as floats
r = train(0)
assert r[1] == r[2] // 10
# the jacobian by scan over outputs
v = T.vector("v")
h = T.nnet.sigmoid(T.dot(v, ca.W) + ca.b)
J = theano.gradient.jacobian(h, v)
f = theano.function([v], [J, (J**2).sum(), T.grad((J**2).sum(), ca.W)])
v0 = rng.rand(9).astype(fx)
Jn, sq, gW = f(v0)
W = ca.W.get_value()
hn = 1 / (1 + np.exp(-(v0 @ W + ca.b.get_value())))
assert np.allclose(Jn, (W * (hn * (1 - hn))).T)


def sq_of(W):
    hn = 1 / (1 + np.exp(-(v0 @ W + ca.b.get_value())))
    return ((W * (hn * (1 - hn))) ** 2).sum()


E_ = np.zeros_like(W)
E_[2, 3] = 1e-6
assert np.allclose(gW[2, 3], (sq_of(W + E_) - sq_of(W - E_)) / 2e-6, atol=1e-6)
