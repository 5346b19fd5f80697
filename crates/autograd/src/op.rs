//! How an operation is defined: one trait for a fixed number of inputs, one for any number of
//! inputs and outputs. The built-in operations and a user's own go through the same functions.

use crate::anomaly;
use crate::by_row::{self, OutByRow, Parted};
use crate::forward::Tangents;
use crate::loops::{Expressions, trace};
use crate::mode::{is_detecting, is_grad_enabled};
use crate::node::{Context, Cotangent, Edge, Out, Part, Rule, record};
use crate::op_many::select;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::array::from_fn;
use std::panic::Location;
use std::sync::Arc;
use tensor_core::shape::{Dims, broadcast, same};
use tensor_core::{Array, Device, Element, Error, Layout, OrRaise, Result};

/// What an operation keeps for its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep<const N: usize> {
    /// Which inputs.
    pub inputs: [bool; N],
    /// Whether the output.
    pub output: bool,
}

impl<const N: usize> Keep<N> {
    /// Nothing: the rule of a linear operation.
    pub const NOTHING: Self = Keep { inputs: [false; N], output: false };
    /// The output only.
    pub const OUTPUT: Self = Keep { inputs: [false; N], output: true };

    /// These inputs only.
    pub const fn inputs(inputs: [bool; N]) -> Self {
        Keep { inputs, output: false }
    }
}

/// A differentiable operation of `N` inputs of type `T` and one output of type `U`.
///
/// ```
/// use tapegrad::{Array, Float, Keep, Kept, Op, Result, Tensor, apply, formula, kernels};
///
/// /// y = x^3
/// struct Cube;
/// impl<T: Float> Op<T, 1> for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
///         kernels::map("cube", x, &formula!(|x: T| x * x * x))
///     }
///     fn keep(&self, needs: [bool; 1]) -> Keep<1> {
///         Keep::inputs(needs)
///     }
///     /// grad * 3 x^2, in tensor operations: so the second derivative is 6 x by itself.
///     fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
///         Ok([kept.wrt(0, || Ok(g * kept.input(0).square() * T::of(3.0)))?])
///     }
/// }
///
/// let x = Tensor::scalar(2.0).requires_grad();
/// apply(Cube, [&x])?.backward()?;
/// assert_eq!(x.grad().unwrap().item()?, 12.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub trait Op<T: Element, const N: usize, U: Element = T>: Send + Sync + 'static {
    /// The name in errors and graphs.
    fn name(&self) -> &'static str;

    /// The value.
    ///
    /// # Errors
    /// Whatever the operation refuses, named in full.
    fn forward(&self, x: [&Array<T>; N]) -> Result<Array<U>>;

    /// The value, from inputs that may be overwritten where nothing else shares them.
    ///
    /// # Errors
    /// As [`Op::forward`].
    fn forward_owned(&self, x: [Array<T>; N]) -> Result<Array<U>> {
        self.forward(x.each_ref())
    }

    /// What the rule reads, given which inputs need a gradient.
    fn keep(&self, _needs: [bool; N]) -> Keep<N> {
        Keep::NOTHING
    }

    /// Whether inputs are broadcast to the output's shape; the engine then sums the gradients back.
    fn broadcasts(&self) -> bool {
        false
    }

    /// Bytes that the operation itself holds for its rule, beside what [`Op::keep`] names: indices,
    /// masks, factors. The tape's statistics count them.
    fn holds(&self) -> usize {
        0
    }

    /// Whether the rule also answers many cotangents at once, one after another along a first dimension
    /// of `g` that the output does not have: broadcasting, it then needs nothing but to count dimensions
    /// from the end, and to ask [`Kept::cotangent_shape`] for shapes: [elementwise](Op::elementwise) rules do.
    /// Other rules are run for one cotangent at a time.
    fn batches(&self) -> bool {
        self.elementwise()
    }

    /// Whether each element of the output depends on those of the inputs, of its own type, at its own place alone, broadcast.
    /// A slope is then the same factor both ways, and the rule serves forward, too; and where a function gives a result for each
    /// row of data, its Jacobian is one walk back.
    fn elementwise(&self) -> bool {
        false
    }

    /// Where the output is elements of the only input as they are, each once: their places, counted in row-major order of
    /// an input of this shape. What the first order needs is then known, and the engine adds cotangents to these places, and knows
    /// the directions along elements of the input that the output changes along; the rule is for the others.
    fn places(&self, _shape: &[usize]) -> Option<Layout> {
        None
    }

    /// Where each element of the output is one of the only input's as it is, or zero: the same of their numbers, counted from one.
    #[doc(hidden)]
    fn copied(&self, _numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        None
    }

    /// The elements of the result as expressions of those of the inputs, for loops that are written down.
    #[doc(hidden)]
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x.first()?.moved(|numbers| self.copied(numbers))
    }

    /// The cotangents of the inputs for the cotangent `g` of the output, in differentiable
    /// operations: form each through [`Kept::wrt`], so that none is computed for a constant.
    ///
    /// # Errors
    /// Whatever the operations in it return.
    fn vjp(&self, kept: &Kept<'_, T, U>, g: Tensor<U>) -> Result<[Option<Tensor<T>>; N]>;

    /// The tangent of the output for the tangents `t` of the inputs, in differentiable operations; None stands for zeros, in
    /// both. Of many tangents at once, [`Kept::many`], the first dimension counts them.
    ///
    /// Nothing needs to be written here: the rule is transposed, at the cost of two to three passes, and that of an operation
    /// that is [elementwise](Op::elementwise) is taken as it is; what is linear is applied to the tangents.
    ///
    /// # Errors
    /// Whatever the operations in it return.
    fn jvp(&self, kept: &Kept<'_, T, U>, t: [Option<Tensor<T>>; N]) -> Result<Option<Tensor<U>>> {
        let rule = |kept: &Kept<'_, T, U>, mut g: Vec<Option<Tensor<U>>>| match g.pop().flatten() {
            Some(g) => Ok(self.vjp(kept, g)?.into()),
            None => Ok(vec![None; N]),
        };
        Ok(kept.transposed(t.into(), &rule)?.pop().flatten())
    }

    /// The cotangents of the inputs for those of many results, where the first `lead` dimensions of `g` count these and each
    /// depends on its own row of the output alone; None where an input's rows are not those of the output.
    #[doc(hidden)]
    fn by_row(&self, _kept: &Kept<'_, T, U>, _g: Tensor<U>, _lead: usize) -> Result<Parted<T, N>> {
        Ok(None)
    }
}

/// Shows the buffers of arrays that are kept.
pub(crate) fn show<'a, T: Element>(
    arrays: impl IntoIterator<Item = &'a Option<Array<T>>>,
    buffer: &mut dyn FnMut(usize, usize),
) {
    for (place, bytes) in arrays.into_iter().flatten().map(Array::allocation) {
        buffer(place, bytes);
    }
}

/// An operation on the tape: with arrays of what it keeps for a fixed number of inputs, with vectors for any.
pub(crate) struct Recorded<O, I, V> {
    pub op: O,
    pub inputs: I,
    pub outputs: V,
}

/// What was kept, as the rule sees it: constants in first order, tracked under `create_graph`.
pub struct Kept<'a, T: Element, U: Element = T> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) inputs: &'a [Option<Array<T>>],
    pub(crate) outputs: &'a [Option<Array<U>>],
}

const NOT_KEPT: &str = "the rule reads what `keep` does not name";

impl<T: Element, U: Element> Kept<'_, T, U> {
    /// Input `i`.
    ///
    /// # Panics
    /// Where `keep` of the operation did not name it.
    pub fn input(&self, i: usize) -> Tensor<T> {
        let edge = self.context.own.and_then(|_| self.context.parents[i].clone());
        Tensor::from_parts(self.input_array(i).clone(), edge)
    }

    /// All inputs.
    ///
    /// # Panics
    /// Where `keep` of the operation did not name one.
    pub fn inputs(&self) -> Vec<Tensor<T>> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }

    /// Output `i`: 0 is the only one of an [`Op`].
    ///
    /// # Panics
    /// Where `keep` of the operation did not name it.
    pub fn output(&self, i: usize) -> Tensor<U> {
        let value = self.output_array(i).clone();
        match self.context.own {
            // Of several it is recorded anew: the node cannot hold its own children.
            Some(own) => select(value, i, self.outputs.len(), own).or_raise(),
            None => Tensor::constant(value),
        }
    }

    pub(crate) fn input_array(&self, i: usize) -> &Array<T> {
        self.inputs[i].as_ref().expect(NOT_KEPT)
    }

    pub(crate) fn output_array(&self, i: usize) -> &Array<U> {
        self.outputs[i].as_ref().expect(NOT_KEPT)
    }

    /// Whether input `i` needs a gradient.
    pub fn needs(&self, i: usize) -> bool {
        let Context { parents, only, since, .. } = *self.context;
        parents[i].as_ref().is_some_and(|parent| parent.latest() >= since)
            && only.is_none_or(|only| only == i)
    }

    /// The cotangent of input `i`, computed only where it is needed.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn wrt(&self, i: usize, f: impl FnOnce() -> Result<Tensor<T>>) -> Result<Option<Tensor<T>>> {
        if self.needs(i) { f().map(Some) } else { Ok(None) }
    }

    /// The shape of input `i`, which needs a gradient.
    pub fn shape(&self, i: usize) -> &[usize] {
        self.context.parents[i].as_ref().map_or(&[], Edge::shape)
    }

    /// The shape of the cotangent of input `i`: the input's, after the number of cotangents where
    /// there are many; see [`Op::batches`].
    pub fn cotangent_shape(&self, i: usize) -> Dims {
        self.context.many.iter().chain(self.shape(i)).copied().collect()
    }

    /// How many cotangents come at once; see [`Op::batches`].
    pub fn many(&self) -> Option<usize> {
        self.context.many
    }

    /// Whether the rule's own operations are recorded.
    pub fn create_graph(&self) -> bool {
        self.context.own.is_some()
    }
}

/// Hands cotangents on after checking their shapes against the inputs', broadcasting undone.
#[inline(always)]
pub(crate) fn deliver<T: Element>(
    name: &'static str,
    broadcasts: bool,
    context: &Context<'_>,
    grads: impl IntoIterator<Item = Option<Tensor<T>>>,
    out: Out<'_>,
) -> Result<()> {
    for (i, g) in grads.into_iter().enumerate() {
        let (Some(g), Some(edge)) = (g, &context.parents[i]) else { continue };
        let g = Cotangent::new(g);
        match context.many {
            None if same(g.shape(), edge.shape()) => out(i, g)?,
            _ => deliver_reduced(name, broadcasts, context, i, g, edge, out)?,
        }
    }
    Ok(())
}

/// [`deliver`] of one where the shapes are not simply the same.
fn deliver_reduced(
    name: &'static str,
    broadcasts: bool,
    context: &Context<'_>,
    i: usize,
    g: Cotangent,
    edge: &Edge,
    out: Out<'_>,
) -> Result<()> {
    let lead = context.many.as_slice();
    if let Some(rest) = g.shape().strip_prefix(lead) {
        if same(rest, edge.shape()) {
            return out(i, g);
        }
        // Only what broadcasting can have repeated is summed: any other shape is a wrong rule.
        if broadcasts && broadcast(name, rest, edge.shape()).is_ok_and(|shape| shape[..] == *rest) {
            return out(i, g.sum_to(lead.len(), edge.shape())?);
        }
    }
    let message = format!(
        "the rule gave input {i} a cotangent of shape {:?}, but the input has shape {:?}: correct the rule",
        g.shape(),
        edge.shape()
    );
    Err(Error::shape(name, message))
}

/// Runs a rule that takes a single cotangent for each of many.
#[cold]
pub(crate) fn one_by_one(
    rule: &dyn Rule,
    many: usize,
    context: &Context<'_>,
    g: Cotangent,
    out: Out<'_>,
) -> Result<()> {
    let mut answers: Vec<Vec<Cotangent>> = vec![Vec::new(); context.parents.len()];
    for k in 0..many {
        rule.vjp(&Context { many: None, ..*context }, g.row(k as isize)?, &mut |i, g| {
            answers[i].push(g.whole()?);
            Ok(())
        })?;
    }
    for (i, rows) in answers.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        out(i, Cotangent::stack(rows)?)?;
    }
    Ok(())
}

impl<O: Op<T, N, U>, T: Element, const N: usize, U: Element> Rule
    for Recorded<O, [Option<Array<T>>; N], [Option<Array<U>>; 1]>
{
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
        let kept = Kept { context, inputs: &self.inputs, outputs: &self.outputs };
        answer(self, &self.op, &kept, g, out)
    }

    fn places(&self, shape: &[usize]) -> Option<Layout> {
        match N {
            1 => self.op.places(shape),
            _ => None,
        }
    }

    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        self.op.copied(numbers)
    }

    fn jvp(&self, context: &Context<'_>, t: Tangents) -> Result<Option<Cotangent>> {
        pushed(&self.op, &Kept { context, inputs: &self.inputs, outputs: &self.outputs }, t)
    }

    fn by_row(&self, context: &Context<'_>, g: Cotangent, lead: usize, out: OutByRow<'_>) -> Result<bool> {
        let kept = Kept { context, inputs: &self.inputs, outputs: &self.outputs };
        by_row::of_op(&self.op, &kept, g, lead, out)
    }
}

/// The tangent of an operation's output: for all operations of these types in one piece.
fn pushed<T: Element, U: Element, const N: usize>(
    op: &dyn Op<T, N, U>,
    kept: &Kept<'_, T, U>,
    mut t: Tangents,
) -> Result<Option<Cotangent>> {
    let y = match op.elementwise() {
        true => kept.each_slope(t, &|kept, g, i| Ok(op.vjp(kept, g)?[i].take()))?,
        false => op.jvp(kept, from_fn(|i| t[i].take().map(Cotangent::tensor)))?,
    };
    fitting(op.name(), op.broadcasts(), kept, y)
}

/// A tangent in the shape of the output, broadcast where the operation does.
pub(crate) fn fitting<T: Element, U: Element>(
    name: &'static str,
    broadcasts: bool,
    kept: &Kept<'_, T, U>,
    y: Option<Tensor<U>>,
) -> Result<Option<Cotangent>> {
    let Some(mut y) = y else { return Ok(None) };
    let shape = kept.tangent_shape();
    if broadcasts && !same(y.shape(), &shape) {
        y = y.expand(&shape)?;
    }
    if same(y.shape(), &shape) {
        return Ok(Some(Cotangent::new(y)));
    }
    let message = format!(
        "the rule gave a tangent of shape {:?} for an output of shape {shape:?}: correct the rule",
        y.shape()
    );
    Err(Error::shape(name, message))
}

/// The cotangents of an operation: for all operations of these types in one piece.
fn answer<T: Element, U: Element, const N: usize>(
    rule: &dyn Rule,
    op: &dyn Op<T, N, U>,
    kept: &Kept<'_, T, U>,
    g: Cotangent,
    out: Out<'_>,
) -> Result<()> {
    let context = kept.context;
    if let Some(many) = context.many.filter(|_| !op.batches()) {
        return one_by_one(rule, many, context, g, out);
    }
    if let ([Some(parent)], None) = (context.parents, context.own)
        && let Some(places) = op.places(parent.shape())
    {
        let places =
            context.many.map_or_else(|| places.clone(), |many| of_each(&places, many, parent.shape()));
        let shape = context.many.iter().chain(parent.shape()).copied().collect();
        return out(0, Cotangent::Part(Box::new(Part { value: g, places, shape })));
    }
    let grads = op.vjp(kept, g.tensor())?;
    deliver(op.name(), op.broadcasts(), context, grads, out)
}

/// The same places of each of many tensors of `shape`, along a first dimension.
fn of_each(places: &Layout, many: usize, shape: &[usize]) -> Layout {
    let step = shape.iter().product::<usize>() as isize;
    let strides: SmallVec<[isize; 4]> = [step].into_iter().chain(places.strides()).collect();
    let shape = [many].into_iter().chain(places.shape().iter().copied()).collect();
    Layout::strided(shape, &strides, places.offset())
}

/// Whether `t` is a number on the CPU that is differentiated.
fn is_lonely<T: Element>(t: &Tensor<T>) -> bool {
    t.is_tracked() && t.ndim() == 0 && t.device() == Device::Cpu
}

/// The operands on the GPU of some of them, where others are lonely numbers; the cotangents of those come back to them.
#[inline]
pub(crate) fn joined<T: Element>(x: &[&Tensor<T>]) -> Result<Option<Vec<Tensor<T>>>> {
    let gpu = x.iter().map(|t| t.device()).find(|d| *d != Device::Cpu);
    let Some(gpu) = gpu.filter(|_| x.iter().any(|t| is_lonely(t))) else { return Ok(None) };
    let moved = |t: &&Tensor<T>| if is_lonely(t) { t.to_device(&gpu) } else { Ok((*t).clone()) };
    x.iter().map(moved).collect::<Result<_>>().map(Some)
}

/// Applies an operation, and records it where an input is tracked.
///
/// # Errors
/// What [`Op::forward`] returns, with the caller's line.
#[track_caller]
#[inline]
pub fn apply<T: Element, U: Element, const N: usize, O: Op<T, N, U>>(
    op: O,
    x: [&Tensor<T>; N],
) -> Result<Tensor<U>> {
    apply_at(Location::caller(), op, x)
}

/// [`apply`] for the line that the caller knows.
///
/// # Errors
/// As [`apply`].
#[inline]
pub fn apply_at<T: Element, U: Element, const N: usize, O: Op<T, N, U>>(
    here: &'static Location<'static>,
    op: O,
    x: [&Tensor<T>; N],
) -> Result<Tensor<U>> {
    if let Some(joined) = joined(&x).map_err(|e| e.at(here))? {
        return apply_at(here, op, from_fn(|i| &joined[i]));
    }
    let (value, kept) = run(here, &op, &x)?;
    let y = record_op(here, op, value, kept, x.map(Tensor::edge))?;
    if trace::is_tracing() {
        trace::applied(&y, &x);
    }
    Ok(y)
}

/// What an operation keeps, inputs and the output, where it is recorded.
type KeptArrays<T, U, const N: usize> = Option<([Option<Array<T>>; N], [Option<Array<U>>; 1])>;

/// The value, and what is kept where the operation is to be recorded: for all operations of these types in one piece.
fn run<T: Element, U: Element, const N: usize>(
    here: &'static Location<'static>,
    op: &dyn Op<T, N, U>,
    x: &[&Tensor<T>; N],
) -> Result<(Array<U>, KeptArrays<T, U, N>)> {
    let value = op.forward(x.map(Tensor::operand)).map_err(|e| e.at(here))?;
    if is_detecting() {
        anomaly::search(op.name(), &x.map(Tensor::operand), &value).map_err(|e| e.at(here))?;
    }
    if x.iter().all(|t| t.edge().is_none()) || !is_grad_enabled() {
        return Ok((value, None));
    }
    let keep = op.keep(from_fn(|i| x[i].edge().is_some()));
    let inputs = from_fn(|i| keep.inputs[i].then(|| x[i].operand().clone()));
    let outputs = [keep.output.then(|| value.clone())];
    Ok((value, Some((inputs, outputs))))
}

/// A value with its node on the tape, where something is kept for that.
#[inline]
fn record_op<T: Element, U: Element, const N: usize, O: Op<T, N, U>>(
    here: &'static Location<'static>,
    op: O,
    value: Array<U>,
    kept: KeptArrays<T, U, N>,
    edges: [Option<&Edge>; N],
) -> Result<Tensor<U>> {
    let Some((inputs, outputs)) = kept else { return Ok(Tensor::from_parts(value, None)) };
    let edge = record(Arc::new(Recorded { op, inputs, outputs }), &edges, value.shape(), here)?;
    Ok(Tensor::from_parts(value, Some(edge)))
}

/// [`apply`] to inputs whose buffers may be reused for the result.
///
/// # Errors
/// What [`Op::forward_owned`] returns, with the caller's line.
#[track_caller]
pub fn apply_owned<T: Element, U: Element, const N: usize, O: Op<T, N, U>>(
    op: O,
    x: [Tensor<T>; N],
) -> Result<Tensor<U>> {
    apply_owned_at(Location::caller(), op, x)
}

/// [`apply_owned`] for the line that the caller knows.
///
/// # Errors
/// As [`apply_owned`].
pub fn apply_owned_at<T: Element, U: Element, const N: usize, O: Op<T, N, U>>(
    here: &'static Location<'static>,
    op: O,
    mut x: [Tensor<T>; N],
) -> Result<Tensor<U>> {
    if is_detecting() || trace::is_tracing() {
        // The inputs stay as they are, to be looked at after the operation.
        return apply_at(here, op, x.each_ref());
    }
    if let Some(joined) = joined(&x.each_ref()).map_err(|e| e.at(here))? {
        x = from_fn(|i| joined[i].clone());
    }
    let edges: [Option<Edge>; N] = from_fn(|i| x[i].take_edge());
    let (value, kept) = run_owned(here, &op, x.map(Tensor::into_array), &edges)?;
    record_op(here, op, value, kept, edges.each_ref().map(Option::as_ref))
}

/// [`run`], where the inputs may be overwritten.
fn run_owned<T: Element, U: Element, const N: usize>(
    here: &'static Location<'static>,
    op: &dyn Op<T, N, U>,
    x: [Array<T>; N],
    edges: &[Option<Edge>; N],
) -> Result<(Array<U>, KeptArrays<T, U, N>)> {
    if edges.iter().all(Option::is_none) || !is_grad_enabled() {
        return Ok((op.forward_owned(x).map_err(|e| e.at(here))?, None));
    }
    // What is kept is held before the operation runs, and so is never overwritten by it.
    let keep = op.keep(from_fn(|i| edges[i].is_some()));
    let inputs = from_fn(|i| keep.inputs[i].then(|| x[i].clone()));
    let value = op.forward_owned(x).map_err(|e| e.at(here))?;
    let outputs = [keep.output.then(|| value.clone())];
    Ok((value, Some((inputs, outputs))))
}
