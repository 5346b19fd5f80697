//! Factorisations of batches: matrices of at most 32 rows and columns by kernels of their own, in one launch for all
//! of a batch; larger ones by [`large`](super::large).

mod gaps;
mod lu;
mod orthogonal;
mod small;
mod triangular;

pub(super) use gaps::GAPS;
pub(crate) use gaps::over_gaps;
pub(super) use lu::{DETERMINANT, SOLVE};
pub(crate) use lu::{cofactors, inverse, lu, lu_det, lu_factors, lu_nearly_singular, lu_slogdet, lu_solve};
pub(super) use orthogonal::{JACOBI, QR};
pub(crate) use orthogonal::{eigh, qr, svd};
pub(super) use triangular::TRIANGULAR;
pub(crate) use triangular::{cholesky, cholesky_ex, solve_triangular};
