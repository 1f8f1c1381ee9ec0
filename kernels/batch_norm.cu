// Batch normalisation of x[batch][channels][plane] by channel, and its gradients.
//
//   y = gamma (x - mean) rstd + beta, mean and rstd per channel: from the batch (batch_norm_moments) or given
//   with h = (x - mean) rstd:  dbeta = sum(dy),  dgamma = sum(dy h),
//   dx = gamma rstd (dy - dbeta / n - h dgamma / n), n = batch * plane   (training; test: dx = gamma rstd dy, a nest)
// Launch: batch_norm_moments, batch_norm_sums: grid channels (or fewer), block 32 k, a block per channel, a fixed order;
//         batch_norm_apply, batch_norm_grad: any one-dimensional grid and block.
// Arguments: x, mean, rstd, batch, channels, plane, epsilon | x, mean, rstd, gamma, beta, y, ... |
//            x, dy, mean, rstd, dgamma, dbeta, ... | x, dy, mean, rstd, gamma, dgamma, dbeta, dx, batch, channels, plane.
//            Everything per channel is in the accumulator's type; gamma and beta may be null where they are read.
// Source: S. Ioffe, C. Szegedy, Batch normalization (arXiv:1502.03167), algorithm 1 and section 3.
#include "block.cuh"

#ifndef TG_T
#define TG_T float
#endif
typedef Accumulate<TG_T>::type Value;

__device__ __forceinline__ float inverse_root(float x) { return 1.0f / sqrtf(x); }
__device__ __forceinline__ double inverse_root(double x) { return 1.0 / sqrt(x); }

// Where the i-th of a channel's batch * plane elements lies.
__device__ __forceinline__ i64 channel_element(i64 i, i64 channel, i64 channels, i64 plane) {
    return (i / plane * channels + channel) * plane + i % plane;
}

extern "C" __global__ void batch_norm_moments(const TG_T* __restrict__ x, Value* __restrict__ mean, Value* __restrict__ rstd,
                                              i64 batch, i64 channels, i64 plane, double epsilon) {
    __shared__ Value scratch[32];
    const i64 count = batch * plane;
    for (i64 channel = blockIdx.x; channel < channels; channel += gridDim.x) {
        Value sum = 0, squares = 0;
        for (i64 i = threadIdx.x; i < count; i += blockDim.x) sum += (Value)x[channel_element(i, channel, channels, plane)];
        const Value center = row_reduce(sum, Sum(), scratch) / (Value)count;
        for (i64 i = threadIdx.x; i < count; i += blockDim.x) {
            const Value distance = (Value)x[channel_element(i, channel, channels, plane)] - center;
            squares += distance * distance;
        }
        const Value variance = row_reduce(squares, Sum(), scratch) / (Value)count;
        if (threadIdx.x == 0) {
            mean[channel] = center;
            rstd[channel] = inverse_root(variance + (Value)epsilon);
        }
    }
}

extern "C" __global__ void batch_norm_apply(const TG_T* __restrict__ x, const Value* __restrict__ mean, const Value* __restrict__ rstd,
                                            const Value* __restrict__ gamma, const Value* __restrict__ beta, TG_T* __restrict__ y,
                                            i64 batch, i64 channels, i64 plane) {
    GRID_STRIDE(i, batch * channels * plane) {
        const i64 channel = i / plane % channels;
        const Value h = ((Value)x[i] - mean[channel]) * rstd[channel];
        y[i] = (TG_T)((gamma ? h * gamma[channel] : h) + (beta ? beta[channel] : (Value)0));
    }
}

extern "C" __global__ void batch_norm_sums(const TG_T* __restrict__ x, const TG_T* __restrict__ dy, const Value* __restrict__ mean,
                                           const Value* __restrict__ rstd, Value* __restrict__ dgamma, Value* __restrict__ dbeta,
                                           i64 batch, i64 channels, i64 plane) {
    __shared__ Value scratch[32];
    const i64 count = batch * plane;
    for (i64 channel = blockIdx.x; channel < channels; channel += gridDim.x) {
        Value sum = 0, product = 0;
        for (i64 i = threadIdx.x; i < count; i += blockDim.x) {
            const i64 at = channel_element(i, channel, channels, plane);
            sum += (Value)dy[at];
            product += (Value)dy[at] * ((Value)x[at] - mean[channel]);
        }
        sum = row_reduce(sum, Sum(), scratch);
        product = row_reduce(product, Sum(), scratch);
        if (threadIdx.x == 0) {
            dbeta[channel] = sum;
            dgamma[channel] = product * rstd[channel];
        }
    }
}

extern "C" __global__ void batch_norm_grad(const TG_T* __restrict__ x, const TG_T* __restrict__ dy, const Value* __restrict__ mean,
                                           const Value* __restrict__ rstd, const Value* __restrict__ gamma,
                                           const Value* __restrict__ dgamma, const Value* __restrict__ dbeta, TG_T* __restrict__ dx,
                                           i64 batch, i64 channels, i64 plane) {
    const Value share = (Value)1 / (Value)(batch * plane);
    GRID_STRIDE(i, batch * channels * plane) {
        const i64 channel = i / plane % channels;
        const Value h = ((Value)x[i] - mean[channel]) * rstd[channel];
        const Value rest = (Value)dy[i] - dbeta[channel] * share - h * dgamma[channel] * share;
        dx[i] = (TG_T)(rest * rstd[channel] * (gamma ? gamma[channel] : (Value)1));
    }
}
