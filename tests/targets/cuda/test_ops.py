"""The suite's ops on the emulator."""

from cuda_suite.ops import *  # noqa: F403
