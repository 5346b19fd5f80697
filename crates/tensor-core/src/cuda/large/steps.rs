//! What the factorisations of large matrices share: the kernels around the routines of the libraries.

use crate::array::Array;
use crate::cuda::copy::copy;
use crate::cuda::registry::{Family, Variant};
use crate::cuda::status::Status;
use crate::element::{DType, Element, Float};
use crate::error::Result;
use crate::gpu::allocation::Allocation;
use crate::gpu::context::{Function, Gpu};
use crate::shape::Dims;
use std::ffi::CStr;

pub(crate) static SOLVER: Family = Family {
    text: include_str!("../kernels/solver.cu"),
    kernels: &[
        c"addresses", c"failed", c"make_finite", c"near_one", c"unscale", c"row_order", c"permute_rows",
        c"determinants", c"near_singular", c"minors", c"lower", c"zero_on_diagonal", c"upper",
    ],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// Up to this order, the matrices of a batch are treated together; larger ones fill the GPU one by one.
pub(super) const BATCHED: usize = 512;

/// Where the work goes: a GPU, for the operation that errors name.
#[derive(Clone, Copy)]
pub(super) struct On {
    pub(super) gpu: &'static Gpu,
    pub(super) op: &'static str,
}

impl On {
    pub(super) fn function<T: Float>(self, kernel: &'static CStr) -> Result<Function> {
        SOLVER.function(self.op, self.gpu, Variant::of(T::DTYPE), kernel)
    }

    /// A thread for each of `count` elements; their number follows the words.
    pub(super) fn elements<T: Float>(self, kernel: &'static CStr, count: usize, words: &[u64]) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let (function, blocks) = (self.function::<T>(kernel)?, count.div_ceil(256) as u32);
        self.gpu.launch(self.op, function, [blocks, 1, 1], [256, 1, 1], 0, words)
    }

    /// A block of `threads` for each of `count` matrices.
    pub(super) fn matrices<T: Float>(
        self,
        kernel: &'static CStr,
        count: usize,
        threads: u32,
        shared: usize,
        words: &[u64],
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let function = self.function::<T>(kernel)?;
        self.gpu.launch(self.op, function, [count as u32, 1, 1], [threads, 1, 1], shared as u32, words)
    }

    /// An array of the addresses of `count` matrices of `size` elements, which lie one after another.
    pub(super) fn addresses<T: Float>(self, first: u64, size: usize, count: usize) -> Result<Allocation> {
        let addresses = self.gpu.allocate(self.op, 8 * count)?;
        let words = [addresses.pointer(), first, (size * size_of::<T>()) as u64, count as u64];
        self.elements::<T>(c"addresses", count, &words)?;
        Ok(addresses)
    }

    /// What the routines tell of each matrix.
    pub(super) fn info(self, count: usize) -> Result<Allocation> {
        self.gpu.allocate(self.op, 4 * count)
    }

    /// Reports the first matrix that a routine failed for.
    pub(super) fn failed<T: Float>(self, info: &Allocation, count: usize, status: &Status) -> Result<()> {
        self.elements::<T>(c"failed", count, &[info.pointer(), status.word(), count as u64])
    }

    /// Reports the first matrix with NaN or infinity, and makes these zero: of matrices of `size` elements, or, where
    /// the rows have `lower` elements, of their lower triangles.
    pub(super) fn finite<T: Float>(
        self,
        x: &Array<T>,
        size: usize,
        lower: Option<usize>,
        status: &Status,
    ) -> Result<()> {
        let columns = lower.unwrap_or(1) as u64;
        let words =
            [x.pointer(), status.word(), x.numel() as u64, size as u64, columns, lower.is_some().into()];
        self.elements::<T>(c"make_finite", x.numel(), &words)
    }
}

/// The powers of two that have brought stretches of elements near one.
pub(super) struct Scales<T: Element> {
    pub(super) powers: Array<T>,
    on: On,
}

impl<T: Float> Scales<T> {
    /// Of `count` stretches of `size` elements of `x`, which are multiplied. Of matrices with rows of `lower` elements
    /// the lower triangle tells the largest.
    pub(super) fn near_one(
        on: On,
        x: &Array<T>,
        count: usize,
        size: usize,
        lower: Option<usize>,
    ) -> Result<Self> {
        let powers = Array::<T>::unwritten(on.gpu, on.op, Dims::from_slice(&[count]))?;
        let words = [x.pointer(), powers.pointer(), size as u64, lower.unwrap_or(0) as u64];
        on.matrices::<T>(c"near_one", count, 256, 0, &words)?;
        Ok(Scales { powers, on })
    }

    /// Divides the elements of matrices of `size` elements by the powers, `each` of them a matrix in turn.
    pub(super) fn undo(&self, x: &Array<T>, size: usize, each: usize) -> Result<()> {
        let words = [x.pointer(), self.powers.pointer(), x.numel() as u64, size as u64, each as u64];
        self.on.elements::<T>(c"unscale", x.numel(), &words)
    }
}

/// The matrices with rows and columns exchanged, where they lie.
pub(super) fn transposed<T: Float>(a: &Array<T>) -> Array<T> {
    let mut dims: Dims = (0..a.ndim()).collect();
    let last = a.ndim() - 1;
    dims.swap(last - 1, last);
    a.view(a.layout().permute(&dims))
}

/// The matrices in memory of their own, column by column: an array of their transposes.
pub(super) fn by_columns<T: Float>(on: On, a: &Array<T>) -> Result<Array<T>> {
    copy(on.gpu, on.op, &transposed(a))
}

/// The elements in row-major order, where they lie if they lie so.
pub(super) fn contiguous<T: Float>(on: On, a: &Array<T>) -> Result<Array<T>> {
    if a.layout().is_contiguous() { a.in_memory(on.gpu, on.op) } else { copy(on.gpu, on.op, a) }
}

/// The shape of a batch with other last dimensions.
pub(super) fn shape(batch: &[usize], last: &[usize]) -> Dims {
    batch.iter().chain(last).copied().collect()
}

/// The batch of matrices, and the rows and columns of each.
pub(super) fn sizes<T: Float>(a: &Array<T>) -> (&[usize], usize, usize) {
    let (batch, last) = a.shape().split_at(a.ndim() - 2);
    (batch, last[0], last[1])
}
