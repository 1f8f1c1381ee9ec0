"""``python -m tests.benchmarks``: every work on every target against the peers, in one run, alternating, by medians.

Each implementation has a process of its own (``worker.py``), so that none disturbs another.
Prints a table and writes JSON (``--json FILE``). Threads: as many as the process may use, for all alike.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks import shapes
from tests.benchmarks.compiling import compile_steps
from tests.benchmarks.resources import lines as resource_lines
from tests.benchmarks.resources import resources
from tests.benchmarks.timing import take_turns
from tests.benchmarks.worker import Worker, workers

#: work -> (function in the steps modules, its arguments)
WORKS: dict[str, tuple[str, tuple]] = {
    "LeNet, batch 500": ("lenet", ()),
    "network3, batch 10": ("network3", ()),
    "CNN, relu, momentum, batch 64": ("cnn", ()),
    "MLP, dropout, RMSprop, batch 128": ("mlp", ()),
    "RNN H256 T50 B32": ("rnn", (shapes.RNN_LARGE,)),
    "RNN H128 T50 B1": ("rnn", (shapes.RNN_SMALL,)),
    "LSTM H256 T50 B32": ("lstm", (shapes.RNN_LARGE,)),
    "GRU H256 T50 B32": ("gru", (shapes.RNN_LARGE,)),
    "elementwise, 1e6": ("elementwise", ()),
    "softmax + cross-entropy 4096x1000": ("softmax_cross_entropy", ()),
    "sum of 4096x4096 over axis 0": ("reduction", (0,)),
    "sum of 4096x4096 over axis 1": ("reduction", (1,)),
    "sum of 4096x4096 over both": ("reduction", (None,)),
    "layer norm 4096x1024 and its gradients": ("layer_norm", ()),
    "scalar a + b": ("scalar_add", ()),
}
PEERS = {
    "PyTorch": "tests.benchmarks.torch_steps",
    "JAX": "tests.benchmarks.jax_steps",
    "PyTensor": "tests.benchmarks.pytensor_peer",
}


def targets() -> list[str]:
    """Targets of tinygraph that can run here."""
    try:
        import llvmlite  # noqa: F401
    except ImportError:
        return ["numpy"]
    return ["numpy", "llvm"]


def implementations() -> dict[str, tuple[str, ...]]:
    """Every implementation with the module of its steps and, of ours, the target."""
    return {f"tinygraph {t}": ("tests.benchmarks.tinygraph_steps", t) for t in targets()} | {
        peer: (module,) for peer, module in PEERS.items()
    }


def measure(
    processes: dict[str, Worker], function: str, arguments: tuple, seconds: float, least: int = 5
) -> dict[str, float]:
    """Median seconds of a work in every variant of every implementation."""
    runs: dict[str, Callable[[int], float]] = {}
    for name, worker in processes.items():
        for variant in worker.make(function, arguments):
            runs[f"{name} {variant}".strip()] = functools.partial(worker.run, variant)
    return take_turns(runs, seconds, least)


def growth(processes: dict[str, Worker]) -> list[tuple[shapes.Recurrent, dict[str, float]]]:
    """How an RNN's step grows with hidden size, sequence and batch; a few calls each, as the largest take seconds."""
    compiled = {name: worker for name, worker in processes.items() if name != "tinygraph numpy"}
    found = []
    for size in shapes.RNN_GROWING:
        found.append((size, measure(compiled, "growing_rnn", (size,), seconds=0.3, least=2)))
        times = ", ".join(f"{name} {_duration(t).strip()}" for name, t in found[-1][1].items())
        print(f"  H{size.hidden} T{size.steps} B{size.batch}: {times}", flush=True)
    return found


def growth_lines(rows: list[tuple[shapes.Recurrent, dict[str, float]]]) -> list[str]:
    """The same as a table."""
    names = list(rows[0][1])
    lines = ["## How a step grows", "", "An RNN language model's training step, vocabulary 65.", "",
             f"| hidden | sequence | batch | {' | '.join(names)} |", "| --- " * (3 + len(names)) + "|"]  # fmt: skip
    for size, times in rows:
        cells = " | ".join(_duration(times[name]).strip() for name in names)
        lines.append(f"| {size.hidden} | {size.steps} | {size.batch} | {cells} |")
    return lines


def machine() -> dict[str, Any]:
    """The machine in general terms, with its measured product rate and copy bandwidth."""
    a = np.random.default_rng(0).random((1500, 1500), dtype=np.float32)
    big = np.zeros(32_000_000, dtype=np.float32)
    other = np.empty_like(big)
    product = min(_timed(lambda: a @ a) for _ in range(5))
    copy = min(_timed(lambda: np.copyto(other, big)) for _ in range(5))
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gemm GFLOP/s": round(2 * 1500**3 / product / 1e9),
        "copy GB/s": round(2 * big.nbytes / copy / 1e9, 1),
    }


def _timed(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def compile_times() -> dict[str, float]:
    """Seconds to compile and first call chains of so many nodes."""
    import tinygraph
    import tinygraph.tensor as T

    out = {}
    for n in (1000, 2000, 4000, 8000, 16000):
        x = T.vector("x")
        y = x
        for i in range(n):
            y = (T.tanh(y), y * 1.5, y + x, T.sqrt(T.abs(y)) if i % 8 == 3 else y - 0.5)[i % 4]
        begin = time.perf_counter()
        tinygraph.function([x], y, mode=tinygraph.Mode(target="numpy"))(np.ones(8, tinygraph.config.floatX))
        out[f"{n} nodes"] = time.perf_counter() - begin
        gc.collect()
    return out


def _duration(seconds: float) -> str:
    return f"{seconds * 1e6:9.2f} us" if seconds < 1e-3 else f"{seconds * 1e3:9.2f} ms"


def page(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    m = results["machine"]
    lines = [
        "# Benchmarks",
        "",
        f"Printed by `python -m tests.benchmarks --markdown docs/benchmarks.md` on {results['date']}, on a shared virtual "
        f"machine with {m['cpus']} {m['architecture']} CPUs, Python {m['python']}, NumPy {m['numpy']}: "
        f"{m['gemm GFLOP/s']} GFLOP/s in float32 matrix products and {m['copy GB/s']} GB/s in copies, measured in the same "
        "run. Medians; all candidates of a work take turns, each in a process that stands still while others run, with the "
        "same number of threads.",
        "",
        "| work | implementation | time | of the best peer |",
        "| --- | --- | --- | --- |",
    ]
    for work, times in results["works"].items():
        best = min((t for name, t in times.items() if not name.startswith("tinygraph")), default=None)
        for name, t in times.items():
            ratio = f"{t / best:.2f}" if best and name.startswith("tinygraph") else ""
            lines.append(f"| {work} | {name} | {_duration(t).strip()} | {ratio} |")
    if "scaling" in results:
        lines += ["", *growth_lines(results["scaling"])]
    if "resources" in results:
        lines += ["", *resource_lines(results["resources"])]
    if "compile" in results:
        title = "Compile and first call of a graph of so many nodes"
        lines += ["", f"## {title}", "", "| what | seconds |", "| --- | --- |"]
        lines += [f"| {name} | {t:.2f} |" for name, t in results["compile"].items()]
    if "compile steps" in results:
        lines += [
            "",
            "## Compiling a training step",
            "",
            "| step | passes, s | program, s | in all, s |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {name} | {a:.2f} | {b:.2f} | {a + b:.2f} |"
            for name, (a, b) in results["compile steps"].items()
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", help='works whose name contains this; "scaling", "compile": that alone')
    parser.add_argument("--seconds", type=float, default=3.0, help="time spent on each candidate (default 3)")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--markdown", help="write the results to this file as a page of the documentation")
    parser.add_argument("--no-compile-times", action="store_true", help="leave out graphs of many nodes")
    parser.add_argument("--pytensor", metavar="PYTHON", default=sys.executable,
                        help="an interpreter that has PyTensor, whose llvmlite may not be ours")  # fmt: skip
    args = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "works": {}}
    print(results["machine"])
    with workers(implementations(), {"PyTensor": args.pytensor}) as processes:
        for work, (function, arguments) in WORKS.items():
            if args.only and args.only.lower() not in work.lower():
                continue
            print(f"\n{work}")
            times = measure(processes, function, arguments, args.seconds)
            peers = [t for name, t in times.items() if not name.startswith("tinygraph")]
            best = min(peers, default=None)
            for name, t in times.items():
                ratio = (
                    f"   {t / best:5.2f} of the best peer" if best and name.startswith("tinygraph") else ""
                )
                print(f"  {name:24s} {_duration(t)}{ratio}", flush=True)
            results["works"][work] = times
        if not args.only or args.only == "scaling":
            print("\nhow an RNN's step grows")
            results["scaling"] = growth(processes)
    if not args.only:
        results["resources"] = resources(targets())
        print("", *resource_lines(results["resources"]), sep="\n")
    if not args.only or args.only == "compile":
        results["compile steps"] = compile_steps(targets())
        print("\ncompiling a training step: passes, program, s")
        for name, (a, b) in results["compile steps"].items():
            print(f"  {name:28s} {a:6.2f} {b:6.2f}")
    if (not args.only or args.only == "compile") and not args.no_compile_times:
        results["compile"] = compile_times()
        print("\ncompile and first call, s")
        for name, t in results["compile"].items():
            print(f"  {name:12s} {t:6.2f}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1, default=vars)
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as file:
            file.write(page(results))


if __name__ == "__main__":
    main()
