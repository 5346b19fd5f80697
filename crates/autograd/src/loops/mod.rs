//! Loops whose steps are written down once: the numbers of a step go through a program, and so do those of its derivatives.
//!
//! The first step runs as it stands, and what it computes is read off the tape ([`trace`]), element by element
//! ([`express`]), into a program of the kind that [`fused`](crate::fused) makes ([`body`]), which is carried out without
//! tensors ([`machine`]). The loop is then one operation, and its rule is such a loop. A step that cannot be written down
//! is recorded anew each time.

mod body;
pub(crate) mod express;
mod machine;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

pub use express::Expressions;

use crate::apply_once;
use crate::backward::{GraphUse, grads_of};
use crate::checkpoint::checkpoint;
use crate::function::Expr;
use crate::functional::Transform;
use crate::fused::program::{Action, write, written};
use crate::mode::{enable_grad, is_detecting, no_grad};
use crate::op::Kept;
use crate::op_many::{KeepMany, OpMany};
use crate::params::Params;
use crate::tensor::Tensor;
use body::{Body, Counts};
use machine::{Given, Taken, run};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Device, Error, ErrorKind, Float, Result, compiled_once, random};

/// A loop as an operation on its state, [n], on a row for each step, [steps, m], and on the constants: it gives the state before
/// each step, the last state, and a row for each step.
#[derive(Clone)]
struct Loop {
    body: Arc<Body>,
    steps: usize,
    reversed: bool,
}

impl Loop {
    fn run<T: Float>(&self, x: &[&Array<T>], states: bool) -> Result<[Array<T>; 3]> {
        let [state, xs, constants] = [x[0].to_vec(), x[1].to_vec(), x[2].to_vec()];
        let taken = Taken { state: &state, xs: &xs, constants: &constants };
        let Given { states: before, last, ys } = run(&self.body, self.steps, self.reversed, taken, states)?;
        let counts = self.body.counts;
        let steps = if states { self.steps } else { 0 };
        Ok([
            Array::from_vec(before, &[steps, counts.state])?,
            Array::from_vec(last, &[counts.state])?,
            Array::from_vec(ys, &[self.steps, counts.ys])?,
        ])
    }
}

impl<T: Float> OpMany<T> for Loop {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(self.run(x, true)?.into())
    }

    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![false, true, true], outputs: vec![true] }
    }

    /// The loop that [`Body::backward`] is the step of, the other way.
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let Counts { state, constants, ys, .. } = self.body.counts;
        let [g_states, g_last, g_ys] =
            <[_; 3]>::try_from(g).map_err(|_| Error::shape("scan", "three cotangents"))?;
        let or_zeros = |g: Option<Tensor<T>>, shape: &[usize]| {
            g.map_or_else(|| Tensor::zeros_on(&Device::Cpu, shape), Ok)
        };
        let begin = [or_zeros(g_last, &[state])?, or_zeros(None, &[constants])?];
        let rows = [
            kept.output(0),
            kept.input(1),
            or_zeros(g_states, &[self.steps, state])?,
            or_zeros(g_ys, &[self.steps, ys])?,
        ];
        let back = Loop { body: self.body.backward(), steps: self.steps, reversed: !self.reversed };
        let found = applied(back, [&Tensor::cat(&begin, 0)?, &Tensor::cat(&rows, 1)?, &kept.input(2)])?;
        let [_, last, own] = found;
        Ok(vec![
            kept.wrt(0, || last.narrow(0, 0, state))?,
            kept.wrt(1, || Ok(own))?,
            kept.wrt(2, || last.narrow(0, state, constants))?,
        ])
    }
}

#[track_caller]
fn applied<T: Float>(of: Loop, x: [&Tensor<T>; 3]) -> Result<[Tensor<T>; 3]> {
    let all = apply_once!(T: Float, of => Loop, many &x)?;
    <[Tensor<T>; 3]>::try_from(all).map_err(|_| Error::shape("scan", "three results"))
}

/// Some steps of a loop, of which only what they take is kept: the backward pass computes their states again.
struct Segment(Loop);

impl<T: Float> OpMany<T> for Segment {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let [_, last, ys] = self.0.run(x, false)?;
        Ok(vec![last, ys])
    }

    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![true; 3], outputs: Vec::new() }
    }

    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let transform = Transform::begin();
        let x = kept.inputs().iter().map(|x| transform.variable(x)).collect::<Result<Vec<_>>>()?;
        let [_, last, ys] = enable_grad(|| applied(self.0.clone(), [&x[0], &x[1], &x[2]]))?;
        let (of, g): (Vec<_>, Vec<_>) =
            [last, ys].into_iter().zip(g).filter_map(|(y, g)| g.map(|g| (y, Some(g)))).unzip();
        grads_of(&of, g, &x, if kept.create_graph() { GraphUse::Create } else { GraphUse::Consume })
    }
}

/// Two lists of tensors: the state, and what belongs to a step, or to each.
type Lists<T> = (Vec<Tensor<T>>, Vec<Tensor<T>>);

/// A step, from the state and what is the step's own to the new state and what the step gives.
type Step<'a, T> = dyn Fn(&[Tensor<T>], &[Tensor<T>]) -> Result<Lists<T>> + 'a;

/// A step that the graph may hold.
type OwnedStep<T> = Arc<dyn Fn(&[Tensor<T>], &[Tensor<T>]) -> Result<Lists<T>> + Send + Sync>;

/// Steps below which a loop is not written down.
const SHORT: usize = 8;

/// A step that was written down, and the tensors that it captures.
struct Written<T: Float> {
    body: Arc<Body>,
    captured: Vec<Tensor<T>>,
    /// The shapes of what a step gives.
    ys: Vec<Dims>,
}

compiled_once! {
    /// The part of each tensor that belongs to step `k`.
    fn rows_at<T: Float>(xs: &[Tensor<T>], k: usize) -> Result<Vec<Tensor<T>>> {
        xs.iter().map(|x| x.select(0, k)).collect()
    }

    /// The tensors' elements, one after another, in a vector.
    fn flat<T: Float>(x: &[Tensor<T>]) -> Result<Tensor<T>> {
        let parts: Vec<Tensor<T>> = x.iter().map(Tensor::flatten).collect();
        if parts.is_empty() { Tensor::zeros_on(&Device::Cpu, [0]) } else { Tensor::cat(&parts, 0) }
    }

    /// The tensors' elements, one after another, in a row for each step.
    fn flat_rows<T: Float>(x: &[Tensor<T>], steps: usize) -> Result<Tensor<T>> {
        let parts: Vec<Tensor<T>> = x.iter().map(|x| x.reshape([steps, x.numel() / steps])).collect::<Result<_>>()?;
        if parts.is_empty() { Tensor::zeros_on(&Device::Cpu, [steps, 0]) } else { Tensor::cat(&parts, 1) }
    }

    /// Tensors of these shapes, after leading dimensions, from the last dimension of `x`.
    fn parts<T: Float>(x: &Tensor<T>, shapes: &[Dims]) -> Result<Vec<Tensor<T>>> {
        let (lead, mut from) = (&x.shape()[..x.ndim() - 1], 0);
        let part = |shape: &Dims| {
            let count: usize = shape.iter().product();
            from += count;
            let whole: Vec<usize> = lead.iter().chain(shape).copied().collect();
            x.narrow(-1, from - count, count)?.reshape(whole)
        };
        shapes.iter().map(part).collect()
    }

    /// The step as a program, if it can be written down: from its first run, checked against its second.
    fn write_down<T: Float>(step: &Step<'_, T>, init: &[Tensor<T>], xs: &[Tensor<T>], steps: usize) -> Option<Written<T>> {
        if steps < SHORT || is_detecting() || init.iter().chain(xs).any(|x| x.device() != Device::Cpu) {
            return None;
        }
        let transform = Transform::begin();
        let variable = |x: &Tensor<T>| no_grad(|| transform.variable(&x.detach()));
        let state: Vec<Tensor<T>> = init.iter().map(variable).collect::<Result<_>>().ok()?;
        let own: Vec<Tensor<T>> = rows_at(xs, 0).ok()?.iter().map(variable).collect::<Result<_>>().ok()?;
        let attempt = || random::noted(|| trace::trace(transform.number(), || enable_grad(|| step(&state, &own))));
        let (traced, draws) = random::apart(attempt);
        let ((next, given), traced) = traced.filter(|_| draws.is_empty())?;
        let shapes = |x: &[Tensor<T>]| -> Vec<Dims> { x.iter().map(|x| Dims::from_slice(x.shape())).collect() };
        if shapes(&next) != shapes(init) || next.iter().chain(&given).any(|x| x.device() != Device::Cpu) {
            return None;
        }
        let count = |x: &[Tensor<T>]| x.iter().map(Tensor::numel).sum::<usize>();
        let mut captured = None;
        let (statements, results) = written(|| {
            let mut from = 0;
            let mut variables = Vec::with_capacity(state.len() + own.len());
            for x in state.iter().chain(&own) {
                let elements: Vec<Expr> = (from..from + x.numel()).map(|k| write(Action::Input(k), &[])).collect();
                from += x.numel();
                variables.push((x, Expressions::new(x.shape(), elements)));
            }
            let found = trace::express(&traced, &variables, &[&next[..], &given].concat(), from);
            let (elements, others) = found.unzip();
            captured = others;
            elements.unwrap_or_default()
        });
        let captured: Vec<Tensor<T>> = captured?;
        let counts = Counts { state: count(init), xs: count(&own), constants: count(&captured), ys: count(&given) };
        let found = Written { body: Body::new(counts, statements, results), captured, ys: shapes(&given) };
        agrees(step, init, xs, &found).ok()?.then_some(found)
    }

    /// Whether the program and the step itself give the same for the second step: they do not where the step depends on
    /// anything but what it takes.
    fn agrees<T: Float>(step: &Step<'_, T>, init: &[Tensor<T>], xs: &[Tensor<T>], found: &Written<T>) -> Result<bool> {
        no_grad(|| {
            let two: Vec<Tensor<T>> = xs.iter().map(|x| x.narrow(0, 0, 2)).collect::<Result<_>>()?;
            let of = Loop { body: found.body.clone(), steps: 2, reversed: false };
            let [states, last, ys] = applied(of, [&flat(init)?, &flat_rows(&two, 2)?, &flat(&found.captured)?])?;
            let shapes: Vec<Dims> = init.iter().map(|x| Dims::from_slice(x.shape())).collect();
            let state = parts(&states.select(0, 1)?, &shapes)?;
            let (next, given) = random::apart(|| step(&state, &rows_at(xs, 1)?))?;
            let close = |a: &Tensor<T>, b: &Tensor<T>| {
                let near = |(a, b): (T, T)| {
                    let (a, b) = (a.to_f64(), b.to_f64());
                    let scale = 1f64.max(a.abs()).max(b.abs());
                    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= T::EPSILON.to_f64().sqrt() * scale
                };
                a.shape() == b.shape() && a.to_vec().into_iter().zip(b.to_vec()).all(near)
            };
            Ok(close(&flat(&next)?, &last) && close(&flat(&given)?, &ys.select(0, 1)?))
        })
    }

    /// The loop step by step, as it stands.
    fn recorded<T: Float>(
        step: &Step<'_, T>,
        init: &[Tensor<T>],
        xs: &[Tensor<T>],
        steps: usize,
    ) -> Result<Lists<T>> {
        let mut state = init.to_vec();
        let mut given: Vec<Vec<Tensor<T>>> = Vec::new();
        for k in 0..steps {
            let (next, ys) = step(&state, &rows_at(xs, k)?)?;
            let changed = next.iter().zip(init).find(|(next, init)| next.shape() != init.shape());
            if let Some((next, init)) = changed {
                let message = format!(
                    "step {k} gives a state of shape {:?} for one of shape {:?}: the state keeps its shape",
                    next.shape(),
                    init.shape()
                );
                return Err(Error::shape("scan", message));
            }
            if k == 0 {
                given.resize_with(ys.len(), Vec::new);
            }
            if next.len() != init.len() || ys.len() != given.len() {
                let message = format!("step {k} gives another number of tensors than the first: each gives as many");
                return Err(Error::shape("scan", message));
            }
            given.iter_mut().zip(ys).for_each(|(all, y)| all.push(y));
            state = next;
        }
        let ys = given.iter().map(|all| Tensor::stack(all, 0)).collect::<Result<_>>()?;
        Ok((state, ys))
    }

    /// The loop as a program, in segments of `every` steps of which nothing but the state before them is kept; in one, where
    /// it is all of them. None, where the step cannot be written down.
    fn looped<T: Float>(
        step: &Step<'_, T>,
        init: &[Tensor<T>],
        xs: &[Tensor<T>],
        steps: usize,
        every: usize,
    ) -> Result<Option<Lists<T>>> {
        let shapes: Vec<Dims> = init.iter().map(|x| Dims::from_slice(x.shape())).collect();
        let Some(found) = write_down(step, init, xs, steps) else { return Ok(None) };
        let (mut state, xs, constants) = (flat(init)?, flat_rows(xs, steps)?, flat(&found.captured)?);
        let of = |steps: usize| Loop { body: found.body.clone(), steps, reversed: false };
        let ys = if every < steps {
            let mut all = Vec::new();
            for from in (0..steps).step_by(every) {
                let count = every.min(steps - from);
                let x = [&state, &xs.narrow(0, from, count)?, &constants];
                let mut given = apply_once!(T: Float, Segment(of(count)) => Segment, many &x)?;
                all.extend(given.pop());
                state = given.swap_remove(0);
            }
            Tensor::cat(&all, 0)?
        } else {
            let [_, last, ys] = applied(of(steps), [&state, &xs, &constants])?;
            state = last;
            ys
        };
        Ok(Some((parts(&state, &shapes)?, parts(&ys, &found.ys)?)))
    }

    /// The loop in segments, each a checkpoint, as it stands.
    fn segments<T: Float>(
        step: &OwnedStep<T>,
        init: &[Tensor<T>],
        xs: &[Tensor<T>],
        steps: usize,
        every: usize,
    ) -> Result<Lists<T>> {
        let constants = |x: &[Tensor<T>]| -> Vec<Tensor<T>> { x.iter().map(Tensor::detach).collect() };
        let (next, ys) = random::apart(|| step(&constants(init), &constants(&rows_at(xs, 0)?)))?;
        if next.iter().chain(&ys).any(Tensor::is_tracked) {
            let message = "the step cannot be written down, and captures a tensor that requires a gradient: make it part of \
                init or xs, or use scan";
            return Err(Error::new(ErrorKind::Graph, "scan_checkpointed", message));
        }
        let (mut state, mut given) = (init.to_vec(), Vec::new());
        for from in (0..steps).step_by(every) {
            let count = every.min(steps - from);
            let rows: Vec<Tensor<T>> = xs.iter().map(|x| x.narrow(0, from, count)).collect::<Result<_>>()?;
            let (step, of_state) = (step.clone(), state.len());
            let shapes = Arc::new(Mutex::new(Vec::new()));
            let known = shapes.clone();
            let segment = move |x: &[Tensor<T>]| {
                let (state, ys) = recorded(&*step, &x[..of_state], &x[of_state..], count)?;
                let all = [state, ys].concat();
                *known.lock().unwrap_or_else(PoisonError::into_inner) =
                    all.iter().map(|x| Dims::from_slice(x.shape())).collect();
                flat(&all)
            };
            let inputs: Vec<&Tensor<T>> = state.iter().chain(&rows).collect();
            let all = checkpoint(segment, &inputs)?;
            let shapes = shapes.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut all = parts(&all, &shapes)?;
            let ys = all.split_off(of_state);
            state = all;
            given.resize_with(ys.len(), Vec::new);
            given.iter_mut().zip(ys).for_each(|(all, y): (&mut Vec<Tensor<T>>, _)| all.push(y));
        }
        Ok((state, given.iter().map(|all| Tensor::cat(all, 0)).collect::<Result<_>>()?))
    }
}

/// What a loop runs over: a number of steps, or tensors whose first dimension counts them, a structure of them as
/// [`Params`] has it.
pub trait Steps<T: Float> {
    /// What a step gets of it: nothing, or the structure without that dimension.
    type Item;

    /// The tensors, in order.
    fn tensors(&self) -> Vec<Tensor<T>>;

    /// How many steps there are, where the tensors do not say it.
    fn count(&self) -> Option<usize>;

    /// What a step gets, of its own tensors.
    fn item(&self, tensors: Vec<Tensor<T>>) -> Self::Item;
}

impl<T: Float> Steps<T> for usize {
    type Item = ();

    fn tensors(&self) -> Vec<Tensor<T>> {
        Vec::new()
    }
    fn count(&self) -> Option<usize> {
        Some(*self)
    }
    fn item(&self, _: Vec<Tensor<T>>) {}
}

impl<T: Float, X: Params<T>> Steps<T> for &X {
    type Item = X;

    fn tensors(&self) -> Vec<Tensor<T>> {
        Params::tensors(*self)
    }
    fn count(&self) -> Option<usize> {
        None
    }
    fn item(&self, tensors: Vec<Tensor<T>>) -> X {
        self.rebuild(tensors)
    }
}

compiled_once! {
    /// The number of steps.
    fn length<T: Float>(count: Option<usize>, xs: &[Tensor<T>]) -> Result<usize> {
        let lengths: Vec<Option<usize>> = xs.iter().map(|x| x.shape().first().copied()).collect();
        let steps = count.or_else(|| lengths.first().copied().flatten());
        if let Some(other) = lengths.iter().find(|length| **length != steps) {
            let message = format!(
                "a tensor of {} rows and one of {}: the first dimension of each counts the steps",
                other.map_or("no".to_string(), |n| n.to_string()),
                steps.map_or("no".to_string(), |n| n.to_string()),
            );
            return Err(Error::shape("scan", message));
        }
        match steps {
            None | Some(0) => Err(Error::argument("scan", "there are no steps: one is needed at least")),
            Some(steps) => Ok(steps),
        }
    }
}

/// Carries a state through many steps: the last state, and what the steps gave, stacked along a new first dimension. `step`
/// takes the state and its part of `xs`, and gives the new state and something of its own; `xs` is a number of steps, or
/// tensors whose first dimension counts them. Of JAX it has the meaning of `lax.scan`, and what it is for: long loops of
/// little work.
///
/// ```
/// use tapegrad::{Tensor, scan, value_and_grad};
/// // Euler's method for x' = -p x, and where it went.
/// let end = |p: &Tensor| {
///     let (x, path) = scan(|x: &Tensor, ()| Ok((x - p * x * 0.001, x.clone())), &Tensor::scalar(1.0), 1000)?;
///     assert_eq!(path.shape(), [1000]);
///     Ok(x)
/// };
/// let (x, slope) = value_and_grad(end, &Tensor::scalar(2.0))?;
/// assert!((x.item()? - 0.998_f64.powi(1000)).abs() < 1e-12);
/// assert!((slope.item()? + 0.998_f64.powi(999)).abs() < 1e-12);
///
/// // Over data: an exponential moving average.
/// let data = Tensor::from([1.0, 2.0, 3.0]);
/// let (last, _) = scan(|m: &Tensor, x: Tensor| Ok((m * 0.5 + x * 0.5, ())), &Tensor::scalar(0.0), &data)?;
/// assert_eq!(last.item()?, 2.125);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// The first step is looked at: where it consists of functions of elements, views, sums and small products, and decides
/// nothing by values, it is written down as a program over numbers, which then goes through all steps without a tensor, and
/// whose derivatives, of any order, are such programs. Any other step (on a GPU, with random numbers, with comparisons,
/// gradients or a loop within it, or on large tensors, where that would not be faster) is run and recorded each time. So `step`
/// must be a function of what it takes and of constants: it is called twice where it is written down, and whether the second
/// step agrees is checked. [`scan_checkpointed`] keeps less for the backward pass.
///
/// # Errors
/// What `step` returns; shape, where it changes the state's shape or the tensors of `xs` have other first dimensions;
/// argument, where there are no steps.
#[doc(alias("fori_loop", "foldl"))]
#[track_caller]
pub fn scan<T: Float, C: Params<T>, X: Steps<T>, Y: Params<T>>(
    step: impl Fn(&C, X::Item) -> Result<(C, Y)>,
    init: &C,
    xs: X,
) -> Result<(C, Y)> {
    let (state, rows) = (init.tensors(), xs.tensors());
    let steps = length(xs.count(), &rows).at_caller()?;
    let given: RefCell<Option<Y>> = RefCell::new(None);
    let on_lists = |state: &[Tensor<T>], own: &[Tensor<T>]| {
        let (next, y) = step(&init.rebuild(state.to_vec()), xs.item(own.to_vec()))?;
        let lists = (next.tensors(), y.tensors());
        *given.borrow_mut() = Some(y);
        Ok(lists)
    };
    let (state, ys) = match looped(&on_lists, &state, &rows, steps, steps).at_caller()? {
        Some(lists) => lists,
        None => recorded(&on_lists, &state, &rows, steps).at_caller()?,
    };
    let y = given.take().expect("there was a step");
    Ok((init.rebuild(state), y.rebuild(ys)))
}

/// [`scan`], keeping for the backward pass no more than about the square root of the number of states: the steps between are
/// run again there, in segments, each forgotten before the next. So memory is paid with time, one more forward pass. Where
/// the step is not written down, every tensor that is to have a gradient must be in `init` or `xs`.
///
/// ```
/// use tapegrad::{Tensor, scan_checkpointed, value_and_grad};
/// let end = |x: &Tensor| Ok(scan_checkpointed(|x: &Tensor, ()| Ok((x - x * 0.001, ())), x, 1000)?.0);
/// let (_, slope) = value_and_grad(end, &Tensor::scalar(2.0))?;
/// assert!((slope.item()? - 0.999_f64.powi(1000)).abs() < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`scan`]; graph, where a step that is not written down captures a tensor that requires a gradient.
#[track_caller]
pub fn scan_checkpointed<T, C, X, Y>(
    step: impl Fn(&C, X::Item) -> Result<(C, Y)> + Send + Sync + 'static,
    init: &C,
    xs: X,
) -> Result<(C, Y)>
where
    T: Float,
    C: Params<T> + Send + Sync + 'static,
    X: Steps<T>,
    X::Item: Params<T> + Send + Sync + 'static,
    Y: Params<T> + Send + Sync + 'static,
{
    let (state, rows) = (init.tensors(), xs.tensors());
    let steps = length(xs.count(), &rows).at_caller()?;
    let given: Arc<Mutex<Option<Y>>> = Arc::default();
    let (first, known) = (init.rebuild(init.tensors()), given.clone());
    let item = xs.item(rows_at(&rows, 0).at_caller()?);
    let on_lists: OwnedStep<T> = Arc::new(move |state, own| {
        let (next, y) = step(&first.rebuild(state.to_vec()), item.rebuild(own.to_vec()))?;
        let lists = (next.tensors(), y.tensors());
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(y);
        Ok(lists)
    });
    let every = steps.isqrt().max(1);
    let (state, ys) = match looped(&*on_lists, &state, &rows, steps, every).at_caller()? {
        Some(lists) => lists,
        None => segments(&on_lists, &state, &rows, steps, every).at_caller()?,
    };
    let y = given.lock().unwrap_or_else(PoisonError::into_inner).take().expect("there was a step");
    Ok((init.rebuild(state), y.rebuild(ys)))
}
