//! The powers of elements, side by side.

use super::copy::elements;
use super::parallel::for_pieces;
use crate::array::Array;
use crate::element::Float;
use crate::error::Result;
use crate::simd::{Kernel, dispatch};

/// The powers 0 to n - 1 of each element along a last dimension, or from the highest one on where `decreasing`.
pub fn powers<T: Float>(op: &'static str, x: &Array<T>, n: usize, decreasing: bool) -> Result<Array<T>> {
    let mut out = Array::build(op, x.shape().iter().copied().chain([n]).collect(), |_| {})?;
    if out.numel() > 0 {
        let x = elements(op, x)?;
        for_pieces(out.fresh_mut(), n, |start, rows| {
            let x = &x[start / n..][..rows.len() / n];
            dispatch(Rows { x, n, decreasing, rows });
        });
    }
    Ok(out)
}

/// A row of powers for each number.
struct Rows<'a, T> {
    x: &'a [T],
    n: usize,
    decreasing: bool,
    rows: &'a mut [T],
}

impl<T: Float> Kernel for Rows<'_, T> {
    type Output = ();

    /// As many again in every step: x^(w + j) = x^j x^w, where w powers are there.
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { x, n, decreasing, rows } = self;
        for (&x, row) in x.iter().zip(rows.chunks_exact_mut(n)) {
            row[if decreasing { n - 1 } else { 0 }] = T::ONE;
            let (mut width, mut power) = (1, x);
            while width < n {
                let more = width.min(n - width);
                let (known, next) = if decreasing {
                    let (rest, known) = row.split_at_mut(n - width);
                    (&known[width - more..], &mut rest[n - width - more..])
                } else {
                    let (known, rest) = row.split_at_mut(width);
                    (&known[..more], &mut rest[..more])
                };
                for (next, &known) in next.iter_mut().zip(known) {
                    *next = known * power;
                }
                power = power * power;
                width += more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_powers_in_either_order() {
        let numbers = [0.0, -0.0, 1.0, -1.5, 0.25, 3.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let many: Vec<f64> = (0..1000).map(|i| numbers[i % numbers.len()]).collect();
        for x in [&numbers[..], &many, &[]] {
            let x = Array::from_slice(x, &[x.len()]).unwrap();
            for n in [1, 2, 3, 4, 5, 8, 13, 64, 100] {
                let bits = |decreasing: bool| -> Vec<u64> {
                    let y = powers("vander", &x, n, decreasing).unwrap();
                    assert_eq!(y.shape(), [x.numel(), n]);
                    y.to_vec().into_iter().map(f64::to_bits).collect()
                };
                let (up, down) = (bits(false), bits(true));
                for (i, x) in x.to_vec().into_iter().enumerate() {
                    for k in 0..n {
                        let (found, exact) = (f64::from_bits(up[i * n + k]), x.powi(k as i32));
                        let near = (found - exact).abs() <= 1e-13 * exact.abs();
                        assert!(
                            near || found == exact || (found.is_nan() && exact.is_nan()),
                            "{x}^{k}: {found}"
                        );
                        assert!(found.is_nan() || found.is_sign_negative() == exact.is_sign_negative());
                        assert_eq!(down[i * n + n - 1 - k], up[i * n + k]);
                    }
                }
            }
        }
    }
}
