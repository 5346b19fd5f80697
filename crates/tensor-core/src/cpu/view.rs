//! Strided matrices and vectors in memory, as the products read them.

use crate::element::Float;
use crate::heap::work;
use std::borrow::Cow;
use std::ops::Range;

/// A matrix in memory: element `(i, j)` is `data[offset + i row_stride + j col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, T> {
    pub(super) data: &'a [T],
    pub(super) offset: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: isize,
    pub(super) col_stride: isize,
}

/// A vector in memory: element `i` is `data[offset + i stride]`.
#[derive(Clone, Copy, Debug)]
pub struct VecRef<'a, T> {
    pub(super) data: &'a [T],
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) stride: isize,
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

    /// Column `j`.
    pub fn column(&self, j: usize) -> VecRef<'a, T> {
        self.transposed().row(j)
    }

    /// The element in row `i` and column `j`.
    #[inline(always)]
    pub fn get(&self, i: usize, j: usize) -> T {
        self.data[step(step(self.offset, i, self.row_stride), j, self.col_stride)]
    }

    /// Row `i`, where it lies in one piece.
    #[inline(always)]
    pub fn row_slice(&self, i: usize) -> Option<&'a [T]> {
        (self.col_stride == 1).then(|| &self.data[step(self.offset, i, self.row_stride)..][..self.cols])
    }

    /// The same matrix in faer's terms.
    pub fn to_faer(self) -> faer::MatRef<'a, T> {
        let first = match self.rows == 0 || self.cols == 0 {
            true => self.data.as_ptr(),
            false => &raw const self.data[self.offset],
        };
        // SAFETY: `new` has checked that every element lies within `data`, which is borrowed for
        // as long as the view, and no element of a shared slice changes meanwhile.
        unsafe { faer::MatRef::from_raw_parts(first, self.rows, self.cols, self.row_stride, self.col_stride) }
    }

    /// The elements from the first on, and the strides of rows and columns.
    #[cfg(feature = "blas")]
    pub fn parts(self) -> (&'a [T], [isize; 2]) {
        (&self.data[self.offset..], [self.row_stride, self.col_stride])
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> VecRef<'a, T> {
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
        fits(data.len(), offset, &[(len, stride)]).then_some(VecRef { data, offset, len, stride })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> T {
        self.data[step(self.offset, i, self.stride)]
    }

    pub(crate) fn slice(self, part: Range<usize>) -> Self {
        VecRef { offset: step(self.offset, part.start, self.stride), len: part.len(), ..self }
    }

    /// The elements side by side, copied only if they are not.
    pub(crate) fn contiguous(&self) -> Cow<'a, [T]> {
        if self.len == 0 {
            Cow::Borrowed(&[])
        } else if self.stride == 1 {
            Cow::Borrowed(&self.data[self.offset..self.offset + self.len])
        } else {
            Cow::Owned(work::collect((0..self.len).map(|i| self.at(i))))
        }
    }
}

/// `start + i stride`. It may leave the memory for an `i` past the end, which
/// no view reads; wrapping keeps that from being an overflow.
#[inline(always)]
pub(super) fn step(start: usize, i: usize, stride: isize) -> usize {
    start.wrapping_add(i.wrapping_mul(stride as usize))
}

/// Contiguous lines of equal length, at a constant distance.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a, T> {
    pub(super) data: &'a [T],
    pub(super) start: usize,
    pub(super) stride: isize,
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
        // `from_fn` is not inlined here.
        let mut lines: [&[T]; R] = [&[]; R];
        for (r, line) in lines.iter_mut().enumerate() {
            *line = self.line(first + r);
        }
        lines
    }

    /// Some of the lines.
    pub(crate) fn lines(self, part: Range<usize>) -> Self {
        Lines { start: step(self.start, part.start, self.stride), count: part.len(), ..self }
    }

    /// The same piece of every line.
    pub(crate) fn within(self, part: Range<usize>) -> Self {
        Lines { start: self.start + part.start, len: part.len(), ..self }
    }

    /// How far ahead to fetch: the next four lines, where no cache holds them and the processor does
    /// not do it by itself, as its prefetching ends with a page; else 0.
    pub(super) fn ahead(&self) -> isize {
        let (line, all) = (self.len * size_of::<T>(), size_of_val(self.data));
        if line <= 4096 && all >= 16 << 20 { 4 * self.stride } else { 0 }
    }

    pub(super) fn size(&self) -> usize {
        self.count.saturating_mul(self.len)
    }
}
