//! Sums of exponentials and what is made of them, shifted by the maximum so that nothing overflows.

use crate::apply_once;
use crate::body_once;
use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::f64::consts::LN_2;
use tensor_core::shape::{Dims, Integer, IntoDims, dim, dim_mask};
use tensor_core::{Array, AtCaller, Expression, Float, Function, Parameters, Result, function, kernels};

/// Which dimensions are reduced.
type Mask = SmallVec<[bool; 4]>;

/// None of these functions has parameters.
const NONE: Parameters = [0.0; 2];

/// x, but 0 in place of what is not finite.
static FINITE: Function<1> = function!(|x| {
    let (nan, distance) = (x.isnan(), x.clone().abs());
    let infinite = distance.eq_number(f64::INFINITY);
    x.with(nan, 0.0).with(infinite, 0.0)
});
static SHIFTED_EXP: Function<2> = function!(|x, shift| (x - shift).exp());
/// x, but 0 in place of 1.
static BELOW_ONE: Function<1> = function!(|x| {
    let one = x.eq_number(1.0);
    x.with(one, 0.0)
});
/// ln of a sum of numbers of which the largest is 1, if any is not 0, from it and from the sum of those below 1.
static LOG_OF_SUM: Function<2> = function!(|sum, others| {
    // A sum below 3/2 has a single 1.
    let single = E::both(sum.gt_number(0.5), sum.lt_number(1.5));
    E::choose(single, others, sum.plus(-1.0)).log1p()
});
static NEGATIVE: Function<1> = function!(|x| -x);
static SUM: Function<2> = function!(|a, b| a + b);
static RATIO: Function<2> = function!(|a, b| a / b);
static SHIFTED_TWICE: Function<3> = function!(|x, first, second| (x - first) - second);
static LOG_SOFTMAX_COTANGENT: Function<3> = function!(|g, y, total| log_softmax_cotangent(g, y, total));

/// The maximum m over the dimensions of a mask, which keep size 1, and e^(x - m).
fn shifted<T: Float>(op: &'static str, x: &Array<T>, mask: &Mask) -> Result<[Array<T>; 2]> {
    let largest = kernels::max(op, x, mask, true)?;
    // Infinite maxima shift nothing: -inf makes the sum 0, inf makes it inf.
    let shift = kernels::map_owned(op, largest, &FINITE.with(NONE))?;
    let exponentials = kernels::zip(op, x, &shift, &SHIFTED_EXP.with(NONE))?;
    Ok([shift, exponentials])
}

/// The maximum m over the dimensions of a mask, which keep size 1, and ln sum e^(x - m).
fn shifted_logsumexp<T: Float>(op: &'static str, x: &Array<T>, mask: &Mask) -> Result<[Array<T>; 2]> {
    let [shift, exponentials] = shifted(op, x, mask)?;
    let sum = kernels::sum(op, &exponentials, mask, true)?;
    // Where one element is far above the others, their sum has digits that 1 plus it has not.
    let others = kernels::map_owned(op, exponentials, &BELOW_ONE.with(NONE))?;
    let others = kernels::sum(op, &others, mask, true)?;
    Ok([shift, kernels::zip_owned(op, sum, &others, &LOG_OF_SUM.with(NONE))?])
}

/// The logarithm of the sum of exponentials, its dimensions kept.
struct LogSumExp(Mask);

impl<T: Float> Op<T, 1> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        if let Some(y) = kernels::logsumexp("logsumexp", x, &self.0)? {
            return Ok(y);
        }
        let [shift, log] = shifted_logsumexp("logsumexp", x, &self.0)?;
        kernels::zip_owned("logsumexp", log, &shift, &SUM.with(NONE))
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad softmax(x), as e^(x - result) loses the digits that a large result has not; 0 where the result is -inf; where
    /// it is inf the elements that are share it evenly, the limit as they grow together. PyTorch makes both NaN.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (x, y) = (kept.input(0), kept.output(0).detach());
        let shares = |x: &Tensor<T>| apply(Softmax { mask: self.0.clone(), log: false }, [x]);
        if y.as_slice().is_some_and(|y| y.iter().all(|y| y.is_finite())) {
            if !kept.create_graph()
                && let Some(g) = kernels::logsumexp_cotangent("logsumexp", x.array(), g.array(), &self.0)?
            {
                return Ok([Some(g.into())]);
            }
            return Ok([Some(shares(&x)?.try_mul(&g)?)]);
        }
        let (empty, full) = (y.eq_number(f64::NEG_INFINITY), y.eq_number(f64::INFINITY));
        // Infinities are replaced before they meet: what is not chosen has slopes, too.
        let (zero, low) = (Tensor::scalar(T::ZERO), Tensor::scalar(-T::INFINITY));
        let finite = empty.logical_or(&full)?.where_cond(&zero, &x)?;
        let infinite = x.detach().eq_number(f64::INFINITY).where_cond(&zero, &low)?;
        let infinite = full.where_cond(&infinite, &zero)?;
        let weights = full.where_cond(&shares(&infinite)?, &empty.where_cond(&zero, &shares(&finite)?)?)?;
        Ok([Some(weights.try_mul(&g)?)])
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
        if let Some(y) = kernels::softmax(op, x, &self.mask, self.log)? {
            return Ok(y);
        }
        if self.log {
            // m and the logarithm of the sum are never added up: large elements would take its digits.
            let [shift, log] = shifted_logsumexp(op, x, &self.mask)?;
            return kernels::zip3(op, x, &shift, &log, &SHIFTED_TWICE.with(NONE));
        }
        let [_, exponentials] = shifted(op, x, &self.mask)?;
        let sum = kernels::sum(op, &exponentials, &self.mask, true)?;
        kernels::zip_owned(op, exponentials, &sum, &RATIO.with(NONE))
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    fn batches(&self) -> bool {
        true
    }
    /// softmax: result (grad - sum(grad result)); log_softmax: grad - e^result sum(grad)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        if !self.mask.contains(&true) {
            // An element by itself has all of its sum, whatever it is.
            return Ok([Some(g.zeros_like())]);
        }
        let y = kept.output(0);
        if !kept.create_graph()
            && let Some(g) = kernels::softmax_cotangent(
                Op::<T, 1>::name(self),
                y.array(),
                g.array(),
                &self.mask,
                self.log,
            )?
        {
            return Ok([Some(g.into())]);
        }
        let ndim = self.mask.len();
        let dims = (0..ndim).filter(|&k| self.mask[k]).map(|k| k as isize - ndim as isize);
        let dims: Vec<isize> = dims.collect();
        if self.log {
            let total = g.sum_dim(&dims, true)?;
            if kept.create_graph() {
                return Ok([Some(log_softmax_cotangent(g, y, total))]);
            }
            let f = LOG_SOFTMAX_COTANGENT.with(NONE);
            return Ok([Some(
                kernels::zip3_owned("log_softmax", g.into_array(), y.array(), total.array(), &f)?.into(),
            )]);
        }
        // The mean of the gradients is taken off twice: what rounding leaves of it the first time is as large as the
        // result where one element has almost all of the sum.
        let mean = g.try_mul(&y)?.sum_dim(&dims, true)?;
        let almost = (g - mean) * &y;
        let rest = almost.sum_dim(&dims, true)?;
        Ok([Some(almost - rest * y)])
    }
}

/// -ln softmax(x) at a class of each row of a matrix.
pub(super) struct CrossEntropy(pub Tensor<i64>);

impl<T: Float> Op<T, 1> for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        if let Some(losses) = kernels::cross_entropy("cross_entropy", x, self.0.array())? {
            return Ok(losses);
        }
        let logarithms = Softmax { mask: SmallVec::from_slice(&[false, true]), log: true }.forward([x])?;
        let classes = self.0.unsqueeze(1)?;
        let chosen = kernels::gather("cross_entropy", &logarithms, 1, classes.array())?;
        kernels::map_owned("cross_entropy", chosen.remove_dim("cross_entropy", 1)?, &NEGATIVE.with(NONE))
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    fn holds(&self) -> usize {
        self.0.array().allocation().1
    }
    /// softmax(x) grad, less grad at the class
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        if !kept.create_graph()
            && let Some(g) = kernels::cross_entropy_cotangent(
                "cross_entropy",
                kept.input_array(0),
                self.0.array(),
                g.array(),
            )?
        {
            return Ok([Some(g.into())]);
        }
        let x = kept.input(0);
        let y = apply(Softmax { mask: SmallVec::from_slice(&[false, true]), log: true }, [&x])?;
        let total = g.unsqueeze(1)?.neg();
        let zeros = Tensor::constant(Array::zeros_on(g.device(), x.shape())?);
        let chosen = zeros.scatter_add(1, &self.0.unsqueeze(1)?, &total)?;
        Ok([Some(log_softmax_cotangent(chosen, y, total))])
    }
}

/// g - e^y total, as (g - total) - (e^y - 1) total where e^y is almost 1: the cotangent of an element that has almost
/// all of the sum.
#[inline(always)]
fn log_softmax_cotangent<E: Expression>(g: E, y: E, total: E) -> E {
    let near = (g.clone() - total.clone()) - y.clone().expm1() * total.clone();
    let far = g - y.clone().exp() * total;
    E::choose(y.gt_number(-LN_2), near, far)
}

/// # Softmax and sums of exponentials
impl<T: Float> Tensor<T> {
    /// ln sum e^x over `dims` (all, where there are none), without overflow; -inf over no elements.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1000.0, 1000.0]);
    /// assert_eq!(x.logsumexp(0, false)?.item()?, 1000.0 + 2f64.ln());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn logsumexp(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        body_once!(
            T: Float,
            [self, &dims.into_dims(), keepdim],
            |x: &Tensor<T>, dims: &[isize], keepdim: bool| -> Result<Tensor<T>> {
                let mask = dim_mask("logsumexp", dims, x.ndim())?;
                let kept: Dims = x
                    .shape()
                    .iter()
                    .zip(&mask)
                    .filter(|&(_, &m)| keepdim || !m)
                    .map(|(&d, &m)| if m { 1 } else { d })
                    .collect();
                apply(LogSumExp(mask), [x])?.reshape(&kept)
            }
        )
    }

    /// e^x over its sum along `dim`: positive numbers that add up to 1.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let p = Tensor::from([1e4, 0.0, 1e4]).softmax(0)?;
    /// assert_eq!(p.to_vec(), [0.5, 0.0, 0.5]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn softmax(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        let mask = self.one_dim("softmax", d).at_caller()?;
        apply_once!(T: Float, Softmax { mask, log: false } => Softmax, [self])
    }

    /// The logarithm of [`Tensor::softmax`], right where that rounds to 0.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn log_softmax(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        let mask = self.one_dim("log_softmax", d).at_caller()?;
        apply_once!(T: Float, Softmax { mask, log: true } => Softmax, [self])
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
