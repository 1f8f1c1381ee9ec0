"""The emulator as the device "cuda", under several orders of threads."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
for folder in (HERE.parents[2], HERE.parents[2] / "tensor", HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(params=[1, 2])
def device(request):
    """An emulated GPU that replays captured calls; the seed orders its threads."""
    from cuda_emulator import missing_reason
    from cuda_emulator.device import EmulatedDevice

    from tinygraph.targets.cuda.device import installed

    if reason := missing_reason():
        pytest.skip(reason)
    with installed("cuda", EmulatedDevice(seed=request.param, captures=True)) as found:
        yield found
