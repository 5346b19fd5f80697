//! What every method of least squares has: points within bounds, their cost, limits, and the callback.

use super::recorded::{Recorded, Residuals, finite_at_start};
use super::{LeastSquaresOptions, OP};
use crate::bounds::Limits;
use crate::flat::{Flat, elements};
use crate::report::{Evaluations, Progress, Report, Stop};
use autograd::Tensor;
use tensor_core::{Error, Result};

/// Residuals at a point.
pub(super) struct Point {
    pub(super) x: Vec<f64>,
    pub(super) residuals: Vec<f64>,
    pub(super) cost: f64,
}

/// A search and what it took so far.
pub(super) struct Search<'f, 'o> {
    pub(super) f: &'f mut Residuals<'f>,
    pub(super) options: LeastSquaresOptions<'o>,
    pub(super) flat: Flat,
    pub(super) bounds: Limits,
    pub(super) evaluations: Evaluations,
    pub(super) iterations: usize,
    most_evaluations: usize,
    most_iterations: usize,
}

impl<'f, 'o> Search<'f, 'o> {
    /// The search, and its start within the bounds.
    pub(super) fn new(
        f: &'f mut Residuals<'f>,
        mut x0: Vec<f64>,
        flat: Flat,
        options: LeastSquaresOptions<'o>,
    ) -> Result<(Self, Vec<f64>)> {
        let n = x0.len();
        if n == 0 {
            return Err(Error::shape(OP, "x0 has no elements: there is nothing to fit"));
        }
        finite_at_start(OP, "the parameter", &x0)?;
        options.check(n)?;
        let bounds = match &options.bounds {
            Some(bounds) => bounds.clone().of(OP, n)?,
            None => Limits::none(n),
        };
        let search = Search {
            most_evaluations: options.max_evaluations.unwrap_or(200 * (n + 1)).max(1),
            most_iterations: options.max_iterations.unwrap_or(usize::MAX),
            f,
            options,
            flat,
            bounds,
            evaluations: Evaluations::default(),
            iterations: 0,
        };
        search.bounds.project(&mut x0);
        Ok((search, x0))
    }

    /// The start, its graph, and the Jacobian there, a row for each column.
    pub(super) fn start(&mut self, x: Vec<f64>) -> Result<(Point, Recorded, Tensor)> {
        let recorded = Recorded::at(self.f, &x, &self.flat)?;
        self.evaluations.values += 1;
        let point = self.start_from(x, recorded.residuals())?;
        let columns = recorded.jacobian()?;
        self.evaluations.derivatives += 1;
        finite_at_start(OP, "the Jacobian, column by column,", elements(&columns))?;
        Ok((point, recorded, columns))
    }

    pub(super) fn start_from(&self, x: Vec<f64>, residuals: Vec<f64>) -> Result<Point> {
        if residuals.is_empty() {
            return Err(Error::shape(OP, "the function gives no residuals: at least one is needed"));
        }
        finite_at_start(OP, "the residual", &residuals)?;
        let cost = self.cost(&residuals);
        if cost.is_infinite() {
            let message = "the sum of the squares at x0 is too large for a number: start closer, or scale the residuals";
            return Err(Error::argument(OP, message));
        }
        Ok(Point { x, residuals, cost })
    }

    fn cost(&self, residuals: &[f64]) -> f64 {
        self.options.loss.cost(self.options.f_scale, residuals)
    }

    /// The residuals at `x`, of which there must be `m`; None where their cost is not finite, so that the step is
    /// refused.
    pub(super) fn trial(&mut self, x: Vec<f64>, m: usize) -> Result<Option<(Point, Recorded)>> {
        let recorded = Recorded::at(self.f, &x, &self.flat)?;
        let residuals = recorded.residuals();
        Ok(self.tried(x, residuals, m)?.map(|point| (point, recorded)))
    }

    pub(super) fn tried(&mut self, x: Vec<f64>, residuals: Vec<f64>, m: usize) -> Result<Option<Point>> {
        self.evaluations.values += 1;
        if residuals.len() != m {
            let message = format!(
                "the function gave {m} residuals at x0 and now {}: as many are needed",
                residuals.len()
            );
            return Err(Error::shape(OP, message));
        }
        let cost = self.cost(&residuals);
        Ok(cost.is_finite().then_some(Point { x, residuals, cost }))
    }

    /// Whether a limit is reached.
    pub(super) fn limit(&self) -> Option<Stop> {
        if self.iterations >= self.most_iterations {
            Some(Stop::Iterations)
        } else if self.evaluations.values >= self.most_evaluations {
            Some(Stop::Evaluations)
        } else {
            None
        }
    }

    /// Elements that may move: those at a bound with the gradient towards it are held.
    pub(super) fn free(&self, x: &[f64], gradient: &[f64]) -> Vec<usize> {
        let Limits { lower, upper } = &self.bounds;
        let held = |j: usize| {
            lower[j] == upper[j]
                || (x[j] <= lower[j] && gradient[j] > 0.0)
                || (x[j] >= upper[j] && gradient[j] < 0.0)
        };
        (0..x.len()).filter(|&j| !held(j)).collect()
    }

    /// Counts a step and tells of it.
    pub(super) fn stepped(&mut self, point: &Point, gradient: &[f64]) -> Option<Stop> {
        self.iterations += 1;
        let callback = self.options.callback.as_mut()?;
        let progress = Progress {
            iteration: self.iterations,
            value: point.cost,
            gradient_norm: self.bounds.gradient_norm(&point.x, gradient),
            x: &point.x,
        };
        callback(&progress).is_break().then_some(Stop::Callback)
    }

    pub(super) fn report(&self, method: &'static str, stop: Stop, point: &Point, gradient: &[f64]) -> Report {
        Report {
            method,
            stop,
            value: point.cost,
            gradient_norm: self.bounds.gradient_norm(&point.x, gradient),
            iterations: self.iterations,
            evaluations: self.evaluations,
        }
    }

    /// The residuals as the gradient of the cost has them: rho' r.
    pub(super) fn sloped(&self, residuals: &[f64]) -> Vec<f64> {
        match self.options.loss.slopes(self.options.f_scale, residuals) {
            None => residuals.to_vec(),
            Some(slopes) => slopes.iter().zip(residuals).map(|(s, r)| s * r).collect(),
        }
    }
}

/// The largest cosine of the angle between residuals and a column of the Jacobian that may move, by the gradient and the
/// norms of the columns.
pub(super) fn cosine(cost: f64, gradient: &[f64], sizes: &[f64], free: &[usize]) -> f64 {
    let length = (2.0 * cost).sqrt();
    let cosine = |&j: &usize| if sizes[j] == 0.0 { 0.0 } else { (gradient[j] / length / sizes[j]).abs() };
    if length == 0.0 { 0.0 } else { free.iter().map(cosine).fold(0.0, f64::max) }
}
