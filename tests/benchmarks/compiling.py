"""How long training steps take to compile: passes, and making and printing the program; not the first call's own work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

_STEPS = """
import json, sys, time
import tinygraph
from tests.benchmarks import shapes, tinygraph_steps as steps

target, found, function = sys.argv[1], {}, steps.function
tinygraph.function([], tinygraph.tensor.constant(1.0), mode=tinygraph.Mode(target=target))()  # loads the target

def timed(*args, **kwargs):
    begin = time.perf_counter()
    f = function(*args, **kwargs)
    timed.seconds = time.perf_counter() - begin
    return f

steps.function = timed
for name, make in (("LeNet", lambda: steps.lenet(target)), ("RNN", lambda: steps.rnn(target, shapes.RNN_LARGE))):
    step = make()
    times = [time.perf_counter()]
    for _ in range(2):
        step()
        times.append(time.perf_counter())
    found[name] = timed.seconds, (times[1] - times[0]) - (times[2] - times[1])
print(json.dumps(found))
"""


def compile_steps(targets: list[str]) -> dict[str, tuple[float, float]]:
    """Seconds of the passes and of the program by step and target; native code also from the cache on disk."""
    out: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            for note in ("",) if target == "numpy" else (", nothing on disk", ", code on disk"):
                for name, (passes, program) in _run(target, folder).items():
                    out[f"{name} {target}{note}"] = passes, max(program, 0.0)
    return out


def _run(target: str, folder: str) -> dict[str, tuple[float, float]]:
    flags = ",".join(f for f in (os.environ.get("TINYGRAPH_FLAGS", ""), f"cache_dir={folder}") if f)
    done = subprocess.run([sys.executable, "-c", _STEPS, target], capture_output=True, text=True, check=True,
                          env={**os.environ, "TINYGRAPH_FLAGS": flags})  # fmt: skip
    found: dict[str, tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    return found
