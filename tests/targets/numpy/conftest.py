"""What is looked at here is what the numpy target prints."""

import pytest

from tinygraph import config


@pytest.fixture(autouse=True)
def numpy_target():
    with config.change(target="numpy"):
        yield
