//! Cholesky factors and triangular systems.

use super::ffi;
use super::lu::solve_rows;
use super::steps::{BATCHED, On, contiguous, sizes};
use crate::array::Array;
use crate::cuda::copy::copy;
use crate::cuda::status::Status;
use crate::element::Float;
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::matrix::flaw::singular_error;
use crate::matrix::part::Triangle;
use crate::shape::Dims;

/// The Cholesky factor L of each matrix, and the order of the first leading minor that is not positive, or 0: such
/// a matrix has NaN for a factor.
pub(crate) fn cholesky_ex<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
) -> Result<(Array<T>, Array<i64>)> {
    let on = On { gpu, op };
    let (batch, n, _) = sizes(a);
    let count: usize = batch.iter().product();
    // By columns, the lower triangle is the upper one, and L is the U of A = U^T U.
    let l = copy(gpu, op, a)?;
    let minors = Array::<i64>::unwritten(gpu, op, Dims::from_slice(batch))?;
    let info = on.info(count)?;
    if n == 0 || count == 0 {
        gpu.fill(op, minors.pointer(), 8 * count, 0)?;
        return Ok((l, minors));
    }
    if count == 1 || n > BATCHED {
        ffi::potrf::<T>(gpu, op, n, count, l.pointer(), info.pointer())?;
    } else {
        let addresses = on.addresses::<T>(l.pointer(), n * n, count)?;
        ffi::potrf_batched::<T>(gpu, op, n, count, addresses.pointer(), info.pointer())?;
    }
    let words = [l.pointer(), info.pointer(), minors.pointer(), n as u64];
    on.matrices::<T>(c"minors", count, 256, 0, &words)?;
    let words = [l.pointer(), minors.pointer(), l.numel() as u64, n as u64];
    on.elements::<T>(c"lower", l.numel(), &words)?;
    Ok((l, minors))
}

/// A^-1 B, or A^-T B, for triangles A [batch.., n, n] and B [batch.., n, k].
///
/// # Errors
/// Singular, with the number of the first matrix that has a zero on its diagonal.
pub(crate) fn solve_triangular<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    triangle: Triangle,
    transposed: bool,
    b: &Array<T>,
) -> Result<Array<T>> {
    let on = On { gpu, op };
    let (batch, n, k) = sizes(b);
    let count: usize = batch.iter().product();
    let a = contiguous(on, a)?;
    if !triangle.unit && n > 0 && count > 0 {
        let status = Status::new(gpu, op)?;
        let diagonals = a.numel() / n;
        let words = [a.pointer(), status.word(), diagonals as u64, n as u64];
        on.elements::<T>(c"zero_on_diagonal", diagonals, &words)?;
        if let Some(batch) = status.first(op)? {
            return Err(singular_error(op, batch, a.shape()));
        }
    }
    let x = copy(gpu, op, b)?;
    // By columns, A is A^T, and A X = B is X^T A^T = B^T.
    solve_rows(on, &a, (!triangle.upper, transposed, triangle.unit), &x, n, k, count)?;
    Ok(x)
}
