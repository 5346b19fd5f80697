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
/// ```
/// use tapegrad::random;
/// let x = random::rand::<f64>(&[1000])?;
/// assert!(x.to_vec().iter().all(|x| (0.0..1.0).contains(x)));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
pub fn rand<T: Float>(shape: &[usize]) -> Result<Array<T>> {
    rand_on(Device::Cpu, shape)
}

/// Uniform numbers in [0, 1), on a device.
///
/// ```
/// use tapegrad::{Device, random, shape};
/// assert_eq!(random::rand_on::<f32>(Device::Cpu, &[2, 3])?.shape(), [2, 3]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
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
/// ```
/// use tapegrad::random;
/// random::manual_seed(7);
/// let x = random::randn::<f64>(&[3])?.to_vec();
/// random::manual_seed(7);
/// assert_eq!(x, random::randn::<f64>(&[3])?.to_vec());
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
pub fn randn<T: Float>(shape: &[usize]) -> Result<Array<T>> {
    randn_on(Device::Cpu, shape)
}

/// Standard normal numbers, on a device.
///
/// ```
/// use tapegrad::{Device, random, shape};
/// assert_eq!(random::randn_on::<f32>(Device::Cpu, &[2, 3])?.shape(), [2, 3]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
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
/// ```
/// use tapegrad::random;
/// use rand::{SeedableRng, rngs::SmallRng};
/// let draw = || random::randn_using::<f64>(&[3], &mut SmallRng::seed_from_u64(1)).map(|x| x.to_vec());
/// assert_eq!(draw()?, draw()?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
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
