//! How a shape lies in a buffer: strides and an offset. Every view of an array is computed here.

use crate::error::{Error, Result};
use crate::shape::{self, Dims};
use smallvec::SmallVec;

/// Steps between neighbours along each dimension, in elements; zero repeats, negative reverses.
pub type Strides = SmallVec<[isize; 4]>;

/// Shape, strides and offset of an array within its buffer.
///
/// ```
/// use tapegrad::Layout;
/// use tapegrad::shape::Dims;
/// let l = Layout::row_major(Dims::from_slice(&[2, 3]));
/// let last_column = l.slice(1, 2, 1, 1).remove_dim(1);
/// assert_eq!((last_column.shape(), last_column.offset()), (&[2][..], 2));
/// assert_eq!(last_column.strides()[..], [3]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    shape: Dims,
    /// None for row-major, by far the most common, so that an array costs one allocation.
    strides: Option<Box<[isize]>>,
    offset: usize,
}

fn row_major(shape: &[usize]) -> Strides {
    let mut strides = Strides::from_elem(1, shape.len());
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k].max(1) as isize;
    }
    strides
}

/// True where walking the shape in order visits neighbouring elements.
fn is_row_major(shape: &[usize], strides: &[isize]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let mut expected = 1;
    for (&d, &s) in shape.iter().zip(strides).rev() {
        if d != 1 && s != expected {
            return false;
        }
        expected *= d as isize;
    }
    true
}

impl Layout {
    /// Row-major from the start of the buffer.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3, 4]));
    /// assert_eq!(l.strides()[..], [12, 4, 1]);
    /// ```
    #[inline]
    pub fn row_major(shape: Dims) -> Self {
        Layout { shape, strides: None, offset: 0 }
    }

    /// Any strides; the caller has checked that they stay within the buffer.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let reversed = Layout::strided(Dims::from_slice(&[3]), &[-1], 2);
    /// assert_eq!((reversed.place(&[0]), reversed.place(&[2])), (2, 0));
    /// ```
    pub fn strided(shape: Dims, strides: &[isize], offset: usize) -> Self {
        let strides = (!is_row_major(&shape, strides)).then(|| strides.into());
        Layout { shape, strides, offset }
    }

    /// The same shape and strides from another place of the buffer.
    pub(crate) fn moved_to(&self, offset: usize) -> Self {
        Layout { offset, ..self.clone() }
    }

    /// The sizes of the dimensions.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// assert_eq!(Layout::row_major(Dims::from_slice(&[2, 3])).shape(), [2, 3]);
    /// ```
    #[inline]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of dimensions.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// assert_eq!(Layout::row_major(Dims::new()).ndim(), 0);
    /// ```
    #[inline]
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// assert_eq!(Layout::row_major(Dims::from_slice(&[2, 3])).numel(), 6);
    /// assert_eq!(Layout::row_major(Dims::new()).numel(), 1);
    /// ```
    #[inline]
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Steps between neighbours along each dimension, in elements.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 1]));
    /// assert_eq!(l.expand("expand", &[2, 5])?.strides()[..], [1, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn strides(&self) -> Strides {
        match &self.strides {
            Some(s) => Strides::from_slice(s),
            None => row_major(&self.shape),
        }
    }

    /// Where the first element lies in the buffer.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[5]));
    /// assert_eq!((l.offset(), l.slice(0, 3, 1, 2).offset()), (0, 3));
    /// ```
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// True where the elements lie one after another in row-major order.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3]));
    /// assert!(l.is_contiguous() && l.slice(0, 1, 1, 1).is_contiguous() && !l.permute(&[1, 0]).is_contiguous());
    /// ```
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.strides.is_none()
    }

    /// Where the elements, in whatever order, fill a stretch of the buffer without gaps or
    /// repetition: the start of that stretch.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3]));
    /// assert_eq!(l.permute(&[1, 0]).dense_start(), Some(0));
    /// assert_eq!(l.slice(0, 1, -1, 2).dense_start(), Some(0));
    /// assert_eq!(l.slice(1, 0, 2, 2).dense_start(), None);
    /// ```
    pub fn dense_start(&self) -> Option<usize> {
        let Some(strides) = &self.strides else { return Some(self.offset) };
        let mut by_step: SmallVec<[(usize, usize); 4]> = SmallVec::new();
        let mut start = self.offset;
        for (&d, &s) in self.shape.iter().zip(strides).filter(|&(&d, _)| d != 1) {
            if s < 0 {
                start -= s.unsigned_abs() * (d - 1);
            }
            by_step.push((s.unsigned_abs(), d));
        }
        by_step.sort_unstable();
        let mut expected = 1;
        for (s, d) in by_step {
            if s != expected {
                return None;
            }
            expected *= d;
        }
        Some(start)
    }

    /// The lowest and the highest place in the buffer that is reached; None without elements.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3]));
    /// assert_eq!(l.bounds(), Some((0, 5)));
    /// assert_eq!(l.slice(1, 2, -2, 2).bounds(), Some((0, 5)));
    /// assert_eq!(l.slice(0, 0, 1, 0).bounds(), None);
    /// ```
    pub fn bounds(&self) -> Option<(usize, usize)> {
        if self.numel() == 0 {
            return None;
        }
        let (mut low, mut high) = (self.offset, self.offset);
        for (&d, &s) in self.shape.iter().zip(&self.strides()) {
            let reach = s.unsigned_abs() * (d - 1);
            if s < 0 { low -= reach } else { high += reach }
        }
        Some((low, high))
    }

    /// Whether all elements of a layout lie within memory of `len` elements.
    pub(crate) fn stays_within(shape: &[usize], strides: &[isize], offset: usize, len: usize) -> bool {
        if shape.len() != strides.len() {
            return false;
        }
        if shape.contains(&0) {
            return offset <= len;
        }
        // The farthest elements on either side, in numbers that cannot overflow unnoticed.
        let (mut low, mut high) = (offset as i128, offset as i128);
        for (&d, &s) in shape.iter().zip(strides) {
            let reach = s as i128 * (d as i128 - 1);
            (low, high) = (low.saturating_add(reach.min(0)), high.saturating_add(reach.max(0)));
        }
        low >= 0 && high < len as i128
    }

    /// The layout with dimensions in the order `dims`, a permutation, as the caller has checked.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3, 4])).permute(&[2, 0, 1]);
    /// assert_eq!((l.shape(), &l.strides()[..]), (&[4, 2, 3][..], &[1, 12, 4][..]));
    /// ```
    pub fn permute(&self, dims: &[usize]) -> Self {
        let strides = self.strides();
        let permuted: Strides = dims.iter().map(|&d| strides[d]).collect();
        Layout::strided(dims.iter().map(|&d| self.shape[d]).collect(), &permuted, self.offset)
    }

    /// The layout stretched to `to`: new and size-1 dimensions get stride 0.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[3, 1]));
    /// assert_eq!(l.expand("expand", &[2, 3, 4])?.strides()[..], [0, 1, 0]);
    /// assert!(l.expand("expand", &[4, 1]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn expand(&self, op: &'static str, to: &[usize]) -> Result<Self> {
        let wrong =
            |why: &str| Error::shape(op, format!("shape {:?} does not expand to {to:?}: {why}", self.shape));
        let Some(lead) = to.len().checked_sub(self.ndim()) else {
            return Err(wrong("the target has fewer dimensions"));
        };
        shape::numel(op, to)?;
        let mut strides = Strides::from_elem(0, to.len());
        for (k, (&d, s)) in self.shape.iter().zip(self.strides()).enumerate() {
            match (d, to[lead + k]) {
                (d, t) if d == t => strides[lead + k] = s,
                (1, _) => {}
                _ => return Err(wrong("only dimensions of size 1 stretch")),
            }
        }
        Ok(Layout::strided(Dims::from_slice(to), &strides, self.offset))
    }

    /// `len` elements along `dim` from `start`, `step` apart; the caller has checked the range.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[5])).slice(0, 4, -2, 3);
    /// assert_eq!((l.shape(), l.offset(), l.strides()[0]), (&[3][..], 4, -2));
    /// ```
    pub fn slice(&self, dim: usize, start: usize, step: isize, len: usize) -> Self {
        let mut strides = self.strides();
        let mut shape = self.shape.clone();
        // An empty result keeps the offset: start may be one past the end.
        let moved = if len == 0 { 0 } else { start as isize * strides[dim] };
        // A single element may have any step at all.
        strides[dim] = strides[dim].wrapping_mul(step);
        shape[dim] = len;
        Layout::strided(shape, &strides, (self.offset as isize + moved) as usize)
    }

    /// Without dimension `dim`, whose size is 1 or whose place was chosen by [`Layout::slice`].
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 1, 3]));
    /// assert_eq!(l.remove_dim(1).shape(), [2, 3]);
    /// ```
    pub fn remove_dim(&self, dim: usize) -> Self {
        let (mut shape, mut strides) = (self.shape.clone(), self.strides());
        shape.remove(dim);
        strides.remove(dim);
        Layout::strided(shape, &strides, self.offset)
    }

    /// The elements whose index in the second of `dims` is that in the first plus `offset`, along a
    /// last dimension in place of the two, which the caller has checked.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3])).diagonal(1, [0, 1]);
    /// assert_eq!((l.shape(), l.offset(), l.strides()[0]), (&[2][..], 1, 4));
    /// ```
    pub fn diagonal(&self, offset: isize, dims: [usize; 2]) -> Self {
        let (far, below) = (offset.unsigned_abs(), offset < 0);
        let [from_row, from_column] = if below { [far, 0] } else { [0, far] };
        let room = |dim: usize, from: usize| self.shape[dims[dim]].saturating_sub(from);
        let len = room(0, from_row).min(room(1, from_column));
        let (mut shape, mut strides) = (self.shape.clone(), self.strides());
        // An empty result keeps the offset, which may have nothing after it.
        let moved = match len {
            0 => 0,
            _ => from_row as isize * strides[dims[0]] + from_column as isize * strides[dims[1]],
        };
        let step = strides[dims[0]] + strides[dims[1]];
        for k in [dims[0].max(dims[1]), dims[0].min(dims[1])] {
            shape.remove(k);
            strides.remove(k);
        }
        shape.push(len);
        strides.push(step);
        Layout::strided(shape, &strides, (self.offset as isize + moved) as usize)
    }

    /// Windows of `size` elements along `dim`, each `step` behind the one before: their number in the dimension's place,
    /// and their elements along a last dimension. The caller has checked that `size` fits and that `step` is not 0.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[5])).unfold(0, 3, 2);
    /// assert_eq!((l.shape(), &l.strides()[..]), (&[2, 3][..], &[2, 1][..]));
    /// ```
    pub fn unfold(&self, dim: usize, size: usize, step: usize) -> Self {
        let (mut shape, mut strides) = (self.shape.clone(), self.strides());
        shape.push(size);
        strides.push(strides[dim]);
        shape[dim] = (shape[dim] - size) / step + 1;
        // A single window may have any step at all.
        strides[dim] = strides[dim].wrapping_mul(step as isize);
        Layout::strided(shape, &strides, self.offset)
    }

    /// With a dimension of size 1 before dimension `dim`.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// assert_eq!(Layout::row_major(Dims::from_slice(&[2, 3])).insert_dim(2).shape(), [2, 3, 1]);
    /// ```
    pub fn insert_dim(&self, dim: usize) -> Self {
        let (mut shape, mut strides) = (self.shape.clone(), self.strides());
        shape.insert(dim, 1);
        strides.insert(dim, 0);
        Layout::strided(shape, &strides, self.offset)
    }

    /// The same elements in another shape, where strides can express it without a copy.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// let l = Layout::row_major(Dims::from_slice(&[2, 3]));
    /// assert_eq!(l.reshape(&[3, 2]).unwrap().strides()[..], [2, 1]);
    /// assert!(l.permute(&[1, 0]).reshape(&[6]).is_none());
    /// ```
    pub fn reshape(&self, to: &[usize]) -> Option<Self> {
        let shape = Dims::from_slice(to);
        if self.strides.is_none() {
            return Some(Layout { shape, strides: None, offset: self.offset });
        }
        // Merge the old dimensions into runs that one stride walks, then cut the runs anew.
        let mut runs: SmallVec<[(usize, isize); 4]> = SmallVec::new();
        for (&d, &s) in self.shape.iter().zip(&self.strides()).filter(|&(&d, _)| d != 1) {
            match runs.last_mut() {
                Some((n, step)) if *step == s * d as isize => (*n, *step) = (*n * d, s),
                _ => runs.push((d, s)),
            }
        }
        let mut strides = Strides::from_elem(0, to.len());
        let mut runs = runs.into_iter().rev();
        let (mut left, mut step) = runs.next().unwrap_or((1, 1));
        for (k, &d) in to.iter().enumerate().rev().filter(|&(_, &d)| d != 1) {
            if left == 1 {
                (left, step) = runs.next()?;
            }
            if left % d != 0 {
                return None;
            }
            strides[k] = step;
            step *= d as isize;
            left /= d;
        }
        Some(Layout::strided(shape, &strides, self.offset))
    }

    /// The place of the element at `index`, which has one entry per dimension, all in range.
    ///
    /// ```
    /// use tapegrad::Layout;
    /// use tapegrad::shape::Dims;
    /// assert_eq!(Layout::row_major(Dims::from_slice(&[2, 3])).place(&[1, 2]), 5);
    /// ```
    pub fn place(&self, index: &[usize]) -> usize {
        let moved: isize = index.iter().zip(&self.strides()).map(|(&i, &s)| i as isize * s).sum();
        (self.offset as isize + moved) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(d: &[usize]) -> Dims {
        Dims::from_slice(d)
    }

    #[test]
    fn views_of_views() {
        let l = Layout::row_major(dims(&[2, 3, 4]));
        let t = l.permute(&[2, 0, 1]);
        assert_eq!((t.shape(), &t.strides()[..]), (&[4, 2, 3][..], &[1, 12, 4][..]));
        assert!(t.permute(&[1, 2, 0]).is_contiguous());
        assert_eq!(t.dense_start(), Some(0));
        let s = l.slice(2, 3, -2, 2);
        assert_eq!(s.place(&[0, 0, 1]), 1);
        assert_eq!(s.bounds(), Some((1, 23)));
        assert_eq!(s.dense_start(), None);
    }

    #[test]
    fn reshape_views_where_strides_allow() {
        let t = Layout::row_major(dims(&[4, 6])).permute(&[1, 0]);
        assert!(t.reshape(&[24]).is_none());
        let split = t.reshape(&[2, 3, 4]).unwrap();
        assert_eq!(&split.strides()[..], &[3, 1, 6]);
        let repeated = Layout::row_major(dims(&[1])).expand("expand", &[6]).unwrap();
        assert_eq!(&repeated.reshape(&[2, 3]).unwrap().strides()[..], &[0, 0]);
        assert!(Layout::row_major(dims(&[0, 3])).permute(&[1, 0]).reshape(&[0]).is_some());
    }
}
