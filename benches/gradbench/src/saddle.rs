//! The x that makes the largest of |x|^2 - |y|^2 over y smallest, both found by descent.

use crate::descent::{Mode, argmin, modes};
use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

fn objective(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    Ok(x.square().sum() - y.square().sum())
}

/// The y at which the objective is largest.
fn best(x: &Tensor, start: &Tensor, mode: Mode) -> Result<Tensor> {
    argmin(|y| Ok(-objective(x, y)?), start, mode)
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let Some([outer, inner]) = modes(function) else { return unknown(function) };
    let start = input.tensor("start")?;
    let saddle = || {
        let x = argmin(|x| objective(x, &best(x, &start, inner)?), &start, outer)?;
        let y = best(&x, &start, outer)?;
        Tensor::cat([x, y], 0)
    };
    input.timed(saddle, nested)
}
