//! Random numbers from a counter: element i of a draw depends on the seed, the draw and i, and on
//! nothing else, so that threads and devices agree.
//!
//! Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011.

use super::parallel::for_parts;
use crate::element::Float;
use std::f64::consts::TAU;

/// Ten rounds of Philox: four random words for a counter and a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = 0xD251_1F53_u64 * u64::from(counter[0]);
        let b = 0xCD9E_8D57_u64 * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// Two uniform numbers in [0, 1) with 53 random bits each: the pair `index` of draw `draw`.
fn uniform_pair(seed: u64, draw: u64, index: u64) -> [f64; 2] {
    let halves = |x: u64| [x as u32, (x >> 32) as u32];
    let ([i, j], [k, l]) = (halves(index), halves(draw));
    let w = philox([i, j, k, l], halves(seed));
    let word = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
    [unit(word(w[0], w[1])), unit(word(w[2], w[3]))]
}

/// A number in [0, 1) from the upper 53 of 64 random bits.
pub fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform numbers in [0, 1).
pub fn uniform<T: Float>(out: &mut [T], seed: u64, draw: u64) {
    // Rounding to single precision may reach 1, which the interval excludes.
    let below_one = T::ONE - T::EPSILON / T::of(2.0);
    pairs(out, |i| uniform_pair(seed, draw, i).map(|u| if T::of(u) < T::ONE { T::of(u) } else { below_one }));
}

/// Standard normal numbers.
pub fn normal<T: Float>(out: &mut [T], seed: u64, draw: u64) {
    pairs(out, |i| normal_pair(uniform_pair(seed, draw, i)).map(T::of));
}

/// Two standard normal numbers from two uniform ones in [0, 1): Box and Muller 1958, sqrt(-2 ln u) (cos, sin)(2 pi v), u in
/// (0, 1].
pub fn normal_pair([u, v]: [f64; 2]) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - u).ln()).sqrt();
    let (sin, cos) = (TAU * v).sin_cos();
    [radius * cos, radius * sin]
}

/// Writes pair i to the places 2i and 2i + 1.
fn pairs<T: Float>(out: &mut [T], pair: impl Fn(u64) -> [T; 2] + Sync) {
    for_parts(out, |from, out| {
        // Parts begin at even places, so no pair is cut in two.
        for (k, o) in out.chunks_mut(2).enumerate() {
            o.copy_from_slice(&pair((from / 2 + k) as u64)[..o.len()]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors' Random123 distribution publishes.
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut x = vec![0.0f64; 100_001];
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64)
        };
        uniform(&mut x, 1, 0);
        let (mean, var) = moments(&x);
        assert!((mean - 0.5).abs() < 0.005 && (var - 1.0 / 12.0).abs() < 0.002);
        normal(&mut x, 1, 1);
        let (mean, var) = moments(&x);
        assert!(mean.abs() < 0.015 && (var - 1.0).abs() < 0.02);
    }
}
