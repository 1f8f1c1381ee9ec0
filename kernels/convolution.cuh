// What the three convolution kernels share: the geometry and its arguments.
//
// Arrays are contiguous: x[batch][channels][height][width], w[filters][channels / groups][rows][columns],
// y[batch][filters][out_height][out_width], and
//   y[n, f, i, j] = sum over c, r, s of x[n, c, i * stride_h + r * dilation_h - pad_h, j * stride_w + s * dilation_w - pad_w] w[f, c, r', s']
// with (r', s') = (r, s), or the mirrored (rows - 1 - r, columns - 1 - s) when flip is 1 (Theano's filter_flip).
// pad_h and pad_w are what stands before the first row and column; what stands behind follows from the sizes.
//
// Macros: TG_T element type (float); TG_MMA tensor cores (mma.cuh); TG_CONV, a braced list of the fields of Conv in
// order, makes the geometry (all but the batch) constants, and the arguments are then ignored; TG_INDEX (index.cuh);
// TILE_M, TILE_N: 64 unless the filters of a group are few or very many (tile.cuh lists what may stand there).
#pragma once
#include "tile.cuh"

#ifndef TG_T
#define TG_T float
#endif
typedef Accumulate<TG_T>::type Value;

struct Conv {
    int channels, height, width, filters, rows, columns, out_height, out_width, groups;
    int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, flip;
};

#define CONV_PARAMETERS                                                                                         \
    int batch, int channels, int height, int width, int filters, int rows, int columns, int out_height,         \
        int out_width, int groups, int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, \
        int flip
#ifdef TG_CONV
#define CONV_GEOMETRY Conv TG_CONV
#else
#define CONV_GEOMETRY                                                                                           \
    Conv {                                                                                                      \
        channels, height, width, filters, rows, columns, out_height, out_width, groups, stride_h, stride_w, pad_h, \
            pad_w, dilation_h, dilation_w, flip                                                                 \
    }
#endif

// Where a filter tap lies in the stored filter.
__device__ __forceinline__ int stored_tap(const Conv& conv, int tap) {
    return conv.flip ? conv.rows * conv.columns - 1 - tap : tap;
}
