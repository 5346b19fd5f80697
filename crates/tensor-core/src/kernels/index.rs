//! Elements by index, in order, and up to each of a dimension.

use super::map::map_owned;
use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::{Element, Float, Number};
use crate::error::Result;
use crate::formula;
use crate::heap::work;
use crate::once::compiled_once;
use crate::shape::Dims;
use std::ops::Range;

kernels! {
    /// The elements of `x` at `index` along `dim`, at the index's own place in the other dimensions, in
    /// which it is no larger than `x`; the caller has checked that. Negative indices count from the end.
    ///
    /// # Errors
    /// Index, where one is out of range.
    pub fn gather<T: Element>(op, x: &Array<T>, dim: usize, index: &Array<i64>) -> Result<Array<T>> {
        on x, index;
        cpu::index::gather;
        cuda::index::gather
    }

    /// `x` with each element of `source` added at `index` along `dim`, at the index's own place in the
    /// other dimensions; `source` has the shape of `index`, which is no larger there than `x`; the caller
    /// has checked that. What is added to one place is added in row-major order.
    ///
    /// # Errors
    /// Index, where one is out of range.
    pub fn scatter_add<T: Number>(op, x: Array<T>, dim: usize, index: &Array<i64>, source: &Array<T>) -> Result<Array<T>> {
        on &x, index, source;
        cpu::index::scatter_add;
        cuda::index::scatter_add
    }

    /// The running sums along `dim`, from the end where `reverse`.
    pub fn cumsum<T: Number>(op, x: &Array<T>, dim: usize, reverse: bool) -> Result<Array<T>> {
        on x;
        cpu::scan::cumsum;
        cuda::scan::cumsum
    }

    /// The index of the extreme element so far along `dim`, of the last where several are equal: of the
    /// largest, or of the smallest where `smallest`; NaN counts as more extreme than anything.
    pub fn cum_arg_extreme<T: Number>(op, x: &Array<T>, dim: usize, smallest: bool) -> Result<Array<i64>> {
        on x;
        cpu::scan::cum_arg_extreme;
        cuda::scan::cum_arg_extreme
    }

    /// Where each of `values` would go into `sorted`, a vector in order: before what is equal, or after it
    /// where `right`; NaN goes to the end.
    pub fn searchsorted<T: Number>(op, sorted: &Array<T>, values: &Array<T>, right: bool) -> Result<Array<i64>> {
        on sorted, values;
        cpu::index::searchsorted;
        cuda::sort::searchsorted
    }

    /// The indices that sort the elements along `dim`: equal ones keep their order, and NaN counts as
    /// larger than everything.
    pub fn argsort<T: Number>(op, x: &Array<T>, dim: usize, descending: bool) -> Result<Array<i64>> {
        on x;
        cpu::sort::argsort;
        cuda::sort::argsort
    }

    /// The elements in order along `dim`, and their indices: those whose number in the order is in `part`, which
    /// ends within the dimension; the caller has checked that. Equal ones keep their order, and NaN counts as larger
    /// than everything.
    pub fn sort<T: Number>(op, x: &Array<T>, dim: usize, descending: bool, part: Range<usize>) -> Result<(Array<T>, Array<i64>)> {
        on x;
        cpu::sort::sort;
        cuda::sort::sort
    }
}

kernels! {
    /// The positions of the true elements, in row-major order.
    pub fn positions(op, mask: &Array<bool>) -> Result<Array<i64>> {
        on mask;
        cpu::index::positions;
        cuda::index::positions
    }
}

compiled_once! {
    /// y_i = b_i + a_i y_(i-1) along `dim`, for operands of one shape, of which a_0 is not read; None on a GPU.
    pub fn recurrence<T: Float>(
        op: &'static str,
        a: &Array<T>,
        b: &Array<T>,
        dim: usize,
    ) -> Result<Option<Array<T>>> {
        if a.device() != Device::Cpu || b.device() != Device::Cpu {
            return Ok(None);
        }
        work::kernel(op, || cpu::scan::recurrence(op, a, b, dim)).map(Some)
    }
}

/// 0, 1, .., n - 1, on a device.
pub fn arange(op: &'static str, device: Device, n: usize) -> Result<Array<i64>> {
    if device == Device::Cpu {
        return Array::build(op, Dims::from_slice(&[n]), |out| {
            out.iter_mut().zip(0..).for_each(|(out, i)| *out = i);
        });
    }
    let counted = cumsum(op, &Array::repeat_on(device, &[n], 1i64)?, 0, false)?;
    map_owned(op, counted, &formula!(|i: i64| i.minus(1i64)))
}
