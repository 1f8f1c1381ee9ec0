"""The suite's memory on a real GPU."""

import pytest
from cuda_suite.memory import *  # noqa: F403

pytestmark = pytest.mark.gpu
