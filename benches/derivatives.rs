//! Second derivatives of Rosenbrock's function in 200 dimensions: the whole Hessian, and its product with
//! a vector beside one gradient. And one layer, tanh(W x), forward: its Jacobian times a vector, beside a
//! vector times its Jacobian. benches/peers/peers.py does the same work in PyTorch.

use criterion::{Criterion, criterion_group, criterion_main};
use tapegrad::prelude::*;

const N: usize = 200;

/// sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2
fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let (head, tail) = (x.narrow(0, 0, N - 1)?, x.narrow(0, 1, N - 1)?);
    Ok((tail.try_sub(&head.square())?.square() * 100.0 + (1.0 - head).square()).sum())
}

fn derivatives(c: &mut Criterion) {
    let mut group = c.benchmark_group("derivatives");
    let x = linspace(-1.2, 1.3, N).unwrap();
    let v = Tensor::ones([N]);
    group.bench_function("hessian_rosenbrock/200", |b| b.iter(|| hessian(rosenbrock, &x).unwrap()));
    group.bench_function("hvp_rosenbrock/200", |b| b.iter(|| hvp(rosenbrock, &x, &v).unwrap()));
    group.bench_function("hvp_rosenbrock/gradient/200", |b| {
        b.iter(|| value_and_grad(rosenbrock, &x).unwrap());
    });

    let w = Tensor::randn([N, N]) * 0.1;
    let layer = |x: &Tensor| Ok(w.mv(x)?.tanh());
    group.bench_function("jvp_layer/200", |b| b.iter(|| jvp(layer, &x, &v).unwrap()));
    group.bench_function("jvp_layer/gradient/200", |b| b.iter(|| vjp(layer, &x, &v).unwrap()));
    group.finish();
}

criterion_group!(benches, derivatives);
criterion_main!(benches);
