//! Sine, cosine, tangent and their inverses, branch-free, so that loops over them are vectorised.
//!
//! The reduction is Cody and Waite's (Software Manual for the Elementary Functions, 1980) in three parts with fused
//! multiplication; the inverses divide once and mend the quotient by its remainder (Muller, Elementary Functions).
//! All coefficients are minimax fits by tests/accuracy/fit/trigonometric.py.

use super::real::{Bits, Real, polynomial};

/// What the trigonometric functions need of a type.
pub trait Trigonometric: Real {
    /// pi / 2 in three truncated parts: a full one, one so short that its product with every k below FAR is exact,
    /// a full one. All are positive, so that the sign of zero is not lost to them.
    const HALF_PI: [Self; 3];
    /// The largest size of argument that the reduction in three parts serves.
    const FAR: Self;
    /// pi / 4 rounded, and what is left.
    const QUARTER_PI: [Self; 2];
    /// atan2: if the larger argument is below the first, both are multiplied by the second, otherwise by the third.
    const SCALES: [Self; 3];

    /// (sin r - r) / r^3 of z = r^2, |r| <= pi / 4.
    fn sine_polynomial(z: Self) -> Self;
    /// (cos r - 1 + r^2 / 2) / r^4 of z = r^2, |r| <= pi / 4.
    fn cosine_polynomial(z: Self) -> Self;
    /// (atan t - t) / t^3 of z = t^2, |t| <= tan(pi / 8).
    fn arctangent_polynomial(z: Self) -> Self;
    /// (asin t - t) / t^3 of z = t^2, |t| <= 1 / 2.
    fn arcsine_polynomial(z: Self) -> Self;
}

impl Trigonometric for f64 {
    const HALF_PI: [Self; 3] = [std::f64::consts::FRAC_PI_2, 6.12323399409214e-17, 1.6446256936324258e-26];
    // k stays below 2^22.
    const FAR: Self = 6.5e6;
    const QUARTER_PI: [Self; 2] = [std::f64::consts::FRAC_PI_4, 3.061616997868383e-17];
    const SCALES: [Self; 3] = [
        f64::from_bits((1023 + 500) << 52),
        f64::from_bits((1023 + 400) << 52),
        f64::from_bits((1023 - 200) << 52),
    ];

    // Relative error of r + r^3 p: 2^-57.8.
    #[inline(always)]
    fn sine_polynomial(z: Self) -> Self {
        let c = [
            -0.1666666666666663, 0.008333333333321844, -0.00019841269829363174, 2.7557313540527182e-06,
            -2.505073473786948e-08, 1.5895454062518488e-10,
        ];
        polynomial(z, c)
    }
    // Relative error of 1 - r^2 / 2 + r^4 p: 2^-63.9.
    #[inline(always)]
    fn cosine_polynomial(z: Self) -> Self {
        let c = [
            0.041666666666666595, -0.0013888888888873342, 2.480158728900206e-05, -2.7557314217023926e-07,
            2.08757053922462e-09, -1.1358748924722094e-11,
        ];
        polynomial(z, c)
    }
    // Relative error of t + t^3 p: 2^-59.4.
    #[inline(always)]
    fn arctangent_polynomial(z: Self) -> Self {
        let c = [
            -0.333333333333332, 0.19999999999953666, -0.14285714280198375, 0.11111110783415963,
            -0.09090897754952265, 0.07692060160571834, -0.06663103507675826, 0.058478864380502475,
            -0.05039297958379495, 0.038064566195360375, -0.01790742087401177,
        ];
        polynomial(z, c)
    }
    // Relative error of t + t^3 p: 2^-55.9.
    #[inline(always)]
    fn arcsine_polynomial(z: Self) -> Self {
        let c = [
            0.1666666666666541, 0.07500000000336517, 0.04464285682869951, 0.030381959122877892,
            0.022371758366839516, 0.01735970023549382, 0.013885278304558688, 0.012168940495546858,
            0.006529110512567103, 0.01952524931031216, -0.01621965008321714, 0.03190919737355332,
        ];
        polynomial(z, c)
    }
}

impl Trigonometric for f32 {
    #[expect(clippy::approx_constant, reason = "the first part is truncated, not rounded")]
    const HALF_PI: [Self; 3] = [1.5707963, 7.5495336e-8, 2.563344e-12];
    // k stays below 2^10.
    const FAR: Self = 1600.0;
    const QUARTER_PI: [Self; 2] = [std::f32::consts::FRAC_PI_4, -2.1855695e-8];
    const SCALES: [Self; 3] = [
        f32::from_bits((127 + 40) << 23),
        f32::from_bits((127 + 60) << 23),
        f32::from_bits((127 - 20) << 23),
    ];

    // Relative error of r + r^3 p: 2^-32.52.
    #[inline(always)]
    fn sine_polynomial(z: Self) -> Self {
        polynomial(z, [-0.16666667, 0.008333379, -0.00019853064, 2.8325155e-06])
    }
    // Relative error of 1 - r^2 / 2 + r^4 p: 2^-33.0.
    #[inline(always)]
    fn cosine_polynomial(z: Self) -> Self {
        polynomial(z, [0.041666646, -0.001388731, 2.4432371e-05])
    }
    // Relative error of t + t^3 p: 2^-30.4.
    #[inline(always)]
    fn arctangent_polynomial(z: Self) -> Self {
        polynomial(z, [-0.33333316, 0.19998528, -0.14244391, 0.10599169, -0.06090055])
    }
    // Relative error of t + t^3 p: 2^-27.6.
    #[inline(always)]
    fn arcsine_polynomial(z: Self) -> Self {
        polynomial(z, [0.16666752, 0.0749531, 0.04546903, 0.024185425, 0.042157143])
    }
}

/// Whether sin, cos and tan of x need their slow forms; infinities do, NaN does not.
#[inline(always)]
pub fn far<T: Trigonometric>(x: T) -> bool {
    x.abs() > T::FAR
}

/// r in two parts and the low bits of k, where x = k pi / 2 + r and |r| <= pi / 4.
#[inline(always)]
fn reduce<T: Trigonometric>(x: T) -> (T, T, T::Bits) {
    let t = x.mul_add(T::of(std::f64::consts::FRAC_2_PI), T::ROUNDER);
    let k = t - T::ROUNDER;
    // The first difference is exact, and so is the product of the second; `high` rounds, and `low` keeps the rest.
    let r = k.mul_add(-T::HALF_PI[0], x);
    let high = k.mul_add(-T::HALF_PI[1], r);
    let low = k.mul_add(-T::HALF_PI[1], r - high);
    (high, k.mul_add(-T::HALF_PI[2], low), t.to_bits())
}

/// sin(high + low) less high, |high| <= pi / 4.
#[inline(always)]
fn sine_rest<T: Trigonometric>(high: T, low: T, z: T) -> T {
    (high * z).mul_add(T::sine_polynomial(z), low)
}

/// cos(high + low) as a rounded number and what is left, |high| <= pi / 4.
#[inline(always)]
fn cosine_parts<T: Trigonometric>(high: T, low: T, z: T) -> (T, T) {
    // 1 - high^2 / 2 with its rounding error.
    let half = high * T::of(-0.5);
    let first = half.mul_add(high, T::ONE);
    let rest = half.mul_add(high, T::ONE - first);
    (first, (z * z).mul_add(T::cosine_polynomial(z), (-high).mul_add(low, rest)))
}

/// sin of the reduced argument plus `quarter` right angles.
#[inline(always)]
fn sine_of_quadrant<T: Trigonometric>(high: T, low: T, quadrant: T::Bits) -> T {
    let z = high * high;
    let sine = high + sine_rest(high, low, z);
    let (first, rest) = cosine_parts(high, low, z);
    let even = quadrant.and(T::Bits::of(1)) == T::Bits::of(0);
    let y = if even { sine } else { first + rest };
    // Two right angles turn the sign.
    let sign = quadrant.and(T::Bits::of(2)).shl(8 * size_of::<T>() as u32 - 2);
    T::from_bits(y.to_bits().xor(sign))
}

/// sin x; of x that is not far.
#[inline(always)]
pub fn sin<T: Trigonometric>(x: T) -> T {
    let (high, low, quadrant) = reduce(x);
    let y = sine_of_quadrant(high, low, quadrant);
    // The sums lose the sign of zero.
    if x == T::ZERO { x } else { y }
}

/// cos x; of x that is not far.
#[inline(always)]
pub fn cos<T: Trigonometric>(x: T) -> T {
    let (high, low, quadrant) = reduce(x);
    sine_of_quadrant(high, low, quadrant.plus(T::Bits::of(1)))
}

/// tan x; of x that is not far.
#[inline(always)]
pub fn tan<T: Trigonometric>(x: T) -> T {
    let (high, low, quadrant) = reduce(x);
    let z = high * high;
    // As `sine_rest`, but with the rounding errors of the cube, for the sake of the quotient.
    let cube = high * z;
    let cube_low = high.mul_add(z, -cube) + high * high.mul_add(high, -z);
    let rest = cube.mul_add(T::sine_polynomial(z), cube_low.mul_add(T::of(-1.0 / 6.0), low));
    let sine = high + rest;
    let sine = (sine, rest - (sine - high));
    let (first, rest) = cosine_parts(high, low, z);
    let cosine = first + rest;
    let cosine = (cosine, rest - (cosine - first));
    // sin / cos, or -cos / sin in the odd quadrants; then the quotient is mended by what its remainder says.
    let even = quadrant.and(T::Bits::of(1)) == T::Bits::of(0);
    let (n, n_low) = if even { sine } else { (-cosine.0, -cosine.1) };
    let (d, d_low) = if even { cosine } else { sine };
    let inverse = T::ONE / d;
    let q = n * inverse;
    let remainder = (-q).mul_add(d, n) + (-q).mul_add(d_low, n_low);
    let y = remainder.mul_add(inverse, q);
    if x == T::ZERO { x } else { y }
}

/// atan(small / big) for 0 <= small <= big as k pi / 4 + t + rest, k = 0 or 1: k, t, rest.
#[inline(always)]
fn arctangent_parts<T: Trigonometric>(small: T, big: T) -> (T, T, T) {
    // Above tan(pi / 8) it is pi / 4 + atan((small - big) / (small + big)), both with their rounding errors.
    let beyond = small > big * T::of(0.414_213_562_373_095_05);
    let difference = big - small;
    let sum = big + small;
    let (n, n_low) = if beyond { (-difference, small - (big - difference)) } else { (small, T::ZERO) };
    let (d, d_low) = if beyond { (sum, small - (sum - big)) } else { (big, T::ZERO) };
    let inverse = T::ONE / d;
    let t = n * inverse;
    let remainder = (-t).mul_add(d, n) + (-t).mul_add(d_low, n_low);
    let z = t * t;
    let rest = remainder.mul_add(inverse, t * z * T::arctangent_polynomial(z));
    (if beyond { T::ONE } else { T::ZERO }, t, rest)
}

/// k pi / 4 + t + rest for k = 0 .. 4, where t is small against pi / 4 or k is 0.
#[inline(always)]
fn angle<T: Trigonometric>(k: T, t: T, rest: T) -> T {
    let base = k * T::QUARTER_PI[0];
    let base_low = k.mul_add(T::QUARTER_PI[1], k.mul_add(T::QUARTER_PI[0], -base));
    let y = base + t;
    y + ((t - (y - base)) + (base_low + rest))
}

/// atan x.
#[inline(always)]
pub fn atan<T: Trigonometric>(x: T) -> T {
    // Beyond the bound it is pi / 2; written so that NaN stays. Mirrored at the diagonal by a factor of sign, as a
    // condition would make two copies of everything.
    let bound = T::SCALES[1];
    let a = if bound < x.abs() { bound } else { x.abs() };
    let side = T::ONE.copysign(T::ONE - a);
    let (k, t, rest) = arctangent_parts(if T::ONE < a { T::ONE } else { a }, a.at_least(T::ONE));
    let y = angle(side.mul_add(k - T::ONE, T::ONE), side * t, side * rest);
    y.copysign(x)
}

/// The angle of the point (x, y), from -pi to pi, as atan2 of C.
#[inline(always)]
pub fn atan2<T: Trigonometric>(y: T, x: T) -> T {
    let steep = y.abs() > x.abs();
    let big = if steep { y.abs() } else { x.abs() };
    let small = if steep { x.abs() } else { y.abs() };
    // In the range where neither the reciprocal nor the remainder of the quotient overflows or underflows.
    let scale = if big < T::SCALES[0] { T::SCALES[1] } else { T::SCALES[2] };
    // An infinity has slope 0 against all but an infinity; 0 / 0 counts as 0. NaN times 0 stays.
    let infinite = big == T::INFINITY;
    let small = if infinite { small * T::ZERO } else { small * scale };
    let small = if y.abs() == T::INFINITY && x.abs() == T::INFINITY { T::ONE } else { small };
    let big = if infinite || big == T::ZERO { T::ONE } else { big * scale };
    let (k, t, rest) = arctangent_parts(small, big);
    // Mirrored at the diagonal, then at the axis of y; the sign of x is its bit, for the sake of -0.
    let side = if steep { -T::ONE } else { T::ONE };
    let across = T::ONE.copysign(x);
    let k = side.mul_add(k - T::ONE, T::ONE);
    let k = across.mul_add(k - T::of(2.0), T::of(2.0));
    let (t, rest) = (side * across * t, side * across * rest);
    angle(k, t, rest).copysign(y)
}

/// The square root of z, and what is left of it to a few bits.
#[inline(always)]
fn root_parts<T: Trigonometric>(z: T) -> (T, T) {
    let s = z.sqrt();
    // 1 / s within 7 in 100 by negating the exponent, as Newton's start; half the remainder over s is the rest.
    let magic = T::Bits::of(((2 * T::BIAS as i64) << T::MANTISSA) - (1 << (T::MANTISSA - 4)));
    let inverse = T::from_bits(magic.minus(s.to_bits()));
    let step = (-s).mul_add(inverse, T::of(2.0));
    let remainder = (-s).mul_add(s, z) * T::of(0.5);
    (s, remainder * inverse * step)
}

/// asin x; NaN beyond 1.
#[inline(always)]
pub fn asin<T: Trigonometric>(x: T) -> T {
    let a = x.abs();
    let beyond = a > T::of(0.5);
    // Above 1/2 it is pi / 2 - 2 asin(sqrt((1 - a) / 2)); the difference is exact there.
    let z = if beyond { T::of(0.5) - T::of(0.5) * a } else { a * a };
    let (root, root_low) = root_parts(z);
    let s = if beyond { root } else { a };
    let rest = s * z * T::arcsine_polynomial(z);
    let right = T::of(2.0) * T::QUARTER_PI[0];
    let right_low = T::of(2.0) * T::QUARTER_PI[1];
    let first = (-s).mul_add(T::of(2.0), right);
    let first_low = (-s).mul_add(T::of(2.0), right - first);
    let above = first + (first_low + (rest + root_low).mul_add(T::of(-2.0), right_low));
    (if beyond { above } else { a + rest }).copysign(x)
}

/// acos x; NaN beyond 1.
#[inline(always)]
pub fn acos<T: Trigonometric>(x: T) -> T {
    let a = x.abs();
    let beyond = a > T::of(0.5);
    let z = if beyond { T::of(0.5) - T::of(0.5) * a } else { a * a };
    let (root, root_low) = root_parts(z);
    let s = if beyond { root } else { a };
    let rest = (s * z).mul_add(T::arcsine_polynomial(z), if beyond { root_low } else { T::ZERO });
    // pi / 2 - asin x; above 1/2 it is 2 asin(..), below -1/2 pi less that: pi / 2 times 1, 0 or 2, less `v`.
    let twice = if beyond { T::of(-2.0) } else { T::ONE };
    let side = T::ONE.copysign(x);
    let turns = if beyond { T::ONE - side } else { T::ONE };
    let factor = twice * side;
    let base = turns * (T::of(2.0) * T::QUARTER_PI[0]);
    let base_low = turns * (T::of(2.0) * T::QUARTER_PI[1]);
    let v = factor * s;
    let first = base - v;
    let first_low = (base - first) - v;
    first + (first_low + (-factor).mul_add(rest, base_low))
}
