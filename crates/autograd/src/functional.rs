//! Derivatives of functions: the transforms that optimization code calls.

use crate::backward::{GradOptions, GraphUse, asked, grad_with, grads_of};
use crate::forward::Forward;
use crate::mode::{enable_grad, is_grad_enabled};
use crate::node::{Cotangent, Edge};
use crate::op::{Kept, Op, apply};
use crate::params::Params;
use crate::reads::Reads;
use crate::tensor::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Element, Error, Float, Layout, Result, compiled_once, kernels};

/// The input under a node of its own: what an inner derivative is taken with respect to, while an
/// outer one still sees through it.
struct Alias;

impl<T: Element> Op<T, 1> for Alias {
    fn name(&self) -> &'static str {
        "alias"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        Ok(x.clone())
    }
    fn batches(&self) -> bool {
        true
    }
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, t: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        kept.elementwise(self, t)
    }
}

compiled_once! {
    fn variable<T: Float>(transform: &Transform, x: &Tensor<T>) -> Result<Tensor<T>> {
        match x.is_tracked() && transform.recorded {
            true => apply(Alias, [x]),
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
    fn variables<T: Float, P: Params<T>>(&self, x: &P) -> Result<Vec<Tensor<T>>> {
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
    fn nested<T: Float>(&self, y: &Tensor<T>) -> bool {
        self.recorded && y.edge().is_some_and(|edge| edge.since() < self.number)
    }
}

/// A function's value, as structures of tensors go, and what is needed to differentiate it.
struct Evaluation<T: Float, Q> {
    /// Detached where nothing outside asks for its derivatives.
    value: Q,
    /// The tensors of the value, as they were computed.
    ys: Vec<Tensor<T>>,
    nested: bool,
}

impl<T: Float, Q: Params<T>> Evaluation<T, Q> {
    fn new(transform: &Transform, variables: &[Tensor<T>], f: impl FnOnce() -> Result<Q>) -> Result<Self> {
        let (value, ys) = transform.run(variables, f)?;
        let nested = ys.iter().any(|y| transform.nested(y));
        let value = if nested { value } else { value.rebuild(ys.iter().map(Tensor::detach).collect()) };
        Ok(Evaluation { value, ys, nested })
    }
}

compiled_once! {
    /// The gradients of `ys` for their cotangents, zeros where they do not depend on a variable.
    fn filled<T: Float>(
        ys: &[Tensor<T>],
        cotangents: Vec<Option<Tensor<T>>>,
        variables: &[Tensor<T>],
        create_graph: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let graph = if create_graph { GraphUse::Create } else { GraphUse::Consume };
        let grads = grads_of(ys, cotangents, variables, graph)?;
        Ok(grads.into_iter().zip(variables).map(|(g, v)| g.unwrap_or_else(|| v.zeros_like())).collect())
    }
}

compiled_once! {
    /// An error where `v` does not have the shapes of `x`.
    fn same_shapes<T: Float>(
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
    let grads = asked(filled(&y.ys, vec![None], &variables, y.nested))?;
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
    let grads = asked(filled(&y.ys, cotangents, &variables, create_graph))?;
    Ok((y.value, x.rebuild(grads)))
}

/// The value of `f` at `x`, and the product of its Jacobian there with the direction `v`, which has the
/// structure of `x`; see [`vjp`] for the other side, and [`hvp`] for the Hessian, whose product comes alone. The direction is
/// pushed forward through the operations that `f` recorded.
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
    let products = asked(pushed(&y.ys, &variables, directions, None, create_graph))?;
    let products = y.value.rebuild(products);
    Ok((y.value, products))
}

compiled_once! {
    /// The tangents of `ys` for those of the variables, `many` at once along a first dimension.
    fn pushed<T: Float>(
        ys: &[Tensor<T>],
        variables: &[Tensor<T>],
        directions: Vec<Tensor<T>>,
        many: Option<usize>,
        create_graph: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let forward = between(ys, variables, !create_graph)?;
        let of_constants = |v: Tensor<T>| Some(Cotangent::new(if create_graph { v } else { v.detach() }));
        let tangents = forward.push(directions.into_iter().map(of_constants).collect(), many, create_graph)?;
        let whole = |(t, y): (Option<Cotangent>, &Tensor<T>)| match t {
            Some(t) => Ok(t.tensor()),
            None => Tensor::zeros_on(&y.device(), many.iter().chain(y.shape()).copied().collect::<Vec<usize>>()),
        };
        tangents.into_iter().zip(ys).map(whole).collect()
    }

    fn between<T: Float>(ys: &[Tensor<T>], variables: &[Tensor<T>], consume: bool) -> Result<Forward> {
        let results: Vec<Option<&Edge>> = ys.iter().map(Tensor::edge).collect();
        Forward::new(&results, &variables.iter().filter_map(Tensor::edge).collect::<Vec<_>>(), consume)
    }
}

compiled_once! {
    /// One row for each of many cotangents or directions, in the shape of a tensor.
    fn rows_of<T: Float>(op: &'static str, rows: &Tensor<T>, of: &Tensor<T>) -> Result<Tensor<T>> {
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
    let products = asked(products())?;
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
        grad_with(y, &[x], options)?.swap_remove(0).map_or_else(nothing, Ok)
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
    let many = directions.shape()[0];
    if many == 0 {
        let nothing: Vec<usize> = [0].iter().chain(y.value.shape()).copied().collect();
        return Ok((y.value, Tensor::zeros_on(&x.device(), nothing)?));
    }
    let mut products = asked(pushed(&y.ys, &[variable], vec![directions], Some(many), create_graph))?;
    Ok((y.value, products.swap_remove(0)))
}

/// Elements of one batch of cotangents: so many rows are differentiated at once that what belongs to an
/// operation stays in a core's cache, and its recording and opening are shared.
const BATCH: usize = 1 << 14;

compiled_once! {
    /// The derivatives of every element of `y` with respect to every element of `xs`: a tensor for each of
    /// these, of the shape of `y` followed by its own, and zero where `y` does not depend on it. Rows are
    /// formed many at a time by backward passes; columns, where `xs` have far fewer elements than `y`, by pushing
    /// directions forward.
    fn derivatives<T: Float>(transform: &Transform, y: &Tensor<T>, xs: &[Tensor<T>]) -> Result<Vec<Tensor<T>>> {
        let (m, n) = (y.numel(), xs.iter().map(Tensor::numel).sum::<usize>());
        let shape = |x: &Tensor<T>| -> Vec<usize> { y.shape().iter().chain(x.shape()).copied().collect() };
        let nothing = |x: &Tensor<T>| Tensor::zeros_on(&x.device(), shape(x));
        if m == 0 || n == 0 || !y.is_tracked() {
            return xs.iter().map(nothing).collect();
        }
        let create_graph = transform.nested(y);
        if 2 * n >= m {
            let lines = lines(y, xs, create_graph)?;
            let rows =
                lines.into_iter().zip(xs).map(|(lines, x)| lines.map_or(nothing(x), |l| l.reshape(shape(x))));
            return rows.collect();
        }
        let forward = between(std::slice::from_ref(y), xs, false)?;
        let columns = |(k, x): (usize, &Tensor<T>)| {
            let mut all: Vec<Tensor<T>> = Vec::new();
            let at_once = (BATCH / m.max(x.numel())).clamp(1, x.numel().max(1));
            for start in (0..x.numel()).step_by(at_once) {
                let many = at_once.min(x.numel() - start);
                let mut tangents = vec![None; xs.len()];
                tangents[k] = Some(Cotangent::new(basis(x, start, many)?));
                // Columns beyond the first are zero where that is: the graph does not lead there.
                let Some(t) = forward.push(tangents, Some(many), create_graph)?.swap_remove(0) else {
                    return nothing(x);
                };
                all.push(t.tensor());
            }
            match &all[..] {
                [] => nothing(x),
                [only] => Ok(only.clone()),
                all => Tensor::cat(all, 0),
            }?
            .reshape([x.numel(), m])?
            .t()?
            .reshape(shape(x))
        };
        xs.iter().enumerate().map(columns).collect()
    }

    /// Rows `start` and so on of the identity, each in the shape of `x`.
    fn basis<T: Float>(x: &Tensor<T>, start: usize, rows: usize) -> Result<Tensor<T>> {
        // Ones at (0, start), (1, start + 1), and so on.
        let n = x.numel();
        let places = Layout::row_major(Dims::from_slice(&[rows, n])).diagonal(start as isize, [0, 1]);
        let ones = Array::repeat_on(x.device(), &[rows], T::ONE)?;
        let basis = kernels::embed("jacobian", &[rows, n], &places, &ones)?;
        Tensor::from(basis).reshape([rows].iter().chain(x.shape()).copied().collect::<Vec<usize>>())
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
            let cotangent = Some(basis(y, start, rows)?);
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
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let (y, ys) = transform.run(&variables, || f(&x.rebuild(variables.clone())))?;
    let rows = ys.into_iter().map(|y| Ok(x.rebuild(derivatives(&transform, &y, &variables)?)));
    Ok(y.structure(asked(rows.collect::<Result<_>>())?))
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
    let (transform, variables, gradient) = asked(gradient(f, x))?;
    let rows = gradient.iter().map(|g| Ok(x.rebuild(derivatives(&transform, g, &variables)?)));
    Ok(x.structure(asked(rows.collect::<Result<_>>())?))
}

/// The product of a scalar function's Hessian at `x` with `v`, without forming the Hessian. It is the product alone, where
/// [`vjp`] and [`jvp`] give the function's value with theirs, and [`value_and_grad`] gives it with the gradient.
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
    let directions = v.tensors();
    same_shapes("hvp", "a direction", &directions, "x", &x.tensors()).at_caller()?;
    let (transform, variables, gradient) = asked(gradient(f, x))?;
    let nested = gradient.iter().chain(&directions).any(|t| transform.nested(t));
    let directions = directions.into_iter().map(Some).collect();
    let products = asked(filled(&gradient, directions, &variables, nested))?;
    Ok(x.rebuild(products))
}

/// A transform, its variables, and a gradient that is to be differentiated with respect to them.
type Gradient<T> = (Transform, Vec<Tensor<T>>, Vec<Tensor<T>>);

/// The gradient of a scalar function, recorded.
#[track_caller]
fn gradient<T: Float, P: Params<T>>(f: impl FnOnce(&P) -> Result<Tensor<T>>, x: &P) -> Result<Gradient<T>> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let (_, gradient) = enable_grad(|| value_and_grad(f, &x.rebuild(variables.clone())))?;
    Ok((transform, variables, gradient.tensors()))
}
