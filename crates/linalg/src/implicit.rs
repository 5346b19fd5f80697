//! Derivatives of what a solver found, with respect to the problem.

use crate::solve::solve;
use autograd::{Tensor, jacobian, value_and_grad};
use tensor_core::{Error, Float, Result};

/// The root `x` of `f`, found by any means, as a function of all that `f` captures: its derivatives are
/// those of the exact root, up to the third order.
///
/// Two steps of Newton's method, x - J^-1 f(x), from the root: they leave it where it is, and as each
/// step doubles the number of right digits, it doubles the number of right terms of the Taylor series
/// in the problem's parameters. The first step alone is the implicit function theorem,
/// dx = -J^-1 (df/dp) dp. The memory of the solver's own iterations is never needed.
///
/// ```
/// use tapegrad::{Tensor, hessian, value_and_grad};
/// use tapegrad::linalg::implicit_root;
/// // x^2 = p, solved by the standard library.
/// let root = |p: &Tensor| implicit_root(|x| x.square().try_sub(p), &Tensor::from([p.item()?.sqrt()]));
/// let (x, dx) = value_and_grad(|p| Ok(root(p)?.sum()), &Tensor::scalar(4.0))?;
/// assert_eq!((x.item()?, dx.item()?), (2.0, 0.25));
/// assert_eq!(hessian(|p| Ok(root(p)?.sum()), &Tensor::scalar(4.0))?.item()?, -1.0 / 32.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where it does not give as many elements as `x` has; singular, where the
/// Jacobian is, so that the root does not depend on the problem smoothly.
#[track_caller]
pub fn implicit_root<T: Float>(
    f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    let mut x = x.detach();
    let n = x.numel();
    for _ in 0..2 {
        let y = f(&x)?;
        if y.numel() != n {
            let message = format!(
                "f gives shape {:?} for x of shape {:?}: as many equations as unknowns are needed",
                y.shape(),
                x.shape()
            );
            return Err(Error::shape("implicit_root", message).at_caller());
        }
        let slopes = jacobian(&f, &x)?.reshape([n, n])?;
        let step = solve(&slopes, &y.flatten())?;
        x = x.try_sub(&step.reshape(x.shape())?)?;
    }
    Ok(x)
}

/// The minimum `x` of `f`, a scalar function, found by any means, as a function of all that `f`
/// captures: its derivatives are those of the exact minimum, up to the third order. The root of the
/// gradient, by [`implicit_root`].
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::linalg::implicit_argmin;
/// // (x - p)^2 + x^2 is least at x = p / 2.
/// let best = |p: &Tensor| {
///     implicit_argmin(|x| Ok((x - p).square().sum() + x.square().sum()), &Tensor::from([1.5]))
/// };
/// let (x, dx) = value_and_grad(|p| Ok(best(p)?.sum()), &Tensor::scalar(3.0))?;
/// assert_eq!((x.item()?, dx.item()?), (1.5, 0.5));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value is no scalar; singular, where the Hessian is.
#[track_caller]
pub fn implicit_argmin<T: Float>(
    f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    implicit_root(|x| Ok(value_and_grad(&f, x)?.1), x)
}
