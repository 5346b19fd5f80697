//! The powers of elements, side by side.

use super::nest::{Launch, THREADS};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::nest::Nest;

pub(super) static POWERS: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/powers.cu")),
    kernels: &[c"powers"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// The powers 0 to n - 1 of each element along a last dimension, or from the highest one on where `decreasing`.
pub(crate) fn powers<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    n: usize,
    decreasing: bool,
) -> Result<Array<T>> {
    let out = Array::unwritten(gpu, op, x.shape().iter().copied().chain([n]).collect())?;
    let count = out.numel();
    if count == 0 {
        return Ok(out);
    }
    let x = x.in_memory(gpu, op)?;
    let strides = x.layout().strides();
    // Of each power the base, and how far its exponent is from the first one of the row.
    let along = if decreasing { -1 } else { 1 };
    let bases = (0..x.ndim()).map(|k| (x.shape()[k], [strides[k], 0]));
    let places = Nest::of(bases.chain([(n, [0, along])]), [0; 2]);
    let first = if decreasing { n - 1 } else { 0 };
    let words = [x.pointer(), out.pointer(), count as u64, first as u64];
    let launch = Launch::new(gpu, op, &words).nest(places.dims())?;
    launch.run(&POWERS, Variant::of(T::DTYPE), c"powers", count.div_ceil(4 * THREADS))?;
    Ok(out)
}
