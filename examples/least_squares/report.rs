//! What the program prints and draws.

use crate::Result;
use crate::plot::{Chart, Series};
use crate::problem::Problem;
use crate::progress::Outcome;
use std::path::Path;
use tapegrad::prelude::*;

/// Names in a message.
pub fn list(names: &[String]) -> String {
    names.join(", ")
}

/// The coefficients of every solver beside the closed form, and how good each fit is.
pub fn print<T: Float>(problem: &Problem<T>, outcomes: &[Outcome<T>]) -> Result<()> {
    let closed = problem.closed_form()?;
    let mut heads = vec!["closed form"];
    heads.extend(outcomes.iter().map(|o| o.solver));
    let solutions: Vec<&Tensor<T>> = [&closed].into_iter().chain(outcomes.iter().map(|o| &o.x)).collect();
    let columns: Vec<Vec<T>> = solutions.iter().map(|x| problem.coefficients(x)).collect();

    let names = || std::iter::once("(intercept)").chain(problem.columns.iter().map(String::as_str));
    let width = names().map(|n| n.chars().count()).max().unwrap_or(0).max("residual".len());
    let line = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|c| format!("  {c:>18}")).collect();
        println!("{name:width$}{cells}");
    };
    println!();
    line("coefficient", heads.iter().map(|h| h.to_string()).collect());
    for (k, name) in names().enumerate() {
        line(name, columns.iter().map(|c| format!("{:.8}", c[k])).collect());
    }
    println!();
    let quality: Vec<(f64, f64)> = solutions.iter().map(|x| problem.quality(x)).collect::<Result<_>>()?;
    line("residual", quality.iter().map(|(sum, _)| format!("{sum:.8}")).collect());
    line("R^2", quality.iter().map(|(_, r2)| format!("{r2:.8}")).collect());
    let each = |f: &dyn Fn(&Outcome<T>) -> String| {
        std::iter::once("-".to_string()).chain(outcomes.iter().map(f)).collect::<Vec<_>>()
    };
    line("iterations", each(&|o| (o.norms.len().saturating_sub(1)).to_string()));
    line("|gradient|", each(&|o| o.norms.last().map_or(String::new(), |n| format!("{n:.2e}"))));
    line("time", each(&|o| format!("{:.2} ms", o.time.as_secs_f64() * 1e3)));
    for o in outcomes.iter().filter(|o| !o.converged) {
        println!("\n{} did not reach its tolerance: its coefficients are the best it found", o.solver);
    }
    Ok(())
}

/// Refuses a plot that could not be drawn, before any work is done.
pub fn check_plot_path(path: &Path) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => Ok(()),
        _ => Err(format!("{}: plots are drawn as .svg files", path.display()).into()),
    }
}

/// The norm of the gradient against the iterations, both on logarithmic scales.
pub fn plot<T: Float>(path: &Path, outcomes: &[Outcome<T>]) -> Result<()> {
    let way = |o: &Outcome<T>| {
        let iterations: Vec<f64> = (1..=o.norms.len()).map(|k| k as f64).collect();
        Series::line(o.solver, &iterations, &o.norms)
    };
    let series: Vec<Series> = outcomes.iter().map(way).collect();
    let (x, y) = ("iteration (log)", "norm of the gradient (log)");
    Chart { title: "Convergence", x, y, series: &series }.draw(path)
}
