//! y' = x times (1, y_0, y_1, ..) from y(0) = 0 to y(2), in s steps of Runge and Kutta's method of order 4; and the
//! gradient of the last element.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

fn solution(x: &Tensor, steps: usize) -> Result<Tensor> {
    let n = x.numel();
    let (one, h) = (Tensor::ones([1]), 2.0 / steps as f64);
    let slope = |y: &Tensor| Ok::<_, Error>(x * Tensor::cat([&one, &y.narrow(0, 0, n - 1)?], 0)?);
    let mut y = Tensor::zeros([n]);
    for _ in 0..steps {
        let k1 = slope(&y)?;
        let k2 = slope(&(&y + &k1 * (h / 2.0)))?;
        let k3 = slope(&(&y + &k2 * (h / 2.0)))?;
        let k4 = slope(&(&y + &k3 * h))?;
        y += (k1 + (k2 + k3) * 2.0 + k4) * (h / 6.0);
    }
    Ok(y)
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let (x, steps) = (input.tensor("x")?, input.count("s")?);
    match function {
        "primal" => input.timed(|| solution(&x, steps), nested),
        "gradient" => {
            input.timed(|| Ok(value_and_grad(|x| solution(x, steps)?.select(0, -1), &x)?.1), nested)
        }
        _ => unknown(function),
    }
}
