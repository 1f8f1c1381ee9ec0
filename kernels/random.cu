// Draws from a Philox stream, bit for bit what the other targets draw (the layout is stated in philox.cuh).
//
// A stream's state is u32[4]: key (2 words), counter (low, high); it is read on the device, so a recorded launch draws
// anew each time.  random_advance writes the state after `draws` draws of n elements each.
//   random_bits      u32 words                          1 draw
//   random_uniform   TG_T in [0, 1)                     1 draw; double: 1 draw of 2n elements, element i from words 2i, 2i + 1
//   random_normal    sqrt(-2 log(1 - u)) cos(2 pi v)    u and v two draws in a row, each as random_uniform's
//   random_bernoulli u < p as 0 or 1 in TG_T            1 draw of float; p[n], or p[1] with one == 1
// Arguments: state, y, n | state, p, y, n, one | state, next, elements, draws (random_advance).
// Launch: any one-dimensional grid and block, blocks a multiple of 32 threads; a thread per counter value, that is per
// four elements (double: two neighbouring lanes exchange words).
// Source: Salmon et al. (2011), see philox.cuh; G. Box, M. Muller, A note on the generation of random normal deviates (1958).
#include "block.cuh"
#include "philox.cuh"

#ifndef TG_T
#define TG_T float
#endif

struct Stream {
    u32 k0, k1;
    u64 counter;
};
__device__ __forceinline__ Stream stream_of(const u32* state) { return {state[0], state[1], (u64)state[3] << 32 | state[2]}; }
__device__ __forceinline__ i64 counters_for(i64 elements) { return ceil_div(elements, (i64)128) * 32; }

// Whole warps stay together, as the double path shuffles: n is rounded up to full chunks.
#define EACH_COUNTER(n) GRID_STRIDE(value, counters_for(n))
// The first of the four elements of a counter value; the others follow 32 apart.
__device__ __forceinline__ i64 first_element(i64 value) { return value / 32 * 128 + value % 32; }

extern "C" __global__ void random_bits(const u32* __restrict__ state, u32* __restrict__ y, i64 n) {
    const Stream stream = stream_of(state);
    EACH_COUNTER(n) {
        const Words words = philox_words(stream.counter + value, stream.k0, stream.k1);
#pragma unroll
        for (int w = 0; w < 4; ++w)
            if (first_element(value) + 32 * w < n) y[first_element(value) + 32 * w] = words.word[w];
    }
}

// Calls write(i, u) for each element i < n with its uniform u.
template <typename Write>
__device__ __forceinline__ void each_uniform(const Stream& stream, i64 n, float, const Write& write) {
    EACH_COUNTER(n) {
        const Words words = philox_words(stream.counter + value, stream.k0, stream.k1);
#pragma unroll
        for (int w = 0; w < 4; ++w)
            if (first_element(value) + 32 * w < n) write(first_element(value) + 32 * w, uniform_float(words.word[w]));
    }
}
template <typename Write>
__device__ __forceinline__ void each_uniform(const Stream& stream, i64 n, double, const Write& write) {
    EACH_COUNTER(2 * n) {
        const Words words = philox_words(stream.counter + value, stream.k0, stream.k1);
        const bool even = value % 2 == 0;  // an even lane holds high words, the next lane the low ones
#pragma unroll
        for (int w = 0; w < 4; ++w) {
            const u32 other = shuffle_xor(words.word[w], 1);
            const i64 i = (first_element(value) + 32 * w) / 2;
            if (even == (w < 2) && i < n)  // the two lanes share the work
                write(i, even ? uniform_double(words.word[w], other) : uniform_double(other, words.word[w]));
        }
    }
}

typedef Accumulate<TG_T>::type Value;

struct WriteUniform {
    TG_T* y;
    __device__ __forceinline__ void operator()(i64 i, Value u) const { y[i] = (TG_T)u; }
};
extern "C" __global__ void random_uniform(const u32* __restrict__ state, TG_T* __restrict__ y, i64 n) {
    each_uniform(stream_of(state), n, Value(), WriteUniform{y});
}

struct WriteBernoulli {
    const float* p;
    TG_T* y;
    int one;
    __device__ __forceinline__ void operator()(i64 i, float u) const { y[i] = u < (float)p[one ? 0 : i] ? (TG_T)1 : (TG_T)0; }
};
extern "C" __global__ void random_bernoulli(const u32* __restrict__ state, const float* __restrict__ p, TG_T* __restrict__ y, i64 n,
                                            int one) {
    each_uniform(stream_of(state), n, float(), WriteBernoulli{p, y, one});
}

__device__ __forceinline__ float normal_from(float u, float v) { return sqrtf(-2.0f * logf(1.0f - u)) * cospif(2.0f * v); }
__device__ __forceinline__ double normal_from(double u, double v) { return sqrt(-2.0 * log(1.0 - u)) * cospi(2.0 * v); }

struct WriteNormal {
    TG_T* y;
    Stream second;
    __device__ __forceinline__ void operator()(i64 i, float u) const {
        y[i] = (TG_T)normal_from(u, uniform_float(philox_word(second.counter, i, second.k0, second.k1)));
    }
    __device__ __forceinline__ void operator()(i64 i, double u) const {
        const u32 high = philox_word(second.counter, 2 * i, second.k0, second.k1);
        const u32 low = philox_word(second.counter, 2 * i + 1, second.k0, second.k1);
        y[i] = (TG_T)normal_from(u, uniform_double(high, low));
    }
};
extern "C" __global__ void random_normal(const u32* __restrict__ state, TG_T* __restrict__ y, i64 n) {
    Stream second = stream_of(state);
    second.counter += counters_for(sizeof(Value) == 8 ? 2 * n : n);
    each_uniform(stream_of(state), n, Value(), WriteNormal{y, second});
}

extern "C" __global__ void random_advance(const u32* state, u32* next, i64 elements, i64 draws) {
    if (grid_thread() > 0) return;
    const Stream stream = stream_of(state);
    const u64 counter = stream.counter + (u64)draws * counters_for(elements);
    next[0] = stream.k0;
    next[1] = stream.k1;
    next[2] = (u32)counter;
    next[3] = (u32)(counter >> 32);
}
