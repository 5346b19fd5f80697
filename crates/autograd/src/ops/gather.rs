//! Elements chosen by tensors: of indices, or of a mask.

use super::compare::Operand;
use crate::apply_once;
use crate::body_once;
use crate::create::arange_on;
use crate::op::{Kept, Op, apply, apply_owned};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use tensor_core::shape::{Dims, Integer, dim};
use tensor_core::{
    Array, AtCaller, Device, Element, Error, Number, OrRaise, Result, formula, kernels, memory,
};

/// Indices: a tensor of them, on the device of what they choose from, or a list, which is brought there: a range, a vector,
/// an array or a slice of integers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of indices",
    label = "a tensor of i64, a range, a vector, an array or a slice of integers is needed",
    note = "a mask chooses by `x.masked_select(&mask)?`, positions by `x.slice(s![.., 1])?`"
)]
pub trait Indices {
    /// The indices as a tensor on a device.
    ///
    /// # Errors
    /// Out of memory.
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>>;
}

impl Indices for Tensor<i64> {
    fn indices(&self, _: Device) -> Result<Cow<'_, Tensor<i64>>> {
        Ok(Cow::Borrowed(self))
    }
}

impl<L: Indices + ?Sized> Indices for &L {
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>> {
        (**self).indices(device)
    }
}

/// A list of integers as a tensor on a device.
fn listed(integers: impl ExactSizeIterator<Item = i64>, device: Device) -> Result<Cow<'static, Tensor<i64>>> {
    let mut list = memory::room("indices", integers.len())?;
    list.extend(integers);
    let list = Tensor::from(list);
    Ok(Cow::Owned(if device == Device::Cpu { list } else { list.to_device(&device)? }))
}

impl<I: Integer> Indices for [I] {
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>> {
        listed(self.iter().map(|i| i.to_isize() as i64), device)
    }
}

impl<I: Integer, const N: usize> Indices for [I; N] {
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>> {
        self.as_slice().indices(device)
    }
}

impl<I: Integer> Indices for Vec<I> {
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>> {
        self.as_slice().indices(device)
    }
}

impl<I: Integer> Indices for Range<I> {
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>> {
        let (start, end) = (self.start.to_isize() as i64, self.end.to_isize() as i64);
        Ok(Cow::Owned(arange_on(&device, start, end.max(start), 1)?))
    }
}

impl<I: Integer> Indices for RangeInclusive<I> {
    fn indices(&self, device: Device) -> Result<Cow<'_, Tensor<i64>>> {
        let (start, end) = (self.start().to_isize() as i64, self.end().to_isize() as i64);
        Ok(Cow::Owned(arange_on(&device, start, end.saturating_add(1).max(start), 1)?))
    }
}

/// The elements at an index along a dimension.
struct Gather {
    dim: usize,
    index: Array<i64>,
}

impl<T: Number> Op<T, 1> for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::gather("gather", x, self.dim, &self.index)
    }
    fn holds(&self) -> usize {
        self.index.allocation().1
    }
    /// grad added to zeros at the index: duplicates accumulate
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(added_at(&self.index, self.dim, kept.shape(0), g)?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| picked(&self.index, self.dim, kept.many(), &t)).transpose()
    }
}

/// An index for each of many tensors, along a first dimension, and the dimension that it is along.
fn of_many(index: &Array<i64>, dim: usize, many: Option<usize>) -> Result<(Array<i64>, usize)> {
    let Some(many) = many else { return Ok((index.clone(), dim)) };
    let shape: Dims = [many].into_iter().chain(index.shape().iter().copied()).collect();
    Ok((index.expand("gather", &shape)?, dim + 1))
}

/// The elements of the tangent `t`, or of each of many, at an index.
pub(super) fn picked<T: Number>(
    index: &Array<i64>,
    dim: usize,
    many: Option<usize>,
    t: &Tensor<T>,
) -> Result<Tensor<T>> {
    let (index, dim) = of_many(index, dim, many)?;
    apply(Gather { dim, index }, [t])
}

/// `g` added to zeros of `shape` at an index along a dimension.
pub(super) fn added_at<T: Number>(
    index: &Array<i64>,
    dim: usize,
    shape: &[usize],
    g: Tensor<T>,
) -> Result<Tensor<T>> {
    let zeros = Tensor::constant(Array::zeros_on(g.device(), shape)?);
    apply_owned(ScatterAdd { dim, index: index.clone() }, [zeros, g])
}

/// The first input with the second added at an index along a dimension.
pub(super) struct ScatterAdd {
    pub(super) dim: usize,
    pub(super) index: Array<i64>,
}

impl<T: Number> Op<T, 2> for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    fn forward(&self, [x, source]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::scatter_add("scatter_add", x.clone(), self.dim, &self.index, source)
    }
    fn forward_owned(&self, [x, source]: [Array<T>; 2]) -> Result<Array<T>> {
        kernels::scatter_add("scatter_add", x, self.dim, &self.index, &source)
    }
    fn holds(&self) -> usize {
        self.index.allocation().1
    }
    /// grad, grad at the index
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let picked = kept.wrt(1, || apply(Gather { dim: self.dim, index: self.index.clone() }, [&g]))?;
        Ok([kept.wrt(0, || Ok(g))?, picked])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [x, source]: [Option<Tensor<T>>; 2]) -> Result<Option<Tensor<T>>> {
        let Some(source) = source else { return Ok(x) };
        let (index, dim) = of_many(&self.index, self.dim, kept.many())?;
        let onto = match x {
            Some(x) => x,
            None => Tensor::constant(Array::zeros_on(source.device(), &kept.tangent_shape())?),
        };
        apply_owned(ScatterAdd { dim, index }, [onto, source]).map(Some)
    }
}

/// Refuses an index that is larger than `shape` in a dimension other than `dim`, or in any where
/// `dim` is None.
pub(super) fn check_index(
    op: &'static str,
    index: &[usize],
    shape: &[usize],
    dim: Option<usize>,
) -> Result<()> {
    let fits = index.len() == shape.len() && (0..shape.len()).all(|k| Some(k) == dim || index[k] <= shape[k]);
    if fits {
        return Ok(());
    }
    let except = dim.map_or(String::new(), |d| format!(" except in dimension {d}"));
    let message =
        format!("an index of shape {index:?} must have the dimensions of {shape:?} and be no larger{except}");
    Err(Error::shape(op, message))
}

/// # Indexing: gathering and scattering
impl<T: Number> Tensor<T> {
    /// `out[i][j][k] = self[i][index[i][j][k]][k]` for `dim` 1, and so on: the elements at `index`
    /// along `dim`. The index has as many dimensions, and is no larger in the others. Negative
    /// indices count from the end; the gradients of an element chosen often add up. A tensor without dimensions is as
    /// good as a vector of one element, here and in every operation along a dimension.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = x.gather(1, &Tensor::from([[0, 0], [1, 0]]))?;
    /// assert_eq!(y.to_vec(), [1.0, 1.0, 4.0, 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or there is no such dimension; shape, where the index does not
    /// fit.
    #[doc(alias("take_along_axis", "take_along_dim"))]
    #[track_caller]
    pub fn gather(&self, d: impl Integer, index: impl Indices) -> Result<Self> {
        let (d, index) = (d.to_isize(), index.indices(self.device()).at_caller()?);
        if self.ndim().min(index.ndim()) == 0 && self.ndim().max(index.ndim()) < 2 {
            let shape = Dims::from_slice(index.shape());
            return Tensor::gather_along(&self.as_vector()?, d, &index.as_vector()?)?.reshaped(shape);
        }
        self.gather_along(d, &index)
    }

    #[track_caller]
    fn gather_along(&self, d: isize, index: &Tensor<i64>) -> Result<Self> {
        let dim = dim("gather", d, self.ndim()).at_caller()?;
        check_index("gather", index.shape(), self.shape(), Some(dim)).at_caller()?;
        apply_once!(T: Number, Gather { dim, index: index.array().clone() } => Gather, [self])
    }

    /// This tensor with `self[i][index[i][j][k]][k] += source[i][j][k]` for `dim` 1, and so on. The
    /// index has as many dimensions, and is no larger than the source, nor than this tensor in the
    /// other dimensions. What is added to one element is added in row-major order, on every device.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([3]);
    /// let y = x.scatter_add(0, &Tensor::from([2, 0, 2]), &Tensor::from([1.0, 2.0, 4.0]))?;
    /// assert_eq!(y.to_vec(), [2.0, 0.0, 5.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or there is no such dimension; shape, where index or source do
    /// not fit.
    #[doc(alias = "put_along_axis")]
    #[track_caller]
    pub fn scatter_add(&self, d: impl Integer, index: impl Indices, source: &Tensor<T>) -> Result<Self> {
        let index = index.indices(self.device()).at_caller()?;
        body_once!(
            T: Number,
            [self, d.to_isize(), &index, source],
            |this: &Tensor<T>, d: isize, index: &Tensor<i64>, source: &Tensor<T>| -> Result<Tensor<T>> {
                let dims = [this.ndim(), index.ndim(), source.ndim()];
                if dims.contains(&0) && dims.iter().all(|&n| n < 2) {
                    let (x, shape) = (this.as_vector()?, Dims::from_slice(this.shape()));
                    return x.scatter_add(d, &index.as_vector()?, &source.as_vector()?)?.reshaped(shape);
                }
                let dim = dim("scatter_add", d, this.ndim())?;
                check_index("scatter_add", index.shape(), this.shape(), Some(dim))?;
                check_index("scatter_add", index.shape(), source.shape(), None)?;
                // What the index does not reach of the source is left out, and gets the gradient 0.
                let mut read = source.clone();
                for (k, &size) in index.shape().iter().enumerate() {
                    if size < read.shape()[k] {
                        read = read.narrow(k as isize, 0, size)?;
                    }
                }
                apply(ScatterAdd { dim, index: index.array().clone() }, [this, &read])
            }
        )
    }

    /// The slices at the indices, a list or a vector, along `dim`: NumPy's `take`. Negative ones count from the
    /// end; the gradients of a slice chosen often add up.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4], [5, 6]]);
    /// assert_eq!(x.index_select(0, &Tensor::from([2, 0, 2]))?.to_vec(), [5, 6, 1, 2, 5, 6]);
    /// assert_eq!(x.index_select(0, 1..3)?.to_vec(), [3, 4, 5, 6]);
    /// assert_eq!(x.index_select(0, vec![-1])?.to_vec(), [5, 6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or there is no such dimension; shape, where the indices are neither a
    /// vector nor a single one.
    #[doc(alias = "take")]
    #[track_caller]
    pub fn index_select(&self, d: impl Integer, index: impl Indices) -> Result<Self> {
        let index = index.indices(self.device()).at_caller()?;
        body_once!(
            T: Number,
            [self, d.to_isize(), &index],
            |x: &Tensor<T>, d: isize, index: &Tensor<i64>| -> Result<Tensor<T>> {
                if index.ndim() == 0 {
                    return x.index_select(d, &index.as_vector()?);
                }
                if x.ndim() == 0 {
                    if index.numel() != 1 {
                        let message =
                            format!("{} indices into a tensor without dimensions: one is needed", index.numel());
                        return Err(Error::shape("index_select", message));
                    }
                    return x.as_vector()?.index_select(d, index)?.as_scalar();
                }
                let dim = dim("index_select", d, x.ndim())?;
                let index = along("index_select", index, dim, x.shape())?;
                apply(Gather { dim, index }, [x])
            }
        )
    }

    /// The elements where the mask, broadcast to this shape, holds: a vector, in row-major order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, -2.0, 3.0]);
    /// assert_eq!(x.masked_select(&x.gt(0.0)?)?.to_vec(), [1.0, 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the mask does not broadcast to this shape, or this to the mask's.
    #[doc(alias("compress", "extract", "boolean_mask"))]
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor<bool>) -> Result<Self> {
        body_once!(T: Number, [self, mask], |x: &Tensor<T>, mask: &Tensor<bool>| -> Result<Tensor<T>> {
            let shape = tensor_core::shape::broadcast("masked_select", x.shape(), mask.shape());
            let shape = shape?;
            let mask = mask.expand(&shape)?;
            let index = Tensor::from(kernels::positions("masked_select", mask.array())?);
            x.expand(&shape)?.flatten().index_select(0, &index)
        })
    }
}

/// # Indexing: filling by masks, and places
impl<T: Element> Tensor<T> {
    /// `value`, a number or a tensor, where the mask, broadcast to this shape, holds, else this tensor; the gradient is 0
    /// where it does.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, f64::NAN]);
    /// assert_eq!(x.masked_fill(&x.isnan(), 0.0)?.to_vec(), [1.0, 0.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias = "putmask")]
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, value: impl Operand<T>) -> Result<Self> {
        mask.where_cond(value, self)
    }

    /// The indices of the elements that are not 0 (not `false`), a row for each, in row-major order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[0.0, 2.0], [3.0, 0.0]]).nonzero().to_vec(), [0, 1, 1, 0]);
    /// ```
    #[doc(alias("argwhere", "flatnonzero"))]
    #[track_caller]
    #[must_use]
    pub fn nonzero(&self) -> Tensor<i64> {
        body_once!(T: Element, [self], |x: &Tensor<T>| -> Result<Tensor<i64>> {
            let rows = || -> Result<Tensor<i64>> {
                let mask = x.ne(T::default())?;
                let places = kernels::positions("nonzero", mask.array())?;
                let columns: Vec<Tensor<i64>> = (0..x.ndim())
                    .map(|k| {
                        let inner = x.shape()[k + 1..].iter().product::<usize>() as i64;
                        let size = x.shape()[k] as i64;
                        // Divisions take longer than all the rest: in each column those that change it.
                        let column = match (k, inner) {
                            (0, 1) => places.clone(),
                            (0, _) => {
                                kernels::map("nonzero", &places, &formula!(|place: i64| place.floor_divide(inner)))?
                            }
                            (_, 1) => kernels::map("nonzero", &places, &formula!(|place: i64| place.remainder(size)))?,
                            _ => {
                                let along = &formula!(|place: i64| place.floor_divide(inner).remainder(size));
                                kernels::map("nonzero", &places, along)?
                            }
                        };
                        Ok(column.into())
                    })
                    .collect::<Result<_>>()?;
                match columns.is_empty() {
                    true => Tensor::from(places).unsqueeze(-1)?.narrow(-1, 0, 0),
                    false => Tensor::stack(&columns.iter().collect::<Vec<_>>(), -1),
                }
            };
            rows().called("nonzero")
        })
        .or_raise()
    }
}

/// Indices, a vector, along `dim`, repeated over the other dimensions of `shape`.
pub(super) fn along(
    op: &'static str,
    index: &Tensor<i64>,
    dim: usize,
    shape: &[usize],
) -> Result<Array<i64>> {
    if index.ndim() != 1 {
        let message = format!("indices of shape {:?}: a vector is needed", index.shape());
        return Err(Error::shape(op, message));
    }
    let mut line = Dims::from_elem(1, shape.len());
    line[dim] = index.numel();
    let mut whole = Dims::from_slice(shape);
    whole[dim] = index.numel();
    Ok(index.reshape(&line)?.expand(&whole)?.into_array())
}
