//! A problem as NIST's files have it.

use super::models::{Model, model, response};
use std::path::Path;
use tapegrad::prelude::*;

/// Starts, certified values and data of one file.
pub struct Problem {
    pub model: Model,
    pub starts: [Vec<f64>; 2],
    pub parameters: Vec<f64>,
    pub errors: Vec<f64>,
    pub x: Vec<Tensor>,
    pub y: Tensor,
}

impl Problem {
    /// From a file; an error of what is not as NIST's files are.
    pub fn read(path: &Path) -> std::result::Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let wrong = |what: &str| format!("{}: {what}", path.display());
        let name = path.file_stem().and_then(|s| s.to_str()).ok_or(wrong("no name"))?.to_string();
        let model = model(&name).ok_or(wrong("no model of this name"))?;
        let numbers =
            |line: &str| -> Vec<f64> { line.split_whitespace().map_while(|s| s.parse().ok()).collect() };
        let (mut starts, mut parameters, mut errors) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
        let mut rows: Vec<Vec<f64>> = Vec::new();
        let mut lines = text.lines();
        for line in lines.by_ref() {
            // The first such line is in the description of the file.
            if line.starts_with("Data:") && !parameters.is_empty() {
                break;
            }
            let Some((left, right)) = line.split_once('=') else { continue };
            let values = numbers(right);
            let parameter = left.trim().strip_prefix('b').is_some_and(|k| k.parse::<usize>().is_ok());
            if let ([one, two, certified, error], true) = (&values[..], parameter) {
                starts[0].push(*one);
                starts[1].push(*two);
                parameters.push(*certified);
                errors.push(*error);
            }
        }
        rows.extend(lines.map(numbers).filter(|row| !row.is_empty()));
        let columns = rows.first().map_or(0, Vec::len);
        if parameters.is_empty() || columns < 2 || rows.iter().any(|row| row.len() != columns) {
            return Err(wrong("starts, certified values and data are not where they should be"));
        }
        let column = |k: usize| Tensor::from(rows.iter().map(|row| row[k]).collect::<Vec<_>>());
        let y = response(&name, column(0));
        Ok(Problem { x: (1..columns).map(column).collect(), y, model, starts, parameters, errors })
    }
}

/// The digits to which two numbers agree, relative to the second: 11 is all that NIST certifies.
pub fn digits(found: f64, certified: f64) -> f64 {
    let error = (found - certified).abs() / certified.abs();
    if error.is_nan() { 0.0 } else { (-error.log10()).clamp(0.0, 11.0) }
}
