"""Loops are tested on the numpy target, which prints what they do; a part of them on the others too (test_targets)."""

import pytest

from tinygraph.config import config


@pytest.fixture(autouse=True)
def _on_the_numpy_target(_switches_are_put_back):
    config.target = "numpy"
