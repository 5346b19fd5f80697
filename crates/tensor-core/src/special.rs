//! Special functions of one number, computed in f64.

use std::f64::consts::PI;

pub use libm::{erf, erfc, lgamma};

/// B_2, B_4, ..: the Bernoulli numbers of the asymptotic series.
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
];

/// The derivative of order `n` of the digamma function; `n = 0` is the digamma function itself, the
/// logarithmic derivative of the gamma function.
///
/// By recurrence up to where the asymptotic series holds, and by reflection below 0 (NIST Digital
/// Library of Mathematical Functions, 5.5, 5.11 and 5.15). At the poles, 0, -1, -2, .., it is NaN for
/// even `n`, where the two sides differ (at 0 the limit along the sign of zero, -+inf, as in PyTorch),
/// and inf for odd `n`.
///
/// ```
/// use tensor_core::special::polygamma;
/// assert!((polygamma(0, 1.0) + 0.5772156649015329).abs() < 1e-15);
/// assert!((polygamma(1, 1.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-15);
/// ```
pub fn polygamma(n: u32, x: f64) -> f64 {
    if x <= 0.0 && x == x.floor() {
        return match n % 2 {
            1 => f64::INFINITY,
            _ if x == 0.0 => (-f64::INFINITY).copysign(-x),
            _ => f64::NAN,
        };
    }
    if x < 0.0 {
        // psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x)
        let sign = if n.is_multiple_of(2) { 1.0 } else { -1.0 };
        return sign * polygamma(n, 1.0 - x) - PI * cotangent_derivative(n, x);
    }
    if n == 0 { digamma(x) } else { positive(n, x) }
}

/// psi(x) = psi(x + 1) - 1 / x, and ln x - 1 / 2x - sum B_2k / (2k x^2k) from 10 on.
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 10.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let (mut power, mut series) = (square, 0.0);
    for (k, b) in BERNOULLI.iter().enumerate() {
        series += b * power / (2.0 * (k + 1) as f64);
        power *= square;
    }
    x.ln() - 0.5 / x - series - below
}

/// (-1)^(n+1) psi_n(x) = n! sum 1 / (x + k)^(n+1): terms one by one up to n + 15, then
/// (n-1)! / x^n + n! / 2 x^(n+1) + sum B_2k (2k + n - 1)! / (2k)! x^(2k+n).
fn positive(n: u32, mut x: f64) -> f64 {
    let order = f64::from(n);
    // Everything is over (n-1)!, which comes last.
    let mut below = 0.0;
    while x < order + 15.0 {
        below += order * x.powi(-(n as i32) - 1);
        x += 1.0;
    }
    let power = x.powi(-(n as i32));
    let square = 1.0 / (x * x);
    let (mut term, mut series) = (power, 0.0);
    for (k, b) in BERNOULLI.iter().enumerate() {
        // (2k + n - 1)! / ((n - 1)! (2k)! x^(2k + n)), from that of k - 1.
        let j = 2.0 * (k + 1) as f64;
        term *= (j + order - 2.0) * (j + order - 1.0) / ((j - 1.0) * j) * square;
        series += b * term;
    }
    let factorial: f64 = (1..n).map(f64::from).product();
    let sum = factorial * (power + 0.5 * order * power / x + series + below);
    if n % 2 == 1 { sum } else { -sum }
}

/// The derivative of order `n` of cot(pi x) with respect to x: a polynomial in c = cot(pi x), since
/// dc/dx = -pi (1 + c^2).
fn cotangent_derivative(n: u32, x: f64) -> f64 {
    let c = 1.0 / (PI * (x - x.round())).tan();
    let mut p = vec![0.0, 1.0];
    for _ in 0..n {
        let mut next = vec![0.0; p.len() + 1];
        for (k, a) in p.iter().enumerate().skip(1) {
            let slope = -PI * k as f64 * a;
            next[k - 1] += slope;
            next[k + 1] += slope;
        }
        p = next;
    }
    p.iter().rev().fold(0.0, |sum, a| sum * c + a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        // Between the poles psi crosses 0 as a difference of terms of size 1.
        assert!((found - expected).abs() <= 4e-15 * expected.abs().max(1.0), "{found}, not {expected}");
    }

    #[test]
    fn known_values() {
        // Closed forms (NIST DLMF 5.4 and 5.15): gamma, pi, ln 2 and zeta(3).
        let (gamma, zeta3) = (0.577_215_664_901_532_9, 1.202_056_903_159_594_3);
        close(polygamma(0, 1.0), -gamma);
        close(polygamma(0, 0.5), -gamma - 2.0 * 2f64.ln());
        close(polygamma(0, 0.25), -gamma - PI / 2.0 - 3.0 * 2f64.ln());
        close(polygamma(1, 0.5), PI * PI / 2.0);
        close(polygamma(2, 1.0), -2.0 * zeta3);
        close(polygamma(2, 0.5), -14.0 * zeta3);
        close(polygamma(3, 1.0), PI.powi(4) / 15.0);
        // Reflected.
        close(polygamma(0, -0.5), -gamma - 2.0 * 2f64.ln() + 2.0);
        close(polygamma(1, -0.5), PI * PI / 2.0 + 4.0);
        close(polygamma(3, -0.5), PI.powi(4) + 96.0);
    }

    #[test]
    fn each_order_differentiates_the_one_before() {
        for x in [0.3, 1.7, 6.4, 14.2, 40.0, -0.4, -2.7] {
            for n in 0..6 {
                let h = 1e-4;
                let at = |h: f64| polygamma(n, x + h);
                let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
                let exact = polygamma(n + 1, x);
                assert!((slope - exact).abs() <= 1e-8 * exact.abs().max(1.0), "{n} at {x}: {slope}, {exact}");
            }
        }
    }

    #[test]
    fn poles_and_ends() {
        assert_eq!(polygamma(0, 0.0), f64::NEG_INFINITY);
        assert_eq!(polygamma(0, -0.0), f64::INFINITY);
        assert!(polygamma(0, -3.0).is_nan());
        assert_eq!(polygamma(1, -3.0), f64::INFINITY);
        assert_eq!(polygamma(0, f64::INFINITY), f64::INFINITY);
        assert_eq!(polygamma(1, f64::INFINITY), 0.0);
        assert!(polygamma(0, f64::NAN).is_nan() && polygamma(1, f64::NAN).is_nan());
    }
}
