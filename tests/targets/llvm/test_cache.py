"""The object cache: what goes in comes out, damage counts as absence, and its size stays bounded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tinygraph.targets.llvm.cache import HEADER, ObjectCache, content_key


@pytest.fixture
def cache(tmp_path):
    return ObjectCache(tmp_path)


def entries(cache):
    return sorted(cache.directory.glob("*/*"), key=lambda path: path.stat().st_mtime_ns)


def test_an_entry_comes_back_in_another_process(tmp_path, cache):
    key = content_key("kernel", 1)
    assert cache.get(key) is None
    cache.put(key, b"code", seconds=0.25)
    script = (
        "import sys; from tinygraph.targets.llvm.cache import ObjectCache\n"
        "cache = ObjectCache(sys.argv[1]); print(cache.get(sys.argv[2]), cache.statistics.seconds_saved)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), key], capture_output=True, text=True, check=True
    ).stdout
    assert out.split() == ["b'code'", "0.25"]


def test_statistics_count_hits_misses_and_seconds(cache):
    cache.get("ab12")
    cache.put("ab12", b"code", seconds=2.0)
    cache.get("ab12")
    cache.get("ab12")
    found = cache.statistics
    assert (found.hits, found.misses, found.stored, found.rejected, found.failures) == (2, 1, 1, 0, 0)
    assert (found.seconds_saved, found.seconds_spent) == (4.0, 2.0)


@pytest.mark.parametrize("part", [(1,), ("1",), (b"1", b""), (b"", b"1"), ("11",), ((1,),)])
def test_keys_tell_parts_apart(part):
    others = [(1, 1), ("1", "1"), (b"11",), (2,)]
    assert all(content_key(*part) != content_key(*other) for other in others if other != part)
    assert content_key(*part) == content_key(*part)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:10],
        lambda raw: raw[:-1],
        lambda raw: raw + b"x",
        lambda raw: b"\x7fELF" + raw[4:],
        lambda raw: raw[: HEADER.size] + bytes([raw[HEADER.size] ^ 1]) + raw[HEADER.size + 1 :],
    ],
    ids=["empty", "short", "truncated", "longer", "foreign", "flipped bit"],
)
def test_a_damaged_entry_counts_as_absent_and_is_replaced(cache, damage):
    cache.put("ab12", b"code")
    [path] = entries(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("ab12") is None
    cache.put("ab12", b"code again")
    assert cache.get("ab12") == b"code again"


def test_an_entry_under_a_foreign_name_is_refused(cache):
    cache.put("ab12", b"code")
    [path] = entries(cache)
    path.rename(path.with_name("ab99"))
    assert cache.get("ab99") is None
    assert cache.statistics.rejected == 1


def test_the_least_recently_used_entries_go_first(tmp_path):
    cache = ObjectCache(tmp_path, max_bytes=10 * (100 + HEADER.size))
    for k in range(10):
        cache.put(f"{k:04d}", bytes(100))
        [path] = cache.directory.glob(f"*/{k:04d}")
        os.utime(path, (k, k))
    assert cache.get("0000") is not None  # now the newest
    cache.put("0010", bytes(100))
    left = {path.name for path in entries(cache)}
    assert {"0000", "0010", "0009"} <= left
    assert not {"0001", "0002", "0003"} & left
    assert sum(path.stat().st_size for path in entries(cache)) <= cache.max_bytes


def test_content_beyond_the_bound_and_a_bound_of_zero_store_nothing(tmp_path):
    small = ObjectCache(tmp_path, max_bytes=100)
    small.put("ab12", bytes(200))
    assert small.get("ab12") is None
    off = ObjectCache(tmp_path / "off", max_bytes=0)
    off.put("ab12", b"")
    assert off.get("ab12") is None
    assert not (tmp_path / "off").exists()


def test_the_directory_may_vanish_at_any_time(cache):
    cache.put("ab12", b"code")
    for path in entries(cache):
        path.unlink()
        path.parent.rmdir()
    cache.directory.rmdir()
    assert cache.get("ab12") is None
    cache.put("ab12", b"code")
    assert cache.get("ab12") == b"code"


def test_clear_leaves_an_empty_usable_cache(cache):
    cache.put("ab12", b"code")
    cache.clear()
    assert entries(cache) == []
    cache.put("ab12", b"code")
    assert cache.get("ab12") == b"code"


def test_a_place_that_cannot_be_written_is_counted_not_raised(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = ObjectCache(tmp_path / "file")
    cache.put("ab12", b"code")
    assert cache.get("ab12") is None
    assert cache.statistics.failures == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="file modes as on Unix")
def test_a_directory_that_others_may_write_to_is_not_used(tmp_path):
    first = ObjectCache(tmp_path)
    first.put("ab12", b"code")
    first.directory.chmod(0o777)
    assert ObjectCache(tmp_path).get("ab12") is None
