//! Parts of a tensor by position: rows, ranges, and ndarray's `s![]`.

use crate::apply_once;
use crate::op::{Kept, Op, apply_at};
use crate::tensor::Tensor;
use ndarray::SliceInfoElem;
use smallvec::SmallVec;
use std::panic::Location;
use tensor_core::shape::{Dims, Integer, IntoDims, dim};
use tensor_core::{Array, AtCaller, Device, Element, Error, Layout, Result, compiled_once, kernels};

/// Index `i`, negative ones counted from the end, of dimension `dim` of `shape`.
pub(super) fn index_in(op: &'static str, shape: &[usize], dim: usize, i: isize) -> Result<usize> {
    let n = shape[dim] as isize;
    let at = if i < 0 { i.saturating_add(n) } else { i };
    if (0..n).contains(&at) {
        return Ok(at as usize);
    }
    let message =
        format!("index {i} is out of range for dimension {dim} of shape {shape:?}: it has {n} elements");
    Err(Error::index(op, message))
}

/// Indices within the dimensions of `shape`, one for each.
fn place_in(op: &'static str, shape: &[usize], index: &[isize]) -> Result<Dims> {
    if index.len() != shape.len() {
        let message = format!("{} indices for shape {shape:?}: one per dimension is needed", index.len());
        return Err(Error::shape(op, message));
    }
    index.iter().enumerate().map(|(k, &i)| index_in(op, shape, k, i)).collect()
}

/// A range of one dimension.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    step: isize,
    len: usize,
}

/// A range of every dimension, and the shape of what is left, without the dimensions that one index was taken of and with
/// new ones of size 1.
struct Slice {
    spans: SmallVec<[Span; 4]>,
    shape: Dims,
}

impl Slice {
    /// In the shape of its ranges.
    fn of(spans: SmallVec<[Span; 4]>) -> Slice {
        let shape = spans.iter().map(|span| span.len).collect();
        Slice { spans, shape }
    }

    /// The same of each of many tensors, along a first dimension.
    fn of_many(&self, many: Option<usize>) -> Slice {
        let all = many.map(|len| Span { start: 0, step: 1, len });
        Slice {
            spans: all.into_iter().chain(self.spans.iter().copied()).collect(),
            shape: many.into_iter().chain(self.shape.iter().copied()).collect(),
        }
    }

    fn layout(&self, whole: &Layout) -> Layout {
        let cut = |l: Layout, (k, r): (usize, &Span)| l.slice(k, r.start, r.step, r.len);
        let part = self.spans.iter().enumerate().fold(whole.clone(), cut);
        part.reshape(&self.shape).expect("dimensions of size 1 come and go without a copy")
    }
}

impl<T: Element> Op<T, 1> for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let cut = |x: Array<T>, (k, r): (usize, &Span)| x.slice("slice", k, r.start, r.step, r.len);
        let part = self.spans.iter().enumerate().try_fold(x.clone(), cut)?;
        if part.shape() == &self.shape[..] { Ok(part) } else { part.reshape("slice", &self.shape) }
    }
    fn batches(&self) -> bool {
        true
    }
    fn places(&self, shape: &[usize]) -> Option<Layout> {
        Some(self.layout(&Layout::row_major(Dims::from_slice(shape))))
    }
    /// grad at the places of the slice, 0 elsewhere
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let into = Embed { slice: self.of_many(kept.many()), shape: kept.cotangent_shape(0) };
        Ok([Some(apply_once!(T: Element, into => Embed, [&g])?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| sliced(Location::caller(), &t, self.of_many(kept.many()))).transpose()
    }
}

/// The input at the places of a slice of `shape`, 0 elsewhere.
struct Embed {
    slice: Slice,
    shape: Dims,
}

impl<T: Element> Op<T, 1> for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let places = self.slice.layout(&Layout::row_major(self.shape.clone()));
        kernels::embed("embed", &self.shape, &places, x)
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad at the places of the slice
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(sliced(Location::caller(), &g, self.slice.of_many(kept.many()))?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let Some(t) = t else { return Ok(None) };
        let into = Embed { slice: self.slice.of_many(kept.many()), shape: kept.tangent_shape() };
        apply_once!(T: Element, into => Embed, [&t]).map(Some)
    }
}

/// The whole of each dimension.
fn whole(shape: &[usize]) -> SmallVec<[Span; 4]> {
    shape.iter().map(|&len| Span { start: 0, step: 1, len }).collect()
}

/// `length` elements of one dimension from `start`.
fn narrowed(shape: &[usize], d: isize, start: isize, length: usize) -> Result<Slice> {
    let dim = dim("narrow", d, shape.len())?;
    let size = shape[dim];
    let first = if start < 0 { start + size as isize } else { start };
    if first < 0 || (first as usize).checked_add(length).is_none_or(|end| end > size) {
        let message = format!("{length} elements from {start} leave dimension {dim} of shape {shape:?}");
        return Err(Error::index("narrow", message));
    }
    let mut ranges = whole(shape);
    ranges[dim] = Span { start: first as usize, step: 1, len: length };
    Ok(Slice::of(ranges))
}

/// One index of one dimension, without that dimension.
fn selected(shape: &[usize], d: isize, index: isize) -> Result<Slice> {
    let dim = dim("select", d, shape.len())?;
    let start = index_in("select", shape, dim, index)?;
    let mut ranges = whole(shape);
    ranges[dim] = Span { start, step: 1, len: 1 };
    let mut rest = Dims::from_slice(shape);
    rest.remove(dim);
    Ok(Slice { spans: ranges, shape: rest })
}

/// The range of each dimension that ndarray's parts stand for, in the shape of what they leave.
fn parts(whole_shape: &[usize], parts: &[SliceInfoElem]) -> Result<Slice> {
    let named = parts.iter().filter(|p| !matches!(p, SliceInfoElem::NewAxis)).count();
    if named > whole_shape.len() {
        let message =
            format!("{named} dimensions named, but shape {:?} has {}", whole_shape, whole_shape.len());
        return Err(Error::index("slice", message));
    }
    let mut ranges = whole(whole_shape);
    let mut shape = Dims::new();
    let mut k = 0;
    for part in parts {
        match *part {
            SliceInfoElem::NewAxis => {
                shape.push(1);
                continue;
            }
            SliceInfoElem::Index(i) => {
                let start = index_in("slice", whole_shape, k, i)?;
                ranges[k] = Span { start, step: 1, len: 1 };
            }
            SliceInfoElem::Slice { start, end, step } => {
                ranges[k] = range(whole_shape, k, start, end, step)?;
                shape.push(ranges[k].len);
            }
        }
        k += 1;
    }
    shape.extend_from_slice(&whole_shape[k..]);
    Ok(Slice { spans: ranges, shape })
}

/// A range as ndarray has it: cut out first, and walked backwards where the step is negative.
fn range(shape: &[usize], k: usize, start: isize, end: Option<isize>, step: isize) -> Result<Span> {
    let n = shape[k] as isize;
    let place = |i: isize| if i < 0 { i.saturating_add(n) } else { i };
    let (from, to) = (place(start), end.map_or(n, place));
    if step == 0 || from < 0 || from > n || to < 0 || to > n {
        let end = end.map_or(String::new(), |e| e.to_string());
        let message = format!("range {start}..{end};{step} leaves dimension {k} of shape {:?}", shape);
        return Err(Error::index("slice", message));
    }
    let size = (to - from).max(0) as usize;
    let len = size.div_ceil(step.unsigned_abs());
    let first = if step < 0 && len > 0 { to - 1 } else { from };
    Ok(Span { start: first as usize, step, len })
}

compiled_once! {
    fn sliced<T: Element>(here: &'static Location<'static>, x: &Tensor<T>, slice: Slice) -> Result<Tensor<T>> {
        apply_at(here, slice, [x])
    }
}

/// # Indexing: parts by position
impl<T: Element> Tensor<T> {
    /// `length` elements along dimension `dim` from `start`, negative ones counted from the end.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.narrow(1, 1, 2)?.to_vec(), [2, 3, 5, 6]);
    /// assert_eq!(x.narrow(-1, -1, 1)?.to_vec(), [3, 6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where that leaves the dimension.
    #[track_caller]
    pub fn narrow(&self, d: impl Integer, start: impl Integer, length: impl Integer) -> Result<Self> {
        let (d, start, length) = (d.to_isize(), start.to_isize(), length.to_size("narrow").at_caller()?);
        let slice = narrowed(self.shape(), d, start, length).at_caller()?;
        sliced(Location::caller(), self, slice)
    }

    /// The element at `index`, one number per dimension, as `[i, j]`, negative ones counted from the end. It is a number, and a
    /// constant to every derivative: [`Tensor::select`] gives a tensor that can be differentiated.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!((x.get([0, 1])?, x.get((-1, -1))?), (2, 6));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where a number is out of range; shape, where there are too many or too few.
    #[track_caller]
    pub fn get(&self, index: impl IntoDims) -> Result<T> {
        let at = self.place("get", &index.into_dims()).at_caller()?;
        match self.device() {
            Device::Cpu => Ok(self.read("get").storage()[self.layout().place(&at)]),
            _ => {
                let one = |x: Array<T>, (k, &i): (usize, &usize)| x.slice("get", k, i, 1, 1);
                at.iter().enumerate().try_fold(self.read("get").clone(), one)?.item("get").at_caller()
            }
        }
    }

    /// Indices within the dimensions, one for each.
    pub(super) fn place(&self, op: &'static str, index: &[isize]) -> Result<Dims> {
        place_in(op, self.shape(), index)
    }

    /// The elements at `index` of dimension `dim`, which disappears; negative ones count from the
    /// end.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).requires_grad();
    /// let last = x.select(1, -1)?;
    /// assert_eq!(last.to_vec(), [2.0, 4.0]);
    /// last.sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where the index or the dimension is out of range.
    #[track_caller]
    pub fn select(&self, d: impl Integer, index: impl Integer) -> Result<Self> {
        let (d, index) = (d.to_isize(), index.to_isize());
        let slice = selected(self.shape(), d, index).at_caller()?;
        sliced(Location::caller(), self, slice)
    }

    /// Row `index`: the elements at that place of the first dimension.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4], [5, 6]]);
    /// assert_eq!(x.row(-1)?.to_vec(), [5, 6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where it is out of range; a scalar has no rows.
    #[doc(alias = "getitem")]
    #[track_caller]
    pub fn row(&self, index: impl Integer) -> Result<Self> {
        let index = index.to_isize();
        self.select(0, index)
    }

    /// A part of the tensor by ndarray's `s![]`: ranges, steps (negative ones run backwards),
    /// indices, new dimensions. Dimensions that are not named stay whole.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use ndarray::s;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice(s![.., 1..])?.to_vec(), [2, 3, 5, 6]);
    /// assert_eq!(x.slice(s![-1, ..;-1])?.to_vec(), [6, 5, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where an index is out of range or more dimensions are named than there are; ranges
    /// must lie within the dimension.
    #[doc(alias = "getitem")]
    #[track_caller]
    pub fn slice(&self, info: impl AsRef<[SliceInfoElem]>) -> Result<Self> {
        let slice = parts(self.shape(), info.as_ref()).at_caller()?;
        sliced(Location::caller(), self, slice)
    }
}

#[cfg(test)]
mod tests {
    use crate::{GradOptions, Tensor, grad_with};
    use ndarray::s;
    use tensor_core::Result;

    /// Reads of overlapping, reversed, strided and empty parts, and of the whole, before and after parts.
    fn reads(x: &Tensor, weights: &[Tensor]) -> Result<Tensor> {
        let parts = [
            x.select(0, 1)?,
            x.narrow(1, 1, 2)?,
            x.slice(s![..;-1, ..;2])?,
            x.t()?.narrow(0, 2, 2)?,
            x.slice(s![1..1, ..])?,
            x.square(),
            x.select(1, -1)?,
            x.expand([2, 3, 4])?.select(0, 1)?,
        ];
        let weighed = parts.iter().zip(weights).map(|(part, w)| Ok(part.sin() * w).map(|y| y.sum()));
        weighed.reduce(|a, b| Ok(a? + b?)).unwrap_or(Ok(Tensor::scalar(0.0)))
    }

    #[test]
    fn parts_add_up_to_what_the_rule_gives() -> Result<()> {
        let weights: Vec<Tensor> = (1..=8).map(|k| Tensor::scalar(f64::from(k))).collect();
        let values = crate::linspace(-1.0, 1.0, 12)?.reshape([3, 4])?;
        let rule = || GradOptions { create_graph: true, ..Default::default() };
        // A leaf, a node that keeps its gradient, and one whose elements lie in another order.
        let leaf = values.clone().requires_grad();
        let node = &leaf * 2.0;
        let turned = leaf.t()?.contiguous().t()?;
        for x in [&leaf, &node, &turned] {
            let right = grad_with(&reads(x, &weights)?, [x], rule())?.remove(0).unwrap();
            let y = reads(x, &weights)?;
            let found = grad_with(&y, [x], GradOptions::default())?.remove(0).unwrap();
            assert!(found.allclose(&right, 1e-14, 1e-14)?, "{found} instead of {right}");
        }
        reads(&leaf, &weights)?.backward()?;
        let once = leaf.grad().unwrap();
        let kept = once.clone();
        reads(&leaf, &weights)?.backward()?;
        assert!(leaf.grad().unwrap().allclose(&(&once * 2.0), 1e-14, 1e-14)?);
        assert_eq!(kept.to_vec(), once.to_vec(), "what others hold stays");
        Ok(())
    }
}
