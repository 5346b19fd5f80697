//! Factorisations of matrices that are too large for kernels of this crate's own, by cuSOLVER and cuBLAS.

mod ffi;
mod lu;
mod orthogonal;
mod steps;
mod triangular;

pub(crate) use lu::{inverse, lu_det, lu_factors, lu_slogdet, lu_solve, nearly_singular};
pub(crate) use orthogonal::{eigh, qr, svd};
pub(crate) use triangular::{cholesky_ex, solve_triangular};

pub(super) use steps::SOLVER;
