//! Which GPUs there are, and what they do.

use super::prepare::compile_all;
use crate::device::Device;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::Gpu;

/// Whether there is a GPU that can be used.
pub fn is_available() -> bool {
    device_count().is_ok_and(|n| n > 0)
}

/// How many GPUs there are.
///
/// # Errors
/// Device, where the driver's library cannot be loaded or does not start.
pub fn device_count() -> Result<usize> {
    Gpu::count("cuda::device_count")
}

/// Waits until all work on a GPU is done.
///
/// # Errors
/// Device, where the GPU cannot be used, or its work failed.
pub fn synchronize(device: &Device) -> Result<()> {
    match *device {
        Device::Cpu => Ok(()),
        Device::Cuda(ordinal) => Gpu::get("cuda::synchronize", ordinal)?.synchronize("cuda::synchronize"),
    }
}

/// What a GPU is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// Its name.
    pub name: String,
    /// Its compute capability, (9, 0) for an H200.
    pub capability: (u32, u32),
    /// How many multiprocessors it has.
    pub multiprocessors: u32,
    /// The bytes of its memory.
    pub memory: usize,
}

/// What a GPU is.
///
/// # Errors
/// Device, for the CPU and for a GPU that cannot be used.
pub fn properties(device: &Device) -> Result<Properties> {
    let gpu = gpu("cuda::properties", device)?;
    Ok(Properties {
        name: gpu.name().to_string(),
        capability: gpu.capability(),
        multiprocessors: gpu.multiprocessors(),
        memory: gpu.total_memory(),
    })
}

/// Kernels and captured work that were launched on a GPU so far.
///
/// # Errors
/// Device, for the CPU and for a GPU that cannot be used.
pub fn launches(device: &Device) -> Result<u64> {
    Ok(gpu("cuda::launches", device)?.launches())
}

/// Compiles every kernel that is known beforehand for a GPU, or finds it on the disk, so that no later operation
/// waits for it: how many there are. Kernels of elementwise formulas are compiled as they are met.
///
/// # Errors
/// Device, for the CPU, and where a kernel cannot be compiled.
pub fn prepare(device: &Device) -> Result<usize> {
    compile_all("cuda::prepare", gpu("cuda::prepare", device)?)
}

/// The GPU that a device is.
pub(super) fn gpu(op: &'static str, device: &Device) -> Result<&'static Gpu> {
    match *device {
        Device::Cuda(ordinal) => Gpu::get(op, ordinal),
        Device::Cpu => Err(Error::new(ErrorKind::Device, op, "the CPU is no GPU: name one, as cuda:0")),
    }
}
