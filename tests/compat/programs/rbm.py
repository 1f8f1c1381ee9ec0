"""A restricted Boltzmann machine trained by persistent contrastive divergence, with Gibbs sampling in scan."""
import numpy
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams


class RBM(object):
    def __init__(self, input, n_visible, n_hidden, numpy_rng):
        self.n_visible, self.n_hidden = n_visible, n_hidden
        self.theano_rng = RandomStreams(numpy_rng.randint(2 ** 30))
        W = numpy.asarray(numpy_rng.uniform(-0.1, 0.1, size=(n_visible, n_hidden)), dtype=theano.config.floatX)
        self.W = theano.shared(value=W, name='W', borrow=True)
        self.hbias = theano.shared(numpy.zeros(n_hidden, dtype=theano.config.floatX), name='hbias', borrow=True)
        self.vbias = theano.shared(numpy.zeros(n_visible, dtype=theano.config.floatX), name='vbias', borrow=True)
        self.input = input
        self.params = [self.W, self.hbias, self.vbias]

    def free_energy(self, v_sample):
        wx_b = T.dot(v_sample, self.W) + self.hbias
        vbias_term = T.dot(v_sample, self.vbias)
        hidden_term = T.sum(T.log(1 + T.exp(wx_b)), axis=1)
        return -hidden_term - vbias_term

    def propup(self, vis):
        pre = T.dot(vis, self.W) + self.hbias
        return [pre, T.nnet.sigmoid(pre)]

    def sample_h_given_v(self, v0_sample):
        pre, h1_mean = self.propup(v0_sample)
        h1_sample = self.theano_rng.binomial(size=h1_mean.shape, n=1, p=h1_mean, dtype=theano.config.floatX)
        return [pre, h1_mean, h1_sample]

    def propdown(self, hid):
        pre = T.dot(hid, self.W.T) + self.vbias
        return [pre, T.nnet.sigmoid(pre)]

    def sample_v_given_h(self, h0_sample):
        pre, v1_mean = self.propdown(h0_sample)
        v1_sample = self.theano_rng.binomial(size=v1_mean.shape, n=1, p=v1_mean, dtype=theano.config.floatX)
        return [pre, v1_mean, v1_sample]

    def gibbs_hvh(self, h0_sample):
        pre_v1, v1_mean, v1_sample = self.sample_v_given_h(h0_sample)
        pre_h1, h1_mean, h1_sample = self.sample_h_given_v(v1_sample)
        return [pre_v1, v1_mean, v1_sample, pre_h1, h1_mean, h1_sample]

    def get_cost_updates(self, lr=0.1, persistent=None, k=1):
        pre_ph, ph_mean, ph_sample = self.sample_h_given_v(self.input)
        chain_start = ph_sample if persistent is None else persistent
        ([pre_nvs, nv_means, nv_samples, pre_nhs, nh_means, nh_samples], updates) = theano.scan(
            self.gibbs_hvh, outputs_info=[None, None, None, None, None, chain_start], n_steps=k, name='gibbs_hvh')
        chain_end = nv_samples[-1]
        cost = T.mean(self.free_energy(self.input)) - T.mean(self.free_energy(chain_end))
        gparams = T.grad(cost, self.params, consider_constant=[chain_end])
        for gparam, param in zip(gparams, self.params):
            updates[param] = param - gparam * T.cast(lr, dtype=theano.config.floatX)
        updates[persistent] = nh_samples[-1]
        bit_i_idx = theano.shared(value=0, name='bit_i_idx')
        xi = T.round(self.input)
        fe_xi = self.free_energy(xi)
        xi_flip = T.set_subtensor(xi[:, bit_i_idx], 1 - xi[:, bit_i_idx])
        fe_xi_flip = self.free_energy(xi_flip)
        monitoring_cost = T.mean(self.n_visible * T.log(T.nnet.sigmoid(fe_xi_flip - fe_xi)))
        updates[bit_i_idx] = (bit_i_idx + 1) % self.n_visible
        return monitoring_cost, updates, bit_i_idx


rng = numpy.random.RandomState(7)
patterns = (rng.uniform(size=(3, 12)) < 0.5)
data = theano.shared(numpy.asarray(patterns[rng.randint(0, 3, 120)], dtype=theano.config.floatX), borrow=True)
index = T.lscalar()
x = T.matrix('x')
persistent_chain = theano.shared(numpy.zeros((20, 8), dtype=theano.config.floatX), borrow=True)
rbm = RBM(input=x, n_visible=12, n_hidden=8, numpy_rng=rng)
cost, updates, bit = rbm.get_cost_updates(lr=0.1, persistent=persistent_chain, k=5)
train_rbm = theano.function([index], cost, updates=updates, givens={x: data[index * 20:(index + 1) * 20]},
                            name='train_rbm')
history = [numpy.mean([train_rbm(i) for i in range(6)]) for epoch in range(30)]
bits = int(bit.get_value())

vis_sample = theano.shared(numpy.asarray(data.get_value()[:3], dtype=theano.config.floatX))


def gibbs_vhv(v0):
    pre_h, h_mean, h = rbm.sample_h_given_v(v0)
    pre_v, v_mean, v = rbm.sample_v_given_h(h)
    return [v_mean, v]


([vis_mfs, vis_samples], sample_updates) = theano.scan(gibbs_vhv, outputs_info=[None, vis_sample], n_steps=10)
sample_updates.update({vis_sample: vis_samples[-1]})
sample_fn = theano.function([], [vis_mfs[-1], vis_samples[-1]], updates=sample_updates, name='sample_fn')
vis_mf, sampled = sample_fn()
