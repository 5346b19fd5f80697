//! Cholesky factorisation.

use super::transpose::transpose;
use super::triangular::{SMALLEST_TASK, solve_strips, subtract_product, task_split};
#[cfg(feature = "blas")]
use crate::cpu::blas;
use crate::cpu::scale::{near_one, smallest_normal};
use crate::element::{Element, Float};
use crate::simd::{Kernel, dispatch, subtract_multiple};
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{MatMut, MatRef};

/// Order up to which a block is eliminated row by row.
const SMALL: usize = 32;

/// `A = L L^T` of the row-major `n x n` matrix `a`, of which the lower triangle is read, in place: `L`
/// below and on the diagonal, zeros above (LAPACK `potrf`).
///
/// # Errors
///
/// The order of the first leading minor that is not positive; `a` is then unspecified.
pub fn cholesky<T: Float>(a: &mut [T], n: usize) -> Result<(), usize> {
    assert_eq!(a.len(), n * n);
    let tiny = |i: usize| a[i * n + i] > T::ZERO && a[i * n + i] < tiny_pivot();
    if (0..n).any(tiny) {
        return scaled(a, n);
    }
    large(a, n)?;
    clear_upper(a, n);
    Ok(())
}

/// Products of this size are not known to full precision.
pub fn tiny_pivot<T: Float>() -> T {
    smallest_normal::<T>() / T::EPSILON
}

/// From S A S = (S L)(S L)^T for powers of two S that bring the diagonal near one.
fn scaled<T: Float>(a: &mut [T], n: usize) -> Result<(), usize> {
    let root = |x: T| if x > T::ZERO && Float::is_finite(x) { near_one(Float::sqrt(x)) } else { T::ONE };
    let scales: Vec<T> = (0..n).map(|i| root(a[i * n + i])).collect();
    for (row, &by) in a.chunks_exact_mut(n).zip(&scales) {
        row.iter_mut().zip(&scales).for_each(|(x, &scale)| *x = *x * by * scale);
    }
    large(a, n)?;
    clear_upper(a, n);
    for (row, &by) in a.chunks_exact_mut(n).zip(&scales) {
        row.iter_mut().for_each(|x| *x /= by);
    }
    Ok(())
}

fn clear_upper<T: Float>(a: &mut [T], n: usize) {
    for (i, row) in a.chunks_exact_mut(n.max(1)).enumerate() {
        row[i + 1..].fill(T::ZERO);
    }
}

/// L in the lower triangle.
fn large<T: Float>(a: &mut [T], n: usize) -> Result<(), usize> {
    // What becomes of NaN, libraries do not agree on.
    #[cfg(feature = "blas")]
    if n >= blas::FROM
        && a.iter().all(|x| Float::is_finite(*x))
        && let Some(info) = (blas::routines::<T>().potrf)(a, n)
    {
        return if info == 0 { Ok(()) } else { Err(info as usize) };
    }
    // U = L^T has its factors in rows, which are contiguous.
    transpose(a, n);
    factor(MatMut::from_row_major_slice_mut(a, n, n))?;
    transpose(a, n);
    Ok(())
}

/// `A = U^T U` in place of the upper triangle, by halves: `U11`, then `U12 = U11^-T A12`, then `U22` from
/// `A22 - U12^T U12` (F. G. Gustavson, "Recursion leads to automatic variable blocking for dense
/// linear-algebra algorithms", IBM J. Res. Dev. 41(6), 1997).
fn factor<T: Float>(a: MatMut<'_, T>) -> Result<(), usize> {
    let n = a.nrows();
    if n <= SMALL {
        return dispatch(Elimination { a });
    }
    let at = (n / 2).next_multiple_of(16);
    let (mut a11, mut a12, _, mut a22) = a.split_at_mut(at, at);
    factor(a11.rb_mut())?;
    solve_strips(a11.rb().transpose(), false, a12.rb_mut());
    subtract_square(a22.rb_mut(), a12.rb());
    factor(a22).map_err(|minor| minor + at)
}

/// `C -= W^T W` in the upper triangle, and somewhat below it.
fn subtract_square<T: Float>(c: MatMut<'_, T>, w: MatRef<'_, T>) {
    let n = c.nrows();
    if n <= SMALLEST_TASK {
        return subtract_product(c, w.transpose(), w);
    }
    let at = task_split(n);
    let (c11, c12, _, c22) = c.split_at_mut(at, at);
    let (left, right) = w.split_at_col(at);
    subtract_product(c12, left.transpose(), right);
    subtract_square(c11, left);
    subtract_square(c22, right);
}

/// Row by row (Golub and Van Loan, algorithm 4.2.1 with rows for columns): `u_kk = sqrt(a_kk)`,
/// `u_kj = a_kj / u_kk`, then `a_ij -= u_ki u_kj`.
struct Elimination<'a, T> {
    a: MatMut<'a, T>,
}

impl<T: Float> Kernel for Elimination<'_, T> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let mut a = self.a;
        let n = a.nrows();
        let mut block = [[T::ZERO; SMALL]; SMALL];
        for (i, row) in block.iter_mut().enumerate().take(n) {
            for (j, x) in row.iter_mut().enumerate().take(n).skip(i) {
                *x = a[(i, j)];
            }
        }
        let mut done = Ok(());
        for k in 0..n {
            let pivot = block[k][k];
            if Element::is_nan(pivot) || pivot <= T::ZERO {
                done = Err(k + 1);
                break;
            }
            let root = Float::sqrt(pivot);
            let reciprocal = T::ONE / root;
            block[k][k] = root;
            let (upper, lower) = block.split_at_mut(k + 1);
            let row = &mut upper[k];
            row[k + 1..].iter_mut().for_each(|x| *x *= reciprocal);
            for (i, other) in lower[..n - k - 1].iter_mut().enumerate() {
                let (first, end) = ((k + 1 + i) / 8 * 8, n.next_multiple_of(8));
                subtract_multiple::<T, FMA>(&mut other[first..end], row[k + 1 + i], &row[first..end]);
            }
        }
        for (i, row) in block.iter().enumerate().take(n) {
            for (j, &x) in row.iter().enumerate().take(n).skip(i) {
                a[(i, j)] = x;
            }
        }
        done
    }
}
