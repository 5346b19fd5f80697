//! Least squares solutions.

use crate::pinv::{PinvOptions, pinv_with};
use crate::product::matmul;
use crate::solve::are_vectors;
use autograd::Tensor;
use std::panic::Location;
use tensor_core::{Error, Float, Result};

/// The X of least norm among those that minimise ||A X - B|| for each matrix [m, n] of a batch, of any shape
/// and rank: A^+ B. Singular values of at most `rtol` times the largest count as zero; None stands for
/// max(m, n) epsilon. B is a batch of matrices [.., m, k] or, where it has one dimension less than A, of
/// vectors [.., m]. Of derivatives it has those of the pseudoinverse: of changes that keep the rank.
///
/// ```
/// use autograd::Tensor;
/// // The line through (0, 1), (1, 3), (2, 5).
/// let a = Tensor::from([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
/// let x = linalg::lstsq(&a, &Tensor::from([1.0, 3.0, 5.0]), None)?;
/// assert!(x.allclose(&Tensor::from([1.0, 2.0]), 1e-12, 1e-12)?);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; not converged, which includes NaN and infinity.
#[track_caller]
pub fn lstsq<T: Float>(a: &Tensor<T>, b: &Tensor<T>, rtol: Option<f64>) -> Result<Tensor<T>> {
    let here = Location::caller();
    let vectors = are_vectors(a, b);
    let columns = if vectors { b.unsqueeze(-1)? } else { b.clone() };
    if !matches!((a.shape(), columns.shape()), ([.., m, _], [.., k, _]) if m == k) {
        let message = format!(
            "matrices {:?} and right-hand sides {:?} do not fit: as many rows are needed",
            a.shape(),
            b.shape()
        );
        return Err(Error::shape("lstsq", message).at(here));
    }
    let x = matmul(&pinv_with(a, PinvOptions { rtol, ..Default::default() })?, &columns)?;
    if vectors { x.squeeze(-1) } else { Ok(x) }
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
        // Of rank one, through its factors.
        let f = |x: &[Tensor<f64>]| lstsq(&crate::outer(&x[0], &x[1])?, &x[2], None);
        let x = [Tensor::from([1.0, 2.0, -1.0]), Tensor::from([0.5, 3.0]), Tensor::from([1.0, 0.0, 2.0])];
        gradcheck(f, &x)?;
        assert!(lstsq(&Tensor::ones([3, 2]), &Tensor::ones([2]), None).is_err());
        Ok(())
    }
}
