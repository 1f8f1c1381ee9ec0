// Template: a generated rule over many tensors in one launch (all parameter updates of a step).
//
// Placeholders: name; type (of the elements); slots (arrays per tensor); written (a bit set of the slots stored back);
// rule (statements on s[0] ... s[slots - 1], in the accumulator's type); parameters (after the table, each named in
// `arguments` too); fields (the same as members `type name;`), arguments (their names, comma separated).
// Launch: grid chunks, block 256; the table is described in multi_tensor.cuh.
#include "multi_tensor.cuh"

struct @name@_rule {
    @fields@
    template <typename Value>
    __device__ __forceinline__ void operator()(Value* s) const {
        @rule@
    }
};

extern "C" __global__ void __launch_bounds__(256) @name@(TENSOR_TABLE, @parameters@) {
    each_element<@type@, @slots@, @written@>(pointers, sizes, chunk_tensor, chunk_start, tensors, @name@_rule{@arguments@});
}
