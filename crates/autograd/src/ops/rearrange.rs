//! Elements in other places: reversed, rolled, repeated, padded, on diagonals and in triangles.

use crate::apply_once;
use crate::body_once;
use crate::create::arange_on;
use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use ndarray::SliceInfoElem;
use tensor_core::shape::{Dims, Integer, IntoDims, dim, dim_mask};
use tensor_core::{Array, AtCaller, Element, Error, Layout, Number, Result, ValueFor, kernels, memory};

/// The elements whose indices in dimensions `dims` differ by `offset`, along a new last dimension.
#[derive(Clone, Copy)]
struct Diagonal {
    offset: isize,
    dims: [usize; 2],
}

impl Diagonal {
    /// The same of each of many tensors, along a first dimension.
    fn of_many(self, many: Option<usize>) -> Self {
        let lead = usize::from(many.is_some());
        Diagonal { dims: self.dims.map(|d| d + lead), ..self }
    }
}

impl<T: Element> Op<T, 1> for Diagonal {
    fn name(&self) -> &'static str {
        "diagonal"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.diagonal("diagonal", self.offset, self.dims)
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad on the diagonal, 0 elsewhere
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (diagonal, shape) = (self.of_many(kept.many()), kept.cotangent_shape(0));
        Ok([Some(apply(OnDiagonal { diagonal, shape }, [&g])?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| apply(self.of_many(kept.many()), [&t])).transpose()
    }
}

/// The input on a diagonal of `shape`, 0 elsewhere.
struct OnDiagonal {
    diagonal: Diagonal,
    shape: Dims,
}

impl<T: Element> Op<T, 1> for OnDiagonal {
    fn name(&self) -> &'static str {
        "diag_embed"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let Diagonal { offset, dims } = self.diagonal;
        let places = Layout::row_major(self.shape.clone()).diagonal(offset, dims);
        kernels::embed("diag_embed", &self.shape, &places, x)
    }
    fn batches(&self) -> bool {
        true
    }
    /// the diagonal of grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(apply(self.diagonal.of_many(kept.many()), [&g])?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let (diagonal, shape) = (self.diagonal.of_many(kept.many()), kept.tangent_shape());
        t.map(|t| apply(OnDiagonal { diagonal, shape }, [&t])).transpose()
    }
}

/// # Rearranging
impl<T: Element> Tensor<T> {
    /// The order of the elements reversed along `dims` (all, where there are none): a view.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).flip(1)?.to_vec(), [2, 1, 4, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn flip(&self, dims: impl IntoDims) -> Result<Self> {
        body_once!(
            T: Element,
            [self, &dims.into_dims()],
            |x: &Tensor<T>, dims: &[isize]| -> Result<Tensor<T>> {
                let mask = dim_mask("flip", dims, x.ndim())?;
                let parts: Vec<SliceInfoElem> = mask
                    .iter()
                    .map(|&reversed| SliceInfoElem::Slice {
                        start: 0,
                        end: None,
                        step: if reversed { -1 } else { 1 },
                    })
                    .collect();
                x.slice(parts)
            }
        )
    }

    /// The elements moved by `shifts` along `dims`, one by one; those that leave at one end come in at
    /// the other.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3, 4]).roll(1, 0)?.to_vec(), [4, 1, 2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, for not as many shifts as dimensions.
    #[track_caller]
    pub fn roll(&self, shifts: impl IntoDims, dims: impl IntoDims) -> Result<Self> {
        body_once!(
            T: Element,
            [self, &shifts.into_dims(), &dims.into_dims()],
            |x: &Tensor<T>, shifts: &[isize], dims: &[isize]| -> Result<Tensor<T>> {
                if shifts.len() != dims.len() {
                    let message = format!("shifts {shifts:?} for dimensions {dims:?}: one each is needed");
                    return Err(Error::shape("roll", message));
                }
                if x.ndim() == 0 {
                    return x.as_vector()?.roll(shifts, dims)?.as_scalar();
                }
                let mut rolled = x.clone();
                for (&shift, &d) in shifts.iter().zip(dims) {
                    let size = x.shape()[dim("roll", d, x.ndim())?];
                    let moved = if size == 0 { 0 } else { shift.rem_euclid(size as isize) as usize };
                    if moved > 0 {
                        let head = rolled.narrow(d, 0, size - moved)?;
                        let tail = rolled.narrow(d, (size - moved) as isize, moved)?;
                        rolled = Tensor::cat(&[&tail, &head], d)?;
                    }
                }
                Ok(rolled)
            }
        )
    }

    /// The tensor laid side by side `times[k]` times along dimension k: NumPy's `tile`. Further
    /// dimensions are added in front.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).repeat([2, 2])?.to_vec(), [1, 2, 1, 2, 1, 2, 1, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where `times` names fewer dimensions than there are.
    #[doc(alias = "tile")]
    #[track_caller]
    pub fn repeat(&self, times: impl IntoDims) -> Result<Self> {
        body_once!(
            T: Element,
            [self, &times.into_shape("repeat").at_caller()?],
            |x: &Tensor<T>, times: &[usize]| -> Result<Tensor<T>> {
                let Some(more) = times.len().checked_sub(x.ndim()) else {
                    let message =
                        format!("{:?} names fewer dimensions than shape {:?} has", times, x.shape());
                    return Err(Error::shape("repeat", message));
                };
                let sizes = Dims::from_elem(1, more).into_iter().chain(x.shape().iter().copied());
                let sizes: Dims = sizes.collect();
                // [n, d] for every dimension: the copies, then the dimension itself.
                let (mut apart, mut stretched, mut whole) = (Dims::new(), Dims::new(), Dims::new());
                for (&n, &d) in times.iter().zip(&sizes) {
                    apart.extend([1, d]);
                    stretched.extend([n, d]);
                    whole.push(n.saturating_mul(d));
                }
                x.reshape(&apart)?.expand(&stretched)?.reshape(&whole)
            }
        )
    }

    /// The elements whose index in `dim2` is that in `dim1` plus `offset`, along a last dimension in
    /// place of the two: a view.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.diagonal(1, 0, 1)?.to_vec(), [2, 6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn diagonal(&self, offset: impl Integer, dim1: impl Integer, dim2: impl Integer) -> Result<Self> {
        let (offset, dim1, dim2) = (offset.to_isize(), dim1.to_isize(), dim2.to_isize());
        let dims = two_dims("diagonal", dim1, dim2, self.ndim()).at_caller()?;
        apply_once!(T: Element, Diagonal { offset, dims } => Diagonal, [self])
    }

    /// Matrices with the last dimension on their diagonal, moved right by `offset`, and 0 elsewhere.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).diag_embed(0)?.to_vec(), [1, 0, 0, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a scalar.
    #[track_caller]
    pub fn diag_embed(&self, offset: impl Integer) -> Result<Self> {
        let offset = offset.to_isize();
        body_once!(T: Element, [self, offset], |x: &Tensor<T>, offset: isize| -> Result<Tensor<T>> {
            let last = dim("diag_embed", -1, x.ndim())?;
            let side = x.shape()[last] + offset.unsigned_abs();
            let mut shape = Dims::from_slice(&x.shape()[..last]);
            shape.extend([side, side]);
            memory::ask::<T>("diag_embed", &shape)?;
            apply(OnDiagonal { diagonal: Diagonal { offset, dims: [last, last + 1] }, shape }, [x])
        })
    }

    /// The diagonal of a matrix, or the matrix with a vector on its diagonal, moved right by `offset`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.diag(0)?.to_vec(), [1, 4]);
    /// assert_eq!(x.diag(-1)?.to_vec(), [3]);
    /// assert_eq!(Tensor::from([5, 6]).diag(0)?.to_vec(), [5, 0, 0, 6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for any other number of dimensions.
    #[track_caller]
    pub fn diag(&self, offset: impl Integer) -> Result<Self> {
        let offset = offset.to_isize();
        match self.ndim() {
            1 => self.diag_embed(offset),
            2 => self.diagonal(offset, 0, 1),
            _ => {
                let message = format!("shape {:?}: a vector or a matrix is needed", self.shape());
                Err(Error::shape("diag", message).at_caller())
            }
        }
    }

    /// Matrices without what lies above the diagonal moved right by `diagonal`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).tril(0)?.to_vec(), [1, 0, 3, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for fewer than two dimensions.
    #[track_caller]
    pub fn tril(&self, diagonal: impl Integer) -> Result<Self> {
        let diagonal = diagonal.to_isize();
        self.triangle("tril", diagonal, true)
    }

    /// Matrices without what lies below the diagonal moved right by `diagonal`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.triu(0)?.to_vec(), [1, 2, 0, 4]);
    /// assert_eq!(x.triu(1)?.to_vec(), [0, 2, 0, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for fewer than two dimensions.
    #[track_caller]
    pub fn triu(&self, diagonal: impl Integer) -> Result<Self> {
        let diagonal = diagonal.to_isize();
        self.triangle("triu", diagonal, false)
    }

    #[track_caller]
    fn triangle(&self, op: &'static str, diagonal: isize, lower: bool) -> Result<Self> {
        body_once!(
            T: Element,
            [self, op, diagonal, lower],
            |x: &Tensor<T>, op: &'static str, diagonal: isize, lower: bool| -> Result<Tensor<T>> {
                let [.., rows, columns] = *x.shape() else {
                    let message = format!("shape {:?}: matrices are needed", x.shape());
                    return Err(Error::shape(op, message));
                };
                memory::ask::<T>(op, x.shape())?;
                let device = x.device();
                // The column in which each row meets the diagonal; beyond the matrix they are all alike.
                let diagonal = diagonal.clamp(-(rows as isize), columns as isize) as i64;
                let row = (arange_on(&device, 0, rows as i64, 1)? + diagonal).unsqueeze(-1)?;
                let column = arange_on(&device, 0, columns as i64, 1)?;
                let mask = if lower { row.ge(&column)? } else { row.le(&column)? };
                mask.where_cond(x, T::default())
            }
        )
    }

    /// The tensor with `value` around it: `pad` counts what is put before and after, beginning with
    /// the last dimension, as PyTorch's does; negative numbers cut off.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).pad([1, 2], 9)?.to_vec(), [9, 1, 2, 9, 9]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where `pad` has an odd length or names more dimensions than there are; index, where more
    /// is cut off than there is.
    #[track_caller]
    pub fn pad(&self, pad: impl IntoDims, value: impl ValueFor<T>) -> Result<Self> {
        body_once!(
            T: Element,
            [self, &pad.into_dims(), value.as_element()],
            |x: &Tensor<T>, pad: &[isize], value: T| -> Result<Tensor<T>> {
                if !pad.len().is_multiple_of(2) || pad.len() / 2 > x.ndim() {
                    let message = format!(
                        "{pad:?} for shape {:?}: two numbers a dimension are needed, the last first",
                        x.shape()
                    );
                    return Err(Error::shape("pad", message));
                }
                let mut padded = x.clone();
                for (k, sizes) in pad.chunks_exact(2).enumerate() {
                    let d = x.ndim() - 1 - k;
                    let cut = |n: isize| if n < 0 { n.unsigned_abs() } else { 0 };
                    let left =
                        padded.shape()[d].checked_sub(cut(sizes[0])).and_then(|n| n.checked_sub(cut(sizes[1])));
                    let Some(left) = left else {
                        let message = format!("{pad:?} cuts off more than shape {:?} has", x.shape());
                        return Err(Error::index("pad", message));
                    };
                    padded = padded.narrow(d as isize, cut(sizes[0]) as isize, left)?;
                    let border = |n: isize| {
                        let mut shape = Dims::from_slice(padded.shape());
                        shape[d] = n.max(0) as usize;
                        Array::repeat_on(x.device(), &shape, value).map(Tensor::constant)
                    };
                    let (before, after) = (border(sizes[0])?, border(sizes[1])?);
                    padded = Tensor::cat(&[&before, &padded, &after], d as isize)?;
                }
                Ok(padded)
            }
        )
    }

    /// The slices at every place of dimension `dim`, which disappears: views.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let rows = Tensor::from([[1, 2], [3, 4]]).unbind(0)?;
    /// assert_eq!((rows[0].to_vec(), rows[1].to_vec()), (vec![1, 2], vec![3, 4]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; out of memory, for the parts.
    #[track_caller]
    pub fn unbind(&self, d: impl Integer) -> Result<Vec<Self>> {
        body_once!(T: Element, [self, d.to_isize()], |x: &Tensor<T>, d: isize| -> Result<Vec<Tensor<T>>> {
            let d = dim("unbind", d, x.ndim())?;
            let mut parts = memory::room("unbind", x.shape()[d])?;
            // Each part takes a handle, and its layout.
            memory::ask::<[u64; 16]>("unbind", &[x.shape()[d]])?;
            for k in 0..x.shape()[d] {
                parts.push(x.select(d, k)?);
            }
            Ok(parts)
        })
    }

    /// Parts of `size` elements along `dim`, the last one with what is left: views.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let parts = Tensor::from([1, 2, 3]).split(2, 0)?;
    /// assert_eq!((parts[0].to_vec(), parts[1].to_vec()), (vec![1, 2], vec![3]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; argument, for a size of 0; out of memory, for the parts.
    #[track_caller]
    pub fn split(&self, size: impl Integer, d: impl Integer) -> Result<Vec<Self>> {
        let (size, d) = (size.to_size("split").at_caller()?, d.to_isize());
        body_once!(
            T: Element,
            [self, size, d],
            |x: &Tensor<T>, size: usize, d: isize| -> Result<Vec<Tensor<T>>> {
                let n = x.size(d)?;
                if size == 0 {
                    return Err(Error::argument("split", "parts of 0 elements: at least 1 is needed"));
                }
                let count = n.max(1).div_ceil(size);
                let mut parts = memory::room("split", count)?;
                // Each part takes a handle, and its layout.
                memory::ask::<[u64; 16]>("split", &[count])?;
                for k in 0..count {
                    let from = k * size;
                    parts.push(x.narrow(d, from as isize, size.min(n - from))?);
                }
                Ok(parts)
            }
        )
    }

    /// Parts of these sizes along `dim`, which add up to its size: views. PyTorch's `split` with a list.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let parts = Tensor::from([1, 2, 3]).split_with_sizes([1, 2], 0)?;
    /// assert_eq!((parts[0].to_vec(), parts[1].to_vec()), (vec![1], vec![2, 3]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; argument, for sizes that do not add up to its size, and a negative one; out of
    /// memory, for the parts.
    #[track_caller]
    pub fn split_with_sizes(&self, sizes: impl IntoDims, d: impl Integer) -> Result<Vec<Self>> {
        body_once!(
            T: Element,
            [self, &sizes.into_dims(), d.to_isize()],
            |x: &Tensor<T>, sizes: &[isize], d: isize| -> Result<Vec<Tensor<T>>> {
                let n = x.size(d).called("split_with_sizes")?;
                let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(usize::try_from(size).ok()?));
                if total != Some(n) {
                    let message = format!("sizes {sizes:?} for {n} elements along dimension {d}: they must add up");
                    return Err(Error::argument("split_with_sizes", message));
                }
                let mut parts = memory::room("split_with_sizes", sizes.len())?;
                let mut from = 0;
                for &size in sizes {
                    parts.push(x.narrow(d, from, size as usize)?);
                    from += size;
                }
                Ok(parts)
            }
        )
    }

    /// At most `count` parts of equal size along `dim`, the last one with what is left: views.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let parts = Tensor::from([1, 2, 3, 4, 5]).chunk(2, 0)?;
    /// assert_eq!(parts[0].to_vec(), [1, 2, 3]);
    /// assert_eq!(parts[1].to_vec(), [4, 5]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; argument, for 0 parts; out of memory, for the parts.
    #[doc(alias = "array_split")]
    #[track_caller]
    pub fn chunk(&self, count: impl Integer, d: impl Integer) -> Result<Vec<Self>> {
        let (count, d) = (count.to_size("chunk").at_caller()?, d.to_isize());
        if count == 0 {
            return Err(Error::argument("chunk", "0 parts: at least 1 is needed").at_caller());
        }
        self.split(self.size(d)?.div_ceil(count).max(1), d)
    }
}

/// # Rearranging: repeated elements, and the trace
impl<T: Number> Tensor<T> {
    /// Each slice along `dim` repeated behind itself: as often as a number says, or a vector for each slice. NumPy's
    /// `repeat`; PyTorch's without a dimension is that of `flatten()`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.repeat_interleave(2, 0)?.to_vec(), [1, 1, 2, 2, 3, 3]);
    /// assert_eq!(x.repeat_interleave([2, 0, 1], 0)?.to_vec(), [1, 1, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where the vector does not have a number for each slice;
    /// argument, for a negative number; out of memory.
    #[track_caller]
    pub fn repeat_interleave(&self, repeats: impl Into<Tensor<i64>>, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        body_once!(
            T: Number,
            [self, &repeats.into(), d],
            |x: &Tensor<T>, repeats: &Tensor<i64>, d: isize| -> Result<Tensor<T>> {
                repeated(&x.as_vector()?, repeats, d).called("repeat_interleave")
            }
        )
    }

    /// The sum of the diagonal of a matrix `[m, n]`, without dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).trace()?.item()?, 6);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where it is no matrix.
    #[track_caller]
    pub fn trace(&self) -> Result<Self> {
        if self.ndim() != 2 {
            let message = format!("shape {:?}: a matrix is needed", self.shape());
            return Err(Error::shape("trace", message).at_caller());
        }
        Ok(self.diagonal(0, 0, 1)?.sum())
    }
}

/// Each slice along a dimension repeated behind itself.
fn repeated<T: Number>(x: &Tensor<T>, repeats: &Tensor<i64>, d: isize) -> Result<Tensor<T>> {
    const OP: &str = "repeat_interleave";
    let dim = dim(OP, d, x.ndim())?;
    let size = x.shape()[dim];
    if repeats.ndim() > 1 || (repeats.ndim() == 1 && ![1, size].contains(&repeats.numel())) {
        let message = format!(
            "numbers of shape {:?} for {size} slices of dimension {dim}: a number or one for each is needed",
            repeats.shape()
        );
        return Err(Error::shape(OP, message));
    }
    let counts = repeats.to_vec();
    if let Some(count) = counts.iter().find(|&&count| count < 0) {
        return Err(Error::argument(OP, format!("{count} times: 0 or more is needed")));
    }
    if let [count] = counts[..] {
        let mut shape = Dims::from_slice(x.shape());
        shape[dim] = size.saturating_mul(count as usize);
        memory::ask::<T>(OP, &shape)?;
        let mut apart = Dims::from_slice(x.shape());
        apart.insert(dim + 1, count as usize);
        return x.unsqueeze(dim as isize + 1)?.expand(&apart)?.reshaped(shape);
    }
    let total = counts.iter().fold(0usize, |sum, &count| sum.saturating_add(count as usize));
    memory::ask::<i64>(OP, &[total])?;
    let ends = repeats.cumsum(0)?;
    let slices = ends.searchsorted(&arange_on(&repeats.device(), 0, total as i64, 1)?, true)?;
    x.index_select(d, &slices)
}

/// Two different dimensions.
fn two_dims(op: &'static str, dim1: isize, dim2: isize, ndim: usize) -> Result<[usize; 2]> {
    let dims = [dim(op, dim1, ndim)?, dim(op, dim2, ndim)?];
    if dims[0] == dims[1] {
        return Err(Error::index(op, format!("dimensions {dim1} and {dim2} are the same: name two")));
    }
    Ok(dims)
}
