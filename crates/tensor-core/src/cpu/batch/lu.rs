//! LU factorisations, and what follows from them.

use super::spread::{for_batch, lanes_pay, square};
use crate::array::Array;
use crate::cpu::finite::finite;
use crate::cpu::small::{self, Matrices, for_groups};
use crate::cpu::{copy, large};
use crate::element::Float;
use crate::error::Result;
use crate::heap::{vectors, work};
use crate::matrix::flaw::{Flaw, Flaws};
use crate::matrix::lu::{Factors, Lu};
use crate::matrix::part::{Part, are_finite};
use crate::shape::Dims;
use std::sync::{Arc, Mutex, PoisonError};

/// LU with partial pivoting of each matrix; a zero pivot is no error here.
pub fn lu<T: Float>(op: &'static str, a: &Array<T>) -> Result<Lu<T>> {
    let (n, batch) = square(a);
    let many = lanes_pay(batch.iter().product(), n);
    let factors = if many { None } else { Some(Arc::new(Factors::of(op, a)?)) };
    Ok(Lu { a: a.clone(), factors })
}

/// The factors of the first columns, as many as there are rows at most, and the order of the rows.
///
/// # Errors
/// Argument, for NaN and infinity.
pub fn lu_factors<T: Float>(op: &'static str, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
    finite(op, a, Part::Whole)?;
    let lead = a.ndim() - 2;
    let (m, k) = (a.shape()[lead], a.shape()[lead].min(a.shape()[lead + 1]));
    let first_columns = a.slice(op, lead + 1, 0, 1, k)?;
    let mut lu = copy::copy(op, &first_columns)?;
    let rows: Dims = a.shape()[..=lead].iter().copied().collect();
    let mut all_rows = Array::build(op, rows, |out| {
        out.iter_mut().enumerate().for_each(|(i, row)| *row = (i % m.max(1)) as i64);
    })?;
    for_batch((lu.fresh_mut(), m * k), (all_rows.fresh_mut(), m), m * k * k, |_, a, order| {
        let mut pivots = work::vector(k, 0);
        large::lu_tall(a, m, k, &mut pivots);
        for (i, pivot) in pivots.into_iter().enumerate() {
            order.swap(i, pivot);
        }
    });
    Ok((lu, all_rows))
}

impl<T: Float> Factors<T> {
    fn of(op: &'static str, a: &Array<T>) -> Result<Self> {
        let (n, batch) = square(a);
        let count: usize = batch.iter().product();
        let mut lu = copy::copy(op, a)?;
        let mut pivots = vectors::vector(op, count * n, 0)?;
        let flaws = Flaws::none();
        for_batch((lu.fresh_mut(), n * n), (&mut pivots, n), n * n * n, |i, a, pivots| {
            if !are_finite(a) {
                flaws.not_finite(i);
            }
            if large::lu(a, n, pivots).is_some() {
                flaws.other(i);
            }
        });
        Ok(Factors { lu, pivots, flaw: flaws.found() })
    }
}

impl<T: Float> Lu<T> {
    fn factors(&self, op: &'static str) -> Result<Arc<Factors<T>>> {
        self.factors.clone().map_or_else(|| Factors::of(op, &self.a).map(Arc::new), Ok)
    }
}

/// See [`Lu::nearly_singular`].
pub fn lu_nearly_singular<T: Float>(op: &'static str, lu: &Lu<T>, ratio: f64) -> Result<Vec<usize>> {
    let (n, _) = square(&lu.a);
    if n == 0 {
        return Ok(Vec::new());
    }
    let near = |a: &[T]| {
        let pivots = (0..n).map(|i| a[i * n + i].to_f64().abs());
        let (low, high) = pivots.fold((f64::INFINITY, 0.0f64), |(l, h), p| (l.min(p), h.max(p)));
        // NaN and infinity are near nothing.
        let finite = (0..n).all(|i| a[i * n + i].is_finite());
        finite && (high == 0.0 || low / high <= ratio)
    };
    let factors = lu.factors(op)?;
    let matrices = factors.rows().chunks_exact(n * n).enumerate();
    vectors::collect(op, matrices.filter(|(_, a)| near(a)).map(|(i, _)| i))
}

/// See [`Lu::solve`].
pub fn lu_solve<T: Float>(
    op: &'static str,
    lu: &Lu<T>,
    b: &Array<T>,
    transposed: bool,
) -> Result<(Array<T>, Option<Flaw>)> {
    let (n, batch) = square(&lu.a);
    let k = b.shape()[b.ndim() - 1];
    let Some(factors) = &lu.factors else {
        let flaws = Flaws::none();
        let mut out = Array::build(op, Dims::from_slice(b.shape()), |_| {})?;
        if k > 0 {
            // The system with A^T has an elimination of its own.
            let mut axes: Dims = (0..lu.a.ndim()).collect();
            if transposed {
                axes[..].swap(lu.a.ndim() - 2, lu.a.ndim() - 1);
            }
            let a = lu.a.permute(op, &axes)?;
            let inputs = [Matrices::of(op, &a)?, Matrices::of(op, b)?];
            let one = |i: usize, [x]: [&mut [T]; 1]| {
                let mut a = inputs[0].to_vec(i);
                x.copy_from_slice(&inputs[1].to_vec(i));
                let mut pivots = vec![0; n];
                if !are_finite(&a) {
                    flaws.not_finite(i);
                }
                if large::lu(&mut a, n, &mut pivots).is_some() {
                    flaws.other(i);
                }
                large::lu_solve(&a, &pivots, n, x, k, false);
            };
            let count = batch.iter().product();
            for_groups(&small::Solve { n, k }, &inputs, [(out.fresh_mut(), n * k)], count, one);
        }
        return Ok((out, flaws.found()));
    };
    let mut out = copy::copy(op, b)?;
    let (lu, Factors { pivots, flaw, .. }) = (factors.rows(), &**factors);
    let mut nothing = vec![(); out.numel().checked_div(n * k).unwrap_or(0)];
    for_batch((out.fresh_mut(), n * k), (&mut nothing, 1), n * n * k, |i, b, _| {
        large::lu_solve(&lu[i * n * n..][..n * n], &pivots[i * n..][..n], n, b, k, transposed);
    });
    Ok((out, *flaw))
}

/// See [`Lu::det`].
pub fn lu_det<T: Float>(op: &'static str, lu: &Lu<T>) -> Result<Array<T>> {
    let (n, batch) = square(&lu.a);
    let Some(factors) = &lu.factors else {
        let inputs = [Matrices::of(op, &lu.a)?];
        let one = |i: usize, [d]: [&mut [T]; 1]| {
            let mut a = inputs[0].to_vec(i);
            let mut pivots = vec![0; n];
            large::lu(&mut a, n, &mut pivots);
            d[0] = large::lu_det(&a, &pivots, n);
        };
        let count = batch.iter().product();
        let mut out = Array::build(op, batch, |_| {})?;
        for_groups(&small::Determinant(n), &inputs, [(out.fresh_mut(), 1)], count, one);
        return Ok(out);
    };
    Array::build(op, batch, |out| {
        for (i, det) in out.iter_mut().enumerate() {
            *det = factors.of_matrix(n, i, large::lu_det);
        }
    })
}

/// See [`Lu::slogdet`].
pub fn lu_slogdet<T: Float>(op: &'static str, lu: &Lu<T>) -> Result<(Array<T>, Array<T>)> {
    let (n, batch) = square(&lu.a);
    let factors = lu.factors(op)?;
    let (mut signs, mut logs) = (Array::build(op, batch.clone(), |_| {})?, Array::build(op, batch, |_| {})?);
    for (i, (sign, log)) in signs.fresh_mut().iter_mut().zip(logs.fresh_mut()).enumerate() {
        (*sign, *log) = factors.of_matrix(n, i, large::lu_slogdet);
    }
    Ok((signs, logs))
}

impl<T: Float> Factors<T> {
    /// A function of the factors of matrix i.
    fn of_matrix<R>(&self, n: usize, i: usize, f: impl Fn(&[T], &[usize], usize) -> R) -> R {
        f(&self.rows()[i * n * n..][..n * n], &self.pivots[i * n..][..n], n)
    }
}

/// The cofactors of each matrix of the batch times a number each, `g`, and the matrices of which they are not known,
/// since their numbers are far from one; None where the matrices are large.
pub fn cofactors<T: Float>(
    op: &'static str,
    a: &Array<T>,
    g: &Array<T>,
) -> Result<Option<(Array<T>, Vec<usize>)>> {
    let (n, batch) = square(a);
    if n > small::LARGEST {
        return Ok(None);
    }
    let mut out = Array::build(op, Dims::from_slice(a.shape()), |_| {})?;
    if out.numel() == 0 {
        return Ok(Some((out, Vec::new())));
    }
    let column = g.insert_dim(op, g.ndim())?.insert_dim(op, g.ndim() + 1)?;
    let inputs = [Matrices::of(op, a)?, Matrices::of(op, &column)?];
    let unknown = Mutex::new(Vec::new());
    let one = |i: usize, _: [&mut [T]; 1]| unknown.lock().unwrap_or_else(PoisonError::into_inner).push(i);
    let count = batch.iter().product();
    for_groups(&small::Cofactors(n), &inputs, [(out.fresh_mut(), n * n)], count, one);
    let mut unknown = unknown.into_inner().unwrap_or_else(PoisonError::into_inner);
    unknown.sort_unstable();
    Ok(Some((out, unknown)))
}

/// The inverse of each matrix.
///
/// # Errors
/// Argument, for NaN and infinity; singular, with the number of the first matrix that has no inverse.
pub fn inverse<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    let (n, batch) = square(a);
    let flaws = Flaws::none();
    let mut out = Array::build(op, Dims::from_slice(a.shape()), |_| {})?;
    let one = |i: usize, a: &[T], out: &mut [T]| {
        flaws.of_finite(i, a, || large::inverse(a, out, n).is_err());
    };
    let count = batch.iter().product();
    if lanes_pay(count, n) {
        let inputs = [Matrices::of(op, a)?];
        let outputs = [(out.fresh_mut(), n * n)];
        for_groups(&small::Inverse(n), &inputs, outputs, count, |i, [out]| one(i, &inputs[0].to_vec(i), out));
    } else {
        let mut a = copy::copy(op, a)?;
        for_batch((out.fresh_mut(), n * n), (a.fresh_mut(), n * n), n * n * n, |i, out, a| one(i, a, out));
    }
    match flaws.found() {
        Some(flaw) => Err(flaw.error(op, a.shape())),
        None => Ok(out),
    }
}
