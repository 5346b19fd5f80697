//! The singular value decomposition, and what is made of singular values.

use crate::gaps::over_gaps;
use crate::product::matmul;
use autograd::{KeepMany, Kept, OpMany, Tensor, apply_many, body_once};
use tensor_core::kernels::{self, Gaps};
use tensor_core::{Array, Error, Float, Result};

/// A = U diag(s) V^T, thin: s descending
struct Svd;

impl<T: Float> OpMany<T> for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(kernels::svd("svd", x[0])?.into())
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true; 3] }
    }
    /// U (diag(grad_s) + F * skew(P + Q) + G * skew(P - Q)) V^T, and (I - U U^T) grad_U diag(1/s) V^T, and
    /// U diag(1/s) grad_V^T (I - V V^T), added up, with P = U^T grad_U, Q = V^T grad_V, skew(X) = (X - X^T) / 2,
    /// F_ij = 1 / (s_j - s_i) and G_ij = 1 / (s_j + s_i), 0 on the diagonal
    /// (Townsend, "Differentiating the singular value decomposition", 2016, in whose terms F + G is
    /// 2 s_j / (s_j^2 - s_i^2) and F - G is 2 s_i / (s_j^2 - s_i^2); no square can overflow here)
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let (u, s, vt) = (kept.output(0), kept.output(1), kept.output(2));
        let [m, n] = [u.shape()[u.ndim() - 2], vt.shape()[vt.ndim() - 1]];
        let k = s.shape()[s.ndim() - 1];
        let p = g[0].as_ref().map(|g| matmul(&u.mt()?, g)).transpose()?;
        let q = g[2].as_ref().map(|g| matmul(&vt, &g.mt()?)).transpose()?;
        let sum_and_difference = match (&p, &q) {
            (Some(p), Some(q)) => Some((p + q, p - q)),
            (Some(p), None) => Some((p.clone(), p.clone())),
            (None, Some(q)) => Some((q.clone(), -q)),
            (None, None) => None,
        };
        let mut inner = match &g[1] {
            Some(g) => g.diag_embed(0)?,
            None => s.zeros_like().diag_embed(0)?,
        };
        if let Some((sum, difference)) = sum_and_difference {
            let gaps = |other, rounding| Gaps { transpose: -T::ONE, other, rounding };
            inner += over_gaps(&sum, &s, gaps(-T::ONE, None), None)?;
            // Two values of zero have nothing to turn.
            inner += over_gaps(&difference, &s, gaps(T::ONE, Some(T::ZERO)), None)?;
        }
        let mut outer = None;
        if let (Some(g), Some(p), true) = (&g[0], &p, m > k) {
            let rest = (g - matmul(&u, p)?).try_div(&s.unsqueeze(-2)?)?;
            outer = Some(matmul(&rest, &vt)?);
        }
        if let (Some(g), Some(q), true) = (&g[2], &q, n > k) {
            let rest = (g - matmul(&q.mt()?, &vt)?).try_div(&s.unsqueeze(-1)?)?;
            let rest = matmul(&u, &rest)?;
            outer = Some(match outer {
                Some(outer) => outer + rest,
                None => rest,
            });
        }
        let whole = matmul(&matmul(&u, &inner)?, &vt)?;
        Ok(vec![Some(match outer {
            Some(outer) => whole + outer,
            None => whole,
        })])
    }
}

/// The thin singular value decomposition A = U diag(s) V^T of each matrix [m, n] of a batch: U [m, k], s \[k\]
/// descending, V^T [k, n], for k = min(m, n). The signs of the vectors are open: only functions that do
/// not depend on them have a meaning. The gradient with respect to the vectors is not finite where
/// singular values are equal, or 0 in a matrix that is not square; that of the values is.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (u, s, vt) = linalg::svd(&Tensor::from([[3.0, 0.0], [0.0, -2.0], [0.0, 0.0]]))?;
/// assert_eq!((u.shape(), vt.shape()), (&[3, 2][..], &[2, 2][..]));
/// assert!(s.allclose(&Tensor::from([3.0, 2.0]), 1e-12, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity, naming the first such matrix; not converged.
#[track_caller]
pub fn svd<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
        let outputs: [Tensor<T>; 3] = match apply_many(Svd, &[a])?.try_into() {
            Ok(outputs) => outputs,
            Err(_) => unreachable!("the operation has three outputs"),
        };
        let [u, s, vt] = outputs;
        Ok((u, s, vt))
    })
}

/// The singular values of each matrix of a batch, descending.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::svdvals;
/// let s = svdvals(&Tensor::from([2.0, -3.0]).diag(0)?)?;
/// assert!(s.allclose(&Tensor::from([3.0, 2.0]), 1e-14, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`svd`].
#[track_caller]
pub fn svdvals<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    singular_values("svdvals", a)
}

/// The singular values, for the operation `op`.
#[track_caller]
fn singular_values<T: Float>(op: &'static str, a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [op, a], |op: &'static str, a: &Tensor<T>| -> Result<Tensor<T>> {
        Ok(svd(a).map_err(|e| e.renamed(op))?.1)
    })
}

/// Which norm of a matrix; a number stands for the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MatrixNorm {
    /// The root of the sum of squares.
    Frobenius,
    /// The sum of the singular values.
    Nuclear,
    /// 2 and -2: the largest and the smallest singular value; 1 and -1: the largest and the smallest sum of absolute
    /// values in a column; infinity and minus infinity: the same of a row.
    Order(f64),
}

impl From<f64> for MatrixNorm {
    fn from(order: f64) -> Self {
        MatrixNorm::Order(order)
    }
}

/// A norm of each matrix of a batch.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// use tapegrad::linalg::MatrixNorm;
/// let a = Tensor::from([[3.0, 0.0], [0.0, -4.0]]);
/// assert_eq!(linalg::matrix_norm(&a, MatrixNorm::Frobenius)?.item()?, 5.0);
/// assert_eq!(linalg::matrix_norm(&a, 1.0)?.item()?, 4.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, below two dimensions, and for the extremes of no rows, columns or values; argument, for an order that
/// is none of those six; as [`svd`].
#[doc(alias = "norm")]
#[track_caller]
pub fn matrix_norm<T: Float>(a: &Tensor<T>, norm: impl Into<MatrixNorm>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, norm.into()], |a: &Tensor<T>, norm: MatrixNorm| -> Result<Tensor<T>> {
        if a.ndim() < 2 {
            let message = format!("shape {:?}: matrices of 2 or more dimensions are needed", a.shape());
            return Err(Error::shape("matrix_norm", message));
        }
        let sums = |dim| a.abs().sum_dim(dim, false);
        match norm {
            MatrixNorm::Frobenius => a.vector_norm(2.0, [-2, -1], false),
            MatrixNorm::Nuclear => singular_values("matrix_norm", a)?.sum_dim(-1, false),
            MatrixNorm::Order(2.0) => singular_values("matrix_norm", a)?.amax(-1, false),
            MatrixNorm::Order(-2.0) => singular_values("matrix_norm", a)?.amin(-1, false),
            MatrixNorm::Order(1.0) => sums(-2)?.amax(-1, false),
            MatrixNorm::Order(-1.0) => sums(-2)?.amin(-1, false),
            MatrixNorm::Order(f64::INFINITY) => sums(-1)?.amax(-1, false),
            MatrixNorm::Order(f64::NEG_INFINITY) => sums(-1)?.amin(-1, false),
            MatrixNorm::Order(p) => {
                let message = format!("no matrix norm of order {p}: 1, 2, infinity and their negatives are");
                Err(Error::argument("matrix_norm", message))
            }
        }
    })
}

/// The ratio of the largest to the smallest singular value of each matrix of a batch; infinite where the
/// smallest is 0. By the rule of [`matrix_rank`], a matrix has full rank where this is below 1 / `rtol`.
///
/// # Errors
/// Shape, below two dimensions and for matrices of no elements; as [`svd`].
#[track_caller]
pub fn cond<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Tensor<T>> {
        let s = singular_values("cond", a)?;
        s.amax(-1, false)?.try_div(&s.amin(-1, false)?)
    })
}

/// How many singular values of each [m, n] matrix of a batch exceed `rtol` times the largest. None stands for
/// epsilon times the smaller of m and n, or the larger up to 64, or a four-thousandth of the larger, whichever is most:
/// it hardly grows with the rows of a tall matrix, so that columns which are far from dependent are not thrown away. The same
/// rule holds in [`crate::lstsq`], [`crate::pinv`] and [`crate::SparseTensor::lstsq`].
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
/// assert_eq!(linalg::matrix_rank(&a, None)?.item()?, 1);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`svd`].
#[track_caller]
pub fn matrix_rank<T: Float>(a: &Tensor<T>, rtol: Option<f64>) -> Result<Tensor<i64>> {
    body_once!(T: Float, [a, rtol], |a: &Tensor<T>, rtol: Option<f64>| -> Result<Tensor<i64>> {
        let s = singular_values("matrix_rank", &a.detach())?;
        let [.., m, n] = *a.shape() else { return Tensor::zeros_on(&s.device(), s.shape()) };
        let rtol = T::of(rtol.unwrap_or_else(|| kernels::rank_tolerance::<T>(m, n)));
        if m == 0 || n == 0 {
            return s.gt(T::ZERO)?.count_nonzero_dim(-1, false);
        }
        s.gt(&(s.narrow(-1, 0, 1)? * rtol))?.count_nonzero_dim(-1, false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;

    /// U diag(f(s)) V^T
    fn function(a: &Tensor<f64>, f: impl Fn(&Tensor<f64>) -> Tensor<f64>) -> Result<Tensor<f64>> {
        let (u, s, vt) = svd(a)?;
        matmul(&u.try_mul(&f(&s).unsqueeze(-2)?)?, &vt)
    }

    #[test]
    fn values_vectors_and_what_is_made_of_them() -> Result<()> {
        for shape in [&[1, 1][..], &[4, 3], &[3, 4], &[3, 3], &[2, 4, 2], &[0, 3], &[2, 0, 2]] {
            check_op(|x| svdvals(&x[0]), &[shape]).run()?;
            check_op(|x| function(&x[0], |s| s.clone()), &[shape]).reference(|x| Ok(x[0].clone())).run()?;
            check_op(|x| function(&x[0], |s| s.square()), &[shape]).run()?;
        }
        for norm in [
            MatrixNorm::Frobenius,
            MatrixNorm::Nuclear,
            MatrixNorm::Order(2.0),
            MatrixNorm::Order(-2.0),
            MatrixNorm::Order(1.0),
            MatrixNorm::Order(-1.0),
            MatrixNorm::Order(f64::INFINITY),
            MatrixNorm::Order(f64::NEG_INFINITY),
        ] {
            check_op(|x| matrix_norm(&x[0], norm), &[&[2, 4, 3]]).run()?;
        }
        check_op(|x| cond(&x[0]), &[&[4, 3]]).run()?;
        assert_eq!(matrix_rank(&Tensor::zeros([2, 3, 2]), None)?.to_vec(), [0, 0]);
        assert_eq!(matrix_rank(&Tensor::zeros([2, 0, 2]), None)?.to_vec(), [0, 0]);
        assert_eq!(matrix_rank(&(Tensor::eye(3) * Tensor::from([1.0, 1e-3, 0.0])), Some(1e-2))?.item()?, 1);
        Ok(())
    }

    #[test]
    fn values_at_large_and_equal_ones() -> Result<()> {
        // The gaps are formed without squares.
        let a = (Tensor::eye(2) * Tensor::from([1e200, 3e200])).requires_grad();
        svdvals(&a)?.sum().backward()?;
        assert!(a.grad().is_some_and(|g| g.allclose(&Tensor::eye(2), 1e-12, 1e-12).unwrap()));
        let a = Tensor::eye(3).requires_grad();
        svdvals(&a)?.sum().backward()?;
        assert!(a.grad().is_some_and(|g| g.allclose(&Tensor::eye(3), 1e-12, 1e-12).unwrap()));
        Ok(())
    }
}
