//! Copies of any layout.

use super::map::{fresh, into};
use super::nest::{Dim, Launch};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::code::Code;
use crate::device::Device;
use crate::element::{DType, Element};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::Dims;

pub(super) static TRANSPOSE: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/transpose.cu")),
    kernels: &[c"transpose"],
    variants: &[
        Variant::of(DType::F32),
        Variant::of(DType::F64),
        Variant::of(DType::I64),
        Variant::of(DType::Bool),
    ],
};

/// Rows and columns of the squares that a transposing copy moves; and those it takes at least, as most
/// of a square would be empty with less.
const TILE: usize = 32;
const WORTHWHILE: usize = 8;

/// The elements in row-major order, in memory of their own.
pub(crate) fn copy<T: Element>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    let same = |x: &[Code]| Some(x[0]);
    if x.layout().is_contiguous() && x.memory().is_some() {
        let out = Array::unwritten(gpu, op, Dims::from_slice(x.shape()))?;
        gpu.copy(op, out.pointer(), x.pointer(), x.numel() * size_of::<T>())?;
        return Ok(out);
    }
    if x.memory().is_some()
        && let Some(out) = transpose(gpu, op, x)?
    {
        return Ok(out);
    }
    fresh(gpu, op, Dims::from_slice(x.shape()), [x.operand()], &same)
}

/// The elements in row-major order, where they lie next to each other along another dimension than the last.
fn transpose<T: Element>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<Option<Array<T>>> {
    let whole = Layout::row_major(Dims::from_slice(x.shape()));
    let nest = Nest::new(x.shape(), [x.layout(), &whole]);
    let Some((&(columns, [x_column, 1]), outer)) = nest.dims().split_last() else { return Ok(None) };
    let Some(k) = outer.iter().position(|&(rows, [step, _])| step == 1 && rows >= WORTHWHILE) else {
        return Ok(None);
    };
    if columns < WORTHWHILE || x_column.unsigned_abs() <= 1 {
        return Ok(None);
    }
    let (rows, [_, y_row]) = outer[k];
    let others = outer.iter().enumerate().filter(|&(other, _)| other != k).map(|(_, &dim)| dim);
    let planes: Nest<2> = Nest::of(others, [0; 2]);
    let planes: &[Dim<2>] = planes.dims();
    let tiles = [rows.div_ceil(TILE), columns.div_ceil(TILE)];
    let out = Array::unwritten(gpu, op, Dims::from_slice(x.shape()))?;
    let words = [
        x.pointer(),
        out.pointer(),
        rows as u64,
        columns as u64,
        x_column as u64,
        y_row as u64,
        tiles[0] as u64,
        tiles[1] as u64,
    ];
    let blocks = planes.iter().map(|d| d.0).product::<usize>() * tiles[0] * tiles[1];
    let launch = Launch::new(gpu, op, &words).nest(planes)?;
    launch.run(&TRANSPOSE, Variant::of(T::DTYPE), c"transpose", blocks)?;
    Ok(Some(out))
}

/// Zeros in memory of their own.
pub(crate) fn zeros<T: Element>(gpu: &'static Gpu, op: &'static str, shape: &[usize]) -> Result<Array<T>> {
    copy(gpu, op, &Array::repeat_on(Device::Cuda(gpu.ordinal()), shape, T::default())?)
}

impl<T: Element> Array<T> {
    /// The array with its elements in the memory of the GPU: a value that only the host knows, of an array on the
    /// GPU or of a number on the CPU, is written there first.
    ///
    /// # Errors
    /// Out of memory.
    pub(crate) fn in_memory(&self, gpu: &'static Gpu, op: &'static str) -> Result<Self> {
        match self.memory() {
            Some(_) => Ok(self.clone()),
            None => copy(gpu, op, self),
        }
    }
}

/// Writes `x` into the places of `layout` in the memory of `out`; both have one shape.
pub(crate) fn assign<T: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    out: &Array<T>,
    layout: &Layout,
    x: &Array<T>,
) -> Result<()> {
    let whole = out.view(layout.moved_to(out.layout().offset() + layout.offset()));
    into(gpu, op, whole.operand(), [x.operand()], &|x| Some(x[0]))
}

/// `x` at the places of `layout` within zeros of `shape`.
pub(crate) fn embed<T: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    shape: &[usize],
    layout: &Layout,
    x: &Array<T>,
) -> Result<Array<T>> {
    let out = zeros(gpu, op, shape)?;
    assign(gpu, op, &out, layout, x)?;
    Ok(out)
}

/// The arrays one after another along `dim`.
pub(crate) fn cat<T: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    arrays: &[&Array<T>],
    dim: usize,
) -> Result<Array<T>> {
    let mut shape = Dims::from_slice(arrays[0].shape());
    shape[dim] = arrays.iter().map(|a| a.shape()[dim]).sum();
    let whole = Layout::row_major(shape.clone());
    let out = Array::unwritten(gpu, op, shape)?;
    let mut start = 0;
    for a in arrays {
        let n = a.shape()[dim];
        assign(gpu, op, &out, &whole.slice(dim, start, 1, n), a)?;
        start += n;
    }
    Ok(out)
}
