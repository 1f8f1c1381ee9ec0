"""A small machine, itself native code, that runs a program's kernels one after the other.

A program is a vector of 64-bit numbers: eight of which the second says how many threads it may use (it has scratch
memory for so many), then eight to an instruction:

    1  kernel     function, context, iterations, grain (0: serial), iterations in a row of a share (0 outside of
                  shares), 0 or one more than how often it ran (how many rows, in shares), ticks of the clock
    2  loop       counter (a parameter's index), steps, address behind the loop, function that sets parameters or 0,
                  limit on the steps (buffer + 1 or 0), whether it counts down, steps left (a parameter's index; the
                  next one holds the steps taken)
    3  end loop   address of the loop's first instruction, counter, boolean that ends the loop (buffer + 1 or 0),
                  function that sets parameters or 0, what to add to the counter, steps left
    4  stop
    5  count      buffer that receives the steps taken, parameter that holds them
    6  share      number of parameters, rows, grain, address behind: the instructions up to the next stop, run by each
                  thread for rows of its own and with parameters of its own (the counters of loops among them)
    7  together   number of shares, whether threads share them out, address behind. Between lie eight numbers for each
                  share, one call of a kernel: function, context, begin, end

so a scan of any length runs without Python, and one whose rows do not depend on each other without a barrier. A call
of a program hands over one record of 64-bit numbers,

    code, first instruction, parameters, table of buffers, error record, stop flag, how many arrays, their positions in
    the table, the type that they must have, then the arrays themselves: the addresses of NumPy's objects

and the machine reads from those objects where their data lie. A kernel's context is a vector of 64-bit numbers: the
table of buffers, the parameters, the kernel's own table of sizes, scratch memory, its size for one thread, the error
record (what happened or 0, the index that was out of range, the size it was out of, the number of the check, the table
of sizes of the kernel that checked), and for checked kernels the buffers' extents.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import Any

import numpy as np

from tinygraph.errors import TargetUnavailable
from tinygraph.targets.llvm.engine import Engine, Library
from tinygraph.targets.llvm.threads import get_pool

KERNEL, LOOP, END_LOOP, STOP, COUNT, SHARE, TOGETHER = 1, 2, 3, 4, 5, 6, 7
WIDTH = 8
#: where a kernel's instruction counts its runs, one more than they are, and the ticks; whether ticks can be counted
RUNS, TICKS = 6, 7
COUNTS_TICKS = platform.machine().lower() in ("x86_64", "amd64")  # elsewhere the counter is the system's own
#: where in a call's record the arrays begin
OBJECTS = 9
#: what a call answers that came to its end, and one that was given something that is no array
DONE, NOT_ARRAYS = -1, -2


def _data_offset() -> int:
    """Where in NumPy's array object the address of its data lies."""
    probe = np.arange(3)
    for offset in range(16, 64, 8):
        if ctypes.c_void_p.from_address(id(probe) + offset).value == probe.ctypes.data:
            return offset
    raise TargetUnavailable("the llvm target cannot read arrays of this build of NumPy")


_DATA = _data_offset()


def address_of(x: np.ndarray) -> int:
    """Where an array's first element lies."""
    return ctypes.c_void_p.from_address(id(x) + _DATA).value or 0


_SOURCE = """
declare i32 @tinygraph_parallel_for(ptr, ptr, i64, i64, i64, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.readcyclecounter()

define i64 @tinygraph_run(ptr %code, i64 %first, ptr %params, ptr %table, ptr %error, ptr %stop) {
  %at = call i64 @run(ptr %code, i64 %first, ptr %params, ptr %table, ptr %error, ptr %stop, i64 0, i64 0, i64 0)
  ret i64 %at
}

define internal void @share(ptr %task, i64 %begin, i64 %end, i64 %thread) {
  %code = load ptr, ptr %task
  %t1 = getelementptr i64, ptr %task, i64 1
  %first = load i64, ptr %t1
  %t2 = getelementptr i64, ptr %task, i64 2
  %theirs = load ptr, ptr %t2
  %t3 = getelementptr i64, ptr %task, i64 3
  %count = load i64, ptr %t3
  %t4 = getelementptr i64, ptr %task, i64 4
  %table = load ptr, ptr %t4
  %t5 = getelementptr i64, ptr %task, i64 5
  %error = load ptr, ptr %t5
  %t6 = getelementptr i64, ptr %task, i64 6
  %stop = load ptr, ptr %t6
  %params = alloca i64, i64 %count, align 64
  %bytes = mul i64 %count, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %params, ptr %theirs, i64 %bytes, i1 false)
  %at = call i64 @run(ptr %code, i64 %first, ptr %params, ptr %table, ptr %error, ptr %stop,
                      i64 %begin, i64 %end, i64 %thread)
  ret void
}

define internal void @together(ptr %calls, i64 %begin, i64 %end, i64 %thread) {
entry:
  br label %share
share:
  %s = phi i64 [%begin, %entry], [%following, %call]
  %any = icmp slt i64 %s, %end
  br i1 %any, label %call, label %out
call:
  %offset = mul i64 %s, 8
  %at = getelementptr i64, ptr %calls, i64 %offset
  %a1 = getelementptr i64, ptr %at, i64 1
  %a2 = getelementptr i64, ptr %at, i64 2
  %a3 = getelementptr i64, ptr %at, i64 3
  %f = load ptr, ptr %at
  %context = load ptr, ptr %a1
  %first = load i64, ptr %a2
  %last = load i64, ptr %a3
  call void %f(ptr %context, i64 %first, i64 %last, i64 %thread)
  %following = add i64 %s, 1
  br label %share
out:
  ret void
}

define internal i64 @run(ptr %code, i64 %first, ptr %params, ptr %table, ptr %error, ptr %stop,
                         i64 %begin_row, i64 %end_row, i64 %thread) {
entry:
  %own = alloca [7 x i64], align 64
  %task = alloca [7 x i64], align 64
  %threads_at = getelementptr i64, ptr %code, i64 1
  %threads = load i64, ptr %threads_at
  br label %next
next:
  %pc = phi i64 [%first, %entry], [%following, %proceed], [%x3, %skip], [%x1, %again], [%x4, %behind], [%x3, %passed]
  %following = add i64 %pc, 8
  %at = getelementptr i64, ptr %code, i64 %pc
  %a1 = getelementptr i64, ptr %at, i64 1
  %a2 = getelementptr i64, ptr %at, i64 2
  %a3 = getelementptr i64, ptr %at, i64 3
  %a4 = getelementptr i64, ptr %at, i64 4
  %a5 = getelementptr i64, ptr %at, i64 5
  %a6 = getelementptr i64, ptr %at, i64 6
  %a7 = getelementptr i64, ptr %at, i64 7
  %op = load i64, ptr %at
  %x1 = load i64, ptr %a1
  %x2 = load i64, ptr %a2
  %x3 = load i64, ptr %a3
  %x4 = load i64, ptr %a4
  %x5 = load i64, ptr %a5
  %x6 = load i64, ptr %a6
  %x7 = load i64, ptr %a7
  switch i64 %op, label %stopped [ i64 1, label %kernel
                                   i64 2, label %loop
                                   i64 3, label %end
                                   i64 5, label %count
                                   i64 6, label %sharing
                                   i64 7, label %together ]
proceed:
  br label %next

kernel:
  %timed = icmp ne i64 %x6, 0
  br i1 %timed, label %start_clock, label %launch
start_clock:
  %ticks = call i64 @llvm.readcyclecounter()
  br label %launch
launch:
  %before = phi i64 [0, %kernel], [%ticks, %start_clock]
  %f = inttoptr i64 %x1 to ptr
  %c = inttoptr i64 %x2 to ptr
  %whole = icmp eq i64 %x5, 0
  br i1 %whole, label %all, label %rows
rows:
  call void @llvm.memcpy.p0.p0.i64(ptr %own, ptr %c, i64 56, i1 false)
  %own1 = getelementptr i64, ptr %own, i64 1
  store ptr %params, ptr %own1
  %from = mul i64 %begin_row, %x5
  %to = mul i64 %end_row, %x5
  call void %f(ptr %own, i64 %from, i64 %to, i64 %thread)
  %rows_done = sub i64 %end_row, %begin_row
  br label %ran
all:
  %serial = icmp eq i64 %x4, 0
  br i1 %serial, label %alone, label %shared
alone:
  call void %f(ptr %c, i64 0, i64 %x3, i64 0)
  br label %ran
shared:
  %r = call i32 @tinygraph_parallel_for(ptr %f, ptr %c, i64 %x3, i64 %x4, i64 %threads, ptr %stop)
  br label %ran
ran:
  %done = phi i64 [%rows_done, %rows], [1, %alone], [1, %shared]
  br i1 %timed, label %stop_clock, label %check
stop_clock:
  %now = call i64 @llvm.readcyclecounter()
  %spent = sub i64 %now, %before
  %runs = atomicrmw add ptr %a6, i64 %done monotonic
  %total = atomicrmw add ptr %a7, i64 %spent monotonic
  br label %check
check:
  %e = load i64, ptr %error
  %flag = load volatile i32, ptr %stop
  %flag64 = zext i32 %flag to i64
  %any = or i64 %e, %flag64
  %bad = icmp ne i64 %any, 0
  br i1 %bad, label %failed, label %proceed
failed:
  ret i64 %pc

sharing:
  store ptr %code, ptr %task
  %task1 = getelementptr i64, ptr %task, i64 1
  store i64 %following, ptr %task1
  %task2 = getelementptr i64, ptr %task, i64 2
  store ptr %params, ptr %task2
  %task3 = getelementptr i64, ptr %task, i64 3
  store i64 %x1, ptr %task3
  %task4 = getelementptr i64, ptr %task, i64 4
  store ptr %table, ptr %task4
  %task5 = getelementptr i64, ptr %task, i64 5
  store ptr %error, ptr %task5
  %task6 = getelementptr i64, ptr %task, i64 6
  store ptr %stop, ptr %task6
  %r2 = call i32 @tinygraph_parallel_for(ptr @share, ptr %task, i64 %x2, i64 %x3, i64 %threads, ptr %stop)
  %e2 = load i64, ptr %error
  %flag2 = load volatile i32, ptr %stop
  %wide2 = zext i32 %flag2 to i64
  %any2 = or i64 %e2, %wide2
  %bad2 = icmp ne i64 %any2, 0
  br i1 %bad2, label %failed, label %behind
behind:
  br label %next

together:
  %calls = getelementptr i64, ptr %code, i64 %following
  %apart = icmp ne i64 %x2, 0
  br i1 %apart, label %by_threads, label %in_turn
by_threads:
  %r3 = call i32 @tinygraph_parallel_for(ptr @together, ptr %calls, i64 %x1, i64 1, i64 %threads, ptr %stop)
  br label %finished_together
in_turn:
  call void @together(ptr %calls, i64 0, i64 %x1, i64 %thread)
  br label %finished_together
finished_together:
  %e3 = load i64, ptr %error
  %flag3 = load volatile i32, ptr %stop
  %wide3 = zext i32 %flag3 to i64
  %any3 = or i64 %e3, %wide3
  %bad3 = icmp ne i64 %any3, 0
  br i1 %bad3, label %failed, label %passed
passed:
  br label %next

loop:
  %limited = icmp ne i64 %x5, 0
  br i1 %limited, label %limit, label %start
limit:
  %limit_index = sub i64 %x5, 1
  %limit_slot = getelementptr ptr, ptr %table, i64 %limit_index
  %limit_at = load ptr, ptr %limit_slot
  %most = load i64, ptr %limit_at
  %fewer = icmp slt i64 %most, %x2
  %bound = select i1 %fewer, i64 %most, i64 %x2
  br label %start
start:
  %n = phi i64 [%x2, %loop], [%bound, %limit]
  %left_at = getelementptr i64, ptr %params, i64 %x7
  store i64 %n, ptr %left_at
  %taken_at = getelementptr i64, ptr %left_at, i64 1
  store i64 0, ptr %taken_at
  %last = sub i64 %n, 1
  %down = icmp ne i64 %x6, 0
  %begin = select i1 %down, i64 %last, i64 0
  %counter = getelementptr i64, ptr %params, i64 %x1
  store i64 %begin, ptr %counter
  %empty = icmp sle i64 %n, 0
  br i1 %empty, label %skip, label %enter
skip:
  br label %next
enter:
  %set = icmp ne i64 %x4, 0
  br i1 %set, label %enter_set, label %proceed
enter_set:
  %g = inttoptr i64 %x4 to ptr
  call void %g(ptr %params)
  br label %proceed

end:
  %left_at2 = getelementptr i64, ptr %params, i64 %x6
  %taken_at2 = getelementptr i64, ptr %left_at2, i64 1
  %left_old = load i64, ptr %left_at2
  %left_new = sub i64 %left_old, 1
  store i64 %left_new, ptr %left_at2
  %taken_old = load i64, ptr %taken_at2
  %taken_new = add i64 %taken_old, 1
  store i64 %taken_new, ptr %taken_at2
  %tested = icmp ne i64 %x3, 0
  br i1 %tested, label %test, label %more
test:
  %until_index = sub i64 %x3, 1
  %until_slot = getelementptr ptr, ptr %table, i64 %until_index
  %until_at = load ptr, ptr %until_slot
  %truth = load i8, ptr %until_at
  %finished = icmp ne i8 %truth, 0
  br i1 %finished, label %proceed, label %more
more:
  %repeat = icmp sgt i64 %left_new, 0
  br i1 %repeat, label %advance, label %proceed
advance:
  %counter2 = getelementptr i64, ptr %params, i64 %x2
  %old = load i64, ptr %counter2
  %new = add i64 %old, %x5
  store i64 %new, ptr %counter2
  %set2 = icmp ne i64 %x4, 0
  br i1 %set2, label %again_set, label %again
again_set:
  %h = inttoptr i64 %x4 to ptr
  call void %h(ptr %params)
  br label %again
again:
  br label %next

count:
  %count_slot = getelementptr ptr, ptr %table, i64 %x1
  %count_at = load ptr, ptr %count_slot
  %taken_from = getelementptr i64, ptr %params, i64 %x2
  %taken = load i64, ptr %taken_from
  store i64 %taken, ptr %count_at
  br label %proceed
stopped:
  ret i64 -1
}
"""

# The type of an object stands in front of an array's data pointer, the last word of what all objects begin with.
_CALLS = f"""
define i64 @tinygraph_bind(ptr %record) {{
entry:
  %n_at = getelementptr i64, ptr %record, i64 6
  %n = load i64, ptr %n_at
  %table_at = getelementptr i64, ptr %record, i64 3
  %table = load ptr, ptr %table_at
  %slots_at = getelementptr i64, ptr %record, i64 7
  %slots = load ptr, ptr %slots_at
  %type_at = getelementptr i64, ptr %record, i64 8
  %type = load i64, ptr %type_at
  %objects = getelementptr i64, ptr %record, i64 {OBJECTS}
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %next, label %bound
next:
  %k = phi i64 [0, %entry], [%following, %array]
  %object_at = getelementptr ptr, ptr %objects, i64 %k
  %object = load ptr, ptr %object_at
  %its_type_at = getelementptr i8, ptr %object, i64 {_DATA - 8}
  %its_type = load i64, ptr %its_type_at
  %right = icmp eq i64 %its_type, %type
  br i1 %right, label %array, label %wrong
array:
  %data_at = getelementptr i8, ptr %object, i64 {_DATA}
  %data = load i64, ptr %data_at
  %slot_at = getelementptr i64, ptr %slots, i64 %k
  %slot = load i64, ptr %slot_at
  %entry_at = getelementptr i64, ptr %table, i64 %slot
  store i64 %data, ptr %entry_at
  %following = add i64 %k, 1
  %more = icmp slt i64 %following, %n
  br i1 %more, label %next, label %bound
bound:
  ret i64 {DONE}
wrong:
  ret i64 {NOT_ARRAYS}
}}

define i64 @tinygraph_call(ptr %record) {{
entry:
  %bound = call i64 @tinygraph_bind(ptr %record)
  %good = icmp eq i64 %bound, {DONE}
  br i1 %good, label %go, label %refused
refused:
  ret i64 %bound
go:
  %code = load ptr, ptr %record
  %a1 = getelementptr i64, ptr %record, i64 1
  %a2 = getelementptr i64, ptr %record, i64 2
  %a3 = getelementptr i64, ptr %record, i64 3
  %a4 = getelementptr i64, ptr %record, i64 4
  %a5 = getelementptr i64, ptr %record, i64 5
  %first = load i64, ptr %a1
  %params = load ptr, ptr %a2
  %table = load ptr, ptr %a3
  %error = load ptr, ptr %a4
  %stop = load ptr, ptr %a5
  %at = tail call i64 @tinygraph_run(ptr %code, i64 %first, ptr %params, ptr %table, ptr %error, ptr %stop)
  ret i64 %at
}}
"""


class Machine:
    """The machine of this process, linked once."""

    def __init__(self, engine: Engine):
        self.pool = get_pool()
        engine.symbols.update(self.pool.symbols)
        self.library: Library = engine.load(
            _SOURCE + _CALLS, ["tinygraph_run", "tinygraph_bind", "tinygraph_call"]
        )
        pointer = ctypes.c_void_p
        at = self.library.address
        with_code = ctypes.CFUNCTYPE(ctypes.c_int64, pointer, ctypes.c_int64, pointer, pointer, pointer, pointer)
        #: run the code from an instruction on; where it stopped on an error, or ``DONE``
        self.run: Any = with_code(at("tinygraph_run"))
        #: put the addresses of a record's arrays into the table; ``DONE`` or ``NOT_ARRAYS``
        self.bind: Any = ctypes.CFUNCTYPE(ctypes.c_int64, pointer)(at("tinygraph_bind"))
        #: both; and the same without letting other threads of Python run meanwhile, which is quicker
        self.call: Any = ctypes.CFUNCTYPE(ctypes.c_int64, pointer)(at("tinygraph_call"))
        self.call_briefly: Any = ctypes.PYFUNCTYPE(ctypes.c_int64, pointer)(at("tinygraph_call"))


@cache
def machine() -> Machine:
    return Machine(engine())


@cache
def engine() -> Engine:
    """The engine for generated kernels, with the on-disk cache of object code."""
    from tinygraph.config import config
    from tinygraph.targets.llvm.cache import ObjectCache

    directory = config.cache_path() / "llvm"
    return Engine(cache=ObjectCache(directory, config.cache_size_mb << 20))
