"""safetensors files: exact round trips, agreement with the package of that name, damage that is named."""

import json
import struct

import numpy as np
import pytest

from tinygraph import checkpoint
from tinygraph.errors import DataError

DTYPES = [
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
]


def arrays():
    rng = np.random.default_rng(0)
    some = {f"a.{dtype}": (rng.standard_normal((3, 4)) * 50).astype(dtype) for dtype in [*DTYPES, "bool"]}
    return some | {
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 3), np.float64),
        "strided": np.arange(12.0).reshape(3, 4).T[::-1],
        "special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        "名": np.arange(3),
    }


def assert_same(got, want):
    assert set(got) == set(want)
    for name, array in want.items():
        array = np.asarray(array)
        assert got[name].dtype == array.dtype and got[name].shape == array.shape, name
        assert got[name].tobytes() == array.tobytes(), name


@pytest.fixture(params=["package", "plain"])
def encoder(request, monkeypatch):
    """Both writers: the package's, and the one that stands in for it."""
    if request.param == "package":
        pytest.importorskip("safetensors")
    else:
        monkeypatch.setattr(checkpoint, "_encode", checkpoint.encode_plainly)


def test_round_trip(tmp_path, encoder):
    checkpoint.save(tmp_path / "deep" / "c.safetensors", arrays(), {"state": "{}", "näme": "välue"})
    got, metadata = checkpoint.load(tmp_path / "deep" / "c.safetensors")
    assert_same(got, arrays())
    assert metadata == {"state": "{}", "näme": "välue"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.safetensors"]


def test_what_is_read_may_be_written_to(tmp_path, encoder):
    checkpoint.save(tmp_path / "c", {"a": np.zeros(2)})
    checkpoint.load(tmp_path / "c")[0]["a"][0] = 1


def test_the_package_reads_what_is_written_here():
    package = pytest.importorskip("safetensors.numpy")
    assert_same(
        package.load(checkpoint.encode_plainly({k: np.asarray(v) for k, v in arrays().items()}, {})), arrays()
    )


def test_big_endian_arrays_are_turned_round(tmp_path):
    checkpoint.save(tmp_path / "c", {"a": np.arange(3, dtype=">i4")})
    np.testing.assert_array_equal(checkpoint.load(tmp_path / "c")[0]["a"], np.arange(3, dtype=np.int32))


def test_dtypes_that_cannot_be_held(tmp_path):
    with pytest.raises(DataError, match="c: a: safetensors files cannot hold complex64"):
        checkpoint.save(tmp_path / "c", {"a": np.zeros(2, np.complex64)})
    with pytest.raises(DataError, match="c: a: safetensors files cannot hold object"):
        checkpoint.save(tmp_path / "c", {"a": np.array([{}])})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c", {"a": np.zeros(2)})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(DataError, match="c: cannot be written: No space left on device"):
        checkpoint.save(tmp_path / "c", {"a": np.ones(2)})
    assert checkpoint.load(tmp_path / "c")[0]["a"].tolist() == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def file_of(header, body=b""):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text)) + text + body


A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a whole safetensors file"),
        (b"PK\x03\x04 some other kind of file", "its header is said to have"),
        (file_of(b"{not json"), "expected a whole safetensors file"),
        (file_of([1, 2]), "expected a whole safetensors file"),
        (file_of({"a": A}, b"1234567"), "'a' of float32 .* is said to be in bytes 0 to 8 of 7"),
        (file_of({"a": A}, b"123456789"), "1 bytes belong to no array"),
        (file_of({"a": A | {"shape": [3]}}, b"12345678"), "'a' of float32"),
        (file_of({"a": A | {"data_offsets": [1, 9]}}, b"123456789"), "'a' of float32"),
        (file_of({"a": A | {"dtype": "F7"}}, b"12345678"), "F7"),
        (file_of({"a": {"dtype": "F32"}}), "data_offsets"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message):
    (tmp_path / "c.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=f"c.safetensors: .*{message}"):
        checkpoint.load(tmp_path / "c.safetensors")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="none: expected a readable safetensors file: No such file"):
        checkpoint.load(tmp_path / "none")
