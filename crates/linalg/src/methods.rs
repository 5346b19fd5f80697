//! The functions of this crate as methods.

use crate::{MatrixNorm, PinvOptions, Triangle};
use autograd::Tensor;
use tensor_core::{Float, Result};

/// Linear algebra as methods of tensors; each is the free function of its name.
pub trait Linalg<T: Float>: Sized {
    /// [`crate::dot`]
    ///
    /// # Errors
    /// Shape, where these are not vectors of one length.
    fn dot(&self, other: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::outer`]
    ///
    /// # Errors
    /// Shape, where these are not vectors.
    fn outer(&self, other: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::kron`]
    ///
    /// # Errors
    /// Out of memory.
    fn kron(&self, b: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::cross`]
    ///
    /// # Errors
    /// Shape, where either does not have three elements there; index, for no such dimension.
    fn cross(&self, b: &Tensor<T>, dim: isize) -> Result<Tensor<T>>;
    /// [`crate::tensordot`]
    ///
    /// # Errors
    /// Shape, where the dimensions do not match.
    fn tensordot(&self, b: &Tensor<T>, n: usize) -> Result<Tensor<T>>;
    /// [`crate::mv`]
    ///
    /// # Errors
    /// Shape, where matrix and vector do not fit.
    fn mv(&self, x: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::mm`]
    ///
    /// # Errors
    /// Shape, where the matrices do not fit.
    fn mm(&self, b: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::bmm`]
    ///
    /// # Errors
    /// Shape, where the batches do not fit.
    fn bmm(&self, b: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::matmul`]
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    fn matmul(&self, b: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::addmv`]: `beta self + alpha a x`
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    fn addmv(&self, a: &Tensor<T>, x: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>>;
    /// [`crate::addmm`]: `beta self + alpha a b`
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    fn addmm(&self, a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>>;
    /// [`crate::baddbmm`]: `beta self + alpha a b` over a batch
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    fn baddbmm(&self, a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>>;
    /// [`crate::inverse`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; singular.
    fn inverse(&self) -> Result<Tensor<T>>;
    /// [`crate::det`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    fn det(&self) -> Result<Tensor<T>>;
    /// [`crate::slogdet`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    fn slogdet(&self) -> Result<(Tensor<T>, Tensor<T>)>;
    /// [`crate::logdet`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    fn logdet(&self) -> Result<Tensor<T>>;
    /// [`crate::pinv`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument; not converged.
    fn pinv(&self) -> Result<Tensor<T>>;
    /// [`crate::solve`]
    ///
    /// # Errors
    /// Shape, where the operands do not fit; argument; singular.
    fn solve(&self, b: &Tensor<T>) -> Result<Tensor<T>>;
    /// [`crate::cholesky`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; not positive definite.
    fn cholesky(&self, upper: bool) -> Result<Tensor<T>>;
    /// [`crate::cholesky_solve`]
    ///
    /// # Errors
    /// Shape, where the operands do not fit; argument; singular.
    fn cholesky_solve(&self, b: &Tensor<T>, upper: bool) -> Result<Tensor<T>>;
    /// [`crate::solve_triangular`]
    ///
    /// # Errors
    /// Shape, where the operands do not fit; argument; singular.
    fn solve_triangular(&self, b: &Tensor<T>, triangle: Triangle) -> Result<Tensor<T>>;
    /// [`crate::lstsq`]
    ///
    /// # Errors
    /// Shape, where the operands do not fit; argument; not converged.
    fn lstsq(&self, b: &Tensor<T>, rtol: Option<f64>) -> Result<Tensor<T>>;
    /// [`crate::qr`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument, for NaN and infinity.
    fn qr(&self) -> Result<(Tensor<T>, Tensor<T>)>;
    /// [`crate::eigh`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; not converged.
    fn eigh(&self) -> Result<(Tensor<T>, Tensor<T>)>;
    /// [`crate::eigvalsh`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; not converged.
    fn eigvalsh(&self) -> Result<Tensor<T>>;
    /// [`crate::svd`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument; not converged.
    fn svd(&self) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)>;
    /// [`crate::svdvals`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument; not converged.
    fn svdvals(&self) -> Result<Tensor<T>>;
    /// [`crate::matrix_norm`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument; not converged.
    fn matrix_norm(&self, norm: impl Into<MatrixNorm>) -> Result<Tensor<T>>;
    /// [`crate::cond`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument; not converged.
    fn cond(&self) -> Result<Tensor<T>>;
    /// [`crate::matrix_rank`]
    ///
    /// # Errors
    /// Shape, where these are no matrices; argument; not converged.
    fn matrix_rank(&self, rtol: Option<f64>) -> Result<Tensor<i64>>;
    /// [`crate::matrix_power`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; singular.
    fn matrix_power(&self, n: i32) -> Result<Tensor<T>>;
    /// [`crate::matrix_exp`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity.
    fn matrix_exp(&self) -> Result<Tensor<T>>;
    /// [`crate::cholesky_ex`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    fn cholesky_ex(&self, upper: bool) -> Result<(Tensor<T>, Tensor<i64>)>;
    /// [`crate::cholesky_jitter`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; not positive definite.
    fn cholesky_jitter(&self, jitter: f64) -> Result<(Tensor<T>, Tensor<T>)>;
    /// [`crate::lu`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    fn lu(&self) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)>;
    /// [`crate::pinv_with`]
    ///
    /// # Errors
    /// Shape, where these are no matrices, or not symmetric; argument; not converged.
    fn pinv_with(&self, options: PinvOptions) -> Result<Tensor<T>>;
    /// [`crate::symmetric_power`]
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument; not converged.
    fn symmetric_power(&self, p: f64) -> Result<Tensor<T>>;
    /// [`crate::vander`]
    ///
    /// # Errors
    /// Shape, for a scalar.
    fn vander(&self, n: usize, decreasing: bool) -> Result<Tensor<T>>;
}

impl<T: Float> Linalg<T> for Tensor<T> {
    #[track_caller]
    fn dot(&self, other: &Tensor<T>) -> Result<Tensor<T>> {
        crate::dot(self, other)
    }
    #[track_caller]
    fn outer(&self, other: &Tensor<T>) -> Result<Tensor<T>> {
        crate::outer(self, other)
    }
    #[track_caller]
    fn kron(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        crate::kron(self, b)
    }
    #[track_caller]
    fn cross(&self, b: &Tensor<T>, dim: isize) -> Result<Tensor<T>> {
        crate::cross(self, b, dim)
    }
    #[track_caller]
    fn tensordot(&self, b: &Tensor<T>, n: usize) -> Result<Tensor<T>> {
        crate::tensordot(self, b, n)
    }
    #[track_caller]
    fn mv(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        crate::mv(self, x)
    }
    #[track_caller]
    fn mm(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        crate::mm(self, b)
    }
    #[track_caller]
    fn bmm(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        crate::bmm(self, b)
    }
    #[track_caller]
    fn matmul(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        crate::matmul(self, b)
    }
    #[track_caller]
    fn addmv(&self, a: &Tensor<T>, x: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>> {
        crate::addmv(self, a, x, beta, alpha)
    }
    #[track_caller]
    fn addmm(&self, a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>> {
        crate::addmm(self, a, b, beta, alpha)
    }
    #[track_caller]
    fn baddbmm(&self, a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>> {
        crate::baddbmm(self, a, b, beta, alpha)
    }
    #[track_caller]
    fn inverse(&self) -> Result<Tensor<T>> {
        crate::inverse(self)
    }
    #[track_caller]
    fn det(&self) -> Result<Tensor<T>> {
        crate::det(self)
    }
    #[track_caller]
    fn slogdet(&self) -> Result<(Tensor<T>, Tensor<T>)> {
        crate::slogdet(self)
    }
    #[track_caller]
    fn logdet(&self) -> Result<Tensor<T>> {
        crate::logdet(self)
    }
    #[track_caller]
    fn pinv(&self) -> Result<Tensor<T>> {
        crate::pinv(self)
    }
    #[track_caller]
    fn solve(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        crate::solve(self, b)
    }
    #[track_caller]
    fn cholesky(&self, upper: bool) -> Result<Tensor<T>> {
        crate::cholesky(self, upper)
    }
    #[track_caller]
    fn cholesky_solve(&self, b: &Tensor<T>, upper: bool) -> Result<Tensor<T>> {
        crate::cholesky_solve(self, b, upper)
    }
    #[track_caller]
    fn solve_triangular(&self, b: &Tensor<T>, triangle: Triangle) -> Result<Tensor<T>> {
        crate::solve_triangular(self, b, triangle)
    }
    #[track_caller]
    fn lstsq(&self, b: &Tensor<T>, rtol: Option<f64>) -> Result<Tensor<T>> {
        crate::lstsq(self, b, rtol)
    }
    #[track_caller]
    fn qr(&self) -> Result<(Tensor<T>, Tensor<T>)> {
        crate::qr(self)
    }
    #[track_caller]
    fn eigh(&self) -> Result<(Tensor<T>, Tensor<T>)> {
        crate::eigh(self)
    }
    #[track_caller]
    fn eigvalsh(&self) -> Result<Tensor<T>> {
        crate::eigvalsh(self)
    }
    #[track_caller]
    fn svd(&self) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
        crate::svd(self)
    }
    #[track_caller]
    fn svdvals(&self) -> Result<Tensor<T>> {
        crate::svdvals(self)
    }
    #[track_caller]
    fn matrix_norm(&self, norm: impl Into<MatrixNorm>) -> Result<Tensor<T>> {
        crate::matrix_norm(self, norm)
    }
    #[track_caller]
    fn cond(&self) -> Result<Tensor<T>> {
        crate::cond(self)
    }
    #[track_caller]
    fn matrix_rank(&self, rtol: Option<f64>) -> Result<Tensor<i64>> {
        crate::matrix_rank(self, rtol)
    }
    #[track_caller]
    fn matrix_power(&self, n: i32) -> Result<Tensor<T>> {
        crate::matrix_power(self, n)
    }
    #[track_caller]
    fn matrix_exp(&self) -> Result<Tensor<T>> {
        crate::matrix_exp(self)
    }
    #[track_caller]
    fn cholesky_ex(&self, upper: bool) -> Result<(Tensor<T>, Tensor<i64>)> {
        crate::cholesky_ex(self, upper)
    }
    #[track_caller]
    fn cholesky_jitter(&self, jitter: f64) -> Result<(Tensor<T>, Tensor<T>)> {
        crate::cholesky_jitter(self, jitter)
    }
    #[track_caller]
    fn lu(&self) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
        crate::lu(self)
    }
    #[track_caller]
    fn pinv_with(&self, options: PinvOptions) -> Result<Tensor<T>> {
        crate::pinv_with(self, options)
    }
    #[track_caller]
    fn symmetric_power(&self, p: f64) -> Result<Tensor<T>> {
        crate::symmetric_power(self, p)
    }
    #[track_caller]
    fn vander(&self, n: usize, decreasing: bool) -> Result<Tensor<T>> {
        crate::vander(self, n, decreasing)
    }
}
