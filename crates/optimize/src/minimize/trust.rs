//! Newton's method within a region where its model is trusted.

use super::objective::Halt;
use super::search::Search;
use crate::report::Stop;
use crate::vector::{axpy, dot, norm};
use autograd::Tensor;
use linalg::Linalg;
use tensor_core::Result;

/// How the model's minimum within the region is found.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Subproblem {
    /// By conjugate gradients, up to the region's edge: Steihaug, "The conjugate gradient method and trust regions in
    /// large scale optimization", 1983.
    ConjugateGradients,
    /// Exactly, by the eigenvalues of the Hessian: Moré, Sorensen, "Computing a trust region step", 1983.
    Exact,
}

/// The model's value less that at the point, and whether the step ends on the region's edge.
struct Step {
    gain: f64,
    at_edge: bool,
}

/// Nocedal, Wright, "Numerical optimization", 2006, algorithm 4.1. Differences of values that rounding explains count
/// as those that the model foresaw: Conn, Gould, Toint, "Trust-region methods", 2000, section 17.4.2.
pub(crate) fn run(search: &mut Search<'_, '_>, subproblem: Subproblem) -> Result<(), Halt> {
    search.check_start()?;
    let mut radius = (0.1 * norm(&search.at.x)).max(1.0);
    let mut exact = None;
    let mut p = vec![0.0; search.at.x.len()];
    loop {
        let step = match subproblem {
            Subproblem::ConjugateGradients => steihaug(search, radius, &mut p)?,
            Subproblem::Exact => {
                if exact.is_none() {
                    exact = Some(Eigen::at(search)?);
                }
                match &exact {
                    Some(eigen) => eigen.step(&search.at.gradient, radius, &mut p)?,
                    None => Step { gain: 0.0, at_edge: false },
                }
            }
        };
        let length = norm(&p);
        if step.gain.is_nan()
            || step.gain <= 0.0
            || !length.is_finite()
            || length <= f64::EPSILON * 1e-2 * norm(&search.at.x)
        {
            return Err(Halt::Stop(Stop::NoProgress));
        }
        let (value, _) = search.try_step(&p, 1.0)?;
        let rounding = 10.0 * f64::EPSILON * search.at.value.abs().max(f64::MIN_POSITIVE);
        let ratio = match value.is_finite() {
            true => (search.at.value - value + rounding) / (step.gain + rounding),
            false => -1.0,
        };
        // The new gradient decides where values cannot.
        let noise = (search.at.value - value).abs() <= rounding;
        let better = !noise || norm(&search.trial.gradient) < norm(&search.at.gradient);
        if ratio < 0.25 || !better {
            radius = 0.25 * length.min(radius);
        } else if ratio > 0.75 && step.at_edge {
            radius *= 2.0;
        }
        if ratio > 0.1 && better {
            exact = None;
            search.accept(!step.at_edge && ratio > 0.5)?;
        } else if noise {
            return Err(Halt::Stop(Stop::NoProgress));
        }
    }
}

/// How far along p from z the edge is: the larger root of |z + t p| = radius.
fn to_edge(z: &[f64], p: &[f64], radius: f64) -> f64 {
    let (a, b, c) = (dot(p, p), dot(z, p), dot(z, z) - radius * radius);
    let root = (b * b - a * c).max(0.0).sqrt();
    // The form that does not cancel.
    if b > 0.0 { -c / (b + root) } else { (root - b) / a }
}

fn steihaug(search: &mut Search<'_, '_>, radius: f64, z: &mut [f64]) -> Result<Step, Halt> {
    let g = &search.at.gradient;
    let n = g.len();
    let size = norm(g);
    let tolerance = size * size.sqrt().min(0.5);
    z.fill(0.0);
    let Some(record) = &search.at.record else { return Ok(Step { gain: 0.0, at_edge: false }) };
    let (mut r, mut hz, mut hp) = (g.clone(), vec![0.0; n], vec![0.0; n]);
    let mut p: Vec<f64> = g.iter().map(|g| -g).collect();
    let mut square = dot(&r, &r);
    let gain = |z: &[f64], hz: &[f64]| -(dot(g, z) + 0.5 * dot(z, hz));
    for _ in 0..(2 * n).max(20) {
        search.objective.product(record, &p, &mut hp)?;
        let curve = dot(&p, &hp);
        let step = square / curve;
        let ends = curve.is_nan() || curve <= 0.0 || !step.is_finite() || {
            let beyond: f64 = z.iter().zip(&p).map(|(z, p)| (z + step * p).powi(2)).sum();
            beyond.sqrt() >= radius
        };
        if ends {
            let t = to_edge(z, &p, radius);
            axpy(t, &p, z);
            axpy(t, &hp, &mut hz);
            return Ok(Step { gain: gain(z, &hz), at_edge: true });
        }
        axpy(step, &p, z);
        axpy(step, &hp, &mut hz);
        axpy(step, &hp, &mut r);
        let next = dot(&r, &r);
        if next.sqrt() <= tolerance {
            break;
        }
        let ratio = next / square;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = ratio * *p - r);
        square = next;
    }
    Ok(Step { gain: gain(z, &hz), at_edge: false })
}

/// A Hessian by its eigenvalues, which ascend, and the rows of its eigenvectors' transpose.
struct Eigen {
    values: Vec<f64>,
    vectors: Vec<f64>,
}

impl Eigen {
    fn at(search: &mut Search<'_, '_>) -> Result<Self, Halt> {
        let n = search.at.x.len();
        let Some(record) = &search.at.record else { return Ok(Eigen { values: vec![], vectors: vec![] }) };
        let h = search.objective.hessian(record)?;
        let h = Tensor::from_vec(h, [n, n])?;
        let (values, vectors) = ((&h + h.t()?) * 0.5).eigh()?;
        Ok(Eigen { values: values.to_vec(), vectors: vectors.t()?.to_vec() })
    }

    /// The p that makes g p + p H p / 2 least for |p| <= radius: p = -(H + s I)^-1 g for the least s >= 0 for which
    /// that is positive semidefinite and |p| fits.
    fn step(&self, g: &[f64], radius: f64, p: &mut [f64]) -> Result<Step, Halt> {
        let n = g.len();
        let row = |k: usize| &self.vectors[k * n..(k + 1) * n];
        let along: Vec<f64> = (0..n).map(|k| dot(row(k), g)).collect();
        let size = self.values.iter().fold(0.0, |m: f64, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
        let least = self.values[0];
        let parts = |s: f64| -> Vec<f64> {
            let part = |(a, v): (&f64, &f64)| if *a == 0.0 { 0.0 } else { -a / (v + s) };
            along.iter().zip(&self.values).map(part).collect()
        };
        let newton = parts(0.0);
        let (mut q, mut at_edge) = (newton, false);
        if least <= f64::EPSILON * size || norm(&q).is_nan() || norm(&q) > radius {
            at_edge = true;
            let floor = (-least).max(0.0);
            let mut low = floor;
            // |g| / (least + s) bounds the length.
            let mut high = floor + norm(&along) / radius + f64::EPSILON * size;
            let mut s = low + f64::EPSILON * size;
            q = parts(s);
            if norm(&q) < radius {
                // The hard case: along the first eigenvector as far as the edge.
                let mut unit = vec![0.0; n];
                unit[0] = if along[0] > 0.0 { -1.0 } else { 1.0 };
                let t = to_edge(&q, &unit, radius);
                q[0] += t * unit[0];
            } else {
                for _ in 0..100 {
                    let length = norm(&q);
                    if (length - radius).abs() <= 1e-10 * radius {
                        break;
                    }
                    if length > radius {
                        low = s
                    } else {
                        high = s
                    }
                    // Newton's method on 1 / |p| - 1 / radius.
                    let slope: f64 = q
                        .iter()
                        .zip(&self.values)
                        .map(|(q, v)| if *q == 0.0 { 0.0 } else { q * q / (v + s) })
                        .sum();
                    let next = s + (length * length / slope) * ((length - radius) / radius);
                    s = if next > low && next < high { next } else { 0.5 * (low + high) };
                    q = parts(s);
                }
            }
        }
        let gain = -(0..n).map(|k| along[k] * q[k] + 0.5 * self.values[k] * q[k] * q[k]).sum::<f64>();
        p.fill(0.0);
        (0..n).for_each(|k| axpy(q[k], row(k), p));
        Ok(Step { gain, at_edge })
    }
}
