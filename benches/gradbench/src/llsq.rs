//! A polynomial with the coefficients x, of least squares beside the sign of t, at n points from -1 to 1.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

fn objective(x: &Tensor, n: usize) -> Result<Tensor> {
    let t = linspace(-1.0, 1.0, n)?;
    let powers = linalg::vander(&t, x.numel(), false)?;
    Ok(least_squares_loss(&powers, x, &t.sign())? * 0.5)
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let (x, n) = (input.tensor("x")?, input.count("n")?);
    match function {
        "primal" => input.timed(|| objective(&x, n), nested),
        "gradient" => input.timed(|| Ok(value_and_grad(|x| objective(x, n), &x)?.1), nested),
        _ => unknown(function),
    }
}
