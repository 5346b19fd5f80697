//! Factorisations of batches: matrices of at most 32 rows and columns by kernels of their own, in one launch for all
//! of a batch; larger ones by [`solver`](super::solver).

mod finite;
mod gaps;
mod lu;
mod orthogonal;
mod triangular;

pub(crate) use finite::finite;
pub(crate) use gaps::over_gaps;
pub(crate) use lu::{cofactors, inverse, lu, lu_det, lu_factors, lu_nearly_singular, lu_slogdet, lu_solve};
pub(super) use orthogonal::unsolved;
pub(crate) use orthogonal::{eigh, qr, svd};
pub(crate) use triangular::{cholesky, cholesky_ex, solve_triangular};

use super::operand::divisor;
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::cpu::nest::Nest;
use crate::element::{DType, Element, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::shape::Dims;
use std::ffi::CStr;

pub(super) use finite::FINITE;
pub(super) use gaps::GAPS;
pub(super) use lu::{DETERMINANT, SOLVE};
pub(super) use orthogonal::{JACOBI, QR};
pub(super) use triangular::TRIANGULAR;

/// The largest order that the kernels of small matrices take.
const LARGEST: usize = 32;

/// The lanes that a matrix may have.
const LANES: [&str; 5] = ["2", "4", "8", "16", "32"];

const VARIANTS: &[Variant] = &{
    let mut variants = [Variant::of(DType::F32); 2 * LANES.len()];
    let mut k = 0;
    while k < LANES.len() {
        variants[2 * k] = Variant::with(DType::F32, LANES[k]);
        variants[2 * k + 1] = Variant::with(DType::F64, LANES[k]);
        k += 1;
    }
    variants
};

/// The text of a file of kernels of small matrices, after those that it builds on.
macro_rules! small {
    ($($file:literal),+) => {
        concat!(
            include_str!("../kernels/matrices.cu"),
            include_str!("../kernels/small.cu"),
            $(include_str!(concat!("../kernels/", $file))),+
        )
    };
}
use small;

/// A small kernel, and the matrices it is launched for.
struct Small {
    family: &'static Family,
    kernel: &'static CStr,
    /// The larger dimension of the matrices.
    largest: usize,
    count: usize,
}

impl Small {
    /// As on the other side in small.cu.
    const THREADS: usize = 128;

    fn launch<T: Float>(self, gpu: &'static Gpu, op: &'static str, words: &[&[u64]]) -> Result<()> {
        let lanes = self.largest.max(2).next_power_of_two();
        let variant = Variant::with(T::DTYPE, LANES[lanes.trailing_zeros() as usize - 1]);
        let function = self.family.function(op, gpu, variant, self.kernel)?;
        let blocks = self.count.div_ceil(Self::THREADS / lanes);
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        gpu.launch(op, function, [blocks, 1, 1], [Self::THREADS as u32, 1, 1], 0, &words.concat())
    }
}

/// The last two dimensions of an array as matrices in memory, read where they lie.
struct Matrices<T: Element> {
    array: Array<T>,
    count: usize,
    rows: usize,
    columns: usize,
    /// The kernels' struct of the same name.
    words: [u64; 13],
}

impl<T: Float> Matrices<T> {
    /// # Errors
    /// Out of memory: a batch that does not lie regularly is copied.
    fn of(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Self> {
        let mut array = a.in_memory(gpu, op)?;
        let lead = a.ndim() - 2;
        let count: usize = a.shape()[..lead].iter().product();
        let nest = |a: &Array<T>| {
            let strides = a.layout().strides();
            Nest::of((0..lead).map(|d| (a.shape()[d], [strides[d]])), [0])
        };
        let mut dims = nest(&array);
        if dims.dims().len() > 3 || (dims.dims().len() > 1 && count >= 1 << 31) {
            array = crate::kernels::copy(op, &array)?;
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
    fn transposed(mut self) -> Self {
        self.words.swap(1, 2);
        std::mem::swap(&mut self.rows, &mut self.columns);
        self
    }

    /// The shape of the batch, and of what there is for each of its matrices.
    fn shape(&self, tail: &[usize]) -> Dims {
        let lead = self.array.ndim() - 2;
        self.array.shape()[..lead].iter().chain(tail).copied().collect()
    }
}

/// The words of a `Divisor` that counts columns, of which there may be none.
fn columns_divisor(columns: usize) -> [u64; 2] {
    if columns == 0 { [0; 2] } else { divisor(columns) }
}
