//! The arithmetic of the element types: f32, f64, i64 and bool.

use crate::element::{DType, EachFloat, EachNumber, Element, Float, ForFloat, ForNumber, Number, Scalar};

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    #[inline]
    fn to_scalar(self) -> Scalar {
        Scalar::Bool(self)
    }
    #[inline]
    fn from_scalar(x: Scalar) -> Self {
        match x {
            Scalar::Float(x) => x != 0.0,
            Scalar::Int(x) => x != 0,
            Scalar::Bool(x) => x,
        }
    }
}

impl Element for i64 {
    const DTYPE: DType = DType::I64;
    #[inline]
    fn to_scalar(self) -> Scalar {
        Scalar::Int(self)
    }
    #[inline]
    fn from_scalar(x: Scalar) -> Self {
        match x {
            Scalar::Float(x) => x as i64,
            Scalar::Int(x) => x,
            Scalar::Bool(x) => x as i64,
        }
    }
}

impl Number for i64 {
    #[inline(always)]
    fn of_numbers<F: ForNumber>(each: &EachNumber<F>) -> &F::Of<Self> {
        &each.i64
    }
    const ZERO: Self = 0;
    const ONE: Self = 1;
    const LOWEST: Self = i64::MIN;
    const HIGHEST: Self = i64::MAX;
    #[inline]
    fn plus(self, y: Self) -> Self {
        self.wrapping_add(y)
    }
    #[inline]
    fn minus(self, y: Self) -> Self {
        self.wrapping_sub(y)
    }
    #[inline]
    fn times(self, y: Self) -> Self {
        self.wrapping_mul(y)
    }
    #[inline]
    fn negated(self) -> Self {
        self.wrapping_neg()
    }
    #[inline]
    fn floor_divide(self, y: Self) -> Self {
        let exact = self.wrapping_rem(y) == 0 || (self < 0) == (y < 0);
        self.wrapping_div(y).wrapping_sub(i64::from(!exact))
    }
    #[inline]
    fn remainder(self, y: Self) -> Self {
        let rest = self.wrapping_rem(y);
        if rest != 0 && (rest < 0) != (y < 0) { rest.wrapping_add(y) } else { rest }
    }
    #[inline]
    fn trunc_divide(self, y: Self) -> Self {
        self.wrapping_div(y)
    }
    #[inline]
    fn fmod(self, y: Self) -> Self {
        self.wrapping_rem(y)
    }
    #[inline]
    fn magnitude(self) -> Self {
        self.wrapping_abs()
    }
    #[inline]
    fn from_i64(n: i64) -> Self {
        n
    }
    #[inline]
    fn to_f64(self) -> f64 {
        self as f64
    }
}

/// Methods of the type itself, under the same name.
macro_rules! own_methods {
    ($T:ident: $($name:ident)*) => { $(
        #[inline]
        fn $name(self) -> Self {
            $T::$name(self)
        }
    )* };
}

/// Where 1 + x is x in both float types, and the square of x is still finite in both.
const FAR: f64 = 1e17;

/// The two float types differ in nothing but their names.
macro_rules! float {
    ($T:ident, $dtype:expr) => {
        impl Element for $T {
            const DTYPE: DType = $dtype;
            #[inline]
            fn to_scalar(self) -> Scalar {
                Scalar::Float(self as f64)
            }
            #[inline]
            fn from_scalar(x: Scalar) -> Self {
                match x {
                    Scalar::Float(x) => x as $T,
                    Scalar::Int(x) => x as $T,
                    Scalar::Bool(x) => x as u8 as $T,
                }
            }
            #[inline]
            fn is_nan(self) -> bool {
                self != self
            }
        }

        impl Number for $T {
            #[inline(always)]
            fn of_numbers<F: ForNumber>(each: &EachNumber<F>) -> &F::Of<Self> {
                &each.$T
            }
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = $T::NEG_INFINITY;
            const HIGHEST: Self = $T::INFINITY;
            #[inline]
            fn plus(self, y: Self) -> Self {
                self + y
            }
            #[inline]
            fn minus(self, y: Self) -> Self {
                self - y
            }
            #[inline]
            fn times(self, y: Self) -> Self {
                self * y
            }
            #[inline]
            fn negated(self) -> Self {
                -self
            }
            #[inline]
            fn floor_divide(self, y: Self) -> Self {
                let rest = self % y;
                // One below the quotient rounded towards 0, where that is not exact and below 0.
                let below = if rest != 0.0 && (rest < 0.0) != (y < 0.0) { 1.0 } else { 0.0 };
                self.trunc_divide(y) - below
            }
            #[inline]
            fn remainder(self, y: Self) -> Self {
                let rest = self % y;
                match rest {
                    0.0 => rest.copysign(y),
                    _ if (rest < 0.0) != (y < 0.0) => rest + y,
                    _ => rest,
                }
            }
            #[inline]
            fn trunc_divide(self, y: Self) -> Self {
                // Rounding may have moved the quotient by less than a half; the quotient as it is has the sign of
                // zero, and the infinity of a divisor that is 0.
                let quotient = ((self - self % y) / y).round();
                if y == 0.0 { self / y } else { quotient.copysign(self / y) }
            }
            #[inline]
            fn fmod(self, y: Self) -> Self {
                self % y
            }
            #[inline]
            fn magnitude(self) -> Self {
                $T::abs(self)
            }
            #[inline]
            fn from_i64(n: i64) -> Self {
                n as $T
            }
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }

        impl Float for $T {
            #[inline(always)]
            fn of_floats<F: ForFloat>(each: &EachFloat<F>) -> &F::Of<Self> {
                &each.$T
            }
            const EPSILON: Self = $T::EPSILON;
            const NAN: Self = $T::NAN;
            const INFINITY: Self = $T::INFINITY;
            const LARGEST: Self = $T::MAX;
            #[inline]
            fn of(x: f64) -> Self {
                x as $T
            }
            #[inline]
            fn is_finite(self) -> bool {
                $T::is_finite(self)
            }
            #[inline]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $T::mul_add(self, a, b)
            }
            own_methods!($T: sqrt abs exp exp2 exp_m1 ln log2 log10 ln_1p sin cos tan asin acos atan);
            own_methods!($T: sinh cosh tanh floor ceil trunc round_ties_even);
            // The three below are within a few units of the last place over the whole range, as the standard
            // library's are not: signs are folded, and nothing is added to 1 or taken from it that 1 swallows.
            /// sign(x) ln(|x| + sqrt(x^2 + 1)), which far out is ln |x| + ln 2.
            #[inline]
            fn asinh(self) -> Self {
                let a = $T::abs(self);
                let far = a > FAR as $T;
                let above = if far { a } else { a + a * a / ((a * a + 1.0).sqrt() + 1.0) };
                (above.ln_1p() + if far { std::$T::consts::LN_2 } else { 0.0 }).copysign(self)
            }
            /// ln(x + sqrt(x - 1) sqrt(x + 1)), which far out is ln x + ln 2.
            #[inline]
            fn acosh(self) -> Self {
                let far = self > FAR as $T;
                let t = self - 1.0;
                let above = if far { self } else { t + t.sqrt() * (self + 1.0).sqrt() };
                above.ln_1p() + if far { std::$T::consts::LN_2 } else { 0.0 }
            }
            /// sign(x) ln((1 + |x|) / (1 - |x|)) / 2
            #[inline]
            fn atanh(self) -> Self {
                let a = $T::abs(self);
                (0.5 * (2.0 * a / (1.0 - a)).ln_1p()).copysign(self)
            }
            #[inline]
            fn atan2(self, x: Self) -> Self {
                $T::atan2(self, x)
            }
            #[inline]
            fn hypot(self, y: Self) -> Self {
                $T::hypot(self, y)
            }
            #[inline]
            fn powf(self, p: Self) -> Self {
                $T::powf(self, p)
            }
            #[inline]
            fn powi(self, p: i32) -> Self {
                $T::powi(self, p)
            }
        }
    };
}
float!(f32, DType::F32);
float!(f64, DType::F64);
