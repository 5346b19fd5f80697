//! A reaction that spreads: Fisher's equation u_t = u_xx + u (1 - u), in implicit steps, each solved by Newton's method
//! on a sparse Jacobian.
//!
//! `cargo run --release --example reaction_diffusion`

mod plot;

use plot::{Chart, Series};
use tapegrad::linalg::SparseJacobian;
use tapegrad::prelude::*;

const POINTS: usize = 2000;
const SPACING: f64 = 0.05;
const STEP: f64 = 0.025;

/// The one wave that is known in closed form, of speed 5 / sqrt 6 (Ablowitz, Zeppetella, "Explicit solutions of Fisher's
/// equation for a special wave speed", 1979).
fn wave(x: &Tensor, time: f64) -> Tensor {
    let root = 6f64.sqrt();
    (1.0 + ((x - 5.0 / root * time) / root).exp()).powf(-2.0)
}

/// u_xx + u (1 - u) at all points; beyond the ends u is as at the ends.
fn rate(u: &Tensor) -> Result<Tensor> {
    let wide = Tensor::cat([&u.narrow(0, 0, 1)?, u, &u.narrow(0, POINTS - 1, 1)?], 0)?;
    let sides = wide.narrow(0, 0, POINTS)? + wide.narrow(0, 2, POINTS)?;
    Ok((sides - u * 2.0) / (SPACING * SPACING) + u * (1.0 - u))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = linspace(-25.0, -25.0 + SPACING * (POINTS - 1) as f64, POINTS)?;
    let mut u = wave(&x, 0.0);
    let mut series = vec![Series::line("t = 0", &x.to_vec(), &u.to_vec())];
    let mut plan = None;
    let (mut steps, mut worst) = (0, 0f64);
    for k in 1..=800 {
        // The trapezoidal rule: v - u = h/2 (rate(v) + rate(u)).
        let before = &u + rate(&u)? * (STEP / 2.0);
        let residual = |v: &Tensor| Ok(v - rate(v)? * (STEP / 2.0) - &before);
        if plan.is_none() {
            plan = Some(SparseJacobian::detect(residual, &u)?);
        }
        let plan = plan.as_ref().ok_or("no plan")?;
        loop {
            let step = plan.evaluate(residual, &u)?.solve(&residual(&u)?)?;
            u = &u - &step;
            steps += 1;
            if step.abs().max()?.item()? < 1e-10 {
                break;
            }
        }
        let time = STEP * k as f64;
        // Far from the ends, where the closed form holds.
        worst = worst.max((&u - wave(&x, time)).narrow(0, 200, POINTS - 400)?.abs().max()?.item()?);
        if k % 266 == 0 {
            series.push(Series::line(&format!("t = {time:.2}"), &x.to_vec(), &u.to_vec()));
        }
    }
    println!("800 steps of {POINTS} points, {steps} of Newton's: {worst:.1e} off the closed form at most");
    assert!(worst < 1e-3);
    let title = "A wave of Fisher's equation";
    Chart { title, x: "x", y: "u", series: &series }.draw(&plot::file())
}
