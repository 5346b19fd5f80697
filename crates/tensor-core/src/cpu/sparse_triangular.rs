//! Systems with the triangles of sparse matrices.

use super::copy::elements;
use super::sparse::in_order;
use crate::array::Array;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::heap::vectors;
use crate::matrix::part::Triangle;
use crate::sparse::lines::numbers;
use crate::sparse::pattern::Pattern;

/// The solution x of A x = b, or A^T x = b where `transposed`, for a triangle of a square matrix, row after row: of a matrix the
/// solutions of all columns at once.
pub fn solve<T: Float>(
    op: &'static str,
    pattern: &Pattern,
    values: &Array<T>,
    triangle: Triangle,
    transposed: bool,
    b: &Array<T>,
) -> Result<Array<T>> {
    let turned = if transposed { pattern.transposed() } else { pattern.clone() };
    let upper = triangle.upper != transposed;
    let [n, _] = turned.shape();
    let lines = turned.lines(op, 0)?;
    let values = in_order(op, lines, values)?;
    let (starts, across) = (numbers(&lines.starts), numbers(&lines.across));
    let k = b.shape().get(1).copied().unwrap_or(1);
    let mut x = vectors::collect(op, elements(op, b)?.iter().copied())?;
    let mut sums = vectors::vector(op, k, T::ZERO)?;
    for step in 0..n {
        let i = if upper { n - 1 - step } else { step };
        let line = starts[i] as usize..starts[i + 1] as usize;
        let mut diagonal = if triangle.unit { T::ONE } else { T::ZERO };
        sums.copy_from_slice(&x[i * k..][..k]);
        for (&j, &value) in across[line.clone()].iter().zip(&values[line]) {
            let j = j as usize;
            if j == i && triangle.unit || j != i && (j > i) != upper {
                continue;
            }
            if !Float::is_finite(value) {
                let at = if transposed { [j, i] } else { [i, j] };
                let message = format!(
                    "the element of the sparse matrix {:?} at {at:?} is {value}: only finite matrices can be solved",
                    pattern.shape()
                );
                return Err(Error::argument(op, message));
            }
            if j == i {
                diagonal += value;
            } else {
                sums.iter_mut().zip(&x[j * k..]).for_each(|(sum, &x)| *sum -= value * x);
            }
        }
        if diagonal == T::ZERO {
            let message = format!(
                "the sparse matrix {:?} is singular: row {i} has a zero on its diagonal, or nothing; lsqr takes such matrices",
                pattern.shape()
            );
            return Err(Error::new(ErrorKind::Singular { batch: 0 }, op, message));
        }
        x[i * k..][..k].iter_mut().zip(&sums).for_each(|(x, &sum)| *x = sum / diagonal);
    }
    Array::from_vec(x, b.shape())
}

/// Which elements of a pattern such a solution reads.
pub fn read(op: &'static str, pattern: &Pattern, triangle: Triangle) -> Result<Array<bool>> {
    let [rows, columns] = pattern.coordinates(op)?;
    let is_read = |(&i, &j): (&i64, &i64)| if i == j { !triangle.unit } else { (j > i) == triangle.upper };
    let mask = vectors::collect(op, numbers(rows).iter().zip(numbers(columns)).map(is_read))?;
    Array::from_vec(mask, &[pattern.count()])
}
