//! Spectra and functions of general matrices, which are computed in double precision.

use super::spread::{for_batch, square};
use crate::array::Array;
use crate::cpu::copy::elements;
use crate::cpu::large::{self, Lacking, Principal, Schur};
use crate::cpu::scale::{largest, near_one};
use crate::element::Float;
use crate::error::Result;
use crate::heap::{vectors, work};
use crate::matrix::flaw::{Flaws, common_eigenvalue_error, no_principal_value_error, not_converged_error};
use crate::matrix::part::are_finite;
use crate::shape::Dims;
use faer::c64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A matrix in double precision.
fn widened<T: Float>(a: &[T]) -> Vec<f64> {
    work::collect(a.iter().map(|x| x.to_f64()))
}

fn narrowed<T: Float>(out: &mut [T], x: impl IntoIterator<Item = f64>) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = T::of(x));
}

/// The eigenvalues and eigenvectors of each matrix, as real and imaginary parts: w, w, V, V.
///
/// # Errors
/// Argument, for NaN and infinity; not converged.
pub fn eig<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 4]> {
    let (n, batch) = square(a);
    let shape: Dims = batch.iter().copied().chain([n]).collect();
    let [mut w_re, mut w_im] = [Array::zeros(&shape)?, Array::zeros(&shape)?];
    let [mut v_re, mut v_im] = [Array::zeros(a.shape())?, Array::zeros(a.shape())?];
    if a.numel() == 0 {
        return Ok([w_re, w_im, v_re, v_im]);
    }
    let flaws = Flaws::none();
    let matrices = elements(op, a)?;
    let vectors_of = (v_re.fresh_mut().chunks_exact_mut(n * n)).zip(v_im.fresh_mut().chunks_exact_mut(n * n));
    let values_of = (w_re.fresh_mut().chunks_exact_mut(n)).zip(w_im.fresh_mut().chunks_exact_mut(n));
    let mut vectors_of = vectors::collect(op, vectors_of)?;
    let mut values_of = vectors::collect(op, values_of)?;
    for_batch((&mut vectors_of, 1), (&mut values_of, 1), n * n * n, |i, v, w| {
        let (a, (v_re, v_im), (w_re, w_im)) = (&matrices[i * n * n..][..n * n], &mut v[0], &mut w[0]);
        flaws.of_finite(i, a, || {
            let mut w = work::vector(n, c64::new(0.0, 0.0));
            let mut v = work::vector(n * n, c64::new(0.0, 0.0));
            let failed = large::eig(widened(a), n, &mut w, &mut v).is_err();
            narrowed(w_re, w.iter().map(|w| w.re));
            narrowed(w_im, w.iter().map(|w| w.im));
            narrowed(v_re, v.iter().map(|v| v.re));
            narrowed(v_im, v.iter().map(|v| v.im));
            failed
        });
    });
    drop((vectors_of, values_of));
    flaws.check(op, a.shape(), |batch| not_converged_error(op, "eigenvalues", batch, a.shape()))?;
    Ok([w_re, w_im, v_re, v_im])
}

/// The eigenvalues of each matrix, as real and imaginary parts.
///
/// # Errors
/// As [`eig`].
pub fn eigvals<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
    let (n, batch) = square(a);
    let shape: Dims = batch.iter().copied().chain([n]).collect();
    let [mut re, mut im] = [Array::zeros(&shape)?, Array::zeros(&shape)?];
    if a.numel() == 0 {
        return Ok([re, im]);
    }
    let flaws = Flaws::none();
    let matrices = elements(op, a)?;
    for_batch((re.fresh_mut(), n), (im.fresh_mut(), n), n * n * n, |i, re, im| {
        let a = &matrices[i * n * n..][..n * n];
        flaws.of_finite(i, a, || {
            let mut w = work::vector(n, c64::new(0.0, 0.0));
            let failed = large::eigvals(widened(a), n, &mut w).is_err();
            narrowed(re, w.iter().map(|w| w.re));
            narrowed(im, w.iter().map(|w| w.im));
            failed
        });
    });
    flaws.check(op, a.shape(), |batch| not_converged_error(op, "eigenvalues", batch, a.shape()))?;
    Ok([re, im])
}

/// T and Z of the real Schur form A = Z T Z^T of each matrix.
///
/// # Errors
/// Argument, for NaN and infinity; not converged.
pub fn schur<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
    let (n, _) = square(a);
    let [mut t, mut z] = [Array::zeros(a.shape())?, Array::zeros(a.shape())?];
    let flaws = Flaws::none();
    let matrices = elements(op, a)?;
    for_batch((t.fresh_mut(), n * n), (z.fresh_mut(), n * n), n * n * n, |i, t, z| {
        let a = &matrices[i * n * n..][..n * n];
        flaws.of_finite(i, a, || {
            let mut a = widened(a);
            let scale = near_one(largest(a.iter().copied()));
            a.iter_mut().for_each(|x| *x *= scale);
            let Ok(schur) = Schur::of(a, n, 0..n) else { return true };
            narrowed(t, schur.t.iter().map(|x| x / scale));
            narrowed(z, (0..n * n).map(|k| schur.zt[k % n * n + k / n]));
            false
        });
    });
    flaws.check(op, a.shape(), |batch| not_converged_error(op, "Schur form", batch, a.shape()))?;
    Ok([t, z])
}

/// The principal square root of each matrix.
///
/// # Errors
/// Argument, for NaN and infinity, and for eigenvalues that are zero or negative; not converged.
pub fn matrix_sqrt<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    principal(op, a, Principal::Root)
}

/// The principal logarithm of each matrix.
///
/// # Errors
/// Argument, for NaN and infinity, and for eigenvalues that are zero or negative; not converged.
pub fn matrix_log<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    principal(op, a, Principal::Logarithm)
}

fn principal<T: Float>(op: &'static str, a: &Array<T>, function: Principal) -> Result<Array<T>> {
    let (n, _) = square(a);
    let mut out = Array::zeros(a.shape())?;
    let (lost, flaws) = (Flaws::none(), Flaws::none());
    let matrices = elements(op, a)?;
    let mut nothing = vec![(); matrices.len().checked_div(n * n).unwrap_or(0)];
    for_batch((out.fresh_mut(), n * n), (&mut nothing, 1), n * n * n, |i, out, _| {
        let a = &matrices[i * n * n..][..n * n];
        flaws.of_finite(i, a, || {
            let mut result = work::vector(n * n, 0.0);
            let answer = large::principal(function, widened(a), n, &mut result);
            narrowed(out, result);
            if let Err(Lacking::Convergence) = answer {
                lost.other(i);
            }
            matches!(answer, Err(Lacking::Value))
        });
    });
    flaws.check(op, a.shape(), |batch| no_principal_value_error(op, batch, a.shape()))?;
    lost.check(op, a.shape(), |batch| not_converged_error(op, "function", batch, a.shape()))?;
    Ok(out)
}

/// The X of A X + X B = C for each A [m, m], B [n, n] and C [m, n] of a batch.
///
/// # Errors
/// Argument, for NaN and infinity in A or B; singular, where A and -B have a common eigenvalue; not converged.
pub fn sylvester<T: Float>(op: &'static str, a: &Array<T>, b: &Array<T>, c: &Array<T>) -> Result<Array<T>> {
    let lead = c.ndim() - 2;
    let (m, n) = (c.shape()[lead], c.shape()[lead + 1]);
    let mut x = Array::zeros(c.shape())?;
    let (matrices, others, sides) = (elements(op, a)?, elements(op, b)?, elements(op, c)?);
    let (flaws, of_b, lost) = (Flaws::none(), Flaws::none(), AtomicBool::new(false));
    let mut nothing = vec![(); sides.len().checked_div(m * n).unwrap_or(0)];
    for_batch((x.fresh_mut(), m * n), (&mut nothing, 1), (m + n).pow(3), |i, x, _| {
        let (a, b) = (&matrices[i * m * m..][..m * m], &others[i * n * n..][..n * n]);
        if !are_finite(b) {
            return of_b.not_finite(i);
        }
        flaws.of_finite(i, a, || {
            let mut result = work::vector(m * n, 0.0);
            let c = widened(&sides[i * m * n..][..m * n]);
            let solved = large::sylvester(widened(a), widened(b), &c, [m, n], &mut result);
            narrowed(x, result);
            lost.fetch_or(solved.is_err(), Relaxed);
            matches!(solved, Ok(false))
        });
    });
    of_b.check(op, b.shape(), |batch| not_converged_error(op, "Schur form", batch, b.shape()))?;
    flaws.check(op, a.shape(), |batch| common_eigenvalue_error(op, batch, a.shape()))?;
    if lost.load(Relaxed) {
        return Err(not_converged_error(op, "Schur form", 0, a.shape()));
    }
    Ok(x)
}
