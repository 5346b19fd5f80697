// What goes before and after the routines of cuSOLVER and cuBLAS. Matrices of a batch lie one after another; one
// thread takes an element, or one block a matrix.

// The addresses of things that lie `step` bytes apart.
struct AddressesArgs {
    u64 addresses, first, step, count;
};

KERNEL(addresses, AddressesArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i < a.count) reinterpret_cast<u64*>(a.addresses)[i] = a.first + i * a.step;
}

// Reports the first matrix for which a routine tells of a failure.
struct FailedArgs {
    u64 info, status, count;
};

KERNEL(failed, FailedArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i < a.count && reinterpret_cast<const int*>(a.info)[i] != 0) report(a.status, i);
}

// Reports the first matrix with NaN or infinity, which become zero: not every routine comes to an end with them.
struct FiniteArgs {
    u64 x, status, count;
    // Elements of a matrix, and of its rows; only the elements up to the diagonal count where `lower`.
    u64 size, columns, lower;
};

KERNEL(make_finite, FiniteArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i >= a.count) return;
    T* const x = reinterpret_cast<T*>(a.x) + i;
    if (is_finite(*x)) return;
    *x = 0;
    const u64 matrix = i / a.size, element = i % a.size;
    if (!a.lower || element % a.columns <= element / a.columns) report(a.status, matrix);
}

// Stretches of elements that lie one after another, each times a power of two that brings the largest of it near one,
// so that squares and products stay in range; the powers are kept. Only the elements up to the diagonal tell the
// largest, where rows of `lower` elements have one.
struct NearOneArgs {
    u64 x, scales;
    u64 size, lower;
};

// A block takes a stretch.
KERNEL(near_one, NearOneArgs, 256) {
    T* const x = reinterpret_cast<T*>(a.x) + blockIdx.x * a.size;
    T largest = 0;
    for (u64 i = threadIdx.x; i < a.size; i += 256)
        if (!a.lower || i % a.lower <= i / a.lower) largest = max(largest, magnitude(x[i]));
    largest = block_largest(largest);
    // The power and its reciprocal are normal numbers.
    const int bound = sizeof(T) == 4 ? 126 : 1022;
    const T scale = largest > 0 ? ldexp(T(1), -min(max(ilogb(largest), -bound), bound)) : T(1);
    for (u64 i = threadIdx.x; i < a.size; i += 256) x[i] *= scale;
    if (threadIdx.x == 0) reinterpret_cast<T*>(a.scales)[blockIdx.x] = scale;
}

// Elements over the powers of two: those of a matrix of `size` elements over `scales` powers, in turn.
struct UnscaleArgs {
    u64 x, powers, count;
    u64 size, scales;
};

KERNEL(unscale, UnscaleArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i >= a.count) return;
    reinterpret_cast<T*>(a.x)[i] /= reinterpret_cast<const T*>(a.powers)[i / a.size * a.scales + i % a.scales];
}

// The order in which row exchanges leave the rows, and its sign. Exchange i is of rows i and pivot[i] - 1.
struct RowOrderArgs {
    u64 pivots, order, signs;
    u64 rows, exchanges;
    // Pivots are integers of 8 bytes, else of 4.
    u64 wide;
    // Whether the order has room in shared memory.
    u64 shared;
};

KERNEL(row_order, RowOrderArgs, 256) {
    DYNAMIC_SHARED(i64, room);
    __shared__ i64 pivots[256];
    i64* const result = reinterpret_cast<i64*>(a.order) + blockIdx.x * a.rows;
    i64* const order = a.shared ? room : result;
    for (u64 i = threadIdx.x; i < a.rows; i += 256) order[i] = i;
    const u64 start = blockIdx.x * a.exchanges;
    bool odd = false;
    for (u64 first = 0; first < a.exchanges; first += 256) {
        const u64 i = first + threadIdx.x;
        __syncthreads();
        if (i < a.exchanges) {
            pivots[threadIdx.x] = a.wide ? reinterpret_cast<const i64*>(a.pivots)[start + i]
                                         : reinterpret_cast<const int*>(a.pivots)[start + i];
        }
        __syncthreads();
        if (threadIdx.x > 0) continue;
        for (u64 k = 0; k < 256 && first + k < a.exchanges; k++) {
            const u64 row = first + k, other = pivots[k] - 1;
            const i64 kept = order[row];
            order[row] = order[other];
            order[other] = kept;
            odd ^= row != other;
        }
    }
    __syncthreads();
    if (a.shared)
        for (u64 i = threadIdx.x; i < a.rows; i += 256) result[i] = order[i];
    if (threadIdx.x == 0 && a.signs) reinterpret_cast<T*>(a.signs)[blockIdx.x] = odd ? T(-1) : T(1);
}

// y = P x, row i of which is row order[i] of x, or y = P^T x; without an x, P itself.
struct PermuteArgs {
    u64 y, x, order;
    u64 count, rows, columns;
    u64 transposed;
};

KERNEL(permute_rows, PermuteArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i >= a.count) return;
    const u64 row = i / a.columns, column = i % a.columns;
    const u64 other = row / a.rows * a.rows + reinterpret_cast<const i64*>(a.order)[row];
    const T* const x = reinterpret_cast<const T*>(a.x);
    T* const y = reinterpret_cast<T*>(a.y);
    if (!x) {
        y[i] = other % a.rows == column ? T(1) : T(0);
    } else if (a.transposed) {
        y[other * a.columns + column] = x[i];
    } else {
        y[i] = x[other * a.columns + column];
    }
}

// mantissa * 2^exponent, so that a product neither overflows nor underflows on its way.
struct Scaled {
    double mantissa;
    i64 exponent;
    __device__ __forceinline__ void multiply(double mantissa_of_factor, i64 exponent_of_factor) {
        mantissa *= mantissa_of_factor;
        exponent += exponent_of_factor;
        if (mantissa != 0 && is_finite(mantissa)) {
            int carry;
            mantissa = frexp(mantissa, &carry);
            exponent += carry;
        }
    }
};

// From the diagonals of the factors: the determinant, or its sign and the logarithm of its absolute value. A warp
// takes a matrix.
struct DeterminantsArgs {
    u64 lu, signs;
    u64 n;
    // 0 for those that are not wanted.
    u64 determinants, result_signs, logarithms;
};

KERNEL(determinants, DeterminantsArgs, 32) {
    const T* const lu = reinterpret_cast<const T*>(a.lu) + blockIdx.x * a.n * a.n;
    Scaled product = {1, 0};
    for (u64 i = threadIdx.x; i < a.n; i += 32) product.multiply((double)lu[i * a.n + i], 0);
    for (int offset = 16; offset; offset /= 2) {
        const double mantissa = __shfl_xor_sync(0xffffffff, product.mantissa, offset);
        const i64 exponent = __shfl_xor_sync(0xffffffff, product.exponent, offset);
        product.multiply(mantissa, exponent);
    }
    if (threadIdx.x > 0) return;
    product.mantissa *= (double)reinterpret_cast<const T*>(a.signs)[blockIdx.x];
    const double m = product.mantissa;
    if (a.determinants) {
        // Beyond these bounds every mantissa overflows or underflows.
        const i64 e = product.exponent < -1100 ? -1100 : product.exponent > 1100 ? 1100 : product.exponent;
        reinterpret_cast<T*>(a.determinants)[blockIdx.x] = (T)ldexp(m, (int)e);
        return;
    }
    // A mantissa around one keeps exponent and logarithm from cancelling near 1.
    const bool small = m != 0 && fabs(m) < 0.70710678118654752440;
    const double log_mantissa = log(small ? 2 * fabs(m) : fabs(m));
    const double logarithm = log_mantissa + (double)(product.exponent - small) * 0.69314718055994530942;
    reinterpret_cast<T*>(a.result_signs)[blockIdx.x] = (T)sign(m);
    reinterpret_cast<T*>(a.logarithms)[blockIdx.x] = (T)logarithm;
}

// Whether the smallest pivot of a matrix is at most `ratio` times the largest. A warp takes a matrix.
struct NearArgs {
    u64 lu, near;
    u64 n;
    u64 ratio;
};

KERNEL(near_singular, NearArgs, 32) {
    const T* const lu = reinterpret_cast<const T*>(a.lu) + blockIdx.x * a.n * a.n;
    double low = Limits<double>::highest(), high = 0;
    bool finite = true;
    for (u64 i = threadIdx.x; i < a.n; i += 32) {
        const double pivot = fabs((double)lu[i * a.n + i]);
        finite &= is_finite(pivot);
        low = fmin(low, pivot);
        high = fmax(high, pivot);
    }
    for (int offset = 16; offset; offset /= 2) {
        low = fmin(low, __shfl_xor_sync(0xffffffff, low, offset));
        high = fmax(high, __shfl_xor_sync(0xffffffff, high, offset));
    }
    // NaN and infinity are near nothing.
    finite = __all_sync(0xffffffff, finite);
    if (threadIdx.x == 0)
        reinterpret_cast<bool*>(a.near)[blockIdx.x] =
            finite && (high == 0 || low / high <= Bits<double>::of(a.ratio));
}

// The order of the first leading minor that is not positive, or 0: what the routine tells, and where NaN went by it.
struct MinorsArgs {
    u64 factor, info, minors;
    u64 n;
};

KERNEL(minors, MinorsArgs, 256) {
    __shared__ u64 first;
    if (threadIdx.x == 0) first = a.n;
    __syncthreads();
    const T* const factor = reinterpret_cast<const T*>(a.factor) + blockIdx.x * a.n * a.n;
    for (u64 i = threadIdx.x; i < a.n; i += 256)
        if (!(factor[i * a.n + i] > 0)) atomicMin(&first, i);
    __syncthreads();
    if (threadIdx.x > 0) return;
    const int info = reinterpret_cast<const int*>(a.info)[blockIdx.x];
    reinterpret_cast<i64*>(a.minors)[blockIdx.x] = info > 0 ? info : first < a.n ? (i64)first + 1 : 0;
}

// Zeros above the diagonal, and NaN everywhere in a matrix without a factor.
struct LowerArgs {
    u64 factor, minors;
    u64 count, n;
};

KERNEL(lower, LowerArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i >= a.count) return;
    T* const x = reinterpret_cast<T*>(a.factor) + i;
    if (reinterpret_cast<const i64*>(a.minors)[i / (a.n * a.n)] > 0) {
        *x = Limits<T>::nan();
    } else if (i % a.n > i / a.n % a.n) {
        *x = 0;
    }
}

// Reports the first matrix with a zero on its diagonal.
struct ZeroArgs {
    u64 x, status, count, n;
};

KERNEL(zero_on_diagonal, ZeroArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i >= a.count) return;
    const u64 matrix = i / a.n, row = i % a.n;
    if (reinterpret_cast<const T*>(a.x)[(matrix * a.n + row) * a.n + row] == 0) report(a.status, matrix);
}

// R of a QR factorisation, row-major and with a diagonal that is not negative, from columns that hold it above the
// reflectors; and the signs that do this.
struct UpperArgs {
    u64 r, signs, columns;
    u64 count, rows, m, n;
    // Elements from one matrix of columns to the next.
    u64 step;
};

KERNEL(upper, UpperArgs, 256) {
    const u64 i = blockIdx.x * 256ull + threadIdx.x;
    if (i >= a.count) return;
    const u64 matrix = i / (a.rows * a.n), row = i / a.n % a.rows, column = i % a.n;
    const T* const columns = reinterpret_cast<const T*>(a.columns) + matrix * a.step;
    const bool negative = row < a.n && columns[row * a.m + row] < 0;
    const T x = column >= row ? columns[column * a.m + row] : T(0);
    reinterpret_cast<T*>(a.r)[i] = negative ? -x : x;
    if (column == 0) reinterpret_cast<T*>(a.signs)[matrix * a.rows + row] = negative ? T(-1) : T(1);
}
