//! Factorisations of matrices that are too large for kernels of this crate's own, by cuSOLVER and cuBLAS.

mod decompose;
mod ffi;
mod lu;
mod steps;

pub(crate) use decompose::{cholesky_ex, eigh, qr, solve_triangular, svd};
pub(crate) use lu::{inverse, lu_det, lu_factors, lu_slogdet, lu_solve, nearly_singular};

pub(super) use steps::SOLVER;
