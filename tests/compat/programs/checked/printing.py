"""What is printed of expressions and functions."""

import io
import os
import tempfile
import numpy as np
import theano
import theano.tensor as T
from theano import function

fx = theano.config.floatX
rng = np.random.RandomState(0)

x, y = T.dmatrices("x", "y")
e = T.nnet.sigmoid(T.dot(x, y)).sum()
f = function([x, y], [e, T.grad(e, x)])
b = io.StringIO()
theano.printing.debugprint(f, file=b, print_type=True, depth=3)
theano.printing.debugprint([e, x], file=b, ids="int", stop_on_name=True, done=None)
theano.printing.debugprint(e, file="str", print_storage=False, print_destroy_map=True, print_view_map=True)
assert theano.pp(x + y) == "(x + y)" and theano.printing.pprint(x * y) == "(x * y)"
assert "sigmoid" in theano.printing.min_informative_str(e) and str(x) == "x" and str(e) != repr(e.owner)
assert "|x" in b.getvalue() and "|y" in b.getvalue()
p = theano.printing.Print("val", attrs=("shape", "__str__"), global_fn=lambda op, x: b.write("seen"))
assert function([x], p(x))(np.ones((1, 2))).shape == (1, 2)
assert "seen" in b.getvalue()
theano.printing.pydotprint(
    f,
    outfile=os.path.join(tempfile.mkdtemp(), "o.svg"),
    format="svg",
    var_with_name_simple=True,
    scan_graphs=True,
)

assert x.type.__class__.__name__ == "TensorType"
assert x.type == T.dmatrix and x.type in (T.dmatrix,) and T.dmatrix.dtype == "float64"
assert T.dmatrix.make_variable("q").name == "q" and x.type.make_variable().type == x.type
x.tag.test_value = np.ones((2, 2))
theano.config.compute_test_value = "raise"
try:
    y.tag.test_value = np.ones((2, 3))
    z = T.dot(x, y)
    assert z.tag.test_value.shape == (2, 3)
finally:
    theano.config.compute_test_value = "off"
