//! Why a solver stopped and what it took, limits on both, and the view of it on the way: one mechanism for every solver
//! of this crate.

use std::fmt;
use std::ops::ControlFlow;

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The largest component of the (projected) gradient is within its tolerance.
    Gradient,
    /// The last step was within its tolerance, relative to the point.
    Step,
    /// The value changed within its tolerance, relative to itself.
    Value,
    /// Nothing better was found along the last direction: what is left are rounding errors, or a gradient that is none
    /// of the function's.
    NoProgress,
    /// The limit on iterations.
    Iterations,
    /// The limit on evaluations.
    Evaluations,
    /// The callback said so.
    Callback,
}

impl Stop {
    /// Whether a tolerance was met.
    pub fn converged(self) -> bool {
        matches!(self, Stop::Gradient | Stop::Step | Stop::Value)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Gradient => "the gradient is within its tolerance",
            Stop::Step => "the step is within its tolerance",
            Stop::Value => "the value changes within its tolerance",
            Stop::NoProgress => "no better point along the last direction",
            Stop::Iterations => "limit on iterations",
            Stop::Evaluations => "limit on evaluations",
            Stop::Callback => "stopped by the callback",
        })
    }
}

/// What a solver computed on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evaluations {
    /// Values of the function, or of the residuals, alone or with a derivative.
    pub values: usize,
    /// Gradients, or Jacobians in least squares.
    pub derivatives: usize,
    /// Products of the Hessian, or of the Jacobian, with a vector.
    pub products: usize,
}

/// How a solver ended: prints as a few lines.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of the method.
    pub method: &'static str,
    /// Why it stopped.
    pub stop: Stop,
    /// The value of the function at the solution; in least squares half the sum of squares, after the robust loss.
    pub value: f64,
    /// The largest component of the gradient there, in magnitude; projected, where there are bounds.
    pub gradient_norm: f64,
    /// Steps taken.
    pub iterations: usize,
    /// What was computed.
    pub evaluations: Evaluations,
}

impl Report {
    /// Whether a tolerance was met.
    pub fn converged(&self) -> bool {
        self.stop.converged()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluations { values, derivatives, products } = self.evaluations;
        writeln!(f, "{}: {}", self.method, self.stop)?;
        writeln!(f, "  value            {:e}", self.value)?;
        writeln!(f, "  gradient, max    {:.3e}", self.gradient_norm)?;
        writeln!(f, "  iterations       {}", self.iterations)?;
        write!(f, "  evaluations      {values} values, {derivatives} derivatives, {products} products")
    }
}

/// What a callback sees after each step.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Steps taken.
    pub iteration: usize,
    /// The value at this point.
    pub value: f64,
    /// The largest component of the gradient, in magnitude.
    pub gradient_norm: f64,
    /// The point: all parameters in one vector.
    pub x: &'a [f64],
}

/// What is called after each step: `Break` ends the solver, which returns the point it has.
pub type Callback<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;
