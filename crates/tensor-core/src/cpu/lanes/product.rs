//! Products of matrices.

use super::{Lanes, Mask, Small};
use crate::element::Float;

/// alpha A B for `m x k` matrices A and `k x n` matrices B.
pub struct Product<T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub alpha: T,
}

/// Numbers of a row of the product that are summed at once, in registers.
const TILE: usize = 4;

impl<T: Float> Small<T> for Product<T> {
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
        let (a, b) = input.split_at(m * k);
        let alpha = Lanes::all(alpha);
        for i in 0..m {
            let row = &a[i * k..(i + 1) * k];
            let out = &mut output[i * n..(i + 1) * n];
            let (tiles, rest) = out.as_chunks_mut::<TILE>();
            for (t, tile) in tiles.iter_mut().enumerate() {
                let mut sums = [Lanes::ZERO; TILE];
                for (l, &x) in row.iter().enumerate() {
                    let b = &b[l * n + t * TILE..][..TILE];
                    for (sum, &y) in sums.iter_mut().zip(b) {
                        *sum = sum.add_mul::<FMA>(x, y);
                    }
                }
                *tile = sums.map(|sum| sum * alpha);
            }
            let done = n - rest.len();
            for (j, out) in rest.iter_mut().enumerate() {
                let column = row.iter().enumerate();
                *out =
                    alpha * column.fold(Lanes::ZERO, |s, (l, &x)| s.add_mul::<FMA>(x, b[l * n + done + j]));
            }
        }
        [false; W]
    }
}
