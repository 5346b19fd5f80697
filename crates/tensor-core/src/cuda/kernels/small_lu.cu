// LU with partial pivoting, and what follows from it: lane i has row i of A. Rows are not exchanged: each lane knows
// the place of its row in P A (as in Haidar, Abdelfattah, Zounon, Tomov and Dongarra, "A guide for achieving high
// performance with very small matrices on GPU", IEEE Trans. Parallel Distrib. Syst. 29(5), 2018). Pivots and the
// rounding of the elimination are those of the CPU.

struct Workspace {
    Shared rows[GROUPS][2];
    Tile tiles[GROUPS];
    // The row of A at each place of P A.
    int order[GROUPS][G];
};

// What takes the place of a column once it is eliminated: L, or L^-1, or, with the rows above eliminated too
// (Gauss and Jordan), the column of the inverse but for the pivots.
enum Keep { LOWER, INVERSE_LOWER, INVERSE };

struct Eliminated {
    // Of this lane's row.
    int place;
    T pivot;
    // The first step with a pivot of zero; none counts where the matrix holds NaN, which becomes that pivot.
    int zero;
    bool holds_nan;
    bool odd;
};

DEVICE void take_row(T (&a)[G], const Tile& tile, int rows, int columns, int lane) {
#pragma unroll
    for (int j = 0; j < G; j++) a[j] = lane < rows && j < columns ? tile[lane][j] : T(0);
}

// Columns change places as they are used, so that the one in turn is always a[0]; after the last step, a[r] is column
// (r + steps) % G. `each(pivot)` is told the pivots.
template <Keep KEEP, typename Each>
DEVICE Eliminated eliminate(T (&a)[G], int steps, int lane, Shared* rows, Each each) {
    bool nan = false;
#pragma unroll
    for (int j = 0; j < G; j++) nan |= is_nan(a[j]);
    Eliminated found = {lane, T(1), steps, group_any(nan), false};
    for (int k = 0; k < steps; k++) {
        // The first of the largest, by place; NaN counts as infinite.
        T largest = found.place < k ? T(-1) : is_nan(a[0]) ? Limits<T>::highest() : magnitude(a[0]);
        int from = found.place;
        group_largest(largest, from);
        const bool chosen = found.place == from;
        found.place = chosen ? k : found.place == k ? from : found.place;
        found.odd ^= from != k;
        Shared& shared = rows[k & 1];
        if (chosen) {
            T row[G];
#pragma unroll
            for (int j = 0; j < G; j++) row[j] = KEEP == LOWER && j >= G - k ? T(0) : a[j];
            shared.write(row);
        }
        __syncwarp();
        T row[G];
        shared.read(row);
        T pivot = row[0];
        const bool zero = pivot == 0;
        if (zero && found.zero == steps) {
            found.zero = k;
            if (found.holds_nan) pivot = Limits<T>::nan();
        }
        if (chosen) found.pivot = pivot;
        each(pivot);
        const bool changes = KEEP == INVERSE ? !chosen : found.place > k;
        const T factor = changes && !zero ? a[0] / pivot : T(0);
        const T kept = KEEP == INVERSE && chosen ? T(1) : !changes ? a[0] : KEEP == LOWER ? factor : -factor;
#pragma unroll
        for (int j = 0; j < G - 1; j++) a[j] = subtract_product(a[j + 1], factor, row[j + 1]);
        a[G - 1] = kept;
    }
    return found;
}

// A group's matrix, each row in the registers of a lane, eliminated.
template <Keep KEEP, typename Each>
DEVICE Eliminated load_eliminated(T (&row)[G], const Matrices& a, int rows, Divisor columns, const Group& g,
                                  Workspace& work, Each each) {
    Tile& tile = work.tiles[g.group];
    load(tile, a, a.matrix(g.matrix), rows, columns, g.lane);
    take_row(row, tile, rows, columns.size(), g.lane);
    return eliminate<KEEP>(row, columns.size(), g.lane, work.rows[g.group], each);
}

// The rows at their places, with the columns where they belong.
DEVICE void place_row(Tile& tile, const T (&a)[G], const Eliminated& found, int rows, int columns, int lane) {
    __syncwarp();
    if (lane >= rows) return;
#pragma unroll
    for (int r = 0; r < G; r++) {
        const int j = (r + columns) % G;
        const bool turned_nan = found.holds_nan && j == found.zero && j == found.place;
        if (j < columns) tile[found.place][j] = turned_nan ? found.pivot : a[r];
    }
}

// Those of a square matrix, and which row of it is at each place.
DEVICE void place_rows(Workspace& work, const T (&row)[G], const Eliminated& found, int n, const Group& g) {
    place_row(work.tiles[g.group], row, found, n, n, g.lane);
    if (g.lane < n) work.order[g.group][found.place] = g.lane;
    __syncwarp();
}
