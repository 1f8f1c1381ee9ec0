"""What steps make of the machine: rates against measured peaks, threads, memory, and the wait for a first result.

``python -m tests.benchmarks.resources`` prints them; the benchmark's page has them too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import shapes
from tests.benchmarks.timing import compare

#: work -> (function in the steps modules, its arguments)
STEPS: dict[str, tuple[str, tuple]] = {
    "LeNet, batch 500": ("lenet", ()),
    "network3, batch 10": ("network3", ()),
    "RNN H256 T50 B32": ("rnn", (shapes.RNN_LARGE,)),
    "RNN H128 T50 B1": ("rnn", (shapes.RNN_SMALL,)),
}

# ------------------------------------------------------------------ peaks and rates

_CHAINS, _TURNS = 14, 2_000_000


def _fma_kernel(lanes: int) -> str:
    """``void kernel(ptr, i64 begin, i64 end, i64 thread)``: independent chains of fused multiply-adds of float32."""
    v = f"<{lanes} x float>"
    phis = "\n".join(f"  %a{k} = phi {v} [zeroinitializer, %entry], [%b{k}, %loop]" for k in range(_CHAINS))
    steps = "\n".join(
        f"  %b{k} = call {v} @llvm.fma.v{lanes}f32({v} %a{k}, {v} %x, {v} %x)" for k in range(_CHAINS)
    )
    sums = "\n".join(
        f"  %s{k + 1} = fadd {v} {'zeroinitializer' if k == 0 else f'%s{k}'}, %b{k}" for k in range(_CHAINS)
    )
    return f"""
declare {v} @llvm.fma.v{lanes}f32({v}, {v}, {v})
define void @kernel(ptr %out, i64 %begin, i64 %end, i64 %thread) {{
entry:
  %x = load {v}, ptr %out, align 4
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%n, %loop]
{phis}
{steps}
  %n = add i64 %i, 1
  %more = icmp slt i64 %n, {_TURNS}
  br i1 %more, label %loop, label %done
done:
{sums}
  %at = getelementptr {v}, ptr %out, i64 %begin
  store {v} %s{_CHAINS}, ptr %at, align 4
  ret void
}}
"""


def peaks() -> dict[str, float]:
    """GFLOP/s of fused multiply-adds on one thread and on all, and of float32 matrix products on all."""
    from tinygraph.targets.llvm.engine import host_engine, host_target
    from tinygraph.targets.llvm.threads import get_pool

    lanes = host_target().vector_bits // 32
    library, pool = host_engine().load(_fma_kernel(lanes), ["kernel"]), get_pool()
    out = np.zeros((64 + 1) * lanes, dtype=np.float32)
    flops = 2 * lanes * _CHAINS * _TURNS

    def run(threads: int) -> float:
        call = lambda: pool.parallel_for(library.address("kernel"), out.ctypes.data, threads, 1, threads)  # noqa: E731
        return threads * flops / min(_seconds(call) for _ in range(5)) / 1e9

    a = np.ones((1500, 1500), dtype=np.float32)
    product = 2 * 1500**3 / min(_seconds(lambda: a @ a) for _ in range(5)) / 1e9
    threads = min(pool.size, 64)
    return {"fma, 1 thread": run(1), f"fma, {threads} threads": run(threads), "matrix products": product}


def rates(seconds: float = 1.5) -> dict[str, dict[str, float]]:
    """For each step on llvm: GFLOP/s on all threads, of the operations that it is written in, and the gain by threads."""
    from tinygraph.config import config

    out = {}
    for work, (name, arguments) in STEPS.items():
        flops = _flops(name, arguments)
        step = _maker(name, arguments)
        with config.change(threads=1):
            alone = step("llvm")
        times = compare({"1": alone, "all": step("llvm")}, seconds)
        out[work] = {"GFLOP/s": flops / times["all"] / 1e9, "gain by threads": times["1"] / times["all"]}
    return out


def _maker(name: str, arguments: tuple) -> Callable[[str], Callable[[], Any]]:
    from tests.benchmarks import tinygraph_steps

    return lambda target: getattr(tinygraph_steps, name)(target, *arguments)


def _flops(name: str, arguments: tuple) -> int:
    """Scalar operations of a step's program, counted where every instruction is a nest."""
    from tests.benchmarks import tinygraph_steps
    from tinygraph.lower.cost import cost
    from tinygraph.program.instructions import Loop

    made = []
    function = tinygraph_steps.function
    tinygraph_steps.function = lambda *a, **k: made.append(function(*a, **k)) or made[-1]  # type: ignore[func-returns-value]
    try:
        _maker(name, arguments)("numpy")()
    finally:
        tinygraph_steps.function = function
    (program,) = [s.program for s in made[-1]._programs.values()]
    assert not any(isinstance(i, Loop) and i.until is not None for i in program.instructions)
    return sum(cost(i)[0] for i in program.instructions)


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


# ------------------------------------------------------------------ memory

_MEMORY = """
import ctypes, gc, importlib, sys
module, variant = sys.argv[1:]

def held(what):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(what))

steps = importlib.import_module(module)
from tests.benchmarks import shapes
make = (lambda n: steps.lenet(variant, n)) if module.endswith("tinygraph_steps") else (lambda n: steps.lenet(n)[variant])
make(2)()  # loads the libraries
data = shapes.images(shapes.LENET_BATCH)
gc.collect()
before = held("VmRSS")
step = make(shapes.LENET_BATCH)
for _ in range(3):
    step()
with open("/proc/self/clear_refs", "w") as f:
    f.write("5")  # the peak is counted anew
for _ in range(3):
    step()
print(held("VmHWM") - before - sum(x.nbytes for x in data))
"""


def memory(targets: list[str]) -> dict[str, int]:
    """Bytes at the peak of LeNet's step beyond libraries and data; each in a process of its own (Linux only)."""
    if not Path("/proc/self/clear_refs").exists():
        return {}
    wanted = {f"tinygraph {t}": ("tests.benchmarks.tinygraph_steps", t) for t in targets}
    wanted |= {f"PyTorch {v}": ("tests.benchmarks.torch_steps", v) for v in ("eager", "channels-last")}
    out = {}
    for name, arguments in wanted.items():
        done = subprocess.run([sys.executable, "-c", _MEMORY, *arguments], capture_output=True, text=True)
        if done.returncode == 0:
            out[name] = int(done.stdout)
        else:
            print(f"  {name} is left out: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return out


# ------------------------------------------------------------------ the wait for a first result

_FIRST = """
import sys, time
from tests.benchmarks import tinygraph_steps as steps
begin = time.perf_counter()
eval(sys.argv[1], {"steps": steps})()
print(time.perf_counter() - begin)
"""


def first_results(targets: list[str]) -> dict[str, float]:
    """Seconds from a graph's first line to its first result, libraries imported; with an empty cache, and with a full one."""
    works = {"LeNet": "steps.lenet({!r})", "RNN": "steps.rnn({!r}, steps.shapes.RNN_LARGE)"}
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        code, objects = Path(folder, "code"), Path(folder, "objects")
        for target in targets:
            for work, call in works.items():
                empty = Path(folder, f"{work} {target}")
                _first(call.format(target), objects, code)  # writes Python's byte code and the cache
                if target == "llvm":
                    out[f"{work} {target}, empty cache"] = _first(call.format(target), empty, code)
                    out[f"{work} {target}, from the cache"] = _first(call.format(target), objects, code)
                else:
                    out[f"{work} {target}"] = _first(call.format(target), objects, code)
    return out


def _first(call: str, cache: Path, code: Path) -> float:
    environ = {**os.environ, "TINYGRAPH_FLAGS": f"cache_dir={cache}", "PYTHONPYCACHEPREFIX": str(code)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", _FIRST, call], capture_output=True, text=True, check=True, env=environ)
    return float(done.stdout)


# ------------------------------------------------------------------ all of it


def resources(targets: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"memory": memory(targets), "first result": first_results(targets)}
    if "llvm" in targets:
        found |= {"peaks": peaks(), "rates": rates()}
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    out = ["## From graph to first result, in a new process", "", "| what | seconds |", "| --- | --- |"]
    out += [f"| {name} | {t:.2f} |" for name, t in found["first result"].items()]
    if found["memory"]:
        out += ["", "## Memory at the peak of LeNet's step, beyond libraries and data", "", "| what | MB |", "| --- | --- |"]
        out += [f"| {name} | {n / 1e6:.0f} |" for name, n in found["memory"].items()]
    if "peaks" in found:
        best = max(found["peaks"].values())
        out += ["", "## Rates", "", "| what | GFLOP/s | of the peak | gain by threads |", "| --- | --- | --- | --- |"]
        out += [f"| {name} | {rate:.0f} | {rate / best:.2f} | |" for name, rate in found["peaks"].items()]
        out += [f"| {name} | {r['GFLOP/s']:.0f} | {r['GFLOP/s'] / best:.2f} | {r['gain by threads']:.2f} |"
                for name, r in found["rates"].items()]  # fmt: skip
    return out


if __name__ == "__main__":
    from tests.benchmarks.__main__ import targets as here

    results = resources(here())
    print("\n".join(lines(results)))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(results, indent=1), encoding="utf-8")
