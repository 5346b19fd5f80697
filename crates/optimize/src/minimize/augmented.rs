//! Constraints, by an augmented Lagrangian.

use super::objective::Function;
use super::{Found, MinimizeOptions, solve_with};
use crate::flat::Flat;
use crate::report::{Callback, Evaluations, Report, Stop};
use autograd::{Params, Tensor, no_grad};
use std::cell::RefCell;
use tensor_core::Result;

/// What a constraint asks of each element of its function's value.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Equal,
    AtLeast,
}

type OfParams<'a, P> = Box<dyn Fn(&P) -> Result<Tensor> + 'a>;

/// A constraint on parameters: a function, all elements of whose value, of any shape, are to be zero, or not negative.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::Constraint;
/// let sum_is_one = Constraint::equal(|x: &Tensor| Ok(x.sum() - 1.0));
/// // SciPy's "ineq": a function that is not to be negative.
/// let in_a_ball = Constraint::at_least(|x: &Tensor| Ok(4.0 - x.square().sum()));
/// # let _ = [sum_is_one, in_a_ball];
/// ```
pub struct Constraint<'a, P> {
    kind: Kind,
    f: OfParams<'a, P>,
}

impl<'a, P: Params<f64>> Constraint<'a, P> {
    /// c(x) = 0.
    pub fn equal(c: impl Fn(&P) -> Result<Tensor> + 'a) -> Self {
        Constraint { kind: Kind::Equal, f: Box::new(c) }
    }

    /// c(x) >= 0.
    #[doc(alias = "ineq")]
    pub fn at_least(c: impl Fn(&P) -> Result<Tensor> + 'a) -> Self {
        Constraint { kind: Kind::AtLeast, f: Box::new(c) }
    }

    /// The constraint on the tensors of a structure like `x0`.
    pub(crate) fn over<'b>(&'b self, x0: &'b P) -> Part<'b> {
        Part { kind: self.kind, f: Box::new(|x| (self.f)(&x0.rebuild(x.to_vec()))) }
    }
}

/// A constraint, whatever the structure of the parameters.
pub(crate) struct Part<'a> {
    pub(crate) kind: Kind,
    pub(crate) f: Box<Function<'a>>,
}

/// What is known of the constraints in the end.
#[derive(Default)]
pub(crate) struct Multipliers {
    pub(crate) multipliers: Vec<Tensor>,
    pub(crate) violation: f64,
}

/// The penalty's factor, and a multiplier for each element of each constraint.
struct Weights {
    factor: f64,
    multipliers: Vec<Tensor>,
}

impl Weights {
    /// What is added to f: - m c + r c^2 / 2 for c = 0; for c >= 0 (max(0, m - r c)^2 - m^2) / (2 r).
    fn penalty(&self, parts: &[Part<'_>], x: &[Tensor]) -> Result<Tensor> {
        let mut sum = Tensor::scalar(0.0);
        for (part, m) in parts.iter().zip(&self.multipliers) {
            let c = (part.f)(x)?;
            let term = match part.kind {
                Kind::Equal => (&c * (&c * (0.5 * self.factor) - m)).sum(),
                Kind::AtLeast => {
                    ((m - &c * self.factor).relu().square() - m.square()).sum() / (2.0 * self.factor)
                }
            };
            sum = sum.try_add(&term)?;
        }
        Ok(sum)
    }

    /// The multipliers that a minimum says, and how far the constraints are from being met: |c|, or |min(c, m / r)|,
    /// which also tells an inactive constraint's multiplier.
    fn next(&self, parts: &[Part<'_>], values: &[Tensor]) -> Result<(Vec<Tensor>, f64)> {
        let (mut next, mut worst) = (Vec::new(), 0f64);
        for ((part, m), c) in parts.iter().zip(&self.multipliers).zip(values) {
            let moved = m.try_sub(&(c * self.factor))?;
            let (new, off) = match part.kind {
                Kind::Equal => (moved, c.abs()),
                Kind::AtLeast => (moved.relu(), c.minimum(&(m / self.factor))?.abs()),
            };
            // Beyond this a multiplier tells of constraints that cannot be met, or that have no multipliers.
            next.push(new.clamp(-1e20, 1e20));
            worst = largest(&off)?.max(worst);
        }
        Ok((next, worst))
    }
}

fn largest(x: &Tensor) -> Result<f64> {
    if x.numel() == 0 { Ok(0.0) } else { x.max()?.item() }
}

/// Birgin, Martínez, "Practical augmented Lagrangian methods for constrained optimization", 2014, algorithm 4.1.
pub(crate) fn solve(
    f: &Function<'_>,
    parts: &[Part<'_>],
    x0: &[Tensor],
    mut options: MinimizeOptions<'_>,
) -> Result<(Found, Multipliers)> {
    let op = "minimize_constrained";
    let mut callback = options.callback.take();
    let flat = Flat::of(op, x0)?;
    let values = |x: &[Tensor]| -> Result<Vec<Tensor>> {
        no_grad(|| parts.iter().map(|part| Ok((part.f)(x)?.detach())).collect())
    };
    let start = values(x0)?;
    let squares: f64 = {
        let violated = parts.iter().zip(&start).map(|(part, c)| match part.kind {
            Kind::Equal => c.square().sum().item(),
            Kind::AtLeast => (-c).relu().square().sum().item(),
        });
        violated.sum::<Result<f64>>()?
    };
    let size = no_grad(|| f(x0))?.detach().item()?.abs();
    let factor = 10.0 * size.max(1.0) / (0.5 * squares).max(1.0);
    let factor = if factor.is_finite() { factor.clamp(1e-3, 1e6) } else { 10.0 };
    let weights =
        RefCell::new(Weights { factor, multipliers: start.iter().map(Tensor::zeros_like).collect() });
    let lagrangian = |x: &[Tensor]| f(x)?.try_add(&weights.borrow().penalty(parts, x)?);

    let mut x: Vec<Tensor> = x0.iter().map(Tensor::detach).collect();
    let mut total = Evaluations { values: 1, ..Default::default() };
    let (mut iterations, mut before) = (0, f64::INFINITY);
    // Early minima need not be sharp.
    let (gtol, most) = (options.gtol, (options.max_iterations, options.max_evaluations));
    options.gtol = gtol.max(1e-2);
    options.ftol = 0.0;
    loop {
        options.max_iterations = most.0.saturating_sub(iterations);
        options.max_evaluations = most.1.saturating_sub(total.values);
        let sharp = options.gtol <= gtol;
        let inner: Option<&mut Callback<'_>> = match &mut callback {
            Some(callback) => Some(&mut **callback),
            None => None,
        };
        let found = solve_with(op, &lagrangian, &x, &options, inner)?;
        let Report { evaluations, stop, .. } = found.report;
        total.values += evaluations.values;
        total.derivatives += evaluations.derivatives;
        total.products += evaluations.products;
        iterations += found.report.iterations;
        x = flat.tensors(&found.x)?;
        let c = values(&x)?;
        let (multipliers, off) = weights.borrow().next(parts, &c)?;
        let ended = match stop {
            Stop::Callback | Stop::Iterations | Stop::Evaluations => Some(stop),
            _ if off <= options.ctol && sharp => Some(stop),
            // What cannot be met, however large the penalty.
            _ if weights.borrow().factor > 1e14 => Some(Stop::NoProgress),
            _ if total.values >= most.1 => Some(Stop::Evaluations),
            _ if iterations >= most.0 => Some(Stop::Iterations),
            _ => None,
        };
        if let Some(stop) = ended {
            let violation = violation(parts, &c)?;
            let value = no_grad(|| f(&x))?.detach().item()?;
            let method = "augmented Lagrangian";
            let report = Report { method, stop, value, iterations, evaluations: total, ..found.report };
            return Ok((Found { report, ..found }, Multipliers { multipliers, violation }));
        }
        let mut weights = weights.borrow_mut();
        weights.multipliers = multipliers;
        if off > 0.5 * before && off > options.ctol {
            weights.factor *= 10.0;
        }
        before = off;
        options.gtol = gtol.max((0.1 * options.gtol).min(off));
    }
}

fn violation(parts: &[Part<'_>], values: &[Tensor]) -> Result<f64> {
    let mut worst = 0f64;
    for (part, c) in parts.iter().zip(values) {
        let off = if part.kind == Kind::Equal { c.abs() } else { (-c).relu() };
        worst = largest(&off)?.max(worst);
    }
    Ok(worst)
}
