// conv_forward: y = convolution of x with w (+ bias), as one implicit gemm per group.
//
// Gemm: m = (n, i, j) output pixels, n = filters of the group, k = (c, r, s) taps.
// Launch: grid (ceil(batch * out_height * out_width / TILE_M), ceil(filters / groups / TILE_N), groups), block 256.
// Arguments: x, w, bias[filters] or null, y (see convolution.cuh), then the geometry.
// Macro TG_EPILOGUE(value, filter): an expression applied to each result before it is stored.
// Source: see tile.cuh.
#include "convolution.cuh"

#ifndef TG_EPILOGUE
#define TG_EPILOGUE(value, filter) (value)
#endif

struct InputPatches {
    const TG_T* x;  // at the group's first channel
    Conv conv;
    struct Row { Index base; int i, j; };
    struct Column { Index offset; int i, j; };
    static const bool k_fastest = false;

    __device__ __forceinline__ Row row(Index m) const {
        const int plane = conv.out_height * conv.out_width;
        const int pixel = (int)(m % plane);
        const Index image = m / plane;
        const int i = pixel / conv.out_width * conv.stride_h - conv.pad_h;
        const int j = pixel % conv.out_width * conv.stride_w - conv.pad_w;
        return {(image * conv.channels * conv.height + i) * conv.width + j, i, j};
    }
    __device__ __forceinline__ Column column(Index k) const {
        const int taps = conv.rows * conv.columns, tap = (int)k % taps, c = (int)k / taps;
        const int i = tap / conv.columns * conv.dilation_h, j = tap % conv.columns * conv.dilation_w;
        return {((Index)c * conv.height + i) * conv.width + j, i, j};
    }
    __device__ __forceinline__ Value at(const Row& row, const Column& column) const {
        const int i = row.i + column.i, j = row.j + column.j;
        const bool inside = (u32)i < (u32)conv.height && (u32)j < (u32)conv.width;
        return inside ? (Value)x[row.base + column.offset] : (Value)0;
    }
};

struct Filters {
    const TG_T* w;  // at the group's first filter
    Conv conv;
    struct Row { Index base; };
    struct Column { int offset; };
    static const bool k_fastest = true;

    __device__ __forceinline__ Row row(Index filter) const {
        return {filter * (conv.channels / conv.groups) * conv.rows * conv.columns};
    }
    __device__ __forceinline__ Column column(Index k) const {
        if (!conv.flip) return {(int)k};
        const int taps = conv.rows * conv.columns, tap = (int)k % taps;
        return {(int)k - tap + stored_tap(conv, tap)};
    }
    __device__ __forceinline__ Value at(const Row& row, const Column& column) const {
        return (Value)w[row.base + column.offset];
    }
};

struct StorePixels {
    TG_T* y;
    const TG_T* bias;
    Conv conv;
    int first_filter;

    __device__ __forceinline__ void operator()(Index m, Index n, Value value) const {
        const int plane = conv.out_height * conv.out_width, filter = first_filter + (int)n;
        if (bias) value += (Value)bias[filter];
        y[(m / plane * conv.filters + filter) * plane + m % plane] = (TG_T)(TG_EPILOGUE(value, filter));
    }
};

extern "C" __global__ void TILE_LAUNCH
conv_forward(const TG_T* __restrict__ x, const TG_T* __restrict__ w, const TG_T* __restrict__ bias, TG_T* __restrict__ y,
             CONV_PARAMETERS) {
    __shared__ TileMemory<Value> shared;
    const Conv conv = CONV_GEOMETRY;
    const int group = blockIdx.z, group_channels = conv.channels / conv.groups, group_filters = conv.filters / conv.groups;
    const int taps = group_channels * conv.rows * conv.columns;
    const InputPatches a = {x + (Index)group * group_channels * conv.height * conv.width, conv};
    const Filters b = {w + (Index)group * group_filters * taps, conv};
    const StorePixels store = {y, bias, conv, group * group_filters};
    implicit_gemm<Value>(a, b, store, (Index)blockIdx.x * TILE_M, (Index)blockIdx.y * TILE_N,
                         (Index)batch * conv.out_height * conv.out_width, group_filters, 0, taps, shared);
}
