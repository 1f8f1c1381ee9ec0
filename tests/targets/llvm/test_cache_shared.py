"""The object cache between processes: writers, readers, eviction, deletion and damage at once; versions; whole functions."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

from tinygraph.targets.llvm import engine as engines  # noqa: E402
from tinygraph.targets.llvm.cache import HEADER, LOOK_AFTER, ObjectCache  # noqa: E402
from tinygraph.targets.llvm.engine import Engine  # noqa: E402

# An entry's content follows from its key, so that a reader knows what it must find, if anything.
WORKER = """
import hashlib, os, random, shutil, sys, time
from pathlib import Path
from tinygraph.targets.llvm.cache import ObjectCache
directory, role, seed, bound, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
cache, rng, hits = ObjectCache(directory, bound), random.Random(seed), 0
def content(key):
    return hashlib.sha256(key.encode()).digest() * (1 + int(key[-3:]) * 3)
end = time.monotonic() + seconds
while time.monotonic() < end:
    key = f"{rng.randrange(200):04x}{rng.randrange(200):03d}" if role == "many" else f"00{rng.randrange(40):03d}"
    if role == "deletes":
        shutil.rmtree(cache.directory, ignore_errors=True)
        time.sleep(0.02)
        continue
    if role == "damages":
        files = [p for p in cache.directory.glob("*/*")]
        for path in rng.sample(files, min(3, len(files))):
            try:
                size = path.stat().st_size
                with open(path, "r+b") as f:
                    f.truncate(rng.randrange(size + 1)) if rng.random() < 0.5 else f.write(os.urandom(9))
            except OSError:
                pass
        time.sleep(0.01)
        continue
    found = cache.get(key)
    assert found is None or found == content(key), key
    hits += found is not None
    if found is None or rng.random() < 0.3:
        cache.put(key, content(key))
print(hits, cache.statistics.failures)
"""


def at_once(directory, *roles, bound=1 << 30, seconds=1.5):
    """Processes in these roles on one directory; of each its hits and its failures."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(directory), role, str(k), str(bound), str(seconds)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for k, role in enumerate(roles)
    ]  # fmt: skip
    found = []
    for worker, role in zip(workers, roles, strict=True):
        out, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
        if role not in ("deletes", "damages"):
            found.append(tuple(map(int, out.split())))
    return found


def left_over(directory):
    return list(ObjectCache(directory).directory.glob("*/.new-*"))


def test_writers_of_the_same_entries_and_readers_meet_only_whole_entries(tmp_path):
    found = at_once(tmp_path, "few", "few", "few", "few")
    assert all(hits > 100 and failures == 0 for hits, failures in found)
    assert left_over(tmp_path) == []


def test_readers_and_writers_are_safe_while_entries_are_evicted_and_the_bound_holds(tmp_path):
    bound = 300_000
    found = at_once(tmp_path, "many", "many", "many", bound=bound, seconds=2)
    assert sum(hits for hits, _ in found) > 0
    largest = 32 * 598 + HEADER.size
    entries = [path.stat().st_size for path in ObjectCache(tmp_path).directory.glob("*/*")]
    assert 0 < sum(entries) <= bound * (1 + 3 * LOOK_AFTER) + 3 * largest
    assert left_over(tmp_path) == []


def test_the_directory_may_be_deleted_again_and_again_while_processes_use_it(tmp_path):
    found = at_once(tmp_path, "few", "few", "deletes")
    assert all(hits > 0 for hits, _ in found)


def test_entries_that_are_damaged_all_the_time_are_never_returned(tmp_path):
    found = at_once(tmp_path, "few", "few", "damages")
    assert all(hits > 0 for hits, _ in found)
    assert left_over(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind_and_raises_nothing(tmp_path, monkeypatch):
    cache = ObjectCache(tmp_path)
    cache.put("ab12", b"code")

    class Full:
        def __init__(self, handle, mode):
            self.file = open(handle, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[:3])
            raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", Full)
        cache.put("ab34", b"more code")
        cache.put("ab12", b"other code")
    assert cache.statistics.failures == 2 and left_over(tmp_path) == []
    assert cache.get("ab34") is None and cache.get("ab12") == b"code"


# -- versions ----------------------------------------------------------------------------------------------------------

MODULE = "define i64 @add(i64 %x) {\n  %y = add i64 %x, 1\n  ret i64 %y\n}"


@pytest.mark.parametrize("change", [
    lambda patch: patch.setattr(engines.llvm, "llvm_version_info", (99, 0, 0)),
    lambda patch: patch.setattr(engines.llvmlite, "__version__", "99.0"),
    lambda patch: patch.setattr(engines, "PASSES", engines.PASSES[:-1]),
], ids=["another LLVM", "another llvmlite", "other passes"])  # fmt: skip
def test_what_another_version_compiled_is_left_alone(tmp_path, monkeypatch, change):
    cache = ObjectCache(tmp_path)
    Engine(cache=cache).load(MODULE, ["add"])
    with monkeypatch.context() as patch:
        change(patch)
        assert not Engine(cache=cache).load(MODULE, ["add"]).from_cache
        assert Engine(cache=cache).load(MODULE, ["add"]).from_cache
    assert Engine(cache=cache).load(MODULE, ["add"]).from_cache


def test_another_format_has_a_directory_of_its_own(tmp_path, monkeypatch):
    ObjectCache(tmp_path).put("ab12", b"code")
    monkeypatch.setattr("tinygraph.targets.llvm.cache.FORMAT", 99)
    assert ObjectCache(tmp_path).get("ab12") is None


# -- whole functions ---------------------------------------------------------------------------------------------------

STEP = """
import json, sys, numpy as np, tinygraph as tg, tinygraph.tensor as T
from tinygraph.targets.llvm import machine, printed
if "--other-printer" in sys.argv:
    printed._version = lambda: "another version"
w = tg.shared(np.linspace(-1, 1, 40 * 30).reshape(40, 30).astype("float32"))
x = T.fmatrix("x")
cost = T.tanh(T.dot(x, w)).sum() + T.exp(x).mean()
f = tg.function([x], cost, updates=[(w, w - np.float32(0.1) * tg.grad(cost, w))], mode=tg.Mode(target="llvm"))
out = [float(f(np.full((9, 40), k / 10, "float32"))) for k in range(3)]
s = machine.engine().cache.statistics
print(json.dumps([out, s.hits, s.misses, s.stored, s.rejected]))
"""


def start(directory, *arguments):
    environment = {**os.environ, "TINYGRAPH_FLAGS": f"cache_dir={directory}", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", STEP, *arguments], stdout=subprocess.PIPE, env=environment, text=True)


def ended(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(out)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A directory that three processes have filled at once, and what each of them computed."""
    directory = tmp_path_factory.mktemp("cache")
    found = [ended(p) for p in [start(directory) for _ in range(3)]]
    assert all(f[0] == found[0][0] for f in found)
    return directory, found[0][0]


def test_after_processes_that_compiled_the_same_at_once_the_next_compiles_nothing(filled):
    directory, out = filled
    again, hits, misses, stored, rejected = ended(start(directory))
    assert again == out and hits > 3 and (misses, stored, rejected) == (0, 0, 0)


def test_another_version_of_the_printer_prints_anew_and_then_keeps_to_itself(filled, tmp_path):
    directory = shutil.copytree(filled[0], tmp_path / "copy")
    first, second = (ended(start(directory, "--other-printer")) for _ in range(2))
    assert first[0] == second[0] == filled[1]
    assert first[2] > 0 and second[2] == 0  # misses
    assert ended(start(directory))[2] == 0


@pytest.mark.parametrize("damage", [
    lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:-1] + bytes([data[-1] ^ 1]),
], ids=["truncated", "empty", "a flipped bit"])  # fmt: skip
def test_when_every_entry_is_damaged_all_is_compiled_and_stored_again(filled, tmp_path, damage):
    directory = shutil.copytree(filled[0], tmp_path / "copy")
    files = [path for path in directory.rglob("*") if path.is_file()]
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    out, hits, misses, stored, rejected = ended(start(directory))
    assert out == filled[1] and hits == 0 and stored == misses > 3
    assert rejected == (misses if damage(b"entry") else 0)  # an empty file is not even looked at
    assert ended(start(directory))[1:4] == [misses, 0, 0]


def test_the_directory_goes_between_two_compilations_of_one_process(tmp_path):
    cache = ObjectCache(tmp_path)
    engine = Engine(cache=cache)
    engine.load(MODULE, ["add"])
    shutil.rmtree(cache.directory)
    assert not engine.load(MODULE, ["add"]).from_cache
    assert engine.load(MODULE, ["add"]).from_cache
