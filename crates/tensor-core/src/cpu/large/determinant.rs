//! Determinants from an LU factorisation.

use crate::element::Float;

/// `det A = (-1)^s prod_i u_ii` for the `P A = L U` of [`lu`](super::lu()) with `s` row exchanges;
/// 1 for `n = 0`. The product neither overflows nor underflows on the way to a result that is
/// representable.
///
/// # Panics
///
/// If `lu` does not hold `n * n` or `pivots` does not hold `n` values.
#[must_use]
pub fn lu_det<T: Float>(lu: &[T], pivots: &[usize], n: usize) -> T {
    assert!(lu.len() == n * n && pivots.len() == n);
    // Partial products in this range are normal numbers, rounded once each.
    const SAFE: core::ops::RangeInclusive<f64> = 1e-290..=1e290;
    let mut product = permutation_sign(pivots);
    for pivot in diagonal(lu, n) {
        product *= pivot;
        if !SAFE.contains(&product.abs()) {
            return T::of(scaled_product(lu, pivots, n).value());
        }
    }
    T::of(product)
}

/// `(sign, log|det A|)` with `det A = sign exp(log|det A|)`: sign 0 and `-inf` for a zero pivot, NaN
/// twice if a pivot is NaN.
///
/// # Panics
///
/// If `lu` does not hold `n * n` or `pivots` does not hold `n` values.
#[must_use]
pub fn lu_slogdet<T: Float>(lu: &[T], pivots: &[usize], n: usize) -> (T, T) {
    assert!(lu.len() == n * n && pivots.len() == n);
    let product = scaled_product(lu, pivots, n);
    (T::of(product.sign()), T::of(product.log_abs()))
}

fn diagonal<T: Float>(lu: &[T], n: usize) -> impl Iterator<Item = f64> {
    lu.iter().step_by(n + 1).map(|x| x.to_f64())
}

/// The determinant of the row exchanges.
fn permutation_sign(pivots: &[usize]) -> f64 {
    let odd = pivots.iter().enumerate().filter(|(i, p)| i != *p).count() % 2 == 1;
    if odd { -1.0 } else { 1.0 }
}

fn scaled_product<T: Float>(lu: &[T], pivots: &[usize], n: usize) -> Scaled {
    let mut product = Scaled { mantissa: permutation_sign(pivots), exponent: 0 };
    for pivot in diagonal(lu, n) {
        product.multiply(pivot);
    }
    product
}

/// The number `mantissa * 2^exponent`, `1 <= |mantissa| < 2` unless zero, infinite or NaN.
struct Scaled {
    mantissa: f64,
    exponent: i64,
}

impl Scaled {
    fn multiply(&mut self, factor: f64) {
        let (mantissa, exponent) = split(factor);
        let (mantissa, carry) = split(self.mantissa * mantissa);
        self.mantissa = mantissa;
        self.exponent += exponent + carry;
    }

    fn value(&self) -> f64 {
        // Beyond these bounds every mantissa overflows or underflows.
        let exponent = self.exponent.clamp(-1100, 1100);
        // Only the last factor can round: the others keep the number normal.
        let (first, last) = if exponent < -1022 {
            (-1022, exponent + 1022)
        } else if exponent > 1023 {
            (1023, exponent - 1023)
        } else {
            (exponent, 0)
        };
        self.mantissa * power_of_two(first) * power_of_two(last)
    }

    fn sign(&self) -> f64 {
        if self.mantissa == 0.0 || self.mantissa.is_nan() {
            self.mantissa.abs()
        } else {
            self.mantissa.signum()
        }
    }

    fn log_abs(&self) -> f64 {
        // A mantissa around one keeps exponent and logarithm from cancelling near |det| = 1.
        let abs = self.mantissa.abs();
        let (mantissa, exponent) = if abs > core::f64::consts::SQRT_2 && abs < 2.0 {
            (abs / 2.0, self.exponent + 1)
        } else {
            (abs, self.exponent)
        };
        mantissa.ln() + exponent as f64 * core::f64::consts::LN_2
    }
}

/// `x = mantissa * 2^exponent` with `1 <= |mantissa| < 2`; zero, infinity and NaN as they are.
fn split(x: f64) -> (f64, i64) {
    const MANTISSA_BITS: u32 = 52;
    const EXPONENT_MASK: u64 = 0x7ff << MANTISSA_BITS;
    const BIAS: i64 = 1023;
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let (x, shift) = if x.is_normal() { (x, 0) } else { (x * power_of_two(54), -54) };
    let bits = x.to_bits();
    let exponent = ((bits & EXPONENT_MASK) >> MANTISSA_BITS) as i64 - BIAS;
    let mantissa = f64::from_bits((bits & !EXPONENT_MASK) | ((BIAS as u64) << MANTISSA_BITS));
    (mantissa, exponent + shift)
}

/// `2^exponent`, for the exponents of normal numbers.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
