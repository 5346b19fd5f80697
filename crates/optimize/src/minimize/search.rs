//! What all solvers share: the point they are at, trials, tolerances and limits.

#![allow(clippy::needless_range_loop, reason = "formulas over several vectors read best by index")]

use super::line_search::{LineSearch, Next};
use super::objective::{Halt, Objective, Record};
use crate::bounds::Limits;
use crate::report::{Callback, Progress, Stop};
use crate::vector::dot;
use tensor_core::Result;

/// When a solver stops.
#[derive(Clone, Copy)]
pub(crate) struct Tolerances {
    pub(crate) gradient: f64,
    pub(crate) value: f64,
    pub(crate) step: f64,
    pub(crate) iterations: usize,
}

/// A point, with all that is known there.
pub(crate) struct Point {
    pub(crate) x: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    pub(crate) record: Option<Record>,
}

pub(crate) struct Search<'a, 'c> {
    pub(crate) objective: Objective<'a>,
    pub(crate) limits: Limits,
    pub(crate) tolerances: Tolerances,
    pub(crate) callback: Option<&'c mut Callback<'c>>,
    pub(crate) iterations: usize,
    /// Where the solver is.
    pub(crate) at: Point,
    /// The last trial; after it was accepted, where the solver was before.
    pub(crate) trial: Point,
    /// Whether trials are recorded, for products with the Hessian.
    recorded: bool,
}

impl<'a, 'c> Search<'a, 'c> {
    /// Evaluates at the first point, within the bounds.
    pub(crate) fn begin(
        mut objective: Objective<'a>,
        limits: Limits,
        tolerances: Tolerances,
        callback: Option<&'c mut Callback<'c>>,
        mut x: Vec<f64>,
        recorded: bool,
    ) -> Result<Self, Halt> {
        let n = x.len();
        if x.iter().any(|x| !x.is_finite()) {
            return Err(objective.not_finite(&x).into());
        }
        limits.project(&mut x);
        let mut at = Point { x, value: 0.0, gradient: vec![0.0; n], record: None };
        evaluate(&mut objective, &mut at, recorded)?;
        if !at.value.is_finite() {
            return Err(objective.not_finite(&at.x).into());
        }
        let trial = Point { x: at.x.clone(), value: 0.0, gradient: vec![0.0; n], record: None };
        Ok(Search { objective, limits, tolerances, callback, iterations: 0, at, trial, recorded })
    }

    /// The largest component of the projected gradient.
    pub(crate) fn gradient_norm(&self) -> f64 {
        self.limits.gradient_norm(&self.at.x, &self.at.gradient)
    }

    /// Whether the first point is the solution, or no steps are allowed.
    pub(crate) fn check_start(&self) -> Result<(), Halt> {
        match self.gradient_norm() <= self.tolerances.gradient {
            true => Err(Halt::Stop(Stop::Gradient)),
            false if self.tolerances.iterations == 0 => Err(Halt::Stop(Stop::Iterations)),
            false => Ok(()),
        }
    }

    /// Evaluates at x + step direction, within the bounds; the value, and the slope along the direction.
    pub(crate) fn try_step(&mut self, direction: &[f64], step: f64) -> Result<(f64, f64), Halt> {
        let from = self.at.x.iter().zip(direction);
        self.trial.x.iter_mut().zip(from).for_each(|(new, (x, d))| *new = x + step * d);
        self.limits.project(&mut self.trial.x);
        evaluate(&mut self.objective, &mut self.trial, self.recorded)?;
        Ok((self.trial.value, dot(&self.trial.gradient, direction)))
    }

    /// Searches along a direction; true where a trial is good enough to go there.
    pub(crate) fn along(
        &mut self,
        direction: &[f64],
        first: f64,
        longest: f64,
        curvature: f64,
    ) -> Result<bool, Halt> {
        let slope = dot(&self.at.gradient, direction);
        if slope >= 0.0 || !slope.is_finite() || longest <= 0.0 {
            return Ok(false);
        }
        let mut search = LineSearch::new(self.at.value, slope, first, longest, curvature);
        let mut step = search.first();
        // The best of the trials serves where none meets all conditions.
        let (mut best, mut least) = (None, self.at.value);
        loop {
            let (value, slope) = self.try_step(direction, step)?;
            match search.next(value, slope) {
                Next::Found => return Ok(true),
                Next::Try(next) => {
                    if value < least {
                        (best, least) = (Some(step), value);
                    }
                    step = next;
                }
                Next::Stuck if value < least => return Ok(true),
                Next::Stuck => break,
            }
        }
        match best {
            None => Ok(false),
            Some(step) => Ok(self.try_step(direction, step)?.0 < self.at.value),
        }
    }

    /// Goes to the trial, and says where to stop. A step that was cut short says nothing about the value.
    pub(crate) fn accept(&mut self, whole: bool) -> Result<(), Halt> {
        std::mem::swap(&mut self.at, &mut self.trial);
        self.trial.record = None;
        self.iterations += 1;
        let gradient_norm = self.gradient_norm();
        if let Some(callback) = &mut self.callback {
            let x = self.objective.unscaled(&self.at.x);
            let progress =
                Progress { iteration: self.iterations, value: self.at.value, gradient_norm, x: &x };
            if callback(&progress).is_break() {
                return Err(Halt::Stop(Stop::Callback));
            }
        }
        let Tolerances { gradient, value, step, iterations } = self.tolerances;
        let (new, old) = (&self.at, &self.trial);
        let size = new.value.abs().max(old.value.abs()).max(1.0);
        let stop = if gradient_norm <= gradient {
            Stop::Gradient
        } else if whole && (old.value - new.value).abs() <= value * size {
            Stop::Value
        } else if whole && step > 0.0 && within(step, &new.x, &old.x) {
            Stop::Step
        } else if self.iterations >= iterations {
            Stop::Iterations
        } else {
            return Ok(());
        };
        Err(Halt::Stop(stop))
    }
}

/// Whether two points differ by at most so much of their size.
fn within(tolerance: f64, new: &[f64], old: &[f64]) -> bool {
    let largest = |it: &mut dyn Iterator<Item = f64>| it.fold(0.0, |m: f64, x| m.max(x.abs()));
    largest(&mut new.iter().zip(old).map(|(a, b)| a - b)) <= tolerance * largest(&mut new.iter().copied())
}

fn evaluate(objective: &mut Objective<'_>, point: &mut Point, recorded: bool) -> Result<(), Halt> {
    (point.value, point.record) = match recorded {
        false => (objective.evaluate(&point.x, &mut point.gradient)?, None),
        true => {
            let (value, record) = objective.record(&point.x, &mut point.gradient)?;
            (value, Some(record))
        }
    };
    Ok(())
}
