// Atomic updates of one element of any type: native additions where there are, compare-and-swap otherwise.
#pragma once
#include "types.cuh"

template <typename To, typename From>
__device__ __forceinline__ To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "sizes differ");
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}

// Compare-and-swap by element size; elements shorter than a word go through the word around them.
template <int size>
struct Cell;
template <>
struct Cell<8> {
    template <typename T, typename Op>
    static __device__ __forceinline__ void update(T* p, T value, Op op) {
        u64 old = *(volatile u64*)p, expected;
        do {
            expected = old;
            old = atomicCAS((u64*)p, expected, bits_as<u64>(op(bits_as<T>(expected), value)));
        } while (old != expected);
    }
};
template <>
struct Cell<4> {
    template <typename T, typename Op>
    static __device__ __forceinline__ void update(T* p, T value, Op op) {
        u32 old = *(volatile u32*)p, expected;
        do {
            expected = old;
            old = atomicCAS((u32*)p, expected, bits_as<u32>(op(bits_as<T>(expected), value)));
        } while (old != expected);
    }
};
template <typename Part, typename T, typename Op>
__device__ __forceinline__ void update_part(T* p, T value, Op op) {
    u32* word = (u32*)((u64)p & ~3ull);
    const int shift = 8 * (int)((u64)p & 3);
    const u32 mask = (u32)(Part)~0u << shift;
    u32 old = *(volatile u32*)word, expected;
    do {
        expected = old;
        const Part updated = bits_as<Part>(op(bits_as<T>((Part)(expected >> shift)), value));
        old = atomicCAS(word, expected, (expected & ~mask) | (u32)updated << shift);
    } while (old != expected);
}
template <>
struct Cell<2> {
    template <typename T, typename Op>
    static __device__ __forceinline__ void update(T* p, T value, Op op) { update_part<unsigned short>(p, value, op); }
};
template <>
struct Cell<1> {
    template <typename T, typename Op>
    static __device__ __forceinline__ void update(T* p, T value, Op op) { update_part<unsigned char>(p, value, op); }
};

// *p = op(*p, value), whatever other threads do.  An element shorter than 4 bytes needs an allocation that holds the
// aligned word around it, as every allocation on a GPU does.
template <typename T, typename Op>
__device__ __forceinline__ void atomic_update(T* p, T value, Op op) { Cell<sizeof(T)>::update(p, value, op); }

struct AtomicSum {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return (T)(a + b); }
};

template <typename T>
__device__ __forceinline__ void atomic_add(T* p, T value) { atomic_update(p, value, AtomicSum()); }
__device__ __forceinline__ void atomic_add(float* p, float value) { atomicAdd(p, value); }
__device__ __forceinline__ void atomic_add(double* p, double value) { atomicAdd(p, value); }
__device__ __forceinline__ void atomic_add(int* p, int value) { atomicAdd(p, value); }
__device__ __forceinline__ void atomic_add(u32* p, u32 value) { atomicAdd(p, value); }
__device__ __forceinline__ void atomic_add(u64* p, u64 value) { atomicAdd(p, value); }
__device__ __forceinline__ void atomic_add(i64* p, i64 value) { atomicAdd((u64*)p, (u64)value); }
