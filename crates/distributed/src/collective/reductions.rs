//! Sums and extremes over all processes.

use super::broadcast::broadcasted;
use super::gathers::gathered_rows;
use super::{bounds, call, flat, has_rows, inline, inline_from, row_len, tied, tracked, with_rows};
use crate::group::Group;
use crate::header::{Call, Fit};
use crate::reduce::{Goal, ReduceOp, reduce};
use crate::tree::Tree;
use autograd::{Keep, Kept, Op, Tensor, apply_once, no_grad};
use tensor_core::{
    Array, AtCaller, DType, EachNumber, Error, Float, ForNumber, Number, Result, compiled_once,
};

compiled_once! {
    /// The elements of all ranks joined; None where they are wanted elsewhere.
    fn reduced<T: Number>(
        group: &Group,
        name: &'static str,
        x: &Array<T>,
        how: ReduceOp,
        root: Option<usize>,
        tracked: bool
    ) -> Result<Option<Array<T>>> {
        let mut run = group.begin(name)?;
        let own = flat(name, x)?;
        let said = Call { reduction: how.name(), root: root.unwrap_or(0), ..call(name, x, tracked) };
        let records = run.agree(&said, Fit::Whole, &inline(name, x)?, x.device())?;
        let (n, size) = (x.numel(), group.size());
        let inline = inline_from(records, &[n * size_of::<T>()]).filter(|_| size > 1);
        let tree = Tree { count: size, size };
        let goal = root.map_or(Goal::All, Goal::Root);
        let sum = reduce(&mut run, &tree, vec![own], n, how, &goal, inline)?;
        let Some(sum) = sum else { return Ok(None) };
        let sum = sum.reshape(name, x.shape())?.to_device(name, x.device())?;
        Ok(Some(if how == ReduceOp::Mean { over(sum, size) } else { sum }))
    }
}

/// x / size, of numbers that have a mean.
fn over<T: Number>(x: Array<T>, size: usize) -> Array<T> {
    struct Mean;
    impl ForNumber for Mean {
        type Of<T: Number> = fn(Array<T>, usize) -> Array<T>;
    }
    fn of<T: Float>(x: Array<T>, size: usize) -> Array<T> {
        (Tensor::from(x) / T::of(size as f64)).into_array()
    }
    static EACH: EachNumber<Mean> = EachNumber { f32: of, f64: of, i64: |x, _| x };
    T::of_numbers(&EACH)(x, size)
}

/// y = the sum, or so, of x over all ranks, on all of them.
struct AllReduce {
    group: Group,
    how: ReduceOp,
    tracked: bool,
}

impl<T: Number> Op<T, 1> for AllReduce {
    fn name(&self) -> &'static str {
        "all_reduce"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let y = reduced(&self.group, "all_reduce", x, self.how, None, self.tracked)?;
        y.ok_or_else(|| Error::shape("all_reduce", "no result"))
    }
    fn keep(&self, [x]: [bool; 1]) -> Keep<1> {
        let chosen = matches!(self.how, ReduceOp::Max | ReduceOp::Min);
        Keep { inputs: [x && chosen], output: true }
    }
    /// Sum: sum of grad over the ranks; mean: its mean; max and min: the sum where x is the only one that is the result
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        if matches!(self.how, ReduceOp::Sum | ReduceOp::Mean) {
            return Ok([Some(all_reduced(&self.group, &g, self.how)?)]);
        }
        let here = no_grad(|| {
            let (x, y) = (kept.input(0).detach(), kept.output(0).detach());
            let both_nan = x.ne(&x)?.logical_and(&y.ne(&y)?)?;
            let here = x.eq(&y)?.logical_or(&both_nan)?;
            let ranks = all_reduced(&self.group, &here.to_type::<i64>(), ReduceOp::Sum)?;
            here.logical_and(&ranks.eq(1)?)
        })?;
        let g = all_reduced(&self.group, &g, ReduceOp::Sum)?;
        let zeros = g.zeros_like().detach();
        Ok([Some(here.where_cond(&g, &zeros)?)])
    }
}

#[track_caller]
pub(crate) fn all_reduced<T: Number>(group: &Group, x: &Tensor<T>, how: ReduceOp) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Number, AllReduce { group, how, tracked } => AllReduce, [x])
}

/// y = the sum of x over all ranks on the root, zeros elsewhere.
struct Reduce {
    group: Group,
    root: usize,
    tracked: bool,
}

impl<T: Number> Op<T, 1> for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let y = reduced(&self.group, "reduce", x, ReduceOp::Sum, Some(self.root), self.tracked)?;
        y.map_or_else(|| Array::zeros_on(x.device(), x.shape()), Ok)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// the root's grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        Ok([Some(broadcasted(&self.group, &g, self.root)?)])
    }
}

#[track_caller]
pub(super) fn reduced_to<T: Number>(group: &Group, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Number, Reduce { group, root, tracked } => Reduce, [x])
}

compiled_once! {
    /// This rank's rows of the sum over all ranks.
    fn summed_part<T: Number>(group: &Group, x: &Array<T>, counts: &[usize], tracked: bool) -> Result<Array<T>> {
        let name = "reduce_scatter";
        let mut run = group.begin(name)?;
        let own = flat(name, x)?;
        run.agree(&call(name, x, tracked), Fit::Whole, &[], x.device())?;
        let rows: usize = counts.iter().sum();
        if counts.len() != group.size() || x.shape().first() != Some(&rows) {
            let message = format!("rows {counts:?} of a tensor of shape {:?}", x.shape());
            return Err(Error::shape(name, message));
        }
        let bounds = bounds(counts).into_iter().map(|b| b * row_len(x)).collect();
        let size = group.size();
        let tree = Tree { count: size, size };
        let part = reduce(&mut run, &tree, vec![own], x.numel(), ReduceOp::Sum, &Goal::Parts(bounds), None)?;
        let part = part.ok_or_else(|| Error::shape(name, "no result"))?;
        part.reshape(name, &with_rows(x.shape(), counts[group.rank()]))?.to_device(name, x.device())
    }
}

/// y = this rank's rows of the sum of x over all ranks.
struct ReduceScatter {
    group: Group,
    counts: Vec<usize>,
    tracked: bool,
}

impl<T: Number> Op<T, 1> for ReduceScatter {
    fn name(&self) -> &'static str {
        "reduce_scatter"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        summed_part(&self.group, x, &self.counts, self.tracked)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// the rows of grad of all ranks
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        Ok([Some(gathered_rows(&self.group, &g, None)?)])
    }
}

#[track_caller]
pub(super) fn scattered_sum<T: Number>(
    group: &Group,
    x: &Tensor<T>,
    counts: Vec<usize>,
) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Number, ReduceScatter { group, counts, tracked } => ReduceScatter, [x])
}

/// # Collectives: sums and extremes
impl Group {
    /// The sum of `x` over all processes, elementwise, in each of them.
    ///
    /// The sum is a binary tree over the ranks: every process gets the same bits, in every run. Its cotangent is the sum of
    /// the cotangents, so that a loss which is its result counts once for every process that differentiates it.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed, value_and_grad};
    /// let found = distributed::spawn(2, |group| {
    ///     let x = Tensor::scalar(1.0 + group.rank() as f64);
    ///     // (x0 + x1)^2 in both processes: together 2 (x0 + x1)^2.
    ///     let (y, g) = value_and_grad(|x| Ok(group.all_reduce(x)?.square()), &x)?;
    ///     Ok((y.item()?, g.item()?))
    /// })?;
    /// assert_eq!(found, [(9.0, 12.0), (9.0, 12.0)]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the tensors differ in it; group, where processes do not agree, do not come or have ended.
    #[doc(alias("allreduce", "psum"))]
    #[track_caller]
    pub fn all_reduce<T: Number>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        all_reduced(self, x, ReduceOp::Sum)
    }

    /// As [`Group::all_reduce`], with another reduction. The mean's cotangent is the mean of the cotangents. That of the
    /// largest and the smallest reaches the one process that has it; where several have, none: the derivative does not exist
    /// there.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::distributed::{self, ReduceOp};
    /// let largest = distributed::spawn(3, |group| {
    ///     group.all_reduce_with(&Tensor::scalar(group.rank() as f64), ReduceOp::Max)?.item()
    /// })?;
    /// assert_eq!(largest, [2.0, 2.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::all_reduce`]; argument, for the mean of integers.
    #[doc(alias("pmean", "pmax", "pmin"))]
    #[track_caller]
    pub fn all_reduce_with<T: Number>(&self, x: &Tensor<T>, how: ReduceOp) -> Result<Tensor<T>> {
        if how == ReduceOp::Mean && T::DTYPE == DType::I64 {
            let message = "the mean of integers is none: sum them, or use to_type::<f64>() first";
            return Err(Error::argument("all_reduce", message).at_caller());
        }
        all_reduced(self, x, how)
    }

    /// The sum of `x` over all processes in the process `root`, and zeros in the others: what each process then
    /// differentiates adds up to what the root does. Its cotangent is the root's.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed, value_and_grad};
    /// let slopes = distributed::spawn(2, |group| {
    ///     let x = Tensor::scalar(1.0 + group.rank() as f64);
    ///     let (_, g) = value_and_grad(|x| Ok(group.reduce(x, 0)?.square()), &x)?;
    ///     g.item()
    /// })?;
    /// assert_eq!(slopes, [6.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::all_reduce`]; argument, where there is no such rank.
    #[track_caller]
    pub fn reduce<T: Number>(&self, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
        self.check_rank("reduce", root).at_caller()?;
        reduced_to(self, x, root)
    }

    /// This process's share of the rows of the sum of `x` over all processes: as many for each, as far as that goes. Its
    /// cotangent is that of [`Group::all_gather`].
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let parts = distributed::spawn(2, |group| {
    ///     Ok(group.reduce_scatter(&Tensor::from([1.0, 2.0, 3.0, 4.0]))?.to_vec())
    /// })?;
    /// assert_eq!(parts, [vec![2.0, 4.0], vec![6.0, 8.0]]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::all_reduce`]; shape, for a scalar.
    #[doc(alias = "psum_scatter")]
    #[track_caller]
    pub fn reduce_scatter<T: Number>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        has_rows("reduce_scatter", x).at_caller()?;
        let tree = Tree { count: x.shape()[0], size: self.size() };
        scattered_sum(self, x, (0..self.size()).map(|r| tree.own(r).len()).collect())
    }
}
