"""The suite's convolutional layers on a real GPU."""

import pytest
from cuda_suite.layers import *  # noqa: F403

pytestmark = pytest.mark.gpu
