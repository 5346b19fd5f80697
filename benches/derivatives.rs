//! Rosenbrock's function: its gradient, and in 200 dimensions the whole Hessian and the Hessian's product with a
//! vector. One layer, tanh(W x), forward: its Jacobian times a vector, beside a vector times its Jacobian; a chain of sines both
//! ways; and whole Jacobians that have few columns or few rows.
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

/// One element's sine of a sine and so on, a thousand times.
fn sines(x: &Tensor) -> Result<Tensor> {
    Ok((0..1000).fold(x.clone(), |x, _| x.sin()))
}

fn of_sines(name: &str, f: fn(&Tensor) -> Result<()>) -> Row {
    Row::new("tapegrad", format!("derivatives/{name}/f64/gradient/1000"), move || {
        let x = Tensor::scalar(0.5);
        Box::new(move || f(&x).unwrap())
    })
}

fn gradient_of_sines(x: &Tensor) -> Result<()> {
    black_box(value_and_grad(sines, x)?);
    Ok(())
}

fn tangent_of_sines(x: &Tensor) -> Result<()> {
    black_box(jvp(sines, x, &Tensor::scalar(1.0))?);
    Ok(())
}

/// A sum of a decay and an oscillation with five parameters at the times `t`.
fn oscillation(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    let [a, b, c, d, e] = [p.row(0)?, p.row(1)?, p.row(2)?, p.row(3)?, p.row(4)?];
    Ok((-(t * b)).exp() * a + (t * d + e).sin() * c)
}

fn jacobian_of_columns() -> Row {
    Row::new("tapegrad", "derivatives/Jacobian from 5 to 200/f64/gradient/200".to_owned(), || {
        let (t, p) = (linspace(0.0, 1.0, N).unwrap(), Tensor::from([1.0, 0.5, 0.3, 6.0, 0.1]));
        Box::new(move || {
            black_box(jacobian(|p: &Tensor| oscillation(p, &t), &p).unwrap());
        })
    })
}

fn jacobian_of_rows() -> Row {
    Row::new("tapegrad", "derivatives/Jacobian from 200 to 5/f64/gradient/200".to_owned(), || {
        let (w, x) = (Tensor::randn([5, N]) * 0.1, linspace(-1.2, 1.3, N).unwrap());
        Box::new(move || {
            black_box(jacobian(|x: &Tensor| Ok(w.mv(&x.sin())?.tanh()), &x).unwrap());
        })
    })
}

fn main() {
    measure([vec![
        of_rosenbrock("Rosenbrock", N, gradient),
        of_rosenbrock("Rosenbrock", 1000, gradient),
        of_rosenbrock("Rosenbrock's Hessian", N, whole_hessian),
        of_rosenbrock("Rosenbrock's Hessian by a vector", N, hessian_by_ones),
        of_layer("a layer's Jacobian by a vector", jacobian_by_vector),
        of_layer("a vector by a layer's Jacobian", vector_by_jacobian),
        of_sines("sines", gradient_of_sines),
        of_sines("sines by a vector", tangent_of_sines),
        jacobian_of_columns(),
        jacobian_of_rows(),
    ]]);
}
