//! Powers. Coefficients are fitted by `tests/accuracy/fit/power.py`.

use super::exponential::exp_near_zero;
use super::logarithm::{Logarithm, split};
use super::real::{Bits, capped, floored, polynomial};

/// The constants of the powers of a type.
pub trait Power: Logarithm {
    /// 1/12 as a number and what it lacks.
    const TWELFTH: [Self; 2];
    /// 2^MANTISSA: whole numbers only from here on.
    const ALL_WHOLE: Self;

    /// ((log((1 + s / 2) / (1 - s / 2)) - s) / s^3 - 1 / 12) / z, z = s^2, for
    /// |s| <= 2 (sqrt(2) - 1) / (sqrt(2) + 1).
    fn power_tail(z: Self) -> Self;
}

impl Power for f32 {
    const TWELFTH: [f32; 2] = [0.083333336, -2.483527e-9];
    const ALL_WHOLE: f32 = 8388608.0;

    #[inline(always)]
    fn power_tail(z: f32) -> f32 {
        // Minimax, error relative to the logarithm 2^-36.6.
        polynomial(z, [0.012500048, 0.0022302442, 0.0004573983])
    }
}

impl Power for f64 {
    const TWELFTH: [f64; 2] = [0.08333333333333333, 4.625929269271485e-18];
    const ALL_WHOLE: f64 = 4503599627370496.0;

    #[inline(always)]
    fn power_tail(z: f64) -> f64 {
        // Minimax, error relative to the logarithm 2^-66.3.
        polynomial(
            z,
            [
                0.012499999999999994, 0.0022321428571441503, 0.00043402777768621395, 8.877841245410255e-5,
                1.8779976625133338e-5, 4.0699213212519766e-6, 8.907167635171151e-7, 2.2867480845795987e-7,
            ],
        )
    }
}

/// log(x) for x > 0, finite, in two parts with twelve bits and more beyond those of T.
#[inline(always)]
fn log_in_two<T: Power>(x: T) -> (T, T) {
    let (k, f) = split(x);
    // s = 2 f / (2 + f) in two parts.
    let two = T::of(2.0);
    let d = two + f;
    let d_low = f - (d - two);
    let inverse = T::ONE / d;
    let n = f + f;
    let s = n * inverse;
    let s_low = s.mul_add(-d_low, s.mul_add(-d, n)) * inverse;
    // z = s^2, q = 1/12 + z tail, s z q: each in two parts (Dekker 1971).
    let z = s * s;
    let z_low = s.mul_add(s, -z) + (s + s) * s_low;
    let tail = z * T::power_tail(z);
    let q = T::TWELFTH[0] + tail;
    let q_low = ((T::TWELFTH[0] - q) + tail) + T::TWELFTH[1];
    let p = z * q;
    let p_low = z.mul_add(q, -p) + z.mul_add(q_low, z_low * q);
    let w = s * p;
    let w_low = s.mul_add(p, -w) + s.mul_add(p_low, s_low * p);
    let high = s + w;
    let low = ((s - high) + w) + (w_low + s_low);
    // And k ln 2.
    let sum = k.mul_add(T::LN_2_SHORT[0], high);
    let lost = k.mul_add(T::LN_2_SHORT[0], -sum) + high;
    (sum, lost + k.mul_add(T::LN_2_SHORT[1], low))
}

/// Whether x has no fraction; also of infinity.
#[inline(always)]
fn whole<T: Power>(x: T) -> bool {
    let x = x.abs();
    (x >= T::ALL_WHOLE) | ((x + T::ALL_WHOLE) - T::ALL_WHOLE == x)
}

/// a^b, with the special cases of C's pow.
#[inline(always)]
pub fn pow<T: Power>(a: T, b: T) -> T {
    let size = a.abs();
    let (high, low) = log_in_two(size);
    let high = if size == T::ZERO { -T::INFINITY } else { high };
    let high = if size < T::INFINITY { high } else { size };
    // b log a in two parts, the second of no meaning where the result is 0 or infinite.
    let product = b * high;
    let t = floored(capped(product, T::EXP_MOST + T::of(0.3)), T::EXP_LEAST);
    let rest = b.mul_add(high, -product) + b * low;
    let rest = if t == product { rest } else { T::ZERO };
    // e^(t + rest).
    let sum = t.mul_add(T::LOG2_E, T::ROUNDER);
    let k = sum - T::ROUNDER;
    let near = k.mul_add(-T::LN_2[0], t);
    let rest = k.mul_add(-T::LN_2[1], rest);
    let r = near + rest;
    let y = exp_near_zero(r, (near - r) + rest);
    // Into the exponent goes k, less 1 or more LIFT where that might leave the normal numbers.
    let (small, large) = (t < T::EXP_NORMAL, t > T::EXP_MOST - T::of(2.0));
    let shift = if small { T::Bits::of(T::LIFT << T::MANTISSA) } else { T::Bits::of(0) };
    let shift = if large { T::Bits::of(-(1 << T::MANTISSA)) } else { shift };
    let factor = if small { T::LOWER } else { T::ONE };
    let factor = if large { T::of(2.0) } else { factor };
    let y = T::from_bits(y.to_bits().plus(sum.to_bits().shl(T::MANTISSA).plus(shift))) * factor;
    // NaN went through the exponent.
    let y = if product.abs() <= T::INFINITY { y } else { T::NAN };
    // Below zero only whole powers exist, and odd ones have the sign.
    let integer = whole(b);
    let odd = integer & !whole(T::of(0.5) * b);
    let y = if (a < T::ZERO) & (size < T::INFINITY) & !integer { T::NAN } else { y };
    let y = if odd { y.copysign(a) } else { y };
    // 1, even of NaN.
    let one = (b == T::ZERO) | (a == T::ONE) | ((size == T::ONE) & (b.abs() == T::INFINITY));
    if one { T::ONE } else { y }
}
