//! An operation of your own: Lambert's W, the solution w of w e^w = x, with a rule for its derivative, which then is
//! differentiated like any other.
//!
//! `cargo run --release --example custom_op`

mod plot;

use plot::{Chart, Series};
use tapegrad::prelude::*;
use tapegrad::{Array, Keep, Kept, Op};

struct LambertW;

impl Op<f64, 1> for LambertW {
    fn name(&self) -> &'static str {
        "lambert_w"
    }

    /// Halley's iteration (Corless et al., "On the Lambert W function", 1996, equation 5.9), from below for large x.
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        let solve = |&x: &f64| {
            let mut w = if x > 1.0 { x.ln() - x.ln().max(1.0).ln() } else { x.max(-0.36) };
            for _ in 0..50 {
                let (e, residual) = (w.exp(), w * w.exp() - x);
                let step = residual / (e * (w + 1.0) - (w + 2.0) * residual / (2.0 * w + 2.0));
                w -= step;
                if step.abs() <= 1e-16 * w.abs() {
                    break;
                }
            }
            if x < -1.0f64.exp().recip() { f64::NAN } else { w }
        };
        Array::from_vec(x.to_vec().iter().map(solve).collect(), x.shape())
    }

    /// The rule reads x and W(x).
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }

    /// W' = 1 / (e^W + x), as w e^w = x gives (1 + w) e^w dw = dx.
    fn vjp(&self, kept: &Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
        Ok([kept.wrt(0, || g.try_div(&(kept.output(0).exp() + kept.input(0))))?])
    }
}

fn lambert_w(x: &Tensor) -> Result<Tensor> {
    tapegrad::apply(LambertW, [x])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = Tensor::from([-0.3, 0.5, 1.0, 20.0]);
    println!("W       {:.6}", lambert_w(&x)?);
    let (_, slopes) = value_and_grad(|x| Ok(lambert_w(x)?.sum()), &x)?;
    println!("W'      {slopes:.6}");
    let curvatures = hessian(|x| Ok(lambert_w(x)?.sum()), &x)?.diagonal(0, 0, 1)?;
    println!("W''     {curvatures:.6}");

    // The omega constant, W(1), and derivatives of both orders against differences.
    assert!((lambert_w(&x)?.get([2])? - 0.567_143_290_409_783_8).abs() < 1e-15);
    tapegrad::gradgradcheck(|x| lambert_w(&x[0]), std::slice::from_ref(&x))?;

    let x = linspace(-0.367, 4.0, 200)?;
    let (_, slopes) = value_and_grad(|x| Ok(lambert_w(x)?.sum()), &x)?;
    let series = [
        Series::line("W", &x.to_vec(), &lambert_w(&x)?.to_vec()),
        Series::line("W'", &x.to_vec(), &slopes.minimum(3.0)?.to_vec()),
    ];
    Chart { title: "Lambert's W and its derivative", x: "x", y: "", series: &series }.draw(&plot::file())
}
