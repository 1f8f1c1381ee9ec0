// conv_backward_weights: dw, the gradient of a convolution to its filters, in two deterministic passes.
//
// Gemm: m = filters of the group, n = (c, r, s) taps, k = (n, i, j) output pixels.  The pixels are shared out over
// `splits` blocks, each of which writes its own sums to partial[splits][filters][channels / groups][rows][columns];
// conv_add_partials then adds them in order.  With splits == 1, `partial` may be dw itself (TG_PARTIAL = TG_T).
// Launch: conv_backward_weights: grid (ceil(filters / groups / TILE_M), ceil(taps / TILE_N), groups * splits), block 256;
//         conv_add_partials: any one-dimensional grid and block.
// Arguments: x, dy, partial, splits, then the geometry (convolution.cuh); conv_add_partials: partial, dw, size of dw, splits.
// Source: see tile.cuh; the split of k follows A. Kerr et al., CUTLASS ("split-K").
#include "convolution.cuh"

#ifndef TG_PARTIAL
#define TG_PARTIAL Value
#endif

struct OutputPixels {
    const TG_T* dy;  // at the group's first filter
    Conv conv;
    struct Row { Index base; };
    struct Column { Index offset; };
    static const bool k_fastest = true;

    __device__ __forceinline__ Row row(Index filter) const { return {filter * conv.out_height * conv.out_width}; }
    __device__ __forceinline__ Column column(Index k) const {
        const int plane = conv.out_height * conv.out_width;
        return {k / plane * conv.filters * plane + k % plane};
    }
    __device__ __forceinline__ Value at(const Row& row, const Column& column) const {
        return (Value)dy[row.base + column.offset];
    }
};

struct InputTaps {
    const TG_T* x;  // at the group's first channel
    Conv conv;
    struct Row { Index offset; int i, j; };
    struct Column { Index base; int i, j; };
    static const bool k_fastest = true;

    __device__ __forceinline__ Row row(Index n) const {
        const int taps = conv.rows * conv.columns, tap = stored_tap(conv, (int)n % taps), c = (int)n / taps;
        const int i = tap / conv.columns * conv.dilation_h, j = tap % conv.columns * conv.dilation_w;
        return {((Index)c * conv.height + i) * conv.width + j, i, j};
    }
    __device__ __forceinline__ Column column(Index k) const {
        const int plane = conv.out_height * conv.out_width, pixel = (int)(k % plane);
        const int i = pixel / conv.out_width * conv.stride_h - conv.pad_h;
        const int j = pixel % conv.out_width * conv.stride_w - conv.pad_w;
        return {(k / plane * conv.channels * conv.height + i) * conv.width + j, i, j};
    }
    __device__ __forceinline__ Value at(const Row& row, const Column& column) const {
        const int i = row.i + column.i, j = row.j + column.j;
        const bool inside = (u32)i < (u32)conv.height && (u32)j < (u32)conv.width;
        return inside ? (Value)x[column.base + row.offset] : (Value)0;
    }
};

struct StorePartial {
    TG_PARTIAL* partial;  // at the split's and group's first filter
    int taps;

    __device__ __forceinline__ void operator()(Index m, Index n, Value value) const {
        partial[m * taps + n] = (TG_PARTIAL)value;
    }
};

extern "C" __global__ void TILE_LAUNCH
conv_backward_weights(const TG_T* __restrict__ x, const TG_T* __restrict__ dy, TG_PARTIAL* __restrict__ partial, int splits,
                      CONV_PARAMETERS) {
    __shared__ TileMemory<Value> shared;
    const Conv conv = CONV_GEOMETRY;
    const int group = blockIdx.z / splits, split = blockIdx.z % splits;
    const int group_channels = conv.channels / conv.groups, group_filters = conv.filters / conv.groups;
    const int taps = group_channels * conv.rows * conv.columns;
    const Index pixels = (Index)batch * conv.out_height * conv.out_width, share = ceil_div(pixels, (Index)splits);
    const Index begin = share * split, end = begin + share < pixels ? begin + share : pixels;
    const OutputPixels a = {dy + (Index)group * group_filters * conv.out_height * conv.out_width, conv};
    const InputTaps b = {x + (Index)group * group_channels * conv.height * conv.width, conv};
    const StorePartial store = {partial + ((Index)split * conv.filters + group * group_filters) * taps, taps};
    implicit_gemm<Value>(a, b, store, (Index)blockIdx.x * TILE_M, (Index)blockIdx.y * TILE_N, group_filters, taps, begin, end,
                         shared);
}

extern "C" __global__ void conv_add_partials(const TG_PARTIAL* __restrict__ partial, TG_T* __restrict__ dw, i64 size, int splits) {
    GRID_STRIDE(i, size) {
        Value sum = 0;
        for (int split = 0; split < splits; ++split) sum += (Value)partial[split * size + i];
        dw[i] = (TG_T)sum;
    }
}
