//! Elements by index.

use super::copy::copy;
use super::nest::{Dim, Launch, THREADS};
use super::registry::{Family, Variant};
use super::status::Status;
use super::{host, scan, sort};
use crate::array::Array;
use crate::element::{DType, Element, Number};
use crate::error::{Error, Result};
use crate::gpu::context::Gpu;
use crate::layout::{Layout, Strides};
use crate::nest::Nest;
use crate::shape::Dims;

pub(super) static INDEX: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/index.cu")),
    kernels: &[c"gather"],
    variants: &[
        Variant::of(DType::F32),
        Variant::of(DType::F64),
        Variant::of(DType::I64),
        Variant::of(DType::Bool),
    ],
};

pub(super) static SCATTER: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/scatter.cu")),
    kernels: &[c"destinations", c"add_runs", c"add_runs_by_warp", c"add_integers"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64), Variant::of(DType::I64)],
};

pub(super) static COMPACT: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/compact.cu")),
    kernels: &[c"count_true", c"write_positions"],
    variants: &[Variant::of(DType::Bool)],
};

/// Columns of a scattered source below which a warp adds up each run of its rows, and not a thread.
const FEW_COLUMNS: usize = 8;

/// The strides of what an index selects from along `dim`, before the index moves it; and how far one
/// step of the index goes.
fn indexed(layout: &Layout, dim: usize) -> (Strides, isize) {
    let mut strides = layout.strides();
    let step = std::mem::replace(&mut strides[dim], 0);
    (strides, step)
}

/// The error of the index at a position in row-major order, for dimension `dim` of `shape`.
#[cold]
fn out_of_range(
    gpu: &'static Gpu,
    op: &'static str,
    index: &Array<i64>,
    position: usize,
    shape: &[usize],
    dim: usize,
) -> Result<Error> {
    let mut rest = position;
    let mut at = Dims::from_slice(index.shape());
    for k in at.iter_mut().rev() {
        (*k, rest) = (rest % *k, rest / *k);
    }
    let one = Layout::strided(Dims::new(), &[], index.layout().place(&at));
    let (i, n) = (host::first(gpu, op, &index.view(one))?, shape[dim]);
    let message =
        format!("index {i} is out of range for dimension {dim} of shape {shape:?}: it has {n} elements");
    Ok(Error::index(op, message))
}

/// The elements of `x` at `index` along `dim`, at the index's own place in the other dimensions, in
/// which it is no larger than `x`.
pub(crate) fn gather<T: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    index: &Array<i64>,
) -> Result<Array<T>> {
    let out = Array::unwritten(gpu, op, Dims::from_slice(index.shape()))?;
    let count = out.numel();
    if count == 0 {
        return Ok(out);
    }
    let (x, index) = (x.in_memory(gpu, op)?, index.in_memory(gpu, op)?);
    let (strides, step) = indexed(x.layout(), dim);
    let along = index.layout().strides();
    let places = Nest::of((0..x.ndim()).map(|k| (index.shape()[k], [along[k], strides[k]])), [0; 2]);
    let status = Status::new(gpu, op)?;
    let words = [
        index.pointer(),
        x.pointer(),
        out.pointer(),
        status.word(),
        count as u64,
        x.shape()[dim] as u64,
        step as u64,
    ];
    let launch = Launch::new(gpu, op, &words).nest(places.dims())?;
    launch.run(&INDEX, Variant::of(T::DTYPE), c"gather", count.div_ceil(4 * THREADS))?;
    match status.first(op)? {
        None => Ok(out),
        Some(position) => Err(out_of_range(gpu, op, &index, position, x.shape(), dim)?),
    }
}

/// `x` with each element of `source` added at `index` along `dim`, at the index's own place in the
/// other dimensions, in row-major order; `source` has the shape of `index`.
pub(crate) fn scatter_add<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    mut x: Array<T>,
    dim: usize,
    index: &Array<i64>,
    source: &Array<T>,
) -> Result<Array<T>> {
    if !x.is_unshared() || !x.layout().is_contiguous() {
        x = copy(gpu, op, &x)?;
    }
    if index.numel() == 0 {
        return Ok(x);
    }
    let (index, source) = (index.in_memory(gpu, op)?, source.in_memory(gpu, op)?);
    let (strides, step) = indexed(x.layout(), dim);
    let (along, from) = (index.layout().strides(), source.layout().strides());
    // Dimensions over which the index repeats are columns: its rows alone are sorted.
    let is_column = |k: usize| along[k] == 0 && k != dim;
    let shape = index.shape();
    let row_dims = || (0..shape.len()).filter(|&k| !is_column(k));
    let rows = Nest::of(row_dims().map(|k| (shape[k], [along[k], strides[k]])), [0; 2]);
    let row = Nest::of(row_dims().map(|k| (shape[k], [from[k]])), [0]);
    let columns = (0..shape.len()).filter(|&k| is_column(k));
    let columns = Nest::of(columns.map(|k| (shape[k], [from[k], strides[k]])), [0; 2]);

    let variant = Variant::of(T::DTYPE);
    let destinations = Array::<i64>::unwritten(gpu, op, Dims::from_slice(&[rows.len()]))?;
    let status = Status::new(gpu, op)?;
    let words = [
        index.pointer(),
        destinations.pointer(),
        status.word(),
        rows.len() as u64,
        x.shape()[dim] as u64,
        step as u64,
    ];
    let launch = Launch::new(gpu, op, &words).nest(rows.dims())?;
    launch.run(&SCATTER, variant, c"destinations", rows.len().div_ceil(THREADS))?;
    // Before anything is added, so that a wrong index cannot change `x`.
    if let Some(position) = status.first(op)? {
        let mut repeated = index.layout().clone();
        for k in (0..shape.len()).filter(|&k| is_column(k)) {
            repeated = repeated.slice(k, 0, 1, 1);
        }
        return Err(out_of_range(gpu, op, &index.view(repeated), position, x.shape(), dim)?);
    }
    let order = match T::DTYPE {
        DType::I64 => None,
        _ => Some(sort::order(gpu, op, &destinations, x.numel())?),
    };
    let side_by_side = columns.len().next_power_of_two().min(THREADS);
    let (kernel, lanes) = match order {
        None => (c"add_integers", side_by_side),
        Some(_) if columns.len() < FEW_COLUMNS => (c"add_runs_by_warp", 1),
        Some(_) => (c"add_runs", side_by_side),
    };
    let words = [
        source.pointer(),
        x.pointer(),
        destinations.pointer(),
        order.as_ref().map_or(0, Array::pointer),
        rows.len() as u64,
        columns.len() as u64,
        u64::from(lanes.trailing_zeros()),
    ];
    let launch = Launch::new(gpu, op, &words).nest(row.dims())?.nest(columns.dims())?;
    let blocks = [rows.len().div_ceil(THREADS / lanes), columns.len().div_ceil(lanes)];
    launch.run_grid(&SCATTER, variant, kernel, blocks, THREADS, 0)?;
    Ok(x)
}

/// The positions, in row-major order, of what is true.
pub(crate) fn positions(gpu: &'static Gpu, op: &'static str, mask: &Array<bool>) -> Result<Array<i64>> {
    let count = mask.numel();
    if count == 0 {
        return Array::unwritten(gpu, op, Dims::from_slice(&[0]));
    }
    let mask = mask.in_memory(gpu, op)?;
    let nest = Nest::new(mask.shape(), [mask.layout()]);
    let place: &[Dim<1>] = nest.dims();
    let variant = Variant::of(DType::Bool);
    let blocks = count.div_ceil(16 * THREADS);
    let counts = Array::<i64>::unwritten(gpu, op, Dims::from_slice(&[blocks]))?;
    let launch = |counts: &Array<i64>, out: u64| {
        Launch::new(gpu, op, &[mask.pointer(), counts.pointer(), out, count as u64]).nest(place)
    };
    launch(&counts, 0)?.run(&COMPACT, variant, c"count_true", blocks)?;
    let counts = scan::cumsum(gpu, op, &counts, 0, false)?;
    let found = host::first(gpu, op, &counts.select(op, 0, blocks - 1)?)?;
    let out = Array::unwritten(gpu, op, Dims::from_slice(&[found as usize]))?;
    if found > 0 {
        launch(&counts, out.pointer())?.run(&COMPACT, variant, c"write_positions", blocks)?;
    }
    Ok(out)
}
