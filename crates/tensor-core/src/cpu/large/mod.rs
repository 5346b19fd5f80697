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

mod balance;
mod cholesky;
mod complex_schur;
mod determinant;
mod divided;
mod eig;
mod eigh;
mod householder;
mod inverse;
mod lu;
mod principal;
mod ql;
mod qr;
mod schur;
mod solve;
mod svd;
mod transpose;
mod triangular;

#[cfg(test)]
mod tests;

pub use cholesky::{cholesky, tiny_pivot};
pub use complex_schur::sylvester;
pub use determinant::{lu_det, lu_slogdet};
pub use divided::derivative;
pub use eig::{eig, eigvals};
pub use eigh::eigh;
pub use inverse::inverse;
pub use lu::{lu, lu_tall};
pub use principal::{Lacking, Principal, principal};
pub use ql::negligible_square;
pub use qr::qr;
pub use schur::Schur;
pub use solve::lu_solve;
pub use svd::svd;
pub use triangular::solve_triangular;
