//! The error function and its complement, branch-free. All coefficients are minimax fits by tests/accuracy/fit/error.py.

use super::exponential::Exponential;
use super::real::{Bits, capped, polynomial};

/// What the error functions need of a type beside the exponential.
pub trait ErrorFunction: Exponential {
    /// erf rounds to 1 above.
    const ERF_MOST: Self;
    /// Where `erfc_logarithm` has its centre: a short number of which -ln erfc is almost exact.
    const ERF_CENTRE: Self;
    /// -ln erfc(ERF_CENTRE).
    const ERF_AT_CENTRE: Self;

    /// erf(x) / x - 1 of z = x^2 up to 1.
    fn erf_excess(z: Self) -> Self;
    /// (-ln erfc(ERF_CENTRE + t) - ERF_AT_CENTRE) / t, for 1 up to ERF_MOST.
    fn erfc_logarithm(t: Self) -> Self;

    /// erfc rounds to 0 above.
    const ERFC_MOST: Self;
    /// Where t = (x - ERFC_CENTRE) / (x + ERFC_CENTRE) is 0.
    const ERFC_CENTRE: Self;
    /// (1 + 2 x) e^(x^2) erfc(x) there, and what that lacks.
    const ERFC_AT_CENTRE: [Self; 2];

    /// erf(x) / x - 1 of z = x^2 up to 9/16.
    fn erf_small_excess(z: Self) -> Self;
    /// ((1 + 2 x) e^(x^2) erfc(x) - ERFC_AT_CENTRE) / t, for x of 3/4 up to ERFC_MOST.
    fn erfc_scaled(t: Self) -> Self;
}

impl ErrorFunction for f64 {
    const ERF_MOST: Self = 6.0;
    const ERF_CENTRE: Self = 1.15234375;
    const ERF_AT_CENTRE: Self = 2.2713447733115104;

    // Error relative to erf 2^-56.3.
    #[inline(always)]
    fn erf_excess(z: Self) -> Self {
        let c = [
            0.1283791670955126, -0.376126389031841, 0.11283791670971113, -0.026866170648037067,
            0.005223977652781232, -0.0008548328542665408, 0.00012055386506103845, -1.4926890401746504e-05,
            1.64812237908888e-06, -1.6559092856725015e-07, 1.6027790819115207e-08, -1.652595092447238e-09,
            1.4454896438500515e-10,
        ];
        polynomial(z, c)
    }
    // Error of 1 - e^-(t p + ..) relative to erf 2^-58.4.
    #[inline(always)]
    fn erfc_logarithm(t: Self) -> Self {
        let c = [
            2.8986087856015494, 0.860772728200209, 0.0358886173695698, -0.008612160684300294,
            0.0017529346151279061, -0.0002503234917984808, -3.628656157717652e-07, 1.6031638569188547e-05,
            -6.712871247408045e-06, 1.7189083229696584e-06, -2.4767162710006044e-07, -1.8712187614325143e-08,
            2.4688859485849766e-08, -8.544611056436166e-09, 1.827197705632206e-09, -2.542393312697429e-10,
            2.1184991313304034e-11, -8.037200330001287e-13,
        ];
        polynomial(t, c)
    }

    const ERFC_MOST: Self = 28.0;
    const ERFC_CENTRE: Self = 3.25;
    const ERFC_AT_CENTRE: [Self; 2] = [1.2475151132011641, -7.398900129369877e-17];

    // Error against 1 2^-56.1.
    #[inline(always)]
    fn erf_small_excess(z: Self) -> Self {
        let c = [
            0.1283791670955126, -0.3761263890318418, 0.11283791670979534, -0.026866170650501817,
            0.0052239776850496935, -0.0008548330778721618, 0.00012055473920863404, -1.4928782105300731e-05,
            1.6499656606106341e-06, -1.6514661389397606e-07, 1.350769670992691e-08,
        ];
        polynomial(z, c)
    }
    // Error relative to erfc 2^-57.1.
    #[inline(always)]
    fn erfc_scaled(t: Self) -> Self {
        let c = [
            -0.13861133360837125, -0.027456781190889196, 0.1135074936362281, -0.11897889089382518,
            0.08014898632639439, -0.03696058327200532, 0.010148647005414077, -0.00018754551664191372,
            -0.0010751241190718691, 0.00030504777734650625, 7.504029201156258e-05, -5.4166175003292744e-05,
            -4.3787955389815935e-06, 8.605303835980508e-06, 3.015754859864866e-07, -1.421878333273717e-06,
            -6.091712347364544e-08, 2.3424130671055504e-07, 1.2151880779826996e-08, -2.806747601616954e-08,
        ];
        polynomial(t, c)
    }
}

impl ErrorFunction for f32 {
    const ERF_MOST: Self = 4.0;
    const ERF_CENTRE: Self = 1.285_156_3;
    const ERF_AT_CENTRE: Self = 2.671581;

    // Error relative to erf 2^-29.2.
    #[inline(always)]
    fn erf_excess(z: Self) -> Self {
        let c = [0.12837917, -0.37612626, 0.11283579, -0.026853347, 0.005187162, -0.0007997857, 7.806928e-05];
        polynomial(z, c)
    }
    // Error of 1 - e^-(t p + ..) relative to erf 2^-29.5.
    #[inline(always)]
    fn erfc_logarithm(t: Self) -> Self {
        polynomial(t, [3.1290724, 0.8742, 0.03161654, -0.007512909, 0.0015126137, -0.00018829567])
    }

    const ERFC_MOST: Self = 11.0;
    const ERFC_CENTRE: Self = 2.0;
    const ERFC_AT_CENTRE: [Self; 2] = [1.2769784, 8.025002e-9];

    // Error against 1 2^-29.2.
    #[inline(always)]
    fn erf_small_excess(z: Self) -> Self {
        let c = [0.12837917, -0.37612623, 0.11283428, -0.026836969, 0.0051188213, -0.0006779939];
        polynomial(z, c)
    }
    // Error relative to erfc 2^-27.5.
    #[inline(always)]
    fn erfc_scaled(t: Self) -> Self {
        let c = [
            -0.09276376, -0.1660304, 0.16404824, -0.054218996, -0.007996082, 0.008704257, 0.001088228,
            -0.0013468484, -0.00011561411,
        ];
        polynomial(t, c)
    }
}

/// 2^(sum - ROUNDER - BIAS), of a sum whose lowest bits hold the biased exponent.
#[inline(always)]
fn power_of_two<T: Exponential>(sum: T) -> T {
    T::from_bits(sum.to_bits().shl(T::MANTISSA))
}

/// erf x.
#[inline(always)]
pub fn erf<T: ErrorFunction>(x: T) -> T {
    let near = x.mul_add(T::erf_excess(x * x), x);
    // 1 - e^-p, e^-p = 2^k (1 + e), where 1 - 2^k is exact; p itself is only needed for k.
    let t = capped(x.abs(), T::ERF_MOST) - T::ERF_CENTRE;
    let slope = T::erfc_logarithm(t);
    let p = t.mul_add(slope, T::ERF_AT_CENTRE);
    let rounder = T::ROUNDER + T::of(T::BIAS as f64);
    let sum = p.mul_add(-T::LOG2_E, rounder);
    let k = sum - rounder;
    let start = k.mul_add(-T::LN_2[1], k.mul_add(-T::LN_2[0], -T::ERF_AT_CENTRE));
    let r = t.mul_add(-slope, start);
    let e = (r * r).mul_add(T::exp_tail(r), r);
    let scale = power_of_two(sum);
    let far = scale.mul_add(-e, T::ONE - scale).copysign(x);
    if x.abs() < T::ONE { near } else { far }
}

/// erfc x = 1 - erf x, with all its digits in the far tail.
#[inline(always)]
pub fn erfc<T: ErrorFunction>(x: T) -> T {
    // 1 - x - x q, the first difference with its rounding error.
    let first = T::ONE - x;
    let near = first + x.mul_add(-T::erf_small_excess(x * x), (T::ONE - first) - x);

    // e^(-a^2) = 2^k (1 + r + rest), the square in two parts.
    let a = capped(x.abs(), T::ERFC_MOST);
    let square = a * a;
    let square_low = a.mul_add(a, -square);
    let rounder = T::ROUNDER + T::of(T::BIAS as f64);
    let k = square.mul_add(-T::LOG2_E, rounder) - rounder;
    let above = k.mul_add(-T::LN_2[0], -square);
    let r = k.mul_add(-T::LN_2[1], above);
    let lost = k.mul_add(-T::LN_2[1], above - r) - square_low;
    let bend = r * r * T::exp_tail(r);
    let rest = bend + lost.mul_add(r + bend, lost);

    // Shepherd and Laframboise 1981: a polynomial in (a - c) / (a + c), divided by 1 + 2 a; one reciprocal for both.
    let d = a.mul_add(T::of(2.0), T::ONE);
    let d_low = a.mul_add(T::of(2.0), T::ONE - d);
    let sum = a + T::ERFC_CENTRE;
    let inverse = T::ONE / (sum * d);
    let t = (a - T::ERFC_CENTRE) * (inverse * d);
    let d_inverse = inverse * sum;
    let u = t * T::erfc_scaled(t);
    let p = T::ERFC_AT_CENTRE[0] + u;
    let p_low = (u - (p - T::ERFC_AT_CENTRE[0])) + T::ERFC_AT_CENTRE[1];

    // (p + p_low) (1 + r + rest) in two parts, then the quotient, mended by its remainder.
    let v = p * r;
    let v_low = p.mul_add(r, -v);
    let n = p + v;
    let n_low = (v - (n - p)) + (v_low + p.mul_add(rest, p_low.mul_add(r, p_low)));
    let q = n * d_inverse;
    let remainder = (-q).mul_add(d, n) + (-q).mul_add(d_low, n_low);
    let y = remainder.mul_add(d_inverse, q);

    // The scale is no normal number in the far tail: in two steps.
    let least = T::of(f64::from(T::MANTISSA as i32 - T::BIAS));
    let k_first = if k > least { k } else { least };
    let far = y * power_of_two(k_first + rounder) * power_of_two((k - k_first) + rounder);
    let far = if x < T::ZERO { T::of(2.0) - far } else { far };
    if x.abs() < T::of(0.75) { near } else { far }
}
