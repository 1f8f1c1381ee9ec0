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

template <typename T>
__device__ __forceinline__ T ceil_div(T a, T b) { return (a + b - 1) / b; }

// Of numbers that are not negative: unsigned division by a constant takes fewer instructions.
__device__ __forceinline__ int quotient(int a, int b) { return (int)((u32)a / (u32)b); }
__device__ __forceinline__ i64 quotient(i64 a, i64 b) { return (i64)((u64)a / (u64)b); }
