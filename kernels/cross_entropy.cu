// Softmax and cross-entropy in one, from logits x[rows][classes], without the probabilities ever being stored.
//
//   loss[r] = lse[r] - x[r, label[r]]                       lse[r] = log(sum(exp(x[r])))
//   dx[r]   = dloss[r] (softmax(x[r]) - onehot(label[r]))
// and for dense targets p[rows][classes], which need not sum to 1:
//   loss[r] = sum(p[r]) lse[r] - sum(p[r] x[r])             dx[r] = dloss[r] (sum(p[r]) softmax(x[r]) - p[r])
// The gradient of the dense loss to p is lse[r] - x[r], an elementwise nest.
// Launch: block (threads, rows) as in softmax.cu; any one-dimensional grid.
// Arguments: x, labels (TG_LABEL: i64), loss, lse (in the accumulator's type), rows, classes, error (int, may be null);
// gradients: x, labels, lse, dloss, dx, rows, classes.  Labels may count from the end; one out of range sets *error,
// its loss and gradient are nan.
// Source: as softmax.cu; the gradient is that of C. Bishop, Pattern recognition and machine learning (2006), eq. 4.109.
#include "row_softmax.cuh"

#ifndef TG_LABEL
#define TG_LABEL i64
#endif

extern "C" __global__ void cross_entropy(const TG_T* __restrict__ x, const TG_LABEL* __restrict__ labels, TG_T* __restrict__ loss,
                                         Value* __restrict__ lse, i64 rows, i64 classes, int* error) {
    __shared__ Normalizer scratch[32];
    EACH_VECTOR(rows) {
        const TG_T* row = x + vector * classes;
        const Normalizer total = row_normalizer(row, inside ? classes : 0, 1, scratch);
        if (!inside || threadIdx.x) continue;
        const i64 label = wrap_index((i64)labels[vector], classes);
        const Value log_sum = logarithm(total.sum);
        lse[vector] = total.largest + log_sum;
        if (label < 0) report_error(error);
        // largest - x before adding log_sum: both are exact for logits of great magnitude
        loss[vector] = (TG_T)(label < 0 ? Limits<Value>::nan() : total.largest - (Value)row[label] + log_sum);
    }
}

extern "C" __global__ void cross_entropy_grad(const TG_T* __restrict__ x, const TG_LABEL* __restrict__ labels,
                                              const Value* __restrict__ lse, const TG_T* __restrict__ dloss,
                                              TG_T* __restrict__ dx, i64 rows, i64 classes) {
    GRID_ROWS(row, rows) {
        const i64 label = wrap_index((i64)labels[row], classes);
        const Value scale = label < 0 ? Limits<Value>::nan() : (Value)dloss[row], shift = lse[row];
        for (i64 i = threadIdx.x; i < classes; i += blockDim.x) {
            const Value probability = exponential((Value)x[row * classes + i] - shift);
            dx[row * classes + i] = (TG_T)(scale * (probability - (i == label ? (Value)1 : (Value)0)));
        }
    }
}

extern "C" __global__ void cross_entropy_dense(const TG_T* __restrict__ x, const TG_T* __restrict__ p, TG_T* __restrict__ loss,
                                               Value* __restrict__ lse, i64 rows, i64 classes) {
    __shared__ Normalizer scratch[32];
    __shared__ Value sums[32];
    EACH_VECTOR(rows) {
        const i64 base = vector * classes;
        const Normalizer total = row_normalizer(x + base, inside ? classes : 0, 1, scratch);
        const Value log_sum = logarithm(total.sum);
        Value sum = 0;
        for (i64 i = threadIdx.x; inside && i < classes; i += blockDim.x) {
            const Value weight = (Value)p[base + i];
            // a weight of 0 takes no part, whatever its logit (0 * inf)
            if (weight != (Value)0) sum += weight * (total.largest - (Value)x[base + i] + log_sum);
        }
        sum = row_reduce(sum, Sum(), sums);
        if (!inside || threadIdx.x) continue;
        lse[vector] = total.largest + log_sum;
        loss[vector] = (TG_T)sum;
    }
}

extern "C" __global__ void cross_entropy_dense_grad(const TG_T* __restrict__ x, const TG_T* __restrict__ p,
                                                    const Value* __restrict__ lse, const TG_T* __restrict__ dloss,
                                                    TG_T* __restrict__ dx, i64 rows, i64 classes) {
    __shared__ Value scratch[32];
    EACH_VECTOR(rows) {
        const i64 base = vector * classes;
        Value sum = 0;
        for (i64 i = threadIdx.x; inside && i < classes; i += blockDim.x) sum += (Value)p[base + i];
        sum = row_reduce(sum, Sum(), scratch);
        const Value scale = (Value)dloss[vector], shift = lse[vector];
        for (i64 i = threadIdx.x; inside && i < classes; i += blockDim.x)
            dx[base + i] = (TG_T)(scale * (sum * exponential((Value)x[base + i] - shift) - (Value)p[base + i]));
    }
}
