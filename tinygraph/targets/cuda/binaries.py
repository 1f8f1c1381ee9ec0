"""Machine code of CUDA C by the NVRTC that CuPy brings, kept on disk between processes.

CuPy's own ``RawModule`` compiles with ``-ftz=true``, whatever options it is given: denormal floats would become zero on
the GPU and nowhere else. So its NVRTC is called here, and CuPy loads what comes out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tinygraph.config import config
from tinygraph.targets.cuda.nvrtc import CudaCompileError
from tinygraph.targets.llvm.cache import ObjectCache, content_key


@lru_cache(maxsize=4)
def _cache(directory: Any, max_bytes: int) -> ObjectCache:
    return ObjectCache(directory, max_bytes)


def binary(nvrtc: Any, source: str, arch: str, options: Sequence[str] = ()) -> bytes:
    """The machine code of ``source`` for ``arch`` ("sm_90"); PTX where NVRTC is older than the GPU.

    ``nvrtc``: CuPy's module. Raises: CudaCompileError with NVRTC's log.
    """
    known = sorted(int(a) for a in nvrtc.getSupportedArchs())
    wanted = int(arch.removeprefix("sm_"))
    native = wanted in known
    target = f"sm_{wanted}" if native else f"compute_{max((a for a in known if a <= wanted), default=known[0])}"
    flags = (f"--gpu-architecture={target}", "--std=c++17", *options)
    cache = _cache(config.cache_path() / "cuda", config.cache_size_mb << 20)
    key = content_key("cuda", nvrtc.getVersion(), flags, source)
    code = cache.get(key)
    if code is None:
        begin = time.perf_counter()
        code = _compiled(nvrtc, source, flags, native)
        cache.put(key, code, time.perf_counter() - begin)
    return code


def _compiled(nvrtc: Any, source: str, flags: Sequence[str], native: bool) -> bytes:
    program = nvrtc.createProgram(source, "tinygraph.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, tuple(flags))
        except nvrtc.NVRTCError as error:
            raise CudaCompileError(f"NVRTC failed for {flags[0]}\n{nvrtc.getProgramLog(program)}") from error
        return nvrtc.getCUBIN(program) if native else nvrtc.getPTX(program)
    finally:
        nvrtc.destroyProgram(program)
