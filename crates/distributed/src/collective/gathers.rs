//! The rows of all processes, together, and those of one, shared among all.

use super::reductions::scattered_sum;
use super::{Exchange, bounds, call, has_rows, inline, inline_from, row_len, tied, tracked, with_rows};
use crate::group::{Group, Running};
use crate::header::{Call, Fit, INLINE};
use crate::transport::Landing;
use crate::tree::Tree;
use autograd::{Keep, Kept, Op, Tensor, apply_once};
use std::sync::OnceLock;
use tensor_core::{Array, AtCaller, Element, Error, Result, compiled_once, kernels};

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
        let said = Call { root: root.unwrap_or(0), ..call(name, x, tracked) };
        let records = run.agree(&said, Fit::Rows, &inline(name, x)?, x.device())?;
        let rows: Vec<usize> = records.iter().map(|r| r.dims()[0]).collect();
        let counts: Vec<usize> = rows.iter().map(|r| r * row_len(x)).collect();
        let bytes: Vec<usize> = counts.iter().map(|c| c * size_of::<T>()).collect();
        let all = rows.iter().sum::<usize>();
        if group.size() == 1 {
            return Ok((x.clone(), rows));
        }
        let none = || Array::zeros_on(x.device(), &with_rows(x.shape(), 0));
        let came = if let Some(inline) = inline_from(records, &bytes) {
            if root.is_some_and(|root| root != group.rank()) {
                return Ok((none()?, rows));
            }
            Landing::of_bytes(name, T::DTYPE, &inline.concat())?.array::<T>()?
        } else if let Some(root) = root {
            match gathered_to(&mut run, root, x, &counts)? {
                Some(came) => came,
                None => return Ok((none()?, rows)),
            }
        } else {
            run.all_gather(run.outgoing(x)?, &bytes, run.landing(T::DTYPE, all * row_len(x))?)?.array()?
        };
        let came = came.reshape(name, &with_rows(x.shape(), all))?;
        Ok((came.to_device(name, x.device())?, rows))
    }
}

/// The elements of all ranks on the root, `counts[r]` of rank r.
fn gathered_to<T: Element>(
    run: &mut Running<'_>,
    root: usize,
    x: &Array<T>,
    counts: &[usize],
) -> Result<Option<Array<T>>> {
    if run.rank() != root {
        run.send(root, x)?;
        return Ok(None);
    }
    let others = (0..run.size()).filter(|&from| from != root);
    let receives = others.map(|r| Ok((r, run.landing(T::DTYPE, counts[r])?))).collect::<Result<_>>()?;
    let came = run.exchange(Vec::new(), receives)?;
    let mut parts: Vec<Array<T>> = came.into_iter().map(Landing::array).collect::<Result<_>>()?;
    parts.insert(root, run.here(x)?.reshape(run.op, &[x.numel()])?);
    kernels::cat(run.op, &parts.iter().collect::<Vec<_>>(), 0).map(Some)
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
pub(super) fn gathered_rows<T: Element>(
    group: &Group,
    x: &Tensor<T>,
    root: Option<usize>,
) -> Result<Tensor<T>> {
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
        let said = Call { root, ..call(name, x, tracked) };
        let own = if rank == root { inline(name, x)? } else { Vec::new() };
        let records = run.agree(&said, Fit::Rows, &own, x.device())?;
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
                let sent = run.outgoing(x)?;
                let others = (0..group.size()).filter(|&r| r != root);
                let sends = others.map(|r| (r, sent.part(part(r).0, part(r).1))).collect();
                run.exchange(sends, Vec::new())?;
            }
            return x.slice(name, 0, bounds[rank], 1, counts[rank]);
        }
        let came: Array<T> = if all * width > INLINE {
            run.receive(root, counts[rank] * row_len(x))?
        } else {
            let (start, len) = part(rank);
            Landing::of_bytes(name, T::DTYPE, &records[root].inline[start..][..len])?.array()?
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

/// # Collectives: rows of all
impl Group {
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
}
