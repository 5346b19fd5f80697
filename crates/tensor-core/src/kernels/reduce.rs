//! Reductions over dimensions.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::Number;
use crate::error::{Error, Result};

kernels! {
    /// The sums over the dimensions marked in `mask`, which keep size 1 where `keepdim`.
    pub fn sum<T: Number>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        cpu::reduce::sum;
        cuda::reduce::sum
    }

    /// The largest elements, or NaN where there is one, over the dimensions marked in `mask`, which keep size 1 where `keepdim`.
    pub fn max<T: Number>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        cpu::reduce::max;
        cuda::reduce::max
    }

    /// The smallest elements, or NaN where there is one, over the dimensions marked in `mask`, which keep size 1 where `keepdim`.
    pub fn min<T: Number>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        cpu::reduce::min;
        cuda::reduce::min
    }

    /// The index of the first largest element along `dim`, of the smallest where `smallest`; NaN counts
    /// as more extreme than anything.
    ///
    /// # Errors
    /// Shape, where the dimension is empty.
    pub fn arg_extreme<T: Number>(op, x: &Array<T>, dim: usize, smallest: bool) -> Result<Array<i64>> {
        check not_empty(op, x.shape(), dim);
        on x;
        cpu::index::arg_extreme;
        cuda::reduce::arg_extreme
    }
}

/// An error where a dimension has no elements.
fn not_empty(op: &'static str, shape: &[usize], dim: usize) -> Result<()> {
    if shape[dim] > 0 {
        return Ok(());
    }
    Err(Error::shape(op, format!("dimension {dim} of shape {shape:?} is empty: it has no extreme element")))
}

kernels! {
    /// Truth values along the dimensions marked in `mask`, which keep size 1 where `keepdim`: whether all of them hold.
    ///
    /// # Errors
    /// Out of memory.
    pub fn all(op, x: &Array<bool>, mask: &[bool], keepdim: bool) -> Result<Array<bool>> {
        on x;
        cpu::reduce::all;
        cuda::reduce::all
    }
}

kernels! {
    /// As [`all`]: whether any of them holds.
    ///
    /// # Errors
    /// Out of memory.
    pub fn any(op, x: &Array<bool>, mask: &[bool], keepdim: bool) -> Result<Array<bool>> {
        on x;
        cpu::reduce::any;
        cuda::reduce::any
    }
}
