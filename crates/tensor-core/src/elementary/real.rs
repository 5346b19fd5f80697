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

/// c[0] + c[1] x + c[2] x^2 + .. for up to 32 coefficients: Estrin's scheme, in steps that the compiler sees through
/// without unrolling a loop, which comes too late for loops around it to be vectorised.
#[inline(always)]
pub fn polynomial<T: Real, const N: usize>(x: T, c: [T; N]) -> T {
    #[inline(always)]
    fn two<T: Real, const N: usize>(x: T, c: &[T; N], i: usize) -> T {
        if i + 1 < N { x.mul_add(c[i + 1], c[i]) } else { c[i] }
    }
    #[inline(always)]
    fn four<T: Real, const N: usize>(x: [T; 2], c: &[T; N], i: usize) -> T {
        if i + 2 < N { x[1].mul_add(two(x[0], c, i + 2), two(x[0], c, i)) } else { two(x[0], c, i) }
    }
    #[inline(always)]
    fn eight<T: Real, const N: usize>(x: [T; 3], c: &[T; N], i: usize) -> T {
        let low = four([x[0], x[1]], c, i);
        if i + 4 < N { x[2].mul_add(four([x[0], x[1]], c, i + 4), low) } else { low }
    }
    #[inline(always)]
    fn sixteen<T: Real, const N: usize>(x: [T; 4], c: &[T; N], i: usize) -> T {
        let low = eight([x[0], x[1], x[2]], c, i);
        if i + 8 < N { x[3].mul_add(eight([x[0], x[1], x[2]], c, i + 8), low) } else { low }
    }
    const { assert!(N <= 32) }
    let x2 = x * x;
    let x4 = x2 * x2;
    let x8 = x4 * x4;
    let low = sixteen([x, x2, x4, x8], &c, 0);
    if 16 < N { (x8 * x8).mul_add(sixteen([x, x2, x4, x8], &c, 16), low) } else { low }
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
