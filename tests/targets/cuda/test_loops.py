"""The suite's loops on the emulator."""

from cuda_suite.loops import *  # noqa: F403
