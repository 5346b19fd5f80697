//! Elements in memory of their own.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
#[cfg(feature = "cuda")]
use crate::cuda::operand::{Placed, shared_gpu};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::once::compiled_once;
use crate::shape::{self, Dims};

kernels! {
    /// The elements in row-major order, in memory of their own.
    pub fn copy<T: Element>(op, x: &Array<T>) -> Result<Array<T>> {
        on x;
        cpu::copy::copy;
        cuda::copy::copy
    }

    /// See [`embed`].
    fn embed_checked<T: Element>(op, shape: &[usize], layout: &Layout, x: &Array<T>) -> Result<Array<T>> {
        on x;
        cpu::copy::embed;
        cuda::copy::embed
    }
}

/// Zeros of `shape` with `x` written through `layout`.
///
/// # Errors
/// Shape, where the layout does not have the shape of `x` or leaves `shape`; out of memory.
pub fn embed<T: Element>(
    op: &'static str,
    shape: &[usize],
    layout: &Layout,
    x: &Array<T>,
) -> Result<Array<T>> {
    let n = shape::numel(op, shape)?;
    let inside = Layout::stays_within(layout.shape(), &layout.strides(), layout.offset(), n);
    if layout.shape() != x.shape() || (x.numel() > 0 && !inside) {
        let message = format!(
            "{:?} at the places {:?} from {} of {:?} leaves shape {shape:?}",
            x.shape(),
            layout.strides(),
            layout.offset(),
            layout.shape()
        );
        return Err(Error::shape(op, message));
    }
    embed_checked(op, shape, layout, x)
}

compiled_once! {
    /// The arrays one after another along `dim`; the caller has checked that the rest of the shapes
    /// agree.
    pub fn cat<T: Element>(op: &'static str, arrays: &[&Array<T>], dim: usize) -> Result<Array<T>> {
        let size = arrays.iter().try_fold(0usize, |sum, a| sum.checked_add(a.shape()[dim]));
        let mut shape = Dims::from_slice(arrays[0].shape());
        shape[dim] = size.ok_or_else(|| Error::out_of_memory(op, usize::MAX))?;
        // Not more than can be counted, wherever it is put together.
        shape::numel(op, &shape)?;
        let on_cpu = || {
            let whole = Layout::row_major(shape.clone());
            let mut out = Array::build(op, shape, |_| {})?;
            let data = out.fresh_mut();
            if arrays.iter().all(|a| a.layout().is_contiguous()) {
                cpu::copy::cat(data, arrays, dim);
                return Ok(out);
            }
            let mut start = 0;
            for a in arrays {
                let n = a.shape()[dim];
                cpu::copy::assign(data, &whole.slice(dim, start, 1, n), a);
                start += n;
            }
            Ok(out)
        };
        #[cfg(feature = "cuda")]
        if arrays.iter().any(|a| a.is_on_gpu()) {
            let places: Vec<_> = arrays.iter().map(|&a| Placed::place(a)).collect();
            return cuda::copy::cat(shared_gpu(op, &places)?, op, arrays, dim);
        }
        on_cpu()
    }
}
