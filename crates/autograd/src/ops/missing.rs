//! Elements that are no numbers: replaced, or left out of sums and means.

use crate::apply_once;
use crate::body_once;
use crate::op::{Keep, Kept, Op};
use crate::tensor::Tensor;
use tensor_core::shape::IntoDims;
use tensor_core::{Array, AtCaller, Expression, Float, OrRaise, Result, formula, kernels};

/// Finite numbers in place of NaN and the infinities.
struct NanToNum {
    nan: f64,
    above: f64,
    below: f64,
}

impl<T: Float> Op<T, 1> for NanToNum {
    fn name(&self) -> &'static str {
        "nan_to_num"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let NanToNum { nan, above, below } = *self;
        let f = formula!(|x: T| {
            let none = Expression::isnan(&x);
            let [high, low] = [f64::INFINITY, f64::NEG_INFINITY].map(|end| x.eq_number(end));
            x.with(none, nan).with(high, above).with(low, below)
        });
        kernels::map("nan_to_num", x, &f)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    /// grad where x is finite
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let finite = kept.input(0).detach().isfinite();
        Ok([Some(finite.where_cond(&g, Tensor::scalar(T::ZERO))?)])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// # Reductions: without NaN
impl<T: Float> Tensor<T> {
    /// `nan` in place of NaN, and `posinf` and `neginf` in place of the infinities, where None stands for the largest and
    /// the smallest number of the type. What is replaced has the gradient 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY]);
    /// assert_eq!(x.nan_to_num(0.0, None, None).to_vec(), [0.0, 1.0, f64::MAX, f64::MIN]);
    /// assert_eq!(x.nan_to_num(9.0, Some(2.0), Some(-2.0)).to_vec(), [9.0, 1.0, 2.0, -2.0]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn nan_to_num(&self, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Self {
        let largest = T::LARGEST.to_f64();
        let op = NanToNum { nan, above: posinf.unwrap_or(largest), below: neginf.unwrap_or(-largest) };
        apply_once!(T: Float, op => NanToNum, [self]).or_raise()
    }

    /// The sum of all elements but those that are NaN, which have the gradient 0; 0 where all are.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NAN, 2.0]).nansum().item()?, 3.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn nansum(&self) -> Self {
        self.nansum_dim((), false).or_raise()
    }

    /// [`Tensor::nansum`] over `dims` (all, where there are none), which stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [2.0, 3.0]]);
    /// assert_eq!(x.nansum_dim(0, false)?.to_vec(), [3.0, 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn nansum_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        body_once!(
            T: Float,
            [self, &dims.into_dims(), keepdim],
            |x: &Tensor<T>, dims: &[isize], keepdim: bool| -> Result<Tensor<T>> {
                x.masked_fill(&x.isnan(), T::ZERO)?.sum_dim(dims, keepdim).called("nansum")
            }
        )
    }

    /// The mean of all elements but those that are NaN, which have the gradient 0; NaN where all are.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, f64::NAN, 2.0]).nanmean().item()?, 1.5);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn nanmean(&self) -> Self {
        self.nanmean_dim((), false).or_raise()
    }

    /// [`Tensor::nanmean`] over `dims` (all, where there are none), which stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, f64::NAN], [2.0, 4.0]]);
    /// assert_eq!(x.nanmean_dim(1, false)?.to_vec(), [1.0, 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn nanmean_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        body_once!(
            T: Float,
            [self, &dims.into_dims(), keepdim],
            |x: &Tensor<T>, dims: &[isize], keepdim: bool| -> Result<Tensor<T>> {
                let missing = x.isnan();
                let numbers = x.masked_fill(&missing, T::ZERO)?;
                let count = missing.logical_not().to_type::<i64>().sum_dim(dims, keepdim).called("nanmean")?;
                let sum = numbers.sum_dim(dims, keepdim)?;
                let mean = sum.try_div(&count.to_type())?;
                // Most sums are finite; that of huge numbers may leave the range where their mean does not.
                if mean.as_slice().is_some_and(|mean| mean.iter().all(|mean| mean.is_finite())) {
                    return Ok(mean);
                }
                let whole = x.ones_like().sum_dim(dims, keepdim)?;
                let scaled = numbers.mean_dim(dims, keepdim)?.try_mul(&whole.try_div(&count.to_type())?)?;
                sum.detach().isinf().where_cond(&scaled, &mean)
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
        let holes = |x: &Tensor| x.masked_fill(&x.gt(1.0)?, f64::NAN);
        for (shape, dim) in [(&[5][..], 0isize), (&[2, 3], 1), (&[], 0), (&[0, 2], 1), (&[2, 3, 2], -2)] {
            check_op(|x| holes(&x[0])?.nansum_dim(dim, true), &[shape]).run()?;
            check_op(|x| Ok(holes(&x[0])?.nansum()), &[shape]).run()?;
            check_op(|x| Ok(holes(&x[0])?.nan_to_num(0.5, None, None)), &[shape]).run()?;
            check_op(|x| x[0].nanmean_dim(dim, false), &[shape])
                .single(|x| x[0].nanmean_dim(dim, false))
                .reference(|x| x[0].mean_dim(dim, false))
                .run()?;
        }
        let cut = |x: &[Tensor]| Ok(holes(&x[0])?.narrow(0, 0, 4)?.nanmean());
        check_op(cut, &[&[6]]).run()
    }

    #[test]
    fn ends() -> Result<()> {
        let nan = f64::NAN;
        let x = Tensor::from([[nan, nan], [1.0, nan], [1.7e308, 1.7e308]]).requires_grad();
        let mean = x.nanmean_dim(1, false)?;
        assert!(mean.get([0])?.is_nan() && mean.get([1])? == 1.0 && mean.get([2])? == 1.7e308);
        mean.sum().backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [0.0, 0.0, 1.0, 0.0, 0.5, 0.5]);
        assert_eq!(x.nansum_dim(1, false)?.to_vec(), [0.0, 1.0, f64::INFINITY]);
        assert_eq!(Tensor::from([f64::INFINITY, 1.0]).nanmean().item()?, f64::INFINITY);
        assert!(Tensor::zeros([0]).nanmean().item()?.is_nan());
        assert!(x.nansum_dim(2, false).is_err() && x.nanmean_dim([0, 0], false).is_err());
        assert_eq!(Tensor::from([f32::INFINITY]).nan_to_num(0.0, None, None).to_vec(), [f32::MAX]);
        Ok(())
    }
}
