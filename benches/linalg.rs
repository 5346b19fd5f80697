//! Linear algebra: products, solves and factorisations, and their gradients, of single matrices and of
//! batches of small ones. benches/peers/linalg.py does the same work in PyTorch.
//!
//! Ids are `linalg/<op>/<f64|f32>/<forward|gradient>/<n or batch x n>`; a gradient is the value and its
//! vector-Jacobian product, with respect to all operands, for a cotangent of every output.

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;
use tapegrad::prelude::*;

type Function<T> = fn(&[Tensor<T>]) -> Result<Vec<Tensor<T>>>;

/// An operation, and what it is measured on.
struct Work<T: Float> {
    name: &'static str,
    /// The shapes of the operands, for the shape of a matrix.
    shapes: fn(&[usize]) -> Vec<Vec<usize>>,
    f: Function<T>,
}

/// Without the last dimension.
fn vector(s: &[usize]) -> Vec<usize> {
    s[..s.len() - 1].to_vec()
}

fn products<T: Float>() -> Vec<Work<T>> {
    vec![
        Work {
            name: "addmv",
            shapes: |s| vec![vector(s), s.to_vec(), vector(s)],
            f: |x| Ok(vec![x[0].addmv(&x[1], &x[2], T::ONE, T::ONE)?]),
        },
        Work { name: "mv", shapes: |s| vec![s.to_vec(), vector(s)], f: |x| Ok(vec![x[0].mv(&x[1])?]) },
        Work { name: "mm", shapes: |s| vec![s.to_vec(); 2], f: |x| Ok(vec![x[0].mm(&x[1])?]) },
    ]
}

fn bmm<T: Float>() -> Vec<Work<T>> {
    vec![Work { name: "bmm", shapes: |s| vec![s.to_vec(); 2], f: |x| Ok(vec![x[0].bmm(&x[1])?]) }]
}

/// Also of batches.
fn factorisations<T: Float>() -> Vec<Work<T>> {
    let one = |s: &[usize]| vec![s.to_vec()];
    vec![
        Work { name: "inverse", shapes: one, f: |x| Ok(vec![x[0].inverse()?]) },
        Work { name: "det", shapes: one, f: |x| Ok(vec![x[0].det()?]) },
        Work { name: "solve", shapes: |s| vec![s.to_vec(), vector(s)], f: |x| Ok(vec![x[0].solve(&x[1])?]) },
        Work { name: "pinv", shapes: one, f: |x| Ok(vec![x[0].pinv()?]) },
        Work {
            name: "svd",
            shapes: one,
            f: |x| {
                let (u, s, vt) = x[0].svd()?;
                Ok(vec![u, s, vt])
            },
        },
        Work {
            name: "eigh",
            shapes: one,
            f: |x| {
                let (w, v) = x[0].eigh()?;
                Ok(vec![w, v])
            },
        },
    ]
}

fn single<T: Float>() -> Vec<Work<T>> {
    let one = |s: &[usize]| vec![s.to_vec()];
    vec![
        Work { name: "cholesky", shapes: one, f: |x| Ok(vec![x[0].cholesky(false)?]) },
        Work {
            name: "qr",
            shapes: one,
            f: |x| {
                let (q, r) = x[0].qr()?;
                Ok(vec![q, r])
            },
        },
    ]
}

/// Standard normal; symmetric for eigh, positive definite for cholesky, with a determinant near one for det.
fn operands<T: Float>(work: &Work<T>, shape: &[usize]) -> Vec<Tensor<T>> {
    manual_seed(7);
    let normal = |s: &Vec<usize>| Tensor::randn_of::<T>(s.as_slice());
    let mut x: Vec<Tensor<T>> = (work.shapes)(shape).iter().map(normal).collect();
    if matches!(work.name, "eigh" | "cholesky") {
        x[0] = (&x[0] + x[0].mt().unwrap()) * T::of(0.5);
    }
    let n = shape[shape.len() - 1];
    if work.name == "det" {
        x[0] = &x[0] * T::of((std::f64::consts::E / n as f64).sqrt());
    }
    if work.name == "cholesky" {
        x[0] = &x[0] + Tensor::eye_of::<T>(n) * T::of(2.0 * n as f64);
    }
    x
}

fn measure<T: Float>(c: &mut Criterion, works: &[Work<T>], shapes: &[&[usize]]) {
    let dtype = if size_of::<T>() == 8 { "f64" } else { "f32" };
    for work in works {
        let mut group = c.benchmark_group(format!("linalg/{}/{dtype}", work.name));
        group.sample_size(10);
        for &shape in shapes {
            let size = match shape {
                [n, _] => n.to_string(),
                [batch, n, _] => format!("{batch}x{n}"),
                _ => unreachable!("matrices, or one batch of them"),
            };
            group.bench_function(format!("forward/{size}"), |b| {
                let x = operands(work, shape);
                b.iter(|| (work.f)(&x).unwrap());
            });
            group.bench_function(format!("gradient/{size}"), |b| {
                let x = operands(work, shape);
                let cotangents: Vec<Tensor<T>> =
                    (work.f)(&x).unwrap().iter().map(|y| Tensor::ones_of::<T>(y.shape())).collect();
                b.iter(|| vjp(|x: &Vec<Tensor<T>>| (work.f)(x), &x, &cotangents).unwrap());
            });
        }
    }
}

fn all<T: Float>(c: &mut Criterion) {
    measure::<T>(c, &products(), &[&[1000, 1000]]);
    measure::<T>(c, &bmm(), &[&[32, 512, 512]]);
    let singles: [&[usize]; 4] = [&[8, 8], &[64, 64], &[512, 512], &[1000, 1000]];
    measure::<T>(c, &factorisations(), &singles);
    measure::<T>(c, &single(), &singles);
    measure::<T>(c, &factorisations(), &[&[1000, 8, 8], &[100_000, 3, 3]]);
}

fn linalg(c: &mut Criterion) {
    all::<f64>(c);
    all::<f32>(c);
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = linalg
}
criterion_main!(benches);
