//! Whether matrices are finite.

use super::matrices::Matrices;
use crate::array::Array;
use crate::cuda::registry::{Family, Variant};
use crate::cuda::status::Status;
use crate::element::{DType, Float};
use crate::error::{Error, Result};
use crate::gpu::context::Gpu;
use crate::matrix::flaw::{not_converged_error, not_finite_error};
use crate::matrix::part::Part;

pub(crate) static FINITE: Family = Family {
    text: concat!(include_str!("kernels/matrices.cu"), include_str!("kernels/finite.cu")),
    kernels: &[c"not_finite"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// Reports the first matrix of which a part is not finite.
pub(crate) fn reported<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    part: Part,
) -> Result<Status> {
    let status = Status::new(gpu, op)?;
    if a.numel() > 0 {
        let x = Matrices::of(gpu, op, a)?;
        let function = FINITE.function(op, gpu, Variant::of(T::DTYPE), c"not_finite")?;
        let (triangle, unit) = match part {
            Part::Whole => (0, false),
            Part::Triangle(triangle) => (1 + u64::from(triangle.upper), triangle.unit),
        };
        let sizes = [a.numel(), x.rows, x.columns].map(|n| n as u64);
        let words = [&x.words[..], &sizes, &[triangle, unit.into(), status.word()]].concat();
        let blocks = u32::try_from(a.numel().div_ceil(256)).unwrap_or(u32::MAX).min(1 << 20);
        gpu.launch(op, function, [blocks, 1, 1], [256, 1, 1], 0, &words)?;
    }
    Ok(status)
}

/// The first matrix of which a part is not finite.
pub(crate) fn first_not_finite<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    part: Part,
) -> Result<Option<usize>> {
    reported(gpu, op, a, part)?.first(op)
}

/// See [`kernels::finite`](crate::kernels::finite).
pub(crate) fn finite<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>, part: Part) -> Result<()> {
    checked(gpu, op, a, part, || Ok(()))
}

/// What `run` gives, where the part of `a` that it reads is finite; the GPU does both before it is waited for.
pub(crate) fn checked<T: Float, V>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    part: Part,
    run: impl FnOnce() -> Result<V>,
) -> Result<V> {
    let status = reported(gpu, op, a, part)?;
    let result = run();
    match status.first(op)? {
        Some(batch) => Err(not_finite_error(op, batch, a.shape())),
        None => result,
    }
}

/// The error of an iteration that failed on a matrix: on one that is not finite, if there is any.
#[cold]
pub(crate) fn unsolved<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    (a, part): (&Array<T>, Part),
    what: &str,
    failed: usize,
) -> Error {
    match first_not_finite(gpu, op, a, part) {
        Ok(Some(batch)) => not_finite_error(op, batch, a.shape()),
        Ok(None) => not_converged_error(op, what, failed, a.shape()),
        Err(e) => e,
    }
}
