//! The functions of this crate as methods.

use crate::{Conv1dOptions, CovOptions, FftNorm, MatrixNorm, Pair, PinvOptions, Triangle};
use autograd::Tensor;
use tensor_core::shape::Integer;
use tensor_core::{Float, Result};

/// The trait and its implementation, from the functions' parameters behind the first, their values and their errors.
macro_rules! methods {
    ($($(#[$errors:meta])+ $name:ident($($x:ident: $X:ty),*) -> $value:ty;)+) => {
        /// Linear algebra as methods of tensors; each is the free function of its name.
        pub trait Linalg<T: Float>: Sized {
            $(
                #[doc = concat!("[`crate::", stringify!($name), "`]")]
                ///
                /// # Errors
                $(#[$errors])+
                fn $name(&self, $($x: $X),*) -> Result<$value>;
            )+
        }

        impl<T: Float> Linalg<T> for Tensor<T> {
            $(
                #[track_caller]
                fn $name(&self, $($x: $X),*) -> Result<$value> {
                    crate::$name(self, $($x),*)
                }
            )+
        }
    };
}

methods! {
    /// Shape, where these are not vectors of one length.
    dot(other: &Tensor<T>) -> Tensor<T>;
    /// Shape, where these are not vectors.
    outer(other: &Tensor<T>) -> Tensor<T>;
    /// Out of memory.
    kron(b: &Tensor<T>) -> Tensor<T>;
    /// Shape, where either does not have three elements there; index, for no such dimension.
    cross(b: &Tensor<T>, dim: impl Integer) -> Tensor<T>;
    /// Shape, where the dimensions do not match.
    tensordot(b: &Tensor<T>, n: impl Integer) -> Tensor<T>;
    /// Shape, where matrix and vector do not fit.
    mv(x: &Tensor<T>) -> Tensor<T>;
    /// Shape, where the matrices do not fit.
    mm(b: &Tensor<T>) -> Tensor<T>;
    /// Shape, where the batches do not fit.
    bmm(b: &Tensor<T>) -> Tensor<T>;
    /// Shape, where the operands do not fit.
    matmul(b: &Tensor<T>) -> Tensor<T>;
    /// Shape, where the operands do not fit in `beta self + alpha a x`.
    addmv(a: &Tensor<T>, x: &Tensor<T>, beta: T, alpha: T) -> Tensor<T>;
    /// Shape, where the operands do not fit in `beta self + alpha a b`.
    addmm(a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Tensor<T>;
    /// Shape, where the operands do not fit in `beta self + alpha a b` over a batch.
    baddbmm(a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Tensor<T>;
    /// Shape, where the matrices are not square; argument; singular.
    inverse() -> Tensor<T>;
    /// Shape, where the matrices are not square.
    det() -> Tensor<T>;
    /// Shape, where the matrices are not square.
    slogdet() -> (Tensor<T>, Tensor<T>);
    /// Shape, where the matrices are not square.
    logdet() -> Tensor<T>;
    /// Shape, where these are no matrices; argument; not converged.
    pinv() -> Tensor<T>;
    /// Shape, where the operands do not fit; argument; singular.
    solve(b: &Tensor<T>) -> Tensor<T>;
    /// Shape, where the matrices are not square; argument; not positive definite.
    cholesky(upper: bool) -> Tensor<T>;
    /// Shape, where the operands do not fit; argument; singular.
    cholesky_solve(b: &Tensor<T>, upper: bool) -> Tensor<T>;
    /// Shape, where the operands do not fit; argument; singular.
    solve_triangular(b: &Tensor<T>, triangle: Triangle) -> Tensor<T>;
    /// Shape, where the operands do not fit; argument; not converged.
    lstsq(b: &Tensor<T>, rtol: Option<f64>) -> Tensor<T>;
    /// Shape, where these are no matrices; argument, for NaN and infinity.
    qr() -> (Tensor<T>, Tensor<T>);
    /// Shape, where the matrices are not square; argument; not converged.
    eigh() -> (Tensor<T>, Tensor<T>);
    /// Shape, where the matrices are not square; argument; not converged.
    eigvalsh() -> Tensor<T>;
    /// Shape, where the matrices are not square; argument; not converged.
    eig() -> (Pair<T>, Pair<T>);
    /// Shape, where the matrices are not square; argument; not converged.
    eigvals() -> Pair<T>;
    /// Shape, where the matrices are not square; argument; not converged.
    schur() -> (Tensor<T>, Tensor<T>);
    /// Shape, where these are no matrices; argument; not converged.
    svd() -> (Tensor<T>, Tensor<T>, Tensor<T>);
    /// Shape, where these are no matrices; argument; not converged.
    svdvals() -> Tensor<T>;
    /// Shape, where these are no matrices; argument; not converged.
    matrix_norm(norm: impl Into<MatrixNorm>) -> Tensor<T>;
    /// Shape, where these are no matrices; argument; not converged.
    cond() -> Tensor<T>;
    /// Shape, where these are no matrices; argument; not converged.
    matrix_rank(rtol: Option<f64>) -> Tensor<i64>;
    /// Shape, where the matrices are not square; argument; singular.
    matrix_power(n: i32) -> Tensor<T>;
    /// Shape, where the matrices are not square; argument, for NaN and infinity.
    matrix_exp() -> Tensor<T>;
    /// Shape, where the matrices are not square; argument, for NaN, infinity and eigenvalues that are zero or negative.
    matrix_log() -> Tensor<T>;
    /// Shape, where the matrices are not square; argument, for NaN, infinity and eigenvalues that are zero or negative.
    matrix_sqrt() -> Tensor<T>;
    /// Shape, where the operands do not fit; argument; singular; not converged.
    solve_sylvester(b: &Tensor<T>, c: &Tensor<T>) -> Tensor<T>;
    /// Shape, for scalars; index; argument, for a length of 0; device, on a GPU.
    rfft(n: Option<usize>, dim: impl Integer, norm: FftNorm) -> Pair<T>;
    /// Shape, where the matrices are not square.
    cholesky_ex(upper: bool) -> (Tensor<T>, Tensor<i64>);
    /// Shape, where the matrices are not square; argument; not positive definite.
    cholesky_jitter(jitter: f64) -> (Tensor<T>, Tensor<T>);
    /// Shape, where the matrices are not square.
    lu() -> (Tensor<T>, Tensor<T>, Tensor<T>);
    /// Shape, where these are no matrices, or not symmetric; argument; not converged.
    pinv_with(options: PinvOptions) -> Tensor<T>;
    /// Shape, where the matrices are not square; argument; not converged.
    symmetric_power(p: f64) -> Tensor<T>;
    /// Shape, for a scalar.
    vander(n: impl Integer, decreasing: bool) -> Tensor<T>;
    /// Shape, for more than two dimensions.
    cov() -> Tensor<T>;
    /// Shape, for more than two dimensions, and where there is not a weight for each observation.
    cov_with(options: CovOptions<'_, T>) -> Tensor<T>;
    /// Shape, for more than two dimensions.
    corrcoef() -> Tensor<T>;
    /// Shape, where the operands do not fit; argument, for a stride, a dilation or groups of 0.
    conv1d(weight: &Tensor<T>, bias: Option<&Tensor<T>>, options: Conv1dOptions) -> Tensor<T>;
}
