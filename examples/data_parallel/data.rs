//! Rows that every process makes for itself: row k is the same whoever makes it.

use crate::solve::Model;
use tapegrad::distributed::{Group, RowSum};
use tapegrad::prelude::*;

/// The rows of one process, of a sum over those of all.
pub struct Shard {
    pub sum: RowSum,
    pub cols: usize,
}

/// A number in [-0.5, 0.5) that follows from a place: splitmix64's (Steele, Lea, Flood 2014).
fn number(place: u64) -> f64 {
    let mut z = place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

impl Shard {
    pub fn new(group: &Group, rows: usize, cols: usize, model: Model) -> Result<Self> {
        let shared = group.rows(rows);
        let (mut a, mut y) = (Vec::new(), Vec::new());
        for row in shared.range() {
            let start = a.len();
            a.extend((0..cols).map(|k| number((row * (cols + 1) + k) as u64)));
            // What the model is to find: coefficients that fall, and noise.
            let exact: f64 = a[start..].iter().enumerate().map(|(k, a)| a / (1.0 + k as f64)).sum();
            let noisy = exact + 0.1 * number((row * (cols + 1) + cols) as u64);
            y.push(if model == Model::Logistic { noisy.signum() } else { noisy });
        }
        let n = y.len();
        let sum = shared.over([Tensor::from_vec(a, [n, cols])?, Tensor::from_vec(y, [n])?])?;
        Ok(Shard { sum, cols })
    }
}
