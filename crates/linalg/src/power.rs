//! Powers and the exponential of square matrices: products and systems, and so differentiable as they are.

use crate::inverse::inverse;
use crate::product::matmul;
use crate::solve::solve;
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use tensor_core::kernels::{self, Part};
use tensor_core::{Array, AtCaller, Error, Float, Result};

#[track_caller]
fn need_square<T: Float>(op: &'static str, a: &Tensor<T>) -> Result<usize> {
    match *a.shape() {
        [.., m, n] if m == n => Ok(n),
        _ => {
            let message =
                format!("shape {:?}: square matrices are needed, the last two dimensions equal", a.shape());
            Err(Error::shape(op, message).at_caller())
        }
    }
}

/// A^n for each square matrix of a batch, by squaring; A^0 is the identity and A^-n the power of the
/// inverse.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 1.0], [0.0, 1.0]]);
/// assert_eq!(linalg::matrix_power(&a, 10)?.to_vec(), [1.0, 10.0, 0.0, 1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; for a negative power, as [`crate::inverse`].
#[track_caller]
pub fn matrix_power<T: Float>(a: &Tensor<T>, n: i32) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, n], |a: &Tensor<T>, n: i32| -> Result<Tensor<T>> {
        let order = need_square("matrix_power", a)?;
        let mut square = match n < 0 {
            true => inverse(a).map_err(|e| e.renamed("matrix_power"))?,
            false => a.clone(),
        };
        let mut rest = n.unsigned_abs();
        let mut power: Option<Tensor<T>> = None;
        while rest > 0 {
            if rest % 2 == 1 {
                power = Some(match power {
                    Some(power) => matmul(&power, &square)?,
                    None => square.clone(),
                });
            }
            rest /= 2;
            if rest > 0 {
                square = matmul(&square, &square)?;
            }
        }
        match power {
            Some(power) => Ok(power),
            None => Tensor::eye_on(&a.device(), order)?.expand(a.shape()),
        }
    })
}

/// Numerator of the diagonal Pade approximant of order 13 to e^x; the denominator has the same with
/// alternating signs.
const PADE_13: [f64; 14] = [
    64_764_752_532_480_000.0, 32_382_376_266_240_000.0, 7_771_770_303_897_600.0, 1_187_353_796_428_800.0,
    129_060_195_264_000.0, 10_559_470_521_600.0, 670_442_572_800.0, 33_522_128_640.0, 1_323_241_920.0,
    40_840_800.0, 960_960.0, 16_380.0, 182.0, 1.0,
];

/// The 1-norm up to which the approximant is exact to double precision (Higham 2005, table 2.3).
const THETA_13: f64 = 5.371_920_351_148_152;

/// e^A for each square matrix of a batch, as if it were alone: scaled until the Pade approximant of order 13 is exact, and
/// squared back (Higham, "The scaling and squaring method for the matrix exponential revisited", 2005).
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let turn = Tensor::from([[0.0, -1.0], [1.0, 0.0]]) * std::f64::consts::FRAC_PI_2;
/// assert!(linalg::matrix_exp(&turn)?.allclose(&Tensor::from([[0.0, -1.0], [1.0, 0.0]]), 0.0, 1e-12)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity, naming the first such matrix.
#[doc(alias = "expm")]
#[track_caller]
pub fn matrix_exp<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Tensor<T>> {
        let n = need_square("matrix_exp", a)?;
        if a.numel() == 0 {
            return Ok(a.clone());
        }
        kernels::finite("matrix_exp", a.array(), Part::Whole)?;
        let squarings = squarings(a)?;
        let most = squarings.iter().copied().max().unwrap_or(0);
        // The matrices that are scaled by one half at least so often.
        let more_than = |done: i32| -> Result<Tensor<bool>> {
            let shape: Vec<usize> = a.shape()[..a.ndim() - 2].iter().copied().chain([1, 1]).collect();
            Tensor::from_vec(squarings.iter().map(|&s| s > done).collect(), shape)?.to_device(&a.device())
        };
        let alike = squarings.iter().all(|&s| s == most);
        let mut scaled = a.clone();
        if alike {
            // A power of two beyond the range of T is two of them.
            scaled = scaled * T::of(2f64.powi(-(most / 2))) * T::of(2f64.powi(most / 2 - most));
        } else {
            let factors = |part: &dyn Fn(i32) -> i32| -> Result<Tensor<T>> {
                let powers = squarings.iter().map(|&s| T::of(2f64.powi(-part(s)))).collect();
                Tensor::from_vec(powers, more_than(0)?.shape())?.to_device(&a.device())
            };
            scaled = scaled.try_mul(&factors(&|s| s / 2)?)?.try_mul(&factors(&|s| s - s / 2)?)?;
        }
        let a = scaled;
        let identity = Tensor::eye_on(&a.device(), n)?;
        let b = |k: usize| T::of(PADE_13[k] / PADE_13[0]);
        let a2 = matmul(&a, &a)?;
        let a4 = matmul(&a2, &a2)?;
        let a6 = matmul(&a4, &a2)?;
        // The odd powers are A times what `odd` sums, the even ones what `even` sums.
        let sum = |k: usize| Ok::<_, Error>(&a6 * b(k + 6) + &a4 * b(k + 4) + &a2 * b(k + 2) + &identity * b(k));
        let high = |k: usize| matmul(&a6, &(&a6 * b(k + 4) + &a4 * b(k + 2) + &a2 * b(k)));
        let odd = matmul(&a, &(high(9)? + sum(1)?))?;
        let even = high(8)? + sum(0)?;
        let mut e = solve(&(&even - &odd), &(&even + &odd)).called("matrix_exp")?;
        for done in 0..most {
            e = match alike {
                true => matmul(&e, &e)?,
                false => apply(Square { some: more_than(done)? }, [&e])?,
            };
        }
        Ok(e)
    })
}

/// How often each matrix has to be halved for the approximant.
fn squarings<T: Float>(a: &Tensor<T>) -> Result<Vec<i32>> {
    let size = a.detach().abs();
    let norms = size.sum_dim(-2, false)?.amax(-1, false)?.to_vec();
    let largest = size.amax([-2, -1], false)?.to_vec();
    let n = a.shape()[a.ndim() - 1] as f64;
    let logarithm = |(norm, largest): (T, T)| match norm.is_finite() {
        true => norm.to_f64().log2(),
        // The sum left the range, which its terms are within.
        false => largest.to_f64().log2() + n.log2(),
    };
    let halvings = |log: f64| (log - THETA_13.log2()).ceil().max(0.0) as i32;
    Ok(norms.into_iter().zip(largest).map(|x| halvings(logarithm(x))).collect())
}

/// A A for some matrices of a batch, and the others as they are
struct Square {
    /// [.., 1, 1]
    some: Tensor<bool>,
}

impl<T: Float> Op<T, 1> for Square {
    fn name(&self) -> &'static str {
        "matrix_exp"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        let square = kernels::addmm("matrix_exp", None, a, a, T::ZERO, T::ONE)?;
        kernels::select("matrix_exp", self.some.array(), &square, a)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad A^T + A^T grad, or grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let at = kept.input(0).mt()?;
        let both = matmul(&g, &at)? + matmul(&at, &g)?;
        Ok([Some(self.some.where_cond(&both, &g)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    #[test]
    fn powers() -> Result<()> {
        let near = |x: &Tensor<f64>| {
            let n = x.shape()[x.ndim() - 1];
            x * 0.3 + Tensor::eye(n)
        };
        for shape in [&[1, 1][..], &[3, 3], &[2, 3, 3], &[0, 0]] {
            for n in [-2i32, -1, 0, 1, 2, 5] {
                let repeated = |x: &[Tensor<f64>]| {
                    let a = if n < 0 { inverse(&near(&x[0]))? } else { near(&x[0]) };
                    (0..n.abs()).try_fold(matrix_power(&a, 0)?, |p, _| matmul(&p, &a))
                };
                check_op(|x| matrix_power(&near(&x[0]), n), &[shape]).reference(repeated).run()?;
            }
        }
        assert_eq!(matrix_power(&Tensor::ones([2, 3]), 2).unwrap_err().kind(), ErrorKind::Shape);
        assert!(matches!(
            matrix_power(&Tensor::zeros([2, 2]), -1).unwrap_err().kind(),
            ErrorKind::Singular { .. }
        ));
        Ok(())
    }

    #[test]
    fn exponentials() -> Result<()> {
        for shape in [&[1, 1][..], &[3, 3], &[2, 3, 3], &[0, 0]] {
            check_op(|x| matrix_exp(&x[0]), &[shape]).run()?;
        }
        // Against the eigenvalues of a symmetric matrix, far beyond one scaling.
        let a: Tensor = Tensor::from([[3.0, 8.0], [8.0, -5.0]]);
        let (w, v) = crate::eigh(&a)?;
        let expected = matmul(&v.try_mul(&w.exp().unsqueeze(-2)?)?, &v.t()?)?;
        assert!(matrix_exp(&a)?.allclose(&expected, 1e-11, 1e-9)?);
        let e = matrix_exp(&Tensor::from([[f64::NAN]])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Argument);
        Ok(())
    }
}
