//! A determinant by its expansion by minors, n! products. All minors of one size are one tensor.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

/// The minors without the first rows, for one way after another of choosing a column for each of these rows.
struct Level {
    /// Columns that are left, as many for each minor.
    columns: Tensor<i64>,
    /// 1, -1, 1 and so on.
    signs: Tensor,
}

fn levels(n: usize) -> Outcome<Vec<Level>> {
    let mut left: Vec<Vec<usize>> = vec![(0..n).collect()];
    let mut levels = Vec::new();
    for size in (1..=n).rev() {
        let columns = left.iter().flatten().copied().collect::<Vec<_>>();
        let columns = Tensor::from_vec(columns.iter().map(|&c| c as i64).collect(), [left.len() * size])?;
        let signs = (0..size).map(|j| if j % 2 == 0 { 1.0 } else { -1.0 }).collect();
        levels.push(Level { columns, signs });
        if size > 1 {
            let without = |columns: &Vec<usize>, j: usize| {
                columns.iter().enumerate().filter(|&(i, _)| i != j).map(|(_, &c)| c).collect::<Vec<_>>()
            };
            left = left.iter().flat_map(|columns| (0..size).map(move |j| without(columns, j))).collect();
        }
    }
    Ok(levels)
}

fn determinant(a: &Tensor, levels: &[Level]) -> Result<Tensor> {
    let n = levels.len();
    let mut minors = a.row(n - 1)?.index_select(0, &levels[n - 1].columns)?;
    for (i, level) in levels[..n - 1].iter().enumerate().rev() {
        let elements = a.row(i)?.index_select(0, &level.columns)?.reshape([-1, (n - i) as i64])?;
        minors = (elements * minors.reshape([-1, (n - i) as i64])?).mv(&level.signs)?;
    }
    minors.squeeze(0)
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let n = input.count("ell")?;
    let (a, levels) = (input.tensor("A")?.reshape([n, n])?, levels(n)?);
    match function {
        "primal" => input.timed(|| determinant(&a, &levels), nested),
        "gradient" => {
            input.timed(|| value_and_grad(|a| determinant(a, &levels), &a)?.1.reshape([n * n]), nested)
        }
        _ => unknown(function),
    }
}
