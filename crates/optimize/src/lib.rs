//! Optimization with [tapegrad](https://docs.rs/tapegrad): from a function over tensors to its minimum, or to a fitted
//! model with error bars. Built on the public interface of the other crates alone.

#[cfg(feature = "argmin")]
pub mod argmin;
mod bounds;
mod curve_fit;
mod first_order;
mod flat;
mod implicit;
mod least_squares;
#[cfg(feature = "levenberg-marquardt")]
pub mod levenberg_marquardt;
mod minimize;
#[cfg(feature = "progress")]
pub mod progress;
mod report;
mod vector;

pub use bounds::Bounds;
pub use curve_fit::{Band, CurveFit, CurveFitOptions, curve_fit, curve_fit_with, student_t_quantile};
pub use first_order::{
    Adam, AdamOptions, Sgd, SgdOptions, clip_grad_norm, clip_grad_value, gradients, schedule, zero_grad,
};
pub use implicit::{differentiable, minimize_implicit};
pub use least_squares::{
    Jacobian, LeastSquaresMethod, LeastSquaresOptions, LeastSquaresSolution, Loss, Scale, least_squares,
    least_squares_with,
};
pub use minimize::{
    Constraint, Method, MinimizeOptions, Minimum, minimize, minimize_constrained, minimize_with,
};
pub use report::{Callback, Evaluations, Progress, Report, Stop};

/// The code in the crate's README, run as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
