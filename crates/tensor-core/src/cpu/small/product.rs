//! Products of matrices.

use super::lanes::{Lanes, Mask, Small, tile, tile_mut};
use crate::element::Float;
use crate::simd::map;

/// alpha A B for `m x k` matrices A and `k x n` matrices B.
pub struct Product<T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub alpha: T,
}

impl<T: Float> Small<T> for Product<T> {
    const FINITE: bool = false;

    fn sizes(&self) -> [usize; 3] {
        [self.m * self.k + self.k * self.n, self.m * self.n, 0]
    }

    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        input: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        _: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let Product { m, k, n, alpha } = *self;
        if m == n && n == k {
            known_order!(n, |n| multiply::<T, W, FMA>(input, output, [n; 3], alpha));
        } else {
            multiply::<T, W, FMA>(input, output, [m, k, n], alpha);
        }
        [false; W]
    }
}

#[inline(always)]
fn multiply<T: Float, const W: usize, const FMA: bool>(
    input: &[Lanes<T, W>],
    output: &mut [Lanes<T, W>],
    [m, k, n]: [usize; 3],
    alpha: T,
) {
    let (a, b) = input.split_at(m * k);
    for i in 0..m {
        for_tiles!(0..n, |C, at| {
            let mut sums = [Lanes::ZERO; C];
            for (l, &x) in a[i * k..(i + 1) * k].iter().enumerate() {
                let y = tile::<_, W, C>(b, n, l, at);
                for c in 0..C {
                    sums[c] = sums[c].add_mul::<FMA>(x, y[c]);
                }
            }
            *tile_mut(output, n, i, at) = map(sums, |sum| sum * Lanes::all(alpha));
        });
    }
}
