"""The oracle of the suite: the same function compiled for NumPy."""

import numpy as np

import tinygraph
from tinygraph.compile.mode import Mode

CUDA, NUMPY = Mode(target="cuda"), Mode(target="numpy")
RTOL = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-9}


def both(inputs, outputs, *args, **more):
    """The outputs of one function on the device and on NumPy."""
    options = {"on_unused_input": "ignore", **more}
    device = tinygraph.function(inputs, outputs, mode=CUDA, **options)
    host = tinygraph.function(inputs, outputs, mode=NUMPY, **options)
    return device(*args), host(*args)


def check(inputs, outputs, *args, **more):
    """Assert that the device computes what NumPy does."""
    found, expected = both(inputs, outputs, *args, **more)
    for position, (a, b) in enumerate(zip(found, expected, strict=True)):
        same(a, b, f"output {position}")


def same(found, expected, what=""):
    """Equal dtypes and shapes; equal values up to rounding: of the largest element for floats, exact for the rest."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), what
    rtol = RTOL.get(expected.dtype.name)
    if rtol is None or not expected.size:
        np.testing.assert_array_equal(found, expected, err_msg=what)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    scale = finite.max() if finite.size else 0
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * float(scale) + 1e-300, err_msg=what)
