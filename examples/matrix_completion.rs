//! Matrix completion: a matrix of rank 3 from two fifths of its elements.
//!
//! `cargo run --release --example matrix_completion --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::optimize::{MinimizeOptions, minimize_with};
use tapegrad::prelude::*;

const ROWS: usize = 80;
const COLUMNS: usize = 60;
const RANK: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    manual_seed(0);
    let truth = Tensor::randn([ROWS, RANK]).mm(&Tensor::randn([RANK, COLUMNS]))?;
    let seen = Tensor::rand([ROWS, COLUMNS]).lt(0.4)?.to_type::<f64>();

    // Both factors from small random numbers: at zero the gradient is zero, too.
    let start = (Tensor::randn([ROWS, RANK]) * 0.5, Tensor::randn([COLUMNS, RANK]) * 0.5);
    let loss = |(u, v): &(Tensor, Tensor)| {
        let difference = u.mm(&v.t()?)? - &truth;
        Ok((difference * &seen).square().sum() * 0.5)
    };
    let mut way = Vec::new();
    let options = MinimizeOptions {
        gtol: 1e-8,
        ftol: 0.0,
        callback: Some(Box::new(|progress| {
            way.push(progress.value);
            std::ops::ControlFlow::Continue(())
        })),
        ..Default::default()
    };
    let found = minimize_with(loss, &start, options)?;
    let (u, v) = &found.x;

    // What was not seen is the test.
    let hidden = 1.0 - &seen;
    let wrong = ((u.mm(&v.t()?)? - &truth) * &hidden).square().sum().item()?;
    let error = (wrong / (&truth * &hidden).square().sum().item()?).sqrt();
    println!("{found}\nrelative error of the {} hidden elements: {error:.2e}", hidden.sum().item()?);
    assert!(error < 1e-6, "the hidden elements are {error:e} off");

    let steps: Vec<f64> = (1..=way.len()).map(|k| k as f64).collect();
    let series = [Series::line("", &steps, &way)];
    Chart { title: "Completing a matrix of rank 3", x: "iteration", y: "loss (log)", series: &series }
        .draw(&plot::file())
}
