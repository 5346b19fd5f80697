//! What expressions of elements may use, whatever they are read over: numbers and the text of a kernel here, tensors
//! in the autograd crate.

use crate::code::Code;
use crate::element::Float;
use crate::{inverse_error, sinc, special};
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Functions that an expression may use, over numbers, over [`Code`] and over tensors alike: so that one
/// expression is a fused loop on the CPU, a kernel on a GPU, and differentiable as operations on tensors.
pub trait Expression:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Where something holds.
    type Mask: Clone;

    /// `c` times this.
    fn times(self, c: f64) -> Self;
    /// This plus `c`.
    fn plus(self, c: f64) -> Self;
    /// To the power of a constant.
    fn power(self, p: f64) -> Self;
    /// To the power of another value.
    fn pow(self, p: Self) -> Self;
    /// The length of (`self`, `other`), without overflow on the way.
    fn hypot(self, other: Self) -> Self;
    /// The angle in radians of the point (`x`, `self`).
    fn atan2(self, x: Self) -> Self;
    /// This over the length of (`self`, `other`): the cosine of the angle between that vector and the first axis, and
    /// 0 at the origin. Right for every vector whose direction exists, however long.
    fn direction(self, other: Self) -> Self;
    /// This over the square of the length of (`self`, `other`), and 0 at the origin; the square itself is not formed.
    fn over_square(self, other: Self) -> Self;
    /// The derivative of order `n` of the digamma function.
    fn polygamma(self, n: u64) -> Self;
    /// -1, 0 or 1.
    fn sign(self) -> Self;
    /// 0, whatever this is.
    fn nothing(self) -> Self;
    /// This value without its derivative.
    fn constant(self) -> Self;
    /// This, but `bound` above it and -`bound` below that, where the derivative is 0.
    fn within(self, bound: f64) -> Self;
    /// This, but the largest finite number in place of infinity, with its sign and the derivative 0.
    fn finite(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The square.
    fn square(self) -> Self;
    /// 1 over this.
    fn reciprocal(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e to the power of this.
    fn exp(self) -> Self;
    /// 2 to the power of this.
    fn exp2(self) -> Self;
    /// e to the power of this, minus 1, exact near 0.
    fn expm1(self) -> Self;
    /// The natural logarithm.
    fn log(self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    fn log10(self) -> Self;
    /// The natural logarithm of 1 plus this, exact near 0.
    fn log1p(self) -> Self;
    /// The sine.
    fn sin(self) -> Self;
    /// The cosine.
    fn cos(self) -> Self;
    /// The tangent.
    fn tan(self) -> Self;
    /// The angle with this sine.
    fn asin(self) -> Self;
    /// The angle with this cosine.
    fn acos(self) -> Self;
    /// The angle with this tangent.
    fn atan(self) -> Self;
    /// The hyperbolic sine.
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// 1 over the square of the hyperbolic cosine: the slope of tanh, of which 1 - tanh^2 has no digits far out.
    fn sech_square(self) -> Self;
    /// 1 minus the square, exact near 1 and -1.
    fn one_minus_square(self) -> Self;
    /// The inverse of the hyperbolic sine.
    fn asinh(self) -> Self;
    /// The inverse of the hyperbolic cosine.
    fn acosh(self) -> Self;
    /// The inverse of the hyperbolic tangent.
    fn atanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// 1 minus the error function, exact where that is small.
    fn erfc(self) -> Self;
    /// The inverse of the error function.
    #[inline(always)]
    fn erfinv(self) -> Self {
        inverse_error::erfinv(self)
    }
    /// The derivative of order `n` of sin(pi x) / (pi x).
    #[inline(always)]
    fn sinc(self, n: u64) -> Self {
        sinc::sinc(self, n)
    }
    /// The logarithm of the absolute value of the gamma function.
    fn lgamma(self) -> Self;
    /// The largest integer not above.
    fn floor(self) -> Self;
    /// The smallest integer not below.
    fn ceil(self) -> Self;
    /// The integer part.
    fn trunc(self) -> Self;
    /// The nearest integer, the even one of two.
    fn round(self) -> Self;

    /// Where this is `c`.
    fn eq_number(&self, c: f64) -> Self::Mask;
    /// Where this is less than `other`.
    fn lt_other(&self, other: &Self) -> Self::Mask;
    /// Where this equals `other`.
    fn eq_other(&self, other: &Self) -> Self::Mask;
    /// Where this is less than `c`.
    fn lt_number(&self, c: f64) -> Self::Mask;
    /// Where this is at most `c`.
    fn le_number(&self, c: f64) -> Self::Mask;
    /// Where this is greater than `c`.
    fn gt_number(&self, c: f64) -> Self::Mask;
    /// Where this is not a number.
    fn isnan(&self) -> Self::Mask;
    /// Where both hold.
    fn both(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// `a` where the mask holds, else `b`: chosen, so that nothing of the other leaks.
    fn choose(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// This value, and `c` where the mask holds.
    fn with(self, mask: Self::Mask, c: f64) -> Self;

    /// 1 / (1 + e^-x) with an exponential that cannot overflow.
    fn sigmoid(self) -> Self;
    /// ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|): the exponential cannot overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        let below = self.lt_number(0.0);
        self.clone().with(below, 0.0) + (-self.abs()).exp().log1p()
    }
    /// x times its sigmoid.
    #[inline(always)]
    fn silu(self) -> Self {
        let share = self.clone().sigmoid();
        part(self, share)
    }
    /// The slope of `silu`.
    #[inline(always)]
    fn silu_slope(self) -> Self {
        // Beyond the bound the slope is 0 and 1.
        let x = self.within(1000.0);
        x.clone().sigmoid() + x.clone() * x.times(0.5).sech_square().times(0.25)
    }
    /// x times the normal distribution's share below x.
    #[inline(always)]
    fn gelu(self) -> Self {
        let share = (-self.clone()).times(FRAC_1_SQRT_2).erfc().times(0.5);
        part(self, share)
    }
    /// The slope of `gelu`.
    #[inline(always)]
    fn gelu_slope(self) -> Self {
        // Beyond the bound the slope is 0 and 1.
        let x = self.within(100.0);
        let below = (-x.clone()).times(FRAC_1_SQRT_2).erfc().times(0.5);
        let density = (-x.clone().square()).times(0.5).exp().times((2.0 * PI).sqrt().recip());
        below + x * density
    }
}

/// x times a share from 0 to 1 that falls faster than x grows.
#[inline(always)]
fn part<E: Expression>(x: E, share: E) -> E {
    let none = share.eq_number(0.0);
    (x * share).with(none, 0.0)
}

macro_rules! by_number {
    ($($name:ident => $own:ident;)*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            Float::$own(self)
        }
    )* };
}

impl<T: Float> Expression for T {
    type Mask = bool;

    by_number! {
        abs => abs; sqrt => sqrt; exp => exp; exp2 => exp2; expm1 => exp_m1; log => ln; log2 => log2;
        log10 => log10; log1p => ln_1p; sin => sin; cos => cos; tan => tan; asin => asin; acos => acos;
        atan => atan; sinh => sinh; cosh => cosh; tanh => tanh; asinh => asinh; acosh => acosh; atanh => atanh;
        floor => floor; ceil => ceil; trunc => trunc; round => round_ties_even;
    }
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    /// Integer exponents go by multiplication: exact for squares and cubes, and right for negative bases.
    #[inline(always)]
    fn power(self, p: f64) -> Self {
        match p {
            0.0 => T::ONE,
            1.0 => self,
            2.0 => self * self,
            3.0 => self * self * self,
            0.5 => Float::sqrt(self),
            -1.0 => T::ONE / self,
            _ => Float::powf(self, T::of(p)),
        }
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
    fn atan2(self, x: Self) -> Self {
        Float::atan2(self, x)
    }
    /// Scaled by the larger of the two, so that no square leaves the range.
    #[inline(always)]
    fn direction(self, other: Self) -> Self {
        let (a, b) = (Float::abs(self), Float::abs(other));
        let longest = if b > a { b } else { a };
        let scale = if longest == T::ZERO { T::ONE } else { longest };
        // An infinite length leaves of each what it has of infinity.
        let infinite = longest == T::INFINITY;
        let scaled = |x: T, size: T| match (infinite, size == T::INFINITY) {
            (false, _) => x / scale,
            (true, true) => x.sign(),
            (true, false) => x * T::ZERO,
        };
        let (x, y) = (scaled(self, a), scaled(other, b));
        x / Float::sqrt(x * x + y * y + if longest == T::ZERO { T::ONE } else { T::ZERO })
    }
    #[inline(always)]
    fn over_square(self, other: Self) -> Self {
        let length = Float::hypot(self, other);
        self.direction(other) / if length == T::ZERO { T::ONE } else { length }
    }
    fn polygamma(self, n: u64) -> Self {
        T::of(special::polygamma(n, self.to_f64()))
    }
    fn erf(self) -> Self {
        T::of(special::erf(self.to_f64()))
    }
    fn erfc(self) -> Self {
        T::of(special::erfc(self.to_f64()))
    }
    fn lgamma(self) -> Self {
        T::of(special::lgamma(self.to_f64()))
    }
    /// 4 e^-2|x| / (1 + e^-2|x|)^2
    #[inline(always)]
    fn sech_square(self) -> Self {
        let e = Float::exp(T::of(-2.0) * Float::abs(self));
        let sum = T::ONE + e;
        T::of(4.0) * e / (sum * sum)
    }
    #[inline(always)]
    fn one_minus_square(self) -> Self {
        (T::ONE - self) * (T::ONE + self)
    }
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        T::ONE / self
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
    fn constant(self) -> Self {
        self
    }
    #[inline(always)]
    fn within(self, bound: f64) -> Self {
        let bound = T::of(bound);
        let x = if self > bound { bound } else { self };
        if x < -bound { -bound } else { x }
    }
    #[inline(always)]
    fn finite(self) -> Self {
        self.within(T::LARGEST.to_f64())
    }
    #[inline(always)]
    fn eq_number(&self, c: f64) -> bool {
        *self == T::of(c)
    }
    #[inline(always)]
    fn lt_other(&self, other: &Self) -> bool {
        self < other
    }
    #[inline(always)]
    fn eq_other(&self, other: &Self) -> bool {
        self == other
    }
    #[inline(always)]
    fn lt_number(&self, c: f64) -> bool {
        *self < T::of(c)
    }
    #[inline(always)]
    fn le_number(&self, c: f64) -> bool {
        *self <= T::of(c)
    }
    #[inline(always)]
    fn gt_number(&self, c: f64) -> bool {
        *self > T::of(c)
    }
    #[inline(always)]
    fn isnan(&self) -> bool {
        self.is_nan()
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
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let e = Float::exp(-Float::abs(self));
        let small = e / (T::ONE + e);
        // NaN is not above 0 and stays NaN.
        if self >= T::ZERO { T::ONE / (T::ONE + e) } else { small }
    }
}

macro_rules! by_function {
    ($($name:ident $pattern:literal;)*) => { $(
        fn $name(self) -> Self {
            self.unary($pattern)
        }
    )* };
}

impl Expression for Code {
    type Mask = Code;

    by_function! {
        abs "fabs($0)"; square "$0 * $0"; sqrt "sqrt($0)"; exp "exp($0)"; exp2 "exp2($0)"; expm1 "expm1($0)";
        log "log($0)"; log2 "log2($0)"; log10 "log10($0)"; log1p "log1p($0)"; sin "sin($0)"; cos "cos($0)";
        tan "tan($0)"; asin "asin($0)"; acos "acos($0)"; atan "atan($0)"; sinh "sinh($0)"; cosh "cosh($0)";
        tanh "tanh($0)"; asinh "asinh($0)"; acosh "acosh($0)"; atanh "atanh($0)"; erf "erf($0)";
        erfc "erfc($0)"; lgamma "lgamma($0)"; floor "floor($0)"; ceil "ceil($0)"; trunc "trunc($0)";
        round "rint($0)"; sign "sign($0)"; reciprocal "1 / $0"; sech_square "sech_square($0)";
        one_minus_square "(1 - $0) * (1 + $0)";
    }
    fn times(self, c: f64) -> Self {
        self * self.number(c)
    }
    fn plus(self, c: f64) -> Self {
        self + self.number(c)
    }
    fn power(self, p: f64) -> Self {
        match p {
            0.0 => self.number(1.0),
            1.0 => self,
            2.0 => self * self,
            3.0 => self * self * self,
            0.5 => self.sqrt(),
            -1.0 => self.reciprocal(),
            _ => Expression::pow(self, self.number(p)),
        }
    }
    fn pow(self, p: Self) -> Self {
        self.binary("pow($0, $1)", p)
    }
    fn hypot(self, other: Self) -> Self {
        self.binary("hypot($0, $1)", other)
    }
    fn atan2(self, x: Self) -> Self {
        self.binary("atan2($0, $1)", x)
    }
    fn direction(self, other: Self) -> Self {
        self.binary("direction($0, $1)", other)
    }
    fn over_square(self, other: Self) -> Self {
        self.binary("over_square($0, $1)", other)
    }
    fn polygamma(self, n: u64) -> Self {
        self.binary("polygamma($1, $0)", (n as i64).into())
    }
    fn constant(self) -> Self {
        self
    }
    fn within(self, bound: f64) -> Self {
        let bound = self.number(bound);
        Code::cuda("$0 > $1 ? $1 : $0 < -$1 ? -$1 : $0", self.dtype(), &[self, bound])
    }
    fn finite(self) -> Self {
        self.unary("within_range($0)")
    }
    fn nothing(self) -> Self {
        self.number(0.0)
    }
    fn eq_number(&self, c: f64) -> Code {
        self.test("$0 == $1", self.number(c))
    }
    fn lt_other(&self, other: &Self) -> Code {
        self.test("$0 < $1", *other)
    }
    fn eq_other(&self, other: &Self) -> Code {
        self.test("$0 == $1", *other)
    }
    fn lt_number(&self, c: f64) -> Code {
        self.test("$0 < $1", self.number(c))
    }
    fn le_number(&self, c: f64) -> Code {
        self.test("$0 <= $1", self.number(c))
    }
    fn gt_number(&self, c: f64) -> Code {
        self.test("$0 > $1", self.number(c))
    }
    fn isnan(&self) -> Code {
        self.is_nan()
    }
    fn both(a: Code, b: Code) -> Code {
        a & b
    }
    fn choose(mask: Code, a: Self, b: Self) -> Self {
        Code::cuda("$0 ? $1 : $2", a.dtype(), &[mask, a, b])
    }
    fn with(self, mask: Code, c: f64) -> Self {
        Code::choose(mask, self.number(c), self)
    }
    fn sigmoid(self) -> Self {
        let e = (-self.abs()).exp();
        e.with(self.gt_number(0.0), 1.0) / Expression::plus(e, 1.0)
    }
}
