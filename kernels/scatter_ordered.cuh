// Template: writes that may meet, in the order of their points, without letting one thread do all of them.
//
// Point s < count of the axes whose places may coincide goes to key(s); the other axes, f < free, keep apart.  Points
// with equal keys are linked in order.  Sums follow a chain from its first point; of stores the last one counts.
// Placeholders: name; parameters; key (statements that set `key` from `s`); type (of the result); serial (statements that
// set the serial axes from `t`), apart (the others, from `f`); body (statements of one point); place (of its result);
// combined (an expression of `total`, the chain's value so far); sums (true or false: the last point's value alone).
// Launch, in this order: <name>_keys, <name>_links, <name>: any one-dimensional grid and block up to 256.
// scratch: 16 bytes for each s: keys[count], following[count] (the next point or -1), followed[count].
#include "philox.cuh"
#include "index.cuh"

extern "C" __global__ void __launch_bounds__(256) @name@_keys(i64 count, i64* __restrict__ scratch, @parameters@) {
    int* const followed = (int*)(scratch + count) + count;
    GRID_STRIDE(s, count) {
        i64 key;
        @key@
        scratch[s] = key;
        followed[s] = 0;
    }
}

extern "C" __global__ void __launch_bounds__(256) @name@_links(i64 count, i64* scratch) {
    int *const following = (int*)(scratch + count), *const followed = following + count;
    GRID_STRIDE(s, count) {
        const i64 key = scratch[s];
        i64 next = s + 1;
        while (next < count && scratch[next] != key) ++next;
        following[s] = next < count ? (int)next : -1;
        if (next < count) followed[next] = 1;  // by one thread only: the nearest before it
    }
}

extern "C" __global__ void __launch_bounds__(256) @name@(i64 count, i64 free, const i64* __restrict__ scratch, @parameters@) {
    const int *const following = (const int*)(scratch + count), *const followed = following + count;
    GRID_STRIDE(i, count * free) {
        const i64 s = i / free, f = i % free;
        if (@sums@ ? followed[s] : following[s] >= 0) continue;
        @apart@
        @type@ total = @type@();
        for (i64 t = s; t >= 0; t = following[t]) {
            @serial@
            @body@
            if (t == s) total = @place@;
            total = @combined@;
            if (following[t] < 0) @place@ = total;
        }
    }
}
