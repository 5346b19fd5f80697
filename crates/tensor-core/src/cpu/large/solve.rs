//! Linear systems from an LU factorisation.

use super::lu::exchange_rows;
use super::triangular::{PARALLEL_PRODUCT, SMALLEST_TASK, solve_lower, solve_upper, task_split};
use crate::cpu::parallel::join;
use crate::element::Float;
use crate::heap::work;
use crate::simd::{Kernel, dispatch, sub_mul, subtract_multiple};
use faer::reborrow::ReborrowMut;
use faer::{MatMut, MatRef};

/// Largest number of right-hand sides that each are solved on their own.
const FEW: usize = 2;
/// Largest order solved by plain substitution, whatever the number of right-hand sides.
const SMALL: usize = 8;

/// Solves `A X = B`, or `A^T X = B` if `transposed`, in place of the row-major `n x k` matrix `b`
/// (LAPACK `getrs`), from the `P A = L U` of [`lu`](super::lu()):
/// `X = U^-1 L^-1 P B`, and `X = P^T L^-T U^-T B`.
///
/// A zero pivot gives infinities and NaN.
///
/// # Panics
///
/// If a slice does not have the length that `n` and `k` tell, or a pivot is not below `n`.
pub fn lu_solve<T: Float>(lu: &[T], pivots: &[usize], n: usize, b: &mut [T], k: usize, transposed: bool) {
    assert!(lu.len() == n * n && pivots.len() == n && b.len() == n * k);
    if b.is_empty() {
        return;
    }
    if !transposed {
        exchange_rows(MatMut::from_row_major_slice_mut(b, n, k), pivots);
    }
    if n <= SMALL {
        Substitution { lu, n, b: &mut *b, k, transposed }.run::<false>();
    } else if k == 1 {
        solve_vector(lu, n, b, transposed);
    } else if k <= FEW {
        let mut column = work::vector(n, T::ZERO);
        for c in 0..k {
            for (x, row) in column.iter_mut().zip(b.chunks_exact(k)) {
                *x = row[c];
            }
            solve_vector(lu, n, &mut column, transposed);
            for (row, &x) in b.chunks_exact_mut(k).zip(&column) {
                row[c] = x;
            }
        }
    } else {
        let lu = MatRef::from_row_major_slice(lu, n, n);
        let b = MatMut::from_row_major_slice_mut(b, n, k);
        if transposed {
            solve_strips(lu.transpose(), false, b);
        } else {
            solve_strips(lu, true, b);
        }
    }
    if transposed {
        for i in (0..n).rev() {
            if pivots[i] != i {
                let (head, tail) = b.split_at_mut(pivots[i] * k);
                head[i * k..][..k].swap_with_slice(&mut tail[..k]);
            }
        }
    }
}

/// Solves with both triangles of `f`, the lower one first; its diagonal belongs to the upper
/// triangle if `lower_unit`, else to the lower. Strips of columns of `b` are independent tasks.
fn solve_strips<T: Float>(f: MatRef<'_, T>, lower_unit: bool, b: MatMut<'_, T>) {
    let (n, k) = (b.nrows(), b.ncols());
    let mut b = b;
    if n.saturating_mul(n).saturating_mul(k) >= PARALLEL_PRODUCT && k >= 2 * SMALLEST_TASK {
        let (left, right) = b.split_at_col_mut(task_split(k));
        join(true, || solve_strips(f, lower_unit, left), || solve_strips(f, lower_unit, right));
        return;
    }
    solve_lower(f, lower_unit, b.rb_mut());
    solve_upper(f, !lower_unit, b);
}

/// Solves for one right-hand side; every pass runs along the contiguous rows of `lu`.
fn solve_vector<T: Float>(lu: &[T], n: usize, x: &mut [T], transposed: bool) {
    dispatch(Vector { lu, n, x, transposed });
}

struct Vector<'a, T> {
    lu: &'a [T],
    n: usize,
    x: &'a mut [T],
    transposed: bool,
}

impl<T: Float> Kernel for Vector<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { lu, n, x, transposed } = self;
        if transposed {
            for i in 0..n {
                let row = &lu[i * n..][..n];
                let (head, tail) = x.split_at_mut(i + 1);
                head[i] /= row[i];
                subtract_multiple::<T, FMA>(tail, head[i], &row[i + 1..]);
            }
            for i in (0..n).rev() {
                let (head, tail) = x.split_at_mut(i);
                subtract_multiple::<T, FMA>(head, tail[0], &lu[i * n..][..i]);
            }
        } else {
            for i in 0..n {
                x[i] = subtract_dot::<T, FMA>(x[i], &lu[i * n..][..i], &x[..i]);
            }
            for i in (0..n).rev() {
                let row = &lu[i * n..][..n];
                x[i] = subtract_dot::<T, FMA>(x[i], &row[i + 1..], &x[i + 1..n]) / row[i];
            }
        }
    }
}

/// `start - sum_j a_j b_j`, summed in sixteen lanes that are combined in a fixed order.
#[inline(always)]
fn subtract_dot<T: Float, const FMA: bool>(start: T, a: &[T], b: &[T]) -> T {
    let (a_chunks, a_tail) = a.as_chunks::<16>();
    let (b_chunks, b_tail) = b.as_chunks::<16>();
    let mut lanes = [T::ZERO; 16];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((s, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *s = sub_mul::<T, FMA>(*s, a, b);
        }
    }
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    let mut sum = start + lanes[0];
    for (&a, &b) in a_tail.iter().zip(b_tail) {
        sum = sub_mul::<T, FMA>(sum, a, b);
    }
    sum
}

/// Plain substitution for small systems.
struct Substitution<'a, T> {
    lu: &'a [T],
    n: usize,
    b: &'a mut [T],
    k: usize,
    transposed: bool,
}

impl<T: Float> Kernel for Substitution<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { lu, n, b, k, transposed } = self;
        let (row_stride, col_stride) = if transposed { (1, n) } else { (n, 1) };
        for i in 0..n {
            let (done, rest) = b.split_at_mut(i * k);
            let row = &mut rest[..k];
            for (j, x) in done.chunks_exact(k).enumerate() {
                subtract_multiple::<T, FMA>(row, lu[i * row_stride + j * col_stride], x);
            }
            if transposed {
                divide(row, lu[i * n + i]);
            }
        }
        for i in (0..n).rev() {
            let (rest, done) = b.split_at_mut((i + 1) * k);
            let row = &mut rest[i * k..];
            for (j, x) in done.chunks_exact(k).enumerate() {
                let factor = lu[i * row_stride + (i + 1 + j) * col_stride];
                subtract_multiple::<T, FMA>(row, factor, x);
            }
            if !transposed {
                divide(row, lu[i * n + i]);
            }
        }
    }
}

#[inline(always)]
fn divide<T: Float>(row: &mut [T], divisor: T) {
    for x in row {
        *x /= divisor;
    }
}
