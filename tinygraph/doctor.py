"""Say what this machine offers: versions, targets, threads, measured speed.

What is missing is named with the extra that brings it; the exit status is 0 as long as NumPy and networkx are there.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
import time
from importlib import metadata

import numpy as np

from tinygraph.config import available_cpus, config

#: Package, its import name, the extra that brings it, what it is for.
PACKAGES = (
    ("numpy", "numpy", "", "arrays, BLAS"),
    ("networkx", "networkx", "", "graph theory in the passes"),
    ("llvmlite", "llvmlite", "jit", "the llvm target"),
    ("cupy-cuda12x", "cupy", "cuda12", "the cuda target"),
    ("cupy-cuda13x", "cupy", "cuda13", "the cuda target"),
    ("matplotlib", "matplotlib", "viz", "pictures of the demos"),
    ("graphviz", "graphviz", "viz", "pictures of graphs"),
    ("tqdm", "tqdm", "progress", "progress bars"),
    ("pooch", "pooch", "data", "downloads"),
    ("scipy", "scipy", "sparse", "sparse matrices, special functions"),
    (
        "safetensors",
        "safetensors",
        "checkpoints",
        "saved parameters (there is a reader and writer without it)",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph doctor``."""
    parser.add_argument(
        "--no-measure", action="store_true", help="leave out the measurements (about a second)"
    )


def run(args: argparse.Namespace) -> None:
    """Print the findings."""
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"CPUs this process may use: {available_cpus()}; threads of one call: {config.thread_count()}")
    print("\nPackages")
    for package, module, extra, purpose in PACKAGES:
        print(f"  {package:13} {_version(package, module):12} {purpose}{_advice(module, extra)}")
    print("\nTargets")
    for name, verdict in targets().items():
        print(f"  {name:13} {verdict}")
    if not args.no_measure:
        print("\nMeasured")
        for dtype in ("float32", "float64"):
            print(f"  gemm {dtype}  {gemm_rate(dtype) / 1e9:8.1f} GFLOP/s")
        print(f"  copy          {copy_bandwidth() / 1e9:8.1f} GB/s read and written")
        for line in gpu_lines():
            print(f"  {line}")


def gpu_lines() -> list[str]:
    """What was measured on each GPU that can be used: product rates, the bandwidth of copies inside it, overhead."""
    from tinygraph.targets.cuda import measure
    from tinygraph.targets.cuda.device import usable

    lines = []
    for device in usable():
        for dtype in ("float32", "float64", "float16"):
            lines.append(f"{device.name} gemm {dtype}  {measure.gemm_rate(device, dtype) / 1e9:10.1f} GFLOP/s")
        lines.append(f"{device.name} copy          {measure.copy_bandwidth(device) / 1e9:10.1f} GB/s read and written")
        lines.append(f"{device.name} empty call    {measure.call_seconds(device) * 1e6:10.1f} us")
    return lines


def targets() -> dict[str, str]:
    """For each target, whether it can be used here and if not, what is missing."""
    llvm = "available" if _found("llvmlite") else 'needs llvmlite: pip install "tinygraph[jit]"'
    return {"numpy": "available", "llvm": llvm, "cuda": _cuda()}


def _cuda() -> str:
    if not _found("cupy"):
        return 'needs CuPy: pip install "tinygraph[cuda12]" or "tinygraph[cuda13]"'
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
        names = [cupy.cuda.runtime.getDeviceProperties(i)["name"].decode() for i in range(count)]
    except Exception as error:  # noqa: BLE001  # any failure of a driver is the finding to report
        return f"CuPy is installed, but finds no GPU: {str(error).splitlines()[0]}"
    return f"available on {', '.join(names)}"


def _found(module: str) -> bool:
    return module in sys.modules or importlib.util.find_spec(module) is not None


def _version(package: str, module: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _advice(module: str, extra: str) -> str:
    return "" if _found(module) or not extra else f': pip install "tinygraph[{extra}]"'


def _best_time(call, repeats: int = 5) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def gemm_rate(dtype: str, n: int = 1024) -> float:
    """Floating-point operations per second in a product of two n by n matrices."""
    a = np.ones((n, n), dtype)
    out = np.empty_like(a)
    np.matmul(a, a, out=out)  # wakes the BLAS threads
    return 2 * n**3 / _best_time(lambda: np.matmul(a, a, out=out))


def copy_bandwidth(size: int = 1 << 26) -> float:
    """Bytes per second, read and written, in a copy too large for the caches."""
    source = np.ones(size, np.uint8)
    target = np.empty_like(source)
    np.copyto(target, source)  # touches the pages
    return 2 * size / _best_time(lambda: np.copyto(target, source))
