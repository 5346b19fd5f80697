//! Arrays of other crates and of other languages, in and out.

use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};

pub mod dlpack;
#[cfg(feature = "faer")]
mod faer;
mod memory;
#[cfg(feature = "nalgebra")]
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
#[cfg(any(feature = "faer", feature = "nalgebra"))]
fn matrix<T: Element>(op: &'static str, x: &Array<T>) -> Result<([usize; 2], [isize; 2])> {
    on_host(op, x)?;
    match (x.shape(), &x.layout().strides()[..]) {
        (&[rows, columns], &[down, right]) => Ok(([rows, columns], [down, right])),
        (&[rows], &[down]) => Ok(([rows, 1], [down, 0])),
        (shape, _) => {
            let message = format!("shape {shape:?} is neither a matrix nor a vector: select one, or reshape");
            Err(Error::shape(op, message))
        }
    }
}
