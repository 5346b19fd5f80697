//! Values that occur, and whether they do. What is found has no gradient: it does not follow its elements.

use crate::body_once;
use crate::tensor::Tensor;
use tensor_core::{AtCaller, Number, Result};

/// Where another value than the one before begins in a vector. NaN is another value than NaN.
fn begins<T: Number>(x: &Tensor<T>) -> Result<Tensor<bool>> {
    let n = x.numel();
    let rest = n.saturating_sub(1);
    let changes = x.narrow(0, n.min(1) as isize, rest)?.ne(&x.narrow(0, 0, rest)?)?;
    Tensor::cat(&[&Tensor::full_on(&x.device(), [n.min(1)], true)?, &changes], 0)
}

/// How long the runs are whose beginnings these are.
fn lengths(begins: &Tensor<bool>) -> Result<Tensor<i64>> {
    let end = Tensor::full_on(&begins.device(), [1], begins.numel() as i64)?;
    Tensor::cat(&[&begins.nonzero().flatten(), &end], 0)?.diff(1, 0)
}

/// The number of the run that each element is in.
fn run_of(begins: &Tensor<bool>) -> Result<Tensor<i64>> {
    Ok(begins.to_type::<i64>().cumsum(0)? + -1)
}

/// # Order: unique values
impl<T: Number> Tensor<T> {
    /// The values that occur, in increasing order, each once: a vector. Every NaN is a value of its own, as in PyTorch,
    /// and behind all others. They have no gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[3, 1], [1, 2]]).unique()?.to_vec(), [1, 2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn unique(&self) -> Result<Self> {
        body_once!(T: Number, [self], |x: &Tensor<T>| -> Result<Tensor<T>> {
            let sorted = x.detach().flatten().sort(0, false)?.0;
            sorted.masked_select(&begins(&sorted)?).called("unique")
        })
    }

    /// [`Tensor::unique`], and where each element is in it: a tensor of this shape, with which
    /// `values.index_select(0, &inverse.flatten())` gives the elements again.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, inverse) = Tensor::from([30, 10, 30]).unique_inverse()?;
    /// assert_eq!((values.to_vec(), inverse.to_vec()), (vec![10, 30], vec![1, 0, 1]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn unique_inverse(&self) -> Result<(Self, Tensor<i64>)> {
        body_once!(T: Number, [self], |x: &Tensor<T>| -> Result<(Tensor<T>, Tensor<i64>)> {
            let (sorted, order) = x.detach().flatten().sort(0, false)?;
            let begins = begins(&sorted)?;
            let inverse = order.zeros_like().scatter_add(0, &order, &run_of(&begins)?)?;
            Ok((sorted.masked_select(&begins)?, inverse.reshape(x.shape())?))
        })
    }

    /// [`Tensor::unique`], and how often each value occurs.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, counts) = Tensor::from([30, 10, 30]).unique_counts()?;
    /// assert_eq!((values.to_vec(), counts.to_vec()), (vec![10, 30], vec![1, 2]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn unique_counts(&self) -> Result<(Self, Tensor<i64>)> {
        body_once!(T: Number, [self], |x: &Tensor<T>| -> Result<(Tensor<T>, Tensor<i64>)> {
            x.detach().flatten().sort(0, false)?.0.unique_consecutive()
        })
    }

    /// The values in the order of the elements, in row-major order, where one differs from the one before, and how often
    /// each follows itself. They have no gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, counts) = Tensor::from([1, 1, 2, 1]).unique_consecutive()?;
    /// assert_eq!((values.to_vec(), counts.to_vec()), (vec![1, 2, 1], vec![2, 1, 1]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn unique_consecutive(&self) -> Result<(Self, Tensor<i64>)> {
        body_once!(T: Number, [self], |x: &Tensor<T>| -> Result<(Tensor<T>, Tensor<i64>)> {
            let x = x.detach().flatten();
            let begins = begins(&x)?;
            Ok((x.masked_select(&begins)?, lengths(&begins)?))
        })
    }

    /// Where the elements are among those of `test`, of whatever shape. NaN is among nothing; `logical_not` is PyTorch's
    /// `invert`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let found = Tensor::from([1.0, 2.0, 3.0]).isin(&Tensor::from([3.0, 1.0, 9.0]))?;
    /// assert_eq!(found.to_vec(), [true, false, true]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn isin(&self, test: &Tensor<T>) -> Result<Tensor<bool>> {
        body_once!(T: Number, [self, test], |x: &Tensor<T>, test: &Tensor<T>| -> Result<Tensor<bool>> {
            let sorted = test.detach().flatten().sort(0, false)?.0;
            let n = sorted.numel();
            if n == 0 {
                return Tensor::full_on(&x.device(), x.shape(), false);
            }
            // The last that is not above, or the first of all.
            let place = sorted.narrow(0, 1, n - 1)?.searchsorted(&x.detach(), true)?;
            let nearest = sorted.index_select(0, place.flatten())?.reshape(x.shape())?;
            nearest.eq(x.detach())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() -> Result<()> {
        let x = Tensor::from([f64::NAN, 0.0, f64::INFINITY, -0.0, f64::NAN, f64::NEG_INFINITY]);
        let (values, counts) = x.unique_counts()?;
        assert_eq!(values.narrow(0, 0, 3)?.to_vec(), [f64::NEG_INFINITY, 0.0, f64::INFINITY]);
        assert_eq!((values.isnan().count_nonzero(), counts.to_vec()), (2, vec![1, 2, 1, 1, 1]));
        assert_eq!(x.unique_inverse()?.1.to_vec(), [3, 1, 2, 1, 4, 0]);
        assert_eq!(x.isin(&x)?.to_vec(), [false, true, true, true, false, true]);
        let none = Tensor::zeros([0, 2]);
        assert_eq!((none.unique()?.shape(), none.unique_inverse()?.1.shape()), (&[0][..], &[0, 2][..]));
        assert_eq!((none.unique_consecutive()?.1.shape(), none.isin(&x)?.shape()), (&[0][..], &[0, 2][..]));
        assert!(!x.isin(&none)?.any());
        let one = Tensor::scalar(2.0);
        assert_eq!((one.unique()?.shape(), one.unique_inverse()?.1.shape()), (&[1][..], &[][..]));
        assert!(one.isin(&Tensor::from([2.0, 1.0]))?.all());
        assert!(!x.clone().requires_grad().unique()?.is_tracked());
        assert_eq!(Tensor::from([[1, 3], [2, 3]]).t()?.unique_inverse()?.1.to_vec(), [0, 1, 2, 2]);
        Ok(())
    }
}
