//! Patterns of sparse matrices from what a caller gives: brought to the host, and checked.

use super::copy::copy;
use crate::array::Array;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::heap::vectors;
use crate::shape::Dims;
use crate::sparse::lines::{Lines, numbers};
use crate::sparse::pattern::Pattern;
use rayon::prelude::*;

/// Places from which they are sorted by several threads.
const PARALLEL_FROM: usize = 1 << 16;

/// A row-major copy on the host, or the array itself where it is one.
fn on_host(op: &'static str, x: &Array<i64>) -> Result<Array<i64>> {
    let x = x.to_device(op, Device::Cpu)?;
    if x.as_slice().is_some() { Ok(x) } else { copy(op, &x) }
}

/// An error where a place is outside of its dimension, which `name` names.
fn inside(op: &'static str, places: &[i64], size: usize, name: &str, shape: &[usize]) -> Result<()> {
    match places.iter().position(|&i| i < 0 || i as usize >= size) {
        None => Ok(()),
        Some(k) => {
            let message = format!(
                "{name} index {} of element {k} is out of range for shape {shape:?}: it counts from 0 to {}",
                places[k],
                size as i128 - 1
            );
            Err(Error::index(op, message))
        }
    }
}

impl Pattern {
    /// Element k at row `rows[k]` and column `columns[k]`, in any order; places may be named more than once, and
    /// the values then add up.
    ///
    /// # Errors
    /// Shape, where these are not vectors of one length; index, for a place outside of the matrix.
    pub fn from_coordinates(
        op: &'static str,
        rows: &Array<i64>,
        columns: &Array<i64>,
        shape: [usize; 2],
    ) -> Result<Self> {
        if rows.ndim() != 1 || rows.shape() != columns.shape() {
            let message = format!(
                "rows {:?} and columns {:?}: two vectors of one length are needed",
                rows.shape(),
                columns.shape()
            );
            return Err(Error::shape(op, message));
        }
        let coordinates = [on_host(op, rows)?, on_host(op, columns)?];
        inside(op, numbers(&coordinates[0]), shape[0], "row", &shape)?;
        inside(op, numbers(&coordinates[1]), shape[1], "column", &shape)?;
        Ok(Pattern::of_coordinates(coordinates, shape))
    }

    /// The elements of row i (or, for `dim` 1, of column i) from `starts[i]` to `starts[i + 1]`, at the places
    /// `across` along it, which ascend.
    ///
    /// # Errors
    /// Shape, where there is not a start for each line and one for the end; index, for starts that descend or leave
    /// the elements, and places that do not ascend or are outside of the matrix.
    pub fn from_lines(
        op: &'static str,
        dim: usize,
        starts: &Array<i64>,
        across: &Array<i64>,
        shape: [usize; 2],
    ) -> Result<Self> {
        let (line, place) = if dim == 0 { ("row", "column") } else { ("column", "row") };
        if starts.ndim() != 1 || across.ndim() != 1 || starts.numel() != shape[dim].saturating_add(1) {
            let message = format!(
                "starts {:?} and indices {:?} for shape {shape:?}: vectors are needed, and a start for each {line} \
                 and one for the end",
                starts.shape(),
                across.shape(),
            );
            return Err(Error::shape(op, message));
        }
        let (starts, across) = (on_host(op, starts)?, on_host(op, across)?);
        let (s, a) = (numbers(&starts), numbers(&across));
        if s[0] != 0 || s[shape[dim]] != a.len() as i64 || s.windows(2).any(|w| w[0] > w[1]) {
            let message = format!(
                "the starts of the {line}s do not ascend from 0 to {}, the number of elements",
                a.len()
            );
            return Err(Error::index(op, message));
        }
        inside(op, a, shape[1 - dim], place, &shape)?;
        let descends = |w: &[i64]| a[w[0] as usize..w[1] as usize].windows(2).any(|p| p[0] >= p[1]);
        if let Some(i) = s.windows(2).position(descends) {
            let message = format!(
                "the {place} indices of {line} {i} do not ascend: build the matrix with coo, which takes them in any \
                 order"
            );
            return Err(Error::index(op, message));
        }
        Ok(Pattern::of_lines(dim, Lines::new(starts, across, None), shape))
    }
}

/// The places named in the columns of `indices`, `[d, n]`, each once and in row-major order, `[d, k]`; and for each
/// of the n its number among these. None where they are so already.
///
/// # Errors
/// Shape, where there is not a row of indices for each dimension; index, for a place outside of the shape; argument, where the
/// shape has more than 2^63 places; out of memory.
pub fn coalesce(
    op: &'static str,
    indices: &Array<i64>,
    shape: &[usize],
) -> Result<Option<(Array<i64>, Array<i64>)>> {
    let indices = places_of(op, indices, shape)?;
    let keys = linear(op, &indices, shape)?;
    if numbers(&keys).windows(2).all(|w| w[0] < w[1]) {
        return Ok(None);
    }
    once_each(op, &indices, numbers(&keys)).map(Some)
}

/// The position in row-major order of each place named in the columns of `indices`.
///
/// # Errors
/// As [`coalesce`].
pub fn positions(op: &'static str, indices: &Array<i64>, shape: &[usize]) -> Result<Array<i64>> {
    linear(op, &places_of(op, indices, shape)?, shape)
}

fn linear(op: &'static str, indices: &Array<i64>, shape: &[usize]) -> Result<Array<i64>> {
    let places = shape.iter().try_fold(1i64, |n, &d| n.checked_mul(i64::try_from(d).ok()?));
    if places.is_none() {
        let message = format!("shape {shape:?} has more than 2^63 places, which cannot be numbered");
        return Err(Error::argument(op, message));
    }
    let n = indices.shape()[1];
    Array::build(op, Dims::from_slice(&[n]), |out| {
        out.fill(0);
        for (row, &size) in numbers(indices).chunks_exact(n.max(1)).zip(shape) {
            for (out, &i) in out.iter_mut().zip(row) {
                *out = *out * size as i64 + i;
            }
        }
    })
}

/// Indices on the host, one row for each dimension of the shape, all inside of it.
fn places_of(op: &'static str, indices: &Array<i64>, shape: &[usize]) -> Result<Array<i64>> {
    if indices.ndim() != 2 || indices.shape()[0] != shape.len() {
        let message = format!(
            "indices {:?} for shape {shape:?}: a matrix with a row for each dimension is needed",
            indices.shape()
        );
        return Err(Error::shape(op, message));
    }
    let indices = on_host(op, indices)?;
    let n = indices.shape()[1];
    for (k, (row, &size)) in numbers(&indices).chunks_exact(n.max(1)).zip(shape).enumerate() {
        inside(op, row, size, &format!("dimension {k}'s"), shape)?;
    }
    Ok(indices)
}

/// The places that `keys` number, each once, and the number of each among them.
fn once_each(op: &'static str, indices: &Array<i64>, keys: &[i64]) -> Result<(Array<i64>, Array<i64>)> {
    let mut sorted: Vec<(i64, usize)> = vectors::collect(op, keys.iter().copied().zip(0..))?;
    match sorted.len() < PARALLEL_FROM {
        true => sorted.sort_unstable(),
        false => sorted.par_sort_unstable(),
    }
    let distinct = sorted.chunk_by(|a, b| a.0 == b.0).count();
    let mut firsts = vectors::room(op, distinct)?;
    let mut numbering = Array::<i64>::build(op, Dims::from_slice(&[keys.len()]), |_| {})?;
    let numbered = numbering.fresh_mut();
    for (k, &(key, at)) in sorted.iter().enumerate() {
        if k == 0 || sorted[k - 1].0 != key {
            firsts.push(at);
        }
        numbered[at] = firsts.len() as i64 - 1;
    }
    let n = keys.len();
    let shape = Dims::from_slice(&[indices.shape()[0], firsts.len()]);
    let unique = Array::build(op, shape, |out| {
        let rows = numbers(indices).chunks_exact(n.max(1));
        for (out, row) in out.chunks_exact_mut(firsts.len().max(1)).zip(rows) {
            for (out, &at) in out.iter_mut().zip(&firsts) {
                *out = row[at];
            }
        }
    })?;
    Ok((unique, numbering))
}
