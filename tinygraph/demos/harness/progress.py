"""A progress bar where there is a terminal and tqdm; lines of text everywhere."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """Shows how far training is, at what rate and loss; used as a context."""

    def __init__(self, total: int, done: int = 0, unit: str = "batch") -> None:
        self._bar = _tqdm_bar(total, done, unit)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, loss: float) -> None:
        """One more mini-batch, with its loss."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self._bar.update()

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stdout)
        else:
            print(line, flush=True)


def missing_bar() -> str | None:
    """What to install for a progress bar, if there could be one."""
    if not sys.stderr.isatty():
        return None
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return 'for a progress bar: pip install "tinygraph[progress]"'
    return None


def _tqdm_bar(total: int, done: int, unit: str) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, initial=done, unit=unit, dynamic_ncols=True, mininterval=0.2, leave=False)
