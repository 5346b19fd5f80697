//! A fused function against the same composed of operations, on a million elements: value, and value with gradients.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tapegrad::prelude::*;

const N: usize = 1_000_000;

fn composed(x: &Tensor, y: &Tensor) -> Tensor {
    (x - y).square() * x.exp()
}

fn robust(x: &Tensor, y: &Tensor) -> Tensor {
    // Cauchy's loss of a residual.
    (((x - y) * 0.5).square() + 1.0).log() * 2.0
}

fn fused_functions(c: &mut Criterion) {
    let (x, y) = (Tensor::randn([N]), Tensor::randn([N]));
    let row = Tensor::randn([1000]);
    let (matrix, row) = (x.reshape([1000, 1000]).unwrap(), row);
    let f = fused(|[x, y]| (x - y).square() * x.exp());
    let g = fused(|[x, y]| (((x - y) * 0.5).square() + 1.0).log() * 2.0);
    let mut group = c.benchmark_group("fused");
    let mut each = |name: &str, run: &mut dyn FnMut()| {
        group.bench_function(name, |bencher| bencher.iter(&mut *run));
    };
    for (name, f, composed) in
        [("squares_exp", &f, composed as fn(&Tensor, &Tensor) -> Tensor), ("cauchy", &g, robust)]
    {
        for (shape, x, y) in [("1M", &x, &y), ("1000x1000_row", &matrix, &row)] {
            each(&format!("{name}_{shape}/composed"), &mut || {
                black_box(composed(x, y));
            });
            each(&format!("{name}_{shape}/fused"), &mut || {
                black_box(f.call([x, y]).unwrap());
            });
            let operands = (x.clone(), y.clone());
            each(&format!("{name}_{shape}_gradient/composed"), &mut || {
                black_box(value_and_grad(|(x, y)| Ok(composed(x, y).sum()), &operands).unwrap());
            });
            each(&format!("{name}_{shape}_gradient/fused"), &mut || {
                black_box(value_and_grad(|(x, y)| Ok(f.call([x, y])?.sum()), &operands).unwrap());
            });
        }
    }
}

criterion_group!(benches, fused_functions);
criterion_main!(benches);
