//! Optimization with [tapegrad](https://docs.rs/tapegrad): from a function over tensors to its minimum, or to a fitted
//! model with error bars. Built on the public interface of the other crates alone.

mod augmented;
mod bounds;
mod cauchy;
mod flat;
mod lbfgs;
mod line_search;
mod minimize;
mod newton;
mod objective;
mod report;
mod search;
mod trust;

pub use augmented::Constraint;
pub use bounds::Bounds;
pub use minimize::{Method, MinimizeOptions, Minimum, minimize, minimize_constrained, minimize_with};
pub use report::{Callback, Evaluations, Progress, Report, Stop};
