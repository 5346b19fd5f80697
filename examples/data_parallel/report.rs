//! What the program prints and draws.

use crate::Result;
use crate::solve::{Found, Model};
use plotters::prelude::*;
use std::path::Path;
use std::time::Duration;

/// What many processes found, beside what one finds alone.
pub fn compare(model: Model, found: &Found, alone: &Found) -> Result<()> {
    let off = found.x.iter().zip(&alone.x).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let same = found.x.iter().zip(&alone.x).all(|(a, b)| a.to_bits() == b.to_bits());
    println!("\n{}", model.name());
    println!("  loss             {:.12e}", found.loss);
    println!("  iterations       {} ({} gradients)", found.iterations, found.evaluations);
    println!("  time             {:.1} ms; one process alone {:.1} ms", ms(found.time), ms(alone.time));
    let verdict = if same { "the same bits".to_string() } else { format!("off by {off:.1e}") };
    println!("  one process      {verdict}");
    if off > 1e-6 {
        return Err(format!("{}: one process alone finds another answer", model.name()).into());
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A line for each number of processes, and a table in a file.
pub fn times(times: &[Duration], path: Option<&Path>) -> Result<()> {
    println!("\nleast squares gradient");
    let mut table = String::from("processes,seconds\n");
    for (k, time) in times.iter().enumerate() {
        let faster = times[0].as_secs_f64() / time.as_secs_f64();
        println!("  {} processes     {:.3} ms, {faster:.2} times as fast as one", k + 1, ms(*time));
        table += &format!("{},{}\n", k + 1, time.as_secs_f64());
    }
    match path {
        Some(path) => Ok(std::fs::write(path, table)?),
        None => Ok(()),
    }
}

/// The time against the number of processes, and what it would be if all of it were shared.
pub fn plot(times: &[Duration], path: &Path) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| format!("{} cannot be drawn: {e}", path.display());
    let most = times.len() as f64;
    let high = times.iter().copied().map(ms).fold(0.0, f64::max) * 1.1;
    let root = SVGBackend::new(path, (700, 450)).into_drawing_area();
    root.fill(&WHITE).map_err(|e| failed(&e))?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Least squares gradient", ("sans-serif", 22))
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(60)
        .build_cartesian_2d(0.5..most + 0.5, 0.0..high)
        .map_err(|e| failed(&e))?;
    chart.configure_mesh().x_desc("processes").y_desc("ms").draw().map_err(|e| failed(&e))?;
    let (blue, orange) = (RGBColor(0, 114, 178), RGBColor(213, 94, 0));
    let measured = times.iter().enumerate().map(|(k, t)| (k as f64 + 1.0, ms(*t)));
    let shared = (1..=times.len()).map(|p| (p as f64, ms(times[0]) / p as f64));
    for (name, colour, points) in
        [("measured", blue, measured.collect::<Vec<_>>()), ("shared evenly", orange, shared.collect())]
    {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(|e| failed(&e))?
            .label(name)
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
