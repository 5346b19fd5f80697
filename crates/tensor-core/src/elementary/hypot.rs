//! The length of (a, b) without overflow or underflow on the way.

use super::real::{Bits, Real};

/// sqrt(a^2 + b^2).
#[inline(always)]
pub fn hypot<T: Real>(a: T, b: T) -> T {
    let steep = b.abs() > a.abs();
    let big = if steep { b.abs() } else { a.abs() };
    let small = if steep { a.abs() } else { b.abs() };
    // Squares and their rounding errors must be normal: sizes near the ends are scaled to the middle.
    let power = |exponent: i32| T::from_bits(T::Bits::of((T::BIAS + exponent) as i64).shl(T::MANTISSA));
    let (up, down) = (T::BIAS / 2 + T::MANTISSA as i32, T::BIAS / 2 + 3);
    let large = big > power(T::BIAS / 2 - 2);
    let tiny = big < power(T::MANTISSA as i32 - T::BIAS / 2);
    let scale = if large {
        power(-down)
    } else if tiny {
        power(up)
    } else {
        T::ONE
    };
    let back = if large {
        power(down)
    } else if tiny {
        power(-up)
    } else {
        T::ONE
    };
    let (m, n) = (big * scale, small * scale);
    // The sum of the squares in two parts.
    let square = m * m;
    let square_low = m.mul_add(m, -square);
    let sum = n.mul_add(n, square);
    let sum_low = n.mul_add(n, square - sum) + square_low;
    let y = sum.sqrt();
    // Newton's correction by the remainder, over 2 y to a few bits: 1 / y within 7 in 100 by negating the exponent.
    let magic = T::Bits::of(((2 * T::BIAS as i64) << T::MANTISSA) - (1 << (T::MANTISSA - 4)));
    let inverse = T::from_bits(magic.minus(y.to_bits()));
    let step = (-y).mul_add(inverse, T::of(2.0));
    let remainder = (-y).mul_add(y, sum) + sum_low;
    let y = (remainder * T::of(0.5) * inverse).mul_add(step, y) * back;
    // As in C, an infinity wins over NaN.
    let infinite = a.abs() == T::INFINITY || b.abs() == T::INFINITY;
    if infinite { T::INFINITY } else { y }
}
