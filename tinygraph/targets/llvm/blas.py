"""The BLAS that NumPy has loaded, by address: what generated code calls for matrix products.

NumPy's extension module is linked against its BLAS, so looking a name up in that module finds the library itself,
wherever it lies and however its symbols were renamed (OpenBLAS in NumPy's wheels, a system's BLAS, Accelerate).

    blas = find_blas()                       # None where no C interface is to be found
    blas.declare(module, "sgemm")            # and link the module with blas.symbols
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from llvmlite import ir

from tinygraph.errors import InvalidValue

__all__ = ["ROUTINES", "Blas", "find_blas"]

# Parameters: e an enum (C int), i a BLAS integer, s a scalar, p a pointer; after the arrow what comes back.
# The names of CBLAS arguments are in its reference (BLAS Technical Forum Standard, appendix B, 2001).
_SIGNATURES = {
    "gemm": "eeeiiispipispi",  # order transa transb m n k alpha a lda b ldb beta c ldc
    "gemv": "eeiispipispi",  # order trans m n alpha a lda x incx beta y incy
    "ger": "eiispipipi",  # order m n alpha x incx y incy a lda
    "symv": "eeispipispi",  # order uplo n alpha a lda x incx beta y incy
    "syrk": "eeeiispispi",  # order uplo trans n k alpha a lda beta c ldc
    "trsm": "eeeeeiispipi",  # order side uplo transa diag m n alpha a lda b ldb
    "trsv": "eeeeipipi",  # order uplo trans diag n a lda x incx
    "axpy": "ispipi",  # n alpha x incx y incy
    "scal": "ispi",  # n alpha x incx
    "dot": "ipipi>s",  # n x incx y incy
    "nrm2": "ipi>s",  # n x incx
}
ROUTINES = tuple(precision + name for name in _SIGNATURES for precision in "sd")

# How builds spell `cblas_sgemm`, and how wide their integers then are.
_SPELLINGS = (
    ("scipy_cblas_{}64_", 64),
    ("cblas_{}64_", 64),
    ("cblas_{}_64", 64),
    ("cblas_{}$NEWLAPACK$ILP64", 64),
    ("scipy_cblas_{}", 32),
    ("cblas_{}$NEWLAPACK", 32),
    ("cblas_{}", 32),
)
_OPENBLAS = tuple((prefix, suffix) for prefix in ("scipy_openblas", "openblas") for suffix in ("64_", "_64_", ""))

NO_TRANS, TRANS, ROW_MAJOR, COLUMN_MAJOR = 111, 112, 101, 102


@dataclass(frozen=True)
class Blas:
    """The C interface of one BLAS: its routines' addresses, the width of its integers, its threads."""

    int_bits: int
    addresses: Mapping[str, int]
    description: str = "unknown"
    _get_threads: Callable[[], int] | None = field(default=None, repr=False)
    _set_threads: Callable[[int], Any] | None = field(default=None, repr=False)
    _library: Any = field(default=None, repr=False)

    # ------------------------------------------------------------------ for generated code

    def address(self, routine: str) -> int:
        """The address of ``cblas_<routine>``. Raises InvalidValue for one that this BLAS, or ROUTINES, lacks."""
        if routine not in self.addresses:
            raise InvalidValue(f"blas: expected one of {', '.join(sorted(self.addresses))}, got {routine!r}")
        return self.addresses[routine]

    @property
    def symbols(self) -> Mapping[str, int]:
        """Addresses by the names that :meth:`declare` uses, for :class:`Engine`."""
        return {_symbol(routine): address for routine, address in self.addresses.items()}

    def signature(self, routine: str) -> ir.FunctionType:
        """The LLVM type of a routine."""
        self.address(routine)
        scalar = ir.FloatType() if routine[0] == "s" else ir.DoubleType()
        integer = ir.IntType(self.int_bits)
        kinds = {"e": ir.IntType(32), "i": integer, "s": scalar, "p": ir.PointerType()}
        parameters, _, result = _SIGNATURES[routine[1:]].partition(">")
        return ir.FunctionType(kinds[result] if result else ir.VoidType(), [kinds[p] for p in parameters])

    def declare(self, module: ir.Module, routine: str) -> ir.Function:
        """``cblas_<routine>`` in a module that will be linked with :attr:`symbols`."""
        name = _symbol(routine)
        return module.globals.get(name) or ir.Function(module, self.signature(routine), name)

    # ------------------------------------------------------------------ for Python

    def function(self, routine: str) -> Callable[..., Any]:
        """The routine as a function of Python numbers and addresses; other Python threads run meanwhile."""
        scalar = ctypes.c_float if routine[0] == "s" else ctypes.c_double
        integer = ctypes.c_int64 if self.int_bits == 64 else ctypes.c_int32
        kinds: dict[str, Any] = {"e": ctypes.c_int, "i": integer, "s": scalar, "p": ctypes.c_void_p}
        address = self.address(routine)
        parameters, _, result = _SIGNATURES[routine[1:]].partition(">")
        return ctypes.CFUNCTYPE(kinds[result] if result else None, *[kinds[p] for p in parameters])(address)

    # ------------------------------------------------------------------ threads

    @property
    def threads(self) -> int | None:
        """How many threads of its own a call may use; None when this BLAS does not say."""
        return None if self._get_threads is None else int(self._get_threads())

    def set_threads(self, threads: int) -> bool:
        """Change that number for the whole process; False when this BLAS cannot."""
        if threads < 1:
            raise InvalidValue(f"blas: expected at least 1 thread, got {threads}")
        if self._set_threads is None:
            return False
        self._set_threads(threads)
        return True

    @contextmanager
    def limited(self, threads: int) -> Iterator[None]:
        """Within it at most ``threads`` threads per call: 1 where our own threads call it side by side."""
        before = self.threads
        if before is None or before <= threads:
            yield
            return
        self.set_threads(threads)
        try:
            yield
        finally:
            self.set_threads(before)


def _symbol(routine: str) -> str:
    return f"tinygraph_cblas_{routine}"


# ---------------------------------------------------------------------- finding it


@cache
def find_blas() -> Blas | None:
    """NumPy's BLAS, or None where its C interface cannot be found; native code then uses its own products."""
    for library in _libraries():
        found = search(library)
        if found is not None:
            return found
    return None


def search(library: Any) -> Blas | None:
    """The BLAS in, or under, a loaded library; None unless it has both matrix products."""
    for spelling, bits in _SPELLINGS:
        addresses = {}
        for routine in ROUTINES:
            address = _address(library, spelling.format(routine))
            if address:
                addresses[routine] = address
        if "sgemm" in addresses and "dgemm" in addresses:
            return Blas(bits, addresses, *_threading(library), _library=library)
    return None


def _address(library: Any, name: str) -> int | None:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    except (AttributeError, ValueError):
        return None


def _threading(library: Any) -> tuple[str, Callable[[], int] | None, Callable[[int], Any] | None]:
    """What the library calls itself, and its functions to get and set the number of threads."""
    for prefix, suffix in _OPENBLAS:
        get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
        set_ = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
        if get is not None and set_ is not None:
            config = getattr(library, f"{prefix}_get_config{suffix}", None)
            return _text(config) or "OpenBLAS", get, set_
    if hasattr(library, "MKL_Get_Max_Threads"):
        return "MKL", library.MKL_Get_Max_Threads, library.MKL_Set_Num_Threads
    if hasattr(library, "bli_thread_get_num_threads"):
        return "BLIS", library.bli_thread_get_num_threads, library.bli_thread_set_num_threads
    return "unknown", None, None


def _text(function: Any) -> str:
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return (function() or b"").decode(errors="replace").strip()


def _libraries() -> Iterator[ctypes.CDLL]:
    """Loaded libraries in which NumPy's BLAS may be found. Loading one again only adds to its count of users."""
    extension = importlib.import_module("numpy._core._multiarray_umath").__file__ or ""
    places = [extension]
    if os.name == "nt":  # a lookup there does not reach into the libraries below
        directory = os.path.join(os.path.dirname(extension), "..", "..", "numpy.libs")
        if os.path.isdir(directory):
            places += [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if "blas" in name]
    for place in places:
        try:
            yield ctypes.CDLL(place)
        except OSError:
            continue
