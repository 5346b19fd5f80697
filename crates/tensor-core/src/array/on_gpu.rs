//! Arrays on a GPU: in its memory, or one value that the host knows.

use super::{Array, Data};
use crate::device::Device;
use crate::element::Element;
use crate::gpu::allocation::Allocation;
use crate::layout::Layout;
use crate::shape::Dims;
use std::sync::Arc;

impl<T: Element> Array<T> {
    /// One value, stored once, for all elements of an array of this shape on a device.
    pub(crate) fn of_known(&self, value: T, device: Device) -> Self {
        let one = match device {
            Device::Cpu => Data::One([value]),
            gpu => Data::Known(gpu, [value]),
        };
        let one = Array::new(Layout::row_major(Dims::new()), one);
        one.view(self.layout().moved_to(0))
    }

    /// The value of every element, where it is stored once and the host knows it.
    pub(crate) fn known(&self) -> Option<T> {
        match &self.0.data {
            Data::One([x]) | Data::Known(_, [x]) => Some(*x),
            Data::View(owner) => owner.known(),
            Data::Owned(_) | Data::Foreign(_) | Data::Cuda(_) => None,
        }
    }

    /// The memory on a GPU that holds the elements, if any does.
    pub(crate) fn memory(&self) -> Option<&Allocation> {
        match &self.0.data {
            Data::Cuda(memory) => Some(memory),
            Data::View(owner) => owner.memory(),
            _ => None,
        }
    }

    /// The row-major array in memory on a GPU that has room for it.
    pub(crate) fn on_gpu(shape: Dims, memory: Allocation) -> Self {
        Array::new(Layout::row_major(shape), Data::Cuda(memory))
    }

    /// Whether the memory on a GPU may be written, since nothing else shares it.
    pub(crate) fn is_unshared(&mut self) -> bool {
        match Arc::get_mut(&mut self.0).map(|inner| &mut inner.data) {
            Some(Data::View(owner)) => owner.is_unshared(),
            Some(Data::Cuda(_)) => true,
            _ => false,
        }
    }
}
