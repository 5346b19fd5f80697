//! Order: sorting, and the places of extremes. Values are gathered at the indices that were found,
//! so their gradients go to exactly these elements.

use super::gather::{added_at, picked};
use crate::body_once;
use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use tensor_core::shape::{Integer, dim};
use tensor_core::{Array, AtCaller, Error, Float, Number, Result, kernels};

/// The elements in order along a dimension, those whose number in the order is in `part`.
struct Sort {
    dim: usize,
    descending: bool,
    part: Range<usize>,
    /// Where they were: found with them.
    order: Arc<OnceLock<Array<i64>>>,
}

impl<T: Number> Op<T, 1> for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let (values, order) = kernels::sort("sort", x, self.dim, self.descending, self.part.clone())?;
        // An operation is applied once.
        let _ = self.order.set(order);
        Ok(values)
    }
    fn holds(&self) -> usize {
        self.order.get().map_or(0, |order| order.allocation().1)
    }
    /// grad at the places where the elements were
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let order = self.order.get().expect("a rule runs after its operation");
        Ok([Some(added_at(order, self.dim, kept.shape(0), g)?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let order = self.order.get().expect("a rule runs after its operation");
        t.map(|t| picked(order, self.dim, kept.many(), &t)).transpose()
    }
}

/// The elements of `x`, which has dimensions, that are in `part` of the order along `d`, and their indices.
fn sorted<T: Number>(
    x: &Tensor<T>,
    d: isize,
    descending: bool,
    part: Range<usize>,
) -> Result<(Tensor<T>, Tensor<i64>)> {
    let dim = dim("sort", d, x.ndim())?;
    let order = Arc::new(OnceLock::new());
    let values = apply(Sort { dim, descending, part, order: order.clone() }, [x])?;
    let order = order.get().expect("the operation has run").clone();
    Ok((values, order.into()))
}

/// # Order: sorting and places of extremes
impl<T: Number> Tensor<T> {
    /// The indices that sort the elements along `dim`. Equal ones keep their order; NaN counts as
    /// larger than everything.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([3.0, 1.0, 2.0]).argsort(0, false)?.to_vec(), [1, 2, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn argsort(&self, d: impl Integer, descending: bool) -> Result<Tensor<i64>> {
        let d = d.to_isize();
        if self.ndim() == 0 {
            return self.as_vector()?.argsort(d, descending)?.as_scalar();
        }
        let dim = dim("argsort", d, self.ndim()).at_caller()?;
        Ok(kernels::argsort("argsort", self.array(), dim, descending).at_caller()?.into())
    }

    /// The elements in order along `dim`, and their indices; see [`Tensor::argsort`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, order) = Tensor::from([3.0, 1.0, 2.0]).sort(0, true)?;
    /// assert_eq!(values.to_vec(), [3.0, 2.0, 1.0]);
    /// assert_eq!(order.to_vec(), [0, 2, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn sort(&self, d: impl Integer, descending: bool) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        body_once!(
            T: Number,
            [self, d, descending],
            |x: &Tensor<T>, d: isize, descending: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (values, index) = x.as_vector()?.sort(d, descending)?;
                    return Ok((values.as_scalar()?, index.as_scalar()?));
                }
                sorted(x, d, descending, 0..x.size(d)?)
            }
        )
    }

    /// The `k` largest elements along `dim` (the smallest, where not `largest`) in order, the most
    /// extreme first, and their indices.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, index) = Tensor::from([3.0, 1.0, 2.0]).topk(2, 0, true)?;
    /// assert_eq!((values.to_vec(), index.to_vec()), (vec![3.0, 2.0], vec![0, 2]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or has fewer elements.
    #[track_caller]
    pub fn topk(&self, k: impl Integer, d: impl Integer, largest: bool) -> Result<(Self, Tensor<i64>)> {
        let (k, d) = (k.to_size("topk").at_caller()?, d.to_isize());
        body_once!(
            T: Number,
            [self, k, d, largest],
            |x: &Tensor<T>, k: usize, d: isize, largest: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (values, index) = x.as_vector()?.topk(k, d, largest)?;
                    return Ok((values.as_scalar()?, index.as_scalar()?));
                }
                let size = x.size(d)?;
                if k > size {
                    let message = format!("{k} elements of dimension {d} of shape {:?}: it has {size}", x.shape());
                    return Err(Error::index("topk", message));
                }
                sorted(x, d, largest, 0..k)
            }
        )
    }

    /// The `k`-th smallest element along `dim`, counted from 1, and its index; NaN counts as larger than everything. The
    /// element has the gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (value, index) = Tensor::from([30.0, 10.0, 20.0]).kthvalue(2, 0, false)?;
    /// assert_eq!((value.item()?, index.item()?), (20.0, 2));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist, and for a `k` that is 0 or more than it has elements.
    #[track_caller]
    pub fn kthvalue(&self, k: impl Integer, d: impl Integer, keepdim: bool) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        let k = k.to_size("kthvalue").at_caller()?;
        body_once!(
            T: Number,
            [self, k, d, keepdim],
            |x: &Tensor<T>, k: usize, d: isize, keepdim: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (value, index) = x.as_vector()?.kthvalue(k, d, true)?;
                    return Ok((value.as_scalar()?, index.as_scalar()?));
                }
                let size = x.size(d).called("kthvalue")?;
                if k == 0 || k > size {
                    let message = format!("element {k} in the order of {size}, of shape {:?}: 1 is the smallest", x.shape());
                    return Err(Error::index("kthvalue", message));
                }
                let (value, index) = sorted(x, d, false, k - 1..k)?;
                match keepdim {
                    true => Ok((value, index)),
                    false => Ok((value.squeeze(d)?, index.squeeze(d)?)),
                }
            }
        )
    }

    /// Where each of `values` would go into this vector, which is in order: before what is equal to it,
    /// or after that where `right`. NaN goes to the end.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let bounds = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(bounds.searchsorted(&Tensor::from([0.5, 2.0, 9.0]), false)?.to_vec(), [0, 1, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where this is no vector.
    #[doc(alias = "digitize")]
    #[track_caller]
    pub fn searchsorted(&self, values: &Tensor<T>, right: bool) -> Result<Tensor<i64>> {
        body_once!(
            T: Number,
            [self, values, right],
            |x: &Tensor<T>, values: &Tensor<T>, right: bool| -> Result<Tensor<i64>> {
                if x.ndim() != 1 {
                    let message = format!("bounds of shape {:?}: a vector is needed", x.shape());
                    return Err(Error::shape("searchsorted", message));
                }
                let places = kernels::searchsorted("searchsorted", x.array(), values.array(), right);
                Ok(places?.into())
            }
        )
    }

    /// The indices of the largest elements along `dim`, of equal ones the first.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 5, 5], [4, 2, 3]]);
    /// assert_eq!(x.argmax(-1, false)?.to_vec(), [1, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn argmax(&self, dim: impl Integer, keepdim: bool) -> Result<Tensor<i64>> {
        let dim = dim.to_isize();
        self.arg_extreme("argmax", dim, keepdim, false)
    }

    /// The indices of the smallest elements along `dim`, of equal ones the first.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 5], [4, 2]]);
    /// assert_eq!(x.argmin(0, true)?.shape(), [1, 2]);
    /// assert_eq!(x.flatten().argmin(0, false)?.item()?, 0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn argmin(&self, dim: impl Integer, keepdim: bool) -> Result<Tensor<i64>> {
        let dim = dim.to_isize();
        self.arg_extreme("argmin", dim, keepdim, true)
    }
}

/// # Order: medians and quantiles
impl<T: Float> Tensor<T> {
    /// The value below which the share `q` of the elements along `dim` lies, interpolated linearly
    /// between the two nearest, as NumPy's and PyTorch's; NaN where an element is, or between the two infinities.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([4.0, 1.0, 3.0, 2.0]);
    /// assert_eq!(x.quantile(0.5, 0)?.item()?, 2.5);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for a share outside of 0 to 1; index, for a dimension that does not exist; shape, where
    /// it is empty.
    #[doc(alias = "percentile")]
    #[track_caller]
    pub fn quantile(&self, q: f64, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        body_once!(T: Float, [self, q, d], |x: &Tensor<T>, q: f64, d: isize| -> Result<Tensor<T>> {
            if x.ndim() == 0 {
                return x.as_vector()?.quantile(q, d);
            }
            let n = x.size(d)?;
            if !(0.0..=1.0).contains(&q) {
                return Err(Error::argument("quantile", format!("share {q}: 0 to 1 is needed")));
            }
            if n == 0 {
                let message = format!("dimension {d} of shape {:?} has no element", x.shape());
                return Err(Error::shape("quantile", message));
            }
            let place = q * (n - 1) as f64;
            let (below, share) = (place.floor() as usize, place.fract());
            let beside = sorted(x, d, false, below..below + 1 + usize::from(share > 0.0))?.0;
            let low = beside.select(d, 0)?;
            let value = if share > 0.0 { between(&low, &beside.select(d, 1)?, share)? } else { low };
            // NaN is the largest of all.
            let last = x.gather(d, &x.argmax(d, true)?)?.squeeze(d)?;
            last.isnan().where_cond(&last, &value)
        })
    }

    /// The middle element along `dim` and its index; of an even number the lower of the two. Of equal
    /// ones the first gets the gradient. NaN where an element is.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[3.0, 1.0, 2.0, 9.0], [4.0, 4.0, 0.0, 8.0]]);
    /// let (values, indices) = x.median_dim(1, false)?;
    /// assert_eq!(values.to_vec(), [2.0, 4.0]);
    /// assert_eq!(indices.to_vec(), [2, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn median_dim(&self, d: impl Integer, keepdim: bool) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        body_once!(
            T: Float,
            [self, d, keepdim],
            |x: &Tensor<T>, d: isize, keepdim: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (value, index) = x.as_vector()?.median_dim(d, keepdim)?;
                    return Ok((value.as_scalar()?, index.as_scalar()?));
                }
                let n = x.size(d)?;
                if n == 0 {
                    let message = format!("dimension {d} of shape {:?} has no element", x.shape());
                    return Err(Error::shape("median_dim", message));
                }
                let middle = (n - 1) / 2;
                let middle = sorted(&x.detach(), d, false, middle..middle + 1)?.1;
                let last = x.argmax(d, true)?;
                let index = x.detach().gather(d, &last)?.isnan().where_cond(&last, &middle)?;
                let value = x.gather(d, &index)?;
                match keepdim {
                    true => Ok((value, index)),
                    false => Ok((value.squeeze(d)?, index.squeeze(d)?)),
                }
            }
        )
    }
}

/// What lies at a share of the way, 0 to 1, from `low` to `high`.
fn between<T: Float>(low: &Tensor<T>, high: &Tensor<T>, share: f64) -> Result<Tensor<T>> {
    let (share, rest) = (T::of(share), T::of(1.0 - share));
    let gap = high - low;
    let value = low + &gap * share;
    // Infinities that are equal have no difference, and that of huge numbers is none.
    gap.detach().isfinite().where_cond(&value, &(low * rest + high * share))
}
