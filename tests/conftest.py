"""What every test starts from: switches as they were, the same random examples in each run, no GPU assumed."""

import importlib.util
import os

# Workers share the cores, and OpenBLAS's threads spin while they wait for one: one each, before NumPy is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from tinygraph.config import config

try:
    from hypothesis import settings
except ImportError:  # only the property tests need it
    pass
else:
    # Times on a shared machine say nothing, and a failure must be there again in the next run.
    settings.register_profile("tinygraph", deadline=None, derandomize=True, database=None)
    settings.load_profile("tinygraph")


@pytest.fixture(autouse=True)
def _switches_are_put_back():
    values = {name: getattr(config, name) for name in config.options()}
    yield
    for name, value in values.items():
        setattr(config, name, value)


def _why_no_gpu():
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    import cupy

    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"no CUDA device: {error}"
    return None


def pytest_collection_modifyitems(items):
    """Tests marked ``gpu`` are skipped, with the reason, where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = _why_no_gpu() if marked else None
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))
