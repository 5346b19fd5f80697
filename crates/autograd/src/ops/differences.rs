//! Differences of neighbours along a dimension, and integrals over the steps between them.

use crate::body_once;
use crate::tensor::Tensor;
use tensor_core::shape::{Dims, Integer, dim};
use tensor_core::{AtCaller, Error, Float, Number, Result};

/// All elements along a dimension but the last, and all but the first.
fn neighbours<T: Number>(x: &Tensor<T>, dim: usize) -> Result<[Tensor<T>; 2]> {
    let n = x.shape()[dim];
    let part = |start: usize| x.narrow(dim as isize, start as isize, n.saturating_sub(1));
    Ok([part(0)?, part(n.min(1))?])
}

/// The area between each two neighbours of `y` along a dimension: of a step for all, where x is one number, or of the
/// steps between the places x.
fn areas<T: Float>(op: &'static str, y: &Tensor<T>, x: &Tensor<T>, d: isize) -> Result<Tensor<T>> {
    let k = dim(op, d, y.ndim())?;
    let half = T::of(0.5);
    let [before, after] = neighbours(y, k)?;
    // Halves first: the sum of two may leave the range where their mean does not.
    let heights = before * half + after * half;
    if x.ndim() == 0 {
        return heights.try_mul(x);
    }
    // A vector lies along the dimension, whatever comes after it.
    let (n, behind) = (y.shape()[k], y.ndim() - 1 - k);
    let shape: Dims = match x.ndim() {
        1 => x.shape().iter().copied().chain(std::iter::repeat_n(1, behind)).collect(),
        _ => Dims::from_slice(x.shape()),
    };
    let Some(along) = shape.len().checked_sub(behind + 1).filter(|&k| shape[k] == n) else {
        let message = format!(
            "places of shape {:?} for values of shape {:?}: {n} are needed along dimension {k}",
            x.shape(),
            y.shape()
        );
        return Err(Error::shape(op, message));
    };
    let [from, to] = neighbours(&x.reshaped(shape)?, along)?;
    heights.try_mul(&to.try_sub(&from)?)
}

/// # Differences
impl<T: Number> Tensor<T> {
    /// The differences of neighbours along `dim`, each from the one before it, taken `n` times; nothing is left of fewer
    /// elements than that. PyTorch's `prepend` and `append` are a [`Tensor::cat`] before.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1, 4, 9, 16]);
    /// assert_eq!(x.diff(1, 0)?.to_vec(), [3, 5, 7]);
    /// assert_eq!(x.diff(2, -1)?.to_vec(), [2, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn diff(&self, n: impl Integer, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        let n = n.to_size("diff").at_caller()?;
        body_once!(T: Number, [self, n, d], |x: &Tensor<T>, n: usize, d: isize| -> Result<Tensor<T>> {
            let dim = dim("diff", d, x.ndim())?;
            let mut differences = x.clone();
            for _ in 0..n.min(x.shape()[dim]) {
                let [before, after] = neighbours(&differences, dim)?;
                differences = after.try_sub(&before)?;
            }
            Ok(differences)
        })
    }
}

/// # Integrals by the trapezoidal rule
impl<T: Float> Tensor<T> {
    /// The integral along `dim` by the trapezoidal rule. `x` says where the values are: a number is the distance of
    /// neighbours, a vector the places along `dim`, and more dimensions broadcast. Of fewer than two values it is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let y = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(y.trapezoid(0.5, 0)?.item()?, 2.0);
    /// assert_eq!(y.trapezoid(&Tensor::from([0.0, 1.0, 3.0]), 0)?.item()?, 6.5);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where the places do not fit.
    #[track_caller]
    pub fn trapezoid(&self, x: impl Into<Tensor<T>>, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        body_once!(
            T: Float,
            [self, &x.into(), d],
            |y: &Tensor<T>, x: &Tensor<T>, d: isize| -> Result<Tensor<T>> {
                areas("trapezoid", y, x, d).and_then(|areas| areas.sum_dim(d, false)).called("trapezoid")
            }
        )
    }

    /// The integrals from the first value to each of the others along `dim`, by the trapezoidal rule: one fewer than
    /// there are values. `x` as in [`Tensor::trapezoid`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let y = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(y.cumulative_trapezoid(1.0, 0)?.to_vec(), [1.5, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where the places do not fit.
    #[track_caller]
    pub fn cumulative_trapezoid(&self, x: impl Into<Tensor<T>>, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        body_once!(
            T: Float,
            [self, &x.into(), d],
            |y: &Tensor<T>, x: &Tensor<T>, d: isize| -> Result<Tensor<T>> {
                const OP: &str = "cumulative_trapezoid";
                areas(OP, y, x, d).and_then(|areas| areas.cumsum(d)).called(OP)
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    #[test]
    fn derivatives() -> Result<()> {
        for shape in [&[4][..], &[2, 3], &[1, 3], &[0, 2], &[3, 1, 2]] {
            for n in 0..3 {
                check_op(|x| x[0].diff(n, 0), &[shape]).single(|x| x[0].diff(n, 0)).run()?;
            }
            check_op(|x| x[0].trapezoid(0.3, -1), &[shape]).single(|x| x[0].trapezoid(0.3, -1)).run()?;
            check_op(|x| x[0].trapezoid(&x[1], 0), &[shape, &shape[..1]]).run()?;
            check_op(|x| x[0].trapezoid(&x[1], 0), &[shape, shape]).run()?;
            check_op(|x| x[0].cumulative_trapezoid(&x[1], 0), &[shape, &[]]).run()?;
            let steps = |x: &[Tensor]| x[0].try_mul(&Tensor::scalar(0.5))?.diff(1, 0)?.cumsum(0);
            let moved = |x: &[Tensor]| {
                let n = x[0].size(0)?;
                x[0].narrow(0, n.min(1) as isize, n.saturating_sub(1))?.try_sub(&x[0].narrow(
                    0,
                    0,
                    n.min(1),
                )?)
            };
            check_op(steps, &[shape]).reference(|x| Ok(moved(x)? * 0.5)).run()?;
        }
        Ok(())
    }

    #[test]
    fn ends() -> Result<()> {
        let y = Tensor::from([1.7e308, 1.7e308]);
        assert_eq!(y.trapezoid(1.0, 0)?.item()?, 1.7e308);
        assert_eq!(Tensor::from([3.0]).trapezoid(1.0, 0)?.item()?, 0.0);
        assert_eq!(Tensor::zeros([2, 0]).trapezoid(1.0, 1)?.to_vec(), [0.0, 0.0]);
        assert_eq!(Tensor::zeros([2, 0]).cumulative_trapezoid(1.0, 1)?.shape(), [2, 0]);
        assert_eq!(Tensor::from([1, 2]).diff(5, 0)?.shape(), [0]);
        assert!(Tensor::scalar(1.0).diff(1, 0).is_err() && y.diff(1, 1).is_err());
        assert!(Tensor::scalar(1.0).trapezoid(1.0, 0).is_err());
        assert!(y.trapezoid(Tensor::ones([3]), 0).is_err() && y.trapezoid(Tensor::ones([1]), 0).is_err());
        Ok(())
    }
}
