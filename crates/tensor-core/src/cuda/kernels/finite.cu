// The first matrix of a batch of which a part is not finite.

struct FiniteArgs {
    Matrices a;
    // Elements of all matrices, and of each.
    u64 count;
    u64 rows;
    u64 columns;
    // 0: all of them, 1: the lower triangle, 2: the upper one; and whether without the diagonal.
    u64 triangle;
    u64 unit;
    u64 status;
};

KERNEL(not_finite, FiniteArgs, 256) {
    for (u64 e = blockIdx.x * 256ull + threadIdx.x; e < a.count; e += gridDim.x * 256ull) {
        const u64 matrix = e / (a.rows * a.columns), rest = e % (a.rows * a.columns);
        const u64 i = rest / a.columns, j = rest % a.columns;
        if (a.triangle && (a.triangle == 1 ? j + a.unit > i : i + a.unit > j)) continue;
        if (!is_finite(a.a.matrix(matrix)[(i64)i * a.a.row + (i64)j * a.a.column])) report(a.status, matrix);
    }
}
