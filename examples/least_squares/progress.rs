//! What both solvers report: a bar while they run, and what they found.

use crate::problem::Problem;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};
use tapegrad::prelude::*;

/// More than this is not waited for.
pub const MOST_ITERATIONS: usize = 100_000;

/// A solver's result.
pub struct Outcome<T: Float> {
    pub solver: &'static str,
    pub x: Tensor<T>,
    /// The norm of the gradient at the start and after each iteration.
    pub norms: Vec<f64>,
    pub converged: bool,
    pub time: Duration,
}

/// A solver's way so far.
pub struct Progress {
    solver: &'static str,
    pub norms: Vec<f64>,
    tolerance: f64,
    bar: ProgressBar,
    begin: Instant,
}

impl Progress {
    pub fn start<T: Float>(solver: &'static str, problem: &Problem<T>) -> Self {
        let template = "{prefix:16} {bar:30} {pos:>3} %  {msg}";
        // indicatif draws nothing where stderr is not a terminal.
        let bar = ProgressBar::new(100).with_prefix(solver);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let tolerance = problem.tolerance().to_f64();
        Progress { solver, norms: Vec::new(), tolerance, bar, begin: Instant::now() }
    }

    /// Notes the norm of the gradient after an iteration.
    pub fn record(&mut self, norm: f64) {
        self.norms.push(norm);
        if !self.bar.is_hidden() {
            // The digits gained, of those to gain: convergence is linear in these.
            let digits = |norm: f64| (self.norms[0] / norm).log10();
            let share = digits(norm.max(self.tolerance)) / digits(self.tolerance);
            self.bar.set_position((100.0 * share).clamp(0.0, 100.0) as u64);
            self.bar.set_message(format!("iteration {}, |gradient| {norm:.1e}", self.norms.len() - 1));
        }
    }

    pub fn finish<T: Float>(self, x: Tensor<T>, converged: bool) -> Outcome<T> {
        self.bar.finish_and_clear();
        let Progress { solver, norms, begin, .. } = self;
        Outcome { solver, x, norms, converged, time: begin.elapsed() }
    }
}
