//! The signature job: the gradient of ||y - A x||^2 with respect to x, for A of 10 d rows and d
//! columns. benches/peers/ does the same work in NumPy, PyTorch, JAX and HIPS autograd.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tapegrad::prelude::*;
use tapegrad::{Array, kernels};

const SIZES: [usize; 6] = [3, 10, 30, 100, 300, 1000];

/// -2 A^T (y - A x) by two products on arrays, without the tape.
fn by_hand<T: Float>(a: &Array<T>, x: &Array<T>, y: &Array<T>) -> Result<Array<T>> {
    let r = kernels::addmv("mv", Some(y), a, x, T::ONE, -T::ONE)?;
    kernels::addmv("mv", None, &a.permute("mv", &[1, 0])?, &r, T::ZERO, T::of(-2.0))
}

/// The loss as a user writes it, and backward.
fn composed<T: Float>(a: &Tensor<T>, x: &Tensor<T>, y: &Tensor<T>) -> Result<()> {
    x.zero_grad();
    (y - &a.mv(x)?).square().sum().backward()
}

/// The loss that reads A once, and backward.
fn fused<T: Float>(a: &Tensor<T>, x: &Tensor<T>, y: &Tensor<T>) -> Result<()> {
    x.zero_grad();
    least_squares_loss(a, x, y)?.backward()
}

fn gradients<T: Float>(c: &mut Criterion) {
    manual_seed(0);
    let mut group = c.benchmark_group("least_squares_gradient");
    for d in SIZES {
        let a = Tensor::randn_of::<T>([10 * d, d]);
        let y = Tensor::randn_of::<T>([10 * d]);
        let x = Tensor::randn_of::<T>([d]).requires_grad();
        let id = |form: &str| BenchmarkId::new(format!("{}/{form}", T::DTYPE), d);
        group.bench_function(id("by_hand"), |b| {
            b.iter(|| black_box(by_hand(a.array(), x.array(), y.array()).unwrap()));
        });
        group.bench_function(id("composed"), |b| b.iter(|| composed(&a, &x, &y).unwrap()));
        group.bench_function(id("fused"), |b| b.iter(|| fused(&a, &x, &y).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, gradients::<f64>, gradients::<f32>);
criterion_main!(benches);
