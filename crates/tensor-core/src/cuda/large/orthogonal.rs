//! QR, singular values, and eigenvalues of symmetric matrices.

use super::ffi;
use super::steps::{BATCHED, On, Scales, by_columns, shape, sizes, transposed};
use crate::array::Array;
use crate::cuda::copy::{assign, copy};
use crate::cuda::finite::unsolved;
use crate::cuda::map::fresh;
use crate::cuda::status::Status;
use crate::element::Float;
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::matrix::flaw::not_finite_error;
use crate::matrix::part::Part;
use crate::shape::Dims;

/// The eigenvalues, ascending, and the eigenvectors of each symmetric matrix, of which the lower triangle is read.
///
/// # Errors
/// Argument, for NaN and infinity; not converged.
pub(crate) fn eigh<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
    let on = On { gpu, op };
    let (batch, n, _) = sizes(a);
    let count: usize = batch.iter().product();
    let w = Array::<T>::unwritten(gpu, op, shape(batch, &[n]))?;
    let v = copy(gpu, op, a)?;
    if n == 0 || count == 0 {
        return Ok([w, v]);
    }
    let (status, info) = (Status::new(gpu, op)?, on.info(count)?);
    on.finite(&v, n * n, Some(n), &status)?;
    let scales = Scales::near_one(on, &v, count, n * n, Some(n))?;
    let (vectors, values, told) = (v.pointer(), w.pointer(), info.pointer());
    let batched = count > 1 && n <= BATCHED;
    if !batched || !ffi::syev_batched::<T>(gpu, op, n, count, vectors, values, told)? {
        ffi::syevd::<T>(gpu, op, n, count, vectors, values, told)?;
    }
    on.failed::<T>(&info, count, &status)?;
    on.finite(&w, n, None, &status)?;
    on.finite(&v, n * n, None, &status)?;
    scales.undo(&w, n, 1)?;
    match status.first(op)? {
        None => Ok([w, transposed(&v)]),
        Some(batch) => Err(unsolved(gpu, op, (a, Part::LOWER), "eigenvalues", batch)),
    }
}

/// The thin singular value decomposition A = U diag(s) V^T of each matrix: U, s descending, V^T.
///
/// # Errors
/// Argument, for NaN and infinity; not converged.
pub(crate) fn svd<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<[Array<T>; 3]> {
    let on = On { gpu, op };
    let (batch, m, n) = sizes(a);
    let (k, count): (usize, usize) = (m.min(n), batch.iter().product());
    let new = |last: &[usize]| Array::<T>::unwritten(gpu, op, shape(batch, last));
    let s = new(&[k])?;
    // cuSOLVER takes tall matrices. By columns, a wide A is the tall A^T = V diag(s) U^T.
    let tall = m >= n;
    let work = if tall { by_columns(on, a)? } else { copy(gpu, op, a)? };
    let (left, right) = (new(&[k, m.max(n)])?, new(&[k, k])?);
    if k > 0 && count > 0 {
        let (status, info) = (Status::new(gpu, op)?, on.info(count)?);
        on.finite(&work, m * n, None, &status)?;
        let scales = Scales::near_one(on, &work, count, m * n, None)?;
        let out = [left.pointer(), s.pointer(), right.pointer()];
        ffi::gesvd::<T>(gpu, op, [m.max(n), k], count, work.pointer(), out, info.pointer())?;
        on.failed::<T>(&info, count, &status)?;
        on.finite(&s, k, None, &status)?;
        on.finite(&left, k * m.max(n), None, &status)?;
        on.finite(&right, k * k, None, &status)?;
        scales.undo(&s, k, 1)?;
        if let Some(batch) = status.first(op)? {
            return Err(unsolved(gpu, op, (a, Part::Whole), "singular value decomposition", batch));
        }
    }
    // By columns, `left` holds U or V, and `right` V^T or U^T.
    Ok(if tall { [transposed(&left), s, transposed(&right)] } else { [right, s, left] })
}

/// Writes ones on the diagonals of a batch of matrices, and zeros elsewhere.
fn identity<T: Float>(on: On, out: Array<T>) -> Result<Array<T>> {
    on.gpu.fill(on.op, out.pointer(), out.numel() * size_of::<T>(), 0)?;
    let last = out.ndim() - 1;
    let diagonal = out.layout().diagonal(0, [last - 1, last]);
    assign(on.gpu, on.op, &out, &diagonal, &Array::repeat(diagonal.shape(), T::ONE)?)?;
    Ok(out)
}

/// A = Q R of each matrix [m, n]: Q [m, k] and R [k, n], k = min(m, n), or m where `complete`; the diagonal of R is
/// not negative.
///
/// # Errors
/// Argument, for NaN and infinity.
pub(crate) fn qr<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    complete: bool,
) -> Result<[Array<T>; 2]> {
    let on = On { gpu, op };
    let (batch, m, n) = sizes(a);
    let (reflectors, count): (usize, usize) = (m.min(n), batch.iter().product());
    let k = if complete { m } else { reflectors };
    let new = |last: &[usize]| Array::<T>::unwritten(gpu, op, shape(batch, last));
    let r = new(&[k, n])?;
    if count == 0 || reflectors == 0 {
        return Ok([identity(on, new(&[m, k])?)?, r]);
    }
    let (status, info) = (Status::new(gpu, op)?, on.info(count)?);
    // The columns of A, later those of Q, which may be more.
    let mut columns = by_columns(on, a)?;
    on.finite(&columns, m * n, None, &status)?;
    // A column that is scaled has the same Q, and a column of R that is scaled alike.
    let scales = Scales::near_one(on, &columns, count * n, m, None)?;
    if k > n {
        let a = std::mem::replace(&mut columns, new(&[k, m])?);
        let place = columns.slice(op, columns.ndim() - 2, 0, 1, n)?;
        assign(gpu, op, &columns, place.layout(), &a)?;
    }
    let (signs, tau) = (new(&[1, k])?, new(&[reflectors])?);
    let place = (columns.pointer(), m * n.max(k));
    ffi::geqrf::<T>(gpu, op, [m, n], count, place, tau.pointer(), info.pointer())?;
    let [r_place, signs_place, columns_place] = [&r, &signs, &columns].map(|x| x.pointer());
    let [size, k_word, m_word, n_word, step] = [r.numel(), k, m, n, place.1].map(|x| x as u64);
    let words = [r_place, signs_place, columns_place, size, k_word, m_word, n_word, step];
    on.elements::<T>(c"upper", r.numel(), &words)?;
    scales.undo(&r, k * n, n)?;
    ffi::orgqr::<T>(gpu, op, [m, k, reflectors], count, place, tau.pointer(), info.pointer())?;
    let q = transposed(&columns.slice(op, columns.ndim() - 2, 0, 1, k)?);
    let signs = signs.expand(op, q.shape())?;
    let q = fresh(gpu, op, Dims::from_slice(q.shape()), [q.operand(), signs.operand()], &|x| {
        Some(x[0].times(x[1]))
    })?;
    match status.first(op)? {
        None => Ok([q, r]),
        Some(batch) => Err(not_finite_error(op, batch, a.shape())),
    }
}
