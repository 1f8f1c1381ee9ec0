// Take and put along the middle axis: x[outer][size][inner], indices[count], y[outer][count][inner].
//
//   gather                y[o, j, i] = x[o, indices[j], i]
//   scatter_add           x[o, indices[j], i] += y[o, j, i], by atomics: the order of equal indices varies
//   scatter_add_sorted    the same in a fixed order: `order` sorts the indices (stable)
//   scatter_set_sorted    x[o, indices[j], i] = y[o, j, i], the last of equal indices wins, as in NumPy
// Points (x[rows, labels]) are the case outer == inner == 1 with flat indices.
// Indices (TG_LABEL: i64 or int) may count from the end; one out of range sets *error (may be null), and reads as 0.
// Launch: any one-dimensional grid and block; a thread per element of y.
// Arguments: x, indices, y (gather writes y, the others x; sorted: x, indices, order, y), outer, size, inner, count, error.
// Source: the gradient of embedding lookups, e.g. T. Mikolov et al. (2013); the sorted form is a segmented sum.
#include "atomics.cuh"
#include "index.cuh"

#ifndef TG_T
#define TG_T float
#endif
#ifndef TG_LABEL
#define TG_LABEL i64
#endif
typedef Accumulate<TG_T>::type Value;

extern "C" __global__ void gather(const TG_T* __restrict__ x, const TG_LABEL* __restrict__ indices, TG_T* __restrict__ y,
                                  i64 outer, i64 size, i64 inner, i64 count, int* error) {
    GRID_STRIDE(element, outer * count * inner) {
        const i64 i = element % inner, j = element / inner % count, o = element / inner / count;
        const i64 source = wrap_index((i64)indices[j], size);
        if (source < 0) report_error(error);
        y[element] = source < 0 ? (TG_T)0 : x[(o * size + source) * inner + i];
    }
}

extern "C" __global__ void scatter_add(TG_T* x, const TG_LABEL* __restrict__ indices, const TG_T* __restrict__ y, i64 outer,
                                       i64 size, i64 inner, i64 count, int* error) {
    GRID_STRIDE(element, outer * count * inner) {
        const i64 i = element % inner, j = element / inner % count, o = element / inner / count;
        const i64 target = wrap_index((i64)indices[j], size);
        if (target < 0) report_error(error);
        else atomic_add(x + (o * size + target) * inner + i, y[element]);
    }
}

// Walks the entries of equal index that start at position j of the order; the first of each run does the work.
template <bool add>
__device__ __forceinline__ void scatter_sorted(TG_T* x, const TG_LABEL* indices, const i64* order, const TG_T* y, i64 outer,
                                               i64 size, i64 inner, i64 count, int* error) {
    GRID_STRIDE(element, outer * count * inner) {
        const i64 i = element % inner, o = element / inner / count;
        i64 j = element / inner % count;
        const i64 target = wrap_index((i64)indices[order[j]], size);
        if (target < 0) {
            report_error(error);
            continue;
        }
        if (j > 0 && indices[order[j - 1]] == indices[order[j]]) continue;
        TG_T* place = x + (o * size + target) * inner + i;
        Value value = (Value)*place;
        for (const TG_LABEL index = indices[order[j]]; j < count && indices[order[j]] == index; ++j) {
            const Value next = (Value)y[(o * count + order[j]) * inner + i];
            value = add ? value + next : next;
        }
        *place = (TG_T)value;
    }
}

// The indices must not be negative here: normalise them before sorting (two names of one place would race).
extern "C" __global__ void scatter_add_sorted(TG_T* x, const TG_LABEL* __restrict__ indices, const i64* __restrict__ order,
                                              const TG_T* __restrict__ y, i64 outer, i64 size, i64 inner, i64 count, int* error) {
    scatter_sorted<true>(x, indices, order, y, outer, size, inner, count, error);
}

extern "C" __global__ void scatter_set_sorted(TG_T* x, const TG_LABEL* __restrict__ indices, const i64* __restrict__ order,
                                              const TG_T* __restrict__ y, i64 outer, i64 size, i64 inner, i64 count, int* error) {
    scatter_sorted<false>(x, indices, order, y, outer, size, inner, count, error);
}
