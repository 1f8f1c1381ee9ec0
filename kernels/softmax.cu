// softmax, log_softmax and their gradients along the middle axis of x[outer][size][inner].
//
// A row of threads per vector: an online pass keeps the maximum and the sum of exp(x - maximum) together, a second
// pass writes.  A vector with an infinite maximum or a nan gives what NumPy's formula gives (nan).
// Launch: block (threads, rows): threads a multiple of 32 up to 1024, threads * rows <= 1024; any one-dimensional grid.
// inner == 1, size <= 1024 or so: threads = 32, rows = 8; longer: threads = 256, rows = 1.
// Arguments: x, y | y, dy, dx; then outer, size, inner.
// Source: M. Milakov, N. Gimelshein, Online normalizer calculation for softmax (arXiv:1805.02867), algorithm 3.
#include "row_softmax.cuh"

extern "C" __global__ void softmax(const TG_T* __restrict__ x, TG_T* __restrict__ y, i64 outer, i64 size, i64 inner) {
    __shared__ Normalizer scratch[32];
    EACH_VECTOR(outer * inner) {
        const i64 base = vector_base(vector, size, inner);
        const Normalizer total = row_normalizer(x + base, inside ? size : 0, inner, scratch);
        const Value scale = (Value)1 / total.sum;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x)
            y[base + i * inner] = (TG_T)(exponential((Value)x[base + i * inner] - total.largest) * scale);
    }
}

extern "C" __global__ void log_softmax(const TG_T* __restrict__ x, TG_T* __restrict__ y, i64 outer, i64 size, i64 inner) {
    __shared__ Normalizer scratch[32];
    EACH_VECTOR(outer * inner) {
        const i64 base = vector_base(vector, size, inner);
        const Normalizer total = row_normalizer(x + base, inside ? size : 0, inner, scratch);
        const Value log_sum = logarithm(total.sum);
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x)
            y[base + i * inner] = (TG_T)((Value)x[base + i * inner] - total.largest - log_sum);
    }
}

// dx = y (dy - sum(y dy)), y = softmax(x)
extern "C" __global__ void softmax_grad(const TG_T* __restrict__ y, const TG_T* __restrict__ dy, TG_T* __restrict__ dx,
                                        i64 outer, i64 size, i64 inner) {
    __shared__ Value scratch[32];
    EACH_VECTOR(outer * inner) {
        const i64 base = vector_base(vector, size, inner);
        Value sum = 0;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x)
            sum += (Value)y[base + i * inner] * (Value)dy[base + i * inner];
        sum = row_reduce(sum, Sum(), scratch);
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x)
            dx[base + i * inner] = (TG_T)((Value)y[base + i * inner] * ((Value)dy[base + i * inner] - sum));
    }
}

// dx = dy - exp(y) sum(dy), y = log_softmax(x)
extern "C" __global__ void log_softmax_grad(const TG_T* __restrict__ y, const TG_T* __restrict__ dy, TG_T* __restrict__ dx,
                                            i64 outer, i64 size, i64 inner) {
    __shared__ Value scratch[32];
    EACH_VECTOR(outer * inner) {
        const i64 base = vector_base(vector, size, inner);
        Value sum = 0;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x) sum += (Value)dy[base + i * inner];
        sum = row_reduce(sum, Sum(), scratch);
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x)
            dx[base + i * inner] = (TG_T)((Value)dy[base + i * inner] - exponential((Value)y[base + i * inner]) * sum);
    }
}
