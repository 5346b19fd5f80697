//! The pseudoinverse.

use crate::product::matmul;
use autograd::{Keep, Kept, Op, Tensor, apply};
use tensor_core::{Array, Error, Float, Result, kernels};

/// P = A^+
struct Pinv<T> {
    rtol: Option<T>,
}

impl<T: Float> Op<T, 1> for Pinv<T> {
    fn name(&self) -> &'static str {
        "pinv"
    }
    /// V diag(1/s, 0 for those below rtol times the largest) U^T
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        let [u, s, vt] = kernels::svd("pinv", a)?;
        let (m, n) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
        let rtol = self.rtol.unwrap_or(T::of(m.max(n) as f64) * T::EPSILON);
        let k = s.ndim() - 1;
        let weights = if s.shape()[k] == 0 {
            s
        } else {
            let largest = s.slice("pinv", k, 0, 1, 1)?;
            kernels::zip("pinv", &s, &largest, |s, l| if s > rtol * l { T::ONE / s } else { T::ZERO })?
        };
        let mut swap: Vec<usize> = (0..a.ndim()).collect();
        swap.swap(k, k + 1);
        let v = kernels::zip("pinv", &vt.permute(&swap), &weights.insert_dim(k), |v, w| v * w)?;
        kernels::addmm("pinv", None, &v, &u.permute(&swap), T::ZERO, T::ONE)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    fn batches(&self) -> bool {
        true
    }
    /// For changes of A that keep its rank (Golub and Pereyra 1973, equation 4.12):
    /// -P^T grad P^T + (I - A P) grad^T P P^T + P^T P grad^T (I - P A)
    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (a, p) = (kept.input(0), kept.output());
        let (m, n) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
        // (A^T)^+ = (A^+)^T: the formula is evaluated for the tall matrix, where the inner products
        // are n x n.
        Ok([Some(if m >= n { tall(&a, &p, &g)? } else { tall(&a.mt()?, &p.mt()?, &g.mt()?)?.mt()? })])
    }
}

/// The rule for m >= n. With K = P grad^T:
/// -(K P)^T + (grad^T - A K) (P P^T) + P^T (K - K (P A))
fn tall<T: Float>(a: &Tensor<T>, p: &Tensor<T>, g: &Tensor<T>) -> Result<Tensor<T>> {
    let (gt, pt) = (g.mt()?, p.mt()?);
    let k = matmul(p, &gt)?;
    let first = matmul(&k, p)?.mt()?;
    let second = matmul(&(&gt - matmul(a, &k)?), &matmul(p, &pt)?)?;
    let third = matmul(&pt, &(&k - matmul(&k, &matmul(p, a)?)?))?;
    Ok(second + third - first)
}

/// The Moore-Penrose pseudoinverse of each matrix of a batch, of any shape and rank, by the
/// singular value decomposition; singular values of at most max(m, n) epsilon times the largest
/// count as zero.
///
/// ```
/// use autograd::Tensor;
/// let a = Tensor::from([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]);
/// assert_eq!(linalg::pinv(&a)?.shape(), [2, 3]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// The gradient is that of changes which keep the rank: elsewhere the pseudoinverse is not even
/// continuous.
///
/// # Errors
/// Shape, below two dimensions; not converged, which includes NaN and infinity.
#[track_caller]
pub fn pinv<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    apply(Pinv { rtol: None }, [a])
}

/// [`pinv`], with the ratio to the largest singular value from which one counts as zero.
///
/// # Errors
/// As [`pinv`]; argument, for a ratio that is negative or NaN.
#[track_caller]
pub fn pinv_with<T: Float>(a: &Tensor<T>, rtol: T) -> Result<Tensor<T>> {
    if rtol >= T::ZERO {
        return apply(Pinv { rtol: Some(rtol) }, [a]);
    }
    let message = format!("a tolerance of {rtol} is not possible: it must not be negative");
    Err(Error::argument("pinv", message).at(std::panic::Location::caller()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{check_op, gradcheck, gradgradcheck};

    #[test]
    fn full_rank() -> Result<()> {
        for shape in [&[4, 2][..], &[2, 4], &[3, 3], &[2, 5, 3], &[0, 3], &[3, 0]] {
            check_op(|x| pinv(&x[0]), &[shape]).run()?;
        }
        Ok(())
    }

    #[test]
    fn rank_deficient() -> Result<()> {
        let outer = |x: &[Tensor<f64>]| pinv(&matmul(&x[0].unsqueeze(1)?, &x[1].unsqueeze(0)?)?);
        let column = |n: usize| autograd::linspace(0.5, 1.5, n);
        gradcheck(outer, &[column(30)?, column(30)?])?;
        gradgradcheck(outer, &[column(5)?, column(4)?])?;
        let a = matmul(&column(4)?.unsqueeze(1)?, &column(3)?.unsqueeze(0)?)?;
        let p = pinv(&a)?;
        let error = (matmul(&matmul(&a, &p)?, &a)? - a).abs().max()?.item()?;
        assert!(error < 1e-14, "{error}");
        assert_eq!(pinv(&Tensor::zeros([2, 3]))?.to_vec(), [0.0; 6]);
        assert!(pinv(&Tensor::full([2, 2], f64::NAN)).is_err());
        Ok(())
    }
}
