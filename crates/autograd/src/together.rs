//! Several derivatives of a function from one evaluation of it.

use crate::backward::asked;
use crate::functional::{Evaluation, Transform, derivatives, filled, same_shapes, value_and_grad};
use crate::mode::enable_grad;
use crate::params::Params;
use crate::tensor::Tensor;
use tensor_core::{AtCaller, Float, Result};

/// The value of `f` at `x` and its Jacobian there, as [`jacobian`](crate::jacobian) gives it, from one evaluation.
///
/// ```
/// use tapegrad::{Tensor, value_and_jacobian};
/// let (y, j) = value_and_jacobian(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!((y.to_vec(), j.to_vec()), (vec![1.0, 4.0], vec![2.0, 0.0, 0.0, 4.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns.
#[track_caller]
pub fn value_and_jacobian<T: Float, P: Params<T>, Q: Params<T>>(
    f: impl FnOnce(&P) -> Result<Q>,
    x: &P,
) -> Result<(Q, Q::Structure<P>)> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let y = Evaluation::new(&transform, &variables, || f(&x.rebuild(variables.clone())))?;
    let last = y.ys.len() == 1;
    let rows = y.ys.iter().map(|y| Ok(x.rebuild(derivatives(&transform, y, &variables, last)?)));
    let rows = asked(rows.collect::<Result<_>>())?;
    let jacobian = y.value.structure(rows);
    Ok((y.value, jacobian))
}

/// A scalar function's value and its gradient, which is to be differentiated with respect to the variables.
pub(crate) struct FirstOrder<T: Float> {
    pub transform: Transform,
    pub variables: Vec<Tensor<T>>,
    pub value: Tensor<T>,
    pub gradient: Vec<Tensor<T>>,
}

impl<T: Float> FirstOrder<T> {
    #[track_caller]
    pub fn new<P: Params<T>>(f: impl FnOnce(&P) -> Result<Tensor<T>>, x: &P) -> Result<Self> {
        let transform = Transform::begin();
        let variables = transform.variables(x)?;
        let (value, gradient) = enable_grad(|| value_and_grad(f, &x.rebuild(variables.clone())))?;
        Ok(FirstOrder { transform, variables, value, gradient: gradient.tensors() })
    }

    /// The value as it is given out; see [`Transform::settled`].
    pub fn settled(&self, t: &Tensor<T>) -> Tensor<T> {
        self.transform.settled(t.clone())
    }

    /// The gradient as it is given out, in the structure of `x`.
    pub fn settled_gradient<P: Params<T>>(&self, x: &P) -> P {
        x.rebuild(self.gradient.iter().map(|g| self.settled(g)).collect())
    }
}

/// The value of a scalar function at `x`, its gradient and its Hessian, as [`hessian`](crate::hessian) gives it, from one
/// evaluation.
///
/// ```
/// use tapegrad::{Tensor, value_grad_hessian};
/// let (y, g, h) = value_grad_hessian(|x: &Tensor| Ok(x.powf(3.0).sum()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!((y.item()?, g.to_vec(), h.to_vec()), (9.0, vec![3.0, 12.0], vec![6.0, 0.0, 0.0, 12.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element.
#[track_caller]
pub fn value_grad_hessian<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
) -> Result<(Tensor<T>, P, P::Structure<P>)> {
    let first = asked(FirstOrder::new(f, x))?;
    let rows = first
        .gradient
        .iter()
        .map(|g| Ok(x.rebuild(derivatives(&first.transform, g, &first.variables, false)?)));
    let rows = asked(rows.collect::<Result<_>>())?;
    Ok((first.settled(&first.value), first.settled_gradient(x), x.structure(rows)))
}

/// The value of a scalar function at `x`, its gradient, and the product of its Hessian with `v`, from one evaluation and
/// without forming the Hessian. For products with many vectors at one point there is
/// [`linearize_gradient`](crate::linearize_gradient).
///
/// ```
/// use tapegrad::{Tensor, value_grad_hvp};
/// let (x, v) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 10.0]));
/// let (y, g, hv) = value_grad_hvp(|x: &Tensor| Ok(x.powf(3.0).sum()), &x, &v)?;
/// assert_eq!((y.item()?, g.to_vec(), hv.to_vec()), (9.0, vec![3.0, 12.0], vec![6.0, 120.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element or `v` not the shapes of `x`.
#[doc(alias = "value_and_hvp")]
#[track_caller]
pub fn value_grad_hvp<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
    v: &P,
) -> Result<(Tensor<T>, P, P)> {
    let directions = v.tensors();
    same_shapes("hvp", "a direction", &directions, "x", &x.tensors()).at_caller()?;
    let first = asked(FirstOrder::new(f, x))?;
    let nested = first.gradient.iter().chain(&directions).any(|t| first.transform.nested(t));
    // The Hessian is symmetric; a backward pass through the gradient measured faster than a walk forward.
    let directions = directions.into_iter().map(Some).collect();
    let products = asked(filled(&first.transform, &first.gradient, directions, &first.variables, nested))?;
    Ok((first.settled(&first.value), first.settled_gradient(x), x.rebuild(products)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gradcheck, gradgradcheck, hessian, hvp, jacobian};
    use std::cell::Cell;
    use tensor_core::{Error, ErrorKind};

    #[test]
    fn one_evaluation_gives_what_several_transforms_give() -> Result<()> {
        let runs = Cell::new(0);
        let f = |(a, b): &(Tensor, Tensor)| {
            runs.set(runs.get() + 1);
            Ok((a.try_mul(b)?.sin(), b.exp().sum()))
        };
        let x = (Tensor::from([0.3, 0.2]), Tensor::from([1.0, -0.5]));
        let ((y, s), (rows, last)) = value_and_jacobian(f, &x)?;
        assert_eq!(runs.replace(0), 1);
        let (expected, end) = jacobian(f, &x)?;
        assert_eq!((y.to_vec(), s.item()?), ((&x.0 * &x.1).sin().to_vec(), x.1.exp().sum().item()?));
        assert_eq!((rows.0.to_vec(), rows.1.to_vec()), (expected.0.to_vec(), expected.1.to_vec()));
        assert_eq!((last.0.to_vec(), last.1.to_vec()), (end.0.to_vec(), end.1.to_vec()));
        assert!(!y.is_tracked() && !rows.0.is_tracked());

        let scalar = |x: &(Tensor, Tensor)| Ok(f(x)?.0.sum() * f(x)?.1);
        runs.set(0);
        let (value, gradient, h) = value_grad_hessian(scalar, &x)?;
        assert_eq!(runs.replace(0), 2);
        let (same, g) = value_and_grad(scalar, &x)?;
        assert_eq!(
            (value.item()?, gradient.0.to_vec(), gradient.1.to_vec()),
            (same.item()?, g.0.to_vec(), g.1.to_vec())
        );
        assert_eq!(h.0.1.to_vec(), hessian(scalar, &x)?.0.1.to_vec());
        assert!(!value.is_tracked() && !gradient.0.is_tracked() && !h.0.0.is_tracked());
        runs.set(0);
        let (_, gradient, product) = value_grad_hvp(scalar, &x, &x)?;
        assert_eq!((runs.get(), gradient.0.to_vec()), (2, g.0.to_vec()));
        assert_eq!(product.1.to_vec(), hvp(scalar, &x, &x)?.1.to_vec());
        Ok(())
    }

    #[test]
    fn every_part_is_differentiable_from_outside() -> Result<()> {
        let all = |v: &[Tensor]| {
            let f = |x: &Tensor| Ok((x * &v[1]).sin() * x.sum());
            let (y, j) = value_and_jacobian(f, &v[0])?;
            let (value, g, h) = value_grad_hessian(|x: &Tensor| Ok(f(x)?.sum()), &v[0])?;
            let (again, _, product) = value_grad_hvp(|x: &Tensor| Ok(f(x)?.sum()), &v[0], &v[1])?;
            Ok(y + j.sum_dim(0, false)? + g * value + h.sum_dim(1, false)? + product * again)
        };
        let at = [Tensor::from([0.2, 0.9]), Tensor::from([0.4, -0.3])];
        gradcheck(all, &at)?;
        gradgradcheck(all, &at)?;
        Ok(())
    }

    #[test]
    fn errors() {
        let x = Tensor::ones([2]);
        let kind = |e: Option<Error>| e.unwrap().kind();
        assert_eq!(kind(value_grad_hessian(|x: &Tensor| Ok(x.clone()), &x).err()), ErrorKind::Shape);
        assert_eq!(kind(value_grad_hvp(|x: &Tensor| Ok(x.clone()), &x, &x).err()), ErrorKind::Shape);
        let e = value_grad_hvp(|x: &Tensor| Ok(x.sum()), &x, &Tensor::ones([3])).err().unwrap();
        assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "hvp"));
        let mine = value_and_jacobian(|_: &Tensor| Err::<Tensor, _>(Error::other("mine")), &x);
        assert_eq!(mine.err().unwrap().to_string(), "mine");
    }
}
