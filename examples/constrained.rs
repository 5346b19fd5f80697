//! A minimum under constraints: the problem 71 of Hock and Schittkowski, and what a constraint costs.
//!
//! `cargo run --release --example constrained --features optimize`

use tapegrad::optimize::{Bounds, Constraint, MinimizeOptions, minimize_constrained};
use tapegrad::prelude::*;

/// x1 x4 (x1 + x2 + x3) + x3.
fn cost(x: &Tensor) -> Result<Tensor> {
    let at = |k| x.select(0, k);
    Ok(at(0)? * at(3)? * x.narrow(0, 0, 3)?.sum() + at(2)?)
}

fn main() -> Result<()> {
    // 1 <= x <= 5; the product of all is at least 25, the sum of their squares is 40.
    let solve = |sum: f64| {
        let constraints = [
            Constraint::at_least(|x: &Tensor| Ok(x.prod() - 25.0)),
            Constraint::equal(move |x: &Tensor| Ok(x.square().sum() - sum)),
        ];
        let options =
            MinimizeOptions { bounds: Some(Bounds::all(1.0, 5.0)), gtol: 1e-8, ..Default::default() };
        minimize_constrained(cost, &constraints, &Tensor::from([1.0, 5.0, 5.0, 1.0]), options)
    };
    let found = solve(40.0)?;
    println!("{found}\nx = {:.6}", found.x);
    println!("multipliers {:.6}, {:.6}", found.multipliers[0].item()?, found.multipliers[1].item()?);

    // Hock, Schittkowski, "Test examples for nonlinear programming codes", 1981.
    assert!((found.report.value - 17.014_017_3).abs() < 1e-6);
    let known = Tensor::from([1.0, 4.742_999_4, 3.821_150_3, 1.379_408_2]);
    assert!((&found.x - &known).abs().max()?.item()? < 1e-5);
    assert!(found.violation < 1e-7);

    // A multiplier is what the minimum changes by where the constraint's right-hand side does.
    let difference = (solve(40.01)?.report.value - solve(39.99)?.report.value) / 0.02;
    println!("the sum one larger: {difference:.6} by differences");
    assert!((difference - found.multipliers[1].item()?).abs() < 1e-3 * difference.abs());
    Ok(())
}
