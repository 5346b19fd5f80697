//! QR, singular values, and eigenvalues of symmetric matrices.

use super::small::{LARGEST, Small, VARIANTS, small};
use crate::array::Array;
use crate::cuda::finite::unsolved;
use crate::cuda::large;
use crate::cuda::matrices::Matrices;
use crate::cuda::registry::Family;
use crate::cuda::status::Status;
use crate::element::Float;
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::matrix::flaw::not_finite_error;
use crate::matrix::part::Part;

pub(crate) static QR: Family = Family { text: small!("small_qr.cu"), kernels: &[c"qr"], variants: VARIANTS };

pub(crate) static JACOBI: Family =
    Family { text: small!("small_jacobi.cu"), kernels: &[c"svd", c"eigh"], variants: VARIANTS };

/// See [`kernels::qr`](crate::kernels::qr).
pub(crate) fn qr<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    complete: bool,
) -> Result<[Array<T>; 2]> {
    let x = Matrices::of(gpu, op, a)?;
    let (m, n) = (x.rows, x.columns);
    if m.max(n) > LARGEST {
        return large::qr(gpu, op, a, complete);
    }
    let k = if complete { m } else { m.min(n) };
    let q = Array::unwritten(gpu, op, x.shape(&[m, k]))?;
    let r = Array::unwritten(gpu, op, x.shape(&[k, n]))?;
    if q.numel() == 0 {
        return Ok([q, r]);
    }
    let not_finite = Status::new(gpu, op)?;
    let small = Small { family: &QR, kernel: c"qr", largest: m.max(n), count: x.count };
    let out = [q.pointer(), r.pointer(), x.count as u64];
    let sizes = [m as u64, n as u64, k as u64];
    small.launch::<T>(gpu, op, &[&x.words, &out, &sizes, &[not_finite.word()]])?;
    match not_finite.first(op)? {
        None => Ok([q, r]),
        Some(batch) => Err(not_finite_error(op, batch, a.shape())),
    }
}

/// See [`kernels::svd`](crate::kernels::svd).
pub(crate) fn svd<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<[Array<T>; 3]> {
    let x = Matrices::of(gpu, op, a)?;
    let (m, n) = (x.rows, x.columns);
    if m.max(n) > LARGEST {
        return large::svd(gpu, op, a);
    }
    let k = m.min(n);
    let u = Array::unwritten(gpu, op, x.shape(&[m, k]))?;
    let s = Array::unwritten(gpu, op, x.shape(&[k]))?;
    let vt = Array::unwritten(gpu, op, x.shape(&[k, n]))?;
    if s.numel() == 0 {
        return Ok([u, s, vt]);
    }
    // A row and a column of vectors, and a matrix of them, to the next.
    let left = [u.pointer(), k as u64, 1, (m * k) as u64];
    let right = [vt.pointer(), 1, n as u64, (k * n) as u64];
    // Of the transpose the sides change places.
    let (x, left, right) = if m >= n { (x, left, right) } else { (x.transposed(), right, left) };
    let failed = Status::new(gpu, op)?;
    let small = Small { family: &JACOBI, kernel: c"svd", largest: x.rows, count: x.count };
    let sizes = [x.count as u64, x.rows as u64, x.columns as u64, failed.word()];
    small.launch::<T>(gpu, op, &[&x.words, &[s.pointer()], &left, &right, &sizes])?;
    if let Some(failed) = failed.first(op)? {
        return Err(unsolved(gpu, op, (a, Part::Whole), "singular value decomposition", failed));
    }
    Ok([u, s, vt])
}

/// See [`kernels::eigh`](crate::kernels::eigh).
pub(crate) fn eigh<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
    let x = Matrices::of(gpu, op, a)?;
    let n = x.rows;
    if n > LARGEST {
        return large::eigh(gpu, op, a);
    }
    let w = Array::unwritten(gpu, op, x.shape(&[n]))?;
    let v = Array::unwritten(gpu, op, x.shape(&[n, n]))?;
    if v.numel() == 0 {
        return Ok([w, v]);
    }
    let failed = Status::new(gpu, op)?;
    let small = Small { family: &JACOBI, kernel: c"eigh", largest: n, count: x.count };
    let out = [w.pointer(), v.pointer(), x.count as u64, n as u64, failed.word()];
    small.launch::<T>(gpu, op, &[&x.words, &out])?;
    if let Some(failed) = failed.first(op)? {
        return Err(unsolved(gpu, op, (a, Part::LOWER), "eigenvalues", failed));
    }
    Ok([w, v])
}
