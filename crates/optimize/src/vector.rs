//! Sums over plain vectors of numbers, as every solver needs them.

/// a b
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums: the compiler may then use vectors, and roundings partly cancel.
    let mut sums = [0.0; 8];
    let (blocks, others) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = blocks.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in blocks.zip(others) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The root of the sum of squares, scaled where squares would leave the range.
pub(crate) fn norm(x: &[f64]) -> f64 {
    let squares = dot(x, x);
    if squares.is_finite() && squares > 1e-280 {
        return squares.sqrt();
    }
    let largest = x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return if squares.is_nan() { f64::NAN } else { largest };
    }
    largest * x.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}

/// y += a x
pub(crate) fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_and_sums_at_the_ends_of_the_range() {
        for unit in [1e200, 1.0, 1e-200] {
            assert!((norm(&[3.0 * unit, 4.0 * unit]) / unit - 5.0).abs() < 1e-14);
        }
        assert!(norm(&[1.0, f64::NAN]).is_nan());
        assert_eq!(norm(&[1.0, f64::INFINITY]), f64::INFINITY);
        assert_eq!(dot(&[1.0; 11], &[2.0; 11]), 22.0);
        let mut y = [1.0, 2.0];
        axpy(2.0, &[1.0, -1.0], &mut y);
        assert_eq!(y, [3.0, 0.0]);
    }
}
