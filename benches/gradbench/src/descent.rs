//! Gradient descent with steps that grow while they succeed, as the evals particle and saddle specify it, and the two
//! ways of finding a gradient.

use tapegrad::prelude::*;

/// How a gradient is found.
#[derive(Clone, Copy)]
pub enum Mode {
    Forward,
    Reverse,
}

/// The modes of the outer and of the inner derivative, by a function's name: `fr` is forward outside.
pub fn modes(function: &str) -> Option<[Mode; 2]> {
    let mode = |letter| match letter {
        'f' => Some(Mode::Forward),
        'r' => Some(Mode::Reverse),
        _ => None,
    };
    let modes: Option<Vec<Mode>> = function.chars().map(mode).collect();
    modes?.try_into().ok()
}

/// The gradient of a scalar function at a vector.
pub fn slope(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor, mode: Mode) -> Result<Tensor> {
    match mode {
        Mode::Forward => Ok(jvp_batched(f, x, &Tensor::eye(x.numel()))?.1),
        Mode::Reverse => Ok(value_and_grad(f, x)?.1),
    }
}

/// Where `f` is smallest, by descent from `start`.
pub fn argmin(f: impl Fn(&Tensor) -> Result<Tensor>, start: &Tensor, mode: Mode) -> Result<Tensor> {
    let size = |x: &Tensor| Ok::<_, Error>(x.square().sum().item()?.sqrt());
    let mut x = start.clone();
    let (mut value, mut gradient) = (f(&x)?.item()?, slope(&f, &x, mode)?);
    let (mut rate, mut successes) = (1e-5, 0);
    while size(&gradient)? > 1e-5 {
        if successes == 10 {
            rate *= 2.0;
            successes = 0;
            continue;
        }
        let next = &x - &gradient * rate;
        if size(&(&x - &next))? <= 1e-5 {
            break;
        }
        let next_value = f(&next)?.item()?;
        if next_value < value {
            (x, value) = (next, next_value);
            gradient = slope(&f, &x, mode)?;
            successes += 1;
        } else {
            rate /= 2.0;
            successes = 0;
        }
    }
    Ok(x)
}
