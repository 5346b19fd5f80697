//! What the program prints and draws.

use crate::Result;
use crate::problem::Problem;
use crate::progress::Outcome;
use plotters::prelude::*;
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
    let failed = |e: &dyn std::fmt::Display| format!("{} cannot be drawn: {e}", path.display());
    // A norm of exactly zero has no logarithm.
    let floor = f64::MIN_POSITIVE;
    let norms = || outcomes.iter().flat_map(|o| &o.norms).map(|n| n.max(floor));
    let low = norms().fold(f64::INFINITY, f64::min) / 2.0;
    let high = norms().fold(low * 4.0, f64::max) * 2.0;
    let steps = outcomes.iter().map(|o| o.norms.len()).max().unwrap_or(1).max(2) as f64;

    let root = SVGBackend::new(path, (800, 500)).into_drawing_area();
    root.fill(&WHITE).map_err(|e| failed(&e))?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Convergence", ("sans-serif", 22))
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..steps).log_scale(), (low..high).log_scale())
        .map_err(|e| failed(&e))?;
    chart
        .configure_mesh()
        .x_desc("iteration")
        .y_desc("norm of the gradient")
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .draw()
        .map_err(|e| failed(&e))?;
    // Colours that colour-blind readers tell apart (Okabe and Ito 2008).
    let colours = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];
    for (o, colour) in outcomes.iter().zip(colours) {
        let points = o.norms.iter().enumerate().map(|(k, n)| (k as f64 + 1.0, n.max(floor)));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(|e| failed(&e))?
            .label(o.solver)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()
        .map_err(|e| failed(&e))?;
    root.present().map_err(|e| failed(&e))?;
    Ok(())
}
