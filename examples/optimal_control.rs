//! Optimal control through an ODE: the cheapest torques that swing a pendulum up, by gradients through Runge and Kutta's
//! method, whose steps are computed again in the backward pass instead of being kept.
//!
//! `cargo run --release --example optimal_control --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::optimize::{Constraint, MinimizeOptions, Minimum, minimize_constrained};
use tapegrad::prelude::*;

const STEPS: usize = 60;
/// Steps between states that are kept.
const SEGMENT: usize = 10;

/// The angle's and velocity's slopes: angle'' = torque - gravity sin(angle).
fn slopes(state: &Tensor, torque: &Tensor, gravity: f64) -> Result<Tensor> {
    let (angle, velocity) = (state.select(0, 0)?, state.select(0, 1)?);
    Tensor::stack([velocity, torque - angle.sin() * gravity], 0)
}

/// Steps of length h of the classical Runge-Kutta method, each under one torque: the state at the end.
fn advance(mut state: Tensor, torques: &Tensor, h: f64, gravity: f64) -> Result<Tensor> {
    for k in 0..torques.numel() {
        let torque = torques.select(0, k)?;
        let f = |state: &Tensor| slopes(state, &torque, gravity);
        let k1 = f(&state)?;
        let k2 = f(&(&state + &k1 * (h / 2.0)))?;
        let k3 = f(&(&state + &k2 * (h / 2.0)))?;
        let k4 = f(&(&state + &k3 * h))?;
        state += (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0);
    }
    Ok(state)
}

/// The state in the end, from rest at angle zero.
fn fly(torques: &Tensor, time: f64, gravity: f64) -> Result<Tensor> {
    let mut state = Tensor::zeros([2]);
    for start in (0..STEPS).step_by(SEGMENT) {
        let part = torques.narrow(0, start, SEGMENT)?;
        let h = time / STEPS as f64;
        state = checkpoint(move |x| advance(x[0].clone(), &x[1], h, gravity), &[&state, &part])?;
    }
    Ok(state)
}

/// The torques of the least effort, the integral of their squares, that end at rest at an angle.
fn solve(angle: f64, time: f64, gravity: f64) -> Result<Minimum<Tensor>> {
    let effort = |u: &Tensor| Ok(u.square().sum() * (time / STEPS as f64));
    let arrival =
        Constraint::equal(move |u: &Tensor| Ok(fly(u, time, gravity)? - Tensor::from([angle, 0.0])));
    let options = MinimizeOptions { gtol: 1e-7, ftol: 0.0, ..Default::default() };
    minimize_constrained(effort, &[arrival], &Tensor::full([STEPS], 0.1), options)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Without gravity the answer is known: u = 6 - 12 t takes a mass from 0 to 1 in a second, at an effort of 12. Under
    // torques that are constant in each of n steps the effort is 12 / (1 - 1 / n^2).
    let known = solve(1.0, 1.0, 0.0)?;
    let n = STEPS as f64;
    let exact = 12.0 / (1.0 - 1.0 / (n * n));
    println!("without gravity: effort {:.8}, known to be {exact:.8}", known.report.value);
    assert!((known.report.value - exact).abs() < 1e-5);
    assert!((known.x.get([0])? - 6.0).abs() < 0.2);

    let found = solve(std::f64::consts::PI, 5.0, 4.0)?;
    println!("{found}");
    assert!(found.violation < 1e-6, "the pendulum does not arrive");
    // Holding the pendulum horizontal for as long takes more.
    assert!(found.report.value < 16.0 * 5.0);

    let time: Vec<f64> = (0..STEPS).map(|k| 5.0 * (k as f64 + 0.5) / n).collect();
    let mut angles = Vec::new();
    for k in 1..=STEPS {
        let state = advance(Tensor::zeros([2]), &found.x.narrow(0, 0, k)?, 5.0 / n, 4.0)?;
        angles.push(state.get([0])?);
    }
    let series = [Series::line("torque", &time, &found.x.to_vec()), Series::line("angle", &time, &angles)];
    Chart { title: "A pendulum swings up", x: "time", y: "", series: &series }.draw(&plot::file())
}
