// CUDA's built-ins for a host compiler: included ahead of an unchanged CUDA C source (see emulator.py).
//
// A thread block is a set of fibers on one OS thread (runtime.cpp).  What needs other threads - barriers, shuffles,
// votes - calls into the runtime; everything else is a plain function here.
#pragma once
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>
#include <utility>

#define TG_EMULATOR 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
#define __managed__ static
// One section for all static shared memory, so that the runtime can poison it before each block.
#define __shared__ static __attribute__((section("tg_shared")))

// ---- vector types ----------------------------------------------------------------------------------------------
#define TG_VECTORS(type, name, align2, align4)                                                                \
    struct name##1 { type x; };                                                                               \
    struct __align__(align2) name##2 { type x, y; };                                                          \
    struct name##3 { type x, y, z; };                                                                         \
    struct __align__(align4) name##4 { type x, y, z, w; };                                                    \
    static inline name##1 make_##name##1(type x) { return {x}; }                                              \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                   \
    static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                        \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
TG_VECTORS(signed char, char, 2, 4)
TG_VECTORS(unsigned char, uchar, 2, 4)
TG_VECTORS(short, short, 4, 8)
TG_VECTORS(unsigned short, ushort, 4, 8)
TG_VECTORS(int, int, 8, 16)
TG_VECTORS(unsigned int, uint, 8, 16)
TG_VECTORS(long, long, 16, 16)
TG_VECTORS(unsigned long, ulong, 16, 16)
TG_VECTORS(long long, longlong, 16, 16)
TG_VECTORS(unsigned long long, ulonglong, 16, 16)
TG_VECTORS(float, float, 8, 16)
TG_VECTORS(double, double, 16, 16)
#undef TG_VECTORS

struct dim3 {
    unsigned int x = 1, y = 1, z = 1;
};

// ---- the runtime (runtime.cpp) ---------------------------------------------------------------------------------
struct TgPosition {
    uint3 thread, block;
    dim3 block_size, grid_size;
};
// Called once, by the last lane to arrive; deposits[lane] is null for lanes outside `present`.
typedef void (*TgResolve)(void** deposits, unsigned int present);
extern "C" {
extern TgPosition tg_position;
void tg_barrier(int line);
int tg_barrier_count(int line, int predicate);
void tg_collective(unsigned int mask, void* deposit, TgResolve resolve, int line);
unsigned int tg_active_lanes();
void* tg_dynamic_shared();
[[noreturn]] void tg_fail(const char* message);
}
#define threadIdx tg_position.thread
#define blockIdx tg_position.block
#define blockDim tg_position.block_size
#define gridDim tg_position.grid_size
static const int warpSize = 32;

#define __syncthreads() tg_barrier(__LINE__)
#define __syncthreads_count(p) tg_barrier_count(__LINE__, !!(p))
#define __syncthreads_or(p) (tg_barrier_count(__LINE__, !!(p)) != 0)
#define __syncthreads_and(p) (tg_barrier_count(__LINE__, !(p)) == 0)
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)
#define __threadfence_system() ((void)0)
#define __activemask() tg_active_lanes()
#define __trap() tg_fail("__trap()")
static inline long long clock64() { return 0; }

// ---- warps -----------------------------------------------------------------------------------------------------
static inline int tg_lane() {
    const unsigned int flat = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    return flat % 32;
}

template <typename T>
struct TgShuffle {
    T value, result;
    int source;  // lane to read from
};

template <typename T>
static void tg_resolve_shuffle(void** deposits, unsigned int present) {
    for (int lane = 0; lane < 32; ++lane) {
        if (!(present >> lane & 1)) continue;
        TgShuffle<T>* mine = static_cast<TgShuffle<T>*>(deposits[lane]);
        if (present >> mine->source & 1) {
            mine->result = static_cast<TgShuffle<T>*>(deposits[mine->source])->value;
        } else {
            memset(&mine->result, 0xFF, sizeof(T));  // an exited or absent lane: undefined on a GPU
        }
    }
}

template <typename T>
static T tg_shuffle(unsigned int mask, T value, int source, int line) {
    TgShuffle<T> deposit = {value, value, source};
    tg_collective(mask, &deposit, tg_resolve_shuffle<T>, line);
    return deposit.result;
}
template <typename T>
static T tg_shfl(int line, unsigned int mask, T value, int source, int width = 32) {
    const int lane = tg_lane();
    return tg_shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), line);
}
template <typename T>
static T tg_shfl_up(int line, unsigned int mask, T value, unsigned int delta, int width = 32) {
    const int lane = tg_lane(), source = lane - static_cast<int>(delta);
    return tg_shuffle(mask, value, source < (lane & ~(width - 1)) ? lane : source, line);
}
template <typename T>
static T tg_shfl_down(int line, unsigned int mask, T value, unsigned int delta, int width = 32) {
    const int lane = tg_lane(), source = lane + static_cast<int>(delta);
    return tg_shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, line);
}
template <typename T>
static T tg_shfl_xor(int line, unsigned int mask, T value, int lanes, int width = 32) {
    const int lane = tg_lane(), source = lane ^ lanes;
    return tg_shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, line);
}
#define __shfl_sync(...) tg_shfl(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) tg_shfl_up(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) tg_shfl_down(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) tg_shfl_xor(__LINE__, __VA_ARGS__)

struct TgVote {
    int predicate;
    unsigned int result, present;
};
static void tg_resolve_vote(void** deposits, unsigned int present) {
    unsigned int ballot = 0;
    for (int lane = 0; lane < 32; ++lane)
        if (present >> lane & 1 && static_cast<TgVote*>(deposits[lane])->predicate) ballot |= 1u << lane;
    for (int lane = 0; lane < 32; ++lane) {
        if (!(present >> lane & 1)) continue;
        static_cast<TgVote*>(deposits[lane])->result = ballot;
        static_cast<TgVote*>(deposits[lane])->present = present;
    }
}
static TgVote tg_vote(int line, unsigned int mask, int predicate) {
    TgVote deposit = {predicate, 0, 0};
    tg_collective(mask, &deposit, tg_resolve_vote, line);
    return deposit;
}
static unsigned int tg_ballot(int line, unsigned int mask, int p) { return tg_vote(line, mask, p).result; }
static int tg_any(int line, unsigned int mask, int p) { return tg_vote(line, mask, p).result != 0; }
static int tg_all(int line, unsigned int mask, int p) {
    const TgVote vote = tg_vote(line, mask, p);
    return vote.result == vote.present;
}
#define __ballot_sync(mask, p) tg_ballot(__LINE__, mask, !!(p))
#define __any_sync(mask, p) tg_any(__LINE__, mask, !!(p))
#define __all_sync(mask, p) tg_all(__LINE__, mask, !!(p))

static void tg_sync_warp(int line, unsigned int mask = 0xFFFFFFFFu) { tg_collective(mask, nullptr, nullptr, line); }
#define __syncwarp(...) tg_sync_warp(__LINE__, ##__VA_ARGS__)

// ---- tensor cores: D = A B + C, A 16 x 8 row-major, B 8 x 8, fragments as PTX's mma.m16n8k8 lays them out ----------
struct TgMma {
    float a[4], b[2], c[4];
    int k_pairs;  // 1: a lane's two neighbouring k (16-bit types); 0: k and k + 4 (tf32)
};
static void tg_resolve_mma(void** deposits, unsigned int present) {
    if (present != 0xFFFFFFFFu) tg_fail("mma needs all 32 lanes of a warp");
    float a[16][8], b[8][8];
    for (int lane = 0; lane < 32; ++lane) {
        const TgMma& f = *static_cast<TgMma*>(deposits[lane]);
        const int group = lane / 4, member = lane % 4;
        const int k0 = f.k_pairs ? 2 * member : member, k1 = f.k_pairs ? 2 * member + 1 : member + 4;
        a[group][k0] = f.a[0];
        a[group + 8][k0] = f.a[1];
        a[group][k1] = f.a[2];
        a[group + 8][k1] = f.a[3];
        b[k0][group] = f.b[0];
        b[k1][group] = f.b[1];
    }
    for (int lane = 0; lane < 32; ++lane) {
        TgMma& f = *static_cast<TgMma*>(deposits[lane]);
        for (int i = 0; i < 4; ++i) {
            const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
            for (int k = 0; k < 8; ++k) f.c[i] += a[row][k] * b[k][column];
        }
    }
}
static void tg_mma_16x8x8(int line, float* c, const float* a, const float* b, int k_pairs) {
    TgMma deposit = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, {c[0], c[1], c[2], c[3]}, k_pairs};
    tg_collective(0xFFFFFFFFu, &deposit, tg_resolve_mma, line);
    for (int i = 0; i < 4; ++i) c[i] = deposit.c[i];
}

#include "cuda_math.h"
