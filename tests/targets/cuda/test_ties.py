"""The suite on equal maxima, on the emulator."""

from cuda_suite.ties import *  # noqa: F403
