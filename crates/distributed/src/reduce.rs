//! Sums over processes, by one tree whatever carries them.
//!
//! Three ways, by what a message costs: small vectors are gathered by all, who add them themselves; longer ones climb the tree
//! and come back by a broadcast; of long ones every process adds a part that all send to it, so that no byte travels twice
//! (Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", 2005). All add in the same
//! order.

use crate::group::Running;
use crate::transport::{Landing, Message, Outgoing};
use crate::tree::{Tree, total};
use autograd::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;
use tensor_core::{Array, Error, Number, Result, compiled_once, kernels};

/// How numbers of several processes become one; the names are those of `torch.distributed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReduceOp {
    /// Their sum.
    #[default]
    Sum,
    /// Their mean.
    Mean,
    /// The largest of them; NaN where there is one.
    Max,
    /// The smallest of them; NaN where there is one.
    Min,
}

impl ReduceOp {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Mean => "mean",
            ReduceOp::Max => "max",
            ReduceOp::Min => "min",
        }
    }
}

/// Where a sum is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    All,
    /// On one rank; others get none.
    Root(usize),
    /// Of the elements, a part on each rank: rank r gets those from `bounds[r]` to `bounds[r + 1]`.
    Parts(Vec<usize>),
}

/// Bytes, of all processes together, up to which vectors are gathered by all.
const GATHERED: usize = 1 << 16;

/// Bytes of a vector from which every process adds a part of it.
const PARTED: usize = 1 << 18;

fn add<T: Number>(op: ReduceOp) -> impl Fn(Array<T>, Array<T>) -> Result<Array<T>> {
    move |a, b| {
        let (a, b) = (Tensor::from(a), Tensor::from(b));
        Ok(match op {
            ReduceOp::Sum | ReduceOp::Mean => a + b,
            ReduceOp::Max => a.maximum(&b)?,
            ReduceOp::Min => a.minimum(&b)?,
        }
        .into_array())
    }
}

compiled_once! {
    /// Joins vectors of `n` elements, one for each node of the cover of this rank, over all ranks, which have agreed on it.
    /// `inline` holds those of all ranks, where they have come already.
    pub(crate) fn reduce<T: Number>(
        run: &mut Running<'_>,
        tree: &Tree,
        own: Vec<Array<T>>,
        n: usize,
        op: ReduceOp,
        goal: &Goal,
        inline: Option<Vec<Vec<u8>>>
    ) -> Result<Option<Array<T>>> {
        let (rank, size) = (run.rank(), run.size());
        let covers: Vec<Vec<Range<usize>>> = (0..size).map(|r| tree.cover(r)).collect();
        if n == 0 {
            let elsewhere = matches!(goal, Goal::Root(root) if *root != rank);
            return if elsewhere { Ok(None) } else { Array::zeros(&[0]).map(Some) };
        }
        let bytes = n * size_of::<T>();
        let gathered = covers.iter().map(Vec::len).sum::<usize>() * bytes;
        let whole = match (goal, inline) {
            _ if size == 1 => total_of(&covers, vec![own], tree, op)?,
            (_, Some(inline)) => {
                let parts: Vec<Vec<Array<T>>> =
                    inline.iter().map(|bytes| read_vectors(bytes, n)).collect::<Result<_>>()?;
                total_of(&covers, parts, tree, op)?
            }
            (Goal::Parts(bounds), _) => return parted(run, &covers, tree, own, op, bounds).map(Some),
            _ if gathered <= GATHERED => gathered_total(run, &covers, tree, own, n, op)?,
            (Goal::All, _) if bytes >= PARTED => {
                let bounds: Vec<usize> = (0..=size).map(|r| n * r / size).collect();
                let part = parted(run, &covers, tree, own, op, &bounds)?;
                let counts: Vec<usize> =
                    bounds.windows(2).map(|w| (w[1] - w[0]) * size_of::<T>()).collect();
                let landing = Landing::new(run.op, T::DTYPE, n)?;
                let sent = Outgoing::new(run.op, &part)?;
                return Ok(Some(run.all_gather(sent, &counts, landing)?.array()?));
            }
            (Goal::Root(root), _) => return climbed(run, &covers, tree, own, n, op, *root),
            (Goal::All, _) => {
                // The tree ends where its first block lies.
                let top = tree.seat(&tree.root());
                let message = match climbed(run, &covers, tree, own, n, op, top)? {
                    Some(sum) => {
                        run.broadcast(top, Message::Sent(Outgoing::new(run.op, &sum)?))?;
                        return Ok(Some(sum));
                    }
                    None => Message::Awaited(Landing::new(run.op, T::DTYPE, n)?),
                };
                let came = run.broadcast(top, message)?;
                return came.map(Landing::array).transpose();
            }
        };
        match goal {
            Goal::All => Ok(Some(whole)),
            Goal::Root(root) => Ok((*root == rank).then_some(whole)),
            Goal::Parts(bounds) => {
                let len = bounds[rank + 1] - bounds[rank];
                Ok(Some(whole.slice(run.op, 0, bounds[rank], 1, len)?))
            }
        }
    }
}

/// The vectors of `n` elements that came as bytes.
fn read_vectors<T: Number>(bytes: &[u8], n: usize) -> Result<Vec<Array<T>>> {
    let count = bytes.len() / (n * size_of::<T>()).max(1);
    let mut landing = Landing::new("recv", T::DTYPE, count * n)?;
    landing.bytes_mut().copy_from_slice(bytes);
    vectors(&landing.array()?, n, count)
}

/// `count` vectors, one after another.
fn vectors<T: Number>(x: &Array<T>, n: usize, count: usize) -> Result<Vec<Array<T>>> {
    (0..count).map(|k| x.slice("recv", 0, k * n, 1, n)).collect()
}

/// The sum of what all ranks have added up, at hand.
fn total_of<T: Number>(
    covers: &[Vec<Range<usize>>],
    parts: Vec<Vec<Array<T>>>,
    tree: &Tree,
    op: ReduceOp,
) -> Result<Array<T>> {
    let nodes = covers.iter().flatten().map(|node| (node.start, node.end));
    let mut known: BTreeMap<_, _> = nodes.zip(parts.into_iter().flatten()).collect();
    total(tree.root(), &mut known, &add(op))
}

fn gathered_total<T: Number>(
    run: &mut Running<'_>,
    covers: &[Vec<Range<usize>>],
    tree: &Tree,
    own: Vec<Array<T>>,
    n: usize,
    op: ReduceOp,
) -> Result<Array<T>> {
    let counts: Vec<usize> = covers.iter().map(|c| c.len() * n * size_of::<T>()).collect();
    let all: usize = covers.iter().map(Vec::len).sum();
    let sent = match &own[..] {
        [one] => Outgoing::new(run.op, one)?,
        [] => Outgoing::new(run.op, &Array::<T>::zeros(&[0])?)?,
        many => Outgoing::new(run.op, &kernels::cat(run.op, &many.iter().collect::<Vec<_>>(), 0)?)?,
    };
    let landing = Landing::new(run.op, T::DTYPE, all * n)?;
    let came: Array<T> = run.all_gather(sent, &counts, landing)?.array()?;
    total_of(covers, vec![vectors(&came, n, all)?], tree, op)
}

/// The sum of this rank's part of the elements.
fn parted<T: Number>(
    run: &mut Running<'_>,
    covers: &[Vec<Range<usize>>],
    tree: &Tree,
    own: Vec<Array<T>>,
    op: ReduceOp,
    bounds: &[usize],
) -> Result<Array<T>> {
    let (rank, size) = (run.rank(), run.size());
    let part = |r: usize| bounds[r] * size_of::<T>()..bounds[r + 1] * size_of::<T>();
    let mut sends = Vec::new();
    for x in &own {
        let sent = Outgoing::new(run.op, x)?;
        for to in (0..size).filter(|&to| to != rank) {
            sends.push((to, sent.part(part(to).start, part(to).len())));
        }
    }
    let len = bounds[rank + 1] - bounds[rank];
    let mut receives = Vec::new();
    for from in (0..size).filter(|&from| from != rank) {
        for _ in &covers[from] {
            receives.push((from, Landing::new(run.op, T::DTYPE, len)?));
        }
    }
    let mut came = run.exchange(sends, receives)?.into_iter();
    let mut parts = Vec::with_capacity(size);
    for (from, cover) in covers.iter().enumerate() {
        parts.push(if from == rank {
            own.iter().map(|x| x.slice(run.op, 0, bounds[rank], 1, len)).collect::<Result<_>>()?
        } else {
            came.by_ref().take(cover.len()).map(Landing::array).collect::<Result<_>>()?
        });
    }
    total_of(covers, parts, tree, op)
}

/// The sum on one rank: the right half of every node is sent to where the left one lies.
fn climbed<T: Number>(
    run: &mut Running<'_>,
    covers: &[Vec<Range<usize>>],
    tree: &Tree,
    own: Vec<Array<T>>,
    n: usize,
    op: ReduceOp,
    root: usize,
) -> Result<Option<Array<T>>> {
    let rank = run.rank();
    let mut known: BTreeMap<_, _> = covers[rank].iter().map(|n| (n.start, n.end)).zip(own).collect();
    let sum = climb(run, tree, tree.root(), covers, &mut known, n, &add(op))?;
    let top = tree.seat(&tree.root());
    if top == root {
        return Ok(sum);
    }
    if let Some(sum) = &sum {
        run.exchange(vec![(root, Outgoing::new(run.op, sum)?)], Vec::new())?;
    }
    if rank != root {
        return Ok(None);
    }
    let landing = Landing::new(run.op, T::DTYPE, n)?;
    run.exchange(Vec::new(), vec![(top, landing)])?.pop().map(Landing::array).transpose()
}

/// The sum of a node, where this rank is its seat.
fn climb<T: Number>(
    run: &mut Running<'_>,
    tree: &Tree,
    node: Range<usize>,
    covers: &[Vec<Range<usize>>],
    known: &mut BTreeMap<(usize, usize), Array<T>>,
    n: usize,
    add: &dyn Fn(Array<T>, Array<T>) -> Result<Array<T>>,
) -> Result<Option<Array<T>>> {
    let rank = run.rank();
    if covers[tree.seat(&node)].contains(&node) {
        return Ok(known.remove(&(node.start, node.end)));
    }
    let [left, right] = Tree::halves(&node);
    let (to, from) = (tree.seat(&left), tree.seat(&right));
    let a = climb(run, tree, left, covers, known, n, add)?;
    let b = climb(run, tree, right, covers, known, n, add)?;
    let b = match b {
        Some(b) if to != from => {
            run.exchange(vec![(to, Outgoing::new(run.op, &b)?)], Vec::new())?;
            None
        }
        None if to != from && rank == to => {
            let landing = Landing::new(run.op, T::DTYPE, n)?;
            run.exchange(Vec::new(), vec![(from, landing)])?.pop().map(Landing::array).transpose()?
        }
        b => b,
    };
    match (a, b) {
        (Some(a), Some(b)) => add(a, b).map(Some),
        (None, None) => Ok(None),
        _ => Err(Error::shape(run.op, "a half of a sum was lost")),
    }
}
