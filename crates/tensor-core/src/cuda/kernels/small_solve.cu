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
    const Eliminated found = load_eliminated<LOWER>(row, a.a, rows, a.columns, g, work, [](T) {});
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
    const Eliminated found = load_eliminated<INVERSE>(row, a.a, n, a.n, g, work, [](T) {});
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
    const int n = a.n.size();
    T row[G];
    const Eliminated found = load_eliminated<LOWER>(row, a.a, n, a.n, g, work, [](T) {});
    place_rows(work, row, found, n, g);
    if (found.zero < n && !found.holds_nan && g.lane == 0 && g.exists) report(a.singular, g.matrix);
    const int from = g.lane < n ? work.order[g.group][g.lane] : 0;
    solve_rows<C>(a.b, from, a.out, n, a.columns, g, [&](T (&b)[C]) {
        substitute(b, work.tiles[g.group], n, g.lane, false, true);
        substitute(b, work.tiles[g.group], n, g.lane, true, false);
    });
}

KERNEL(solve_column, SolveArgs, THREADS) {
    __shared__ Workspace work;
    solve<1>(a, work);
}

KERNEL(solve_columns, SolveArgs, THREADS) {
    __shared__ Workspace work;
    solve<4>(a, work);
}
