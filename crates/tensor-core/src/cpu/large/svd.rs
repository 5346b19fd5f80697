//! Singular value decomposition.

use super::householder::Reflections;
use super::transpose::to_rows;
use crate::cpu::scale::{largest, near_one};
use crate::element::Float;
use crate::heap::work;
use faer::diag::DiagMut;
use faer::dyn_stack::MemStack;
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd as faer_svd, svd_scratch};
use faer::{Accum, MatMut, MatRef, Par};

/// The singular values could not be computed: the matrix holds NaN or infinity, or the iteration
/// did not converge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotConverged;

impl core::fmt::Display for NotConverged {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the singular value decomposition did not converge")
    }
}

impl core::error::Error for NotConverged {}

/// The thin decomposition `A = U diag(s) V^T` (LAPACK `gesdd`) of the row-major `m x n` matrix `a`:
/// `u` is `m x k`, `s` holds `k` values in descending order, `vt` is `k x n`, `k = min(m, n)`, all
/// row-major.
///
/// faer bidiagonalises and then iterates or divides and conquers (Golub and Van Loan, section 8.6).
/// It runs on one thread: the sums of its parallel bidiagonalisation follow the number of threads.
///
/// # Errors
///
/// [`NotConverged`] if `a` is not finite or the iteration fails; the outputs are unspecified.
///
/// # Panics
///
/// If a slice does not have the length that `m` and `n` tell.
pub fn svd<T: Float>(
    a: &[T],
    m: usize,
    n: usize,
    u: &mut [T],
    s: &mut [T],
    vt: &mut [T],
) -> Result<(), NotConverged> {
    let k = m.min(n);
    assert!(a.len() == m * n && u.len() == m * k && s.len() == k && vt.len() == k * n);
    if k == 0 {
        return Ok(());
    }
    if !a.iter().all(|x| Float::is_finite(*x)) {
        return Err(NotConverged);
    }
    // Squares and products of entries then stay in range, as by the scaling in `gesdd`.
    let far = |scale: &T| !(T::EPSILON..=T::ONE / T::EPSILON).contains(scale);
    let scale = Some(near_one(largest(a.iter().copied()))).filter(far).unwrap_or(T::ONE);
    let scaled: Vec<T>;
    let a = if scale == T::ONE {
        a
    } else {
        scaled = work::collect(a.iter().map(|&x| x * scale));
        &scaled
    };
    large(a, m, n, u, s, vt)?;
    for x in s.iter_mut() {
        *x /= scale;
    }
    let finite = |values: &[T]| values.iter().all(|x| Float::is_finite(*x));
    if finite(u) && finite(vt) { Ok(()) } else { Err(NotConverged) }
}

/// The decomposition of a finite matrix with elements around one.
fn large<T: Float>(
    a: &[T],
    m: usize,
    n: usize,
    u: &mut [T],
    s: &mut [T],
    vt: &mut [T],
) -> Result<(), NotConverged> {
    let k = m.min(n);
    // Read by columns, A is A^T = V diag(s) U^T, and what is U by rows is U^T by columns.
    #[cfg(feature = "blas")]
    if k >= crate::cpu::blas::FROM
        && let Some(info) =
            (crate::cpu::blas::routines::<T>().gesdd)(&mut work::collect(a.iter().copied()), n, m, vt, s, u)
    {
        return if info == 0 { Ok(()) } else { Err(NotConverged) };
    }
    // Of long columns or rows first the triangle.
    if m >= 2 * n {
        let mut columns = work::buffer(m * n);
        to_rows(a, n, m, &mut columns);
        let reflections = Reflections::of(&mut columns, m, n);
        let mut inner = work::vector(n * n, T::ZERO);
        large(&triangle(&columns, m, n, false), n, n, &mut inner, s, vt)?;
        let (q, inner) = (reflections.columns(n), MatRef::from_row_major_slice(&inner, n, n));
        let u = MatMut::from_row_major_slice_mut(u, m, n);
        matmul(u, Accum::Replace, MatRef::from_column_major_slice(&q, m, n), inner, T::ONE, Par::Seq);
        return Ok(());
    }
    if n >= 2 * m {
        // A^T = Q R, and R^T = U diag(s) W^T: V is Q W.
        let mut columns = work::collect(a.iter().copied());
        let reflections = Reflections::of(&mut columns, n, m);
        let mut inner = work::vector(m * m, T::ZERO);
        large(&triangle(&columns, n, m, true), m, m, u, s, &mut inner)?;
        let (q, inner) = (reflections.columns(m), MatRef::from_row_major_slice(&inner, m, m));
        let vt = MatMut::from_row_major_slice_mut(vt, m, n);
        matmul(
            vt,
            Accum::Replace,
            inner,
            MatRef::from_column_major_slice(&q, n, m).transpose(),
            T::ONE,
            Par::Seq,
        );
        return Ok(());
    }
    // faer is at its best with columns that are contiguous: those of A^T = V diag(s) U^T are.
    let mut columns = work::zeros(m * k);
    let thin = ComputeSvdVectors::Thin;
    let mut memory = work::stack(svd_scratch::<T>(n, m, thin, thin, Par::Seq, Default::default()));
    faer_svd(
        MatRef::from_column_major_slice(a, n, m),
        DiagMut::from_slice_mut(s),
        Some(MatMut::from_column_major_slice_mut(vt, n, k)),
        Some(MatMut::from_column_major_slice_mut(&mut columns, m, k)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| NotConverged)?;
    to_rows(&columns, m, k, u);
    Ok(())
}

/// The upper triangle of the first `n` rows of `m`, in a matrix of its own that lies row by row; transposed where asked for.
fn triangle<T: Float>(columns: &[T], m: usize, n: usize, transposed: bool) -> Vec<T> {
    let mut r = work::vector(n * n, T::ZERO);
    for j in 0..n {
        for i in 0..=j {
            r[if transposed { j * n + i } else { i * n + j }] = columns[j * m + i];
        }
    }
    r
}
