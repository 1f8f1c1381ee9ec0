"""The suite's draws on a real GPU."""

import pytest
from cuda_suite.draws import *  # noqa: F403

pytestmark = pytest.mark.gpu
