//! The walk forward: tangents of variables, pushed through a graph that was recorded.
//!
//! A function's graph is its linearisation: each node's rule says what the tangent of its output is, given those of its
//! inputs. Most rules are read off the backward rule: an element's slope serves both ways, and a linear operation is
//! applied to the tangents as it is. Any other is the transpose of the backward rule, which is linear in its cotangent,
//! found by differentiating it (Townsend, "A new trick for calculating Jacobian vector products", 2017).

use crate::anomaly;
use crate::backward::{GraphUse, Roots, Wanted, consumed, walk};
use crate::directions::{self, Directions};
use crate::functional::Transform;
use crate::loops::trace;
use crate::mode::{self, Mode};
use crate::node::{ByAddress, Context, Cotangent, Edge, Node, Opened};
use crate::op::Kept;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use tensor_core::shape::Dims;
use tensor_core::{Array, Device, Element, Result};

/// The tangents of a node's inputs, None where they are zero.
pub(crate) type Tangents = SmallVec<[Option<Cotangent>; 2]>;

/// What the tangent of one input, in place of a cotangent, adds to that of the output.
type Part<'a, T, U> = dyn Fn(&Kept<'_, T, U>, Tensor<U>, usize) -> Result<Option<Tensor<T>>> + 'a;

/// A node that depends on a variable, or the variable itself.
pub(crate) struct Step {
    /// The output; of a node of several, the node.
    pub edge: Option<Edge>,
    /// The number of the variable, where it is one.
    pub node: std::result::Result<Node, usize>,
    /// The steps of the inputs that depend on a variable.
    pub inputs: SmallVec<[Option<usize>; 2]>,
    /// Of a node of several outputs, those that take part.
    outputs: Vec<Option<Edge>>,
    /// How often its tangent is asked for.
    uses: usize,
}

/// What leads from variables to results, in an order in which inputs come first.
pub(crate) struct Forward {
    pub steps: Vec<Step>,
    /// The step of each result, None where it depends on no variable.
    pub results: Vec<Option<usize>>,
}

/// A node under way, whose inputs are looked at one after another.
struct Visit {
    edge: Edge,
    node: Node,
    inputs: SmallVec<[Option<usize>; 2]>,
}

/// Nodes that there is room for at first.
const NODES: usize = 28;

/// What is known of an edge that a walk meets.
enum Met {
    Known(Option<usize>),
    New(Visit),
}

/// A graph that is being put in order.
struct Order {
    steps: Vec<Step>,
    places: HashMap<usize, Option<usize>, BuildHasherDefault<ByAddress>>,
    /// What is not above the lowest variable, or older than all of them, does not depend on one.
    floor: u64,
    since: u64,
    consume: bool,
}

impl Order {
    fn meet(&mut self, edge: &Edge) -> Result<Met> {
        if let Some(&place) = self.places.get(&edge.address()) {
            return Ok(Met::Known(place));
        }
        if edge.id().0 <= self.floor || edge.latest() < self.since {
            return Ok(Met::Known(None));
        }
        match if self.consume { edge.clone().consume() } else { edge.open() } {
            Opened::Leaf => Ok(Met::Known(None)),
            Opened::Consumed => Err(consumed()),
            Opened::Node(node) => Ok(Met::New(Visit { edge: edge.clone(), node, inputs: SmallVec::new() })),
        }
    }

    /// Puts a node behind its inputs, where it depends on a variable: its place.
    fn leave(&mut self, Visit { edge, node, inputs }: Visit) -> Option<usize> {
        let place = inputs.iter().any(Option::is_some).then_some(self.steps.len());
        self.places.insert(edge.address(), place);
        place?;
        for &input in inputs.iter().flatten() {
            self.steps[input].uses += 1;
        }
        if let (Some((index, count)), Some(Some(of))) = (node.rule.selects(), inputs.first()) {
            let outputs = &mut self.steps[*of].outputs;
            outputs.resize(count, None);
            outputs[index] = Some(edge.clone());
        }
        self.steps.push(Step { edge: Some(edge), node: Ok(node), inputs, outputs: Vec::new(), uses: 0 });
        place
    }

    /// The place of what leads to `top`, if anything does.
    fn reach(&mut self, top: &Edge) -> Result<Option<usize>> {
        let mut visits = match self.meet(top)? {
            Met::Known(place) => return Ok(place),
            Met::New(visit) => vec![visit],
        };
        let mut last = None;
        while let Some(visit) = visits.last_mut() {
            let met = match visit.node.parents.get(visit.inputs.len()) {
                Some(None) => Met::Known(None),
                Some(Some(edge)) => self.meet(edge)?,
                None => {
                    let Some(visit) = visits.pop() else { break };
                    last = self.leave(visit);
                    continue;
                }
            };
            match met {
                Met::Known(place) => visit.inputs.push(place),
                Met::New(visit) => visits.push(visit),
            }
        }
        Ok(last)
    }
}

impl Forward {
    /// The graph between `variables` and `results`: taken off the tape where `consume`.
    pub(crate) fn new(results: &[Option<&Edge>], variables: &[&Edge], consume: bool) -> Result<Self> {
        let mut order = Order {
            steps: Vec::new(),
            places: HashMap::with_capacity_and_hasher(NODES, Default::default()),
            floor: variables.iter().map(|v| v.id().0).min().unwrap_or(0),
            since: variables.iter().map(|v| v.latest()).min().unwrap_or(0),
            consume,
        };
        for (k, &edge) in variables.iter().enumerate() {
            order.places.insert(edge.address(), Some(k));
            let step =
                Step { edge: None, node: Err(k), inputs: SmallVec::new(), outputs: Vec::new(), uses: 0 };
            order.steps.push(step);
        }
        let reached = results.iter().map(|edge| edge.map_or(Ok(None), |edge| order.reach(edge)));
        let results = reached.collect::<Result<Vec<_>>>()?;
        for &place in results.iter().flatten() {
            order.steps[place].uses += 1;
        }
        Ok(Forward { steps: order.steps, results })
    }

    /// The elements of the largest tensor on the way.
    pub(crate) fn widest(&self) -> usize {
        let edges = self.steps.iter().filter_map(|step| step.edge.as_ref());
        edges.map(|edge| edge.shape().iter().product()).max().unwrap_or(0)
    }

    /// The tangents of the results for those of the variables, None where they are zero: `many` at once along a first
    /// dimension, recorded where `create_graph`.
    pub(crate) fn push(
        &self,
        tangents: Vec<Directions>,
        many: Option<usize>,
        create_graph: bool,
    ) -> Result<Vec<Option<Cotangent>>> {
        let detecting = mode::is_detecting();
        if trace::is_tracing() {
            // Rules look at values.
            trace::refuse();
        }
        let _mode = Mode::rules(create_graph);
        let mut pending: Vec<(Directions, usize)> = Vec::with_capacity(self.steps.len());
        // The last to ask for a tangent may write into it.
        let take = |pending: &mut Vec<(Directions, usize)>, place: usize| {
            let (tangent, uses) = &mut pending[place];
            *uses -= 1;
            if *uses == 0 { std::mem::take(tangent) } else { tangent.clone() }
        };
        for step in &self.steps {
            let node = match &step.node {
                Ok(node) => node,
                Err(variable) => {
                    pending.push((tangents[*variable].clone(), step.uses));
                    continue;
                }
            };
            let own = step.edge.as_ref().filter(|_| create_graph);
            let outputs =
                if step.outputs.is_empty() { std::slice::from_ref(&step.edge) } else { &step.outputs };
            if create_graph {
                // What the rule records belongs to the line of its operation.
                mode::set_site(node.site);
            }
            let rule = |inputs: Tangents, many: Option<usize>| -> Result<Option<Cotangent>> {
                let context = Context { parents: &node.parents, own, many, only: None, since: 0, outputs };
                let finite = !detecting || anomaly::all_finite(&inputs)?;
                let tangent = node.rule.jvp(&context, inputs)?;
                if detecting
                    && finite
                    && let Some(tangent) = &tangent
                {
                    anomaly::search_tangent(node, tangent)?;
                }
                Ok(tangent)
            };
            let in_pieces = |&place: &usize| matches!(pending[place].0, Directions::Pieces(_));
            let tangent = if let (Some(many), true) = (many, step.inputs.iter().flatten().any(in_pieces)) {
                let input =
                    |place: &Option<usize>| place.map_or(Directions::Zero, |place| take(&mut pending, place));
                let inputs = step.inputs.iter().map(input).collect();
                let one_output = step.outputs.is_empty();
                directions::pushed(node, inputs, many, one_output, &|t, many| rule(t, Some(many)))?
            } else {
                let input = |place: &Option<usize>| match take(&mut pending, (*place)?) {
                    Directions::All(tangent) => Some(tangent),
                    _ => None,
                };
                let inputs: Tangents = step.inputs.iter().map(input).collect();
                let zero = inputs.iter().all(Option::is_none);
                Directions::of(if zero { None } else { rule(inputs, many)? })
            };
            pending.push((tangent, step.uses));
        }
        let result = |place: &Option<usize>| match place {
            Some(place) => take(&mut pending, *place).whole(many.unwrap_or(1)),
            None => Ok(None),
        };
        self.results.iter().map(result).collect()
    }
}

/// The cotangents of inputs for those of outputs, whatever the operation.
pub(crate) type Pullback<'a, T, U> =
    &'a dyn Fn(&Kept<'_, T, U>, Vec<Option<Tensor<U>>>) -> Result<Vec<Option<Tensor<T>>>>;

impl<T: Element, U: Element> Kept<'_, T, U> {
    /// The tangents of the outputs for those of the inputs, by transposing the rule: it gives cotangents that are linear in
    /// those of the outputs, and the derivatives of their product with the tangents by the latter are what is asked for.
    pub(crate) fn transposed(
        &self,
        t: Vec<Option<Tensor<T>>>,
        rule: Pullback<'_, T, U>,
    ) -> Result<Vec<Option<Tensor<U>>>> {
        let context = self.context;
        let create_graph = context.own.is_some();
        let device = t.iter().flatten().next().map_or(Device::Cpu, |t| t.device());
        let number = Transform::begin().number();
        let zero = |edge: &Option<Edge>| -> Result<Option<Tensor<U>>> {
            let Some(edge) = edge else { return Ok(None) };
            let value = Array::repeat_on(device, edge.shape(), U::default())?;
            Ok(Some(Tensor::from_parts(value, Some(Edge::leaf(edge.shape(), number)))))
        };
        let seeds: Vec<Option<Tensor<U>>> = context.outputs.iter().map(zero).collect::<Result<_>>()?;
        // What was kept stands for itself where nobody asks how it came about.
        let stranger = |edge: &Edge| Edge::leaf(edge.shape(), 0);
        let (parents, own): (Vec<Option<Edge>>, _) = match context.own {
            Some(own) => (context.parents.to_vec(), own.clone()),
            None => {
                let needed = t.iter().zip(context.parents);
                let parents = needed.map(|(t, edge)| edge.as_ref().filter(|_| t.is_some()).map(stranger));
                let shape = context.outputs.first().and_then(Option::as_ref).map_or(&[][..], Edge::shape);
                (parents.collect(), Edge::leaf(shape, 0))
            }
        };
        let single =
            Context { parents: &parents, own: Some(&own), many: None, only: None, since: 0, outputs: &[] };
        let kept = Kept { context: &single, inputs: self.inputs, outputs: self.outputs };
        let cotangents = {
            let _mode = Mode::rules(true);
            rule(&kept, seeds.clone())?
        };
        let mut roots = Roots::new();
        for (cotangent, tangent) in cotangents.into_iter().zip(t) {
            let (Some(cotangent), Some(tangent)) = (cotangent, tangent) else { continue };
            // An operation that broadcasts gives cotangents that are still to be summed.
            let shape = &tangent.shape()[usize::from(context.many.is_some())..];
            let cotangent = match cotangent.shape() == shape {
                true => cotangent,
                false => {
                    let _mode = Mode::rules(true);
                    Cotangent::new(cotangent).sum_to(0, shape)?.tensor::<T>()
                }
            };
            if let Some(edge) = cotangent.edge().filter(|edge| edge.latest() >= number) {
                roots.push((edge.clone(), Cotangent::new(tangent)));
            }
        }
        let ids = seeds.iter().flatten().filter_map(Tensor::edge).map(Edge::id).collect();
        let graph = if create_graph { GraphUse::Create } else { GraphUse::Consume };
        let mut found =
            walk(roots, context.many, Some(&Wanted { ids, since: number, apart: true }), graph)?.into_iter();
        let tangent = |seed: &Option<Tensor<U>>| {
            seed.as_ref().and_then(|_| found.next().flatten()).map(Cotangent::tensor)
        };
        Ok(seeds.iter().map(tangent).collect())
    }

    /// The shape of the tangent of the output: its own, after the number of tangents where there are many; see
    /// [`Op::jvp`](crate::Op::jvp).
    pub fn tangent_shape(&self) -> Dims {
        let shape = self.context.outputs.first().and_then(Option::as_ref).map_or(&[][..], Edge::shape);
        self.context.many.iter().chain(shape).copied().collect()
    }

    /// A tangent of an input that is broadcast, in as many dimensions as the output has: of many, which the first dimension
    /// counts, it gets dimensions of size 1 behind that.
    ///
    /// # Errors
    /// Out of memory.
    pub fn aligned<V: Element>(&self, t: Tensor<V>) -> Result<Tensor<V>> {
        let missing = self.tangent_shape().len().saturating_sub(t.ndim());
        match self.context.many {
            Some(many) if missing > 0 => {
                let ones = std::iter::repeat_n(1, missing);
                t.reshaped([many].into_iter().chain(ones).chain(t.shape()[1..].iter().copied()).collect())
            }
            _ => Ok(t),
        }
    }
}

impl<T: Element, U: Element> Kept<'_, T, U> {
    /// The tangent of an output each of whose elements depends on those of the inputs at its own place alone, by what the rule
    /// gives for the tangent of each input in place of a cotangent.
    pub(crate) fn each_slope(&self, t: Tangents, part: &Part<'_, T, U>) -> Result<Option<Tensor<U>>> {
        let mut sum: Option<Cotangent> = None;
        for (i, t) in t.into_iter().enumerate() {
            let Some(t) = t else { continue };
            let context = Context { only: Some(i), ..*self.context };
            let kept = Kept { context: &context, inputs: self.inputs, outputs: self.outputs };
            let Some(part) = part(&kept, self.aligned(t.tensor())?, i)?.map(Cotangent::new) else { continue };
            sum = Some(match sum {
                None => part,
                Some(sum) => sum.plus(part)?,
            });
        }
        Ok(sum.map(Cotangent::tensor))
    }
}
