//! Student's t distribution, of which confidence intervals are made.

use libm::lgamma;

/// The t below which a number of Student's distribution with `degrees` degrees of freedom lies with the given
/// probability: SciPy's `stats.t.ppf`, to
/// eleven digits. The normal distribution's for infinitely many; NaN where the probability is not
/// between 0 and 1 or the degrees of freedom are not positive.
///
/// ```
/// use tapegrad::optimize::student_t_quantile;
/// assert!((student_t_quantile(0.975, 10.0) - 2.2281388519862747).abs() < 1e-13);
/// assert_eq!(student_t_quantile(0.5, 3.0), 0.0);
/// ```
pub fn student_t_quantile(probability: f64, degrees: f64) -> f64 {
    if !(0.0..=1.0).contains(&probability) || degrees.is_nan() || degrees <= 0.0 {
        return f64::NAN;
    }
    if probability == 0.5 {
        return 0.0;
    }
    if probability == 0.0 || probability == 1.0 {
        return if probability == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // 1 - p is exact above a half.
    let tail = probability.min(1.0 - probability);
    let t = upper(tail, degrees);
    if probability < 0.5 { -t } else { t }
}

/// The t with the given probability above it: a bracket by doubling, then halved. Each step costs a continued fraction,
/// and there are few quantiles to a fit.
fn upper(tail: f64, degrees: f64) -> f64 {
    let mut high = 1.0;
    while tail_above(high, degrees) > tail {
        high *= 2.0;
        if high == f64::INFINITY {
            return high;
        }
    }
    let mut low = if high == 1.0 { 0.0 } else { high / 2.0 };
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if tail_above(middle, degrees) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The probability of more than `t`, for t >= 0.
fn tail_above(t: f64, degrees: f64) -> f64 {
    if degrees == f64::INFINITY {
        return 0.5 * libm::erfc(t / std::f64::consts::SQRT_2);
    }
    // I_x(v/2, 1/2) / 2 with x = v / (v + t^2); the complement is exact where t^2 is small beside v.
    let square = t * t;
    0.5 * incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + square), square / (degrees + square))
}

/// The regularised incomplete beta function I_x(a, b), `y` being 1 - x.
///
/// Source: DLMF 8.17.22, its continued fraction, by Lentz's method, as 8.17.4 mirrors it where it converges slowly.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x == 0.0 || y == 0.0 {
        return if x == 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, y, x);
    }
    // Of x close to one, the logarithm by what is missing.
    let ln = |x: f64, y: f64| if x > 0.5 { (-y).ln_1p() } else { x.ln() };
    let front = (a * ln(x, y) + b * ln(y, x) - ln_beta(a, b)).exp() / a;
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut f = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        f *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        f *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    front * f
}

/// ln B(a, b). Of a large a, ln Gamma(a) - ln Gamma(a + b) without the cancellation: b ln a with Stirling's corrections.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (a, b) = (a.max(b), a.min(b));
    if a < 20.0 {
        return lgamma(a) + lgamma(b) - lgamma(a + b);
    }
    let correction = |z: f64| {
        let s = 1.0 / (z * z);
        (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0)))) / z
    };
    // (a - 1/2) ln a - a - (a + b - 1/2) ln(a + b) + a + b
    let main = -(a + b - 0.5) * (b / a).ln_1p() - b * a.ln() + b;
    lgamma(b) + main + correction(a) - correction(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By 40 digits of the incomplete beta function.
    #[test]
    fn quantiles() {
        let known = [
            (0.55, 1.0, 0.15838444032453644),
            (0.975, 1.0, 12.706204736174694),
            (0.9999995, 1.0, 636619.7724194303),
            (0.84, 2.0, 1.311578474677781),
            (0.9999995, 2.0, 999.9992500409771),
            (0.55, 3.0, 0.13659819935369902),
            (0.975, 5.0, 2.5705818356363146),
            (0.9999995, 5.0, 28.47847346345525),
            (0.975, 10.0, 2.2281388519862744),
            (0.84, 30.0, 1.0112157453924326),
            (0.975, 148.0, 1.9761224936137443),
            (0.9999995, 148.0, 5.105384325958402),
            (0.55, 1e3, 0.1256932625187165),
            (0.9999995, 1e3, 4.922289523446074),
            (0.975, 1e6, 1.9599663568141066),
            (0.9999995, 1e6, 4.891668960726574),
            (0.975, f64::INFINITY, 1.959963984540054),
        ];
        for (p, degrees, t) in known {
            let found = student_t_quantile(p, degrees);
            assert!((found - t).abs() <= 1e-11 * t, "{p} {degrees}: {found} for {t}");
            // As near as 1 - p is.
            let below = student_t_quantile(1.0 - p, degrees);
            assert!((below + t).abs() <= 1e-9 * t, "{p} {degrees}: {below} for {}", -t);
        }
        assert!((student_t_quantile(1e-10, 10.0) + 25.466008021697725).abs() < 1e-9);
        assert!(student_t_quantile(1.5, 3.0).is_nan() && student_t_quantile(0.9, -1.0).is_nan());
        assert_eq!(student_t_quantile(1.0, 3.0), f64::INFINITY);
    }
}
