//! Levenberg-Marquardt with a dense Jacobian: the trust region of MINPACK's `lmder`, with bounds and robust losses.
//!
//! Source: Moré, "The Levenberg-Marquardt algorithm: implementation and theory", 1978. Bounds: elements at a bound that
//! the gradient holds there take no part in a step (Bertsekas, "Projected Newton methods for optimization problems with
//! simple constraints", 1982); those that a step takes beyond a bound go to it, and the step is found anew for the rest.

use super::recorded::Recorded;
use super::search::{Point, Search, cosine};
use super::triangle::Triangle;
use super::{Found, Jacobian, Scale};
use crate::flat::elements;
use crate::report::Stop;
use crate::vector::{dot, norm};
use autograd::Tensor;
use linalg::{Triangle as Half, cholesky, mm, solve_triangular};
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

/// The Jacobian and the residuals of a point as the loss weighs them: each row by the root of rho', so that J^T r is the
/// gradient of the cost.
struct Model {
    /// The columns as rows, `[n, m]`.
    columns: Tensor,
    residuals: Vec<f64>,
    gradient: Vec<f64>,
    /// Norms of the columns.
    sizes: Vec<f64>,
}

impl Model {
    fn of(search: &Search<'_, '_>, point: &Point, jacobian: &Tensor) -> Result<Self> {
        let m = point.residuals.len();
        let (mut columns, mut residuals) = (jacobian.clone(), point.residuals.clone());
        if let Some(slopes) = search.options.loss.slopes(search.options.f_scale, &residuals) {
            let rows: Vec<f64> = slopes.into_iter().map(f64::sqrt).collect();
            residuals.iter_mut().zip(&rows).for_each(|(x, w)| *x *= w);
            columns = columns.try_mul(&Tensor::from(rows))?;
        }
        let gradient = elements(&columns).chunks_exact(m).map(|c| dot(c, &residuals)).collect();
        let sizes = elements(&columns).chunks_exact(m).map(norm).collect();
        Ok(Model { columns, residuals, gradient, sizes })
    }
}

/// Tolerances within which rounding is all that is left.
const TIGHT: [f64; 3] = [1e-15, 1e-12, 1e-14];

pub(super) fn solve(search: &mut Search<'_, '_>, x0: Vec<f64>) -> Result<Found> {
    let (point, recorded, jacobian) = search.start(x0)?;
    let model = Model::of(search, &point, &jacobian)?;
    let d: Vec<f64> = match &search.options.x_scale {
        Scale::Jacobian => model.sizes.iter().map(|&s| if s == 0.0 { 1.0 } else { s }).collect(),
        Scale::Given(scale) => scale.iter().map(|s| 1.0 / s).collect(),
    };
    let delta = match scaled_norm(&d, &point.x) {
        0.0 => 1.0,
        size => size,
    };
    let mut descent =
        Descent { search, point, jacobian, recorded, model, d, delta, par: 0.0, untried: true, plateaus: 0 };
    let mut tolerances =
        [descent.search.options.ftol, descent.search.options.xtol, descent.search.options.gtol];
    let stop = loop {
        let stop = descent.run(tolerances)?;
        if !stop.converged() || !descent.search.options.refine || tolerances == TIGHT {
            break stop;
        }
        match descent.refine()? {
            Refined::Done => break stop,
            Refined::Stopped(stop) => break stop,
            // No minimum yet, but a plateau or a narrow valley.
            Refined::Refused => tolerances = TIGHT,
        }
    };
    let Descent { search, point, jacobian, model, .. } = descent;
    let report = search.report("Levenberg-Marquardt", stop, &point, &model.gradient);
    Ok(Found {
        x: point.x,
        residuals: point.residuals,
        gradient: model.gradient,
        jacobian: Jacobian::Dense(jacobian),
        report,
    })
}

/// How a refinement ended.
enum Refined {
    Done,
    Refused,
    Stopped(Stop),
}

fn scaled_norm(d: &[f64], x: &[f64]) -> f64 {
    norm(&x.iter().zip(d).map(|(x, d)| x * d).collect::<Vec<_>>())
}

/// A point and what the search knows there.
struct Descent<'s, 'f, 'o> {
    search: &'s mut Search<'f, 'o>,
    point: Point,
    jacobian: Tensor,
    recorded: Recorded,
    model: Model,
    /// The scale of the trust region, its radius, and the damping that it led to last.
    d: Vec<f64>,
    delta: f64,
    par: f64,
    untried: bool,
    plateaus: usize,
}

/// Steps onto plateaus that are refused.
const PLATEAUS: usize = 10;

impl Descent<'_, '_, '_> {
    /// Takes a point over; a stop where the callback says so.
    fn accept(&mut self, point: Point, recorded: Recorded, jacobian: Tensor, model: Model) -> Option<Stop> {
        (self.point, self.recorded, self.jacobian, self.model) = (point, recorded, jacobian, model);
        self.search.stepped(&self.point, &self.model.gradient)
    }

    /// Steps until a tolerance or a limit is met.
    fn run(&mut self, tolerances: [f64; 3]) -> Result<Stop> {
        let [ftol, xtol, gtol] = tolerances.map(|t| t.max(f64::EPSILON));
        let (m, n) = (self.point.residuals.len(), self.point.x.len());
        loop {
            let free = self.search.free(&self.point.x, &self.model.gradient);
            if cosine(self.point.cost, &self.model.gradient, &self.model.sizes, &free) <= gtol {
                return Ok(Stop::Gradient);
            }
            if self.search.options.x_scale == Scale::Jacobian {
                self.d.iter_mut().zip(&self.model.sizes).for_each(|(d, s)| *d = d.max(*s));
            }
            let triangle = Triangle::new(&self.model.columns, &self.model.residuals)?;
            let size = scaled_norm(&self.d, &self.point.x);
            loop {
                if let Some(stop) = self.search.limit() {
                    return Ok(stop);
                }
                let step = self.step(&triangle, &free);
                let moved = scaled_norm(&self.d, &step.s);
                if self.untried {
                    self.delta = self.delta.min(moved);
                }
                // The model promises nothing along what the bounds leave of the step.
                if step.fall <= 0.0 && moved > 0.0 && free.len() < n {
                    self.delta *= 0.25;
                    if self.delta <= xtol * size {
                        return Ok(Stop::Step);
                    }
                    continue;
                }
                let cost = self.point.cost;
                let predicted = step.fall / cost;
                let trial = self.search.trial(step.x, m)?;
                let actual = match &trial {
                    Some((at, _)) if at.cost < 100.0 * cost => 1.0 - at.cost / cost,
                    _ => -1.0,
                };
                let ratio = if predicted > 0.0 { actual / predicted } else { 0.0 };
                if ratio <= 0.25 {
                    let slope = 0.5 * step.slope / cost;
                    let shorter = if actual >= 0.0 { 0.5 } else { 0.5 * slope / (slope + 0.5 * actual) };
                    let shorter = if actual == -1.0 || shorter.is_nan() { 0.1 } else { shorter.max(0.1) };
                    // Where there is no value the model says nothing of how far to go.
                    let reach = if trial.is_some() { moved / 0.1 } else { moved };
                    self.delta = shorter * self.delta.min(reach);
                    self.par /= shorter;
                } else if self.par == 0.0 || ratio >= 0.75 {
                    self.delta = 2.0 * moved;
                    self.par *= 0.5;
                }
                let mut accepted = false;
                if let Some((at, recorded)) = trial.filter(|_| ratio >= 1e-4) {
                    let jacobian = recorded.jacobian()?;
                    self.search.evaluations.derivatives += 1;
                    let model = Model::of(self.search, &at, &jacobian)?;
                    if !elements(&jacobian).iter().all(|x| x.is_finite()) {
                        // A value without derivatives ends the search as no value does.
                        self.delta = 0.25 * self.delta.min(moved);
                    } else if self.plateaus < PLATEAUS && self.flat(&model) {
                        self.plateaus += 1;
                        self.delta = 0.1 * moved;
                        continue;
                    } else {
                        (accepted, self.untried) = (true, false);
                        if let Some(stop) = self.accept(at, recorded, jacobian, model) {
                            return Ok(stop);
                        }
                    }
                }
                if self.point.cost == 0.0 {
                    return Ok(Stop::Gradient);
                }
                if actual.abs() <= ftol && predicted <= ftol && ratio <= 2.0 {
                    return Ok(Stop::Value);
                }
                if self.delta <= xtol * if accepted { scaled_norm(&self.d, &self.point.x) } else { size } {
                    return Ok(Stop::Step);
                }
                if accepted {
                    break;
                }
            }
        }
    }

    /// Whether a parameter has lost its influence: an exponential that vanished, say. Lower as the cost may be there,
    /// no way leads on.
    fn flat(&self, next: &Model) -> bool {
        next.sizes.iter().zip(&self.model.sizes).any(|(next, size)| *next < 1e-10 * size)
    }

    /// Steps from where the cost no longer tells them apart, judged by gradients alone: by the decrement g^T H^-1 g, twice
    /// what the cost still falls by. They are Gauss and Newton's while these get there about as soon as the Hessian would be
    /// formed, and then Newton's, which double the digits that are right.
    ///
    /// Source: Dennis, Gay, Welsch, "An adaptive nonlinear least-squares algorithm", 1981, on when the second-order term
    /// matters; Boyd, Vandenberghe, "Convex optimization", 2004, 9.5.1, on the decrement.
    fn refine(&mut self) -> Result<Refined> {
        let (m, n) = (self.point.residuals.len(), self.point.x.len());
        let free = self.search.free(&self.point.x, &self.model.gradient);
        // A Hessian takes about as long as so many steps without one.
        let affordable = (n / 2 + 2) as f64;
        let mut curvature = Some(Curvature::Gauss);
        let mut refined = false;
        let (mut step, mut decrement) = match free.is_empty() || self.point.cost == 0.0 {
            true => (Vec::new(), 0.0),
            false => Curvature::Gauss.step(&self.model, &free)?,
        };
        for _ in 0..12 {
            if free.is_empty() || self.point.cost == 0.0 {
                break;
            }
            if curvature.is_none() {
                let Some(newton) = Newton::at(self, &free)? else { break };
                let newton = Curvature::Newton(newton);
                (step, decrement) = newton.step(&self.model, &free)?;
                curvature = Some(newton);
            }
            let Some(known) = &curvature else { break };
            if decrement <= 1e-20 * self.point.cost || self.search.limit().is_some() {
                return Ok(Refined::Done);
            }
            let mut x = self.point.x.clone();
            free.iter().zip(&step).for_each(|(&j, s)| x[j] += s);
            if free.iter().any(|&j| self.search.bounds.clamp(j, x[j]) != x[j]) {
                break;
            }
            let gauss = matches!(known, Curvature::Gauss);
            let Some((at, recorded)) = self.search.trial(x, m)? else {
                if gauss {
                    curvature = None;
                    continue;
                }
                break;
            };
            let jacobian = recorded.jacobian()?;
            self.search.evaluations.derivatives += 1;
            let model = Model::of(self.search, &at, &jacobian)?;
            let (next, left) = known.step(&model, &free)?;
            if !(left < 0.25 * decrement && at.cost <= self.point.cost * (1.0 + 1e-8)) {
                if gauss {
                    curvature = None;
                    continue;
                }
                break;
            }
            refined = true;
            let wanted = 1e-20 * at.cost;
            let far = match gauss {
                true => (wanted / left).ln() / (left / decrement).ln() > affordable,
                false => left > 1e-3 * decrement && left > 1e-20 * at.cost,
            };
            if let Some(stop) = self.accept(at, recorded, jacobian, model) {
                return Ok(Refined::Stopped(stop));
            }
            (step, decrement) = (next, left);
            if far {
                curvature = None;
            }
        }
        // What is left beside the rounding of the cost, or nothing.
        let small =
            self.point.cost == 0.0 || free.is_empty() || (refined && decrement <= 1e-18 * self.point.cost);
        Ok(if small { Refined::Done } else { Refined::Refused })
    }

    /// The step within the trust region and the bounds.
    fn step(&mut self, triangle: &Triangle, free: &[usize]) -> Step {
        let Descent { search, model, d, delta, par, .. } = self;
        let (x, delta, n) = (&self.point.x, *delta, self.point.x.len());
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
}

/// What a step of the refinement takes for the Hessian of the cost.
enum Curvature {
    /// J^T J at each point.
    Gauss,
    Newton(Newton),
}

impl Curvature {
    /// -H^-1 g and g^T H^-1 g, among the elements that may move.
    fn step(&self, model: &Model, free: &[usize]) -> Result<(Vec<f64>, f64)> {
        match self {
            Curvature::Newton(newton) => newton.step(&model.gradient, free),
            Curvature::Gauss => {
                let columns = match free.len() == model.sizes.len() {
                    true => model.columns.clone(),
                    false => {
                        let at: Vec<i64> = free.iter().map(|&j| j as i64).collect();
                        model.columns.index_select(0, Tensor::from(at))?
                    }
                };
                let step = Triangle::new(&columns, &model.residuals)?.step(
                    &vec![1.0; free.len()],
                    f64::INFINITY,
                    &mut 0.0,
                );
                let decrement = -free.iter().zip(&step).map(|(&j, s)| model.gradient[j] * s).sum::<f64>();
                Ok((step, decrement))
            }
        }
    }
}

/// The Cholesky factor of the Hessian of the cost among the elements that may move, scaled by the columns.
struct Newton {
    lower: Tensor,
    upper: Tensor,
    sizes: Tensor,
}

impl Newton {
    /// None where the Hessian is not positive definite, or the residuals have no second derivatives.
    fn at(descent: &mut Descent<'_, '_, '_>, free: &[usize]) -> Result<Option<Self>> {
        let Descent { search, point, jacobian, recorded, model, .. } = descent;
        let n = point.x.len();
        let weights = search.sloped(&point.residuals);
        let Ok(curved) = recorded.hessian(weights, &search.flat) else { return Ok(None) };
        search.evaluations.products += n;
        let weighted = match search.options.loss.curvatures(search.options.f_scale, &point.residuals) {
            None => jacobian.clone(),
            Some(curvatures) => jacobian.try_mul(&Tensor::from(curvatures))?,
        };
        let hessian = mm(&weighted, &jacobian.t()?)? + Tensor::from_vec(curved, [n, n])?;
        let at = Tensor::from(free.iter().map(|&j| j as i64).collect::<Vec<_>>());
        let sizes = Tensor::from(free.iter().map(|&j| model.sizes[j]).collect::<Vec<_>>());
        let hessian = hessian.index_select(0, &at)?.index_select(1, &at)?;
        let hessian = hessian.try_div(&sizes)?.try_div(&sizes.unsqueeze(1)?)?;
        let Ok(lower) = cholesky(&hessian, false) else { return Ok(None) };
        Ok(Some(Newton { upper: lower.t()?, lower, sizes }))
    }

    /// -H^-1 g and g^T H^-1 g.
    fn step(&self, gradient: &[f64], free: &[usize]) -> Result<(Vec<f64>, f64)> {
        let g = Tensor::from(free.iter().map(|&j| gradient[j]).collect::<Vec<_>>()).try_div(&self.sizes)?;
        let half = solve_triangular(&self.lower, &g, Half::LOWER)?;
        let step = solve_triangular(&self.upper, &half, Half::UPPER)?.try_div(&self.sizes)?;
        Ok(((-step).to_vec(), half.square().sum().item()?))
    }
}
