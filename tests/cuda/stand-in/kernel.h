// CUDA C++ for g++: what a kernel source sees when the stand-in NVRTC compiles it for the CPU. Each CUDA
// thread is a fiber of the driver library; only barriers, shuffles and votes switch between them.
#ifndef TAPEGRAD_STAND_IN
#define TAPEGRAD_STAND_IN 1

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

// NVRTC has none of these: a source that uses them must fail here too.
#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef HUGE_VALF
#undef M_E
#undef M_PI
#undef M_PI_2
#undef M_PI_4
#undef M_1_PI
#undef M_2_PI
#undef M_2_SQRTPI
#undef M_SQRT2
#undef M_SQRT1_2
#undef M_LN2
#undef M_LN10
#undef M_LOG2E
#undef M_LOG10E

extern "C" {
// Set by the driver when it loads the module.
__attribute__((visibility("default"))) sim::State* sim_state;
}

// ---- words --------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// Blocks run one after another, so one copy is enough. The driver finds these arrays by their symbols, as
// the module's only function-local statics, and poisons them before every block.
#define __shared__ static

#define KERNEL(name, Args, threads)                                                                       \
    extern "C" {                                                                                          \
    extern __attribute__((visibility("default"))) const sim::KernelInfo name##_sim;                       \
    const sim::KernelInfo name##_sim = {sizeof(Args), threads};                                           \
    }                                                                                                     \
    extern "C" __attribute__((visibility("default"))) void name(const Args& a)

#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(sim_state->shared)

#define threadIdx (sim_state->thread)
#define blockIdx (sim_state->block)
#define blockDim (sim_state->block_dim)
#define gridDim (sim_state->grid_dim)
constexpr int warpSize = 32;

// ---- vector types -------------------------------------------------------------------------------

#define SIM_VECTORS(T, name, align2, align4)                                                              \
    struct alignas(align2) name##2 { T x, y; };                                                           \
    struct name##3 { T x, y, z; };                                                                        \
    struct alignas(align4) name##4 { T x, y, z, w; };                                                     \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                            \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                                    \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SIM_VECTORS(signed char, char, 2, 4)
SIM_VECTORS(unsigned char, uchar, 2, 4)
SIM_VECTORS(short, short, 4, 8)
SIM_VECTORS(unsigned short, ushort, 4, 8)
SIM_VECTORS(int, int, 8, 16)
SIM_VECTORS(unsigned, uint, 8, 16)
SIM_VECTORS(long long, longlong, 16, 16)
SIM_VECTORS(unsigned long long, ulonglong, 16, 16)
SIM_VECTORS(float, float, 8, 16)
SIM_VECTORS(double, double, 16, 16)
#undef SIM_VECTORS

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// ---- barriers, shuffles, votes ------------------------------------------------------------------

// The caller's line tells the driver which threads met which barrier.
inline void __syncthreads(unsigned line = __builtin_LINE()) { sim_state->barrier(false, line); }
inline int __syncthreads_count(int value, unsigned line = __builtin_LINE()) {
    return int(sim_state->barrier(value != 0, line));
}
inline int __syncthreads_or(int value, unsigned line = __builtin_LINE()) {
    return sim_state->barrier(value != 0, line) != 0;
}
inline int __syncthreads_and(int value, unsigned line = __builtin_LINE()) {
    return sim_state->barrier(value == 0, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, unsigned line = __builtin_LINE()) {
    sim_state->warp(sim::WarpOp::sync, mask, 0, 0, line);
}

namespace sim {

template <class T> T shuffle(unsigned mask, T value, int source, unsigned line) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = sim_state->warp(WarpOp::shuffle, mask, bits, source, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

inline int lane() { return int(sim_state->lane); }

}  // namespace sim

template <class T> T __shfl_sync(unsigned mask, T v, int source, int width = 32, unsigned line = __builtin_LINE()) {
    return sim::shuffle(mask, v, (sim::lane() & ~(width - 1)) + (source & (width - 1)), line);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, unsigned line = __builtin_LINE()) {
    int lane = sim::lane(), from = lane - int(by);
    return sim::shuffle(mask, v, from < (lane & ~(width - 1)) ? lane : from, line);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, unsigned line = __builtin_LINE()) {
    int lane = sim::lane();
    return sim::shuffle(mask, v, (lane & (width - 1)) + int(by) >= width ? lane : lane + int(by), line);
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, unsigned line = __builtin_LINE()) {
    int lane = sim::lane(), from = lane ^ bits;
    return sim::shuffle(mask, v, from >= (lane & ~(width - 1)) + width ? lane : from, line);
}

inline unsigned __ballot_sync(unsigned mask, int value, unsigned line = __builtin_LINE()) {
    return unsigned(sim_state->warp(sim::WarpOp::ballot, mask, value != 0, 0, line));
}
inline int __any_sync(unsigned mask, int value, unsigned line = __builtin_LINE()) {
    return __ballot_sync(mask, value, line) != 0;
}
inline int __all_sync(unsigned mask, int value, unsigned line = __builtin_LINE()) {
    return __ballot_sync(mask, value == 0, line) == 0;
}

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __trap() { sim_state->trap(); }
template <class T> T __ldg(const T* p) { return *p; }

// ---- atomics: fibers switch only where they wait, so plain code is atomic -------------------------

#define SIM_ATOMIC(T, name, expression)                                                                   \
    inline T name(T* p, T v) {                                                                            \
        T old = *p;                                                                                       \
        *p = expression;                                                                                  \
        return old;                                                                                       \
    }
#define SIM_ATOMICS(T)                                                                                    \
    SIM_ATOMIC(T, atomicAdd, old + v)                                                                     \
    SIM_ATOMIC(T, atomicSub, old - v)                                                                     \
    SIM_ATOMIC(T, atomicExch, v)                                                                          \
    SIM_ATOMIC(T, atomicMin, v < old ? v : old)                                                           \
    SIM_ATOMIC(T, atomicMax, v > old ? v : old)                                                           \
    SIM_ATOMIC(T, atomicAnd, old & v)                                                                     \
    SIM_ATOMIC(T, atomicOr, old | v)                                                                      \
    SIM_ATOMIC(T, atomicXor, old ^ v)                                                                     \
    inline T atomicCAS(T* p, T expected, T v) {                                                           \
        T old = *p;                                                                                       \
        if (old == expected) *p = v;                                                                      \
        return old;                                                                                       \
    }
SIM_ATOMICS(int)
SIM_ATOMICS(unsigned)
SIM_ATOMICS(unsigned long long)
SIM_ATOMIC(float, atomicAdd, old + v)
SIM_ATOMIC(double, atomicAdd, old + v)
SIM_ATOMIC(float, atomicExch, v)
SIM_ATOMIC(unsigned, atomicInc, old >= v ? 0 : old + 1)
#undef SIM_ATOMICS
#undef SIM_ATOMIC

// ---- bits ---------------------------------------------------------------------------------------

inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }

inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline unsigned __brev(unsigned v) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (v >> i & 1) << (31 - i);
    return r;
}

namespace sim {

template <class To, class From> To bits(From v) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To r;
    memcpy(&r, &v, sizeof r);
    return r;
}

}  // namespace sim

inline int __float_as_int(float v) { return sim::bits<int>(v); }
inline float __int_as_float(int v) { return sim::bits<float>(v); }
inline unsigned __float_as_uint(float v) { return sim::bits<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return sim::bits<float>(v); }
inline long long __double_as_longlong(double v) { return sim::bits<long long>(v); }
inline double __longlong_as_double(long long v) { return sim::bits<double>(v); }

// ---- arithmetic: math.h brings the float and double overloads; CUDA's own are added ---------------

#define SIM_MINMAX(A, B, R)                                                                               \
    inline R min(A a, B b) {                                                                              \
        R p = a, q = b;                                                                                   \
        return q < p ? q : p;                                                                             \
    }                                                                                                     \
    inline R max(A a, B b) {                                                                              \
        R p = a, q = b;                                                                                   \
        return p < q ? q : p;                                                                             \
    }
SIM_MINMAX(int, int, int)
SIM_MINMAX(int, unsigned, unsigned)
SIM_MINMAX(unsigned, int, unsigned)
SIM_MINMAX(unsigned, unsigned, unsigned)
SIM_MINMAX(long, long, long)
SIM_MINMAX(unsigned long, unsigned long, unsigned long)
SIM_MINMAX(long long, long long, long long)
SIM_MINMAX(long long, unsigned long long, unsigned long long)
SIM_MINMAX(unsigned long long, long long, unsigned long long)
SIM_MINMAX(unsigned long long, unsigned long long, unsigned long long)
#undef SIM_MINMAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return __builtin_fmin(a, b); }
inline double max(double a, double b) { return __builtin_fmax(a, b); }
inline double min(float a, double b) { return __builtin_fmin(a, b); }
inline double max(float a, double b) { return __builtin_fmax(a, b); }
inline double min(double a, float b) { return __builtin_fmin(a, b); }
inline double max(double a, float b) { return __builtin_fmax(a, b); }

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float rcbrtf(float x) { return 1 / cbrtf(x); }
inline double rcbrt(double x) { return 1 / cbrt(x); }
inline float rcbrt(float x) { return rcbrtf(x); }
inline float exp10(float x) { return exp10f(x); }
inline void sincos(float x, float* s, float* c) { sincosf(x, s, c); }
// Exact at multiples of 1/2, as CUDA's are.
inline double sinpi(double x) {
    double r = fmod(x, 2.0);
    return r == 0 || r == 1 || r == -1 ? copysign(0.0, x) : r == 0.5 || r == -1.5 ? 1 : r == 1.5 || r == -0.5 ? -1 : sin(3.14159265358979323846 * r);
}
inline double cospi(double x) {
    double r = fabs(fmod(x, 2.0));
    return r == 0.5 || r == 1.5 ? 0 : cos(3.14159265358979323846 * r);
}
inline float sinpif(float x) { return float(sinpi(double(x))); }
inline float cospif(float x) { return float(cospi(double(x))); }
inline float sinpi(float x) { return sinpif(x); }
inline float cospi(float x) { return cospif(x); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1 / a; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline double __dsqrt_rn(double a) { return sqrt(a); }
// Macros, because glibc declares functions of these names.
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
#define __fdividef(x, y) ((x) / (y))

#endif
