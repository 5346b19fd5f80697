//! Kernels that find or place elements by index.

use super::copy::elements;
use super::parallel::for_pieces;
use super::reduce::line;
use crate::array::Array;
use crate::element::{Element, Number};
use crate::error::{Error, Result};
use crate::formula::on_cpu;
use crate::heap::{vectors, work};
use crate::layout::Layout;
use crate::nest::Nest;
use crate::reduction::{Max, Min, Reduction};
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch};

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

/// The layout of what an index of `shape` selects from along `dim`, before the index moves it; and
/// how far one step of the index goes.
fn indexed(layout: &Layout, shape: &[usize], dim: usize) -> (Layout, isize) {
    let mut strides = layout.strides();
    let step = std::mem::replace(&mut strides[dim], 0);
    (Layout::strided(Dims::from_slice(shape), &strides, layout.offset()), step)
}

/// Calls `f(place, position)` for every element of `index`, in row-major order: its place in the
/// buffer behind `layout`, and its position among the elements. Negative indices count from the end.
fn each_place(
    op: &'static str,
    layout: &Layout,
    dim: usize,
    index: &Array<i64>,
    mut f: impl FnMut(usize, usize),
) -> Result<()> {
    let n = layout.shape()[dim] as i64;
    let (moved, step) = indexed(layout, index.shape(), dim);
    let nest = Nest::new(index.shape(), [index.layout(), &moved]);
    let (_, [s, t]) = nest.inner();
    let data = index.storage();
    let mut wrong = None;
    nest.segments(0..nest.len(), |position, [p, q], count| {
        for k in 0..count as isize {
            let i = data[(p + k * s) as usize];
            let at = if i < 0 { i.saturating_add(n) } else { i };
            if at < 0 || at >= n {
                wrong.get_or_insert(i);
                return;
            }
            f((q + k * t + at as isize * step) as usize, position + k as usize);
        }
    });
    wrong.map_or(Ok(()), |i| Err(out_of_range(op, i, dim, layout.shape())))
}

fn out_of_range(op: &'static str, i: i64, dim: usize, shape: &[usize]) -> Error {
    let n = shape[dim];
    let message =
        format!("index {i} is out of range for dimension {dim} of shape {shape:?}: it has {n} elements");
    Error::index(op, message)
}

/// The elements of `x` at `index` along `dim`, at the index's own place in the other dimensions, in
/// which it is no larger than `x`.
pub fn gather<T: Element>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    index: &Array<i64>,
) -> Result<Array<T>> {
    let data = x.storage();
    let mut values = Array::build(op, Dims::from_slice(index.shape()), |_| {})?;
    let out = values.fresh_mut();
    if let Some(lines) = lines_of(x, dim, index) {
        return copy_lines(op, x, dim, &lines, out).map(|()| values);
    }
    each_place(op, x.layout(), dim, index, |place, position| out[position] = data[place])?;
    Ok(values)
}

/// Elements of a line that is copied as such.
const SHORTEST: usize = 4;

/// The index as a vector, where it is one that is repeated over all other dimensions, and these are those of a
/// row-major `x`: then it names whole lines of memory.
fn lines_of<T: Element>(x: &Array<T>, dim: usize, index: &Array<i64>) -> Option<Vec<i64>> {
    let (shape, strides) = (index.shape(), index.layout().strides());
    let others = || (0..shape.len()).filter(|&k| k != dim);
    let repeated = others().all(|k| shape[k] == x.shape()[k] && (strides[k] == 0 || shape[k] == 1));
    let inner: usize = shape[dim + 1..].iter().product();
    (x.layout().is_contiguous() && repeated && inner >= SHORTEST && index.numel() > 0).then(|| {
        let place = |k: usize| (index.layout().offset() as isize + k as isize * strides[dim]) as usize;
        work::collect((0..shape[dim]).map(|k| index.storage()[place(k)]))
    })
}

/// out = the lines of a row-major `x` that `lines` names along `dim`.
fn copy_lines<T: Element>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    lines: &[i64],
    out: &mut [T],
) -> Result<()> {
    let size = x.shape()[dim];
    let mut places = work::vector(lines.len(), 0);
    for (place, &line) in places.iter_mut().zip(lines) {
        let at = if line < 0 { line.saturating_add(size as i64) } else { line };
        let inside = usize::try_from(at).ok().filter(|&at| at < size);
        *place = inside.ok_or_else(|| out_of_range(op, line, dim, x.shape()))?;
    }
    let inner: usize = x.shape()[dim + 1..].iter().product();
    let data = &x.storage()[x.layout().offset()..];
    for_pieces(out, inner, |from, out| {
        for (k, out) in out.chunks_mut(inner).enumerate() {
            let (block, line) = ((from / inner + k) / places.len(), (from / inner + k) % places.len());
            out.copy_from_slice(&data[(block * size + places[line]) * inner..][..inner]);
        }
    });
    Ok(())
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
    if x.as_mut_slice().is_none() {
        x = super::copy::copy(op, &x)?;
    }
    let out = x.fresh_mut();
    each_place(op, &layout, dim, index, |place, position| out[place] = out[place].plus(added[position]))?;
    Ok(x)
}

/// The positions of the true elements, in row-major order.
pub fn positions(op: &'static str, mask: &Array<bool>) -> Result<Array<i64>> {
    let mask = elements(op, mask)?;
    let count = mask.iter().filter(|m| **m).count();
    Array::build(op, Dims::from_slice(&[count]), |out| {
        let places = mask.iter().zip(0..).filter(|(m, _)| **m);
        out.iter_mut().zip(places).for_each(|(out, (_, i))| *out = i);
    })
}

/// The running sums along `dim`, from the end where `reverse`.
pub fn cumsum<T: Number>(op: &'static str, x: &Array<T>, dim: usize, reverse: bool) -> Result<Array<T>> {
    let mut out = super::copy::copy(op, x)?;
    let n = x.shape()[dim];
    let inner: usize = x.shape()[dim + 1..].iter().product();
    let block = n * inner;
    if block == 0 {
        return Ok(out);
    }
    if inner == 1 {
        for_pieces(out.fresh_mut(), n, |_, rows| running_sums(rows, n, reverse));
        return Ok(out);
    }
    for block in out.fresh_mut().chunks_exact_mut(block) {
        for k in 1..n {
            // Row by row, so that the inner loop runs along memory.
            let (from, to) = if reverse { (n - k, n - k - 1) } else { (k - 1, k) };
            for i in 0..inner {
                block[to * inner + i] = block[to * inner + i].plus(block[from * inner + i]);
            }
        }
    }
    Ok(out)
}

/// The running sums of rows of `n`, several rows at once, as each sum waits for the one before.
fn running_sums<T: Number>(rows: &mut [T], n: usize, reverse: bool) {
    const TOGETHER: usize = 8;
    let step = |k: usize| if reverse { n - 1 - k } else { k };
    let mut groups = rows.chunks_exact_mut(TOGETHER * n);
    for group in &mut groups {
        let mut sums = [T::ZERO; TOGETHER];
        let mut lines = group.chunks_exact_mut(n);
        let mut lines: [&mut [T]; TOGETHER] = std::array::from_fn(|_| lines.next().unwrap_or_default());
        for k in 0..n {
            for (sum, line) in sums.iter_mut().zip(&mut lines) {
                let x = &mut line[step(k)];
                *sum = if k == 0 { *x } else { sum.plus(*x) };
                *x = *sum;
            }
        }
    }
    for row in groups.into_remainder().chunks_exact_mut(n) {
        for k in 1..n {
            row[step(k)] = row[step(k)].plus(row[step(k - 1)]);
        }
    }
}

/// The index of the extreme element so far along `dim`, of the last where several are equal: of the
/// largest, or of the smallest where `smallest`. NaN counts as more extreme than anything.
pub fn cum_arg_extreme<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    let n = x.shape()[dim];
    let inner: usize = x.shape()[dim + 1..].iter().product();
    let values = elements(op, x)?;
    let mut all = Array::<i64>::zeros(x.shape())?;
    let places = all.fresh_mut();
    for start in (0..values.len()).step_by((n * inner).max(1)) {
        for i in 0..inner {
            let at = |k: usize| start + k * inner + i;
            let mut best = 0;
            for k in 1..n {
                let (x, so_far) = (values[at(k)], values[at(best)]);
                let beyond = if smallest { x <= so_far } else { x >= so_far };
                if beyond || x.is_nan() {
                    best = k;
                }
                places[at(k)] = best as i64;
            }
        }
    }
    Ok(all)
}

/// Where each of `values` would go into `sorted`, a vector in order: before what is equal, or after it
/// where `right`. NaN goes to the end.
pub fn searchsorted<T: Number>(
    op: &'static str,
    sorted: &Array<T>,
    values: &Array<T>,
    right: bool,
) -> Result<Array<i64>> {
    let sorted = elements(op, sorted)?;
    let place = |v: T| {
        sorted.partition_point(|&s| match (s.is_nan(), v.is_nan()) {
            (true, true) => right,
            (s, v) if s != v => v,
            _ => s < v || (right && s == v),
        }) as i64
    };
    super::map::map(op, values, &on_cpu(place))
}

/// The order that sorts the elements along `dim`: equal ones keep theirs, and NaN counts as larger
/// than everything.
pub fn argsort<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
) -> Result<Array<i64>> {
    let n = x.shape()[dim];
    let step = x.layout().strides()[dim];
    let mut order = Array::<i64>::build(op, Dims::from_slice(x.shape()), |_| {})?;
    if x.numel() == 0 {
        return Ok(order);
    }
    let whole = Layout::row_major(Dims::from_slice(x.shape()));
    let along = whole.strides()[dim];
    let starts = [&whole.slice(dim, 0, 1, 1), &x.layout().slice(dim, 0, 1, 1)];
    let nest = Nest::new(starts[0].shape(), starts);
    let (_, [s, t]) = nest.inner();
    let (data, out) = (x.storage(), order.fresh_mut());
    let mut places: Vec<usize> = vectors::room(op, n)?;
    nest.segments(0..nest.len(), |_, [p, q], count| {
        for k in 0..count as isize {
            let at = |i: usize| data[(q + k * t + i as isize * step) as usize];
            places.clear();
            places.extend(0..n);
            let rank = |a: T, b: T| match (a.is_nan(), b.is_nan()) {
                (false, false) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
                (a, b) => a.cmp(&b),
            };
            // By the place where elements are equal: a stable sort takes memory that it does not ask for.
            places.sort_unstable_by(|&i, &j| {
                let (a, b) = (at(i), at(j));
                if descending { rank(b, a) } else { rank(a, b) }.then(i.cmp(&j))
            });
            for (i, &place) in places.iter().enumerate() {
                out[(p + k * s + i as isize * along) as usize] = place as i64;
            }
        }
    });
    Ok(order)
}
