// Walk over many tensors in one launch: each block takes one chunk of one tensor.
//
// pointers[slots][tensors] holds device addresses (parameter, gradient, state ...), sizes[tensors] element counts;
// chunk_tensor[chunks] and chunk_start[chunks] say what each block of the grid (chunks, one-dimensional) takes: up to
// TG_CHUNK elements from there.  Tensors of no elements have no chunks.
// Source: the multi-tensor apply of NVIDIA's Apex; the table here is ordinary device memory.
#pragma once
#include "index.cuh"

#ifndef TG_CHUNK
#define TG_CHUNK 16384
#endif

#define TENSOR_TABLE                                                                                            \
    const u64 *__restrict__ pointers, const i64 *__restrict__ sizes, const int *__restrict__ chunk_tensor, \
        const i64 *__restrict__ chunk_start, int tensors

// Calls rule(values) with one value of each slot; slots listed in `written` (a bit each) are stored back.
template <typename T, int slots, u32 written, typename Rule>
__device__ __forceinline__ void each_element(TENSOR_TABLE, const Rule& rule) {
    typedef typename Accumulate<T>::type Value;
    const int tensor = chunk_tensor[blockIdx.x];
    const i64 begin = chunk_start[blockIdx.x], size = sizes[tensor];
    const i64 end = begin + TG_CHUNK < size ? begin + TG_CHUNK : size;
    T* arrays[slots];
#pragma unroll
    for (int slot = 0; slot < slots; ++slot) arrays[slot] = (T*)pointers[(i64)slot * tensors + tensor];
    for (i64 i = begin + threadIdx.x; i < end; i += blockDim.x) {
        Value values[slots];
#pragma unroll
        for (int slot = 0; slot < slots; ++slot) values[slot] = (Value)arrays[slot][i];
        rule(values);
#pragma unroll
        for (int slot = 0; slot < slots; ++slot)
            if (written >> slot & 1) arrays[slot][i] = (T)values[slot];
    }
}
