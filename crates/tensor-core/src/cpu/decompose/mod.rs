//! The factorisations, applied to batches: small matrices in [`lanes`], others one by one by [`factor`].

mod flaw;
mod gaps;
mod lu;

use super::copy::elements;
pub use super::factor::{Analytic, Triangle};
use super::lanes::{self, Matrices, for_groups};
use super::{copy, factor};
use crate::array::Array;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{vectors, work};
use crate::shape::Dims;
pub use flaw::{Flaw, Part, not_converged_error, not_finite_error, singular_error};
use flaw::{Flaws, first_not_finite};
pub use gaps::{Gaps, over_gaps};
pub use lu::{Lu, cofactors, inverse, lu, lu_det, lu_factors, lu_nearly_singular, lu_slogdet, lu_solve};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Multiplications in a batch from which its matrices are dealt out to threads.
const PARALLEL_FROM: usize = 1 << 15;

/// Runs `f(number, a, b)` for the matrices of a batch, cut from `a` and `b` in pieces of
/// `a_size` and `b_size`; `cost` is the work for one.
fn for_batch<A: Send, B: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    cost: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let Some(count) = a.len().checked_div(a_size).filter(|_| b_size > 0) else { return };
    let run = |first: usize, a: &mut [A], b: &mut [B]| {
        let b = b.chunks_exact_mut(b_size);
        a.chunks_exact_mut(a_size).zip(b).enumerate().for_each(|(i, (a, b))| f(first + i, a, b));
    };
    // A single large matrix has its threads within the factorisation.
    if count < 2 || cost.saturating_mul(count) < PARALLEL_FROM {
        return run(0, a, b);
    }
    let part = count.div_ceil(4 * rayon::current_num_threads());
    (a.par_chunks_mut(part * a_size).zip(b.par_chunks_mut(part * b_size)).enumerate())
        .for_each(|(i, (a, b))| run(i * part, a, b));
}

/// Whether the matrices of a batch are small and many enough for lanes.
fn lanes_pay(count: usize, n: usize) -> bool {
    (1..=lanes::LARGEST).contains(&n) && count >= lanes::FEWEST
}

/// The smallest number that was offered, if any.
fn first(found: &AtomicUsize) -> Option<usize> {
    Some(found.load(Relaxed)).filter(|&i| i != usize::MAX)
}

/// The order of the square matrices in `a`, which the caller has checked, and the batch's shape.
fn square<T: Float>(a: &Array<T>) -> (usize, Dims) {
    let lead = a.ndim() - 2;
    (a.shape()[lead], Dims::from_slice(&a.shape()[..lead]))
}

/// An error where a part of a matrix of `a` is not finite.
///
/// # Errors
/// Argument, naming the first such matrix; out of memory.
pub fn finite<T: Float>(op: &'static str, a: &Array<T>, part: Part) -> Result<()> {
    let size = [a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]];
    match first_not_finite(&elements(op, a)?, size, part) {
        None => Ok(()),
        Some(batch) => Err(not_finite_error(op, batch, a.shape())),
    }
}

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
        flaws.of_finite(i, a, || factor::svd(a, m, n, u, s, vt).is_err());
    };
    if m.max(n) <= lanes::LARGEST {
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(u.make_mut()?, m * k), (s.make_mut()?, k), (vt.make_mut()?, k * n)];
        for_groups(&lanes::Svd { m, n }, &inputs, outputs, count, |i, out| one(i, &inputs[0].to_vec(i), out));
    } else {
        let matrices = elements(op, a)?;
        let factors = (u.make_mut()?.chunks_exact_mut(m * k))
            .zip(s.make_mut()?.chunks_exact_mut(k))
            .zip(vt.make_mut()?.chunks_exact_mut(k * n));
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

/// The Cholesky factor L of each matrix, and the order of the first leading minor that is not positive, or not
/// finite, or 0: such a matrix has NaN for a factor.
pub fn cholesky_ex<T: Float>(op: &'static str, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
    let (n, batch) = square(a);
    let count: usize = batch.iter().product();
    let mut all_minors = Array::<i64>::zeros(&batch)?;
    let minors = all_minors.make_mut()?;
    let mut l;
    if lanes_pay(count, n) {
        l = Array::build(op, Dims::from_slice(a.shape()), |_| {})?;
        let inputs = [Matrices::of(op, a)?];
        let factors = l.make_mut()?;
        let outputs = [(&mut *factors, n * n)];
        for_groups(&lanes::Cholesky(n), &inputs, outputs, count, |_, [l]| l.fill(T::NAN));
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
        for_batch((l.make_mut()?, n * n), (minors, 1), n * n * n / 3, |_, l, minor| {
            if let Err(order) = cholesky_alone(l, n) {
                l.fill(T::NAN);
                minor[0] = order as i64;
            }
        });
    }
    Ok((l, all_minors))
}

/// [`factor::cholesky`], to which infinity is as bad as NaN.
fn cholesky_alone<T: Float>(a: &mut [T], n: usize) -> Result<(), usize> {
    let rows = (1..=n).find(|&order| !flaw::are_finite(&a[(order - 1) * n..][..order]));
    match (factor::cholesky(a, n).err(), rows) {
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
    for_batch((out.make_mut()?, n * k), (&mut nothing, 1), n * n * k, |i, b, _| {
        let a = &matrices[i * n * n..][..n * n];
        factor::solve_triangular(a, n, triangle, transposed, b, k);
        // What is not finite spoils the solution, but on the diagonal, by which is divided: other triangles need
        // not be read again.
        let diagonal = || triangle.unit || a.iter().step_by(n + 1).all(|x| Float::is_finite(*x));
        let well = flaw::are_finite(b) && diagonal();
        if !well && !Part::Triangle(triangle).is_finite(a, n) {
            flaws.not_finite(i);
        }
    });
    flaws.check(op, a.shape(), |batch| singular_error(op, batch, a.shape()))?;
    Ok(out)
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
        } else if factor::eigh(a, n, w, v).is_err() {
            flaws.other(i);
        }
    };
    if lanes_pay(count, n) {
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(w.make_mut()?, n), (v.make_mut()?, n * n)];
        for_groups(&lanes::Eigh(n), &inputs, outputs, count, |i, [w, v]| one(i, &inputs[0].to_vec(i), w, v));
    } else {
        let matrices = elements(op, a)?;
        for_batch((v.make_mut()?, n * n), (w.make_mut()?, n), n * n * n, |i, v, w| {
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
            factor::qr(a, m, n, k, q, r);
            false
        });
    };
    let checked = |factors| {
        flaws.check(op, a.shape(), |batch| not_converged_error(op, "factors", batch, a.shape()))?;
        Ok(factors)
    };
    if m.max(n) <= lanes::LARGEST && n > 0 {
        let count = q.numel() / (m * k);
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(q.make_mut()?, m * k), (r.make_mut()?, k * n)];
        for_groups(&lanes::Qr { m, n, k }, &inputs, outputs, count, |i, [q, r]| {
            one(i, &inputs[0].to_vec(i), q, r);
        });
        return checked([q, r]);
    }
    let matrices = elements(op, a)?;
    let mut parts = vectors::collect(op, q.make_mut()?.chunks_exact_mut(m * k).map(|q| (q, &mut [][..])))?;
    for (part, r) in parts.iter_mut().zip(r.make_mut()?.chunks_exact_mut((k * n).max(1))) {
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

/// The derivative of a function of diagonal matrices in symmetric directions, for each matrix of a batch.
pub fn analytic_derivative<T: Float>(
    op: &'static str,
    f: &dyn Analytic,
    w: &Array<T>,
    directions: &[Array<T>],
) -> Result<Array<T>> {
    let n = w.shape()[w.ndim() - 1];
    let shape: Dims = w.shape().iter().copied().chain([n]).collect();
    let mut out = Array::zeros(&shape)?;
    let values = vectors::collect(op, elements(op, w)?.iter().map(|w| w.to_f64()))?;
    let directions = directions.iter().map(|e| elements(op, e)).collect::<Result<Vec<_>>>()?;
    let mut nothing = vec![(); values.len().checked_div(n).unwrap_or(0)];
    let cost = n.saturating_pow(directions.len() as u32 + 1);
    for_batch((out.make_mut()?, n * n), (&mut nothing, 1), cost, |i, out, _| {
        let matrix = |e: &Cow<'_, [T]>| work::collect(e[i * n * n..][..n * n].iter().map(|x| x.to_f64()));
        let directions: Vec<Vec<f64>> = directions.iter().map(matrix).collect();
        let mut result = work::vector(n * n, 0.0);
        factor::derivative(f, &values[i * n..][..n], &directions, &mut result);
        for (out, x) in out.iter_mut().zip(result) {
            *out = T::of(x);
        }
    });
    Ok(out)
}
