"""Settings that programs assign to theano.config."""

import numpy as np
import theano
import theano.tensor as T
from theano import shared

fx = theano.config.floatX
rng = np.random.RandomState(0)

c = theano.config
for k, v in dict(
    exception_verbosity="high",
    optimizer="fast_compile",
    mode="FAST_RUN",
    on_unused_input="warn",
    allow_gc=False,
    profile=False,
    warn_float64="ignore",
    openmp=False,
    cxx="",
    floatX="float32",
    int_division="int",
    cast_policy="custom",
).items():
    old = getattr(c, k)
    setattr(c, k, v)
    assert getattr(c, k) == v
    setattr(c, k, old)
(
    c.scan.allow_gc,
    c.dnn.enabled,
    c.compiledir,
    c.base_compiledir,
    c.blas.ldflags,
    c.gcc.cxxflags,
    c.device,
    c.nvcc.fastmath,
    c.optimizer_including,
    c.optimizer_excluding,
    c.openmp_elemwise_minsize,
    c.traceback.limit,
    c.NanGuardMode.nan_is_error,
    c.DebugMode.check_c,
    c.warn.round,
    c.compute_test_value,
    c.optimizer_verbose,
    c.reoptimize_unpickled_function,
    c.gpuarray.preallocate,
    c.print_active_device,
    c.conv.assert_shape,
    c.unittests.rseed,
    c.profiling.time_thunks,
    c.profile_memory,
)
with theano.configparser.change_flags(floatX="float32"):
    assert T.matrix().dtype == "float32"


@theano.change_flags(compute_test_value="off")
def g():
    return c.compute_test_value


assert g() == "off"
c.floatX = "float32"
assert T.vector().dtype == "float32" and shared(np.float32(1) * np.ones(2, "float32")).dtype == "float32"
c.floatX = fx
