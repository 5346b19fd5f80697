//! Quotients by the gaps of a spectrum.

use crate::array::Array;
use crate::code::bits;
use crate::cuda::matrices::Matrices;
use crate::cuda::registry::{Family, Variant};
use crate::cuda::status::Status;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::matrix::gaps::Gaps;
use crate::shape::Dims;
use std::ffi::CStr;

pub(crate) static GAPS: Family = Family {
    text: concat!(include_str!("../kernels/matrices.cu"), include_str!("../kernels/gaps.cu")),
    kernels: &[c"limits", c"quotients", c"lost"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// Threads of a block, of 8 warps.
const THREADS: u32 = 256;

/// See [`kernels::over_gaps`](crate::kernels::over_gaps).
pub(crate) fn over_gaps<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    p: &Array<T>,
    w: &Array<T>,
    gaps: Gaps<T>,
) -> Result<(Array<T>, Option<usize>)> {
    let out: Array<T> = Array::unwritten(gpu, op, Dims::from_slice(p.shape()))?;
    if out.numel() == 0 {
        return Ok((out, None));
    }
    let p = Matrices::of(gpu, op, p)?;
    let w = Matrices::of(gpu, op, &w.insert_dim(op, w.ndim())?)?;
    let number = |x: T| bits(x.to_scalar(), T::DTYPE);
    let rounding = gaps.rounding.unwrap_or(T::ZERO);
    let numbers = [gaps.transpose, gaps.other, rounding].map(number);
    let launch = |kernel: &'static CStr, blocks: usize, limits: u64, status: u64, first: usize| {
        let function = GAPS.function(op, gpu, Variant::of(T::DTYPE), kernel)?;
        let sizes = [out.pointer(), limits, p.count as u64, p.rows as u64];
        let words = [&p.words[..], &w.words, &sizes, &numbers, &[status, first as u64]].concat();
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        gpu.launch(op, function, [blocks, 1, 1], [THREADS, 1, 1], 0, &words)
    };
    let elements = out.numel().div_ceil(THREADS as usize);
    if gaps.rounding.is_none() {
        launch(c"quotients", elements, 0, 0, 0)?;
        return Ok((out, None));
    }
    let limits: Array<T> = Array::unwritten(gpu, op, Dims::from_slice(&[p.count]))?;
    launch(c"limits", p.count.div_ceil(8), limits.pointer(), 0, 0)?;
    let closed = Status::new(gpu, op)?;
    launch(c"quotients", elements, limits.pointer(), closed.word(), 0)?;
    // Mostly there is no gap of zero, and so nothing that it could take.
    let Some(first) = closed.first(op)? else { return Ok((out, None)) };
    let lost = Status::new(gpu, op)?;
    launch(c"lost", p.count - first, limits.pointer(), lost.word(), first)?;
    Ok((out, lost.first(op)?))
}
