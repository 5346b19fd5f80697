//! Dense factorisations of row-major matrices: LU with partial pivoting and what follows from it
//! (linear systems, determinant, inverse), Cholesky, QR, triangular systems, and the decompositions by
//! singular values and by eigenvalues.
//!
//! Every block split depends on the shapes only and no sum is shared between tasks, so the results
//! are the same bits for every number of rayon threads.
//!
//! References: LAPACK (`getrf`, `getrs`, `getri`, `gesdd`); S. Toledo, "Locality of reference in LU
//! decomposition with partial pivoting", SIAM J. Matrix Anal. Appl. 18(4), 1997; G. H. Golub and
//! C. F. Van Loan, "Matrix Computations", 4th edition, sections 3.1, 3.2, 3.4, 8.3 and 8.6.

mod cholesky;
mod determinant;
mod divided;
mod eigh;
mod householder;
mod inverse;
mod lu;
mod ql;
mod qr;
mod solve;
mod svd;
mod triangular;

#[cfg(test)]
mod tests;

pub use cholesky::{cholesky, tiny_pivot};
pub use determinant::{lu_det, lu_slogdet};
pub use divided::{Analytic, derivative};
pub use eigh::eigh;
pub use inverse::inverse;
pub use lu::{lu, lu_tall};
pub use ql::negligible_square;
pub use qr::qr;
pub use solve::lu_solve;
pub use svd::svd;
pub use triangular::{Triangle, solve_triangular};

/// Exchanges rows and columns of an `n x n` matrix, in blocks whose lines stay in the cache.
fn transpose<T: Copy>(a: &mut [T], n: usize) {
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
fn to_rows<T: Copy>(columns: &[T], m: usize, n: usize, rows: &mut [T]) {
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
