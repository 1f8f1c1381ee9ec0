// Pooling of planes x[planes][height][width] to y[planes][out_height][out_width]: maximum, sum, averages, and gradients.
//
// Window (i, j) covers rows i * stride_h - pad_h and on, `rows` of them, likewise columns; what lies outside x does not
// take part.  Maximum: the first of equal values in row-major order wins, a nan wins over all, and its place in
// the window is kept as TG_OFFSET (unsigned char; windows above 256 elements: unsigned short or int).
// TG_POOL: 0 sum, 1 average over the window clipped to the padded plane, 2 average over elements of x only.
// Launch: any one-dimensional grid and block; forward: a thread per output, gradients: a thread per input (it visits
// the windows that hold it, so no atomics and a fixed order).
// Arguments: the arrays, planes, then height, width, out_height, out_width, rows, columns, stride_h, stride_w, pad_h,
// pad_w; second derivatives need pool_max_pick, which reads another array at the places of the maxima.
// Source: B. Graham, Fractional max-pooling (arXiv:1412.6071), section 2, for the clipped windows.
#include "index.cuh"

#ifndef TG_T
#define TG_T float
#endif
#ifndef TG_OFFSET
#define TG_OFFSET unsigned char
#endif
#ifndef TG_POOL
#define TG_POOL 0
#endif
typedef Accumulate<TG_T>::type Value;

struct Pool {
    int height, width, out_height, out_width, rows, columns, stride_h, stride_w, pad_h, pad_w;
};
#define POOL_PARAMETERS                                                                                      \
    int height, int width, int out_height, int out_width, int rows, int columns, int stride_h, int stride_w, \
        int pad_h, int pad_w
#define POOL_GEOMETRY \
    Pool { height, width, out_height, out_width, rows, columns, stride_h, stride_w, pad_h, pad_w }

// The part of a window that lies inside x, and where the whole window starts.
struct Window {
    int top, left, first_row, last_row, first_column, last_column;  // last: one past
};

__device__ __forceinline__ Window window_at(const Pool& pool, int i, int j) {
    Window window;
    window.top = i * pool.stride_h - pool.pad_h;
    window.left = j * pool.stride_w - pool.pad_w;
    window.first_row = max(window.top, 0);
    window.last_row = min(window.top + pool.rows, pool.height);
    window.first_column = max(window.left, 0);
    window.last_column = min(window.left + pool.columns, pool.width);
    return window;
}

// What a sum over the window is divided by.
__device__ __forceinline__ Value divisor(const Pool& pool, const Window& window) {
#if TG_POOL == 0
    return 1;
#elif TG_POOL == 1
    const int bottom = min(window.top + pool.rows, pool.height + pool.pad_h);
    const int right = min(window.left + pool.columns, pool.width + pool.pad_w);
    return (Value)((bottom - window.top) * (right - window.left));
#else
    return (Value)((window.last_row - window.first_row) * (window.last_column - window.first_column));
#endif
}

// The range of windows along one axis that hold position p.
__device__ __forceinline__ void windows_of(int p, int pad, int size, int stride, int count, int* first, int* last) {
    const int shifted = p + pad;
    *first = shifted < size ? 0 : (shifted - size) / stride + 1;
    *last = min(shifted / stride + 1, count);
}

extern "C" __global__ void pool_max(const TG_T* __restrict__ x, TG_T* __restrict__ y, TG_OFFSET* __restrict__ where, i64 planes,
                                    POOL_PARAMETERS) {
    const Pool pool = POOL_GEOMETRY;
    const i64 out_plane = (i64)out_height * out_width;
    GRID_STRIDE(index, planes * out_plane) {
        const i64 plane = index / out_plane;
        const int pixel = (int)(index % out_plane);
        const Window window = window_at(pool, pixel / out_width, pixel % out_width);
        const TG_T* input = x + plane * height * width;
        Value best = Limits<TG_T>::lowest();
        int place = 0;
        bool found = false;
        for (int h = window.first_row; h < window.last_row; ++h) {
            for (int v = window.first_column; v < window.last_column; ++v) {
                const Value value = (Value)input[(i64)h * width + v];
                if (!found || value > best || (value != value && best == best)) {
                    best = value;
                    place = (h - window.top) * columns + v - window.left;
                    found = true;
                }
            }
        }
        y[index] = (TG_T)best;
        where[index] = (TG_OFFSET)place;
    }
}

extern "C" __global__ void pool_max_grad(const TG_T* __restrict__ dy, const TG_OFFSET* __restrict__ where, TG_T* __restrict__ dx,
                                         i64 planes, POOL_PARAMETERS) {
    const i64 in_plane = (i64)height * width, out_plane = (i64)out_height * out_width;
    GRID_STRIDE(index, planes * in_plane) {
        const i64 plane = index / in_plane;
        const int h = (int)(index % in_plane / width), v = (int)(index % width);
        int first_i, last_i, first_j, last_j;
        windows_of(h, pad_h, rows, stride_h, out_height, &first_i, &last_i);
        windows_of(v, pad_w, columns, stride_w, out_width, &first_j, &last_j);
        Value sum = 0;
        for (int i = first_i; i < last_i; ++i) {
            for (int j = first_j; j < last_j; ++j) {
                const i64 out = plane * out_plane + (i64)i * out_width + j;
                const int place = (h - i * stride_h + pad_h) * columns + v - j * stride_w + pad_w;
                if ((int)where[out] == place) sum += (Value)dy[out];
            }
        }
        dx[index] = (TG_T)sum;
    }
}

// y[window] = v at the place of that window's maximum, 0 for a window without elements.
extern "C" __global__ void pool_max_pick(const TG_T* __restrict__ v, const TG_OFFSET* __restrict__ where, TG_T* __restrict__ y,
                                         i64 planes, POOL_PARAMETERS) {
    const Pool pool = POOL_GEOMETRY;
    const i64 out_plane = (i64)out_height * out_width;
    GRID_STRIDE(index, planes * out_plane) {
        const int pixel = (int)(index % out_plane), place = (int)where[index];
        const Window window = window_at(pool, pixel / out_width, pixel % out_width);
        const int h = window.top + place / columns, c = window.left + place % columns;
        const bool inside = h >= 0 && h < height && c >= 0 && c < width;
        y[index] = inside ? v[index / out_plane * height * width + (i64)h * width + c] : (TG_T)0;
    }
}

extern "C" __global__ void pool_sum(const TG_T* __restrict__ x, TG_T* __restrict__ y, i64 planes, POOL_PARAMETERS) {
    const Pool pool = POOL_GEOMETRY;
    const i64 out_plane = (i64)out_height * out_width;
    GRID_STRIDE(index, planes * out_plane) {
        const int pixel = (int)(index % out_plane);
        const Window window = window_at(pool, pixel / out_width, pixel % out_width);
        const TG_T* input = x + index / out_plane * height * width;
        Value sum = 0;
        for (int h = window.first_row; h < window.last_row; ++h)
            for (int v = window.first_column; v < window.last_column; ++v) sum += (Value)input[(i64)h * width + v];
        y[index] = (TG_T)(sum / divisor(pool, window));
    }
}

extern "C" __global__ void pool_sum_grad(const TG_T* __restrict__ dy, TG_T* __restrict__ dx, i64 planes, POOL_PARAMETERS) {
    const Pool pool = POOL_GEOMETRY;
    const i64 in_plane = (i64)height * width, out_plane = (i64)out_height * out_width;
    GRID_STRIDE(index, planes * in_plane) {
        const i64 plane = index / in_plane;
        const int h = (int)(index % in_plane / width), v = (int)(index % width);
        int first_i, last_i, first_j, last_j;
        windows_of(h, pad_h, rows, stride_h, out_height, &first_i, &last_i);
        windows_of(v, pad_w, columns, stride_w, out_width, &first_j, &last_j);
        Value sum = 0;
        for (int i = first_i; i < last_i; ++i)
            for (int j = first_j; j < last_j; ++j)
                sum += (Value)dy[plane * out_plane + (i64)i * out_width + j] / divisor(pool, window_at(pool, i, j));
        dx[index] = (TG_T)sum;
    }
}
