//! Running sums and products.

use crate::apply_once;
use crate::body_once;
use crate::mode::no_grad;
use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::shape::{Integer, dim};
use tensor_core::{Array, AtCaller, Float, Number, Result, kernels};

/// The running sums along a dimension, from its end where `reverse`.
#[derive(Clone, Copy)]
struct CumSum {
    dim: usize,
    reverse: bool,
}

impl<T: Number> Op<T, 1> for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::cumsum("cumsum", x, self.dim, self.reverse)
    }
    fn batches(&self) -> bool {
        true
    }
    /// the running sums of grad from the other end
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let dim = self.dim + usize::from(kept.many().is_some());
        Ok([Some(apply(CumSum { dim, reverse: !self.reverse }, [&g])?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let dim = self.dim + usize::from(kept.many().is_some());
        t.map(|t| apply(CumSum { dim, ..*self }, [&t])).transpose()
    }
}

/// # Running sums, products and extremes
impl<T: Number> Tensor<T> {
    /// The running sums along `dim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3]).cumsum(0)?.to_vec(), [1, 3, 6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cumsum(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        if self.ndim() == 0 {
            return self.as_vector()?.cumsum(d)?.as_scalar();
        }
        let dim = dim("cumsum", d, self.ndim()).at_caller()?;
        apply_once!(T: Number, CumSum { dim, reverse: false } => CumSum, [self])
    }

    /// The largest elements so far along `dim`, and their indices, of equal ones the last; NaN stays.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, index) = Tensor::from([1.0, 3.0, 2.0, 3.0]).cummax(0)?;
    /// assert_eq!((values.to_vec(), index.to_vec()), (vec![1.0, 3.0, 3.0, 3.0], vec![0, 1, 1, 3]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cummax(&self, d: impl Integer) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        self.cum_extreme("cummax", d, false)
    }

    /// The smallest elements so far along `dim`, and their indices, of equal ones the last; NaN stays.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cummin(&self, d: impl Integer) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        self.cum_extreme("cummin", d, true)
    }

    #[track_caller]
    fn cum_extreme(&self, op: &'static str, d: isize, smallest: bool) -> Result<(Self, Tensor<i64>)> {
        body_once!(
            T: Number,
            [self, op, d, smallest],
            |x: &Tensor<T>, op: &'static str, d: isize, smallest: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (values, index) = x.as_vector()?.cum_extreme(op, d, smallest)?;
                    return Ok((values.as_scalar()?, index.as_scalar()?));
                }
                let dim = dim(op, d, x.ndim())?;
                let index = kernels::cum_arg_extreme(op, x.array(), dim, smallest)?;
                let index = Tensor::from(index);
                Ok((x.gather(d, &index)?, index))
            }
        )
    }

    /// The running products along `dim`, each in the range where it is itself, whatever those on the way to it are.
    /// Their derivatives, of any order, are right where elements are 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3, 4]).cumprod(0)?.to_vec(), [1, 2, 6, 24]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cumprod(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        if self.ndim() == 0 {
            return self.as_vector()?.cumprod(d)?.as_scalar();
        }
        let dim = dim("cumprod", d, self.ndim()).at_caller()?;
        self.multiplied("cumprod", dim, true)
    }
}

/// y_i = b_i + a_i y_(i-1) along a dimension, where a_0 is not read.
struct Recurrence {
    dim: usize,
}

impl<T: Float> Op<T, 2> for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        match kernels::recurrence("recurrence", a, b, self.dim)? {
            Some(y) => Ok(y),
            None => no_grad(|| recurrence_by_doubling(a, b, self.dim)),
        }
    }
    fn keep(&self, [a, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, false], output: a }
    }
    /// With h_i = grad_i + a_(i+1) h_(i+1), which is the recurrence from the other end: h_i y_(i-1), h
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let (d, n) = (self.dim as isize, g.shape()[self.dim]);
        let a = kept.input(0);
        let edge = a.narrow(d, 0, n.min(1))?.zeros_like();
        let next = Tensor::cat(&[&a.narrow(d, n.min(1) as isize, n.saturating_sub(1))?, &edge], d)?;
        let h = apply(Recurrence { dim: self.dim }, [&next.flip(d)?, &g.flip(d)?])?.flip(d)?;
        let of_a = kept.wrt(0, || {
            let y = kept.output(0);
            h.try_mul(&Tensor::cat(&[&edge, &y.narrow(d, 0, n.saturating_sub(1))?], d)?)
        })?;
        Ok([of_a, Some(h)])
    }
}

/// What reaches 1, 2, 4, .. elements back is added to what is there: as many passes as the length has digits.
fn recurrence_by_doubling<T: Float>(a: &Array<T>, b: &Array<T>, dim: usize) -> Result<Array<T>> {
    let (n, d) = (b.shape()[dim], dim as isize);
    let (mut a, mut b) = (Tensor::from(a.clone()), Tensor::from(b.clone()));
    let mut reach = 1;
    while reach < n {
        let (start, rest) = (reach as isize, n - reach);
        let factor = a.narrow(d, start, rest)?;
        let sums = b.narrow(d, start, rest)?.try_add(&factor.try_mul(&b.narrow(d, 0, rest)?)?)?;
        b = Tensor::cat(&[&b.narrow(d, 0, reach)?, &sums], d)?;
        a = Tensor::cat(&[&a.narrow(d, 0, reach)?, &factor.try_mul(&a.narrow(d, 0, rest)?)?], d)?;
        reach *= 2;
    }
    Ok(b.into_array())
}

/// # Running sums of exponentials
impl<T: Float> Tensor<T> {
    /// ln of the running sums of e^x along `dim`, without overflow: -inf where all so far are.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1000.0, 1000.0, f64::NEG_INFINITY]);
    /// assert_eq!(x.logcumsumexp(0)?.to_vec(), [1000.0, 1000.0 + 2f64.ln(), 1000.0 + 2f64.ln()]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn logcumsumexp(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        body_once!(T: Float, [self, d], |x: &Tensor<T>, d: isize| -> Result<Tensor<T>> {
            if x.ndim() == 0 {
                return x.as_vector()?.logcumsumexp(d)?.as_scalar();
            }
            let dim = dim("logcumsumexp", d, x.ndim())?;
            let n = x.shape()[dim];
            if n == 0 {
                return Ok(x.clone());
            }
            // With the largest so far, m, and 1 + r the sum of e^(x - m): r = a r_before + b, where a = e^(m_before - m).
            let largest = x.detach().cummax(d)?.0;
            let (zero, low) = (Tensor::scalar(T::ZERO), Tensor::scalar(-T::INFINITY));
            let first = largest.narrow(d, 0, 1)?.full_like(-T::INFINITY);
            let before = Tensor::cat(&[&first, &largest.narrow(d, 0, n - 1)?], d)?;
            // Equal infinities have no difference.
            let decay = before.eq(&largest)?.where_cond(Tensor::scalar(T::ONE), (&before - &largest).exp())?;
            let shift = largest.isfinite().where_cond(&largest, &zero)?;
            let distance = x.try_sub(&shift)?;
            // A new maximum's 1 is the one that r leaves out, and what was left out before comes in.
            let leads = x.detach().eq(&largest)?;
            let lead = leads.where_cond(&distance, &zero)?.expm1().try_add(&decay)?;
            let follow = leads.where_cond(&low, &distance)?.exp();
            let r = apply(Recurrence { dim }, [&decay, &leads.where_cond(&lead, &follow)?])?;
            largest.eq(-T::INFINITY)?.where_cond(&low, &r.log1p().try_add(&shift)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    #[test]
    fn derivatives() -> Result<()> {
        for (shape, dim) in
            [(&[5][..], 0usize), (&[2, 4], 1), (&[4, 2], 0), (&[2, 3, 2], 1), (&[1], 0), (&[0, 2], 0)]
        {
            let recurrence = |x: &[Tensor]| apply(Recurrence { dim }, [&x[0], &x[1]]);
            let doubling = |x: &[Tensor]| Ok(recurrence_by_doubling(x[0].array(), x[1].array(), dim)?.into());
            check_op(recurrence, &[shape, shape]).reference(doubling).run()?;
            check_op(|x| x[0].logcumsumexp(dim as isize), &[shape])
                .single(|x| x[0].logcumsumexp(dim as isize))
                .reference(|x| Ok(x[0].exp().cumsum(dim as isize)?.log()))
                .run()?;
        }
        check_op(|x| x[0].logcumsumexp(-1), &[&[]]).run()
    }

    #[test]
    fn long_lines_and_many() -> Result<()> {
        for (shape, dim) in [([300, 401], 1), ([401, 300], 0), ([3, 50_000], 1), ([50_000, 3], 0)] {
            let x: Tensor = Tensor::randn(shape);
            let expected = x.exp().cumsum(dim)?.log();
            assert!(x.logcumsumexp(dim)?.allclose(&expected, 1e-11, 1e-11)?);
        }
        Ok(())
    }

    #[test]
    fn ends() -> Result<()> {
        let (inf, low) = (f64::INFINITY, f64::NEG_INFINITY);
        let x = Tensor::from([low, low, -1000.0, low, 1.7e308, 0.0]).requires_grad();
        let y = x.logcumsumexp(0)?;
        assert_eq!(y.to_vec(), [low, low, -1000.0, -1000.0, 1.7e308, 1.7e308]);
        y.sum().backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [0.0, 0.0, 2.0, 0.0, 2.0, 0.0]);
        assert_eq!(Tensor::from([1.0, inf, 2.0]).logcumsumexp(0)?.to_vec(), [1.0, inf, inf]);
        let nan = Tensor::from([1.0, f64::NAN, 2.0]).logcumsumexp(0)?.isnan();
        assert_eq!(nan.to_vec(), [false, true, true]);
        // What is far below the largest keeps its digits beside a sum of 0.
        let small = Tensor::from([0.0, -50.0, -50.0]).logcumsumexp(0)?;
        let e = (-50.0f64).exp();
        assert!(small.allclose(&Tensor::from([0.0, e, 2.0 * e]), 1e-14, 0.0)?);
        assert!(x.logcumsumexp(1).is_err());
        Ok(())
    }
}
