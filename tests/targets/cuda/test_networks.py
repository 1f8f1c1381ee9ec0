"""The suite's networks on the emulator."""

from cuda_suite.networks import *  # noqa: F403
