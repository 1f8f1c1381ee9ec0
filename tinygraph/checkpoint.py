"""Named arrays in a ``.safetensors`` file: written whole or not at all, read with every claim checked.

The format (https://github.com/huggingface/safetensors) is eight bytes with the length of a header, the header in
JSON (of each array its dtype, shape, and place; under ``__metadata__`` texts), then the arrays' bytes, row-major and
little-endian. It cannot hold code, unlike a pickle. The package ``safetensors`` writes the files where it is
installed; the writer here makes files that it reads, and its own are read here.
"""

from __future__ import annotations

import json
import math
import os
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph.errors import DataError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}
_LARGEST_HEADER = 100_000_000  # the format's own bound


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write ``arrays`` and texts to ``path``, by a temporary file beside it and a rename.

    Raises DataError for a dtype that the format does not know, or a place that cannot be written to.
    """
    path = Path(path)
    ready = {}
    for name, array in arrays.items():
        array = np.asarray(array)
        if array.dtype.newbyteorder("<") not in _CODES:
            raise DataError(f"{path}: {name}: safetensors files cannot hold {array.dtype}")
        ready[name] = np.ascontiguousarray(array).reshape(array.shape)
    _write_whole(path, _encode(ready, dict(metadata or {})))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the texts of a file; raises DataError, naming it, if it is unreadable, damaged, or foreign."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable safetensors file: {error.strerror}") from error
    try:
        return _decode(memoryview(data))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise DataError(f"{path}: expected a whole safetensors file: {error}") from error


def _encode(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    try:
        from safetensors.numpy import save as encode
    except ImportError:
        return encode_plainly(arrays, metadata)
    return encode(arrays, metadata=metadata or None)


def encode_plainly(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file, without the package of that name."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    pieces = []
    start = 0
    # Wide elements first, so that every array is aligned in a file that is mapped into memory.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        code = _CODES[array.dtype.newbyteorder("<")]
        pieces.append(array.astype(_DTYPES[code], copy=False).tobytes())
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [start, start + len(pieces[-1])],
        }
        start += len(pieces[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *pieces])


def _decode(data: memoryview) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    (length,) = struct.unpack_from("<Q", data)
    if length > min(_LARGEST_HEADER, len(data) - 8):
        raise ValueError(f"its header is said to have {length:,} bytes, the file has {len(data):,}")
    header = json.loads(bytes(data[8 : 8 + length]))
    body = data[8 + length :]
    metadata = header.pop("__metadata__", {})
    arrays = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        start, stop = entry["data_offsets"]
        if start != end or stop - start != math.prod(shape) * dtype.itemsize or stop > len(body):
            raise ValueError(
                f"{name!r} of {dtype} {shape} is said to be in bytes {start} to {stop} of {len(body)}"
            )
        native = np.frombuffer(body[start:stop], dtype).reshape(shape).astype(dtype.newbyteorder("="))
        arrays[name] = native
        end = stop
    if end != len(body):
        raise ValueError(f"{len(body) - end} bytes belong to no array")
    return arrays, metadata


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
