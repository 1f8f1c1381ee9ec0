// Learning rules over all parameters of a network in one launch (see multi_tensor.cuh for the table and the launch).
//
// Slot 0 is the parameter p, slot 1 its gradient g, further slots the rule's state.  Rates come in `rates`, device
// memory of the accumulator's type, so that a recorded launch sees rates that change:
//   update_sgd       rates: r                p -= r g
//   update_momentum  state v; r, m           v = m v - r g;  p += v
//   update_nesterov  state v; r, m           v = m v - r g;  p += m v - r g
//   update_adagrad   state a; r, e           a += g^2;  p -= r g / sqrt(a + e)
//   update_rmsprop   state a; r, rho, e      a = rho a + (1 - rho) g^2;  p -= r g / sqrt(a + e)
//   update_adadelta  state a, d; r, rho, e   a as above;  s = g sqrt(d + e) / sqrt(a + e);  p -= r s;  d = rho d + (1 - rho) s^2
//   update_adam      state m, v; r, b1, b2, e   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= r m / (sqrt(v) + e)
//                    with r the rate times sqrt(1 - b2^t) / (1 - b1^t)
//   update_adamax    state m, u; r, b1, b2, e   u = max(b2 u, |g|);  p -= r m / (u + e), r the rate / (1 - b1^t)
//   update_amsgrad   state m, v, w; as adam     w = max(w, v);  p -= r m / (sqrt(w) + e)
// Launch: grid chunks, block 256.  Arguments: the table, rates.
// Source: J. Duchi et al. (2011); M. Zeiler (arXiv:1212.5701); D. Kingma, J. Ba (arXiv:1412.6980); S. Reddi et al. (2018);
// the forms are those of tinygraph/updates.py.
#include "multi_tensor.cuh"

#ifndef TG_T
#define TG_T float
#endif
typedef Accumulate<TG_T>::type Value;

__device__ __forceinline__ float square_root(float x) { return sqrtf(x); }
__device__ __forceinline__ double square_root(double x) { return sqrt(x); }
__device__ __forceinline__ Value mix(Value keep, Value old, Value fresh) { return keep * old + (1 - keep) * fresh; }

// A functor of one element's slots s; the kernels below state how many slots there are and which are stored (a bit each).
#define UPDATE_RULE(name, ...)                                                                                   \
    struct Rule_##name {                                                                                         \
        const Value* rates;                                                                                      \
        __device__ __forceinline__ void operator()(Value* s) const {                                             \
            Value &p = s[0], g = s[1];                                                                           \
            const Value r = rates[0];                                                                            \
            __VA_ARGS__                                                                                          \
        }                                                                                                        \
    };
#define UPDATE_ARGUMENTS pointers, sizes, chunk_tensor, chunk_start, tensors

UPDATE_RULE(sgd, p -= r * g;)
UPDATE_RULE(momentum, s[2] = rates[1] * s[2] - r * g; p += s[2];)
UPDATE_RULE(nesterov, s[2] = rates[1] * s[2] - r * g; p += rates[1] * s[2] - r * g;)
UPDATE_RULE(adagrad, s[2] += g * g; p -= r * g / square_root(s[2] + rates[1]);)
UPDATE_RULE(rmsprop, s[2] = mix(rates[1], s[2], g * g); p -= r * g / square_root(s[2] + rates[2]);)
UPDATE_RULE(adadelta, const Value rho = rates[1]; const Value e = rates[2]; s[2] = mix(rho, s[2], g * g);
            const Value step = g * square_root(s[3] + e) / square_root(s[2] + e); p -= r * step;
            s[3] = mix(rho, s[3], step * step);)
UPDATE_RULE(adam, s[2] = mix(rates[1], s[2], g); s[3] = mix(rates[2], s[3], g * g);
            p -= r * s[2] / (square_root(s[3]) + rates[3]);)
UPDATE_RULE(adamax, s[2] = mix(rates[1], s[2], g); const Value decayed = rates[2] * s[3];
            const Value size = g < 0 ? -g : g; s[3] = decayed > size ? decayed : size; p -= r * s[2] / (s[3] + rates[3]);)
UPDATE_RULE(amsgrad, s[2] = mix(rates[1], s[2], g); s[3] = mix(rates[2], s[3], g * g);
            s[4] = s[3] > s[4] ? s[3] : s[4]; p -= r * s[2] / (square_root(s[4]) + rates[3]);)

extern "C" __global__ void update_sgd(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 2, 1>(UPDATE_ARGUMENTS, Rule_sgd{rates});
}
extern "C" __global__ void update_momentum(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 3, 5>(UPDATE_ARGUMENTS, Rule_momentum{rates});
}
extern "C" __global__ void update_nesterov(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 3, 5>(UPDATE_ARGUMENTS, Rule_nesterov{rates});
}
extern "C" __global__ void update_adagrad(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 3, 5>(UPDATE_ARGUMENTS, Rule_adagrad{rates});
}
extern "C" __global__ void update_rmsprop(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 3, 5>(UPDATE_ARGUMENTS, Rule_rmsprop{rates});
}
extern "C" __global__ void update_adadelta(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 4, 13>(UPDATE_ARGUMENTS, Rule_adadelta{rates});
}
extern "C" __global__ void update_adam(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 4, 13>(UPDATE_ARGUMENTS, Rule_adam{rates});
}
extern "C" __global__ void update_adamax(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 4, 13>(UPDATE_ARGUMENTS, Rule_adamax{rates});
}
extern "C" __global__ void update_amsgrad(TENSOR_TABLE, const Value* __restrict__ rates) {
    each_element<TG_T, 5, 29>(UPDATE_ARGUMENTS, Rule_amsgrad{rates});
}
