"""The suite's streams and views on the emulator."""

from cuda_suite.streams import *  # noqa: F403
