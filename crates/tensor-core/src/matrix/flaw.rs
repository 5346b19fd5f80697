//! What may be wrong with a matrix of a batch.

use super::part::are_finite;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Why a matrix of a batch, of which the number is told, has no inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// An element is NaN or infinite.
    NotFinite(usize),
    /// A pivot is zero.
    Singular(usize),
}

impl Flaw {
    /// The error of `op`, of matrices of this shape.
    #[cold]
    pub fn error(self, op: &'static str, shape: &[usize]) -> Error {
        match self {
            Flaw::NotFinite(batch) => not_finite_error(op, batch, shape),
            Flaw::Singular(batch) => singular_error(op, batch, shape),
        }
    }
}

/// Names a matrix of a batch.
fn which(batch: usize, shape: &[usize]) -> String {
    match shape.len() {
        0..=2 => format!("the matrix {shape:?}"),
        _ => format!("matrix {batch} of the batch {shape:?}"),
    }
}

/// The error of a matrix with an element that is not finite: the same from whatever has to factor it.
#[cold]
pub fn not_finite_error(op: &'static str, batch: usize, shape: &[usize]) -> Error {
    let message = format!(
        "{} has an element that is NaN or infinite: only finite matrices can be factored",
        which(batch, shape)
    );
    Error::argument(op, message)
}

/// The error of a matrix without an inverse.
#[cold]
pub fn singular_error(op: &'static str, batch: usize, shape: &[usize]) -> Error {
    let message =
        format!("{} is singular: a pivot is exactly zero; pinv takes singular matrices", which(batch, shape));
    Error::new(ErrorKind::Singular { batch }, op, message)
}

/// The error of a matrix on which an iteration was given up.
#[cold]
pub fn not_converged_error(op: &'static str, what: &str, batch: usize, shape: &[usize]) -> Error {
    let message = format!("the {what} of {} did not converge: scale it better", which(batch, shape));
    Error::new(ErrorKind::NotConverged, op, message)
}

/// The error of a matrix without a real principal square root or logarithm.
#[cold]
pub fn no_principal_value_error(op: &'static str, batch: usize, shape: &[usize]) -> Error {
    let message = format!(
        "{} has an eigenvalue that is zero or negative, to rounding, and so no real principal value: shift it by a multiple of \
         the identity; a symmetric matrix without negative eigenvalues has the root symmetric_power",
        which(batch, shape)
    );
    Error::argument(op, message)
}

/// The error of a Sylvester equation without a single solution.
#[cold]
pub fn common_eigenvalue_error(op: &'static str, batch: usize, shape: &[usize]) -> Error {
    let message = format!(
        "{} has an eigenvalue that is one of -B: A X + X B = C then has no solution or many; shift A by a multiple of the \
         identity",
        which(batch, shape)
    );
    Error::new(ErrorKind::Singular { batch }, op, message)
}

/// The smallest number that was offered, if any.
pub(crate) fn first(found: &AtomicUsize) -> Option<usize> {
    Some(found.load(Relaxed)).filter(|&i| i != usize::MAX)
}

/// The first matrices of a batch with an element that is not finite, and with another flaw.
pub(crate) struct Flaws {
    not_finite: AtomicUsize,
    other: AtomicUsize,
}

impl Flaws {
    pub fn none() -> Self {
        Flaws { not_finite: AtomicUsize::new(usize::MAX), other: AtomicUsize::new(usize::MAX) }
    }

    pub fn not_finite(&self, matrix: usize) {
        self.not_finite.fetch_min(matrix, Relaxed);
    }

    pub fn other(&self, matrix: usize) {
        self.other.fetch_min(matrix, Relaxed);
    }

    /// Runs `f` on matrix number `matrix`, if it is finite; `f` tells whether it found a flaw.
    pub fn of_finite<T: Float>(&self, matrix: usize, a: &[T], f: impl FnOnce() -> bool) {
        if !are_finite(a) {
            self.not_finite(matrix);
        } else if f() {
            self.other(matrix);
        }
    }

    /// What was found, where the other flaw is a pivot of zero.
    pub fn found(&self) -> Option<Flaw> {
        let not_finite = first(&self.not_finite).map(Flaw::NotFinite);
        not_finite.or_else(|| first(&self.other).map(Flaw::Singular))
    }

    /// An error where something was found; `other` makes that of the other flaw.
    pub fn check(&self, op: &'static str, shape: &[usize], other: impl FnOnce(usize) -> Error) -> Result<()> {
        match self.found() {
            None => Ok(()),
            Some(Flaw::NotFinite(batch)) => Err(not_finite_error(op, batch, shape)),
            Some(Flaw::Singular(batch)) => Err(other(batch)),
        }
    }
}
