// What the kernels over any layout share.

// One loop of a nest: its size, the size's inverse (see Nest::at), and how far N operands move with each step.
template <int N> struct Axis {
    u64 size;
    u64 multiplier;
    u64 shift;
    i64 stride[N];
};

// A nest of loops over N operands, the fastest first, written by nest.rs.
template <int N> struct Nest {
    u64 ndim;
    Axis<N> axis[16];

    // The places of the operands at step i, which is below 2^63: division by an invariant integer as a product
    // (Granlund and Montgomery 1994, figure 4.1).
    __device__ __forceinline__ void at(u64 i, i64 (&place)[N]) const {
#pragma unroll
        for (int n = 0; n < N; n++) place[n] = 0;
        u32 d = 0;
        for (; d + 1 < ndim; d++) {
            const Axis<N>& loop = axis[d];
            const u64 next = (__umul64hi(i, loop.multiplier) + i) >> loop.shift;
            const i64 k = (i64)(i - next * loop.size);
#pragma unroll
            for (int n = 0; n < N; n++) place[n] += k * loop.stride[n];
            i = next;
        }
#pragma unroll
        for (int n = 0; n < N; n++) place[n] += (i64)i * axis[d].stride[n];
    }
};

template <int N> struct Places {
    i64 at[N];
    __device__ __forceinline__ Places(const Nest<N>& nest, u64 i) { nest.at(i, at); }
};

template <typename E> DEVICE E* pointer(u64 address) { return reinterpret_cast<E*>(address); }

// A value and where it was found.
template <typename E> struct Found {
    E value;
    i64 at;
};
