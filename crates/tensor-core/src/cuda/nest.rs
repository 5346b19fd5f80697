//! Loop nests as kernels take them (kernels/nest.cu), and the launches of such kernels.

use super::registry::{Family, Variant};
use crate::error::{Error, Result};
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::nest::Nest;
use std::ffi::CStr;

/// Sizes and strides, the slowest first, and how many places of each operand a step goes.
pub(crate) type Dim<const N: usize> = (usize, [isize; N]);

/// Loops of a kernel's nest.
const AXES: usize = 16;

/// Threads of every block, where nothing else is said.
pub(crate) const THREADS: usize = 256;

/// A launch of a kernel in the making: its words, in the order of its struct.
pub(crate) struct Launch {
    gpu: &'static Gpu,
    op: &'static str,
    words: Vec<u64>,
}

impl Launch {
    pub fn new(gpu: &'static Gpu, op: &'static str, words: &[u64]) -> Self {
        // Room for two nests.
        let mut all = Vec::with_capacity(words.len() + 2 * (1 + AXES * 5));
        all.extend_from_slice(words);
        Launch { gpu, op, words: all }
    }

    /// A nest over dimensions that are merged already.
    ///
    /// # Errors
    /// Shape, where there are too many of them.
    pub fn nest<const N: usize>(mut self, dims: &[Dim<N>]) -> Result<Self> {
        if dims.len() > AXES {
            let message = format!(
                "{} dimensions, none of which lie one behind another, are more than a kernel's {AXES}: \
                 make the operands contiguous first",
                dims.len()
            );
            return Err(Error::shape(self.op, message));
        }
        self.words.push(dims.len() as u64);
        // The fastest first; what is left is not looked at.
        for &(size, strides) in dims.iter().rev() {
            self.words.extend(inverse(size as u64));
            self.words.extend(strides.map(|s| s as u64));
        }
        self.words.resize(self.words.len() + (AXES - dims.len()) * (3 + N), 0);
        Ok(self)
    }

    /// Runs blocks of [`THREADS`] threads.
    ///
    /// # Errors
    /// Device, where the kernel cannot be compiled or run; shape, where there are too many blocks.
    pub fn run(
        self,
        family: &'static Family,
        variant: Variant,
        kernel: &'static CStr,
        blocks: usize,
    ) -> Result<()> {
        self.run_grid(family, variant, kernel, [blocks, 1], THREADS, 0)
    }

    /// Runs a grid of blocks of any number of threads and any bytes of shared memory.
    ///
    /// # Errors
    /// As [`Launch::run`].
    pub fn run_grid(
        self,
        family: &'static Family,
        variant: Variant,
        kernel: &'static CStr,
        blocks: [usize; 2],
        threads: usize,
        shared: usize,
    ) -> Result<()> {
        let Launch { gpu, op, words } = self;
        if blocks[0] >= 1 << 31 || blocks[1] >= 1 << 16 {
            return Err(Error::shape(
                op,
                format!("{blocks:?} blocks of a kernel are more than a GPU can count"),
            ));
        }
        let function = family.function(op, gpu, variant, kernel)?;
        let [x, y] = blocks.map(|n| n as u32);
        gpu.launch(op, function, [x, y, 1], [threads as u32, 1, 1], shared as u32, &words)
    }
}

/// What a kernel divides by a size with: the size, a multiplier and a shift.
fn inverse(size: u64) -> [u64; 3] {
    let shift = size.next_power_of_two().trailing_zeros();
    let rest = (1u128 << shift) - u128::from(size);
    let multiplier = (rest << 64) / u128::from(size) + 1;
    [size, multiplier as u64, u64::from(shift)]
}

/// The lines along `dim` of two layouts of one shape: the loops over the other dimensions.
pub(crate) fn lines(x: &Layout, y: &Layout, dim: usize) -> Nest<2> {
    let (from, to) = (x.strides(), y.strides());
    let others = (0..x.ndim()).filter(|&k| k != dim);
    Nest::of(others.map(|k| (x.shape()[k], [from[k], to[k]])), [0; 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_divide() {
        let largest = (1u64 << 63) - 1;
        for size in [1, 2, 3, 5, 7, 641, (1 << 31) + 1, 6_700_417, (1 << 62) - 1, 1 << 62] {
            let [_, multiplier, shift] = inverse(size);
            for n in [0, 1, 2, 6, 640, 641, size - 1, size, 2 * size - 1, largest - largest % size, largest] {
                let product = ((u128::from(n) * u128::from(multiplier)) >> 64) as u64;
                assert_eq!((product + n) >> shift, n / size, "{n} / {size}");
            }
        }
    }
}
