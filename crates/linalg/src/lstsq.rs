//! Least squares solutions.

use crate::pinv::{PinvOptions, pseudoinverse};
use crate::product::matmul;
use crate::solve::{are_vectors, one_batch};
use crate::triangular::triangular;
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use tensor_core::kernels::{self, Part};
use tensor_core::{Array, AtCaller, Element, Error, Float, Result};

const LSTSQ: &str = "lstsq";

/// X = A^+ B, which was found already
struct LeastNorm<T: Element> {
    x: Array<T>,
    rtol: Option<f64>,
    /// The matrices that are not certainly of full rank, [.., 1, 1]; None where all are.
    deficient: Option<Tensor<bool>>,
}

impl<T: Float> Op<T, 2> for LeastNorm<T> {
    fn name(&self) -> &'static str {
        LSTSQ
    }
    fn forward(&self, _: [&Array<T>; 2]) -> Result<Array<T>> {
        Ok(self.x.clone())
    }
    fn keep(&self, [a, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, a], output: a }
    }
    /// B: (A^+)^T grad =: Y; A: (B - A X) (A^+ Y)^T + (A^+)^T X (grad - A^T Y)^T - Y X^T, of which the first term is
    /// zero for independent rows and the second for independent columns (Golub and Pereyra 1973, equation 4.12,
    /// applied to B). The pseudoinverse of the transpose is the transpose of the pseudoinverse.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let a = kept.input(0);
        let at = a.mt()?;
        let y = least_norm(&at, &g, self.rtol)?;
        let (m, n) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
        let gradient = kept.wrt(0, || {
            let (b, x) = (kept.input(1), kept.output(0));
            let mut whole = -matmul(&y, &x.mt()?)?;
            // A term for all matrices, or for those that need it.
            let mut add = |all: bool, term: &dyn Fn() -> Result<Tensor<T>>| -> Result<()> {
                match &self.deficient {
                    _ if all => whole += term()?,
                    Some(deficient) => whole = deficient.where_cond(&(&whole + term()?), &whole)?,
                    None => {}
                }
                Ok(())
            };
            add(m > n, &|| {
                let z = least_norm(&a, &y, self.rtol)?;
                matmul(&(&b - matmul(&a, &x)?), &z.mt()?)
            })?;
            add(m < n, &|| {
                let w = least_norm(&at, &x, self.rtol)?;
                matmul(&w, &(&g - matmul(&at, &y)?).mt()?)
            })?;
            Ok(whole)
        })?;
        Ok([gradient, kept.wrt(1, || Ok(y))?])
    }
}

/// A^+ B for matrices of one batch.
fn least_norm<T: Float>(a: &Tensor<T>, b: &Tensor<T>, rtol: Option<f64>) -> Result<Tensor<T>> {
    let values = [a.detach(), b.detach()];
    let (mut x, certain) = by_qr(&values, rtol)?;
    // What QR cannot do is left to the singular values.
    let deficient = if certain.all() { None } else { Some(certain.logical_not()) };
    if let Some(deficient) = &deficient {
        let options = PinvOptions { rtol, ..Default::default() };
        let p = pseudoinverse(LSTSQ, values[0].array(), options)?;
        x = deficient.where_cond(&matmul(&p.into(), &values[1])?, &x)?;
    }
    apply(LeastNorm { x: x.array().clone(), rtol, deficient }, [a, b])
}

/// The solutions R^-1 Q^T B of A = Q R, or Q R^-T B of A^T = Q R, and which matrices, [.., 1, 1], are certainly of full
/// rank: |R| |R^-1|, in the Frobenius norm, is at least the ratio of the largest singular value to the smallest. Each
/// matrix by itself: the solutions of others mean nothing.
fn by_qr<T: Float>([a, b]: &[Tensor<T>; 2], rtol: Option<f64>) -> Result<(Tensor<T>, Tensor<bool>)> {
    let (m, n) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
    let rtol = rtol.unwrap_or_else(|| kernels::rank_tolerance::<T>(m, n));
    let tall = if m >= n { a.clone() } else { a.mt()? };
    // Of the transpose, the error would name another shape.
    let [q, r] = kernels::qr(LSTSQ, tall.array(), false)
        .map_err(|e| kernels::finite(LSTSQ, a.array(), Part::Whole).err().unwrap_or(e))?
        .map(Tensor::from);
    let identity = Tensor::eye_on(&r.device(), m.min(n))?.expand(r.shape())?;
    let zeros = r.diagonal(0, -2, -1)?.eq(T::ZERO)?.count_nonzero_dim(-1, false)?;
    let whole = zeros.eq(0)?.unsqueeze(-1)?.unsqueeze(-1)?;
    let r = if whole.all() { r } else { whole.where_cond(&r, &identity)? };
    let inverse = triangular(&r, &identity, true, false)?;
    let size = |t: &Tensor<T>| t.vector_norm(2.0, [-2, -1], true);
    let bound = size(&r)?.try_mul(&(size(&inverse)? * T::of(rtol)))?;
    let certain = whole.logical_and(&bound.lt(T::ONE)?)?;
    let x = if m >= n {
        triangular(&r, &matmul(&q.mt()?, b)?, true, false)?
    } else {
        matmul(&q, &triangular(&r, b, true, true)?)?
    };
    Ok((x, certain))
}

/// The X of least norm among those that minimise ||A X - B|| for each matrix [m, n] of a batch, of any shape
/// and rank: A^+ B, by QR where the rank is certainly full, else by the singular value decomposition. Singular values
/// of at most `rtol` times the largest count as zero; None stands for the tolerance of [`crate::matrix_rank`], which hardly
/// grows with the rows. B is a batch of matrices [.., m, k] or, where it has one dimension less than A, of
/// vectors [.., m]. Of derivatives it has those of the pseudoinverse: of changes that keep the rank.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// // The line through (0, 1), (1, 3), (2, 5).
/// let a = Tensor::from([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
/// let x = linalg::lstsq(&a, &Tensor::from([1.0, 3.0, 5.0]), None)?;
/// assert!(x.allclose(&Tensor::from([1.0, 2.0]), 1e-12, 1e-12)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, for a tolerance that is negative or NaN, and for NaN and infinity in A,
/// naming the first such matrix; not converged. NaN and infinity in B spread into its solutions.
#[track_caller]
pub fn lstsq<T: Float>(a: &Tensor<T>, b: &Tensor<T>, rtol: Option<f64>) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [a, b, rtol],
        |a: &Tensor<T>, b: &Tensor<T>, rtol: Option<f64>| -> Result<Tensor<T>> {
            let vectors = are_vectors(a, b);
            let columns = if vectors { b.unsqueeze(-1)? } else { b.clone() };
            if !matches!((a.shape(), columns.shape()), ([.., m, _], [.., k, _]) if m == k) {
                let message = format!(
                    "matrices {:?} and right-hand sides {:?} do not fit: as many rows are needed",
                    a.shape(),
                    b.shape()
                );
                return Err(Error::shape(LSTSQ, message));
            }
            if let Some(wrong) = rtol.filter(|&t| t.is_nan() || t < 0.0) {
                let message = format!("a tolerance of {wrong} is not possible: it must not be negative");
                return Err(Error::argument(LSTSQ, message));
            }
            let run = || {
                let [a, b] = one_batch(LSTSQ, a, &columns)?;
                least_norm(&a, &b, rtol)
            };
            let x = run().called(LSTSQ)?;
            if vectors { x.squeeze(-1) } else { Ok(x) }
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{check_op, gradcheck};

    #[test]
    fn solutions_of_least_norm() -> Result<()> {
        let shapes: [[&[usize]; 2]; 5] = [
            [&[4, 3], &[4]],
            [&[3, 3], &[3, 2]],
            [&[3, 5], &[3, 2]],
            [&[2, 4, 2], &[2, 4]],
            [&[2, 4, 2], &[4, 3]],
        ];
        for s in shapes {
            check_op(|x| lstsq(&x[0], &x[1], None), &s).run()?;
        }
        for (m, n) in [(300, 20), (20, 300), (40, 40)] {
            let (a, b) = (Tensor::randn([m, n]), Tensor::randn([m, 2]));
            let expected = matmul(&crate::pinv(&a)?, &b)?;
            assert!(lstsq(&a, &b, None)?.allclose(&expected, 1e-10, 1e-12)?);
        }
        // The cut is where it was asked for, also where the rank is full.
        let (a, b) = (Tensor::from([[1.0, 0.0], [0.0, 1e-3], [0.0, 0.0]]), Tensor::ones([3]));
        assert_eq!(lstsq(&a, &b, Some(1e-2))?.to_vec(), [1.0, 0.0]);
        assert!(lstsq(&a, &b, None)?.allclose(&Tensor::from([1.0, 1e3]), 1e-12, 0.0)?);
        for rtol in [-1.0, f64::NAN] {
            assert_eq!(lstsq(&a, &b, Some(rtol)).unwrap_err().kind(), tensor_core::ErrorKind::Argument);
        }
        // Of rank one, through its factors.
        let f = |x: &[Tensor<f64>]| lstsq(&crate::outer(&x[0], &x[1])?, &x[2], None);
        let x = [Tensor::from([1.0, 2.0, -1.0]), Tensor::from([0.5, 3.0]), Tensor::from([1.0, 0.0, 2.0])];
        gradcheck(f, &x)?;
        assert!(lstsq(&Tensor::ones([3, 2]), &Tensor::ones([2]), None).is_err());
        Ok(())
    }
}
