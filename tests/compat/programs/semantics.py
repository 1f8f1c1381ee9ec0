"""Small things programs rely on: integer division, casts, broadcasting flags, borrowing, In, givens, saving, sparse."""
import pickle
import tempfile

import numpy as np
import scipy.sparse
import theano
import theano.tensor as T
from theano import sparse
from theano.misc.pkl_utils import dump, load

i, j = T.iscalars('i', 'j')
a, b = T.dmatrices('a', 'b')
ints = theano.function([i, j], [i / j if False else i // j, i % j, i ** 2, T.cast(i, theano.config.floatX) / j])(7, 2)
dtypes = [(T.iscalar() + T.fscalar()).dtype, (T.bscalar() + 1).dtype, (T.fmatrix() * 2.5).dtype,
          (T.ivector() * T.fvector()).dtype, T.mean(T.ivector()).dtype, T.sum(T.bvector()).dtype, T.arange(3).dtype,
          T.eq(a, b).dtype, T.argmax(a).dtype, (T.lscalar() / T.lscalar()).dtype]
row = T.row('r')
flags = [row.broadcastable, (a + row).broadcastable, T.addbroadcast(a, 0).broadcastable,
         a.dimshuffle(0, 'x', 1).broadcastable, T.patternbroadcast(
             a, (True, False)).broadcastable]

np_array = np.ones(2, dtype='float32')
s_default, s_false, s_true = theano.shared(np_array), theano.shared(np_array, borrow=False), theano.shared(
    np_array, borrow=True)
np_array += 1
borrowed = [s.get_value().tolist() for s in (s_default, s_false, s_true)]

state = theano.shared(0)
inc = T.iscalar('inc')
accumulator = theano.function([inc], state, updates=[(state, state + inc)])
counts = [int(accumulator(1)), int(accumulator(300)), int(state.get_value())]
fn_of_state = state * 2 + inc
foo = T.scalar(dtype=state.dtype)
skip_shared = theano.function([inc, foo], fn_of_state, givens=[(state, foo)])
given = int(skip_shared(1, 3))
new_state = theano.shared(0)
new_accumulator = accumulator.copy(swap={state: new_state})
new_accumulator(100)
swapped = int(new_state.get_value())

x, y, w = T.dscalars('x', 'y', 'w')
defaults = theano.function([x, theano.In(y, value=1), theano.In(w, value=2, name='w_by_name')], (x + y) * w)
by_name = [float(v) for v in (defaults(33), defaults(33, 2), defaults(33, w_by_name=1))]

restored = pickle.loads(pickle.dumps(accumulator))
pickled = int(restored(1))
with tempfile.TemporaryFile() as handle:
    dump((theano.shared(np.arange(3.), name='kept'), {'n': 1}), handle)
    handle.seek(0)
    kept, extra = load(handle)

csr = sparse.csr_matrix('csr', dtype='float64')
dense = T.dmatrix('dense')
product = sparse.dot(csr, dense)
gradients = T.grad((product ** 2).sum(), [dense])
matrix = scipy.sparse.random(5, 4, 0.5, format='csr', random_state=0)
sparse_value = theano.function([csr, dense], [product] + gradients)(matrix, np.ones((4, 2)))
stacked = theano.function([csr], sparse.dense_from_sparse(sparse.vstack([csr, csr * 2.0])))(matrix)
structured = theano.function([csr, dense], sparse.dense_from_sparse(
    T.grad(sparse.structured_dot(csr, dense).sum(), csr)))(matrix, np.ones((4, 2)))
as_constant = sparse.as_sparse_variable(matrix)
constant_sum = theano.function([], sparse.sp_sum(as_constant + as_constant))()

gpu = (theano.sandbox.cuda.cuda_available, theano.sandbox.cuda.dnn.dnn_available(),
       theano.gpuarray.dnn.dnn_available(), theano.config.device.startswith('gpu'))
updates = theano.updates.OrderedUpdates()
updates[state] = state + 1
more = theano.OrderedUpdates([(new_state, new_state * 2)])
merged = len(updates + more)
theano.config.warn.subtensor_merge_bug = False
theano.config.compute_test_value = 'off'
asarray = theano._asarray([1, 2], dtype='floatX' if False else theano.config.floatX).dtype.name

lists = theano.typed_list.TypedListType(T.dvector)()
element = T.dvector()
appended = theano.function([lists, element], theano.typed_list.length(theano.typed_list.append(lists, element)))(
    [np.ones(2)], np.ones(3))
