//! What a group promises, on whatever carries it: threads of this process, as many as 1 to 4, or the processes that mpirun
//! started. tests/distributed/run.sh starts it with mpirun; alone it needs no MPI.

mod bits;
mod faults;
mod files;
#[cfg(feature = "cuda")]
mod gpus;
mod gradients;
mod values;

use std::process::ExitCode;
use std::time::Duration;
use tapegrad::Result;
use tapegrad::distributed::{Group, spawn};

type Case = (&'static str, fn(&Group) -> Result<()>);

const CASES: &[Case] = &[
    ("reductions", values::reductions),
    ("broadcasts", values::broadcasts),
    ("gathers", values::gathers),
    ("between two", values::between_two),
    ("at the same time", values::swaps),
    ("long messages", values::long_messages),
    ("structures", values::structures),
    ("splits", values::splits),
    ("gradients of reductions", gradients::of_reductions),
    ("gradients of gathers", gradients::of_gathers),
    ("gradients between two", gradients::between_two),
    ("gradients at the same time", gradients::of_swaps),
    ("second order", gradients::second_order),
    ("sums over rows", gradients::of_sums_over_rows),
    ("the same bits", bits::least_squares),
    ("the same bits of solvers", bits::solvers),
    ("the same steps", bits::steps),
    ("ranks that do not agree", faults::disagreement),
    ("a rank that fails", faults::failure),
    ("files", files::rows_of_files),
    ("larger than memory", files::streams),
    ("shared memory", files::shared),
    #[cfg(feature = "cuda")]
    ("tensors on GPUs", gpus::exchanges),
];

/// A difference, told by the rank that sees it.
#[macro_export]
macro_rules! expect {
    ($holds:expr, $($message:tt)+) => {{
        let holds: bool = $holds;
        if !holds {
            return Err(tapegrad::Error::other(format!($($message)+)));
        }
    }};
}

/// All cases, each to its end in every process before the next.
fn run(group: &Group) -> Result<()> {
    for &(name, case) in CASES {
        let done = case(group);
        let failed = tapegrad::Tensor::scalar(i64::from(done.is_err()));
        if let Err(e) = &done {
            eprintln!("{name}, rank {} of {}: {e}", group.rank(), group.size());
        }
        // Not where the group itself has broken.
        let failed = group.all_reduce(&failed)?.item()?;
        if failed > 0 {
            return Err(tapegrad::Error::other(format!("{name}: {failed} of {} ranks failed", group.size())));
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().find_map(|a| a.strip_prefix("--fault=")) {
        Some(fault) => faults::run(fault),
        None => all(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<()> {
    let world = Group::world()?.with_time_limit(Duration::from_secs(120));
    if world.size() > 1 {
        run(&world)?;
        if world.rank() == 0 {
            println!("{} cases on {} processes", CASES.len(), world.size());
        }
        return Ok(());
    }
    run(&world)?;
    for threads in 1..=4 {
        spawn(threads, |group| run(&group.with_time_limit(Duration::from_secs(120))))?;
        println!("{} cases on {threads} threads", CASES.len());
    }
    Ok(())
}
