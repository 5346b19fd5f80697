//! Exponentials, and what is made of them. Coefficients are fitted by `tests/accuracy/fit/exponential.py`.

use super::real::{Bits, Real, capped, floored, polynomial};

/// The constants of the exponentials of a type.
pub trait Exponential: Real {
    const LOG2_E: Self;
    /// ln 2 as a number and what it lacks (Cody and Waite 1980); k times the first, subtracted in one step, is exact.
    const LN_2: [Self; 2];
    /// e^x rounds to zero below.
    const EXP_LEAST: Self;
    /// e^x is normal above, with 2^k in its range.
    const EXP_NORMAL: Self;
    /// The same for 2^x, which is infinite from the third.
    const EXP2_LEAST: Self;
    const EXP2_NORMAL: Self;
    const EXP2_INFINITE: Self;
    /// e^x is finite up to here.
    const EXP_MOST: Self;
    /// sinh(x) and cosh(x) are finite up to here.
    const SINH_MOST: Self;
    /// 1 - e^-x and tanh(x) round to 1 above.
    const SATURATED: Self;
    /// 2^LIFT takes subnormal numbers far into the normal ones.
    const LIFT: i64;
    /// 2^-LIFT.
    const LOWER: Self;

    /// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2.
    fn exp_tail(r: Self) -> Self;
    /// (e^r - 1 - r - r^2 / 2) / r^3 there, for where e^r - 1 matters.
    fn exp_cubic(r: Self) -> Self;
}

impl Exponential for f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN_2: [f32; 2] = [std::f32::consts::LN_2, -1.9046542e-9];
    const EXP_LEAST: f32 = -104.0;
    const EXP_NORMAL: f32 = -86.5;
    const EXP2_LEAST: f32 = -150.0;
    const EXP2_NORMAL: f32 = -125.0;
    const EXP2_INFINITE: f32 = 128.0;
    const EXP_MOST: f32 = 88.72283;
    const SINH_MOST: f32 = 89.41599;
    const SATURATED: f32 = 18.0;
    const LIFT: i64 = 32;
    const LOWER: f32 = 1.0 / (1u64 << 32) as f32;

    #[inline(always)]
    fn exp_tail(r: f32) -> f32 {
        // Minimax, error relative to e^r 2^-30.9.
        polynomial(r, [0.5, 0.16666648, 0.04166648, 0.008337814, 0.0013933264, 0.00017366861])
    }

    #[inline(always)]
    fn exp_cubic(r: f32) -> f32 {
        // Minimax, error relative to e^r - 1 2^-29.8.
        polynomial(r, [0.16666666, 0.04166648, 0.008333419, 0.001393325, 0.00019824054])
    }
}

impl Exponential for f64 {
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const LN_2: [f64; 2] = [std::f64::consts::LN_2, 2.3190468138462996e-17];
    const EXP_LEAST: f64 = -746.0;
    const EXP_NORMAL: f64 = -708.0;
    const EXP2_LEAST: f64 = -1076.0;
    const EXP2_NORMAL: f64 = -1021.0;
    const EXP2_INFINITE: f64 = 1024.0;
    const EXP_MOST: f64 = 709.782712893384;
    const SINH_MOST: f64 = 710.4758600739439;
    const SATURATED: f64 = 40.0;
    const LIFT: i64 = 64;
    const LOWER: f64 = 1.0 / (1u128 << 64) as f64;

    #[inline(always)]
    fn exp_tail(r: f64) -> f64 {
        // Minimax, error relative to e^r 2^-56.4.
        polynomial(
            r,
            [
                0.5000000000000011, 0.16666666666666413, 0.04166666666653013, 0.008333333333494454,
                0.0013888888943634442, 0.00019841269506529148, 2.480149309657726e-5, 2.755758646294425e-6,
                2.7630248637181313e-7, 2.5000022312139065e-8,
            ],
        )
    }

    #[inline(always)]
    fn exp_cubic(r: f64) -> f64 {
        // Minimax, error relative to e^r - 1 2^-59.2.
        polynomial(
            r,
            [
                0.16666666666666677, 0.04166666666666658, 0.008333333333322162, 0.0013888888888942497,
                0.00019841269884939128, 2.4801587198603904e-5, 2.7557245297513505e-6, 2.755738668803285e-7,
                2.5108685346839473e-8, 2.0879028265344385e-9,
            ],
        )
    }
}

/// k = x / ln 2 to the nearest: its bits are the lowest of the second, which is k + ROUNDER + BIAS.
#[inline(always)]
fn halvings<T: Exponential>(x: T) -> (T, T) {
    let rounder = T::ROUNDER + T::of(T::BIAS as f64);
    let sum = x.mul_add(T::LOG2_E, rounder);
    (sum - rounder, sum)
}

/// x less k ln 2, where the bits of the first are those of k + ROUNDER + BIAS, in two parts.
#[inline(always)]
fn reduced<T: Exponential>(x: T) -> (T, T, T) {
    let (k, sum) = halvings(x);
    let near = k.mul_add(-T::LN_2[0], x);
    let r = k.mul_add(-T::LN_2[1], near);
    (sum, r, k.mul_add(-T::LN_2[1], near - r))
}

/// e^x = 2^k (1 + high + low), high + low with some bits more than T has.
#[inline(always)]
fn parts<T: Exponential>(x: T) -> (T, T, T) {
    let (sum, r, r_low) = reduced(x);
    let rest = (r * r).mul_add(r.mul_add(T::exp_cubic(r), T::of(0.5)), r_low);
    let high = r + rest;
    (sum, high, (r - high) + rest)
}

/// The same with more bits, while low may be a hundredth of high.
#[inline(always)]
fn finer_parts<T: Exponential>(x: T) -> (T, T, T) {
    let (sum, r, r_low) = reduced(x);
    let half = T::of(0.5) * r;
    let high = half.mul_add(r, r);
    let low = half.mul_add(r, r - high) + r_low;
    (sum, high, (r * r * r).mul_add(T::exp_cubic(r), low))
}

/// base + scale (high + low) in two parts, for scale a power of two and base the larger.
#[inline(always)]
fn scaled_sum<T: Real>(base: T, scale: T, high: T, low: T) -> (T, T) {
    let sum = scale.mul_add(high, base);
    (sum, scale.mul_add(low, scale.mul_add(high, base - sum)))
}

/// k = x / ln 2 to the nearest, and 2^k as two factors: one alone may be no normal number.
#[inline(always)]
pub(super) fn scales<T: Exponential>(x: T) -> (T, [T; 2]) {
    // The lowest bits of the sums are k + 2 BIAS and about k / 2 + BIAS.
    let bias = T::of(T::BIAS as f64);
    let rounder = T::ROUNDER + (bias + bias);
    let sum = x.mul_add(T::LOG2_E, rounder);
    let half = x.mul_add(T::of(0.5) * T::LOG2_E, T::ROUNDER + bias).to_bits();
    let scale = |bits: T::Bits| T::from_bits(bits.shl(T::MANTISSA));
    (sum - rounder, [scale(half), scale(sum.to_bits().minus(half))])
}

/// e^x.
#[inline(always)]
pub fn exp<T: Exponential>(x: T) -> T {
    // Beyond these bounds the factors make it 0 and infinity.
    let x = floored(capped(x, T::EXP_MOST + T::of(0.3)), T::EXP_LEAST);
    let (k, scale) = scales(x);
    let r = k.mul_add(-T::LN_2[1], k.mul_add(-T::LN_2[0], x));
    exp_near_zero(r, T::ZERO) * scale[0] * scale[1]
}

/// e^(r + r_low) for |r| <= ln 2 / 2.
#[inline(always)]
pub(super) fn exp_near_zero<T: Exponential>(r: T, r_low: T) -> T {
    // 1 + r in two parts, so that only the last sum rounds in the last place.
    let high = T::ONE + r;
    let low = ((T::ONE - high) + r) + r_low;
    high + (r * r).mul_add(T::exp_tail(r), low)
}

/// y 2^k, with k in the lowest bits of sum; small tells that the result may be subnormal.
#[inline(always)]
pub(super) fn times_power_of_two<T: Exponential>(y: T, sum: T, small: bool) -> T {
    // Into the exponent goes k; where that would leave the normal numbers, more, which a product takes back.
    let lift = if small { T::Bits::of(T::LIFT << T::MANTISSA) } else { T::Bits::of(0) };
    let y = T::from_bits(y.to_bits().plus(sum.to_bits().shl(T::MANTISSA).plus(lift)));
    if small { y * T::LOWER } else { y }
}

/// 2^x.
#[inline(always)]
pub fn exp2<T: Exponential>(x: T) -> T {
    let bounded = floored(x, T::EXP2_LEAST);
    let sum = bounded + T::ROUNDER;
    let part = bounded - (sum - T::ROUNDER);
    let r = part * T::LN_2[0];
    let r_low = part.mul_add(T::LN_2[0], -r) + part * T::LN_2[1];
    let y = times_power_of_two(exp_near_zero(r, r_low), sum, bounded < T::EXP2_NORMAL);
    if x < T::EXP2_INFINITE { y } else { x + T::INFINITY }
}

/// e^x - 1.
#[inline(always)]
pub fn expm1<T: Exponential>(x: T) -> T {
    let bounded = floored(x, -T::SATURATED);
    let (sum, high, low) = finer_parts(bounded);
    // 2^1024 is no number: half of it, and the result twice.
    let large = bounded > T::EXP_MOST - T::of(2.0);
    let lower = if large { T::Bits::of(1 << T::MANTISSA) } else { T::Bits::of(0) };
    let scale = T::from_bits(sum.to_bits().shl(T::MANTISSA).minus(lower));
    // (2^k - 1) + 2^k (e^r - 1), of which the first is the larger.
    let whole = scale - T::ONE;
    let shift = whole - scale;
    let whole_low = (scale - (whole - shift)) - (T::ONE + shift);
    let (y, y_low) = scaled_sum(whole, scale, high, low);
    let y = y + (y_low + whole_low);
    let y = if large { y + y } else { y };
    // -0 stays.
    let y = y.copysign(x);
    if x <= T::EXP_MOST { y } else { x + T::INFINITY }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub fn sigmoid<T: Exponential>(x: T) -> T {
    let (y, y_low, scale, _) = scaled_sigmoid(floored(x, T::EXP_LEAST));
    (y + y_low) * (scale[0] * scale[1])
}

/// 1 / (1 + e^-x) for x from EXP_LEAST on, in two parts and two factors,
/// and e^-r - 1 where x = k ln 2 + r.
#[inline(always)]
pub(super) fn scaled_sigmoid<T: Exponential>(x: T) -> (T, T, [T; 2], T) {
    // 2^k / (2^k + e^-r), x = k ln 2 + r: of no sign of x nothing cancels.
    let x = capped(x, T::of(2.0) * T::SATURATED);
    let (k, scale) = scales(x);
    let r = k.mul_add(-T::LN_2[1], k.mul_add(-T::LN_2[0], x));
    let e = (r * r).mul_add(T::exp_tail(-r), -r);
    let power = scale[0] * scale[1];
    let whole = T::ONE + power;
    let whole_low = power - (whole - T::ONE);
    let d = whole + e;
    let d_low = (e - (d - whole)) + whole_low;
    let y = T::ONE / d;
    (y, y * y.mul_add(-d_low, y.mul_add(-d, T::ONE)), scale, e)
}

/// The quotient of two numbers in two parts each: one step of Newton corrects that of the leading parts.
#[inline(always)]
pub(super) fn quotient<T: Real>((n, n_low): (T, T), (d, d_low): (T, T)) -> (T, T) {
    let inverse = T::ONE / d;
    let q = n * inverse;
    (q, q.mul_add(-d_low, q.mul_add(-d, n) + n_low) * inverse)
}

/// The sum of the parts of the quotient.
#[inline(always)]
fn quotient_rounded<T: Real>((n, n_low): (T, T), (d, d_low): (T, T)) -> T {
    let inverse = T::ONE / d;
    let q = n * inverse;
    q.mul_add(-d_low, q.mul_add(-d, n) + n_low).mul_add(inverse, q)
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh<T: Exponential>(x: T) -> T {
    // (e^2a - 1) / (e^2a + 1), a = |x|, with e^2a = 2^k (1 + e).
    let a = capped(x.abs(), T::SATURATED);
    let (k, sum) = halvings(a + a);
    let r = k.mul_add(-T::LN_2[1], k.mul_add(-T::LN_2[0], a + a));
    let rest = (r * r) * r.mul_add(T::exp_cubic(r), T::of(0.5));
    let e = r + rest;
    let e_low = (r - e) + rest;
    let scale = T::from_bits(sum.to_bits().shl(T::MANTISSA));
    // 2^k - 1 is taken from 2^k + 1: an error that both have does not matter.
    let above = scale + T::ONE;
    let below = above - T::of(2.0);
    let (n, n_low) = scaled_sum(below, scale, e, e_low);
    let d = scaled_sum(above, scale, e, e_low);
    quotient_rounded((n, n_low), d).copysign(x)
}

/// 2^(k - 1), high and low with e^a / 2 = 2^(k - 1) (1 + high + low) for a >= 0; 2^(k - 2) where large.
#[inline(always)]
fn half_exp<T: Exponential>(a: T, large: bool) -> (T, T, T) {
    let (sum, high, low) = parts(a);
    let lower = T::Bits::of(if large { 2 << T::MANTISSA } else { 1 << T::MANTISSA });
    let scale = T::from_bits(sum.to_bits().shl(T::MANTISSA).minus(lower));
    (scale, high, low)
}

/// The hyperbolic sine.
#[inline(always)]
pub fn sinh<T: Exponential>(x: T) -> T {
    // h + h / (2 h + 1), h = (e^|x| - 1) / 2: nothing cancels. For large |x| half of it, and the result twice.
    let a = x.abs();
    let large = a > T::EXP_MOST - T::of(2.0);
    let (scale, high, low) = half_exp(a, large);
    let half = T::of(0.5);
    let whole = scale - half;
    let whole_low = (scale - whole) - half;
    let (h, h_low) = scaled_sum(whole, scale, high, low);
    let h_low = h_low + whole_low;
    let (q, q_low) = quotient((h, h_low), scaled_sum(scale, scale, high, low));
    let y = half.mul_add(q, h);
    let y = y + (half.mul_add(q, h - y) + half.mul_add(q_low, h_low));
    let y = if large { y + y } else { y };
    // The halves of subnormals are no numbers.
    let y = if a < T::of(1e-20) { a } else { y };
    let y = if a <= T::SINH_MOST { y } else { a + T::INFINITY };
    y.copysign(x)
}

/// The hyperbolic cosine.
#[inline(always)]
pub fn cosh<T: Exponential>(x: T) -> T {
    // e + 1 / (4 e), e = e^|x| / 2; for large |x| half of it, and the result twice.
    let a = x.abs();
    let large = a > T::EXP_MOST - T::of(2.0);
    let (scale, high, low) = half_exp(a, large);
    let (e, e_low) = scaled_sum(scale, scale, high, low);
    let (q, q_low) = quotient((T::of(0.25), T::ZERO), (e, e_low));
    let y = e + q;
    let y = y + (((e - y) + q) + (e_low + q_low));
    let y = if large { y + y } else { y };
    if a <= T::SINH_MOST { y } else { a + T::INFINITY }
}

/// 1 / cosh(x)^2, the slope of the hyperbolic tangent.
#[inline(always)]
pub fn sech_square<T: Exponential>(x: T) -> T {
    // 4 u / (1 + u)^2, u = e^-2|x| = 2^k e, where 2^k comes last: a subnormal u would be too coarse.
    let t = floored(-(x.abs() + x.abs()), T::EXP_LEAST - T::of(4.0));
    let (k, scale) = scales(t);
    let r = k.mul_add(-T::LN_2[1], k.mul_add(-T::LN_2[0], t));
    let e = T::ONE + (r * r).mul_add(T::exp_tail(r), r);
    let u = e * scale[0] * scale[1];
    let sum = T::ONE + u;
    let lost = (T::ONE - sum) + u;
    let inverse = T::ONE / sum;
    let inverse = (inverse * lost).mul_add(-inverse, inverse);
    T::of(4.0) * (e * inverse) * inverse * scale[0] * scale[1]
}
