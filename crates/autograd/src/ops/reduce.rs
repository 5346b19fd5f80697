//! Reductions: whole tensors, and over given dimensions.

use crate::apply_once;
use crate::body_once;
use crate::by_row::{self, Parted};
use crate::loops::Expressions;
use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use tensor_core::shape::{Dims, Integer, IntoDims, dim, dim_mask};
use tensor_core::{
    Array, AtCaller, Closures, Code, DType, Element, Error, Expression, Float, Number, OrRaise, Result,
    compiled_once, kernels,
};

/// Which dimensions are reduced, and whether they stay with size 1.
#[derive(Clone)]
struct Over {
    mask: SmallVec<[bool; 4]>,
    keepdim: bool,
}

impl Over {
    fn all(ndim: usize) -> Self {
        Over { mask: SmallVec::from_elem(true, ndim), keepdim: false }
    }

    fn new(op: &'static str, dims: impl IntoDims, keepdim: bool, ndim: usize) -> Result<Self> {
        Ok(Over { mask: dim_mask(op, &dims.into_dims(), ndim)?, keepdim })
    }

    /// The same dimensions of each of many tensors, along a first dimension.
    fn of_many(&self, many: Option<usize>) -> Self {
        Over {
            mask: many.iter().map(|_| false).chain(self.mask.iter().copied()).collect(),
            keepdim: self.keepdim,
        }
    }

    /// How many elements of `shape` make one of the result.
    fn count(&self, shape: &[usize]) -> usize {
        shape.iter().zip(&self.mask).filter(|(_, r)| **r).map(|(d, _)| d).product()
    }

    /// Whether the first `lead` dimensions stay as they are.
    fn within(&self, lead: usize) -> bool {
        lead <= self.mask.len() && !self.mask[..lead].contains(&true)
    }

    /// A tensor of the reduced shape stretched back over `shape`, in each of what further dimensions it
    /// has in front.
    fn stretch<T: Element>(&self, t: &Tensor<T>, shape: &[usize]) -> Result<Tensor<T>> {
        let gone = if self.keepdim { 0 } else { self.mask.iter().filter(|&&r| r).count() };
        let lead = &t.shape()[..t.ndim() + gone - shape.len()];
        let kept = shape.iter().zip(&self.mask).map(|(&d, &r)| if r { 1 } else { d });
        let whole: Dims = lead.iter().chain(shape).copied().collect();
        t.reshaped(lead.iter().copied().chain(kept).collect())?.expand(&whole)
    }
}

/// The sum.
struct SumOver(Over);

impl<T: Number> Op<T, 1> for SumOver {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Some(x[0].sum(&self.0.mask, self.0.keepdim))
    }
    fn batches(&self) -> bool {
        true
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::sum("sum", x, &self.0.mask, self.0.keepdim)
    }
    /// grad, stretched over the input
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(self.0.stretch(&g, kept.shape(0))?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| apply(SumOver(self.0.of_many(kept.many())), [&t])).transpose()
    }
    fn by_row(&self, kept: &Kept<'_, T>, g: Tensor<T>, lead: usize) -> Result<Parted<T, 1>> {
        by_row::as_it_is(self, kept, g, self.0.within(lead).then_some(lead))
    }
}

/// The mean.
struct MeanOver(Over);

impl<T: Float> Op<T, 1> for MeanOver {
    fn name(&self) -> &'static str {
        "mean"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        let n = self.0.count(x[0].shape()) as f64;
        Some(x[0].sum(&self.0.mask, self.0.keepdim).map(|sum| sum / n))
    }
    fn batches(&self) -> bool {
        true
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::norm::mean("mean", x, &self.0.mask, self.0.keepdim)
    }
    /// grad / n, stretched over the input
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let n = self.0.count(kept.shape(0)) as f64;
        Ok([Some(self.0.stretch(&(g / T::of(n)), kept.shape(0))?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| apply(MeanOver(self.0.of_many(kept.many())), [&t])).transpose()
    }
    fn by_row(&self, kept: &Kept<'_, T>, g: Tensor<T>, lead: usize) -> Result<Parted<T, 1>> {
        by_row::as_it_is(self, kept, g, self.0.within(lead).then_some(lead))
    }
}

/// The variance with n - correction in the denominator, or its square root.
struct VarOver {
    over: Over,
    correction: f64,
    root: bool,
}

impl VarOver {
    /// The denominator; PyTorch's rule is that it is never negative.
    fn denominator(&self, shape: &[usize]) -> f64 {
        (self.over.count(shape) as f64 - self.correction).max(0.0)
    }
}

impl<T: Float> Op<T, 1> for VarOver {
    fn name(&self) -> &'static str {
        if self.root { "std" } else { "var" }
    }
    fn batches(&self) -> bool {
        true
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let (op, d) = (Op::<T, 1>::name(self), self.denominator(x.shape()));
        kernels::norm::variance(op, x, &self.over.mask, self.over.keepdim, d, self.root)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: self.root }
    }
    /// var: grad * 2 (x - mean) / (n - correction).
    /// std: grad ((x - mean) / result) / (n - correction), and 0 where the result is 0.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (x, d) = (kept.input(0), self.denominator(kept.shape(0)));
        let mean = apply(MeanOver(Over { keepdim: true, ..self.over.clone() }), [&x])?;
        let centred = x.try_sub(&mean)?;
        if !self.root {
            let g = self.over.stretch(&g, kept.shape(0))?;
            return Ok([Some(g.try_mul(&(centred * T::of(2.0 / d)))?)]);
        }
        let y = kept.output(0);
        // A constant has no direction: the root's infinite slope is never evaluated.
        let flat = y.eq_number(0.0);
        let (y, g) = (y.with(flat.clone(), 1.0), g.with(flat, 0.0) / T::of(d));
        let direction = centred.try_div(&self.over.stretch(&y, kept.shape(0))?)?;
        Ok([Some(self.over.stretch(&g, kept.shape(0))?.try_mul(&direction)?)])
    }
}

/// Which element a reduction chooses.
#[derive(Clone, Copy)]
enum Pick {
    Largest,
    Smallest,
    /// The lower of the two in the middle, where their number is even.
    Middle,
}

/// The element chosen; those equal to it share the gradient evenly.
struct Extreme {
    over: Over,
    pick: Pick,
}

impl Extreme {
    /// 1 where x is the result (NaN being NaN), divided by how many such there are; 0 elsewhere.
    fn share<T: Number>(&self, name: &'static str, kept: &Kept<'_, T>) -> Result<Tensor<T>> {
        let (x, y) = (kept.input(0).detach(), kept.output(0).detach());
        let y = self.over.stretch(&y, x.shape())?;
        Ok(shares(name, x.array(), y.array(), &self.over.mask)?.into())
    }
}

impl<T: Number> Op<T, 1> for Extreme {
    fn name(&self) -> &'static str {
        match self.pick {
            Pick::Largest => "amax",
            Pick::Smallest => "amin",
            Pick::Middle => "median",
        }
    }
    fn batches(&self) -> bool {
        true
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let (op, Over { mask, keepdim }) = (Op::<T, 1>::name(self), &self.over);
        if x.shape().iter().zip(mask).any(|(&d, &reduced)| reduced && d == 0) {
            let message = format!("shape {:?} has no element in the dimensions to reduce", x.shape());
            return Err(Error::shape(op, message));
        }
        match self.pick {
            Pick::Largest => kernels::max(op, x, mask, *keepdim),
            Pick::Smallest => kernels::min(op, x, mask, *keepdim),
            Pick::Middle => {
                let all = x.reshape(op, &[x.numel()])?;
                // NaN is the largest of all.
                let largest = kernels::max(op, &all, &[true], false)?;
                if largest.item(op)?.is_nan() {
                    return Ok(largest);
                }
                let middle = (x.numel() - 1) / 2;
                kernels::sort(op, &all, 0, false, middle..middle + 1)?.0.select(op, 0, 0)
            }
        }
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    /// grad where x is the result (NaN being NaN), divided by how many such there are
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let name = Op::<T, 1>::name(self);
        let share = self.share(name, kept)?;
        Ok([Some(self.over.stretch(&g, share.shape())?.try_mul(&share)?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let Some(t) = t else { return Ok(None) };
        let parts = t.try_mul(&self.share(Op::<T, 1>::name(self), kept)?)?;
        apply(SumOver(self.over.of_many(kept.many())), [&parts]).map(Some)
    }
}

compiled_once! {
    /// 1 where x is the result y (NaN being NaN), divided by how many such there are over the dimensions of a mask; 0
    /// elsewhere.
    fn shares<T: Number>(name: &'static str, x: &Array<T>, y: &Array<T>, mask: &[bool]) -> Result<Array<T>> {
        let same = |x: T, y: T| if x == y || (x.is_nan() && y.is_nan()) { T::ONE } else { T::ZERO };
        let text = |[x, y]: [Code; 2]| {
            let equal = Code::cuda("$0 == $1", DType::Bool, &[x, y]);
            (equal | (x.is_nan() & y.is_nan())).cast(T::DTYPE)
        };
        let hit = kernels::zip(name, x, y, &Closures::new(same, text))?;
        let count = kernels::sum(name, &hit, mask, true)?;
        let share = Closures::new(
            |h: T, n: T| (h.to_f64() / n.to_f64()).cast(),
            |[h, n]: [Code; 2]| (h.cast(DType::F64) / n.cast(DType::F64)).cast(T::DTYPE),
        );
        kernels::zip(name, &hit, &count, &share)
    }
}

/// # Reductions: sums
impl<T: Number> Tensor<T> {
    /// The sum of all elements, pairwise: its error grows with the logarithm of their number.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).sum().item()?, 10);
    /// assert_eq!(Tensor::zeros([0]).sum().item()?, 0.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sum(&self) -> Self /* over dimensions: x.sum_dim(0, false)? */ {
        apply_once!(T: Number, SumOver(Over::all(self.ndim())) => SumOver, [self]).or_raise()
    }

    /// The sums over `dims` (`0`, `-1`, `[0, 1]`), which stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.sum_dim(0, false)?.to_vec(), [5, 7, 9]);
    /// assert_eq!(x.sum_dim(-1, true)?.shape(), [2, 1]);
    /// assert_eq!(x.sum_dim((0, 1), false)?.item()?, 21);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn sum_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        let over = Over::new("sum", dims, keepdim, self.ndim()).at_caller()?;
        apply_once!(T: Number, SumOver(over) => SumOver, [self])
    }

    /// Sums what broadcasting repeated, back to `shape` after the first `lead` dimensions.
    pub(crate) fn sum_to(&self, lead: usize, shape: &[usize]) -> Result<Self> {
        body_once!(
            T: Number,
            [self, lead, shape],
            |x: &Tensor<T>, lead: usize, shape: &[usize]| -> Result<Tensor<T>> {
                let new = x.ndim().saturating_sub(lead + shape.len());
                let repeated =
                    |k: usize| k >= lead && (k - lead < new || (shape[k - lead - new] == 1 && x.shape()[k] != 1));
                let mask: SmallVec<[bool; 4]> = (0..x.ndim()).map(repeated).collect();
                let sum = match mask.contains(&true) {
                    true => apply(SumOver(Over { mask, keepdim: true }), [x])?,
                    false => x.clone(),
                };
                sum.reshaped(x.shape()[..lead].iter().chain(shape).copied().collect())
            }
        )
    }
}

/// # Reductions: means and variances
impl<T: Float> Tensor<T> {
    /// The mean of all elements, without dimensions; NaN where there are none.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0, 6.0]).mean().item()?, 3.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "average")]
    #[track_caller]
    #[must_use]
    pub fn mean(&self) -> Self /* over dimensions: x.mean_dim(0, false)? */ {
        apply_once!(T: Float, MeanOver(Over::all(self.ndim())) => MeanOver, [self]).or_raise()
    }

    /// The means over `dims`, which stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [5.0, 7.0]]);
    /// assert_eq!(x.mean_dim(-1, false)?.to_vec(), [2.0, 6.0]);
    /// assert_eq!((&x - x.mean_dim(0, true)?).to_vec(), [-2.0, -2.0, 2.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn mean_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        let over = Over::new("mean", dims, keepdim, self.ndim()).at_caller()?;
        apply_once!(T: Float, MeanOver(over) => MeanOver, [self])
    }

    /// The variance of all elements, divided by n - 1, without dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0, 3.0]).var().item()?, 1.0);
    /// assert!(Tensor::from([1.0]).var().isnan().all());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn var(&self) -> Self /* over dimensions: x.var_dim(0, false)? */ {
        self.var_op("var", (), false, 1.0, false).or_raise()
    }

    /// The variances over `dims`, divided by n - 1.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [1.0, 5.0]]);
    /// assert_eq!(x.var_dim(1, false)?.to_vec(), [2.0, 8.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn var_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        self.var_op("var", dims, keepdim, 1.0, false)
    }

    /// The variances over `dims` (all, where there are none), divided by n - correction.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 3.0, 5.0, 7.0]);
    /// assert_eq!(x.var_with((), false, 0.0)?.item()?, 5.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn var_with(&self, dims: impl IntoDims, keepdim: bool, correction: f64) -> Result<Self> {
        self.var_op("var", dims, keepdim, correction, false)
    }

    /// The standard deviation of all elements, of the variance divided by n - 1.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, 3.0, 5.0]).std().item()?, 2.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn std(&self) -> Self /* over dimensions: x.std_dim(0, false)? */ {
        self.var_op("std", (), false, 1.0, true).or_raise()
    }

    /// The standard deviations over `dims`, of the variance divided by n - 1.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, 3.0, 5.0], [2.0, 2.0, 2.0]]);
    /// assert_eq!(x.std_dim(1, false)?.to_vec(), [2.0, 0.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn std_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        self.var_op("std", dims, keepdim, 1.0, true)
    }

    /// The standard deviations over `dims` (all, where there are none), of the variance divided by
    /// n - correction.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [1.0, 5.0]]);
    /// assert_eq!(x.std_with(1, true, 0.0)?.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn std_with(&self, dims: impl IntoDims, keepdim: bool, correction: f64) -> Result<Self> {
        self.var_op("std", dims, keepdim, correction, true)
    }

    #[track_caller]
    fn var_op(
        &self,
        op: &'static str,
        dims: impl IntoDims,
        keepdim: bool,
        correction: f64,
        root: bool,
    ) -> Result<Self> {
        let over = Over::new(op, dims, keepdim, self.ndim()).at_caller()?;
        apply_once!(T: Float, VarOver { over, correction, root } => VarOver, [self])
    }
}

/// # Reductions: extremes
impl<T: Number> Tensor<T> {
    /// The largest element; NaN if any is. Equal ones share the gradient evenly.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 4.0, 4.0]).requires_grad();
    /// x.max()?.backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.0, 0.5, 0.5]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there is no element.
    #[track_caller]
    pub fn max(&self) -> Result<Self> /* over dimensions: x.max_dim(0, false)?, x.amax((0, 1), false)? */ {
        self.extreme(Over::all(self.ndim()), Pick::Largest)
    }

    /// The smallest element; NaN if any is. Equal ones share the gradient evenly.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[3, 1], [2, 5]]).min()?.item()?, 1);
    /// assert!(Tensor::from([1.0, f64::NAN]).min()?.item()?.is_nan());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there is no element.
    #[track_caller]
    pub fn min(&self) -> Result<Self> /* over dimensions: x.min_dim(0, false)?, x.amin((0, 1), false)? */ {
        self.extreme(Over::all(self.ndim()), Pick::Smallest)
    }

    /// The middle element in order, of an even number the lower of the two; NaN if any is. Equal ones
    /// share the gradient evenly.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([3.0, 1.0, 2.0, 2.0]).requires_grad();
    /// x.median()?.backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.0, 0.0, 0.5, 0.5]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there is no element.
    #[track_caller]
    pub fn median(&self) -> Result<Self> /* over dimensions: x.median_dim(0, false)? */ {
        self.extreme(Over::all(self.ndim()), Pick::Middle)
    }

    /// The largest elements over `dims`; equal ones share the gradient evenly.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 5, 3], [4, 2, 6]]);
    /// assert_eq!(x.amax(0, false)?.to_vec(), [4, 5, 6]);
    /// assert_eq!(x.amax((0, 1), true)?.shape(), [1, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice; shape, where there is no element.
    #[doc(alias = "max")]
    #[track_caller]
    pub fn amax(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        let over = Over::new("amax", dims, keepdim, self.ndim()).at_caller()?;
        self.extreme(over, Pick::Largest)
    }

    /// The smallest elements over `dims`; equal ones share the gradient evenly.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 5, 3], [4, 2, 6]]);
    /// assert_eq!(x.amin(-1, false)?.to_vec(), [1, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice; shape, where there is no element.
    #[doc(alias = "min")]
    #[track_caller]
    pub fn amin(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        let over = Over::new("amin", dims, keepdim, self.ndim()).at_caller()?;
        self.extreme(over, Pick::Smallest)
    }

    /// The largest elements along `dim` and their indices; of equal ones the first, which gets all
    /// of the gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, indices) = Tensor::from([[1, 5, 5], [4, 2, 3]]).max_dim(1, false)?;
    /// assert_eq!((values.to_vec(), indices.to_vec()), (vec![5, 4], vec![1, 0]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn max_dim(&self, dim: impl Integer, keepdim: bool) -> Result<(Self, Tensor<i64>)> {
        let dim = dim.to_isize();
        self.extreme_dim("max_dim", dim, keepdim, false)
    }

    /// The smallest elements along `dim` and their indices; of equal ones the first, which gets all
    /// of the gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (values, indices) = Tensor::from([[1, 5], [4, 2]]).min_dim(0, true)?;
    /// assert_eq!((values.to_vec(), indices.to_vec()), (vec![1, 2], vec![0, 1]));
    /// assert_eq!(values.shape(), [1, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn min_dim(&self, dim: impl Integer, keepdim: bool) -> Result<(Self, Tensor<i64>)> {
        let dim = dim.to_isize();
        self.extreme_dim("min_dim", dim, keepdim, true)
    }

    #[track_caller]
    fn extreme(&self, over: Over, pick: Pick) -> Result<Self> {
        apply_once!(T: Number, Extreme { over, pick } => Extreme, [self])
    }

    #[track_caller]
    fn extreme_dim(
        &self,
        op: &'static str,
        d: isize,
        keepdim: bool,
        smallest: bool,
    ) -> Result<(Self, Tensor<i64>)> {
        body_once!(
            T: Number,
            [self, op, d, keepdim, smallest],
            |x: &Tensor<T>, op: &'static str, d: isize, keepdim: bool, smallest: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (values, index) = x.as_vector()?.extreme_dim(op, d, true, smallest)?;
                    return Ok((values.as_scalar()?, index.as_scalar()?));
                }
                let index = x.arg_extreme(op, d, true, smallest)?;
                let values = x.gather(d, &index)?;
                match keepdim {
                    true => Ok((values, index)),
                    false => Ok((values.squeeze(d)?, index.squeeze(d)?)),
                }
            }
        )
    }

    /// The indices of the first extreme elements along a dimension.
    #[track_caller]
    pub(crate) fn arg_extreme(
        &self,
        op: &'static str,
        d: isize,
        keepdim: bool,
        smallest: bool,
    ) -> Result<Tensor<i64>> {
        body_once!(
            T: Number,
            [self, op, d, keepdim, smallest],
            |x: &Tensor<T>, op: &'static str, d: isize, keepdim: bool, smallest: bool| -> Result<Tensor<i64>> {
                if x.ndim() == 0 {
                    return x.as_vector()?.arg_extreme(op, d, true, smallest)?.as_scalar();
                }
                let dim = dim(op, d, x.ndim())?;
                let index = kernels::arg_extreme(op, x.array(), dim, smallest)?;
                Ok(if keepdim { index.insert_dim(op, dim)? } else { index }.into())
            }
        )
    }
}
