//! Sums of exponentials and what is made of them, shifted by the maximum so that nothing overflows.

use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::panic::Location;
use tensor_core::kernels::{Max, Sum};
use tensor_core::shape::{Dims, IntoDims, dim, dim_mask};
use tensor_core::{Array, Code, Expression, Float, Formula, Result, formula, kernels};

/// Which dimensions are reduced.
type Mask = SmallVec<[bool; 4]>;

/// The maximum m over the dimensions of a mask, which keep size 1, and the sum of e^(x - m).
fn shifted_sum<T: Float>(op: &'static str, x: &Array<T>, mask: &Mask) -> Result<[Array<T>; 2]> {
    let largest = kernels::reduce(op, x, mask, true, Max)?;
    // Infinite maxima shift nothing: -inf makes the sum 0, inf makes it inf.
    let finite = |m: T| if m.is_finite() { m } else { T::ZERO };
    let finite = Formula::new(finite, |[m]: [Code; 1]| Code::choose(m.is_finite(), m, m.nothing()));
    let shift = kernels::map_owned(op, largest, finite)?;
    let exponentials = kernels::zip(op, x, &shift, formula!(|x: T, m: T| (x - m).exp()))?;
    let sum = kernels::reduce(op, &exponentials, mask, true, Sum)?;
    Ok([shift, sum])
}

/// The logarithm of the sum of exponentials, its dimensions kept.
struct LogSumExp(Mask);

impl<T: Float> Op<T, 1> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let [shift, sum] = shifted_sum("logsumexp", x, &self.0)?;
        kernels::zip_owned("logsumexp", sum, &shift, formula!(|s: T, m: T| s.log() + m))
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad e^(x - result); 0 where the result is -inf; where it is inf the elements that are share it evenly, the
    /// limit as they grow together. PyTorch makes both NaN.
    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (x, y) = (kept.input(0), kept.output());
        let known = kept.output_array().as_slice();
        if known.is_some_and(|y| y.iter().all(|y| y.is_finite())) {
            return Ok([Some(x.try_sub(&y)?.exp().try_mul(&g)?)]);
        }
        let (empty, full) = (y.is(f64::NEG_INFINITY), y.is(f64::INFINITY));
        let hit = x.detach().is(f64::INFINITY).to_type::<T>();
        let dims: Vec<isize> = (0..self.0.len()).filter(|&k| self.0[k]).map(|k| k as isize).collect();
        let count = hit.sum_dim(&dims[..], true)?;
        let none = count.is(0.0);
        let shares = hit.try_div(&count.with(none, 1.0))?;
        // Infinities are replaced before they meet: what is not chosen has slopes, too.
        let y = y.with(empty, 0.0).with(full.clone(), 0.0);
        let weights = x.with(full.clone(), 0.0).try_sub(&y)?.exp();
        Ok([Some(full.where_cond(&shares, &weights)?.try_mul(&g)?)])
    }
}

/// e^x over its sum along a dimension, or the logarithm of that.
struct Softmax {
    mask: Mask,
    log: bool,
}

impl<T: Float> Op<T, 1> for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let op = Op::<T, 1>::name(self);
        // m and the logarithm of the sum are never added up: large elements would take its digits.
        let [shift, sum] = shifted_sum(op, x, &self.mask)?;
        match self.log {
            true => kernels::zip3(op, x, &shift, &sum, formula!(|x: T, m: T, s: T| (x - m) - s.log())),
            false => kernels::zip3(op, x, &shift, &sum, formula!(|x: T, m: T, s: T| (x - m).exp() / s)),
        }
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    fn batches(&self) -> bool {
        true
    }
    /// softmax: result (grad - sum(grad result)); log_softmax: grad - e^result sum(grad)
    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let y = kept.output();
        let ndim = self.mask.len();
        let dims = (0..ndim).filter(|&k| self.mask[k]).map(|k| k as isize - ndim as isize);
        let dims: Vec<isize> = dims.collect();
        Ok([Some(match self.log {
            true => g.try_sub(&y.exp().try_mul(&g.sum_dim(&dims, true)?)?)?,
            false => {
                let weighed = g.try_mul(&y)?.sum_dim(&dims, true)?;
                g.try_sub(&weighed)?.try_mul(&y)?
            }
        })])
    }
}

impl<T: Float> Tensor<T> {
    /// ln sum e^x over `dims` (all, where there are none), without overflow; -inf over no elements.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::from([1000.0, 1000.0]);
    /// assert_eq!(x.logsumexp(0, false)?.item()?, 1000.0 + 2f64.ln());
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn logsumexp(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        let here = Location::caller();
        let mask = dim_mask("logsumexp", &dims.into_dims(), self.ndim()).map_err(|e| e.at(here))?;
        let kept: Dims = self
            .shape()
            .iter()
            .zip(&mask)
            .filter(|&(_, &m)| keepdim || !m)
            .map(|(&d, &m)| if m { 1 } else { d })
            .collect();
        apply(LogSumExp(mask), [self])?.reshape(&kept)
    }

    /// e^x over its sum along `dim`: positive numbers that add up to 1.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let p = Tensor::from([1e4, 0.0, 1e4]).softmax(0)?;
    /// assert_eq!(p.to_vec(), [0.5, 0.0, 0.5]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn softmax(&self, d: isize) -> Result<Self> {
        let here = Location::caller();
        let mask = self.one_dim("softmax", d).map_err(|e| e.at(here))?;
        apply(Softmax { mask, log: false }, [self])
    }

    /// The logarithm of [`Tensor::softmax`], right where that rounds to 0.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn log_softmax(&self, d: isize) -> Result<Self> {
        let here = Location::caller();
        let mask = self.one_dim("log_softmax", d).map_err(|e| e.at(here))?;
        apply(Softmax { mask, log: true }, [self])
    }

    fn one_dim(&self, op: &'static str, d: isize) -> Result<Mask> {
        // A scalar may be normalised along "its" dimension 0 or -1.
        if self.ndim() == 0 && (d == 0 || d == -1) {
            return Ok(Mask::new());
        }
        let mut mask = Mask::from_elem(false, self.ndim());
        mask[dim(op, d, self.ndim())?] = true;
        Ok(mask)
    }
}
