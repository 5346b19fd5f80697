//! The Cholesky factorisation of symmetric positive definite matrices.

use crate::solve::{System, system};
use crate::triangular::triangular;
use autograd::{Keep, Kept, Op, Tensor, apply};
use std::panic::Location;
use tensor_core::{Array, Error, Float, Result, kernels};

/// L lower triangular, A = L L^T
struct Cholesky;

impl<T: Float> Op<T, 1> for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::cholesky("cholesky", a)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// The symmetric part of L^-T F L^-1, where F is the lower triangle of L^T grad with half its diagonal
    /// (Murray, "Differentiation of the Cholesky decomposition", 2016, equation 10)
    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let l = kept.output();
        let p = crate::matmul(&l.mt()?, &g)?;
        let f = (p.tril(0)? + p.tril(-1)?) * T::of(0.5);
        let half = triangular(&l, &f, false, true)?;
        let whole = triangular(&l, &half.mt()?, false, true)?;
        Ok([Some((&whole + whole.mt()?) * T::of(0.5))])
    }
}

/// The lower triangular L with A = L L^T for each symmetric positive definite matrix of a batch; `upper`
/// gives L^T. Of A the lower triangle is read; its gradient is that of a symmetric matrix, and symmetric.
///
/// ```
/// use autograd::Tensor;
/// let a = Tensor::from([[4.0, 2.0], [2.0, 10.0]]);
/// assert_eq!(linalg::cholesky(&a, false)?.to_vec(), [2.0, 0.0, 1.0, 3.0]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; not positive definite, naming the first such matrix and its
/// first leading minor that is not positive.
#[track_caller]
pub fn cholesky<T: Float>(a: &Tensor<T>, upper: bool) -> Result<Tensor<T>> {
    let l = apply(Cholesky, [a])?;
    if upper { l.mt() } else { Ok(l) }
}

/// The solution X of A X = B from the factor that [`cholesky`] gave, lower or `upper`: two triangular
/// systems. B is a batch of matrices or of vectors, as for [`crate::solve`].
///
/// ```
/// use autograd::Tensor;
/// let l = linalg::cholesky(&Tensor::from([[4.0, 0.0], [0.0, 9.0]]), false)?;
/// assert_eq!(linalg::cholesky_solve(&l, &Tensor::from([8.0, 18.0]), false)?.to_vec(), [2.0, 2.0]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; singular, for a factor with a zero on its diagonal.
#[track_caller]
pub fn cholesky_solve<T: Float>(factor: &Tensor<T>, b: &Tensor<T>, upper: bool) -> Result<Tensor<T>> {
    let here = Location::caller();
    let System { a: factor, b, vectors } = system("cholesky_solve", factor, b).map_err(|e| e.at(here))?;
    let run = || triangular(&factor, &triangular(&factor, &b, upper, upper)?, upper, !upper);
    let x = run().map_err(|e: Error| e.at(here))?;
    if vectors { x.squeeze(-1) } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    /// A symmetric positive definite matrix of each.
    fn definite(x: &Tensor<f64>) -> Result<Tensor<f64>> {
        let n = x.shape()[x.ndim() - 1];
        Ok((x + x.mt()?) * 0.5 + Tensor::eye(n) * (3.0 * n as f64))
    }

    #[test]
    fn factors_and_systems() -> Result<()> {
        for shape in [&[1, 1][..], &[3, 3], &[2, 3, 3], &[0, 0], &[0, 2, 2]] {
            check_op(|x| cholesky(&definite(&x[0])?, false), &[shape]).run()?;
            check_op(|x| cholesky(&definite(&x[0])?, true), &[shape]).run()?;
            check_op(
                |x| cholesky(&definite(&x[0])?, false).and_then(|l| crate::matmul(&l, &l.mt()?)),
                &[shape],
            )
            .reference(|x| definite(&x[0]))
            .run()?;
        }
        for (upper, shapes) in [(false, [&[3, 3][..], &[3, 2]]), (true, [&[2, 3, 3], &[2, 3]])] {
            let f = |x: &[Tensor<f64>]| cholesky_solve(&cholesky(&definite(&x[0])?, upper)?, &x[1], upper);
            check_op(f, &shapes).reference(|x| crate::solve(&definite(&x[0])?, &x[1])).run()?;
        }
        Ok(())
    }

    #[test]
    fn large_ones_and_those_that_are_not_definite() -> Result<()> {
        for n in [31, 32, 33, 100] {
            let a = definite(&Tensor::randn([n, n]))?;
            let l = cholesky(&a, false)?;
            assert!(crate::mm(&l, &l.t()?)?.allclose(&a, 1e-12, 1e-12)?);
            assert!(l.triu(1)?.to_vec().iter().all(|&x| x == 0.0));
        }
        let kind = |a: &Tensor<f64>| cholesky(a, false).unwrap_err().kind();
        let a = Tensor::from([[1.0, 2.0], [2.0, 1.0]]);
        assert_eq!(kind(&a), ErrorKind::NotPositiveDefinite { batch: 0, minor: 2 });
        let batch = Tensor::stack(&[&Tensor::eye(2), &Tensor::eye(2), &-Tensor::eye(2)], 0)?;
        assert_eq!(kind(&batch), ErrorKind::NotPositiveDefinite { batch: 2, minor: 1 });
        for n in [3, 40] {
            let mut a = Tensor::eye(n);
            a.set([2, 2], f64::NAN)?;
            assert_eq!(kind(&a), ErrorKind::NotPositiveDefinite { batch: 0, minor: 3 });
        }
        assert_eq!(kind(&Tensor::ones([2, 3])), ErrorKind::Shape);
        Ok(())
    }
}
