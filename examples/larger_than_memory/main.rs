//! Least squares on a matrix in a file that is larger than memory: the gradient, by blocks, with a progress bar.
//!
//! `larger_than_memory make a.npy y.npy --rows 1000000 --cols 100` writes a problem, and `larger_than_memory solve a.npy y.npy`
//! solves it by conjugate gradients on the normal equations, which read the file once for each step. With `mpirun`, and built
//! with `--features mpi`, processes share the rows.

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tapegrad::distributed::Group;
use tapegrad::io::{NpyParts, write_npy_rows};
use tapegrad::linalg::{IterativeOptions, MatrixFree, cg};
use tapegrad::prelude::*;
use tapegrad::rows;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Least squares on a file that is larger than memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write a problem, block by block
    Make {
        /// The matrix, a .npy file
        a: PathBuf,
        /// The right-hand side, a .npy file
        y: PathBuf,
        #[arg(long, default_value_t = 200_000)]
        rows: usize,
        #[arg(long, default_value_t = 100)]
        cols: usize,
    },
    /// Solve it
    Solve {
        /// The matrix, a .npy file
        a: PathBuf,
        /// The right-hand side, a .npy file
        y: PathBuf,
        /// Bytes of a block
        #[arg(long, default_value_t = 2 << 20)]
        block: u64,
        /// Steps of conjugate gradients, at most; each reads the file once
        #[arg(long, default_value_t = 50)]
        steps: usize,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Make { a, y, rows, cols } => make(&a, &y, rows, cols),
        Task::Solve { a, y, block, steps } => solve(&a, &y, block, steps),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn make(a: &Path, y: &Path, rows: usize, cols: usize) -> Result<()> {
    // 64 MB at a time.
    let block = ((8 << 20) / cols.max(1)).max(1);
    let matrix = NpyParts::begin(a, DType::F64, &[rows, cols])?;
    let right = NpyParts::begin(y, DType::F64, &[rows])?;
    let exact = linspace(1.0, 2.0, cols)?;
    for start in (0..rows).step_by(block) {
        let part = Tensor::rand([block.min(rows - start), cols]);
        let noisy = part.matmul(&exact)? + Tensor::rand([part.shape()[0]]) * 0.1;
        write_npy_rows(matrix.path(), matrix.data(), start, part.array())?;
        write_npy_rows(right.path(), right.data(), start, noisy.array())?;
    }
    matrix.end()?;
    Ok(right.end()?)
}

fn solve(a: &Path, y: &Path, block: u64, steps: usize) -> Result<()> {
    let group = Group::world()?;
    let (a, y) = (rows(a)?, rows(y)?);
    let cols = *a.shape().get(1).ok_or("the first file holds no matrix")?;
    let shared = group.rows(a.len()).with_block_rows((block / a.row_bytes().max(1)).max(1) as usize);
    let bytes = shared.range().len() as u64 * a.row_bytes();
    let bar = if group.rank() == 0 { ProgressBar::new(bytes) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template(
        "{msg:12} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec}",
    )?);
    let (told, row) = (bar.clone(), a.row_bytes());
    let data = shared.over([&a, &y])?.on_block(move |rows| told.inc(rows.len() as u64 * row));

    let began = Instant::now();
    bar.set_message("gradient");
    let (loss, gradient) = data.least_squares(&Tensor::zeros([cols]))?;
    let first = began.elapsed();
    // A^T A x = A^T y, of which the gradient at 0 is -2 A^T y.
    let told = bar.clone();
    let product = move |v: &Tensor| {
        told.set_position(0);
        told.set_message("product");
        data.least_squares_hvp(v).map(|x| x * 0.5)
    };
    let options = IterativeOptions { max_iterations: Some(steps), tolerance: 1e-8, ..Default::default() };
    let found = cg(&MatrixFree::new([cols, cols], product), &(gradient * -0.5), options)?;
    bar.finish_and_clear();
    if group.rank() == 0 {
        let gigabytes = bytes as f64 / 1e9;
        println!("{gigabytes:.2} GB a process, {} processes", group.size());
        println!("sum of squares at 0  {:.6e}", loss.item()?);
        println!(
            "first gradient       {:.3} s, {:.2} GB/s",
            first.as_secs_f64(),
            gigabytes / first.as_secs_f64()
        );
        println!("steps                {}, {:.3} s in all", found.iterations, began.elapsed().as_secs_f64());
        println!("x                    {:.4} .. {:.4}", found.x.get([0])?, found.x.get([-1])?);
    }
    Ok(())
}
