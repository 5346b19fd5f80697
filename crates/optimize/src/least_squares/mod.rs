//! Nonlinear least squares: residuals in, the parameters of the least sum of squares out.

mod dense;
pub(crate) mod loss;
pub(crate) mod recorded;
mod search;
mod sparse;
mod triangle;

pub use loss::Loss;

use crate::bounds::Bounds;
use crate::flat::{self, Flat};
use crate::report::{Callback, Report};
use autograd::{Params, Tensor};
use linalg::{SparseJacobian, SparseTensor};
use recorded::Residuals;
use search::Search;
use std::fmt;
use tensor_core::{AtCaller, Device, Error, Result};

const OP: &str = "least_squares";

/// How least squares are solved.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum LeastSquaresMethod {
    /// Levenberg-Marquardt in a scaled trust region, as MINPACK has it (Moré 1978), by QR factorisations of a dense
    /// Jacobian: exact, and for up to some thousand parameters.
    #[default]
    Lm,
    /// Levenberg-Marquardt with a sparse Jacobian from few passes, by sparse Cholesky factorisations of the normal
    /// matrix: for ten thousands of parameters, each of which few residuals know. The plan is detected at x0 where none
    /// is given; see [`SparseJacobian::detect`] for what that can miss.
    SparseLm(Option<SparseJacobian>),
}

impl fmt::Debug for LeastSquaresMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeastSquaresMethod::Lm => "Lm",
            LeastSquaresMethod::SparseLm(_) => "SparseLm",
        })
    }
}

/// What a step is measured in, parameter by parameter.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Scale {
    /// The largest norm so far of the parameter's column of the Jacobian: steps are then the same in whatever unit a
    /// parameter is given. SciPy's `x_scale='jac'`.
    #[default]
    Jacobian,
    /// A typical size of each parameter, in the order of [`flatten`](autograd::params::flatten).
    Given(Vec<f64>),
}

/// What [`least_squares_with`] can be told.
///
/// ```
/// use std::ops::ControlFlow;
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{LeastSquaresOptions, least_squares_with};
/// let mut costs = Vec::new();
/// let options = LeastSquaresOptions {
///     max_evaluations: Some(100),
///     callback: Some(Box::new(|progress| {
///         costs.push(progress.value);
///         ControlFlow::Continue(())
///     })),
///     ..Default::default()
/// };
/// let found = least_squares_with(|x: &Tensor| Ok(x.exp() - 2.0), &Tensor::from([3.0]), options)?;
/// assert!((found.x.get([0])? - 2f64.ln()).abs() < 1e-12);
/// assert_eq!(costs.len(), found.report.iterations);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct LeastSquaresOptions<'a> {
    /// How it is solved.
    pub method: LeastSquaresMethod,
    /// The least and the greatest value of each parameter. A start beyond them is moved to them.
    pub bounds: Option<Bounds>,
    /// How much a residual counts.
    pub loss: Loss,
    /// Where a residual begins to count as an outlier, in units of the residuals; for losses other than linear.
    pub f_scale: f64,
    /// What a step is measured in.
    pub x_scale: Scale,
    /// The search ends where the cost changes by at most this, relative to itself, both in truth and in the linear
    /// model.
    pub ftol: f64,
    /// The search ends where the trust region is at most this, relative to the parameters, both scaled by `x_scale`.
    pub xtol: f64,
    /// The search ends where the cosine of the angle between the residuals and each column of the Jacobian is at most
    /// this.
    pub gtol: f64,
    /// Whether the method `Lm` ends with a few steps judged by gradients alone, Gauss and Newton's or, where these are slow,
    /// Newton's with exact second derivatives, by which some five digits become nine or more. Where the Hessian says that
    /// this is no minimum yet, the search goes on with tolerances of rounding.
    pub refine: bool,
    /// Evaluations of the residuals; None for 200 for each parameter and 200 more.
    pub max_evaluations: Option<usize>,
    /// Steps; None for as many as the evaluations allow.
    pub max_iterations: Option<usize>,
    /// Called after each step.
    pub callback: Option<Box<Callback<'a>>>,
}

impl Default for LeastSquaresOptions<'_> {
    /// SciPy's tolerances, and the refinement.
    fn default() -> Self {
        LeastSquaresOptions {
            method: LeastSquaresMethod::Lm,
            bounds: None,
            loss: Loss::Linear,
            f_scale: 1.0,
            x_scale: Scale::Jacobian,
            ftol: 1e-8,
            xtol: 1e-8,
            gtol: 1e-8,
            refine: true,
            max_evaluations: None,
            max_iterations: None,
            callback: None,
        }
    }
}

impl LeastSquaresOptions<'_> {
    fn check(&self, n: usize) -> Result<()> {
        for (name, value) in [("ftol", self.ftol), ("xtol", self.xtol), ("gtol", self.gtol)] {
            if value.is_nan() || value < 0.0 {
                return Err(Error::argument(OP, format!("{name} is {value}: it must not be negative")));
            }
        }
        if !(self.f_scale > 0.0 && self.f_scale.is_finite()) {
            return Err(Error::argument(OP, format!("f_scale is {}: it must be positive", self.f_scale)));
        }
        if let Scale::Given(scale) = &self.x_scale {
            if scale.len() != n {
                let message =
                    format!("x_scale has {} elements for {n} parameters: as many are needed", scale.len());
                return Err(Error::shape(OP, message));
            }
            if let Some(i) = scale.iter().position(|s| !(*s > 0.0 && s.is_finite())) {
                let message = format!("x_scale is {} at [{i}]: it must be positive", scale[i]);
                return Err(Error::argument(OP, message));
            }
        }
        Ok(())
    }
}

/// A Jacobian: a row for each residual, a column for each parameter, in the order of
/// [`flatten`](autograd::params::flatten).
#[derive(Clone)]
#[non_exhaustive]
pub enum Jacobian {
    /// As a matrix `[m, n]`.
    Dense(Tensor),
    /// As a sparse matrix `[m, n]`.
    Sparse(SparseTensor),
}

/// What [`least_squares`] found.
#[derive(Clone)]
#[non_exhaustive]
pub struct LeastSquaresSolution<P> {
    /// The parameters.
    pub x: P,
    /// The residuals there, `[m]`, without the weights of the loss.
    pub residuals: Tensor,
    /// The Jacobian of the residuals there, without the weights of the loss.
    pub jacobian: Jacobian,
    /// The gradient of the cost, in the structure of the parameters. At an element on a bound it points out of it, or
    /// is zero.
    pub gradient: P,
    /// Why the search ended and what it took.
    pub report: Report,
}

impl<P> fmt::Display for LeastSquaresSolution<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

/// What a method found, in plain vectors.
struct Found {
    x: Vec<f64>,
    residuals: Vec<f64>,
    gradient: Vec<f64>,
    /// Where it is dense, on the host and transposed.
    jacobian: Jacobian,
    report: Report,
}

/// The parameters that make `0.5 sum residuals(x)^2` least, near `x0`: Levenberg-Marquardt, with the Jacobian of the
/// residuals by this library, from the same evaluation as their values. Parameters are a tensor or a structure of
/// tensors; residuals may have any shape.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::least_squares;
/// // Rosenbrock's function.
/// let f = |x: &Tensor| {
///     let (a, b) = (x.select(0, 0)?, x.select(0, 1)?);
///     Tensor::stack(&[(&b - &a * &a) * 10.0, 1.0 - a], 0)
/// };
/// let found = least_squares(f, &Tensor::from([-1.2, 1.0]))?;
/// assert!(found.x.allclose(&Tensor::from([1.0, 1.0]), 1e-12, 1e-12)?);
/// assert!(found.report.converged());
/// println!("{found}");
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// A search that a limit ended is no error: its report says so.
///
/// # Errors
/// What `residuals` returns, unchanged. Argument, where x0, a residual or a derivative there is NaN or infinite, naming
/// it (elsewhere such a step is refused); shape, where there are no parameters or no residuals, or not as many residuals
/// at every point.
#[track_caller]
pub fn least_squares<P: Params<f64>>(
    residuals: impl FnMut(&P) -> Result<Tensor>,
    x0: &P,
) -> Result<LeastSquaresSolution<P>> {
    least_squares_with(residuals, x0, LeastSquaresOptions::default())
}

/// [`least_squares`] with [`LeastSquaresOptions`]: bounds, robust losses, tolerances, limits, a callback, sparse
/// Jacobians.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{LeastSquaresMethod, LeastSquaresOptions, least_squares_with};
/// // A chain of 2000 parameters, each of which three residuals know.
/// let f = |x: &Tensor| {
///     let n = x.numel() as isize;
///     let ahead = x.narrow(0, 1, 1999)?;
///     let rest = x.narrow(0, 0, 1999)?;
///     Tensor::cat(&[&ahead - rest.square(), (x.narrow(0, n - 1, 1)? - 1.0)], 0)
/// };
/// let options = LeastSquaresOptions { method: LeastSquaresMethod::SparseLm(None), ..Default::default() };
/// let found = least_squares_with(f, &(Tensor::ones([2000]) * 1.1), options)?;
/// assert!(found.x.allclose(&Tensor::ones([2000]), 1e-9, 1e-9)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`least_squares`]; argument and shape, where an option is not possible, naming it.
#[track_caller]
pub fn least_squares_with<P: Params<f64>>(
    mut residuals: impl FnMut(&P) -> Result<Tensor>,
    x0: &P,
    options: LeastSquaresOptions<'_>,
) -> Result<LeastSquaresSolution<P>> {
    let tensors = x0.tensors();
    let flat = Flat::of(OP, &tensors).at_caller()?;
    let device = tensors.first().map_or(Device::Cpu, Tensor::device);
    let mut f = |xs: &[Tensor]| residuals(&x0.rebuild(xs.to_vec()));
    let found = solve(&mut f, flat::values(&tensors), flat.clone(), options).at_caller()?;
    let structure = |x: &[f64]| Ok::<_, Error>(x0.rebuild(flat.tensors(x)?));
    let jacobian = match found.jacobian {
        Jacobian::Dense(columns) => Jacobian::Dense(columns.t()?.to_device(&device)?),
        sparse => sparse,
    };
    Ok(LeastSquaresSolution {
        x: structure(&found.x)?,
        residuals: Tensor::from(found.residuals).to_device(&device)?,
        jacobian,
        gradient: structure(&found.gradient)?,
        report: found.report,
    })
}

fn solve(f: &mut Residuals<'_>, x0: Vec<f64>, flat: Flat, options: LeastSquaresOptions<'_>) -> Result<Found> {
    let method = options.method.clone();
    let mut f = |xs: &[Tensor]| f(xs);
    let (mut search, start) = Search::new(&mut f, x0, flat, options)?;
    match method {
        LeastSquaresMethod::Lm => dense::solve(&mut search, start),
        LeastSquaresMethod::SparseLm(plan) => sparse::solve(&mut search, start, plan),
    }
}
