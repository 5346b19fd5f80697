//! Exchanges between all processes of a group, as differentiable operations.
//!
//! Their derivatives are those of the sum over processes of what each differentiates. Of a linear exchange y = M x, where x
//! and y are what all processes hold together, the cotangent is M^T: what was copied is added, and what was added is
//! copied (Utke, Hascoët, Heimbach, Hill, Hovland, Naumann, "Toward adjoinable MPI", 2009).

use crate::group::{Group, Running};
use crate::header::{Call, Fit, INLINE, Record};
use crate::reduce::{Goal, ReduceOp, reduce};
use crate::transport::{Landing, Message, Outgoing};
use crate::tree::Tree;
use autograd::params::{flatten, unflatten};
use autograd::{Keep, Kept, Op, Params, Tensor, apply, apply_once, is_grad_enabled, no_grad};
use std::sync::OnceLock;
use tensor_core::shape::Dims;
use tensor_core::{
    Array, AtCaller, DType, EachNumber, Element, Error, Float, ForNumber, Number, Result, compiled_once,
};

/// Whether the operation on `x` is recorded.
fn tracked<T: Element>(x: &Tensor<T>) -> bool {
    x.is_tracked() && is_grad_enabled()
}

fn call<T: Element>(name: &'static str, x: &Array<T>, tracked: bool) -> Call {
    let dims = Dims::from_slice(x.shape());
    Call { name, reduction: "", dtype: T::DTYPE, tracked, root: 0, dims }
}

/// The elements of what is small enough to be sent with the call.
fn inline_of(x: &Outgoing) -> &[u8] {
    if x.bytes().len() <= INLINE { x.bytes() } else { &[] }
}

/// What came with the calls of all ranks, where all was small enough.
fn inline_from(records: Vec<Record>, counts: &[usize]) -> Option<Vec<Vec<u8>>> {
    let fits = counts.iter().all(|&c| c <= INLINE);
    fits.then(|| records.into_iter().map(|r| r.inline).collect())
}

fn flat<T: Element>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    x.reshape(op, &[x.numel()])
}

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
        let sent = Outgoing::new(name, &own)?;
        let said = Call { reduction: how.name(), root: root.unwrap_or(0), ..call(name, x, tracked) };
        let records = run.agree(&said, Fit::Whole, inline_of(&sent))?;
        let (n, size) = (x.numel(), group.size());
        let inline = inline_from(records, &[n * size_of::<T>()]).filter(|_| size > 1);
        let tree = Tree { count: size, size };
        let goal = root.map_or(Goal::All, Goal::Root);
        let own = vec![own.to_device(name, tensor_core::Device::Cpu)?];
        let sum = reduce(&mut run, &tree, own, n, how, &goal, inline)?;
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

/// g, as a function of x as well, on which it does not depend.
struct Tied;

impl<T: Element> Op<T, 2> for Tied {
    fn name(&self) -> &'static str {
        "tied"
    }
    fn forward(&self, [g, _]: [&Array<T>; 2]) -> Result<Array<T>> {
        Ok(g.clone())
    }
    /// g: grad; x: 0
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let none = || Ok(Tensor::from(Array::repeat_on(g.device(), kept.shape(1), T::default())?));
        Ok([kept.wrt(0, || Ok(g.clone()))?, kept.wrt(1, none)?])
    }
}

/// The cotangent of an exchange whose output was kept. Where the walk back is recorded, it depends on that output on every
/// rank, although on some it may be a constant: so the walk back over this one passes the exchange itself on all of them.
pub(crate) fn tied<T: Element>(kept: &Kept<'_, T>, g: Tensor<T>) -> Result<Tensor<T>> {
    if kept.create_graph() { apply(Tied, [&g, &kept.output(0)]) } else { Ok(g) }
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
fn reduced_to<T: Number>(group: &Group, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Number, Reduce { group, root, tracked } => Reduce, [x])
}

compiled_once! {
    /// The elements of the root.
    fn sent_to_all<T: Element>(group: &Group, x: &Array<T>, root: usize, tracked: bool) -> Result<Array<T>> {
        let name = "broadcast";
        let mut run = group.begin(name)?;
        let sent = Outgoing::new(name, x)?;
        let said = Call { root, ..call(name, x, tracked) };
        let mine = group.rank() == root;
        let inline = if mine { inline_of(&sent) } else { &[] };
        let records = run.agree(&said, Fit::Whole, inline)?;
        let landing = |n: usize| Landing::new(name, T::DTYPE, n);
        let n = x.numel();
        let came = if mine {
            if n * size_of::<T>() > INLINE {
                run.broadcast(root, Message::Sent(sent))?;
            }
            return Ok(x.clone());
        } else if n * size_of::<T>() > INLINE {
            run.broadcast(root, Message::Awaited(landing(n)?))?
        } else {
            let mut landing = landing(n)?;
            landing.bytes_mut().copy_from_slice(&records[root].inline);
            Some(landing)
        };
        let came = came.ok_or_else(|| Error::shape(name, "nothing came"))?.array::<T>()?;
        came.reshape(name, x.shape())?.to_device(name, x.device())
    }
}

/// y = the root's x, on all ranks.
struct Broadcast {
    group: Group,
    root: usize,
    tracked: bool,
}

/// An operation of any element type whose rule adds: of numbers, that is.
macro_rules! of_numbers {
    ($T:ident, $sum:expr) => {{
        struct Sums;
        impl tensor_core::ForElement for Sums {
            type Of<$T: Element> = Option<fn(&Group, &Tensor<$T>, &Exchange) -> Result<Tensor<$T>>>;
        }
        static EACH: tensor_core::EachElement<Sums> =
            tensor_core::EachElement { f32: Some($sum), f64: Some($sum), i64: Some($sum), bool: None };
        $T::of_elements(&EACH).ok_or_else(|| Error::argument("backward", "truth values have no gradient"))
    }};
}

/// What an exchange is made between: the rank that has a part of its own, and the rows of each rank.
struct Exchange {
    root: usize,
    counts: Vec<usize>,
}

impl<T: Element> Op<T, 1> for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        sent_to_all(&self.group, x, self.root, self.tracked)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// root: the sum of grad over all ranks; others: 0
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let sum = of_numbers!(T, |group, g, to| reduced_to(group, g, to.root))?;
        let to = Exchange { root: self.root, counts: Vec::new() };
        Ok([Some(sum(&self.group, &g, &to)?)])
    }
}

#[track_caller]
fn broadcasted<T: Element>(group: &Group, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Element, Broadcast { group, root, tracked } => Broadcast, [x])
}

fn row_len<T: Element>(x: &Array<T>) -> usize {
    x.shape().iter().skip(1).product()
}

fn with_rows(shape: &[usize], rows: usize) -> Dims {
    std::iter::once(rows).chain(shape.iter().skip(1).copied()).collect()
}

compiled_once! {
    /// The rows of all ranks, one after another, and how many each has: on all, or on the root, and none elsewhere.
    fn gathered<T: Element>(
        group: &Group,
        name: &'static str,
        x: &Array<T>,
        root: Option<usize>,
        tracked: bool
    ) -> Result<(Array<T>, Vec<usize>)> {
        let mut run = group.begin(name)?;
        let sent = Outgoing::new(name, x)?;
        let said = Call { root: root.unwrap_or(0), ..call(name, x, tracked) };
        let records = run.agree(&said, Fit::Rows, inline_of(&sent))?;
        let rows: Vec<usize> = records.iter().map(|r| r.dims()[0]).collect();
        let bytes: Vec<usize> = rows.iter().map(|r| r * row_len(x) * size_of::<T>()).collect();
        let all = rows.iter().sum::<usize>();
        let mine = root.is_none_or(|root| root == group.rank());
        let came = if let Some(inline) = inline_from(records, &bytes).filter(|_| group.size() > 1) {
            if !mine {
                return Ok((Array::zeros_on(x.device(), &with_rows(x.shape(), 0))?, rows));
            }
            let mut landing = Landing::new(name, T::DTYPE, all * row_len(x))?;
            landing.bytes_mut().copy_from_slice(&inline.concat());
            landing.array::<T>()?
        } else if group.size() == 1 {
            return Ok((x.clone(), rows));
        } else if let Some(root) = root {
            match gather_to(&mut run, root, sent, &bytes, T::DTYPE, all * row_len(x))? {
                Some(landing) => landing.array()?,
                None => return Ok((Array::zeros_on(x.device(), &with_rows(x.shape(), 0))?, rows)),
            }
        } else {
            let landing = Landing::new(name, T::DTYPE, all * row_len(x))?;
            run.all_gather(sent, &bytes, landing)?.array()?
        };
        let came = came.reshape(name, &with_rows(x.shape(), all))?;
        Ok((came.to_device(name, x.device())?, rows))
    }
}

/// The bytes of all ranks on the root.
fn gather_to(
    run: &mut Running<'_>,
    root: usize,
    own: Outgoing,
    bytes: &[usize],
    dtype: DType,
    n: usize,
) -> Result<Option<Landing>> {
    if run.rank() != root {
        run.exchange(vec![(root, own)], Vec::new())?;
        return Ok(None);
    }
    let mut receives = Vec::new();
    for from in (0..run.size()).filter(|&from| from != root) {
        receives.push((from, Landing::new(run.op, DType::Bool, bytes[from])?));
    }
    let mut came = run.exchange(Vec::new(), receives)?.into_iter();
    let mut whole = Landing::new(run.op, dtype, n)?;
    let mut place = whole.bytes_mut();
    for (from, &count) in bytes.iter().enumerate() {
        let (part, rest) = place.split_at_mut(count);
        place = rest;
        if from == root {
            part.copy_from_slice(own.bytes());
        } else if let Some(mut landing) = came.next() {
            part.copy_from_slice(landing.bytes_mut());
        }
    }
    Ok(Some(whole))
}

/// y = the rows of all ranks, on all ranks or on the root.
struct Gather {
    group: Group,
    root: Option<usize>,
    tracked: bool,
    /// The rows of each rank, once they are known.
    rows: OnceLock<Vec<usize>>,
}

impl<T: Element> Op<T, 1> for Gather {
    fn name(&self) -> &'static str {
        if self.root.is_some() { "gather" } else { "all_gather" }
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let name = Op::<T, 1>::name(self);
        let (y, rows) = gathered(&self.group, name, x, self.root, self.tracked)?;
        self.rows.get_or_init(|| rows);
        Ok(y)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// to all: this rank's rows of the sum of grad over all ranks; to the root: this rank's rows of its grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let counts = self.rows.get().cloned().unwrap_or_default();
        let own = match self.root {
            Some(root) => scattered(&self.group, &g, root, counts)?,
            None => {
                let sum = of_numbers!(T, |group, g, to| scattered_sum(group, g, to.counts.clone()))?;
                sum(&self.group, &g, &Exchange { root: 0, counts })?
            }
        };
        Ok([Some(own.reshape(kept.shape(0))?)])
    }
}

#[track_caller]
fn gathered_rows<T: Element>(group: &Group, x: &Tensor<T>, root: Option<usize>) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    let vector;
    let x = if x.ndim() == 0 {
        vector = x.reshape([1])?;
        &vector
    } else {
        x
    };
    apply_once!(T: Element, Gather { group, root, tracked, rows: OnceLock::new() } => Gather, [x])
}

/// Where the rows of each rank begin, and the last end.
fn bounds(counts: &[usize]) -> Vec<usize> {
    let mut end = 0;
    let ends = counts.iter().map(|c| {
        end += c;
        end
    });
    std::iter::once(0).chain(ends).collect()
}

compiled_once! {
    /// This rank's rows of the sum over all ranks.
    fn summed_part<T: Number>(group: &Group, x: &Array<T>, counts: &[usize], tracked: bool) -> Result<Array<T>> {
        let name = "reduce_scatter";
        let mut run = group.begin(name)?;
        let own = flat(name, x)?.to_device(name, tensor_core::Device::Cpu)?;
        run.agree(&call(name, x, tracked), Fit::Whole, &[])?;
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
fn scattered_sum<T: Number>(group: &Group, x: &Tensor<T>, counts: Vec<usize>) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Number, ReduceScatter { group, counts, tracked } => ReduceScatter, [x])
}

compiled_once! {
    /// This rank's rows of the root's.
    fn part_of_root<T: Element>(
        group: &Group,
        x: &Array<T>,
        root: usize,
        counts: &[usize],
        tracked: bool
    ) -> Result<Array<T>> {
        let name = "scatter";
        let mut run = group.begin(name)?;
        let rank = group.rank();
        let sent = Outgoing::new(name, x)?;
        let said = Call { root, ..call(name, x, tracked) };
        let records = run.agree(&said, Fit::Rows, if rank == root { inline_of(&sent) } else { &[] })?;
        // The root's rows are shared among the ranks, unless it was a gathering that told how many each has.
        let all = records[root].dims()[0];
        let shared: Vec<usize>;
        let counts = if counts.is_empty() {
            let tree = Tree { count: all, size: group.size() };
            shared = (0..group.size()).map(|r| tree.own(r).len()).collect();
            &shared[..]
        } else {
            counts
        };
        let bounds = bounds(counts);
        if bounds.last() != Some(&all) {
            return Err(Error::shape(name, format!("rows {counts:?} of the root's {all}")));
        }
        let (width, shape) = (row_len(x) * size_of::<T>(), with_rows(x.shape(), counts[rank]));
        let part = |r: usize| (bounds[r] * width, counts[r] * width);
        if rank == root {
            if all * width > INLINE {
                let others = (0..group.size()).filter(|&r| r != root);
                let sends = others.map(|r| (r, sent.part(part(r).0, part(r).1))).collect();
                run.exchange(sends, Vec::new())?;
            }
            return x.slice(name, 0, bounds[rank], 1, counts[rank]);
        }
        let mut landing = Landing::new(name, T::DTYPE, counts[rank] * row_len(x))?;
        let came: Array<T> = if all * width > INLINE {
            let came = run.exchange(Vec::new(), vec![(root, landing)])?.pop();
            came.ok_or_else(|| Error::shape(name, "nothing came"))?.array()?
        } else {
            let (start, len) = part(rank);
            landing.bytes_mut().copy_from_slice(&records[root].inline[start..][..len]);
            landing.array()?
        };
        came.reshape(name, &shape)?.to_device(name, x.device())
    }
}

/// y = this rank's rows of the root's x.
struct Scatter {
    group: Group,
    root: usize,
    /// The rows of each rank; none where they are shared evenly.
    counts: Vec<usize>,
    tracked: bool,
}

impl<T: Element> Op<T, 1> for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        part_of_root(&self.group, x, self.root, &self.counts, self.tracked)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// root: the rows of grad of all ranks; others: 0
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let whole = gathered_rows(&self.group, &g, Some(self.root))?;
        if self.group.rank() == self.root {
            return Ok([Some(whole)]);
        }
        // Nothing, in the shape of what this rank gave: but what comes of it is an exchange still, for the others.
        let rows = kept.shape(0)[0] as isize;
        let mut widths = vec![0isize; 2 * kept.shape(0).len()];
        widths[1] = rows;
        Ok([Some(padded(&whole, &widths)?)])
    }
}

/// Zero rows after none.
fn padded<T: Element>(none: &Tensor<T>, widths: &[isize]) -> Result<Tensor<T>> {
    let rows = widths[1] as usize;
    let zeros = Tensor::from(Array::zeros_on(none.device(), &with_rows(none.shape(), rows))?);
    Tensor::cat([none, &zeros], 0)
}

#[track_caller]
fn scattered<T: Element>(group: &Group, x: &Tensor<T>, root: usize, counts: Vec<usize>) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Element, Scatter { group, root, counts, tracked } => Scatter, [x])
}

/// # Collectives
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

    /// The sums of all tensors of a structure over the processes, in one message.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let sums = distributed::spawn(2, |group| {
    ///     let layer = (Tensor::from([1.0, 2.0]), Tensor::scalar(group.rank() as f64));
    ///     let (weights, bias) = group.all_reduce_params(&layer)?;
    ///     Ok((weights.to_vec(), bias.item()?))
    /// })?;
    /// assert_eq!(sums[0], (vec![2.0, 4.0], 1.0));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    #[track_caller]
    pub fn all_reduce_params<T: Float, P: Params<T>>(&self, x: &P) -> Result<P> {
        unflatten(x, &self.all_reduce(&flatten(x).at_caller()?)?)
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

    /// The tensor of the process `root`, in all. The others give one of the same shape, whose elements do not matter. Its
    /// cotangent is the sum of the cotangents, in the root, and zero elsewhere.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let got = distributed::spawn(2, |group| {
    ///     let own = Tensor::full([2], group.rank() as f64 + 5.0);
    ///     Ok(group.broadcast(&own, 1)?.to_vec())
    /// })?;
    /// assert_eq!(got, [vec![6.0, 6.0], vec![6.0, 6.0]]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::reduce`].
    #[doc(alias = "bcast")]
    #[track_caller]
    pub fn broadcast<T: Element>(&self, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
        self.check_rank("broadcast", root).at_caller()?;
        broadcasted(self, x, root)
    }

    /// All tensors of a structure of the process `root`, in one message.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let same = distributed::spawn(2, |group| {
    ///     let start = (Tensor::rand([3]), Tensor::rand([2, 2]));
    ///     let (a, b) = group.broadcast_params(&start, 0)?;
    ///     Ok((a.to_vec(), b.to_vec()))
    /// })?;
    /// assert_eq!(same[0], same[1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::reduce`].
    #[track_caller]
    pub fn broadcast_params<T: Float, P: Params<T>>(&self, x: &P, root: usize) -> Result<P> {
        unflatten(x, &self.broadcast(&flatten(x).at_caller()?, root)?)
    }

    /// The rows of all processes, one after another by ranks, in each of them; they may be of different numbers. A scalar is
    /// one row. Its cotangent is that of [`Group::reduce_scatter`].
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let all = distributed::spawn(3, |group| {
    ///     let own = Tensor::full([group.rank()], group.rank() as f64);
    ///     Ok(group.all_gather(&own)?.to_vec())
    /// })?;
    /// assert_eq!(all[0], [1.0, 2.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    #[doc(alias = "allgather")]
    #[track_caller]
    pub fn all_gather<T: Element>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        gathered_rows(self, x, None)
    }

    /// The rows of all processes in the process `root`, and none, in a tensor of shape `[0, ..]`, in the others. Its
    /// cotangent is that of [`Group::scatter`].
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let lengths = distributed::spawn(2, |group| Ok(group.gather(&Tensor::zeros([3]), 0)?.numel()))?;
    /// assert_eq!(lengths, [6, 0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::reduce`].
    #[track_caller]
    pub fn gather<T: Element>(&self, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
        self.check_rank("gather", root).at_caller()?;
        gathered_rows(self, x, Some(root))
    }

    /// This process's share of the rows of `root`: as many for each, as far as that goes. The others give any tensor whose
    /// shape differs in the first dimension at most. Its cotangent is that of [`Group::gather`].
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let parts = distributed::spawn(2, |group| {
    ///     let x = if group.rank() == 0 { Tensor::from([1.0, 2.0, 3.0]) } else { Tensor::zeros([0]) };
    ///     Ok(group.scatter(&x, 0)?.to_vec())
    /// })?;
    /// assert_eq!(parts, [vec![1.0], vec![2.0, 3.0]]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::reduce`]; shape, for a scalar.
    #[track_caller]
    pub fn scatter<T: Element>(&self, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
        self.check_rank("scatter", root).at_caller()?;
        has_rows("scatter", x).at_caller()?;
        scattered(self, x, root, Vec::new())
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

fn has_rows<T: Element>(op: &'static str, x: &Tensor<T>) -> Result<()> {
    match x.ndim() {
        0 => Err(Error::shape(op, "a scalar has no rows to share: reshape it to [1]")),
        _ => Ok(()),
    }
}

/// What a rank sent to another, which agreed on it.
pub(crate) fn carried_over<T: Element>(
    group: &Group,
    x: Option<&Array<T>>,
    shape: &[usize],
    [from, to]: [usize; 2],
    tracked: bool,
) -> Result<Option<Array<T>>> {
    let name = if x.is_some() { "send" } else { "recv" };
    let mut run = group.begin(name)?;
    let peer = if x.is_some() { to } else { from };
    let sent = x.map(|x| Outgoing::new(name, x)).transpose()?;
    let said =
        Call { name, reduction: "", dtype: T::DTYPE, tracked, root: from, dims: Dims::from_slice(shape) };
    let record = run.agree_with(peer, &said, sent.as_ref().map_or(&[], inline_of))?;
    let n: usize = shape.iter().product();
    let large = n * size_of::<T>() > INLINE;
    if let Some(sent) = sent {
        if large {
            run.exchange(vec![(to, sent)], Vec::new())?;
        }
        return Ok(None);
    }
    let mut landing = Landing::new(name, T::DTYPE, n)?;
    if large {
        let came = run.exchange(Vec::new(), vec![(from, landing)])?.pop();
        landing = came.ok_or_else(|| Error::shape(name, "nothing came"))?;
    } else {
        landing.bytes_mut().copy_from_slice(&record.inline);
    }
    landing.array::<T>()?.reshape(name, shape).map(Some)
}

/// A rule that carries a cotangent back.
pub(crate) fn applied<T: Element, O: Op<T, 1>>(op: O, x: &Tensor<T>) -> Result<Tensor<T>> {
    apply(op, [x])
}
