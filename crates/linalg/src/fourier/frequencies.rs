//! The frequencies of transforms, and shifts that bring the lowest to the middle.

use super::length;
use autograd::{Tensor, body_once};
use tensor_core::shape::{Integer, IntoDims};
use tensor_core::{AtCaller, Error, Float, Result};

/// The frequencies of the numbers of a transform of `n` samples a distance `d` apart, in cycles per unit of `d`: those from 0 up, and
/// the negative ones behind them.
///
/// ```
/// use tapegrad::linalg;
/// assert_eq!(linalg::fftfreq(5, 0.1)?.to_vec(), [0.0, 2.0, 4.0, -4.0, -2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, for an n that is not positive.
#[track_caller]
pub fn fftfreq<T: Float>(n: impl Integer, d: T) -> Result<Tensor<T>> {
    let n = n.to_size("fftfreq").at_caller()?;
    body_once!(T: Float, [n, d], |n: usize, d: T| -> Result<Tensor<T>> {
        let negative = n.div_ceil(2);
        frequencies("fftfreq", n, d, (0..n).map(|k| if k < negative { k as f64 } else { k as f64 - n as f64 }))
    })
}

/// The frequencies of the numbers of [`rfft`](crate::rfft): the first n / 2 + 1 of [`fftfreq`], all positive.
///
/// ```
/// use tapegrad::linalg;
/// assert_eq!(linalg::rfftfreq(4, 0.5)?.to_vec(), [0.0, 0.5, 1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, for an n that is not positive.
#[track_caller]
pub fn rfftfreq<T: Float>(n: impl Integer, d: T) -> Result<Tensor<T>> {
    let n = n.to_size("rfftfreq").at_caller()?;
    body_once!(T: Float, [n, d], |n: usize, d: T| -> Result<Tensor<T>> {
        frequencies("rfftfreq", n, d, (0..n / 2 + 1).map(|k| k as f64))
    })
}

/// `cycles` within n samples a distance d apart, as frequencies.
fn frequencies<T: Float>(
    op: &'static str,
    n: usize,
    d: T,
    cycles: impl Iterator<Item = f64>,
) -> Result<Tensor<T>> {
    if n == 0 {
        return Err(Error::argument(op, "length 0: at least 1 is needed"));
    }
    let all: Vec<T> = cycles.map(|k| T::of(k) / (T::of(n as f64) * d)).collect();
    let count = all.len();
    Tensor::from_vec(all, [count])
}

/// The numbers of a transform with frequency 0 in the middle of each of `dims`, all dimensions for `()`.
///
/// ```
/// use tapegrad::linalg;
/// let shifted = linalg::fftshift(&linalg::fftfreq(5, 1.0)?, ())? * 5.0;
/// assert_eq!(shifted.to_vec(), [-2.0, -1.0, 0.0, 1.0, 2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Index, for a dimension that does not exist.
#[track_caller]
pub fn fftshift<T: Float>(x: &Tensor<T>, dims: impl IntoDims) -> Result<Tensor<T>> {
    body_once!(T: Float, [x, &dims.into_dims()], |x: &Tensor<T>, dims: &[isize]| -> Result<Tensor<T>> {
        shifted("fftshift", x, dims, |n| n / 2)
    })
}

/// The inverse of [`fftshift`].
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let x = Tensor::from([1.0, 2.0, 3.0]);
/// assert_eq!(linalg::ifftshift(&linalg::fftshift(&x, 0)?, 0)?.to_vec(), [1.0, 2.0, 3.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`fftshift`].
#[track_caller]
pub fn ifftshift<T: Float>(x: &Tensor<T>, dims: impl IntoDims) -> Result<Tensor<T>> {
    body_once!(T: Float, [x, &dims.into_dims()], |x: &Tensor<T>, dims: &[isize]| -> Result<Tensor<T>> {
        shifted("ifftshift", x, dims, |n| n.div_ceil(2))
    })
}

fn shifted<T: Float>(
    op: &'static str,
    x: &Tensor<T>,
    dims: &[isize],
    by: fn(usize) -> usize,
) -> Result<Tensor<T>> {
    let all: Vec<isize> = (0..x.ndim() as isize).collect();
    let dims = if dims.is_empty() { &all[..] } else { dims };
    let shift = |d: &isize| Ok(by(length(x, *d)?) as isize);
    let shifts = dims.iter().map(shift).collect::<Result<Vec<_>>>().called(op)?;
    x.roll(&shifts[..], dims).called(op)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    #[test]
    fn frequencies_and_shifts() -> Result<()> {
        assert_eq!(fftfreq(4, 0.25)?.to_vec(), [0.0, 1.0, -2.0, -1.0]);
        assert_eq!(rfftfreq(5, 1.0f32)?.to_vec(), [0.0, 0.2, 0.4]);
        for shape in [&[4][..], &[3, 4], &[], &[0, 2]] {
            check_op(|x| ifftshift(&fftshift(&x[0], ())?, ()), &[shape])
                .reference(|x| Ok(x[0].clone()))
                .run()?;
        }
        let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(fftshift(&x, -1)?.to_vec(), [3.0, 1.0, 2.0, 6.0, 4.0, 5.0]);
        assert_eq!(fftshift(&x, 0)?.to_vec(), [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
        for n in [-1, 0] {
            let e = fftfreq(n, 1.0).unwrap_err();
            assert_eq!((e.kind(), e.op()), (ErrorKind::Argument, "fftfreq"));
        }
        Ok(())
    }
}
