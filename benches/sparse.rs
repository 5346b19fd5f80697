//! Products with a sparse matrix of a million rows and columns and ten elements in each row, and their gradients.
//! benches/peers/sparse.py does the same work with SciPy and PyTorch.
//!
//! Ids are `sparse/<work>/<rows>`; a gradient is the value and its vector-Jacobian product for a cotangent of ones.

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;
use tapegrad::prelude::*;

const ROWS: usize = 1_000_000;
const EACH: usize = 10;

/// The splitmix64 sequence, as in benches/peers/sparse.py.
fn mixed(k: u64) -> u64 {
    let z = k.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// By rows; the columns of a row are random, one in each tenth of the width.
fn matrix() -> Result<SparseTensor> {
    let count = ROWS * EACH;
    let part = ROWS / EACH;
    let column = |k: usize| (k % EACH * part) as i64 + (mixed(k as u64) % part as u64) as i64;
    let columns = Tensor::from_vec((0..count).map(column).collect(), [count])?;
    let starts = arange(0, (count + 1) as i64, EACH as i64)?;
    manual_seed(7);
    SparseTensor::csr(&starts, &columns, &Tensor::randn([count]), [ROWS, ROWS])
}

fn sparse(c: &mut Criterion) {
    let a = matrix().unwrap();
    let x = Tensor::randn([ROWS]);
    let ones = Tensor::ones([ROWS]);
    let mut group = c.benchmark_group("sparse");
    group.sample_size(10);
    group.bench_function(format!("mv/{ROWS}"), |b| b.iter(|| a.mv(&x).unwrap()));
    group.bench_function(format!("gradient_of_x/{ROWS}"), |b| {
        b.iter(|| vjp(|x: &Tensor| a.mv(x), &x, &ones).unwrap());
    });
    group.bench_function(format!("gradient/{ROWS}"), |b| {
        let operands = (a.values().clone(), x.clone());
        b.iter(|| vjp(|(v, x): &(Tensor, Tensor)| a.with_values(v)?.mv(x), &operands, &ones).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = sparse
}
criterion_main!(benches);
