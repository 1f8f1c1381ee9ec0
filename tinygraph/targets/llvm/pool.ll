; The worker pool: parallel_for over chunks, helper threads that spin for a moment and then sleep, a signal handler
; that raises a stop flag. Linked once per process by threads.py, which says how it is used.
;
; One loop runs at a time. Its caller fills in the %Loop, then publishes it by one write to `state`:
;
;     bits 63..32   number of the loop, so that a helper enters each loop at most once
;     bits 31..16   how many threads may take part: helpers with a smaller number than this may enter
;     bits 15..1    helpers inside
;     bit  0        open: helpers may still enter
;
; A helper enters by adding 2 to exactly the state it has seen, so nobody reads a %Loop that is being changed: the
; caller clears the open bit, then waits for the helpers inside only. A helper that wakes late finds the door shut and
; delays nothing. All hand out chunks to themselves by counting `next` up.
;
; Sleeping is one mutex and condition per helper. A helper announces that it sleeps before it looks at `state` for
; the last time; the caller changes `state` before it looks who sleeps (both sequentially consistent): one sees the other.

%Loop = type { ptr, ptr, i64, i64, i64, ptr, [2 x i64] }             ; body, context, n, grain, chunks, stop flag
%Pool = type { i64, [7 x i64], i64, [7 x i64], i64, i64, i64, i64, i64, [3 x i64], %Loop }
;              0 state         2 next          4 busy 5 helpers 6 size 7 spins 8 SIG_SETMASK   10 loop
%Helper = type { i64, [7 x i64], [64 x i8], [64 x i8] }              ; sleeping, -, mutex, condition

@pool = internal global %Pool zeroinitializer, align 64
@helpers = internal global [256 x %Helper] zeroinitializer, align 64
@tinygraph_interrupt = global i32 0, align 64
@previous_handler = internal global ptr null

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sched_yield()
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)

$DECLARE_PAUSE

; Tell the processor that this thread is waiting.
define internal void @pause() {
  $CALL_PAUSE
  ret void
}

; ---------------------------------------------------------------------------------------------- the loop itself

; Whether *stop is there and not zero.
define internal i1 @stopped(ptr %stop) {
  %none = icmp eq ptr %stop, null
  br i1 %none, label %no, label %look
look:
  %flag = load atomic i32, ptr %stop monotonic, align 4
  %raised = icmp ne i32 %flag, 0
  ret i1 %raised
no:
  ret i1 false
}

; Run chunk number i of a loop.
define internal void @chunk(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %i, i64 %thread) {
  %begin = mul i64 %i, %grain
  %after = add i64 %begin, %grain
  %end = call i64 @llvm.smin.i64(i64 %after, i64 %n)
  call void %body(ptr %context, i64 %begin, i64 %end, i64 %thread)
  ret void
}

; Take chunks until none is left or the loop is stopped.
define internal void @work(i64 %thread) {
entry:
  %loop = getelementptr %Pool, ptr @pool, i32 0, i32 10
  %body = load ptr, ptr %loop
  %context.at = getelementptr %Loop, ptr %loop, i32 0, i32 1
  %context = load ptr, ptr %context.at
  %n.at = getelementptr %Loop, ptr %loop, i32 0, i32 2
  %n = load i64, ptr %n.at
  %grain.at = getelementptr %Loop, ptr %loop, i32 0, i32 3
  %grain = load i64, ptr %grain.at
  %chunks.at = getelementptr %Loop, ptr %loop, i32 0, i32 4
  %chunks = load i64, ptr %chunks.at
  %stop.at = getelementptr %Loop, ptr %loop, i32 0, i32 5
  %stop = load ptr, ptr %stop.at
  %next = getelementptr %Pool, ptr @pool, i32 0, i32 2
  br label %take
take:
  %halt = call i1 @stopped(ptr %stop)
  br i1 %halt, label %done, label %count
count:
  %i = atomicrmw add ptr %next, i64 1 monotonic
  %some = icmp slt i64 %i, %chunks
  br i1 %some, label %run, label %done
run:
  call void @chunk(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %i, i64 %thread)
  br label %take
done:
  ret void
}

; All chunks in order, in the calling thread.
define internal i32 @serial(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %chunks, ptr %stop) {
entry:
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %run ]
  %some = icmp slt i64 %i, %chunks
  br i1 %some, label %look, label %finished
look:
  %halt = call i1 @stopped(ptr %stop)
  br i1 %halt, label %halted, label %run
run:
  call void @chunk(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %i, i64 0)
  %i.next = add i64 %i, 1
  br label %test
finished:
  ret i32 0
halted:
  ret i32 1
}

; See threads.py. Returns 0 when every chunk has run, 1 when the stop flag ended it early.
define i32 @tinygraph_parallel_for(ptr %body, ptr %context, i64 %n, i64 %grain.asked, i64 %threads, ptr %stop) {
entry:
  %grain = call i64 @llvm.smax.i64(i64 %grain.asked, i64 1)
  %n.less = sub i64 %n, 1
  %whole = sdiv i64 %n.less, %grain
  %chunks.any = add i64 %whole, 1
  %empty = icmp slt i64 %n, 1
  %chunks = select i1 %empty, i64 0, i64 %chunks.any
  %size.at = getelementptr %Pool, ptr @pool, i32 0, i32 6
  %size = load atomic i64, ptr %size.at monotonic, align 8
  %unlimited = icmp slt i64 %threads, 1
  %limit = select i1 %unlimited, i64 %size, i64 %threads
  %limit.size = call i64 @llvm.smin.i64(i64 %limit, i64 %size)
  %want = call i64 @llvm.smin.i64(i64 %limit.size, i64 %chunks)
  %many = icmp sgt i64 %want, 1
  br i1 %many, label %reserve, label %alone
reserve:                                   ; a second caller, or a loop inside a loop, runs by itself
  %busy = getelementptr %Pool, ptr @pool, i32 0, i32 4
  %took = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic
  %free = extractvalue { i64, i1 } %took, 1
  br i1 %free, label %staff, label %alone
staff:
  %helpers.at = getelementptr %Pool, ptr @pool, i32 0, i32 5
  %have = load i64, ptr %helpers.at
  %have.all = add i64 %have, 1
  %enough = icmp sge i64 %have.all, %want
  br i1 %enough, label %publish, label %hire
hire:
  %hired = call i64 @start(i64 %want)
  %someone = icmp sgt i64 %hired, 0
  br i1 %someone, label %publish, label %nobody
nobody:
  store atomic i64 0, ptr %busy release, align 8
  br label %alone
publish:
  call void @fill(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %chunks, ptr %stop)
  call void @open(i64 %want)
  call void @work(i64 0)
  call void @close()
  store atomic i64 0, ptr %busy release, align 8
  %halt = call i1 @stopped(ptr %stop)
  %status = zext i1 %halt to i32
  ret i32 %status
alone:
  %status.alone = call i32 @serial(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %chunks, ptr %stop)
  ret i32 %status.alone
}

define internal void @fill(ptr %body, ptr %context, i64 %n, i64 %grain, i64 %chunks, ptr %stop) {
  %loop = getelementptr %Pool, ptr @pool, i32 0, i32 10
  store ptr %body, ptr %loop
  %context.at = getelementptr %Loop, ptr %loop, i32 0, i32 1
  store ptr %context, ptr %context.at
  %n.at = getelementptr %Loop, ptr %loop, i32 0, i32 2
  store i64 %n, ptr %n.at
  %grain.at = getelementptr %Loop, ptr %loop, i32 0, i32 3
  store i64 %grain, ptr %grain.at
  %chunks.at = getelementptr %Loop, ptr %loop, i32 0, i32 4
  store i64 %chunks, ptr %chunks.at
  %stop.at = getelementptr %Loop, ptr %loop, i32 0, i32 5
  store ptr %stop, ptr %stop.at
  %next = getelementptr %Pool, ptr @pool, i32 0, i32 2
  store i64 0, ptr %next
  ret void
}

; Open the loop to helpers 1 .. want-1 and wake those who sleep.
define internal void @open(i64 %want) {
entry:
  %old = load atomic i64, ptr @pool monotonic, align 8
  %number.old = lshr i64 %old, 32
  %number = add i64 %number.old, 1
  %number.high = shl i64 %number, 32
  %want.high = shl i64 %want, 16
  %both = or i64 %number.high, %want.high
  %new = or i64 %both, 1
  %before = atomicrmw xchg ptr @pool, i64 %new seq_cst
  br label %each
each:
  %k = phi i64 [ 1, %entry ], [ %k.next, %following ]
  %helper = getelementptr [256 x %Helper], ptr @helpers, i64 0, i64 %k
  %sleeping = load atomic i64, ptr %helper seq_cst, align 8
  %sleeps = icmp ne i64 %sleeping, 0
  br i1 %sleeps, label %wake, label %following
wake:
  %mutex = getelementptr %Helper, ptr %helper, i32 0, i32 2
  %condition = getelementptr %Helper, ptr %helper, i32 0, i32 3
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %s = call i32 @pthread_cond_signal(ptr %condition)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %following
following:
  %k.next = add i64 %k, 1
  %more = icmp slt i64 %k.next, %want
  br i1 %more, label %each, label %done
done:
  ret void
}

; Shut the door and wait for the helpers inside; after a while give way to other threads.
define internal void @close() {
entry:
  %was = atomicrmw and ptr @pool, i64 -2 acq_rel
  %spins.at = getelementptr %Pool, ptr @pool, i32 0, i32 7
  %spins = load i64, ptr %spins.at
  br label %look
look:
  %count = phi i64 [ 0, %entry ], [ %count.next, %spin ], [ %count, %yield ]
  %state = load atomic i64, ptr @pool acquire, align 8
  %inside = and i64 %state, 65534
  %left = icmp eq i64 %inside, 0
  br i1 %left, label %done, label %wait
wait:
  %patient = icmp slt i64 %count, %spins
  br i1 %patient, label %spin, label %yield
spin:
  call void @pause()
  %count.next = add i64 %count, 1
  br label %look
yield:
  %y = call i32 @sched_yield()
  br label %look
done:
  ret void
}

; ---------------------------------------------------------------------------------------------- helpers

; Start helpers until want - 1 run; how many do.
define internal i64 @start(i64 %want) {
entry:
  %thread = alloca ptr
  %helpers.at = getelementptr %Pool, ptr @pool, i32 0, i32 5
  br label %look
look:
  %have = load i64, ptr %helpers.at
  %k = add i64 %have, 1
  %missing = icmp slt i64 %k, %want
  br i1 %missing, label %create, label %done
create:
  %helper = getelementptr [256 x %Helper], ptr @helpers, i64 0, i64 %k
  %mutex = getelementptr %Helper, ptr %helper, i32 0, i32 2
  %condition = getelementptr %Helper, ptr %helper, i32 0, i32 3
  store i64 0, ptr %helper
  %m = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %c = call i32 @pthread_cond_init(ptr %condition, ptr null)
  %argument = inttoptr i64 %k to ptr
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @helper, ptr %argument)
  %ok = icmp eq i32 %failed, 0
  br i1 %ok, label %count, label %done
count:
  %handle = load ptr, ptr %thread
  %d = call i32 @pthread_detach(ptr %handle)
  store i64 %k, ptr %helpers.at
  br label %look
done:
  ret i64 %have
}

; Whether helper k, last in loop number %last, may enter the loop that %state describes.
define internal i1 @welcome(i64 %state, i64 %k, i64 %last) {
  %open.bit = and i64 %state, 1
  %open = icmp ne i64 %open.bit, 0
  %number = lshr i64 %state, 32
  %new = icmp ne i64 %number, %last
  %limit.low = lshr i64 %state, 16
  %limit = and i64 %limit.low, 65535
  %mine = icmp slt i64 %k, %limit
  %open.new = and i1 %open, %new
  %all = and i1 %open.new, %mine
  ret i1 %all
}

; A helper's life. Signals are left to the threads of the program.
define internal ptr @helper(ptr %argument) {
entry:
  %signals = alloca [128 x i8], align 16
  %k = ptrtoint ptr %argument to i64
  %f = call i32 @sigfillset(ptr %signals)
  %how.at = getelementptr %Pool, ptr @pool, i32 0, i32 8
  %how.wide = load i64, ptr %how.at
  %how = trunc i64 %how.wide to i32
  %b = call i32 @pthread_sigmask(i32 %how, ptr %signals, ptr null)
  %spins.at = getelementptr %Pool, ptr @pool, i32 0, i32 7
  %spins = load i64, ptr %spins.at
  br label %look
look:
  %last = phi i64 [ 0, %entry ], [ %last, %spin ], [ %last, %enter ], [ %number, %inside ], [ %last, %sleep ]
  %count = phi i64 [ 0, %entry ], [ %count.next, %spin ], [ %count, %enter ], [ 0, %inside ], [ 0, %sleep ]
  %state = load atomic i64, ptr @pool acquire, align 8
  %may = call i1 @welcome(i64 %state, i64 %k, i64 %last)
  br i1 %may, label %enter, label %idle
enter:
  %number = lshr i64 %state, 32
  %entered = add i64 %state, 2
  %swap = cmpxchg ptr @pool, i64 %state, i64 %entered acquire monotonic
  %done = extractvalue { i64, i1 } %swap, 1
  br i1 %done, label %inside, label %look
inside:
  call void @work(i64 %k)
  %was = atomicrmw sub ptr @pool, i64 2 release
  br label %look
idle:
  %patient = icmp slt i64 %count, %spins
  br i1 %patient, label %spin, label %sleep
spin:
  call void @pause()
  %count.next = add i64 %count, 1
  br label %look
sleep:
  call void @sleep(i64 %k, i64 %last)
  br label %look
}

; Until there is a loop to enter.
define internal void @sleep(i64 %k, i64 %last) {
entry:
  %helper = getelementptr [256 x %Helper], ptr @helpers, i64 0, i64 %k
  %mutex = getelementptr %Helper, ptr %helper, i32 0, i32 2
  %condition = getelementptr %Helper, ptr %helper, i32 0, i32 3
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 1, ptr %helper seq_cst, align 8
  br label %look
look:
  %state = load atomic i64, ptr @pool seq_cst, align 8
  %may = call i1 @welcome(i64 %state, i64 %k, i64 %last)
  br i1 %may, label %awake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %look
awake:
  store atomic i64 0, ptr %helper seq_cst, align 8
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

; ---------------------------------------------------------------------------------------------- for threads.py

define void @tinygraph_pool_configure(i64 %size, i64 %spins, i64 %how) {
  %size.at = getelementptr %Pool, ptr @pool, i32 0, i32 6
  store atomic i64 %size, ptr %size.at monotonic, align 8
  %spins.at = getelementptr %Pool, ptr @pool, i32 0, i32 7
  store i64 %spins, ptr %spins.at
  %how.at = getelementptr %Pool, ptr @pool, i32 0, i32 8
  store i64 %how, ptr %how.at
  ret void
}

define i64 @tinygraph_pool_helpers() {
  %helpers.at = getelementptr %Pool, ptr @pool, i32 0, i32 5
  %have = load i64, ptr %helpers.at
  ret i64 %have
}

; In a child after fork: its helpers are gone, and a loop that ran in the parent does not run here.
define void @tinygraph_pool_forget_helpers() {
  %state = load i64, ptr @pool
  %number = and i64 %state, -4294967296
  store i64 %number, ptr @pool
  %busy = getelementptr %Pool, ptr @pool, i32 0, i32 4
  store i64 0, ptr %busy
  %helpers.at = getelementptr %Pool, ptr @pool, i32 0, i32 5
  store i64 0, ptr %helpers.at
  store i32 0, ptr @tinygraph_interrupt
  ret void
}

; That many pauses, to be timed.
define void @tinygraph_pool_spin(i64 %pauses) {
entry:
  br label %again
again:
  %i = phi i64 [ 0, %entry ], [ %i.next, %again ]
  call void @pause()
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %pauses
  br i1 %more, label %again, label %done
done:
  ret void
}

; Raise the flag, then do what would have been done without us (a handler of 0 or 1 means default or ignore).
define void @tinygraph_on_interrupt(i32 %signal) {
  store atomic i32 1, ptr @tinygraph_interrupt seq_cst, align 4
  %previous = load ptr, ptr @previous_handler
  %number = ptrtoint ptr %previous to i64
  %real = icmp ugt i64 %number, 1
  br i1 %real, label %chain, label %done
chain:
  call void %previous(i32 %signal)
  br label %done
done:
  ret void
}

define void @tinygraph_chain_interrupt(ptr %previous) {
  store ptr %previous, ptr @previous_handler
  ret void
}
