"""The idx file format, in which MNIST is published: reading, checking, writing.

Layout (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998): two zero bytes, a code
for the type of the elements, the number of dimensions, each dimension as a big-endian 32-bit count, then the
elements in row-major order, big-endian. A file may be gzipped; its first two bytes tell.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from tinygraph.errors import DataError

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(text).newbyteorder("="): code for code, text in DTYPES.items()}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str], ndim: int | None = None) -> np.ndarray:
    """The array that an idx file holds, gzipped or not, in the machine's own byte order.

    ``ndim``, where given, is how many dimensions the file must have.
    Raises DataError, naming the file and what was expected, for one that is unreadable, damaged, or something else.
    """
    path = Path(path)
    data = _contents(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES or not 1 <= data[3] <= 32:
        raise DataError(
            f"{path}: expected an idx file (two zero bytes, a type code, the number of dimensions), "
            f"found {len(data)} bytes that start with {data[:4].hex(' ') or 'nothing'}"
        )
    if ndim is not None and data[3] != ndim:
        raise DataError(f"{path}: expected an idx file of {ndim} dimensions, found {data[3]}")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(
            f"{path}: expected an idx header of {header} bytes, found only {len(data)}: truncated"
        )
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    dtype = np.dtype(DTYPES[data[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - header != expected:
        fault = "truncated" if len(data) - header < expected else "damaged"
        raise DataError(
            f"{path}: expected {expected} bytes for {dtype.newbyteorder('=')} elements of shape {shape}, "
            f"found {len(data) - header}: {fault}"
        )
    return np.frombuffer(data, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write ``array`` as an idx file, gzipped if the name ends in ``.gz`` (always the same bytes for one array).

    Raises DataError for a dtype the format does not know.
    """
    code = _CODES.get(array.dtype)
    if code is None:
        known = ", ".join(str(dtype) for dtype in _CODES)
        raise DataError(f"{path}: idx files hold {known}; got {array.dtype}")
    if not 1 <= array.ndim <= 32:
        raise DataError(f"{path}: idx files hold 1 to 32 dimensions; got {array.ndim}")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    data = header + array.astype(DTYPES[code]).tobytes()
    path = Path(path)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _contents(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable idx file: {error.strerror}") from error
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: expected a whole gzip file: {error}") from error
