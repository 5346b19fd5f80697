//! Division that leaves a remainder, of floats and integers.

use super::arithmetic::Binary;
use super::compare::{EQ, Operand};
use crate::apply_once;
use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use std::ops::Rem;
use tensor_core::{Array, DType, EachNumber, Error, Number, OrRaise, Result, formulas, kernels};

/// Which part of the division, and how the quotient is rounded.
#[derive(Clone, Copy, PartialEq)]
enum Divide {
    FloorQuotient,
    FloorRemainder,
    TruncQuotient,
    TruncRemainder,
}

static FLOOR_QUOTIENT: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.floor_divide(b) });
static FLOOR_REMAINDER: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.remainder(b) });
static TRUNC_QUOTIENT: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.trunc_divide(b) });
static TRUNC_REMAINDER: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.fmod(b) });

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
            let zeros = kernels::zip(op, b, &Array::scalar(T::ZERO), *T::of_elements(&EQ))?;
            if kernels::any(op, &zeros, &vec![true; b.ndim()], false)?.item(op)? {
                let message = "an integer is divided by 0: replace the zeros, or divide floats";
                return Err(Error::argument(op, message));
            }
        }
        let formulas = match self {
            Divide::FloorQuotient => &FLOOR_QUOTIENT,
            Divide::FloorRemainder => &FLOOR_REMAINDER,
            Divide::TruncQuotient => &TRUNC_QUOTIENT,
            Divide::TruncRemainder => &TRUNC_REMAINDER,
        };
        kernels::zip(op, a, b, *T::of_numbers(formulas))
    }

    fn keep(&self, [_, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b && *self != Divide::FloorQuotient; 2])
    }

    fn batches(&self) -> bool {
        true
    }
    /// The quotient is flat. The remainder is a - b q: grad, -grad q.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
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

/// # Arithmetic: division with remainder
impl<T: Number> Tensor<T> {
    /// The largest integer not above `self / other`, as Python's `//`, at infinities too: -1 // inf is -1; its
    /// derivative is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-7, 7]).floor_divide(2)?.to_vec(), [-4, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, where an integer is divided by 0.
    #[track_caller]
    pub fn floor_divide(&self, other: impl Operand<T>) -> Result<Self> {
        let other = other.operand();
        apply_once!(T: Number, Divide::FloorQuotient => Divide, [self, other.as_ref()])
    }

    /// What [`Tensor::floor_divide`] leaves, with the sign of `other`, which a zero has too, as Python's `%`. Its
    /// derivative by `other` is minus that quotient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-7, 7]).remainder(2)?.to_vec(), [1, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, where an integer is divided by 0.
    #[doc(alias = "mod")]
    #[track_caller]
    pub fn remainder(&self, other: impl Operand<T>) -> Result<Self> {
        let other = other.operand();
        apply_once!(T: Number, Divide::FloorRemainder => Divide, [self, other.as_ref()])
    }

    /// What division rounded towards 0 leaves, with the sign of `self`, as Rust's `%`. Its derivative by `other` is
    /// minus that quotient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-7, 7]).fmod(2)?.to_vec(), [-1, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, where an integer is divided by 0.
    #[track_caller]
    pub fn fmod(&self, other: impl Operand<T>) -> Result<Self> {
        let other = other.operand();
        apply_once!(T: Number, Divide::TruncRemainder => Divide, [self, other.as_ref()])
    }
}

/// [`Tensor::remainder`], as PyTorch's and Python's `%`: -7 % 2 is 1, where it is -1 for Rust's integers, which have
/// [`Tensor::fmod`].
///
/// ```
/// use tapegrad::Tensor;
/// let x = Tensor::from([-7, 7]);
/// assert_eq!((&x % 2).to_vec(), [1, 1]);
/// assert_eq!((x % Tensor::from([-2, 2])).to_vec(), [-1, 1]);
/// ```
impl<T: Number, R: Operand<T>> Rem<R> for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn rem(self, other: R) -> Tensor<T> {
        self.remainder(other).or_raise()
    }
}

impl<T: Number, R: Operand<T>> Rem<R> for Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn rem(self, other: R) -> Tensor<T> {
        self.remainder(other).or_raise()
    }
}
