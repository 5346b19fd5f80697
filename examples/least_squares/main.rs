//! Solves a least squares problem by gradient descent and by L-BFGS, and draws how they converge.
mod gradient_descent;
mod lbfgs;
mod problem;
mod progress;
mod report;
mod table;
use tapegrad::prelude::*;
use argmin::core::ArgminFloat;
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
fn go<T: Float + ArgminFloat>() -> Result<()> where Vec<T>: lbfgs::ArgminVector<T> {
    let t = table::read("examples/data/diabetes.csv".as_ref())?;
    let p = problem::Problem::<T>::new(problem::Data::from_table(t, None)?, &Device::Cpu)?;
    println!("{:?}", p.coefficients(&p.closed_form()?));
    println!("{:?}", p.quality(&p.closed_form()?));
    let g = gradient_descent::minimize(&p)?;
    println!("{:?} {} {} {:?} {:?}", g.solver, g.norms.len(), g.converged, g.time, p.coefficients(&g.x));
    println!("{:?}", g.norms.iter().step_by(2000).collect::<Vec<_>>());
    let g = lbfgs::minimize(&p)?;
    println!("{:?} {} {} {:?} {:?}", g.solver, g.norms.len(), g.converged, g.time, p.coefficients(&g.x));
    Ok(())
}
fn main() {
    println!("{:?}", go::<f64>());
    println!("{:?}", go::<f32>());
}
