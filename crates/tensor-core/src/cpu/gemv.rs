//! Matrix-vector product `y = alpha A x + beta y` for any strides of `A`.
//!
//! A matrix with contiguous rows or columns is a family of contiguous
//! [`Lines`]. With rows, `y` holds the dot products of the lines with `x`;
//! with columns, it is the sum of the lines weighted by `x`. Either way `A`
//! is read once, in the order of its memory.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::simd::{Kernel, add_rows, dispatch, dot_line, dot_rows, has_16_lanes, multiply_add};
use crate::element::Float;

/// Elements of `A` from which threads pay: below it the work takes less than
/// waking them.
pub(crate) const PARALLEL_FROM: usize = 1 << 17;

/// Elements of `A` in one parallel task, at least.
const TASK: usize = 1 << 15;

/// Elements of `y` that stay in the first-level cache while lines are added.
const BLOCK: usize = 2048;

/// Length of `y` from which blocks of `y` alone make enough tasks.
const LONG: usize = 1 << 16;

/// A matrix in memory: element `(i, j)` is `data[offset + i row_stride + j col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, T> {
    data: &'a [T],
    offset: usize,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
}

/// A vector in memory: element `i` is `data[offset + i stride]`.
#[derive(Clone, Copy, Debug)]
pub struct VecRef<'a, T> {
    data: &'a [T],
    offset: usize,
    len: usize,
    stride: isize,
}

/// Whether every index `offset + Σ i_k stride_k`, `0 <= i_k < size_k`, is below `len`.
fn fits(len: usize, offset: usize, axes: &[(usize, isize)]) -> bool {
    if axes.iter().any(|&(size, _)| size == 0) {
        return true;
    }
    let (mut low, mut high) = (offset as i128, offset as i128);
    for &(size, stride) in axes {
        let reach = (size as i128 - 1) * stride as i128;
        low += reach.min(0);
        high += reach.max(0);
    }
    low >= 0 && high < len as i128
}

impl<'a, T: Float> MatRef<'a, T> {
    /// The view, or `None` where an element would lie outside of `data`.
    pub fn new(
        data: &'a [T],
        offset: usize,
        (rows, cols): (usize, usize),
        (row_stride, col_stride): (isize, isize),
    ) -> Option<Self> {
        fits(data.len(), offset, &[(rows, row_stride), (cols, col_stride)]).then_some(MatRef {
            data,
            offset,
            rows,
            cols,
            row_stride,
            col_stride,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The transpose, which shares the memory.
    pub fn transposed(self) -> Self {
        MatRef {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// The rows as lines, if they are contiguous.
    pub(crate) fn row_lines(&self) -> Option<Lines<'a, T>> {
        (self.col_stride == 1 || self.cols <= 1).then_some(Lines {
            data: self.data,
            start: self.offset,
            stride: self.row_stride,
            count: self.rows,
            len: self.cols,
        })
    }

    fn row(&self, i: usize) -> VecRef<'a, T> {
        VecRef {
            data: self.data,
            offset: step(self.offset, i, self.row_stride),
            len: self.cols,
            stride: self.col_stride,
        }
    }
}

impl<'a, T: Float> VecRef<'a, T> {
    /// The view, or `None` where an element would lie outside of `data`.
    pub fn new(data: &'a [T], offset: usize, len: usize, stride: isize) -> Option<Self> {
        fits(data.len(), offset, &[(len, stride)]).then_some(VecRef {
            data,
            offset,
            len,
            stride,
        })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> T {
        self.data[step(self.offset, i, self.stride)]
    }

    pub(crate) fn slice(self, part: Range<usize>) -> Self {
        VecRef {
            offset: step(self.offset, part.start, self.stride),
            len: part.len(),
            ..self
        }
    }

    /// The elements side by side, copied only if they are not.
    pub(crate) fn contiguous(&self) -> Cow<'a, [T]> {
        if self.len == 0 {
            Cow::Borrowed(&[])
        } else if self.stride == 1 {
            Cow::Borrowed(&self.data[self.offset..self.offset + self.len])
        } else {
            (0..self.len).map(|i| self.at(i)).collect()
        }
    }
}

/// `start + i stride`. It may leave the memory for an `i` past the end, which
/// no view reads; wrapping keeps that from being an overflow.
#[inline(always)]
fn step(start: usize, i: usize, stride: isize) -> usize {
    start.wrapping_add(i.wrapping_mul(stride as usize))
}

/// Contiguous lines of equal length, at a constant distance.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a, T> {
    data: &'a [T],
    start: usize,
    stride: isize,
    pub(crate) count: usize,
    pub(crate) len: usize,
}

impl<'a, T: Float> Lines<'a, T> {
    #[inline(always)]
    pub(crate) fn line(&self, i: usize) -> &'a [T] {
        let start = step(self.start, i, self.stride);
        &self.data[start..start + self.len]
    }

    #[inline(always)]
    pub(crate) fn group<const R: usize>(&self, first: usize) -> [&'a [T]; R] {
        std::array::from_fn(|r| self.line(first + r))
    }

    /// Some of the lines.
    pub(crate) fn lines(self, part: Range<usize>) -> Self {
        Lines {
            start: step(self.start, part.start, self.stride),
            count: part.len(),
            ..self
        }
    }

    /// The same piece of every line.
    pub(crate) fn within(self, part: Range<usize>) -> Self {
        Lines {
            start: self.start + part.start,
            len: part.len(),
            ..self
        }
    }

    fn size(&self) -> usize {
        self.count.saturating_mul(self.len)
    }
}

/// `y = alpha A x + beta y`. With `beta == 0`, `y` is written without being
/// read. Any mismatch of the lengths has been rejected by the caller.
pub fn gemv<T: Float>(alpha: T, a: MatRef<T>, x: VecRef<T>, beta: T, y: &mut [T]) {
    assert!(
        x.len == a.cols && y.len() == a.rows,
        "the shapes were checked before"
    );
    if a.rows == 0 {
        return;
    }
    if a.cols == 0 {
        return scale(beta, y);
    }
    // A single column is better added than dotted row by row.
    let columns = a.transposed().row_lines().filter(|_| a.rows > 1);
    match (columns, a.row_lines()) {
        (Some(columns), rows) if rows.is_none() || a.cols == 1 => {
            scale(beta, y);
            add_lines(alpha, columns, x, y);
        }
        (_, Some(rows)) => dot_lines(alpha, rows, &x.contiguous(), beta, y),
        _ => strided(alpha, a, &x.contiguous(), beta, y),
    }
}

#[inline(always)]
fn scale<T: Float>(beta: T, y: &mut [T]) {
    if beta == T::ZERO {
        y.fill(T::ZERO);
    } else if beta != T::ONE {
        y.iter_mut().for_each(|y| *y = beta * *y);
    }
}

#[inline(always)]
fn put<T: Float>(y: &mut T, value: T, beta: T) {
    *y = if beta == T::ZERO { value } else { value + beta * *y };
}

/// Neither rows nor columns are contiguous: plain loops along the shorter stride.
fn strided<T: Float>(alpha: T, a: MatRef<T>, x: &[T], beta: T, y: &mut [T]) {
    let along_rows = a.col_stride.unsigned_abs() <= a.row_stride.unsigned_abs();
    let parallel = a.rows.saturating_mul(a.cols) >= PARALLEL_FROM;
    let task_rows = if parallel { (TASK / a.cols).max(16) } else { a.rows };
    let task = |(t, y): (usize, &mut [T])| {
        let first = t * task_rows;
        if along_rows {
            for (i, y) in y.iter_mut().enumerate() {
                let row = a.row(first + i);
                let mut sum = T::ZERO;
                for (j, &x) in x.iter().enumerate() {
                    sum += row.at(j) * x;
                }
                put(y, alpha * sum, beta);
            }
        } else {
            scale(beta, y);
            for (j, &x) in x.iter().enumerate() {
                let column = a.transposed().row(j);
                for (i, y) in y.iter_mut().enumerate() {
                    *y += alpha * x * column.at(first + i);
                }
            }
        }
    };
    if parallel {
        y.par_chunks_mut(task_rows).enumerate().for_each(task);
    } else {
        task((0, y));
    }
}

/// `y_i = alpha line_i · x + beta y_i`
fn dot_lines<T: Float>(alpha: T, lines: Lines<T>, x: &[T], beta: T, y: &mut [T]) {
    let (count, len) = (lines.count, lines.len);
    if lines.size() < PARALLEL_FROM {
        return dispatch(DotLines { alpha, lines, x, beta, y });
    }
    if count >= 64 || len < 2 * TASK {
        let task_lines = (TASK / len).max(8).next_multiple_of(4);
        y.par_chunks_mut(task_lines).enumerate().for_each(|(t, y)| {
            let first = t * task_lines;
            let lines = lines.lines(first..first + y.len());
            dispatch(DotLines { alpha, lines, x, beta, y });
        });
    } else {
        // Too few lines for the threads: the lines are cut instead.
        scale(beta, y);
        let leaf = (TASK / count).max(1024);
        sum_tree(0..len, leaf, leaf, y, &|part, y| {
            let lines = lines.within(part.clone());
            dispatch(DotLines { alpha, lines, x: &x[part], beta: T::ONE, y });
        });
    }
}

/// `y += alpha Σ_i x_i line_i`
fn add_lines<T: Float>(alpha: T, lines: Lines<T>, x: VecRef<T>, y: &mut [T]) {
    if lines.size() < PARALLEL_FROM {
        return dispatch(AddLines { alpha, lines, x, y });
    }
    if lines.len >= LONG {
        y.par_chunks_mut(2 * BLOCK).enumerate().for_each(|(t, y)| {
            let first = 2 * t * BLOCK;
            let lines = lines.within(first..first + y.len());
            dispatch(AddLines { alpha, lines, x, y });
        });
    } else {
        let leaf = (TASK / lines.len).max(32);
        sum_tree(0..lines.count, leaf, leaf, y, &|part, y| {
            let lines = lines.lines(part.clone());
            dispatch(AddLines { alpha, lines, x: x.slice(part), y });
        });
    }
}

/// Adds to `out` what `part` adds for each leaf of `range`. The partial sums
/// meet in a balanced tree given by `range` and `leaf` alone, so the result
/// does not depend on the threads; ranges above `grain` are shared with them.
pub(crate) fn sum_tree<T, F>(range: Range<usize>, leaf: usize, grain: usize, out: &mut [T], part: &F)
where
    T: Float,
    F: Fn(Range<usize>, &mut [T]) + Sync,
{
    let leaves = range.len().div_ceil(leaf);
    if leaves <= 1 {
        return part(range, out);
    }
    let middle = range.start + leaves / 2 * leaf;
    let (left, right) = (range.start..middle, middle..range.end);
    let mut other = vec![T::ZERO; out.len()];
    if range.len() > grain {
        rayon::join(
            || sum_tree(left, leaf, grain, out, part),
            || sum_tree(right, leaf, grain, &mut other, part),
        );
    } else {
        sum_tree(left, leaf, grain, out, part);
        sum_tree(right, leaf, grain, &mut other, part);
    }
    for (out, other) in out.iter_mut().zip(other) {
        *out += other;
    }
}

struct DotLines<'a, T> {
    alpha: T,
    lines: Lines<'a, T>,
    x: &'a [T],
    beta: T,
    y: &'a mut [T],
}

impl<T: Float> Kernel for DotLines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.x.len() {
            0 => scale(self.beta, self.y),
            1 => self.short::<1, FMA>(),
            2 => self.short::<2, FMA>(),
            3 => self.short::<3, FMA>(),
            4..8 => self.wide::<4, FMA>(),
            16.. if has_16_lanes::<T>() => self.wide::<16, FMA>(),
            _ => self.wide::<8, FMA>(),
        }
    }
}

impl<T: Float> DotLines<'_, T> {
    /// Lines of `K` elements, too short for lanes.
    #[inline(always)]
    fn short<const K: usize, const FMA: bool>(self) {
        let Some(x) = self.x.first_chunk::<K>() else {
            return;
        };
        for (i, y) in self.y.iter_mut().enumerate() {
            let line = self.lines.line(i);
            let mut sum = T::ZERO;
            for (&a, &x) in line.iter().zip(x) {
                sum = multiply_add::<T, FMA>(a, x, sum);
            }
            put(y, self.alpha * sum, self.beta);
        }
    }

    #[inline(always)]
    fn wide<const L: usize, const FMA: bool>(self) {
        let (quads, rest) = self.y.as_chunks_mut::<4>();
        let done = quads.len() * 4;
        for (q, quad) in quads.iter_mut().enumerate() {
            let sums = dot_rows::<T, 4, L, FMA>(self.lines.group(4 * q), self.x);
            for (y, sum) in quad.iter_mut().zip(sums) {
                put(y, self.alpha * sum, self.beta);
            }
        }
        for (i, y) in rest.iter_mut().enumerate() {
            let sum = dot_line::<T, FMA>(self.lines.line(done + i), self.x);
            put(y, self.alpha * sum, self.beta);
        }
    }
}

struct AddLines<'a, T> {
    alpha: T,
    lines: Lines<'a, T>,
    x: VecRef<'a, T>,
    y: &'a mut [T],
}

impl<T: Float> Kernel for AddLines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.y.len() {
            0 => {}
            1 => self.short::<1, FMA>(),
            2 => self.short::<2, FMA>(),
            3 => self.short::<3, FMA>(),
            16.. if has_16_lanes::<T>() => self.wide::<16, FMA>(),
            _ => self.wide::<8, FMA>(),
        }
    }
}

impl<T: Float> AddLines<'_, T> {
    /// Lines of `K` elements: the sums stay in registers, four lines apart.
    #[inline(always)]
    fn short<const K: usize, const FMA: bool>(self) {
        let count = self.lines.count;
        let mut sums = [[T::ZERO; K]; 4];
        let add = |sum: &mut [T; K], i: usize| {
            let x = self.alpha * self.x.at(i);
            for (sum, &a) in sum.iter_mut().zip(self.lines.line(i)) {
                *sum = multiply_add::<T, FMA>(x, a, *sum);
            }
        };
        for q in 0..count / 4 {
            for (r, sum) in sums.iter_mut().enumerate() {
                add(sum, 4 * q + r);
            }
        }
        for i in count / 4 * 4..count {
            add(&mut sums[0], i);
        }
        for (k, y) in self.y.iter_mut().enumerate() {
            *y += (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]);
        }
    }

    #[inline(always)]
    fn wide<const L: usize, const FMA: bool>(self) {
        let count = self.lines.count;
        for (b, y) in self.y.chunks_mut(BLOCK).enumerate() {
            let lines = self.lines.within(b * BLOCK..b * BLOCK + y.len());
            for q in 0..count / 4 {
                let x = std::array::from_fn(|r| self.alpha * self.x.at(4 * q + r));
                add_rows::<T, 4, L, FMA>(x, lines.group(4 * q), y);
            }
            for i in count / 4 * 4..count {
                add_rows::<T, 1, L, FMA>([self.alpha * self.x.at(i)], lines.group(i), y);
            }
        }
    }
}
