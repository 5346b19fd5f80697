//! Optimization with [tapegrad](https://docs.rs/tapegrad): from a function over tensors to its minimum, or to a fitted
//! model with error bars. Built on the public interface of the other crates alone.

#[cfg(feature = "argmin")]
pub mod argmin;
mod augmented;
mod bounds;
mod cauchy;
mod first_order;
mod flat;
mod implicit;
mod lbfgs;
mod line_search;
mod minimize;
mod newton;
mod objective;
#[cfg(feature = "progress")]
pub mod progress;
mod report;
mod search;
mod trust;

pub use augmented::Constraint;
pub use bounds::Bounds;
pub use first_order::{
    Adam, AdamOptions, Sgd, SgdOptions, clip_grad_norm, clip_grad_value, gradients, schedule, zero_grad,
};
pub use implicit::{differentiable, minimize_implicit};
pub use minimize::{Method, MinimizeOptions, Minimum, minimize, minimize_constrained, minimize_with};
pub use report::{Callback, Evaluations, Progress, Report, Stop};
