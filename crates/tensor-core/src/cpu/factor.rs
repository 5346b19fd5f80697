//! Dense factorisations of row-major matrices: LU with partial pivoting and what follows from it
//! (linear systems, determinant, inverse), and the singular value decomposition.
//!
//! Every block split depends on the shapes only and no sum is shared between tasks, so the results
//! are the same bits for every number of rayon threads.
//!
//! References: LAPACK (`getrf`, `getrs`, `getri`, `gesdd`); S. Toledo, "Locality of reference in LU
//! decomposition with partial pivoting", SIAM J. Matrix Anal. Appl. 18(4), 1997; G. H. Golub and
//! C. F. Van Loan, "Matrix Computations", 4th edition, sections 3.1, 3.2, 3.4 and 8.6.

mod determinant;
mod inverse;
mod lu;
mod solve;
mod svd;
mod triangular;

#[cfg(test)]
mod tests;

pub use determinant::{lu_det, lu_slogdet};
pub use inverse::inverse;
pub use lu::lu;
pub use solve::lu_solve;
pub use svd::svd;
