//! The elements of an array in row-major order: read, written, and in another shape.

use super::copy::copy;
use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, ErrorKind, OrRaise, Result};
use crate::heap::buffer::Buffer;
use crate::heap::vectors;
use crate::shape;

impl<T: Element> Array<T> {
    /// The elements for writing, in row-major order; copies first where they are shared or lie
    /// otherwise.
    ///
    /// # Errors
    /// Out of memory; device, where they are on a GPU.
    pub fn make_mut(&mut self) -> Result<&mut [T]> {
        if self.device() != Device::Cpu {
            let message = format!("the elements are on {}: move them with cpu() first", self.device());
            return Err(Error::new(ErrorKind::Device, "make_mut", message));
        }
        if self.as_mut_slice().is_none() {
            *self = copy("make_mut", self)?;
        }
        Ok(self.as_mut_slice().expect("a fresh copy is row-major and unshared"))
    }

    /// The same elements in another shape: a view where strides allow it, else a copy.
    ///
    /// # Errors
    /// Shape, where the number of elements differs.
    pub fn reshape(&self, op: &'static str, to: &[usize]) -> Result<Self> {
        if shape::numel(op, to)? != self.numel() {
            let message =
                format!("shape {:?} cannot become {to:?}: the numbers of elements differ", self.shape());
            return Err(Error::shape(op, message));
        }
        match self.layout().reshape(to) {
            Some(layout) => Ok(self.view(layout)),
            None => copy(op, self)?.reshape(op, to),
        }
    }

    /// The elements in row-major order. Where there is no memory for them, it panics with what
    /// [`memory::try_run`](crate::memory::try_run) turns into an error.
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(s) => vectors::collect("to_vec", s.iter().copied()).or_raise(),
            None if self.device() == Device::Cpu => copy("to_vec", self).or_raise().into_vec(),
            None => self.to_device("to_vec", Device::Cpu).or_raise().into_vec(),
        }
    }

    /// Gives the vector back where nothing else shares it and it lies in row-major order, else a
    /// copy, for which memory may run out as for [`Array::to_vec`].
    #[track_caller]
    pub fn into_vec(self) -> Vec<T> {
        match self.take_buffer() {
            Ok((layout, v))
                if layout.is_contiguous() && layout.offset() == 0 && layout.numel() == v.len() =>
            {
                v
            }
            Ok((layout, v)) => Array::with_layout(layout, Buffer::adopt(v)).to_vec(),
            Err(shared) => shared.to_vec(),
        }
    }
}
