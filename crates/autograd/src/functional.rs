//! Derivatives of functions: the transforms that optimization code calls.

use crate::backward::{GradOptions, grad_with};
use crate::mode::{enable_grad, is_grad_enabled};
use crate::op::{Kept, Op, apply};
use crate::tape::Edge;
use crate::tensor::Tensor;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use tensor_core::{Array, Element, Error, Float, Result};

/// What a function of several tensors takes: one tensor, or a tuple, array or vector of them.
pub trait Params<T: Float>: Sized {
    /// The tensors, in order.
    fn tensors(&self) -> Vec<Tensor<T>>;
    /// The same structure around other tensors, as many as [`Params::tensors`] gave.
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self;
}

impl<T: Float> Params<T> for Tensor<T> {
    fn tensors(&self) -> Vec<Tensor<T>> {
        vec![self.clone()]
    }
    fn rebuild(&self, mut tensors: Vec<Tensor<T>>) -> Self {
        tensors.swap_remove(0)
    }
}

impl<T: Float> Params<T> for Vec<Tensor<T>> {
    fn tensors(&self) -> Vec<Tensor<T>> {
        self.clone()
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        tensors
    }
}

impl<T: Float, const N: usize> Params<T> for [Tensor<T>; N] {
    fn tensors(&self) -> Vec<Tensor<T>> {
        self.to_vec()
    }
    fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
        let mut tensors = tensors.into_iter();
        self.clone().map(|old| tensors.next().unwrap_or(old))
    }
}

macro_rules! tuple_params {
    ($($name:ident $index:tt),*) => {
        impl<T: Float, $($name: Params<T>),*> Params<T> for ($($name,)*) {
            fn tensors(&self) -> Vec<Tensor<T>> {
                let mut all = Vec::new();
                $( all.extend(self.$index.tensors()); )*
                all
            }
            fn rebuild(&self, tensors: Vec<Tensor<T>>) -> Self {
                let mut tensors = tensors.into_iter();
                ($( {
                    let n = self.$index.tensors().len();
                    self.$index.rebuild(tensors.by_ref().take(n).collect())
                }, )*)
            }
        }
    };
}
tuple_params!(A 0, B 1);
tuple_params!(A 0, B 1, C 2);
tuple_params!(A 0, B 1, C 2, D 3);

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
    fn vjp(&self, _: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
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
        match x.is_tracked() && self.recorded {
            true => apply(Alias, [x]),
            false => {
                let edge = Edge::leaf(x.shape(), self.number);
                Ok(Tensor::from_parts(x.array().clone(), Some(edge)))
            }
        }
    }

    /// [`Transform::variable`], for every tensor of a structure.
    fn variables<T: Float, P: Params<T>>(&self, x: &P) -> Result<Vec<Tensor<T>>> {
        x.tensors().iter().map(|x| self.variable(x)).collect()
    }

    /// Whether `y` depends on what was tracked before the transform began: on a variable of an outer
    /// transform or on a leaf, given to the function or captured by it. What is computed from `y`
    /// must then be differentiable in turn.
    fn nested<T: Float>(&self, y: &Tensor<T>) -> bool {
        self.recorded && y.edge().is_some_and(|edge| edge.since() < self.number)
    }
}

/// The gradients of `y`, zeros where it does not depend on a variable.
#[track_caller]
fn filled<T: Float>(
    y: &Tensor<T>,
    variables: &[Tensor<T>],
    create_graph: bool,
    cotangent: Option<Tensor<T>>,
) -> Result<Vec<Tensor<T>>> {
    let wrt: Vec<&Tensor<T>> = variables.iter().collect();
    let grads = grad_with(y, &wrt, GradOptions { create_graph, cotangent, ..Default::default() })?;
    Ok(grads.into_iter().zip(variables).map(|(g, v)| g.unwrap_or_else(|| v.zeros_like())).collect())
}

/// The value of `f` at `x`, a scalar, and its gradient, in the structure of `x`.
///
/// ```
/// use autograd::{Tensor, value_and_grad};
/// let x = Tensor::from([3.0, 4.0]);
/// let (value, gradient) = value_and_grad(|x| Ok(x.square().sum()), &x)?;
/// assert_eq!(value.item()?, 25.0);
/// assert_eq!(gradient.to_vec(), [6.0, 8.0]);
///
/// let (_, (da, db)) = value_and_grad(|(a, b)| Ok(a * b), &(Tensor::scalar(2.0), Tensor::scalar(5.0)))?;
/// assert_eq!((da.item()?, db.item()?), (5.0, 2.0));
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element.
#[track_caller]
pub fn value_and_grad<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
) -> Result<(Tensor<T>, P)> {
    let here = Location::caller();
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let y = enable_grad(|| f(&x.rebuild(variables.clone())))?;
    if y.numel() != 1 {
        let message = format!("the function's value has shape {:?}: a scalar is needed", y.shape());
        return Err(Error::shape("value_and_grad", message).at(here));
    }
    let nested = transform.nested(&y);
    let grads = x.rebuild(filled(&y, &variables, nested, None)?);
    Ok((if nested { y } else { y.detach() }, grads))
}

/// The value of `f` at `x`, and the product of `cotangent`, in the value's shape, with the Jacobian.
///
/// # Errors
/// What `f` returns; shape, where the cotangent has another one than the value.
#[track_caller]
pub fn vjp<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
    cotangent: &Tensor<T>,
) -> Result<(Tensor<T>, P)> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let y = enable_grad(|| f(&x.rebuild(variables.clone())))?;
    let nested = transform.nested(&y);
    let create_graph = nested || transform.nested(cotangent);
    let grads = filled(&y, &variables, create_graph, Some(cotangent.clone()))?;
    Ok((if nested { y } else { y.detach() }, x.rebuild(grads)))
}

/// The product of `f`'s Jacobian at `x` with the direction `v`, which has the structure of `x`; and the
/// value. Made of two backward passes: the first is linear in its cotangent, and the second transposes
/// it (Townsend, "A new trick for calculating Jacobian vector products", 2017).
///
/// ```
/// use autograd::{Tensor, jvp};
/// let (y, dy) = jvp(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 3.0]), &Tensor::from([1.0, 10.0]))?;
/// assert_eq!((y.to_vec(), dy.to_vec()), (vec![1.0, 9.0], vec![2.0, 60.0]));
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where `v` does not have the shapes of `x`.
#[track_caller]
pub fn jvp<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
    v: &P,
) -> Result<(Tensor<T>, Tensor<T>)> {
    let here = Location::caller();
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let directions = v.tensors();
    for (x, v) in variables.iter().zip(&directions) {
        if x.shape() != v.shape() {
            let message =
                format!("a direction of shape {:?} does not fit x of shape {:?}", v.shape(), x.shape());
            return Err(Error::shape("jvp", message).at(here));
        }
    }
    let y = enable_grad(|| f(&x.rebuild(variables.clone())))?;
    let nested = transform.nested(&y);
    let create_graph = nested || directions.iter().any(|v| transform.nested(v));
    let pullback = Pullback::new(&transform, &y, &variables)?;
    let mut product: Option<Tensor<T>> = None;
    for (g, v) in pullback.results.iter().zip(&directions) {
        if let Some(g) = g {
            let options = GradOptions { create_graph, cotangent: Some(v.clone()), retain_graph: true };
            if let Some(part) = grad_with(g, &[&pullback.cotangent], options)?.swap_remove(0) {
                product = Some(match product {
                    Some(sum) => enable_grad(|| sum.try_add(&part))?,
                    None => part,
                });
            }
        }
    }
    let product = product.unwrap_or_else(|| y.zeros_like());
    Ok((if nested { y } else { y.detach() }, if create_graph { product } else { product.detach() }))
}

/// A backward pass as a function of its cotangent, in which it is linear.
struct Pullback<T: Float> {
    cotangent: Tensor<T>,
    /// None for a variable that takes no part.
    results: Vec<Option<Tensor<T>>>,
}

impl<T: Float> Pullback<T> {
    fn new(transform: &Transform, y: &Tensor<T>, variables: &[Tensor<T>]) -> Result<Self> {
        let u = transform.variable(&y.detach().zeros_like())?;
        let wrt: Vec<&Tensor<T>> = variables.iter().collect();
        let options = GradOptions { create_graph: true, cotangent: Some(u.clone()), retain_graph: true };
        Ok(Pullback { results: grad_with(y, &wrt, options)?, cotangent: u })
    }
}

/// The derivatives of every element of `y` with respect to `x`: row by row, in a backward pass for
/// each element of `y`; or column by column where `x` has so few elements that this takes less, since a
/// column is a backward pass through the backward pass, of up to three times the operations.
#[track_caller]
fn derivatives<T: Float>(transform: &Transform, y: &Tensor<T>, x: &Tensor<T>) -> Result<Tensor<T>> {
    let create_graph = transform.nested(y);
    let shape: Vec<usize> = y.shape().iter().chain(x.shape()).copied().collect();
    let (m, n) = (y.numel(), x.numel());
    if m == 0 || n == 0 || !y.is_tracked() {
        return Tensor::try_full(shape, T::ZERO);
    }
    let by_columns = 3 * n < m;
    let (from, to) = if by_columns {
        let Pullback { cotangent, mut results } = Pullback::new(transform, y, std::slice::from_ref(x))?;
        let Some(result) = results.swap_remove(0) else { return Tensor::try_full(shape, T::ZERO) };
        (result, cotangent)
    } else {
        (y.clone(), x.clone())
    };
    let mut lines = Vec::with_capacity(from.numel());
    for i in 0..from.numel() {
        let mut basis = vec![T::ZERO; from.numel()];
        basis[i] = T::ONE;
        let cotangent = Some(Tensor::from_vec(basis, from.shape())?);
        let options = GradOptions { retain_graph: true, create_graph, cotangent };
        lines.push(grad_with(&from, &[&to], options)?.swap_remove(0).unwrap_or_else(|| to.zeros_like()));
    }
    let lines = Tensor::stack(&lines.iter().collect::<Vec<_>>(), 0)?;
    match by_columns {
        false => lines.reshape(shape),
        true => lines.reshape([n, m])?.t()?.reshape(shape),
    }
}

/// The Jacobian of `f` at `x`: the shape of the value followed by the shape of `x`.
///
/// ```
/// use autograd::{Tensor, jacobian};
/// let j = jacobian(|x| Ok(x.square()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!(j.to_vec(), [2.0, 0.0, 0.0, 4.0]);
/// let third = jacobian(|x| jacobian(|x| jacobian(|x| Ok(x.powf(3.0)), x), x), &Tensor::scalar(2.0))?;
/// assert_eq!(third.item()?, 6.0);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// What `f` returns.
#[track_caller]
pub fn jacobian<T: Float>(
    f: impl FnOnce(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    let transform = Transform::begin();
    let x = transform.variable(x)?;
    let y = enable_grad(|| f(&x))?;
    derivatives(&transform, &y, &x)
}

/// The Hessian of a scalar function at `x`: the shape of `x` twice.
///
/// ```
/// use autograd::{Tensor, hessian};
/// let h = hessian(|x| Ok(x.powf(3.0).sum()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!(h.to_vec(), [6.0, 0.0, 0.0, 12.0]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element.
#[track_caller]
pub fn hessian<T: Float>(
    f: impl FnOnce(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    let transform = Transform::begin();
    let x = transform.variable(x)?;
    let (_, gradient) = enable_grad(|| value_and_grad(f, &x))?;
    derivatives(&transform, &gradient, &x)
}

/// The product of a scalar function's Hessian at `x` with `v`, without forming the Hessian.
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element or `v` not the shape of `x`.
#[track_caller]
pub fn hvp<T: Float>(
    f: impl FnOnce(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
    v: &Tensor<T>,
) -> Result<Tensor<T>> {
    let transform = Transform::begin();
    let x = transform.variable(x)?;
    let (_, gradient) = enable_grad(|| value_and_grad(f, &x))?;
    let nested = transform.nested(&gradient) || transform.nested(v);
    Ok(filled(&gradient, std::slice::from_ref(&x), nested, Some(v.clone()))?.swap_remove(0))
}
