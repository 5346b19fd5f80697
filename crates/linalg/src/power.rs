//! Powers and the exponential of square matrices: products and systems, and so differentiable as they are.

use crate::inverse::inverse;
use crate::product::matmul;
use crate::solve::solve;
use autograd::Tensor;
use std::panic::Location;
use tensor_core::{Error, Float, Result};

#[track_caller]
fn need_square<T: Float>(op: &'static str, a: &Tensor<T>) -> Result<usize> {
    match *a.shape() {
        [.., m, n] if m == n => Ok(n),
        _ => {
            let message =
                format!("shape {:?}: square matrices are needed, the last two dimensions equal", a.shape());
            Err(Error::shape(op, message).at(Location::caller()))
        }
    }
}

/// A^n for each square matrix of a batch, by squaring; A^0 is the identity and A^-n the power of the
/// inverse.
///
/// ```
/// use autograd::Tensor;
/// let a = Tensor::from([[1.0, 1.0], [0.0, 1.0]]);
/// assert_eq!(linalg::matrix_power(&a, 10)?.to_vec(), [1.0, 10.0, 0.0, 1.0]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; singular, for a negative power of a matrix without an inverse.
#[track_caller]
pub fn matrix_power<T: Float>(a: &Tensor<T>, n: i32) -> Result<Tensor<T>> {
    let order = need_square("matrix_power", a)?;
    let mut square = if n < 0 { inverse(a)? } else { a.clone() };
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
}

/// Numerator of the diagonal Pade approximant of order 13 to e^x; the denominator has the same with
/// alternating signs.
const PADE_13: [f64; 14] = [
    64_764_752_532_480_000.0,
    32_382_376_266_240_000.0,
    7_771_770_303_897_600.0,
    1_187_353_796_428_800.0,
    129_060_195_264_000.0,
    10_559_470_521_600.0,
    670_442_572_800.0,
    33_522_128_640.0,
    1_323_241_920.0,
    40_840_800.0,
    960_960.0,
    16_380.0,
    182.0,
    1.0,
];

/// The 1-norm up to which the approximant is exact to double precision (Higham 2005, table 2.3).
const THETA_13: f64 = 5.371_920_351_148_152;

/// e^A for each square matrix of a batch: scaled until the Pade approximant of order 13 is exact, and
/// squared back (Higham, "The scaling and squaring method for the matrix exponential revisited", 2005).
///
/// ```
/// use autograd::Tensor;
/// let turn = Tensor::from([[0.0, -1.0], [1.0, 0.0]]) * std::f64::consts::FRAC_PI_2;
/// assert!(linalg::matrix_exp(&turn)?.allclose(&Tensor::from([[0.0, -1.0], [1.0, 0.0]]), 0.0, 1e-12)?);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity.
#[track_caller]
pub fn matrix_exp<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    let here = Location::caller();
    let n = need_square("matrix_exp", a)?;
    if a.numel() == 0 {
        return Ok(a.clone());
    }
    // One scaling for the batch, by its largest matrix.
    let norm = a.detach().abs().sum_dim(-2, false)?.max()?.item()?.to_f64();
    if !norm.is_finite() {
        let message = format!("a matrix of {:?} holds NaN or infinity", a.shape());
        return Err(Error::argument("matrix_exp", message).at(here));
    }
    let squarings = (norm / THETA_13).log2().ceil().max(0.0);
    let a = a * T::of((-squarings).exp2());
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
    let mut e = solve(&(&even - &odd), &(&even + &odd)).map_err(|e| e.at(here))?;
    for _ in 0..squarings as usize {
        e = matmul(&e, &e)?;
    }
    Ok(e)
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
