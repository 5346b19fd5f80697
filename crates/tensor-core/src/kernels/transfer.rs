//! Arrays from one device to another.

use super::copy::copy;
use crate::array::Array;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, Result};

impl<T: Element> Array<T> {
    /// Zeros (`false` for truth values) on a device, in memory of their own.
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    pub fn zeros_on(device: Device, shape: &[usize]) -> Result<Self> {
        match device {
            Device::Cpu => Array::zeros(shape),
            device => copy("zeros", &Array::repeat_on(device, shape, T::default())?),
        }
    }

    /// The only element, brought from a GPU where it is there.
    ///
    /// # Errors
    /// Shape, where there is not exactly one element.
    pub fn item(&self, op: &'static str) -> Result<T> {
        if let Some(x) = self.single() {
            return Ok(x);
        }
        if self.numel() != 1 {
            let message = format!(
                "shape {:?} does not have exactly one element: index it, or use to_vec",
                self.shape()
            );
            return Err(Error::shape(op, message));
        }
        Ok(self.to_device(op, Device::Cpu)?.storage()[0])
    }

    /// The same elements on a device; nothing happens where they are there already, and one value stored once
    /// stays so.
    ///
    /// # Errors
    /// Device, where it cannot be used; out of memory.
    #[cfg(not(feature = "cuda"))]
    pub fn to_device(&self, op: &'static str, device: Device) -> Result<Self> {
        device.usable(op).map(|_| self.clone())
    }

    /// The same elements on a device; nothing happens where they are there already, and one value stored once
    /// stays so.
    ///
    /// # Errors
    /// Device, where it cannot be used; out of memory.
    #[cfg(feature = "cuda")]
    pub fn to_device(&self, op: &'static str, device: Device) -> Result<Self> {
        if device == self.device() {
            return Ok(self.clone());
        }
        device.usable(op)?;
        if let Some(x) = self.known() {
            return Ok(self.of_known(x, device));
        }
        match self.layout().is_contiguous() {
            true => cuda::host::transfer(op, self, device),
            false => cuda::host::transfer(op, &copy(op, self)?, device),
        }
    }
}
