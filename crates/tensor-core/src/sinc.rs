//! sin(pi x) / (pi x) and its derivatives, of any expression.

use crate::expression::Expression;
use std::f64::consts::PI;

/// sin(pi x) and cos(pi x) for x >= 0: the angle is reduced before it is multiplied by pi, which is exact.
#[inline(always)]
fn sine_and_cosine<E: Expression>(x: E) -> (E, E) {
    let turn = x.clone() - x.times(0.5).round().times(2.0);
    let size = turn.clone().abs();
    let right = (-size.clone()).plus(0.5);
    let below = E::choose(size.le_number(0.5), size.clone(), (-size).plus(1.0));
    (below.times(PI).sin() * turn.sign(), right.times(PI).sin())
}

/// The derivative of order `n` of sin(pi x) / (pi x).
///
/// With s(u) = sin(u) / u it is pi^n s_n(pi x), where u s_n + n s_(n-1) = sin(u + n pi / 2): upwards from s where u is
/// larger than n, and by the series of s below, as the differences there have no digits.
#[inline(always)]
pub(crate) fn sinc<E: Expression>(x: E, n: u64) -> E {
    let size = x.clone().abs();
    let u = size.clone().times(PI);
    let (sine, cosine) = sine_and_cosine(size.clone());
    let divisor = u.clone().with(u.eq_number(0.0), 1.0);
    let mut upwards = sine.clone() / divisor.clone();
    if n == 0 {
        return upwards.with(u.eq_number(0.0), 1.0);
    }
    for k in 1..=n {
        let wave = match k % 4 {
            0 => sine.clone(),
            1 => cosine.clone(),
            2 => -sine.clone(),
            _ => -cosine.clone(),
        };
        upwards = (wave - upwards.times(k as f64)) / divisor.clone();
    }
    // sum (-1)^k u^(2k-n) / ((2k + 1) (2k - n)!) from 2k >= n on, as long as a term is not below rounding.
    let (reach, first) = (n as f64 + 1.0, n.div_ceil(2));
    let square = u.clone().square();
    let mut series = u.clone().nothing().plus(1.0);
    for k in (first..first + 12 + 3 * (n + 1) / 2).rev() {
        let (k, over) = (k as f64, 2.0 * k as f64 - n as f64);
        let next = (2.0 * k + 1.0) / ((2.0 * k + 3.0) * (over + 1.0) * (over + 2.0));
        series = (-(series * square.clone())).times(next).plus(1.0);
    }
    let sign = if first.is_multiple_of(2) { 1.0 } else { -1.0 };
    let series = series.times(sign / (2.0 * first as f64 + 1.0));
    let (series, sign) = match n.is_multiple_of(2) {
        true => (series, x.nothing().plus(1.0)),
        false => (series * u.clone(), x.sign()),
    };
    E::choose(u.le_number(reach), series, upwards).times(PI.powi(n as i32)) * sign
}

#[cfg(test)]
mod tests {
    use super::sinc;
    use std::f64::consts::FRAC_2_PI;

    /// Values by MPFR: order, argument, value.
    #[test]
    fn derivatives_have_their_digits() {
        for (n, x, y) in CASES {
            let scale = y.abs() + 1e-3 * std::f64::consts::PI.powi(n as i32);
            let found: [f64; 2] = [sinc(x, n), sinc(-x, n)];
            let wanted = [y, if n.is_multiple_of(2) { y } else { -y }];
            for (found, wanted) in found.into_iter().zip(wanted) {
                assert!(
                    (found - wanted).abs() <= 1e-14 * scale,
                    "order {n} at {x}: {found:e}, not {wanted:e}"
                );
            }
        }
        assert_eq!((sinc(0.0, 0), sinc(0.0, 1), sinc(3.0, 0)), (1.0, 0.0, 0.0));
        assert!(f64::is_nan(sinc(f64::NAN, 0)) && f64::is_nan(sinc(f64::INFINITY, 0)));
    }

    const CASES: [(u64, f64, f64); 60] = [
        (0, 1e-200, 1.0),
        (0, 1e-09, 1.0),
        (0, 0.01, 0.9998355147105487),
        (0, 0.25, 0.9003163161571061),
        (0, 0.5, FRAC_2_PI),
        (0, 0.7, 0.36788301057177425),
        (0, 0.999, 0.001000999354421167),
        (0, 1.5, -0.2122065907891938),
        (0, 2.25, 0.10003514623967845),
        (0, 10.375, 0.028345059165417005),
        (1, 1e-200, -3.289868133696453e-200),
        (1, 1e-09, -3.289868133696453e-09),
        (1, 0.01, -0.0328954344817124),
        (1, 0.25, -0.7728381398822342),
        (1, 0.5, -1.2732395447351628),
        (1, 0.7, -1.3652403755203533),
        (1, 0.999, -1.0019980626188982),
        (1, 1.5, 0.14147106052612918),
        (1, 2.25, 0.2698096155319418),
        (1, 10.375, 0.034153096212016655),
        (2, 1e-200, -3.289868133696453),
        (2, 1e-09, -3.289868133696453),
        (2, 0.01, -3.2888941000101957),
        (2, 0.25, -2.703060757258859),
        (2, 0.5, -1.1902271282389358),
        (2, 0.7, 0.26982700697582357),
        (2, 0.999, 1.996122659731279),
        (2, 1.5, 1.90576702169169),
        (2, 2.25, -1.2271380889524741),
        (2, 10.375, -0.2863382500784062),
        (3, 1e-200, 1.9481818206800486e-199),
        (3, 1e-09, 1.9481818206800487e-08),
        (3, 0.01, 0.19479529272766102),
        (3, 0.25, 4.52127228855079),
        (3, 0.5, 7.141362769433615),
        (3, 0.7, 7.131038417133915),
        (3, 0.999, 3.885072790180243),
        (3, 1.5, -3.81153404338338),
        (3, 2.25, -1.4655333034584255),
        (3, 10.375, -0.28124523740330154),
        (4, 1e-200, 19.481818206800487),
        (4, 1e-09, 19.481818206800487),
        (4, 0.01, 19.474951580404113),
        (4, 0.25, 15.358637383132617),
        (4, 0.5, 4.8816512051307255),
        (4, 0.7, -4.913641288402105),
        (4, 0.999, -15.458340570488913),
        (4, 1.5, -10.5067603378442),
        (4, 2.25, 12.34972520614223),
        (4, 10.375, 2.8694983473661897),
        (5, 1e-200, -1.3734131336790064e-198),
        (5, 1e-09, -1.3734131336790064e-07),
        (5, 0.01, -1.3732374272360797),
        (5, 0.25, -31.658232385208944),
        (5, 0.5, -48.81651205130725),
        (5, 0.7, -46.69631529570153),
        (5, 0.999, -20.137044531888332),
        (5, 1.5, 35.02253445948067),
        (5, 2.25, 3.168890128288755),
        (5, 10.375, 2.21005817480719),
    ];
}
