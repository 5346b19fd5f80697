//! Division that leaves a remainder, of floats and integers.

use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::kernels::Any;
use tensor_core::{Array, Code, DType, Error, Formula, Number, Result, formula, kernels};

/// Which part of the division, and how the quotient is rounded.
#[derive(Clone, Copy, PartialEq)]
enum Divide {
    FloorQuotient,
    FloorRemainder,
    TruncQuotient,
    TruncRemainder,
}

impl<T: Number> Op<T, 2> for Divide {
    fn name(&self) -> &'static str {
        match self {
            Divide::FloorQuotient => "floor_divide",
            Divide::FloorRemainder => "remainder",
            Divide::TruncQuotient | Divide::TruncRemainder => "fmod",
        }
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        let op = Op::<T, 2>::name(self);
        if T::DTYPE == DType::I64 {
            let zeros =
                kernels::map(op, b, Formula::new(|b| b == T::ZERO, |[b]: [Code; 1]| !b.cast(DType::Bool)))?;
            if kernels::reduce(op, &zeros, &vec![true; b.ndim()], false, Any)?.item(op)? {
                let message = "an integer is divided by 0: replace the zeros, or divide floats";
                return Err(Error::argument(op, message));
            }
        }
        match self {
            Divide::FloorQuotient => kernels::zip(op, a, b, formula!(|a: T, b: T| a.floor_divide(b))),
            Divide::FloorRemainder => kernels::zip(op, a, b, formula!(|a: T, b: T| a.remainder(b))),
            Divide::TruncQuotient => kernels::zip(op, a, b, formula!(|a: T, b: T| a.trunc_divide(b))),
            Divide::TruncRemainder => kernels::zip(op, a, b, formula!(|a: T, b: T| a.fmod(b))),
        }
    }

    fn keep(&self, [_, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b && *self != Divide::FloorQuotient; 2])
    }

    fn batches(&self) -> bool {
        true
    }
    /// The quotient is flat. The remainder is a - b q: grad, -grad q.
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        // Which already is the nearest integer: a quotient that rounding left just below one is never floored.
        let quotient = match self {
            Divide::FloorQuotient | Divide::TruncQuotient => {
                return Ok([kept.wrt(0, || Ok(g.zeros_like()))?, kept.wrt(1, || Ok(g.zeros_like()))?]);
            }
            Divide::FloorRemainder => Divide::FloorQuotient,
            Divide::TruncRemainder => Divide::TruncQuotient,
        };
        Ok([
            kept.wrt(0, || Ok(g.clone()))?,
            kept.wrt(1, || {
                let q = apply(quotient, [&kept.input(0).detach(), &kept.input(1).detach()])?;
                Ok(g.try_mul(&q)?.neg())
            })?,
        ])
    }
}

impl<T: Number> Tensor<T> {
    /// The largest integer not above `self / other`, as Python's `//`, at infinities too: -1 // inf is -1; its
    /// derivative is 0.
    ///
    /// ```
    /// use autograd::Tensor;
    /// assert_eq!(Tensor::from([-7, 7]).floor_divide(&Tensor::scalar(2))?.to_vec(), [-4, 3]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, where an integer is divided by 0.
    #[track_caller]
    pub fn floor_divide(&self, other: &Tensor<T>) -> Result<Self> {
        apply(Divide::FloorQuotient, [self, other])
    }

    /// What [`Tensor::floor_divide`] leaves, with the sign of `other`, which a zero has too, as Python's `%`. Its
    /// derivative by `other` is minus that quotient.
    ///
    /// ```
    /// use autograd::Tensor;
    /// assert_eq!(Tensor::from([-7, 7]).remainder(&Tensor::scalar(2))?.to_vec(), [1, 1]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, where an integer is divided by 0.
    #[track_caller]
    pub fn remainder(&self, other: &Tensor<T>) -> Result<Self> {
        apply(Divide::FloorRemainder, [self, other])
    }

    /// What division rounded towards 0 leaves, with the sign of `self`, as Rust's `%`. Its derivative by `other` is
    /// minus that quotient.
    ///
    /// ```
    /// use autograd::Tensor;
    /// assert_eq!(Tensor::from([-7, 7]).fmod(&Tensor::scalar(2))?.to_vec(), [-1, 1]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, where an integer is divided by 0.
    #[track_caller]
    pub fn fmod(&self, other: &Tensor<T>) -> Result<Self> {
        apply(Divide::TruncRemainder, [self, other])
    }
}
