//! A number in a loop over vectors: its functions are those of this module, which have no branches.

use super::{Elementary, activation, error, exponential, gamma, hypot, logarithm, power, trigonometric};
use crate::element::Float;
use crate::expression::Expression;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number, and whether a function on the way to it was asked for more than it has without a branch: the value is then
/// computed again, from [`Float`]'s functions.
#[derive(Clone, Copy)]
pub struct Lane<T> {
    pub value: T,
    pub far: bool,
}

impl<T: Elementary> Lane<T> {
    #[inline(always)]
    pub fn of(value: T) -> Self {
        Lane { value, far: false }
    }

    /// The value, or what marks it as unknown.
    #[inline(always)]
    pub fn known(self) -> T {
        if self.far { T::UNKNOWN } else { self.value }
    }

    #[inline(always)]
    fn map(self, f: impl FnOnce(T) -> T) -> Self {
        Lane { value: f(self.value), far: self.far }
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl FnOnce(T, T) -> T) -> Self {
        Lane { value: f(self.value, other.value), far: self.far | other.far }
    }

    /// A function of `self` that is right unless `far`.
    #[inline(always)]
    fn unless(self, far: bool, f: impl FnOnce(T) -> T) -> Self {
        Lane { value: f(self.value), far: self.far | far }
    }
}

macro_rules! operators {
    ($($Trait:ident $method:ident)*) => { $(
        impl<T: Elementary> $Trait for Lane<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, T::$method)
            }
        }
    )* };
}
operators!(Add add Sub sub Mul mul Div div);

impl<T: Elementary> Neg for Lane<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(T::neg)
    }
}

macro_rules! functions {
    ($($name:ident => $function:path;)*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            self.map($function)
        }
    )* };
}

macro_rules! tests {
    ($($name:ident($c:ident: $C:ty);)*) => { $(
        #[inline(always)]
        fn $name(&self, $c: $C) -> bool {
            self.value.$name($c)
        }
    )* };
}

impl<T: Elementary> Expression for Lane<T> {
    type Mask = bool;

    functions! {
        exp => exponential::exp; exp2 => exponential::exp2; expm1 => exponential::expm1;
        sigmoid => exponential::sigmoid; sinh => exponential::sinh; cosh => exponential::cosh;
        tanh => exponential::tanh; sech_square => exponential::sech_square;
        log => logarithm::log; log2 => logarithm::log2; log10 => logarithm::log10; log1p => logarithm::log1p;
        asinh => logarithm::asinh; acosh => logarithm::acosh; atanh => logarithm::atanh;
        asin => trigonometric::asin; acos => trigonometric::acos; atan => trigonometric::atan;
        erf => error::erf; erfc => error::erfc;
        gelu => activation::gelu; gelu_slope => activation::gelu_slope; softplus => activation::softplus;
        silu => activation::silu; silu_slope => activation::silu_slope;
        abs => Float::abs; sqrt => Float::sqrt; floor => Float::floor; ceil => Float::ceil; trunc => Float::trunc;
        round => Float::round_ties_even; sign => Expression::sign; nothing => Expression::nothing;
        square => Expression::square; reciprocal => Expression::reciprocal; finite => Expression::finite;
        one_minus_square => Expression::one_minus_square;
    }
    tests! { eq_number(c: f64); lt_number(c: f64); le_number(c: f64); gt_number(c: f64); }

    #[inline(always)]
    fn sin(self) -> Self {
        self.unless(trigonometric::far(self.value), trigonometric::sin)
    }
    #[inline(always)]
    fn cos(self) -> Self {
        self.unless(trigonometric::far(self.value), trigonometric::cos)
    }
    #[inline(always)]
    fn tan(self) -> Self {
        self.unless(trigonometric::far(self.value), trigonometric::tan)
    }
    #[inline(always)]
    fn lgamma(self) -> Self {
        self.unless(gamma::far(self.value), gamma::lgamma)
    }
    #[inline(always)]
    fn polygamma(self, n: u64) -> Self {
        self.unless(n > 0 || gamma::far(self.value), gamma::digamma)
    }
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self.map(|x| Expression::times(x, c))
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        self.map(|x| Expression::plus(x, c))
    }
    /// As of a number: products where the exponent is a small integer. Written out, as the library's function, once it is
    /// in sight, is called for every element, and its value not used.
    #[inline(always)]
    fn power(self, p: f64) -> Self {
        match p {
            0.0 => self.map(|_| T::ONE),
            1.0 => self,
            2.0 => self.map(|x| x * x),
            3.0 => self.map(|x| x * x * x),
            0.5 => self.map(Float::sqrt),
            -1.0 => self.map(|x| T::ONE / x),
            _ => self.map(|x| power::pow(x, T::of(p))),
        }
    }
    #[inline(always)]
    fn pow(self, p: Self) -> Self {
        self.zip(p, power::pow)
    }
    #[inline(always)]
    fn hypot(self, other: Self) -> Self {
        self.zip(other, hypot::hypot)
    }
    #[inline(always)]
    fn atan2(self, x: Self) -> Self {
        self.zip(x, trigonometric::atan2)
    }
    #[inline(always)]
    fn direction(self, other: Self) -> Self {
        self.zip(other, Expression::direction)
    }
    #[inline(always)]
    fn over_square(self, other: Self) -> Self {
        let length = self.hypot(other);
        self.direction(other) / length.with(length.eq_number(0.0), 1.0)
    }
    #[inline(always)]
    fn constant(self) -> Self {
        self
    }
    #[inline(always)]
    fn within(self, bound: f64) -> Self {
        self.map(|x| x.within(bound))
    }
    #[inline(always)]
    fn lt_other(&self, other: &Self) -> bool {
        self.value < other.value
    }
    #[inline(always)]
    fn eq_other(&self, other: &Self) -> bool {
        self.value == other.value
    }
    #[inline(always)]
    fn isnan(&self) -> bool {
        self.value.is_nan()
    }
    #[inline(always)]
    fn both(a: bool, b: bool) -> bool {
        a & b
    }
    #[inline(always)]
    fn choose(mask: bool, a: Self, b: Self) -> Self {
        Lane { value: if mask { a.value } else { b.value }, far: if mask { a.far } else { b.far } }
    }
    #[inline(always)]
    fn with(self, mask: bool, c: f64) -> Self {
        Lane::choose(mask, Lane::of(T::of(c)), self)
    }
}
