// Implicit gemm: out(m, n) = sum over k of a(m, k) b(n, k), where a and b are gathered by functors, never stored.
//
// A block of 256 threads makes a TILE_M x TILE_N tile: 32, 64 or 128 each.  It
// moves slices of k through two shared-memory buffers: while one is multiplied, the next is fetched into registers.
// CUDA cores: each thread makes a piece of a 16th by a 16th of the tile.  Tensor cores (mma.cuh): eight warps as 2 x 4.
// The launch is the same either way.
//
// A loader L has   Row row(Index m)            what depends on the tile's row (or column) alone
//                  Column column(Index k)      what depends on the position along k alone
//                  Value at(Row, Column)       the element, 0 where there is padding
//                  static const bool k_fastest whether neighbours along k lie side by side in memory
// and a store S    operator()(m, n, values)    of TILE_WINDOW neighbouring rows (1, 2 or 4; 1 on tensor cores).
//
// Source: the register-tiled gemm of V. Volkov, J. Demmel (SC 2008) with the gather of S. Chetlur et al., cuDNN
// (arXiv:1410.0759), section 3.2.
#pragma once
#include "index.cuh"
#include "mma.cuh"

#ifndef TILE_M
#define TILE_M 64
#endif
#ifndef TILE_N
#define TILE_N 64
#endif
#ifndef TILE_WINDOW
#define TILE_WINDOW 1
#endif
// Slices of k that are multiplied per step, in words of shared memory; with 16-bit tensor cores a word is two k.
#define TILE_WORDS 16
#define TILE_THREADS 256
// Words more per line.  8 for tensor cores: fragment reads of 4 lines x 8 columns then touch 32 different banks.  4
// without: writes along k meet in pairs at most, and lines stay aligned for reads of four words.
#define TILE_PAD (TG_MMA == MMA_NONE ? 4 : 8)

#if TG_MMA == MMA_NONE
const int values_per_word = 1;
template <typename Value> struct Word { typedef Value type; };
template <typename Value>
__device__ __forceinline__ Value pack_word(const Value* values) { return values[0]; }
#else
template <typename Value> struct Word { typedef u32 type; };
#endif

// Two blocks per multiprocessor where the sums leave room; without a bound the assembler may spill for a third.
#define TILE_LAUNCH __launch_bounds__(TILE_THREADS, sizeof(Accumulate<TG_T>::type) == 8 || TILE_M * TILE_N > 64 * 64 ? 1 : 2)

template <typename Value>
struct alignas(16) TileMemory {
    typename Word<Value>::type a[2][TILE_WORDS][TILE_M + TILE_PAD];
    typename Word<Value>::type b[2][TILE_WORDS][TILE_N + TILE_PAD];
};

// One operand's share of a thread: which words of the tile it fetches, and those words while they wait.
template <typename Loader, typename Value, int extent>
struct Stage {
    static const int count = extent * TILE_WORDS / TILE_THREADS;
    static const int lines = Loader::k_fastest ? count : 1;
    typename Word<Value>::type held[count];
    typename Loader::Row rows[lines];
    bool row_inside[lines];

    __device__ __forceinline__ int line(int i) const {  // position along m or n
        return Loader::k_fastest ? threadIdx.x / TILE_WORDS + i * (TILE_THREADS / TILE_WORDS) : threadIdx.x % extent;
    }
    __device__ __forceinline__ int word(int i) const {  // position along k
        return Loader::k_fastest ? threadIdx.x % TILE_WORDS : threadIdx.x / extent + i * (TILE_THREADS / extent);
    }
    __device__ __forceinline__ void begin(const Loader& loader, Index first, Index size) {
#pragma unroll
        for (int i = 0; i < lines; ++i) {
            row_inside[i] = first + line(i) < size;
            rows[i] = loader.row(row_inside[i] ? first + line(i) : 0);
        }
    }
    __device__ __forceinline__ void fetch(const Loader& loader, Index k, Index k_end) {
#pragma unroll
        for (int i = 0; i < count; ++i) {
            const int r = Loader::k_fastest ? i : 0;
            Value values[values_per_word];
#pragma unroll
            for (int j = 0; j < values_per_word; ++j) {
                const Index position = k + word(i) * values_per_word + j;
                const bool inside = row_inside[r] && position < k_end;
                values[j] = inside ? loader.at(rows[r], loader.column(position)) : (Value)0;
            }
            held[i] = pack_word(values);
        }
    }
    __device__ __forceinline__ void put(typename Word<Value>::type (*shared)[extent + TILE_PAD]) const {
#pragma unroll
        for (int i = 0; i < count; ++i) shared[word(i)][line(i)] = held[i];
    }
};

#if TG_MMA == MMA_NONE
// Fused, as the options of compilation forbid it elsewhere.
#ifdef TG_EMULATOR
template <typename Value>
__device__ __forceinline__ Value multiply_add(Value a, Value b, Value sum) { return a * b + sum; }
#else
__device__ __forceinline__ float multiply_add(float a, float b, float sum) { return __fmaf_rn(a, b, sum); }
__device__ __forceinline__ double multiply_add(double a, double b, double sum) { return __fma_rn(a, b, sum); }
#endif

// Thread (x, y) = (t % 16, t / 16) owns rows 4 x .. 4 x + 3 of every 64 and columns 4 y .. 4 y + 3 of every 64, which
// are read from shared memory four at a time; a tile below 64 has fewer to a thread.
template <typename Value>
struct ProductFma {
    static const int rows = TILE_M / 16, columns = TILE_N / 16;
    Value sums[rows][columns];

    static const int row_run = rows < 4 ? rows : 4, column_run = columns < 4 ? columns : 4;
    __device__ __forceinline__ static int row(int i) {
        return threadIdx.x % 16 * row_run + i % row_run + i / row_run * (16 * row_run);
    }
    __device__ __forceinline__ static int column(int j) {
        return threadIdx.x / 16 * column_run + j % column_run + j / column_run * (16 * column_run);
    }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < rows; ++i)
#pragma unroll
            for (int j = 0; j < columns; ++j) sums[i][j] = 0;
    }
    __device__ __forceinline__ void step(const TileMemory<Value>& shared, int buffer) {
#pragma unroll
        for (int k = 0; k < TILE_WORDS; ++k) {
            Value a[rows], b[columns];
#pragma unroll
            for (int i = 0; i < rows; ++i) a[i] = shared.a[buffer][k][row(i)];
#pragma unroll
            for (int j = 0; j < columns; ++j) b[j] = shared.b[buffer][k][column(j)];
#pragma unroll
            for (int i = 0; i < rows; ++i)
#pragma unroll
                for (int j = 0; j < columns; ++j) sums[i][j] = multiply_add(a[i], b[j], sums[i][j]);
        }
    }
    template <typename Store>
    __device__ __forceinline__ void finish(const Store& store, Index m, Index n, Index m_size, Index n_size) const {
#pragma unroll
        for (int j = 0; j < columns; ++j)
#pragma unroll
            for (int i = 0; i < rows; i += TILE_WINDOW)
                if (m + row(i) < m_size && n + column(j) < n_size) {
                    Value values[TILE_WINDOW];
#pragma unroll
                    for (int w = 0; w < TILE_WINDOW; ++w) values[w] = sums[i + w][j];
                    store(m + row(i), n + column(j), values);
                }
    }
};
#define TILE_PRODUCT ProductFma
#else
// Warp (x, y) = (warp % 2, warp / 2) owns TILE_M / 2 rows and TILE_N / 4 columns, in fragments of 16 x 8.
static_assert(TILE_WINDOW == 1, "rows of a window lie in different lanes");
template <typename Value>
struct ProductMma {
    static const int rows = TILE_M / 32, columns = TILE_N / 32;
    float sums[rows][columns][4];

    __device__ __forceinline__ static int row(int i) { return threadIdx.x / 32 % 2 * (TILE_M / 2) + 16 * i; }
    __device__ __forceinline__ static int column(int j) { return threadIdx.x / 64 * (TILE_N / 4) + 8 * j; }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < rows; ++i)
#pragma unroll
            for (int j = 0; j < columns; ++j)
#pragma unroll
                for (int c = 0; c < 4; ++c) sums[i][j][c] = 0;
    }
    __device__ __forceinline__ void step(const TileMemory<Value>& shared, int buffer) {
        const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
#pragma unroll
        for (int k = 0; k < TILE_WORDS; k += 8) {
            u32 a[rows][4], b[columns][2];
#pragma unroll
            for (int i = 0; i < rows; ++i)
#pragma unroll
                for (int c = 0; c < 4; ++c)
                    a[i][c] = shared.a[buffer][k + member + c / 2 * 4][row(i) + group + c % 2 * 8];
#pragma unroll
            for (int j = 0; j < columns; ++j)
#pragma unroll
                for (int c = 0; c < 2; ++c) b[j][c] = shared.b[buffer][k + member + c * 4][column(j) + group];
#pragma unroll
            for (int i = 0; i < rows; ++i)
#pragma unroll
                for (int j = 0; j < columns; ++j) multiply_add(sums[i][j], a[i], b[j]);
        }
    }
    template <typename Store>
    __device__ __forceinline__ void finish(const Store& store, Index m, Index n, Index m_size, Index n_size) const {
        const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
#pragma unroll
        for (int j = 0; j < columns; ++j)
#pragma unroll
            for (int i = 0; i < rows; ++i)
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    const Index r = m + row(i) + group + c / 2 * 8, s = n + column(j) + 2 * member + c % 2;
                    if (r < m_size && s < n_size) store(r, s, &sums[i][j][c]);
                }
    }
};
#define TILE_PRODUCT ProductMma
#endif

// The tile whose first row is m and first column n, summed over k_begin <= k < k_end.  All 256 threads take part.
template <typename Value, typename A, typename B, typename Store>
__device__ __forceinline__ void implicit_gemm(const A& a, const B& b, const Store& store, Index m, Index n, Index m_size,
                                              Index n_size, Index k_begin, Index k_end, TileMemory<Value>& shared) {
    const int step = TILE_WORDS * values_per_word;
    Stage<A, Value, TILE_M> stage_a;
    Stage<B, Value, TILE_N> stage_b;
    TILE_PRODUCT<Value> product;
    product.clear();
    stage_a.begin(a, m, m_size);
    stage_b.begin(b, n, n_size);
    int buffer = 0;
    if (k_begin < k_end) {
        stage_a.fetch(a, k_begin, k_end);
        stage_b.fetch(b, k_begin, k_end);
    }
    for (Index k = k_begin; k < k_end; k += step) {
        stage_a.put(shared.a[buffer]);
        stage_b.put(shared.b[buffer]);
        __syncthreads();  // one barrier a step is enough: the next step writes the other buffer
        if (k + step < k_end) {
            stage_a.fetch(a, k + step, k_end);
            stage_b.fetch(b, k + step, k_end);
        }
        product.step(shared, buffer);
        buffer ^= 1;
    }
    product.finish(store, m, n, m_size, n_size);
}
