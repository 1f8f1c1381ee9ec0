// Running sums and products along the middle axis of x[outer][size][inner].
//
// TG_T: the elements of x; TG_OUT: those of y; TG_SCAN: 0 sum, 1 product.
// inner == 1, long rows, in three steps with a fixed order: scan_chunks reduces chunks of TG_CHUNK elements to
// sums[rows][chunks]; scan_offsets turns them into what precedes each chunk; scan_rows scans each chunk from there.
// With one chunk per row scan_rows alone will do (offsets null).  inner > 1: scan_columns, a thread per column.
// Launch: scan_chunks, scan_rows: grid (chunks, rows or fewer), block 256; scan_offsets: grid rows or fewer, block 256;
//         scan_columns: any one-dimensional grid and block.
// Arguments: x, sums, rows, size | sums, rows, chunks | x, y, offsets, rows, size | x, y, outer, size, inner.
// Source: S. Sengupta, M. Harris, Y. Zhang, J. Owens, Scan primitives for GPU computing (2007), section 3.
#include "block.cuh"

#ifndef TG_T
#define TG_T float
#endif
#ifndef TG_OUT
#define TG_OUT TG_T
#endif
#ifndef TG_SCAN
#define TG_SCAN 0
#endif
#ifndef TG_CHUNK
#define TG_CHUNK 4096
#endif
typedef Accumulate<TG_OUT>::type Value;
#if TG_SCAN == 0
typedef Sum Combine;
#else
typedef Product Combine;
#endif

extern "C" __global__ void scan_chunks(const TG_T* __restrict__ x, Value* __restrict__ sums, i64 rows, i64 size) {
    __shared__ Value scratch[32];
    const Combine combine;
    const i64 begin = (i64)blockIdx.x * TG_CHUNK, end = begin + TG_CHUNK < size ? begin + TG_CHUNK : size;
    for (i64 row = blockIdx.y; row < rows; row += gridDim.y) {
        Value total = Combine::identity<Value>();
        for (i64 i = begin + threadIdx.x; i < end; i += blockDim.x)
            total = combine(total, (Value)x[row * size + i]);
        total = row_reduce(total, combine, scratch);
        if (threadIdx.x == 0) sums[row * gridDim.x + blockIdx.x] = total;
    }
}

extern "C" __global__ void scan_offsets(Value* __restrict__ sums, i64 rows, i64 chunks) {
    __shared__ Value scratch[32];
    const Combine combine;
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        Value carry = Combine::identity<Value>();
        for (i64 first = 0; first < chunks; first += blockDim.x) {
            const i64 i = first + threadIdx.x;
            Value* cell = sums + row * chunks + i;
            const Value mine = i < chunks ? *cell : Combine::identity<Value>();
            Value total;
            const Value upto = row_scan(mine, combine, scratch, &total);
            // what precedes: the inclusive scan of the thread before
            Value before = shuffle_up(upto, 1);
            if (threadIdx.x % 32 == 0) before = threadIdx.x ? scan_of_warps(scratch, threadIdx.x / 32, combine) : Combine::identity<Value>();
            if (i < chunks) *cell = combine(carry, before);
            carry = combine(carry, total);
        }
    }
}

extern "C" __global__ void scan_rows(const TG_T* __restrict__ x, TG_OUT* __restrict__ y, const Value* __restrict__ offsets, i64 rows, i64 size) {
    __shared__ Value scratch[32];
    const Combine combine;
    const i64 begin = (i64)blockIdx.x * TG_CHUNK, end = begin + TG_CHUNK < size ? begin + TG_CHUNK : size;
    for (i64 row = blockIdx.y; row < rows; row += gridDim.y) {
        Value carry = offsets ? offsets[row * gridDim.x + blockIdx.x] : Combine::identity<Value>();
        for (i64 first = begin; first < end; first += blockDim.x) {
            const i64 i = first + threadIdx.x, at = row * size + i;
            Value total;
            const Value upto = row_scan(i < end ? (Value)x[at] : Combine::identity<Value>(), combine, scratch, &total);
            if (i < end) y[at] = (TG_OUT)combine(carry, upto);
            carry = combine(carry, total);
        }
    }
}

extern "C" __global__ void scan_columns(const TG_T* __restrict__ x, TG_OUT* __restrict__ y, i64 outer, i64 size, i64 inner) {
    const Combine combine;
    GRID_STRIDE(column, outer * inner) {
        const i64 base = column / inner * size * inner + column % inner;
        Value total = Combine::identity<Value>();
        for (i64 i = 0; i < size; ++i) {
            const i64 at = base + i * inner;
            total = combine(total, (Value)x[at]);
            y[at] = (TG_OUT)total;
        }
    }
}
