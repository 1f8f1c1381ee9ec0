"""GRU encoder and decoder with attention, in the style of dl4mt: strict scans, masks, tparams, named outputs_info."""

import numpy as np
import theano
import theano.tensor as tensor
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams
from collections import OrderedDict

theano.config.floatX = "float32"
profile = False
floatX = theano.config.floatX
rng = np.random.RandomState(7)


def _p(pp, name):
    return "%s_%s" % (pp, name)


def itemlist(tparams):
    return [vv for kk, vv in tparams.items()]


def ortho_weight(ndim):
    u, s, v = np.linalg.svd(rng.randn(ndim, ndim))
    return u.astype(floatX)


def norm_weight(nin, nout=None, scale=0.1, ortho=True):
    if nout is None:
        nout = nin
    W = ortho_weight(nin) if nout == nin and ortho else scale * rng.randn(nin, nout)
    return W.astype(floatX)


def tanh(x):
    return tensor.tanh(x)


def linear(x):
    return x


def concatenate(tensor_list, axis=0):
    concat_size = sum(tt.shape[axis] for tt in tensor_list)
    output_shape = ()
    for k in range(axis):
        output_shape += (tensor_list[0].shape[k],)
    output_shape += (concat_size,)
    for k in range(axis + 1, tensor_list[0].ndim):
        output_shape += (tensor_list[0].shape[k],)
    out = tensor.zeros(output_shape)
    offset = 0
    for tt in tensor_list:
        indices = ()
        for k in range(axis):
            indices += (slice(None),)
        indices += (slice(offset, offset + tt.shape[axis]),)
        for k in range(axis + 1, tensor_list[0].ndim):
            indices += (slice(None),)
        out = tensor.set_subtensor(out[indices], tt)
        offset += tt.shape[axis]
    return out


def param_init_fflayer(params, prefix, nin, nout):
    params[_p(prefix, "W")] = norm_weight(nin, nout, scale=0.01)
    params[_p(prefix, "b")] = np.zeros((nout,)).astype(floatX)
    return params


def fflayer(tparams, state_below, prefix, activ="lambda x: tensor.tanh(x)"):
    return eval(activ)(tensor.dot(state_below, tparams[_p(prefix, "W")]) + tparams[_p(prefix, "b")])


def param_init_gru(params, prefix, nin, dim):
    params[_p(prefix, "W")] = np.concatenate([norm_weight(nin, dim), norm_weight(nin, dim)], axis=1)
    params[_p(prefix, "b")] = np.zeros((2 * dim,)).astype(floatX)
    params[_p(prefix, "U")] = np.concatenate([ortho_weight(dim), ortho_weight(dim)], axis=1)
    params[_p(prefix, "Wx")] = norm_weight(nin, dim)
    params[_p(prefix, "bx")] = np.zeros((dim,)).astype(floatX)
    params[_p(prefix, "Ux")] = ortho_weight(dim)
    return params


def gru_layer(tparams, state_below, prefix="gru", mask=None):
    nsteps = state_below.shape[0]
    n_samples = state_below.shape[1] if state_below.ndim == 3 else 1
    dim = tparams[_p(prefix, "Ux")].shape[1]
    if mask is None:
        mask = tensor.alloc(1.0, state_below.shape[0], 1)

    def _slice(_x, n, dim):
        if _x.ndim == 3:
            return _x[:, :, n * dim : (n + 1) * dim]
        return _x[:, n * dim : (n + 1) * dim]

    state_below_ = tensor.dot(state_below, tparams[_p(prefix, "W")]) + tparams[_p(prefix, "b")]
    state_belowx = tensor.dot(state_below, tparams[_p(prefix, "Wx")]) + tparams[_p(prefix, "bx")]

    def _step_slice(m_, x_, xx_, h_, U, Ux):
        preact = tensor.dot(h_, U)
        preact += x_
        r = tensor.nnet.sigmoid(_slice(preact, 0, dim))
        u = tensor.nnet.sigmoid(_slice(preact, 1, dim))
        preactx = tensor.dot(h_, Ux)
        preactx = preactx * r
        preactx = preactx + xx_
        h = tensor.tanh(preactx)
        h = u * h_ + (1.0 - u) * h
        h = m_[:, None] * h + (1.0 - m_)[:, None] * h_
        return h

    init_states = [tensor.alloc(0.0, n_samples, dim)]
    rval, updates = theano.scan(
        _step_slice,
        sequences=[mask, state_below_, state_belowx],
        outputs_info=init_states,
        non_sequences=[tparams[_p(prefix, "U")], tparams[_p(prefix, "Ux")]],
        name=_p(prefix, "_layers"),
        n_steps=nsteps,
        profile=profile,
        strict=True,
    )
    return [rval]


def param_init_gru_cond(params, prefix, nin, dim, dimctx):
    params = param_init_gru(params, prefix, nin, dim)
    params[_p(prefix, "U_nl")] = np.concatenate([ortho_weight(dim), ortho_weight(dim)], axis=1)
    params[_p(prefix, "b_nl")] = np.zeros((2 * dim,)).astype(floatX)
    params[_p(prefix, "Ux_nl")] = ortho_weight(dim)
    params[_p(prefix, "bx_nl")] = np.zeros((dim,)).astype(floatX)
    params[_p(prefix, "Wc")] = norm_weight(dimctx, dim * 2)
    params[_p(prefix, "Wcx")] = norm_weight(dimctx, dim)
    params[_p(prefix, "W_comb_att")] = norm_weight(dim, dimctx)
    params[_p(prefix, "Wc_att")] = norm_weight(dimctx)
    params[_p(prefix, "b_att")] = np.zeros((dimctx,)).astype(floatX)
    params[_p(prefix, "U_att")] = norm_weight(dimctx, 1)
    params[_p(prefix, "c_tt")] = np.zeros((1,)).astype(floatX)
    return params


def gru_cond_layer(
    tparams,
    state_below,
    prefix="gru",
    mask=None,
    context=None,
    one_step=False,
    init_state=None,
    context_mask=None,
):
    assert context, "Context must be provided"
    if one_step:
        assert init_state, "previous state must be provided"
    nsteps = state_below.shape[0]
    n_samples = state_below.shape[1] if state_below.ndim == 3 else state_below.shape[0]
    if mask is None:
        mask = tensor.alloc(1.0, n_samples) if one_step else tensor.alloc(1.0, state_below.shape[0], 1)
    dim = tparams[_p(prefix, "Wcx")].shape[1]
    if init_state is None:
        init_state = tensor.alloc(0.0, n_samples, dim)
    assert context.ndim == 3
    pctx_ = tensor.dot(context, tparams[_p(prefix, "Wc_att")]) + tparams[_p(prefix, "b_att")]

    def _slice(_x, n, dim):
        if _x.ndim == 3:
            return _x[:, :, n * dim : (n + 1) * dim]
        return _x[:, n * dim : (n + 1) * dim]

    state_belowx = tensor.dot(state_below, tparams[_p(prefix, "Wx")]) + tparams[_p(prefix, "bx")]
    state_below_ = tensor.dot(state_below, tparams[_p(prefix, "W")]) + tparams[_p(prefix, "b")]

    def _step_slice(
        m_,
        x_,
        xx_,
        h_,
        ctx_,
        alpha_,
        pctx_,
        cc_,
        U,
        Wc,
        W_comb_att,
        U_att,
        c_tt,
        Ux,
        Wcx,
        U_nl,
        Ux_nl,
        b_nl,
        bx_nl,
    ):
        preact1 = tensor.dot(h_, U)
        preact1 += x_
        preact1 = tensor.nnet.sigmoid(preact1)
        r1 = _slice(preact1, 0, dim)
        u1 = _slice(preact1, 1, dim)
        preactx1 = tensor.dot(h_, Ux)
        preactx1 *= r1
        preactx1 += xx_
        h1 = tensor.tanh(preactx1)
        h1 = u1 * h_ + (1.0 - u1) * h1
        h1 = m_[:, None] * h1 + (1.0 - m_)[:, None] * h_
        pstate_ = tensor.dot(h1, W_comb_att)
        pctx__ = pctx_ + pstate_[None, :, :]
        pctx__ = tensor.tanh(pctx__)
        alpha = tensor.dot(pctx__, U_att) + c_tt
        alpha = alpha.reshape([alpha.shape[0], alpha.shape[1]])
        alpha = tensor.exp(alpha - alpha.max(0, keepdims=True))
        if context_mask:
            alpha = alpha * context_mask
        alpha = alpha / alpha.sum(0, keepdims=True)
        ctx_ = (cc_ * alpha[:, :, None]).sum(0)
        preact2 = tensor.dot(h1, U_nl) + b_nl
        preact2 += tensor.dot(ctx_, Wc)
        preact2 = tensor.nnet.sigmoid(preact2)
        r2 = _slice(preact2, 0, dim)
        u2 = _slice(preact2, 1, dim)
        preactx2 = tensor.dot(h1, Ux_nl) + bx_nl
        preactx2 *= r2
        preactx2 += tensor.dot(ctx_, Wcx)
        h2 = tensor.tanh(preactx2)
        h2 = u2 * h1 + (1.0 - u2) * h2
        h2 = m_[:, None] * h2 + (1.0 - m_)[:, None] * h1
        return h2, ctx_, alpha.T

    seqs = [mask, state_below_, state_belowx]
    shared_vars = [
        tparams[_p(prefix, n)]
        for n in ["U", "Wc", "W_comb_att", "U_att", "c_tt", "Ux", "Wcx", "U_nl", "Ux_nl", "b_nl", "bx_nl"]
    ]
    if one_step:
        rval = _step_slice(*(seqs + [init_state, None, None, pctx_, context] + shared_vars))
    else:
        rval, updates = theano.scan(
            _step_slice,
            sequences=seqs,
            outputs_info=[
                init_state,
                tensor.alloc(0.0, n_samples, context.shape[2]),
                tensor.alloc(0.0, n_samples, context.shape[0]),
            ],
            non_sequences=[pctx_, context] + shared_vars,
            name=_p(prefix, "_layers"),
            n_steps=nsteps,
            profile=profile,
            strict=True if not context_mask else False,
        )
    return rval


V, E, D = 7, 6, 12
params = OrderedDict()
params["Wemb"] = norm_weight(V, E)
params["Wemb_dec"] = norm_weight(V, E)
params = param_init_gru(params, "encoder", E, D)
params = param_init_gru(params, "encoder_r", E, D)
params = param_init_fflayer(params, "ff_state", 2 * D, D)
params = param_init_gru_cond(params, "decoder", E, D, 2 * D)
params = param_init_fflayer(params, "ff_lstm", D, E)
params = param_init_fflayer(params, "ff_prev", E, E)
params = param_init_fflayer(params, "ff_ctx", 2 * D, E)
params = param_init_fflayer(params, "ff_logit", E, V)
tparams = OrderedDict((k, theano.shared(v, name=k)) for k, v in params.items())
trng = RandomStreams(1234)
use_noise = theano.shared(np.float64(0.0).astype(floatX))
x = tensor.matrix("x", dtype="int64")
x_mask = tensor.matrix("x_mask", dtype=floatX)
y = tensor.matrix("y", dtype="int64")
y_mask = tensor.matrix("y_mask", dtype=floatX)
xr = x[::-1]
xr_mask = x_mask[::-1]
n_timesteps = x.shape[0]
n_timesteps_trg = y.shape[0]
n_samples = x.shape[1]
emb = tparams["Wemb"][x.flatten()].reshape([n_timesteps, n_samples, E])
proj = gru_layer(tparams, emb, "encoder", mask=x_mask)
embr = tparams["Wemb"][xr.flatten()].reshape([n_timesteps, n_samples, E])
projr = gru_layer(tparams, embr, "encoder_r", mask=xr_mask)
ctx = concatenate([proj[0], projr[0][::-1]], axis=proj[0].ndim - 1)
ctx_mean = (ctx * x_mask[:, :, None]).sum(0) / x_mask.sum(0)[:, None]
init_state = fflayer(tparams, ctx_mean, "ff_state", activ="tanh")
emb = tparams["Wemb_dec"][y.flatten()].reshape([n_timesteps_trg, n_samples, E])
emb_shifted = tensor.zeros_like(emb)
emb_shifted = tensor.set_subtensor(emb_shifted[1:], emb[:-1])
emb = emb_shifted
proj = gru_cond_layer(
    tparams, emb, "decoder", mask=y_mask, context=ctx, context_mask=x_mask, init_state=init_state
)
proj_h, ctxs, alphas = proj[0], proj[1], proj[2]


def dropout_layer(state_before, use_noise, trng):
    return tensor.switch(
        use_noise,
        state_before * trng.binomial(state_before.shape, p=0.5, n=1, dtype=state_before.dtype),
        state_before * 0.5,
    )


logit = tensor.tanh(
    fflayer(tparams, proj_h, "ff_lstm", "linear")
    + fflayer(tparams, emb, "ff_prev", "linear")
    + fflayer(tparams, ctxs, "ff_ctx", "linear")
)
logit = 2 * dropout_layer(logit, use_noise, trng)
logit = fflayer(tparams, logit, "ff_logit", "linear")
logit_shp = logit.shape
probs = tensor.nnet.softmax(logit.reshape([logit_shp[0] * logit_shp[1], logit_shp[2]]))
y_flat = y.flatten()
y_flat_idx = tensor.arange(y_flat.shape[0]) * V + y_flat
cost = -tensor.log(probs.flatten()[y_flat_idx])
cost = cost.reshape([y.shape[0], y.shape[1]])
cost = (cost * y_mask).sum(0)
inps = [x, x_mask, y, y_mask]
f_log_probs = theano.function(inps, cost, profile=profile)
cost = cost.mean()
alpha_c = 0.01
alpha_reg = (
    theano.shared(np.asarray(alpha_c, dtype=floatX), name="alpha_c")
    * ((tensor.cast(y_mask.sum(0) // x_mask.sum(0), "float32")[:, None] - alphas.sum(0)) ** 2).sum(1).mean()
)
grads = tensor.grad(cost + alpha_reg, wrt=itemlist(tparams))
g2 = 0.0
for g in grads:
    g2 += (g**2).sum()
clip_c = 1.0
grads = [tensor.switch(g2 > (clip_c**2), g / tensor.sqrt(g2) * clip_c, g) for g in grads]


def adam(lr, tparams, grads, inp, cost, beta1=0.9, beta2=0.999, e=1e-8):
    gshared = [theano.shared(p.get_value() * 0.0, name="%s_grad" % k) for k, p in tparams.items()]
    gsup = [(gs, g) for gs, g in zip(gshared, grads)]
    f_grad_shared = theano.function(inp, cost, updates=gsup, profile=profile)
    updates = []
    t_prev = theano.shared(np.asarray(0.0, dtype=floatX))
    t = t_prev + 1.0
    lr_t = lr * tensor.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
    for p, g in zip(tparams.values(), gshared):
        m = theano.shared(p.get_value() * 0.0, p.name + "_mean")
        v = theano.shared(p.get_value() * 0.0, p.name + "_variance")
        m_t = beta1 * m + (1.0 - beta1) * g
        v_t = beta2 * v + (1.0 - beta2) * g**2
        updates.append((m, m_t))
        updates.append((v, v_t))
        updates.append((p, p - lr_t * m_t / (tensor.sqrt(v_t) + e)))
    updates.append((t_prev, t))
    return f_grad_shared, theano.function(
        [lr], [], updates=updates, on_unused_input="ignore", profile=profile
    )


lr = tensor.scalar(name="lr")
f_grad_shared, f_update = adam(lr, tparams, grads, inps, cost)


def batch(n):
    lx = rng.randint(3, 6, n)
    X = np.zeros((6, n), "int64")
    M = np.zeros((6, n), floatX)
    Y = np.zeros((6, n), "int64")
    for i, l in enumerate(lx):
        s = rng.randint(1, V, l)
        X[:l, i] = s
        M[: l + 1, i] = 1
        Y[:l, i] = s[::-1]
    return X, M, Y, M


hist = []
for i in range(60):
    hist.append(f_grad_shared(*batch(32)))
    f_update(0.02)
hist = np.array(hist)

assert hist[0] > 8 and hist[-5:].mean() < 0.95 * hist[0]
# sampler: one step
yy = tensor.vector("y_sampler", dtype="int64")
init = tensor.matrix("init_state", dtype=floatX)
ctx_s = ctx
f_init = theano.function(
    [x],
    [
        theano.clone(init_state, replace={x_mask: tensor.ones_like(x, dtype=floatX)}),
        theano.clone(ctx, replace={x_mask: tensor.ones_like(x, dtype=floatX)}),
    ],
    name="f_init",
    profile=profile,
)
ctxv = tensor.tensor3("ctx", dtype=floatX)
emb1 = tensor.switch(
    yy[:, None] < 0, tensor.alloc(0.0, 1, tparams["Wemb_dec"].shape[1]), tparams["Wemb_dec"][yy]
)
pr = gru_cond_layer(tparams, emb1, "decoder", mask=None, context=ctxv, one_step=True, init_state=init)
lg = tensor.tanh(
    fflayer(tparams, pr[0], "ff_lstm", "linear")
    + fflayer(tparams, emb1, "ff_prev", "linear")
    + fflayer(tparams, pr[1], "ff_ctx", "linear")
)
np_ = tensor.nnet.softmax(fflayer(tparams, lg, "ff_logit", "linear"))
ns = trng.multinomial(pvals=np_).argmax(1)
f_next = theano.function([yy, ctxv, init], [np_, ns, pr[0]], name="f_next", profile=profile)
s0, c0 = f_init(np.array([[1], [2], [3], [0]]))
w = np.array([-1])
out = []
for t in range(4):
    p, sm, s0 = f_next(w, c0, s0)
    w = p.argmax(1)
    out.append(int(w[0]))
assert len(out) == 4 and p.shape[-1] == V
