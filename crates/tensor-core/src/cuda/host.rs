//! Arrays and elements between the host and a GPU, and between GPUs.

use super::bytes::{bytes, bytes_mut};
use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::heap::vectors;
use crate::shape::Dims;

/// A row-major array of the host in the memory of a GPU.
pub(crate) fn to_gpu<T: Element>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    let out = Array::unwritten(gpu, op, Dims::from_slice(x.shape()))?;
    gpu.write(op, out.pointer(), bytes(x.as_slice().unwrap_or(&[])))?;
    Ok(out)
}

/// The elements of a row-major array in the memory of a GPU.
pub(crate) fn to_vec<T: Element>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<Vec<T>> {
    let mut elements = vectors::vector(op, x.numel(), T::default())?;
    gpu.read(op, x.pointer(), bytes_mut(&mut elements))?;
    Ok(elements)
}

/// The first element of an array in the memory of a GPU.
pub(crate) fn first<T: Element>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<T> {
    let mut element = [T::default()];
    gpu.read(op, x.pointer(), bytes_mut(&mut element))?;
    Ok(element[0])
}

/// The elements of a row-major array in memory, copied to another device.
pub(crate) fn transfer<T: Element>(op: &'static str, x: &Array<T>, device: Device) -> Result<Array<T>> {
    let shape = Dims::from_slice(x.shape());
    match (x.device(), device) {
        (Device::Cpu, Device::Cuda(ordinal)) => to_gpu(Gpu::get(op, ordinal)?, op, x),
        (Device::Cuda(ordinal), Device::Cpu) => {
            let gpu = Gpu::get(op, ordinal)?;
            let mut failed = Ok(());
            let out = Array::build(op, shape, |out| failed = gpu.read(op, x.pointer(), bytes_mut(out)))?;
            failed.map(|()| out)
        }
        (Device::Cuda(from), Device::Cuda(to)) => {
            let (from, to) = (Gpu::get(op, from)?, Gpu::get(op, to)?);
            let out = Array::unwritten(to, op, shape)?;
            to.copy_from(op, out.pointer(), from, x.pointer(), x.numel() * size_of::<T>())?;
            Ok(out)
        }
        (Device::Cpu, Device::Cpu) => Ok(x.clone()),
    }
}
