"""``python -m tests.benchmarks.gpu``: the GPU's works against PyTorch and JAX, in one run, alternating, by medians.

Prints a table and writes JSON (``--json FILE``) with the GPU's name and the date, after the checks of ``gpu_checks``:
agreement with the CPU, equal bits of two runs, draws. Products in float32 without TF32 on all sides. ``--emulated`` runs
every work at a tiny size on the emulator, to see that the script works: its times mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks import shapes
from tests.benchmarks.timing import compare


class Work(NamedTuple):
    """A function of the steps modules, its arguments, and what a step amounts to (0 where that says nothing)."""

    function: str
    arguments: tuple
    flops: float = 0
    nbytes: float = 0


#: what is said of a peer whose installation has no GPU
ON_CPU = ", on the CPU"


def convolution(batch: int, channels: int, size: int, filters: int, kernel: int, stride: int, padding: int = -1,
                form: str = "convolution") -> Work:  # fmt: skip
    """``form``: the name of the steps' function, forward or a gradient; each takes the same number of operations."""
    padding = kernel // 2 if padding < 0 else padding
    out = (size + 2 * padding - kernel) // stride + 1
    flops = 2.0 * batch * filters * out * out * channels * kernel * kernel
    return Work(form, (batch, channels, size, filters, kernel, stride, padding), flops)


def convolutions(name: str, *sizes: int) -> dict[str, Work]:
    """A convolution alone, and its gradients to filters and to input."""
    forms = {"": "convolution", ", to filters": "convolution_to_filters", ", to input": "convolution_to_input"}
    return {f"convolution {name}{more}": convolution(*sizes, form=form) for more, form in forms.items()}


FULL: dict[str, Work] = {
    "LeNet, batch 500": Work("lenet", (500,)),
    "network3, batch 10": Work("network3", (10,)),
    "MLP, dropout, RMSprop, batch 128": Work("mlp", (128,)),
    "RNN H256 T50 B32": Work("rnn", (shapes.RNN_LARGE,)),
    "LSTM H256 T50 B32": Work("lstm", (shapes.RNN_LARGE,)),
    "elementwise, 1e8": Work("elementwise", (100_000_000,), nbytes=8e8),
    "softmax + cross-entropy 8192x32768": Work("softmax_cross_entropy", ((8192, 32768),), nbytes=2 * 4.0 * 8192 * 32768),
    **convolutions("LeNet 1", 500, 1, 28, 20, 5, 1, 0),
    **convolutions("LeNet 2", 500, 20, 12, 50, 5, 1, 0),
    **convolutions("ResNet 7x7/2, 3-64 at 224", 32, 3, 224, 64, 7, 2),
    **convolutions("ResNet 1x1, 256-64 at 56", 32, 256, 56, 64, 1, 1),
    **convolutions("ResNet 3x3, 64 at 56", 32, 64, 56, 64, 3, 1),
    **convolutions("ResNet 3x3, 128 at 28", 32, 128, 28, 128, 3, 1),
    **convolutions("ResNet 3x3, 256 at 14", 32, 256, 14, 256, 3, 1),
    **convolutions("ResNet 3x3, 512 at 7", 32, 512, 7, 512, 3, 1),
}
_TINY = shapes.Recurrent(7, 8, 2, 3)
#: the same works, each as small as it can be: the emulator makes a few million multiplications a second
TINY: dict[str, Work] = {
    "LeNet": Work("lenet", (2,)),
    "network3": Work("network3", (2,)),
    "MLP": Work("mlp", (2,)),
    "RNN": Work("rnn", (_TINY,)),
    "LSTM": Work("lstm", (_TINY,)),
    "elementwise": Work("elementwise", (300,), nbytes=2400),
    "softmax + cross-entropy": Work("softmax_cross_entropy", ((6, 40),), nbytes=1920),
    **convolutions("LeNet 1", 2, 1, 8, 4, 5, 1, 0),
    **convolutions("LeNet 2", 2, 3, 6, 5, 5, 1, 0),
    **convolutions("ResNet 7x7/2", 1, 3, 12, 4, 7, 2),
    **convolutions("ResNet 1x1", 1, 8, 4, 4, 1, 1),
    **{k: w for n, size in ((4, 8), (6, 6), (8, 4), (10, 3)) for k, w in
       convolutions(f"ResNet 3x3, {n} at {size}", 1, n, size, n, 3, 1).items()},
}  # fmt: skip


def peers(work: Work, compiled: bool) -> dict[str, Callable[[], Any]]:
    """The work's implementations in other libraries, where these are installed; those that have no GPU say so."""
    found: dict[str, Callable[[], Any]] = {}
    try:
        torch = importlib.import_module("tests.benchmarks.gpu_torch")
    except ImportError as error:
        print(f"  PyTorch is left out: {error}", file=sys.stderr)
    else:
        torch.seed()
        where = "" if torch.DEVICE == "cuda" else ON_CPU
        for variant, step in getattr(torch, work.function)(*work.arguments, compiled=compiled).items():
            found[f"PyTorch {variant}{where}"] = waiting(step, torch.synchronize)
    try:
        jax = importlib.import_module("tests.benchmarks.jax_steps")
    except ImportError as error:
        print(f"  JAX is left out: {error}", file=sys.stderr)
    else:
        make = getattr(jax, work.function, None)
        where = "" if jax.jax.default_backend() == "gpu" else ON_CPU
        for variant, step in (make(*work.arguments) if make else {}).items():
            found[f"JAX {variant}{where}"] = step
    return found


def waiting(step: Callable[[], Any], synchronize: Callable[[], None]) -> Callable[[], None]:
    """The step, and then all that it queued."""

    def run() -> None:
        step()
        synchronize()

    return run


def start_device(emulated: bool) -> Any:
    """The device under the name "cuda", the emulator's if asked for."""
    from tinygraph.targets.cuda import device

    if emulated:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        from cuda_emulator.device import EmulatedDevice

        device.install("cuda", EmulatedDevice(captures=True))
    return device.device("cuda")


def synchronizer(device: Any) -> Callable[[], None]:
    cupy = getattr(device, "cp", None)
    return (lambda: None) if cupy is None else cupy.cuda.get_current_stream().synchronize


def copy_bandwidth(device: Any, synchronize: Callable[[], None], nbytes: int) -> float:
    """Bytes per second, read and written, in a copy inside the device."""
    a, b = device.empty((nbytes,), "uint8"), device.empty((nbytes,), "uint8")
    step = waiting(lambda: device.copy(device.pointer(b), device.pointer(a), nbytes), synchronize)
    return 2 * nbytes / compare({"copy": step}, 0.5)["copy"]


def call_overhead(synchronize: Callable[[], None], calls: int) -> float:
    """Seconds of one call with next to nothing to do, of many queued one after another."""
    from tests.benchmarks import gpu_tinygraph

    f = gpu_tinygraph.nothing()
    for _ in range(5):
        f()
    synchronize()
    begin = time.perf_counter()
    for _ in range(calls):
        f()
    synchronize()
    return (time.perf_counter() - begin) / calls


def measure(work: Work, device: Any, seconds: float, compiled: bool) -> dict[str, float]:
    """Median seconds of a step by implementation."""
    from tests.benchmarks import gpu_tinygraph

    ours = waiting(getattr(gpu_tinygraph, work.function)(*work.arguments), synchronizer(device))
    return compare({"tinygraph cuda": ours, **peers(work, compiled)}, seconds, least=3)


def table(name: str, work: Work, times: dict[str, float], bandwidth: float) -> None:
    print(f"\n{name}")
    others = [t for n, t in times.items() if not n.startswith("tinygraph")]
    for n, t in times.items():
        notes = []
        if work.flops:
            notes.append(f"{work.flops / t / 1e9:9.1f} GFLOP/s")
        if work.nbytes:
            notes.append(f"{work.nbytes / t / bandwidth:5.2f} of the copy bandwidth")
        if others and n.startswith("tinygraph"):
            eager = next((x for other, x in times.items() if other.startswith("PyTorch eager")), None)
            notes += [f"{eager / t:5.2f} times as fast as PyTorch eager"] if eager else []
            notes.append(f"{t / min(others):5.2f} of the best peer's time")
        print(f"  {n:28s} {t * 1e3:10.3f} ms  {'  '.join(notes)}".rstrip())


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--emulated", action="store_true", help="tiny sizes on the emulator")
    parser.add_argument("--only", help="works whose name contains this")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes")
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each candidate (default 2)")
    parser.add_argument("--json", help="write the results to this file")
    args = parser.parse_args(arguments)
    from tests.benchmarks import gpu_checks

    device = start_device(args.emulated)
    synchronize = synchronizer(device)
    bandwidth = copy_bandwidth(device, synchronize, 1 << (12 if args.emulated else 30))
    overhead = call_overhead(synchronize, 5 if args.emulated else 2000)
    results: dict[str, Any] = {
        "gpu": getattr(device, "gpu", "emulator"), "date": time.strftime("%Y-%m-%d"), "numpy": np.__version__,
        "copy GB/s": bandwidth / 1e9, "call overhead us": overhead * 1e6, "checks": {}, "works": {},
    }  # fmt: skip
    print(f"{results['gpu']}, {results['date']}: copies at {bandwidth / 1e9:.1f} GB/s, {overhead * 1e6:.1f} us for a call")
    for name, outcome in gpu_checks.checks(small=args.emulated).items():
        results["checks"][name] = outcome
        print(f"  {name}: {outcome}")
    for name, work in (TINY if args.emulated else FULL).items():
        if args.only and args.only.lower() not in name.lower():
            continue
        times = measure(work, device, 0.0 if args.emulated else args.seconds, compiled=not args.no_compile)
        table(name, work, times, bandwidth)
        results["works"][name] = times
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
