//! The minimum of a function, in one call.

mod augmented;
mod cauchy;
mod lbfgs;
mod line_search;
mod newton;
pub(crate) mod objective;
mod quadratic;
mod search;
mod sqp;
mod trust;

pub use augmented::Constraint;

use crate::bounds::{Bounds, Limits};
use crate::flat::{self, Flat};
use crate::report::{Callback, Report, Stop};
use augmented::Multipliers;
use autograd::{Params, Tensor};
use objective::{Function, Halt, Objective};
use search::{Search, Tolerances};
use std::fmt;
use tensor_core::{AtCaller, Error, Result};
use trust::Subproblem;

/// How a minimum is looked for.
///
/// | method | per iteration | bounds | constraints |
/// |---|---|---|---|
/// | `Lbfgs` | a gradient | yes | augmented Lagrangian |
/// | `NewtonCg`, `TrustNcg` | a gradient, and products of the Hessian with vectors | no | augmented Lagrangian |
/// | `TrustExact` | a gradient, a Hessian and its eigenvalues | no | augmented Lagrangian |
/// | `Slsqp` | gradients of function and constraints, and a quadratic program | yes | yes |
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{Method, MinimizeOptions, minimize_with};
/// let rosenbrock = |x: &Tensor| {
///     let (a, b) = (x.select(0, 0)?, x.select(0, 1)?);
///     Ok((&b - a.square()).square() * 100.0 + (&a - 1.0).square())
/// };
/// let options = MinimizeOptions { method: Method::TrustExact, ..Default::default() };
/// let found = minimize_with(rosenbrock, &Tensor::from([-1.2, 1.0]), options)?;
/// assert!(found.x.try_sub(&Tensor::ones([2]))?.abs().max()?.item()? < 1e-6);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Limited-memory BFGS with the line search of Moré and Thuente; with bounds, L-BFGS-B.
    #[doc(alias("L-BFGS-B", "BFGS"))]
    #[default]
    Lbfgs,
    /// Newton's method with conjugate gradients and a line search.
    #[doc(alias = "Newton-CG")]
    NewtonCg,
    /// Newton's method in a trust region, with conjugate gradients after Steihaug.
    #[doc(alias = "trust-ncg")]
    TrustNcg,
    /// Newton's method in a trust region, with the Hessian and its eigenvalues: for up to some hundred parameters.
    #[doc(alias = "trust-exact")]
    TrustExact,
    /// Sequential quadratic programming with a dense Hessian by BFGS: the fewest evaluations with constraints, for up
    /// to some hundred parameters and constraints.
    #[doc(alias = "SLSQP")]
    Slsqp,
}

impl Method {
    fn name(self, bounded: bool) -> &'static str {
        match self {
            Method::Lbfgs if bounded => "L-BFGS-B",
            Method::Lbfgs => "L-BFGS",
            Method::NewtonCg => "Newton-CG",
            Method::TrustNcg => "trust region, Newton-CG",
            Method::TrustExact => "trust region, exact",
            Method::Slsqp => "sequential quadratic programming",
        }
    }
}

/// How [`minimize_with`] looks for a minimum and when it stops. The names and defaults are those of SciPy's L-BFGS-B.
///
/// ```
/// use tapegrad::optimize::MinimizeOptions;
/// let precise = MinimizeOptions { gtol: 1e-10, ftol: 0.0, ..Default::default() };
/// # let _ = precise;
/// ```
pub struct MinimizeOptions<'a> {
    /// The method.
    pub method: Method,
    /// Bounds on the parameters: every point that is tried is within them, the first after projection.
    pub bounds: Option<Bounds>,
    /// How large each number of the parameters typically is, one tensor after another: solvers then work on x / scale,
    /// and the tolerance of the gradient is for the gradient by that.
    pub scale: Option<Vec<f64>>,
    /// Stops where no component of the (projected) gradient is larger.
    pub gtol: f64,
    /// Stops where a step changes the value by no more than this times the larger of |f| and 1; 0 for never. A step cut
    /// short by a trust region does not count.
    pub ftol: f64,
    /// Stops where a step changes no number by more than this times the largest; 0 for never.
    pub xtol: f64,
    /// With constraints: the largest violation that is left.
    pub ctol: f64,
    /// Steps at most.
    pub max_iterations: usize,
    /// Evaluations of value and gradient at most, those of line searches included.
    pub max_evaluations: usize,
    /// Steps that L-BFGS models the Hessian from.
    pub memory: usize,
    /// Called after each step.
    pub callback: Option<Box<Callback<'a>>>,
}

impl Default for MinimizeOptions<'_> {
    fn default() -> Self {
        MinimizeOptions {
            method: Method::Lbfgs,
            bounds: None,
            scale: None,
            gtol: 1e-5,
            ftol: 2.2e-9,
            xtol: 0.0,
            ctol: 1e-8,
            max_iterations: 15_000,
            max_evaluations: 15_000,
            memory: 10,
            callback: None,
        }
    }
}

/// Where a function is least, as far as the solver came: look at `report.stop`. It prints as its report.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::minimize;
/// let found = minimize(|x: &Tensor| Ok((x - 3.0).square().sum()), &Tensor::zeros([2]))?;
/// assert!(found.report.converged());
/// assert!(found.report.value < 1e-10);
/// println!("{found}");
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Minimum<P> {
    /// The parameters, constants.
    pub x: P,
    /// The gradient there; with constraints, that of the Lagrangian.
    pub gradient: P,
    /// One tensor for each constraint, of its shape: how much the minimum changes for a change of the constraint's
    /// right-hand side. Empty without constraints.
    pub multipliers: Vec<Tensor>,
    /// The largest violation of a constraint.
    pub violation: f64,
    /// How the solver ended.
    pub report: Report,
}

impl<P> fmt::Display for Minimum<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)?;
        match self.multipliers.is_empty() {
            true => Ok(()),
            false => write!(f, "\n  violation        {:.3e}", self.violation),
        }
    }
}

/// What a solver found, over one vector.
pub(crate) struct Found {
    pub(crate) x: Vec<f64>,
    pub(crate) gradient: Vec<f64>,
    pub(crate) report: Report,
}

/// A local minimum of `f` near `x0`: [`minimize_with`] and default options, so by L-BFGS.
///
/// ```
/// use tapegrad::{Tensor, params};
/// use tapegrad::optimize::minimize;
/// struct Line {
///     slope: Tensor,
///     offset: Tensor,
/// }
/// params!(Line { slope, offset });
/// let (x, y): (Tensor, Tensor) = (Tensor::from([0.0, 1.0, 2.0]), Tensor::from([1.0, 3.0, 5.0]));
/// let loss = |line: &Line| Ok((&line.slope * &x + &line.offset - &y).square().sum());
/// let found = minimize(loss, &Line { slope: Tensor::scalar(0.0), offset: Tensor::scalar(0.0) })?;
/// assert!((found.x.slope.item()? - 2.0).abs() < 1e-5 && (found.x.offset.item()? - 1.0).abs() < 1e-5);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`minimize_with`].
#[track_caller]
pub fn minimize<P: Params<f64>>(f: impl Fn(&P) -> Result<Tensor>, x0: &P) -> Result<Minimum<P>> {
    minimize_with(f, x0, MinimizeOptions::default())
}

/// A local minimum of the scalar function `f` near `x0`, which may be any structure of tensors, on any one device;
/// solvers work on vectors on the host.
///
/// A trial point at which the value or the gradient is NaN or infinite is a step too long, so a function may have a
/// domain with an edge. An evaluation gives value and gradient. What stopped the solver is in the report: that a limit
/// was met is no error.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{Bounds, MinimizeOptions, Stop, minimize_with};
/// // x - ln x beyond 2, from where the logarithm's edge is near.
/// let options = MinimizeOptions { bounds: Some(Bounds::all(2.0, f64::INFINITY)), ..Default::default() };
/// let found = minimize_with(|x: &Tensor| Ok((x - x.log()).sum()), &Tensor::from([50.0]), options)?;
/// assert_eq!((found.x.to_vec(), found.report.stop), (vec![2.0], Stop::Gradient));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns, unchanged; shape, where its value is no scalar, or bounds or scale do not fit; not finite, where
/// the function or its gradient at `x0` is NaN or infinite; argument, where bounds cross or the method takes none;
/// device, where the parameters are on several.
#[track_caller]
pub fn minimize_with<P: Params<f64>>(
    f: impl Fn(&P) -> Result<Tensor>,
    x0: &P,
    options: MinimizeOptions<'_>,
) -> Result<Minimum<P>> {
    let tensors = x0.tensors();
    let f = |x: &[Tensor]| f(&x0.rebuild(x.to_vec()));
    let found = solve("minimize", &f, &tensors, options).at_caller()?;
    structured(x0, &tensors, found, None).at_caller()
}

/// A local minimum of `f` near `x0` under constraints. Bounds in the options hold at every point that is tried;
/// constraints hold in the end, within `ctol`.
///
/// [`Method::Slsqp`] takes the fewest evaluations: quadratic programs, whose constraints are linearised (Kraft, "A
/// software package for sequential quadratic programming", 1988), for up to some hundred parameters. Other methods, the
/// default one too, serve within an augmented Lagrangian: minima of f with penalties for violations, between which
/// multipliers are found and penalties grow (Nocedal, Wright, "Numerical optimization", 2006, algorithm 17.4; for
/// inequalities Rockafellar, "Augmented Lagrange multiplier functions and duality in nonconvex programming", 1974).
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{Constraint, Method, MinimizeOptions, minimize_constrained};
/// // The nearest point to (2, 1) in the unit disc, on the line x = y.
/// let distance = |x: &Tensor| Ok((x - Tensor::from([2.0, 1.0])).square().sum());
/// let constraints = [
///     Constraint::equal(|x: &Tensor| x.select(0, 0)?.try_sub(&x.select(0, 1)?)),
///     Constraint::at_least(|x: &Tensor| Ok(1.0 - x.square().sum())),
/// ];
/// let options = MinimizeOptions { method: Method::Slsqp, ..Default::default() };
/// let found = minimize_constrained(distance, &constraints, &Tensor::zeros([2]), options)?;
/// assert!((found.x.get([0])? - 0.5f64.sqrt()).abs() < 1e-6, "{found}");
/// assert!(found.multipliers[1].item()? > 0.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`minimize_with`], and what constraints return; not finite, where they are at `x0`.
#[track_caller]
pub fn minimize_constrained<P: Params<f64>>(
    f: impl Fn(&P) -> Result<Tensor>,
    constraints: &[Constraint<'_, P>],
    x0: &P,
    options: MinimizeOptions<'_>,
) -> Result<Minimum<P>> {
    let tensors = x0.tensors();
    let f = |x: &[Tensor]| f(&x0.rebuild(x.to_vec()));
    let parts: Vec<_> = constraints.iter().map(|c| c.over(x0)).collect();
    let (found, multipliers) = match options.method {
        Method::Slsqp => constrained(&f, &parts, &tensors, options),
        _ => augmented::solve(&f, &parts, &tensors, options),
    }
    .at_caller()?;
    structured(x0, &tensors, found, Some(multipliers)).at_caller()
}

fn constrained(
    f: &Function<'_>,
    parts: &[augmented::Part<'_>],
    x0: &[Tensor],
    mut options: MinimizeOptions<'_>,
) -> Result<(Found, Multipliers)> {
    let mut callback = options.callback.take();
    let callback: Option<&mut Callback<'_>> = match &mut callback {
        Some(callback) => Some(&mut **callback),
        None => None,
    };
    sqp::solve("minimize_constrained", f, parts, x0, &options, callback)
}

fn structured<P: Params<f64>>(
    x0: &P,
    tensors: &[Tensor],
    found: Found,
    multipliers: Option<Multipliers>,
) -> Result<Minimum<P>> {
    let flat = Flat::of("minimize", tensors)?;
    let Multipliers { multipliers, violation } = multipliers.unwrap_or_default();
    Ok(Minimum {
        x: x0.rebuild(flat.tensors(&found.x)?),
        gradient: x0.rebuild(flat.tensors(&found.gradient)?),
        multipliers,
        violation,
        report: found.report,
    })
}

/// [`minimize_with`], over whatever structure.
pub(crate) fn solve(
    op: &'static str,
    f: &Function<'_>,
    x0: &[Tensor],
    mut options: MinimizeOptions<'_>,
) -> Result<Found> {
    let mut callback = options.callback.take();
    let callback: Option<&mut Callback<'_>> = match &mut callback {
        Some(callback) => Some(&mut **callback),
        None => None,
    };
    solve_with(op, f, x0, &options, callback)
}

/// [`solve`], with a callback of whatever life.
pub(crate) fn solve_with<'c>(
    op: &'static str,
    f: &Function<'_>,
    x0: &[Tensor],
    options: &MinimizeOptions<'_>,
    callback: Option<&'c mut Callback<'c>>,
) -> Result<Found> {
    if options.method == Method::Slsqp {
        return Ok(sqp::solve(op, f, &[], x0, options, callback)?.0);
    }
    let mut search = begin(op, f, x0, options, callback)?;
    let halt = match options.method {
        Method::Lbfgs | Method::Slsqp => lbfgs::run(&mut search, options.memory),
        Method::NewtonCg => newton::run(&mut search),
        Method::TrustNcg => trust::run(&mut search, Subproblem::ConjugateGradients),
        Method::TrustExact => trust::run(&mut search, Subproblem::Exact),
    };
    let stop = match halt {
        Err(Halt::Error(error)) => return Err(error),
        Err(Halt::Stop(stop)) => stop,
        Ok(()) => Stop::NoProgress,
    };
    Ok(finish(search, options, stop))
}

/// The search at its first point.
fn begin<'a, 'c>(
    op: &'static str,
    f: &'a Function<'a>,
    x0: &[Tensor],
    options: &MinimizeOptions<'_>,
    callback: Option<&'c mut Callback<'c>>,
) -> Result<Search<'a, 'c>> {
    let flat = Flat::of(op, x0)?;
    let (n, x) = (flat.numel(), flat::values(x0));
    let method = options.method;
    let mut limits = match &options.bounds {
        None => Limits::none(n),
        Some(bounds) => bounds.clone().of(op, n)?,
    };
    let takes_bounds = matches!(method, Method::Lbfgs | Method::Slsqp);
    if !limits.is_none() && !takes_bounds {
        let message = format!(
            "{} takes no bounds: Method::Lbfgs and Method::Slsqp do, and a smooth map (x = exp(z), say) serves every method",
            method.name(true)
        );
        return Err(Error::argument(op, message));
    }
    let mut z = x;
    if let Some(scale) = &options.scale {
        scaled(op, &flat, scale, &mut z, &mut limits)?;
    }
    let tolerances = Tolerances {
        gradient: options.gtol,
        value: if options.ftol > 0.0 { options.ftol } else { -1.0 },
        step: options.xtol,
        iterations: options.max_iterations,
    };
    let objective = Objective::new(op, f, flat, options.scale.clone(), options.max_evaluations.max(1));
    match Search::begin(objective, limits, tolerances, callback, z, !takes_bounds) {
        Ok(search) => Ok(search),
        Err(Halt::Error(error)) => Err(error),
        Err(Halt::Stop(_)) => Err(Error::argument(op, "an evaluation at least is needed")),
    }
}

/// Where the search ended.
fn finish(search: Search<'_, '_>, options: &MinimizeOptions<'_>, stop: Stop) -> Found {
    let report = Report {
        method: options.method.name(!search.limits.is_none()),
        stop,
        value: search.at.value,
        gradient_norm: search.gradient_norm(),
        iterations: search.iterations,
        evaluations: search.objective.evaluations,
    };
    let x = search.objective.unscaled(&search.at.x);
    let mut gradient = search.at.gradient;
    if let Some(scale) = &options.scale {
        gradient.iter_mut().zip(scale).for_each(|(g, s)| *g /= s);
    }
    Found { x, gradient, report }
}

/// z = x / scale, and the bounds likewise.
fn scaled(op: &'static str, flat: &Flat, scale: &[f64], z: &mut [f64], limits: &mut Limits) -> Result<()> {
    if scale.len() != z.len() {
        let message = format!("{} scales for {} parameters: one for each is needed", scale.len(), z.len());
        return Err(Error::shape(op, message));
    }
    if let Some(i) = scale.iter().position(|s| !(*s > 0.0 && s.is_finite())) {
        let message = format!("the scale at {} is {}: positive numbers are needed", flat.place(i), scale[i]);
        return Err(Error::argument(op, message));
    }
    for numbers in [z, &mut limits.lower[..], &mut limits.upper[..]] {
        numbers.iter_mut().zip(scale).for_each(|(number, s)| *number /= s);
    }
    Ok(())
}

impl fmt::Debug for MinimizeOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MinimizeOptions")
            .field("method", &self.method)
            .field("bounds", &self.bounds)
            .field("gtol", &self.gtol)
            .field("ftol", &self.ftol)
            .field("xtol", &self.xtol)
            .field("max_iterations", &self.max_iterations)
            .field("max_evaluations", &self.max_evaluations)
            .finish_non_exhaustive()
    }
}
