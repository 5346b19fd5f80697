//! Rows for columns.

/// Exchanges rows and columns of an `n x n` matrix, in blocks whose lines stay in the cache.
pub(super) fn transpose<T: Copy>(a: &mut [T], n: usize) {
    const BLOCK: usize = 16;
    for row in (0..n).step_by(BLOCK) {
        for col in (row..n).step_by(BLOCK) {
            for i in row..n.min(row + BLOCK) {
                for j in col.max(i + 1)..n.min(col + BLOCK) {
                    a.swap(i * n + j, j * n + i);
                }
            }
        }
    }
}

/// Writes the `m x n` matrix that `columns` holds column by column to `rows`, row by row.
pub(super) fn to_rows<T: Copy>(columns: &[T], m: usize, n: usize, rows: &mut [T]) {
    const BLOCK: usize = 16;
    for row in (0..m).step_by(BLOCK) {
        for col in (0..n).step_by(BLOCK) {
            for i in row..m.min(row + BLOCK) {
                for j in col..n.min(col + BLOCK) {
                    rows[i * n + j] = columns[j * m + i];
                }
            }
        }
    }
}
