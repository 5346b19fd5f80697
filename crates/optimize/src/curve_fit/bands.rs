//! What a fit says with which certainty: intervals of its parameters, bands around its curve.

use super::{CurveFit, OP, student_t_quantile};
use autograd::params::{flatten, unflatten};
use autograd::{Params, Tensor, jacobian};
use linalg::mm;
use tensor_core::{AtCaller, Error, Result};

/// A curve with what is below and above it, each in the shape of the model's value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Band {
    /// The model at the fitted parameters.
    pub fit: Tensor,
    /// The lower edge.
    pub lower: Tensor,
    /// The upper edge.
    pub upper: Tensor,
    /// The standard error of the curve, or, of a prediction band, of a new observation.
    pub standard_error: Tensor,
}

impl<P: Params<f64>> CurveFit<P> {
    /// The lower and the upper end of the interval of each parameter that covers the true one with probability `level`,
    /// such as 0.95, where the model is linear enough within it: parameter -+ t standard errors, with Student's t for
    /// the degrees of freedom, or the normal distribution's where `sigma` is absolute.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::optimize::curve_fit;
    /// let (x, y) = (Tensor::zeros([3]), Tensor::from([1.0, 2.0, 3.0]));
    /// let fit = curve_fit(|x: &Tensor, p: &Tensor| Ok(x + p), &x, &y, &Tensor::scalar(0.0))?;
    /// // 2 -+ 4.303 / sqrt(3)
    /// let (low, high) = fit.confidence_intervals(0.95)?;
    /// assert!((low.item()? + 0.4841).abs() < 1e-4 && (high.item()? - 4.4841).abs() < 1e-4);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where the level is not between 0 and 1.
    #[track_caller]
    pub fn confidence_intervals(&self, level: f64) -> Result<(P, P)> {
        let t = quantile(level, self.degrees()).at_caller()?;
        let (p, reach) = (flatten(&self.parameters)?, flatten(&self.standard_errors)? * t);
        Ok((unflatten(&self.parameters, &(&p - &reach))?, unflatten(&self.parameters, &(p + reach))?))
    }

    /// The fitted curve at `x`, and the band that covers the true value at each point of it with probability `level`: by
    /// the delta method, with the Jacobian of the model by its parameters.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::optimize::curve_fit;
    /// let x = Tensor::from([0.0, 1.0, 2.0, 3.0]);
    /// let y = Tensor::from([0.1, 0.9, 2.1, 2.9]);
    /// let line = |x: &Tensor, p: &Tensor| Ok(p.select(0, 0)? + p.select(0, 1)? * x);
    /// let fit = curve_fit(line, &x, &y, &Tensor::zeros([2]))?;
    /// let band = fit.confidence_band(line, &Tensor::from([1.5, 10.0]), 0.95)?;
    /// let width = (band.upper - band.lower).to_vec();
    /// // Far from the data the line is less certain.
    /// assert!(width[1] > 5.0 * width[0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// What the model returns; argument, where the level is not between 0 and 1.
    #[track_caller]
    pub fn confidence_band(
        &self,
        model: impl Fn(&Tensor, &P) -> Result<Tensor>,
        x: &Tensor,
        level: f64,
    ) -> Result<Band> {
        self.band(&|p| model(x, &unflatten(&self.parameters, p)?), level, None).at_caller()
    }

    /// The fitted curve at `x`, and the band within which a new observation lies at each point of it with probability
    /// `level`: the uncertainty of the curve and that of an observation together. `sigma` is the standard deviation of
    /// the new observations, in the units of that of the fit; None for 1: as precise as the data of a fit without
    /// `sigma`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::optimize::curve_fit;
    /// let (x, y) = (Tensor::zeros([3]), Tensor::from([1.0, 2.0, 3.0]));
    /// let mean = |x: &Tensor, p: &Tensor| Ok(x + p);
    /// let fit = curve_fit(mean, &x, &y, &Tensor::scalar(0.0))?;
    /// // 2 -+ 4.303 sqrt(1 + 1 / 3)
    /// let band = fit.prediction_band(mean, &Tensor::zeros([1]), 0.95, None)?;
    /// assert!((band.upper.item()? - 6.9683).abs() < 1e-4);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`CurveFit::confidence_band`]; shape, where `sigma` does not fit.
    #[track_caller]
    pub fn prediction_band(
        &self,
        model: impl Fn(&Tensor, &P) -> Result<Tensor>,
        x: &Tensor,
        level: f64,
        sigma: Option<&Tensor>,
    ) -> Result<Band> {
        let one = Tensor::scalar(1.0);
        let sigma = sigma.unwrap_or(&one);
        self.band(&|p| model(x, &unflatten(&self.parameters, p)?), level, Some(sigma)).at_caller()
    }

    fn band(
        &self,
        model: &dyn Fn(&Tensor) -> Result<Tensor>,
        level: f64,
        sigma: Option<&Tensor>,
    ) -> Result<Band> {
        let variance = if self.absolute { 1.0 } else { self.reduced_chi_square };
        let new = sigma.map(|sigma| sigma.square() * variance);
        band(model, &flatten(&self.parameters)?, &self.covariance, quantile(level, self.degrees())?, new)
    }

    fn degrees(&self) -> f64 {
        if self.absolute { f64::INFINITY } else { self.degrees_of_freedom as f64 }
    }
}

/// The t of a two-sided interval.
fn quantile(level: f64, degrees: f64) -> Result<f64> {
    if level > 0.0 && level < 1.0 {
        return Ok(student_t_quantile(0.5 + 0.5 * level, degrees));
    }
    Err(Error::argument(
        OP,
        format!("a level of {level} is not possible: it must be between 0 and 1, such as 0.95"),
    ))
}

fn band(
    model: &dyn Fn(&Tensor) -> Result<Tensor>,
    p: &Tensor,
    covariance: &Tensor,
    t: f64,
    new: Option<Tensor>,
) -> Result<Band> {
    let mut fit = None;
    let value = |p: &Tensor| {
        let y = model(p)?;
        fit = Some(y.detach());
        Ok(y)
    };
    let slopes = jacobian(value, p)?;
    let Some(fit) = fit else { return Err(Error::argument(OP, "the model was not called")) };
    let slopes = slopes.detach().reshape([fit.numel(), p.numel()])?;
    let covariance = covariance.to_device(&slopes.device())?;
    let variance = mm(&slopes, &covariance)?.try_mul(&slopes)?.sum_dim(1, false)?.reshape(fit.shape())?;
    let variance = match new {
        None => variance,
        Some(new) => {
            let whole = variance.try_add(&new)?;
            if whole.shape() != fit.shape() {
                let message =
                    format!("sigma of shape {:?} for a curve of shape {:?}", new.shape(), fit.shape());
                return Err(Error::shape(OP, message));
            }
            whole
        }
    };
    // Rounding may leave less than nothing.
    let standard_error = variance.maximum(Tensor::scalar(0.0))?.sqrt();
    let reach = &standard_error * t;
    Ok(Band { lower: &fit - &reach, upper: &fit + reach, fit, standard_error })
}
