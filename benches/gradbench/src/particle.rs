//! A charged particle between two charges: where the second one has to be for its path to meet the origin.

use crate::descent::{Mode, argmin, modes, slope};
use crate::protocol::{Answer, Input, Outcome, unknown};
use serde_json::json;
use tapegrad::prelude::*;

const STEP: f64 = 0.1;

/// The sum of 1 / distance from each charge.
fn potential(charges: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok((charges - x).square().sum_dim(1, false)?.rsqrt().sum())
}

/// The square of where the particle meets the axis, by Euler's method and a line to the axis; w is `[1]`.
fn miss(w: &Tensor, mode: Mode) -> Result<Tensor> {
    let charges = Tensor::from([[10.0, 10.0], [10.0, 0.0]]) - Tensor::from([[0.0, 1.0], [0.0, 0.0]]) * w;
    let (mut x, mut v) = (Tensor::from([0.0, 8.0]), Tensor::from([0.75, 0.0]));
    loop {
        let force = -slope(|x| potential(&charges, x), &x, mode)?;
        x += &v * STEP;
        if x.get([1])? <= 0.0 {
            let rest = -(x.select(0, 1)? / v.select(0, 1)?);
            return Ok((x.select(0, 0)? + rest * v.select(0, 0)?).square());
        }
        v += force * STEP;
    }
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let Some([outer, inner]) = modes(function) else { return unknown(function) };
    let start = Tensor::from([input.number("w")?]);
    input.timed(|| argmin(|w| miss(w, inner), &start, outer), |w| Ok(json!(w.get([0])?)))
}
