// Reductions and scans across a warp and across a block's threads.
//
// All are deterministic: the order of combination depends on the launch shape only.  Threads are expected in rows:
// blockDim.x a multiple of 32, each threadIdx.y a row of its own.
#pragma once
#include "index.cuh"

#define FULL_WARP 0xFFFFFFFFu

// Shuffle any trivially copyable type, in 32-bit words.
template <typename T>
__device__ __forceinline__ T shuffle_xor(T value, int lanes) {
    const int words = (sizeof(T) + 3) / 4;
    u32 raw[words] = {};
    memcpy(raw, &value, sizeof(T));
#pragma unroll
    for (int i = 0; i < words; ++i) raw[i] = __shfl_xor_sync(FULL_WARP, raw[i], lanes);
    memcpy(&value, raw, sizeof(T));
    return value;
}

template <typename T>
__device__ __forceinline__ T shuffle_up(T value, int lanes) {
    const int words = (sizeof(T) + 3) / 4;
    u32 raw[words] = {};
    memcpy(raw, &value, sizeof(T));
#pragma unroll
    for (int i = 0; i < words; ++i) raw[i] = __shfl_up_sync(FULL_WARP, raw[i], lanes);
    memcpy(&value, raw, sizeof(T));
    return value;
}

// ---- combiners -------------------------------------------------------------------------------------------------
struct Sum {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
    template <typename T> static __device__ __forceinline__ T identity() { return (T)0; }
};
struct Product {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return a * b; }
    template <typename T> static __device__ __forceinline__ T identity() { return (T)1; }
};
// As NumPy's maximum and minimum: a nan on either side is the result.
struct Maximum {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return a != a || a >= b ? a : b; }
    template <typename T> static __device__ __forceinline__ T identity() { return Limits<T>::lowest(); }
};
struct Minimum {
    template <typename T> __device__ __forceinline__ T operator()(T a, T b) const { return a != a || a <= b ? a : b; }
    template <typename T> static __device__ __forceinline__ T identity() { return Limits<T>::highest(); }
};

// A value and where it was found; index -1 is the identity.
template <typename T>
struct Found {
    T value;
    i64 index;
};
// The first of the largest (smallest); a nan counts as larger (smaller) than anything, as in NumPy's argmax (argmin).
template <bool largest>
struct First {
    template <typename T>
    __device__ __forceinline__ Found<T> operator()(Found<T> a, Found<T> b) const {
        if (a.index < 0) return b;
        if (b.index < 0) return a;
        const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
        bool take_b;
        if (nan_a || nan_b) take_b = nan_b && (!nan_a || b.index < a.index);
        else if (a.value == b.value) take_b = b.index < a.index;
        else take_b = largest ? b.value > a.value : b.value < a.value;
        return take_b ? b : a;
    }
};

// ---- reductions ------------------------------------------------------------------------------------------------
// Every lane gets the result.
template <typename T, typename Op>
__device__ __forceinline__ T warp_reduce(T value, Op op) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) value = op(value, shuffle_xor(value, lanes));
    return value;
}

// Combine along threadIdx.x; every thread of the row gets the result.  `scratch`: shared memory for one T per warp.
// All threads of the block must call it.
template <typename T, typename Op>
__device__ __forceinline__ T row_reduce(T value, Op op, T* scratch) {
    value = warp_reduce(value, op);
    const int warps = blockDim.x / 32;
    if (warps == 1) return value;
    __syncthreads();  // scratch may still be read from an earlier call
    T* row = scratch + threadIdx.y * warps;
    if (threadIdx.x % 32 == 0) row[threadIdx.x / 32] = value;
    __syncthreads();
    T result = row[0];
    for (int warp = 1; warp < warps; ++warp) result = op(result, row[warp]);
    return result;
}

// ---- scans -----------------------------------------------------------------------------------------------------
// Inclusive scan along threadIdx.x of one row of threads; `total` gets the combination of all of them.
template <typename T, typename Op>
__device__ __forceinline__ T row_scan(T value, Op op, T* scratch, T* total) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
#pragma unroll
    for (int lanes = 1; lanes < 32; lanes *= 2) {
        const T before = shuffle_up(value, lanes);
        if (lane >= lanes) value = op(before, value);
    }
    __syncthreads();
    T* row = scratch + threadIdx.y * warps;
    if (lane == 31) row[warp] = value;
    __syncthreads();
    T sum = row[0];
    if (warp > 0) {
        T before = row[0];
        for (int i = 1; i < warp; ++i) before = op(before, row[i]);
        value = op(before, value);
    }
    for (int i = 1; i < warps; ++i) sum = op(sum, row[i]);
    *total = sum;
    return value;
}

// After row_scan, for threadIdx.y == 0: the combination of all warps before `warp` (at least one).
template <typename T, typename Op>
__device__ __forceinline__ T scan_of_warps(const T* scratch, int warp, Op op) {
    T before = scratch[0];
    for (int i = 1; i < warp; ++i) before = op(before, scratch[i]);
    return before;
}

// ---- a row of threads per vector ---------------------------------------------------------------------------------
// Rows of threads walk over the vectors together, so that barriers inside are met by all; `inside` is false for a row
// of threads that has no vector left.
#define EACH_VECTOR(count)                                                                                    \
    for (i64 first = (i64)blockIdx.x * blockDim.y, last = (count); first < last; first += (i64)gridDim.x * blockDim.y) \
        if (const i64 vector = first + threadIdx.y < last ? first + threadIdx.y : last - 1; true)             \
            if (const bool inside = first + threadIdx.y < last; true)
