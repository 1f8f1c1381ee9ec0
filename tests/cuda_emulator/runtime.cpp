// Runs one kernel launch on the CPU: each thread of a block is a fiber, the order of fibers and blocks is random.
//
// A fiber runs until it waits: at a block barrier, or in a warp collective (shuffle, vote, __syncwarp, mma).  The
// scheduler then takes another at random.  So code that lacks a barrier reads, under some seed, what is not written
// yet; shared memory is poisoned before each block to make that visible.  Accesses outside a buffer hit protected
// pages; the fault becomes an error that names block and thread.
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct uint3 { unsigned int x, y, z; };
struct dim3 { unsigned int x = 1, y = 1, z = 1; };
struct TgPosition { uint3 thread, block; dim3 block_size, grid_size; };
typedef void (*TgResolve)(void** deposits, unsigned int present);
typedef void (*TgCall)(void** arguments);

extern "C" {
TgPosition tg_position;
[[noreturn]] void tg_fail(const char* message);
}

namespace {

// ---- fibers ----------------------------------------------------------------------------------------------------
constexpr size_t stack_bytes = 128 << 10, page = 4096, guard = 256 * page, max_threads = 1024;

enum class State { ready, at_barrier, in_collective, done };

struct Fiber {
    char* stack = nullptr;
#if defined(__x86_64__)
    void* stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
    State state = State::done;
    int line = 0;
    uint3 index;
    unsigned int mask = 0;
    void* deposit = nullptr;
    TgResolve resolve = nullptr;
};

Fiber fibers[max_threads];
int thread_count, running, waiting_at_barrier, done_count, predicate_count, barrier_result;
std::vector<int> ready;
TgCall kernel_call;
void** kernel_arguments;
struct TgBuffer { char *map, *data; size_t mapped, size; } dynamic_shared = {};
sigjmp_buf escape;
bool launching = false;
char error_text[1024];

struct Random {  // splitmix64 (S. Vigna, 2015)
    unsigned long long state;
    unsigned int below(unsigned int n) {
        unsigned long long z = (state += 0x9E3779B97F4A7C15ull);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return static_cast<unsigned int>(((z ^ (z >> 31)) >> 32) * n >> 32);
    }
} random_order;

void fiber_main();

#if defined(__x86_64__)
extern "C" void tg_switch(void** save, void* load);
asm(".text\n.globl tg_switch\n.type tg_switch,@function\ntg_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size tg_switch,.-tg_switch\n");
void* scheduler_stack_pointer;

void prepare(Fiber& fiber) {
    void** top = reinterpret_cast<void**>(fiber.stack + stack_bytes);
    *--top = nullptr;  // the return address fiber_main never uses, where the ABI's alignment wants it
    *--top = reinterpret_cast<void*>(fiber_main);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.stack_pointer = top;
}
void enter(Fiber& fiber) { tg_switch(&scheduler_stack_pointer, fiber.stack_pointer); }
void leave(Fiber& fiber) { tg_switch(&fiber.stack_pointer, scheduler_stack_pointer); }
#else
ucontext_t scheduler_context;

void prepare(Fiber& fiber) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = stack_bytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
}
void enter(Fiber& fiber) { swapcontext(&scheduler_context, &fiber.context); }
void leave(Fiber& fiber) { swapcontext(&fiber.context, &scheduler_context); }
#endif

void fail(const char* format, ...) {
    char message[512];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    tg_fail(message);
}

void make_ready(int id) {
    fibers[id].state = State::ready;
    ready.push_back(id);
}

// ---- block barrier ---------------------------------------------------------------------------------------------
void release_barrier_if_complete() {
    if (!waiting_at_barrier || waiting_at_barrier + done_count < thread_count) return;
    int line = -1;
    for (int id = 0; id < thread_count; ++id) {
        if (fibers[id].state != State::at_barrier) continue;
        if (line >= 0 && fibers[id].line != line)
            fail("divergent barrier: threads of a block wait at __syncthreads() of lines %d and %d", line, fibers[id].line);
        line = fibers[id].line;
    }
    barrier_result = predicate_count;
    predicate_count = waiting_at_barrier = 0;
    for (int id = 0; id < thread_count; ++id)
        if (fibers[id].state == State::at_barrier) make_ready(id);
}

// ---- warp collectives ------------------------------------------------------------------------------------------
void release_collective_if_complete(int warp, unsigned int mask) {
    void* deposits[32] = {};
    unsigned int present = 0;
    int line = -1;
    TgResolve resolve = nullptr;
    const int first = warp * 32;
    for (int lane = 0; lane < 32 && first + lane < thread_count; ++lane) {
        if (!(mask >> lane & 1)) continue;
        const Fiber& fiber = fibers[first + lane];
        if (fiber.state == State::done) continue;  // exited lanes take no part
        if (fiber.state != State::in_collective) return;
        if (fiber.mask != mask) return;
        if (line >= 0 && fiber.line != line)
            fail("lanes of a warp meet in warp operations of different lines, %d and %d", line, fiber.line);
        line = fiber.line;
        deposits[lane] = fiber.deposit;
        resolve = fiber.resolve;
        present |= 1u << lane;
    }
    if (!present) return;
    if (resolve) resolve(deposits, present);
    for (int lane = 0; lane < 32; ++lane)
        if (present >> lane & 1) make_ready(first + lane);
}

void fiber_main() {
    kernel_call(kernel_arguments);
    Fiber& self = fibers[running];
    self.state = State::done;
    ++done_count;
    release_barrier_if_complete();
    const int warp = running / 32;
    for (int lane = 0; lane < 32 && warp * 32 + lane < thread_count; ++lane) {
        const Fiber& other = fibers[warp * 32 + lane];
        if (other.state == State::in_collective && other.mask >> (running % 32) & 1)
            release_collective_if_complete(warp, other.mask);
    }
    leave(self);
}

// ---- one block, one launch -------------------------------------------------------------------------------------
void report_deadlock() {
    int at_barrier = 0, in_collective = 0, barrier_line = 0, collective_line = 0;
    for (int id = 0; id < thread_count; ++id) {
        if (fibers[id].state == State::at_barrier) ++at_barrier, barrier_line = fibers[id].line;
        if (fibers[id].state == State::in_collective) ++in_collective, collective_line = fibers[id].line;
    }
    fail("deadlock: %d threads at __syncthreads() (line %d), %d in a warp operation (line %d), %d finished", at_barrier,
         barrier_line, in_collective, collective_line, done_count);
}

void run_block() {
    const dim3 size = tg_position.block_size;
    thread_count = size.x * size.y * size.z;
    waiting_at_barrier = done_count = predicate_count = 0;
    ready.clear();
    for (int id = 0; id < thread_count; ++id) {
        fibers[id].index = {id % size.x, id / size.x % size.y, id / size.x / size.y};
        prepare(fibers[id]);
        make_ready(id);
    }
    while (done_count < thread_count) {
        if (ready.empty()) report_deadlock();
        const unsigned int pick = random_order.below(ready.size());
        running = ready[pick];
        ready[pick] = ready.back();
        ready.pop_back();
        tg_position.thread = fibers[running].index;
        enter(fibers[running]);
    }
}

void on_fault(int signal, siginfo_t* info, void*) {
    if (!launching) {
        std::signal(signal, SIG_DFL);
        raise(signal);
        return;
    }
    const TgPosition& p = tg_position;
    snprintf(error_text, sizeof error_text, "%s %p by block (%u, %u, %u), thread (%u, %u, %u)",
             signal == SIGFPE   ? "integer division by zero at"
             : info->si_code > 0 && info->si_addr ? "access outside any buffer at address"
                                                  : "misaligned or wild access at address",
             info->si_addr, p.block.x, p.block.y, p.block.z, p.thread.x, p.thread.y, p.thread.z);
    siglongjmp(escape, 1);
}

const int caught_signals[] = {SIGSEGV, SIGBUS, SIGFPE};

struct FaultHandlers {
    struct sigaction before[3];
    stack_t stack_before;
    FaultHandlers() {
        static char alternate[64 << 10];
        stack_t stack = {alternate, 0, sizeof alternate};
        sigaltstack(&stack, &stack_before);
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int i = 0; i < 3; ++i) sigaction(caught_signals[i], &action, &before[i]);
    }
    void restore() {
        for (int i = 0; i < 3; ++i) sigaction(caught_signals[i], &before[i], nullptr);
        sigaltstack(&stack_before, nullptr);
    }
};

bool make_stacks(unsigned int count) {
    for (unsigned int id = 0; id < count; ++id) {
        if (fibers[id].stack) continue;
        void* memory = mmap(nullptr, stack_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return false;
        mprotect(memory, page, PROT_NONE);
        fibers[id].stack = static_cast<char*>(memory) + page;
    }
    return true;
}

}  // namespace

// ---- called from kernels ---------------------------------------------------------------------------------------
extern "C" {

void tg_fail(const char* message) {
    const TgPosition& p = tg_position;
    snprintf(error_text, sizeof error_text, "%s; block (%u, %u, %u), thread (%u, %u, %u)", message, p.block.x, p.block.y,
             p.block.z, p.thread.x, p.thread.y, p.thread.z);
    siglongjmp(escape, 1);
}

int tg_barrier_count(int line, int predicate) {
    Fiber& self = fibers[running];
    self.state = State::at_barrier;
    self.line = line;
    predicate_count += predicate;
    ++waiting_at_barrier;
    release_barrier_if_complete();
    leave(self);
    return barrier_result;
}

void tg_barrier(int line) { tg_barrier_count(line, 0); }

void tg_collective(unsigned int mask, void* deposit, TgResolve resolve, int line) {
    Fiber& self = fibers[running];
    if (!(mask >> (running % 32) & 1)) fail("line %d: a lane calls a warp operation whose mask %08x excludes it", line, mask);
    self.state = State::in_collective;
    self.line = line;
    self.mask = mask;
    self.deposit = deposit;
    self.resolve = resolve;
    release_collective_if_complete(running / 32, mask);
    leave(self);
}

unsigned int tg_active_lanes() { return 1u << (running % 32); }

void* tg_dynamic_shared() { return dynamic_shared.data; }

int tg_allocate(size_t size, size_t align, TgBuffer* out);
int tg_canary_intact(const TgBuffer* buffer);
void tg_free(TgBuffer* buffer);

// ---- called from Python ----------------------------------------------------------------------------------------
const char* tg_error() { return error_text; }

// sizes: grid x y z, block x y z, dynamic shared bytes.  Returns 0, or 1 with tg_error() set.
int tg_launch(TgCall call, void** arguments, const long long* sizes, char* shared_begin, char* shared_end,
              unsigned long long seed) {
    error_text[0] = 0;
    tg_position.grid_size = {unsigned(sizes[0]), unsigned(sizes[1]), unsigned(sizes[2])};
    tg_position.block_size = {unsigned(sizes[3]), unsigned(sizes[4]), unsigned(sizes[5])};
    const long long blocks = sizes[0] * sizes[1] * sizes[2];
    if (!make_stacks(sizes[3] * sizes[4] * sizes[5])) {
        snprintf(error_text, sizeof error_text, "no memory for fiber stacks");
        return 1;
    }
    kernel_call = call;
    kernel_arguments = arguments;
    random_order.state = seed * 0x2545F4914F6CDD1Dull + 1;
    if (!dynamic_shared.map || dynamic_shared.size != size_t(sizes[6])) {
        tg_free(&dynamic_shared);
        if (tg_allocate(sizes[6], 16, &dynamic_shared)) return 1;
    }
    std::vector<unsigned int> order(blocks);
    for (long long i = 0; i < blocks; ++i) {
        const unsigned int j = random_order.below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    FaultHandlers handlers;
    volatile int status = 0;
    if (sigsetjmp(escape, 1) == 0) {
        launching = true;
        const int poison = seed % 2 ? 0x7B : 0xFF;  // huge finite numbers, or nan and -1
        for (const unsigned int block : order) {
            tg_position.block = {block % unsigned(sizes[0]), unsigned(block / sizes[0] % sizes[1]),
                                 unsigned(block / sizes[0] / sizes[1])};
            if (shared_end > shared_begin) memset(shared_begin, poison, shared_end - shared_begin);
            memset(dynamic_shared.data, poison, dynamic_shared.size);
            run_block();
        }
        if (!tg_canary_intact(&dynamic_shared)) {
            tg_free(&dynamic_shared);
            tg_fail("write outside dynamic shared memory");
        }
    } else {
        status = 1;
    }
    launching = false;
    handlers.restore();
    return status;
}

// A buffer between two protected stretches (a megabyte each, of addresses only), its end as close to the upper one as
// `align` allows.  The bytes left over hold a canary; the buffer itself starts as nan.  Returns 1 without memory.
int tg_allocate(size_t size, size_t align, TgBuffer* out) {
    const size_t padded = (size + align - 1) / align * align, body = (padded + page - 1) / page * page + (padded ? 0 : page);
    char* map = static_cast<char*>(mmap(nullptr, body + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map == MAP_FAILED || mprotect(map + guard, body, PROT_READ | PROT_WRITE)) return 1;
    char* data = map + guard + body - padded;
    memset(map + guard, 0xA5, data - (map + guard));
    memset(data, 0xFF, size);
    memset(data + size, 0xA5, padded - size);
    // A buffer of no bytes may not be touched at all.
    if (!size) mprotect(map + guard, body, PROT_NONE);
    *out = {map, data, body + 2 * guard, size};
    return 0;
}

int tg_canary_intact(const TgBuffer* buffer) {
    if (!buffer->size) return 1;
    for (const char* p = buffer->map + guard; p < buffer->data; ++p)
        if (*p != char(0xA5)) return 0;
    for (const char* p = buffer->data + buffer->size; p < buffer->map + buffer->mapped - guard; ++p)
        if (*p != char(0xA5)) return 0;
    return 1;
}

void tg_free(TgBuffer* buffer) {
    if (buffer->map) munmap(buffer->map, buffer->mapped);
    buffer->map = nullptr;
}

}  // extern "C"
