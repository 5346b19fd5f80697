//! The walk back over the tape.
//!
//! The deepest pending node comes first: nothing left can then depend on it, so its cotangent is
//! complete. There is no recursion and no sorting of the graph.

use crate::anomaly;
use crate::loops::trace;
use crate::mode::{self, Mode};
use crate::node::{Context, Cotangent, Edge, Node, Opened, Out};
use crate::ops::Variables;
use crate::tensor::Tensor;
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem::replace;
use std::panic::Location;
use tensor_core::{Array, AtCaller, Element, Error, ErrorKind, Float, Result, compiled_once};

/// Whatever uses a node has a greater one; see [`Edge::id`].
pub(crate) type Id = (u64, u64, usize);

/// A node with what it has received so far.
struct Waiting {
    id: Id,
    edge: Edge,
    g: Cotangent,
}

/// Nodes with a cotangent. The deepest stand in a short list, for most of what a rule gives goes to nodes that come soon.
#[derive(Default)]
struct Pending {
    /// The deepest last, all of them deeper than the rest.
    next: Vec<Waiting>,
    rest: BTreeMap<Id, (Edge, Cotangent)>,
    /// The deepest of the rest.
    below: Option<Id>,
}

impl Pending {
    /// Nodes in the list at most.
    const LIST: usize = 16;

    /// Adds a cotangent to what its node has received so far.
    fn add(&mut self, edge: Edge, g: Cotangent) -> Result<()> {
        let id = edge.id();
        let place = self.next.iter().rposition(|waiting| waiting.id <= id);
        if let Some(waiting) = place.map(|k| &mut self.next[k]).filter(|waiting| waiting.id == id) {
            return add_to(&mut waiting.g, g);
        }
        if place.is_none() && self.below.is_some_and(|below| id <= below) {
            match self.rest.entry(id) {
                Entry::Occupied(mut entry) => return add_to(&mut entry.get_mut().1, g),
                Entry::Vacant(entry) => _ = entry.insert((edge, g)),
            }
            return Ok(());
        }
        self.next.insert(place.map_or(0, |k| k + 1), Waiting { id, edge, g });
        if self.next.len() > Self::LIST {
            let Waiting { id, edge, g } = self.next.remove(0);
            self.rest.insert(id, (edge, g));
            self.below = Some(id);
        }
        Ok(())
    }

    /// The deepest node, with all that it receives.
    fn pop(&mut self) -> Result<Option<(Edge, Cotangent)>> {
        if self.next.is_empty() {
            let deepest = std::iter::from_fn(|| self.rest.pop_last());
            self.next.extend(deepest.take(Self::LIST / 2).map(|(id, (edge, g))| Waiting { id, edge, g }));
            self.next.reverse();
            self.below = self.rest.last_key_value().map(|(&id, _)| id);
        }
        self.next.pop().map(|Waiting { edge, g, .. }| Ok((edge, g.whole()?))).transpose()
    }
}

/// Adds a cotangent to a sum, which is taken out, so that it may be added to in place.
fn add_to(sum: &mut Cotangent, g: Cotangent) -> Result<()> {
    *sum = replace(sum, Cotangent::Tuple(Box::default())).plus(g)?;
    Ok(())
}

pub(crate) fn consumed() -> Error {
    let message = "the graph was consumed by an earlier backward pass: pass retain_graph to the earlier one";
    Error::new(ErrorKind::Graph, "backward", message)
}

/// What to do with a graph once it was walked.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum GraphUse {
    Consume,
    Retain,
    /// Retain, and record the rules' own operations.
    Create,
}

/// Tensors whose cotangents are asked for.
pub(crate) struct Wanted {
    pub ids: Vec<Id>,
    /// The transform that they are leaves of, 0 where they are others: what is older cannot lead to them.
    pub since: u64,
    /// Whether they are the variables of one transform: none of them is below another.
    pub apart: bool,
}

/// Where a walk begins, each with its cotangent.
pub(crate) type Roots = SmallVec<[(Edge, Cotangent); 1]>;

/// Walks back from the roots, each with its cotangent. With `wrt`, returns the cotangents of those tensors; without, accumulates
/// into the leaves. Where there are `many` seeds, they lie along a first dimension, as do all cotangents.
pub(crate) fn walk(
    roots: Roots,
    many: Option<usize>,
    wrt: Option<&Wanted>,
    graph: GraphUse,
) -> Result<Vec<Option<Cotangent>>> {
    let apart = wrt.is_some_and(|w| w.apart);
    let (wrt, since) = (wrt.map(|w| &w.ids[..]), wrt.map_or(0, |w| w.since));
    let detecting = mode::is_detecting();
    if trace::is_tracing() {
        // Rules look at values.
        trace::refuse();
    }
    let _mode = Mode::rules(graph == GraphUse::Create);
    let mut found: Vec<Option<Cotangent>> = wrt.map_or(Vec::new(), |ids| vec![None; ids.len()]);
    // Nothing below the shallowest tensor asked for can lead to one.
    let floor = wrt.and_then(|ids| ids.iter().min()).map_or(0, |id| id.0);
    let mut pending = Pending::default();
    for (y, seed) in roots {
        if y.latest() >= since {
            pending.add(y, seed)?;
        }
    }
    while let Some((edge, g)) = pending.pop()? {
        let g = edge.hooked(g, many)?;
        if let Some(ids) = wrt {
            let id = edge.id();
            let mut met = false;
            for (slot, _) in found.iter_mut().zip(ids).filter(|&(_, &wanted)| wanted == id) {
                (*slot, met) = (Some(g.clone()), true);
            }
            if id.0 <= floor || (met && apart) {
                continue;
            }
        } else if edge.is_leaf() {
            edge.accumulate(g)?;
            continue;
        } else if edge.retains_grad() {
            edge.accumulate(g.clone())?;
        }
        if edge.is_leaf() {
            continue;
        }
        if graph == GraphUse::Consume {
            let Opened::Node(mut node) = edge.consume() else { return Err(consumed()) };
            let mut grads: SmallVec<[(usize, Cotangent); 2]> = SmallVec::new();
            let context =
                Context { parents: &node.parents, own: None, many, only: None, since, outputs: &[] };
            answer(&node, context, g, detecting, &mut |i, g| {
                grads.push((i, g));
                Ok(())
            })?;
            for (i, g) in grads {
                if let Some(parent) = node.parents[i].take().filter(|parent| parent.latest() >= since) {
                    pending.add(parent, g)?;
                }
            }
        } else {
            let Opened::Node(node) = edge.open() else { return Err(consumed()) };
            let own = (graph == GraphUse::Create).then_some(&edge);
            // What the rule records belongs to the line of its operation.
            mode::set_site(node.site);
            let context = Context { parents: &node.parents, own, many, only: None, since, outputs: &[] };
            answer(&node, context, g, detecting, &mut |i, g| match &node.parents[i] {
                Some(parent) if parent.latest() >= since => pending.add(parent.clone(), g),
                _ => Ok(()),
            })?;
        }
    }
    Ok(found)
}

/// Runs a node's rule on its cotangent.
#[inline(always)]
fn answer(node: &Node, context: Context<'_>, g: Cotangent, detecting: bool, out: Out<'_>) -> Result<()> {
    match detecting {
        false => node.rule.vjp(&context, g, out),
        true => searched_answer(node, &context, g, out),
    }
}

/// A finite cotangent must not give one that is not.
#[cold]
fn searched_answer(node: &Node, context: &Context<'_>, g: Cotangent, out: Out<'_>) -> Result<()> {
    if !g.is_finite()? {
        return node.rule.vjp(context, g, out);
    }
    node.rule.vjp(context, g, &mut |i, g| {
        let g = g.whole()?;
        anomaly::search_cotangent(node, i, &g)?;
        out(i, g)
    })
}

/// What a pass gave, an error on the line that asked for derivatives, which says more than one within a rule; but what
/// is not finite was born on the line of its operation.
#[track_caller]
pub(crate) fn asked<V>(passed: Result<V>) -> Result<V> {
    let caller = Location::caller();
    passed.map_err(|e| if e.kind() == ErrorKind::NotFinite { e } else { e.relocated(caller) })
}

/// How [`grad_with`] differentiates.
///
/// ```
/// use tapegrad::{GradOptions, Tensor, grad_with};
/// let x = Tensor::scalar(2.0).requires_grad();
/// let options = GradOptions { create_graph: true, ..Default::default() };
/// let first = grad_with(&x.square().square(), &[&x], options)?.remove(0).unwrap();
/// first.backward()?;
/// assert_eq!((first.item()?, x.grad().unwrap().item()?), (32.0, 48.0));
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct GradOptions<T: Element = f64> {
    /// Record the backward pass, so that its results can be differentiated again. Implies
    /// `retain_graph`.
    pub create_graph: bool,
    /// Keep the graph for another backward pass.
    pub retain_graph: bool,
    /// The cotangent of y, in its shape; None stands for ones.
    pub cotangent: Option<Tensor<T>>,
    /// Whether `cotangent` is many cotangents, one after another along a first dimension that y does not
    /// have; the gradients then have that dimension too. Rules that can answer them all at once.
    pub batched: bool,
}

impl<T: Element> Default for GradOptions<T> {
    fn default() -> Self {
        GradOptions { create_graph: false, retain_graph: false, cotangent: None, batched: false }
    }
}

/// The gradient of `y` (of its sum, where it is no scalar) with respect to each tensor of `wrt`,
/// leaf or not; None for one that y does not depend on.
///
/// ```
/// use tapegrad::{Tensor, grad};
/// let x = Tensor::from([1.0, 2.0]).requires_grad();
/// let y = (&x * &x).sum();
/// let g = grad(&y, &[&x])?;
/// assert_eq!(g[0].as_ref().unwrap().to_vec(), [2.0, 4.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// A graph that was consumed before; whatever the rules return.
#[track_caller]
pub fn grad<T: Float, W: Float>(y: &Tensor<T>, wrt: impl Variables<W>) -> Result<Vec<Option<Tensor<W>>>> {
    grad_with(y, wrt, GradOptions::default())
}

/// [`grad`], with options.
///
/// ```
/// use tapegrad::{GradOptions, Tensor, grad, grad_with};
/// let x = Tensor::scalar(2.0).requires_grad();
/// let y = x.powf(3.0);
/// let create = GradOptions { create_graph: true, ..Default::default() };
/// let dy = grad_with(&y, &[&x], create)?.remove(0).unwrap();
/// let ddy = grad(&dy, &[&x])?.remove(0).unwrap();
/// assert_eq!((dy.item()?, ddy.item()?), (12.0, 12.0));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// A cotangent of another shape than y; a graph that was consumed before; whatever the rules return.
#[track_caller]
pub fn grad_with<T: Float, W: Float>(
    y: &Tensor<T>,
    wrt: impl Variables<W>,
    options: GradOptions<T>,
) -> Result<Vec<Option<Tensor<W>>>> {
    gradients_with(y, &wrt.variables(), options)
}

#[track_caller]
fn gradients_with<T: Float, W: Float>(
    y: &Tensor<T>,
    wrt: &[&Tensor<W>],
    options: GradOptions<T>,
) -> Result<Vec<Option<Tensor<W>>>> {
    let Some(edge) = y.edge() else { return Ok(vec![None; wrt.len()]) };
    let graph = match (options.create_graph, options.retain_graph) {
        (true, _) => GraphUse::Create,
        (false, true) => GraphUse::Retain,
        (false, false) => GraphUse::Consume,
    };
    let cotangent = options.cotangent.map(|g| if options.create_graph { g } else { g.detach() });
    let (seed, many) = match options.batched {
        false => (seed("grad", y, cotangent).at_caller()?, None),
        true => many_seeds(y, cotangent).at_caller()?,
    };
    asked(gradients(smallvec![(edge.clone(), seed)], many, wrt, graph, false))
}

compiled_once! {
    /// The gradients with respect to each of `wrt`.
    fn gradients<W: Float>(
        roots: Roots,
        many: Option<usize>,
        wrt: &[&Tensor<W>],
        graph: GraphUse,
        apart: bool,
    ) -> Result<Vec<Option<Tensor<W>>>> {
        let tracked: Vec<usize> = (0..wrt.len()).filter(|&i| wrt[i].edge().is_some()).collect();
        let edges = || tracked.iter().filter_map(|&i| wrt[i].edge());
        let mut grads = vec![None; wrt.len()];
        // The variables of a transform are its own; what else is asked for may be below anything.
        let begun = |edge: &Edge| match edge.is_leaf() {
            true => edge.since(),
            false if apart => edge.latest(),
            false => 0,
        };
        let Some(since) = edges().map(begun).min() else {
            return Ok(grads);
        };
        let wanted = Wanted { ids: edges().map(Edge::id).collect(), since, apart };
        for (i, g) in tracked.iter().copied().zip(walk(roots, many, Some(&wanted), graph)?) {
            grads[i] = g.map(Cotangent::tensor);
        }
        Ok(grads)
    }
}

compiled_once! {
    /// The gradients of several tensors at once with respect to variables of one transform, each with a cotangent in its
    /// shape or None for ones.
    pub(crate) fn grads_of<T: Float>(
        ys: &[Tensor<T>],
        cotangents: Vec<Option<Tensor<T>>>,
        wrt: &[Tensor<T>],
        graph: GraphUse,
    ) -> Result<Vec<Option<Tensor<T>>>> {
        let mut roots = Roots::new();
        for (y, cotangent) in ys.iter().zip(cotangents) {
            if let Some(edge) = y.edge() {
                let cotangent = cotangent.map(|g| if graph == GraphUse::Create { g } else { g.detach() });
                roots.push((edge.clone(), seed("grad", y, cotangent)?));
            }
        }
        gradients(roots, None, &wrt.iter().collect::<Vec<_>>(), graph, true)
    }
}

compiled_once! {
    /// [`grads_of`] for `many` cotangents of each tensor, along a first dimension; None for a tensor without one.
    pub(crate) fn grads_of_many<T: Float>(
        ys: &[Tensor<T>],
        cotangents: Vec<Option<Tensor<T>>>,
        many: usize,
        wrt: &[Tensor<T>],
        graph: GraphUse,
    ) -> Result<Vec<Option<Tensor<T>>>> {
        let mut roots = Roots::new();
        for (y, cotangent) in ys.iter().zip(cotangents) {
            if let (Some(edge), Some(g)) = (y.edge(), cotangent) {
                let g = if graph == GraphUse::Create { g } else { g.detach() };
                roots.push((edge.clone(), many_seeds(y, Some(g))?.0));
            }
        }
        gradients(roots, Some(many), &wrt.iter().collect::<Vec<_>>(), graph, true)
    }
}

compiled_once! {
    /// The cotangent a walk starts from.
    fn seed<T: Float>(op: &'static str, y: &Tensor<T>, cotangent: Option<Tensor<T>>) -> Result<Cotangent> {
        match cotangent {
            None => Ok(Cotangent::new(Tensor::constant(Array::repeat_on(y.device(), y.shape(), T::ONE)?))),
            Some(g) if g.shape() == y.shape() => Ok(Cotangent::new(g)),
            Some(g) => {
                let message =
                    format!("a cotangent of shape {:?} does not fit y of shape {:?}", g.shape(), y.shape());
                Err(Error::shape(op, message))
            }
        }
    }
}

compiled_once! {
    /// The cotangents a walk with many of them starts from, and their number.
    fn many_seeds<T: Float>(y: &Tensor<T>, cotangent: Option<Tensor<T>>) -> Result<(Cotangent, Option<usize>)> {
        if let Some(g) = cotangent {
            if let Some((&many, rest)) = g.shape().split_first()
                && *rest == *y.shape()
            {
                return Ok((Cotangent::new(g), Some(many)));
            }
            let message =
                format!("cotangents of shape {:?} are not many of y's shape {:?}", g.shape(), y.shape());
            return Err(Error::shape("grad", message));
        }
        Err(Error::argument("grad", "batched without a cotangent: give the cotangents, along a first dimension"))
    }
}

/// # Gradients: backward passes
impl<T: Float> Tensor<T> {
    /// Differentiates this tensor (its sum, where it is no scalar) and adds the gradient of each
    /// leaf it depends on to the leaf's [`Tensor::grad`]. The graph is consumed.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// let y = x.square().sum();
    /// y.backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [2.0, 4.0]);
    /// assert!(y.backward().is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A tensor that is not tracked; a graph that was consumed before; whatever the rules return.
    #[track_caller]
    pub fn backward(&self) -> Result<()> {
        self.backward_with(None, false)
    }

    /// [`Tensor::backward`] that keeps the graph for another pass where `retain_graph`, and starts
    /// from `cotangent`, in this tensor's shape, where it is given.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// let y = x.square();
    /// y.backward_with(Some(Tensor::from([1.0, 0.0])), true)?;
    /// y.backward_with(Some(Tensor::from([0.0, 10.0])), false)?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [2.0, 40.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::backward`]; a cotangent of another shape.
    #[track_caller]
    pub fn backward_with(&self, cotangent: Option<Tensor<T>>, retain_graph: bool) -> Result<()> {
        let Some(edge) = self.edge() else {
            let message = "the tensor depends on nothing that requires a gradient: \
                           call requires_grad() on a tensor it is computed from";
            return Err(Error::new(ErrorKind::Graph, "backward", message).at_caller());
        };
        let graph = if retain_graph { GraphUse::Retain } else { GraphUse::Consume };
        // A gradient in a leaf's slot is a plain value: a graph there would hold itself alive.
        let cotangent = cotangent.map(|g| g.detach());
        let seed = seed("backward", self, cotangent).at_caller()?;
        asked(walk(smallvec![(edge.clone(), seed)], None, None, graph))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than the list holds, of which each receives what others that left gave it.
    #[test]
    fn nodes_leave_deepest_first_with_all_that_they_received() -> Result<()> {
        for n in [1, 2, 16, 17, 40, 300] {
            let mut chain = vec![Tensor::scalar(0.5).requires_grad()];
            for k in 1..n {
                chain.push(chain[k - 1].sin());
            }
            let (mut pending, mut expected) = (Pending::default(), BTreeMap::new());
            let mut add = |pending: &mut Pending, k: usize, g: f64| {
                *expected.entry(k).or_insert(0.0) += g;
                let edge = chain[k].edge().expect("a tracked tensor").clone();
                pending.add(edge, Cotangent::new(Tensor::scalar(g)))?;
                Ok::<_, Error>(expected.clone())
            };
            // All places in a scattered order, as 7919 is a prime.
            let mut left = BTreeMap::new();
            for k in 0..n / 2 + 1 {
                left = add(&mut pending, k * 7919 % n, k as f64)?;
            }
            let mut received = Vec::new();
            while let Some((edge, g)) = pending.pop()? {
                let (deepest, sum) = left.pop_last().expect("a node that waits");
                assert_eq!(edge.id(), chain[deepest].edge().map(Edge::id).expect("a tracked tensor"));
                received.push((deepest, g.tensor::<f64>().item()?));
                assert_eq!(received.last(), Some(&(deepest, sum)), "{n}");
                for below in [deepest / 2, deepest * 2 / 3, deepest.saturating_sub(1)] {
                    if below < deepest {
                        let of = add(&mut pending, below, deepest as f64)?[&below];
                        left.insert(below, of);
                    }
                }
            }
            assert!(left.is_empty());
        }
        Ok(())
    }
}
