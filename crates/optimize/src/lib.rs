//! Optimization with [tapegrad](https://docs.rs/tapegrad): from a function over tensors to its minimum, or to a fitted
//! model with error bars. Built on the public interface of the other crates alone.

mod report;

pub use report::{Callback, Evaluations, Progress, Report, Stop};
