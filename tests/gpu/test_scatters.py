"""The suite's writes that meet on a real GPU."""

import pytest
from cuda_suite.scatters import *  # noqa: F403

pytestmark = pytest.mark.gpu
