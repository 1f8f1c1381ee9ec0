"""Every name that code written for Theano calls is there: the modules, their names, variables' methods, keywords."""

import importlib
import inspect
import types

import pytest

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.compat.theano.modules import MODULES, TABLE

#: names below theano, by how many of 13 code bases use them: 2 or more first
MANY = """
shared function config.floatX sandbox.rng_mrg.MRG_RandomStreams scan printing.Print gof.Variable Variable
gof.graph.is_same_graph gradient.disconnected_grad clone config.device config.compute_test_value ifelse.ifelse
gof.graph.inputs
""".split()
ONE = """
TensorType gradient.grad_clip grad config.optimizer config.exception_verbosity In scalar.identity pprint map
gradient.DisconnectedType compile.SharedVariable Mode sparse.dense_from_sparse sparse.csr_matrix sparse.basic.vstack
sparse.basic.structured_dot sparse.basic.hstack sparse.as_sparse_variable sparse.SparseType scalar.upcast
sandbox.softsign.softsign gradient.grad gof.graph.io_toposort foldr foldl config.warn.subtensor_merge_bug config.mode
compile.profiling.ProfileStats compile.nanguardmode.NanGuardMode compile.mode.get_default_mode compile.Mode _asarray Op
""".split()
#: names below theano.tensor
TENSOR_MANY = """
grad dot nnet.sigmoid exp nnet.softmax tanh sqrt mean argmax log sum scalar arange matrix vector cast
nnet.categorical_crossentropy sqr zeros set_subtensor ivector alloc TensorType maximum switch concatenate neq tensor3 eq
nnet.conv.conv2d reshape zeros_like nnet.binary_crossentropy clip signal.pool.pool_2d minimum tensor4
signal.downsample.max_pool_2d shared_randomstreams.RandomStreams lscalar stack ones_like nnet.relu nnet.conv2d flatten max
ge nnet.softplus as_tensor_variable ones iscalar var unbroadcast repeat round prod isnan imatrix inc_subtensor Elemwise
nnet.abstract_conv.AbstractConv2d_gradInputs abs_ TensorVariable constant Variable fmatrix transpose matrices
signal.pool.pool_3d extra_ops.repeat isinf tile shape_padleft patternbroadcast nnet.conv3d nnet.bn inv
extra_ops.to_one_hot square shape_padright nnet.bn.batch_normalization min ftensor4 dtensor4 argsort any all add
""".split()
TENSOR_ONE = """
TensorSharedVariable tensordot or_ nnet.Softmax mod lmatrix floor SharedVariable vectors nnet.bn.batch_normalization_train
nnet.bn.batch_normalization_test fscalar dmatrix addbroadcast xlogx.xlogy0 squeeze
nnet.abstract_conv.AbstractConv3d_gradInputs lvector join expm1 ceil batched_dot as_tensor subtensor.Subtensor std sin
signal.pool.Pool.out_shape signal.pool.Pool sharedvar.SharedVariable shared_randomstreams.RandomStateSharedVariable
shape_padaxis sgn roll printing.pydotprint printing.debugprint pow nnet.nnet.softsign nnet.hard_sigmoid nnet.elu
nnet.conv3d2d.conv3d nnet.conv3d2d nnet.confusion_matrix nnet.abstract_conv.AbstractConv2d_gradWeights mul lt le gt
gradient.Rop eye cos batched_tensordot argmin Rop
""".split()
METHODS = """
shape get_value sum dot mean reshape argmax dimshuffle set_value flatten astype ndim dtype max name prod T min zeros_like
copy transpose type round eval clip any all var ones_like argsort tag broadcastable repeat std nonzero squeeze swapaxes
owner argmin norm ravel sort cumsum diagonal take
""".split()
#: keywords seen at call sites
KEYWORDS = {
    "function": "updates inputs outputs givens profile name mode allow_input_downcast on_unused_input",
    "scan": "outputs_info sequences non_sequences n_steps strict name profile fn go_backwards truncate_gradient",
    "grad": "wrt cost consider_constant known_grads",
    "shared": "name borrow value broadcastable strict",
    "tensor.nnet.conv2d": "border_mode filter_shape input_shape filters input subsample filter_flip filter_dilation",
    "tensor.signal.pool.pool_2d": "ds ws ignore_border st stride padding pad mode",
    "clone": "share_inputs replace",
}


def found(root, path):
    for part in path.split("."):
        root = getattr(root, part)
    return root


@pytest.mark.parametrize("name", MANY + ONE)
def test_below_theano(installed, name):
    assert found(installed, name) is not None


@pytest.mark.parametrize("name", TENSOR_MANY + TENSOR_ONE)
def test_below_theano_tensor(installed, name):
    assert found(installed.tensor, name) is not None


NATIVE = {"sandbox.rng_mrg.MRG_RandomStreams", "shared", "function", "config.floatX", "scan", "clone", "config.device",
          "config.compute_test_value", "ifelse", "gradient.disconnected_grad"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_natively(name):
    importlib.import_module("tinygraph.sandbox.rng_mrg")
    assert found(tg, name) is not None


@pytest.mark.parametrize("name", TENSOR_MANY)
def test_natively_below_tensor(name):
    assert found(T, name) is not None


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_variables(name):
    variable = tg.shared(1.0) if name in ("get_value", "set_value") else T.matrix()
    assert hasattr(variable, name)


@pytest.mark.parametrize("name", KEYWORDS)
def test_keywords(installed, name):
    accepted = inspect.signature(found(installed, name)).parameters
    assert set(KEYWORDS[name].split()) <= set(accepted)


@pytest.mark.parametrize("name", TABLE)
def test_every_module_can_be_imported_and_has_the_names_it_lists(installed, name):
    full = f"theano.{name}" if name else "theano"
    module = importlib.import_module(full)
    assert module is MODULES[name] and module.__name__ == full
    assert importlib.import_module(f"tinygraph.compat.{full}") is not None
    for each in module.__all__:
        getattr(module, each)


def test_functions_are_not_hidden_by_modules_of_their_name(installed):
    import theano.tensor as T
    from theano.tensor.sort import sort

    assert T.sort is sort and callable(T.var) and isinstance(installed.ifelse, types.ModuleType)


def test_star_import(installed):
    space = {}
    exec("from theano.tensor import *", space)
    assert space["exp"] is T.exp and space["nnet"] is MODULES["tensor.nnet"]


def test_a_missing_name_says_so(installed):
    with pytest.raises(AttributeError, match="theano.tensor has no 'zmatrix' in tinygraph"):
        installed.tensor.zmatrix  # noqa: B018


def test_what_cannot_be_here_names_the_alternative(installed):
    from theano.gof import COp

    with pytest.raises(NotImplementedError, match="COp has no counterpart in tinygraph: write the op's perform"):
        COp("f.c")
    with pytest.raises(NotImplementedError, match="COp has no counterpart"):
        type("Mine", (COp,), {})
    with pytest.raises(NotImplementedError, match=r"CudaNdarray has no counterpart in tinygraph: run on a GPU with"):
        installed.sandbox.cuda.CudaNdarray(None)
    assert not isinstance(T.dot, installed.tensor.blas.Gemm)
