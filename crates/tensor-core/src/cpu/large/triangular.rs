//! Triangular systems with many right-hand sides, and the products that the blocked algorithms are
//! made of.

use crate::cpu::parallel::join;
use crate::element::Float;
use crate::matrix::part::Triangle;
use crate::simd::{Kernel, dispatch, sub_mul};
use faer::linalg::matmul::matmul;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Order of the diagonal blocks solved by substitution; products do the rest.
const BLOCK: usize = 16;
/// Columns of the right-hand side solved at once, from registers.
const LANES: usize = 16;
/// Multiplications from which a product or solve is worth two tasks, measured on two cores.
pub(super) const PARALLEL_PRODUCT: usize = 1 << 22;
/// Fewest rows or columns in a task.
pub(super) const SMALLEST_TASK: usize = 64;

/// Where to halve `len` for two tasks: a multiple of the tile of the product's kernel.
pub(super) fn task_split(len: usize) -> usize {
    (len / 2).next_multiple_of(16)
}

/// `dst -= lhs rhs`. Large products are halved along the longer side of `dst` into tasks that each
/// run faer's sequential product: its own parallel splits follow the number of threads.
pub(super) fn subtract_product<T: Float>(dst: MatMut<'_, T>, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) {
    let (m, n, k) = (dst.nrows(), dst.ncols(), lhs.ncols());
    let work = m.saturating_mul(n).saturating_mul(k);
    if work < PARALLEL_PRODUCT || m.max(n) < 2 * SMALLEST_TASK {
        matmul(dst, Accum::Add, lhs, rhs, -T::ONE, Par::Seq);
    } else if m >= n {
        let at = task_split(m);
        let (top, bottom) = dst.split_at_row_mut(at);
        let (lhs_top, lhs_bottom) = lhs.split_at_row(at);
        join(true, || subtract_product(top, lhs_top, rhs), || subtract_product(bottom, lhs_bottom, rhs));
    } else {
        let at = task_split(n);
        let (left, right) = dst.split_at_col_mut(at);
        let (rhs_left, rhs_right) = rhs.split_at_col(at);
        join(true, || subtract_product(left, lhs, rhs_left), || subtract_product(right, lhs, rhs_right));
    }
}

/// [`solve_lower`] for many columns: strips of them are independent tasks.
pub(super) fn solve_strips<T: Float>(l: MatRef<'_, T>, unit: bool, b: MatMut<'_, T>) {
    let (n, k) = (b.nrows(), b.ncols());
    if n.saturating_mul(n).saturating_mul(k) >= PARALLEL_PRODUCT && k >= 2 * SMALLEST_TASK {
        let (left, right) = b.split_at_col_mut(task_split(k));
        join(true, || solve_strips(l, unit, left), || solve_strips(l, unit, right));
    } else {
        solve_lower(l, unit, b);
    }
}

/// Solves `L X = B` in place of `B` (LAPACK `trsm`, left, lower), with ones for the diagonal of `L`
/// if `unit`. `L` is halved: `X1 = L11^-1 B1`, then `X2 = L22^-1 (B2 - L21 X1)`.
///
/// The columns of `B` are contiguous within a row (column stride 1).
pub(super) fn solve_lower<T: Float>(l: MatRef<'_, T>, unit: bool, b: MatMut<'_, T>) {
    let n = l.nrows();
    let mut b = b;
    if b.ncols() == 0 {
        return;
    }
    if n <= BLOCK {
        dispatch(Substitution { l, unit, b });
        return;
    }
    let at = (n / 2).next_multiple_of(BLOCK);
    let (l11, _, l21, l22) = l.split_at(at, at);
    let (mut b1, mut b2) = b.rb_mut().split_at_row_mut(at);
    solve_lower(l11, unit, b1.rb_mut());
    matmul(b2.rb_mut(), Accum::Add, l21, b1.rb(), -T::ONE, Par::Seq);
    solve_lower(l22, unit, b2);
}

/// Solves `A X = B`, or `A^T X = B` if `transposed`, in place of the row-major `n x k` matrix `b`, for a
/// triangle of the row-major `n x n` matrix `a` (LAPACK `trtrs`).
pub fn solve_triangular<T: Float>(
    a: &[T],
    n: usize,
    triangle: Triangle,
    transposed: bool,
    b: &mut [T],
    k: usize,
) {
    assert!(a.len() == n * n && b.len() == n * k);
    let a = MatRef::from_row_major_slice(a, n, n);
    let a = if transposed { a.transpose() } else { a };
    let b = MatMut::from_row_major_slice_mut(b, n, k);
    match triangle.upper != transposed {
        true => solve_strips(a.reverse_rows_and_cols(), triangle.unit, b.reverse_rows_mut()),
        false => solve_strips(a, triangle.unit, b),
    }
}

/// Solves `U X = B` in place of `B`: with the order of the unknowns reversed, `U` is lower.
pub(super) fn solve_upper<T: Float>(u: MatRef<'_, T>, unit: bool, b: MatMut<'_, T>) {
    solve_lower(u.reverse_rows_and_cols(), unit, b.reverse_rows_mut());
}

/// Forward substitution with a block of at most [`BLOCK`] unknowns:
/// `x_i = (b_i - sum_{j<i} l_ij x_j) / l_ii`.
struct Substitution<'a, T> {
    l: MatRef<'a, T>,
    unit: bool,
    b: MatMut<'a, T>,
}

impl<T: Float> Kernel for Substitution<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { l, unit, b } = self;
        let (n, k) = (l.nrows(), b.ncols());
        assert!(n <= BLOCK && b.nrows() == n && (b.col_stride() == 1 || k == 1));
        let stride = b.row_stride();
        let rows = b.as_ptr_mut();
        let mut factor = [[T::ZERO; BLOCK]; BLOCK];
        for (i, row) in factor.iter_mut().enumerate().take(n) {
            for (j, value) in row.iter_mut().enumerate().take(i + 1) {
                *value = l[(i, j)];
            }
        }
        // Columns are solved in strips held in a local array: a stride that is a power of two
        // would make the rows of B compete for the same cache lines.
        let mut x = [[T::ZERO; LANES]; BLOCK];
        for first in (0..k).step_by(LANES) {
            let width = LANES.min(k - first);
            for (i, row) in x.iter_mut().enumerate().take(n) {
                // SAFETY: i < n rows and first + width <= k columns lie inside `b`, whose columns
                // are contiguous (asserted above).
                unsafe {
                    let source = rows.offset(i as isize * stride).add(first);
                    copy_lanes(source, row.as_mut_ptr(), width);
                }
            }
            for i in 0..n {
                let mut sum = x[i];
                for j in 0..i {
                    let factor = factor[i][j];
                    for (s, &v) in sum.iter_mut().zip(&x[j]) {
                        *s = sub_mul::<T, FMA>(*s, factor, v);
                    }
                }
                if !unit {
                    let pivot = factor[i][i];
                    for s in &mut sum {
                        *s /= pivot;
                    }
                }
                x[i] = sum;
            }
            for (i, row) in x.iter().enumerate().take(n) {
                // SAFETY: as above; `b` is borrowed mutably and `x` is a local array.
                unsafe {
                    let target = rows.offset(i as isize * stride).add(first);
                    copy_lanes(row.as_ptr(), target, width);
                }
            }
        }
    }
}

/// Copies `width <= LANES` values; the full width is known to the compiler and needs no call.
///
/// # Safety
///
/// As for [`core::ptr::copy_nonoverlapping`].
#[inline(always)]
unsafe fn copy_lanes<T: Copy>(source: *const T, target: *mut T, width: usize) {
    // SAFETY: passed on to the caller.
    unsafe {
        if width == LANES {
            core::ptr::copy_nonoverlapping(source, target, LANES);
        } else {
            core::ptr::copy_nonoverlapping(source, target, width);
        }
    }
}
