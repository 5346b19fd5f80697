//! Logarithms, and what is made of them. Coefficients are fitted by `tests/accuracy/fit/logarithm.py`.

use super::exponential::{Exponential, quotient};
use super::real::{Bits, Real, polynomial};

/// The constants of the logarithms of a type.
pub trait Logarithm: Exponential {
    /// The bits of sqrt(1/2), rounded up: mantissas run from there to sqrt(2).
    const SQRT_HALF: Self::Bits;
    /// The bits of 1 less those: takes a number to the next exponent just where its mantissa passes sqrt(2).
    const TO_EXPONENT: Self::Bits;
    const MANTISSA_MASK: Self::Bits;
    const NO_SIGN: Self::Bits;
    /// The bits of 2^MANTISSA.
    const INTEGER: Self::Bits;
    /// 2^MANTISSA + BIAS, and with LIFT more.
    const EXPONENT_ZERO: [Self; 2];
    /// 2^LIFT.
    const HIGHER: Self;
    /// x^2 + 1 is x^2 for what follows from here on.
    const LARGE: Self;
    /// ln 2 and log10 2 as a number that an exponent times is exact, and the rest.
    const LN_2_SHORT: [Self; 2];
    const LOG10_2: [Self; 2];
    /// log2 e and log10 e as a number and what it lacks.
    const LOG2_E_PARTS: [Self; 2];
    const LOG10_E: [Self; 2];

    /// log(1 + f) - f + f^2 / 2 + low for sqrt(1/2) <= 1 + f <= sqrt(2).
    fn log_tail(f: Self, low: Self) -> Self;
}

impl Logarithm for f32 {
    const SQRT_HALF: i32 = 0x3f3504f4;
    const TO_EXPONENT: i32 = 0x3f800000 - 0x3f3504f4;
    const MANTISSA_MASK: i32 = 0x007fffff;
    const NO_SIGN: i32 = i32::MAX;
    const INTEGER: i32 = 150 << 23;
    const EXPONENT_ZERO: [f32; 2] = [8388608.0 + 127.0, 8388608.0 + 127.0 + 32.0];
    const HIGHER: f32 = (1u64 << 32) as f32;
    const LARGE: f32 = 16384.0;
    const LN_2_SHORT: [f32; 2] = [0.69314575, 1.4286068e-6];
    const LOG10_2: [f32; 2] = [0.3010254, 4.605039e-6];
    const LOG2_E_PARTS: [f32; 2] = [std::f32::consts::LOG2_E, 1.925963e-8];
    const LOG10_E: [f32; 2] = [std::f32::consts::LOG10_E, -1.010305e-8];

    #[inline(always)]
    fn log_tail(f: f32, low: f32) -> f32 {
        // Over f^3, minimax, error relative to log(1 + f) 2^-28.2.
        let tail = polynomial(
            f,
            [
                0.33333313, -0.2500001, 0.2000212, -0.16667998, 0.14219521, -0.12405527, 0.11888348,
                -0.116761304, 0.06746797,
            ],
        );
        (f * f * f).mul_add(tail, low)
    }
}

impl Logarithm for f64 {
    const SQRT_HALF: i64 = 0x3fe6a09e667f3bcd;
    const TO_EXPONENT: i64 = 0x3ff0000000000000 - 0x3fe6a09e667f3bcd;
    const MANTISSA_MASK: i64 = 0x000fffffffffffff;
    const NO_SIGN: i64 = i64::MAX;
    const INTEGER: i64 = 1075 << 52;
    const EXPONENT_ZERO: [f64; 2] = [4503599627370496.0 + 1023.0, 4503599627370496.0 + 1023.0 + 64.0];
    const HIGHER: f64 = (1u128 << 64) as f64;
    const LARGE: f64 = 1073741824.0;
    const LN_2_SHORT: [f64; 2] = [0.6931471805601177, -1.7239444525614835e-13];
    const LOG10_2: [f64; 2] = [0.3010299956640665, -8.532344317057107e-14];
    const LOG2_E_PARTS: [f64; 2] = [std::f64::consts::LOG2_E, 2.0355273740931033e-17];
    const LOG10_E: [f64; 2] = [std::f64::consts::LOG10_E, 1.098319650216765e-17];

    #[inline(always)]
    fn log_tail(f: f64, low: f64) -> f64 {
        // With s = f / (2 + f), f = 2 s + s f and log(1 + f) = 2 atanh(s): a quotient costs less than the twelve
        // coefficients that it saves. (2 atanh(s) / s - 2) / s^2, minimax, error relative to the logarithm 2^-58.8.
        let s = f / (2.0 + f);
        let z = s * s;
        let tail = polynomial(
            z,
            [
                0.6666666666666734, 0.39999999999413943, 0.2857142874257177, 0.22222198552630157,
                0.18183565469307805, 0.15314019550822167, 0.14796276322366694,
            ],
        );
        s.mul_add(z.mul_add(tail, 0.5 * f * f), low)
    }
}

/// x = 2^k (1 + f) for x > 0, finite. Gives k, f.
#[inline(always)]
pub(super) fn split<T: Logarithm>(x: T) -> (T, T) {
    let small = x < T::SMALLEST_NORMAL;
    let x = if small { x * T::HIGHER } else { x };
    let zero = if small { T::EXPONENT_ZERO[1] } else { T::EXPONENT_ZERO[0] };
    let (biased, f) = split_normal(x);
    (T::from_bits(biased.or(T::INTEGER)) - zero, f)
}

/// The same for normal x, with k + BIAS as bits.
#[inline(always)]
fn split_normal<T: Logarithm>(x: T) -> (T::Bits, T) {
    let bits = x.to_bits().plus(T::TO_EXPONENT);
    // Clearing the sign makes the shift one of positive numbers, which AVX2 has for 64 bits.
    let biased = bits.and(T::NO_SIGN).shr(T::MANTISSA);
    (biased, T::from_bits(bits.and(T::MANTISSA_MASK).plus(T::SQRT_HALF)) - T::ONE)
}

/// log(1 + f) in two parts.
#[inline(always)]
fn log_near_one<T: Logarithm>(f: T) -> (T, T) {
    let half = T::of(0.5) * f;
    let high = half.mul_add(-f, f);
    (high, T::log_tail(f, half.mul_add(-f, f - high)))
}

/// log(1 + f) + f_low in two parts.
#[inline(always)]
fn log_near_one_and<T: Logarithm>(f: T, f_low: T) -> (T, T) {
    let half = T::of(0.5) * f;
    let high = half.mul_add(-f, f);
    (high, T::log_tail(f, half.mul_add(-f, f - high) + f_low))
}

/// What the logarithm of x is at 0, below it, at infinity and for NaN; y elsewhere.
#[inline(always)]
fn ends<T: Real>(x: T, y: T) -> T {
    let y = if x > T::ZERO { y } else { T::NAN };
    let y = if x == T::ZERO { -T::INFINITY } else { y };
    if x < T::INFINITY { y } else { x }
}

/// k ln 2 + high + low.
#[inline(always)]
fn with_exponent<T: Logarithm>(k: T, high: T, low: T) -> T {
    let sum = k.mul_add(T::LN_2_SHORT[0], high);
    let lost = k.mul_add(T::LN_2_SHORT[0], -sum) + high;
    sum + (lost + k.mul_add(T::LN_2_SHORT[1], low))
}

/// The natural logarithm.
#[inline(always)]
pub fn log<T: Logarithm>(x: T) -> T {
    let (k, f) = split(x);
    let (high, low) = log_near_one(f);
    ends(x, with_exponent(k, high, low))
}

/// log2(x).
#[inline(always)]
pub fn log2<T: Logarithm>(x: T) -> T {
    let (k, f) = split(x);
    let (high, low) = times(log_near_one(f), T::LOG2_E_PARTS);
    let sum = k + high;
    ends(x, sum + (((k - sum) + high) + low))
}

/// log10(x).
#[inline(always)]
pub fn log10<T: Logarithm>(x: T) -> T {
    let (k, f) = split(x);
    let (high, low) = times(log_near_one(f), T::LOG10_E);
    let sum = k.mul_add(T::LOG10_2[0], high);
    let lost = k.mul_add(T::LOG10_2[0], -sum) + high;
    ends(x, sum + (lost + k.mul_add(T::LOG10_2[1], low)))
}

/// The product of two numbers in two parts each.
#[inline(always)]
pub(super) fn times<T: Real>((x, x_low): (T, T), y: [T; 2]) -> (T, T) {
    let product = x * y[0];
    (product, x.mul_add(y[0], -product) + x.mul_add(y[1], x_low * y[0]))
}

/// 1 + x for x >= -1, and what the sum lost.
#[inline(always)]
fn one_more<T: Real>(x: T) -> (T, T) {
    let sum = T::ONE + x;
    (sum, x.at_most(T::ONE) - (sum - x.at_least(T::ONE)))
}

/// log(x + low), or log(2 (x + low)), for normal x and a low far less than x.
#[inline(always)]
fn log_of_sum<T: Logarithm>(x: T, low: T, twice: bool) -> T {
    let (biased, f) = split_normal(x);
    let zero = if twice { T::EXPONENT_ZERO[0] - T::ONE } else { T::EXPONENT_ZERO[0] };
    let k = T::from_bits(biased.or(T::INTEGER)) - zero;
    // Past HIGHER, low does not matter, and 2^-k may be no number.
    let inverse = T::from_bits(T::Bits::of(2 * T::BIAS as i64).minus(biased).shl(T::MANTISSA));
    let low = if x < T::HIGHER { low * inverse } else { T::ZERO };
    // Where x + low is 1 + g with a small g that x cannot hold, this is g.
    let g = f + low;
    let (high, low) = log_near_one_and(g, (f - g) + low);
    with_exponent(k, high, low)
}

/// log(1 + x).
#[inline(always)]
pub fn log1p<T: Logarithm>(x: T) -> T {
    let (sum, lost) = one_more(x);
    ends(sum, log_of_sum(sum, lost, false).copysign(x))
}

/// The inverse hyperbolic sine.
#[inline(always)]
pub fn asinh<T: Logarithm>(x: T) -> T {
    // log(1 + a + a^2 / (1 + sqrt(a^2 + 1))), a = |x|; for large a, log(2 a).
    let a = x.abs();
    let large = a > T::LARGE;
    let square = a * a;
    let square_low = a.mul_add(a, -square);
    let root = a.mul_add(a, T::ONE).sqrt();
    let d = root + T::ONE;
    let (q, q_low) = quotient((square, square_low), (d, (root - d) + T::ONE));
    let g = a + q;
    let g_low = ((a - g) + q) + q_low;
    let (sum, lost) = one_more(g);
    let y = log_of_sum(if large { a } else { sum }, if large { T::ZERO } else { lost + g_low }, large);
    (if a < T::INFINITY { y } else { a }).copysign(x)
}

/// The inverse hyperbolic cosine.
#[inline(always)]
pub fn acosh<T: Logarithm>(x: T) -> T {
    // log(1 + t + sqrt(t^2 + 2 t)), t = x - 1; for large x, log(2 x).
    let large = x > T::LARGE;
    let t = x - T::ONE;
    let twice = t + t;
    let square = t.mul_add(t, twice);
    let square_low = t.mul_add(t, twice - square);
    let root = square.sqrt();
    let root_low = (root.mul_add(-root, square) + square_low) * (T::of(0.5) / root);
    let root_low = if root > T::ZERO { root_low } else { T::ZERO };
    let g = root + t;
    let g_low = ((root - g) + t) + root_low;
    let (sum, lost) = one_more(g);
    let y = log_of_sum(if large { x } else { sum }, if large { T::ZERO } else { lost + g_low }, large);
    let y = if x >= T::ONE { y } else { T::NAN };
    if x < T::INFINITY { y } else { x }
}

/// The inverse hyperbolic tangent.
#[inline(always)]
pub fn atanh<T: Logarithm>(x: T) -> T {
    // log(1 + 2 a / (1 - a)) / 2, a = |x|.
    let a = x.abs();
    let d = T::ONE - a;
    let (g, g_low) = quotient((a + a, T::ZERO), (d, (T::ONE - d) - a));
    let (sum, lost) = one_more(g);
    let y = T::of(0.5) * log_of_sum(sum, lost + g_low, false);
    let y = if a < T::ONE { y } else { T::NAN };
    (if a == T::ONE { T::INFINITY } else { y }).copysign(x)
}
