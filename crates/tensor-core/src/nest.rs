//! The loop nest over operands of one shape and any strides.

use crate::layout::Layout;
use smallvec::SmallVec;
use std::ops::Range;

/// A loop nest over `N` operands: dimensions of size 1 are dropped, and neighbours that every
/// operand walks with one stride are merged, so that the innermost loop is as long as it can be.
pub struct Nest<const N: usize> {
    /// Sizes and strides, the slowest first; never empty.
    dims: SmallVec<[(usize, [isize; N]); 4]>,
    start: [isize; N],
}

impl<const N: usize> Nest<N> {
    /// The nest over `shape` of operands that have it, or were expanded to it.
    pub fn new(shape: &[usize], layouts: [&Layout; N]) -> Self {
        let strides = layouts.map(Layout::strides);
        let dims = (0..shape.len()).map(|k| (shape[k], std::array::from_fn(|n| strides[n][k])));
        Nest::of(dims, layouts.map(|l| l.offset() as isize))
    }

    /// The nest over the given dimensions, the slowest first, from the given places.
    pub fn of(dims: impl Iterator<Item = (usize, [isize; N])>, start: [isize; N]) -> Self {
        let mut merged: SmallVec<[(usize, [isize; N]); 4]> = SmallVec::new();
        for (d, strides) in dims.filter(|&(d, _)| d != 1) {
            match merged.last_mut() {
                Some((n, s)) if (0..N).all(|k| s[k] == strides[k] * d as isize) => {
                    (*n, *s) = (*n * d, strides)
                }
                _ => merged.push((d, strides)),
            }
        }
        if merged.is_empty() {
            merged.push((1, [0; N]));
        }
        Nest { dims: merged, start }
    }

    /// Sizes and strides, the slowest first.
    pub fn dims(&self) -> &[(usize, [isize; N])] {
        &self.dims
    }

    /// The places of the first elements.
    pub fn start(&self) -> [isize; N] {
        self.start
    }

    /// The size and the strides of the innermost loop.
    #[inline(always)]
    pub fn inner(&self) -> (usize, [isize; N]) {
        self.dims[self.dims.len() - 1]
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().map(|d| d.0).product()
    }

    /// Calls `f(position, places, count)` for each stretch of the innermost loop within `range`,
    /// which counts elements in row-major order.
    #[inline(always)]
    pub fn segments(&self, range: Range<usize>, mut f: impl FnMut(usize, [isize; N], usize)) {
        if range.is_empty() {
            return;
        }
        let (len, inner) = self.inner();
        let outer = &self.dims[..self.dims.len() - 1];
        // The odometer of the outer dimensions, set to where the range starts.
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, outer.len());
        let mut row = range.start / len;
        let mut places = self.start;
        for (k, &(d, strides)) in outer.iter().enumerate().rev() {
            index[k] = row % d;
            row /= d;
            for n in 0..N {
                places[n] += index[k] as isize * strides[n];
            }
        }
        let (mut position, mut column) = (range.start, range.start % len);
        loop {
            let count = (len - column).min(range.end - position);
            f(position, std::array::from_fn(|n| places[n] + column as isize * inner[n]), count);
            position += count;
            column = 0;
            if position == range.end {
                return;
            }
            for (k, &(d, strides)) in outer.iter().enumerate().rev() {
                index[k] += 1;
                let wrap = index[k] == d;
                let moved = if wrap { 1 - d as isize } else { 1 };
                for n in 0..N {
                    places[n] += moved * strides[n];
                }
                if !wrap {
                    break;
                }
                index[k] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Dims;

    #[test]
    fn any_range_visits_its_elements_in_order() {
        let layout = Layout::row_major(Dims::from_slice(&[2, 3, 4])).permute(&[2, 0, 1]);
        let nest = Nest::new(layout.shape(), [&layout]);
        let (_, [step]) = nest.inner();
        let mut all = Vec::new();
        for range in [0..1, 1..7, 7..7, 7..24] {
            nest.segments(range, |_, [p], n| all.extend((0..n as isize).map(|i| p + i * step)));
        }
        let expected: Vec<isize> = (0..4).flat_map(|k| (0..6).map(move |ij| 4 * ij + k)).collect();
        assert_eq!(all, expected);
        assert_eq!(nest.dims().len(), 2);
    }
}
