//! Solves a least squares problem by gradient descent and by L-BFGS, on gradients from tapegrad, and
//! compares both with the closed form.
//!
//! `cargo run --release --example least_squares` needs no arguments; `-- --help` lists them.

mod gradient_descent;
mod lbfgs;
#[path = "../plot/mod.rs"]
mod plot;
mod problem;
mod progress;
mod report;
mod table;

use clap::{Parser, ValueEnum};
use problem::{Data, Problem};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tapegrad::prelude::*;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Least squares by gradient descent and L-BFGS, beside the closed form.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A table of numbers: a .csv file with a header, or a two-dimensional .npy file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "cols"])]
    input: Option<PathBuf>,
    /// The column to explain by the others [default: the last]
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["rows", "cols"])]
    target: Option<String>,
    /// Only this solver [default: both]
    #[arg(long)]
    solver: Option<Solver>,
    /// The type to compute in
    #[arg(long, default_value = "f64")]
    dtype: Type,
    /// Where to compute: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Where to draw how the solvers converge, an .svg file
    #[arg(long, value_name = "FILE", default_value = "least_squares.svg")]
    plot: PathBuf,
    /// Rows of a random problem [default: ten times --cols]
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Columns of a random problem [default: 10]
    #[arg(long, value_name = "D")]
    cols: Option<usize>,
    /// Seed of a random problem
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Solver {
    Gd,
    Lbfgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Type {
    F32,
    F64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.dtype {
        Type::F32 => solve::<f32>(&arguments),
        Type::F64 => solve::<f64>(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn solve<T: Float>(arguments: &Arguments) -> Result<()> {
    report::check_plot_path(&arguments.plot)?;
    if let Device::Cuda(ordinal) = arguments.device {
        // A GPU that is not there is told of before the data is read.
        Device::cuda(ordinal)?;
    }
    let data = load::<T>(arguments)?;
    let (source, target) = (data.source.clone(), data.target.clone());
    let problem = Problem::new(data, &arguments.device)?;
    let wanted = |solver| arguments.solver.is_none_or(|only| only == solver);
    let mut outcomes = Vec::new();
    if wanted(Solver::Gd) {
        outcomes.push(gradient_descent::minimize(&problem)?);
    }
    if wanted(Solver::Lbfgs) {
        outcomes.push(lbfgs::minimize(&problem)?);
    }
    println!("{target} of {source}: {} rows, {} columns", problem.rows(), problem.columns.len());
    report::print(&problem, &outcomes)?;
    report::plot(&arguments.plot, &outcomes)?;
    println!("\nconvergence drawn in {}", arguments.plot.display());
    Ok(())
}

/// The table that was asked for: a file, a random problem, or the diabetes data.
fn load<T: Float>(arguments: &Arguments) -> Result<Data<T>> {
    if arguments.rows.is_some() || arguments.cols.is_some() {
        let columns = arguments.cols.unwrap_or(10);
        let rows = arguments.rows.unwrap_or(columns.saturating_mul(10));
        return Data::synthetic(rows, columns, arguments.seed);
    }
    let here = Path::new("examples/data/diabetes.csv");
    let path = match &arguments.input {
        Some(path) => path.clone(),
        None if here.exists() => here.to_path_buf(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(here),
    };
    Data::from_table(table::read(&path)?, arguments.target.as_deref())
}
