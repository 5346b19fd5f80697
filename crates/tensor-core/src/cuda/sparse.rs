//! Products with sparse matrices.

use super::copy::{copy, zeros};
use super::host::to_gpu;
use super::nest::{Launch, THREADS};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::shape::Dims;
use crate::sparse::lines::{Lines, LinesOnGpu};
use crate::sparse::pattern::Pattern;

pub(super) static SPARSE: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/sparse.cu")),
    kernels: &[c"sparse_mv", c"sparse_mm", c"sparse_sampled", c"sparse_masked"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// The power of 2 of the lanes that share work of `size` pieces: not more than pieces, nor a warp's.
fn lane_bits(size: usize) -> u32 {
    size.clamp(1, 32).ilog2()
}

/// The elements in row-major order, in the memory of the GPU.
fn row_major<T: Float>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    if x.layout().is_contiguous() { x.in_memory(gpu, op) } else { copy(gpu, op, x) }
}

/// A x, or A^T x where `transposed`; every row of the result by itself.
pub(crate) fn product<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    pattern: &Pattern,
    transposed: bool,
    values: &Array<T>,
    x: &Array<T>,
) -> Result<Array<T>> {
    let pattern = if transposed { pattern.transposed() } else { pattern.clone() };
    let rows = pattern.shape()[0];
    let columns = x.shape().get(1).copied();
    let y = Array::unwritten(gpu, op, [rows].into_iter().chain(columns).collect())?;
    let k = columns.unwrap_or(1);
    if rows == 0 || k == 0 {
        return Ok(y);
    }
    if pattern.count() == 0 {
        return zeros(gpu, op, y.shape());
    }
    let lines = pattern.lines(op, 0)?.on(gpu, op)?;
    let (values, x) = (row_major(gpu, op, values)?, row_major(gpu, op, x)?);
    let bits = lane_bits(if k == 1 { pattern.count() / rows } else { k.next_power_of_two() });
    let mut words = lines.words().to_vec();
    words.extend([values.pointer(), x.pointer(), y.pointer(), rows as u64, k as u64, u64::from(bits)]);
    let launch = Launch::new(gpu, op, &words);
    let (variant, blocks) = (Variant::of(T::DTYPE), rows.div_ceil(THREADS >> bits));
    match k {
        1 => launch.run(&SPARSE, variant, c"sparse_mv", blocks)?,
        _ => launch.run_grid(&SPARSE, variant, c"sparse_mm", [blocks, k.div_ceil(1 << bits)], THREADS, 0)?,
    }
    Ok(y)
}

/// u v^T at the places of the pattern.
pub(crate) fn sampled<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    pattern: &Pattern,
    u: &Array<T>,
    v: &Array<T>,
) -> Result<Array<T>> {
    let count = pattern.count();
    let out = Array::unwritten(gpu, op, Dims::from_slice(&[count]))?;
    if count == 0 {
        return Ok(out);
    }
    let [rows, columns] = pattern.coordinates_on(gpu, op)?;
    let width = u.shape().get(1).copied().unwrap_or(1);
    if width == 0 {
        return zeros(gpu, op, out.shape());
    }
    let (u, v) = (row_major(gpu, op, u)?, row_major(gpu, op, v)?);
    let bits = lane_bits(width);
    let words = [
        rows.pointer(),
        columns.pointer(),
        u.pointer(),
        v.pointer(),
        out.pointer(),
        count as u64,
        width as u64,
        u64::from(bits),
    ];
    let blocks = count.div_ceil(THREADS >> bits);
    Launch::new(gpu, op, &words).run(&SPARSE, Variant::of(T::DTYPE), c"sparse_sampled", blocks)?;
    Ok(out)
}

/// The values of A B at the places of `out`.
pub(crate) fn masked<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    out: &Pattern,
    (a, a_values): (&Pattern, &Array<T>),
    (b, b_values): (&Pattern, &Array<T>),
) -> Result<Array<T>> {
    let count = out.count();
    let values = Array::unwritten(gpu, op, Dims::from_slice(&[count]))?;
    if count == 0 {
        return Ok(values);
    }
    let [rows, columns] = out.coordinates_on(gpu, op)?;
    let (left, right) = (a.lines(op, 0)?.on(gpu, op)?, b.lines(op, 0)?.on(gpu, op)?);
    let (a_values, b_values) = (row_major(gpu, op, a_values)?, row_major(gpu, op, b_values)?);
    let mut words = vec![rows.pointer(), columns.pointer()];
    words.extend(left.words());
    words.push(a_values.pointer());
    words.extend(right.words());
    words.extend([b_values.pointer(), values.pointer(), count as u64]);
    let blocks = count.div_ceil(THREADS);
    Launch::new(gpu, op, &words).run(&SPARSE, Variant::of(T::DTYPE), c"sparse_masked", blocks)?;
    Ok(values)
}

impl Lines {
    /// The lines in the memory of a GPU.
    fn on(&self, gpu: &'static Gpu, op: &'static str) -> Result<LinesOnGpu> {
        self.on_gpus.get(Device::Cuda(gpu.ordinal()), || {
            let order = self.order.as_ref().map(|order| to_gpu(gpu, op, order));
            Ok(LinesOnGpu {
                starts: to_gpu(gpu, op, &self.starts)?,
                across: to_gpu(gpu, op, &self.across)?,
                order: order.transpose()?,
            })
        })
    }
}

impl LinesOnGpu {
    /// Starts, places and order as kernels take them.
    fn words(&self) -> [u64; 3] {
        [self.starts.pointer(), self.across.pointer(), self.order.as_ref().map_or(0, Array::pointer)]
    }
}

impl Pattern {
    /// [`Pattern::coordinates`] in the memory of a GPU.
    fn coordinates_on(&self, gpu: &'static Gpu, op: &'static str) -> Result<[Array<i64>; 2]> {
        let [rows, columns] = self.on_gpus().get(Device::Cuda(gpu.ordinal()), || {
            let [rows, columns] = self.upright().coordinates(op)?.map(|x| to_gpu(gpu, op, x));
            Ok([rows?, columns?])
        })?;
        Ok(if self.is_transposed() { [columns, rows] } else { [rows, columns] })
    }
}
