//! Products with sparse matrices.

use super::copy::elements;
use crate::array::Array;
use crate::element::Float;
use crate::error::Result;
use crate::heap::{vectors, work};
use crate::shape::Dims;
use crate::simd::{self, Kernel, dispatch, multiply_add};
use crate::sparse::lines::{Across, Lines, numbers};
use crate::sparse::pattern::Pattern;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Multiplications from which a product is dealt out to threads.
const PARALLEL_FROM: usize = 1 << 16;

/// Columns of a dense operand from which the threads of a scattered product take columns of their own.
const WIDE: usize = 16;

/// Elements of one line that are added up in turn; longer lines are halved, so that rounding does not pile up.
const STRAIGHT: usize = 256;

/// A place along a line.
trait Place: Copy + Send + Sync {
    fn at(self) -> usize;
}

impl Place for u32 {
    #[inline(always)]
    fn at(self) -> usize {
        self as usize
    }
}

impl Place for i64 {
    #[inline(always)]
    fn at(self) -> usize {
        self as usize
    }
}

/// The values in the order of the lines.
pub fn in_order<'a, T: Float>(op: &'static str, lines: &Lines, values: &'a Array<T>) -> Result<Cow<'a, [T]>> {
    let values = elements(op, values)?;
    match &lines.order {
        None => Ok(values),
        Some(order) => {
            let sorted = Array::build(op, Dims::from_slice(&[values.len()]), |out| {
                super::parallel::for_parts(out, |start, part| {
                    let order = &numbers(order)[start..start + part.len()];
                    part.iter_mut().zip(order).for_each(|(out, &k)| *out = values[k as usize]);
                });
            })?;
            Ok(Cow::Owned(sorted.fresh_vec()))
        }
    }
}

/// The columns of a dense operand, and the shape of a product with it that has `m` rows.
fn product_shape<T: Float>(x: &Array<T>, m: usize) -> (usize, Dims) {
    let columns = x.shape().get(1).copied();
    (columns.unwrap_or(1), [m].into_iter().chain(columns).collect())
}

/// A x, or A^T x where `transposed`, for the sparse A of these values and a dense vector or matrix x.
pub fn product<T: Float>(
    op: &'static str,
    pattern: &Pattern,
    transposed: bool,
    values: &Array<T>,
    x: &Array<T>,
) -> Result<Array<T>> {
    let pattern = if transposed { pattern.transposed() } else { pattern.clone() };
    let [m, n] = pattern.shape();
    let (k, shape) = product_shape(x, m);
    let x = elements(op, x)?;
    // Rows are formed by themselves where elements are given row by row, else each element adds to its row.
    let dim = pattern.given().unwrap_or(usize::from(pattern.is_transposed()));
    let lines = pattern.lines(op, dim)?;
    let values = in_order(op, lines, values)?;
    let starts = numbers(&lines.starts);
    match (dim, lines.across(op, [n, m][dim])?) {
        (0, Across::Narrow(across)) => gather(op, shape, Sparse { starts, across, values: &values }, &x, k),
        (0, Across::Wide(across)) => gather(op, shape, Sparse { starts, across, values: &values }, &x, k),
        (_, Across::Narrow(across)) => scatter(shape, Sparse { starts, across, values: &values }, &x, k),
        (_, Across::Wide(across)) => scatter(shape, Sparse { starts, across, values: &values }, &x, k),
    }
}

/// A matrix line by line.
struct Sparse<'a, T, I> {
    starts: &'a [i64],
    across: &'a [I],
    values: &'a [T],
}

impl<T, I> Clone for Sparse<'_, T, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, I> Copy for Sparse<'_, T, I> {}

impl<T, I> Sparse<'_, T, I> {
    fn lines(&self) -> usize {
        self.starts.len() - 1
    }

    #[inline(always)]
    fn range(&self, line: usize) -> Range<usize> {
        self.starts[line] as usize..self.starts[line + 1] as usize
    }

    /// The lines cut into `parts` with about as many elements each.
    fn cut(&self, parts: usize) -> Vec<Range<usize>> {
        let (lines, count) = (self.lines(), self.across.len());
        let end = |p: usize| match p == parts {
            true => lines,
            false => self.starts.partition_point(|&s| (s as usize) < count * p / parts).min(lines),
        };
        (0..parts).map(|p| if p == 0 { 0..end(1) } else { end(p)..end(p + 1).max(end(p)) }).collect()
    }
}

/// Consecutive pieces of `out`, `width` elements for each number of the ranges, which cover it.
fn pieces<'a, T>(mut out: &'a mut [T], ranges: &[Range<usize>], width: usize) -> Vec<&'a mut [T]> {
    let cut =
        |range: &Range<usize>| out.split_off_mut(..range.len() * width).expect("the ranges cover the output");
    ranges.iter().map(cut).collect()
}

/// How many parts work is cut into: four for each thread even out their differences.
fn parts(work: usize) -> usize {
    if work < PARALLEL_FROM { 1 } else { 4 * rayon::current_num_threads() }
}

/// Every row of A x by itself.
fn gather<T: Float, I: Place>(
    op: &'static str,
    shape: Dims,
    a: Sparse<'_, T, I>,
    x: &[T],
    k: usize,
) -> Result<Array<T>> {
    Array::build(op, shape, |out| {
        let ranges = a.cut(parts(a.across.len().saturating_mul(k)));
        let work = pieces(out, &ranges, k).into_iter().zip(ranges);
        super::parallel::share(work, super::parallel::Order::Forwards, |(out, rows)| {
            dispatch(GatherRows { a, x, k, rows, out });
        });
    })
}

struct GatherRows<'a, T, I> {
    a: Sparse<'a, T, I>,
    x: &'a [T],
    k: usize,
    rows: Range<usize>,
    out: &'a mut [T],
}

impl<T: Float, I: Place> Kernel for GatherRows<'_, T, I> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let GatherRows { a, x, k, rows, out } = self;
        if k == 1 {
            for (out, row) in out.iter_mut().zip(rows) {
                let range = a.range(row);
                *out = sparse_dot::<T, I, FMA>(&a.across[range.clone()], &a.values[range], x);
            }
            return;
        }
        for (out, row) in out.chunks_exact_mut(k.max(1)).zip(rows) {
            out.fill(T::ZERO);
            let range = a.range(row);
            for (j, &v) in a.across[range.clone()].iter().zip(&a.values[range]) {
                let line = &x[j.at() * k..][..k];
                for (out, &x) in out.iter_mut().zip(line) {
                    *out = multiply_add::<T, FMA>(v, x, *out);
                }
            }
        }
    }
}

/// The sum of a line's elements times those of x, in four lanes.
#[inline(always)]
fn sparse_dot<T: Float, I: Place, const FMA: bool>(across: &[I], values: &[T], x: &[T]) -> T {
    if across.len() > STRAIGHT {
        return long_dot::<T, I, FMA>(across, values, x);
    }
    let (places, places_rest) = across.as_chunks::<4>();
    let (numbers, numbers_rest) = values.as_chunks::<4>();
    let mut sums = [T::ZERO; 4];
    for (j, v) in places.iter().zip(numbers) {
        for l in 0..4 {
            sums[l] = multiply_add::<T, FMA>(v[l], x[j[l].at()], sums[l]);
        }
    }
    let mut rest = T::ZERO;
    for (j, &v) in places_rest.iter().zip(numbers_rest) {
        rest = multiply_add::<T, FMA>(v, x[j.at()], rest);
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// [`sparse_dot`] of the halves of a long line.
fn long_dot<T: Float, I: Place, const FMA: bool>(across: &[I], values: &[T], x: &[T]) -> T {
    let half = (across.len() / 2).next_multiple_of(4);
    let ((a, b), (v, w)) = (across.split_at(half), values.split_at(half));
    sparse_dot::<T, I, FMA>(a, v, x) + sparse_dot::<T, I, FMA>(b, w, x)
}

/// Every element adds to its row: A x, for A column by column. The order of the additions is fixed by the shapes.
fn scatter<T: Float, I: Place>(shape: Dims, a: Sparse<'_, T, I>, x: &[T], k: usize) -> Result<Array<T>> {
    let mut out = Array::zeros(&shape)?;
    let (count, size) = (a.across.len(), out.numel());
    let work = count.saturating_mul(k);
    let y = out.fresh_mut();
    if work < PARALLEL_FROM {
        dispatch(ScatterLines { a, x, k, columns: 0..k, lines: 0..a.lines(), out: y });
        return Ok(out);
    }
    if k >= WIDE {
        // Each thread has columns of its own, which it adds to in a copy of them.
        let blocks: Vec<Range<usize>> = work::collect((0..k).step_by(8).map(|c| c..(c + 8).min(k)));
        let mut copies = work::vector(blocks.len(), Array::scalar(T::ZERO));
        blocks.par_iter().zip(&mut copies).try_for_each(|(columns, part)| -> Result<()> {
            *part = Array::zeros(&[size / k * columns.len()])?;
            let lines = 0..a.lines();
            dispatch(ScatterLines { a, x, k, columns: columns.clone(), lines, out: part.fresh_mut() });
            Ok(())
        })?;
        y.par_chunks_mut(k).enumerate().for_each(|(i, row)| {
            for (columns, part) in blocks.iter().zip(&copies) {
                let from = &part.storage()[i * columns.len()..][..columns.len()];
                row[columns.clone()].copy_from_slice(from);
            }
        });
        return Ok(out);
    }
    // Parts of the lines add up apart, as many as the additions outweigh adding the parts.
    let parts = (work / (2 * size).max(1)).clamp(1, 8);
    let mut sums: Vec<Array<T>> = (1..parts).map(|_| Array::zeros(&[size])).collect::<Result<_>>()?;
    let mut outs = vec![&mut *y];
    for sum in &mut sums {
        outs.push(sum.fresh_mut());
    }
    let jobs = outs.into_iter().zip(a.cut(parts));
    super::parallel::share(jobs, super::parallel::Order::Forwards, |(out, lines)| {
        dispatch(ScatterLines { a, x, k, columns: 0..k, lines, out });
    });
    super::parallel::for_parts(y, |start, y| {
        for sum in &sums {
            let sum = &sum.storage()[start..start + y.len()];
            y.iter_mut().zip(sum).for_each(|(y, &s)| *y += s);
        }
    });
    Ok(out)
}

struct ScatterLines<'a, T, I> {
    a: Sparse<'a, T, I>,
    x: &'a [T],
    k: usize,
    /// The columns of x that are multiplied, which are all of `out`.
    columns: Range<usize>,
    lines: Range<usize>,
    out: &'a mut [T],
}

impl<T: Float, I: Place> Kernel for ScatterLines<'_, T, I> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let ScatterLines { a, x, k, columns, lines, out } = self;
        let width = columns.len();
        for line in lines {
            let range = a.range(line);
            let elements = a.across[range.clone()].iter().zip(&a.values[range]);
            if width == 1 {
                let x = x[line * k + columns.start];
                for (i, &v) in elements {
                    let y = &mut out[i.at()];
                    *y = multiply_add::<T, FMA>(v, x, *y);
                }
                continue;
            }
            let x = &x[line * k..][columns.clone()];
            for (i, &v) in elements {
                let y = &mut out[i.at() * width..][..width];
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = multiply_add::<T, FMA>(v, x, *y);
                }
            }
        }
    }
}

/// For each element of the pattern the product of its row of u and its row of v: (u v^T) at the pattern. Vectors
/// are matrices of one column.
pub fn sampled<T: Float>(
    op: &'static str,
    pattern: &Pattern,
    u: &Array<T>,
    v: &Array<T>,
) -> Result<Array<T>> {
    let (u, v) = if pattern.is_transposed() { (v, u) } else { (u, v) };
    let pattern = pattern.upright();
    let k = u.shape().get(1).copied().unwrap_or(1);
    let (u, v) = (elements(op, u)?, elements(op, v)?);
    let count = pattern.count();
    let shape = Dims::from_slice(&[count]);
    let Some(dim) = pattern.given() else {
        let [rows, columns] = pattern.coordinates(op)?;
        let (rows, columns) = (numbers(rows), numbers(columns));
        return Array::build(op, shape, |out| {
            super::parallel::for_parts(out, |start, out| {
                let places = rows[start..].iter().zip(&columns[start..]);
                for (out, (&i, &j)) in out.iter_mut().zip(places) {
                    *out = dot(&u[i as usize * k..][..k], &v[j as usize * k..][..k]);
                }
            });
        });
    };
    let (along, over) = if dim == 0 { (&u, &v) } else { (&v, &u) };
    let lines = pattern.lines(op, dim)?;
    let starts = numbers(&lines.starts);
    let across = lines.across(op, pattern.shape()[1 - dim])?;
    Array::build(op, shape, |out| match across {
        Across::Narrow(across) => sample(Sparse { starts, across, values: &[] }, along, over, k, out),
        Across::Wide(across) => sample(Sparse { starts, across, values: &[] }, along, over, k, out),
    })
}

fn sample<T: Float, I: Place>(a: Sparse<'_, T, I>, along: &[T], over: &[T], k: usize, out: &mut [T]) {
    let ranges = a.cut(parts(out.len().saturating_mul(k)));
    let elements: Vec<_> = ranges.iter().map(|r| a.range_of(r)).collect();
    let work = pieces(out, &elements, 1).into_iter().zip(ranges.iter().zip(&elements));
    super::parallel::share(work, super::parallel::Order::Forwards, |(out, (lines, elements))| {
        for line in lines.clone() {
            let range = a.range(line);
            let out = &mut out[range.start - elements.start..range.end - elements.start];
            let across = &a.across[range];
            if k == 1 {
                let x = along[line];
                out.iter_mut().zip(across).for_each(|(out, j)| *out = x * over[j.at()]);
                continue;
            }
            let x = &along[line * k..][..k];
            out.iter_mut().zip(across).for_each(|(out, j)| *out = dot(x, &over[j.at() * k..][..k]));
        }
    });
}

impl<T, I> Sparse<'_, T, I> {
    /// The elements of consecutive lines.
    fn range_of(&self, lines: &Range<usize>) -> Range<usize> {
        self.starts[lines.start] as usize..self.starts[lines.end] as usize
    }
}

fn dot<T: Float>(u: &[T], v: &[T]) -> T {
    match (u, v) {
        ([u], [v]) => *u * *v,
        _ => simd::dot(u, v),
    }
}

/// The pattern of the product of two sparse matrices, row by row.
pub fn product_pattern(op: &'static str, a: &Pattern, b: &Pattern) -> Result<Pattern> {
    let shape = [a.shape()[0], b.shape()[1]];
    let (left, right) = (a.lines(op, 0)?, b.lines(op, 0)?);
    let (rows, columns) = (numbers(&left.starts), numbers(&left.across));
    let (next_rows, next_columns) = (numbers(&right.starts), numbers(&right.across));
    let pieces = (4 * rayon::current_num_threads()).min(shape[0]).max(1);
    let part = shape[0].div_ceil(pieces).max(1);
    let parts: Vec<(Vec<i64>, Vec<i64>)> = (0..pieces)
        .into_par_iter()
        .map(|p| {
            let rows_here = p * part..((p + 1) * part).min(shape[0]);
            let (mut counts, mut places) = (vectors::room(op, rows_here.len())?, Vec::new());
            // The row that saw a column last, counted from 1.
            let mut notes = Array::<i64>::zeros(&shape[1..])?;
            let seen = notes.fresh_mut();
            for i in rows_here {
                let first = places.len();
                for &k in &columns[rows[i] as usize..rows[i + 1] as usize] {
                    let next =
                        &next_columns[next_rows[k as usize] as usize..next_rows[k as usize + 1] as usize];
                    vectors::grow(op, &mut places, next.len())?;
                    for &j in next {
                        if std::mem::replace(&mut seen[j as usize], i as i64 + 1) != i as i64 + 1 {
                            places.push(j);
                        }
                    }
                }
                places[first..].sort_unstable();
                counts.push((places.len() - first) as i64);
            }
            Ok((counts, places))
        })
        .collect::<Result<_>>()?;
    let mut starts: Vec<i64> = vectors::room(op, shape[0].saturating_add(1))?;
    starts.push(0);
    let mut across = vectors::room(op, parts.iter().map(|(_, places)| places.len()).sum())?;
    for (counts, places) in parts {
        for count in counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        across.extend(places);
    }
    let (m, count) = (starts.len(), across.len());
    let lines = Lines::new(Array::from_vec(starts, &[m])?, Array::from_vec(across, &[count])?, None);
    Ok(Pattern::of_lines(0, lines, shape))
}

/// The values of A B at the places of `out`, for sparse A and B.
pub fn masked<T: Float>(
    op: &'static str,
    out: &Pattern,
    (a, a_values): (&Pattern, &Array<T>),
    (b, b_values): (&Pattern, &Array<T>),
) -> Result<Array<T>> {
    let [mask, left, right] = [out.lines(op, 0)?, a.lines(op, 0)?, b.lines(op, 0)?];
    let (a_values, b_values) = (in_order(op, left, a_values)?, in_order(op, right, b_values)?);
    let [(starts, across), (rows, columns), (next_rows, next_columns)] =
        [mask, left, right].map(|lines| (numbers(&lines.starts), numbers(&lines.across)));
    let whole = Sparse::<T, i64> { starts, across, values: &[] };
    let width = out.shape()[1];
    let mut sums = Array::build(op, Dims::from_slice(&[across.len()]), |_| {})?;
    let ranges = whole.cut(parts(a_values.len().saturating_mul(4)));
    let elements: Vec<_> = ranges.iter().map(|r| whole.range_of(r)).collect();
    let work: Vec<_> =
        pieces(sums.fresh_mut(), &elements, 1).into_iter().zip(ranges.iter().zip(&elements)).collect();
    work.into_par_iter().try_for_each(|(sums, (lines, elements))| -> Result<()> {
        // For each column the row that has it latest, counted from 1, and where its sum lies in that row.
        let (mut notes, mut places) = (Array::<i64>::zeros(&[width])?, Array::<i64>::zeros(&[width])?);
        let (noted, place) = (notes.fresh_mut(), places.fresh_mut());
        for i in lines.clone() {
            let range = whole.range(i);
            let row = &mut sums[range.start - elements.start..range.end - elements.start];
            row.fill(T::ZERO);
            for (at, &j) in across[range].iter().enumerate() {
                (noted[j as usize], place[j as usize]) = (i as i64 + 1, at as i64);
            }
            for e in rows[i] as usize..rows[i + 1] as usize {
                let k = columns[e] as usize;
                for f in next_rows[k] as usize..next_rows[k + 1] as usize {
                    let j = next_columns[f] as usize;
                    if noted[j] == i as i64 + 1 {
                        row[place[j] as usize] += a_values[e] * b_values[f];
                    }
                }
            }
        }
        Ok(())
    })?;
    match &mask.order {
        None => Ok(sums),
        Some(order) => {
            let sums = sums.fresh_vec();
            Array::build(op, Dims::from_slice(&[sums.len()]), |out| {
                numbers(order).iter().zip(&sums).for_each(|(&k, &s)| out[k as usize] = s);
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let (m, n, each) = (20_000, 700, 9);
        let count = m * each;
        let number = |k: usize| ((k * 37 % 101) as f32 - 50.0) / 7.0;
        let vector = |n: usize| Array::from_vec((0..n).map(number).collect(), &[n]).unwrap();
        let places = |f: &dyn Fn(usize) -> usize| {
            Array::from_vec((0..count).map(|k| f(k) as i64).collect(), &[count]).unwrap()
        };
        let (rows, columns) = (places(&|k| k / each), places(&|k| k % each * 77 + k / each % 77));
        let a = Pattern::of_coordinates([rows, columns], [m, n]);
        let by_columns = a.sorted("test", 1).unwrap().0;
        let (values, x, y) = (vector(count), vector(n), vector(m));
        let wide = Array::from_vec((0..m * 20).map(number).collect(), &[m, 20]).unwrap();
        let gram = product_pattern("test", &a.transposed(), &a).unwrap();
        let all = || {
            let results = [
                product("test", &a, false, &values, &x),
                product("test", &a, true, &values, &y),
                product("test", &a, true, &values, &wide),
                product("test", &by_columns, false, &values, &x),
                sampled("test", &a, &y, &x),
                masked("test", &gram, (&a.transposed(), &values), (&a, &values)),
            ];
            results.map(|r| r.unwrap().to_vec().into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let [one, two, three] = [1, 2, 3].map(|threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all)
        });
        assert!(one == two && one == three);
    }
}
