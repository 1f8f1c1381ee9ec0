// Number types and memory access shared by all kernels.
//
// half_t and bf16_t store 16 bits and compute as float; Accumulate<T> is the type to sum T in; Limits<T> its range;
// Pack<T, N> moves N elements with one instruction.  Needs no header of the CUDA toolkit, so that NVRTC works alone.
#pragma once

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;

__device__ __forceinline__ float bits_to_float(u32 bits) { return __uint_as_float(bits); }
__device__ __forceinline__ double bits_to_double(u64 bits) { return __longlong_as_double((i64)bits); }

// ---- 16-bit floats ---------------------------------------------------------------------------------------------
__device__ __forceinline__ unsigned short float_to_half_bits(float value) {
#ifdef TG_EMULATOR
    return tg_float_to_half(value);
#else
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
#endif
}

__device__ __forceinline__ float half_bits_to_float(unsigned short bits) {
#ifdef TG_EMULATOR
    return tg_half_to_float(bits);
#else
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
#endif
}

// Round to nearest even in integer arithmetic: sm_75 has no instruction for it.
__device__ __forceinline__ unsigned short float_to_bf16_bits(float value) {
    const u32 bits = __float_as_uint(value);
    if (value != value) return (unsigned short)(bits >> 16 | 0x40u);
    return (unsigned short)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

// IEEE binary16.
struct half_t {
    unsigned short bits;
    half_t() = default;
    __device__ __forceinline__ half_t(float value) : bits(float_to_half_bits(value)) {}
    __device__ __forceinline__ operator float() const { return half_bits_to_float(bits); }
};

// The upper half of a float.
struct bf16_t {
    unsigned short bits;
    bf16_t() = default;
    __device__ __forceinline__ bf16_t(float value) : bits(float_to_bf16_bits(value)) {}
    __device__ __forceinline__ operator float() const { return bits_to_float((u32)bits << 16); }
};

// ---- traits ----------------------------------------------------------------------------------------------------
template <typename T> struct Accumulate { typedef T type; };
template <> struct Accumulate<half_t> { typedef float type; };
template <> struct Accumulate<bf16_t> { typedef float type; };
template <> struct Accumulate<bool> { typedef i64 type; };
template <> struct Accumulate<signed char> { typedef i64 type; };
template <> struct Accumulate<unsigned char> { typedef u64 type; };
template <> struct Accumulate<short> { typedef i64 type; };
template <> struct Accumulate<unsigned short> { typedef u64 type; };
template <> struct Accumulate<int> { typedef i64 type; };
template <> struct Accumulate<unsigned int> { typedef u64 type; };

// The identity elements of max and min.
template <typename T> struct Limits {  // signed integers
    static __device__ __forceinline__ T lowest() { return (T)(1ull << (8 * sizeof(T) - 1)); }
    static __device__ __forceinline__ T highest() { return (T)~(1ull << (8 * sizeof(T) - 1)); }
};
#define TG_UNSIGNED_LIMITS(T)                                          \
    template <> struct Limits<T> {                                     \
        static __device__ __forceinline__ T lowest() { return (T)0; }  \
        static __device__ __forceinline__ T highest() { return (T)~0ull; } \
    };
TG_UNSIGNED_LIMITS(bool)
TG_UNSIGNED_LIMITS(unsigned char)
TG_UNSIGNED_LIMITS(unsigned short)
TG_UNSIGNED_LIMITS(unsigned int)
TG_UNSIGNED_LIMITS(u64)
#undef TG_UNSIGNED_LIMITS
template <> struct Limits<float> {
    static __device__ __forceinline__ float lowest() { return bits_to_float(0xFF800000u); }
    static __device__ __forceinline__ float highest() { return bits_to_float(0x7F800000u); }
    static __device__ __forceinline__ float nan() { return bits_to_float(0x7FC00000u); }
};
template <> struct Limits<double> {
    static __device__ __forceinline__ double lowest() { return bits_to_double(0xFFF0000000000000ull); }
    static __device__ __forceinline__ double highest() { return bits_to_double(0x7FF0000000000000ull); }
    static __device__ __forceinline__ double nan() { return bits_to_double(0x7FF8000000000000ull); }
};
template <> struct Limits<half_t> : Limits<float> {};
template <> struct Limits<bf16_t> : Limits<float> {};

// ---- vectorised access -----------------------------------------------------------------------------------------
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
    T lane[N];
};

// Whether p may be read as Pack<T, N>; views of an array may start anywhere.
template <int N, typename T>
__device__ __forceinline__ bool is_aligned(const T* p) {
    return ((u64)p & (sizeof(T) * N - 1)) == 0;
}

template <int N, typename T>
__device__ __forceinline__ Pack<T, N> load_pack(const T* p) {
    return *reinterpret_cast<const Pack<T, N>*>(p);
}

template <int N, typename T>
__device__ __forceinline__ void store_pack(T* p, const Pack<T, N>& values) {
    *reinterpret_cast<Pack<T, N>*>(p) = values;
}
