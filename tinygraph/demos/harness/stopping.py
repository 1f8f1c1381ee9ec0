"""When to stop: early stopping by patience, and Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class EarlyStopping:
    """Stop once ``patience`` mini-batches have passed; each clear improvement stretches it.

    An improvement is clear if the error falls below ``threshold`` times the best so far; the patience is then at
    least ``increase`` times the number of mini-batches seen. From the deep learning tutorials of the LISA lab,
    University of Montreal, 2010.
    """

    patience: int = 10_000
    increase: int = 2
    threshold: float = 0.995
    best_error: float = math.inf
    best_iteration: int = -1

    def improved(self, error: float, iteration: int) -> bool:
        """Take note of a validation error after mini-batch ``iteration`` (from 0); True if it is the best yet."""
        if not error < self.best_error:
            return False
        if error < self.best_error * self.threshold:
            self.patience = max(self.patience, iteration * self.increase)
        self.best_error, self.best_iteration = error, iteration
        return True

    def exhausted(self, iteration: int) -> bool:
        """Whether mini-batch ``iteration`` was the last."""
        return self.patience <= iteration


class Interrupt:
    """Whether somebody pressed Ctrl-C."""

    requested = False

    def __bool__(self) -> bool:
        return self.requested


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Inside, a first Ctrl-C only sets a flag, so that no step is cut in two; a second one interrupts at once.

    Outside the main thread, where signals cannot be caught, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
