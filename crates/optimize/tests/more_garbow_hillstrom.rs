//! The test problems of Moré, Garbow and Hillstrom, from their starts, ten and a hundred times as far: as many solved as
//! docs/optimize.md says. MGH_TABLE names a file to write the single results to.

#[path = "more/problems.rs"]
mod problems;

use tapegrad::optimize::{LeastSquaresSolution, least_squares};
use tapegrad::prelude::*;

/// Solved: the sum of squares is the least to four digits, or to 1e-10 where that is zero.
fn solved(found: &LeastSquaresSolution<Tensor>, least: f64) -> bool {
    2.0 * found.report.value <= least * (1.0 + 1e-4) + 1e-10
}

#[test]
fn solved_from_near_and_far() {
    let mut lines = String::new();
    let mut counts = [0; 3];
    let problems = problems::all();
    assert_eq!(problems.len(), 36);
    for problem in &problems {
        for (far, factor) in [1.0, 10.0, 100.0].into_iter().enumerate() {
            let start = Tensor::from(problem.start.iter().map(|x| x * factor).collect::<Vec<_>>());
            if far > 0 && problem.start.iter().all(|x| *x == 0.0) {
                continue;
            }
            let line = match least_squares(problem.residuals, &start) {
                Err(e) => format!("{}, {factor} x0: {e}\n", problem.name),
                Ok(found) => {
                    let solved = solved(&found, problem.least);
                    counts[far] += usize::from(solved);
                    let (report, evaluations) = (&found.report, found.report.evaluations);
                    format!(
                        "{}, {factor} x0: {} {:e} {} evaluations, {}\n",
                        problem.name,
                        if solved { "solved" } else { "NOT" },
                        2.0 * report.value,
                        evaluations.values,
                        report.stop
                    )
                }
            };
            lines.push_str(&line);
        }
    }
    println!("{lines}solved: {counts:?}");
    if let Some(path) = std::env::var_os("MGH_TABLE") {
        std::fs::write(path, lines).unwrap();
    }
    assert!(counts[0] >= 34 && counts[1] >= 24 && counts[2] >= 22, "{counts:?}");
}
