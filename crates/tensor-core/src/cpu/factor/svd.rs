//! Singular value decomposition.

use super::to_rows;
use crate::cpu::scale::{largest, near_one};
use crate::element::Float;
use crate::memory;
use faer::diag::DiagMut;
use faer::dyn_stack::MemStack;
use faer::linalg::svd::{ComputeSvdVectors, svd as faer_svd, svd_scratch};
use faer::{MatMut, MatRef, Par};

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
        scaled = memory::gather(a.iter().map(|&x| x * scale));
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
        && let Some(info) = T::gesdd(&mut memory::gather(a.iter().copied()), n, m, vt, s, u)
    {
        return if info == 0 { Ok(()) } else { Err(NotConverged) };
    }
    // faer is at its best with columns that are contiguous: those of A^T = V diag(s) U^T are.
    let mut columns = memory::work(m * k, T::ZERO);
    let thin = ComputeSvdVectors::Thin;
    let mut memory = memory::stack(svd_scratch::<T>(n, m, thin, thin, Par::Seq, Default::default()));
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
