//! The QR factorisation, and least squares solutions by it.

use crate::product::matmul;
use crate::triangular::triangular;
use autograd::{KeepMany, Kept, OpMany, Tensor, apply_many, body_once};
use tensor_core::{Array, Error, Float, Result, kernels};

/// A = Q R, reduced: the diagonal of R is not negative
struct Qr;

impl<T: Float> OpMany<T> for Qr {
    fn name(&self) -> &'static str {
        "qr"
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(kernels::qr("qr", x[0], false)?.into())
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true; 2] }
    }
    /// For m >= n: (grad_Q + Q S) R^-T, where S mirrors the lower triangle of M = R grad_R^T - grad_Q^T Q
    /// (Walter and Lehmann 2012). For m < n, with A = [X Y] and R = [U V], Y = Q V: Y has the cotangent Q
    /// grad_V, and X that of the square case with Y grad_V^T added to grad_Q.
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let (q, r) = (kept.output(0), kept.output(1));
        let gq = g[0].clone().unwrap_or_else(|| q.zeros_like());
        let gr = g[1].clone().unwrap_or_else(|| r.zeros_like());
        let (m, n) = (q.shape()[q.ndim() - 2], r.shape()[r.ndim() - 1]);
        if m >= n {
            return Ok(vec![Some(tall(&q, &r, &gq, &gr)?)]);
        }
        let parts = |t: &Tensor<T>| Ok::<_, Error>((t.narrow(-1, 0, m)?, t.narrow(-1, m as isize, n - m)?));
        let ((u, v), (gu, gv)) = (parts(&r)?, parts(&gr)?);
        let y = matmul(&q, &v)?;
        let x = tall(&q, &u, &(gq + matmul(&y, &gv.mt()?)?), &gu)?;
        Ok(vec![Some(Tensor::cat(&[&x, &matmul(&q, &gv)?], -1)?)])
    }
}

fn tall<T: Float>(q: &Tensor<T>, r: &Tensor<T>, gq: &Tensor<T>, gr: &Tensor<T>) -> Result<Tensor<T>> {
    let m = matmul(r, &gr.mt()?)? - matmul(&gq.mt()?, q)?;
    let lower = m.tril(-1)?;
    let mirrored = m.tril(0)? + lower.mt()?;
    let inner = gq + matmul(q, &mirrored)?;
    // X R^-T is the transpose of R^-1 X^T.
    triangular(r, &inner.mt()?, true, false)?.mt()
}

/// A = Q R for each matrix [m, n] of a batch, reduced: Q [m, k] has orthonormal columns, R [k, n] is upper
/// triangular, k = min(m, n). The diagonal of R is not negative, so the factors of a matrix of full rank
/// are unique. The gradient needs the first k columns of A to be independent.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (q, r) = linalg::qr(&Tensor::from([[0.0, 2.0], [3.0, 1.0]]))?;
/// assert!(r.allclose(&Tensor::from([[3.0, 1.0], [0.0, 2.0]]), 1e-12, 1e-12)?);
/// assert!(q.allclose(&Tensor::from([[0.0, 1.0], [1.0, 0.0]]), 1e-12, 1e-12)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity; in the gradient singular, where columns
/// depend on each other.
#[track_caller]
pub fn qr<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>)> {
        let mut outputs = apply_many(Qr, &[a])?;
        let r = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), r))
    })
}

/// The complete factorisation: Q [m, m] is orthogonal, R is [m, n]. Without a gradient where m > n, since
/// the further columns of Q are not determined by A.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::qr_complete;
/// let (q, r) = qr_complete(&Tensor::ones([3, 1]))?;
/// assert_eq!((q.shape(), r.shape()), (&[3, 3][..], &[3, 1][..]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`qr`]; graph, for a tracked matrix with more rows than columns.
#[track_caller]
pub fn qr_complete<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>)> {
        if matches!(a.shape(), [.., m, n] if m <= n) {
            return qr(a);
        }
        if a.is_tracked() && autograd::is_grad_enabled() {
            let message = format!(
                "the complete factors of shape {:?} are not functions of the matrix alone: detach() it, or use qr",
                a.shape()
            );
            return Err(Error::new(tensor_core::ErrorKind::Graph, "qr_complete", message));
        }
        let [q, r] = kernels::qr("qr_complete", a.array(), true)?;
        Ok((q.into(), r.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    #[test]
    fn factors() -> Result<()> {
        for shape in [&[1, 1][..], &[4, 3], &[3, 3], &[2, 4, 2], &[3, 5], &[2, 2, 3], &[0, 0], &[3, 0]] {
            check_op(|x| Ok(qr(&x[0])?.0), &[shape]).run()?;
            check_op(|x| Ok(qr(&x[0])?.1), &[shape]).run()?;
            let product = |x: &[Tensor<f64>]| {
                let (q, r) = qr(&x[0])?;
                matmul(&q, &r)
            };
            check_op(product, &[shape]).reference(|x| Ok(x[0].clone())).run()?;
        }
        for shape in [[70, 40], [40, 70], [5, 2]] {
            let a = Tensor::randn(shape);
            let ((q, r), (whole, tall)) = (qr(&a)?, qr_complete(&a)?);
            assert!(matmul(&q, &r)?.allclose(&a, 1e-11, 1e-12)?);
            assert!(matmul(&whole, &tall)?.allclose(&a, 1e-11, 1e-12)?);
            assert!(matmul(&whole.mt()?, &whole)?.allclose(&Tensor::eye(shape[0]), 1e-11, 1e-12)?);
            assert!(r.diagonal(0, 0, 1)?.ge(0.0)?.all());
        }
        let tracked = Tensor::ones([3, 2]).requires_grad();
        assert_eq!(qr_complete(&tracked).unwrap_err().kind(), ErrorKind::Graph);
        assert_eq!(qr(&Tensor::full([2, 2], f64::NAN)).unwrap_err().kind(), ErrorKind::Argument);
        Ok(())
    }
}
