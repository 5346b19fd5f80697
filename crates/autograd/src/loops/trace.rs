//! A step that runs once to be written down: what it computes from its state, and whether that is all it does with it.
//!
//! Operations on traced tensors are on the tape, as they are for gradients, and are written down from there. Whatever else
//! looks at the value of a traced tensor (a comparison, a number that is read, a pivot) could decide by it, or carry it on
//! unseen: such a step is not written down. So no path leads from a traced value to a result but by operations on the tape.

use super::express::Expressions;
use crate::function::Expr;
use crate::fused::program::{Action, write, written_so_far};
use crate::node::{Edge, Identity, Opened};
use crate::tensor::Tensor;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use tensor_core::{Element, Float, Result};

/// The inputs of an operation that are not traced, `None` for those that are: as `Vec<Option<Tensor<T>>>`.
type Others = Box<dyn Any>;

struct Trace {
    /// The transform whose variables are traced.
    number: u64,
    others: HashMap<Identity, Others>,
    /// Whether something looked at a traced value.
    seen: bool,
}

thread_local! {
    /// The number of the innermost trace under way; 0 where there is none.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// The innermost last.
    static TRACES: RefCell<Vec<Trace>> = const { RefCell::new(Vec::new()) };
}

/// Whether a step is being traced.
#[inline]
pub(crate) fn is_tracing() -> bool {
    NUMBER.get() != 0
}

/// Whether an edge leads to variables of the innermost trace.
#[inline]
fn is_traced(edge: &Edge) -> bool {
    edge.latest() >= NUMBER.get()
}

/// Notes that something other than an operation on the tape looks at a tensor's value.
#[inline]
pub(crate) fn look(edge: Option<&Edge>) {
    if let Some(edge) = edge
        && is_tracing()
        && is_traced(edge)
    {
        refuse();
    }
}

/// Notes that the step does what cannot be written down.
#[cold]
pub(crate) fn refuse() {
    TRACES.with_borrow_mut(|traces| traces.iter_mut().for_each(|trace| trace.seen = true));
}

/// Notes the inputs of an operation with this result.
#[cold]
pub(crate) fn applied<T: Element, U: Element>(result: &Tensor<U>, inputs: &[&Tensor<T>]) {
    let traced = |x: &&Tensor<T>| x.edge().is_some_and(is_traced);
    if !inputs.iter().any(traced) {
        return;
    }
    // Untracked, what it gives would carry a traced value on unseen.
    let Some(edge) = result.edge() else { return refuse() };
    let others: Vec<Option<Tensor<T>>> = inputs.iter().map(|&x| (!traced(&x)).then(|| x.clone())).collect();
    TRACES.with_borrow_mut(|traces| {
        if let Some(trace) = traces.last_mut() {
            trace.others.insert(edge.identity(), Box::new(others));
        }
    });
}

/// Takes the trace away when the step has run, a panic included.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        NUMBER.set(self.0);
        TRACES.with_borrow_mut(|traces| traces.truncate(traces.len().saturating_sub(1)));
    }
}

/// What a traced step left.
pub(super) struct Traced {
    number: u64,
    others: HashMap<Identity, Others>,
}

/// Runs a step on the variables of a transform of this number; None where it does what cannot be written down.
pub(super) fn trace<R>(number: u64, step: impl FnOnce() -> Result<R>) -> Option<(R, Traced)> {
    // A loop within a step is not written down with it.
    if is_tracing() {
        refuse();
    }
    TRACES.with_borrow_mut(|traces| traces.push(Trace { number, others: HashMap::new(), seen: false }));
    let _running = Running(NUMBER.replace(number));
    let result = step();
    let trace = TRACES.with_borrow_mut(|traces| {
        let trace = traces.last_mut()?;
        Some(Trace { number: trace.number, others: std::mem::take(&mut trace.others), seen: trace.seen })
    })?;
    if trace.seen {
        return None;
    }
    Some((result.ok()?, Traced { number: trace.number, others: trace.others }))
}

/// Elements of a constant that are written down as numbers; those of larger ones are inputs.
const FEW: usize = 64;

/// Statements for each operation of a step, beyond which its kernels would be faster than a program.
const WORTH: usize = 256;

/// Statements of a step at most.
const MOST: usize = 1 << 15;

/// The elements of the results of a traced step as expressions of the variables, each given with those of its own, and the
/// tensors that the step captured, whose elements follow from input `next` on; None where an operation has no expression,
/// or where this is not worth it.
pub(super) fn express<T: Float>(
    traced: &Traced,
    variables: &[(&Tensor<T>, Expressions)],
    results: &[Tensor<T>],
    mut next: usize,
) -> Option<(Vec<Expr>, Vec<Tensor<T>>)> {
    let is_traced = |edge: &&Edge| edge.latest() >= traced.number;
    let mut found: HashMap<Identity, Expressions> = HashMap::new();
    for (variable, expressions) in variables {
        found.insert(variable.edge()?.identity(), expressions.clone());
    }
    let mut nodes = Vec::new();
    let mut met: HashSet<Identity> = HashSet::new();
    let mut rest: Vec<Edge> = results.iter().filter_map(Tensor::edge).filter(is_traced).cloned().collect();
    while let Some(edge) = rest.pop() {
        if found.contains_key(&edge.identity()) || !met.insert(edge.identity()) {
            continue;
        }
        let Opened::Node(node) = edge.open() else { return None };
        if edge.has_extra() {
            // A hook, or a gradient that is to be kept.
            return None;
        }
        rest.extend(node.parents.iter().flatten().filter(is_traced).cloned());
        nodes.push((edge, node));
    }
    nodes.sort_by_key(|(edge, _)| edge.id());
    let mut captured: Vec<Tensor<T>> = Vec::new();
    let mut inputs_of: HashMap<Identity, Expressions> = HashMap::new();
    let mut constant = |x: &Tensor<T>| {
        if let Some(known) = x.edge().and_then(|edge| inputs_of.get(&edge.identity())) {
            return known.clone();
        }
        if x.edge().is_none() && x.numel() <= FEW {
            return Expressions::new(x.shape(), x.to_vec().iter().map(|c| Expr::from(c.to_f64())).collect());
        }
        let elements = (next..next + x.numel()).map(|k| write(Action::Input(k), &[])).collect();
        next += x.numel();
        captured.push(x.clone());
        let inputs = Expressions::new(x.shape(), elements);
        if let Some(edge) = x.edge() {
            inputs_of.insert(edge.identity(), inputs.clone());
        }
        inputs
    };
    let most = MOST.min(WORTH * (nodes.len() + 1));
    for (edge, node) in &nodes {
        let others = traced.others.get(&edge.identity())?.downcast_ref::<Vec<Option<Tensor<T>>>>()?;
        let mut inputs = Vec::with_capacity(others.len());
        for (other, parent) in others.iter().zip(&node.parents) {
            inputs.push(match other {
                Some(x) => constant(x),
                None => found.get(&parent.as_ref()?.identity())?.clone(),
            });
        }
        let result = node.rule.express(&inputs.iter().collect::<Vec<_>>())?;
        if result.shape() != edge.shape() || written_so_far() > most {
            return None;
        }
        found.insert(edge.identity(), result);
    }
    let mut elements = Vec::new();
    for y in results {
        let y = match y.edge().filter(is_traced) {
            Some(edge) => found.get(&edge.identity())?.clone(),
            None => constant(y),
        };
        elements.extend_from_slice(y.elements());
    }
    Some((elements, captured))
}
