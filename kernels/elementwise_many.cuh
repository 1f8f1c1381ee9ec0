// Template: several lots of elementwise work that do not touch each other's results, in one launch: the updates of all
// parameters of a step, say.
//
// Placeholders: name; parameters; sections (each SECTION(first, end, size) and a body as in elementwise.cuh).
// Launch: block up to 256; the grid has the blocks of all sections, one after another.
#include "philox.cuh"
#include "index.cuh"

// Point `flat` of the section that the blocks first <= blockIdx.x < end work through.
#define SECTION(first, end, size)                                                                   \
    if (blockIdx.x >= (u32)(first) && blockIdx.x < (u32)(end))                                      \
        for (i64 flat = (i64)(blockIdx.x - (first)) * blockDim.x + threadIdx.x; flat < (size);      \
             flat += (i64)((end) - (first)) * blockDim.x)

extern "C" __global__ void __launch_bounds__(256) @name@(@parameters@) {
    @sections@
}
#undef SECTION
