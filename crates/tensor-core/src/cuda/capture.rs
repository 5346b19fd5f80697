//! Work on a GPU that is captured once and replayed.

use super::copy::assign;
use super::devices::gpu;
use super::host::to_gpu;
use super::operand::{Placed, shared_gpu};
use crate::array::Array;
use crate::device::Device;
use crate::draws::{captured, take_draws};
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::graph::Graph;
use crate::layout::Layout;
use crate::shape::Dims;

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
            let gpu = shared_gpu("replay", &[place.place()])?;
            overwrite(place, &to_gpu(gpu, "replay", &next)?)?;
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
    let place = to_gpu(gpu, "capture", &Array::from_vec(vec![0; 2], &[2])?)?;
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
    assign(gpu, op, to, &Layout::row_major(Dims::from_slice(to.shape())), from)
}
