// Index arithmetic.  Sizes and flat indices are 64-bit: an array may have more than 2^31 elements.
#pragma once
#include "types.cuh"

// The type of indices within one operand; a caller that knows all sizes to be below 2^31 may define it as int.
#ifndef TG_INDEX
#define TG_INDEX i64
#endif
typedef TG_INDEX Index;

__device__ __forceinline__ i64 grid_thread() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ i64 grid_threads() { return (i64)gridDim.x * blockDim.x; }

// A grid-stride loop: right for any grid, and for n == 0.
#define GRID_STRIDE(i, n) for (i64 i = grid_thread(); i < (n); i += grid_threads())

// Rows of threads, a vector each: for code without barriers.
#define GRID_ROWS(row, n) \
    for (i64 row = (i64)blockIdx.x * blockDim.y + threadIdx.y; row < (n); row += (i64)gridDim.x * blockDim.y)

template <typename T>
__device__ __forceinline__ T ceil_div(T a, T b) { return (a + b - 1) / b; }

// An index that may count from the end, as NumPy's; negative when it is out of range even so.
__device__ __forceinline__ i64 wrap_index(i64 index, i64 size) {
    if (index < 0) index += size;
    return index < size ? index : -1;
}

// Kernels that can meet a bad index take `int* error` (may be null): a word that the caller clears and checks.
__device__ __forceinline__ void report_error(int* error) {
    if (error) atomicExch(error, 1);
}
