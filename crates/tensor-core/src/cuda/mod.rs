//! NVIDIA GPUs: the same kernels as the CPU has, in CUDA C++ compiled at run time.

pub(crate) mod batch;
mod blas;
mod bytes;
mod compile;
pub(crate) mod copy;
pub(crate) mod finite;
pub(crate) mod index;
mod large;
mod least_squares;
pub(crate) mod map;
mod matrices;
mod nest;
mod operand;
pub(crate) mod product;
pub(crate) mod products;
mod program_cache;
pub(crate) mod random;
pub(crate) mod reduce;
mod registry;
pub(crate) mod scan;
pub(crate) mod sort;
pub(crate) mod sparse;
mod status;

pub use blas::{allow_tf32, set_allow_tf32};

pub(crate) use operand::{Placed, shared_gpu};

use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::Gpu;
use crate::gpu::graph::Graph;
use crate::layout::Layout;
use crate::random::{captured, take_draws};
use crate::shape::Dims;
use bytes::{bytes, bytes_mut};

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
    registry::compile_all("cuda::prepare", gpu("cuda::prepare", device)?)
}

fn gpu(op: &'static str, device: &Device) -> Result<&'static Gpu> {
    match *device {
        Device::Cuda(ordinal) => Gpu::get(op, ordinal),
        Device::Cpu => Err(Error::new(ErrorKind::Device, op, "the CPU is no GPU: name one, as cuda:0")),
    }
}

/// Work on a GPU that was captured once, and is replayed at the cost of one launch.
pub struct Captured {
    work: Graph,
    /// The seed and the number of the first draw of a replay, and how many draws it makes.
    draws: (Array<i64>, u64),
}

impl Captured {
    /// Does the work again, on what the memory it reads now holds, and with random numbers that follow those drawn
    /// before.
    ///
    /// # Errors
    /// Device, where the GPU fails.
    pub fn replay(&self) -> Result<()> {
        let (place, count) = &self.draws;
        if *count > 0 {
            let (seed, first) = take_draws(*count);
            let next = Array::from_vec(vec![seed as i64, first as i64], &[2])?;
            overwrite(place, &next.to_device("replay", place.device())?)?;
        }
        self.work.launch("replay")
    }
}

/// Captures the work of `f` on a GPU in place of doing it, and gives back what `f` made: arrays without values
/// before the first [`Captured::replay`], each of which computes them anew, in the same memory. Operations that
/// must wait for the GPU, such as those that check indices or pivots, cannot be captured.
///
/// # Errors
/// Device, where the GPU cannot be used, or `f` needs a value; what `f` returns.
pub fn capture<R>(device: &Device, f: impl FnOnce() -> Result<R>) -> Result<(Captured, R)> {
    let gpu = gpu("capture", device)?;
    let place =
        Array::from_vec(vec![0; 2], &[2])?.to_device("capture", *device)?.in_memory(gpu, "capture")?;
    let (work, (value, count)) = gpu.capture("capture", || {
        let (value, count) = captured(place.pointer(), f);
        Ok((value?, count))
    })?;
    Ok((Captured { work, draws: (place, count) }, value))
}

/// Writes the elements of one array over those of another, which is in memory on a GPU, row-major, and of the same
/// shape: every array that shares its memory sees them, among them those of captured work.
///
/// # Errors
/// Shape, where the shapes differ; device, where they are not on one GPU.
pub fn overwrite<T: Element>(to: &Array<T>, from: &Array<T>) -> Result<()> {
    let op = "overwrite";
    if to.shape() != from.shape() {
        let message = format!("shape {:?} does not fit {:?}", from.shape(), to.shape());
        return Err(Error::shape(op, message));
    }
    let gpu = shared_gpu(op, &[to.place(), from.place()])?;
    if to.memory().is_none() {
        let message = "the array to write to has no memory on a GPU: copy it there first";
        return Err(Error::new(ErrorKind::Device, op, message));
    }
    copy::assign(gpu, op, to, &Layout::row_major(Dims::from_slice(to.shape())), from)
}

/// The elements of an array in memory, copied to another device in row-major order.
pub(crate) fn transfer<T: Element>(op: &'static str, x: &Array<T>, device: Device) -> Result<Array<T>> {
    let x = if x.layout().is_contiguous() { x.clone() } else { crate::kernels::copy(op, x)? };
    let shape = Dims::from_slice(x.shape());
    match (x.device(), device) {
        (Device::Cpu, Device::Cuda(ordinal)) => {
            let gpu = Gpu::get(op, ordinal)?;
            let out = Array::unwritten(gpu, op, shape)?;
            gpu.write(op, out.pointer(), bytes(x.as_slice().unwrap_or(&[])))?;
            Ok(out)
        }
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
        (Device::Cpu, Device::Cpu) => Ok(x),
    }
}
