"""``theano.sandbox.cuda`` and ``theano.gpuarray``: probes, which answer that neither back end is there.

A GPU is used through ``config.device = "cuda"``: shared variables move there with the first call that runs there, and
no variable has a type of its own for it. So conversions are the identity, and probes for Theano's back ends say no.
"""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class, absent_function
from tinygraph.tensor.basic import as_tensor_variable, constant
from tinygraph.tensor.broadcast import alloc

_DEVICE = "run on a GPU with theano.config.device = 'cuda'; variables keep their usual types"

cuda_available = False
cuda_enabled = False
pygpu_activated = False
active_device_number = None

CudaNdarray = absent_class("CudaNdarray", _DEVICE)
CudaNdarrayType = absent_class("CudaNdarrayType", _DEVICE)
CudaNdarrayVariable = absent_class("CudaNdarrayVariable", _DEVICE)
CudaNdarraySharedVariable = absent_class("CudaNdarraySharedVariable", _DEVICE)
GpuArrayType = absent_class("GpuArrayType", _DEVICE)
GpuArrayVariable = absent_class("GpuArrayVariable", _DEVICE)
GpuArraySharedVariable = absent_class("GpuArraySharedVariable", _DEVICE)
GpuElemwise = absent_class("GpuElemwise", _DEVICE)
GpuDimShuffle = absent_class("GpuDimShuffle", _DEVICE)
GpuCorrMM = absent_class("GpuCorrMM", _DEVICE)
use = absent_function("use", _DEVICE)


def as_cuda_ndarray_variable(x: Any) -> Any:
    """``x`` as a variable: there is one kind of tensor."""
    return as_tensor_variable(x)


host_from_gpu = gpu_contiguous = as_cuda_ndarray_variable


def as_gpuarray_variable(x: Any, context_name: str | None = None) -> Any:
    """``x`` as a variable: there is one kind of tensor."""
    return as_tensor_variable(x)


gpu_from_host = as_gpuarray_variable


def infer_context_name(*variables: Any) -> None:
    """The GPU that variables live on: none of them is bound to one."""


def gpu_alloc_empty(*shape: Any, dtype: str = "float32", context_name: str | None = None) -> Any:
    """A tensor that an operation will fill: zeros, of which nothing is computed where only the shape is read."""
    return alloc(constant(0, dtype=dtype), *shape)


class GpuAllocEmpty:
    """``GpuAllocEmpty(dtype, context_name)(*shape)``: as ``gpu_alloc_empty``."""

    def __init__(self, dtype: str = "float32", context_name: str | None = None):
        self.dtype = dtype

    def __call__(self, *shape: Any) -> Any:
        return gpu_alloc_empty(*shape, dtype=self.dtype)


class _Identity:
    """``GpuFromHost(context_name)(x)`` and its like: ``x``."""

    def __init__(self, context_name: str | None = None):
        pass

    def __call__(self, x: Any) -> Any:
        return as_tensor_variable(x)


GpuFromHost = HostFromGpu = GpuToGpu = GpuContiguous = _Identity


def float32_shared_constructor(value: Any, name: str | None = None, **kwargs: Any) -> Any:
    """A shared float32 variable."""
    import numpy as np

    from tinygraph import shared

    return shared(np.asarray(value, dtype="float32"), name=name, **kwargs)


gpuarray_shared_constructor = shared_constructor = float32_shared_constructor


def __getattr__(name: str) -> Any:
    if name == "dnn":
        from tinygraph.compat.theano.modules import MODULES

        return MODULES["gpuarray.dnn"]
    raise AttributeError(name)
