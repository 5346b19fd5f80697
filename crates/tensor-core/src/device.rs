//! Where an array's data lives.

use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "cuda")]
use crate::gpu::context::Gpu;
use std::fmt;
use std::str::FromStr;

/// A place where arrays live and kernels run.
///
/// ```
/// use tapegrad::Device;
/// assert_eq!("cpu".parse::<Device>()?, Device::Cpu);
/// assert_eq!("cuda:1".parse::<Device>()?.to_string(), "cuda:1");
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// The host's processor and memory.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number.
    Cuda(usize),
}

impl Device {
    /// The GPU of number `ordinal`.
    ///
    /// ```
    /// use tapegrad::{Device, cuda};
    /// assert!(Device::cuda(usize::MAX).is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Device`] where that GPU cannot be used.
    pub fn cuda(ordinal: usize) -> Result<Self> {
        Device::Cuda(ordinal).usable("Device::cuda")
    }

    /// The device itself where kernels can run on it, or why they cannot.
    pub(crate) fn usable(self, op: &'static str) -> Result<Self> {
        match self {
            Device::Cpu => Ok(self),
            #[cfg(feature = "cuda")]
            Device::Cuda(ordinal) => Gpu::get(op, ordinal).map(|_| self),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => Err(Device::absent(op)),
        }
    }

    /// The error of a program without GPUs.
    #[cfg(not(feature = "cuda"))]
    pub(crate) fn absent(op: &'static str) -> Error {
        let message = "this program was built without the feature `cuda` of tapegrad, and has no GPU: build it with \
                       the feature, or use Device::Cpu";
        Error::new(ErrorKind::Device, op, message)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.pad("cpu"),
            Device::Cuda(ordinal) => f.pad(&format!("cuda:{ordinal}")),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let unknown = || {
            let message = format!("{s:?} is not a device: write cpu, cuda or cuda:N");
            Error::new(ErrorKind::Device, "Device", message)
        };
        match s.split_once(':') {
            None if s == "cpu" => Ok(Device::Cpu),
            None if s == "cuda" => Ok(Device::Cuda(0)),
            Some(("cuda", n)) => n.parse().map(Device::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}
