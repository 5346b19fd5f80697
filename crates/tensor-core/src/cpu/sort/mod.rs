//! Sorting, and selection by order.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod lines;
mod words;

use super::copy::{copy, elements};
use crate::array::Array;
use crate::element::Number;
use crate::error::Result;
use crate::shape::Dims;
use lines::{Wanted, sort_lines};
use std::ops::Range;

/// The elements in order along `dim`, and their places: those whose number in the order is in `part`. Equal ones keep
/// theirs, and NaN counts as larger than everything.
pub fn sort<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
    part: Range<usize>,
) -> Result<(Array<T>, Array<i64>)> {
    let (n, last) = (x.shape()[dim], x.ndim() - 1);
    // The dimension becomes the last, and goes back to where it was.
    let there: Dims = (0..=last).filter(|&k| k != dim).chain([dim]).collect();
    let moved = x.permute(op, &there)?;
    let mut shape = Dims::from_slice(moved.shape());
    shape[last] = part.len();
    let mut values = Array::build(op, shape.clone(), |_| {})?;
    let mut order = Array::build(op, shape, |_| {})?;
    let wanted = Wanted { descending, part };
    sort_lines(&elements(op, &moved)?, n, &wanted, values.fresh_mut(), order.fresh_mut());
    if dim == last {
        return Ok((values, order));
    }
    let back: Dims = (0..dim).chain([last]).chain(dim..last).collect();
    Ok((copy(op, &values.permute(op, &back)?)?, copy(op, &order.permute(op, &back)?)?))
}

/// The places of [`sort`], of all elements.
pub fn argsort<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
) -> Result<Array<i64>> {
    sort(op, x, dim, descending, 0..x.shape()[dim]).map(|(_, order)| order)
}

#[cfg(test)]
mod tests;
