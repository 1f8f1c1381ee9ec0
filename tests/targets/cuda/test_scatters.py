"""The suite's writes that meet on the emulator."""

from cuda_suite.scatters import *  # noqa: F403
