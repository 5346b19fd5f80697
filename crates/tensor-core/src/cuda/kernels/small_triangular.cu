// Cholesky factors and triangular systems: lane i has row i.

struct CholeskyArgs {
    Matrices a;
    u64 l;
    // The order of the first leading minor that is not positive, or 0, of each matrix; where it has an address.
    u64 minors;
    // Where it has an address: 64 times the number of a matrix plus the order of its minor.
    u64 failed;
    u64 count;
    Divisor n;
};

// A = L L^T, the outer product form (Golub and Van Loan, section 4.2.5), of which the lower triangle is read. Columns
// change places as they are used, so that the one in turn is always x[0].
KERNEL(cholesky, CholeskyArgs, THREADS) {
    __shared__ Shared rows[GROUPS][2];
    __shared__ Tile tiles[GROUPS];
    const Group g(a.count);
    Tile& tile = tiles[g.group];
    const int n = a.n.size();
    load(tile, a.a, a.a.matrix(g.matrix), n, a.n, g.lane);
    T x[G];
#pragma unroll
    for (int j = 0; j < G; j++) x[j] = j <= g.lane && g.lane < n ? tile[g.lane][j] : T(0);
    int minor = 0;
    for (int k = 0; k < n; k++) {
        const T pivot = __shfl_sync(WARP, x[0], k, G);
        if (minor == 0 && !(pivot > 0)) minor = k + 1;
        const T root = sqrt(pivot);
        const T l = g.lane > k ? x[0] * (1 / root) : T(0);
        // Column j of the rest is x[j - k - 1]. There are zeros for the columns that are done with.
        Shared& shared = rows[g.group][k & 1];
        shared.at[(g.lane - k - 1) & (G - 1)] = l;
        __syncwarp();
        T column[G];
        shared.read(column);
#pragma unroll
        for (int j = 0; j < G - 1; j++) x[j] = x[j + 1] - l * column[j];
        x[G - 1] = g.lane == k ? root : l;
    }
    __syncwarp();
    if (g.lane < n) {
#pragma unroll
        for (int r = 0; r < G; r++) {
            const int j = (r + n) % G;
            if (j < n) tile[g.lane][j] = minor ? Limits<T>::nan() : j <= g.lane ? x[r] : T(0);
        }
    }
    store(a.l, tile, n, a.n, g);
    if (g.lane > 0 || !g.exists) return;
    if (a.minors) reinterpret_cast<i64*>(a.minors)[g.matrix] = minor;
    if (a.failed && minor) report(a.failed, g.matrix * 64 + minor);
}

struct TriangularArgs {
    Matrices a;
    Matrices b;
    u64 out;
    u64 count;
    Divisor n;
    i64 columns;
    u64 upper;
    u64 unit;
    u64 singular;
};

// A^-1 B, C columns at a time.
template <int C> DEVICE void triangular(const TriangularArgs& a, Tile& tile) {
    const Group g(a.count);
    const int n = a.n.size();
    load(tile, a.a, a.a.matrix(g.matrix), n, a.n, g.lane);
    if (!a.unit && g.lane < n && tile[g.lane][g.lane] == 0 && g.exists) report(a.singular, g.matrix);
    solve_rows<C>(a.b, g.lane < n ? g.lane : 0, a.out, n, a.columns, g,
                  [&](T (&b)[C]) { substitute(b, tile, n, g.lane, a.upper, a.unit); });
}

KERNEL(triangular_column, TriangularArgs, THREADS) {
    __shared__ Tile tiles[GROUPS];
    triangular<1>(a, tiles[threadIdx.x / G]);
}

KERNEL(triangular_columns, TriangularArgs, THREADS) {
    __shared__ Tile tiles[GROUPS];
    triangular<4>(a, tiles[threadIdx.x / G]);
}
