//! A model and data in, parameters with their uncertainties out.

mod bands;
mod statistics;
mod student;
mod summary;

pub use bands::Band;
pub use student::student_t_quantile;

use crate::least_squares::{Jacobian, LeastSquaresOptions, least_squares_with};
use crate::report::Report;
use autograd::params::{flatten, unflatten};
use autograd::{Params, Tensor};
use linalg::{Triangle, cholesky, solve_triangular};
use statistics::{Statistics, statistics};
use tensor_core::{AtCaller, Device, Error, Result};

const OP: &str = "curve_fit";

/// What [`curve_fit_with`] can be told.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{Bounds, CurveFitOptions, LeastSquaresOptions, Loss, curve_fit_with};
/// let x = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
/// let y = Tensor::from([1.0, 2.1, 3.0, 4.0, 5.1, 20.0]);
/// let line = |x: &Tensor, p: &Tensor| Ok(p.select(0, 0)? * x + p.select(0, 1)?);
/// let options = CurveFitOptions {
///     names: vec!["slope".into(), "offset".into()],
///     solver: LeastSquaresOptions {
///         loss: Loss::Cauchy,
///         f_scale: 0.1,
///         bounds: Some(Bounds::all(0.0, 10.0)),
///         ..Default::default()
///     },
///     ..Default::default()
/// };
/// let fit = curve_fit_with(line, &x, &y, &Tensor::ones([2]), options)?;
/// assert!((fit.parameters.get([0])? - 1.0).abs() < 0.1);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Default)]
pub struct CurveFitOptions<'a> {
    /// Standard deviations of the data, in their shape or one number; or their covariance, a matrix `[m, m]`, for m
    /// data.
    pub sigma: Option<Tensor>,
    /// Whether `sigma` is in the units of the data. If not, only its ratios count: the covariance is scaled by the
    /// reduced chi square, as it is without `sigma`.
    pub absolute_sigma: bool,
    /// Names of the parameters, for printing, in the order of [`flatten`]; empty for numbers.
    pub names: Vec<String>,
    /// How the fit is computed: method, bounds, loss, tolerances, limits, callback.
    pub solver: LeastSquaresOptions<'a>,
}

/// A fitted model. Prints as a report: statistics, parameters with standard errors, correlations.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CurveFit<P> {
    /// The parameters.
    pub parameters: P,
    /// Their standard errors, in the same structure: square roots of the diagonal of the covariance.
    pub standard_errors: P,
    /// The covariance of the parameters, `[n, n]` in the order of [`flatten`]: (J^T J)^-1 for the Jacobian of the
    /// weighted residuals, times the reduced chi square unless `sigma` is absolute. Infinite where the data do not
    /// determine the parameters or leave no degrees of freedom; zero for parameters whose bounds are equal.
    pub covariance: Tensor,
    /// Of each pair of parameters, `[n, n]`.
    pub correlation: Tensor,
    /// Model less data at the solution, over `sigma`, `[m]`.
    pub residuals: Tensor,
    /// Data.
    pub observations: usize,
    /// Data less parameters that vary; 0 where there are as many parameters or more.
    pub degrees_of_freedom: usize,
    /// The sum of the squares of the residuals, or, with a robust loss, of their losses.
    pub chi_square: f64,
    /// Chi square over the degrees of freedom: its square root is the residual standard deviation.
    pub reduced_chi_square: f64,
    /// 1 - chi square over that of the best constant.
    pub r_squared: f64,
    /// The same of mean squares: 1 - (1 - R^2) (m - 1) / degrees of freedom.
    pub adjusted_r_squared: f64,
    /// Akaike's information criterion, `m ln(chi square / m) + 2 n`, as lmfit has it.
    pub aic: f64,
    /// The Bayesian information criterion, `m ln(chi square / m) + n ln m`, as lmfit has it.
    pub bic: f64,
    /// Names of the parameters.
    pub names: Vec<String>,
    /// Why the fit ended and what it took.
    pub report: Report,
    absolute: bool,
}

/// By what residuals are divided.
enum Weights {
    One,
    Each(Tensor),
    /// L of L L^T, the covariance of the data.
    Factor(Tensor),
}

impl Weights {
    fn new(sigma: Option<Tensor>, y: &Tensor) -> Result<Self> {
        let Some(sigma) = sigma.map(|s| s.detach()) else { return Ok(Weights::One) };
        let m = y.numel();
        if *sigma.shape() == *y.shape() || sigma.numel() == 1 {
            let wrong = sigma.to_vec().iter().position(|s| !(*s > 0.0 && s.is_finite()));
            return match wrong {
                None => Ok(Weights::Each(sigma.expand(y.shape())?.flatten())),
                Some(i) => {
                    let message = format!("sigma is {} at [{i}]: it must be positive", sigma.to_vec()[i]);
                    Err(Error::argument(OP, message))
                }
            };
        }
        if *sigma.shape() == [m, m] {
            return Ok(Weights::Factor(cholesky(&sigma, false)?));
        }
        let message = format!(
            "sigma of shape {:?} for data of shape {:?}: it needs their shape, or [{m}, {m}] as a covariance",
            sigma.shape(),
            y.shape()
        );
        Err(Error::shape(OP, message))
    }

    fn apply(&self, r: &Tensor) -> Result<Tensor> {
        match self {
            Weights::One => Ok(r.clone()),
            Weights::Each(sigma) => r.try_div(sigma),
            Weights::Factor(l) => solve_triangular(l, r, Triangle::LOWER),
        }
    }
}

/// Fits `model(x, parameters)` to data: the parameters that make the sum of squared differences least, near `p0`, with
/// their covariance. SciPy's `curve_fit`, with what lmfit reports besides, and no derivatives to write.
///
/// `x` may have any shape: the model makes of it what has the shape of `y`. Parameters are a tensor or a structure of
/// tensors.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::curve_fit;
/// // A decay: p0 exp(-p1 x)
/// let x = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0]);
/// let y = Tensor::from([5.02, 3.01, 1.85, 1.11, 0.66]);
/// let model = |x: &Tensor, (a, rate): &(Tensor, Tensor)| Ok(a * (-(rate * x)).exp());
/// let fit = curve_fit(model, &x, &y, &(Tensor::scalar(1.0), Tensor::scalar(1.0)))?;
/// println!("{fit}");
/// assert!((fit.parameters.1.item()? - 0.5).abs() < 3.0 * fit.standard_errors.1.item()?);
/// assert!(fit.r_squared > 0.999);
///
/// let band = fit.confidence_band(model, &Tensor::from([5.0]), 0.95)?;
/// assert!(band.lower.item()? < band.fit.item()? && band.fit.item()? < band.upper.item()?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What the model returns, unchanged; shape, where its value does not have the shape of `y`; else as
/// [`least_squares`](crate::least_squares()).
#[track_caller]
pub fn curve_fit<P: Params<f64>>(
    model: impl Fn(&Tensor, &P) -> Result<Tensor>,
    x: &Tensor,
    y: &Tensor,
    p0: &P,
) -> Result<CurveFit<P>> {
    curve_fit_with(model, x, y, p0, CurveFitOptions::default())
}

/// [`curve_fit`] with [`CurveFitOptions`]: weights, bounds, robust losses.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{CurveFitOptions, curve_fit_with};
/// // The weighted mean, and its error by the errors of the data.
/// let (x, y) = (Tensor::zeros([2]), Tensor::from([1.0, 4.0]));
/// let sigma = Some(Tensor::from([1.0, 2.0]));
/// let options = CurveFitOptions { sigma, absolute_sigma: true, ..Default::default() };
/// let fit = curve_fit_with(|x: &Tensor, p: &Tensor| Ok(x + p), &x, &y, &Tensor::scalar(0.0), options)?;
/// assert!((fit.parameters.item()? - 1.6).abs() < 1e-12);
/// assert!((fit.standard_errors.item()? - 0.8f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`curve_fit`]; argument and shape, where an option is not possible, naming it; not positive definite, where the
/// covariance of the data is not.
#[track_caller]
pub fn curve_fit_with<P: Params<f64>>(
    model: impl Fn(&Tensor, &P) -> Result<Tensor>,
    x: &Tensor,
    y: &Tensor,
    p0: &P,
    options: CurveFitOptions<'_>,
) -> Result<CurveFit<P>> {
    let start = flatten(p0)?.detach();
    let fitted = fit(&|p| model(x, &unflatten(p0, p)?), y, &start, options).at_caller()?;
    let structure = |x: &Tensor| unflatten(p0, &x.to_device(&start.device())?);
    Ok(CurveFit {
        parameters: structure(&fitted.parameters)?,
        standard_errors: structure(&fitted.standard_errors)?,
        covariance: fitted.covariance,
        correlation: fitted.correlation,
        residuals: fitted.residuals,
        observations: fitted.observations,
        degrees_of_freedom: fitted.degrees_of_freedom,
        chi_square: fitted.chi_square,
        reduced_chi_square: fitted.reduced_chi_square,
        r_squared: fitted.r_squared,
        adjusted_r_squared: fitted.adjusted_r_squared,
        aic: fitted.aic,
        bic: fitted.bic,
        names: fitted.names,
        report: fitted.report,
        absolute: fitted.absolute,
    })
}

/// The fit of a vector of parameters.
fn fit(
    model: &dyn Fn(&Tensor) -> Result<Tensor>,
    y: &Tensor,
    p0: &Tensor,
    options: CurveFitOptions<'_>,
) -> Result<CurveFit<Tensor>> {
    let CurveFitOptions { sigma, absolute_sigma, names, solver } = options;
    let n = p0.numel();
    if !names.is_empty() && names.len() != n {
        let message = format!("{} names for {n} parameters: as many are needed", names.len());
        return Err(Error::shape(OP, message));
    }
    let y = y.detach();
    let weights = Weights::new(sigma, &y)?;
    let (loss, f_scale) = (solver.loss, solver.f_scale);
    let held = match &solver.bounds {
        None => vec![false; n],
        Some(bounds) => {
            let limits = bounds.clone().of(OP, n)?;
            limits.lower.iter().zip(limits.upper).map(|(l, u)| *l == u).collect()
        }
    };
    let residuals = |p: &Tensor| {
        let value = model(p)?;
        if value.shape() != y.shape() {
            let message = format!(
                "the model gives shape {:?} for data of shape {:?}: the same is needed",
                value.shape(),
                y.shape()
            );
            return Err(Error::shape(OP, message));
        }
        weights.apply(&value.try_sub(&y)?.flatten())
    };
    let found = least_squares_with(residuals, p0, solver)?;
    let constant = [weights.apply(&Tensor::ones_like(&y).flatten())?, weights.apply(&y.flatten())?];
    let jacobian = match found.jacobian {
        Jacobian::Dense(jacobian) => jacobian,
        Jacobian::Sparse(jacobian) => jacobian.to_dense()?,
    };
    let residuals = found.residuals;
    let jacobian = match loss.rows(f_scale, &residuals.to_vec()) {
        None => jacobian,
        Some(rows) => Tensor::from(rows).unsqueeze(1)?.try_mul(&jacobian.to_device(&Device::Cpu)?)?,
    };
    let chi_square = 2.0 * found.report.value;
    let Statistics { covariance, correlation, standard_errors, degrees_of_freedom, reduced_chi_square } =
        statistics(&jacobian, &held, chi_square, absolute_sigma)?;
    let m = residuals.numel();
    let total = {
        let [one, y] = constant.map(|t| t.to_vec());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mean = dot(&one, &y) / dot(&one, &one);
        y.iter().zip(&one).map(|(y, one)| (y - mean * one) * (y - mean * one)).sum::<f64>()
    };
    let r_squared = 1.0 - chi_square / total;
    let varying = held.iter().filter(|held| !**held).count();
    let (count, varying) = (m as f64, varying as f64);
    let likelihood = count * (chi_square / count).ln();
    Ok(CurveFit {
        parameters: found.x,
        standard_errors,
        covariance,
        correlation,
        residuals,
        observations: m,
        degrees_of_freedom,
        chi_square,
        reduced_chi_square,
        r_squared,
        adjusted_r_squared: 1.0 - (1.0 - r_squared) * (count - 1.0) / degrees_of_freedom as f64,
        aic: likelihood + 2.0 * varying,
        bic: likelihood + count.ln() * varying,
        names,
        report: found.report,
        absolute: absolute_sigma,
    })
}
