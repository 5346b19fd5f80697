//! Direct solutions of sparse systems, by sparse factorisations.
//!
//! Source of the rules: Giles 2008, 2.3.1, with the cotangent of the matrix taken at its stored elements alone.

use super::SparseTensor;
use super::product::{Product, Sampled};
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use std::sync::Arc;
use tensor_core::kernels::sparse::{self, Factors, Method, Pattern};
use tensor_core::{Array, Float, Result};

/// u v^T at the places of a matrix.
fn sampled<T: Float>(pattern: &Pattern, u: &Tensor<T>, v: &Tensor<T>) -> Result<Tensor<T>> {
    apply(Sampled { pattern: pattern.clone() }, [u, v])
}

/// A x, or A^T x
fn product<T: Float>(
    pattern: &Pattern,
    values: &Tensor<T>,
    x: &Tensor<T>,
    transposed: bool,
) -> Result<Tensor<T>> {
    apply(Product { pattern: pattern.clone(), transposed }, [values, x])
}

/// A^-1 b, or A^-T b. The factors stand for the values of A and nothing else: what the rule differentiates is the values.
struct Solve<T> {
    pattern: Pattern,
    factors: Arc<Factors<T>>,
    transposed: bool,
}

impl<T: Float> Op<T, 2> for Solve<T> {
    fn name(&self) -> &'static str {
        "sparse_solve"
    }
    fn forward(&self, [_, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        sparse::solve("sparse_solve", &self.factors, b, self.transposed)
    }
    fn keep(&self, [values, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, false], output: values }
    }
    /// b: A^-T grad =: h; values: -h x^T at the places of A, or -x h^T for A^T x = b
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let back = Solve {
            pattern: self.pattern.clone(),
            factors: self.factors.clone(),
            transposed: !self.transposed,
        };
        let h = apply(back, [&kept.input(0), &g])?;
        let values = kept.wrt(0, || {
            let x = kept.output(0);
            let (u, v) = if self.transposed { (&x, &h) } else { (&h, &x) };
            Ok(-sampled(&self.pattern, u, v)?)
        })?;
        Ok([values, kept.wrt(1, || Ok(h))?])
    }
}

/// (A^T A)^-1 g, by the triangle of A = Q R.
struct Normal<T> {
    pattern: Pattern,
    factors: Arc<Factors<T>>,
}

impl<T: Float> Op<T, 2> for Normal<T> {
    fn name(&self) -> &'static str {
        "sparse_normal_solve"
    }
    fn forward(&self, [_, g]: [&Array<T>; 2]) -> Result<Array<T>> {
        sparse::solve("sparse_normal_solve", &self.factors, g, false)
    }
    fn keep(&self, [values, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, false], output: values }
    }
    /// g: (A^T A)^-1 grad =: u; values: -(A u) w^T - (A w) u^T at the places of A, for the result w,
    /// from d(A^T A) = dA^T A + A^T dA
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let Normal { pattern, factors } = self;
        let values = kept.input(0);
        let u = apply(Normal { pattern: pattern.clone(), factors: factors.clone() }, [&values, &g])?;
        let by_values = kept.wrt(0, || {
            let w = kept.output(0);
            let (au, aw) = (product(pattern, &values, &u, false)?, product(pattern, &values, &w, false)?);
            Ok(-(sampled(pattern, &au, &w)? + sampled(pattern, &aw, &u)?))
        })?;
        Ok([by_values, kept.wrt(1, || Ok(u))?])
    }
}

/// The x of least ||b - A x||.
struct LeastSquares<T> {
    pattern: Pattern,
    factors: Arc<Factors<T>>,
}

impl<T: Float> Op<T, 2> for LeastSquares<T> {
    fn name(&self) -> &'static str {
        "sparse_lstsq"
    }
    /// R^T R x = A^T b, and one correction by the residual: nearly as exact as with Q (Björck, "Stability analysis of
    /// the method of seminormal equations for linear least squares problems", 1987).
    fn forward(&self, [values, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        let (values, b) = (Tensor::from(values.clone()), Tensor::from(b.clone()));
        let normal = |r: &Tensor<T>| -> Result<Tensor<T>> {
            let g = product(&self.pattern, &values, r, true)?;
            Ok(sparse::solve("sparse_lstsq", &self.factors, g.array(), false)?.into())
        };
        let x = normal(&b)?;
        let r = b.try_sub(&product(&self.pattern, &values, &x, false)?)?;
        Ok(x.try_add(&normal(&r)?)?.into_array())
    }
    fn keep(&self, [values, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, values], output: values }
    }
    /// b: A u with u = (A^T A)^-1 grad; values: (b - A x) u^T - (A u) x^T at the places of A
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let LeastSquares { pattern, factors } = self;
        let values = kept.input(0);
        let u = apply(Normal { pattern: pattern.clone(), factors: factors.clone() }, [&values, &g])?;
        let au = product(pattern, &values, &u, false)?;
        let by_values = kept.wrt(0, || {
            let x = kept.output(0);
            let residual = kept.input(1).try_sub(&product(pattern, &values, &x, false)?)?;
            Ok(sampled(pattern, &residual, &u)? - sampled(pattern, &au, &x)?)
        })?;
        Ok([by_values, kept.wrt(1, || Ok(au))?])
    }
}

impl<T: Float> SparseTensor<T> {
    /// The solution of A x = b for a square matrix, by a sparse LU factorisation; b is a vector `[n]` or a matrix
    /// `[n, k]`. The gradient of A has a number for each stored element. What the factorisation learns of the places
    /// is kept for other values at the same places.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[0.0, 2.0], [4.0, 1.0]]))?;
    /// assert_eq!(a.solve(&Tensor::from([2.0, 9.0]))?.to_vec(), [2.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the matrix is not square or b does not fit; singular; argument, for NaN and infinity.
    #[doc(alias = "linsolve")]
    #[track_caller]
    pub fn solve(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        self.solve_by("solve", Method::Lu, b)
    }

    /// The solution of A x = b for a symmetric positive definite matrix, by a sparse Cholesky factorisation; the lower
    /// triangle is read. The gradient is that among symmetric matrices, shared by both triangles as they are stored.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[2.0, 1.0], [1.0, 2.0]]))?;
    /// let x = a.cholesky_solve(&Tensor::from([3.0, 3.0]))?;
    /// assert!(x.try_sub(&Tensor::ones([2]))?.abs().max()?.item()? < 1e-15);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SparseTensor::solve`]; not positive definite, naming the pivot in the order of elimination.
    #[track_caller]
    pub fn cholesky_solve(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        self.solve_by("cholesky_solve", Method::Cholesky, b)
    }

    #[track_caller]
    fn solve_by(&self, op: &'static str, method: Method, b: &Tensor<T>) -> Result<Tensor<T>> {
        body_once!(
            T: Float,
            [self, op, method, b],
            |x: &SparseTensor<T>, op: &'static str, method: Method, b: &Tensor<T>| -> Result<Tensor<T>> {
                let (values, pattern, factors) = x.factored(op, method)?;
                apply(Solve { pattern, factors, transposed: false }, [&values, b])
            }
        )
    }

    /// The x that makes ||b - A x|| least, for a matrix of full rank that has at least as many rows as columns, by a
    /// sparse QR factorisation; b is a vector `[m]` or a matrix `[m, k]`. The rank is not full where a
    /// vector v is found with ||A v|| of at most the largest singular value times the tolerance of [`crate::matrix_rank`]
    /// times ||v||.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[1.0, 0.0], [0.0, 2.0], [0.0, 2.0]]))?;
    /// let x = a.lstsq(&Tensor::from([3.0, 1.0, 3.0]))?;
    /// assert!(x.try_sub(&Tensor::from([3.0, 1.0]))?.abs().max()?.item()? < 1e-14);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the matrix has more columns than rows or b does not fit; singular, where the rank is not full:
    /// `lsqr` takes such matrices; argument, for NaN and infinity.
    #[track_caller]
    pub fn lstsq(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        body_once!(T: Float, [self, b], |x: &SparseTensor<T>, b: &Tensor<T>| -> Result<Tensor<T>> {
            let (values, pattern, factors) = x.factored("lstsq", Method::Qr)?;
            apply(LeastSquares { pattern, factors }, [&values, b])
        })
    }

    fn factored(&self, op: &'static str, method: Method) -> Result<(Tensor<T>, Pattern, Arc<Factors<T>>)> {
        let distinct = self.distinct(op)?;
        let pattern = distinct.pattern(op)?.clone();
        let factors = sparse::factor(op, &pattern, distinct.values.array(), method)?;
        Ok((distinct.values, pattern, Arc::new(factors)))
    }
}

/// A square matrix that stands for constants, factored once for many solutions.
pub(crate) struct Factored<T: Float>(Factors<T>);

impl<T: Float> Factored<T> {
    pub fn lu(op: &'static str, a: &SparseTensor<T>) -> Result<Self> {
        Factored::by(op, a, Method::Lu)
    }

    /// The lower triangle is read.
    pub fn cholesky(op: &'static str, a: &SparseTensor<T>) -> Result<Self> {
        Factored::by(op, a, Method::Cholesky)
    }

    fn by(op: &'static str, a: &SparseTensor<T>, method: Method) -> Result<Self> {
        let distinct = a.distinct(op)?;
        Ok(Factored(sparse::factor(op, distinct.pattern(op)?, distinct.values.array(), method)?))
    }

    /// A^-1 b, or A^-T b.
    pub fn solve(&self, op: &'static str, b: &Tensor<T>, transposed: bool) -> Result<Tensor<T>> {
        Ok(sparse::solve(op, &self.0, b.array(), transposed)?.into())
    }
}
