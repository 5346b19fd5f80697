//! Cholesky factorisation.

use super::lanes::{Lanes, Mask, Small, or};
use crate::cpu::large::tiny_pivot;
use crate::element::Float;

/// L with A = L L^T, of which the lower triangle is read; zeros above. A lane fails where a leading minor is
/// not positive, or next to zero.
pub struct Cholesky(pub usize);

impl<T: Float> Small<T> for Cholesky {
    fn sizes(&self) -> [usize; 3] {
        [self.0 * self.0, self.0 * self.0, self.0]
    }

    /// As `large::cholesky`, row by row: l_ij = (a_ij - sum_(k<j) l_ik l_jk) / l_jj.
    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        l: &mut [Lanes<T, W>],
        reciprocals: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let n = self.0;
        let mut failed = [false; W];
        let tiny = Lanes::all(tiny_pivot());
        for i in 0..n {
            let (above, row) = l[..(i + 1) * n].split_at_mut(i * n);
            for j in 0..i {
                let mut sum = a[i * n + j];
                for (&x, &y) in row[..j].iter().zip(&above[j * n..]) {
                    sum = sum.sub_mul::<FMA>(x, y);
                }
                row[j] = sum * reciprocals[j];
            }
            let mut sum = a[i * n + i];
            for &x in &row[..i] {
                sum = sum.sub_mul::<FMA>(x, x);
            }
            failed = or(failed, sum.holds(tiny, |sum, tiny| !(sum >= tiny)));
            row[i] = sum.sqrt();
            reciprocals[i] = Lanes::ONE / row[i];
            row[i + 1..n].fill(Lanes::ZERO);
        }
        failed
    }
}
