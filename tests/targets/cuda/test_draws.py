"""The suite's draws on the emulator."""

from cuda_suite.draws import *  # noqa: F403
