// The matrices of a batch where they lie, whatever their strides (in elements).
struct Matrices {
    u64 data;
    i64 row;
    i64 column;
    // The loop nest of the batch, the fastest dimension first; of several dimensions, below 2^31 matrices.
    i64 ndim;
    Divisor size[3];
    i64 stride[3];
    __device__ __forceinline__ const T* matrix(i64 number) const {
        const T* x = reinterpret_cast<const T*>(data);
        if (ndim == 1) return x + number * stride[0];
        u32 rest = (u32)number;
#pragma unroll
        for (int d = 0; d < 3; d++) {
            if (d == ndim) break;
            u32 next, k;
            size[d].divide(rest, next, k);
            rest = next;
            x += k * stride[d];
        }
        return x;
    }
};
