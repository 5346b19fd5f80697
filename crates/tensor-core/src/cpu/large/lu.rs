//! LU factorisation with partial pivoting.

#[cfg(feature = "blas")]
use super::transpose::transpose;
use super::triangular::{PARALLEL_PRODUCT, SMALLEST_TASK, solve_lower, subtract_product, task_split};
#[cfg(feature = "blas")]
use crate::cpu::blas;
use crate::cpu::parallel::join;
use crate::element::{Element, Float};
use crate::heap::work;
use crate::simd::{Kernel, dispatch, sub_mul};
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{MatMut, MatRef};

/// Largest order factored by plain elimination.
const SMALL: usize = 32;
/// Width of the panels at the bottom of the recursion.
const PANEL: usize = 16;
/// Rows of a panel updated at once, from registers.
const LANES: usize = 16;

/// Factors `P A = L U` in place of the row-major `n x n` matrix `a` (LAPACK `getrf`): `U` in the
/// upper triangle, `L` below it with an implied unit diagonal. Step `i` exchanged the rows `i` and
/// `pivots[i] >= i`.
///
/// Returns the index of the first pivot that is exactly zero, if any: `A` is singular, and as in
/// LAPACK the factorisation is still complete. NaN spreads into the factors and is not singular: a
/// zero pivot of a matrix that holds NaN becomes NaN.
///
/// Small matrices are eliminated row by row (Golub and Van Loan, algorithm 3.4.1). Larger ones are
/// split into two halves of their columns (Toledo 1997): factor the left half, then
/// `U12 = L11^-1 A12`, then factor `A22 - L21 U12`.
///
/// # Panics
///
/// If `a` does not hold `n * n` or `pivots` does not hold `n` values.
pub fn lu<T: Float>(a: &mut [T], n: usize, pivots: &mut [usize]) -> Option<usize> {
    assert!(a.len() == n * n && pivots.len() == n);
    let zero = if n <= SMALL {
        if n <= 8 {
            Elimination { a, n, pivots }.run::<false>()
        } else {
            dispatch(Elimination { a, n, pivots })
        }
    } else {
        large(a, n, pivots)
    }?;
    // An entry that was NaN is NaN still: it was only scaled and added to.
    if a.iter().any(|x| Element::is_nan(*x)) {
        a[zero * n + zero] = T::of(f64::NAN);
        return None;
    }
    Some(zero)
}

fn large<T: Float>(a: &mut [T], n: usize, pivots: &mut [usize]) -> Option<usize> {
    // What becomes of NaN, libraries do not agree on.
    #[cfg(feature = "blas")]
    if n >= blas::LU_FROM && a.iter().all(|x| Float::is_finite(*x)) {
        let mut from_one = work::vector(n, 0);
        transpose(a, n);
        let info = (blas::routines::<T>().getrf)(a, n, &mut from_one);
        transpose(a, n);
        if let Some(info) = info {
            for (pivot, from_one) in pivots.iter_mut().zip(from_one) {
                *pivot = from_one as usize - 1;
            }
            return (info as usize).checked_sub(1);
        }
    }
    let mut panel = work::vector(panel_stride(n) * PANEL, T::ZERO);
    factor_columns(MatMut::from_row_major_slice_mut(a, n, n), pivots, &mut panel)
}

/// As [`lu`] for the `m x n` matrix `a`, `m >= n`, without its answer.
///
/// # Panics
///
/// If `a` does not hold `m * n` or `pivots` does not hold `n` values.
pub fn lu_tall<T: Float>(a: &mut [T], m: usize, n: usize, pivots: &mut [usize]) {
    if m == n {
        lu(a, n, pivots);
        return;
    }
    assert!(m > n && a.len() == m * n && pivots.len() == n);
    let mut panel = work::vector(panel_stride(m) * PANEL.min(n), T::ZERO);
    factor_columns(MatMut::from_row_major_slice_mut(a, m, n), pivots, &mut panel);
}

/// Index and value of the entry of largest magnitude, the first of equals; NaN counts as largest,
/// so that it is not passed over for a zero.
#[inline(always)]
pub(super) fn largest<T: Float>(values: impl Iterator<Item = T>) -> (usize, T) {
    let mut best = (0, T::ZERO);
    let mut magnitude = -T::ONE;
    for (i, value) in values.enumerate() {
        let abs = Float::abs(value);
        if abs > magnitude {
            magnitude = abs;
            best = (i, value);
        } else if Element::is_nan(abs) {
            return (i, value);
        }
    }
    best
}

/// Gaussian elimination of a small square matrix, row by row. Products are rounded: `(a / b) b` mostly
/// rounds back to `a`, so that columns that depend on each other give an exact zero, which a fused
/// multiply-add would turn into the error of the quotient.
struct Elimination<'a, T> {
    a: &'a mut [T],
    n: usize,
    pivots: &'a mut [usize],
}

impl<T: Float> Kernel for Elimination<'_, T> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Option<usize> {
        let Self { a, n, pivots } = self;
        let mut zero = None;
        for k in 0..n {
            let (offset, pivot) = largest(a[k * n + k..].iter().step_by(n).copied());
            let row = k + offset;
            pivots[k] = row;
            let (upper, lower) = a.split_at_mut((k + 1) * n);
            let pivot_row = &mut upper[k * n..];
            if row != k {
                pivot_row.swap_with_slice(&mut lower[(row - k - 1) * n..][..n]);
            }
            if pivot == T::ZERO {
                zero = zero.or(Some(k));
                continue;
            }
            let pivot_row = &pivot_row[k + 1..n];
            for row in lower.chunks_exact_mut(n) {
                let factor = row[k] / pivot;
                row[k] = factor;
                for (x, &u) in row[k + 1..].iter_mut().zip(pivot_row) {
                    *x -= factor * u;
                }
            }
        }
        zero
    }
}

/// Factors the `m x w` matrix `a`, `m >= w`; `panel` has room for the copy of a panel of `m` rows.
fn factor_columns<T: Float>(a: MatMut<'_, T>, pivots: &mut [usize], panel: &mut [T]) -> Option<usize> {
    let (m, w) = (a.nrows(), a.ncols());
    let mut a = a;
    if w <= PANEL {
        return factor_panel(a, pivots, &mut panel[..panel_stride(m) * w]);
    }
    let at = (w / 2).next_multiple_of(PANEL);
    let (left_pivots, right_pivots) = pivots.split_at_mut(at);
    let (mut left, mut right) = a.rb_mut().split_at_col_mut(at);
    let left_zero = factor_columns(left.rb_mut(), left_pivots, panel);
    update_right(left.rb(), left_pivots, right.rb_mut());
    let right_zero = factor_columns(right.subrows_mut(at, m - at), right_pivots, panel);
    exchange_rows(left.subrows_mut(at, m - at), right_pivots);
    for pivot in right_pivots {
        *pivot += at;
    }
    left_zero.or(right_zero.map(|i| i + at))
}

/// Brings the columns `right` up to date with the factored columns `left`: the row exchanges, then
/// `U12 = L11^-1 A12`, then `A22 - L21 U12`. Strips of columns are independent of each other.
fn update_right<T: Float>(left: MatRef<'_, T>, pivots: &[usize], right: MatMut<'_, T>) {
    let (m, k, n) = (left.nrows(), left.ncols(), right.ncols());
    let mut right = right;
    let work = m.saturating_mul(n).saturating_mul(k);
    if work >= 2 * PARALLEL_PRODUCT && n >= 4 * SMALLEST_TASK {
        let (first, second) = right.split_at_col_mut(task_split(n));
        join(true, || update_right(left, pivots, first), || update_right(left, pivots, second));
        return;
    }
    exchange_rows(right.rb_mut(), pivots);
    let (l11, l21) = left.split_at_row(k);
    let (mut top, bottom) = right.split_at_row_mut(k);
    solve_lower(l11, true, top.rb_mut());
    subtract_product(bottom, l21, top.rb());
}

/// Exchanges row `i` with row `pivots[i]` for `i = 0, 1, ...` (LAPACK `laswp`).
pub(super) fn exchange_rows<T: Float>(a: MatMut<'_, T>, pivots: &[usize]) {
    let (m, n, stride) = (a.nrows(), a.ncols(), a.row_stride());
    assert!(a.col_stride() == 1 || n <= 1);
    let start = a.as_ptr_mut();
    for (i, &pivot) in pivots.iter().enumerate() {
        assert!(i < m && pivot < m);
        if pivot != i {
            // SAFETY: both rows are inside `a`, they are different, and the n values of a row are
            // contiguous.
            unsafe {
                core::ptr::swap_nonoverlapping(
                    start.offset(i as isize * stride),
                    start.offset(pivot as isize * stride),
                    n,
                );
            }
        }
    }
}

/// Distance between the columns of the copy of a panel of `m` rows: an odd number of cache lines (for
/// f64), so that the columns do not compete for the same ones.
fn panel_stride(m: usize) -> usize {
    m.next_multiple_of(16) + 8
}

/// Factors a panel of at most [`PANEL`] columns in a column-major copy, where the search for the
/// pivot and the updates run along contiguous columns.
fn factor_panel<T: Float>(a: MatMut<'_, T>, pivots: &mut [usize], copy: &mut [T]) -> Option<usize> {
    let (m, w, stride) = (a.nrows(), a.ncols(), a.row_stride());
    let ld = panel_stride(m);
    assert!(a.col_stride() == 1 || w <= 1);
    assert!(copy.len() == ld * w && pivots.len() == w && m >= w);
    let start = a.as_ptr_mut();
    // Eight rows at a time: a cache line of each column of the copy.
    for first in (0..m).step_by(8) {
        for (j, column) in copy.chunks_exact_mut(ld).enumerate() {
            for (i, value) in column[..m].iter_mut().enumerate().skip(first).take(8) {
                // SAFETY: (i, j) is inside `a` and its columns are contiguous.
                *value = unsafe { *start.offset(i as isize * stride).add(j) };
            }
        }
    }
    let zero = dispatch(Panel { columns: copy, m, pivots });
    for first in (0..m).step_by(8) {
        for (j, column) in copy.chunks_exact(ld).enumerate() {
            for (i, &value) in column[..m].iter().enumerate().skip(first).take(8) {
                // SAFETY: as above; `a` is borrowed mutably.
                unsafe { *start.offset(i as isize * stride).add(j) = value };
            }
        }
    }
    zero
}

/// Left-looking factorisation of a column-major panel (Golub and Van Loan, algorithm 3.2.2, the
/// gaxpy form): column `j` takes the updates of all columns before it at once.
struct Panel<'a, T> {
    columns: &'a mut [T],
    m: usize,
    pivots: &'a mut [usize],
}

impl<T: Float> Kernel for Panel<'_, T> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Option<usize> {
        let Self { columns, m, pivots } = self;
        let ld = panel_stride(m);
        let mut zero = None;
        for j in 0..pivots.len() {
            let (before, rest) = columns.split_at_mut(j * ld);
            let column = &mut rest[..m];
            for k in 0..j {
                let u = column[k];
                let l = &before[k * ld..][..j];
                for (x, &l) in column[k + 1..j].iter_mut().zip(&l[k + 1..]) {
                    *x = sub_mul::<T, FMA>(*x, l, u);
                }
            }
            let (u, below) = column.split_at_mut(j);
            let (chunks, tail) = below.as_chunks_mut::<LANES>();
            for (c, chunk) in chunks.iter_mut().enumerate() {
                let mut sum = *chunk;
                for (k, &u) in u.iter().enumerate() {
                    let l = &before[k * ld + j + c * LANES..][..LANES];
                    for (s, &l) in sum.iter_mut().zip(l) {
                        *s = sub_mul::<T, FMA>(*s, l, u);
                    }
                }
                *chunk = sum;
            }
            let done = m - j - tail.len();
            for (k, &u) in u.iter().enumerate() {
                let l = &before[k * ld + j + done..][..tail.len()];
                for (x, &l) in tail.iter_mut().zip(l) {
                    *x = sub_mul::<T, FMA>(*x, l, u);
                }
            }
            let (offset, pivot) = largest(below.iter().copied());
            pivots[j] = j + offset;
            if offset != 0 {
                for column in columns.chunks_exact_mut(ld) {
                    column.swap(j, j + offset);
                }
            }
            if pivot == T::ZERO {
                zero = zero.or(Some(j));
                continue;
            }
            for x in &mut columns[j * ld..][j + 1..m] {
                *x /= pivot;
            }
        }
        zero
    }
}
