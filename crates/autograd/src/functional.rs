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
struct Transform {
    number: u64,
    /// Whether the caller records, so that an outer derivative may ask for more.
    recorded: bool,
}

impl Transform {
    fn begin() -> Self {
        let number = TRANSFORMS.fetch_add(1, Ordering::Relaxed) + 1;
        Transform { number, recorded: is_grad_enabled() }
    }

    /// A tensor to differentiate with respect to.
    fn variable<T: Float>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
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

/// The derivatives of every element of `y` with respect to `x`, one row for each element.
#[track_caller]
fn rows<T: Float>(y: &Tensor<T>, x: &Tensor<T>, nested: bool) -> Result<Tensor<T>> {
    let m = y.numel();
    let shape: Vec<usize> = y.shape().iter().chain(x.shape()).copied().collect();
    let mut rows = Vec::with_capacity(m);
    for i in 0..m {
        let mut basis = vec![T::ZERO; m];
        basis[i] = T::ONE;
        let cotangent = Some(Tensor::from_vec(basis, y.shape())?);
        let options = GradOptions { retain_graph: true, create_graph: nested, cotangent };
        rows.push(grad_with(y, &[x], options)?.swap_remove(0).unwrap_or_else(|| x.zeros_like()));
    }
    match rows.is_empty() {
        true => Tensor::try_full(shape, T::ZERO),
        false => Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)?.reshape(shape),
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
    rows(&y, &x, transform.nested(&y))
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
    rows(&gradient, &x, transform.nested(&gradient))
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
