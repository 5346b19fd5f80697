//! Eigenvalues and eigenvectors of symmetric matrices.

use super::qr::squares_leave_range;
use super::{Lanes, Mask, Small, any, or};
use crate::element::Float;

/// Sweeps in which a matrix of any spectrum converges: six to eight are usual at the largest order.
pub(super) const SWEEPS: usize = 16;

/// w ascending and V with A = V diag(w) V^T, of which the lower triangle is read. A lane fails where squares
/// leave the range or the iteration goes on.
pub struct Eigh(pub usize);

/// A rotation in the plane of two axes.
#[derive(Clone, Copy)]
pub(super) struct Rotation<T, const W: usize> {
    pub c: Lanes<T, W>,
    pub s: Lanes<T, W>,
    pub t: Lanes<T, W>,
}

impl<T: Float, const W: usize> Rotation<T, W> {
    /// The rotation by the smaller angle that makes [p r; r q] diagonal; none where `r` is zero (Golub and Van
    /// Loan, algorithm 8.5.1).
    #[inline(always)]
    pub fn diagonalising(p: Lanes<T, W>, q: Lanes<T, W>, r: Lanes<T, W>) -> Self {
        let (d, r) = (q - p, r + r);
        let root = (d * d).add_mul::<false>(r, r).sqrt();
        let divisor = d.choose(Lanes::ZERO, |d, zero| d < zero, d - root, d + root);
        let t = r.choose(Lanes::ZERO, |r, zero| r == zero, Lanes::ZERO, r / divisor);
        let c = Lanes::ONE / Lanes::ONE.add_mul::<false>(t, t).sqrt();
        Rotation { c, s: t * c, t }
    }

    /// (x, y) := (c x - s y, s x + c y)
    #[inline(always)]
    pub fn apply<const FMA: bool>(self, x: &mut Lanes<T, W>, y: &mut Lanes<T, W>) {
        (*x, *y) = ((self.c * *x).sub_mul::<FMA>(self.s, *y), (self.c * *y).add_mul::<FMA>(self.s, *x));
    }
}

impl<T: Float> Small<T> for Eigh {
    const ALONE: bool = true;

    fn sizes(&self) -> [usize; 3] {
        let n = self.0;
        [n * n, n + n * n, n * n]
    }

    /// Cyclic Jacobi (Golub and Van Loan, section 8.5): rotations until what is off the diagonal is below the
    /// rounding of the whole.
    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        vt: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let n = self.0;
        let (w, v) = output.split_at_mut(n);
        let vt = &mut vt[..n * n];
        vt.fill(Lanes::ZERO);
        for i in 0..n {
            vt[i * n + i] = Lanes::ONE;
        }
        let mut goes_on = [true; W];
        let failed = squares_leave_range(a);
        for sweep in 0..=SWEEPS {
            let (mut off, mut whole) = (Lanes::ZERO, Lanes::ZERO);
            for i in 0..n {
                whole = whole.add_mul::<FMA>(a[i * n + i], a[i * n + i]);
                for &x in &a[i * n..i * n + i] {
                    off = off.add_mul::<FMA>(x, x);
                }
            }
            whole = whole + off;
            let limit = whole * Lanes::all(T::EPSILON * T::EPSILON * T::of(0.25));
            // NaN goes on for ever.
            goes_on = off.holds(limit, |off, limit| !(off <= limit));
            if sweep == SWEEPS || !any(goes_on) {
                break;
            }
            // All that is left out together stays within the limit. A matrix that is done rests, whatever those
            // beside it need.
            let small = limit * Lanes::all(T::of(1.0 / (n * n) as f64));
            let small = off.choose(limit, |off, limit| off <= limit, Lanes::all(T::INFINITY), small);
            for q in 1..n {
                for p in 0..q {
                    rotate::<T, W, FMA>(a, vt, n, (p, q), small);
                }
            }
        }
        for i in 0..n {
            w[i] = a[i * n + i];
        }
        sort(w, vt, n, |x, y| x <= y);
        for i in 0..n {
            for j in 0..n {
                v[i * n + j] = vt[j * n + i];
            }
        }
        or(failed, goes_on)
    }
}

/// Makes the element (q, p) zero, p < q, in the lower triangle of `a`, where its square is more than `small`.
#[inline(always)]
fn rotate<T: Float, const W: usize, const FMA: bool>(
    a: &mut [Lanes<T, W>],
    vt: &mut [Lanes<T, W>],
    n: usize,
    (p, q): (usize, usize),
    small: Lanes<T, W>,
) {
    let r = a[q * n + p];
    let large = |square: T, small: T| square > small;
    if !any((r * r).holds(small, large)) {
        return;
    }
    a[q * n + p] = (r * r).choose(small, large, Lanes::ZERO, r);
    let r = (r * r).choose(small, large, r, Lanes::ZERO);
    let rotation = Rotation::diagonalising(a[p * n + p], a[q * n + q], r);
    a[p * n + p] = a[p * n + p].sub_mul::<FMA>(rotation.t, r);
    a[q * n + q] = a[q * n + q].add_mul::<FMA>(rotation.t, r);
    let (upper, lower) = a[..n * n].split_at_mut(q * n);
    let (row_p, row_q) = (&mut upper[p * n..(p + 1) * n], &mut lower[..n]);
    for (x, y) in row_p[..p].iter_mut().zip(&mut row_q[..p]) {
        rotation.apply::<FMA>(x, y);
    }
    for i in p + 1..q {
        rotation.apply::<FMA>(&mut upper[i * n + p], &mut lower[i]);
    }
    for row in lower.chunks_exact_mut(n).skip(1) {
        let (head, tail) = row.split_at_mut(q);
        rotation.apply::<FMA>(&mut head[p], &mut tail[0]);
    }
    let (head, tail) = vt.split_at_mut(q * n);
    for (x, y) in head[p * n..(p + 1) * n].iter_mut().zip(&mut tail[..n]) {
        rotation.apply::<FMA>(x, y);
    }
}

/// Sorts the values, and with them the rows of `len` numbers, so that `ordered` holds for neighbours.
#[inline(always)]
pub(super) fn sort<T: Float, const W: usize>(
    values: &mut [Lanes<T, W>],
    rows: &mut [Lanes<T, W>],
    len: usize,
    ordered: impl Fn(T, T) -> bool + Copy,
) {
    for end in (1..values.len()).rev() {
        for i in 0..end {
            let (x, y) = (values[i], values[i + 1]);
            values[i] = x.choose(y, ordered, x, y);
            values[i + 1] = x.choose(y, ordered, y, x);
            let (head, tail) = rows.split_at_mut((i + 1) * len);
            for (u, v) in head[i * len..].iter_mut().zip(tail) {
                (*u, *v) = (x.choose(y, ordered, *u, *v), x.choose(y, ordered, *v, *u));
            }
        }
    }
}
