//! Cholesky factorisation.

use crate::cpu::simd::{Kernel, dispatch, sub_mul};
use crate::element::Float;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltError, cholesky_in_place, cholesky_in_place_scratch};
use faer::{MatMut, Par};

/// Order up to which the rows are eliminated one after another.
const UNBLOCKED: usize = 32;

/// `A = L L^T` of the row-major `n x n` matrix `a`, of which the lower triangle is read, in place: `L`
/// below and on the diagonal, zeros above (LAPACK `potrf`).
///
/// # Errors
///
/// The order of the first leading minor that is not positive; `a` is then unspecified.
pub fn cholesky<T: Float>(a: &mut [T], n: usize) -> Result<(), usize> {
    assert_eq!(a.len(), n * n);
    if n <= UNBLOCKED {
        dispatch(Rows { a: &mut *a, n })?;
    } else {
        let mut memory = MemBuffer::new(cholesky_in_place_scratch::<T>(n, Par::Seq, Default::default()));
        let a = MatMut::from_row_major_slice_mut(a, n, n);
        cholesky_in_place(a, Default::default(), Par::Seq, MemStack::new(&mut memory), Default::default())
            .map_err(|LltError::NonPositivePivot { index }| index + 1)?;
    }
    for (i, row) in a.chunks_exact_mut(n.max(1)).enumerate() {
        row[i + 1..].fill(T::ZERO);
    }
    // faer takes a NaN for a positive pivot.
    match (0..n).find(|i| a[i * n + i].is_nan()) {
        Some(i) => Err(i + 1),
        None => Ok(()),
    }
}

/// Row by row (Golub and Van Loan, section 4.2):
/// `l_ij = (a_ij - sum_{k<j} l_ik l_jk) / l_jj`, and the square root of the sum on the diagonal.
struct Rows<'a, T> {
    a: &'a mut [T],
    n: usize,
}

impl<T: Float> Kernel for Rows<'_, T> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let Rows { a, n } = self;
        for i in 0..n {
            let (above, row) = a.split_at_mut(i * n);
            for j in 0..=i {
                let mut sum = row[j];
                for k in 0..j {
                    let other = if j == i { row[k] } else { above[j * n + k] };
                    sum = sub_mul::<T, FMA>(sum, row[k], other);
                }
                if j < i {
                    row[j] = sum / above[j * n + j];
                } else if sum > T::ZERO {
                    row[j] = Float::sqrt(sum);
                } else {
                    return Err(i + 1);
                }
            }
        }
        Ok(())
    }
}
