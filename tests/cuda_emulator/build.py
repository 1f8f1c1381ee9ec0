"""Turn CUDA C into a shared library for the CPU, cached on disk by content."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tinygraph.targets.cuda.kernels import kernel_names

HERE = Path(__file__).resolve().parent
FLAGS = (
    *("-std=gnu++17", "-O1", "-shared", "-fPIC", "-w"),
    *("-fwrapv", "-fno-strict-aliasing", "-ffp-contract=off", "-fno-gnu-unique"),
)
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?([\w:]+(?:\s+\w+)*?)\s+(\w+)\s*\[\s*\]\s*;"
)

# Unpacks a void** as cuLaunchKernel takes it, and tells Python each parameter's size and kind.
_EXPORTS = """
namespace tg_export {
template <typename... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_cv_t<A>*>(arguments[I])...);
}
template <typename... A>
void unpack(void (*kernel)(A...), void** arguments) { call(kernel, arguments, std::index_sequence_for<A...>()); }
template <typename T>
constexpr int describe() {
    const int kind = std::is_pointer<T>::value          ? 'p'
                     : std::is_floating_point<T>::value ? 'f'
                     : std::is_integral<T>::value       ? 'i'
                                                        : 's';
    const bool constant = std::is_const<std::remove_pointer_t<T>>::value && std::is_pointer<T>::value;
    return static_cast<int>(sizeof(T)) << 16 | constant << 8 | kind;
}
template <typename... A>
int signature(void (*)(A...), int* out) {
    const int values[] = {describe<A>()..., 0};
    for (size_t i = 0; i < sizeof...(A); ++i) out[i] = values[i];
    return sizeof...(A);
}
}
extern "C" char __start_tg_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_tg_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char* tg_shared_begin() { return __start_tg_shared; }
extern "C" char* tg_shared_end() { return __stop_tg_shared; }
"""
_EXPORT = """
extern "C" void tg_call_{0}(void** arguments) {{ tg_export::unpack(&tg_kernel_{0}, arguments); }}
extern "C" int tg_signature_{0}(int* out) {{ return tg_export::signature(&tg_kernel_{0}, out); }}
"""


class EmulatorError(RuntimeError):
    """A kernel that does not compile, is launched wrongly, or does something a GPU would not forgive."""


@lru_cache(maxsize=1)
def compiler() -> str | None:
    """Return the C++ compiler's path, or None."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("c++")


@lru_cache(maxsize=1)
def _fingerprint() -> bytes:
    """What the result depends on besides the source: the compiler and this folder's own files."""
    version = subprocess.run([str(compiler()), "--version"], capture_output=True, check=True).stdout
    files = [
        (HERE / name).read_bytes() for name in ("cuda_emulator.h", "cuda_math.h", "runtime.cpp", "build.py")
    ]
    return hashlib.sha256(b"\0".join([version, *files])).digest()


@lru_cache(maxsize=1)
def cache_folder() -> Path:
    """Return the folder of compiled kernels: ``TINYGRAPH_EMULATOR_CACHE`` or one in the user's cache."""
    root = os.environ.get("TINYGRAPH_EMULATOR_CACHE")
    user = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    base = Path(root) if root else user / "tinygraph" / "cuda_emulator"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        base = Path(tempfile.mkdtemp(prefix="tinygraph_emulator_"))
    return base


def _compile(text: str, flags: Sequence[str]) -> Path:
    key = hashlib.sha256(b"\0".join([_fingerprint(), text.encode(), " ".join(flags).encode()])).hexdigest()[
        :32
    ]
    target = cache_folder() / f"{key}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        path, output = Path(folder) / "source.cpp", Path(folder) / "out.so"
        path.write_text(text, encoding="utf-8")
        command = [str(compiler()), *flags, f"-I{HERE}", str(path), "-o", str(output)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise EmulatorError(f"the host compiler rejected the source\n{result.stderr[:8000]}")
        os.replace(output, target)  # atomic: another process may build the same source now
    return target


@lru_cache(maxsize=1)
def runtime_library() -> Path:
    """Build, or find, the fiber runtime."""
    return _compile(
        (HERE / "runtime.cpp").read_text(encoding="utf-8"), ("-std=gnu++17", "-O2", "-shared", "-fPIC")
    )


def module_library(source: str, options: Sequence[str] = ()) -> tuple[Path, list[str]]:
    """Build, or find, the library of one CUDA C source; return it and its kernels' names.

    ``options``: ``-Dname=value`` and ``-Uname`` of a CUDA compiler's options mean the same here, others are left out;
    ``-O2`` (instead of ``-O1``) is for kernels that run longer than they compile.
    Raises: EmulatorError with the compiler's messages.
    """
    names = kernel_names(source)
    body = _DYNAMIC_SHARED.sub(r"\1* \2 = static_cast<\1*>(tg_dynamic_shared());", source)
    # A kernel may bear the name of a C library function, "div" say, so each gets another name here.
    renames = "".join(f"#define {name} tg_kernel_{name}\n" for name in names)
    exports = _EXPORTS + "".join(f"#undef {name}\n" + _EXPORT.format(name) for name in names)
    text = '#include "cuda_emulator.h"\n' + renames + body + "\n" + exports
    macros = [option for option in options if option.startswith(("-D", "-U", "-O"))]
    return _compile(text, (*FLAGS, *macros)), names
