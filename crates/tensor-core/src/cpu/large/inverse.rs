//! Matrix inversion.

use super::lu::{largest, lu};
use super::triangular::{PARALLEL_PRODUCT, SMALLEST_TASK, solve_lower, solve_upper, task_split};
use crate::cpu::parallel::{deal_parts, join};
use crate::element::{Element, Float};
use crate::heap::work;
use crate::simd::subtract_multiple;
use faer::reborrow::ReborrowMut;
use faer::{MatMut, MatRef};

/// Writes `A^-1` for the row-major `n x n` matrix `a` to `out`.
///
/// `A^-1 = U^-1 L^-1 P`, from `P A = L U`. Column `j` of `L^-1` starts at row `j`, which is skipped
/// over as in LAPACK `getri`: `2 n^3` operations in place of the `8/3 n^3` of a solve against the
/// identity. Orders up to 8 run on the stack.
///
/// # Errors
///
/// The index of the first pivot that is exactly zero: `a` is singular and `out` is unspecified. NaN
/// in `a` is no error; it spreads into the inverse.
///
/// # Panics
///
/// If `a` or `out` does not hold `n * n` values.
pub fn inverse<T: Float>(a: &[T], out: &mut [T], n: usize) -> Result<(), usize> {
    assert!(a.len() == n * n && out.len() == n * n);
    match n {
        0 => Ok(()),
        1 => inverse_fixed::<T, 1>(a, out),
        2 => inverse_fixed::<T, 2>(a, out),
        3 => inverse_fixed::<T, 3>(a, out),
        4 => inverse_fixed::<T, 4>(a, out),
        5 => inverse_fixed::<T, 5>(a, out),
        6 => inverse_fixed::<T, 6>(a, out),
        7 => inverse_fixed::<T, 7>(a, out),
        8 => inverse_fixed::<T, 8>(a, out),
        _ => inverse_blocked(a, out, n),
    }
}

/// Elimination with partial pivoting on `[A | I]`, then back substitution, all unrolled. The pivots
/// are those of [`lu`], in the same arithmetic.
fn inverse_fixed<T: Float, const N: usize>(a: &[T], out: &mut [T]) -> Result<(), usize> {
    let (rows, _) = a.as_chunks::<N>();
    let mut u = [[T::ZERO; N]; N];
    u.copy_from_slice(rows);
    let mut x = [[T::ZERO; N]; N];
    for (i, row) in x.iter_mut().enumerate() {
        row[i] = T::ONE;
    }
    for k in 0..N {
        let (offset, pivot) = largest(u[k..].iter().map(|row| row[k]));
        if pivot == T::ZERO {
            if a.iter().any(|v| Element::is_nan(*v)) {
                out.fill(T::of(f64::NAN));
                return Ok(());
            }
            return Err(k);
        }
        u.swap(k, k + offset);
        x.swap(k, k + offset);
        let (u_row, x_row) = (u[k], x[k]);
        for (row, x) in u.iter_mut().zip(&mut x).skip(k + 1) {
            let factor = row[k] / pivot;
            subtract_multiple::<T, false>(&mut row[k + 1..], factor, &u_row[k + 1..]);
            subtract_multiple::<T, false>(x, factor, &x_row);
        }
    }
    for k in (0..N).rev() {
        let mut row = x[k];
        for (solved, &factor) in x.iter().zip(&u[k]).skip(k + 1) {
            subtract_multiple::<T, false>(&mut row, factor, solved);
        }
        for value in &mut row {
            *value /= u[k][k];
        }
        x[k] = row;
    }
    out.copy_from_slice(x.as_flattened());
    Ok(())
}

fn inverse_blocked<T: Float>(a: &[T], out: &mut [T], n: usize) -> Result<(), usize> {
    let mut factors = work::collect(a.iter().copied());
    let mut pivots = work::vector(n, 0);
    if let Some(zero) = lu(&mut factors, n, &mut pivots) {
        return Err(zero);
    }
    out.fill(T::ZERO);
    for value in out.iter_mut().step_by(n + 1) {
        *value = T::ONE;
    }
    invert_strips(
        MatRef::from_row_major_slice(&factors, n, n),
        MatMut::from_row_major_slice_mut(out, n, n),
        0,
    );
    permute_columns(out, n, &pivots);
    Ok(())
}

/// Solves `L U X = I` for the columns `first..first + x.ncols()` of `X`, which hold those of `I`.
fn invert_strips<T: Float>(lu: MatRef<'_, T>, x: MatMut<'_, T>, first: usize) {
    let (n, k) = (x.nrows(), x.ncols());
    let mut x = x;
    if k >= 2 * SMALLEST_TASK {
        let at = task_split(k);
        let (left, right) = x.split_at_col_mut(at);
        let wide = n.saturating_mul(n).saturating_mul(k) >= PARALLEL_PRODUCT;
        return join(wide, || invert_strips(lu, left, first), || invert_strips(lu, right, first + at));
    }
    let rest = n - first;
    let trailing = lu.submatrix(first, first, rest, rest);
    solve_lower(trailing, true, x.rb_mut().subrows_mut(first, rest));
    solve_upper(lu, false, x);
}

/// `X P`: the row exchanges of the factorisation, on columns and in reverse order.
fn permute_columns<T: Float>(x: &mut [T], n: usize, pivots: &[usize]) {
    let mut source = work::collect(0..n);
    for i in (0..n).rev() {
        source.swap(i, pivots[i]);
    }
    let permute = |_, rows: &mut [T]| {
        let mut copy = work::vector(n, T::ZERO);
        for row in rows.chunks_exact_mut(n) {
            copy.copy_from_slice(row);
            for (value, &from) in row.iter_mut().zip(&source) {
                *value = copy[from];
            }
        }
    };
    if n * n >= PARALLEL_PRODUCT / 16 {
        deal_parts(x, n, &permute);
    } else {
        permute(0, x);
    }
}
