"""``theano.sandbox.cuda.dnn`` and ``theano.gpuarray.dnn``: cuDNN is never used, and the probe says so."""

from tinygraph.compat.theano.parts.absent import absent_class, absent_function


def dnn_available(context_name: object = None) -> bool:
    """False: programs take the other branch, which runs on every target."""
    return False


dnn_present = dnn_available
dnn_available.msg = "tinygraph does not use cuDNN"  # type: ignore[attr-defined]


def version(raises: bool = True) -> int:
    """cuDNN's version: -1, as in Theano without it."""
    return -1


dnn_conv = absent_function("dnn_conv", "use T.nnet.conv2d")
dnn_conv3d = absent_function("dnn_conv3d", "use T.nnet.conv3d")
dnn_pool = absent_function("dnn_pool", "use T.signal.pool.pool_2d")
dnn_gradweight = absent_function("dnn_gradweight", "use T.nnet.abstract_conv.conv2d_grad_wrt_weights")
dnn_gradinput = absent_function("dnn_gradinput", "use T.nnet.abstract_conv.conv2d_grad_wrt_inputs")
dnn_batch_normalization_train = absent_function("dnn_batch_normalization_train", "use T.nnet.bn")
dnn_batch_normalization_test = absent_function("dnn_batch_normalization_test", "use T.nnet.bn")
GpuDnnConv = absent_class("GpuDnnConv", "use T.nnet.conv2d")
GpuDnnConvDesc = absent_class("GpuDnnConvDesc", "use T.nnet.conv2d")
GpuDnnConvGradI = absent_class("GpuDnnConvGradI", "use T.nnet.abstract_conv.conv2d_grad_wrt_inputs")
GpuDnnConvGradW = absent_class("GpuDnnConvGradW", "use T.nnet.abstract_conv.conv2d_grad_wrt_weights")
GpuDnnPool = absent_class("GpuDnnPool", "use T.signal.pool.pool_2d")
GpuDnnSoftmax = absent_class("GpuDnnSoftmax", "use T.nnet.softmax")
