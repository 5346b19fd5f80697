//! What the tape itself costs: small operations, forward and backward.
//! benches/peers/peers.py does the same work in PyTorch and HIPS autograd.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tapegrad::prelude::*;

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");

    let x = Tensor::scalar(3.0);
    let (w, b) = (Tensor::scalar(4.0).requires_grad(), Tensor::scalar(5.0).requires_grad());
    group.bench_function("scalar_wxb", |bencher| {
        bencher.iter(|| {
            let y = &w * &x + &b;
            y.backward().unwrap();
            w.zero_grad();
            b.zero_grad();
            black_box(y)
        });
    });

    let x = Tensor::scalar(0.5).requires_grad();
    group.bench_function("chain_1000_sin", |bencher| {
        bencher.iter(|| {
            let mut y = x.sin();
            for _ in 1..1000 {
                y = y.sin();
            }
            y.backward().unwrap();
            x.zero_grad();
            black_box(y)
        });
    });

    let v = linspace(0.1, 1.0, 10).unwrap().requires_grad();
    let (a, b) = (linspace(0.9, 1.1, 10).unwrap(), linspace(-0.1, 0.1, 10).unwrap());
    group.bench_function("chain_100_muladd_vec10", |bencher| {
        bencher.iter(|| {
            let mut z = v.clone();
            for _ in 0..100 {
                z = z * &a + &b;
            }
            z.sum().backward().unwrap();
            v.zero_grad();
            black_box(z)
        });
    });
    group.finish();

    // A million elements change hands, and are not copied.
    let mut array = ndarray::Array2::<f64>::zeros((1000, 1000)).into_dyn();
    c.bench_function("ndarray/from_and_into_1000x1000", |bencher| {
        bencher.iter(|| array = Tensor::from_ndarray(std::mem::take(&mut array)).into_ndarray());
    });
}

criterion_group!(benches, engine);
criterion_main!(benches);
