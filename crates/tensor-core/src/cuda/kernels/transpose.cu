// Copies in which memory is read along one dimension and written along another: squares pass through shared memory,
// so that both happen line by line (Ruetsch and Micikevicius 2009, "Optimizing matrix transpose in CUDA").

struct TransposeArgs {
    u64 x;
    u64 y;
    // y[i, j] = x[i, j]: neighbours along i are neighbours in x, neighbours along j are neighbours in y.
    u64 rows;
    u64 columns;
    i64 x_column;
    i64 y_row;
    // Squares along both.
    u64 row_tiles;
    u64 column_tiles;
    Nest<2> planes;
};

KERNEL(transpose, TransposeArgs, 256) {
    // Columns of the square lie in different banks.
    __shared__ T tile[32][33];
    const u64 strip = blockIdx.x / a.column_tiles;
    const u64 j0 = blockIdx.x % a.column_tiles * 32, i0 = strip % a.row_tiles * 32;
    const Places<2> plane(a.planes, strip / a.row_tiles);
    const T* x = pointer<const T>(a.x) + plane.at[0];
    T* y = pointer<T>(a.y) + plane.at[1];
    const u32 near = threadIdx.x % 32, far = threadIdx.x / 32;
#pragma unroll
    for (u32 k = far; k < 32; k += 8) {
        const u64 i = i0 + near, j = j0 + k;
        if (i < a.rows && j < a.columns) tile[k][near] = x[(i64)i + (i64)j * a.x_column];
    }
    __syncthreads();
#pragma unroll
    for (u32 k = far; k < 32; k += 8) {
        const u64 i = i0 + k, j = j0 + near;
        if (i < a.rows && j < a.columns) y[(i64)i * a.y_row + (i64)j] = tile[near][k];
    }
}
