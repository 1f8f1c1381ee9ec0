"""The suite's loops on a real GPU."""

import pytest
from cuda_suite.loops import *  # noqa: F403

pytestmark = pytest.mark.gpu
