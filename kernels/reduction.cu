// Reduce x over its middle axis, x[outer][size][inner] -> out[outer][inner], or over any axes by strides.
//
// TG_REDUCE: 0 sum, 1 product, 2 maximum, 3 minimum, 4 argmax, 5 argmin (out: i64; the first of equal values; a nan
// wins, as in NumPy).  any and all are the maximum and minimum of bool.  An empty sum is 0, an empty maximum -inf.
// TG_T element type, TG_OUT result type, TG_VALUE the type computed in (float for 16-bit floats, i64 for sums of
// integers), TG_FINISH(value) an expression applied to each result.
//
// Deterministic: with gridDim.y == s > 1 the axis is cut into s shares whose results go to partial[s][outer * inner],
// of type Part; reduce_partials combines them in order.  With gridDim.y == 1 results go to out, partial may be null.
// Launch: reduce_rows (inner == 1): block (32 k, rows), a row of threads per vector; reduce_columns: block (32, 8),
//         threads.x along inner, grid.x of any size; reduce_strided: as reduce_rows; reduce_partials: any, 1-d.
// Arguments: x, out, partial, outer * inner (kept), size, then: reduce_columns: inner; reduce_strided: layout, an array
// {rank of kept axes, their sizes, their strides, rank of reduced axes, sizes, strides}, strides in elements.
// Source: M. Harris, Optimizing parallel reduction in CUDA (2007); tree and split as there, order made fixed.
#include "block.cuh"

#ifndef TG_T
#define TG_T float
#endif
#ifndef TG_REDUCE
#define TG_REDUCE 0
#endif
#ifndef TG_VALUE
#if TG_REDUCE <= 1
#define TG_VALUE Accumulate<TG_T>::type
#else
#define TG_VALUE TG_T
#endif
#endif
#ifndef TG_FINISH
#define TG_FINISH(value) (value)
#endif
typedef TG_VALUE Value;

#if TG_REDUCE >= 4
#ifndef TG_OUT
#define TG_OUT i64
#endif
typedef Found<Value> Part;
typedef First<TG_REDUCE == 4> Combine;
__device__ __forceinline__ Part part_of(TG_T value, i64 index) { return {(Value)value, index}; }
__device__ __forceinline__ Part nothing() { return {(Value)0, -1}; }
__device__ __forceinline__ TG_OUT result_of(Part part) { return (TG_OUT)(part.index); }
#else
#ifndef TG_OUT
#define TG_OUT TG_T
#endif
typedef Value Part;
#if TG_REDUCE == 0
typedef Sum Combine;
#elif TG_REDUCE == 1
typedef Product Combine;
#elif TG_REDUCE == 2
typedef Maximum Combine;
#else
typedef Minimum Combine;
#endif
__device__ __forceinline__ Part part_of(TG_T value, i64) { return (Value)value; }
__device__ __forceinline__ Part nothing() { return Combine::identity<Value>(); }
__device__ __forceinline__ TG_OUT result_of(Part part) { return (TG_OUT)(TG_FINISH(part)); }
#endif

// The share of the reduced axis that belongs to this blockIdx.y.
struct Share {
    i64 begin, end;
};
__device__ __forceinline__ Share my_share(i64 size) {
    const i64 length = ceil_div(size, (i64)gridDim.y), begin = length * blockIdx.y;
    return {begin, begin + length < size ? begin + length : size};
}

__device__ __forceinline__ void deliver(Part total, TG_OUT* out, Part* partial, i64 kept, i64 k) {
    if (gridDim.y > 1) partial[blockIdx.y * kept + k] = total;
    else out[k] = result_of(total);
}

extern "C" __global__ void reduce_rows(const TG_T* __restrict__ x, TG_OUT* __restrict__ out, Part* __restrict__ partial, i64 kept,
                                       i64 size) {
    __shared__ Part scratch[32];
    const Combine combine;
    const Share share = my_share(size);
    const int width = 16 / sizeof(TG_T);  // a thread takes neighbours, by one instruction where the row is aligned
    EACH_VECTOR(kept) {
        const TG_T* row = x + vector * size;
        const bool packed = is_aligned<width>(row + share.begin);
        Part total = nothing();
        for (i64 i = share.begin + threadIdx.x * width; inside && i < share.end; i += blockDim.x * width) {
            if (packed && i + width <= share.end) {
                const Pack<TG_T, width> values = load_pack<width>(row + i);
#pragma unroll
                for (int j = 0; j < width; ++j) total = combine(total, part_of(values.lane[j], i + j));
            } else {
                for (int j = 0; j < width && i + j < share.end; ++j) total = combine(total, part_of(row[i + j], i + j));
            }
        }
        total = row_reduce(total, combine, scratch);
        if (inside && threadIdx.x == 0) deliver(total, out, partial, kept, vector);
    }
}

extern "C" __global__ void __launch_bounds__(256, 4)
reduce_columns(const TG_T* __restrict__ x, TG_OUT* __restrict__ out, Part* __restrict__ partial, i64 kept, i64 size, i64 inner) {
    __shared__ Part scratch[8][32];
    const Combine combine;
    const Share share = my_share(size);
    for (i64 first = (i64)blockIdx.x * 32; first < kept; first += (i64)gridDim.x * 32) {
        const i64 k = first + threadIdx.x;
        Part total = nothing();
        if (k < kept) {
            const TG_T* column = x + k / inner * size * inner + k % inner;
            for (i64 i = share.begin + threadIdx.y; i < share.end; i += 8) total = combine(total, part_of(column[i * inner], i));
        }
        scratch[threadIdx.y][threadIdx.x] = total;
        __syncthreads();
        if (threadIdx.y == 0 && k < kept) {
            for (int y = 1; y < 8; ++y) total = combine(total, scratch[y][threadIdx.x]);
            deliver(total, out, partial, kept, k);
        }
        __syncthreads();
    }
}

// The offset of a flat, row-major index over axes given as {rank, sizes..., strides...}.
__device__ __forceinline__ i64 strided_offset(i64 index, const i64* axes) {
    const int rank = (int)axes[0];
    i64 offset = 0;
    for (int axis = rank; axis > 0; --axis) {
        offset += index % axes[axis] * axes[rank + axis];
        index /= axes[axis];
    }
    return offset;
}

extern "C" __global__ void reduce_strided(const TG_T* __restrict__ x, TG_OUT* __restrict__ out, Part* __restrict__ partial,
                                          i64 kept, i64 size, const i64* __restrict__ layout) {
    __shared__ Part scratch[32];
    const Combine combine;
    const Share share = my_share(size);
    const i64* reduced = layout + 1 + 2 * layout[0];
    EACH_VECTOR(kept) {
        const TG_T* base = x + strided_offset(vector, layout);
        Part total = nothing();
        for (i64 i = share.begin + threadIdx.x; inside && i < share.end; i += blockDim.x)
            total = combine(total, part_of(base[strided_offset(i, reduced)], i));
        total = row_reduce(total, combine, scratch);
        if (inside && threadIdx.x == 0) deliver(total, out, partial, kept, vector);
    }
}

extern "C" __global__ void reduce_partials(const Part* __restrict__ partial, TG_OUT* __restrict__ out, i64 kept, int splits) {
    const Combine combine;
    GRID_STRIDE(k, kept) {
        Part total = nothing();
        for (int split = 0; split < splits; ++split) total = combine(total, partial[split * kept + k]);
        out[k] = result_of(total);
    }
}
