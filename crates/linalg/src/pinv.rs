//! The pseudoinverse.

use crate::product::matmul;
use autograd::{Keep, Kept, Op, Tensor, apply, apply_once, body_once};
use tensor_core::kernels;
use tensor_core::{Array, Closures, Code, Error, Expression, Float, Result, compiled_once, formula};

/// When a singular value of a pseudoinverse counts as zero: where it is at most the larger of `atol` and `rtol`
/// times the largest one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PinvOptions {
    /// None stands for the tolerance of [`crate::matrix_rank`], and for 0 beside an `atol`.
    pub rtol: Option<f64>,
    /// None stands for 0.
    pub atol: Option<f64>,
    /// Whether the matrices are symmetric, and their eigenvalues do: of others the symmetric part is taken.
    pub hermitian: bool,
}

compiled_once! {
    /// V diag(1/s, 0 for those below rtol times the largest) U^T, for the operation `op`.
    pub(crate) fn pseudoinverse<T: Float>(
        op: &'static str,
        a: &Array<T>,
        options: PinvOptions,
    ) -> Result<Array<T>> {
        let Some(k) = a.ndim().checked_sub(2) else {
            let message = format!("shape {:?}: matrices of 2 or more dimensions are needed", a.shape());
            return Err(Error::shape(op, message));
        };
        let mut swap: Vec<usize> = (0..a.ndim()).collect();
        swap.swap(k, k + 1);
        let ([u, s, v], size) = if options.hermitian {
            let [w, v] = kernels::eigh(op, a)?;
            ([v.clone(), w.clone(), v], kernels::map(op, &w, &formula!(|w: T| w.magnitude()))?)
        } else {
            let [u, s, vt] = kernels::svd(op, a)?;
            ([u, s.clone(), vt.permute(op, &swap)?], s)
        };
        let default = match options.atol {
            None => kernels::rank_tolerance::<T>(a.shape()[k], a.shape()[k + 1]),
            Some(_) => 0.0,
        };
        let (rtol, atol) = (T::of(options.rtol.unwrap_or(default)), T::of(options.atol.unwrap_or(0.0)));
        let mask: Vec<bool> = (0..s.ndim()).map(|d| d == k).collect();
        let weights = if s.numel() == 0 {
            s
        } else {
            let largest = kernels::max(op, &size, &mask, true)?;
            let bound = |l: T| if rtol * l > atol { rtol * l } else { atol };
            let bound = kernels::map(
                op,
                &largest,
                &Closures::new(bound, |[l]: [Code; 1]| {
                    Code::cuda("$0 > $1 ? $0 : $1", T::DTYPE, &[l * rtol, atol.into()])
                }),
            )?;
            let large =
                kernels::zip(op, &size, &bound, &Closures::new(|s, b| s > b, |[s, b]: [Code; 2]| b.lt_other(&s)))?;
            let reciprocal = kernels::map(op, &s, &formula!(|s: T| s.reciprocal()))?;
            kernels::select(op, &large, &reciprocal, &Array::scalar(T::ZERO))?
        };
        let v = kernels::zip(op, &v, &weights.insert_dim(op, k)?, &formula!(|v: T, w: T| v * w))?;
        kernels::addmm(op, None, &v, &u.permute(op, &swap)?, T::ZERO, T::ONE)
    }
}

/// P = A^+
struct Pinv(PinvOptions);

impl<T: Float> Op<T, 1> for Pinv {
    fn name(&self) -> &'static str {
        "pinv"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        pseudoinverse("pinv", a, self.0)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    fn batches(&self) -> bool {
        true
    }
    /// For changes of A that keep its rank (Golub and Pereyra 1973, equation 4.12):
    /// -P^T grad P^T + (I - A P) grad^T P P^T + P^T P grad^T (I - P A)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (a, p) = (kept.input(0), kept.output(0));
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
/// singular value decomposition. Which singular values count as zero is the rule of [`crate::matrix_rank`], and another
/// with [`pinv_with`].
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]);
/// assert_eq!(linalg::pinv(&a)?.shape(), [2, 3]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// The gradient is that of changes which keep the rank: elsewhere the pseudoinverse is not even
/// continuous.
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity, naming the first such matrix; not converged.
#[track_caller]
pub fn pinv<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    apply_once!(T: Float, Pinv(PinvOptions::default()) => Pinv, [a])
}

/// [`pinv`], with a choice of what counts as zero, and for symmetric matrices.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// use tapegrad::linalg::PinvOptions;
/// let a = Tensor::from([[2.0, 0.0], [0.0, 1e-3]]);
/// let p = linalg::pinv_with(&a, PinvOptions { atol: Some(1e-2), hermitian: true, ..Default::default() })?;
/// assert_eq!(p.to_vec(), [0.5, 0.0, 0.0, 0.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`pinv`]; argument, for a tolerance that is negative or NaN; shape, for symmetric matrices that are not
/// square.
#[track_caller]
pub fn pinv_with<T: Float>(a: &Tensor<T>, options: PinvOptions) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, options], |a: &Tensor<T>, options: PinvOptions| -> Result<Tensor<T>> {
        if let Some(wrong) = [options.rtol, options.atol].into_iter().flatten().find(|&t| t.is_nan() || t < 0.0) {
            let message = format!("a tolerance of {wrong} is not possible: it must not be negative");
            return Err(Error::argument("pinv", message));
        }
        if options.hermitian {
            if !matches!(a.shape(), [.., m, n] if m == n) {
                let message = format!("shape {:?}: symmetric matrices are square", a.shape());
                return Err(Error::shape("pinv", message));
            }
            return apply(Pinv(options), [&((a + a.mt()?) * T::of(0.5))]);
        }
        apply(Pinv(options), [a])
    })
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
    fn symmetric_ones_and_tolerances() -> Result<()> {
        let options = PinvOptions { hermitian: true, ..Default::default() };
        for shape in [&[1, 1][..], &[3, 3], &[2, 4, 4], &[0, 0]] {
            let symmetric = |x: &Tensor<f64>| Ok::<_, Error>(x + x.mt()?);
            check_op(|x| pinv_with(&symmetric(&x[0])?, options), &[shape])
                .reference(|x| pinv(&symmetric(&x[0])?))
                .run()?;
        }
        let diagonal = Tensor::eye(3) * Tensor::from([4.0, -2.0, 1e-3]);
        let rank = |options| Ok::<_, Error>(pinv_with(&diagonal, options)?.ne(0.0)?.count_nonzero());
        assert_eq!(rank(PinvOptions::default())?, 3);
        assert_eq!(rank(PinvOptions { rtol: Some(1e-2), ..options })?, 2);
        assert_eq!(rank(PinvOptions { rtol: Some(0.4), ..Default::default() })?, 2);
        assert_eq!(rank(PinvOptions { atol: Some(3.0), ..options })?, 1);
        assert!(pinv_with(&diagonal, PinvOptions { atol: Some(-1.0), ..options }).is_err());
        assert!(pinv_with(&Tensor::ones([2, 3]), options).is_err());
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
