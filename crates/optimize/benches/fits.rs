//! Times of least squares on NIST's problems, read from the folder that NIST_STRD_DIR names, and on a larger fit: a JSON
//! object for each. benches/peers/optimize_least_squares.py puts SciPy's beside them.

#[allow(dead_code, reason = "NIST's tests read more of a problem")]
#[path = "../tests/nist/models.rs"]
mod models;
#[allow(dead_code, reason = "NIST's tests read more of a problem")]
#[path = "../tests/nist/problem.rs"]
mod problem;

use problem::Problem;
use std::path::PathBuf;
use std::time::Instant;
use tapegrad::optimize::{LeastSquaresSolution, least_squares};
use tapegrad::prelude::*;

fn main() -> Result<()> {
    let mut names = [
        "Bennett5", "Chwirut2", "DanWood", "ENSO", "Gauss1", "Gauss2", "Kirby2", "Lanczos1", "Lanczos3",
        "MGH10", "MGH17", "Misra1a", "Misra1b", "Misra1d", "Rat43", "Roszman1", "Thurber",
    ]
    .to_vec();
    let folder = std::env::var_os("NIST_STRD_DIR").map(PathBuf::from).unwrap_or_default();
    names.retain(|name| folder.join(name).with_extension("dat").exists());
    for name in names {
        let problem = Problem::read(&folder.join(name).with_extension("dat")).map_err(Error::other)?;
        for (i, start) in problem.starts.iter().enumerate() {
            let start: Vec<Tensor> = start.iter().map(|&b| Tensor::scalar(b)).collect();
            let residuals = |b: &Vec<Tensor>| (problem.model)(&problem.x, b)?.try_sub(&problem.y);
            report(&format!("{name} {}", i + 1), || least_squares(residuals, &start))?;
        }
    }
    ten_peaks()
}

/// 32 parameters and 20,000 data.
fn ten_peaks() -> Result<()> {
    let m = 20_000;
    let x = Tensor::from((0..m).map(|i| f64::from(i) / f64::from(m)).collect::<Vec<_>>());
    let k: Vec<f64> = (0..10).map(f64::from).collect();
    let truth = [
        k.iter().map(|k| 1.0 + 0.1 * k).collect::<Vec<_>>(),
        k.iter().map(|k| (k + 0.5) / 10.0).collect(),
        k.iter().map(|k| 0.02 + 0.001 * k).collect(),
        vec![0.5, -0.2],
    ]
    .map(Tensor::from);
    let column = x.unsqueeze(1)?;
    let model = |b: &[Tensor; 4]| {
        let peaks = (-((&column - &b[1]) / &b[2]).square()).exp().mv(&b[0])?;
        Ok::<_, Error>(peaks + b[3].select(0, 0)? + b[3].select(0, 1)? * &x)
    };
    let noise = Tensor::from((0..m).map(|i| 0.01 * (f64::from(i) * 12.9898).sin()).collect::<Vec<_>>());
    let y = model(&truth)? + noise;
    let start = [&truth[0] * 0.8, truth[1].clone(), &truth[2] * 1.3, truth[3].clone()];
    report("ten peaks", || least_squares(|b| model(b)?.try_sub(&y), &start))
}

/// The fastest of many runs.
fn report<P>(name: &str, run: impl Fn() -> Result<LeastSquaresSolution<P>>) -> Result<()> {
    let found = run()?;
    let (began, mut best) = (Instant::now(), f64::INFINITY);
    for runs in 0.. {
        if runs >= 5 && began.elapsed().as_secs_f64() > 0.3 {
            break;
        }
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let report = &found.report;
    println!(
        "{{\"name\": \"{name}\", \"cost\": {:e}, \"evaluations\": {}, \"us\": {:.1}}}",
        report.value,
        report.evaluations.values,
        best * 1e6
    );
    Ok(())
}
