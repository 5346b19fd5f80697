//! The factorisations, applied to batches: many small matrices side by side by [`small`](super::small), others one by
//! one by [`large`](super::large).

mod analytic;
mod gaps;
mod general;
mod lu;
mod orthogonal;
mod spread;
mod triangular;

pub use analytic::analytic_derivative;
pub use gaps::over_gaps;
pub use general::{eig, eigvals, matrix_log, matrix_sqrt, schur, sylvester};
pub use lu::{cofactors, inverse, lu, lu_det, lu_factors, lu_nearly_singular, lu_slogdet, lu_solve};
pub use orthogonal::{eigh, qr, svd};
pub use triangular::{cholesky, cholesky_ex, solve_triangular};
