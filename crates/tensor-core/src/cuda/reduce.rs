//! Reductions.

use super::map::map;
use super::nest::{Dim, Launch, THREADS};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, Element, Float, Number};
use crate::error::Result;
use crate::expression::Expression;
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::reduction::{All, Any, Max, Min, Reduction, Sum};
use crate::shape::Dims;
use smallvec::SmallVec;
use std::cmp::Reverse;

pub(super) static REDUCE: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/reduce.cu")),
    kernels: &[c"reduce", c"reduce_packs", c"reduce_parts"],
    variants: &[
        Variant::with(DType::F32, "Sum"),
        Variant::with(DType::F64, "Sum"),
        Variant::with(DType::I64, "Sum"),
        Variant::with(DType::F32, "Mean"),
        Variant::with(DType::F64, "Mean"),
        Variant::with(DType::F32, "Length"),
        Variant::with(DType::F64, "Length"),
        Variant::with(DType::F32, "Max"),
        Variant::with(DType::F64, "Max"),
        Variant::with(DType::I64, "Max"),
        Variant::with(DType::F32, "Min"),
        Variant::with(DType::F64, "Min"),
        Variant::with(DType::I64, "Min"),
        Variant::with(DType::Bool, "All"),
        Variant::with(DType::Bool, "Any"),
        Variant::with(DType::F32, "FirstLargest"),
        Variant::with(DType::F64, "FirstLargest"),
        Variant::with(DType::I64, "FirstLargest"),
        Variant::with(DType::F32, "FirstSmallest"),
        Variant::with(DType::F64, "FirstSmallest"),
        Variant::with(DType::I64, "FirstSmallest"),
    ],
};

macro_rules! reductions {
    ($($name:ident $Reduction:ident;)*) => { $(
        /// [`reduce`] by the operation of this name.
        pub(crate) fn $name<T: Number>(
            gpu: &'static Gpu,
            op: &'static str,
            x: &Array<T>,
            mask: &[bool],
            keepdim: bool,
        ) -> Result<Array<T>> {
            reduce(gpu, op, x, mask, keepdim, $Reduction)
        }
    )* };
}
reductions! { sum Sum; max Max; min Min; }

/// [`reduce`] by "and".
pub(crate) fn all(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<bool>,
    mask: &[bool],
    keepdim: bool,
) -> Result<Array<bool>> {
    reduce(gpu, op, x, mask, keepdim, All)
}

/// [`reduce`] by "or".
pub(crate) fn any(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<bool>,
    mask: &[bool],
    keepdim: bool,
) -> Result<Array<bool>> {
    reduce(gpu, op, x, mask, keepdim, Any)
}

/// Reduces the dimensions marked in `mask`, which keep size 1 where `keepdim`.
fn reduce<T: Element, R: Reduction<T>>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
    r: R,
) -> Result<Array<T>> {
    let shape = reduced(x.shape(), mask, keepdim);
    match x.numel() {
        1 => Ok(reshaped(x, shape)),
        0 => Array::repeat_on(Device::Cuda(gpu.ordinal()), &shape, r.neutral()),
        _ => fold(gpu, op, x, mask, shape, R::NAME, size_of::<T>()),
    }
}

/// The lengths over the dimensions marked in `mask`, which keep size 1 where `keepdim`: squares out of the range are
/// summed in a size of their own.
pub(crate) fn length<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
) -> Result<Array<T>> {
    let shape = reduced(x.shape(), mask, keepdim);
    match x.numel() {
        1 => map(op, &reshaped(x, shape), &|x| Some(x[0].abs())),
        0 => Array::repeat_on(Device::Cuda(gpu.ordinal()), &shape, T::ZERO),
        _ => fold(gpu, op, x, mask, shape, "Length", 4 * size_of::<T>()),
    }
}

/// The means over the dimensions marked in `mask`, which keep size 1 where `keepdim`, in the range where the elements
/// are.
pub(crate) fn mean<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
) -> Result<Array<T>> {
    let shape = reduced(x.shape(), mask, keepdim);
    match x.numel() {
        1 => Ok(reshaped(x, shape)),
        0 => Array::repeat_on(Device::Cuda(gpu.ordinal()), &shape, T::NAN),
        _ => fold(gpu, op, x, mask, shape, "Mean", 2 * size_of::<T>()),
    }
}

/// The shape of what is left of `shape`.
fn reduced(shape: &[usize], mask: &[bool], keepdim: bool) -> Dims {
    let kept = shape.iter().zip(mask).filter(|&(_, &reduced)| !reduced || keepdim);
    kept.map(|(&d, &reduced)| if reduced { 1 } else { d }).collect()
}

/// The only element, in another shape.
fn reshaped<T: Element>(x: &Array<T>, shape: Dims) -> Array<T> {
    x.view(Layout::row_major(shape).moved_to(x.layout().offset()))
}

/// Reduces more than one element, by an operation that remembers `part_bytes` of them.
fn fold<T: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    shape: Dims,
    operation: &'static str,
    part_bytes: usize,
) -> Result<Array<T>> {
    let x = x.in_memory(gpu, op)?;
    let strides = x.layout().strides();
    let (mut kept, mut along): (SmallVec<[Dim<2>; 4]>, SmallVec<[Dim<1>; 4]>) = Default::default();
    let (mut start, mut across) = (0, 1);
    for (k, (&d, &s)) in x.shape().iter().zip(&strides).enumerate().rev() {
        if mask[k] {
            // In any order: forwards through memory.
            start += if s < 0 { (d as isize - 1) * s } else { 0 };
            along.push((d, [s.abs()]));
        } else {
            kept.push((d, [s, across]));
            across *= d as isize;
        }
    }
    let slowest_first = |s: isize| (s != 0, Reverse(s.unsigned_abs()));
    kept.sort_by_key(|&(_, [s, _])| slowest_first(s));
    along.sort_by_key(|&(_, [s])| slowest_first(s));
    let out = Array::unwritten(gpu, op, shape)?;
    let reduction = Fold { gpu, op, variant: Variant::with(T::DTYPE, operation), part_bytes };
    let x = x.pointer().wrapping_add_signed((start * size_of::<T>() as isize) as i64);
    let (kept, along) = (Nest::of(kept.into_iter(), [0; 2]), Nest::of(along.into_iter(), [0]));
    reduction.run(x, kept.dims(), along.dims(), out.pointer())?;
    Ok(out)
}

/// The index of the first extreme element along `dim`, which is not empty.
pub(crate) fn arg_extreme<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    let mut shape = Dims::from_slice(x.shape());
    let n = shape.remove(dim);
    let out = Array::unwritten(gpu, op, shape)?;
    if out.numel() == 0 {
        return Ok(out);
    }
    let x = x.in_memory(gpu, op)?;
    let name = if smallest { "FirstSmallest" } else { "FirstLargest" };
    // A value, and an index of 8 bytes.
    let reduction = Fold { gpu, op, variant: Variant::with(T::DTYPE, name), part_bytes: 16 };
    let kept = Nest::new(out.shape(), [&x.layout().slice(dim, 0, 1, 1).remove_dim(dim), out.layout()]);
    let along = [(n, [x.layout().strides()[dim]])];
    reduction.run(x.pointer(), kept.dims(), &along, out.pointer())?;
    Ok(out)
}

/// A reduction and the bytes of what it remembers.
struct Fold {
    gpu: &'static Gpu,
    op: &'static str,
    variant: Variant,
    part_bytes: usize,
}

impl Fold {
    /// Reduces the elements `along` for each of `kept`, whose strides are those of x and of y.
    fn run(&self, x: u64, kept: &[Dim<2>], along: &[Dim<1>], y: u64) -> Result<()> {
        let results: usize = kept.iter().map(|d| d.0).product();
        let count: usize = along.iter().map(|d| d.0).product();
        let (mut kernel, mut x) = (c"reduce", x);
        let mut along: SmallVec<[Dim<1>; 4]> = along.into();
        let (mut width, mut tail) = (1, 0);
        if let Some(most) = self.width(x, kept, &along) {
            (kernel, width) = (c"reduce_packs", most);
            if let [.., (n, [step])] = &mut along[..] {
                tail = *n % width;
                (*n, *step) = (*n / width, width as isize);
            }
        }
        let mut kept: SmallVec<[Dim<2>; 4]> = kept.into();
        // Kept until the kernel that reads it was launched.
        let mut _read;
        loop {
            let plan = Plan::new(results, &kept, &along, width);
            let scratch = match plan.parts {
                1 => None,
                n => Some(self.gpu.allocate(self.op, n * results * self.part_bytes)?),
            };
            let to = scratch.as_ref().map_or(y, |s| s.pointer());
            let words = [
                x,
                to,
                results as u64,
                plan.loads as u64,
                plan.part as u64,
                tail as u64,
                u64::from(plan.lanes.trailing_zeros()),
                u64::from(plan.across),
                u64::from(scratch.is_none()),
                count as u64,
            ];
            let blocks = [results.div_ceil(THREADS / plan.lanes), plan.parts];
            let launch = Launch::new(self.gpu, self.op, &words).nest(&kept)?.nest(&along)?;
            launch.run_grid(&REDUCE, self.variant, kernel, blocks, THREADS, 0)?;
            let Some(scratch) = scratch else { return Ok(()) };
            // The parts of one result are a column.
            (kernel, x, width, tail) = (c"reduce_parts", scratch.pointer(), 1, 0);
            kept = SmallVec::from_slice(&[(results, [1, 1])]);
            along = SmallVec::from_slice(&[(plan.parts, [results as isize])]);
            _read = scratch;
        }
    }

    /// Elements of a load of 16 bytes, where they lie so that all can be loaded that way, but for the
    /// end of a single row.
    fn width(&self, x: u64, kept: &[Dim<2>], along: &[Dim<1>]) -> Option<usize> {
        let width = 16 / self.variant.dtype.size();
        let (&(n, [step]), outer) = along.split_last()?;
        let aligned = |s: isize| s.unsigned_abs().is_multiple_of(width);
        let whole = outer.is_empty() || n.is_multiple_of(width);
        let rows = kept.iter().all(|&(_, [s, _])| aligned(s)) && outer.iter().all(|&(_, [s])| aligned(s));
        (step == 1 && n >= width && whole && rows && x.is_multiple_of(16)).then_some(width)
    }
}

/// How a reduction is shared among threads. It depends on the layout alone, so that results are the
/// same on every GPU.
struct Plan {
    /// Loads for each result.
    loads: usize,
    /// Threads for each result, a power of 2.
    lanes: usize,
    /// Whether neighbouring threads work on neighbouring results.
    across: bool,
    /// Blocks that share a result, and the loads of each.
    parts: usize,
    part: usize,
}

/// Blocks that keep any GPU busy.
const ENOUGH_BLOCKS: usize = 2048;
/// Loads that are worth a thread, where there are not enough blocks; and the most that a thread has, as
/// the error of a sum grows with them.
const LOADS: [usize; 2] = [16, 256];

impl Plan {
    fn new(results: usize, kept: &[Dim<2>], along: &[Dim<1>], width: usize) -> Self {
        let loads: usize = along.iter().map(|d| d.0).product();
        let (neighbours, step) = kept.last().map_or((1, 0), |&(n, [s, _])| (n, s.unsigned_abs()));
        let (n, along) = along.last().map_or((1, 0), |&(n, [s])| (n, s.unsigned_abs()));
        let across = neighbours > 1 && step != 0 && (n == 1 || along == 0 || step < along);
        // So many that each has its loads on their way at once; 32 neighbours fill a line of memory.
        let ahead = if width == 1 { 8 } else { 4 };
        let most = if across { THREADS / results.next_power_of_two().min(32) } else { THREADS };
        let lanes = loads.div_ceil(ahead).next_power_of_two().min(most);
        let blocks = results.div_ceil(THREADS / lanes);
        let parts = (ENOUGH_BLOCKS / blocks).min(loads / (lanes * LOADS[0]));
        let parts = parts.max(loads.div_ceil(lanes * LOADS[1])).clamp(1, (1 << 16) - 1);
        let part = loads.div_ceil(parts).next_multiple_of(lanes * ahead);
        Plan { loads, lanes, across, parts: loads.div_ceil(part), part }
    }
}
