//! The functions of this crate as methods.

use crate::{Conv1dOptions, CovOptions, FftNorm, MatrixNorm, Pair, PinvOptions, Triangle};
use autograd::Tensor;
use tensor_core::shape::Integer;
use tensor_core::{Float, Result};

/// The trait and its implementation, from what the functions give, their errors, their parameters behind the first and
/// their values.
macro_rules! methods {
    ($($doc:literal $(#[$errors:meta])+ $name:ident($($x:ident: $X:ty),*) -> $value:ty;)+) => {
        /// Linear algebra as methods of tensors; each is the free function of its name.
        ///
        /// ```
        /// use tapegrad::Tensor;
        /// use tapegrad::linalg::Linalg;
        /// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
        /// assert_eq!(a.matmul(&Tensor::from([1.0, 1.0]))?.to_vec(), [2.0, 4.0]);
        /// assert_eq!(a.inverse()?.det()?.item()?, 0.125);
        /// # Ok::<(), tapegrad::Error>(())
        /// ```
        pub trait Linalg<T: Float>: Sized {
            $(
                #[doc = $doc]
                ///
                #[doc = concat!("The function, whose first operand this is: [`crate::", stringify!($name), "`].")]
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
    "The scalar product of two vectors of one length: u^T v."
    /// Shape, where these are not vectors of one length.
    dot(other: &Tensor<T>) -> Tensor<T>;
    "The outer product of two vectors: u v^T."
    /// Shape, where these are not vectors.
    outer(other: &Tensor<T>) -> Tensor<T>;
    "The Kronecker product: every element of `a` times the whole of `b`, side by side."
    /// Out of memory.
    kron(b: &Tensor<T>) -> Tensor<T>;
    "The cross product of vectors of three elements along `dim`; the other dimensions broadcast."
    /// Shape, where either does not have three elements there; index, for no such dimension.
    cross(b: &Tensor<T>, dim: impl Integer) -> Tensor<T>;
    "The sum of products over the last `n` dimensions of `a` and the first `n` of `b`."
    /// Shape, where the dimensions do not match.
    tensordot(b: &Tensor<T>, n: impl Integer) -> Tensor<T>;
    "Matrix `[m, n]` times vector `[n]`: A x."
    /// Shape, where matrix and vector do not fit.
    mv(x: &Tensor<T>) -> Tensor<T>;
    "Matrix [m, k] times matrix [k, n]: A B."
    /// Shape, where the matrices do not fit.
    mm(b: &Tensor<T>) -> Tensor<T>;
    "Matrix by matrix over a batch: [b, m, k] times [b, k, n]."
    /// Shape, where the batches do not fit.
    bmm(b: &Tensor<T>) -> Tensor<T>;
    "The product of vectors, matrices or batches of matrices, as NumPy's `@`: two vectors give their scalar \
     product; a vector on the left is a row, on the right a column; leading dimensions broadcast."
    /// Shape, where the operands do not fit.
    matmul(b: &Tensor<T>) -> Tensor<T>;
    "`beta y + alpha A x`; y broadcasts to the rows of A, and is not read where beta is 0."
    /// Shape, where the operands do not fit in `beta self + alpha a x`.
    addmv(a: &Tensor<T>, x: &Tensor<T>, beta: T, alpha: T) -> Tensor<T>;
    "`beta C + alpha A B` for matrices; C broadcasts, and is not read where beta is 0."
    /// Shape, where the operands do not fit in `beta self + alpha a b`.
    addmm(a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Tensor<T>;
    "`beta C + alpha A B` over a batch; C broadcasts, and is not read where beta is 0."
    /// Shape, where the operands do not fit in `beta self + alpha a b` over a batch.
    baddbmm(a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Tensor<T>;
    "The inverse of each square matrix of a batch, by LU with partial pivoting."
    /// Shape, where the matrices are not square; argument; singular.
    inverse() -> Tensor<T>;
    "The determinant of each square matrix of a batch, by LU with partial pivoting."
    /// Shape, where the matrices are not square.
    det() -> Tensor<T>;
    "The sign of the determinant of each square matrix of a batch, which is not differentiable, and the logarithm \
     of its absolute value: 0 and minus infinity for a singular matrix."
    /// Shape, where the matrices are not square.
    slogdet() -> (Tensor<T>, Tensor<T>);
    "The logarithm of the determinant of each square matrix of a batch: NaN where it is negative."
    /// Shape, where the matrices are not square.
    logdet() -> Tensor<T>;
    "The Moore-Penrose pseudoinverse of each matrix of a batch, of any shape and rank, by the singular value \
     decomposition. Which singular values count as zero is the rule of [`crate::matrix_rank`], and another with \
     [`crate::pinv_with`]."
    /// Shape, where these are no matrices; argument; not converged.
    pinv() -> Tensor<T>;
    "The solution X of A X = B for each square matrix of a batch, by LU with partial pivoting."
    /// Shape, where the operands do not fit; argument; singular.
    solve(b: &Tensor<T>) -> Tensor<T>;
    "The lower triangular L with A = L L^T for each symmetric positive definite matrix of a batch; `upper` gives \
     L^T. Of A the lower triangle is read; its gradient is that of a symmetric matrix, and symmetric."
    /// Shape, where the matrices are not square; argument; not positive definite.
    cholesky(upper: bool) -> Tensor<T>;
    "The solution X of A X = B from the factor that [`crate::cholesky`] gave, lower or `upper`: two triangular \
     systems. B is a batch of matrices or of vectors, as for [`crate::solve`]."
    /// Shape, where the operands do not fit; argument; singular.
    cholesky_solve(b: &Tensor<T>, upper: bool) -> Tensor<T>;
    "The solution X of A X = B for each triangular matrix of a batch. Of A the triangle is read and nothing else: \
     `Triangle { upper, unit }`, where `unit` stands for a diagonal of ones that is not read either."
    /// Shape, where the operands do not fit; argument; singular.
    solve_triangular(b: &Tensor<T>, triangle: Triangle) -> Tensor<T>;
    "The X of least norm among those that minimise ||A X - B|| for each matrix [m, n] of a batch, of any shape \
     and rank: A^+ B, by QR where the rank is certainly full, else by the singular value decomposition."
    /// Shape, where the operands do not fit; argument; not converged.
    lstsq(b: &Tensor<T>, rtol: Option<f64>) -> Tensor<T>;
    "A = Q R for each matrix [m, n] of a batch, reduced: Q [m, k] has orthonormal columns, R [k, n] is upper \
     triangular, k = min(m, n). The diagonal of R is not negative, so the factors of a matrix of full rank are \
     unique. The gradient needs the first k columns of A to be independent."
    /// Shape, where these are no matrices; argument, for NaN and infinity.
    qr() -> (Tensor<T>, Tensor<T>);
    "The eigenvalues of each symmetric matrix of a batch, ascending, and its eigenvectors, the columns of an \
     orthogonal matrix: A = V diag(w) V^T. Of A the lower triangle is read; its gradient is that of a symmetric \
     matrix, and symmetric but for rounding."
    /// Shape, where the matrices are not square; argument; not converged.
    eigh() -> (Tensor<T>, Tensor<T>);
    "The eigenvalues of [`crate::eigh`]. Their first derivatives exist at every matrix; where two are equal, the \
     derivative is that of the order in which they were found."
    /// Shape, where the matrices are not square; argument; not converged.
    eigvalsh() -> Tensor<T>;
    "The eigenvalues w of each square matrix of a batch `[.., n, n]`, and its eigenvectors, the columns of V: A V \
     = V diag(w). Both are complex, and come as pairs of real and imaginary parts: `((w_re, w_im), (v_re, v_im))` \
     of shapes `[.., n]` and `[.., n, n]`."
    /// Shape, where the matrices are not square; argument; not converged.
    eig() -> (Pair<T>, Pair<T>);
    "The eigenvalues of [`crate::eig`], `(w_re, w_im)`."
    /// Shape, where the matrices are not square; argument; not converged.
    eigvals() -> Pair<T>;
    "T and Z of the real Schur form A = Z T Z^T of each square matrix of a batch: Z orthogonal, T upper \
     triangular but for blocks of two rows on its diagonal, which belong to pairs of complex eigenvalues and have \
     equal diagonal elements. SciPy's `schur` gives the same."
    /// Shape, where the matrices are not square; argument; not converged.
    schur() -> (Tensor<T>, Tensor<T>);
    "The thin singular value decomposition A = U diag(s) V^T of each matrix [m, n] of a batch: U [m, k], s \
     \\[k\\] descending, V^T [k, n], for k = min(m, n). The signs of the vectors are open: only functions that do \
     not depend on them have a meaning."
    /// Shape, where these are no matrices; argument; not converged.
    svd() -> (Tensor<T>, Tensor<T>, Tensor<T>);
    "The singular values of each matrix of a batch, descending."
    /// Shape, where these are no matrices; argument; not converged.
    svdvals() -> Tensor<T>;
    "A norm of each matrix of a batch."
    /// Shape, where these are no matrices; argument; not converged.
    matrix_norm(norm: impl Into<MatrixNorm>) -> Tensor<T>;
    "The ratio of the largest to the smallest singular value of each matrix of a batch; infinite where the \
     smallest is 0. By the rule of [`crate::matrix_rank`], a matrix has full rank where this is below 1 / `rtol`."
    /// Shape, where these are no matrices; argument; not converged.
    cond() -> Tensor<T>;
    "How many singular values of each [m, n] matrix of a batch exceed `rtol` times the largest."
    /// Shape, where these are no matrices; argument; not converged.
    matrix_rank(rtol: Option<f64>) -> Tensor<i64>;
    "A^n for each square matrix of a batch, by squaring; A^0 is the identity and A^-n the power of the inverse."
    /// Shape, where the matrices are not square; argument; singular.
    matrix_power(n: i32) -> Tensor<T>;
    "e^A for each square matrix of a batch, as if it were alone: scaled until the Pade approximant of order 13 is \
     exact, and squared back (Higham, \"The scaling and squaring method for the matrix exponential revisited\", \
     2005)."
    /// Shape, where the matrices are not square; argument, for NaN and infinity.
    matrix_exp() -> Tensor<T>;
    "The principal logarithm of each square matrix of a batch, e^X = A: the one whose eigenvalues have imaginary \
     parts between -pi and pi, by inverse scaling and squaring of a Schur form (Al-Mohy and Higham, \"Improved \
     inverse scaling and squaring algorithms for the matrix logarithm\", 2012). It is real."
    /// Shape, where the matrices are not square; argument, for NaN, infinity and eigenvalues that are zero or negative.
    matrix_log() -> Tensor<T>;
    "The principal square root of each square matrix of a batch, Y Y = A: the one whose eigenvalues have positive \
     real parts (Björck and Hammarling, \"A Schur method for the square root of a matrix\", 1983). It is real."
    /// Shape, where the matrices are not square; argument, for NaN, infinity and eigenvalues that are zero or negative.
    matrix_sqrt() -> Tensor<T>;
    "The solution X of the Sylvester equation A X + X B = C for each A `[.., m, m]`, B `[.., n, n]` and C `[.., \
     m, n]` of a batch, whose leading dimensions broadcast (Bartels and Stewart 1972). With B = A^T it is the \
     continuous Lyapunov equation."
    /// Shape, where the operands do not fit; argument; singular; not converged.
    solve_sylvester(b: &Tensor<T>, c: &Tensor<T>) -> Tensor<T>;
    "The discrete Fourier transform of real signals of n numbers along `dim`, of which the first n / 2 + 1 \
     numbers are given: the others are their conjugates. PyTorch's `torch.fft.rfft`; see [`crate::fft`]."
    /// Shape, for scalars; index; argument, for a length of 0; device, on a GPU.
    rfft(n: Option<usize>, dim: impl Integer, norm: FftNorm) -> Pair<T>;
    "As [`crate::cholesky`], and the order of the first leading minor of each matrix that is not positive, or \
     holds NaN or infinity, 0 for those that are positive definite: the others are no error, and have NaN for a \
     factor."
    /// Shape, where the matrices are not square.
    cholesky_ex(upper: bool) -> (Tensor<T>, Tensor<i64>);
    "The lower factor of each matrix of a batch that is positive definite but for rounding, and what was added to \
     the diagonals, a number each: 0 where nothing was needed, else the least of `jitter`, 10 `jitter`, 100 \
     `jitter`, .. times the mean size of the diagonal that is enough, ten times at most."
    /// Shape, where the matrices are not square; argument; not positive definite.
    cholesky_jitter(jitter: f64) -> (Tensor<T>, Tensor<T>);
    "A = P L U for each matrix [m, n] of a batch, by partial pivoting: a permutation [m, m], L [m, k] lower \
     triangular with ones on its diagonal and U [k, n] upper triangular, k = min(m, n). A matrix whose columns \
     depend on each other has a zero on the diagonal of U."
    /// Shape, where the matrices are not square.
    lu() -> (Tensor<T>, Tensor<T>, Tensor<T>);
    "[`crate::pinv`], with a choice of what counts as zero, and for symmetric matrices."
    /// Shape, where these are no matrices, or not symmetric; argument; not converged.
    pinv_with(options: PinvOptions) -> Tensor<T>;
    "A^p of each symmetric matrix (p = 1/2 is the root, -1/2 the whitening); see [`crate::symmetric_function`]. A \
     power that is not an integer needs a positive semidefinite matrix, and a negative one a regular matrix."
    /// Shape, where the matrices are not square; argument; not converged.
    symmetric_power(p: f64) -> Tensor<T>;
    "The Vandermonde matrix of each vector of a batch: row i holds the powers x_i^0, .., x_i^(n-1), or from the \
     highest one on where `decreasing`, as NumPy has them."
    /// Shape, for a scalar.
    vander(n: impl Integer, decreasing: bool) -> Tensor<T>;
    "The covariances of the rows of a matrix, each a variable, whose columns are observations: divided by one \
     less than there are. A single variable, a vector or one row, has its variance, without dimensions, as \
     NumPy's and PyTorch's."
    /// Shape, for more than two dimensions.
    cov() -> Tensor<T>;
    "[`crate::cov`] with another correction, or of weighted observations; semantics are NumPy's and PyTorch's. \
     Gradients reach the weights, too."
    /// Shape, for more than two dimensions, and where there is not a weight for each observation.
    cov_with(options: CovOptions<'_, T>) -> Tensor<T>;
    "The correlations of the rows of a matrix, each a variable, whose columns are observations: covariances over \
     both standard deviations, from -1 to 1, and NaN of a variable that does not vary. Of a single variable it is \
     1, without dimensions."
    /// Shape, for more than two dimensions.
    corrcoef() -> Tensor<T>;
    "The products of kernels with the windows of signals (which mathematics calls the cross-correlation), as \
     PyTorch's: `x` in shape `[N, C, L]`, or `[C, L]` without a batch, `weight` in shape `[O, C / groups, K]`, \
     and a number that is added for each of the O outputs."
    /// Shape, where the operands do not fit; argument, for a stride, a dilation or groups of 0.
    conv1d(weight: &Tensor<T>, bias: Option<&Tensor<T>>, options: Conv1dOptions) -> Tensor<T>;
}
