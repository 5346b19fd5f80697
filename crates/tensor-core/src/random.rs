//! Random arrays, from one generator whose seed [`manual_seed`] sets.

use crate::array::Array;
use crate::cpu::random::{normal, uniform};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::Float;
use crate::error::Result;
use crate::shape::Dims;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// The seed, and how many draws there were since it was set.
static STATE: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// Seeds the generator: the same seed and the same draws in the same order give the same numbers,
/// on any number of threads and on any device. Without a call the seed differs from run to run.
pub fn manual_seed(seed: u64) {
    *STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, 0));
}

/// The seed and the number of the next draw.
fn next_draw() -> (u64, u64) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, draw) = state.unwrap_or_else(|| (RandomState::new().hash_one(0), 0));
    *state = Some((seed, draw + 1));
    (seed, draw)
}

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
    let (seed, draw) = next_draw();
    #[cfg(feature = "cuda")]
    if let Device::Cuda(ordinal) = device {
        let gpu = cuda::Gpu::get("rand", ordinal)?;
        return cuda::random::uniform(gpu, "rand", Dims::from_slice(shape), seed, draw);
    }
    Array::build("rand", Dims::from_slice(shape), |out| uniform(out, seed, draw))
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
    let (seed, draw) = next_draw();
    #[cfg(feature = "cuda")]
    if let Device::Cuda(ordinal) = device {
        let gpu = cuda::Gpu::get("randn", ordinal)?;
        return cuda::random::normal(gpu, "randn", Dims::from_slice(shape), seed, draw);
    }
    Array::build("randn", Dims::from_slice(shape), |out| normal(out, seed, draw))
}

/// Standard normal numbers from the caller's own generator.
///
/// # Errors
/// Out of memory.
pub fn randn_using<T: Float>(shape: &[usize], rng: &mut impl Rng) -> Result<Array<T>> {
    Array::build("randn_using", Dims::from_slice(shape), |out| {
        out.fill_with(|| {
            let x: f64 = StandardNormal.sample(rng);
            T::of(x)
        });
    })
}
