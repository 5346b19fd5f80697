//! The same work on the CPU and on a GPU, in the same element type: the time of each, and how far apart the
//! results are.
//!
//! `cargo run --release --features cuda --example gpu_speedup`; `-- --help` lists the arguments.

use clap::{Parser, ValueEnum};
use std::process::ExitCode;
use std::time::Instant;
use tapegrad::prelude::*;

/// CPU against GPU on the same work.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The type to compute in
    #[arg(long, default_value = "f32")]
    dtype: Type,
    /// The GPU: cuda or cuda:N
    #[arg(long, default_value = "cuda")]
    device: Device,
    /// How often each work is timed: the median counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Makes every size smaller, for a trial
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    size_divisor: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Type {
    F32,
    F64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.dtype {
        Type::F32 => compare::<f32>(&arguments),
        Type::F64 => compare::<f64>(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn compare<T: Float>(arguments: &Arguments) -> Result<()> {
    let gpu = arguments.device;
    println!("GPU: {} ({gpu}), {}", cuda::properties(&gpu)?.name, T::DTYPE);
    println!("medians of {} runs, each waited for before the clock is read\n", arguments.runs);
    println!("{:34}{:>12}{:>12}{:>10}{:>22}", "work", "CPU ms", "GPU ms", "CPU/GPU", "largest difference");
    manual_seed(0);
    for work in works::<T>(arguments.size_divisor as usize) {
        let on_cpu: Vec<Tensor<T>> = (work.operands)()?;
        let on_gpu: Vec<Tensor<T>> = on_cpu.iter().map(|x| x.to_device(&gpu)).collect::<Result<_>>()?;
        let (expected, cpu_ms) = time(&work, &on_cpu, &Device::Cpu, arguments.runs)?;
        let (found, gpu_ms) = time(&work, &on_gpu, &gpu, arguments.runs)?;
        let difference = relative_difference(&found.cpu(), &expected)?;
        let ratio = cpu_ms / gpu_ms;
        println!("{:34}{cpu_ms:>12.4}{gpu_ms:>12.4}{ratio:>10.1}{difference:>22.1e}", work.name);
    }
    Ok(())
}

/// The result, and the median time in milliseconds.
fn time<T: Float>(
    work: &Work<T>,
    operands: &[Tensor<T>],
    device: &Device,
    runs: u32,
) -> Result<(Tensor<T>, f64)> {
    // Kernels are compiled and memory is fetched before the clock runs.
    (work.f)(operands)?;
    let mut result = (work.f)(operands)?;
    cuda::synchronize(device)?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let begin = Instant::now();
        let next = (work.f)(operands)?;
        cuda::synchronize(device)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        result = next;
    }
    times.sort_by(f64::total_cmp);
    Ok((result, times[times.len() / 2]))
}

/// The largest |found - expected|, as a part of the largest |expected|.
fn relative_difference<T: Float>(found: &Tensor<T>, expected: &Tensor<T>) -> Result<f64> {
    let largest = expected.abs().max()?.item()?;
    Ok((found.try_sub(expected)?.abs().max()?.item()? / largest).to_f64())
}

type Operands<T> = Box<dyn Fn() -> Result<Vec<Tensor<T>>>>;

/// An operation, and what it is done to.
struct Work<T: Float> {
    name: String,
    operands: Operands<T>,
    f: fn(&[Tensor<T>]) -> Result<Tensor<T>>,
}

fn works<T: Float>(divisor: usize) -> Vec<Work<T>> {
    let part = |size: usize| (size / divisor).max(1);
    let (large, n, rows) = (part(10_000), part(1000), part(1000) * 10);
    let (batch, m, many) = (part(32), part(512), part(10_000));
    vec![
        Work {
            name: format!("{large} x {large} times a scalar"),
            operands: normal(vec![vec![large, large]]),
            f: |x| Ok(&x[0] * T::of(1.5)),
        },
        Work {
            name: format!("addmv {n}"),
            operands: normal(vec![vec![n], vec![n, n], vec![n]]),
            f: |x| x[0].addmv(&x[1], &x[2], T::ONE, T::ONE),
        },
        Work { name: format!("mv {n}"), operands: normal(vec![vec![n, n], vec![n]]), f: |x| x[0].mv(&x[1]) },
        Work {
            name: format!("mm {n}"),
            operands: normal(vec![vec![n, n], vec![n, n]]),
            f: |x| x[0].mm(&x[1]),
        },
        Work {
            name: format!("bmm {batch} x {m} x {m}"),
            operands: normal(vec![vec![batch, m, m], vec![batch, m, m]]),
            f: |x| x[0].bmm(&x[1]),
        },
        Work {
            name: format!("least squares gradient {rows} x {n}"),
            operands: normal(vec![vec![rows, n], vec![n], vec![rows]]),
            f: |x| Ok(value_and_grad(|at| least_squares_loss(&x[0], at, &x[2]), &x[1])?.1),
        },
        Work { name: format!("inverse of {many} 8 x 8"), operands: definite(many, 8), f: |x| x[0].inverse() },
        Work {
            name: format!("eigh of {many} 8 x 8"),
            operands: definite(many, 8),
            // The eigenvalues alone are compared: an eigenvector's sign is either.
            f: |x| Ok(x[0].eigh()?.0),
        },
    ]
}

/// Standard normal tensors of these shapes.
fn normal<T: Float>(shapes: Vec<Vec<usize>>) -> Operands<T> {
    Box::new(move || shapes.iter().map(|s| Tensor::randn_on::<T>(&Device::Cpu, s.as_slice())).collect())
}

/// Symmetric matrices, so far from singular that rounding shows as itself.
fn definite<T: Float>(batch: usize, n: usize) -> Operands<T> {
    Box::new(move || {
        let x = Tensor::randn_on::<T>(&Device::Cpu, [batch, n, n])?;
        let symmetric = (&x + &x.mt()?) * T::of(0.5);
        Ok(vec![symmetric + Tensor::<T>::eye_on(&Device::Cpu, n)? * T::of(2.0 * n as f64)])
    })
}
