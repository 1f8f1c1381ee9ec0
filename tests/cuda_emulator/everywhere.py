"""A pytest plugin that runs any test of the project on the emulated GPU: functions compiled without a target go there.

    python -m pytest -p cuda_emulator.everywhere tests/scan      (with tests/ on PYTHONPATH)

Each new kernel is built by the host compiler, so this takes minutes; what it builds is kept on disk.
"""

import pytest


@pytest.fixture(autouse=True)
def _everything_on_the_emulated_gpu():
    from cuda_emulator.device import EmulatedDevice
    from tinygraph.config import config
    from tinygraph.targets.cuda.device import installed

    with installed("cuda", EmulatedDevice(captures=True)), config.change(device="cuda"):
        yield
