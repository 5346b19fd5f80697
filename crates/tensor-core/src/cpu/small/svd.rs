//! Singular value decomposition.

use super::eigh::sort;
use super::lanes::{Lanes, Mask, Small, any, or};
use super::qr::rescale;
use crate::element::Float;

/// Sweeps in which a matrix of any spectrum converges: six to eight are usual at the largest order.
const SWEEPS: usize = 16;

/// The thin decomposition A = U diag(s) V^T of `m x n` matrices, s descending. A lane fails where a
/// singular value is next to zero, or the iteration goes on.
pub struct Svd {
    pub m: usize,
    pub n: usize,
}

/// A rotation in the plane of two axes.
#[derive(Clone, Copy)]
struct Rotation<T, const W: usize> {
    c: Lanes<T, W>,
    s: Lanes<T, W>,
    t: Lanes<T, W>,
}

impl<T: Float, const W: usize> Rotation<T, W> {
    /// The rotation by the smaller angle that makes [p r; r q] diagonal; none where `r` is zero (Golub and Van
    /// Loan, algorithm 8.5.1).
    #[inline(always)]
    fn diagonalising(p: Lanes<T, W>, q: Lanes<T, W>, r: Lanes<T, W>) -> Self {
        let (d, r) = (q - p, r + r);
        let root = (d * d).add_mul::<false>(r, r).sqrt();
        let divisor = d.choose(Lanes::ZERO, |d, zero| d < zero, d - root, d + root);
        let t = r.choose(Lanes::ZERO, |r, zero| r == zero, Lanes::ZERO, r / divisor);
        let c = Lanes::ONE / Lanes::ONE.add_mul::<false>(t, t).sqrt();
        Rotation { c, s: t * c, t }
    }

    /// (x, y) := (c x - s y, s x + c y)
    #[inline(always)]
    fn apply<const FMA: bool>(self, x: &mut Lanes<T, W>, y: &mut Lanes<T, W>) {
        (*x, *y) = ((self.c * *x).sub_mul::<FMA>(self.s, *y), (self.c * *y).add_mul::<FMA>(self.s, *x));
    }
}

impl<T: Float> Small<T> for Svd {
    const ALONE: bool = true;

    fn sizes(&self) -> [usize; 3] {
        let (m, n) = (self.m, self.n);
        let k = m.min(n);
        [m * n, m * k + k + k * n, k * (m.max(n) + k) + k]
    }

    /// One-sided Jacobi (Hestenes; Golub and Van Loan, section 8.6.3): rotations J make the columns of A, or
    /// its rows where there are fewer, orthogonal to each other. They are then s_i times a unit vector, the
    /// singular vectors of that side, and J holds those of the other.
    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        work: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let (m, n) = (self.m, self.n);
        let (k, long) = (m.min(n), m.max(n));
        // Products of squares are formed.
        let scale = rescale(a, 0, 1, if size_of::<T>() == 4 { 1e8 } else { 1e70 }).0;
        // Each row holds a vector and, behind it, what it is made of.
        let len = long + k;
        let (rows, squares) = work.split_at_mut(k * len);
        for (j, row) in rows.chunks_exact_mut(len).enumerate() {
            for i in 0..long {
                row[i] = if m >= n { a[i * n + j] } else { a[j * n + i] };
            }
            row[long..].fill(Lanes::ZERO);
            row[long + j] = Lanes::ONE;
        }
        let limit = T::EPSILON * T::of((long as f64).sqrt());
        let square =
            |row: &[Lanes<T, W>]| row[..long].iter().fold(Lanes::ZERO, |sum, &x| sum.add_mul::<FMA>(x, x));
        let mut goes_on = [true; W];
        for _ in 0..SWEEPS {
            goes_on = [false; W];
            // Anew in every sweep: within it they follow from the rotations, and lose a little.
            for (square_of, row) in squares.iter_mut().zip(rows.chunks_exact(len)) {
                *square_of = square(row);
            }
            for q in 1..k {
                for p in 0..q {
                    let (head, tail) = rows.split_at_mut(q * len);
                    let (x, y) = (&mut head[p * len..(p + 1) * len], &mut tail[..len]);
                    let mut xy = Lanes::ZERO;
                    for (&x, &y) in x[..long].iter().zip(&y[..long]) {
                        xy = xy.add_mul::<FMA>(x, y);
                    }
                    let (xx, yy) = (squares[p], squares[q]);
                    let bound = (xx * yy).sqrt() * Lanes::all(limit);
                    // A square that rounding made negative has no bound.
                    let larger = |xy: T, bound: T| !(xy <= bound);
                    let turned = xy.abs().holds(bound, larger);
                    if !any(turned) {
                        continue;
                    }
                    goes_on = or(goes_on, turned);
                    let xy = xy.abs().choose(bound, larger, xy, Lanes::ZERO);
                    let rotation = Rotation::diagonalising(xx, yy, xy);
                    squares[p] = xx.sub_mul::<FMA>(rotation.t, xy);
                    squares[q] = yy.add_mul::<FMA>(rotation.t, xy);
                    for (x, y) in x.iter_mut().zip(y) {
                        rotation.apply::<FMA>(x, y);
                    }
                }
            }
            if !any(goes_on) {
                break;
            }
        }
        // A vector is its row over its length, which has to be known to full precision.
        let tiny = Lanes::all(T::of(if size_of::<T>() == 4 { 1e-33 } else { 1e-290 }));
        let (u, rest) = output.split_at_mut(m * k);
        let (s, vt) = rest.split_at_mut(k);
        let mut failed = goes_on;
        for (s, row) in s.iter_mut().zip(rows.chunks_exact(len)) {
            let square = square(row);
            failed = or(failed, square.holds(tiny, |x, tiny| !(x > tiny)));
            *s = square.sqrt();
        }
        sort(s, rows, len, |x, y| x >= y);
        for (j, row) in rows.chunks_exact(len).enumerate() {
            let (vector, made_of) = row.split_at(long);
            let scale = Lanes::ONE / s[j];
            if m >= n {
                for (i, &x) in vector.iter().enumerate() {
                    u[i * k + j] = x * scale;
                }
                vt[j * n..(j + 1) * n].copy_from_slice(made_of);
            } else {
                for (x, &y) in vt[j * n..(j + 1) * n].iter_mut().zip(vector) {
                    *x = y * scale;
                }
                for (i, &x) in made_of.iter().enumerate() {
                    u[i * k + j] = x;
                }
            }
        }
        if let Some(scale) = scale {
            s.iter_mut().for_each(|s| *s = *s / scale);
        }
        failed
    }
}
