// C = beta C + alpha A B for a batch of matrices with at most 16 rows and columns, of any strides.

struct SmallArgs {
    u64 c, a, b;
    i64 c_step;
    // From one matrix, row and column to the next.
    i64 a_stride[3];
    i64 b_stride[3];
    u64 count;
    // The matrices that a block takes.
    u64 taken;
    // Elements of A, columns of A, elements of B, columns of B, elements of C.
    Divisor mk, k, kn, n, mn;
    u64 alpha, beta;
};

// Copies matrices into shared memory, one after another in row-major order.
DEVICE void gather(T* shared, u64 first, const i64* stride, u32 elements, Divisor size, Divisor columns) {
    const T* x = reinterpret_cast<const T*>(first);
    for (u32 i = threadIdx.x; i < elements; i += 256) {
        u32 matrix, element, row, column;
        size.divide(i, matrix, element);
        columns.divide(element, row, column);
        shared[i] = x[matrix * stride[0] + row * stride[1] + column * stride[2]];
    }
}

KERNEL(small_products, SmallArgs, 256) {
    DYNAMIC_SHARED(T, left);
    const u32 mk = a.mk.size(), k = a.k.size(), kn = a.kn.size(), n = a.n.size();
    T* const right = left + a.taken * mk;
    const u64 first = blockIdx.x * a.taken;
    const u32 here = (u32)(a.count - first < a.taken ? a.count - first : a.taken);
    gather(left, a.a + first * a.a_stride[0] * sizeof(T), a.a_stride, here * mk, a.mk, a.k);
    gather(right, a.b + first * a.b_stride[0] * sizeof(T), a.b_stride, here * kn, a.kn, a.n);
    __syncthreads();
    const T alpha = Bits<T>::of(a.alpha), beta = Bits<T>::of(a.beta);
    T* const c = reinterpret_cast<T*>(a.c) + (i64)first * a.c_step;
    for (u32 i = threadIdx.x; i < here * a.mn.size(); i += 256) {
        u32 matrix, element, row, column;
        a.mn.divide(i, matrix, element);
        a.n.divide(element, row, column);
        const T* x = left + matrix * mk + row * k;
        const T* y = right + matrix * kn + column;
        T sum = 0;
#pragma unroll 4
        for (u32 p = 0; p < k; p++) sum += x[p] * y[p * n];
        T* const place = c + matrix * a.c_step + element;
        // What is multiplied by 0 may be NaN, and is not read.
        *place = beta == 0 ? alpha * sum : beta * *place + alpha * sum;
    }
}
