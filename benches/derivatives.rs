//! Rosenbrock's function: its gradient, and in 200 dimensions the whole Hessian and the Hessian's product with a
//! vector. And one layer, tanh(W x), forward: its Jacobian times a vector, beside a vector times its Jacobian.
//! benches/rows says how they are measured.

#[path = "rows/measure.rs"]
mod measure;

use measure::{Row, measure};
use std::hint::black_box;
use tapegrad::prelude::*;

const N: usize = 200;

/// sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2
fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let n = x.numel() - 1;
    let (head, tail) = (x.narrow(0, 0, n)?, x.narrow(0, 1, n)?);
    Ok((tail.try_sub(&head.square())?.square() * 100.0 + (1.0 - head).square()).sum())
}

fn of_rosenbrock(name: &str, n: usize, f: fn(&Tensor) -> Result<()>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/{n}"), move || {
        let x = linspace(-1.2, 1.3, n).unwrap();
        Box::new(move || f(&x).unwrap())
    })
}

fn gradient(x: &Tensor) -> Result<()> {
    black_box(value_and_grad(rosenbrock, x)?);
    Ok(())
}

fn whole_hessian(x: &Tensor) -> Result<()> {
    black_box(hessian(rosenbrock, x)?);
    Ok(())
}

fn hessian_by_ones(x: &Tensor) -> Result<()> {
    black_box(hvp(rosenbrock, x, &Tensor::ones([x.numel()]))?);
    Ok(())
}

fn of_layer(name: &str, f: fn(&Tensor, &Tensor, &Tensor) -> Result<()>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/{N}"), move || {
        let w = Tensor::randn([N, N]) * 0.1;
        let (x, v) = (linspace(-1.2, 1.3, N).unwrap(), Tensor::ones([N]));
        Box::new(move || f(&w, &x, &v).unwrap())
    })
}

fn jacobian_by_vector(w: &Tensor, x: &Tensor, v: &Tensor) -> Result<()> {
    black_box(jvp(|x| Ok(w.mv(x)?.tanh()), x, v)?);
    Ok(())
}

fn vector_by_jacobian(w: &Tensor, x: &Tensor, v: &Tensor) -> Result<()> {
    black_box(vjp(|x| Ok(w.mv(x)?.tanh()), x, v)?);
    Ok(())
}

fn main() {
    measure([vec![
        of_rosenbrock("Rosenbrock", N, gradient),
        of_rosenbrock("Rosenbrock", 1000, gradient),
        of_rosenbrock("Rosenbrock's Hessian", N, whole_hessian),
        of_rosenbrock("Rosenbrock's Hessian by a vector", N, hessian_by_ones),
        of_layer("a layer's Jacobian by a vector", jacobian_by_vector),
        of_layer("a vector by a layer's Jacobian", vector_by_jacobian),
    ]]);
}
