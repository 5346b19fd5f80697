//! Quotients by the gaps of a spectrum: what derivatives of eigenvectors and singular vectors are made of.

use super::spread::for_batch;
use crate::array::Array;
use crate::cpu::copy::elements;
use crate::element::Float;
use crate::error::Result;
use crate::matrix::flaw::first;
use crate::matrix::gaps::Gaps;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The quotients for each matrix `p` and spectrum `w` of a batch, and the position of the first numerator that
/// was not negligible beside the others of its matrix but had a gap of zero.
pub fn over_gaps<T: Float>(
    op: &'static str,
    p: &Array<T>,
    w: &Array<T>,
    gaps: Gaps<T>,
) -> Result<(Array<T>, Option<usize>)> {
    let n = w.shape()[w.ndim() - 1];
    let mut out = Array::zeros(p.shape())?;
    let (p, w) = (elements(op, p)?, elements(op, w)?);
    let lost = AtomicUsize::new(usize::MAX);
    let mut nothing = vec![(); w.len().checked_div(n).unwrap_or(0)];
    for_batch((out.fresh_mut(), n * n), (&mut nothing, 1), 4 * n * n, |matrix, out, _| {
        let (p, w) = (&p[matrix * n * n..][..n * n], &w[matrix * n..][..n]);
        let half = |i: usize, j: usize| T::of(0.5) * (p[i * n + j] + gaps.transpose * p[j * n + i]);
        // Below 0 is no gap at all.
        let limit = gaps.rounding.map_or(-T::ONE, |rounding| rounding * largest(w.iter().copied()));
        let gap = |i: usize, j: usize| w[j] + gaps.other * w[i];
        let mut closed = 0;
        for i in 0..n {
            for j in 0..n {
                let none = Float::abs(gap(i, j)) <= limit;
                closed += usize::from(none);
                out[i * n + j] = if none { T::ZERO } else { half(i, j) / gap(i, j) };
            }
            out[i * n + i] = T::ZERO;
        }
        let Some(rounding) = gaps.rounding.filter(|_| closed > n) else { return };
        let apart = (0..n * n).map(|e| (e / n, e % n)).filter(|(i, j)| i != j);
        let limit_of_p = rounding * largest(apart.clone().map(|(i, j)| half(i, j)));
        let felt =
            |&(i, j): &(usize, usize)| Float::abs(gap(i, j)) <= limit && Float::abs(half(i, j)) > limit_of_p;
        if let Some((i, j)) = apart.clone().find(felt) {
            lost.fetch_min((matrix * n + i) * n + j, Relaxed);
        }
    });
    Ok((out, first(&lost)))
}

fn largest<T: Float>(x: impl Iterator<Item = T>) -> T {
    x.map(Float::abs).fold(T::ZERO, |largest, x| if x > largest { x } else { largest })
}
