"""Looking into graphs and changing them: owners, clone, inputs, is_same_graph, FunctionGraph, rewrites, printing."""
import numpy as np
import theano
import theano.tensor as T
from theano import gof, pp
from theano.gof.graph import ancestors, inputs, io_toposort, is_same_graph
from theano.gof.opt import local_optimizer

x = T.dmatrix('x')
y = T.dmatrix('y')
z = x + y
node = z.owner
facts = dict(op_name=node.op.name, n_inputs=len(node.inputs), same=node.inputs[0] is x, n_outputs=len(node.outputs),
             type=node.outputs[0] is z, leaf=x.owner is None, ndim=z.type.ndim)

w = theano.shared(np.eye(2), name='w')
cost = T.sum(T.tanh(T.dot(x, w)) ** 2)
cost2 = theano.clone(cost, replace={x: y * 2})
values = theano.function([x, y], [cost, cost2], on_unused_input='ignore')(np.ones((2, 2)), np.full((2, 2), 0.5))
leaves = [v for v in inputs([cost]) if isinstance(v, theano.compile.SharedVariable)]
named = [v for v in theano.gof.graph.ancestors([cost]) if v.name == 'x']
order = [str(n.op) for n in io_toposort([x], [cost])]
comparisons = (is_same_graph(x + y, x + y), is_same_graph(x + y, x * y),
               is_same_graph(x + 1, y + 1, givens={x: y}))

fgraph = gof.FunctionGraph([x, y], [x * y + 1])
fgraph.replace(fgraph.outputs[0], fgraph.inputs[0] - fgraph.inputs[1])
after = [str(n.op) for n in fgraph.toposort()]


class Twice(theano.Op):
    __props__ = ()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return theano.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        raise AssertionError("should have been rewritten")


@local_optimizer([Twice])
def local_twice_to_mul(node):
    if not isinstance(node.op, Twice):
        return False
    return [node.inputs[0] * 2]


theano.tensor.opt.register_canonicalize(local_twice_to_mul)
rewritten = theano.function([x], Twice()(x))(np.ones((2, 2)))
theano.tensor.opt.unregister('local_twice_to_mul')

f = theano.function([x, y], T.dot(x, y) + 1)
nodes = f.maker.fgraph.toposort()
kinds = [n.op.__class__.__name__ for n in nodes]
text = theano.printing.debugprint(x + y * 2, file='str')
text_of_function = theano.printing.debugprint(f, file='str')
pretty = [pp((x + y) * 2), theano.printing.pprint(T.dot(x, y)), pp(T.tanh(x) ** 2)]

M = T.fmatrix()
subgraph = theano.OpFromGraph([M], [T.exp(M)])
opfromgraph = theano.function([M], subgraph(M) + 1)(np.zeros((1, 2), 'float32'))
