"""The suite's networks on a real GPU."""

import pytest
from cuda_suite.networks import *  # noqa: F403

pytestmark = pytest.mark.gpu
