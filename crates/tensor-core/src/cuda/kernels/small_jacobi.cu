// Singular values, and eigenvalues of symmetric matrices, by one-sided Jacobi rotations (M. R. Hestenes, "Inversion of
// matrices by biorthogonalization and related results", J. SIAM 6(1), 1958; Golub and Van Loan, section 8.6.3): lane
// j has column j, and the columns are rotated in pairs until they are orthogonal to each other.

// Sweeps in which a matrix of any spectrum converges: six to eight are usual at the largest order.
constexpr int SWEEPS = 30;

// Rotates the columns x, and with them y where it is as long. Of two columns that are rotated the longer one comes
// first, which takes fewer sweeps (P. P. M. de Rijk, "A one-sided Jacobi algorithm for computing the singular value
// decomposition on a vector computer", SIAM J. Sci. Stat. Comput. 10(2), 1989). Returns whether no
// cosine between columns is above `limit`.
template <int Y> DEVICE bool orthogonalise(T (&x)[G], T (&y)[Y], int columns, int lane, T limit, int sweeps) {
    bool turned = true;
    for (int sweep = 0; sweep < sweeps && __any_sync(WARP, turned); sweep++) {
        turned = false;
        // Lanes j and j ^ round: every pair meets once.
        for (int round = 1; round < 2 * columns - 1 && round < G; round++) {
            T square = 0, dot = 0;
#pragma unroll
            for (int i = 0; i < G; i++) {
                square += x[i] * x[i];
                dot += x[i] * __shfl_xor_sync(WARP, x[i], round);
            }
            const T length = sqrt(square);
            const T other = __shfl_xor_sync(WARP, square, round), others_length = __shfl_xor_sync(WARP, length, round);
            // Columns without a length have no direction to be orthogonal to.
            const bool have_lengths = square > negligible_square() && other > negligible_square();
            const bool turn = have_lengths && magnitude(dot) > limit * length * others_length;
            if (!__any_sync(WARP, turn)) continue;
            turned |= turn;
            const bool first = lane < (lane ^ round);
            const T p = first ? square : other, q = first ? other : square;
            // The rotation by the smaller angle (Golub and Van Loan, algorithm 8.5.1).
            const T zeta = (q - p) / (2 * dot), size = magnitude(zeta);
            // The square of a large number may be out of range.
            const T tangent = 1 / (size + (size > 1 / Limits<T>::epsilon() ? size : sqrt(1 + size * size)));
            const T cosine = rsqrt(1 + tangent * tangent);
            const T sine = (zeta < 0 ? -tangent : tangent) * cosine;
            const T signed_sine = first ? -sine : sine;
            const bool exchange = p < q;
            const T own = !turn ? T(1) : exchange ? -signed_sine : cosine;
            const T others = !turn ? T(0) : exchange ? cosine : signed_sine;
#pragma unroll
            for (int i = 0; i < G; i++) x[i] = own * x[i] + others * __shfl_xor_sync(WARP, x[i], round);
            if (Y == G) {
#pragma unroll
                for (int i = 0; i < Y; i++) y[i] = own * y[i] + others * __shfl_xor_sync(WARP, y[i], round);
            }
        }
    }
    return !group_any(turned);
}

// What rounding leaves of the cosine between vectors of this length.
DEVICE T rounding_of(int rows) { return Limits<T>::epsilon() * sqrt(T(rows)); }

// How many of the first `count` lanes come before this one: values descend, and equal ones stay in their order.
DEVICE int rank_of(T value, int count, int lane) {
    int rank = 0;
    for (int k = 0; k < count; k++) {
        const T other = __shfl_sync(WARP, value, k, G);
        rank += other > value || (other == value && k < lane);
    }
    return rank;
}

DEVICE T square_of(const T (&x)[G]) {
    T square = 0;
#pragma unroll
    for (int i = 0; i < G; i++) square += x[i] * x[i];
    return square;
}

struct Completion {
    Tile tile;
    T vector[G];
    T dots[G];
};

// Gives the columns that are `missing` values that make all columns orthonormal: the unit vector that is farthest from
// the space of the others, without its part in that space (by the classical method of Gram and Schmidt, twice).
DEVICE void complete(T (&x)[G], bool missing, int rows, int columns, int lane, Completion& work) {
    if (!__any_sync(WARP, missing)) return;
    const bool was_missing = missing;
#pragma unroll
    for (int i = 0; i < G; i++) work.tile[i][lane] = missing ? T(0) : x[i];
    __syncwarp();
    while (__any_sync(WARP, missing)) {
        const int column = __ffs(group_ballot(missing)) - 1;
        T inside = 0;
        for (int j = 0; j < columns; j++) inside += work.tile[lane][j] * work.tile[lane][j];
        T farthest = lane < rows ? -inside : Limits<T>::lowest();
        int row = lane;
        group_largest(farthest, row);
        T e = lane == row ? T(1) : T(0);
        for (int pass = 0; pass < 2; pass++) {
            work.vector[lane] = e;
            __syncwarp();
            T dot = 0;
            for (int i = 0; i < rows; i++) dot += work.tile[i][lane] * work.vector[i];
            work.dots[lane] = dot;
            __syncwarp();
            for (int j = 0; j < columns; j++) e -= work.tile[lane][j] * work.dots[j];
        }
        e /= sqrt(group_sum(e * e));
        __syncwarp();
        if (column >= 0) work.tile[lane][column] = e;
        missing &= lane != column;
        __syncwarp();
    }
#pragma unroll
    for (int i = 0; i < G; i++)
        if (was_missing) x[i] = work.tile[i][lane];
}

// Where a matrix of singular vectors goes.
struct Vectors {
    u64 data;
    i64 row;
    i64 column;
    i64 matrix;
    __device__ __forceinline__ void store(const T (&x)[G], int rows, int column_of_x, i64 number) const {
        T* to = reinterpret_cast<T*>(data) + number * matrix + column_of_x * column;
#pragma unroll
        for (int i = 0; i < G; i++)
            if (i < rows) to[i * row] = x[i];
    }
};

struct SvdArgs {
    // With at least as many rows as columns: else it is the transpose.
    Matrices a;
    u64 s;
    Vectors left;
    Vectors right;
    u64 count;
    i64 rows;
    i64 columns;
    u64 failed;
};

// A V = U diag(s): the columns of A become those of A V, and the same rotations make V of the identity.
KERNEL(svd, SvdArgs, THREADS) {
    __shared__ Completion work[GROUPS];
    const Group g(a.count);
    const int rows = a.rows, columns = a.columns;
    const T* from = a.a.matrix(g.matrix) + g.lane * a.a.column;
    T x[G], v[G], largest = 0;
    bool finite = true;
#pragma unroll
    for (int i = 0; i < G; i++) {
        x[i] = i < rows && g.lane < columns ? from[i * a.a.row] : T(0);
        v[i] = i == g.lane ? T(1) : T(0);
        finite &= is_finite(x[i]);
        largest = magnitude(x[i]) > largest ? magnitude(x[i]) : largest;
    }
    finite = !group_any(!finite);
    const T scale = power_of_two(-exponent_of(group_largest(largest)));
#pragma unroll
    for (int i = 0; i < G; i++) x[i] = finite ? x[i] * scale : T(0);
    const bool done = orthogonalise(x, v, columns, g.lane, rounding_of(rows), SWEEPS);
    if (!(done && finite) && g.lane == 0 && g.exists) report(a.failed, g.matrix);
    // Rounding changed the length of both x and v.
    const T unit = 1 / sqrt(square_of(v)), length = sqrt(square_of(x)) * unit;
    const bool missing = g.lane < columns && length * length <= negligible_square();
    const int rank = rank_of(length, columns, g.lane);
    const T reciprocal = missing || length == 0 ? T(0) : unit / length;
#pragma unroll
    for (int i = 0; i < G; i++) {
        x[i] *= reciprocal;
        v[i] *= unit;
    }
    complete(x, missing, rows, columns, g.lane, work[g.group]);
    if (g.lane >= columns || !g.exists) return;
    reinterpret_cast<T*>(a.s)[g.matrix * columns + rank] = length / scale;
    a.left.store(x, rows, rank, g.matrix);
    a.right.store(v, columns, rank, g.matrix);
}

struct EighArgs {
    Matrices a;
    u64 w;
    u64 v;
    u64 count;
    i64 n;
    u64 failed;
};

// The columns of A + t I for a t that makes it positive definite, well away from singular: its singular vectors of both
// sides are then the same, the eigenvectors of A, and so no rotations have to be collected. The eigenvalues are the
// Rayleigh quotients v^T A v.
KERNEL(eigh, EighArgs, THREADS) {
    __shared__ Tile tiles[GROUPS];
    const Group g(a.count);
    Tile& tile = tiles[g.group];
    const int n = a.n;
    const T* from = a.a.matrix(g.matrix);
    // Of the lower triangle.
    const auto element = [&](int i, int j) { return from[max(i, j) * a.a.row + min(i, j) * a.a.column]; };
    T x[G], largest = 0;
    bool finite = true;
#pragma unroll
    for (int i = 0; i < G; i++) {
        x[i] = i < n && g.lane < n ? element(i, g.lane) : T(0);
        finite &= is_finite(x[i]);
        largest = magnitude(x[i]) > largest ? magnitude(x[i]) : largest;
    }
    finite = !group_any(!finite);
    const T scale = power_of_two(-exponent_of(group_largest(largest)));
    T sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < G; i++) {
        x[i] = finite ? x[i] * scale : T(0);
        sum += magnitude(x[i]);
        squares += x[i] * x[i];
    }
    // No eigenvalue is larger than either norm.
    const T bound = min(group_largest(sum), sqrt(group_sum(squares)));
    const T shift = bound > 0 ? T(1.5) * bound : T(1);
#pragma unroll
    for (int i = 0; i < G; i++)
        if (i == g.lane && i < n) x[i] += shift;
    T none[1], w = 0;
    bool done = false;
    // In the second pass the columns are formed anew, without the rounding of the rotations before, and turned once
    // more, where there is anything to gain.
#pragma unroll 1
    for (int pass = 0; pass < 2; pass++) {
        const T limit = pass == 0 ? rounding_of(n) : Limits<T>::epsilon();
        done |= orthogonalise(x, none, n, g.lane, limit, pass == 0 ? SWEEPS : 1);
        const T square = square_of(x), reciprocal = square > 0 ? rsqrt(square) : T(0);
#pragma unroll
        for (int i = 0; i < G; i++) {
            x[i] *= reciprocal;
            tile[i][g.lane] = x[i];
        }
        w = 0;
        for (int i = 0; i < n; i++) {
            T product = 0;
#pragma unroll
            for (int j = 0; j < G; j++)
                if (j < n) product += element(i, j) * scale * x[j];
            const T v = tile[i][g.lane];
            w += v * product;
            tile[i][g.lane] = product + shift * v;
        }
        if (pass == 1) break;
#pragma unroll
        for (int i = 0; i < G; i++) x[i] = tile[i][g.lane];
    }
    if (!(done && finite) && g.lane == 0 && g.exists) report(a.failed, g.matrix);
    const int rank = rank_of(-w, n, g.lane);
    if (g.lane >= n || !g.exists) return;
    reinterpret_cast<T*>(a.w)[g.matrix * n + rank] = w / scale;
    T* v = reinterpret_cast<T*>(a.v) + g.matrix * n * n + rank;
#pragma unroll
    for (int i = 0; i < G; i++)
        if (i < n) v[i * n] = x[i];
}
