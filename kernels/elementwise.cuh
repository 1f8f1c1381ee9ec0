// Template: one value per flat index i < size, any operands, strides and broadcasts.
//
// Placeholders: name; parameters (of the kernel, after `i64 size`); index (int or i64, the type of i); definitions
// (functions the body needs, may be empty); body (statements that load, compute and store for index `i`).
// Launch: any one-dimensional grid and block up to 256.  Nothing happens for size == 0.
#include "philox.cuh"
#include "index.cuh"

@definitions@

extern "C" __global__ void __launch_bounds__(256) @name@(i64 size, @parameters@) {
    for (i64 flat = grid_thread(); flat < size; flat += grid_threads()) {
        const @index@ i = (@index@)flat;
        @body@
    }
}
