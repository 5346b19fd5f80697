//! Elements put, added or reduced to places that an index names.

use super::compare::Operand;
use super::gather::{Indices, ScatterAdd, along, check_index};
use super::index::index_in;
use crate::body_once;
use crate::create::arange_on;
use crate::op::apply;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use tensor_core::shape::{Integer, dim};
use tensor_core::{AtCaller, Device, Float, Number, Result, kernels, memory};

/// What becomes of the elements that come to one place: the names of PyTorch's `scatter_reduce`.
///
/// ```
/// use tapegrad::{Reduce, Tensor};
/// let (x, index) = (Tensor::from([1.0, 1.0]), Tensor::from([0, 0]));
/// let source = Tensor::from([4.0, 7.0]);
/// let reduced = |reduce| Ok::<_, tapegrad::Error>(x.scatter_reduce(0, &index, &source, reduce, true)?.to_vec());
/// assert_eq!((reduced(Reduce::Prod)?, reduced(Reduce::Mean)?), (vec![28.0, 1.0], vec![4.0, 1.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Their sum.
    Sum,
    /// Their product; its derivatives, of any order, are right where elements are 0.
    Prod,
    /// Their mean.
    Mean,
    /// The largest; equal ones share the gradient evenly.
    Amax,
    /// The smallest; equal ones share the gradient evenly.
    Amin,
}

/// # Indexing: writing by tensors
impl<T: Number> Tensor<T> {
    /// This tensor with `self[i][index[i][j][k]][k] = source[i][j][k]` for `dim` 1, and so on; `source` may be a number.
    /// The index has as many dimensions, and is no larger than the source, nor than this tensor in the other dimensions.
    /// Of what is put to one element, the last in row-major order stays, and has its gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (x, index) = (Tensor::zeros([3]), Tensor::from([2, 0]));
    /// assert_eq!(x.scatter(0, &index, &Tensor::from([5.0, 7.0]))?.to_vec(), [7.0, 0.0, 5.0]);
    /// assert_eq!(x.scatter(0, &index, 1.0)?.to_vec(), [1.0, 0.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or there is no such dimension; shape, where index or source do not fit.
    #[track_caller]
    pub fn scatter(
        &self,
        d: impl Integer,
        index: &Tensor<i64>,
        source: impl Into<Tensor<T>>,
    ) -> Result<Self> {
        let d = d.to_isize();
        body_once!(
            T: Number,
            [self, d, index, &source.into()],
            |this: &Tensor<T>, d: isize, index: &Tensor<i64>, source: &Tensor<T>| -> Result<Tensor<T>> {
                scattered(this, d, index, source).called("scatter")
            }
        )
    }

    /// This tensor with the slices of `source`, a tensor or a number, in place of the slices at the indices, a list or a vector, along
    /// `dim`; of what is put to one slice, the last stays. With a number it is PyTorch's `index_fill`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.index_copy(1, [2, 0], Tensor::from([[7, 8], [9, 0]]))?.to_vec(), [8, 2, 7, 0, 5, 9]);
    /// assert_eq!(x.index_copy(1, [-1], 0)?.to_vec(), [1, 2, 0, 4, 5, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or there is no such dimension; shape, where the indices are no vector or
    /// `source` does not broadcast to the slices that they name.
    #[doc(alias = "index_fill")]
    #[track_caller]
    pub fn index_copy(&self, d: impl Integer, index: impl Indices, source: impl Operand<T>) -> Result<Self> {
        let (index, source) = (index.indices(self.device()).at_caller()?, source.operand());
        body_once!(
            T: Number,
            [self, d.to_isize(), &index, &source],
            |x: &Tensor<T>, d: isize, index: &Tensor<i64>, source: &Tensor<T>| -> Result<Tensor<T>> {
                put("index_copy", x, d, index, source, false).called("index_copy")
            }
        )
    }

    /// This tensor with the slices of `source`, a tensor or a number, added to the slices at the indices, a list or a vector, along
    /// `dim`: what is added to one slice adds up, as NumPy's `add.at` does.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.index_add(1, [1, 1], Tensor::from([[1, 10], [2, 20]]))?.to_vec(), [1, 13, 3, 26]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::index_copy`].
    #[track_caller]
    pub fn index_add(&self, d: impl Integer, index: impl Indices, source: impl Operand<T>) -> Result<Self> {
        let (index, source) = (index.indices(self.device()).at_caller()?, source.operand());
        body_once!(
            T: Number,
            [self, d.to_isize(), &index, &source],
            |x: &Tensor<T>, d: isize, index: &Tensor<i64>, source: &Tensor<T>| -> Result<Tensor<T>> {
                put("index_add", x, d, index, source, true).called("index_add")
            }
        )
    }

    /// This tensor with the rows of `values`, a tensor or a number, in place of the rows at the indices, a list or a vector, of the first
    /// dimension, or added to them where `accumulate`. What is added to one row adds up, as NumPy's
    /// `add.at` does; of what is put to one row, the last stays.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (x, index) = (Tensor::from([1.0, 1.0, 1.0]), Tensor::from([1, 1]));
    /// let values = Tensor::from([2.0, 3.0]);
    /// assert_eq!(x.index_put(&index, &values, false)?.to_vec(), [1.0, 3.0, 1.0]);
    /// assert_eq!(x.index_put(&index, &values, true)?.to_vec(), [1.0, 6.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or the tensor is a scalar; shape, where the indices are no
    /// vector or `values` do not broadcast to the rows that they name.
    #[doc(alias = "put")]
    #[track_caller]
    pub fn index_put(&self, index: impl Indices, values: impl Operand<T>, accumulate: bool) -> Result<Self> {
        let (index, values) = (index.indices(self.device()).at_caller()?, values.operand());
        body_once!(
            T: Number,
            [self, &index, &values, accumulate],
            |x: &Tensor<T>, index: &Tensor<i64>, values: &Tensor<T>, accumulate: bool| -> Result<Tensor<T>> {
                put("index_put", x, 0, index, values, accumulate).called("index_put")
            }
        )
    }
}

impl<T: Float> Tensor<T> {
    /// This tensor with `source[i][j][k]` and whatever else comes to `self[i][index[i][j][k]][k]`, for `dim` 1 and so on, reduced to
    /// one element there: with the element of this tensor itself where `include_self`. The index has as many dimensions,
    /// and is no larger than the source, nor than this tensor in the other dimensions. Places that the index does not name keep
    /// their element. On a GPU all but [`Reduce::Sum`] read the index on the host.
    ///
    /// ```
    /// use tapegrad::{Reduce, Tensor};
    /// let (x, index) = (Tensor::from([5.0, 5.0, 5.0]), Tensor::from([0, 2, 0]));
    /// let source = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(x.scatter_reduce(0, &index, &source, Reduce::Amax, true)?.to_vec(), [5.0, 5.0, 5.0]);
    /// assert_eq!(x.scatter_reduce(0, &index, &source, Reduce::Amax, false)?.to_vec(), [3.0, 5.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where one is out of range or there is no such dimension; shape, where index or source do not fit; out of memory.
    #[track_caller]
    pub fn scatter_reduce(
        &self,
        d: impl Integer,
        index: impl Indices,
        source: &Tensor<T>,
        reduce: Reduce,
        include_self: bool,
    ) -> Result<Self> {
        let index = index.indices(self.device()).at_caller()?;
        body_once!(
            T: Float,
            [self, d.to_isize(), &index, source, reduce, include_self],
            |x: &Tensor<T>,
             d: isize,
             index: &Tensor<i64>,
             source: &Tensor<T>,
             reduce: Reduce,
             include_self: bool|
             -> Result<Tensor<T>> {
                reduced(x, d, index, source, reduce, include_self).called("scatter_reduce")
            }
        )
    }
}

/// Values for `x`: a number goes to where that is.
fn beside<T: Number>(x: &Tensor<T>, values: &Tensor<T>) -> Result<Tensor<T>> {
    if values.ndim() == 0 { values.to_device(&x.device()) } else { Ok(values.clone()) }
}

/// `x` with slices in place of those at the indices along dimension `d`, or added to them.
fn put<T: Number>(
    op: &'static str,
    x: &Tensor<T>,
    d: isize,
    index: &Tensor<i64>,
    values: &Tensor<T>,
    accumulate: bool,
) -> Result<Tensor<T>> {
    let dim = dim(op, d, x.ndim())?;
    let whole = along(op, index, dim, x.shape())?;
    let values = beside(x, values)?.expand(whole.shape())?;
    if accumulate {
        return apply(ScatterAdd { dim, index: whole }, [x, &values]);
    }
    // Each slice comes from here, or from the last of the values that is put to it.
    let size = x.shape()[dim];
    let sources = match x.device() {
        Device::Cpu => {
            let mut sources = kernels::arange(op, Device::Cpu, size)?;
            let own = sources.make_mut()?;
            for (k, i) in index.to_vec().into_iter().enumerate() {
                own[index_in(op, x.shape(), dim, i as isize)?] = (size + k) as i64;
            }
            Tensor::from(sources)
        }
        device => {
            let own = arange_on(&device, 0, size as i64, 1)?;
            // The number of each slice that is put to, at the end of its run in the sorted index.
            let index = own.index_select(0, index)?;
            let order = index.argsort(0, false)?;
            let sorted = index.index_select(0, &order)?;
            let n = index.numel();
            let (start, others) = (n.min(1), n.saturating_sub(1));
            let ends = sorted.narrow(0, 0, others)?.ne(&sorted.narrow(0, start as isize, others)?)?;
            let ends = ends.to_type::<i64>().pad((0, start), 1)?.to_type::<bool>();
            let (slice, last) = (sorted.masked_select(&ends)?, order.masked_select(&ends)?);
            own.scatter_add(0, &slice, &(last.try_sub(&slice)? + size as i64))?
        }
    };
    Tensor::cat(&[x, &values], dim)?.index_select(dim, &sources)
}

/// The places in `x`, row-major, that an index along a dimension names, and the elements of `source` that go there.
fn places<T: Number>(
    op: &'static str,
    x: &Tensor<T>,
    d: isize,
    index: &Tensor<i64>,
    source: &Tensor<T>,
) -> Result<(Tensor<i64>, Tensor<T>)> {
    let dim = dim(op, d, x.ndim())?;
    check_index(op, index.shape(), x.shape(), Some(dim))?;
    check_index(op, index.shape(), source.shape(), None)?;
    let mut read = source.clone();
    for (k, &size) in index.shape().iter().enumerate() {
        read = read.narrow(k as isize, 0, size)?;
    }
    // The numbers of the elements, at the index.
    let numbers = arange_on(&x.device(), 0, x.numel() as i64, 1)?.reshape(x.shape())?;
    Ok((numbers.gather(d, index)?.flatten(), read.flatten()))
}

/// `x` with elements of `source` at an index along a dimension.
fn scattered<T: Number>(
    x: &Tensor<T>,
    d: isize,
    index: &Tensor<i64>,
    source: &Tensor<T>,
) -> Result<Tensor<T>> {
    let source = beside(x, source)?;
    let source = if source.ndim() == 0 { source.expand(index.shape())? } else { source };
    if x.ndim() == 0 && index.ndim() < 2 {
        return scattered(&x.as_vector()?, d, &index.as_vector()?, &source.as_vector()?)?.as_scalar();
    }
    let (index, source) = match (x.ndim(), index.ndim()) {
        (1, 0) => (index.as_vector()?, source.as_vector()?),
        _ => (index.clone(), source),
    };
    let (places, source) = places("scatter", x, d, &index, &source)?;
    put("scatter", &x.flatten(), 0, &places, &source, false)?.reshape(x.shape())
}

/// `x` with what comes to each place reduced.
///
/// The elements that come to one place are a row of a matrix of all those that get as many, which the reductions of
/// dimensions then take: so derivatives, ties, NaN and the range are theirs. There are at most sqrt(2 n) such matrices.
fn reduced<T: Float>(
    x: &Tensor<T>,
    d: isize,
    index: &Tensor<i64>,
    source: &Tensor<T>,
    reduce: Reduce,
    include_self: bool,
) -> Result<Tensor<T>> {
    const OP: &str = "scatter_reduce";
    let dims = [x.ndim(), index.ndim(), source.ndim()];
    if dims.contains(&0) && dims.iter().all(|&n| n < 2) {
        let (index, source) = (index.as_vector()?, source.as_vector()?);
        return reduced(&x.as_vector()?, d, &index, &source, reduce, include_self)?.reshape(x.shape());
    }
    let (places, source) = places(OP, x, d, index, source)?;
    let flat = x.flatten();
    if reduce == Reduce::Sum {
        let zeros = Tensor::scalar(T::ZERO);
        let own = if include_self { flat } else { put(OP, &flat, 0, &places, &zeros, false)? };
        return put(OP, &own, 0, &places, &source, true)?.reshape(x.shape());
    }
    let order = places.argsort(0, false)?.cpu().to_vec();
    let places = places.cpu().to_vec();
    let runs = || order.chunk_by(|&a, &b| places[a as usize] == places[b as usize]);
    // For each number of elements how many places get so many; then those places, and where their elements are behind all of `x`.
    let mut counts = BTreeMap::new();
    runs().for_each(|run| *counts.entry(run.len()).or_insert(0) += 1);
    let mut rows: BTreeMap<usize, (Vec<i64>, Vec<i64>)> = BTreeMap::new();
    for (&length, &count) in &counts {
        let whole = count * (length + usize::from(include_self));
        rows.insert(length, (memory::room(OP, count)?, memory::room(OP, whole)?));
    }
    for run in runs() {
        let place = places[run[0] as usize];
        let Some((to, from)) = rows.get_mut(&run.len()) else { continue };
        to.push(place);
        from.extend(include_self.then_some(place));
        from.extend(run.iter().map(|k| x.numel() as i64 + k));
    }
    let all = Tensor::cat(&[&flat, &source], 0)?;
    let (mut to, mut values) = (memory::room(OP, counts.values().sum())?, Vec::new());
    for (row_places, from) in rows.into_values() {
        let count = from.len() / row_places.len();
        let row = all.index_select(0, &from)?.reshape([row_places.len(), count])?;
        values.push(match reduce {
            Reduce::Sum => row.sum_dim(1, false)?,
            Reduce::Prod => row.prod_dim(1, false)?,
            Reduce::Mean => row.mean_dim(1, false)?,
            Reduce::Amax => row.amax(1, false)?,
            Reduce::Amin => row.amin(1, false)?,
        });
        to.extend(row_places);
    }
    if to.is_empty() {
        return Ok(x.clone());
    }
    let to = to.as_slice().indices(x.device())?;
    put(OP, &flat, 0, &to, &Tensor::cat(&values, 0)?, false)?.reshape(x.shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    const ALL: [Reduce; 5] = [Reduce::Sum, Reduce::Prod, Reduce::Mean, Reduce::Amax, Reduce::Amin];

    #[test]
    fn derivatives_of_reductions() -> Result<()> {
        let flat = Tensor::from([2, 0, 2, 2, -3]);
        let (rows, columns) = (Tensor::from([[0, 0, 1], [1, 0, 0]]), Tensor::from([[2, 2], [0, 2]]));
        let none = Tensor::full([0, 2], 0i64);
        for reduce in ALL {
            for include_self in [true, false] {
                for (shapes, dim, index) in [
                    ([&[3][..], &[5]], 0, &flat),
                    ([&[2, 3], &[2, 3]], 0, &rows),
                    ([&[2, 3], &[3, 4]], -1, &columns),
                    ([&[2, 2], &[1, 2]], 0, &none),
                    ([&[], &[]], 0, &Tensor::scalar(0)),
                ] {
                    let op = |x: &[Tensor<f64>]| {
                        x[0].scatter_reduce(
                            dim,
                            index.to_device(&x[0].device())?,
                            &x[1],
                            reduce,
                            include_self,
                        )
                    };
                    check_op(op, &shapes)
                        .single(|x| {
                            x[0].scatter_reduce(
                                dim,
                                index.to_device(&x[0].device())?,
                                &x[1],
                                reduce,
                                include_self,
                            )
                        })
                        .run()?;
                }
            }
        }
        Ok(())
    }

    #[test]
    fn reductions_at_ties_zeros_and_ends() -> Result<()> {
        let (x, source) = (
            Tensor::from([2.0, 2.0, 0.0]).requires_grad(),
            Tensor::from([2.0, 2.0, 0.0, 3.0]).requires_grad(),
        );
        let index = [0, 0, 2, 2];
        let slopes = |reduce, include_self| -> Result<_> {
            x.scatter_reduce(0, index, &source, reduce, include_self)?.sum().backward()?;
            let both = (x.grad().unwrap().to_vec(), source.grad().unwrap().to_vec());
            x.zero_grad();
            source.zero_grad();
            Ok(both)
        };
        // As PyTorch has them: ties share evenly, and products leave the element out.
        let third = 1.0 / 3.0;
        assert_eq!(slopes(Reduce::Amax, true)?, (vec![third, 1.0, 0.0], vec![third, third, 0.0, 1.0]));
        assert_eq!(slopes(Reduce::Amin, false)?, (vec![0.0, 1.0, 0.0], vec![0.5, 0.5, 1.0, 0.0]));
        assert_eq!(slopes(Reduce::Prod, true)?, (vec![4.0, 1.0, 0.0], vec![4.0, 4.0, 0.0, 0.0]));
        assert_eq!(slopes(Reduce::Prod, false)?, (vec![0.0, 1.0, 0.0], vec![2.0, 2.0, 3.0, 0.0]));
        let huge = Tensor::from([1e200, 1e200, 1e-300]);
        let ones = Tensor::ones([1]);
        assert_eq!(
            ones.scatter_reduce(0, [0, 0, 0], &huge, Reduce::Prod, true)?.to_vec()[0].log10().round(),
            100.0
        );
        let nan = Tensor::from([f64::NAN, 1.0]);
        assert!(ones.scatter_reduce(0, [0, 0], &nan, Reduce::Amax, true)?.isnan().all());
        Ok(())
    }

    #[test]
    fn slices_along_any_dimension() -> Result<()> {
        for (shape, source, dim) in
            [(&[3, 2][..], &[2, 2][..], 0), (&[2, 3, 2], &[2, 2, 2], 1), (&[2, 3], &[2], -1)]
        {
            for index in [[2, 0], [-1, 2], [1, 1]] {
                let dim = if shape.len() == 2 && source.len() == 1 { 1 } else { dim };
                check_op(|x| x[0].index_copy(dim, index, &x[1]), &[shape, source]).run()?;
                check_op(|x| x[0].index_add(dim, index, &x[1]), &[shape, source]).run()?;
            }
        }
        let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(x.index_put([1], 0.0, false)?.to_vec(), x.index_copy(0, [1], 0.0)?.to_vec());
        assert!(x.index_copy(2, [0], 1.0).is_err() && x.index_add(0, [2], 1.0).is_err());
        assert!(x.index_copy(0, [0, 1], Tensor::ones([3, 2])).is_err());
        Ok(())
    }

    #[test]
    fn refusals_of_reductions() {
        let (x, source) = (Tensor::ones([2, 3]), Tensor::ones([2, 2]));
        let refused = |dim, index: Tensor<i64>| {
            let e = x.scatter_reduce(dim, &index, &source, Reduce::Mean, true).unwrap_err();
            assert_eq!(e.op(), "scatter_reduce");
            e.kind()
        };
        use tensor_core::ErrorKind::{Index, Shape};
        assert_eq!(refused(1, Tensor::from([[0, 3]])), Index);
        assert_eq!(refused(2, Tensor::from([[0, 1]])), Index);
        assert_eq!(refused(1, Tensor::from([0, 1])), Shape);
        assert_eq!(refused(1, Tensor::from([[0, 1, 2]])), Shape);
    }
}
