//! Kernels of this crate's own for matrices of at most 32 rows and columns.

use crate::cuda::registry::{Family, Variant};
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use std::ffi::CStr;

/// The largest order that the kernels of small matrices take.
pub(super) const LARGEST: usize = 32;

/// The lanes that a matrix may have.
const LANES: [&str; 5] = ["2", "4", "8", "16", "32"];

pub(super) const VARIANTS: &[Variant] = &{
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
pub(super) use small;

/// A small kernel, and the matrices it is launched for.
pub(super) struct Small {
    pub(super) family: &'static Family,
    pub(super) kernel: &'static CStr,
    /// The larger dimension of the matrices.
    pub(super) largest: usize,
    pub(super) count: usize,
}

impl Small {
    /// As on the other side in small.cu.
    const THREADS: usize = 128;

    pub(super) fn launch<T: Float>(
        self,
        gpu: &'static Gpu,
        op: &'static str,
        words: &[&[u64]],
    ) -> Result<()> {
        let lanes = self.largest.max(2).next_power_of_two();
        let variant = Variant::with(T::DTYPE, LANES[lanes.trailing_zeros() as usize - 1]);
        let function = self.family.function(op, gpu, variant, self.kernel)?;
        let blocks = self.count.div_ceil(Self::THREADS / lanes);
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        gpu.launch(op, function, [blocks, 1, 1], [Self::THREADS as u32, 1, 1], 0, &words.concat())
    }
}
