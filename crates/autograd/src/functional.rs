//! Derivatives of functions: the transforms that optimization code calls.

use crate::backward::{GradOptions, GraphUse, asked, grad_with, grads_of};
use crate::directions::{Directions, Identity, Piece, Tangent, identity};
use crate::forward::Forward;
use crate::mode::{enable_grad, is_grad_enabled};
use crate::node::{Cotangent, Edge};
use crate::op::{Kept, Op, apply};
use crate::params::Params;
use crate::reads::Reads;
use crate::tensor::Tensor;
use crate::together::{value_and_jacobian, value_grad_hessian, value_grad_hvp};
use std::sync::atomic::{AtomicU64, Ordering};
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Element, Error, Float, Result, compiled_once};

/// The input under a node of its own: what an inner derivative is taken with respect to, while an
/// outer one still sees through it.
struct Alias;

impl<T: Element> Op<T, 1> for Alias {
    fn name(&self) -> &'static str {
        "alias"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Ok(numbers.clone()))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        Ok(x.clone())
    }
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

compiled_once! {
    fn variable<T: Float>(transform: &Transform, x: &Tensor<T>) -> Result<Tensor<T>> {
        match x.is_tracked() && transform.recorded {
            true => {
                let (value, edge) = apply(Alias, [x])?.into_parts();
                Ok(Tensor::from_parts(value, edge.map(|edge| edge.renewed(transform.number))))
            }
            false => {
                let edge = Edge::leaf(x.shape(), transform.number);
                Ok(Tensor::from_parts(x.array().clone(), Some(edge)))
            }
        }
    }
}

/// The number of the latest transform.
static TRANSFORMS: AtomicU64 = AtomicU64::new(0);

/// One call of a transform.
pub(crate) struct Transform {
    number: u64,
    /// Whether the caller records, so that an outer derivative may ask for more.
    recorded: bool,
}

impl Transform {
    pub(crate) fn begin() -> Self {
        let number = TRANSFORMS.fetch_add(1, Ordering::Relaxed) + 1;
        Transform { number, recorded: is_grad_enabled() }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// A tensor to differentiate with respect to.
    pub(crate) fn variable<T: Float>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        variable(self, x)
    }

    /// [`Transform::variable`], for every tensor of a structure.
    pub(crate) fn variables<T: Float, P: Params<T>>(&self, x: &P) -> Result<Vec<Tensor<T>>> {
        x.tensors().iter().map(|x| self.variable(x)).collect()
    }

    /// A function's value and the tensors in it, recorded; an error where it read a variable as a number that its
    /// value does not depend on.
    fn run<T: Float, Q: Params<T>>(
        &self,
        variables: &[Tensor<T>],
        f: impl FnOnce() -> Result<Q>,
    ) -> Result<(Q, Vec<Tensor<T>>)> {
        let reads = Reads::begin(self.number);
        let value = enable_grad(f)?;
        let ys = value.tensors();
        reads.check(ys.iter().filter_map(Tensor::edge), variables.iter().filter_map(Tensor::edge))?;
        Ok((value, ys))
    }

    /// Whether `y` depends on what was tracked before the transform began: on a variable of an outer
    /// transform or on a leaf, given to the function or captured by it. What is computed from `y`
    /// must then be differentiable in turn.
    pub(crate) fn nested<T: Float>(&self, y: &Tensor<T>) -> bool {
        self.recorded && y.edge().is_some_and(|edge| edge.since() < self.number)
    }

    /// As it is given out: with its graph only where a derivative further out may ask for it.
    pub(crate) fn settled<T: Float>(&self, t: Tensor<T>) -> Tensor<T> {
        if t.is_tracked() && !self.nested(&t) { t.detach() } else { t }
    }
}

/// A function's value, as structures of tensors go, and what is needed to differentiate it.
pub(crate) struct Evaluation<T: Float, Q> {
    /// Detached where nothing outside asks for its derivatives.
    pub value: Q,
    /// The tensors of the value, as they were computed.
    pub ys: Vec<Tensor<T>>,
    pub nested: bool,
}

impl<T: Float, Q: Params<T>> Evaluation<T, Q> {
    pub fn new(
        transform: &Transform,
        variables: &[Tensor<T>],
        f: impl FnOnce() -> Result<Q>,
    ) -> Result<Self> {
        let (value, ys) = transform.run(variables, f)?;
        let nested = ys.iter().any(|y| transform.nested(y));
        let value = if nested { value } else { value.rebuild(ys.iter().map(Tensor::detach).collect()) };
        Ok(Evaluation { value, ys, nested })
    }
}

compiled_once! {
    /// The gradients of `ys` for their cotangents, as they are given out, zeros where they do not depend on a variable.
    pub(crate) fn filled<T: Float>(
        transform: &Transform,
        ys: &[Tensor<T>],
        cotangents: Vec<Option<Tensor<T>>>,
        variables: &[Tensor<T>],
        create_graph: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let graph = if create_graph { GraphUse::Create } else { GraphUse::Consume };
        let grads = grads_of(ys, cotangents, variables, graph)?;
        let given = |(g, v): (Option<Tensor<T>>, &Tensor<T>)| {
            g.map_or_else(|| v.zeros_like(), |g| transform.settled(g))
        };
        Ok(grads.into_iter().zip(variables).map(given).collect())
    }
}

compiled_once! {
    /// An error where `v` does not have the shapes of `x`.
    pub(crate) fn same_shapes<T: Float>(
        op: &'static str,
        what: &str,
        v: &[Tensor<T>],
        of: &str,
        x: &[Tensor<T>],
    ) -> Result<()> {
        match v.iter().zip(x).find(|(v, x)| v.shape() != x.shape()) {
            _ if v.len() != x.len() => {
                let message = format!("{what} has {} tensors, {of} {}: as many are needed", v.len(), x.len());
                Err(Error::shape(op, message))
            }
            Some((v, x)) => {
                let message =
                    format!("{what} of shape {:?} does not fit {of} of shape {:?}", v.shape(), x.shape());
                Err(Error::shape(op, message))
            }
            None => Ok(()),
        }
    }
}

/// The value of `f` at `x`, a scalar, and its gradient, in the structure of `x`.
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// let x = Tensor::from([3.0, 4.0]);
/// let (value, gradient) = value_and_grad(|x| Ok(x.square().sum()), &x)?;
/// assert_eq!(value.item()?, 25.0);
/// assert_eq!(gradient.to_vec(), [6.0, 8.0]);
///
/// let (_, (da, db)) = value_and_grad(|(a, b)| Ok(a * b), &(Tensor::scalar(2.0), Tensor::scalar(5.0)))?;
/// assert_eq!((da.item()?, db.item()?), (5.0, 2.0));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element.
#[doc(alias = "grad_and_value")]
#[track_caller]
pub fn value_and_grad<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
) -> Result<(Tensor<T>, P)> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let y = Evaluation::new(&transform, &variables, || f(&x.rebuild(variables.clone())))?;
    if y.value.numel() != 1 {
        let message = format!("the function's value has shape {:?}: a scalar is needed", y.value.shape());
        return Err(Error::shape("value_and_grad", message).at_caller());
    }
    let grads = asked(filled(&transform, &y.ys, vec![None], &variables, y.nested))?;
    Ok((y.value, x.rebuild(grads)))
}

/// The value of `f` at `x`, and the product of `cotangent`, which has the structure of the value, with
/// the Jacobian. [`jvp`] gives the value and the product from the other side; [`hvp`], of second derivatives, the product alone.
///
/// ```
/// use tapegrad::{Tensor, vjp};
/// let f = |x: &Tensor| Ok((x.sum(), x.square()));
/// let cotangent = (Tensor::scalar(1.0), Tensor::from([0.0, 10.0]));
/// let ((sum, squares), g) = vjp(f, &Tensor::from([1.0, 3.0]), &cotangent)?;
/// assert_eq!((sum.item()?, squares.to_vec(), g.to_vec()), (4.0, vec![1.0, 9.0], vec![1.0, 61.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where the cotangent has another one than the value.
#[track_caller]
pub fn vjp<T: Float, P: Params<T>, Q: Params<T>>(
    f: impl FnOnce(&P) -> Result<Q>,
    x: &P,
    cotangent: &Q,
) -> Result<(Q, P)> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let y = Evaluation::new(&transform, &variables, || f(&x.rebuild(variables.clone())))?;
    let cotangents = cotangent.tensors();
    same_shapes("vjp", "a cotangent", &cotangents, "the value", &y.ys).at_caller()?;
    let create_graph = y.nested || cotangents.iter().any(|g| transform.nested(g));
    let cotangents = cotangents.into_iter().map(Some).collect();
    let grads = asked(filled(&transform, &y.ys, cotangents, &variables, create_graph))?;
    Ok((y.value, x.rebuild(grads)))
}

/// The value of `f` at `x`, and the product of its Jacobian there with the direction `v`, which has the
/// structure of `x`; see [`vjp`] for the other side, [`hvp`] for the Hessian, and [`linearize`](crate::linearize) for many
/// products at one point. The direction is pushed forward through the operations that `f` recorded.
///
/// ```
/// use tapegrad::{Tensor, jvp};
/// let (y, dy) = jvp(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 3.0]), &Tensor::from([1.0, 10.0]))?;
/// assert_eq!((y.to_vec(), dy.to_vec()), (vec![1.0, 9.0], vec![2.0, 60.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where `v` does not have the shapes of `x`.
#[track_caller]
pub fn jvp<T: Float, P: Params<T>, Q: Params<T>>(
    f: impl FnOnce(&P) -> Result<Q>,
    x: &P,
    v: &P,
) -> Result<(Q, Q)> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let directions = v.tensors();
    same_shapes("jvp", "a direction", &directions, "x", &variables).at_caller()?;
    let y = Evaluation::new(&transform, &variables, || f(&x.rebuild(variables.clone())))?;
    let create_graph = y.nested || directions.iter().any(|v| transform.nested(v));
    let products = asked(pushed_once(&transform, &y.ys, &variables, &directions, None, create_graph))?;
    let products = y.value.rebuild(products);
    Ok((y.value, products))
}

compiled_once! {
    /// What leads from the variables to `ys`: taken off the tape where `consume`.
    pub(crate) fn between<T: Float>(ys: &[Tensor<T>], variables: &[Tensor<T>], consume: bool) -> Result<Forward> {
        let results: Vec<Option<&Edge>> = ys.iter().map(Tensor::edge).collect();
        Forward::new(&results, &variables.iter().filter_map(Tensor::edge).collect::<Vec<_>>(), consume)
    }

    /// The tangents of `ys` for those of the variables, `many` at once along a first dimension.
    pub(crate) fn pushed<T: Float>(
        forward: &Forward,
        ys: &[Tensor<T>],
        v: &[Tensor<T>],
        many: Option<usize>,
        create_graph: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let of_constants = |v: &Tensor<T>| {
            let counts = many != Some(0);
            let tangent = || Cotangent::new(if create_graph { v.clone() } else { v.detach() });
            Directions::of(counts.then(tangent))
        };
        let tangents = forward.push(v.iter().map(of_constants).collect(), many, create_graph)?;
        let whole = |(t, y): (Option<Cotangent>, &Tensor<T>)| match t {
            Some(t) => Ok(t.tensor()),
            None => Tensor::zeros_on(&y.device(), many.iter().chain(y.shape()).copied().collect::<Vec<usize>>()),
        };
        tangents.into_iter().zip(ys).map(whole).collect()
    }

    /// Both, of a graph that is walked once, as they are given out.
    fn pushed_once<T: Float>(
        transform: &Transform,
        ys: &[Tensor<T>],
        variables: &[Tensor<T>],
        directions: &[Tensor<T>],
        many: Option<usize>,
        create_graph: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let products = pushed(&between(ys, variables, !create_graph)?, ys, directions, many, create_graph)?;
        Ok(products.into_iter().map(|t| transform.settled(t)).collect())
    }
}

compiled_once! {
    /// One row for each of many cotangents or directions, in the shape of a tensor.
    pub(crate) fn rows_of<T: Float>(op: &'static str, rows: &Tensor<T>, of: &Tensor<T>) -> Result<Tensor<T>> {
        let fits =
            rows.shape().split_first().is_some_and(|(_, rest)| rest.iter().product::<usize>() == of.numel());
        if !fits {
            let message = format!(
                "rows of shape {:?} for a tensor of shape {:?}: a first dimension counts them, and each has {} elements",
                rows.shape(),
                of.shape(),
                of.numel()
            );
            return Err(Error::shape(op, message));
        }
        rows.reshape(rows.shape()[..1].iter().chain(of.shape()).copied().collect::<Vec<usize>>())
    }
}

/// The value of `f` at `x`, and the products of many cotangents, the rows of `cotangents`, with the Jacobian, from one
/// backward pass: a first dimension of the result counts them.
///
/// ```
/// use tapegrad::{Tensor, vjp_batched};
/// let x = Tensor::from([1.0, 3.0]);
/// let (_, g) = vjp_batched(|x| Ok(x.square()), &x, &Tensor::from([[1.0, 0.0], [10.0, 10.0]]))?;
/// assert_eq!(g.to_vec(), [2.0, 0.0, 20.0, 60.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where the rows do not have as many elements as the value.
#[track_caller]
pub fn vjp_batched<T: Float>(
    f: impl FnOnce(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
    cotangents: &Tensor<T>,
) -> Result<(Tensor<T>, Tensor<T>)> {
    let transform = Transform::begin();
    let variable = transform.variable(x)?;
    let y = Evaluation::new(&transform, std::slice::from_ref(&variable), || f(&variable))?;
    let products = || {
        let cotangents = rows_of("vjp_batched", cotangents, &y.ys[0])?;
        let create_graph = y.nested || transform.nested(&cotangents);
        batch_of(&y.ys[0], &variable, cotangents, create_graph)
    };
    let products = transform.settled(asked(products())?);
    Ok((y.value, products))
}

compiled_once! {
    /// The products of many cotangents, along a first dimension, with the Jacobian of `y` by `x`.
    fn batch_of<T: Float>(
        y: &Tensor<T>,
        x: &Tensor<T>,
        cotangents: Tensor<T>,
        create_graph: bool,
    ) -> Result<Tensor<T>> {
        let shape: Vec<usize> = cotangents.shape()[..1].iter().chain(x.shape()).copied().collect();
        let nothing = || Tensor::zeros_on(&x.device(), shape);
        if !y.is_tracked() || cotangents.numel() == 0 {
            return nothing();
        }
        let options =
            GradOptions { create_graph, cotangent: Some(cotangents), batched: true, ..Default::default() };
        grad_with(y, [x], options)?.swap_remove(0).map_or_else(nothing, Ok)
    }
}

/// The value of `f` at `x`, and the products of its Jacobian there with many directions, the rows of `directions`, pushed
/// forward together as in [`jvp`]: a first dimension of the result counts them.
///
/// ```
/// use tapegrad::{Tensor, jvp_batched};
/// let x = Tensor::from([1.0, 3.0]);
/// let (_, dy) = jvp_batched(|x| Ok(x.square()), &x, &Tensor::from([[1.0, 0.0], [10.0, 10.0]]))?;
/// assert_eq!(dy.to_vec(), [2.0, 0.0, 20.0, 60.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where the rows do not have as many elements as `x`.
#[track_caller]
pub fn jvp_batched<T: Float>(
    f: impl FnOnce(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
    directions: &Tensor<T>,
) -> Result<(Tensor<T>, Tensor<T>)> {
    let transform = Transform::begin();
    let variable = transform.variable(x)?;
    let directions = rows_of("jvp_batched", directions, x).at_caller()?;
    let y = Evaluation::new(&transform, std::slice::from_ref(&variable), || f(&variable))?;
    let create_graph = y.nested || transform.nested(&directions);
    let many = Some(directions.shape()[0]);
    let mut products = asked(pushed_once(&transform, &y.ys, &[variable], &[directions], many, create_graph))?;
    Ok((y.value, products.swap_remove(0)))
}

/// Elements of one batch of cotangents: so many rows are differentiated at once that what belongs to an
/// operation stays in a core's cache, and its recording and opening are shared.
const BATCH: usize = 1 << 14;

/// Elements up to which directions along several tensors are pushed together.
const TOGETHER: usize = 1 << 9;

/// Whether `n` variables are so few that directions along them are pushed through a function of `m` values rather than
/// cotangents pulled back.
pub(crate) fn are_few(n: usize, m: usize) -> bool {
    2 * n < m
}

compiled_once! {
    /// The derivatives of every element of `y` with respect to every element of `xs`: a tensor for each of
    /// these, of the shape of `y` followed by its own, and zero where `y` does not depend on it. Rows are
    /// formed many at a time by backward passes; columns, where `xs` have far fewer elements than `y`, by pushing
    /// directions forward. What is known to be the `last` walk over a graph may take it off the tape.
    pub(crate) fn derivatives<T: Float>(
        transform: &Transform,
        y: &Tensor<T>,
        xs: &[Tensor<T>],
        last: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let (m, n) = (y.numel(), xs.iter().map(Tensor::numel).sum::<usize>());
        let create_graph = transform.nested(y);
        let settled = |found: Vec<Tensor<T>>| found.into_iter().map(|t| transform.settled(t)).collect();
        if !are_few(n, m) || !y.is_tracked() {
            return rows(y, xs, create_graph).map(settled);
        }
        let forward = between(std::slice::from_ref(y), xs, last && !create_graph)?;
        if !create_graph && let Some(found) = by_row(&forward, 0, y, xs)? {
            return Ok(found);
        }
        Ok(settled(columns(&forward, std::slice::from_ref(y), xs, create_graph)?.swap_remove(0)))
    }

    /// [`derivatives`] of result `k` by one walk back, where its elements are rows that do not mix.
    pub(crate) fn by_row<T: Float>(
        forward: &Forward,
        k: usize,
        y: &Tensor<T>,
        xs: &[Tensor<T>],
    ) -> Result<Option<Vec<Tensor<T>>>> {
        if y.numel() < 2 {
            return Ok(None);
        }
        let ones = Cotangent::new(Tensor::constant(Array::repeat_on(y.device(), y.shape(), T::ONE)?));
        let variables: Vec<&Edge> = xs.iter().filter_map(Tensor::edge).collect();
        let Some(found) = forward.by_row(k, ones, &variables)? else { return Ok(None) };
        let shaped = |(g, x): (Option<Cotangent>, &Tensor<T>)| {
            let shape: Dims = y.shape().iter().chain(x.shape()).copied().collect();
            match g {
                Some(g) => g.tensor::<T>().reshaped(shape),
                None => Tensor::zeros_on(&x.device(), &shape[..]),
            }
        };
        found.into_iter().zip(xs).map(shaped).collect::<Result<_>>().map(Some)
    }

    /// [`derivatives`] by backward passes.
    pub(crate) fn rows<T: Float>(y: &Tensor<T>, xs: &[Tensor<T>], create_graph: bool) -> Result<Vec<Tensor<T>>> {
        let shape = |x: &Tensor<T>| -> Vec<usize> { y.shape().iter().chain(x.shape()).copied().collect() };
        let nothing = |x: &Tensor<T>| Tensor::zeros_on(&x.device(), shape(x));
        if y.numel() == 0 || xs.iter().all(|x| x.numel() == 0) || !y.is_tracked() {
            return xs.iter().map(nothing).collect();
        }
        let lines = lines(y, xs, create_graph)?.into_iter().zip(xs);
        lines.map(|(lines, x)| lines.map_or(nothing(x), |l| l.reshape(shape(x)))).collect()
    }

    /// The derivatives of all of `ys`, as [`derivatives`] gives them, by pushing directions forward. Tensors are pushed
    /// one after another, so that a direction meets the operations alone that depend on its tensor; where they are
    /// small, what an operation costs beside its elements matters more, and neighbours go together.
    pub(crate) fn columns<T: Float>(
        forward: &Forward,
        ys: &[Tensor<T>],
        xs: &[Tensor<T>],
        create_graph: bool,
    ) -> Result<Vec<Vec<Tensor<T>>>> {
        let widest = forward.widest();
        let mut found: Vec<Vec<Tensor<T>>> = vec![Vec::with_capacity(xs.len()); ys.len()];
        let mut first = 0;
        while first < xs.len() {
            let mut next = first + 1;
            let mut total = xs[first].numel();
            while next < xs.len() && (total + xs[next].numel()) * widest <= TOGETHER {
                total += xs[next].numel();
                next += 1;
            }
            let block = &xs[first..next];
            let at_once = (BATCH / block.iter().map(Tensor::numel).fold(widest, usize::max).max(1)).clamp(1, total.max(1));
            let mut parts: Vec<Vec<Tensor<T>>> = vec![Vec::new(); ys.len()];
            for start in (0..total).step_by(at_once) {
                let many = at_once.min(total - start);
                let mut tangents = vec![Directions::Zero; xs.len()];
                let mut before = 0;
                for (k, x) in (first..).zip(block) {
                    let of = start.max(before)..(start + many).min(before + x.numel());
                    if !of.is_empty() {
                        let (first, of) = (of.start - before, of.start - start..of.end - start);
                        let shape = Dims::from_slice(x.shape());
                        let tangent = Identity { dtype: T::DTYPE, device: x.device(), shape, first };
                        let piece = Piece { of, tangent: Tangent::Identity(Box::new(tangent)) };
                        tangents[k] = Directions::Pieces(vec![piece]);
                    }
                    before += x.numel();
                }
                let pushed = forward.push(tangents, Some(many), create_graph)?;
                for ((parts, t), y) in parts.iter_mut().zip(pushed).zip(ys) {
                    let zeros = || Tensor::zeros_on(&y.device(), [many].iter().chain(y.shape()).copied().collect::<Vec<_>>());
                    parts.push(t.map_or_else(zeros, |t| Ok(t.tensor()))?);
                }
            }
            for ((found, parts), y) in found.iter_mut().zip(parts).zip(ys) {
                let all = match &parts[..] {
                    [] => Tensor::zeros_on(&y.device(), [0, y.numel()])?,
                    [only] => only.reshape([total, y.numel()])?,
                    all => Tensor::cat(all, 0)?.reshape([total, y.numel()])?,
                };
                let mut before = 0;
                for x in block {
                    let own = all.narrow(0, before, x.numel())?.t()?;
                    found.push(own.reshape(y.shape().iter().chain(x.shape()).copied().collect::<Vec<_>>())?);
                    before += x.numel() as isize;
                }
            }
            first = next;
        }
        Ok(found)
    }
}

compiled_once! {
    /// The gradient of each element of `y` with respect to each of `xs`, stacked; None where there is none.
    fn lines<T: Float>(y: &Tensor<T>, xs: &[Tensor<T>], create_graph: bool) -> Result<Vec<Option<Tensor<T>>>> {
        let m = y.numel();
        let widest = xs.iter().map(Tensor::numel).fold(m, usize::max);
        let at_once = (BATCH / widest).clamp(1, m);
        let wrt: Vec<&Tensor<T>> = xs.iter().collect();
        let mut batches: Vec<Vec<Tensor<T>>> = vec![Vec::new(); xs.len()];
        for start in (0..m).step_by(at_once) {
            let rows = at_once.min(m - start);
            let cotangent = Some(identity(y.device(), y.shape(), start, rows)?);
            let options = GradOptions { create_graph, retain_graph: true, cotangent, batched: true };
            for (batches, g) in batches.iter_mut().zip(grad_with(y, &wrt, options)?) {
                batches.extend(g);
            }
        }
        let joined = |batches: Vec<Tensor<T>>| match &batches[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            batches => Tensor::cat(&batches.iter().collect::<Vec<_>>(), 0).map(Some),
        };
        batches.into_iter().map(joined).collect()
    }
}

/// The Jacobian of `f` at `x`: the shape of the value followed by the shape of `x`. Where `x` is several
/// tensors, so is the Jacobian, in their structure; where the value is, there is one of these for each
/// of its tensors, in its structure.
///
/// ```
/// use tapegrad::{Tensor, jacobian};
/// let j = jacobian(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!(j.to_vec(), [2.0, 0.0, 0.0, 4.0]);
///
/// let f = |(a, b): &(Tensor, Tensor)| Ok((a * b, b.sum()));
/// let (product, sum) = jacobian(f, &(Tensor::scalar(3.0), Tensor::from([1.0, 2.0])))?;
/// assert_eq!((product.0.to_vec(), product.1.to_vec()), (vec![1.0, 2.0], vec![3.0, 0.0, 0.0, 3.0]));
/// assert_eq!((sum.0.to_vec(), sum.1.to_vec()), (vec![0.0], vec![1.0, 1.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns.
#[doc(alias("jacrev", "jacfwd"))]
#[track_caller]
pub fn jacobian<T: Float, P: Params<T>, Q: Params<T>>(
    f: impl FnOnce(&P) -> Result<Q>,
    x: &P,
) -> Result<Q::Structure<P>> {
    Ok(value_and_jacobian(f, x)?.1)
}

/// The Hessian of a scalar function at `x`: the shape of `x` twice. Where `x` is several tensors, it is
/// a structure of structures: second derivatives by each tensor, and by each tensor again.
///
/// ```
/// use tapegrad::{Tensor, hessian};
/// let h = hessian(|x: &Tensor| Ok(x.powf(3.0).sum()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!(h.to_vec(), [6.0, 0.0, 0.0, 12.0]);
///
/// let f = |(a, b): &(Tensor, Tensor)| Ok(a.square() * b);
/// let ((aa, ab), (ba, bb)) = hessian(f, &(Tensor::scalar(3.0), Tensor::scalar(5.0)))?;
/// assert_eq!([aa.item()?, ab.item()?, ba.item()?, bb.item()?], [10.0, 6.0, 6.0, 0.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element.
#[track_caller]
pub fn hessian<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
) -> Result<P::Structure<P>> {
    Ok(value_grad_hessian(f, x)?.2)
}

/// The product of a scalar function's Hessian at `x` with `v`, without forming the Hessian. It is the product alone:
/// [`value_grad_hvp`] gives the value and the gradient with it.
///
/// ```
/// use tapegrad::{Tensor, hvp};
/// let x = Tensor::from([1.0, 2.0]);
/// let product = hvp(|x: &Tensor| Ok(x.powf(3.0).sum()), &x, &Tensor::from([1.0, 10.0]))?;
/// assert_eq!(product.to_vec(), [6.0, 120.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element or `v` not the shapes of `x`.
#[doc(alias = "vhp")]
#[track_caller]
pub fn hvp<T: Float, P: Params<T>>(f: impl FnOnce(&P) -> Result<Tensor<T>>, x: &P, v: &P) -> Result<P> {
    Ok(value_grad_hvp(f, x, v)?.2)
}
