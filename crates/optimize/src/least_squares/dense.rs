//! Levenberg-Marquardt with a dense Jacobian: the trust region of MINPACK's `lmder`, with bounds and robust losses.
//!
//! Source: Moré, "The Levenberg-Marquardt algorithm: implementation and theory", 1978. Bounds: elements at a bound that
//! the gradient holds there take no part in a step (Bertsekas, "Projected Newton methods for optimization problems with
//! simple constraints", 1982); those that a step takes beyond a bound go to it, and the step is found anew for the rest.

use super::loss::{dot, norm};
use super::search::{Point, Search};
use super::triangle::Triangle;
use super::{Found, Scale};
use crate::report::Stop;
use tensor_core::Result;

/// A step and what the linear model says of it.
struct Step {
    x: Vec<f64>,
    s: Vec<f64>,
    /// What the cost falls by in the model.
    fall: f64,
    /// The derivative of the cost along the step.
    slope: f64,
}

/// The Jacobian and the residuals of a point as the loss weighs them.
struct Model {
    columns: Vec<f64>,
    residuals: Vec<f64>,
    gradient: Vec<f64>,
    /// Norms of the columns.
    sizes: Vec<f64>,
}

impl Model {
    fn of(search: &Search<'_, '_>, point: &Point, jacobian: &[f64]) -> Self {
        let m = point.residuals.len();
        let (residuals, rows) = search.weighted(&point.residuals);
        let mut columns = jacobian.to_vec();
        if let Some(rows) = rows {
            for column in columns.chunks_exact_mut(m) {
                column.iter_mut().zip(&rows).for_each(|(x, w)| *x *= w);
            }
        }
        let gradient = columns.chunks_exact(m).map(|c| dot(c, &residuals)).collect();
        let sizes = columns.chunks_exact(m).map(norm).collect();
        Model { columns, residuals, gradient, sizes }
    }

    /// The largest cosine of the residuals and a column that may move.
    fn cosine(&self, free: &[usize]) -> f64 {
        let length = norm(&self.residuals);
        let cosine = |&j: &usize| match self.sizes[j] {
            0.0 => 0.0,
            size => (self.gradient[j] / length / size).abs(),
        };
        if length == 0.0 { 0.0 } else { free.iter().map(cosine).fold(0.0, f64::max) }
    }
}

pub(super) fn solve(search: &mut Search<'_, '_>, x0: Vec<f64>) -> Result<Found> {
    let n = x0.len();
    let (mut point, mut jacobian) = search.start(x0)?;
    let m = point.residuals.len();
    let [ftol, xtol, gtol] =
        [search.options.ftol, search.options.xtol, search.options.gtol].map(|t| t.max(f64::EPSILON));
    let mut model = Model::of(search, &point, &jacobian);
    let mut d: Vec<f64> = match &search.options.x_scale {
        Scale::Jacobian => model.sizes.iter().map(|&s| if s == 0.0 { 1.0 } else { s }).collect(),
        Scale::Given(scale) => scale.iter().map(|s| 1.0 / s).collect(),
    };
    let length = |d: &[f64], x: &[f64]| norm(&x.iter().zip(d).map(|(x, d)| x * d).collect::<Vec<_>>());
    let mut delta = match length(&d, &point.x) {
        0.0 => 100.0,
        size => 100.0 * size,
    };
    let (mut par, mut untried) = (0.0, true);
    let stop = 'search: loop {
        let free = search.free(&point.x, &model.gradient);
        if model.cosine(&free) <= gtol {
            break Stop::Gradient;
        }
        if search.options.x_scale == Scale::Jacobian {
            d.iter_mut().zip(&model.sizes).for_each(|(d, s)| *d = d.max(*s));
        }
        let triangle = Triangle::new(&model.columns, &model.residuals)?;
        let size = length(&d, &point.x);
        loop {
            if let Some(stop) = search.limit() {
                break 'search stop;
            }
            let step = step(search, &triangle, &model, &point.x, &free, &d, delta, &mut par);
            let moved = length(&d, &step.s);
            if untried {
                delta = delta.min(moved);
            }
            // The model promises nothing along what the bounds leave of the step.
            if step.fall <= 0.0 && moved > 0.0 && free.len() < n {
                delta *= 0.25;
                if delta <= xtol * size {
                    break 'search Stop::Step;
                }
                continue;
            }
            let predicted = step.fall / point.cost;
            let trial = search.trial(step.x, m)?;
            let actual = match &trial {
                Some((at, _)) if at.cost < 100.0 * point.cost => 1.0 - at.cost / point.cost,
                _ => -1.0,
            };
            let ratio = if predicted > 0.0 { actual / predicted } else { 0.0 };
            if ratio <= 0.25 {
                let slope = 0.5 * step.slope / point.cost;
                let shorter = if actual >= 0.0 { 0.5 } else { 0.5 * slope / (slope + 0.5 * actual) };
                let shorter = if actual == -1.0 || shorter.is_nan() { 0.1 } else { shorter.max(0.1) };
                // Where there is no value the model says nothing of how far to go.
                let reach = if trial.is_some() { moved / 0.1 } else { moved };
                delta = shorter * delta.min(reach);
                par /= shorter;
            } else if par == 0.0 || ratio >= 0.75 {
                delta = 2.0 * moved;
                par *= 0.5;
            }
            let mut accepted = false;
            if let Some((at, recorded)) = trial.filter(|_| ratio >= 1e-4) {
                let next = recorded.jacobian()?;
                search.evaluations.derivatives += 1;
                if next.iter().all(|x| x.is_finite()) {
                    (point, jacobian, accepted, untried) = (at, next, true, false);
                    model = Model::of(search, &point, &jacobian);
                    if let Some(stop) = search.stepped(&point, &model.gradient) {
                        break 'search stop;
                    }
                } else {
                    // A value without derivatives ends the search as no value does.
                    delta *= 0.25;
                }
            }
            if point.cost == 0.0 {
                break 'search Stop::Gradient;
            }
            if actual.abs() <= ftol && predicted <= ftol && ratio <= 2.0 {
                break 'search Stop::Value;
            }
            if delta <= xtol * if accepted { length(&d, &point.x) } else { size } {
                break 'search Stop::Step;
            }
            if accepted {
                break;
            }
        }
    };
    let report = search.report("Levenberg-Marquardt", stop, &point, &model.gradient);
    Ok(Found {
        x: point.x,
        residuals: point.residuals,
        gradient: model.gradient,
        columns: jacobian,
        sparse: None,
        report,
    })
}

/// The step within the trust region and the bounds.
#[allow(clippy::too_many_arguments, reason = "the state of the search at one point")]
fn step(
    search: &Search<'_, '_>,
    triangle: &Triangle,
    model: &Model,
    x: &[f64],
    free: &[usize],
    d: &[f64],
    delta: f64,
    par: &mut f64,
) -> Step {
    let n = x.len();
    let judged = |x: Vec<f64>, s: Vec<f64>| {
        let js = triangle.times(&s);
        let slope = dot(&model.gradient, &s);
        Step { x, s, fall: -(slope + 0.5 * dot(&js, &js)), slope }
    };
    let mut next = x.to_vec();
    let mut s = vec![0.0; n];
    let mut rest = free.to_vec();
    let mut projected = None;
    loop {
        let p = if rest.len() == n {
            triangle.step(d, delta, par)
        } else {
            let of: Vec<f64> = rest.iter().map(|&j| d[j]).collect();
            triangle.among(&rest, &s).step(&of, delta, par)
        };
        let beyond =
            |j: usize, p: f64| x[j] + p < search.bounds.lower[j] || x[j] + p > search.bounds.upper[j];
        let any = rest.iter().zip(&p).any(|(&j, &p)| beyond(j, p));
        if any && projected.is_none() {
            let (mut at, mut by) = (x.to_vec(), vec![0.0; n]);
            for (&j, p) in rest.iter().zip(&p) {
                at[j] = search.bounds.clamp(j, x[j] + p);
                by[j] = at[j] - x[j];
            }
            projected = Some((at, by));
        }
        let mut left = Vec::new();
        for (&j, p) in rest.iter().zip(p) {
            if any && !beyond(j, p) {
                left.push(j);
                continue;
            }
            next[j] = search.bounds.clamp(j, x[j] + p);
            // What is not cut off is kept as it was found, not as the difference of two rounded numbers.
            s[j] = if any { next[j] - x[j] } else { p };
        }
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    let found = judged(next, s);
    match projected {
        Some((x, s)) if found.fall <= 0.0 => judged(x, s),
        _ => found,
    }
}
