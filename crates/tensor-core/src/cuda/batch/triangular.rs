//! Cholesky factors, and triangular systems.

use super::small::{LARGEST, Small, VARIANTS, small};
use crate::array::Array;
use crate::cuda::copy::zeros;
use crate::cuda::finite::checked;
use crate::cuda::host::to_vec;
use crate::cuda::large;
use crate::cuda::matrices::{Matrices, columns_divisor};
use crate::cuda::registry::Family;
use crate::cuda::status::Status;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::Gpu;
use crate::matrix::flaw::singular_error;
use crate::matrix::part::Part;
use crate::matrix::part::Triangle;
use crate::shape::Dims;

pub(crate) static TRIANGULAR: Family = Family {
    text: small!("small_triangular.cu"),
    kernels: &[c"cholesky", c"triangular_column", c"triangular_columns"],
    variants: VARIANTS,
};

/// See [`kernels::cholesky`](crate::kernels::cholesky).
pub(crate) fn cholesky<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    checked(gpu, op, a, Part::LOWER, || definite(gpu, op, a))
}

fn definite<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    let (l, failed) = if a.shape()[a.ndim() - 1] > LARGEST {
        let (l, minors) = large::cholesky_ex(gpu, op, a)?;
        let minors = to_vec(gpu, op, &minors)?;
        let failed = minors.iter().position(|&minor| minor > 0);
        (l, failed.map(|batch| (batch, minors[batch] as usize)))
    } else {
        let status = Status::new(gpu, op)?;
        let l = factors(gpu, op, a, 0, status.word())?;
        // The kernel joins both numbers so.
        (l, status.first(op)?.map(|found| (found / 64, found % 64)))
    };
    let Some((batch, minor)) = failed else { return Ok(l) };
    let message = format!(
        "matrix {batch} of {:?} is not positive definite: its leading minor of order {minor} is not positive; \
         adding a multiple of the identity may help",
        a.shape()
    );
    Err(Error::new(ErrorKind::NotPositiveDefinite { batch, minor }, op, message))
}

/// See [`kernels::cholesky_ex`](crate::kernels::cholesky_ex).
pub(crate) fn cholesky_ex<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
) -> Result<(Array<T>, Array<i64>)> {
    let n = a.shape()[a.ndim() - 1];
    if n > LARGEST {
        return large::cholesky_ex(gpu, op, a);
    }
    let batch = &a.shape()[..a.ndim() - 2];
    if n == 0 {
        let minors = zeros(gpu, op, batch)?;
        return Ok((Array::unwritten(gpu, op, Dims::from_slice(a.shape()))?, minors));
    }
    let minors = Array::unwritten(gpu, op, Dims::from_slice(batch))?;
    Ok((factors(gpu, op, a, minors.pointer(), 0)?, minors))
}

/// L of each small matrix; minors that are not positive go to the addresses that are not 0.
fn factors<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    minors: u64,
    failed: u64,
) -> Result<Array<T>> {
    let l = Array::unwritten(gpu, op, Dims::from_slice(a.shape()))?;
    if l.numel() > 0 {
        let a = Matrices::of(gpu, op, a)?;
        let small = Small { family: &TRIANGULAR, kernel: c"cholesky", largest: a.rows, count: a.count };
        let out = [l.pointer(), minors, failed, a.count as u64];
        small.launch::<T>(gpu, op, &[&a.words, &out, &columns_divisor(a.rows)])?;
    }
    Ok(l)
}

/// See [`kernels::solve_triangular`](crate::kernels::solve_triangular).
pub(crate) fn solve_triangular<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    triangle: Triangle,
    transposed: bool,
    b: &Array<T>,
) -> Result<Array<T>> {
    checked(gpu, op, a, Part::Triangle(triangle), || solve(gpu, op, a, triangle, transposed, b))
}

fn solve<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    triangle: Triangle,
    transposed: bool,
    b: &Array<T>,
) -> Result<Array<T>> {
    let (n, k) = (b.shape()[b.ndim() - 2], b.shape()[b.ndim() - 1]);
    if n > LARGEST {
        return large::solve_triangular(gpu, op, a, triangle, transposed, b);
    }
    let out = Array::unwritten(gpu, op, Dims::from_slice(b.shape()))?;
    // The diagonals are looked at even if there is no column to solve for.
    if a.numel() == 0 {
        return Ok(out);
    }
    let (x, b) = (Matrices::of(gpu, op, a)?, Matrices::of(gpu, op, b)?);
    let x = if transposed { x.transposed() } else { x };
    let upper = triangle.upper != transposed;
    let singular = (!triangle.unit).then(|| Status::new(gpu, op)).transpose()?;
    let kernel = if k == 1 { c"triangular_column" } else { c"triangular_columns" };
    let small = Small { family: &TRIANGULAR, kernel, largest: n, count: x.count };
    let word = singular.as_ref().map_or(0, Status::word);
    let rest = [k as u64, u64::from(upper), u64::from(triangle.unit), word];
    let out_words = [out.pointer(), x.count as u64];
    small.launch::<T>(gpu, op, &[&x.words, &b.words, &out_words, &columns_divisor(n), &rest])?;
    match singular.map(|status| status.first(op)).transpose()?.flatten() {
        Some(batch) => Err(singular_error(op, batch, a.shape())),
        None => Ok(out),
    }
}
