//! QR factorisation.

use super::{Lanes, Mask, Small};
use crate::element::Float;

/// A = Q R of `m x n` matrices with `k` columns of Q, the smaller of both or `m`; the diagonal of R is not
/// negative. A lane fails where squares of its numbers leave the range.
pub struct Qr {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

impl<T: Float> Small<T> for Qr {
    const ALONE: bool = true;

    fn sizes(&self) -> [usize; 3] {
        let Qr { m, n, k } = *self;
        [m * n, m * k + k * n, m.min(n)]
    }

    /// Householder reflections H = I - tau v v^T with v_j = 1 (Golub and Van Loan, section 5.2; LAPACK
    /// `geqr2`, `org2r`).
    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        tau: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let Qr { m, n, k } = *self;
        let (q, r) = output.split_at_mut(m * k);
        let failed = squares_leave_range(a);
        for j in 0..m.min(n) {
            let mut rest = Lanes::ZERO;
            for i in j + 1..m {
                rest = rest.add_mul::<FMA>(a[i * n + j], a[i * n + j]);
            }
            let alpha = a[j * n + j];
            let square = rest.add_mul::<FMA>(alpha, alpha);
            let norm = square.sqrt();
            let beta = alpha.choose(Lanes::ZERO, |x, zero| x > zero, -norm, norm);
            // Nothing to reflect where the column is done already.
            let done = |rest: T, zero: T| rest == zero;
            let beta = rest.choose(Lanes::ZERO, done, alpha, beta);
            let divisor = rest.choose(Lanes::ZERO, done, Lanes::ONE, beta);
            tau[j] = (beta - alpha) / divisor;
            let scale = rest.choose(Lanes::ZERO, done, Lanes::ONE, alpha - beta);
            let scale = Lanes::ONE / scale;
            a[j * n + j] = beta;
            for i in j + 1..m {
                a[i * n + j] = a[i * n + j] * scale;
            }
            for c in j + 1..n {
                let mut sum = a[j * n + c];
                for i in j + 1..m {
                    sum = sum.add_mul::<FMA>(a[i * n + j], a[i * n + c]);
                }
                sum = sum * tau[j];
                a[j * n + c] = a[j * n + c] - sum;
                for i in j + 1..m {
                    a[i * n + c] = a[i * n + c].sub_mul::<FMA>(a[i * n + j], sum);
                }
            }
        }
        q[..m * k].fill(Lanes::ZERO);
        for i in 0..k {
            q[i * k + i] = Lanes::ONE;
        }
        for j in (0..m.min(n)).rev() {
            for c in j..k {
                let mut sum = q[j * k + c];
                for i in j + 1..m {
                    sum = sum.add_mul::<FMA>(a[i * n + j], q[i * k + c]);
                }
                sum = sum * tau[j];
                q[j * k + c] = q[j * k + c] - sum;
                for i in j + 1..m {
                    q[i * k + c] = q[i * k + c].sub_mul::<FMA>(a[i * n + j], sum);
                }
            }
        }
        // Reflections leave the signs open: with a diagonal of R that is not negative, the factors are unique.
        for i in 0..k {
            let negative = |x: T, zero: T| x < zero;
            let diagonal = if i < n { a[i * n + i] } else { Lanes::ONE };
            let sign = diagonal.choose(Lanes::ZERO, negative, -Lanes::ONE, Lanes::ONE);
            for c in 0..n {
                r[i * n + c] = if c < i { Lanes::ZERO } else { a[i * n + c] * sign };
            }
            for row in 0..m {
                q[row * k + i] = q[row * k + i] * sign;
            }
        }
        failed
    }
}

/// Where the largest number is neither zero nor far from overflow and underflow of its square.
#[inline(always)]
pub(super) fn squares_leave_range<T: Float, const W: usize>(a: &[Lanes<T, W>]) -> Mask<W> {
    // NaN is never larger, and is found by who looks at the results.
    let larger = |x: T, y: T| x > y;
    let largest = a.iter().fold(Lanes::ZERO, |l, x| x.abs().choose(l, larger, x.abs(), l));
    let high = T::of(if size_of::<T>() == 4 { 1e14 } else { 1e140 });
    largest.holds(Lanes::ZERO, |x, zero| x != zero && !(T::ONE / high..=high).contains(&x))
}
