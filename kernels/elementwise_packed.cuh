// Template: as elementwise.cuh for contiguous operands (and scalars), `width` neighbours per thread in one instruction.
//
// Placeholders: name, parameters, definitions as in elementwise.cuh; width (2, 4, 8 ...); aligned (a condition on the
// pointers, such as is_aligned<4>(x) && is_aligned<4>(y); views may start anywhere); loads (statements that load a
// Pack of each operand from flat index `i`); lane (statements for element `lane` of the packs); stores; body (the
// scalar form for index `i`: for the rest of the array, or for all of it when something is not aligned).
// Launch: any one-dimensional grid and block up to 256.
#include "philox.cuh"
#include "index.cuh"

@definitions@

extern "C" __global__ void __launch_bounds__(256) @name@(i64 size, @parameters@) {
    const i64 packs = (@aligned@) ? size / @width@ : 0;
    for (i64 pack = grid_thread(); pack < packs; pack += grid_threads()) {
        const i64 i = pack * @width@;
        @loads@
#pragma unroll
        for (int lane = 0; lane < @width@; ++lane) {
            @lane@
        }
        @stores@
    }
    for (i64 i = packs * @width@ + grid_thread(); i < size; i += grid_threads()) {
        @body@
    }
}
