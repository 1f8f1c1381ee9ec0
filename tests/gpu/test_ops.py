"""The suite's ops on a real GPU."""

import pytest
from cuda_suite.ops import *  # noqa: F403

pytestmark = pytest.mark.gpu
