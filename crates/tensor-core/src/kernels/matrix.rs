//! Kernels of dense linear algebra.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::Float;
use crate::error::{Error, Result};
use crate::heap::work;
use crate::matrix::analytic::Analytic;
use crate::matrix::flaw::Flaw;
use crate::matrix::gaps::Gaps;
use crate::matrix::lu::Lu;
use crate::matrix::part::{Part, Triangle};
use crate::once::compiled_once;
use crate::shape::Dims;

kernels! {
    /// `beta y + alpha A x` for a matrix and a vector; `y` broadcasts.
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    pub fn addmv<T: Float>(op, y: Option<&Array<T>>, a: &Array<T>, x: &Array<T>, beta: T, alpha: T) -> Result<Array<T>> {
        check matrix_and_vector(op, a.shape(), x.shape());
        on a, x, y.unwrap_or(x);
        cpu::gemm::addmv;
        cuda::product::addmv
    }

    /// `beta C + alpha A B` for batches of matrices of two or more dimensions, the leading ones
    /// broadcast.
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    pub fn addmm<T: Float>(op, c: Option<&Array<T>>, a: &Array<T>, b: &Array<T>, beta: T, alpha: T) -> Result<Array<T>> {
        check two_matrices(op, a.shape(), b.shape());
        on a, b, c.unwrap_or(a);
        cpu::gemm::addmm;
        cuda::product::addmm
    }

    /// `||y - A x||^2` and, where wanted, `A^T (y - A x)`, reading A once.
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    pub fn least_squares<T: Float>(op, a: &Array<T>, x: &Array<T>, y: &Array<T>, gradient: bool) -> Result<(Array<T>, Option<Array<T>>)> {
        check system(op, a.shape(), x.shape(), y.shape());
        on a, x, y;
        cpu::least_squares::loss;
        cuda::least_squares::least_squares
    }

    /// P A = L U of each matrix of a batch; a zero pivot is no error here.
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    pub fn lu<T: Float>(op, a: &Array<T>) -> Result<Lu<T>> {
        check square(op, a);
        on a;
        cpu::batch::lu;
        cuda::batch::lu
    }

    /// See [`Lu::nearly_singular`].
    fn lu_nearly_singular<T: Float>(op, lu: &Lu<T>, ratio: f64) -> Result<Vec<usize>> {
        on lu.matrices();
        cpu::batch::lu_nearly_singular;
        cuda::batch::lu_nearly_singular
    }

    /// See [`Lu::solve`].
    fn lu_solve<T: Float>(op, lu: &Lu<T>, b: &Array<T>, transposed: bool) -> Result<(Array<T>, Option<Flaw>)> {
        on lu.matrices(), b;
        cpu::batch::lu_solve;
        cuda::batch::lu_solve
    }

    /// See [`Lu::det`].
    fn lu_det<T: Float>(op, lu: &Lu<T>) -> Result<Array<T>> {
        on lu.matrices();
        cpu::batch::lu_det;
        cuda::batch::lu_det
    }

    /// See [`Lu::slogdet`].
    fn lu_slogdet<T: Float>(op, lu: &Lu<T>) -> Result<(Array<T>, Array<T>)> {
        on lu.matrices();
        cpu::batch::lu_slogdet;
        cuda::batch::lu_slogdet
    }

    /// The factors of the first k = min(m, n) columns of each matrix [m, n] of a batch: U, and L below it without its
    /// diagonal of ones, and the rows of A in the order in which they make L U.
    ///
    /// # Errors
    /// Shape, below two dimensions; argument, for NaN and infinity.
    pub fn lu_factors<T: Float>(op, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
        check matrices(op, a);
        on a;
        cpu::batch::lu_factors;
        cuda::batch::lu_factors
    }

    /// The derivative of each number of `g` times the determinant of the matrix at its place: the cofactors times
    /// the number, at every rank; and, ascending, the matrices for which it is not known, since products of their elements
    /// leave the range. None where the matrices are large.
    ///
    /// # Errors
    /// Shape, where the matrices are not square, or there is not a number for each.
    pub fn cofactors<T: Float>(op, a: &Array<T>, g: &Array<T>) -> Result<Option<(Array<T>, Vec<usize>)>> {
        check square_with_numbers(op, a, g);
        on a, g;
        cpu::batch::cofactors;
        cuda::batch::cofactors
    }

    /// An error where a part of a matrix of a batch is not finite: the one that all factorisations have for it.
    ///
    /// # Errors
    /// Shape, below two dimensions; argument, naming the first such matrix.
    pub fn finite<T: Float>(op, a: &Array<T>, part: Part) -> Result<()> {
        check matrices(op, a);
        on a;
        cpu::finite::finite;
        cuda::finite::finite
    }

    /// The inverse of each matrix of a batch.
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity; singular, naming the first one without an
    /// inverse.
    pub fn inverse<T: Float>(op, a: &Array<T>) -> Result<Array<T>> {
        check square(op, a);
        on a;
        cpu::batch::inverse;
        cuda::batch::inverse
    }

    /// The thin singular value decomposition A = U diag(s) V^T of each matrix of a batch: U, s
    /// descending, V^T.
    ///
    /// # Errors
    /// Shape, below two dimensions; argument, for NaN and infinity; not converged.
    pub fn svd<T: Float>(op, a: &Array<T>) -> Result<[Array<T>; 3]> {
        check matrices(op, a);
        on a;
        cpu::batch::svd;
        cuda::batch::svd
    }

    /// The lower triangular L with A = L L^T of each matrix of a batch, of which the lower triangle is read.
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity; not positive definite, naming the first such
    /// matrix.
    pub fn cholesky<T: Float>(op, a: &Array<T>) -> Result<Array<T>> {
        check square(op, a);
        on a;
        cpu::batch::cholesky;
        cuda::batch::cholesky
    }

    /// As [`cholesky`], with NaN for the factor of a matrix that is not positive definite, and the order of its first
    /// leading minor that is not positive; 0 for the others.
    ///
    /// # Errors
    /// Shape, where the matrices are not square.
    pub fn cholesky_ex<T: Float>(op, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
        check square(op, a);
        on a;
        cpu::batch::cholesky_ex;
        cuda::batch::cholesky_ex
    }

    /// A^-1 B, or A^-T B where `transposed`, for a triangle of each matrix of a batch and matrices B of the same
    /// batch.
    ///
    /// # Errors
    /// Shape, where the operands do not fit; singular, naming the first matrix with a zero on its diagonal; argument, for NaN
    /// and infinity in the triangle.
    pub fn solve_triangular<T: Float>(op, a: &Array<T>, triangle: Triangle, transposed: bool, b: &Array<T>) -> Result<Array<T>> {
        check triangles_and_sides(op, a, b);
        on a, b;
        cpu::batch::solve_triangular;
        cuda::batch::solve_triangular
    }

    /// The eigenvalues, ascending, and the eigenvectors, as columns, of each symmetric matrix of a batch, of
    /// which the lower triangle is read.
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity; not converged.
    pub fn eigh<T: Float>(op, a: &Array<T>) -> Result<[Array<T>; 2]> {
        check square(op, a);
        on a;
        cpu::batch::eigh;
        cuda::batch::eigh
    }

    /// (p_ij + transpose p_ji) / (2 (w_j + other w_i)), zero on the diagonal, for each matrix `p` and spectrum `w` of a
    /// batch: parts of the derivatives of eigenvectors and singular vectors. Gaps up to `rounding` times the largest
    /// w count as zero, and so do quotients by them; the second answer is the position in `p` of the first numerator
    /// that was lost so, though not negligible.
    ///
    /// # Errors
    /// Shape, where the spectra do not fit the matrices.
    pub fn over_gaps<T: Float>(op, p: &Array<T>, w: &Array<T>, gaps: Gaps<T>) -> Result<(Array<T>, Option<usize>)> {
        check matrices_and_spectra(op, p, w);
        on p, w;
        cpu::batch::over_gaps;
        cuda::batch::over_gaps
    }

    /// A = Q R of each matrix of a batch, Q with orthonormal columns, as many as the smaller dimension of A, or
    /// as it has rows where `complete`; the diagonal of R is not negative.
    ///
    /// # Errors
    /// Shape, below two dimensions; argument, for NaN and infinity.
    pub fn qr<T: Float>(op, a: &Array<T>, complete: bool) -> Result<[Array<T>; 2]> {
        check matrices(op, a);
        on a;
        cpu::batch::qr;
        cuda::batch::qr
    }
}

compiled_once! {
    /// The derivative of order k of a function of a diagonal matrix, whose elements `w` ascend, in k symmetric
    /// directions of the same batch; the function itself for none. The function is the host's, and so is the work:
    /// the operands go there from a GPU, and the result comes back.
    ///
    /// # Errors
    /// Shape, where the directions do not fit.
    pub fn analytic_derivative<T: Float>(
        op: &'static str,
        f: &dyn Analytic,
        w: &Array<T>,
        directions: &[Array<T>],
    ) -> Result<Array<T>> {
        spectra_and_directions(op, w, directions)?;
        let host = Device::Cpu;
        let here = directions.iter().map(|e| e.to_device(op, host)).collect::<Result<Vec<_>>>()?;
        let w_here = w.to_device(op, host)?;
        let result = work::kernel(op, || cpu::batch::analytic_derivative(op, f, &w_here, &here))?;
        result.to_device(op, w.device())
    }

    /// The eigenvalues and the eigenvectors of each matrix of a batch, as real and imaginary parts: w, w, V, V; the vectors are
    /// columns of length 1, and of a complex one the largest element is real. On the host, as the functions of general
    /// matrices below: the operands go there from a GPU, and the results come back.
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity; not converged.
    pub fn eig<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 4]> {
        square(op, a)?;
        let here = a.to_device(op, Device::Cpu)?;
        returned(op, work::kernel(op, || cpu::batch::eig(op, &here))?, a.device())
    }

    /// The eigenvalues that [`eig`] gives, in about half of its time.
    ///
    /// # Errors
    /// As [`eig`].
    pub fn eigvals<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
        square(op, a)?;
        let here = a.to_device(op, Device::Cpu)?;
        returned(op, work::kernel(op, || cpu::batch::eigvals(op, &here))?, a.device())
    }

    /// T and Z of the real Schur form A = Z T Z^T of each matrix of a batch.
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity; not converged.
    pub fn schur<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
        square(op, a)?;
        let here = a.to_device(op, Device::Cpu)?;
        returned(op, work::kernel(op, || cpu::batch::schur(op, &here))?, a.device())
    }

    /// The principal square root of each matrix of a batch.
    ///
    /// # Errors
    /// Shape, where the matrices are not square; argument, for NaN and infinity, and where an eigenvalue is zero or negative,
    /// naming the first such matrix; not converged.
    pub fn matrix_sqrt<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
        square(op, a)?;
        let here = a.to_device(op, Device::Cpu)?;
        work::kernel(op, || cpu::batch::matrix_sqrt(op, &here))?.to_device(op, a.device())
    }

    /// The principal logarithm of each matrix of a batch.
    ///
    /// # Errors
    /// As [`matrix_sqrt`].
    pub fn matrix_log<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
        square(op, a)?;
        let here = a.to_device(op, Device::Cpu)?;
        work::kernel(op, || cpu::batch::matrix_log(op, &here))?.to_device(op, a.device())
    }

    /// The X of A X + X B = C for each A [m, m], B [n, n] and C [m, n] of a batch.
    ///
    /// # Errors
    /// Shape, where the operands do not fit; argument, for NaN and infinity in A or B; singular, where A and -B have a common
    /// eigenvalue; not converged.
    pub fn sylvester<T: Float>(op: &'static str, a: &Array<T>, b: &Array<T>, c: &Array<T>) -> Result<Array<T>> {
        sylvester_operands(op, a, b, c)?;
        let here = |x: &Array<T>| x.to_device(op, Device::Cpu);
        let (a, b, here) = (here(a)?, here(b)?, here(c)?);
        work::kernel(op, || cpu::batch::sylvester(op, &a, &b, &here))?.to_device(op, c.device())
    }
}

/// Results that come from the host.
fn returned<T: Float, const N: usize>(
    op: &'static str,
    x: [Array<T>; N],
    device: Device,
) -> Result<[Array<T>; N]> {
    let moved = x.iter().map(|x| x.to_device(op, device)).collect::<Result<Vec<_>>>()?;
    Ok(moved.try_into().unwrap_or(x))
}

impl<T: Float> Lu<T> {
    /// The matrices whose smallest pivot is less than `ratio` times the largest: a cheap measure of how near to
    /// singular each is.
    ///
    /// # Errors
    /// Out of memory.
    pub fn nearly_singular(&self, op: &'static str, ratio: f64) -> Result<Vec<usize>> {
        lu_nearly_singular(op, self, ratio)
    }

    /// A^-1 B, or A^-T B, for B of shape [batch.., n, k], with infinities and NaN for a singular matrix; and
    /// the first matrix that has no inverse.
    ///
    /// # Errors
    /// Out of memory.
    pub fn solve(
        &self,
        op: &'static str,
        b: &Array<T>,
        transposed: bool,
    ) -> Result<(Array<T>, Option<Flaw>)> {
        lu_solve(op, self, b, transposed)
    }

    /// The determinants, in the shape of the batch.
    ///
    /// # Errors
    /// Out of memory.
    pub fn det(&self, op: &'static str) -> Result<Array<T>> {
        lu_det(op, self)
    }

    /// The signs of the determinants and the logarithms of their absolute values: 0 and minus
    /// infinity for a singular matrix.
    ///
    /// # Errors
    /// Out of memory.
    pub fn slogdet(&self, op: &'static str) -> Result<(Array<T>, Array<T>)> {
        lu_slogdet(op, self)
    }
}

// What the kernels refuse: errors of shape.

fn refused<R>(op: &'static str, message: String) -> Result<R> {
    Err(Error::shape(op, message))
}

fn matrices<T: Float>(op: &'static str, a: &Array<T>) -> Result<()> {
    if a.ndim() < 2 {
        return refused(op, format!("shape {:?}: matrices of 2 or more dimensions are needed", a.shape()));
    }
    Ok(())
}

fn square<T: Float>(op: &'static str, a: &Array<T>) -> Result<()> {
    match a.shape() {
        [.., m, n] if m == n => Ok(()),
        shape => {
            refused(op, format!("shape {shape:?}: square matrices are needed, the last two dimensions equal"))
        }
    }
}

fn matrix_and_vector(op: &'static str, a: &[usize], x: &[usize]) -> Result<()> {
    match (a, x) {
        (&[_, n], &[m]) if n == m => Ok(()),
        (&[_, n], &[_]) => {
            refused(op, format!("matrix {a:?} and vector {x:?} do not match: the vector needs {n} elements"))
        }
        _ => refused(
            op,
            format!("shapes {a:?} and {x:?}: a matrix of 2 dimensions and a vector of 1 are needed"),
        ),
    }
}

fn two_matrices(op: &'static str, a: &[usize], b: &[usize]) -> Result<()> {
    match (a, b) {
        ([.., k], [.., l, _]) if a.len() >= 2 && k == l => Ok(()),
        ([.., k], [.., _, _]) if a.len() >= 2 => {
            refused(op, format!("matrices {a:?} and {b:?} do not match: the second needs {k} rows"))
        }
        _ => refused(op, format!("shapes {a:?} and {b:?}: matrices of 2 or more dimensions are needed")),
    }
}

fn system(op: &'static str, a: &[usize], x: &[usize], y: &[usize]) -> Result<()> {
    if matches!((a, x, y), (&[m, n], &[k], &[l]) if n == k && m == l) {
        return Ok(());
    }
    refused(
        op,
        format!(
            "matrix {a:?}, x {x:?} and y {y:?} do not match: x needs an element per column, y one per row"
        ),
    )
}

fn square_with_numbers<T: Float>(op: &'static str, a: &Array<T>, g: &Array<T>) -> Result<()> {
    square(op, a)?;
    if *g.shape() != a.shape()[..a.ndim() - 2] {
        return refused(op, format!("matrices {:?} and numbers {:?} do not fit", a.shape(), g.shape()));
    }
    Ok(())
}

fn triangles_and_sides<T: Float>(op: &'static str, a: &Array<T>, b: &Array<T>) -> Result<()> {
    square(op, a)?;
    let lead = a.ndim() - 2;
    if b.ndim() != a.ndim() || a.shape()[..=lead] != b.shape()[..=lead] {
        let message = format!("triangles {:?} and right-hand sides {:?} do not fit", a.shape(), b.shape());
        return refused(op, message);
    }
    Ok(())
}

fn matrices_and_spectra<T: Float>(op: &'static str, p: &Array<T>, w: &Array<T>) -> Result<()> {
    square(op, p)?;
    if p.shape()[..p.ndim() - 1] != *w.shape() {
        return refused(op, format!("matrices {:?} and spectra {:?} do not fit", p.shape(), w.shape()));
    }
    Ok(())
}

fn sylvester_operands<T: Float>(op: &'static str, a: &Array<T>, b: &Array<T>, c: &Array<T>) -> Result<()> {
    square(op, a)?;
    square(op, b)?;
    let lead = a.ndim() - 2;
    let fits = a.ndim() == b.ndim()
        && a.ndim() == c.ndim()
        && a.shape()[..lead] == b.shape()[..lead]
        && a.shape()[..lead] == c.shape()[..lead]
        && c.shape()[lead..] == [a.shape()[lead], b.shape()[lead]];
    if !fits {
        let message = format!("matrices {:?}, {:?} and {:?} do not fit", a.shape(), b.shape(), c.shape());
        return refused(op, message);
    }
    Ok(())
}

fn spectra_and_directions<T: Float>(op: &'static str, w: &Array<T>, directions: &[Array<T>]) -> Result<()> {
    let n = w.shape().last().copied().unwrap_or(0);
    let shape: Dims = w.shape().iter().copied().chain([n]).collect();
    match directions.iter().find(|e| *e.shape() != shape[..]) {
        Some(wrong) => {
            refused(op, format!("a direction of shape {:?} for matrices {:?}", wrong.shape(), &shape[..]))
        }
        None => Ok(()),
    }
}
