//! The Cholesky factorisation of symmetric positive definite matrices.

use crate::solve::{System, system};
use crate::triangular::triangular;
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use tensor_core::kernels::{self, Part};
use tensor_core::{Array, AtCaller, Element, Error, Float, Result};

/// L lower triangular, A = L L^T
struct Cholesky<T: Element> {
    /// The factors, where they are known already.
    known: Option<Array<T>>,
}

impl<T: Float> Op<T, 1> for Cholesky<T> {
    fn name(&self) -> &'static str {
        "cholesky"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        self.known.clone().map_or_else(|| kernels::cholesky("cholesky", a), Ok)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// The symmetric part of L^-T F L^-1, where F is the lower triangle of L^T grad with half its diagonal
    /// (Murray, "Differentiation of the Cholesky decomposition", 2016, equation 10)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let l = kept.output(0);
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
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[4.0, 2.0], [2.0, 10.0]]);
/// assert_eq!(linalg::cholesky(&a, false)?.to_vec(), [2.0, 0.0, 1.0, 3.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity in the lower triangle, naming the first such
/// matrix; not positive definite, naming the first such matrix and its first leading minor that is not positive.
#[track_caller]
pub fn cholesky<T: Float>(a: &Tensor<T>, upper: bool) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, upper], |a: &Tensor<T>, upper: bool| -> Result<Tensor<T>> {
        let l = apply(Cholesky { known: None }, [a])?;
        if upper { l.mt() } else { Ok(l) }
    })
}

/// As [`cholesky`], and the order of the first leading minor of each matrix that is not positive, or holds NaN or
/// infinity, 0 for those that are positive definite: the others are no error, and have NaN for a factor.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[[4.0, 2.0], [2.0, 10.0]], [[1.0, 2.0], [2.0, 1.0]]]);
/// let (l, info) = linalg::cholesky_ex(&a, false)?;
/// assert_eq!(info.to_vec(), [0, 2]);
/// assert_eq!(l.row(0)?.to_vec(), [2.0, 0.0, 1.0, 3.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square.
#[track_caller]
pub fn cholesky_ex<T: Float>(a: &Tensor<T>, upper: bool) -> Result<(Tensor<T>, Tensor<i64>)> {
    body_once!(T: Float, [a, upper], |a: &Tensor<T>, upper: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
        let (l, minors) = kernels::cholesky_ex("cholesky_ex", a.array())?;
        let l = apply(Cholesky { known: Some(l) }, [a])?;
        Ok((if upper { l.mt()? } else { l }, minors.into()))
    })
}

/// How often [`cholesky_jitter`] adds more.
const JITTERS: usize = 10;

/// The lower factor of each matrix of a batch that is positive definite but for rounding, and what was added to
/// the diagonals, a number each: 0 where nothing was needed, else the least of `jitter`, 10 `jitter`, 100
/// `jitter`, .. times the mean size of the diagonal that is enough, ten times at most. What is added counts as a
/// constant in the gradient.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 1.0], [1.0, 1.0]]);
/// let (l, added) = linalg::cholesky_jitter(&a, 1e-8)?;
/// assert_eq!(added.item()?, 1e-8);
/// assert!(linalg::mm(&l, &l.t()?)?.allclose(&a, 1e-7, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`cholesky`], where that is not enough; argument, for a jitter that is not positive.
#[track_caller]
pub fn cholesky_jitter<T: Float>(a: &Tensor<T>, jitter: f64) -> Result<(Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a, jitter], |a: &Tensor<T>, jitter: f64| -> Result<(Tensor<T>, Tensor<T>)> {
        if jitter.is_nan() || jitter <= 0.0 {
            let message = format!("a jitter of {jitter} is not possible: it has to be positive");
            return Err(Error::argument("cholesky_jitter", message));
        }
        let (l, info) = cholesky_ex(a, false).map_err(|e| e.renamed("cholesky_jitter"))?;
        let mut failed = info.ne(0)?;
        let mut added = Tensor::zeros_on(&info.device(), info.shape())?;
        if !failed.any() {
            return Ok((l, added));
        }
        kernels::finite("cholesky_jitter", a.array(), Part::LOWER)?;
        let size = a.detach().diagonal(0, -2, -1)?.abs().mean_dim(-1, false)?;
        let on_diagonal = Tensor::eye_on(&a.device(), a.shape()[a.ndim() - 1])?.ne(T::ZERO)?;
        // To add -0 changes nothing, not even the sign of a zero.
        let nothing = Tensor::full_on(&a.device(), [1], -T::ZERO)?;
        let raised = |by: &Tensor<T>| {
            let by = by.unsqueeze(-1)?.unsqueeze(-1)?;
            a.try_add(&on_diagonal.logical_and(&by.gt(T::ZERO)?)?.where_cond(&by, &nothing)?)
        };
        for attempt in 0..JITTERS {
            added = failed.where_cond(&(&size * T::of(jitter * 10f64.powi(attempt as i32))), &added)?;
            let (l, info) = cholesky_ex(&raised(&added)?, false)?;
            failed = info.ne(0)?;
            if !failed.any() {
                return Ok((l, added));
            }
        }
        // Not enough: the error names the matrix.
        Ok((cholesky(&raised(&added)?, false).map_err(|e| e.renamed("cholesky_jitter"))?, added))
    })
}

/// The solution X of A X = B from the factor that [`cholesky`] gave, lower or `upper`: two triangular
/// systems. B is a batch of matrices or of vectors, as for [`crate::solve`].
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let l = linalg::cholesky(&Tensor::from([[4.0, 0.0], [0.0, 9.0]]), false)?;
/// assert_eq!(linalg::cholesky_solve(&l, &Tensor::from([8.0, 18.0]), false)?.to_vec(), [2.0, 2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, for NaN and infinity in the factor; singular, for one with a zero on
/// its diagonal.
#[track_caller]
pub fn cholesky_solve<T: Float>(factor: &Tensor<T>, b: &Tensor<T>, upper: bool) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [factor, b, upper],
        |factor: &Tensor<T>, b: &Tensor<T>, upper: bool| -> Result<Tensor<T>> {
            let System { a: factor, b, vectors } = system("cholesky_solve", factor, b)?;
            let run = || triangular(&factor, &triangular(&factor, &b, upper, upper)?, upper, !upper);
            let x = run().called("cholesky_solve")?;
            if vectors { x.squeeze(-1) } else { Ok(x) }
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    /// A symmetric positive definite matrix of each.
    fn definite(x: &Tensor<f64>) -> Result<Tensor<f64>> {
        let n = x.shape()[x.ndim() - 1];
        Ok((x + x.mt()?) * 0.5 + Tensor::eye_on(&x.device(), n)? * (3.0 * n as f64))
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
    fn matrices_that_are_nearly_definite() -> Result<()> {
        let batch = |x: &Tensor<f64>| Tensor::stack(&[&definite(x)?, &(definite(x)? * 2.0)], 0);
        check_op(|x| Ok(cholesky_ex(&batch(&x[0])?, true)?.0), &[&[3, 3]])
            .reference(|x| cholesky(&batch(&x[0])?, true))
            .run()?;
        // One that needs nothing, one of rank one, and one that is negative by a little.
        let x = Tensor::from([1.0, 2.0, 3.0]);
        let low = crate::outer(&x, &x)?;
        let a = Tensor::stack(&[&Tensor::eye(3), &low, &(&low - Tensor::eye(3) * 1e-6)], 0)?;
        let (l, added) = cholesky_jitter(&a, 1e-9)?;
        let added = added.to_vec();
        assert!(added[0] == 0.0 && added[1] < 1e-7 && (1e-6..1e-4).contains(&added[2]), "{added:?}");
        assert!(crate::matmul(&l, &l.mt()?)?.allclose(&a, 1e-4, 0.0)?);
        check_op(|x| Ok(cholesky_jitter(&definite(&x[0])?, 1e-9)?.0), &[&[2, 3, 3]]).run()?;
        assert_eq!(
            cholesky_jitter(&-Tensor::eye(2), 1e-12).unwrap_err().kind(),
            ErrorKind::NotPositiveDefinite { batch: 0, minor: 1 }
        );
        assert_eq!(cholesky_jitter(&low, 0.0).unwrap_err().kind(), ErrorKind::Argument);
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
            assert_eq!(kind(&a), ErrorKind::Argument);
            assert_eq!(cholesky_ex(&a, false)?.1.item()?, 3);
        }
        assert_eq!(kind(&Tensor::ones([2, 3])), ErrorKind::Shape);
        Ok(())
    }
}
