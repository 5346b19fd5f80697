//! Sums over the rows of a data set that processes share.

use crate::collective::{all_reduced, inline, tied};
use crate::group::Group;
use crate::header::{Call, Fit, INLINE};
use crate::reduce::{Goal, ReduceOp, one_after_another, reduce};
use crate::source::{RowSum, Source};
use crate::tree::{self, Tree};
use autograd::params::{flatten, unflatten};
use autograd::{KeepMany, Kept, OpMany, Params, Tensor, apply_many_at, is_grad_enabled};
use std::ops::Range;
use std::panic::Location;
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Device, Error, Float, Result, compiled_once};

/// Blocks of a data set, unless it is told otherwise: enough for as many processes, and so few that each has work.
const BLOCKS: usize = 64;

/// A data set of some rows, in blocks of consecutive rows, which the processes of a group share.
///
/// A sum over all rows is formed block by block, and the sums of blocks meet in a tree that depends on their number alone:
/// **the result has the same bits on any number of processes**, as long as a block gives the same bits. Unless
/// [`Rows::with_blocks`] says otherwise there are 64 blocks, or one for each of fewer rows. Where the number of processes is a
/// power of two, each sends one sum; otherwise up to a few of them, by which the exchange takes longer, not the work: 3
/// processes and 64 blocks take 3 to 5.
///
/// ```
/// use tapegrad::{Tensor, distributed, linalg};
/// let (a, y): (Tensor, Tensor) = (Tensor::rand([1000, 3]), Tensor::rand([1000]));
/// let gradient = |processes| {
///     let found = distributed::spawn(processes, |group| {
///         let rows = group.rows(1000);
///         // What this process holds.
///         let (own_a, own_y) = (rows.take(&a)?, rows.take(&y)?);
///         let sum = rows.over([&own_a, &own_y])?;
///         let loss = |x: &Tensor, part: &[Tensor]| linalg::least_squares_loss(&part[0], x, &part[1]);
///         Ok(sum.value_and_grad(loss, &Tensor::ones([3]))?.1.to_vec())
///     })?;
///     Ok::<_, tapegrad::Error>(found[0].clone())
/// };
/// assert_eq!(gradient(1)?, gradient(3)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rows {
    group: Group,
    rows: usize,
    tree: Tree,
}

impl Rows {
    pub(crate) fn new(group: &Group, rows: usize) -> Self {
        let tree = Tree { count: rows.clamp(1, BLOCKS), size: group.size() };
        Rows { group: group.clone(), rows, tree }
    }

    /// The same rows in another number of blocks, of sizes as equal as can be: at least as many as there are processes, since
    /// those beyond have nothing to do, and more where a block has to fit into memory.
    ///
    /// ```
    /// use tapegrad::distributed::Group;
    /// let rows = Group::alone().rows(10).with_blocks(4);
    /// assert_eq!(rows.blocks().collect::<Vec<_>>(), [0..2, 2..5, 5..7, 7..10]);
    /// ```
    #[must_use]
    pub fn with_blocks(mut self, count: usize) -> Self {
        self.tree.count = count.clamp(1, self.rows.max(1));
        self
    }

    /// The same rows in blocks of at most so many.
    ///
    /// ```
    /// use tapegrad::distributed::Group;
    /// assert_eq!(Group::alone().rows(10).with_block_rows(4).blocks().count(), 3);
    /// ```
    #[must_use]
    pub fn with_block_rows(self, rows: usize) -> Self {
        let count = self.rows.div_ceil(rows.max(1));
        self.with_blocks(count)
    }

    /// The number of rows of all processes together.
    #[expect(clippy::len_without_is_empty, reason = "it is no collection, but a part of a shape")]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The processes that share them.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// This process's rows.
    ///
    /// ```
    /// use tapegrad::distributed;
    /// let ranges = distributed::spawn(3, |group| Ok(group.rows(64).range()))?;
    /// assert_eq!(ranges, [0..21, 21..42, 42..64]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn range(&self) -> Range<usize> {
        let own = self.tree.own(self.group.rank());
        self.block_start(own.start)..self.block_start(own.end)
    }

    /// This process's blocks, from the first to the last.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, own) = (self.clone(), self.tree.own(self.group.rank()));
        own.map(move |k| rows.block(k))
    }

    fn block_start(&self, k: usize) -> usize {
        (self.rows as u128 * k as u128 / self.tree.count as u128) as usize
    }

    fn block(&self, k: usize) -> Range<usize> {
        self.block_start(k)..self.block_start(k + 1)
    }

    /// This process's rows of a tensor that it holds whole.
    ///
    /// # Errors
    /// Shape, where it does not have as many rows.
    #[track_caller]
    pub fn take<T: Float>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        if x.shape().first() != Some(&self.rows) {
            let message = format!("{} rows of a tensor of shape {:?}", self.rows, x.shape());
            return Err(Error::shape("take", message).at_caller());
        }
        x.narrow(0, self.range().start, self.range().len())
    }

    /// Sums over rows that lie in these sources: tensors of this process's rows, and files of all rows, of which each process
    /// reads its own.
    ///
    /// # Errors
    /// Shape, where one does not have as many rows.
    #[track_caller]
    pub fn over<T: Float, S: Into<Source<T>>>(
        &self,
        sources: impl IntoIterator<Item = S>,
    ) -> Result<RowSum<T>> {
        RowSum::new(self, sources.into_iter().map(Into::into).collect()).at_caller()
    }

    /// The sum over all blocks of all processes of what `f` gives for the rows of one, in all of them. It is differentiable in
    /// whatever `f` holds. A process without a block calls it once, for no rows, to see the shape.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let counted = distributed::spawn(2, |group| {
    ///     group.rows(100).sum(|rows| Ok(Tensor::scalar(rows.len() as f64)))?.item()
    /// })?;
    /// assert_eq!(counted, [100.0, 100.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `f` returns, which the other processes are told; group, where they do not agree, do not come or have ended.
    #[track_caller]
    pub fn sum<T: Float>(&self, mut f: impl FnMut(Range<usize>) -> Result<Tensor<T>>) -> Result<Tensor<T>> {
        sum_of_blocks(Location::caller(), self, None, &mut f).at_caller()
    }

    /// The sum over all rows of a function of parameters, and its gradient, in all processes: `f` gives the part of the rows in
    /// a range, which is one of [`Rows::blocks`].
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let found = distributed::spawn(2, |group| {
    ///     let loss = |x: &Tensor, rows: std::ops::Range<usize>| Ok(x.square() * rows.len() as f64);
    ///     let (y, g) = group.rows(100).value_and_grad(loss, &Tensor::scalar(3.0))?;
    ///     Ok((y.item()?, g.item()?))
    /// })?;
    /// assert_eq!(found, [(900.0, 600.0), (900.0, 600.0)]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rows::sum`].
    #[track_caller]
    pub fn value_and_grad<T: Float, P: Params<T>>(
        &self,
        mut f: impl FnMut(&P, Range<usize>) -> Result<Tensor<T>>,
        x: &P,
    ) -> Result<(Tensor<T>, P)> {
        let mut part = |rows: Range<usize>| {
            let (y, g) = autograd::value_and_grad(|x| f(x, rows), x)?;
            flatten(&(y, g))
        };
        both(x, sum_of_blocks(Location::caller(), self, Some(1 + numel(x)), &mut part)).at_caller()
    }

    /// The product of the Hessian of a sum over all rows with `v`, which has the structure of `x`, in all processes; `f` as for
    /// [`Rows::value_and_grad`].
    ///
    /// # Errors
    /// As [`Rows::sum`].
    #[track_caller]
    pub fn hvp<T: Float, P: Params<T>>(
        &self,
        mut f: impl FnMut(&P, Range<usize>) -> Result<Tensor<T>>,
        x: &P,
        v: &P,
    ) -> Result<P> {
        let mut part = |rows: Range<usize>| flatten(&autograd::hvp(|x| f(x, rows), x, v)?);
        let product = sum_of_blocks(Location::caller(), self, Some(numel(x)), &mut part).at_caller()?;
        unflatten(x, &product)
    }

    /// J^T J v, where J is the Jacobian of the residuals of all rows: `f` gives those of a range. Half the Hessian of the sum
    /// of their squares, but for the curvature of the residuals themselves.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let a: Tensor = Tensor::rand([10, 3]);
    /// let v = Tensor::from([1.0, 2.0, 3.0]);
    /// let exact = a.t()?.matmul(&a.matmul(&v)?)?;
    /// let found = distributed::spawn(2, |group| {
    ///     let residuals = |x: &Tensor, rows: std::ops::Range<usize>| {
    ///         a.narrow(0, rows.start, rows.len())?.matmul(x)
    ///     };
    ///     group.rows(10).gauss_newton_product(residuals, &Tensor::zeros([3]), &v)
    /// })?;
    /// assert!((&found[0] - exact).abs().max()?.item()? < 1e-12);
    /// # use tapegrad::prelude::*;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rows::sum`].
    #[track_caller]
    pub fn gauss_newton_product<T: Float, P: Params<T>>(
        &self,
        mut f: impl FnMut(&P, Range<usize>) -> Result<Tensor<T>>,
        x: &P,
        v: &P,
    ) -> Result<P> {
        let mut part = |rows: Range<usize>| {
            let (_, jv) = autograd::jvp(|x| f(x, rows.clone()), x, v)?;
            flatten(&autograd::vjp(|x| f(x, rows), x, &jv)?.1)
        };
        let product = sum_of_blocks(Location::caller(), self, Some(numel(x)), &mut part).at_caller()?;
        unflatten(x, &product)
    }
}

pub(crate) fn numel<T: Float>(x: &impl Params<T>) -> usize {
    x.tensors().iter().map(Tensor::numel).sum()
}

/// A value and a gradient out of the vector that they travelled in.
pub(crate) fn both<T: Float, P: Params<T>>(x: &P, vector: Result<Tensor<T>>) -> Result<(Tensor<T>, P)> {
    let vector = vector?;
    let n = vector.numel();
    Ok((vector.select(0, 0)?, unflatten(x, &vector.narrow(0, 1, n - 1)?)?))
}

/// The sum of the nodes that all processes have added up.
struct TreeSum {
    rows: Rows,
    shape: Dims,
    tracked: bool,
}

const NAME: &str = "a sum over rows";

impl<T: Float> OpMany<T> for TreeSum {
    fn name(&self) -> &'static str {
        NAME
    }
    fn forward(&self, nodes: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(vec![joined(&self.rows, nodes, &self.shape, self.tracked)?])
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true] }
    }
    /// the sum of grad over all ranks, for every node
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let Some(Some(g)) = g.into_iter().next() else { return Ok(Vec::new()) };
        let sum = all_reduced(&self.rows.group, &tied(kept, g)?, ReduceOp::Sum)?;
        let nodes = self.rows.tree.cover(self.rows.group.rank()).len();
        (0..nodes).map(|i| kept.wrt(i, || Ok(sum.clone()))).collect()
    }
}

compiled_once! {
    fn joined<T: Float>(rows: &Rows, nodes: &[&Array<T>], shape: &Dims, tracked: bool) -> Result<Array<T>> {
        let group = &rows.group;
        let n: usize = shape.iter().product();
        let device = nodes.first().map_or(Device::Cpu, |x| x.device());
        let own: Vec<Array<T>> = nodes.iter().map(|x| x.reshape(NAME, &[n])).collect::<Result<_>>()?;
        let mut run = group.begin(NAME)?;
        let said = Call {
            name: NAME,
            reduction: "",
            dtype: T::DTYPE,
            tracked,
            root: rows.tree.count,
            dims: shape.clone(),
        };
        let most = (0..group.size()).map(|r| rows.tree.cover(r).len()).max().unwrap_or(0);
        let small = group.size() > 1 && most * n * size_of::<T>() <= INLINE;
        let sent = if small { inline(NAME, &one_after_another(NAME, &own)?)? } else { Vec::new() };
        let records = run.agree(&said, Fit::Whole, &sent, device)?;
        let inline = small.then(|| records.into_iter().map(|r| r.inline).collect());
        let sum = reduce(&mut run, &rows.tree, own, n, ReduceOp::Sum, &Goal::All, inline)?;
        let sum = sum.ok_or_else(|| Error::shape(NAME, "no result"))?;
        sum.reshape(NAME, shape)?.to_device(NAME, device)
    }
}

compiled_once! {
    /// The sum over all blocks of what `part` gives for the rows of one; `n` elements, where that is known.
    pub(crate) fn sum_of_blocks<T: Float>(
        here: &'static Location<'static>,
        rows: &Rows,
        n: Option<usize>,
        part: &mut dyn FnMut(Range<usize>) -> Result<Tensor<T>>
    ) -> Result<Tensor<T>> {
        let cover = rows.tree.cover(rows.group.rank());
        let mut nodes = Vec::with_capacity(cover.len());
        let mut leaf = |k: usize| part(rows.block(k));
        let mut failed = None;
        for node in cover {
            match tree::sum(node, &mut leaf, &|a: Tensor<T>, b| a.try_add(&b)) {
                Ok(sum) => nodes.push(sum),
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        let shape = match (nodes.first(), n) {
            _ if failed.is_some() => Ok(Dims::new()),
            (Some(x), _) => Ok(Dims::from_slice(x.shape())),
            (None, Some(n)) => Ok(Dims::from_slice(&[n])),
            (None, None) => part(0..0).map(|x| Dims::from_slice(x.shape())),
        };
        let shape = match (shape, failed) {
            (Ok(shape), None) => shape,
            (Err(e), _) | (_, Some(e)) => {
                rows.group.begin(NAME)?.fail(NAME, &e);
                return Err(e);
            }
        };
        let tracked = is_grad_enabled() && nodes.iter().any(Tensor::is_tracked);
        let nodes: Vec<&Tensor<T>> = nodes.iter().collect();
        let op = TreeSum { rows: rows.clone(), shape, tracked };
        let mut sums = apply_many_at(here, op, &nodes)?;
        sums.pop().ok_or_else(|| Error::shape(NAME, "no result"))
    }
}
