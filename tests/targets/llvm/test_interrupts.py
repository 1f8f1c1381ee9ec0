"""Ctrl-C during one long native call: it ends soon, raises KeyboardInterrupt, and shared variables are as before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

#: for each kind of call: a function that updates ``w``, and an argument for it of size ``n``
CALLS = {
    "scan": """
n, h = T.iscalar("n"), tg.shared(np.eye(64, dtype="float32"))
states, _ = tg.scan(lambda s: T.tanh(T.dot(s, h)), outputs_info=[h], n_steps=n)
f, sized = tg.function([n], [], updates=[(w, w + states[-1].sum())]), np.int32
""",
    "elementwise": """
x = y = T.fvector("x")
for _ in range(20):
    y = T.sin(T.exp(-y * y)) + x
f, sized = tg.function([x], [], updates=[(w, w + y.sum())]), lambda n: np.ones(1000 * n, "float32")
""",
    "convolution": """
x, filters = T.ftensor4("x"), tg.shared(np.ones((32, 16, 15, 15), "float32"))
f = tg.function([x], [], updates=[(w, w + T.nnet.conv2d(x, filters).sum())])
sized = lambda n: np.ones((n, 16, 40, 40), "float32")
""",
}
#: finds a size for which a call takes seconds on this machine, as busy as it is
SCRIPT = """
import os, signal, sys, threading, time
import numpy as np
import tinygraph as tg
import tinygraph.tensor as T
w = tg.shared(np.float32(0))
{call}
n, seconds = 8, 0
while seconds < 2:
    n *= 2 if seconds > 0.5 else 4
    argument = sized(n)
    f(argument)  # compiles for this size
    begin = time.perf_counter()
    f(argument)
    seconds = time.perf_counter() - begin
w.set_value(np.float32(7))
def interrupt():
    global sent
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(seconds / 8, interrupt).start()
try:
    f(argument)
    time.sleep(1)
except KeyboardInterrupt:
    waited = time.perf_counter() - sent
    before = float(w.get_value())
    f(sized(8))
    print(seconds, waited, before, float(w.get_value()) != 7)
"""
SLOW = pytest.mark.slow


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize(
    "call, threads",
    [("scan", 2), ("elementwise", 1), ("convolution", 2), pytest.param("scan", 1, marks=SLOW),
     pytest.param("elementwise", 2, marks=SLOW), pytest.param("convolution", 1, marks=SLOW)],
)  # fmt: skip
def test_a_long_call_ends_soon_and_changes_nothing(call, threads):
    settings = {**os.environ, "TINYGRAPH_FLAGS": f"target=llvm,threads={threads}"}
    run = subprocess.run([sys.executable, "-c", SCRIPT.format(call=CALLS[call])], env=settings, capture_output=True,
                         text=True, timeout=300)  # fmt: skip
    assert run.returncode == 0 and run.stdout, run.stderr
    seconds, waited, before, works = run.stdout.split()
    assert float(waited) < max(float(seconds) / 4, 1)  # what is left of the call would take longer than either
    assert float(before) == 7 and works == "True"
