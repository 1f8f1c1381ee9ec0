// What softmax and cross-entropy share: the maximum of a vector and the sum of exp(x - maximum), in one pass.
//
// Source: M. Milakov, N. Gimelshein (arXiv:1805.02867), algorithm 3 and its parallel form, section 3.1.
#pragma once
#include "block.cuh"

#ifndef TG_T
#define TG_T float
#endif
typedef Accumulate<TG_T>::type Value;

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

struct Normalizer {
    Value largest, sum;
};

struct Merge {
    __device__ __forceinline__ Normalizer operator()(Normalizer a, Normalizer b) const {
        const Value largest = Maximum()(a.largest, b.largest);
        // An empty part has -inf and 0; exp(-inf - -inf) would be nan.
        const Value from_a = a.largest == largest ? a.sum : a.sum * exponential(a.largest - largest);
        const Value from_b = b.largest == largest ? b.sum : b.sum * exponential(b.largest - largest);
        return {largest, from_a + from_b};
    }
};

// All threads of a row of threads call it and get the result; x has `size` elements, `stride` apart.
__device__ __forceinline__ Normalizer row_normalizer(const TG_T* x, i64 size, i64 stride, Normalizer* scratch) {
    Normalizer mine = {Limits<Value>::lowest(), 0};
    for (i64 i = threadIdx.x; i < size; i += blockDim.x) {
        const Value value = (Value)x[i * stride];
        if (value > mine.largest || value != value) {
            mine.sum = mine.sum * exponential(mine.largest - value) + 1;
            mine.largest = value;
        } else if (value != Limits<Value>::lowest()) {  // exp(-inf) is 0, but -inf - -inf is nan
            mine.sum += exponential(value - mine.largest);
        }
    }
    Normalizer total = row_reduce(mine, Merge(), scratch);
    // inf - inf: the shifted formula of NumPy gives nan as well
    if (total.largest == Limits<Value>::highest() || (size > 0 && total.largest == Limits<Value>::lowest()))
        total.sum = Limits<Value>::nan();
    return total;
}

__device__ __forceinline__ i64 vector_base(i64 vector, i64 size, i64 inner) {
    return vector / inner * size * inner + vector % inner;
}
