//! Arrays of other crates and of other languages, in and out.

use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Layout;
use smallvec::SmallVec;

pub mod dlpack;
#[cfg(feature = "faer")]
mod faer;
mod memory;
#[cfg(any(feature = "nalgebra", feature = "nalgebra-0_34"))]
mod nalgebra;
mod ndarray;
#[cfg(any(feature = "ndarray-0_15", feature = "ndarray-0_16"))]
mod ndarray_older;
mod serde;

/// Only the host's memory can be lent.
fn on_host<T: Element>(op: &'static str, x: &Array<T>) -> Result<()> {
    match x.device() {
        Device::Cpu => Ok(()),
        device => {
            let message = format!("the elements are on {device}: move them with cpu() first");
            Err(Error::new(ErrorKind::Device, op, message))
        }
    }
}

/// An error where elements of an array on the host are not in its memory: no view is made so, and what follows an
/// address has to be sure of it.
fn in_memory<T: Element>(op: &'static str, x: &Array<T>) -> Result<()> {
    on_host(op, x)?;
    let layout = x.layout();
    if x.numel() == 0
        || Layout::stays_within(layout.shape(), &layout.strides(), layout.offset(), x.storage().len())
    {
        return Ok(());
    }
    let message = format!(
        "shape {:?} with strides {:?} from element {} leaves memory of {} elements",
        layout.shape(),
        layout.strides(),
        layout.offset(),
        x.storage().len()
    );
    Err(Error::shape(op, message))
}

/// Whether the elements of strided memory leave no gap between the lowest and the highest of them.
fn has_no_gaps(shape: &[usize], strides: &[isize]) -> bool {
    let mut steps: SmallVec<[(usize, usize); 4]> =
        strides.iter().zip(shape).filter(|&(_, &d)| d > 1).map(|(s, &d)| (s.unsigned_abs(), d)).collect();
    steps.sort_unstable();
    // A stretch that is covered stays covered where it is moved by its own length at most.
    let mut covered = 1usize;
    steps.iter().all(|&(step, d)| {
        let meets = step <= covered;
        covered = covered.saturating_add(step.saturating_mul(d - 1));
        meets
    })
}

/// How many elements before its first one a strided array reaches, and over how many in all; None where that
/// overflows.
fn reach(shape: &[usize], strides: &[isize]) -> Option<(usize, usize)> {
    if shape.contains(&0) {
        return Some((0, 0));
    }
    let (mut below, mut above) = (0usize, 0usize);
    for (&d, &s) in shape.iter().zip(strides) {
        let far = s.unsigned_abs().checked_mul(d - 1)?;
        let side = if s < 0 { &mut below } else { &mut above };
        *side = side.checked_add(far)?;
    }
    Some((below, below.checked_add(above)?.checked_add(1)?))
}

/// The strides of rows and columns of a matrix, or of a vector as its only column.
#[cfg(any(feature = "faer", feature = "nalgebra", feature = "nalgebra-0_34"))]
fn matrix<T: Element>(op: &'static str, x: &Array<T>) -> Result<([usize; 2], [isize; 2])> {
    in_memory(op, x)?;
    match (x.shape(), &x.layout().strides()[..]) {
        (&[rows, columns], &[down, right]) => Ok(([rows, columns], [down, right])),
        (&[rows], &[down]) => Ok(([rows, 1], [down, 0])),
        (shape, _) => {
            let message = format!("shape {shape:?} is neither a matrix nor a vector: select one, or reshape");
            Err(Error::shape(op, message))
        }
    }
}
