//! Strided copies.

use super::parallel::{MIN_ELEMENTS, deal_parts, for_parts};
use crate::array::Array;
use crate::element::Element;
use crate::error::Result;
use crate::heap::buffer::Buffer;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::{self, Dims};
use std::borrow::Cow;

/// Rows and columns of the square that a transposing copy moves at a time, so that the lines of
/// memory it reads stay in the cache until they are used up.
const TILE: usize = 16;

/// The elements in row-major order, where they lie if they lie so.
pub fn elements<'a, T: Element>(op: &'static str, x: &'a Array<T>) -> Result<Cow<'a, [T]>> {
    match x.as_slice() {
        Some(elements) => Ok(Cow::Borrowed(elements)),
        None => Ok(Cow::Owned(copy(op, x)?.fresh_vec())),
    }
}

/// The elements in row-major order, in memory of their own.
pub fn copy<T: Element>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    Array::build(op, Dims::from_slice(x.shape()), |out| {
        if let Some(s) = x.as_slice() {
            return for_parts(out, |k, out| out.copy_from_slice(&s[k..][..out.len()]));
        }
        let nest = Nest::new(x.shape(), [x.layout()]);
        let data = x.storage();
        if let [.., (rows, [1]), (columns, [step])] = *nest.dims()
            && step != 1
        {
            let planes = Nest::of(nest.dims()[..nest.dims().len() - 2].iter().copied(), nest.start());
            let (_, [stride]) = planes.inner();
            return planes.segments(0..planes.len(), |plane, [p], n| {
                for k in 0..n {
                    let out = &mut out[(plane + k) * rows * columns..][..rows * columns];
                    transpose(out, data, p + k as isize * stride, columns, step);
                }
            });
        }
        let (_, [step]) = nest.inner();
        for_parts(out, |from, out| {
            nest.segments(from..from + out.len(), |position, [p], n| {
                let out = &mut out[position - from..][..n];
                strided(out, data, p, step);
            });
        });
    })
}

/// out[k] = data[p + k step].
pub fn strided<T: Copy>(out: &mut [T], data: &[T], p: isize, step: isize) {
    let (p, n) = (p as usize, out.len());
    match step {
        0 => out.fill(data[p]),
        1 => out.copy_from_slice(&data[p..][..n]),
        // Without a check of each place, so that it is vectorised.
        -1 => out.iter_mut().zip(data[p + 1 - n..=p].iter().rev()).for_each(|(o, &x)| *o = x),
        2.. => out.iter_mut().zip(data[p..].iter().step_by(step as usize)).for_each(|(o, &x)| *o = x),
        _ => out.iter_mut().zip(data[..=p].iter().rev().step_by(-step as usize)).for_each(|(o, &x)| *o = x),
    }
}

/// out[i, j] = data[p + i + j step], tile by tile.
fn transpose<T: Element>(out: &mut [T], data: &[T], p: isize, columns: usize, step: isize) {
    let strip = |first_row: usize, out: &mut [T]| {
        let (p, height) = (p + first_row as isize, out.len() / columns);
        for j0 in (0..columns).step_by(TILE) {
            for j in j0..columns.min(j0 + TILE) {
                let column = &data[(p + j as isize * step) as usize..][..height];
                for (i, &x) in column.iter().enumerate() {
                    out[i * columns + j] = x;
                }
            }
        }
    };
    let strips = |start: usize, out: &mut [T]| {
        for (k, out) in out.chunks_mut(TILE * columns).enumerate() {
            strip(start / columns + k * TILE, out);
        }
    };
    if out.len() < MIN_ELEMENTS { strips(0, out) } else { deal_parts(out, TILE * columns, &strips) }
}

/// `x` at the places of `layout` within zeros of `shape`.
pub fn embed<T: Element>(
    op: &'static str,
    shape: &[usize],
    layout: &Layout,
    x: &Array<T>,
) -> Result<Array<T>> {
    let mut out = Buffer::zeroed(op, shape::numel(op, shape)?)?;
    assign(&mut out, layout, x);
    Ok(Array::from_buffer(Dims::from_slice(shape), out))
}

/// Writes `x` into the places of `layout` in `out`; both have one shape.
pub fn assign<T: Element>(out: &mut [T], layout: &Layout, x: &Array<T>) {
    let data = x.storage();
    let nest = Nest::new(layout.shape(), [layout, x.layout()]);
    let (_, [s, t]) = nest.inner();
    nest.segments(0..nest.len(), |_, [p, q], n| {
        if (s, t) == (1, 1) {
            return out[p as usize..][..n].copy_from_slice(&data[q as usize..][..n]);
        }
        for k in 0..n as isize {
            out[(p + k * s) as usize] = data[(q + k * t) as usize];
        }
    });
}
