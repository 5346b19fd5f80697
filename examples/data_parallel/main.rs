//! Least squares and logistic regression on rows that many processes share, by argmin's L-BFGS, beside what one process alone
//! finds.
//!
//! `mpirun -n 4 target/release/examples/data_parallel`, built with `--features mpi`; without that feature, or without mpirun,
//! it is one process. `--help` lists the arguments.

mod data;
mod report;
mod solve;

use clap::Parser;
use data::Shard;
use solve::Model;
use std::path::PathBuf;
use std::process::ExitCode;
use tapegrad::distributed::Group;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Least squares and logistic regression, data parallel.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Rows of all processes together
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    rows: usize,
    /// Columns
    #[arg(long, value_name = "D", default_value_t = 200)]
    cols: usize,
    /// Where to draw the time of a gradient against the number of processes, an .svg file
    #[arg(long, value_name = "FILE", default_value = "data_parallel.svg")]
    plot: PathBuf,
    /// Draw nothing, and measure nothing for it
    #[arg(long)]
    no_plot: bool,
    /// Where to write these times, a .csv file
    #[arg(long, value_name = "FILE")]
    times: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let group = Group::world()?;
    let first = group.rank() == 0;
    if first {
        println!("{} processes, {} rows, {} columns", group.size(), arguments.rows, arguments.cols);
    }
    for model in [Model::LeastSquares, Model::Logistic] {
        let shard = Shard::new(&group, arguments.rows, arguments.cols, model)?;
        let found = solve::minimize(model, &shard, first)?;
        if !first {
            continue;
        }
        // All rows in one process.
        let alone = solve::minimize(
            model,
            &Shard::new(&Group::alone(), arguments.rows, arguments.cols, model)?,
            false,
        )?;
        report::compare(model, &found, &alone)?;
    }
    if !arguments.no_plot || arguments.times.is_some() {
        let times = solve::times(&group, arguments.rows, arguments.cols)?;
        if first {
            report::times(&times, arguments.times.as_deref())?;
            if !arguments.no_plot {
                report::plot(&times, &arguments.plot)?;
            }
        }
    }
    Ok(())
}
