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
/// and inf for odd `n`. The work is bounded, whatever `n` and `x` are; the relative error grows with `n`, as
/// the function's condition does.
///
/// ```
/// use tapegrad::tensor_core::special::polygamma;
/// assert!((polygamma(0, 1.0) + 0.5772156649015329).abs() < 1e-15);
/// assert!((polygamma(1, 1.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-15);
/// ```
pub fn polygamma(n: u64, x: f64) -> f64 {
    if x <= 0.0 && x == x.floor() {
        return match n % 2 {
            1 => f64::INFINITY,
            _ if x == 0.0 => (-f64::INFINITY).copysign(-x),
            _ => f64::NAN,
        };
    }
    if x < 0.0 {
        // psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x)
        let poles = if n <= POLYNOMIAL { -PI * cotangent_derivative(n, x) } else { poles(n, x) };
        let sign = if n.is_multiple_of(2) { 1.0 } else { -1.0 };
        // The poles are nearer than anything on the other side, and larger: where they leave the range, alone.
        return if poles.is_finite() { sign * polygamma(n, 1.0 - x) + poles } else { poles };
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

/// (-1)^(n+1) psi_n(x) = n! sum 1 / (x + k)^(n+1): terms one by one up to n + 15, or until they no longer count,
/// then (n-1)! / x^n + n! / 2 x^(n+1) + sum B_2k (2k + n - 1)! / (2k)! x^(2k+n).
fn positive(n: u64, start: f64) -> f64 {
    let order = n as f64;
    // Everything is over (n-1)! / start^n, which comes last: its parts may leave the range where it does not.
    let power = |x: f64| if x == start { 1.0 } else { (start / x).powf(order) };
    let (mut x, mut sum) = (start, 0.0);
    let mut counts = true;
    // Near n + 15 and below it a term is at most e^-(n + 1)/(n + 15) times the one before: some 40 of them.
    while x < order + 15.0 && counts {
        let term = order / x * power(x);
        sum += term;
        counts = term > 1e-18 * sum;
        x += 1.0;
    }
    if counts {
        let square = 1.0 / (x * x);
        let (mut term, mut series) = (1.0, 0.0);
        for (k, b) in BERNOULLI.iter().enumerate() {
            // (2k + n - 1)! / ((n - 1)! (2k)! x^2k), from that of k - 1.
            let j = 2.0 * (k + 1) as f64;
            term *= (j + order - 2.0) * (j + order - 1.0) / ((j - 1.0) * j) * square;
            series += b * term;
        }
        sum += power(x) * (1.0 + 0.5 * order / x + series);
    }
    let value = factorial_over_power(n, start) * sum;
    if n % 2 == 1 { value } else { -value }
}

/// (n-1)! / x^n for x > 0, wherever it is in the range.
fn factorial_over_power(n: u64, x: f64) -> f64 {
    if n <= 170 {
        let half = n as i32 / 2;
        let factorial: f64 = (1..n).map(|k| k as f64).product();
        return factorial * x.powi(-half) * x.powi(half - n as i32);
    }
    // By Stirling's series, of which the next term is below 1e-19.
    let n = n as f64;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * n * n)) / (n * n)) / n;
    (n * ((n / x).ln() - 1.0) + 0.5 * (2.0 * PI / n).ln() + series).exp()
}

/// The order up to which [`cotangent_derivative`] is taken; from there on few poles count.
const POLYNOMIAL: u64 = 22;

/// -pi d^n/dx^n cot(pi x) = (-1)^(n+1) n! sum 1 / (x + j)^(n+1) over all integers j, for large n: the 18 nearest, in
/// pairs, since the two at equal distances cancel where n is even.
fn poles(n: u64, x: f64) -> f64 {
    let order = (n + 1) as f64;
    let offset = x - x.round();
    let nearest = offset.abs();
    let odd = n % 2 == 1;
    let power = |distance: f64| (nearest / distance).powf(order);
    let sum: f64 = (0..9)
        .map(|j| {
            let (right, left) = (power(nearest + f64::from(j)), power(f64::from(j + 1) - nearest));
            if odd { right + left } else { right - left }
        })
        .sum();
    // The sum is odd in the offset where n is even.
    let sign = if odd || offset < 0.0 { 1.0 } else { -1.0 };
    if sum == 0.0 { 0.0 } else { sign * factorial_over_power(n + 1, nearest) * sum }
}

/// The derivative of order `n` of cot(pi x) with respect to x: a polynomial in c = cot(pi x), since
/// dc/dx = -pi (1 + c^2).
fn cotangent_derivative(n: u64, x: f64) -> f64 {
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
    fn orders_however_large() {
        // n! times the sum of 1 / (x + k)^(n+1) in 40 digits.
        let known = [
            (1, 0.3, 12.245364546107732),
            (3, -0.7, 768.1313523268526),
            (12, 7.25, -0.0038994915353453554),
            (22, -1.3, 1.1939268865955287e+33),
            (23, -1.3, 9.153439508879116e+34),
            (24, -1.3, 7.322751591681546e+36),
            (23, -4.5, 8.674497377308491e+29),
            (40, -3.75, -3.945524210146268e+72),
            (60, 50.5, -1.5056322060676798e-22),
            (100, 10000.0, -9.379363201543512e-245),
            (100, 0.001, f64::NEG_INFINITY),
            (100, 30.5, -118256257.2769952),
            (150, -2.25, f64::INFINITY),
            (170, 62.0, -2.460384298234927),
            (171, 63.0, 0.43375226011928075),
            (200, 100.0, -9.125424691096223e-28),
            (200, 75.5, -0.0028949089276653823),
            (200, -0.3, f64::INFINITY),
            (201, -0.3, f64::INFINITY),
            (200, -100.5, -4.59854740538407e-29),
            (201, -120.5, f64::INFINITY),
            (1000, 400.0, -9.54632866022891e-38),
            (1000, 1000.0, -0.0),
            (1000, 500.0, -9.973892361037703e-135),
            (3000, 1200.0, -1.0771459203457858e-110),
            (100_000, 36_800.0, -1.3578761420363959e-16),
            // Some 10^20967 and 10^-1300000000.
            (4_000_000_000, 1_471_500_000.0, f64::NEG_INFINITY),
            (4_000_000_000, 4e9, 0.0),
            (4_000_000_001, -3e9 - 0.25, f64::INFINITY),
        ];
        for (n, x, expected) in known {
            let found = polygamma(n, x);
            let close = (found - expected).abs() <= 4.0 * (n + 4) as f64 * f64::EPSILON * expected.abs();
            assert!(found == expected || close, "{n} at {x}: {found:e}, not {expected:e}");
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
