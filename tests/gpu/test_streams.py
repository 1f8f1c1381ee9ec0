"""The suite's streams and views on a real GPU."""

import pytest
from cuda_suite.streams import *  # noqa: F403

pytestmark = pytest.mark.gpu
