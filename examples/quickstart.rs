//! From a function to its gradient, its Hessian and its minimum.
//!
//! `cargo run --release --example quickstart --features optimize`

use tapegrad::optimize::{Method, MinimizeOptions, minimize, minimize_with};
use tapegrad::prelude::*;

/// Rosenbrock's valley: sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2, least at (1, .., 1).
fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let (here, next) = (x.narrow(0, 0, n - 1)?, x.narrow(0, 1, n - 1)?);
    Ok(((&next - here.square()).square() * 100.0 + (1.0 - &here).square()).sum())
}

fn main() -> Result<()> {
    let x0 = Tensor::from([-1.2, 1.0, -1.2, 1.0]);

    // Derivatives are exact, of any order.
    let (value, gradient) = value_and_grad(rosenbrock, &x0)?;
    println!("f(x0) = {:.1}\ngradient {gradient:.1}", value.item()?);
    println!("Hessian {:.1}", hessian(rosenbrock, &x0)?);

    // The minimum in one call, and by a method that uses second derivatives.
    let found = minimize(rosenbrock, &x0)?;
    println!("{found}\nx = {:.6}", found.x);
    let options = MinimizeOptions { method: Method::TrustExact, gtol: 1e-10, ..Default::default() };
    let precise = minimize_with(rosenbrock, &x0, options)?;
    println!("{precise}\nx = {:.12}", precise.x);

    let error = |x: &Tensor| (x - 1.0).abs().max()?.item();
    assert!(error(&found.x)? < 1e-4, "L-BFGS is {:e} off", error(&found.x)?);
    assert!(error(&precise.x)? < 1e-10, "the trust region is {:e} off", error(&precise.x)?);
    Ok(())
}
