"""``theano.sandbox.cuda`` and ``theano.gpuarray``: probes, which answer that neither back end is there.

A GPU is used through ``config.device = "cuda"``: shared variables move there with the first call that runs there, and
no variable has a type of its own for it. So conversions are the identity, and probes for Theano's back ends say no.
"""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import absent_class, absent_function
from tinygraph.tensor.basic import as_tensor_variable

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
GpuContiguous = absent_class("GpuContiguous", _DEVICE)
use = absent_function("use", _DEVICE)


def as_cuda_ndarray_variable(x: Any) -> Any:
    """``x`` as a variable: there is one kind of tensor."""
    return as_tensor_variable(x)


as_gpuarray_variable = gpu_from_host = host_from_gpu = gpu_contiguous = as_cuda_ndarray_variable


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
