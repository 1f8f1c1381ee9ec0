"""Annotations on variables, a walk through owners, and noise put into a finished graph."""

import numpy as np
import theano
import theano.tensor as T
from theano import function, shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

from theano.gof import graph
from theano.scan_module.scan_op import Scan

x = T.matrix("features")
W = shared(rng.randn(4, 3), name="W")
W.tag.roles = ["WEIGHT"]
W.tag.annotations = ["linear"]
b = shared(np.zeros(3), name="b")
b.tag.roles = ["BIAS"]
lin = T.dot(x, W) + b
lin.tag.name = "linear_output"
lin.name = "lin_out"
h = T.tanh(lin)
h = h.copy(name="out")
cost = (h**2).mean()
cost.name = "cost"
seen = []
q = [cost]
while q:
    v = q.pop()
    seen.append(v)
    if v.owner:
        q.extend(i for i in v.owner.inputs if i not in seen)
pars = [
    v for v in seen if isinstance(v, T.sharedvar.SharedVariable) and "WEIGHT" in getattr(v.tag, "roles", [])
]
assert pars == [W]
target = [v for v in seen if v.name == "lin_out"][0]
srng = theano.sandbox.rng_mrg.MRG_RandomStreams(1)
drop = target * srng.binomial(target.shape, p=0.5, dtype=fx) / 0.5
drop.tag.replacement_of = target
c2 = theano.clone(cost, replace={target: drop})
f = function([x], [cost, c2])
r = f(rng.randn(50, 4))
assert r[0] != r[1]
noisy = theano.clone([cost], replace=[(W, W + srng.normal(W.shape, std=0.1))])[0]
function([x], noisy)(rng.randn(5, 4))
assert cost in graph.variables([x], [cost]) and cost.owner in graph.list_of_nodes([x], [cost])
assert W in graph.orphans([x], [cost]) and cost.owner in graph.ops([x], [cost])
sv = [v for v in graph.inputs([cost]) if not isinstance(v, graph.Constant)]
assert set(map(str, sv)) == {"features", "W", "b"}
hs, u = theano.scan(
    lambda x_, h_, W_: T.tanh(T.dot(x_, W_)[:, None].sum() + h_),
    sequences=x,
    outputs_info=T.zeros(()),
    non_sequences=[W],
)
node = hs.owner
while not isinstance(node.op, Scan):
    node = node.inputs[0].owner
step = function(node.op.inputs, node.op.outputs)
assert len(node.op.inputs) == 3
from theano.compile.builders import OpFromGraph

a, bb = T.dvectors("a", "b")
op = OpFromGraph([a, bb], [a * bb, a + bb])
p = op(a, bb)
assert np.allclose(
    function([a, bb], T.grad((p[0] * p[1]).sum(), a))([1.0, 2], [3.0, 4]),
    2 * np.array([1.0, 2]) * [3, 4] + np.array([9.0, 16]),
)
