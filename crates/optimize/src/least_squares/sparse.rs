//! Levenberg-Marquardt with a sparse Jacobian.
//!
//! Source: the damping of Nielsen, "Damping parameter in Marquardt's method", 1999, scaled by the columns as Moré's.

use super::recorded::finite_at_start;
use super::search::{Point, Search, cosine};
use super::{Found, Jacobian, OP, Scale};
use crate::report::Stop;
use crate::vector::{dot, norm};
use autograd::params::{flatten, unflatten};
use autograd::{Linearized, Tensor, linearize, no_grad};
use linalg::{SparseJacobian, SparseTensor};
use std::cell::RefCell;
use tensor_core::{Device, ErrorKind, Result};

/// The Jacobian of a point as the loss weighs it, and the gradient of the cost.
struct Model {
    jacobian: SparseTensor,
    gradient: Vec<f64>,
    /// Norms of the columns.
    sizes: Vec<f64>,
}

impl Model {
    fn of(search: &Search<'_, '_>, point: &Point, jacobian: &SparseTensor) -> Result<Self> {
        let gradient = jacobian.t()?.mv(&Tensor::from(search.sloped(&point.residuals)))?.to_vec();
        let jacobian = match search.options.loss.slopes(search.options.f_scale, &point.residuals) {
            None => jacobian.clone(),
            Some(slopes) => scaled(jacobian, 0, slopes.into_iter().map(f64::sqrt).collect())?,
        };
        let sizes = jacobian.with_values(&jacobian.values().square())?.sum_dim(0)?.sqrt().to_vec();
        Ok(Model { jacobian, gradient, sizes })
    }

    /// -(J^T J + damping D^2)^-1 J^T f among the free elements; None where the matrix has no Cholesky factorisation.
    fn step(&self, free: &[usize], d: &[f64], damping: f64) -> Result<Option<Vec<f64>>> {
        let n = d.len();
        let mut mask = vec![0.0; n];
        free.iter().for_each(|&j| mask[j] = 1.0);
        let jacobian = match free.len() == n {
            true => self.jacobian.clone(),
            false => scaled(&self.jacobian, 1, mask.clone())?,
        };
        // An element that does not move has a zero gradient, and the damping on its diagonal.
        let diagonal: Vec<f64> = d.iter().map(|d| damping * d * d).collect();
        let diagonal = SparseTensor::diags([&Tensor::from(diagonal)], [0], (n, n))?;
        let normal = jacobian.t()?.mm_sparse(&jacobian)?.try_add(&diagonal)?;
        let right: Vec<f64> = self.gradient.iter().zip(&mask).map(|(g, m)| -g * m).collect();
        match normal.cholesky_solve(&Tensor::from(right)) {
            Ok(step) => Ok(Some(step.to_vec()).filter(|s| s.iter().all(|s| s.is_finite()))),
            Err(e)
                if matches!(e.kind(), ErrorKind::NotPositiveDefinite { .. } | ErrorKind::Singular { .. }) =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}

/// How far a step is held back.
struct Damping {
    value: f64,
    grows: f64,
}

impl Damping {
    /// After a step that was as good as `ratio` says, relative to the model.
    fn accept(&mut self, ratio: f64) {
        let factor = (1.0 - (2.0 * ratio - 1.0).powi(3)).max(1.0 / 3.0);
        *self = Damping { value: (self.value * factor).max(f64::MIN_POSITIVE), grows: 2.0 };
    }

    /// After a step that led nowhere; a stop where it was within `least`, or cannot become shorter.
    fn refuse(&mut self, moved: f64, least: f64) -> Option<Stop> {
        *self = Damping { value: self.value * self.grows, grows: 2.0 * self.grows };
        if moved <= least {
            Some(Stop::Step)
        } else if self.value.is_finite() {
            None
        } else {
            Some(Stop::NoProgress)
        }
    }
}

pub(super) fn solve(
    search: &mut Search<'_, '_>,
    x0: Vec<f64>,
    plan: Option<SparseJacobian>,
) -> Result<Found> {
    let like = search.flat.tensors(&x0)?;
    let at = flatten(&like)?;
    let plan = match plan {
        Some(plan) => plan,
        None => {
            let f = RefCell::new(&mut *search.f);
            SparseJacobian::detect(|x: &Tensor| Ok(f.borrow_mut()(&unflatten(&like, x)?)?.flatten()), &at)?
        }
    };
    let at = linearized(search, &x0)?;
    search.evaluations.values += 1;
    let mut point = search.start_from(x0, at.value().to_vec())?;
    let mut jacobian = jacobian_of(search, &plan, &at)?;
    drop(at);
    finite_at_start(OP, "the Jacobian's stored element", &jacobian.values().to_vec())?;
    let m = point.residuals.len();
    let [ftol, xtol, gtol] =
        [search.options.ftol, search.options.xtol, search.options.gtol].map(|t| t.max(f64::EPSILON));
    let mut model = Model::of(search, &point, &jacobian)?;
    let mut d: Vec<f64> = match &search.options.x_scale {
        Scale::Jacobian => model.sizes.iter().map(|&s| if s == 0.0 { 1.0 } else { s }).collect(),
        Scale::Given(scale) => scale.iter().map(|s| 1.0 / s).collect(),
    };
    let length = |d: &[f64], x: &[f64]| norm(&x.iter().zip(d).map(|(x, d)| x * d).collect::<Vec<_>>());
    let mut damping = Damping { value: 1e-4, grows: 2.0 };
    let stop = 'search: loop {
        let free = search.free(&point.x, &model.gradient);
        if point.cost == 0.0 || cosine(point.cost, &model.gradient, &model.sizes, &free) <= gtol {
            break Stop::Gradient;
        }
        if search.options.x_scale == Scale::Jacobian {
            d.iter_mut().zip(&model.sizes).for_each(|(d, s)| *d = d.max(*s));
        }
        loop {
            if let Some(stop) = search.limit() {
                break 'search stop;
            }
            search.evaluations.products += 1;
            let Some(p) = model.step(&free, &d, damping.value)? else {
                match damping.refuse(f64::INFINITY, 0.0) {
                    Some(stop) => break 'search stop,
                    None => continue,
                }
            };
            let x: Vec<f64> =
                point.x.iter().zip(&p).enumerate().map(|(j, (x, p))| search.bounds.clamp(j, x + p)).collect();
            let s: Vec<f64> = x
                .iter()
                .zip(&point.x)
                .zip(&p)
                .map(|((to, from), p)| {
                    // What is not cut off is kept as it was found.
                    if *to == from + p { *p } else { to - from }
                })
                .collect();
            let moved = length(&d, &s);
            let js = model.jacobian.mv(&Tensor::from(s.clone()))?.to_vec();
            let fall = -(dot(&model.gradient, &s) + 0.5 * dot(&js, &js));
            let predicted = fall / point.cost;
            let trial = if fall > 0.0 {
                let at = linearized(search, &x)?;
                search.tried(x, at.value().to_vec(), m)?.map(|point| (point, at))
            } else {
                None
            };
            let actual = trial.as_ref().map_or(-1.0, |(next, _)| 1.0 - next.cost / point.cost);
            let ratio = actual / predicted;
            let Some((next, at)) = trial.filter(|_| ratio >= 1e-4) else {
                if actual.abs() <= ftol && predicted <= ftol {
                    break 'search Stop::Value;
                }
                match damping.refuse(moved, xtol * length(&d, &point.x)) {
                    Some(stop) => break 'search stop,
                    None => continue,
                }
            };
            let derivatives = jacobian_of(search, &plan, &at)?;
            if !derivatives.values().to_vec().iter().all(|x| x.is_finite()) {
                match damping.refuse(moved, xtol * length(&d, &point.x)) {
                    Some(stop) => break 'search stop,
                    None => continue,
                }
            }
            (point, jacobian) = (next, derivatives);
            model = Model::of(search, &point, &jacobian)?;
            damping.accept(ratio);
            if let Some(stop) = search.stepped(&point, &model.gradient) {
                break 'search stop;
            }
            if actual.abs() <= ftol && predicted <= ftol && ratio <= 2.0 {
                break 'search Stop::Value;
            }
            if moved <= xtol * length(&d, &point.x) {
                break 'search Stop::Step;
            }
            break;
        }
    };
    let report = search.report("sparse Levenberg-Marquardt", stop, &point, &model.gradient);
    Ok(Found {
        x: point.x,
        residuals: point.residuals,
        gradient: model.gradient,
        jacobian: Jacobian::Sparse(jacobian),
        report,
    })
}

/// Each row (`dim` 0) or column (`dim` 1) times a weight.
fn scaled(matrix: &SparseTensor, dim: usize, weights: Vec<f64>) -> Result<SparseTensor> {
    let lines = matrix.indices()?.select(0, dim)?;
    let weights = Tensor::from(weights).index_select(0, &lines)?;
    matrix.with_values(&matrix.values().try_mul(&weights)?)
}

/// The residuals of a vector of parameters, linearised: values and Jacobian of a point are one evaluation.
fn linearized(search: &mut Search<'_, '_>, x: &[f64]) -> Result<Linearized<f64, Tensor, Tensor>> {
    let like = search.flat.tensors(x)?;
    let x = flatten(&like)?;
    no_grad(|| linearize(|x: &Tensor| Ok((search.f)(&unflatten(&like, x)?)?.flatten()), &x))
}

/// The matrix on the host, where it is factored.
fn jacobian_of(
    search: &mut Search<'_, '_>,
    plan: &SparseJacobian,
    at: &Linearized<f64, Tensor, Tensor>,
) -> Result<SparseTensor> {
    search.evaluations.derivatives += 1;
    plan.evaluate_linearized(at)?.to_device(&Device::Cpu)
}
