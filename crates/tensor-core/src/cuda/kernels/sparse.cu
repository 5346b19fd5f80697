// Products with sparse matrices. Every sum is formed by the same threads in the same order in every run.

struct ProductArgs {
    // Of the rows of A: their starts, their columns, and which value belongs to each element; 0 where they are in order.
    u64 starts, across, order;
    u64 values;
    // Row-major.
    u64 x, y;
    u64 rows;
    u64 columns;
    // The number of neighbouring threads that share a row, or take neighbouring columns, as a power of 2.
    u64 lane_bits;
};

// Which value belongs to an element.
DEVICE i64 ordered(u64 order, i64 e) { return order ? pointer<const i64>(order)[e] : e; }

// The sum over the 2^bits neighbouring lanes, in all of them.
DEVICE T sum_lanes(T sum, u32 bits) {
    for (u32 offset = 1u << bits; offset >>= 1;) sum += __shfl_xor_sync(0xffffffff, sum, offset);
    return sum;
}

// y = A x for one column; neighbouring lanes take the elements of a row in turn.
KERNEL(sparse_mv, ProductArgs, 256) {
    const u32 lanes = 1u << a.lane_bits, lane = threadIdx.x % lanes;
    const u64 row = (u64)blockIdx.x * (256 >> a.lane_bits) + (threadIdx.x >> a.lane_bits);
    const bool inside = row < a.rows;
    const i64 end = inside ? pointer<const i64>(a.starts)[row + 1] : 0;
    T sum = 0;
    for (i64 e = inside ? pointer<const i64>(a.starts)[row] + lane : 0; e < end; e += lanes) {
        const T value = pointer<const T>(a.values)[ordered(a.order, e)];
        sum += value * pointer<const T>(a.x)[pointer<const i64>(a.across)[e]];
    }
    sum = sum_lanes(sum, (u32)a.lane_bits);
    if (inside && lane == 0) pointer<T>(a.y)[row] = sum;
}

// y = A x; neighbouring lanes take neighbouring columns of x.
KERNEL(sparse_mm, ProductArgs, 256) {
    const u32 lanes = 1u << a.lane_bits;
    const u64 row = (u64)blockIdx.x * (256 >> a.lane_bits) + (threadIdx.x >> a.lane_bits);
    const u64 column = (u64)blockIdx.y * lanes + threadIdx.x % lanes;
    if (row >= a.rows || column >= a.columns) return;
    const i64 end = pointer<const i64>(a.starts)[row + 1];
    const T* x = pointer<const T>(a.x) + column;
    T sum = 0;
    for (i64 e = pointer<const i64>(a.starts)[row]; e < end; e++) {
        const T value = pointer<const T>(a.values)[ordered(a.order, e)];
        sum += value * x[pointer<const i64>(a.across)[e] * (i64)a.columns];
    }
    pointer<T>(a.y)[row * a.columns + column] = sum;
}

struct SampledArgs {
    // Of every element.
    u64 rows, columns;
    // Row-major, of as many columns.
    u64 u, v;
    u64 out;
    u64 count;
    u64 width;
    // The number of neighbouring threads that share an element, as a power of 2.
    u64 lane_bits;
};

// out = u v^T at the places of the elements.
KERNEL(sparse_sampled, SampledArgs, 256) {
    const u32 lanes = 1u << a.lane_bits, lane = threadIdx.x % lanes;
    const u64 e = (u64)blockIdx.x * (256 >> a.lane_bits) + (threadIdx.x >> a.lane_bits);
    const bool inside = e < a.count;
    const i64 width = inside ? (i64)a.width : 0;
    const T* u = pointer<const T>(a.u) + (inside ? pointer<const i64>(a.rows)[e] * width : 0);
    const T* v = pointer<const T>(a.v) + (inside ? pointer<const i64>(a.columns)[e] * width : 0);
    T sum = 0;
    for (i64 k = lane; k < width; k += lanes) sum += u[k] * v[k];
    sum = sum_lanes(sum, (u32)a.lane_bits);
    if (inside && lane == 0) pointer<T>(a.out)[e] = sum;
}

struct MaskedArgs {
    // Of every element of the result.
    u64 rows, columns;
    // The rows of A and of B.
    u64 a_starts, a_across, a_order, a_values;
    u64 b_starts, b_across, b_order, b_values;
    u64 out;
    u64 count;
};

// out = A B at the places of the elements; the columns of B ascend within a row.
KERNEL(sparse_masked, MaskedArgs, 256) {
    const u64 e = (u64)blockIdx.x * 256 + threadIdx.x;
    if (e >= a.count) return;
    const i64 row = pointer<const i64>(a.rows)[e], column = pointer<const i64>(a.columns)[e];
    const i64* across = pointer<const i64>(a.b_across);
    T sum = 0;
    for (i64 f = pointer<const i64>(a.a_starts)[row]; f < pointer<const i64>(a.a_starts)[row + 1]; f++) {
        const i64 k = pointer<const i64>(a.a_across)[f];
        i64 low = pointer<const i64>(a.b_starts)[k], high = pointer<const i64>(a.b_starts)[k + 1];
        const i64 end = high;
        while (low < high) {
            const i64 middle = low + (high - low) / 2;
            if (across[middle] < column)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == end || across[low] != column) continue;
        const T left = pointer<const T>(a.a_values)[ordered(a.a_order, f)];
        sum += left * pointer<const T>(a.b_values)[ordered(a.b_order, low)];
    }
    pointer<T>(a.out)[e] = sum;
}
