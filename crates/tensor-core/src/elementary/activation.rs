//! What neural networks put behind their layers. Coefficients are fitted by `tests/accuracy/fit/activation.py`.

use super::error::ErrorFunction;
use super::exponential::{scaled_sigmoid, scales};
use super::real::{capped, floored, polynomial};

/// What these functions need of a type beside the exponential.
pub trait Activation: ErrorFunction {
    /// The normal distribution's share below -x is so small from here on that x times it rounds to 0.
    const SHARE_MOST: Self;
    /// c and s of t = (x - c) / (x + c) - s.
    const SHARE_CENTRE: Self;
    const SHARE_SHIFT: Self;
    /// P(0) of P(t) = (x + c) e^(x^2 / 2) share(x), and what that number lacks.
    const SHARE_START: [Self; 2];
    /// A number of few bits near the slope of P.
    const SHARE_RISE: Self;
    /// About how much more of P(t) than of 1 / (x + c) changes with the latter, over it.
    const SHARE_SLOPE: Self;

    /// (P(t) - SHARE_START) / t - SHARE_RISE for x of 0 up to SHARE_MOST.
    fn share_rest(t: Self) -> Self;
    /// (2 atanh(v / 2) / v - 1) / z, z = v^2, for v up to 2/3.
    fn softplus_tail(z: Self) -> Self;
}

impl Activation for f32 {
    const SHARE_MOST: f32 = 14.6;
    const SHARE_CENTRE: f32 = 1.25;
    const SHARE_SHIFT: f32 = 0.25;
    const SHARE_START: [f32; 2] = [0.54339343, -5.848318e-10];
    const SHARE_RISE: f32 = -0.0625;
    const SHARE_SLOPE: f32 = 0.0;

    // Error relative to the share 2^-27.6.
    #[inline(always)]
    fn share_rest(t: f32) -> f32 {
        let c = [
            -0.091810785, -0.07936154, 0.013706003, 0.029733952, 0.011954533, -0.0040292395, -0.008399654,
            -0.0049360185, -2.6333884e-5, 0.002327579, 0.0019011523, 0.0007100534, 0.0001075019,
        ];
        polynomial(t, c)
    }
    // Error relative to softplus 2^-33.
    #[inline(always)]
    fn softplus_tail(z: f32) -> f32 {
        polynomial(z, [0.08333334, 0.012499672, 0.002235554, 0.0004188567, 0.00011835332])
    }
}

impl Activation for f64 {
    const SHARE_MOST: f64 = 39.0;
    const SHARE_CENTRE: f64 = 2.75;
    const SHARE_SHIFT: f64 = 0.0;
    const SHARE_START: [f64; 2] = [0.7189860375541092, -4.0979856426014334e-17];
    const SHARE_RISE: f64 = -0.46875;
    const SHARE_SLOPE: f64 = 4.0;

    // Error relative to the share 2^-57.
    #[inline(always)]
    fn share_rest(t: f64) -> f64 {
        let c = [
            -0.0056041265833289, 0.18233453599575944, -0.016565961731968032, -0.016448618178162726,
            0.0032103259163047196, 0.002525475294403917, -0.000297229650116581, -0.0005105484066840239,
            -5.186049309778011e-5, 9.378915753179553e-5, 4.0968680563917584e-5, -7.391449382844317e-6,
            -1.2912686004085466e-5, -3.655882100296301e-6, 1.7062520709306563e-6, 1.8344186765736509e-6,
            4.826989870650329e-7, -2.742149786633159e-7, -3.11262603222597e-7, -8.797199763042906e-8,
            5.692280927596547e-8, 5.272960793179936e-8, 4.934770440059979e-9, -8.846864300985367e-9,
            -2.7984694805700978e-9,
        ];
        polynomial(t, c)
    }
    // Error relative to softplus 2^-59.4.
    #[inline(always)]
    fn softplus_tail(z: f64) -> f64 {
        let c = [
            0.08333333333333288, 0.01250000000004871, 0.0022321428553148883, 0.00043402781169256,
            8.877804841465154e-5, 1.8782411648628722e-5, 4.0591681819577636e-6, 9.235556165238751e-7,
            1.59146195306871e-7, 8.111786414475396e-8,
        ];
        polynomial(z, c)
    }
}

/// What the normal distribution has above a, in pieces: (p + p_low) (1 + r + bend) inverse (1 + lack), times the factors.
struct Tail<T> {
    p: T,
    p_low: T,
    inverse: T,
    lack: T,
    r: T,
    bend: T,
    scale: [T; 2],
}

/// The normal distribution above a, for a of 0 up to SHARE_MOST.
#[inline(always)]
fn tail<T: Activation>(a: T) -> Tail<T> {
    // The square in two parts, for what the first lacks is a part of the whole.
    let half = T::of(0.5);
    let square = a * a;
    let square_low = a.mul_add(a, -square);
    let exponent = square * -half;
    let (k, scale) = scales(exponent);
    let near = k.mul_add(-T::LN_2[0], exponent);
    let beside = square_low.mul_add(half, k * T::LN_2[1]);
    let r = near - beside;
    let bend = (r * r) * T::exp_tail(r);
    // As for erfc (Shepherd and Laframboise 1981), P(t) over a + c, with t = (a - c) / (a + c) - s = 1 - s - 2 c / (a + c).
    let c = T::SHARE_CENTRE;
    let d = a + c;
    let d_low = a - (d - c);
    let inverse = T::ONE / d;
    let lack = inverse.mul_add(-d_low, inverse.mul_add(-d, T::ONE));
    let t = inverse.mul_add(T::of(-2.0) * c, T::ONE - T::SHARE_SHIFT);
    // What the inverse lacks, t lacks as well, and P changes with it.
    let lack = if T::SHARE_SLOPE > T::ZERO { lack.mul_add(inverse * T::SHARE_SLOPE, lack) } else { lack };
    // The product with the rise in two parts; the rest is less than a quarter of the whole.
    let [start, start_low] = T::SHARE_START;
    let p = t.mul_add(T::SHARE_RISE, start);
    let lost = t.mul_add(T::SHARE_RISE, start - p) + start_low;
    let p_low = t.mul_add(T::share_rest(t), lost);
    Tail { p, p_low, inverse, lack, r, bend, scale }
}

/// x times the normal distribution's share below x.
#[inline(always)]
pub fn gelu<T: Activation>(x: T) -> T {
    let a = capped(x.abs(), T::SHARE_MOST);
    let Tail { p, p_low, inverse, lack, r, bend, scale } = tail(a);
    // (p + p_low) (1 + r + bend) in two parts, of which the second is less than a quarter.
    let n = p.mul_add(r, p);
    let n_low = p.mul_add(bend, p.mul_add(r, p - n)) + p_low.mul_add(r + bend, p_low);
    // Times the inverse and what that lacks.
    let q = n * inverse;
    let q_low = q.mul_add(lack, inverse.mul_add(n_low, inverse.mul_add(n, -q)));
    // max(x, 0) - a share(a). No more than about half of x goes off, so that the difference from it is exact.
    let above = floored(x, T::ZERO);
    let a = -a * scale[0] * scale[1];
    let y = a.mul_add(q, above);
    let y = y + a.mul_add(q_low, a.mul_add(q, above - y));
    (if x < T::INFINITY { y } else { x }).copysign(x)
}

/// The slope of gelu: the share below x, and x times the density.
#[inline(always)]
pub fn gelu_slope<T: Activation>(x: T) -> T {
    // With a = |x|, e^(-a^2 / 2) (share(a) e^(a^2 / 2) - a / sqrt(2 pi)) where x < 0, and 1 less that elsewhere.
    let a = capped(x.abs(), T::SHARE_MOST);
    let Tail { p, p_low, inverse, lack, r, bend, scale } = tail(a);
    let p = p + p_low;
    let q = p * inverse;
    let part = q.mul_add(lack, p.mul_add(inverse, a * T::of(-0.398_942_280_401_432_7)));
    let part = part.mul_add(r + bend, part) * scale[0] * scale[1];
    let part = if a == T::ZERO { T::of(0.5) } else { part };
    if x > T::ZERO { T::ONE - part } else { part }
}

/// log(1 + e^x).
#[inline(always)]
pub fn softplus<T: Activation>(x: T) -> T {
    // max(x, 0) + log(1 + u), u = 2^k m = e^-|x|. With v = 2 u / (2 + u), log(1 + u) = 2 atanh(v / 2) = v + v^3 tail(v^2).
    let b = floored(-x.abs(), T::EXP_LEAST);
    let (k, scale) = scales(b);
    let r = k.mul_add(-T::LN_2[1], k.mul_add(-T::LN_2[0], b));
    let bend = (r * r) * T::exp_tail(r);
    let e = r + bend;
    let m = T::ONE + e;
    let m_low = (e - (m - T::ONE)) + ((r - e) + bend);
    let scale = scale[0] * scale[1];
    let u = scale * m;
    let two = T::of(2.0);
    let d = two + u;
    let d_low = scale.mul_add(m_low, u - (d - two));
    let inverse = T::ONE / d;
    // v = 2^k (q + q_low)
    let n = m + m;
    let q = n * inverse;
    let q_low = inverse * (q.mul_add(-d, n) + q.mul_add(-d_low, m_low + m_low));
    let v = scale * q;
    let z = v * v;
    let rest = (q * z).mul_add(T::softplus_tail(z), q_low);
    // The larger of both, the smaller, and what their sum lost.
    let above = floored(x, T::ZERO);
    let (large, small) = (floored(above, v), capped(above, v));
    let sum = large + small;
    let y = sum + scale.mul_add(rest, small - (sum - large));
    if x < T::INFINITY { y } else { x }
}

/// x / (1 + e^-x).
#[inline(always)]
pub fn silu<T: Activation>(x: T) -> T {
    // Far below, x e^x is 0 as well.
    let x = floored(x, T::EXP_LEAST - T::of(8.0));
    let (s, s_low, scale, _) = scaled_sigmoid(x);
    let y = x * s;
    let y_low = x.mul_add(s_low, x.mul_add(s, -y));
    let y = (y + y_low) * scale[0] * scale[1];
    (if x < T::INFINITY { y } else { x }).copysign(x)
}

/// The slope of silu, s + x s (1 - s) of the sigmoid s.
#[inline(always)]
pub fn silu_slope<T: Activation>(x: T) -> T {
    let x = capped(floored(x, T::EXP_LEAST - T::of(8.0)), T::of(2.0) * T::SATURATED);
    let (s, s_low, scale, e) = scaled_sigmoid(x);
    let s = s + s_low;
    // 1 - s = e^-r s over the factors
    let rest = e.mul_add(s, s);
    (x * rest).mul_add(s, s) * scale[0] * scale[1]
}
