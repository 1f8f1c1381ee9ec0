// Atomics, bit tricks, conversions and CUDA's extra math functions for a host compiler (part of cuda_emulator.h).
#pragma once

// ---- atomics: fibers never run at the same time, so plain memory operations are atomic ------------------------------
template <typename T, typename U>
static T atomicAdd(T* p, U v) { T old = *p; *p = old + static_cast<T>(v); return old; }
template <typename T, typename U>
static T atomicSub(T* p, U v) { T old = *p; *p = old - static_cast<T>(v); return old; }
template <typename T, typename U>
static T atomicMax(T* p, U v) { T old = *p; if (static_cast<T>(v) > old) *p = static_cast<T>(v); return old; }
template <typename T, typename U>
static T atomicMin(T* p, U v) { T old = *p; if (static_cast<T>(v) < old) *p = static_cast<T>(v); return old; }
template <typename T, typename U>
static T atomicExch(T* p, U v) { T old = *p; *p = static_cast<T>(v); return old; }
template <typename T, typename U>
static T atomicOr(T* p, U v) { T old = *p; *p = old | static_cast<T>(v); return old; }
template <typename T, typename U>
static T atomicAnd(T* p, U v) { T old = *p; *p = old & static_cast<T>(v); return old; }
template <typename T, typename U, typename V>
static T atomicCAS(T* p, U expected, V v) {
    T old = *p;
    if (old == static_cast<T>(expected)) *p = static_cast<T>(v);
    return old;
}
static inline unsigned int atomicInc(unsigned int* p, unsigned int limit) {
    unsigned int old = *p;
    *p = old >= limit ? 0 : old + 1;
    return old;
}

// ---- loads, bits ------------------------------------------------------------------------------------------------
template <typename T>
static T __ldg(const T* p) { return *p; }
template <typename T>
static T __ldcs(const T* p) { return *p; }
template <typename T, typename U>
static void __stcs(T* p, U v) { *p = v; }
static inline unsigned int __umulhi(unsigned int a, unsigned int b) { return (uint64_t(a) * b) >> 32; }
static inline int __mulhi(int a, int b) { return (int64_t(a) * b) >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return ((unsigned __int128)a * b) >> 64;
}
static inline int __popc(unsigned int v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __ffsll(long long v) { return __builtin_ffsll(v); }
static inline unsigned int __brev(unsigned int v) {
    unsigned int r = 0;
    for (int i = 0; i < 32; ++i) r |= (v >> i & 1) << (31 - i);
    return r;
}
template <typename To, typename From>
static To tg_bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "sizes differ");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline int __float_as_int(float v) { return tg_bit_cast<int>(v); }
static inline unsigned int __float_as_uint(float v) { return tg_bit_cast<unsigned int>(v); }
static inline float __int_as_float(int v) { return tg_bit_cast<float>(v); }
static inline float __uint_as_float(unsigned int v) { return tg_bit_cast<float>(v); }
static inline long long __double_as_longlong(double v) { return tg_bit_cast<long long>(v); }
static inline double __longlong_as_double(long long v) { return tg_bit_cast<double>(v); }
static inline int __double2hiint(double v) { return int(tg_bit_cast<uint64_t>(v) >> 32); }
static inline int __double2loint(double v) { return int(tg_bit_cast<uint64_t>(v)); }

// ---- conversions ------------------------------------------------------------------------------------------------
static inline int __float2int_rn(float v) { return int(nearbyintf(v)); }
static inline int __float2int_rd(float v) { return int(floorf(v)); }
static inline int __float2int_rz(float v) { return int(v); }
static inline float __int2float_rn(int v) { return float(v); }
static inline float __uint2float_rn(unsigned int v) { return float(v); }
static inline float __double2float_rn(double v) { return float(v); }

// IEEE binary16, round to nearest even, with subnormals, infinities and nan.
static inline unsigned short tg_float_to_half(float value) {
    const uint32_t bits = __float_as_uint(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return sign | 0x7E00u;
    if (magnitude >= 0x47800000u) return sign | 0x7C00u;
    if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 leaves the rounded mantissa in the low bits
        const float shifted = __uint_as_float(magnitude) + 0.5f;
        return sign | (__float_as_uint(shifted) - 0x3F000000u);
    }
    const uint32_t odd = magnitude >> 13 & 1;
    return sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13);
}
static inline float tg_half_to_float(unsigned short bits) {
    const uint32_t sign = uint32_t(bits & 0x8000u) << 16, exponent = bits >> 10 & 31, mantissa = bits & 0x3FFu;
    if (exponent == 31) return __uint_as_float(sign | 0x7F800000u | mantissa << 13);
    const float value = exponent ? ldexpf(float(1024 + mantissa), int(exponent) - 25) : ldexpf(float(mantissa), -24);
    return sign ? -value : value;
}

// ---- mathematics ------------------------------------------------------------------------------------------------
#define TG_MIN_MAX(type)                                                       \
    static inline type min(type a, type b) { return b < a ? b : a; }           \
    static inline type max(type a, type b) { return a < b ? b : a; }
TG_MIN_MAX(int)
TG_MIN_MAX(unsigned int)
TG_MIN_MAX(long)
TG_MIN_MAX(unsigned long)
TG_MIN_MAX(long long)
TG_MIN_MAX(unsigned long long)
#undef TG_MIN_MAX
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline long long llabs_(long long v) { return v < 0 ? -v : v; }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
static inline double rcbrt(double x) { return 1.0 / cbrt(x); }
static inline float sinpif(float x) { return float(sin(M_PI * fmod(double(x), 2.0))); }
static inline float cospif(float x) { return float(cos(M_PI * fmod(double(x), 2.0))); }
static inline double sinpi(double x) { return sin(M_PI * fmod(x, 2.0)); }
static inline double cospi(double x) { return cos(M_PI * fmod(x, 2.0)); }
static inline void sincospif(float x, float* s, float* c) { *s = sinpif(x); *c = cospif(x); }
static inline void sincospi(double x, double* s, double* c) { *s = sinpi(x); *c = cospi(x); }
static inline double erfcx(double x) {
    if (x < 25) return exp(x * x) * erfc(x);
    const double h = 0.5 / (x * x);  // asymptotic series
    return (1 - h * (1 - 3 * h * (1 - 5 * h * (1 - 7 * h)))) / (x * sqrt(M_PI));
}
static inline float erfcxf(float x) { return float(erfcx(x)); }
// A starting guess (S. Winitzki, 2008), then Newton steps: x >= 0 with erfc(x) = q, 0 < q <= 1.
static inline double tg_tail_inverse(double q) {
    const double a = 0.147, l = log(q * (2 - q)), h = 2 / (M_PI * a) + l / 2;
    double x = sqrt(fmax(sqrt(h * h - l / a) - h, 0.0));
    for (int i = 0; i < 5; ++i) x += (erfc(x) / q - 1) * q * sqrt(M_PI) / 2 * exp(x * x);
    return x;
}
static inline double erfinv(double y) {
    if (!(fabs(y) < 1)) return fabs(y) == 1 ? copysign(INFINITY, y) : NAN;
    if (fabs(y) > 0.5) return copysign(tg_tail_inverse(1 - fabs(y)), y);
    double x = y * sqrt(M_PI) / 2;
    for (int i = 0; i < 6; ++i) x -= (erf(x) - y) * sqrt(M_PI) / 2 * exp(x * x);
    return x;
}
static inline double erfcinv(double y) {
    if (!(y > 0 && y < 2)) return y == 0 ? INFINITY : y == 2 ? -INFINITY : NAN;
    return y < 0.5 ? tg_tail_inverse(y) : y > 1.5 ? -tg_tail_inverse(2 - y) : erfinv(1 - y);
}
static inline float erfcinvf(float y) { return float(erfcinv(y)); }
static inline float erfinvf(float y) { return float(erfinv(y)); }
static inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
static inline float normcdff(float x) { return float(normcdf(x)); }
static inline double normcdfinv(double p) { return M_SQRT2 * erfinv(2 * p - 1); }
static inline float normcdfinvf(float p) { return float(normcdfinv(p)); }

// glibc declares functions of these names for its own use, hence macros.
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __powf(x, y) powf(x, y)
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fsub_rn(float x, float y) { return x - y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fdiv_rn(float x, float y) { return x / y; }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
static inline double __dadd_rn(double x, double y) { return x + y; }
static inline double __dmul_rn(double x, double y) { return x * y; }
static inline float __saturatef(float x) { return x != x ? 0.0f : fminf(fmaxf(x, 0.0f), 1.0f); }
