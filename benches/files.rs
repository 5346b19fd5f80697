//! A .npy file of 256 MiB in the disk's cache: read, mapped, and read by the standard library as bytes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tapegrad::prelude::*;

fn files(c: &mut Criterion) {
    const N: usize = 1 << 25;
    let path = std::env::temp_dir().join(format!("tapegrad-bench-{}.npy", std::process::id()));
    linspace(0.0, 1.0, N).unwrap().save_npy(&path).unwrap();

    let mut group = c.benchmark_group("files");
    group.sample_size(20).throughput(Throughput::Bytes(8 * N as u64));
    // The same work without an array: fresh memory each time.
    group.bench_function("std_fs_read", |bencher| bencher.iter(|| black_box(std::fs::read(&path).unwrap())));
    // Into the memory of the tensor before, as a program has it that reads one file after another.
    group.bench_function("load_npy", |bencher| bencher.iter(|| black_box(Tensor::load_npy(&path).unwrap())));
    group.bench_function("load_npy_fresh_memory", |bencher| {
        bencher.iter(|| {
            tapegrad::memory::trim();
            black_box(Tensor::load_npy(&path).unwrap())
        });
    });
    group.bench_function("map_npy", |bencher| {
        // SAFETY: nobody else knows of the file.
        bencher.iter(|| black_box(unsafe { Tensor::map_npy(&path).unwrap() }));
    });
    group.bench_function("map_npy_and_sum", |bencher| {
        // SAFETY: nobody else knows of the file.
        bencher.iter(|| black_box(unsafe { Tensor::map_npy(&path).unwrap() }.sum()));
    });
    group.finish();
    std::fs::remove_file(&path).unwrap();
}

criterion_group!(benches, files);
criterion_main!(benches);
