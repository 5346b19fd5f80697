//! Optimization with [tapegrad](https://docs.rs/tapegrad): from a function over tensors to its minimum, or to a fitted
//! model with error bars. Built on the public interface of the other crates alone.

mod bounds;
mod flat;
mod report;

pub use bounds::Bounds;
pub use report::{Callback, Evaluations, Progress, Report, Stop};
