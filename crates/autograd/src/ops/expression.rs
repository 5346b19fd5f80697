//! What the expression of a cotangent may use, over scalars and over tensors alike: so that one
//! expression is a fused loop in first order, and differentiable under `create_graph`.

use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};
use tensor_core::special;
use tensor_core::{Float, OrRaise};

pub(crate) trait Expression:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Where something holds.
    type Mask: Clone;

    fn times(self, c: f64) -> Self;
    fn plus(self, c: f64) -> Self;
    fn square(self) -> Self;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn log(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn sigmoid(self) -> Self;
    fn erfc(self) -> Self;
    fn polygamma(self, n: u32) -> Self;
    /// To the power of a constant.
    fn power(self, p: f64) -> Self;
    /// To the power of another value.
    fn pow(self, p: Self) -> Self;
    fn hypot(self, other: Self) -> Self;
    /// -1, 0 or 1.
    fn sign(self) -> Self;
    /// 0, whatever this is.
    fn nothing(self) -> Self;

    /// Where this is `c`.
    fn is(&self, c: f64) -> Self::Mask;
    /// Where this is less than `other`.
    fn below(&self, other: &Self) -> Self::Mask;
    /// Where this equals `other`.
    fn same(&self, other: &Self) -> Self::Mask;
    /// Where this is less than `c`.
    fn under(&self, c: f64) -> Self::Mask;
    /// Where this is at most `c`.
    fn at_most(&self, c: f64) -> Self::Mask;
    /// Where this is greater than `c`.
    fn over(&self, c: f64) -> Self::Mask;
    /// Where both hold.
    fn both(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// `a` where the mask holds, else `b`: chosen, so that nothing of the other leaks.
    fn choose(mask: Self::Mask, a: Self, b: Self) -> Self;

    /// This value, and `c` where the mask holds.
    fn with(self, mask: Self::Mask, c: f64) -> Self;
}

macro_rules! scalar_methods {
    ($($name:ident => $own:ident;)*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            Float::$own(self)
        }
    )* };
}

impl<T: Float> Expression for T {
    type Mask = bool;

    scalar_methods! {
        sqrt => sqrt; exp => exp; log => ln; sin => sin; cos => cos; sinh => sinh; cosh => cosh;
    }
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        logistic(self)
    }
    fn erfc(self) -> Self {
        T::of(special::erfc(self.to_f64()))
    }
    fn polygamma(self, n: u32) -> Self {
        T::of(special::polygamma(n, self.to_f64()))
    }
    #[inline(always)]
    fn power(self, p: f64) -> Self {
        raise_to(self, p)
    }
    #[inline(always)]
    fn pow(self, p: Self) -> Self {
        Float::powf(self, p)
    }
    #[inline(always)]
    fn hypot(self, other: Self) -> Self {
        Float::hypot(self, other)
    }
    #[inline(always)]
    fn sign(self) -> Self {
        if self > T::ZERO {
            T::ONE
        } else if self < T::ZERO {
            -T::ONE
        } else {
            self * T::ZERO
        }
    }
    #[inline(always)]
    fn nothing(self) -> Self {
        T::ZERO
    }
    #[inline(always)]
    fn is(&self, c: f64) -> bool {
        *self == T::of(c)
    }
    #[inline(always)]
    fn below(&self, other: &Self) -> bool {
        self < other
    }
    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        self == other
    }
    #[inline(always)]
    fn under(&self, c: f64) -> bool {
        *self < T::of(c)
    }
    #[inline(always)]
    fn at_most(&self, c: f64) -> bool {
        *self <= T::of(c)
    }
    #[inline(always)]
    fn over(&self, c: f64) -> bool {
        *self > T::of(c)
    }
    #[inline(always)]
    fn both(a: bool, b: bool) -> bool {
        a & b
    }
    #[inline(always)]
    fn choose(mask: bool, a: Self, b: Self) -> Self {
        if mask { a } else { b }
    }
    #[inline(always)]
    fn with(self, mask: bool, c: f64) -> Self {
        if mask { T::of(c) } else { self }
    }
}

macro_rules! tensor_methods {
    ($($name:ident)*) => { $(
        fn $name(self) -> Self {
            Tensor::$name(&self)
        }
    )* };
}

impl<T: Float> Expression for Tensor<T> {
    type Mask = Tensor<bool>;

    tensor_methods!(square sqrt exp log sin cos sinh cosh sigmoid erfc sign);
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    fn polygamma(self, n: u32) -> Self {
        Tensor::polygamma(&self, n)
    }
    fn power(self, p: f64) -> Self {
        Tensor::powf(&self, p)
    }
    fn pow(self, p: Self) -> Self {
        Tensor::pow(&self, &p).or_raise()
    }
    fn hypot(self, other: Self) -> Self {
        Tensor::hypot(&self, &other).or_raise()
    }
    fn nothing(self) -> Self {
        self.zeros_like()
    }
    fn is(&self, c: f64) -> Tensor<bool> {
        self.eq(T::of(c)).or_raise()
    }
    fn below(&self, other: &Self) -> Tensor<bool> {
        self.lt(other).or_raise()
    }
    fn same(&self, other: &Self) -> Tensor<bool> {
        self.eq(other).or_raise()
    }
    fn under(&self, c: f64) -> Tensor<bool> {
        self.lt(T::of(c)).or_raise()
    }
    fn at_most(&self, c: f64) -> Tensor<bool> {
        self.le(T::of(c)).or_raise()
    }
    fn over(&self, c: f64) -> Tensor<bool> {
        self.gt(T::of(c)).or_raise()
    }
    fn both(a: Tensor<bool>, b: Tensor<bool>) -> Tensor<bool> {
        a.logical_and(&b).or_raise()
    }
    fn choose(mask: Tensor<bool>, a: Self, b: Self) -> Self {
        mask.where_cond(&a, &b).or_raise()
    }
    fn with(self, mask: Tensor<bool>, c: f64) -> Self {
        mask.where_cond(&Tensor::scalar(T::of(c)), &self).or_raise()
    }
}

/// x^p. Integer exponents go by multiplication: exact for squares and cubes, and right for
/// negative bases.
#[inline(always)]
pub(super) fn raise_to<T: Float>(x: T, p: f64) -> T {
    match p {
        0.0 => T::ONE,
        1.0 => x,
        2.0 => x * x,
        3.0 => x * x * x,
        0.5 => Float::sqrt(x),
        -1.0 => T::ONE / x,
        _ => Float::powf(x, T::of(p)),
    }
}

/// 1 / (1 + e^-x) with an exponential that cannot overflow.
#[inline(always)]
pub(super) fn logistic<T: Float>(x: T) -> T {
    let e = Float::exp(-Float::abs(x));
    let small = e / (T::ONE + e);
    if x >= T::ZERO {
        T::ONE / (T::ONE + e)
    } else {
        // NaN comes here and stays NaN.
        small
    }
}
