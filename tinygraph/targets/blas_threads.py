"""How many threads NumPy's BLAS uses, read and set while a program runs.

Where our own threads each call BLAS, BLAS must not start threads of its own: the two pools would fight for the cores.
Without a BLAS that can be told (OpenBLAS and MKL can), nothing is changed.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from functools import cache

_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


@cache
def controls() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """``(get, set)`` of the BLAS behind NumPy's products, or None."""
    try:
        module = importlib.import_module("numpy._core._multiarray_umath")
        library = ctypes.CDLL(module.__file__)
    except (ImportError, OSError):
        return None
    for read, write in _NAMES:
        if hasattr(library, read) and hasattr(library, write):
            get, put = getattr(library, read), getattr(library, write)
            get.restype, put.restype, put.argtypes = ctypes.c_int, None, [ctypes.c_int]
            return get, put
    return None


class SingleThreadedBlas:
    """``with single_threaded_blas:`` BLAS calls inside use one thread. Overlapping uses (other threads) are counted."""

    def __init__(self) -> None:
        self.users = 0
        self.before = 1

    def __enter__(self) -> None:
        found = controls()
        if found is not None:
            self.users += 1
            if self.users == 1:
                self.before = found[0]()
                found[1](1)

    def __exit__(self, *_: object) -> None:
        found = controls()
        if found is not None:
            self.users -= 1
            if self.users == 0:
                found[1](self.before)


single_threaded_blas = SingleThreadedBlas()
