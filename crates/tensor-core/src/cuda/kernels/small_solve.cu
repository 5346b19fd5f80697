// Factors, inverses and linear systems.

struct FactorsArgs {
    Matrices a;
    u64 lu;
    u64 order;
    u64 count;
    i64 rows;
    Divisor columns;
};

// The first columns of A, as many as there are rows at most.
KERNEL(factors, FactorsArgs, THREADS) {
    __shared__ Workspace work;
    const Group g(a.count);
    Tile& tile = work.tiles[g.group];
    const int rows = a.rows, columns = a.columns.size();
    T row[G];
    load(tile, a.a, a.a.matrix(g.matrix), rows, a.columns, g.lane);
    take_row(row, tile, rows, columns, g.lane);
    const Eliminated found = eliminate<LOWER>(row, columns, g.lane, work.rows[g.group], [](T) {});
    place_row(tile, row, found, rows, columns, g.lane);
    store(a.lu, tile, rows, a.columns, g);
    if (g.lane < rows && g.exists) reinterpret_cast<i64*>(a.order)[g.matrix * rows + found.place] = g.lane;
}

struct InverseArgs {
    Matrices a;
    u64 out;
    u64 count;
    Divisor n;
    u64 singular;
};

KERNEL(inverse, InverseArgs, THREADS) {
    __shared__ Workspace work;
    const Group g(a.count);
    Tile& tile = work.tiles[g.group];
    int* order = work.order[g.group];
    const int n = a.n.size();
    T row[G];
    load(tile, a.a, a.a.matrix(g.matrix), n, a.n, g.lane);
    take_row(row, tile, n, n, g.lane);
    const Eliminated found = eliminate<INVERSE>(row, n, g.lane, work.rows[g.group], [](T) {});
    const bool zero = found.zero < n;
    if (zero && !found.holds_nan && g.lane == 0 && g.exists) report(a.singular, g.matrix);
    // The reciprocal of a small pivot may be out of range.
    const bool small = magnitude(found.pivot) < 4 * Limits<T>::tiny();
    const T reciprocal = 1 / found.pivot;
    if (g.lane < n) order[found.place] = g.lane;
    __syncwarp();
    if (g.lane < n) {
#pragma unroll
        for (int r = 0; r < G; r++) {
            const int j = (r + n) % G;
            const T x = small ? row[r] / found.pivot : row[r] * reciprocal;
            if (j < n) tile[found.place][order[j]] = zero ? Limits<T>::nan() : x;
        }
    }
    store(a.out, tile, n, a.n, g);
}

struct SolveArgs {
    Matrices a;
    Matrices b;
    u64 out;
    u64 count;
    Divisor n;
    i64 columns;
    u64 singular;
};

// A^-1 B, C columns at a time.
template <int C> DEVICE void solve(const SolveArgs& a, Workspace& work) {
    const Group g(a.count);
    Tile& tile = work.tiles[g.group];
    int* order = work.order[g.group];
    const int n = a.n.size();
    T row[G];
    load(tile, a.a, a.a.matrix(g.matrix), n, a.n, g.lane);
    take_row(row, tile, n, n, g.lane);
    const Eliminated found = eliminate<LOWER>(row, n, g.lane, work.rows[g.group], [](T) {});
    place_row(tile, row, found, n, n, g.lane);
    if (g.lane < n) order[found.place] = g.lane;
    __syncwarp();
    if (found.zero < n && !found.holds_nan && g.lane == 0 && g.exists) report(a.singular, g.matrix);
    const T* from = a.b.matrix(g.matrix) + (g.lane < n ? order[g.lane] : 0) * a.b.row;
    T* to = reinterpret_cast<T*>(a.out) + (g.matrix * n + g.lane) * a.columns;
    for (i64 first = 0; first < a.columns; first += C) {
        T b[C];
#pragma unroll
        for (int c = 0; c < C; c++) b[c] = first + c < a.columns ? from[(first + c) * a.b.column] : T(0);
        substitute(b, tile, n, g.lane, false, true);
        substitute(b, tile, n, g.lane, true, false);
#pragma unroll
        for (int c = 0; c < C; c++)
            if (g.lane < n && first + c < a.columns && g.exists) to[first + c] = b[c];
    }
}

KERNEL(solve_column, SolveArgs, THREADS) {
    __shared__ Workspace work;
    solve<1>(a, work);
}

KERNEL(solve_columns, SolveArgs, THREADS) {
    __shared__ Workspace work;
    solve<4>(a, work);
}
