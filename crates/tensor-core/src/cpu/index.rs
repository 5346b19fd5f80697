//! Kernels that find or place elements by index.

use super::copy::{elements, strided};
use super::parallel::{MIN_ELEMENTS, Order, deal_parts, for_parts, for_pieces, part_of, share};
use super::reduce::line;
use crate::array::Array;
use crate::element::{Element, Number};
use crate::error::{Error, Result};
use crate::heap::work;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::reduction::{Max, Min, Reduction};
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch, plain};
use std::hint::select_unpredictable;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The index of the first extreme element along `dim`, which is not empty: of the largest, or of the
/// smallest where `smallest`. NaN counts as more extreme than anything.
pub fn arg_extreme<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    let step = x.layout().strides()[dim];
    // Of elements that are one and the same the first is the answer.
    let len = if step == 0 { 1 } else { x.shape()[dim] };
    let first = x.slice(op, dim, 0, 1, 1)?.remove_dim(op, dim)?;
    let data = x.storage();
    let shape = Dims::from_slice(first.shape());
    let nest = Nest::new(&shape, [&x.layout().slice(dim, 0, 1, 1).remove_dim(dim)]);
    let mut places = Array::build(op, shape, |_| {})?;
    let out = places.fresh_mut();
    let (_, [across]) = nest.inner();
    nest.segments(0..out.len(), |position, [start], count| {
        let out = &mut out[position..][..count];
        match smallest {
            _ if step != 1 || len < SCANNED => {
                for (k, o) in out.iter_mut().enumerate() {
                    *o = first_extreme(data, start + k as isize * across, step, len, smallest);
                }
            }
            true => dispatch(Extremes { data, start, across, len, out, r: Min }),
            false => dispatch(Extremes { data, start, across, len, out, r: Max }),
        }
    });
    Ok(places)
}

/// Lines of fewer elements are not worth a look at all of them before the extreme one is looked for.
const SCANNED: usize = 32;

fn first_extreme<T: Number>(data: &[T], start: isize, step: isize, len: usize, smallest: bool) -> i64 {
    let (mut best, mut at) = (data[start as usize], 0);
    for i in 1..len {
        let x = data[(start + i as isize * step) as usize];
        let better = if smallest { x < best } else { x > best };
        if better || (x.is_nan() && !best.is_nan()) {
            (best, at) = (x, i as i64);
        }
    }
    at
}

/// Contiguous lines, which begin `across` apart: the index of the first extreme element of each.
struct Extremes<'a, T, R> {
    data: &'a [T],
    start: isize,
    across: isize,
    len: usize,
    out: &'a mut [i64],
    r: R,
}

impl<T: Number, R: Reduction<T>> Kernel for Extremes<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        /// Elements that are still in the first-level cache when the extreme one is looked for.
        const BLOCK: usize = 2048;
        let Extremes { data, start, across, len, out, r } = self;
        let same = |x: T, y: T| (x == y) | (x.is_nan() & y.is_nan());
        for (k, o) in out.iter_mut().enumerate() {
            let x = &data[(start + k as isize * across) as usize..][..len];
            let (mut best, mut from) = (x[0], 0);
            for (block, x) in x.chunks(BLOCK).enumerate() {
                let beyond = r.combine(best, line(x, r, |x| x));
                if !same(beyond, best) {
                    (best, from) = (beyond, block * BLOCK);
                }
            }
            // By chunks, in which nothing depends on what was found.
            let found = |x: &[T]| x.iter().fold(false, |any, &x| any | same(x, best));
            while let Some((chunk, _)) = x[from..].split_first_chunk::<16>()
                && !found(chunk)
            {
                from += 16;
            }
            *o = x[from..].iter().position(|&x| same(x, best)).map_or(0, |at| (from + at) as i64);
        }
    }
}

/// What an index names along a dimension: where it lies, and for each of its elements the place in a buffer that it
/// would have if the index were 0 there.
struct Walk<'a> {
    index: &'a [i64],
    nest: Nest<2>,
    /// The elements along the dimension, and how far they lie apart.
    n: usize,
    step: isize,
    /// Of the innermost loop, where one number of the index stands for all of it, and the nest is that of the others:
    /// its length and its step.
    line: Option<(usize, isize)>,
}

impl<'a> Walk<'a> {
    fn new(layout: &Layout, dim: usize, index: &'a Array<i64>) -> Self {
        let mut strides = layout.strides();
        let step = std::mem::replace(&mut strides[dim], 0);
        let moved = Layout::strided(Dims::from_slice(index.shape()), &strides, layout.offset());
        let nest = Nest::new(index.shape(), [index.layout(), &moved]);
        let (index, n) = (index.storage(), layout.shape()[dim]);
        match nest.inner() {
            (len, [0, t]) if len > 1 => {
                let others = nest.dims()[..nest.dims().len() - 1].iter().copied();
                Walk { index, nest: Nest::of(others, nest.start()), n, step, line: Some((len, t)) }
            }
            _ => Walk { index, nest, n, step, line: None },
        }
    }

    /// How many elements one number of the index stands for.
    fn each(&self) -> usize {
        self.line.map_or(1, |(len, _)| len)
    }

    /// The error of the first number that is out of range.
    #[cold]
    fn out_of_range(&self, op: &'static str, dim: usize, shape: &[usize]) -> Error {
        let (_, [s, _]) = self.nest.inner();
        let mut wrong = None;
        self.nest.segments(0..self.nest.len(), |_, [p, _], count| {
            let numbers = (0..count as isize).map(|k| self.index[(p + k * s) as usize]);
            wrong = wrong.or_else(|| numbers.into_iter().find(|&i| place_of(i, self.n) >= self.n));
        });
        out_of_range(op, wrong.unwrap_or_default(), dim, shape)
    }
}

#[cold]
fn out_of_range(op: &'static str, i: i64, dim: usize, shape: &[usize]) -> Error {
    let n = shape[dim];
    let message =
        format!("index {i} is out of range for dimension {dim} of shape {shape:?}: it has {n} elements");
    Error::index(op, message)
}

/// A number of an index, counted from the front of `n` elements: `n` or more where it is out of range.
#[inline(always)]
fn place_of(i: i64, n: usize) -> usize {
    (if i < 0 { i.wrapping_add(n as i64) } else { i }) as usize
}

/// The elements of `x` at `index` along `dim`, at the index's own place in the other dimensions, in
/// which it is no larger than `x`.
pub fn gather<T: Element>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    index: &Array<i64>,
) -> Result<Array<T>> {
    let walk = Walk::new(x.layout(), dim, index);
    if walk.n == 0 && index.numel() > 0 {
        return Err(walk.out_of_range(op, dim, x.shape()));
    }
    let wrong = AtomicBool::new(false);
    let values = Array::build(op, Dims::from_slice(index.shape()), |out| {
        for_pieces(out, if walk.each() > 1 { walk.each() } else { 64 }, |from, out| {
            let gather = Gather { walk: &walk, data: x.storage(), from, out };
            // The processor's own gathers of four bytes take longer than as many loads.
            if if size_of::<T>() == 4 { plain(gather) } else { dispatch(gather) } {
                wrong.store(true, Relaxed);
            }
        });
    })?;
    if wrong.into_inner() { Err(walk.out_of_range(op, dim, x.shape())) } else { Ok(values) }
}

/// Reads what the index names, from a position in row-major order on; whether a number is out of range, in whose
/// place the last element is read.
struct Gather<'a, T> {
    walk: &'a Walk<'a>,
    data: &'a [T],
    from: usize,
    out: &'a mut [T],
}

impl<T: Element> Kernel for Gather<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> bool {
        let Gather { walk, data, from, out } = self;
        let &Walk { index, ref nest, n, step, line } = walk;
        let (_, [s, t]) = nest.inner();
        let (each, mut wrong) = (walk.each(), false);
        nest.segments(from / each..(from + out.len()) / each, |position, [p, q], count| {
            let out = &mut out[position * each - from..][..count * each];
            match line {
                Some((len, along)) => {
                    for (k, out) in out.chunks_exact_mut(len).enumerate() {
                        let at = place_of(index[(p + k as isize * s) as usize], n);
                        wrong |= at >= n;
                        strided(out, data, q + k as isize * t + at.min(n - 1) as isize * step, along);
                    }
                }
                None if (s, t, step) == (1, 0, 1) => {
                    let (row, mut any) = (&data[q as usize..][..n], false);
                    for (out, &i) in out.iter_mut().zip(&index[p as usize..][..count]) {
                        let at = place_of(i, row.len());
                        any |= at >= row.len();
                        *out = row[at.min(row.len() - 1)];
                    }
                    wrong |= any;
                }
                None => {
                    for (k, out) in out.iter_mut().enumerate() {
                        let at = place_of(index[(p + k as isize * s) as usize], n);
                        wrong |= at >= n;
                        *out = data[(q + k as isize * t + at.min(n - 1) as isize * step) as usize];
                    }
                }
            }
        });
        wrong
    }
}

/// An index along a dimension of `x`, from its beginning.
pub(super) fn places<T: Element>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    index: &[i64],
) -> Result<Vec<usize>> {
    let size = x.shape()[dim];
    let mut places = work::vector(index.len(), 0);
    for (place, &i) in places.iter_mut().zip(index) {
        *place = place_of(i, size);
        if *place >= size {
            return Err(out_of_range(op, i, dim, x.shape()));
        }
    }
    Ok(places)
}

/// `x` with each element of `source` added at `index` along `dim`, at the index's own place in the
/// other dimensions, in row-major order; `source` has the shape of `index`.
pub fn scatter_add<T: Number>(
    op: &'static str,
    mut x: Array<T>,
    dim: usize,
    index: &Array<i64>,
    source: &Array<T>,
) -> Result<Array<T>> {
    let added = elements(op, source)?;
    let layout = Layout::row_major(Dims::from_slice(x.shape()));
    let walk = Walk::new(&layout, dim, index);
    if walk.n == 0 && index.numel() > 0 {
        return Err(walk.out_of_range(op, dim, layout.shape()));
    }
    if x.as_mut_slice().is_none() {
        x = super::copy::copy(op, &x)?;
    }
    if index.numel() == 0 {
        return Ok(x);
    }
    /// Elements for which one number of an index stands from which all threads can read the whole index.
    const FEW: usize = 8;
    let wrong = AtomicBool::new(false);
    let add = |start: usize, out: &mut [T], positions: Range<usize>, taken: Range<usize>| {
        if dispatch(Scatter { walk: &walk, added: &added, positions, taken, start, out }) {
            wrong.store(true, Relaxed);
        }
    };
    let out = x.fresh_mut();
    // Each thread has places of its own, and adds there in row-major order.
    let (outer, all) = (layout.shape()[..dim].iter().product::<usize>(), 0..walk.n);
    let (numbers, threads) = (walk.nest.len(), rayon::current_num_threads());
    if index.numel() < MIN_ELEMENTS || threads == 1 {
        add(0, out, 0..numbers, all);
    } else if outer > 1 && index.shape()[..dim] == layout.shape()[..dim] && numbers % outer == 0 {
        let (block, each) = (out.len() / outer, numbers / outer);
        let count = part_of(outer);
        let parts = out.chunks_mut(count * block).enumerate();
        share(parts, Order::Forwards, |(k, out)| {
            let first = k * count;
            add(first * block, out, first * each..(first + out.len() / block) * each, all.clone());
        });
    } else if outer == 1 && walk.each() >= FEW {
        let block = out.len() / walk.n;
        let count = walk.n.div_ceil(threads);
        let parts = out.chunks_mut(count * block).enumerate();
        share(parts, Order::Forwards, |(k, out)| {
            let first = k * count;
            add(first * block, out, 0..numbers, first..first + out.len() / block);
        });
    } else {
        add(0, out, 0..numbers, all);
    }
    if wrong.into_inner() { Err(walk.out_of_range(op, dim, layout.shape())) } else { Ok(x) }
}

/// Adds at the numbers of the index whose positions these are, as far as they are in `taken`, in a part of the result
/// that begins at `start`; whether a number is out of range, in whose place nothing is of use.
struct Scatter<'a, T> {
    walk: &'a Walk<'a>,
    added: &'a [T],
    positions: Range<usize>,
    taken: Range<usize>,
    start: usize,
    out: &'a mut [T],
}

impl<T: Number> Kernel for Scatter<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> bool {
        let Scatter { walk, added, positions, taken, start, out } = self;
        let &Walk { index, ref nest, n, step, line } = walk;
        let (_, [s, t]) = nest.inner();
        let (each, mut wrong) = (walk.each(), false);
        nest.segments(positions, |position, [p, q], count| {
            let added = &added[position * each..][..count * each];
            let q = q - start as isize;
            match line {
                Some((len, along)) => {
                    for (k, added) in added.chunks_exact(len).enumerate() {
                        let at = place_of(index[(p + k as isize * s) as usize], n);
                        wrong |= at >= n;
                        if !taken.contains(&at) {
                            continue;
                        }
                        let place = q + k as isize * t + at as isize * step;
                        if along == 1 {
                            for (out, &x) in out[place as usize..][..len].iter_mut().zip(added) {
                                *out = out.plus(x);
                            }
                            continue;
                        }
                        for (k, &x) in added.iter().enumerate() {
                            let out = &mut out[(place + k as isize * along) as usize];
                            *out = out.plus(x);
                        }
                    }
                }
                None if (s, t, step) == (1, 0, 1) => {
                    let (row, mut any) = (&mut out[q as usize..][..n], false);
                    for (&i, &x) in index[p as usize..][..count].iter().zip(added) {
                        let at = place_of(i, n);
                        any |= at >= n;
                        let out = &mut row[at.min(n - 1)];
                        *out = out.plus(x);
                    }
                    wrong |= any;
                }
                None => {
                    for (k, &x) in added.iter().enumerate() {
                        let at = place_of(index[(p + k as isize * s) as usize], n);
                        wrong |= at >= n;
                        let place = q + k as isize * t + at.min(n - 1) as isize * step;
                        let out = &mut out[place as usize];
                        *out = out.plus(x);
                    }
                }
            }
        });
        wrong
    }
}

/// The positions of the true elements, in row-major order.
pub fn positions(op: &'static str, mask: &Array<bool>) -> Result<Array<i64>> {
    /// Elements that are looked at in one go.
    const STRETCH: usize = 1 << 14;
    /// Positions that are collected where there is room for all, so that none is a branch.
    const ROOM: usize = 64;
    let mask = elements(op, mask)?;
    let mut counts = work::vector(mask.len().div_ceil(STRETCH), 0);
    let count = |start: usize, counts: &mut [usize]| {
        for (mask, count) in mask[start * STRETCH..].chunks(STRETCH).zip(counts) {
            *count = mask.iter().map(|&m| usize::from(m)).sum();
        }
    };
    let wide = mask.len() >= MIN_ELEMENTS;
    if wide {
        deal_parts(&mut counts, 1, &count)
    } else {
        count(0, &mut counts)
    }
    let find = |(k, (mask, mut out)): (usize, (&[bool], &mut [i64]))| {
        for (mask, first) in mask.chunks(ROOM).zip((k * STRETCH..).step_by(ROOM)) {
            let (mut found, mut some) = ([0; ROOM], 0);
            for (i, &m) in mask.iter().enumerate() {
                found[some % ROOM] = (first + i) as i64;
                some += usize::from(m);
            }
            let (next, rest) = out.split_at_mut(some);
            next.copy_from_slice(&found[..some]);
            out = rest;
        }
    };
    Array::build(op, Dims::from_slice(&[counts.iter().sum()]), |mut out| {
        let parts = mask.chunks(STRETCH).zip(&counts).map(|(mask, &count)| {
            let (own, rest) = std::mem::take(&mut out).split_at_mut(count);
            out = rest;
            (mask, own)
        });
        if wide { share(parts.enumerate(), Order::Forwards, find) } else { parts.enumerate().for_each(find) }
    })
}

/// Where each of `values` would go into `sorted`, a vector in order: before what is equal, or after it
/// where `right`. NaN goes to the end.
pub fn searchsorted<T: Number>(
    op: &'static str,
    sorted: &Array<T>,
    values: &Array<T>,
    right: bool,
) -> Result<Array<i64>> {
    let (sorted, elements) = (elements(op, sorted)?, elements(op, values)?);
    Array::build(op, Dims::from_slice(values.shape()), |out| {
        for_parts(out, |from, out| {
            let values = &elements[from..][..out.len()];
            dispatch(Search { sorted: &sorted, values, right, out });
        });
    })
}

/// Searches by halves, several at once, as each step of one waits for memory.
struct Search<'a, T> {
    sorted: &'a [T],
    values: &'a [T],
    right: bool,
    out: &'a mut [i64],
}

impl<T: Number> Kernel for Search<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        const TOGETHER: usize = 8;
        let Search { sorted, values, right, out } = self;
        let (chunks, rest) = values.as_chunks::<TOGETHER>();
        let (out_chunks, out_rest) = out.as_chunks_mut::<TOGETHER>();
        for (values, out) in chunks.iter().zip(out_chunks) {
            search(sorted, values, right, out);
        }
        for (&value, out) in rest.iter().zip(out_rest) {
            search(sorted, &[value], right, std::array::from_mut(out));
        }
    }
}

#[inline(always)]
fn search<T: Number, const N: usize>(sorted: &[T], values: &[T; N], right: bool, out: &mut [i64; N]) {
    let before = |s: T, v: T| (s < v) | (right & (s == v)) | (v.is_nan() & (right | !s.is_nan()));
    let (mut from, mut size) = ([0; N], sorted.len());
    if size == 0 {
        return out.fill(0);
    }
    while size > 1 {
        let half = size / 2;
        for (from, &v) in from.iter_mut().zip(values) {
            // Computed, and not guessed.
            *from = select_unpredictable(before(sorted[*from + half], v), *from + half, *from);
        }
        size -= half;
    }
    for ((out, &from), &v) in out.iter_mut().zip(&from).zip(values) {
        *out = (from + usize::from(before(sorted[from], v))) as i64;
    }
}

#[cfg(test)]
mod tests;
