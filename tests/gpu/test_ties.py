"""The suite's equal maxima on a real GPU."""

import pytest
from cuda_suite.ties import *  # noqa: F403

pytestmark = pytest.mark.gpu
