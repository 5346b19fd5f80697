//! Random numbers, the same as those of the CPU.

use super::nest::{Launch, THREADS};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::draws::Draw;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::shape::Dims;
use std::ffi::CStr;

pub(super) static RANDOM: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/random.cu")),
    kernels: &[c"uniform", c"normal"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// Uniform numbers in [0, 1).
pub(crate) fn uniform<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    shape: Dims,
    draw: Draw,
) -> Result<Array<T>> {
    random(gpu, op, c"uniform", shape, draw)
}

/// Standard normal numbers.
pub(crate) fn normal<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    shape: Dims,
    draw: Draw,
) -> Result<Array<T>> {
    random(gpu, op, c"normal", shape, draw)
}

fn random<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    kernel: &'static CStr,
    shape: Dims,
    draw: Draw,
) -> Result<Array<T>> {
    let out = Array::unwritten(gpu, op, shape)?;
    let count = out.numel();
    if count > 0 {
        let launch = Launch::new(gpu, op, &[out.pointer(), count as u64, draw.seed, draw.number, draw.from]);
        launch.run(&RANDOM, Variant::of(T::DTYPE), kernel, count.div_ceil(2 * THREADS))?;
    }
    Ok(out)
}
