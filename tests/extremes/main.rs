//! The ends of the number range, of sizes and of patience: answers that another library was known to give, or that
//! mathematics gives, where this one once did not. A line of a table is a case.

mod batches;
mod elementwise;
mod engine;
mod reductions;
mod refusals;
mod scaling;
mod solvers;
mod spectra;
