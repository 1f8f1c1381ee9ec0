// Philox-4x32-10, a counter-based generator: the same words on every target.
//
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3.  SC 2011.
//
// Flat element i belongs to chunk c = i / 128; within it r = i % 128, word w = r / 32, lane l = r % 32.  Its word is
// number w of philox4x32_10(counter = (lo(n), hi(n), 0, 0), key), n = ctr + 32 c + l, where ctr is the stream's
// counter; a draw of n elements moves it by 32 ceil(n / 128).  So 32 threads, each computing four words, write four
// times 32 neighbouring elements.
#pragma once
#include "types.cuh"

struct Words {
    u32 word[4];
};

__device__ __forceinline__ Words philox4x32_10(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const u32 high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        const u32 high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// The four words of counter value n.
__device__ __forceinline__ Words philox_words(u64 n, u32 k0, u32 k1) {
    return philox4x32_10((u32)n, (u32)(n >> 32), 0, 0, k0, k1);
}

// The word of one flat element, for code that needs single elements in any order.
__device__ __forceinline__ u32 philox_word(u64 ctr, i64 element, u32 k0, u32 k1) {
    const i64 chunk = element / 128;
    const int rest = (int)(element % 128);
    const Words words = philox_words(ctr + 32 * (u64)chunk + rest % 32, k0, k1);
    return rest < 64 ? words.word[rest / 32] : words.word[2 + (rest - 64) / 32];
}
