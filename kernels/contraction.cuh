// Template: out(m, n) (+)= sum over k of left(m, k) right(n, k) for any nest that sums products, by implicit gemm.
//
// Every convolution is one: forward (m = pixels, n = filters, k = taps), to its weights (m = filters, n = taps, k = pixels),
// to its input (m = pixels, n = channels, k = filters and taps), with the strides, dilation and groups of its nest.
//
// Placeholders: name; type (of the arrays), value (of the sums); for each of left and right: row_fields, row (statements
// that return a Row from `m`), column_fields, column (from `k`), at (from `row`, `column`), k_fastest; store (statements
// on `x`, `z`, `m`, `n` and `value`, the sums of TILE_WINDOW neighbouring rows from `m` on, which store one result or compute an
// epilogue); parameters, store_fields, store_values (of an epilogue: as parameters of the kernel, as fields, and their
// names, with commas before); left_shift, right_shift, out_shift (offsets of batch `z`).
// Macros: TILE_M, TILE_N, TILE_WINDOW, TG_T, TG_MMA (tile.cuh), TG_INDEX (index.cuh).
// Launch: <name>: grid (ceil(m / TILE_M) ceil(n / TILE_N), 1, batches * splits), block 256; with splits > 1 the shares of
// k are written to partial[splits][batches][m][n], which <name>_finish (any one-dimensional grid and block) adds up in
// order: deterministic.
// Source: see tile.cuh.
#include "tile.cuh"
#include "atomics.cuh"

struct @name@_left {
    const @type@* __restrict__ x;
    struct Row { Index base; @left_row_fields@ };
    struct Column { Index base; @left_column_fields@ };
    static const bool k_fastest = @left_k_fastest@;
    __device__ __forceinline__ Row row(Index m) const {
        @left_row@
    }
    __device__ __forceinline__ Column column(Index k) const {
        @left_column@
    }
    __device__ __forceinline__ @value@ at(const Row& row, const Column& column) const {
        @left_at@
    }
};

struct @name@_right {
    const @type@* __restrict__ x;
    struct Row { Index base; };
    struct Column { Index base; };
    static const bool k_fastest = @right_k_fastest@;
    __device__ __forceinline__ Row row(Index m) const {
        @right_row@
    }
    __device__ __forceinline__ Column column(Index k) const {
        @right_column@
    }
    __device__ __forceinline__ @value@ at(const Row& row, const Column& column) const { return x[row.base + column.base]; }
};

struct @name@_store {
    @type@* x;
    Index z;
    @store_fields@
    __device__ __forceinline__ void operator()(Index m, Index n, const @value@* value) const {
        @store@
    }
};

struct @name@_share {
    @value@* partial;
    Index n_size;
    __device__ __forceinline__ void operator()(Index m, Index n, const @value@* value) const { partial[(i64)m * n_size + n] = *value; }
};

__device__ __forceinline__ i64 @name@_left_shift(i64 z) { return @left_shift@; }
__device__ __forceinline__ i64 @name@_right_shift(i64 z) { return @right_shift@; }
__device__ __forceinline__ i64 @name@_out_shift(i64 z) { return @out_shift@; }

extern "C" __global__ void TILE_LAUNCH
@name@(i64 m_size, i64 n_size, i64 k_size, int splits, @value@* __restrict__ partial, const @type@* __restrict__ left_x,
       const @type@* __restrict__ right_x, @type@* out_x@parameters@) {
    __shared__ TileMemory<@value@> shared;
    const i64 z = blockIdx.z / splits, batches = gridDim.z / splits;
    const int split = blockIdx.z % splits;
    const @name@_left left = {left_x + @name@_left_shift(z)};
    const @name@_right right = {right_x + @name@_right_shift(z)};
    const u32 across = (u32)((m_size + TILE_M - 1) / TILE_M);  // grids are short along y
    const Index m = (Index)(blockIdx.x % across) * TILE_M, n = (Index)(blockIdx.x / across) * TILE_N;
    if (splits == 1) {
        const @name@_store store = {out_x + @name@_out_shift(z), (Index)z@store_values@};
        implicit_gemm<@value@>(left, right, store, m, n, m_size, n_size, 0, k_size, shared);
    } else {
        const i64 share = ceil_div(k_size, (i64)splits), begin = share * split;
        const i64 end = begin + share < k_size ? begin + share : k_size;
        const @name@_share store = {partial + (split * batches + z) * m_size * n_size, (Index)n_size};
        implicit_gemm<@value@>(left, right, store, m, n, m_size, n_size, (Index)begin, (Index)end, shared);
    }
}

extern "C" __global__ void @name@_finish(i64 batches, i64 m_size, i64 n_size, int splits, const @value@* __restrict__ partial,
                                         @type@* out_x@parameters@) {
    const i64 plane = m_size * n_size;
    GRID_STRIDE(i, batches * plane) {
        @value@ total = 0;
        for (int split = 0; split < splits; ++split) total += partial[split * batches * plane + i];
        const @name@_store store = {out_x + @name@_out_shift(i / plane), (Index)(i / plane)@store_values@};
        store((Index)(i % plane / n_size), (Index)(i % n_size), &total);
    }
}
