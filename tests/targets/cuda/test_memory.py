"""The suite's memory on the emulator."""

from cuda_suite.memory import *  # noqa: F403
