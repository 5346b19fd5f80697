//! Matrices in the memory of a GPU, as kernels take them.

use super::copy::copy;
use super::operand::divisor;
use crate::array::Array;
use crate::element::{Element, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::nest::Nest;
use crate::shape::Dims;

/// The last two dimensions of an array as matrices in memory, read where they lie.
pub(super) struct Matrices<T: Element> {
    pub(super) array: Array<T>,
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// The kernels' struct of the same name.
    pub(super) words: [u64; 13],
}

impl<T: Float> Matrices<T> {
    /// # Errors
    /// Out of memory: a batch that does not lie regularly is copied.
    pub(super) fn of(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Self> {
        let mut array = a.in_memory(gpu, op)?;
        let lead = a.ndim() - 2;
        let count: usize = a.shape()[..lead].iter().product();
        let nest = |a: &Array<T>| {
            let strides = a.layout().strides();
            Nest::of((0..lead).map(|d| (a.shape()[d], [strides[d]])), [0])
        };
        let mut dims = nest(&array);
        if dims.dims().len() > 3 || (dims.dims().len() > 1 && count >= 1 << 31) {
            array = copy(gpu, op, &array)?;
            dims = nest(&array);
        }
        let mut words = [0; 13];
        let strides = array.layout().strides();
        words[..3].copy_from_slice(&[array.pointer(), strides[lead] as u64, strides[lead + 1] as u64]);
        words[3] = dims.dims().len() as u64;
        for (d, &(size, [stride])) in dims.dims().iter().rev().enumerate() {
            // A single dimension, of any size, is not divided, and nor is a batch of none.
            if dims.dims().len() > 1 && count > 0 {
                words[4 + 2 * d..6 + 2 * d].copy_from_slice(&divisor(size));
            }
            words[10 + d] = stride as u64;
        }
        Ok(Matrices { count, rows: array.shape()[lead], columns: array.shape()[lead + 1], array, words })
    }

    /// Each matrix transposed.
    pub(super) fn transposed(mut self) -> Self {
        self.words.swap(1, 2);
        std::mem::swap(&mut self.rows, &mut self.columns);
        self
    }

    /// The shape of the batch, and of what there is for each of its matrices.
    pub(super) fn shape(&self, tail: &[usize]) -> Dims {
        let lead = self.array.ndim() - 2;
        self.array.shape()[..lead].iter().chain(tail).copied().collect()
    }
}

/// The words of a `Divisor` that counts columns, of which there may be none.
pub(super) fn columns_divisor(columns: usize) -> [u64; 2] {
    if columns == 0 { [0; 2] } else { divisor(columns) }
}
