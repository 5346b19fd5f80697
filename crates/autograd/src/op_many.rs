//! How an operation of any number of inputs and outputs is defined; see `op.rs` for those of a fixed number.

use crate::anomaly;
use crate::by_row::{OutByRow, parted};
use crate::forward::Tangents;
use crate::loops::{Expressions, trace};
use crate::mode::{is_detecting, is_grad_enabled};
use crate::node::{Context, Cotangent, Edge, Out, Rule, record};
use crate::op::{Kept, Recorded, deliver, fitting, joined, one_by_one, show};
use crate::tensor::Tensor;
use std::panic::Location;
use std::sync::Arc;
use tensor_core::shape::Dims;
use tensor_core::{Array, Element, Error, Result};

/// What an operation of any number of inputs and outputs keeps for its rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepMany {
    /// Which inputs; inputs beyond its length are not kept.
    pub inputs: Vec<bool>,
    /// Which outputs; outputs beyond its length are not kept.
    pub outputs: Vec<bool>,
}

/// A differentiable operation of any number of inputs and outputs of one type.
pub trait OpMany<T: Element>: Send + Sync + 'static {
    /// The name in errors and graphs.
    fn name(&self) -> &'static str;

    /// The values.
    ///
    /// # Errors
    /// Whatever the operation refuses, named in full.
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>>;

    /// What the rule reads, given which inputs need a gradient.
    fn keep(&self, _needs: &[bool]) -> KeepMany {
        KeepMany::default()
    }

    /// Whether inputs are broadcast to the output's shape; see [`Op::broadcasts`](crate::Op::broadcasts).
    fn broadcasts(&self) -> bool {
        false
    }

    /// Bytes that the operation itself holds for its rule; see [`Op::holds`](crate::Op::holds).
    fn holds(&self) -> usize {
        0
    }

    /// Whether the rule also answers many cotangents at once; see [`Op::batches`](crate::Op::batches).
    fn batches(&self) -> bool {
        self.elementwise()
    }

    /// Whether each element of the only output depends on those of the inputs at its own place alone; see
    /// [`Op::elementwise`](crate::Op::elementwise).
    fn elementwise(&self) -> bool {
        false
    }

    /// The elements of the only result as expressions of those of the inputs, for loops that are written down.
    #[doc(hidden)]
    fn express(&self, _x: &[&Expressions]) -> Option<Expressions> {
        None
    }

    /// The cotangents of the inputs for those of the outputs, None where an output took no part.
    ///
    /// # Errors
    /// Whatever the operations in it return.
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>>;

    /// The tangents of the outputs for those of the inputs; see [`Op::jvp`](crate::Op::jvp).
    ///
    /// # Errors
    /// Whatever the operations in it return.
    fn jvp(&self, kept: &Kept<'_, T>, t: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        kept.transposed(t, &|kept: &Kept<'_, T>, g| self.vjp(kept, g))
    }
}

/// Output `index` of a node that has `count` of them.
struct Select {
    index: usize,
    count: usize,
}

impl Rule for Select {
    fn name(&self) -> &'static str {
        "output"
    }

    fn vjp(&self, _: &Context<'_>, g: Cotangent, out: Out<'_>) -> Result<()> {
        let mut tuple: Vec<Option<Cotangent>> = (0..self.count).map(|_| None).collect();
        tuple[self.index] = Some(g);
        out(0, Cotangent::Tuple(tuple.into()))
    }

    fn jvp(&self, _: &Context<'_>, mut t: Tangents) -> Result<Option<Cotangent>> {
        Ok(t[0].take().and_then(|t| t.into_tuple().into_vec().swap_remove(self.index)))
    }

    fn selects(&self) -> Option<(usize, usize)> {
        Some((self.index, self.count))
    }
}

/// Output `index` as a tensor: the node itself where it is the only one.
#[track_caller]
pub(crate) fn select<T: Element>(
    value: Array<T>,
    index: usize,
    count: usize,
    own: &Edge,
) -> Result<Tensor<T>> {
    let here = Location::caller();
    let edge = match count {
        1 => own.clone(),
        _ => record(Arc::new(Select { index, count }), &[Some(own)], value.shape(), here)?,
    };
    Ok(Tensor::from_parts(value, Some(edge)))
}

impl<O: OpMany<T>, T: Element> Rule for Recorded<O, Vec<Option<Array<T>>>, Vec<Option<Array<T>>>> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn kept(&self, buffer: &mut dyn FnMut(usize, usize)) -> usize {
        show(&self.inputs, buffer);
        show(&self.outputs, buffer);
        self.op.holds()
    }

    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        self.op.express(x)
    }

    fn vjp(&self, context: &Context<'_>, g: Cotangent, out: Out<'_>) -> Result<()> {
        if let Some(many) = context.many.filter(|_| !self.op.batches()) {
            return one_by_one(self, many, context, g, out);
        }
        let g = g.into_tuple().into_iter().map(|g| g.map(Cotangent::tensor)).collect();
        let kept = Kept { context, inputs: &self.inputs, outputs: &self.outputs };
        let grads = self.op.vjp(&kept, g)?;
        if grads.len() != context.parents.len() {
            let message = format!(
                "the rule gave {} cotangents for {} inputs: give one, or None, for each",
                grads.len(),
                context.parents.len()
            );
            return Err(Error::shape(self.op.name(), message));
        }
        deliver(self.op.name(), self.op.broadcasts(), context, grads, out)
    }

    fn jvp(&self, context: &Context<'_>, t: Tangents) -> Result<Option<Cotangent>> {
        let kept = Kept { context, inputs: &self.inputs, outputs: &self.outputs };
        if self.op.elementwise() {
            let tangent =
                kept.each_slope(t, &|kept, g, i| Ok(self.op.vjp(kept, vec![Some(g)])?.swap_remove(i)))?;
            return fitting(self.op.name(), self.op.broadcasts(), &kept, tangent);
        }
        let t = t.into_iter().map(|t| t.map(Cotangent::tensor)).collect();
        let mut tangents = self.op.jvp(&kept, t)?;
        if context.outputs.len() == 1 {
            return fitting(self.op.name(), self.op.broadcasts(), &kept, tangents.swap_remove(0));
        }
        Ok(Some(Cotangent::Tuple(tangents.into_iter().map(|t| t.map(Cotangent::new)).collect())))
    }

    fn by_row(&self, context: &Context<'_>, g: Cotangent, lead: usize, out: OutByRow<'_>) -> Result<bool> {
        if !self.op.elementwise() {
            return Ok(false);
        }
        let kept = Kept { context, inputs: &self.inputs, outputs: &self.outputs };
        let shape = Dims::from_slice(g.shape());
        parted(context, &shape, lead, self.op.vjp(&kept, vec![Some(g.tensor())])?, out)
    }
}

/// Applies an operation of any number of inputs and outputs, and records it where an input is
/// tracked.
///
/// # Errors
/// What [`OpMany::forward`] returns, with the caller's line.
#[track_caller]
pub fn apply_many<T: Element>(op: impl OpMany<T>, x: &[&Tensor<T>]) -> Result<Vec<Tensor<T>>> {
    apply_many_at(Location::caller(), op, x)
}

/// [`apply_many`] for the line that the caller knows.
///
/// # Errors
/// As [`apply_many`].
pub fn apply_many_at<T: Element>(
    here: &'static Location<'static>,
    op: impl OpMany<T>,
    x: &[&Tensor<T>],
) -> Result<Vec<Tensor<T>>> {
    // Operations that do not broadcast may mean to have operands on different devices.
    if op.broadcasts()
        && let Some(joined) = joined(x).map_err(|e| e.at(here))?
    {
        return apply_many_at(here, op, &joined.iter().collect::<Vec<_>>());
    }
    let arrays: Vec<&Array<T>> = x.iter().map(|t| t.operand()).collect();
    let values = op.forward(&arrays).map_err(|e| e.at(here))?;
    if is_detecting() {
        values.iter().try_for_each(|y| anomaly::search(op.name(), &arrays, y)).map_err(|e| e.at(here))?;
    }
    if x.iter().all(|t| t.edge().is_none()) || !is_grad_enabled() {
        let tensors: Vec<Tensor<T>> = values.into_iter().map(Tensor::constant).collect();
        if trace::is_tracing() {
            tensors.iter().for_each(|y| trace::applied(y, x));
        }
        return Ok(tensors);
    }
    let needs: Vec<bool> = x.iter().map(|t| t.edge().is_some()).collect();
    let keep = op.keep(&needs);
    let kept = |flags: &[bool], i: usize, a: &Array<T>| flags.get(i).is_some_and(|&f| f).then(|| a.clone());
    let inputs: Vec<_> = arrays.iter().enumerate().map(|(i, a)| kept(&keep.inputs, i, a)).collect();
    let outputs: Vec<_> = values.iter().enumerate().map(|(i, a)| kept(&keep.outputs, i, a)).collect();
    let count = values.len();
    let shape = if count == 1 { values[0].shape() } else { &[] };
    let rule = Arc::new(Recorded { op, inputs, outputs });
    let edges: Vec<Option<&Edge>> = x.iter().map(|t| t.edge()).collect();
    let own = record(rule, &edges, shape, here)?;
    let mut tensors = Vec::with_capacity(count);
    for (i, value) in values.into_iter().enumerate() {
        tensors.push(select(value, i, count, &own)?);
    }
    if trace::is_tracing() {
        tensors.iter().for_each(|y| trace::applied(y, x));
    }
    Ok(tensors)
}
