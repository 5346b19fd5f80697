//! Whether matrices are finite.

use super::copy::elements;
use crate::array::Array;
use crate::element::Float;
use crate::error::Result;
use crate::matrix::flaw::not_finite_error;
use crate::matrix::part::{Part, first_not_finite};

/// An error where a part of a matrix of `a` is not finite.
///
/// # Errors
/// Argument, naming the first such matrix; out of memory.
pub fn finite<T: Float>(op: &'static str, a: &Array<T>, part: Part) -> Result<()> {
    let size = [a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]];
    match first_not_finite(&elements(op, a)?, size, part) {
        None => Ok(()),
        Some(batch) => Err(not_finite_error(op, batch, a.shape())),
    }
}
