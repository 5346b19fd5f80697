//! When a matrix counts as not of full rank.

use crate::element::Float;

/// The part of the largest singular value of an [m, n] matrix up to which others count as zero: as many roundings as
/// the smaller dimension has, or the larger one, up to 64 or a four-thousandth of it. Columns that depend on each other but for
/// rounding stay below that: the rounding of their elements does not grow with their number, and that of sums of so many
/// rows grows far more slowly. Other columns of tall matrices stay above it.
pub fn rank_tolerance<T: Float>(m: usize, n: usize) -> f64 {
    let (small, large) = (m.min(n) as f64, m.max(n) as f64);
    small.max(large.min(64.0)).max(large / 4000.0) * T::EPSILON.to_f64()
}
