//! Moving values between devices.

use crate::apply_once;
use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::{Array, Device, Element, OrRaise, Result};

/// The same elements on another device.
struct Move {
    from: Device,
    to: Device,
}

impl<T: Element> Op<T, 1> for Move {
    fn name(&self) -> &'static str {
        "to_device"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.to_device("to_device", self.to)
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad, moved back
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(apply(Move { from: self.to, to: self.from }, [&g])?)])
    }
    fn jvp(&self, _: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| t.to_device(&self.to)).transpose()
    }
}

/// # Devices
impl<T: Element> Tensor<T> {
    /// The value on a device; nothing happens where it is there already. The gradient moves back.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor};
    /// let x: Tensor = Tensor::from([1.0, 2.0]);
    /// assert_eq!(x.to_device(&"cpu".parse::<Device>()?)?.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Device, where it cannot be used; out of memory.
    #[track_caller]
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        match self.device() {
            from if from == *device => Ok(self.clone()),
            from => apply_once!(T: Element, Move { from, to: *device } => Move, [self]),
        }
    }

    /// The value on the first GPU.
    ///
    /// # Errors
    /// Device, where there is none, or it cannot be used; out of memory.
    #[track_caller]
    pub fn cuda(&self) -> Result<Self> {
        self.to_device(&Device::Cuda(0))
    }

    /// The value in the host's memory.
    ///
    /// # Panics
    /// Where the GPU that holds it fails, or memory runs out.
    #[track_caller]
    #[must_use]
    pub fn cpu(&self) -> Self {
        self.to_device(&Device::Cpu).or_raise()
    }
}
