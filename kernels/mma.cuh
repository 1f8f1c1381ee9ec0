// One step of a warp's matrix product on tensor cores: C (16 x 8, float) += A (16 x K) B (K x 8).
//
// Operands come as 32-bit words: K = 8 words of one tf32 each, or 8 words of two neighbouring 16-bit values (K = 16).
// With g = lane / 4 and t = lane % 4 a lane holds
//   a[0..3] = A words (row g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)      b[0..1] = B words (t, column g), (t + 4, g)
//   c[0..3] = C (row g, column 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
// Source: PTX ISA, warp-level matrix instructions, mma.m16n8k8 and .m16n8k16.
//
// TG_MMA chooses: 0 none (CUDA cores), 1 tf32, 2 fp16, 3 bf16.  sm_75 has fp16 only; there 1 and 3 become 0.
#pragma once
#include "types.cuh"

#define MMA_NONE 0
#define MMA_TF32 1
#define MMA_FP16 2
#define MMA_BF16 3
#ifndef TG_MMA
#define TG_MMA MMA_NONE
#endif
#if (TG_MMA == MMA_TF32 || TG_MMA == MMA_BF16) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#undef TG_MMA
#define TG_MMA MMA_NONE
#endif

#if TG_MMA != MMA_NONE
#if TG_MMA == MMA_TF32
const int values_per_word = 1;
#else
const int values_per_word = 2;
#endif

__device__ __forceinline__ u32 pack_word(const float* values) {
#if TG_MMA == MMA_TF32
#ifdef TG_EMULATOR
    return (__float_as_uint(values[0]) + 0x1000u) & ~0x1FFFu;  // nearest, ties away from zero
#else
    u32 word;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(values[0]));
    return word;
#endif
#elif TG_MMA == MMA_FP16
    return (u32)float_to_half_bits(values[0]) | (u32)float_to_half_bits(values[1]) << 16;
#else
    return (u32)float_to_bf16_bits(values[0]) | (u32)float_to_bf16_bits(values[1]) << 16;
#endif
}

#ifdef TG_EMULATOR
__device__ inline float word_part(u32 word, int part) {
#if TG_MMA == MMA_TF32
    return __uint_as_float(word);
#elif TG_MMA == MMA_FP16
    return tg_half_to_float((unsigned short)(word >> 16 * part));
#else
    return __uint_as_float(part ? word & 0xFFFF0000u : word << 16);
#endif
}
#endif

__device__ __forceinline__ void multiply_add(float* c, const u32* a, const u32* b) {
#ifdef TG_EMULATOR
#if TG_MMA == MMA_TF32
    const float fa[4] = {word_part(a[0], 0), word_part(a[1], 0), word_part(a[2], 0), word_part(a[3], 0)};
    const float fb[2] = {word_part(b[0], 0), word_part(b[1], 0)};
    tg_mma_16x8x8(__LINE__, c, fa, fb, 0);
#else
    for (int half = 0; half < 2; ++half) {
        const u32 upper = a[2 * half], lower = a[2 * half + 1];
        const float fa[4] = {word_part(upper, 0), word_part(lower, 0), word_part(upper, 1), word_part(lower, 1)};
        const float fb[2] = {word_part(b[half], 0), word_part(b[half], 1)};
        tg_mma_16x8x8(__LINE__, c, fa, fb, 1);
    }
#endif
#elif TG_MMA == MMA_TF32
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif TG_MMA == MMA_BF16
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
    for (int half = 0; half < 2; ++half)
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}
#endif  // TG_MMA
