//! Running sums and extremes.

use super::nest::{Launch, THREADS, lines};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::element::{DType, Element, Number};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::shape::Dims;

pub(super) static SCAN: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/scan.cu")),
    kernels: &[c"scan_rows", c"scan_columns", c"scan_totals"],
    variants: &[
        Variant::with(DType::F32, "Sum"),
        Variant::with(DType::F64, "Sum"),
        Variant::with(DType::I64, "Sum"),
        Variant::with(DType::F32, "LastLargest"),
        Variant::with(DType::F64, "LastLargest"),
        Variant::with(DType::I64, "LastLargest"),
        Variant::with(DType::F32, "LastSmallest"),
        Variant::with(DType::F64, "LastSmallest"),
        Variant::with(DType::I64, "LastSmallest"),
    ],
};

/// The running sums along `dim`, from the end where `reverse`.
pub(crate) fn cumsum<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    reverse: bool,
) -> Result<Array<T>> {
    scan(gpu, op, x, dim, reverse, Variant::with(T::DTYPE, "Sum"), size_of::<T>())
}

/// The index of the extreme element so far along `dim`, of the last where several are equal.
pub(crate) fn cum_arg_extreme<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    let name = if smallest { "LastSmallest" } else { "LastLargest" };
    // A value, and an index of 8 bytes.
    scan(gpu, op, x, dim, false, Variant::with(T::DTYPE, name), 16)
}

/// Elements that a block scans at a time; and the parts whose totals it scans.
const TILE: usize = 1024;
/// Threads that keep any GPU busy; the elements that are worth a thread by itself.
const ENOUGH_THREADS: usize = 1 << 18;
const WORTHWHILE: usize = 32;

fn scan<T: Number, U: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    reverse: bool,
    variant: Variant,
    part_bytes: usize,
) -> Result<Array<U>> {
    let out = Array::unwritten(gpu, op, Dims::from_slice(x.shape()))?;
    if out.numel() == 0 {
        return Ok(out);
    }
    let x = x.in_memory(gpu, op)?;
    let n = x.shape()[dim];
    let lines = lines(x.layout(), out.layout(), dim);
    let (x_step, y_step) = (x.layout().strides()[dim], out.layout().strides()[dim]);
    // By columns where neighbouring lines lie side by side; so are lines of a few elements.
    let by_columns = y_step >= 32 || n <= 8;
    let (kernel, lanes) = match by_columns {
        true => (c"scan_columns", 1),
        false => (c"scan_rows", n.div_ceil(4).next_power_of_two().clamp(4, THREADS)),
    };
    let blocks = lines.len().div_ceil(THREADS / lanes);
    let least = if by_columns { WORTHWHILE } else { 4 * TILE };
    let parts = (ENOUGH_THREADS / (lanes * lines.len())).min(n / least).clamp(1, TILE);
    let part = n.div_ceil(parts).next_multiple_of(if by_columns { 1 } else { 4 * lanes });
    let parts = n.div_ceil(part);
    let totals = match parts {
        1 => None,
        parts => Some(gpu.allocate(op, lines.len() * parts * part_bytes)?),
    };
    let totals = totals.as_ref().map_or(0, |t| t.pointer());
    // In reverse: from the last element on, by steps back.
    let last = if reverse { n as isize - 1 } else { 0 };
    let steps = if reverse { [-x_step, -y_step] } else { [x_step, y_step] };
    let run = |totals_only: bool| -> Result<()> {
        let words = [
            x.pointer().wrapping_add_signed((last * x_step * size_of::<T>() as isize) as i64),
            out.pointer().wrapping_add_signed((last * y_step * size_of::<U>() as isize) as i64),
            totals,
            steps[0] as u64,
            steps[1] as u64,
            n as u64,
            lines.len() as u64,
            part as u64,
            u64::from(totals_only),
            u64::from(lanes.trailing_zeros()),
        ];
        let launch = Launch::new(gpu, op, &words).nest(lines.dims())?;
        launch.run_grid(&SCAN, variant, kernel, [blocks, parts], THREADS, 0)
    };
    if parts > 1 {
        run(true)?;
        Launch::new(gpu, op, &[totals, parts as u64]).run(&SCAN, variant, c"scan_totals", lines.len())?;
    }
    run(false)?;
    Ok(out)
}
