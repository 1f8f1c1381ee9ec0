"""The worker pool: every chunk once, from anywhere, at once, after forks; no work when idle; Ctrl-C."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tinygraph.config import available_cpus  # noqa: E402
from tinygraph.errors import InvalidValue  # noqa: E402
from tinygraph.targets.llvm.engine import Engine, Target, host_engine  # noqa: E402
from tinygraph.targets.llvm.threads import MAX_THREADS, get_pool, pool_source  # noqa: E402

BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)

# count: adds 1 to every element of its chunk. nested: a loop over the chunk, inside the loop.
# meet: waits, for a billion turns at most, until two threads are inside at once.
# slow: about a millisecond per chunk. many: `times` loops in a row.
NATIVE = """
declare i32 @tinygraph_parallel_for(ptr, ptr, i64, i64, i64, ptr)
define void @count(ptr %data, i64 %begin, i64 %end, i64 %thread) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  %at = getelementptr i64, ptr %data, i64 %i
  %old = load i64, ptr %at
  %new = add i64 %old, 1
  store i64 %new, ptr %at
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}
define void @nested(ptr %data, i64 %begin, i64 %end, i64 %thread) {
  %from = getelementptr i64, ptr %data, i64 %begin
  %length = sub i64 %end, %begin
  %r = call i32 @tinygraph_parallel_for(ptr @count, ptr %from, i64 %length, i64 3, i64 0, ptr null)
  ret void
}
define void @meet(ptr %inside, i64 %begin, i64 %end, i64 %thread) {
entry:
  %before = atomicrmw add ptr %inside, i64 1 seq_cst
  br label %loop
loop:
  %turns = phi i64 [ 0, %entry ], [ %next, %loop ]
  %here = load atomic i64, ptr %inside seq_cst, align 8
  %both = icmp sge i64 %here, 2
  %next = add i64 %turns, 1
  %tired = icmp sgt i64 %next, 1000000000
  %stop = or i1 %both, %tired
  br i1 %stop, label %done, label %loop
done:
  ret void
}
define void @slow(ptr %data, i64 %begin, i64 %end, i64 %thread) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  call void asm sideeffect "nop", ""()
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, 1000000
  br i1 %more, label %loop, label %done
done:
  ret void
}
define void @many(ptr %data, i64 %n, i64 %grain, i64 %times) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %r = call i32 @tinygraph_parallel_for(ptr @count, ptr %data, i64 %n, i64 %grain, i64 0, ptr null)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %times
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
NAMES = ["count", "nested", "meet", "slow", "many"]


@pytest.fixture
def pool():
    pool = get_pool()
    pool.resize(4)
    yield pool
    pool.resize(0)


@pytest.fixture(scope="module")
def native():
    return Engine(symbols=get_pool().symbols).load(NATIVE, NAMES)


def recorded(pool, n, grain, **options):
    """The chunks that ran, as (begin, end, thread), and whether the loop was stopped."""
    chunks = []
    body = BODY(lambda context, begin, end, thread: chunks.append((begin, end, thread)))
    stopped = pool.parallel_for(ctypes.cast(body, ctypes.c_void_p).value, None, n, grain, **options)
    return chunks, stopped


# ---------------------------------------------------------------------- chunks


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("n, grain", [(0, 1), (-5, 1), (1, 1), (7, 3), (9, 3), (5, 100), (4, 0), (100, 7)])
def test_chunks_cover_the_range_once_and_begin_at_multiples_of_the_grain(pool, n, grain, threads):
    pool.resize(threads)
    chunks, stopped = recorded(pool, n, grain)
    step = max(grain, 1)
    assert sorted(c[:2] for c in chunks) == [(b, min(b + step, n)) for b in range(0, n, step)]
    assert not stopped and all(0 <= c[2] < threads for c in chunks)


def test_a_loop_uses_no_more_threads_than_it_asks_for(pool):
    chunks, _ = recorded(pool, 200, 1, threads=2)
    assert {c[2] for c in chunks} <= {0, 1}
    chunks, _ = recorded(pool, 20, 1, threads=1)
    assert {c[2] for c in chunks} == {0}


def test_a_range_as_large_as_integers_go(pool):
    largest = 2**63 - 1
    chunks, _ = recorded(pool, largest, 2**62)
    assert sorted(c[0] for c in chunks) == [0, 2**62]


@pytest.mark.skipif(available_cpus() < 2, reason="needs two processors")
def test_two_threads_are_inside_at_once(pool, native):
    inside = np.zeros(1, np.int64)
    begin = time.perf_counter()
    pool.parallel_for(native.address("meet"), inside.ctypes.data, 2, 1)
    assert inside[0] == 2
    assert time.perf_counter() - begin < 0.5, "the second thread came only after the first had given up"


def test_thousands_of_loops_in_a_row_lose_nothing(pool, native):
    i64 = ctypes.c_int64
    many = ctypes.CFUNCTYPE(None, ctypes.c_void_p, i64, i64, i64)(native.address("many"))
    data = np.zeros(64, np.int64)
    for grain in (1, 5, 32):
        data[:] = 0
        many(data.ctypes.data, 64, grain, 3000)
        assert (data == 3000).all()


def test_loops_after_a_sleep_wake_the_helpers(pool, native):
    data = np.zeros(64, np.int64)
    for k in range(30):
        time.sleep(0.002)
        pool.parallel_for(native.address("count"), data.ctypes.data, 64, 1)
        assert (data == k + 1).all()


# ---------------------------------------------------------------------- loops within and beside loops


def test_a_loop_inside_a_loop_runs_in_its_caller(pool, native):
    data = np.zeros(1000, np.int64)
    pool.parallel_for(native.address("nested"), data.ctypes.data, 1000, 70)
    assert (data == 1).all()


def test_several_python_threads_may_start_loops_at_once(pool, native):
    arrays = [np.zeros(500, np.int64) for _ in range(4)]

    def run(data):
        for _ in range(300):
            pool.parallel_for(native.address("count"), data.ctypes.data, 500, 20)

    callers = [threading.Thread(target=run, args=(data,)) for data in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((data == 300).all() for data in arrays)


# ---------------------------------------------------------------------- the pool's size


def test_helpers_start_when_needed_and_stay(pool, native):
    data = np.zeros(8, np.int64)
    pool.resize(3)
    pool.parallel_for(native.address("count"), data.ctypes.data, 8, 1)
    started = pool.helpers
    assert started >= 2
    pool.resize(1)
    chunks, _ = recorded(pool, 20, 1)
    assert {c[2] for c in chunks} == {0} and pool.helpers == started


def test_size_zero_means_the_cpus_of_the_affinity_mask(pool):
    pool.resize(0)
    assert pool.size == available_cpus()


def test_a_machine_of_more_processors_than_the_table_has_room_for_uses_as_many_as_fit(pool, monkeypatch):
    monkeypatch.setattr("tinygraph.targets.llvm.threads.available_cpus", lambda: 1000)
    pool.resize(0)
    assert pool.size == MAX_THREADS and pool.at_least(1000) == MAX_THREADS


def test_a_program_may_ask_for_more_threads_but_takes_none_away(pool):
    assert pool.at_least(6) == 6 and pool.size == 6
    assert pool.at_least(2) == 2 and pool.size == 6


@pytest.mark.parametrize("threads", [-1, MAX_THREADS + 1])
def test_a_size_out_of_range_is_refused(pool, threads):
    with pytest.raises(InvalidValue, match=f"threads: expected 0 to {MAX_THREADS}, got {threads}"):
        pool.resize(threads)
    assert pool.size == 4


def test_idle_helpers_cost_no_processor_time(pool, native):
    data = np.zeros(64, np.int64)
    pool.parallel_for(native.address("count"), data.ctypes.data, 64, 1)
    time.sleep(0.05)  # they stop spinning
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.01


# ---------------------------------------------------------------------- stopping


def test_a_raised_flag_keeps_chunks_from_starting(pool):
    flag = ctypes.c_int32(1)
    for threads in (1, 4):
        chunks, stopped = recorded(pool, 100, 1, threads=threads, stop=ctypes.addressof(flag))
        assert stopped and chunks == []


def test_a_flag_raised_on_the_way_ends_the_loop(pool, native):
    flag = ctypes.c_int32(0)
    timer = threading.Timer(0.1, lambda: setattr(flag, "value", 1))
    timer.start()
    begin = time.perf_counter()
    assert pool.parallel_for(native.address("slow"), None, 60_000, 1, stop=ctypes.addressof(flag))
    assert time.perf_counter() - begin < 2
    timer.join()
    chunks, stopped = recorded(pool, 10, 1)
    assert not stopped and len(chunks) == 10


def test_inside_interruptible_a_signal_raises_the_flag_and_python_hears_of_it(pool, native):
    heard = []
    previous = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pool.interruptible(), pool.interruptible():
            stopped = pool.parallel_for(native.address("slow"), None, 60_000, 1, stop=pool.interrupt_address)
        assert stopped and pool.interrupted and heard == [1]
        with pool.interruptible():
            assert not pool.interrupted
        os.kill(os.getpid(), signal.SIGINT)
        assert heard == [1, 1] and not pool.interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("setting", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_signal_that_is_ignored_or_left_to_the_system_stays_so(pool, setting):
    previous = signal.signal(signal.SIGINT, setting)
    try:
        with pool.interruptible():
            assert signal.getsignal(signal.SIGINT) == setting
            if setting == signal.SIG_IGN:
                os.kill(os.getpid(), signal.SIGINT)
                assert not pool.interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


def script(body: str, **options):
    """A Python process that has the pool, the native code and ``data`` at hand."""
    preamble = f"""
import ctypes, os, signal, sys, threading, time
import numpy as np
from tinygraph.targets.llvm.engine import Engine
from tinygraph.targets.llvm.threads import get_pool
pool = get_pool(); pool.resize(2)
native = Engine(symbols=pool.symbols).load({NATIVE!r}, {NAMES!r})
data = np.zeros(1000, np.int64)
def count(): pool.parallel_for(native.address("count"), data.ctypes.data, 1000, 10)
"""
    return subprocess.Popen(
        [sys.executable, "-c", preamble + body], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_ctrl_c_ends_a_long_native_loop_within_a_second():
    process = script("""
print("ready", flush=True)
with pool.interruptible():
    pool.parallel_for(native.address("slow"), None, 10**6, 1, stop=pool.interrupt_address)
""")
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.perf_counter() - begin < 1
    assert "KeyboardInterrupt" in errors


# ---------------------------------------------------------------------- processes


def run(body: str) -> list[str]:
    out, errors = (process := script(body)).communicate(timeout=60)
    assert process.returncode == 0, errors
    return out.split()


def test_no_helper_runs_before_it_is_needed_and_the_process_ends_with_helpers_asleep():
    assert run("print(pool.helpers); count(); time.sleep(0.01); print(pool.helpers, data.sum())") == ["0", "1", "1000"]


def test_the_process_ends_while_a_daemon_thread_is_in_a_loop():
    body = 'threading.Thread(target=lambda: pool.parallel_for(native.address("slow"), None, 10**6, 1), daemon=True)'
    assert run(body + ".start(); time.sleep(0.1); print('bye')") == ["bye"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["count()", "count(); time.sleep(0.01)", "pass"], ids=["spinning", "asleep", "fresh"])
def test_after_a_fork_the_child_starts_its_own_helpers(when):
    assert run(f"""
{when}
child = os.fork()
assert child or pool.helpers == 0
for _ in range(50): count()
if child == 0:
    os._exit(0 if pool.helpers == 1 and (data >= 50).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pool.helpers)
""") == ["0", "1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_during_another_threads_loop_leaves_the_child_usable():
    assert run("""
busy = threading.Thread(target=lambda: pool.parallel_for(native.address("slow"), None, 300, 1))
busy.start(); time.sleep(0.05)
child = os.fork()
if child == 0:
    count()
    os._exit(0 if (data == 1).all() and pool.helpers == 1 else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]); busy.join()
print(status)
""") == ["0"]


# ---------------------------------------------------------------------- other systems


def test_without_posix_threads_loops_run_serially():
    source = pool_source(system="win32")
    names = ["tinygraph_parallel_for", "tinygraph_pool_configure", "tinygraph_pool_helpers"]
    library = host_engine().load(source, names)
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    configure = ctypes.CFUNCTYPE(None, i64, i64, i64)(library.address("tinygraph_pool_configure"))
    loop = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, pointer, i64, i64, i64, pointer)(
        library.address("tinygraph_parallel_for")
    )
    chunks = []
    configure(4, 10, 2)
    assert loop(BODY(lambda c, begin, end, thread: chunks.append((begin, end, thread))), None, 10, 4, 0, None) == 0
    assert chunks == [(0, 4, 0), (4, 8, 0), (8, 10, 0)]


def test_the_pool_compiles_for_aarch64():
    code = Engine(Target("aarch64-unknown-linux-gnu", "neoverse-n1", "")).assembly(pool_source(machine="aarch64"))
    assert "isb" in code and "tinygraph_parallel_for" in code


def test_an_interrupt_stops_no_later_work(pool):
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with pool.interruptible():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1] and pool.interrupted
    assert ctypes.c_int32.from_address(pool.interrupt_address).value == 0
