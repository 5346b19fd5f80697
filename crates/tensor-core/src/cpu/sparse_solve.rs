//! Direct solutions of sparse systems, by faer.

use crate::array::Array;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::rank_tolerance;
use crate::shape::Dims;
use crate::sparse::{Pattern, numbers};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::solvers::SolveCore;
use faer::sparse::linalg::qr::{self, QrSymbolicParams};
use faer::sparse::linalg::solvers::{Llt, Lu, SymbolicLlt, SymbolicLu};
use faer::sparse::linalg::{LltError, LuError, SupernodalThreshold};
use faer::sparse::{FaerError, SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, Mat, Par, Side};
use std::sync::{Arc, OnceLock};

/// What solvers know of a pattern, whatever its values: it serves every matrix of the pattern.
#[derive(Default)]
pub struct Symbolic {
    columns: OnceLock<Columns>,
    cholesky: OnceLock<SymbolicLlt<usize>>,
    lu: OnceLock<SymbolicLu<usize>>,
    qr: OnceLock<Arc<qr::SymbolicQr<usize>>>,
}

/// The pattern column by column, as faer takes it.
struct Columns {
    starts: Vec<usize>,
    rows: Vec<usize>,
}

/// How a sparse matrix is factored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A = L L^T, of a symmetric positive definite matrix whose lower triangle is read.
    Cholesky,
    /// P A Q = L U, of a square matrix.
    Lu,
    /// A P = Q R, of a matrix of full rank that has at least as many rows as columns; R alone is kept.
    Qr,
}

/// A factored sparse matrix.
pub struct Factors<T> {
    kind: Kind<T>,
    /// Whether the factors are those of the transpose.
    transposed: bool,
}

enum Kind<T> {
    Cholesky(Llt<usize, T>),
    Lu(Box<Lu<usize, T>>),
    Qr(Triangle<T>),
}

/// The triangle R of A P = Q R, column by column.
struct Triangle<T> {
    starts: Vec<usize>,
    rows: Vec<usize>,
    values: Vec<T>,
    diagonal: Vec<T>,
    /// The columns of A in the order of R's.
    order: Vec<usize>,
}

/// What is computed once for a pattern.
fn once<V>(cell: &OnceLock<V>, make: impl FnOnce() -> Result<V>) -> Result<&V> {
    match cell.get() {
        Some(value) => Ok(value),
        None => make().map(|value| cell.get_or_init(|| value)),
    }
}

fn refused(op: &'static str, error: FaerError) -> Error {
    match error {
        FaerError::OutOfMemory => Error::out_of_memory(op, 0),
        error => Error::argument(op, format!("the matrix cannot be factored: {error:?}")),
    }
}

/// The error of a matrix without an inverse.
fn singular(op: &'static str, shape: [usize; 2], remedy: &str) -> Error {
    let message = format!("the sparse matrix {shape:?} does not have full rank: {remedy}");
    Error::new(ErrorKind::Singular { batch: 0 }, op, message)
}

/// The factors of a matrix whose places are named once each.
pub fn factor<T: Float>(
    op: &'static str,
    pattern: &Pattern,
    values: &Array<T>,
    method: Method,
) -> Result<Factors<T>> {
    // The least squares of a transpose are other ones; a square system is solved from either side.
    let pattern = match method {
        Method::Qr if pattern.is_transposed() => &upright_copy(op, pattern)?,
        _ => pattern,
    };
    let (transposed, pattern) = (pattern.is_transposed(), pattern.upright());
    let [m, n] = pattern.shape();
    let lines = pattern.lines(op, 1)?;
    let symbolic = pattern.symbolic();
    let columns = once(&symbolic.columns, || {
        let places = |x| numbers(x).iter().map(|&i| i as usize).collect();
        Ok(Columns { starts: places(&lines.starts), rows: places(&lines.across) })
    })?;
    let structure = SymbolicSparseColMatRef::new_checked(m, n, &columns.starts, None, &columns.rows);
    let values = super::sparse::in_order(op, lines, values)?;
    if let Some(k) = values.iter().position(|v| !v.is_finite()) {
        let message = format!("value {k} of the sparse matrix {:?} is not finite", pattern.shape());
        return Err(Error::argument(op, message));
    }
    let a = SparseColMatRef::new(structure, &values);
    let kind = match method {
        Method::Cholesky => {
            let known = once(&symbolic.cholesky, || {
                SymbolicLlt::try_new(structure, Side::Lower).map_err(|e| refused(op, e))
            })?;
            Kind::Cholesky(Llt::try_new_with_symbolic(known.clone(), a, Side::Lower).map_err(|e| match e {
                LltError::Generic(e) => refused(op, e),
                LltError::Numeric(faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index }) => {
                    let message = format!(
                        "the sparse matrix {:?} is not positive definite: pivot {} in the order of elimination is \
                         not positive; solve takes any square matrix",
                        pattern.shape(),
                        index + 1
                    );
                    Error::new(ErrorKind::NotPositiveDefinite { batch: 0, minor: index + 1 }, op, message)
                }
            })?)
        }
        Method::Lu => {
            let known = once(&symbolic.lu, || SymbolicLu::try_new(structure).map_err(|e| refused(op, e)))?;
            Kind::Lu(Lu::try_new_with_symbolic(known.clone(), a).map(Box::new).map_err(|e| match e {
                LuError::Generic(e) => refused(op, e),
                LuError::SymbolicSingular { .. } => singular(op, pattern.shape(), "lsqr takes such matrices"),
            })?)
        }
        Method::Qr => Kind::Qr(triangle(op, symbolic, structure, a)?),
    };
    Ok(Factors { kind, transposed })
}

/// The pattern with its elements in the same order, and not as a transpose.
fn upright_copy(op: &'static str, pattern: &Pattern) -> Result<Pattern> {
    let [rows, columns] = pattern.coordinates(op)?;
    Pattern::from_coordinates(op, rows, columns, pattern.shape())
}

fn triangle<T: Float>(
    op: &'static str,
    symbolic: &Symbolic,
    structure: SymbolicSparseColMatRef<'_, usize>,
    a: SparseColMatRef<'_, usize, T>,
) -> Result<Triangle<T>> {
    let (m, n) = (a.nrows(), a.ncols());
    let known = once(&symbolic.qr, || {
        // The other form does not have R in columns.
        let params = QrSymbolicParams {
            supernodal_flop_ratio_threshold: SupernodalThreshold::FORCE_SIMPLICIAL,
            ..Default::default()
        };
        qr::factorize_symbolic_qr(structure, params).map(Arc::new).map_err(|e| refused(op, e))
    })?;
    let (mut indices, mut values) = (vec![0usize; known.len_idx()], vec![T::ZERO; known.len_val()]);
    let par = Par::Seq;
    let scratch = known.factorize_numeric_qr_scratch::<T>(par, Default::default());
    let mut memory =
        MemBuffer::try_new(scratch).map_err(|_| Error::out_of_memory(op, scratch.size_bytes()))?;
    known.factorize_numeric_qr(
        &mut indices,
        &mut values,
        a,
        par,
        MemStack::new(&mut memory),
        Default::default(),
    );
    // R comes first: the starts of its columns, its rows, its values.
    let starts = indices[..=n].to_vec();
    let count = starts[n];
    let (mut rows, mut numbers) = (indices[n + 1..][..count].to_vec(), values[..count].to_vec());
    let mut diagonal = vec![T::ZERO; n];
    for j in 0..n {
        for e in starts[j]..starts[j + 1] {
            if rows[e] == j {
                diagonal[j] = numbers[e];
                // What is left of the column lies above the diagonal: this element takes no more part.
                (rows[e], numbers[e]) = (0, T::ZERO);
            }
        }
    }
    let (order, _) = known.col_perm().arrays();
    let triangle = Triangle { starts, rows, values: numbers, diagonal, order: order.to_vec() };
    let [smallest, largest] = triangle.extremes();
    if n > 0 && !(smallest > largest * rank_tolerance::<T>(m, n)) {
        return Err(singular(op, [m, n], "lsqr finds the shortest of its solutions"));
    }
    Ok(triangle)
}

/// Steps of the iterations for singular values: each makes an error smaller by the square of the ratio of two of them.
const POWERS: usize = 6;

impl<T: Float> Triangle<T> {
    /// (R^T R)^-1 g, and so (A^T A)^-1 g, in place.
    fn solve_normal(&self, g: &mut [T], line: &mut [T]) {
        let n = self.order.len();
        for j in 0..n {
            let sum: T = self.column(j).map(|(i, r)| r * line[i]).sum();
            line[j] = (g[self.order[j]] - sum) / self.diagonal[j];
        }
        for j in (0..n).rev() {
            line[j] /= self.diagonal[j];
            let z = line[j];
            for (i, r) in self.column(j) {
                line[i] -= r * z;
            }
            g[self.order[j]] = z;
        }
    }

    /// About the smallest and the largest singular value of R: powers of (R^T R)^-1 and R^T R, from vectors without a
    /// pattern (Golub and Van Loan, section 8.2.1). The diagonal alone tells neither. In double precision.
    fn extremes(&self) -> [f64; 2] {
        let n = self.order.len();
        if self.diagonal.iter().any(|&d| d == T::ZERO || !d.is_finite()) {
            return [0.0, 1.0];
        }
        let mut state = 1u64;
        let mut start = || -> Vec<f64> {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64 + 0.5
            };
            (0..n).map(|k| if k % 2 == 0 { next() } else { -next() }).collect()
        };
        // The length, after which it is one.
        let unit = |v: &mut [f64]| -> f64 {
            let largest = v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            let length = largest * v.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt();
            v.iter_mut().for_each(|x| *x /= length);
            length
        };
        let (mut u, mut v) = (start(), start());
        let (mut inverse, mut largest) = (0.0f64, 0.0f64);
        (unit(&mut u), unit(&mut v));
        for _ in 0..POWERS {
            for j in 0..n {
                let sum: f64 = self.column(j).map(|(i, r)| r.to_f64() * u[i]).sum();
                u[j] = (u[j] - sum) / self.diagonal[j].to_f64();
            }
            inverse = inverse.max(unit(&mut u));
            for j in (0..n).rev() {
                u[j] /= self.diagonal[j].to_f64();
                let z = u[j];
                self.column(j).for_each(|(i, r)| u[i] -= r.to_f64() * z);
            }
            inverse = inverse.max(unit(&mut u));
            // R v, from the top: what is above the diagonal of a column goes to rows that are done with.
            for j in 0..n {
                let z = std::mem::take(&mut v[j]);
                self.column(j).for_each(|(i, r)| v[i] += r.to_f64() * z);
                v[j] += self.diagonal[j].to_f64() * z;
            }
            largest = largest.max(unit(&mut v));
            for j in (0..n).rev() {
                let sum: f64 = self.column(j).map(|(i, r)| r.to_f64() * v[i]).sum();
                v[j] = sum + self.diagonal[j].to_f64() * v[j];
            }
            largest = largest.max(unit(&mut v));
        }
        [1.0 / inverse, largest]
    }

    /// Column j above the diagonal.
    fn column(&self, j: usize) -> impl Iterator<Item = (usize, T)> {
        let range = self.starts[j]..self.starts[j + 1];
        self.rows[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }
}

/// A^-1 b, or A^-T b where `transposed`, for a vector or the columns of a matrix; (A^T A)^-1 b from the factors of
/// least squares.
pub fn solve<T: Float>(
    factors: &Factors<T>,
    op: &'static str,
    b: &Array<T>,
    transposed: bool,
) -> Result<Array<T>> {
    let n = factors.size();
    let fits = matches!(b.shape(), [rows] | [rows, _] if *rows == n);
    if !fits {
        let message = format!(
            "right-hand side {:?} does not fit: {n} rows are needed, in 1 or 2 dimensions",
            b.shape()
        );
        return Err(Error::shape(op, message));
    }
    if b.numel() == 0 {
        return Array::zeros(b.shape());
    }
    let (k, shape) = (b.shape().get(1).copied().unwrap_or(1), Dims::from_slice(b.shape()));
    let b = super::copy::elements(op, b)?;
    let mut x = Mat::<T>::from_fn(n, k, |i, j| b[i * k + j]);
    match &factors.kind {
        Kind::Cholesky(llt) => llt.solve_in_place_with_conj(Conj::No, x.as_mut()),
        Kind::Lu(lu) if transposed != factors.transposed => {
            lu.solve_transpose_in_place_with_conj(Conj::No, x.as_mut());
        }
        Kind::Lu(lu) => lu.solve_in_place_with_conj(Conj::No, x.as_mut()),
        Kind::Qr(triangle) => {
            let mut line = vec![T::ZERO; n];
            for j in 0..k {
                let column = x.col_as_slice_mut(j);
                triangle.solve_normal(column, &mut line);
            }
        }
    }
    let solution = Array::build(op, shape, |out| {
        for (i, row) in out.chunks_exact_mut(k).enumerate() {
            for (j, out) in row.iter_mut().enumerate() {
                *out = x[(i, j)];
            }
        }
    })?;
    let lost = |x: &Array<T>| x.as_slice().is_some_and(|x| x.iter().any(|x| !x.is_finite()));
    if lost(&solution) && b.iter().all(|b| b.is_finite()) {
        return Err(singular(op, [n, n], "lsqr takes such matrices"));
    }
    Ok(solution)
}

impl<T: Float> Factors<T> {
    /// Unknowns.
    pub fn size(&self) -> usize {
        use faer::linalg::solvers::ShapeCore;
        match &self.kind {
            Kind::Cholesky(llt) => llt.ncols(),
            Kind::Lu(lu) => lu.ncols(),
            Kind::Qr(triangle) => triangle.order.len(),
        }
    }
}
