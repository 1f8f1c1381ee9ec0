// Template: reduce a computed value over r < reduced for each kept index k < kept, then store through an epilogue.
//
// Placeholders: name; parameters (after `partial`); definitions; value_type (what is accumulated); identity; combine (an
// expression of `a` and `b`); element (statements that set `value` from `k` and `r`); finish (statements that use the
// total `value` for index `k`).
// Three kernels: <name>_rows (neighbouring r lie side by side: block (32 m, rows), a row of threads per k);
// <name>_columns (neighbouring k do: block (32, 8)); <name>_finish (any one-dimensional grid and block).
// Deterministic: gridDim.y == s > 1 cuts the reduced range into s shares, whose totals go to partial[s][kept] for
// <name>_finish to combine in order; with gridDim.y == 1 the first kernel finishes by itself, partial may be null.
// Source: M. Harris, Optimizing parallel reduction in CUDA (2007), with warp shuffles.
#include "philox.cuh"
#include "block.cuh"

@definitions@

typedef @value_type@ @name@_value;

struct @name@_combine {
    __device__ __forceinline__ @name@_value operator()(@name@_value a, @name@_value b) const { return @combine@; }
};

#define SHARE_OF_REDUCED                                                                               \
    const i64 share = ceil_div(reduced, (i64)gridDim.y), share_begin = share * blockIdx.y;             \
    const i64 share_end = share_begin + share < reduced ? share_begin + share : reduced

extern "C" __global__ void @name@_rows(i64 kept, i64 reduced, @name@_value* __restrict__ partial, @parameters@) {
    __shared__ @name@_value scratch[32];
    const @name@_combine combine;
    SHARE_OF_REDUCED;
    EACH_VECTOR(kept) {
        const i64 k = vector;
        @name@_value total = @identity@;
#pragma unroll 4
        for (i64 r = share_begin + threadIdx.x; r < (inside ? share_end : 0); r += blockDim.x) {
            @name@_value value;
            @element@
            total = combine(total, value);
        }
        total = row_reduce(total, combine, scratch);
        if (!inside || threadIdx.x) continue;
        if (gridDim.y > 1) {
            partial[blockIdx.y * kept + k] = total;
        } else {
            const @name@_value value = total;
            @finish@
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 4) @name@_columns(i64 kept, i64 reduced, @name@_value* __restrict__ partial, @parameters@) {
    __shared__ @name@_value scratch[8][32];
    const @name@_combine combine;
    SHARE_OF_REDUCED;
    for (i64 first = (i64)blockIdx.x * 32; first < kept; first += (i64)gridDim.x * 32) {
        const i64 k = first + threadIdx.x;
        @name@_value total = @identity@;
#pragma unroll 4
        for (i64 r = share_begin + threadIdx.y; r < (k < kept ? share_end : 0); r += 8) {
            @name@_value value;
            @element@
            total = combine(total, value);
        }
        scratch[threadIdx.y][threadIdx.x] = total;
        __syncthreads();
        if (threadIdx.y == 0 && k < kept) {
            for (int y = 1; y < 8; ++y) total = combine(total, scratch[y][threadIdx.x]);
            if (gridDim.y > 1) {
                partial[blockIdx.y * kept + k] = total;
            } else {
                const @name@_value value = total;
                @finish@
            }
        }
        __syncthreads();
    }
}

extern "C" __global__ void @name@_finish(i64 kept, int splits, const @name@_value* __restrict__ partial, @parameters@) {
    const @name@_combine combine;
    GRID_STRIDE(k, kept) {
        @name@_value total = @identity@;
        for (int split = 0; split < splits; ++split) total = combine(total, partial[split * kept + k]);
        const @name@_value value = total;
        @finish@
    }
}
#undef SHARE_OF_REDUCED
