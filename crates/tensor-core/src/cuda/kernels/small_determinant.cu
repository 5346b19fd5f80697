// Determinants and their derivatives.

// The number mantissa 2^exponent, 1 <= |mantissa| < 2 unless it is zero, infinite or NaN.
struct Scaled {
    double mantissa;
    i64 exponent;
    __device__ __forceinline__ void normalise() {
        if (mantissa == 0 || !is_finite(mantissa)) return;
        const int shift = ilogb(mantissa);
        mantissa = ldexp(mantissa, -shift);
        exponent += shift;
    }
    __device__ __forceinline__ void multiply(double x) {
        Scaled factor = {x, 0};
        factor.normalise();
        mantissa *= factor.mantissa;
        exponent += factor.exponent;
        normalise();
    }
    __device__ __forceinline__ double value() const {
        return ldexp(mantissa, (int)(exponent < -4000 ? -4000 : exponent > 4000 ? 4000 : exponent));
    }
    __device__ __forceinline__ double sign() const {
        return mantissa == 0 || is_nan(mantissa) ? fabs(mantissa) : copysign(1.0, mantissa);
    }
    // A mantissa around one keeps exponent and logarithm from cancelling near 1.
    __device__ __forceinline__ double log_abs() const {
        const double x = fabs(mantissa);
        const bool halve = x > 1.4142135623730951 && x < 2;
        return log(halve ? x / 2 : x) + (double)(exponent + halve) * 0.69314718055994530942;
    }
};

struct PivotsArgs {
    Matrices a;
    // Each is computed where there is an address for it: det A, its sign, log |det A|, and whether the smallest pivot
    // is less than `ratio` times the largest.
    u64 det;
    u64 sign;
    u64 log;
    u64 near;
    u64 ratio;
    u64 count;
    Divisor n;
};

KERNEL(pivots, PivotsArgs, THREADS) {
    __shared__ Workspace work;
    const Group g(a.count);
    const int n = a.n.size();
    T row[G];
    // In double precision, as on the CPU.
    Scaled product = {1, 0};
    T low = Limits<T>::highest(), high = 0;
    // NaN and infinity are near nothing.
    bool finite = true;
    const auto each = [&](T pivot) {
        product.multiply(pivot);
        finite &= is_finite(pivot);
        const T size = magnitude(pivot);
        low = size < low ? size : low;
        high = size > high ? size : high;
    };
    const Eliminated found = load_eliminated<INVERSE_LOWER>(row, a.a, n, a.n, g, work, each);
    if (g.lane > 0 || !g.exists) return;
    if (found.odd) product.mantissa = -product.mantissa;
    if (a.det) reinterpret_cast<T*>(a.det)[g.matrix] = (T)product.value();
    if (a.sign) reinterpret_cast<T*>(a.sign)[g.matrix] = (T)product.sign();
    if (a.log) reinterpret_cast<T*>(a.log)[g.matrix] = (T)product.log_abs();
    const bool near = finite && (high == 0 || (double)low / (double)high <= Bits<double>::of(a.ratio));
    if (a.near) reinterpret_cast<bool*>(a.near)[g.matrix] = near;
}

struct CofactorsArgs {
    Matrices a;
    Matrices factor;
    u64 out;
    u64 count;
    Divisor n;
    // Whether products of the elements of a matrix leave the range.
    u64 lost;
};

// The cofactors of A times a number, the derivative of that number times det A, exact at every rank: nothing is
// divided by a pivot but what is smaller than it.
//
// With P A = L U, cof A = det P (adj U  L^-1 P)^T, and for the triangle U, with E_ii = 1,
// adj U_ij = (prod_(k<i) u_kk) E_ij (prod_(k>j) u_kk),
// E_ij = -sum_(i<=r<j) E_ir u_rj prod_(r<q<j) u_qq: the minors of U are determinants of Hessenberg matrices
// (Golub and Van Loan, section 7.4, for the form; expanded along the last column).
KERNEL(cofactors, CofactorsArgs, THREADS) {
    __shared__ Workspace work;
    const Group g(a.count);
    Tile& tile = work.tiles[g.group];
    const int* order = work.order[g.group];
    const int n = a.n.size(), i = g.lane;
    T row[G];
    const Eliminated found = load_eliminated<INVERSE_LOWER>(row, a.a, n, a.n, g, work, [](T) {});
    place_rows(work, row, found, n, g);

    // The products of the pivots before and behind each, and the range they stay in.
    T head = found.odd ? -*a.factor.matrix(g.matrix) : *a.factor.matrix(g.matrix), tail = 1;
    T before = 0, low = 1, high = 1;
    T* behind = work.rows[g.group][0].at;
    for (int k = 0; k < n; k++) {
        const int l = n - 1 - k;
        if (k == i) before = head;
        if (i == 0) behind[l] = tail;
        head *= tile[k][k];
        tail *= tile[l][l];
        const T sizes[2] = {magnitude(head), magnitude(tail)};
#pragma unroll
        for (int s = 0; s < 2; s++) {
            if (sizes[s] < low && sizes[s] != 0) low = sizes[s];
            if (sizes[s] > high) high = sizes[s];
        }
    }
    const T limit = sizeof(T) == 4 ? T(1e30) : T(1e290);
    if (i == 0 && g.exists) reinterpret_cast<bool*>(a.lost)[g.matrix] = !(low >= 1 / limit && high <= limit);

    // E takes the place of U column by column.
    for (int j = 1; j < n; j++) {
        T sum = 0;
        for (int r = i; r < j; r++) sum = sum * tile[r][r] + (r == i ? T(1) : tile[i][r]) * tile[r][j];
        __syncwarp();
        if (i < j) tile[i][j] = -sum;
        __syncwarp();
    }
    if (i >= n || !g.exists) return;
    T* out = reinterpret_cast<T*>(a.out) + g.matrix * n * n + i;
    for (int c = 0; c < n; c++) {
        T sum = 0;
        for (int k = max(i, c); k < n; k++) {
            const T x = before * (k == i ? T(1) : tile[i][k]) * behind[k];
            sum += x * (k == c ? T(1) : tile[k][c]);
        }
        out[order[c] * n] = sum;
    }
}
