"""The first real GPU as the device "cuda". Everything here is marked ``gpu``: without one it is skipped, with the reason."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
for folder in (TESTS, TESTS / "tensor"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker("gpu")


@pytest.fixture
def device():
    from tinygraph.targets.cuda.device import device

    return device("cuda:0")
