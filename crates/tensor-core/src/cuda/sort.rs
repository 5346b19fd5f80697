//! Order.

use super::index::gather;
use super::nest::{Launch, THREADS, lines};
use super::registry::{Family, Variant};
use super::scan;
use crate::array::Array;
use crate::element::{DType, Number};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::nest::Nest;
use crate::shape::Dims;
use std::ops::Range;

pub(super) static SORT: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/sort.cu")),
    kernels: &[c"sort_lines", c"write_keys", c"count_digits", c"move_digits", c"searchsorted"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64), Variant::of(DType::I64)],
};

/// The longest line that is sorted in shared memory, where a key and an index of 8 and 4 bytes fill 48 KiB.
const LARGEST_LINE: usize = 4096;
/// Elements that a block sorts there at least, in as many lines as that takes.
const SORTED_TOGETHER: usize = 1024;
const SORT_THREADS: usize = 512;
/// Elements that a block moves in a pass of the radix sort, and the bits of its digits.
const RADIX_TILE: usize = 2048;
const DIGIT: usize = 8;

/// The order that sorts the elements along `dim`: equal ones keep theirs, and NaN counts as larger than
/// everything.
pub(crate) fn argsort<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
) -> Result<Array<i64>> {
    sorting(gpu, op, x, dim, descending, 8 * size_of::<T>())
}

/// The elements in order along `dim`, and their places: those whose number in the order is in `part`.
pub(crate) fn sort<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
    part: Range<usize>,
) -> Result<(Array<T>, Array<i64>)> {
    let order = argsort(gpu, op, x, dim, descending)?.slice(op, dim, part.start, 1, part.len())?;
    let values = gather(gpu, op, x, dim, &order)?;
    Ok((values, order))
}

/// The order that sorts a vector of integers from 0 to below `end`; equal ones keep theirs.
pub(crate) fn order(gpu: &'static Gpu, op: &'static str, x: &Array<i64>, end: usize) -> Result<Array<i64>> {
    sorting(gpu, op, x, 0, false, (usize::BITS - end.leading_zeros()) as usize)
}

/// The order by the lowest `bits`, in which alone the elements differ.
fn sorting<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
    bits: usize,
) -> Result<Array<i64>> {
    let out = Array::unwritten(gpu, op, Dims::from_slice(x.shape()))?;
    if out.numel() == 0 {
        return Ok(out);
    }
    let x = x.in_memory(gpu, op)?;
    let n = x.shape()[dim];
    match n <= LARGEST_LINE {
        true => sort_lines(gpu, op, &x, dim, descending, &out)?,
        false => sort_by_radix(gpu, op, &x, dim, descending, bits, &out)?,
    }
    Ok(out)
}

fn sort_lines<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
    out: &Array<i64>,
) -> Result<()> {
    let n = x.shape()[dim];
    let lines = lines(x.layout(), out.layout(), dim);
    let line = n.next_power_of_two();
    let block = line.max(SORTED_TOGETHER);
    let words = [
        x.pointer(),
        out.pointer(),
        x.layout().strides()[dim] as u64,
        out.layout().strides()[dim] as u64,
        n as u64,
        lines.len() as u64,
        u64::from(descending),
        u64::from(line.trailing_zeros()),
        u64::from(block.trailing_zeros()),
    ];
    let shared = block * (size_of::<T>() + 4);
    let blocks = [lines.len().div_ceil(block / line), 1];
    let launch = Launch::new(gpu, op, &words).nest(lines.dims())?;
    launch.run_grid(&SORT, Variant::of(T::DTYPE), c"sort_lines", blocks, SORT_THREADS, shared)
}

/// Stable passes from the lowest digit to the highest: count, sum up, move.
fn sort_by_radix<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
    bits: usize,
    out: &Array<i64>,
) -> Result<()> {
    let variant = Variant::of(T::DTYPE);
    let (n, count) = (x.shape()[dim], x.numel());
    let lines = lines(x.layout(), out.layout(), dim);
    let tiles = n.div_ceil(RADIX_TILE);
    let blocks = lines.len() * tiles;
    // Of each there are two, from one to the other in turn.
    let keys = [gpu.allocate(op, count * size_of::<T>())?, gpu.allocate(op, count * size_of::<T>())?];
    let places = [gpu.allocate(op, count * 8)?, gpu.allocate(op, count * 8)?];
    let counts = Array::<i64>::unwritten(gpu, op, Dims::from_slice(&[lines.len(), (1 << DIGIT) * tiles]))?;

    let mut order: Dims = (0..x.ndim()).filter(|&k| k != dim).collect();
    order.push(dim);
    let by_line = x.layout().permute(&order);
    let place = Nest::new(by_line.shape(), [&by_line]);
    let words = [x.pointer(), keys[0].pointer(), count as u64, u64::from(descending)];
    let launch = Launch::new(gpu, op, &words).nest(place.dims())?;
    launch.run(&SORT, variant, c"write_keys", count.div_ceil(THREADS))?;

    let rows = [(lines.len(), [n as isize])];
    let final_rows: Vec<_> = lines.dims().iter().map(|&(d, [_, s])| (d, [s])).collect();
    let passes = bits.div_ceil(DIGIT);
    for pass in 0..passes {
        let (from, to) = (pass % 2, (pass + 1) % 2);
        let last = pass + 1 == passes;
        let launch = |counts: &Array<i64>| {
            let words = [
                keys[from].pointer(),
                if pass == 0 { 0 } else { places[from].pointer() },
                if last { 0 } else { keys[to].pointer() },
                if last { out.pointer() } else { places[to].pointer() },
                counts.pointer(),
                n as u64,
                tiles as u64,
                (pass * DIGIT) as u64,
                if last { out.layout().strides()[dim] as u64 } else { 1 },
            ];
            Launch::new(gpu, op, &words).nest(if last { &final_rows } else { &rows })
        };
        launch(&counts)?.run(&SORT, variant, c"count_digits", blocks)?;
        let sums = scan::cumsum(gpu, op, &counts, 1, false)?;
        launch(&sums)?.run(&SORT, variant, c"move_digits", blocks)?;
    }
    Ok(())
}

/// Where each of `values` would go into `sorted`, a vector in order: before what is equal, or after it where
/// `right`. NaN goes to the end.
pub(crate) fn searchsorted<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    sorted: &Array<T>,
    values: &Array<T>,
    right: bool,
) -> Result<Array<i64>> {
    let out = Array::unwritten(gpu, op, Dims::from_slice(values.shape()))?;
    let count = out.numel();
    if count == 0 {
        return Ok(out);
    }
    let (sorted, values) = (sorted.in_memory(gpu, op)?, values.in_memory(gpu, op)?);
    let place = Nest::new(values.shape(), [values.layout()]);
    let words = [
        sorted.pointer(),
        values.pointer(),
        out.pointer(),
        sorted.layout().strides()[0] as u64,
        sorted.numel() as u64,
        count as u64,
        u64::from(right),
    ];
    let launch = Launch::new(gpu, op, &words).nest(place.dims())?;
    launch.run(&SORT, Variant::of(T::DTYPE), c"searchsorted", count.div_ceil(THREADS))?;
    Ok(out)
}
