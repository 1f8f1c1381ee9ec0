// conv_backward_input: dx, the gradient of a convolution to its input (also the forward of a transposed convolution).
//
// Gemm: m = (n, h, v) input pixels, n = channels of the group, k = (f, r, s).  Input pixel h gets from output row i
// when i * stride_h = h + pad_h - r * dilation_h; each input pixel is owned by one thread, so no atomics.
// Launch: grid (ceil(batch * height * width / TILE_M), ceil(channels / groups / TILE_N), groups), block 256.
// Arguments: dy, w, dx (see convolution.cuh), then the geometry.
// Source: see tile.cuh.
#include "convolution.cuh"

struct OutputPatches {
    const TG_T* dy;  // at the group's first filter
    Conv conv;
    struct Row { Index image; int i, j; };
    struct Column { Index plane; int i, j; };
    static const bool k_fastest = false;

    __device__ __forceinline__ Row row(Index m) const {
        const int plane = conv.height * conv.width, pixel = (int)(m % plane);
        const Index image = m / plane;
        return {image * conv.filters * conv.out_height * conv.out_width, pixel / conv.width + conv.pad_h,
                pixel % conv.width + conv.pad_w};
    }
    __device__ __forceinline__ Column column(Index k) const {
        const int taps = conv.rows * conv.columns, tap = (int)k % taps, filter = (int)k / taps;
        return {(Index)filter * conv.out_height * conv.out_width, tap / conv.columns * conv.dilation_h,
                tap % conv.columns * conv.dilation_w};
    }
    __device__ __forceinline__ Value at(const Row& row, const Column& column) const {
        const int i = row.i - column.i, j = row.j - column.j;
        if (i < 0 || j < 0 || i % conv.stride_h || j % conv.stride_w) return 0;
        const int oi = i / conv.stride_h, oj = j / conv.stride_w;
        if (oi >= conv.out_height || oj >= conv.out_width) return 0;
        return (Value)dy[row.image + column.plane + oi * conv.out_width + oj];
    }
};

struct FiltersByChannel {
    const TG_T* w;  // at the group's first filter
    Conv conv;
    struct Row { int offset; };
    struct Column { Index base; };
    static const bool k_fastest = true;

    __device__ __forceinline__ Row row(Index channel) const { return {(int)channel * conv.rows * conv.columns}; }
    __device__ __forceinline__ Column column(Index k) const {
        const int taps = conv.rows * conv.columns, tap = (int)k % taps;
        return {k / taps * (conv.channels / conv.groups) * taps + stored_tap(conv, tap)};
    }
    __device__ __forceinline__ Value at(const Row& row, const Column& column) const {
        return (Value)w[column.base + row.offset];
    }
};

struct StoreInput {
    TG_T* dx;
    Conv conv;
    int first_channel;

    __device__ __forceinline__ void operator()(Index m, Index n, Value value) const {
        const int plane = conv.height * conv.width;
        dx[(m / plane * conv.channels + first_channel + n) * plane + m % plane] = (TG_T)value;
    }
};

extern "C" __global__ void TILE_LAUNCH
conv_backward_input(const TG_T* __restrict__ dy, const TG_T* __restrict__ w, TG_T* __restrict__ dx, CONV_PARAMETERS) {
    __shared__ TileMemory<Value> shared;
    const Conv conv = CONV_GEOMETRY;
    const int group = blockIdx.z, group_channels = conv.channels / conv.groups, group_filters = conv.filters / conv.groups;
    const int taps = conv.rows * conv.columns;
    const OutputPatches a = {dy + (Index)group * group_filters * conv.out_height * conv.out_width, conv};
    const FiltersByChannel b = {w + (Index)group * group_filters * group_channels * taps, conv};
    const StoreInput store = {dx, conv, group * group_channels};
    implicit_gemm<Value>(a, b, store, (Index)blockIdx.x * TILE_M, (Index)blockIdx.y * TILE_N,
                         (Index)batch * conv.height * conv.width, group_channels, 0, (Index)group_filters * taps, shared);
}
