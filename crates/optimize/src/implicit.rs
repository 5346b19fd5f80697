//! Solutions as functions of their problems.

use crate::minimize::{MinimizeOptions, Minimum, minimize_with};
use autograd::params::{flatten, unflatten};
use autograd::{Params, Tensor, no_grad};
use linalg::implicit_argmin;
use tensor_core::{AtCaller, Error, Result};

/// The minimum `x` of `f`, found by any solver of this crate or otherwise, as a function of all that `f` captures:
/// gradients flow through it by the implicit function theorem, whatever the solver did and without its memory
/// ([`linalg::implicit_argmin`], over any structure). For least squares `f` is the sum of squares.
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::optimize::{differentiable, minimize};
/// // (x - p)^2 + x^2 is least at p / 2.
/// let best = |p: &Tensor| {
///     let f = |x: &Tensor| Ok((x - p).square().sum() + x.square().sum());
///     let found = minimize(f, &Tensor::zeros([1]))?;
///     differentiable(f, &found.x)
/// };
/// let (x, slope) = value_and_grad(|p| Ok(best(p)?.sum()), &Tensor::scalar(3.0))?;
/// assert!((x.item()? - 1.5).abs() < 1e-12 && (slope.item()? - 0.5).abs() < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value is no scalar; singular, where the Hessian is.
#[track_caller]
pub fn differentiable<P: Params<f64>>(f: impl Fn(&P) -> Result<Tensor>, x: &P) -> Result<P> {
    // A dyn: what is done is compiled here.
    let over: &dyn Fn(&Tensor) -> Result<Tensor> = &|v| f(&unflatten(x, v)?);
    let found = implicit(over, &x.tensors()).called("differentiable")?;
    unflatten(x, &found)
}

fn implicit(f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &[Tensor]) -> Result<Tensor> {
    implicit_argmin(f, &flatten(&x.to_vec())?)
}

/// The minimum of `f` near `x0` as a function of all that `f` captures: [`minimize_with`], then [`differentiable`].
/// The minimum is found once, whatever is differentiated later.
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::optimize::{MinimizeOptions, minimize_implicit};
/// // A ridge regression of two points, and how its validation loss changes with the penalty.
/// let (a, b) = (Tensor::from([[1.0, 0.5], [0.2, 1.0]]), Tensor::from([1.0, 2.0]));
/// let validation = |penalty: &Tensor| {
///     let loss = |w: &Tensor| Ok((a.mv(w)? - &b).square().sum() + penalty.exp() * w.square().sum());
///     let w = minimize_implicit(loss, &Tensor::zeros([2]), MinimizeOptions::default())?;
///     Ok((w - Tensor::from([0.2, 1.5])).square().sum())
/// };
/// # use tapegrad::linalg::Linalg;
/// let (_, slope) = value_and_grad(validation, &Tensor::scalar(-1.0))?;
/// let step = 1e-5;
/// let at = |x: f64| validation(&Tensor::scalar(x))?.item();
/// let difference = (at(-1.0 + step)? - at(-1.0 - step)?) / (2.0 * step);
/// assert!((slope.item()? - difference).abs() < 1e-8);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`minimize_with`] and [`differentiable`]; not converged, where the solver met no tolerance, unless it stopped for
/// want of progress with no component of the gradient beyond `gtol`, or 1.5e-8 max(1, |f|), which is what rounding
/// leaves; argument, where there are bounds: the minimum does not depend smoothly on the problem where one begins to
/// hold.
#[track_caller]
pub fn minimize_implicit<P: Params<f64>>(
    f: impl Fn(&P) -> Result<Tensor>,
    x0: &P,
    options: MinimizeOptions<'_>,
) -> Result<P> {
    let (bounded, gtol) = (options.bounds.is_some(), options.gtol);
    let found: Minimum<P> = no_grad(|| minimize_with(&f, x0, options)).at_caller()?;
    usable(&found.report, bounded, gtol).at_caller()?;
    differentiable(f, &found.x)
}

fn usable(report: &crate::Report, bounded: bool, gtol: f64) -> Result<()> {
    let op = "minimize_implicit";
    if bounded {
        let message = "bounds: the minimum does not depend smoothly on the problem; map the parameters smoothly instead";
        return Err(Error::argument(op, message));
    }
    // Where rounding was all that was left, the solution is as good as it gets.
    let rounding = gtol.max(f64::EPSILON.sqrt() * report.value.abs().max(1.0));
    if report.converged() || (report.stop == crate::Stop::NoProgress && report.gradient_norm <= rounding) {
        return Ok(());
    }
    let message = format!(
        "no minimum was found: {}, where the gradient is {:.1e}: begin nearer, or choose another method or limits",
        report.stop, report.gradient_norm
    );
    Err(Error::new(tensor_core::ErrorKind::NotConverged, op, message))
}
