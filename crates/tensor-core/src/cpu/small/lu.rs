//! LU with partial pivoting, and what follows from it.

use super::lanes::{LARGEST, Lanes, Mask, Small, or, tile, tile_mut};
use crate::cpu::scale::smallest_normal;
use crate::element::{Float, Number};
use crate::simd::map;

/// What elimination tells beside the factors and the exchanges of rows.
struct Eliminated<T, const W: usize> {
    sign: Lanes<T, W>,
    /// The magnitude of the smallest pivot.
    smallest: Lanes<T, W>,
}

impl<T: Float, const W: usize> Eliminated<T, W> {
    /// Where there is no inverse.
    #[inline(always)]
    fn singular(&self) -> Mask<W> {
        self.smallest.holds(Lanes::ZERO, |pivot, zero| pivot == zero)
    }
}

/// P A = L U in place of A, the first of `cols` columns, of which the others become those of L^-1 P; row k was
/// exchanged with row `rows[k]`. `old` has room for a row. Multipliers of a zero pivot are zero, and lie
/// in the order of the rows only where `KEPT`. Products are rounded, as in `large::lu`, so that columns that
/// depend on each other mostly give an exact zero.
#[inline(always)]
fn eliminate<T: Float, const W: usize, const KEPT: bool>(
    a: &mut [Lanes<T, W>],
    [n, cols]: [usize; 2],
    rows: &mut [Lanes<T, W>],
    old: &mut [Lanes<T, W>],
) -> Eliminated<T, W> {
    let mut found = Eliminated { sign: Lanes::ONE, smallest: Lanes::all(T::INFINITY) };
    let old = &mut old[..cols];
    // Rows are numbered by numbers that a lane can hold.
    let mut number = Lanes::ZERO;
    for k in 0..n {
        let (upper, lower) = a[..n * cols].split_at_mut((k + 1) * cols);
        let pivot_row = &mut upper[k * cols..];
        let mut best = pivot_row[k].abs();
        let mut index = number;
        let mut here = number;
        for i in 0..n - k - 1 {
            here = here + Lanes::ONE;
            let magnitude = lower[i * cols + k].abs();
            // NaN counts as larger than anything.
            let larger = |x: T, best: T| !(x <= best);
            index = magnitude.choose(best, larger, here, index);
            best = magnitude.choose(best, larger, magnitude, best);
        }
        let minus = -found.sign;
        found.sign = index.choose(number, same, found.sign, minus);
        rows[k] = index;
        let from = if KEPT { 0 } else { k };
        old[from..cols].copy_from_slice(&pivot_row[from..]);
        for_tiles!(from..cols, |C, at| {
            let chosen = tile_mut::<_, W, C>(pivot_row, cols, 0, at);
            let (mut row, mut here) = (*chosen, number);
            for i in 0..n - k - 1 {
                here = here + Lanes::ONE;
                let other = tile::<_, W, C>(lower, cols, i, at);
                for c in 0..C {
                    row[c] = index.choose(here, same, other[c], row[c]);
                }
            }
            *chosen = row;
        });
        let pivot = pivot_row[k];
        // After a zero, a NaN does not count: the caller looks at the matrix again.
        let smaller = |pivot: T, smallest: T| pivot < smallest;
        found.smallest = pivot.abs().choose(found.smallest, smaller, pivot.abs(), found.smallest);
        let divisor = pivot.choose(Lanes::ZERO, |pivot, zero| pivot == zero, Lanes::ONE, pivot);
        let mut here = number;
        for i in 0..n - k - 1 {
            let row = &mut lower[i * cols..(i + 1) * cols];
            here = here + Lanes::ONE;
            let exchanged = |old: Lanes<T, W>, x: Lanes<T, W>| index.choose(here, same, old, x);
            if KEPT {
                for (x, &old) in row[..k].iter_mut().zip(&*old) {
                    *x = exchanged(old, *x) + Lanes::ZERO;
                }
            }
            let factor = exchanged(old[k], row[k]) / divisor;
            row[k] = factor;
            for ((x, &old), &p) in row.iter_mut().zip(&*old).zip(&*pivot_row).skip(k + 1) {
                *x = exchanged(old, *x) - factor * p;
            }
        }
        number = number + Lanes::ONE;
    }
    found
}

#[inline(always)]
fn same<T: Float>(x: T, y: T) -> bool {
    x == y
}

/// X = L^-1 P, for the factors and exchanges that [`eliminate`] leaves.
#[inline(always)]
fn invert_lower<T: Float, const W: usize, const FMA: bool>(
    x: &mut [Lanes<T, W>],
    a: &[Lanes<T, W>],
    n: usize,
    rows: &[Lanes<T, W>],
) {
    // Row k of P has its one in column `order[k]`.
    let mut order = [Lanes::ZERO; LARGEST];
    for k in 1..n {
        order[k] = order[k - 1] + Lanes::ONE;
    }
    for k in 0..n {
        let (upper, lower) = order[..n].split_at_mut(k + 1);
        let mut here = Lanes::all(T::of(k as f64));
        for other in lower {
            here = here + Lanes::ONE;
            let (x, y) = (upper[k], *other);
            // What is added keeps the compiler from stores under a mask, which take many times as long.
            upper[k] = rows[k].choose(here, same, y, x) + Lanes::ZERO;
            *other = rows[k].choose(here, same, x, y) + Lanes::ZERO;
        }
    }
    for i in 0..n {
        let (done, row) = x[..n * n].split_at_mut(i * n);
        let mut here = Lanes::ZERO;
        for x in &mut row[..n] {
            *x = order[i].choose(here, same, Lanes::ONE, Lanes::ZERO);
            here = here + Lanes::ONE;
        }
        subtract_rows::<T, W, FMA>(row, n, &a[i * n..i * n + i], done);
    }
}

/// `row - sum_k factors_k rows_k` for rows of `n`.
#[inline(always)]
fn subtract_rows<T: Float, const W: usize, const FMA: bool>(
    row: &mut [Lanes<T, W>],
    n: usize,
    factors: &[Lanes<T, W>],
    rows: &[Lanes<T, W>],
) {
    for_tiles!(0..n, |C, at| {
        let tiled = tile_mut::<_, W, C>(row, n, 0, at);
        let mut x = *tiled;
        for (k, &factor) in factors.iter().enumerate() {
            let y = tile::<_, W, C>(rows, n, k, at);
            for c in 0..C {
                x[c] = x[c].sub_mul::<FMA>(factor, y[c]);
            }
        }
        *tiled = x;
    });
}

/// Whether products of these sizes are far from overflow and underflow.
#[inline(always)]
fn in_range<T: Float>(x: T) -> bool {
    let large = T::of(if size_of::<T>() == 4 { 1e30 } else { 1e290 });
    let abs = Float::abs(x);
    abs <= large && abs >= T::ONE / large
}

/// det A: the input is A, the output one number.
pub struct Determinant(pub usize);

impl<T: Float> Small<T> for Determinant {
    const FINITE: bool = false;

    fn sizes(&self) -> [usize; 3] {
        [self.0 * self.0, 1, self.0]
    }

    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        rows: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        known_order!(self.0, |n| {
            let mut old = [Lanes::ZERO; LARGEST];
            // As in `large::lu_det`, the product is formed in double precision.
            let mut product = map(eliminate::<T, W, false>(a, [n, n], rows, &mut old).sign.0, Number::to_f64);
            let (mut low, mut high) = ([1.0; W], [1.0; W]);
            for k in 0..n {
                for l in 0..W {
                    product[l] *= a[k * n + k].0[l].to_f64();
                    let magnitude = product[l].abs();
                    low[l] = if magnitude < low[l] { magnitude } else { low[l] };
                    high[l] = if magnitude > high[l] { magnitude } else { high[l] };
                }
            }
            output[0] = Lanes(map(product, T::of));
            // Zeros are left to the caller with what is out of range.
            let mut failed = [false; W];
            for l in 0..W {
                failed[l] = !(in_range(low[l]) && in_range(high[l]));
            }
            failed
        })
    }
}

/// A^-1 = U^-1 L^-1 P.
pub struct Inverse(pub usize);

impl<T: Float> Small<T> for Inverse {
    fn sizes(&self) -> [usize; 3] {
        [self.0 * self.0, self.0 * self.0, self.0]
    }

    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        x: &mut [Lanes<T, W>],
        rows: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        known_order!(self.0, |n| {
            let mut old = [Lanes::ZERO; LARGEST];
            let found = eliminate::<T, W, true>(a, [n, n], rows, &mut old);
            invert_lower::<T, W, FMA>(x, a, n, rows);
            let (mut small, normal) = ([false; W], Lanes::all(smallest_normal()));
            for i in (0..n).rev() {
                let (rest, done) = x[..n * n].split_at_mut((i + 1) * n);
                let row = &mut rest[i * n..];
                subtract_rows::<T, W, FMA>(row, n, &a[i * n + i + 1..(i + 1) * n], done);
                let reciprocal = Lanes::ONE / a[i * n + i];
                row.iter_mut().for_each(|x| *x = *x * reciprocal);
                small = or(small, reciprocal.abs().holds(normal, |x, normal| x < normal));
            }
            // A pivot may be too small for its reciprocal, or so large that the reciprocal loses digits.
            let tiny = T::of(if size_of::<T>() == 4 { 1e-37 } else { 1e-307 });
            or(small, found.smallest.holds(Lanes::all(tiny), |pivot, tiny| pivot < tiny))
        })
    }
}

/// A^-1 B, for k columns: the inputs are A and B.
pub struct Solve {
    pub n: usize,
    pub k: usize,
}

impl<T: Float> Small<T> for Solve {
    fn sizes(&self) -> [usize; 3] {
        let Solve { n, k } = *self;
        [n * (n + k), n * k, n * (n + k) + n + n + k]
    }

    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        input: &mut [Lanes<T, W>],
        x: &mut [Lanes<T, W>],
        work: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        known_order!(self.n, |n| match self.k {
            1 => solve::<T, W, FMA>(input, x, work, n, 1),
            k => solve::<T, W, FMA>(input, x, work, n, k),
        })
    }
}

#[inline(always)]
fn solve<T: Float, const W: usize, const FMA: bool>(
    input: &[Lanes<T, W>],
    x: &mut [Lanes<T, W>],
    work: &mut [Lanes<T, W>],
    n: usize,
    k: usize,
) -> Mask<W> {
    let (a, b) = input.split_at(n * n);
    // B beside A goes through the elimination with it.
    let cols = n + k;
    let (both, work) = work.split_at_mut(n * cols);
    for i in 0..n {
        both[i * cols..][..n].copy_from_slice(&a[i * n..][..n]);
        both[i * cols + n..][..k].copy_from_slice(&b[i * k..][..k]);
    }
    let (rows, old) = work.split_at_mut(n);
    let singular = eliminate::<T, W, false>(both, [n, cols], rows, old).singular();
    for i in (0..n).rev() {
        let (rest, done) = x[..n * k].split_at_mut((i + 1) * k);
        let (row, x) = (&both[i * cols..(i + 1) * cols], &mut rest[i * k..]);
        x.copy_from_slice(&row[n..]);
        subtract_rows::<T, W, FMA>(x, k, &row[i + 1..n], done);
        x.iter_mut().for_each(|x| *x = *x / row[i]);
    }
    singular
}

/// The cofactors of A times a number, the derivative of that number times det A: the inputs are A and the
/// number. Exact at every rank, since nothing is divided by a pivot but what is smaller than it.
///
/// With P A = L U, cof A = det P (adj U  L^-1 P)^T, and for the triangle U, with E_ii = 1,
/// adj U_ij = (prod_(k<i) u_kk) E_ij (prod_(k>j) u_kk),
/// E_ij = -sum_(i<=r<j) E_ir u_rj prod_(r<q<j) u_qq: the minors of U are determinants of Hessenberg matrices
/// (Golub and Van Loan, section 7.4, for the form; expanded along the last column).
pub struct Cofactors(pub usize);

impl<T: Float> Small<T> for Cofactors {
    const ALONE: bool = true;
    const FINITE: bool = false;

    fn sizes(&self) -> [usize; 3] {
        let n = self.0;
        [n * n + 1, n * n, 2 * n * n + 3 * n]
    }

    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        input: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        work: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        known_order!(self.0, |n| {
            let (a, factor) = input.split_at_mut(n * n);
            let (x, work) = work.split_at_mut(n * n);
            let (lower, work) = work.split_at_mut(n * n);
            let (rows, work) = work.split_at_mut(n);
            let (before, behind) = work.split_at_mut(n);
            let mut old = [Lanes::ZERO; LARGEST];
            let sign = eliminate::<T, W, true>(a, [n, n], rows, &mut old).sign;
            let (mut low, mut high) = (Lanes::ONE, Lanes::ONE);
            let (mut head, mut tail) = (sign * factor[0], Lanes::ONE);
            for k in 0..n {
                (before[k], behind[n - 1 - k]) = (head, tail);
                (head, tail) = (head * a[k * n + k], tail * a[(n - 1 - k) * n + n - 1 - k]);
                for product in [head.abs(), tail.abs()] {
                    low = product.choose(low, |x, low| x < low && x != T::ZERO, product, low);
                    high = product.choose(high, |x, high| x > high, product, high);
                }
            }
            for i in 0..n {
                x[i * n..(i + 1) * n].fill(Lanes::ZERO);
                x[i * n + i] = Lanes::ONE;
                for j in i + 1..n {
                    let mut sum = Lanes::ZERO;
                    for r in i..j {
                        sum = (x[i * n + r] * a[r * n + j]).add_mul::<FMA>(sum, a[r * n + r]);
                    }
                    x[i * n + j] = -sum;
                }
                for j in i..n {
                    x[i * n + j] = before[i] * x[i * n + j] * behind[j];
                }
            }
            invert_lower::<T, W, FMA>(lower, a, n, rows);
            for i in 0..n {
                for_tiles!(0..n, |C, at| {
                    let mut sums = [Lanes::ZERO; C];
                    for k in i..n {
                        let y = tile::<_, W, C>(lower, n, k, at);
                        for c in 0..C {
                            sums[c] = sums[c].add_mul::<FMA>(x[i * n + k], y[c]);
                        }
                    }
                    for c in 0..C {
                        output[(at + c) * n + i] = sums[c];
                    }
                });
            }
            or(low.holds(low, |x, _| !in_range(x)), high.holds(high, |x, _| !in_range(x)))
        })
    }
}
