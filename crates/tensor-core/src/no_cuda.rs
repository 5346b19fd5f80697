//! NVIDIA GPUs: this program was built without the feature `cuda`, and has none.

use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::Result;

/// Whether there is a GPU that can be used.
pub fn is_available() -> bool {
    false
}

/// How many GPUs there are.
///
/// # Errors
/// Device: the feature `cuda` is off.
pub fn device_count() -> Result<usize> {
    Err(Device::absent("cuda::device_count"))
}

/// Waits until all work on a device is done, which it always is on the CPU.
///
/// # Errors
/// Device, for a GPU: the feature `cuda` is off.
pub fn synchronize(device: &Device) -> Result<()> {
    device.usable("cuda::synchronize").map(|_| ())
}

/// What a GPU is: there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub capability: (u32, u32),
    /// How many multiprocessors it has.
    pub multiprocessors: u32,
    /// The bytes of its memory.
    pub memory: usize,
}

/// What a GPU is.
///
/// # Errors
/// Device: the feature `cuda` is off.
pub fn properties(_: &Device) -> Result<Properties> {
    Err(Device::absent("cuda::properties"))
}

/// Kernels that were launched on a GPU so far.
///
/// # Errors
/// Device: the feature `cuda` is off.
pub fn launches(_: &Device) -> Result<u64> {
    Err(Device::absent("cuda::launches"))
}

/// Compiles every kernel that is known beforehand for a GPU.
///
/// # Errors
/// Device: the feature `cuda` is off.
pub fn prepare(_: &Device) -> Result<usize> {
    Err(Device::absent("cuda::prepare"))
}

/// Work on a GPU that was captured once, and is replayed at the cost of one launch: there is none.
pub enum Captured {}

impl Captured {
    /// Does the work again.
    ///
    /// # Errors
    /// None: there is no such work.
    pub fn replay(&self) -> Result<()> {
        match *self {}
    }
}

/// Captures the work of `f` on a GPU in place of doing it.
///
/// # Errors
/// Device: the feature `cuda` is off.
pub fn capture<R>(_: &Device, _: impl FnOnce() -> Result<R>) -> Result<(Captured, R)> {
    Err(Device::absent("capture"))
}

/// Writes the elements of one array over those of another, which is in memory on a GPU.
///
/// # Errors
/// Device: the feature `cuda` is off.
pub fn overwrite<T: Element>(_: &Array<T>, _: &Array<T>) -> Result<()> {
    Err(Device::absent("overwrite"))
}

/// Whether products in single precision may be rounded to TF32 on a GPU: there is none.
pub fn allow_tf32() -> bool {
    false
}

/// Allows products in single precision to be rounded to TF32 on a GPU: there is none, and nothing happens.
pub fn set_allow_tf32(_: bool) {}
