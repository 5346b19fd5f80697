//! QR, singular values, and eigenvalues of symmetric matrices.

use super::spread::{for_batch, lanes_pay, square};
use crate::array::Array;
use crate::cpu::copy::elements;
use crate::cpu::large;
use crate::cpu::small::{self, Matrices, for_groups};
use crate::element::Float;
use crate::error::Result;
use crate::heap::vectors;
use crate::matrix::flaw::{Flaws, not_converged_error};
use crate::matrix::part::Part;
use crate::shape::Dims;

/// The thin singular value decomposition A = U diag(s) V^T of each matrix: U, s descending, V^T.
///
/// # Errors
/// Argument, for NaN and infinity; not converged.
pub fn svd<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 3]> {
    let lead = a.ndim() - 2;
    let (m, n) = (a.shape()[lead], a.shape()[lead + 1]);
    let k = m.min(n);
    let shape = |tail: &[usize]| -> Dims { a.shape()[..lead].iter().chain(tail).copied().collect() };
    let mut u = Array::zeros(&shape(&[m, k]))?;
    let mut s = Array::zeros(&shape(&[k]))?;
    let mut vt = Array::zeros(&shape(&[k, n]))?;
    if k == 0 {
        return Ok([u, s, vt]);
    }
    let flaws = Flaws::none();
    let count = s.numel() / k;
    let one = |i: usize, a: &[T], [u, s, vt]: [&mut [T]; 3]| {
        flaws.of_finite(i, a, || large::svd(a, m, n, u, s, vt).is_err());
    };
    if m.max(n) <= small::LARGEST {
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(u.fresh_mut(), m * k), (s.fresh_mut(), k), (vt.fresh_mut(), k * n)];
        for_groups(&small::Svd { m, n }, &inputs, outputs, count, |i, out| one(i, &inputs[0].to_vec(i), out));
    } else {
        let matrices = elements(op, a)?;
        let factors = (u.fresh_mut().chunks_exact_mut(m * k))
            .zip(s.fresh_mut().chunks_exact_mut(k))
            .zip(vt.fresh_mut().chunks_exact_mut(k * n));
        let mut parts = vectors::collect(op, factors)?;
        let mut nothing = vec![(); parts.len()];
        for_batch((&mut parts, 1), (&mut nothing, 1), m * n * k, |i, part, _| {
            let ((u, s), vt) = &mut part[0];
            one(i, &matrices[i * m * n..][..m * n], [u, s, vt]);
        });
    }
    flaws.check(op, a.shape(), |batch| {
        not_converged_error(op, "singular value decomposition", batch, a.shape())
    })?;
    Ok([u, s, vt])
}

/// The eigenvalues, ascending, and the eigenvectors of each symmetric matrix, of which the lower triangle
/// is read.
///
/// # Errors
/// Argument, for NaN and infinity; not converged.
pub fn eigh<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
    let (n, batch) = square(a);
    let count: usize = batch.iter().product();
    let shape: Dims = batch.iter().copied().chain([n]).collect();
    let mut w = Array::zeros(&shape)?;
    let mut v = Array::build(op, Dims::from_slice(a.shape()), |_| {})?;
    let flaws = Flaws::none();
    let one = |i: usize, a: &[T], w: &mut [T], v: &mut [T]| {
        if !Part::LOWER.is_finite(a, n) {
            flaws.not_finite(i);
        } else if large::eigh(a, n, w, v).is_err() {
            flaws.other(i);
        }
    };
    if lanes_pay(count, n) {
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(w.fresh_mut(), n), (v.fresh_mut(), n * n)];
        for_groups(&small::Eigh(n), &inputs, outputs, count, |i, [w, v]| one(i, &inputs[0].to_vec(i), w, v));
    } else {
        let matrices = elements(op, a)?;
        for_batch((v.fresh_mut(), n * n), (w.fresh_mut(), n), n * n * n, |i, v, w| {
            one(i, &matrices[i * n * n..][..n * n], w, v);
        });
    }
    flaws.check(op, a.shape(), |batch| not_converged_error(op, "eigenvalues", batch, a.shape()))?;
    Ok([w, v])
}

/// A = Q R of each matrix [m, n]: Q [m, k] and R [k, n], k = min(m, n), or m where `complete`.
///
/// # Errors
/// Argument, for NaN and infinity.
pub fn qr<T: Float>(op: &'static str, a: &Array<T>, complete: bool) -> Result<[Array<T>; 2]> {
    let lead = a.ndim() - 2;
    let (m, n) = (a.shape()[lead], a.shape()[lead + 1]);
    let k = if complete { m } else { m.min(n) };
    let shape = |tail: &[usize]| -> Dims { a.shape()[..lead].iter().chain(tail).copied().collect() };
    let (mut q, mut r) = (Array::zeros(&shape(&[m, k]))?, Array::zeros(&shape(&[k, n]))?);
    if m * k == 0 {
        return Ok([q, r]);
    }
    let flaws = Flaws::none();
    let one = |i: usize, a: &[T], q: &mut [T], r: &mut [T]| {
        flaws.of_finite(i, a, || {
            large::qr(a, m, n, k, q, r);
            false
        });
    };
    let checked = |factors| {
        flaws.check(op, a.shape(), |batch| not_converged_error(op, "factors", batch, a.shape()))?;
        Ok(factors)
    };
    if m.max(n) <= small::LARGEST && n > 0 {
        let count = q.numel() / (m * k);
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(q.fresh_mut(), m * k), (r.fresh_mut(), k * n)];
        for_groups(&small::Qr { m, n, k }, &inputs, outputs, count, |i, [q, r]| {
            one(i, &inputs[0].to_vec(i), q, r);
        });
        return checked([q, r]);
    }
    let matrices = elements(op, a)?;
    let mut parts = vectors::collect(op, q.fresh_mut().chunks_exact_mut(m * k).map(|q| (q, &mut [][..])))?;
    for (part, r) in parts.iter_mut().zip(r.fresh_mut().chunks_exact_mut((k * n).max(1))) {
        part.1 = r;
    }
    let mut nothing = vec![(); parts.len()];
    for_batch((&mut parts, 1), (&mut nothing, 1), m * n * k, |i, part, _| {
        let (q, r) = &mut part[0];
        one(i, &matrices[i * m * n..][..m * n], q, r);
    });
    drop(parts);
    checked([q, r])
}
