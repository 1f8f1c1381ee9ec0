// What kernels printed from loop nests use beside the templates: checked indices and the remaining combiners.
#pragma once
#include "philox.cuh"
#include "block.cuh"
#include "atomics.cuh"
#include "intrinsics.cuh"

struct And {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return (T)(a & b); }
};
struct Or {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return (T)(a | b); }
};
struct Xor {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return (T)(a ^ b); }
};

// An index counted from the front of a dimension of `size` elements.  The first that is out of range is noted in
// error[0 .. 2] as (1, index, size); the caller clears these words, reads them after the call and raises.
__device__ __forceinline__ i64 checked_index(i64 index, i64 size, i64* error) {
    const i64 found = index < 0 ? index + size : index;
    if (found >= 0 && found < size) return found;
    if (atomicCAS((u64*)error, 0ull, 1ull) == 0ull) {
        error[1] = index;
        error[2] = size;
    }
    return 0;
}
