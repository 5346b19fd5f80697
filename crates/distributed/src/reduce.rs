//! Sums over processes, by one tree whatever carries them.
//!
//! Three ways, by what a message costs: small vectors are gathered by all, who add them themselves; longer ones climb the tree
//! and come back by a broadcast; of long ones every process adds a part that all send to it, so that no byte travels twice
//! (Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", 2005). All add in the same
//! order.

use crate::group::Running;
use crate::transport::{Landing, Message};
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

/// What all ranks join, and have agreed on: vectors of `n` elements, one for each node of each rank's cover.
struct Join<'a> {
    tree: &'a Tree,
    covers: Vec<Vec<Range<usize>>>,
    n: usize,
    op: ReduceOp,
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
        if n == 0 {
            let elsewhere = matches!(goal, Goal::Root(root) if *root != rank);
            return if elsewhere { Ok(None) } else { Array::zeros(&[0]).map(Some) };
        }
        let own: Vec<Array<T>> = own.iter().map(|x| run.here(x)).collect::<Result<_>>()?;
        let join = Join { tree, covers: (0..size).map(|r| tree.cover(r)).collect(), n, op };
        let bytes = n * size_of::<T>();
        let gathered = join.covers.iter().map(Vec::len).sum::<usize>() * bytes;
        let whole = match (goal, inline) {
            _ if size == 1 => join.total(vec![own])?,
            (_, Some(inline)) => {
                join.total(inline.iter().map(|bytes| read_vectors(bytes, n)).collect::<Result<_>>()?)?
            }
            (Goal::Parts(bounds), _) => return join.parted(run, own, bounds).map(Some),
            _ if gathered <= GATHERED => join.gathered(run, own)?,
            (Goal::All, _) if bytes >= PARTED => {
                let bounds: Vec<usize> = (0..=size).map(|r| n * r / size).collect();
                let part = join.parted(run, own, &bounds)?;
                let counts: Vec<usize> =
                    bounds.windows(2).map(|w| (w[1] - w[0]) * size_of::<T>()).collect();
                let whole = run.all_gather(run.outgoing(&part)?, &counts, run.landing(T::DTYPE, n)?)?;
                return Ok(Some(whole.array()?));
            }
            (Goal::Root(root), _) => return join.climbed(run, own, *root),
            (Goal::All, _) => {
                // The tree ends where its first block lies.
                let top = tree.seat(&tree.root());
                if let Some(sum) = join.climbed(run, own, top)? {
                    run.broadcast(top, Message::Sent(run.outgoing(&sum)?))?;
                    return Ok(Some(sum));
                }
                let came = run.broadcast(top, Message::Awaited(run.landing(T::DTYPE, n)?))?;
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
    let came: Array<T> = Landing::of_bytes("recv", T::DTYPE, bytes)?.array()?;
    vectors(&came, n)
}

/// The vectors of `n` elements, one after another.
fn vectors<T: Number>(x: &Array<T>, n: usize) -> Result<Vec<Array<T>>> {
    (0..x.numel() / n).map(|k| x.slice("recv", 0, k * n, 1, n)).collect()
}

/// Vectors as one.
pub(crate) fn one_after_another<T: Number>(op: &'static str, vectors: &[Array<T>]) -> Result<Array<T>> {
    match vectors {
        [one] => Ok(one.clone()),
        [] => Array::zeros(&[0]),
        many => kernels::cat(op, &many.iter().collect::<Vec<_>>(), 0),
    }
}

impl Join<'_> {
    /// The whole from what all ranks have joined by themselves, at hand.
    fn total<T: Number>(&self, parts: Vec<Vec<Array<T>>>) -> Result<Array<T>> {
        let nodes = self.covers.iter().flatten().map(|node| (node.start, node.end));
        let mut known: BTreeMap<_, _> = nodes.zip(parts.into_iter().flatten()).collect();
        total(self.tree.root(), &mut known, &add(self.op))
    }

    fn gathered<T: Number>(&self, run: &mut Running<'_>, own: Vec<Array<T>>) -> Result<Array<T>> {
        let counts: Vec<usize> = self.covers.iter().map(|c| c.len() * self.n * size_of::<T>()).collect();
        let all: usize = self.covers.iter().map(Vec::len).sum();
        let sent = run.outgoing(&one_after_another(run.op, &own)?)?;
        let came = run.all_gather(sent, &counts, run.landing(T::DTYPE, all * self.n)?)?;
        self.total(vec![vectors(&came.array()?, self.n)?])
    }

    /// This rank's part of the elements.
    fn parted<T: Number>(
        &self,
        run: &mut Running<'_>,
        own: Vec<Array<T>>,
        bounds: &[usize],
    ) -> Result<Array<T>> {
        let (rank, size) = (run.rank(), run.size());
        let part = |r: usize| bounds[r] * size_of::<T>()..bounds[r + 1] * size_of::<T>();
        let mut sends = Vec::new();
        for x in &own {
            let sent = run.outgoing(x)?;
            for to in (0..size).filter(|&to| to != rank) {
                sends.push((to, sent.part(part(to).start, part(to).len())));
            }
        }
        let len = bounds[rank + 1] - bounds[rank];
        let mut receives = Vec::new();
        for from in (0..size).filter(|&from| from != rank) {
            for _ in &self.covers[from] {
                receives.push((from, run.landing(T::DTYPE, len)?));
            }
        }
        let mut came = run.exchange(sends, receives)?.into_iter();
        let mut parts = Vec::with_capacity(size);
        for (from, cover) in self.covers.iter().enumerate() {
            parts.push(if from == rank {
                own.iter().map(|x| x.slice(run.op, 0, bounds[rank], 1, len)).collect::<Result<_>>()?
            } else {
                came.by_ref().take(cover.len()).map(Landing::array).collect::<Result<_>>()?
            });
        }
        self.total(parts)
    }

    /// The whole on one rank: the right half of every node is sent to where the left one lies.
    fn climbed<T: Number>(
        &self,
        run: &mut Running<'_>,
        own: Vec<Array<T>>,
        root: usize,
    ) -> Result<Option<Array<T>>> {
        let rank = run.rank();
        let mut known = self.covers[rank].iter().map(|n| (n.start, n.end)).zip(own).collect();
        let sum = self.climb(run, self.tree.root(), &mut known)?;
        let top = self.tree.seat(&self.tree.root());
        if top == root {
            return Ok(sum);
        }
        if let Some(sum) = &sum {
            run.send(root, sum)?;
        }
        if rank == root { run.receive(top, self.n).map(Some) } else { Ok(None) }
    }

    /// The vector of a node, where this rank is its seat.
    fn climb<T: Number>(
        &self,
        run: &mut Running<'_>,
        node: Range<usize>,
        known: &mut BTreeMap<(usize, usize), Array<T>>,
    ) -> Result<Option<Array<T>>> {
        let seat = self.tree.seat(&node);
        if self.covers[seat].contains(&node) {
            return Ok(known.remove(&(node.start, node.end)));
        }
        let [left, right] = Tree::halves(&node);
        let (to, from) = (self.tree.seat(&left), self.tree.seat(&right));
        let a = self.climb(run, left, known)?;
        let b = match self.climb(run, right, known)? {
            Some(b) if to != from => {
                run.send(to, &b)?;
                None
            }
            None if to != from && run.rank() == to => Some(run.receive(from, self.n)?),
            b => b,
        };
        match (a, b) {
            (Some(a), Some(b)) => add(self.op)(a, b).map(Some),
            (None, None) => Ok(None),
            _ => Err(Error::shape(run.op, "a half of a sum was lost")),
        }
    }
}
