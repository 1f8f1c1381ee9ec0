// Template: a row of threads works through each vector k < count with several passes: softmax-like nests.
//
// Placeholders: name; threads (of a block); parameters (after `i64 count`); definitions; scratch_type (the largest type
// reduced); body: statements for vector `k`, run by all threads of the row; loops go  for (i64 r = threadIdx.x; r < (inside ? size : 0);
// r += blockDim.x)  and totals come from row_reduce(value, Sum(), (type*)scratch), which every thread must reach.
// Stores must be guarded by `inside` too (a row of threads without a vector runs the body on the last one).
// Launch: block (32 m, rows), any one-dimensional grid.
#include "philox.cuh"
#include "block.cuh"

@definitions@

extern "C" __global__ void __launch_bounds__(@threads@, 1) @name@(i64 count, @parameters@) {
    __shared__ @scratch_type@ scratch[32];
    EACH_VECTOR(count) {
        const i64 k = vector;
        @body@
    }
}
