//! Elements in memory of their own.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
#[cfg(feature = "cuda")]
use crate::cuda::operand::{Placed, shared_gpu};
use crate::device::Device;
use crate::element::{Element, Number};
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
    check_places(op, shape, layout, x.shape())?;
    embed_checked(op, shape, layout, x)
}

/// Whether a layout is of places of elements of `shape`, in row-major order, for a part of this shape.
fn check_places(op: &'static str, shape: &[usize], layout: &Layout, part: &[usize]) -> Result<()> {
    let n = shape::numel(op, shape)?;
    let inside = Layout::stays_within(layout.shape(), &layout.strides(), layout.offset(), n);
    if layout.shape() == part && (part.contains(&0) || inside) {
        return Ok(());
    }
    let message = format!(
        "{part:?} at the places {:?} from {} of {:?} leaves shape {shape:?}",
        layout.strides(),
        layout.offset(),
        layout.shape()
    );
    Err(Error::shape(op, message))
}

compiled_once! {
    /// Adds `part` to the elements of `x` at the places of `layout`, which counts them in row-major order, where nothing
    /// else shares their memory and they lie in that order on the CPU: whether it did.
    ///
    /// # Errors
    /// As [`embed`].
    pub fn add_at<T: Number>(op: &'static str, x: &mut Array<T>, layout: &Layout, part: &Array<T>) -> Result<bool> {
        check_places(op, x.shape(), layout, part.shape())?;
        match x.as_mut_slice() {
            Some(out) if part.device() == Device::Cpu => {
                cpu::copy::add(out, layout, part);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
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
