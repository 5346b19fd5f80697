//! Cholesky factors and triangular systems.

use super::spread::{for_batch, lanes_pay, square};
use crate::array::Array;
use crate::cpu::copy::{self, elements};
use crate::cpu::finite::finite;
use crate::cpu::large;
use crate::cpu::small::{self, Matrices, for_groups};
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::matrix::flaw::{Flaws, singular_error};
use crate::matrix::part::{Part, Triangle, are_finite};
use crate::shape::Dims;

/// The Cholesky factor L of each matrix, and the order of the first leading minor that is not positive, or not
/// finite, or 0: such a matrix has NaN for a factor.
pub fn cholesky_ex<T: Float>(op: &'static str, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
    let (n, batch) = square(a);
    let count: usize = batch.iter().product();
    let mut all_minors = Array::<i64>::zeros(&batch)?;
    let minors = all_minors.fresh_mut();
    let mut l;
    if lanes_pay(count, n) {
        l = Array::build(op, Dims::from_slice(a.shape()), |_| {})?;
        let inputs = [Matrices::of(op, a)?];
        let factors = l.fresh_mut();
        let outputs = [(&mut *factors, n * n)];
        for_groups(&small::Cholesky(n), &inputs, outputs, count, |_, [l]| l.fill(T::NAN));
        let failed = factors.chunks_exact_mut(n * n).zip(&mut *minors).enumerate();
        for (i, (l, minor)) in failed.filter(|(_, (l, _))| l[0].is_nan()) {
            l.copy_from_slice(&inputs[0].to_vec(i));
            if let Err(order) = cholesky_alone(l, n) {
                l.fill(T::NAN);
                *minor = order as i64;
            }
        }
    } else {
        l = copy::copy(op, a)?;
        for_batch((l.fresh_mut(), n * n), (minors, 1), n * n * n / 3, |_, l, minor| {
            if let Err(order) = cholesky_alone(l, n) {
                l.fill(T::NAN);
                minor[0] = order as i64;
            }
        });
    }
    Ok((l, all_minors))
}

/// [`large::cholesky`], to which infinity is as bad as NaN.
fn cholesky_alone<T: Float>(a: &mut [T], n: usize) -> Result<(), usize> {
    let rows = (1..=n).find(|&order| !are_finite(&a[(order - 1) * n..][..order]));
    match (large::cholesky(a, n).err(), rows) {
        (Some(minor), Some(row)) => Err(minor.min(row)),
        (minor, row) => minor.or(row).map_or(Ok(()), Err),
    }
}

/// The Cholesky factor L of each matrix.
///
/// # Errors
/// Argument, for NaN and infinity; not positive definite, with the number of the first such matrix and its minor.
pub fn cholesky<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    let (l, minors) = cholesky_ex(op, a)?;
    let minors = elements(op, &minors)?;
    let Some(batch) = minors.iter().position(|&minor| minor > 0) else { return Ok(l) };
    finite(op, a, Part::LOWER)?;
    let minor = minors[batch] as usize;
    let message = format!(
        "matrix {batch} of {:?} is not positive definite: its leading minor of order {minor} is not positive; \
         adding a multiple of the identity may help",
        a.shape()
    );
    Err(Error::new(ErrorKind::NotPositiveDefinite { batch, minor }, op, message))
}

/// A^-1 B, or A^-T B, for triangles A [batch.., n, n] and B [batch.., n, k].
///
/// # Errors
/// Singular, with the number of the first matrix that has a zero on its diagonal; argument, for NaN and infinity in A.
pub fn solve_triangular<T: Float>(
    op: &'static str,
    a: &Array<T>,
    triangle: Triangle,
    transposed: bool,
    b: &Array<T>,
) -> Result<Array<T>> {
    let (n, k) = (b.shape()[b.ndim() - 2], b.shape()[b.ndim() - 1]);
    let matrices = elements(op, a)?;
    if !triangle.unit && n > 0 {
        let zero = |a: &[T]| (0..n).any(|i| a[i * n + i] == T::ZERO);
        if let Some(batch) = matrices.chunks_exact(n * n).position(zero) {
            return Err(singular_error(op, batch, a.shape()));
        }
    }
    let mut out = copy::copy(op, b)?;
    let mut nothing = vec![(); out.numel().checked_div(n * k).unwrap_or(0)];
    let flaws = Flaws::none();
    for_batch((out.fresh_mut(), n * k), (&mut nothing, 1), n * n * k, |i, b, _| {
        let a = &matrices[i * n * n..][..n * n];
        large::solve_triangular(a, n, triangle, transposed, b, k);
        // What is not finite spoils the solution, but on the diagonal, by which is divided: other triangles need
        // not be read again.
        let diagonal = || triangle.unit || a.iter().step_by(n + 1).all(|x| Float::is_finite(*x));
        let well = are_finite(b) && diagonal();
        if !well && !Part::Triangle(triangle).is_finite(a, n) {
            flaws.not_finite(i);
        }
    });
    flaws.check(op, a.shape(), |batch| singular_error(op, batch, a.shape()))?;
    Ok(out)
}
