"""Compile CUDA C to machine code through NVRTC, with or without a GPU, and read what the assembler reports.

NVRTC is looked for in pip's ``nvidia-cuda-nvrtc-cu12`` (or ``-cu13``) wheel, then where the system's loader finds it.
Nothing is loaded before the first call.
"""

from __future__ import annotations

import ctypes
import re
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tinygraph.errors import TinygraphError

_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


class NvrtcUnavailable(TinygraphError, RuntimeError):
    """NVRTC is not installed or cannot be loaded."""


class CudaCompileError(TinygraphError, RuntimeError):
    """NVRTC rejected a source; the message is its log."""


@dataclass(frozen=True)
class KernelUsage:
    """What one kernel takes: registers per thread; bytes of stack, spills and static shared memory."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int

    @property
    def spills(self) -> bool:
        """Whether registers went to local memory."""
        return bool(self.spill_stores or self.spill_loads)


@dataclass(frozen=True)
class Compiled:
    """A compiled source: its machine code (ELF), the compiler's log, and each kernel's usage by name."""

    cubin: bytes
    log: str
    usage: dict[str, KernelUsage]


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load and return NVRTC.

    Raises: NvrtcUnavailable, saying which package provides it.
    """
    site = Path(sysconfig.get_path("purelib")) / "nvidia"
    folders = (site / "cuda_nvrtc" / "lib", site / "cu13" / "lib")
    found = [str(path) for folder in folders for path in sorted(folder.glob("libnvrtc.so*"))]
    for name in [*found, "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise NvrtcUnavailable(
        "NVRTC not found: pip install nvidia-cuda-nvrtc-cu12 (or install the CUDA toolkit)"
    )


def available() -> bool:
    """Whether NVRTC can be loaded here."""
    try:
        library()
    except NvrtcUnavailable:
        return False
    return True


def version() -> tuple[int, int]:
    """Return NVRTC's version as (major, minor)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def compile_source(
    text: str, arch: str = "sm_80", options: Sequence[str] = (), name: str = "tinygraph.cu"
) -> Compiled:
    """Compile one self-contained source for one architecture.

    ``arch`` is a real architecture such as ``"sm_80"``; ``options`` are passed on to NVRTC.
    Raises: CudaCompileError with the log; NvrtcUnavailable.
    """
    lib = library()
    flags = [f"--gpu-architecture={arch}", "--std=c++17", "--ptxas-options=-v", *options]
    program = ctypes.c_void_p()
    _check(
        lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), name.encode(), 0, None, None), "create"
    )
    try:
        array = (ctypes.c_char_p * len(flags))(*(flag.encode() for flag in flags))
        status = lib.nvrtcCompileProgram(program, len(flags), array)
        log = (
            _fetch(lib.nvrtcGetProgramLogSize, lib.nvrtcGetProgramLog, program)
            .decode(errors="replace")
            .rstrip("\0")
        )
        if status:
            raise CudaCompileError(f"{name}: NVRTC failed for {arch}\n{log}")
        cubin = _fetch(lib.nvrtcGetCUBINSize, lib.nvrtcGetCUBIN, program)
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))
    return Compiled(cubin, log, parse_usage(log))


def parse_usage(log: str) -> dict[str, KernelUsage]:
    """Read registers, stack, spills and shared memory per kernel from the log of ``--ptxas-options=-v``."""
    usage: dict[str, KernelUsage] = {}
    entry, frame = None, (0, 0, 0)
    for line in log.splitlines():
        if match := _ENTRY.search(line):
            entry, frame = match.group(1), (0, 0, 0)
        elif match := _FRAME.search(line):
            stack, stores, loads = map(int, match.groups())
            frame = (stack, stores, loads)
        elif entry and (match := _USED.search(line)):
            usage[entry] = KernelUsage(int(match.group(1)), *frame, shared=int(match.group(2) or 0))
    return usage


def _fetch(size_of, read, program: ctypes.c_void_p) -> bytes:  # type: ignore[no-untyped-def]
    size = ctypes.c_size_t()
    _check(size_of(program, ctypes.byref(size)), "size")
    buffer = ctypes.create_string_buffer(size.value)
    _check(read(program, buffer), "read")
    return buffer.raw


def _check(status: int, what: str) -> None:
    if status:
        raise CudaCompileError(f"NVRTC {what} failed with status {status}")
