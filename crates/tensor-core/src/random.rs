//! Random arrays, from one generator whose seed [`manual_seed`] sets.

use crate::array::Array;
use crate::cpu::random::{normal, normal_pair, uniform, unit};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::draws::next_draw;
pub use crate::draws::{Draws, again, apart, manual_seed, noted};
use crate::element::Float;
use crate::error::Result;
#[cfg(feature = "cuda")]
use crate::gpu::context::Gpu;
use crate::shape::Dims;
use rand_core::Rng;

/// Uniform numbers in [0, 1).
///
/// # Errors
/// Out of memory.
pub fn rand<T: Float>(shape: &[usize]) -> Result<Array<T>> {
    rand_on(Device::Cpu, shape)
}

/// Uniform numbers in [0, 1), on a device.
///
/// # Errors
/// Out of memory; device, where it cannot be used.
pub fn rand_on<T: Float>(device: Device, shape: &[usize]) -> Result<Array<T>> {
    device.usable("rand")?;
    let draw = next_draw(device);
    #[cfg(feature = "cuda")]
    if let Device::Cuda(ordinal) = device {
        let gpu = Gpu::get("rand", ordinal)?;
        return cuda::random::uniform(gpu, "rand", Dims::from_slice(shape), draw);
    }
    Array::build("rand", Dims::from_slice(shape), |out| uniform(out, draw.seed, draw.number))
}

/// Standard normal numbers.
///
/// # Errors
/// Out of memory.
pub fn randn<T: Float>(shape: &[usize]) -> Result<Array<T>> {
    randn_on(Device::Cpu, shape)
}

/// Standard normal numbers, on a device.
///
/// # Errors
/// Out of memory; device, where it cannot be used.
pub fn randn_on<T: Float>(device: Device, shape: &[usize]) -> Result<Array<T>> {
    device.usable("randn")?;
    let draw = next_draw(device);
    #[cfg(feature = "cuda")]
    if let Device::Cuda(ordinal) = device {
        let gpu = Gpu::get("randn", ordinal)?;
        return cuda::random::normal(gpu, "randn", Dims::from_slice(shape), draw);
    }
    Array::build("randn", Dims::from_slice(shape), |out| normal(out, draw.seed, draw.number))
}

/// Standard normal numbers from the caller's own generator.
///
/// # Errors
/// Out of memory.
pub fn randn_using<T: Float>(shape: &[usize], rng: &mut impl Rng) -> Result<Array<T>> {
    Array::build("randn_using", Dims::from_slice(shape), |out| {
        for pair in out.chunks_mut(2) {
            let normal = normal_pair([unit(rng.next_u64()), unit(rng.next_u64())]).map(T::of);
            pair.copy_from_slice(&normal[..pair.len()]);
        }
    })
}
