// Layer normalisation of each row of x[rows][size], and its gradients.
//
//   y = gamma (x - mean) rstd + beta,  rstd = 1 / sqrt(variance + epsilon), the variance that of the row (biased)
//   with h = (x - mean) rstd and g = gamma dy:  dx = rstd (g - mean(g) - h mean(g h)),  dgamma = sum(dy h),  dbeta = sum(dy)
// The variance is taken around the mean in a second pass, so that a large mean costs no digits.
// Launch: layer_norm, layer_norm_grad: block (32 k, rows) as in softmax.cu, any one-dimensional grid;
//         layer_norm_grad_parameters: grid any, block (32, 8), threads.x along the columns.
// Arguments: x, gamma, beta (either may be null), y, mean, rstd, rows, size, epsilon | x, gamma, mean, rstd, dy, dx,
//            rows, size | x, mean, rstd, dy, dgamma, dbeta, rows, size.  mean and rstd in the accumulator's type.
// Source: J. Ba, J. Kiros, G. Hinton, Layer normalization (arXiv:1607.06450), eq. 3.
#include "block.cuh"

#ifndef TG_T
#define TG_T float
#endif
typedef Accumulate<TG_T>::type Value;

__device__ __forceinline__ float inverse_root(float x) { return 1.0f / sqrtf(x); }
__device__ __forceinline__ double inverse_root(double x) { return 1.0 / sqrt(x); }

extern "C" __global__ void layer_norm(const TG_T* __restrict__ x, const TG_T* __restrict__ gamma, const TG_T* __restrict__ beta,
                                      TG_T* __restrict__ y, Value* __restrict__ mean, Value* __restrict__ rstd, i64 rows, i64 size,
                                      double epsilon) {
    __shared__ Value scratch[32];
    EACH_VECTOR(rows) {
        const TG_T* row = x + vector * size;
        Value sum = 0, squares = 0;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x) sum += (Value)row[i];
        const Value center = row_reduce(sum, Sum(), scratch) / (Value)size;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x) {
            const Value distance = (Value)row[i] - center;
            squares += distance * distance;
        }
        const Value scale = inverse_root(row_reduce(squares, Sum(), scratch) / (Value)size + (Value)epsilon);
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x) {
            const Value h = ((Value)row[i] - center) * scale;
            y[vector * size + i] = (TG_T)((gamma ? h * (Value)gamma[i] : h) + (beta ? (Value)beta[i] : (Value)0));
        }
        if (inside && threadIdx.x == 0) {
            mean[vector] = center;
            rstd[vector] = scale;
        }
    }
}

extern "C" __global__ void layer_norm_grad(const TG_T* __restrict__ x, const TG_T* __restrict__ gamma, const Value* __restrict__ mean,
                                           const Value* __restrict__ rstd, const TG_T* __restrict__ dy, TG_T* __restrict__ dx,
                                           i64 rows, i64 size) {
    __shared__ Value scratch[32];
    EACH_VECTOR(rows) {
        const TG_T *row = x + vector * size, *gradient = dy + vector * size;
        const Value center = mean[vector], scale = rstd[vector];
        Value sum = 0, product = 0;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x) {
            const Value g = (Value)gradient[i] * (gamma ? (Value)gamma[i] : (Value)1);
            sum += g;
            product += g * ((Value)row[i] - center) * scale;
        }
        sum = row_reduce(sum, Sum(), scratch) / (Value)size;
        product = row_reduce(product, Sum(), scratch) / (Value)size;
        for (i64 i = threadIdx.x; inside && i < size; i += blockDim.x) {
            const Value g = (Value)gradient[i] * (gamma ? (Value)gamma[i] : (Value)1);
            dx[vector * size + i] = (TG_T)(scale * (g - sum - ((Value)row[i] - center) * scale * product));
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 4)
layer_norm_grad_parameters(const TG_T* __restrict__ x, const Value* __restrict__ mean, const Value* __restrict__ rstd,
                           const TG_T* __restrict__ dy, TG_T* __restrict__ dgamma, TG_T* __restrict__ dbeta, i64 rows, i64 size) {
    __shared__ Value parts[2][8][32];
    for (i64 first = (i64)blockIdx.x * 32; first < size; first += (i64)gridDim.x * 32) {
        const i64 i = first + threadIdx.x;
        Value sum = 0, product = 0;
        for (i64 row = threadIdx.y; i < size && row < rows; row += 8) {
            const Value g = (Value)dy[row * size + i];
            sum += g;
            product += g * ((Value)x[row * size + i] - mean[row]) * rstd[row];
        }
        parts[0][threadIdx.y][threadIdx.x] = product;
        parts[1][threadIdx.y][threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.y < 2 && i < size) {
            Value total = 0;
            for (int y = 0; y < 8; ++y) total += parts[threadIdx.y][y][threadIdx.x];
            (threadIdx.y ? dbeta : dgamma)[i] = (TG_T)total;
        }
        __syncthreads();
    }
}
