//! Strided copies.

use super::parallel::{for_parts, for_pieces};
use super::transpose::{ROWS, transpose};
use crate::array::Array;
use crate::element::{Element, Number};
use crate::error::Result;
use crate::heap::buffer::Buffer;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::{self, Dims};
use std::borrow::Cow;

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
                    transposed(out, data, p + k as isize * stride, columns, step);
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
#[inline(always)]
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

/// out[i, j] = data[p + i + j step], for step > 0 by strips of rows.
fn transposed<T: Element>(out: &mut [T], data: &[T], p: isize, columns: usize, step: isize) {
    let strip = |first_row: usize, out: &mut [T]| {
        let (p, height) = (p + first_row as isize, out.len() / columns);
        if step > 0 {
            return transpose(out, columns, &data[p as usize..], step as usize, height);
        }
        for j in 0..columns {
            let column = &data[(p + j as isize * step) as usize..][..height];
            for (i, &x) in column.iter().enumerate() {
                out[i * columns + j] = x;
            }
        }
    };
    for_pieces(out, ROWS * columns, |start: usize, out: &mut [T]| {
        for (k, out) in out.chunks_mut(ROWS * columns).enumerate() {
            strip(start / columns + k * ROWS, out);
        }
    });
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

/// Row-major arrays behind one another along `dim`.
pub fn cat<T: Element>(out: &mut [T], arrays: &[&Array<T>], dim: usize) {
    /// Rows that are written before the next ones, while they are in the cache.
    const TOGETHER: usize = 256;
    let parts = || {
        let length = |a: &Array<T>| a.shape()[dim..].iter().product::<usize>();
        arrays.iter().map(move |a| (a.as_slice().unwrap_or(&[]), length(a))).filter(|(x, _)| !x.is_empty())
    };
    let row: usize = parts().map(|(_, length)| length).sum();
    if row == out.len() {
        let mut out = out;
        for (x, length) in parts() {
            let (part, rest) = out.split_at_mut(length);
            for_parts(part, |from, out| out.copy_from_slice(&x[from..][..out.len()]));
            out = rest;
        }
        return;
    }
    for_pieces(out, row, |from, out| {
        for (k, out) in out.chunks_mut(TOGETHER * row).enumerate() {
            let (first, count) = (from / row + k * TOGETHER, out.len() / row);
            let mut column = 0;
            for (x, length) in parts() {
                let x = &x[first * length..][..count * length];
                if length == 1 {
                    out[column..].iter_mut().step_by(row).zip(x).for_each(|(o, &x)| *o = x);
                } else {
                    let rows = out.chunks_mut(row).zip(x.chunks_exact(length));
                    rows.for_each(|(out, x)| out[column..][..length].copy_from_slice(x));
                }
                column += length;
            }
        }
    });
}

/// Writes `x` into the places of `layout` in `out`; both have one shape.
pub fn assign<T: Element>(out: &mut [T], layout: &Layout, x: &Array<T>) {
    at_places(out, layout, x, |o, x| *o = x);
}

/// Adds `x` to the elements at the places of `layout` in `out`; both have one shape.
pub fn add<T: Number>(out: &mut [T], layout: &Layout, x: &Array<T>) {
    at_places(out, layout, x, |o, x| *o = o.plus(x));
}

#[inline(always)]
fn at_places<T: Element>(out: &mut [T], layout: &Layout, x: &Array<T>, f: impl Fn(&mut T, T)) {
    let data = x.storage();
    let nest = Nest::new(layout.shape(), [layout, x.layout()]);
    let (_, [s, t]) = nest.inner();
    nest.segments(0..nest.len(), |_, [p, q], n| {
        if (s, t) == (1, 1) {
            let pairs = out[p as usize..][..n].iter_mut().zip(&data[q as usize..][..n]);
            return pairs.for_each(|(o, &x)| f(o, x));
        }
        if (s, t) == (1, 0) {
            let x = data[q as usize];
            return out[p as usize..][..n].iter_mut().for_each(|o| f(o, x));
        }
        if s > 0 && t > 0 {
            // Without a check of each place.
            let places = out[p as usize..].iter_mut().step_by(s as usize);
            let elements = data[q as usize..].iter().step_by(t as usize);
            return places.zip(elements).take(n).for_each(|(o, &x)| f(o, x));
        }
        for k in 0..n as isize {
            f(&mut out[(p + k * s) as usize], data[(q + k * t) as usize]);
        }
    });
}
