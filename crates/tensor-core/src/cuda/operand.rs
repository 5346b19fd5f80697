//! What kernels on a GPU are told of their operands.

use crate::array::Array;
use crate::code::bits;
use crate::device::Device;
use crate::element::{DType, Element};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::shape::{self, Dims};

/// An operand without its element type.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub source: Source,
    pub dtype: DType,
    pub layout: &'a Layout,
}

/// Where the elements of an operand come from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The address of the first element.
    Memory(u64),
    /// One value everywhere, by its bits.
    Known(u64),
}

impl<T: Element> Array<T> {
    /// This array as an operand of a kernel on a GPU: it is there, or its value is known to the host.
    pub(crate) fn operand(&self) -> Operand<'_> {
        let source = match (self.memory(), self.known()) {
            (Some(memory), _) => {
                Source::Memory(memory.pointer() + (self.layout().offset() * size_of::<T>()) as u64)
            }
            (None, x) => Source::Known(bits(x.unwrap_or_default().to_scalar(), T::DTYPE)),
        };
        Operand { source, dtype: T::DTYPE, layout: self.layout() }
    }

    /// The address of the first element, of an array that is in memory on a GPU.
    pub(crate) fn pointer(&self) -> u64 {
        let start = self.memory().map_or(0, |memory| memory.pointer());
        start + (self.layout().offset() * size_of::<T>()) as u64
    }

    /// An array in fresh memory on a GPU, of arbitrary values.
    ///
    /// # Errors
    /// Out of memory.
    pub(crate) fn unwritten(gpu: &'static Gpu, op: &'static str, shape: Dims) -> Result<Self> {
        let bytes = shape::numel(op, &shape)?.saturating_mul(size_of::<T>());
        Ok(Array::on_gpu(shape, gpu.allocate(op, bytes)?))
    }
}

/// One operand of an operation, for the choice of a device and its errors.
pub(crate) struct Place<'a> {
    device: Device,
    dtype: DType,
    shape: &'a [usize],
}

/// What can be asked for its place.
pub(crate) trait Placed {
    fn place(&self) -> Place<'_>;
}

impl<T: Element> Placed for Array<T> {
    fn place(&self) -> Place<'_> {
        Place { device: self.device(), dtype: T::DTYPE, shape: self.shape() }
    }
}

/// The GPU on which all operands are, numbers without dimensions aside, which may be on the CPU.
///
/// # Errors
/// Device, where the operands are on several devices.
pub(crate) fn shared_gpu(op: &'static str, places: &[Place]) -> Result<&'static Gpu> {
    let anchor = places.iter().find(|p| p.device != Device::Cpu && !p.shape.is_empty());
    let anchor = anchor.or_else(|| places.iter().find(|p| p.device != Device::Cpu));
    let Some(Device::Cuda(ordinal)) = anchor.map(|p| p.device) else {
        return Err(Error::new(ErrorKind::Device, op, "no operand is on a GPU"));
    };
    let movable = |p: &&Place| p.device == Device::Cpu && p.shape.is_empty();
    if places.iter().any(|p| p.device != Device::Cuda(ordinal) && !movable(&p)) {
        let list: Vec<String> =
            places.iter().map(|p| format!("{}{:?} on {}", p.dtype, p.shape, p.device)).collect();
        let message = format!(
            "operands are on different devices: {}; move them to one with .to_device(..)",
            list.join(", ")
        );
        return Err(Error::new(ErrorKind::Device, op, message));
    }
    Gpu::get(op, ordinal)
}

/// The two words of a kernel's `Divisor`, for a size from 1 to 2^31.
pub(crate) fn divisor(size: usize) -> [u64; 2] {
    let shift = size.next_power_of_two().trailing_zeros();
    let multiplier = ((1u64 << 32) * ((1u64 << shift) - size as u64)) / size as u64 + 1;
    [size as u64 | multiplier << 32, u64::from(shift)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_divide() {
        for size in [1usize, 2, 3, 5, 7, 10, 641, 1 << 16, (1 << 16) + 1, 1_000_003, (1 << 31) - 1] {
            let [word, shift] = divisor(size);
            let multiplier = word >> 32;
            for n in [0u64, 1, 2, 6, 9, 640, 641, 65536, 1_000_002, 999_999_999, (1 << 31) - 1] {
                let quotient = (((n * multiplier) >> 32) + n) >> shift;
                assert_eq!(quotient, n / size as u64, "{n} / {size}");
            }
        }
    }
}
