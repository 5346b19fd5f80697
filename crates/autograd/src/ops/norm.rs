//! Norms of vectors.

use crate::body_once;
use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use tensor_core::shape::{Dims, Integer, IntoDims, dim_mask};
use tensor_core::{Array, AtCaller, Error, Expression, Float, OrRaise, Result, kernels};

/// (sum |x|^p)^(1/p) over the dimensions of a mask, which keep size 1; 0 < p < inf.
struct Norm {
    p: f64,
    mask: SmallVec<[bool; 4]>,
}

impl<T: Float> Op<T, 1> for Norm {
    fn name(&self) -> &'static str {
        "vector_norm"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::norm::norm("vector_norm", x, &self.mask, self.p)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: self.p != 1.0 }
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad sign(x) (|x| / result)^(p - 1), and 0 where the result is 0, or p < 2 and x is: there the slope has a
    /// kink (p = 1) or grows without bound.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (x, p) = (kept.input(0), self.p);
        if p == 1.0 {
            return Ok([Some(x.sign().try_mul(&g)?)]);
        }
        let y = kept.output(0);
        let zero = y.eq_number(0.0);
        let (y, g) = (y.with(zero.clone(), 1.0), g.with(zero, 0.0));
        let direction = match p {
            2.0 => x.try_div(&y)?,
            // Below 2 the power's own derivatives at 0 are infinite, and never formed.
            p if p < 2.0 => {
                let size = Tensor::abs(&x).with(x.eq_number(0.0), 1.0);
                let power = match p {
                    // Of elements far apart the two powers are in the range, and their ratio is not.
                    p if p > 0.0 => size.powf(p - 1.0).try_mul(&y.powf(1.0 - p))?,
                    p => size.try_div(&y)?.powf(p - 1.0),
                };
                power.try_mul(&x.sign())?
            }
            p => x.try_div(&y)?.abs().powf(p - 1.0).try_mul(&x.sign())?,
        };
        Ok([Some(direction.try_mul(&g)?)])
    }
}

/// # Norms
impl<T: Float> Tensor<T> {
    /// The length of all elements as one vector: [`Tensor::vector_norm`] of p = 2 over all dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[3.0, 0.0], [0.0, 4.0]]).norm().item()?, 5.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn norm(&self) -> Self {
        self.vector_norm(2.0, [0; 0], false).or_raise()
    }

    /// (sum |x|^p)^(1/p) over `dims` (all, where there are none): p = 2 is the length, p = inf the
    /// largest and p = -inf the smallest absolute value, p = 0 the number of elements that are not 0. Its
    /// gradient at 0 is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([3.0, -4.0]).requires_grad();
    /// let n = x.vector_norm(2.0, 0, false)?;
    /// n.backward()?;
    /// assert_eq!((n.item()?, x.grad().unwrap().to_vec()), (5.0, vec![0.6, -0.8]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice; argument, for p NaN; shape, for an
    /// infinite p over no elements.
    #[track_caller]
    pub fn vector_norm(&self, p: f64, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        body_once!(
            T: Float,
            [self, p, &dims.into_dims(), keepdim],
            |x: &Tensor<T>, p: f64, dims: &[isize], keepdim: bool| -> Result<Tensor<T>> {
                let mask = dim_mask("vector_norm", dims, x.ndim())?;
                match p {
                    f64::INFINITY => return x.abs().amax(dims, keepdim),
                    f64::NEG_INFINITY => return x.abs().amin(dims, keepdim),
                    0.0 => return x.ne(T::ZERO)?.to_type::<T>().sum_dim(dims, keepdim),
                    p if p.is_nan() => {
                        return Err(Error::argument("vector_norm", "p is not a number: name an order"));
                    }
                    _ => {}
                }
                let kept = |(&d, &m): (&usize, &bool)| if m { keepdim.then_some(1) } else { Some(d) };
                let shape: Dims = x.shape().iter().zip(&mask).filter_map(kept).collect();
                apply(Norm { p, mask }, [x])?.reshape(&shape)
            }
        )
    }

    /// The vectors along `dim` divided by their norm of order `p`, or by `eps` where that is larger: a vector of nothing
    /// but 0 stays one. PyTorch's defaults are `p` 2, `dim` 1 and `eps` 1e-12.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[3.0, 4.0], [0.0, 0.0]]);
    /// assert_eq!(x.normalize(2.0, 1, 1e-12)?.to_vec(), [0.6, 0.8, 0.0, 0.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; argument, for p NaN.
    #[track_caller]
    pub fn normalize(&self, p: f64, d: impl Integer, eps: f64) -> Result<Self> {
        let d = d.to_isize();
        body_once!(
            T: Float,
            [self, p, d, eps],
            |x: &Tensor<T>, p: f64, d: isize, eps: f64| -> Result<Tensor<T>> {
                let norm = x.vector_norm(p, d, true).called("normalize")?;
                if norm.as_slice().is_some_and(|norm| norm.iter().all(|norm| norm.is_finite())) {
                    return x.try_div(&norm.clamp_min(eps));
                }
                // A norm beyond the range, of elements within it: both become smaller by a power of 2, which rounds nothing.
                let unit = Tensor::scalar(T::EPSILON.powi(3));
                let unit = norm.detach().isfinite().where_cond(Tensor::scalar(T::ONE), &unit)?;
                let x = x.try_mul(&unit)?;
                let norm = x.vector_norm(p, d, true)?;
                x.try_div(&norm.maximum(&unit * T::of(eps))?)
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
        for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            for (shape, dim) in [(&[3][..], 0), (&[2, 3], 1), (&[3, 2], -2), (&[0, 2], 1), (&[], 0)] {
                check_op(|x| x[0].normalize(p, dim, 1e-12), &[shape]).run()?;
            }
        }
        Ok(())
    }

    #[test]
    fn ends() -> Result<()> {
        assert_eq!(Tensor::zeros([2]).normalize(2.0, 0, 1e-12)?.to_vec(), [0.0, 0.0]);
        let huge = Tensor::from([3e200, 4e200]).normalize(2.0, 0, 1e-12)?;
        assert!(huge.allclose(&Tensor::from([0.6, 0.8]), 1e-15, 0.0)?);
        let largest = Tensor::from([f64::MAX, -f64::MAX, f64::MAX, f64::MAX, 0.0]).requires_grad();
        let unit = largest.normalize(2.0, 0, 1e-12)?;
        assert_eq!(unit.to_vec(), [0.5, -0.5, 0.5, 0.5, 0.0]);
        // Along the vector its direction does not change.
        unit.try_mul(&largest.detach().sign())?.sum().backward()?;
        assert!(largest.grad().unwrap().to_vec().iter().all(|g| g.abs() < 1e-300));
        let largest = Tensor::from([[f32::MAX, f32::MAX], [3.0, 4.0]]).normalize(1.0, 1, 1e-12)?;
        assert_eq!(largest.to_vec(), [0.5, 0.5, 3.0 / 7.0, 4.0 / 7.0]);
        let infinite = Tensor::from([f64::INFINITY, 1.0]).normalize(2.0, 0, 1e-12)?;
        assert!(infinite.to_vec()[0].is_nan() && infinite.to_vec()[1] == 0.0);
        assert!(Tensor::ones([2]).normalize(2.0, 2, 1e-12).is_err());
        Ok(())
    }
}
