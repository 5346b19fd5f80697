//! Differentiable linear algebra of [tapegrad](https://docs.rs/tapegrad), one family a file, built
//! on autograd's public operation interface alone.
//!
//! Every function is also a method of tensors, through [`Linalg`]. Matrices are the last two
//! dimensions; the leading ones are a batch.

mod chain;
mod cholesky;
mod complex;
mod convolution;
mod covariance;
mod cross;
mod determinant;
mod eig;
mod einsum;
mod fourier;
mod gaps;
mod implicit;
mod inverse;
mod iterative;
mod least_squares;
mod linearized;
mod lstsq;
mod lu;
mod methods;
mod pinv;
mod power;
mod principal;
mod product;
mod qr;
mod solve;
mod sparse;
mod spectral;
mod structured;
mod svd;
mod symmetric;
mod triangular;

pub use chain::multi_dot;
pub use cholesky::{cholesky, cholesky_ex, cholesky_jitter, cholesky_solve};
pub use convolution::{Conv1dOptions, conv1d};
pub use covariance::{CovOptions, corrcoef, cov, cov_with};
pub use cross::cross;
pub use determinant::{det, logdet, slogdet};
pub use eig::{Pair, eig, eigvals, schur};
pub use einsum::{einsum, kron, tensordot};
pub use fourier::{FftNorm, fft, fftfreq, fftshift, ifft, ifftshift, irfft, rfft, rfftfreq};
pub use implicit::{
    ImplicitJacobian, ImplicitOperator, ImplicitOptions, custom_argmin, custom_argmin_with, custom_root,
    custom_root_with, implicit_argmin, implicit_argmin_with, implicit_root, implicit_root_with,
};
pub use inverse::inverse;
pub use iterative::{IterativeOptions, IterativeSolution, LinearOperator, MatrixFree, cg, lsqr};
pub use least_squares::least_squares_loss;
pub use lstsq::lstsq;
pub use lu::{lu, lu_solve};
pub use methods::Linalg;
pub use pinv::{PinvOptions, pinv, pinv_with};
pub use power::{matrix_exp, matrix_power};
pub use principal::{matrix_log, matrix_sqrt, solve_sylvester};
pub use product::{addmm, addmv, baddbmm, bmm, dot, matmul, mm, mv, outer};
pub use qr::{qr, qr_complete};
pub use solve::solve;
pub use sparse::{BlockJacobian, SparseJacobian, SparseLayout, SparseTensor};
pub use spectral::{eigh, eigvalsh};
pub use structured::{block_diag, toeplitz, vander};
pub use svd::{MatrixNorm, cond, matrix_norm, matrix_rank, svd, svdvals};
pub use symmetric::{
    Analytic, spectral_projector, symmetric_exp, symmetric_function, symmetric_log, symmetric_power,
};
pub use triangular::{Triangle, solve_triangular};
