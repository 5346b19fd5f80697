//! Eigenvalues and eigenvectors of symmetric matrices.

use crate::gaps::over_gaps;
use crate::product::matmul;
use autograd::{KeepMany, Kept, OpMany, Tensor, apply_many, body_once};
use tensor_core::kernels::{self, Gaps};
use tensor_core::{Array, Float, Result};

/// w ascending, V with orthonormal columns, A = V diag(w) V^T
struct Eigh;

/// Eigenvalues this near each other, relative to the largest, count as equal; and so small a part of a
/// cotangent counts as nothing. Errors grow as the root of n: with n itself, the neighbours among 512 random
/// eigenvalues would count as equal in single precision.
fn rounding<T: Float>(n: usize) -> T {
    T::EPSILON * T::of(8.0 * (n as f64).sqrt())
}

impl<T: Float> OpMany<T> for Eigh {
    fn name(&self) -> &'static str {
        "eigh"
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(kernels::eigh("eigh", x[0])?.into())
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true, true] }
    }
    /// V (diag(grad_w) + F * (V^T grad_V)) V^T with F_ij = 1 / (w_j - w_i), 0 on the diagonal, made symmetric
    /// (Giles 2008, 3.1). F is antisymmetric: the symmetric part of F * P is F times the antisymmetric part of P.
    ///
    /// Where eigenvalues are equal, the vectors may turn within their space: a cotangent that feels it has no
    /// answer; one that does not has the answer 0.
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let v = kept.output(1);
        let vt = v.mt()?;
        let mut inner = match &g[0] {
            Some(g) => Some(g.diag_embed(0)?),
            None => None,
        };
        if let Some(g) = &g[1] {
            let n = v.shape()[v.ndim() - 1];
            let gaps = Gaps { transpose: -T::ONE, other: -T::ONE, rounding: Some(rounding(n)) };
            let turned = over_gaps(&matmul(&vt, g)?, &kept.output(0), gaps, Some("eigh"))?;
            inner = Some(match inner {
                Some(inner) => inner + turned,
                None => turned,
            });
        }
        let Some(inner) = inner else { return Ok(vec![None]) };
        Ok(vec![Some(matmul(&matmul(&v, &inner)?, &vt)?)])
    }
}

/// The eigenvalues of each symmetric matrix of a batch, ascending, and its eigenvectors, the columns of an
/// orthogonal matrix: A = V diag(w) V^T. Of A the lower triangle is read; its gradient is that of a
/// symmetric matrix, and symmetric but for rounding. The sign of each vector is open: only functions that do not depend
/// on it have a meaning.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (w, v) = linalg::eigh(&Tensor::from([[2.0, 1.0], [1.0, 2.0]]))?;
/// assert!(w.allclose(&Tensor::from([1.0, 3.0]), 1e-12, 0.0)?);
/// assert_eq!(v.shape(), [2, 2]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity in the lower triangle, naming the first such
/// matrix; not converged. In the gradient argument, where eigenvalues are equal and the function depends on which vectors were found.
#[track_caller]
pub fn eigh<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>)> {
        let mut outputs = apply_many(Eigh, &[a])?;
        let v = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), v))
    })
}

/// The eigenvalues of [`eigh`]. Their first derivatives exist at every matrix; where two are equal, the
/// derivative is that of the order in which they were found.
///
/// # Errors
/// As [`eigh`].
#[track_caller]
pub fn eigvalsh<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Tensor<T>> {
        Ok(eigh(a).map_err(|e| e.renamed("eigvalsh"))?.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{check_op, gradcheck};
    use tensor_core::ErrorKind;

    fn symmetric(x: &Tensor<f64>) -> Result<Tensor<f64>> {
        Ok((x + x.mt()?) * 0.5)
    }

    /// V diag(f(w)) V^T
    fn function(a: &Tensor<f64>, f: impl Fn(&Tensor<f64>) -> Tensor<f64>) -> Result<Tensor<f64>> {
        let (w, v) = eigh(a)?;
        matmul(&v.try_mul(&f(&w).unsqueeze(-2)?)?, &v.mt()?)
    }

    #[test]
    fn values_and_functions_of_matrices() -> Result<()> {
        for shape in [&[1, 1][..], &[3, 3], &[2, 3, 3], &[0, 0], &[0, 2, 2]] {
            check_op(|x| eigvalsh(&symmetric(&x[0])?), &[shape]).run()?;
            check_op(|x| function(&symmetric(&x[0])?, |w| w.clone()), &[shape])
                .reference(|x| symmetric(&x[0]))
                .run()?;
            check_op(|x| function(&symmetric(&x[0])?, |w| (w * 0.3).exp()), &[shape]).run()?;
        }
        let a = symmetric(&Tensor::randn([60, 60]))?;
        assert!(function(&a, |w| w.clone())?.allclose(&a, 1e-12, 1e-12)?);
        Ok(())
    }

    #[test]
    fn neighbours_in_single_precision_are_not_equal() -> Result<()> {
        // The gaps are 0.02 of 32, of which a random symmetric matrix of this size has many.
        let n = 512;
        let w = autograd::linspace(22.0, 32.0, n)?.cast::<f32>();
        let a = w.diag_embed(0)?.requires_grad();
        let (_, v) = eigh(&a)?;
        v.try_mul(&w.unsqueeze(-1)?)?.sum().backward()?;
        assert!(a.grad().is_some_and(|g| g.to_vec().iter().all(|g| g.is_finite())));
        Ok(())
    }

    #[test]
    fn equal_eigenvalues() -> Result<()> {
        // The trace of the values does not feel how the vectors turn.
        let a = Tensor::eye(3).requires_grad();
        let (w, v) = eigh(&a)?;
        matmul(&v.try_mul(&w.exp().unsqueeze(-2)?)?, &v.mt()?)?.trace()?.backward()?;
        let expected = Tensor::eye(3) * 1f64.exp();
        assert!(a.grad().is_some_and(|g| g.allclose(&expected, 1e-12, 1e-12).unwrap()));
        // A single vector does.
        let a = Tensor::eye(3).requires_grad();
        let first = eigh(&a)?.1.select(-1, 0)?;
        let e = crate::dot(&first, &Tensor::from([1.0, 2.0, 4.0]))?.backward().unwrap_err();
        assert_eq!((e.kind(), e.op()), (ErrorKind::Argument, "eigh"));
        gradcheck(|x| Ok(eigvalsh(&symmetric(&x[0])?)?.sum()), &[Tensor::eye(3)])?;
        let nan = Tensor::from([[f64::NAN]]);
        assert_eq!(eigvalsh(&nan).unwrap_err().kind(), ErrorKind::Argument);
        Ok(())
    }
}
