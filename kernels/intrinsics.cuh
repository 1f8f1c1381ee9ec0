// The scalar functions that generated expressions use beside C's operators, with NumPy's meaning.
//
// Each intrinsic is op_<name>, for float and double (or integers, where it says so); 16-bit floats are computed as
// float.  Compare tinygraph/program/expr.py, which lists the names.
#pragma once
#include "types.cuh"

// ---- one function per name, for both precisions ------------------------------------------------------------------
#define TG_UNARY(name, single, twice)                                               \
    __device__ __forceinline__ float op_##name(float x) { return single(x); }       \
    __device__ __forceinline__ double op_##name(double x) { return twice(x); }
TG_UNARY(sqrt, sqrtf, sqrt)
TG_UNARY(floor, floorf, floor)
TG_UNARY(ceil, ceilf, ceil)
TG_UNARY(trunc, truncf, trunc)
TG_UNARY(rint, rintf, rint)
TG_UNARY(exp, expf, exp)
TG_UNARY(exp2, exp2f, exp2)
TG_UNARY(expm1, expm1f, expm1)
TG_UNARY(log, logf, log)
TG_UNARY(log2, log2f, log2)
TG_UNARY(log10, log10f, log10)
TG_UNARY(log1p, log1pf, log1p)
TG_UNARY(sin, sinf, sin)
TG_UNARY(cos, cosf, cos)
TG_UNARY(tan, tanf, tan)
TG_UNARY(asin, asinf, asin)
TG_UNARY(acos, acosf, acos)
TG_UNARY(atan, atanf, atan)
TG_UNARY(sinh, sinhf, sinh)
TG_UNARY(cosh, coshf, cosh)
TG_UNARY(tanh, tanhf, tanh)
TG_UNARY(asinh, asinhf, asinh)
TG_UNARY(acosh, acoshf, acosh)
TG_UNARY(atanh, atanhf, atanh)
TG_UNARY(erf, erff, erf)
TG_UNARY(erfc, erfcf, erfc)
TG_UNARY(erfinv, erfinvf, erfinv)
TG_UNARY(erfcinv, erfcinvf, erfcinv)
TG_UNARY(erfcx, erfcxf, erfcx)
TG_UNARY(lgamma, lgammaf, lgamma)
TG_UNARY(gamma, tgammaf, tgamma)
#undef TG_UNARY

__device__ __forceinline__ float op_atan2(float y, float x) { return atan2f(y, x); }
__device__ __forceinline__ double op_atan2(double y, double x) { return atan2(y, x); }

template <typename T> __device__ __forceinline__ bool op_isnan(T x) { return x != x; }
template <typename T> __device__ __forceinline__ bool op_isinf(T x) { return x - x != x - x && x == x; }

template <typename T> __device__ __forceinline__ T op_abs(T x) { return x < (T)0 ? (T)-x : x; }
__device__ __forceinline__ float op_abs(float x) { return fabsf(x); }
__device__ __forceinline__ double op_abs(double x) { return fabs(x); }

// nan stays nan, and zeros keep their sign
template <typename T> __device__ __forceinline__ T op_sign(T x) { return x > (T)0 ? (T)1 : x < (T)0 ? (T)-1 : x; }

// A nan on either side is the result; of zeros of either sign, the first.
template <typename T> __device__ __forceinline__ T op_maximum(T a, T b) { return a != a || a >= b ? a : b; }
template <typename T> __device__ __forceinline__ T op_minimum(T a, T b) { return a != a || a <= b ? a : b; }

// Below, exp(-x) may overflow to infinity, which gives the right 0.
__device__ __forceinline__ float op_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ double op_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
__device__ __forceinline__ float op_softplus(float x) { return log1pf(expf(-fabsf(x))) + op_maximum(x, 0.0f); }
__device__ __forceinline__ double op_softplus(double x) { return log1p(exp(-fabs(x))) + op_maximum(x, 0.0); }

// ---- division that rounds down, as Python's ----------------------------------------------------------------------
__device__ __forceinline__ float c_fmod(float a, float b) { return fmodf(a, b); }
__device__ __forceinline__ double c_fmod(double a, double b) { return fmod(a, b); }
__device__ __forceinline__ float c_copysign(float a, float b) { return copysignf(a, b); }
__device__ __forceinline__ double c_copysign(double a, double b) { return copysign(a, b); }

// The remainder has the divisor's sign; integers divided by 0 give 0.
template <typename T>
__device__ __forceinline__ T op_mod(T a, T b) {
    if (b == (T)0 || ((T)-1 < (T)0 && b == (T)-1)) return (T)0;  // the least integer % -1 overflows
    const T rest = (T)(a % b);
    return rest != (T)0 && (rest < (T)0) != (b < (T)0) ? (T)(rest + b) : rest;
}
template <typename T>
__device__ __forceinline__ T float_mod(T a, T b) {
    const T rest = c_fmod(a, b);
    if (rest == (T)0) return c_copysign((T)0, b);
    return (rest < (T)0) != (b < (T)0) ? rest + b : rest;
}
__device__ __forceinline__ float op_mod(float a, float b) { return float_mod(a, b); }
__device__ __forceinline__ double op_mod(double a, double b) { return float_mod(a, b); }

template <typename T>
__device__ __forceinline__ T op_floordiv(T a, T b) {
    if (b == (T)0) return (T)0;
    if ((T)-1 < (T)0 && b == (T)-1) return (T)((T)0 - a);
    const T quotient = (T)(a / b);
    return a % b != (T)0 && (a < (T)0) != (b < (T)0) ? (T)(quotient - (T)1) : quotient;
}
// The quotient that goes with the exact remainder; a / b alone may round up to the next integer.
template <typename T>
__device__ __forceinline__ T float_floordiv(T a, T b) {
    if (b == (T)0) return a / b;
    T rest = c_fmod(a, b), quotient = (a - rest) / b;
    if (rest != (T)0 && (rest < (T)0) != (b < (T)0)) quotient -= (T)1;
    if (quotient == (T)0) return c_copysign((T)0, a / b);
    const T down = op_floor(quotient);
    return quotient - down > (T)0.5 ? down + (T)1 : down;
}
__device__ __forceinline__ float op_floordiv(float a, float b) { return float_floordiv(a, b); }
__device__ __forceinline__ double op_floordiv(double a, double b) { return float_floordiv(a, b); }

// ---- powers and shifts -------------------------------------------------------------------------------------------
// Integers wrap; a negative exponent leaves what the exact power rounds to, towards 0.
template <typename T>
__device__ __forceinline__ T op_pow(T base, T exponent) {
    if (exponent < (T)0) {
        if (base == (T)1) return (T)1;
        if (base == (T)-1) return exponent % (T)2 ? (T)-1 : (T)1;
        return (T)0;
    }
    T result = (T)1;
    for (; exponent > (T)0; exponent = (T)(exponent / (T)2)) {
        if (exponent % (T)2) result = (T)(result * base);
        base = (T)(base * base);
    }
    return result;
}
__device__ __forceinline__ float op_pow(float a, float b) { return powf(a, b); }
__device__ __forceinline__ double op_pow(double a, double b) { return pow(a, b); }

// Shifting by the width or more is defined: nothing is left but the sign.
template <typename T>
__device__ __forceinline__ T op_shl(T a, T b) {
    return (u64)b < 8 * sizeof(T) ? (T)((u64)a << (u64)b) : (T)0;
}
template <typename T>
__device__ __forceinline__ T op_shr(T a, T b) {
    return (u64)b < 8 * sizeof(T) ? (T)(a >> b) : a < (T)0 ? (T)-1 : (T)0;
}

template <typename T> __device__ __forceinline__ T op_invert(T x) { return (T)~x; }
__device__ __forceinline__ bool op_invert(bool x) { return !x; }

// ---- derivatives of log gamma ------------------------------------------------------------------------------------
// Recurrence up to x >= 10, then the asymptotic series; reflection below 0.  In double throughout: the recurrence loses
// digits, and these are rare.  M. Abramowitz, I. Stegun (1964), 6.3.5, 6.3.7, 6.3.18 and 6.4.6, 6.4.7, 6.4.12.
__device__ inline double op_digamma(double x) {
    const double pi = 3.141592653589793;
    double result = 0;
    if (x <= 0) {
        if (x == floor(x)) return x == 0 ? -1 / x : Limits<double>::nan();
        result = -pi / tan(pi * (x - floor(x)));
        x = 1 - x;
    }
    for (; x < 10; x += 1) result -= 1 / x;
    const double y = 1 / (x * x);
    const double series =
        y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y * (1.0 / 132 - y * (691.0 / 32760))))));
    return result + log(x) - 0.5 / x - series;
}
__device__ inline double op_trigamma(double x) {
    const double pi = 3.141592653589793;
    double result = 0, sign = 1;
    if (x <= 0) {
        if (x == floor(x)) return Limits<double>::highest();
        const double s = sin(pi * (x - floor(x)));
        result = pi * pi / (s * s);
        x = 1 - x;
        sign = -1;
    }
    double sum = 0;
    for (; x < 10; x += 1) sum += 1 / (x * x);
    const double y = 1 / (x * x);
    sum += 1 / x + 0.5 * y + y / x * (1.0 / 6 - y * (1.0 / 30 - y * (1.0 / 42 - y * (1.0 / 30 - y * (5.0 / 66)))));
    return result + sign * sum;
}
__device__ __forceinline__ float op_digamma(float x) { return (float)op_digamma((double)x); }
__device__ __forceinline__ float op_trigamma(float x) { return (float)op_trigamma((double)x); }

// ---- casts -------------------------------------------------------------------------------------------------------
// As NumPy on a CPU: floats go to short integers through 64 bits and wrap; whatever is not 0, nan too, is true.
template <typename To, typename From>
struct Cast {
    static __device__ __forceinline__ To of(From x) { return (To)x; }
};
template <typename To> struct IntegerCast {
    template <typename From>
    static __device__ __forceinline__ To of(From x) { return (To)(i64)x; }
};
template <typename From> struct Cast<bool, From> {
    static __device__ __forceinline__ bool of(From x) { return x != (From)0; }
};
#define TG_FLOAT_TO_INTEGER(To)                               \
    template <> struct Cast<To, float> : IntegerCast<To> {};  \
    template <> struct Cast<To, double> : IntegerCast<To> {};
TG_FLOAT_TO_INTEGER(signed char)
TG_FLOAT_TO_INTEGER(unsigned char)
TG_FLOAT_TO_INTEGER(short)
TG_FLOAT_TO_INTEGER(unsigned short)
TG_FLOAT_TO_INTEGER(int)
TG_FLOAT_TO_INTEGER(unsigned int)
#undef TG_FLOAT_TO_INTEGER
// A double goes to 16 bits through float and so is rounded twice; 16-bit floats leave through float.
template <typename To> struct Cast<To, half_t> {
    static __device__ __forceinline__ To of(half_t x) { return Cast<To, float>::of((float)x); }
};
template <typename To> struct Cast<To, bf16_t> {
    static __device__ __forceinline__ To of(bf16_t x) { return Cast<To, float>::of((float)x); }
};
template <> struct Cast<bool, half_t> {
    static __device__ __forceinline__ bool of(half_t x) { return (float)x != 0.0f; }
};
template <> struct Cast<bool, bf16_t> {
    static __device__ __forceinline__ bool of(bf16_t x) { return (float)x != 0.0f; }
};

template <typename To, typename From>
__device__ __forceinline__ To op_cast(From x) { return Cast<To, From>::of(x); }
