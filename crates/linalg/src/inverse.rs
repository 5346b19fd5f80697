//! The inverse.

use crate::product::matmul;
use autograd::{Keep, Kept, Op, Tensor, apply_once};
use tensor_core::{Array, Float, Result, kernels};

/// Y = A^-1
struct Inverse;

impl<T: Float> Op<T, 1> for Inverse {
    fn name(&self) -> &'static str {
        "inverse"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::inverse("inverse", a)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    fn batches(&self) -> bool {
        true
    }
    /// -Y^T grad Y^T (Giles 2008, 2.2.3)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let yt = kept.output(0).mt()?;
        Ok([Some(-matmul(&matmul(&yt, &g)?, &yt)?)])
    }
    /// -Y dA Y
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let y = kept.output(0);
        t.map(|t| Ok(-matmul(&matmul(&y, &t)?, &y)?)).transpose()
    }
}

/// The inverse of each square matrix of a batch, by LU with partial pivoting.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
/// assert_eq!(linalg::inverse(&a)?.to_vec(), [0.5, 0.0, 0.0, 0.25]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity; singular; both name the first such matrix.
#[doc(alias = "inv")]
#[track_caller]
pub fn inverse<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    apply_once!(T: Float, Inverse => Inverse, [a])
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    /// Well conditioned: a multiple of the identity and a small rest.
    fn shifted(a: &Tensor<f64>) -> Result<Tensor<f64>> {
        let n = a.shape()[a.ndim() - 1];
        a.try_add(&(Tensor::eye_on(&a.device(), n)? * 5.0))
    }

    #[test]
    fn inverses() -> Result<()> {
        for shape in [&[1, 1][..], &[3, 3], &[2, 4, 4], &[9, 9], &[0, 0], &[0, 2, 2]] {
            check_op(|x| inverse(&shifted(&x[0])?), &[shape]).run()?;
        }
        let a = shifted(&Tensor::rand([40, 40]))?;
        let error = (matmul(&a, &inverse(&a)?)? - Tensor::eye(40)).abs().max()?.item()?;
        assert!(error < 1e-12, "{error}");
        Ok(())
    }

    #[test]
    fn a_singular_matrix_is_named() {
        let a = Tensor::from([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [2.0, 4.0]]]);
        let e = inverse(&a).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Singular { batch: 1 });
        assert_eq!(inverse(&Tensor::zeros([2, 3])).unwrap_err().kind(), ErrorKind::Shape);
    }
}
