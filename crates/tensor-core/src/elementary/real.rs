//! What functions of elements are made of: operations of one instruction each, over f32 and f64 alike.

use crate::element::Float;

/// A floating-point type, its bits as an integer, and its limits.
pub trait Real: Float {
    /// The integer of the same width: i32 or i64.
    type Bits: Bits;
    /// Bits of the mantissa that are stored: 23 or 52.
    const MANTISSA: u32;
    /// The exponent of 1, as it is stored: 127 or 1023.
    const BIAS: i32;
    /// 1.5 2^MANTISSA: what is added to it is rounded to an integer, which then stands in the lowest bits.
    const ROUNDER: Self;
    /// The smallest number with a full mantissa.
    const SMALLEST_NORMAL: Self;

    /// The size of this with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// The smaller of both; the bound where this is NaN.
    fn at_most(self, bound: Self) -> Self;
    /// The larger of both; the bound where this is NaN.
    fn at_least(self, bound: Self) -> Self;
    fn to_bits(self) -> Self::Bits;
    fn from_bits(bits: Self::Bits) -> Self;
}

/// The bits of a number as a signed integer.
pub trait Bits: Copy + PartialEq + PartialOrd + 'static {
    fn of(x: i64) -> Self;
    fn plus(self, y: Self) -> Self;
    fn minus(self, y: Self) -> Self;
    fn and(self, y: Self) -> Self;
    fn or(self, y: Self) -> Self;
    fn xor(self, y: Self) -> Self;
    fn shl(self, by: u32) -> Self;
    /// The sign is shifted in.
    fn shr(self, by: u32) -> Self;
}

macro_rules! real {
    ($T:ident $I:ident $U:ident $mantissa:literal $bias:literal) => {
        impl Real for $T {
            type Bits = $I;
            const MANTISSA: u32 = $mantissa;
            const BIAS: i32 = $bias;
            const ROUNDER: Self = 1.5 * (1u64 << $mantissa) as $T;
            const SMALLEST_NORMAL: Self = $T::MIN_POSITIVE;

            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                $T::copysign(self, sign)
            }
            #[inline(always)]
            fn at_most(self, bound: Self) -> Self {
                if self < bound { self } else { bound }
            }
            #[inline(always)]
            fn at_least(self, bound: Self) -> Self {
                if self > bound { self } else { bound }
            }
            #[inline(always)]
            fn to_bits(self) -> $I {
                $T::to_bits(self) as $I
            }
            #[inline(always)]
            fn from_bits(bits: $I) -> Self {
                $T::from_bits(bits as $U)
            }
        }

        impl Bits for $I {
            #[inline(always)]
            fn of(x: i64) -> Self {
                x as $I
            }
            #[inline(always)]
            fn plus(self, y: Self) -> Self {
                self.wrapping_add(y)
            }
            #[inline(always)]
            fn minus(self, y: Self) -> Self {
                self.wrapping_sub(y)
            }
            #[inline(always)]
            fn and(self, y: Self) -> Self {
                self & y
            }
            #[inline(always)]
            fn or(self, y: Self) -> Self {
                self | y
            }
            #[inline(always)]
            fn xor(self, y: Self) -> Self {
                self ^ y
            }
            #[inline(always)]
            fn shl(self, by: u32) -> Self {
                self << by
            }
            #[inline(always)]
            fn shr(self, by: u32) -> Self {
                self >> by
            }
        }
    };
}
real!(f32 i32 u32 23 127);
real!(f64 i64 u64 52 1023);

/// c[0] + c[1] x + c[2] x^2 + .. for up to 32 coefficients: Horner's scheme in x^2 for the even and the odd powers, in x^4
/// for long ones. A processor is at several steps of a loop at once, so few operations matter more than short chains.
/// Written in steps that the compiler sees through without unrolling a loop, which comes too late for loops around it to
/// be vectorised.
#[inline(always)]
pub fn polynomial<T: Real, const N: usize>(x: T, c: [T; N]) -> T {
    // c[first] + c[first + step] y + c[first + 2 step] y^2 + ..
    macro_rules! powers {
        ($y:expr, $first:literal by $step:literal: $($i:literal)*) => {{
            let mut sum = T::ZERO;
            $(if $first + $i < N {
                sum = if $first + $i + $step < N { $y.mul_add(sum, c[$first + $i]) } else { c[$first + $i] };
            })*
            sum
        }};
    }
    const { assert!(1 <= N && N <= 32) }
    let square = x * x;
    // The first two by themselves: what the others round weighs less.
    let start = if N > 1 { x.mul_add(c[1], c[0]) } else { c[0] };
    if N <= 2 {
        return start;
    }
    if N <= 11 {
        let even = powers!(square, 2 by 2: 8 6 4 2 0);
        let odd = powers!(square, 3 by 2: 8 6 4 2 0);
        return square.mul_add(if N > 3 { x.mul_add(odd, even) } else { even }, start);
    }
    let fourth = square * square;
    let first = powers!(fourth, 4 by 4: 24 20 16 12 8 4 0);
    let second = powers!(fourth, 5 by 4: 24 20 16 12 8 4 0);
    let third = powers!(fourth, 2 by 4: 28 24 20 16 12 8 4 0);
    let last = powers!(fourth, 3 by 4: 28 24 20 16 12 8 4 0);
    let middle = square.mul_add(x.mul_add(last, third), start);
    fourth.mul_add(x.mul_add(second, first), middle)
}

/// The smaller of both; NaN stays.
#[inline(always)]
pub fn capped<T: Real>(x: T, bound: T) -> T {
    if bound < x { bound } else { x }
}

/// The larger of both; NaN stays.
#[inline(always)]
pub fn floored<T: Real>(x: T, bound: T) -> T {
    if bound > x { bound } else { x }
}
