"""idx files: what is written is read back, and whatever is wrong with a file is said with its name."""

import gzip
import struct

import numpy as np
import pytest

from tinygraph.datasets import read_idx, write_idx
from tinygraph.errors import DataError


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (0, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_round_trip(tmp_path, dtype, shape, suffix):
    array = (np.arange(np.prod(shape)).reshape(shape) - 3).astype(dtype)
    write_idx(tmp_path / f"a{suffix}", array)
    back = read_idx(tmp_path / f"a{suffix}")
    assert back.dtype == np.dtype(dtype) and back.shape == shape
    np.testing.assert_array_equal(back, array)


def test_bytes_of_a_hand_written_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 3]) + struct.pack(">3h", 1, -2, 300))
    np.testing.assert_array_equal(read_idx(path, ndim=2), np.array([[1, -2, 300]], np.int16))


def test_what_is_read_may_be_written_to(tmp_path):
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    array = read_idx(tmp_path / "a")
    array[0] = 1
    assert array[0] == 1


@pytest.mark.parametrize("dtype", ["uint16", "int64", "complex64", "bool"])
def test_dtypes_that_idx_lacks(tmp_path, dtype):
    with pytest.raises(DataError, match=rf"idx files hold uint8, .*; got {dtype}"):
        write_idx(tmp_path / "a", np.zeros(3, dtype))


GOOD = bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an idx file .* found 0 bytes that start with nothing"),
        (b"\x80\x04\x95pickle", "expected an idx file .* start with 80 04 95 70"),
        (b"\0\0\x07\x01\0\0\0\0", "expected an idx file"),
        (b"\0\0\x08\x00", "expected an idx file"),
        (GOOD[:6], "expected an idx header of 8 bytes, found only 6: truncated"),
        (GOOD[:-1], r"expected 4 bytes for uint8 elements of shape \(4,\), found 3: truncated"),
        (GOOD + b"x", r"expected 4 bytes for uint8 elements of shape \(4,\), found 5: damaged"),
        (gzip.compress(GOOD, mtime=0)[:-9], "expected a whole gzip file"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"garbage!" + gzip.compress(GOOD)[20:], "expected a whole gzip file"),
    ],
)
def test_damaged_and_foreign_files(tmp_path, content, message):
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"some-file: {message}"):
        read_idx(path)


def test_wrong_number_of_dimensions(tmp_path):
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="a: expected an idx file of 3 dimensions, found 1"):
        read_idx(tmp_path / "a", ndim=3)


def test_unreadable(tmp_path):
    with pytest.raises(DataError, match="absent: expected a readable idx file: No such file or directory"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="expected a readable idx file: Is a directory"):
        read_idx(tmp_path)
