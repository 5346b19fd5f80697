//! The parts of a matrix that an operation reads.

use crate::element::Float;

/// Which triangle of a matrix is meant.
///
/// ```
/// use tapegrad::kernels::Triangle;
/// assert_eq!(Triangle { unit: true, ..Triangle::LOWER }, Triangle { upper: false, unit: true });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triangle {
    /// The upper one, else the lower one.
    pub upper: bool,
    /// Whether its diagonal counts as ones and is not read.
    pub unit: bool,
}

impl Triangle {
    /// The upper triangle with its diagonal.
    pub const UPPER: Self = Triangle { upper: true, unit: false };
    /// The lower triangle with its diagonal.
    pub const LOWER: Self = Triangle { upper: false, unit: false };
}

/// The parts of a matrix that an operation reads.
///
/// ```
/// use tapegrad::kernels::{Part, Triangle};
/// assert_eq!(Part::LOWER, Part::Triangle(Triangle::LOWER));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// A triangle, of a square matrix.
    Triangle(Triangle),
}

impl Part {
    /// The lower triangle with its diagonal.
    pub const LOWER: Self = Part::Triangle(Triangle::LOWER);

    /// Whether every element of this part of a row-major matrix of `columns` columns is finite.
    ///
    /// ```
    /// use tapegrad::kernels::{Part, Triangle};
    /// let a = [1.0, f64::NAN, 2.0, 3.0];
    /// assert!(Part::LOWER.is_finite(&a, 2) && !Part::Triangle(Triangle::UPPER).is_finite(&a, 2));
    /// ```
    pub fn is_finite<T: Float>(self, a: &[T], columns: usize) -> bool {
        let Part::Triangle(triangle) = self else { return are_finite(a) };
        let inner = usize::from(triangle.unit);
        a.chunks_exact(columns.max(1)).enumerate().all(|(i, row)| {
            are_finite(if triangle.upper { &row[(i + inner).min(columns)..] } else { &row[..i + 1 - inner] })
        })
    }
}

/// Whether all numbers are finite; looked at many at a time.
pub fn are_finite<T: Float>(x: &[T]) -> bool {
    x.chunks(256).all(|x| x.iter().fold(true, |finite, x| finite & Float::is_finite(*x)))
}

/// The number of the first matrix of a batch, of `rows` rows and `columns` columns each, of which a part is not finite.
pub(crate) fn first_not_finite<T: Float>(a: &[T], [rows, columns]: [usize; 2], part: Part) -> Option<usize> {
    if rows * columns == 0 || (part == Part::Whole && are_finite(a)) {
        return None;
    }
    a.chunks_exact(rows * columns).position(|a| !part.is_finite(a, columns))
}
