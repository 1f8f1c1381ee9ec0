"""A process of its own for each implementation, stopped while another has its turn.

Libraries in one process disturb each other: their thread pools spin after a call, their allocators share the memory. So the
benchmark keeps one process for each of them; a turn lets one go on while all others stand still. (By signals: POSIX only.)
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from tests.benchmarks.timing import turn

Step = Callable[[], Any]


class Worker:
    """A process that has the steps of a module, for one target where the module is ours; of another ``python`` if given."""

    def __init__(self, module: str, *target: str, python: str = sys.executable) -> None:
        self._pipe, other = multiprocessing.Pipe()
        command = [python, "-m", "tests.benchmarks.worker", str(other.fileno()), module, *target]
        self._process = subprocess.Popen(command, pass_fds=[other.fileno()])
        other.close()
        #: why the implementation cannot run here
        self.missing: str | None = self._answer()

    def make(self, function: str, arguments: tuple) -> list[str]:
        """Names of the variants of a work; those of the work before are dropped."""
        return self._ask("make", function, arguments)

    def run(self, name: str, calls: int) -> float:
        """Seconds per call of a variant, of so many."""
        return self._ask("run", name, calls)

    def close(self) -> None:
        """End the process."""
        self._process.send_signal(signal.SIGCONT)
        self._pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _ask(self, *request: Any) -> Any:
        self._process.send_signal(signal.SIGCONT)
        self._pipe.send(request)
        return self._answer()

    def _answer(self) -> Any:
        answer = self._pipe.recv()
        self._process.send_signal(signal.SIGSTOP)
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.contextmanager
def workers(wanted: dict[str, tuple[str, ...]], pythons: dict[str, str] | None = None) -> Iterator[dict[str, Worker]]:
    """Those of ``{name: (module, target)}`` that are installed; the others are named on stderr.

    ``pythons`` has the interpreter of those that need another.
    """
    found: dict[str, Worker] = {}
    try:
        for name, module in wanted.items():
            found[name] = Worker(*module, python=(pythons or {}).get(name, sys.executable))
            if found[name].missing:
                print(f"  {name} is left out: {found[name].missing}", file=sys.stderr)
                found.pop(name).close()
        yield found
    finally:
        for worker in found.values():
            worker.close()


def _variants(module: str, target: tuple[str, ...], function: str, arguments: tuple) -> dict[str, Step]:
    make = getattr(importlib.import_module(module), function, None)
    if make is None:
        return {}
    return {"": make(*target, *arguments)} if target else make(*arguments)


def _serve(pipe: Connection, module: str, target: tuple[str, ...]) -> None:
    """Answer requests until the other side is gone."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    steps: dict[str, Step] = {}
    with contextlib.suppress(EOFError):
        while True:
            what, name, detail = pipe.recv()
            try:
                if what == "make":
                    steps = {}  # first, so that two works are never in memory at once
                    steps = _variants(module, target, name, detail)
                    pipe.send(list(steps))
                else:
                    pipe.send(turn(steps[name], detail))
            except Exception as error:
                pipe.send(error)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), sys.argv[2], tuple(sys.argv[3:]))
