//! Direct solutions of sparse systems, by faer.

use crate::array::Array;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::heap::vectors;
use crate::matrix::rank::rank_tolerance;
use crate::shape::Dims;
use crate::sparse::lines::numbers;
use crate::sparse::pattern::Pattern;
use crate::sparse::symbolic::{Columns, Symbolic};
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::llt::factor::LltError;
use faer::sparse::linalg::cholesky::{LltRef, SymbolicCholesky, factorize_symbolic_cholesky};
use faer::sparse::linalg::lu::{LuRef, NumericLu, SymbolicLu, factorize_symbolic_lu};
use faer::sparse::linalg::qr::{self, QrSymbolicParams};
use faer::sparse::linalg::{LuError, SupernodalThreshold};
use faer::sparse::{FaerError, SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, MatMut, Par, Side, get_global_parallelism};
use std::sync::{Arc, OnceLock};

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
    /// What follows from the pattern, and the values of L.
    Cholesky(Arc<SymbolicCholesky<usize>>, Vec<T>),
    Lu(Arc<SymbolicLu<usize>>, Box<NumericLu<usize, T>>),
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

/// Working memory of faer's.
fn working(op: &'static str, size: StackReq) -> Result<MemBuffer> {
    MemBuffer::try_new(size).map_err(|_| Error::out_of_memory(op, size.size_bytes()))
}

/// faer orders columns in two vectors of a place for each, which it takes without asking, beside memory that it asks
/// for: as much is asked for here, and let go.
fn ask_for_ordering(op: &'static str, columns: usize) -> Result<()> {
    vectors::room::<[usize; 2]>(op, columns).map(drop)
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
        let places = |x| vectors::collect(op, numbers(x).iter().map(|&i| i as usize));
        Ok(Columns { starts: places(&lines.starts)?, rows: places(&lines.across)? })
    })?;
    let structure = SymbolicSparseColMatRef::new_checked(m, n, &columns.starts, None, &columns.rows);
    let values = super::sparse::in_order(op, lines, values)?;
    if let Some(k) = values.iter().position(|v| !v.is_finite()) {
        let message = format!("value {k} of the sparse matrix {:?} is not finite", pattern.shape());
        return Err(Error::argument(op, message));
    }
    let a = SparseColMatRef::new(structure, &values);
    let par = get_global_parallelism();
    let kind = match method {
        Method::Cholesky => {
            let known = once(&symbolic.cholesky, || {
                factorize_symbolic_cholesky(structure, Side::Lower, Default::default(), Default::default())
                    .map(Arc::new)
                    .map_err(|e| refused(op, e))
            })?;
            let mut l = vectors::vector(op, known.len_val(), T::ZERO)?;
            let mut stack = working(op, known.factorize_numeric_llt_scratch::<T>(par, Default::default()))?;
            let stack = MemStack::new(&mut stack);
            let done = known.factorize_numeric_llt(
                &mut l,
                a,
                Side::Lower,
                Default::default(),
                par,
                stack,
                Default::default(),
            );
            done.map_err(|LltError::NonPositivePivot { index }| {
                let message = format!(
                    "the sparse matrix {:?} is not positive definite: pivot {} in the order of elimination is \
                     not positive; solve takes any square matrix",
                    pattern.shape(),
                    index + 1
                );
                Error::new(ErrorKind::NotPositiveDefinite { batch: 0, minor: index + 1 }, op, message)
            })?;
            Kind::Cholesky(known.clone(), l)
        }
        Method::Lu => {
            let known = once(&symbolic.lu, || {
                ask_for_ordering(op, n)?;
                factorize_symbolic_lu(structure, Default::default()).map(Arc::new).map_err(|e| refused(op, e))
            })?;
            let mut factors = Box::new(NumericLu::new());
            let mut stack = working(op, known.factorize_numeric_lu_scratch::<T>(par, Default::default()))?;
            let stack = MemStack::new(&mut stack);
            let done = known.factorize_numeric_lu(&mut factors, a, par, stack, Default::default());
            done.map_err(|e| match e {
                LuError::Generic(e) => refused(op, e),
                LuError::SymbolicSingular { .. } => singular(op, pattern.shape(), "lsqr takes such matrices"),
            })?;
            Kind::Lu(known.clone(), factors)
        }
        Method::Qr => Kind::Qr(triangle(op, symbolic, structure, a)?),
    };
    Ok(Factors { kind, transposed })
}

/// The pattern with its elements in the same order, and not as a transpose.
fn upright_copy(op: &'static str, pattern: &Pattern) -> Result<Pattern> {
    let [rows, columns] = pattern.coordinates(op)?;
    Ok(Pattern::of_coordinates([rows.clone(), columns.clone()], pattern.shape()))
}

fn triangle<T: Float>(
    op: &'static str,
    symbolic: &Symbolic,
    structure: SymbolicSparseColMatRef<'_, usize>,
    a: SparseColMatRef<'_, usize, T>,
) -> Result<Triangle<T>> {
    let (m, n) = (a.nrows(), a.ncols());
    let known = once(&symbolic.qr, || {
        ask_for_ordering(op, n)?;
        // The other form does not have R in columns.
        let params = QrSymbolicParams {
            supernodal_flop_ratio_threshold: SupernodalThreshold::FORCE_SIMPLICIAL,
            ..Default::default()
        };
        qr::factorize_symbolic_qr(structure, params).map(Arc::new).map_err(|e| refused(op, e))
    })?;
    let mut indices = vectors::vector(op, known.len_idx(), 0usize)?;
    let mut values = vectors::vector(op, known.len_val(), T::ZERO)?;
    let par = Par::Seq;
    let mut stack = working(op, known.factorize_numeric_qr_scratch::<T>(par, Default::default()))?;
    known.factorize_numeric_qr(
        &mut indices,
        &mut values,
        a,
        par,
        MemStack::new(&mut stack),
        Default::default(),
    );
    // R comes first: the starts of its columns, its rows, its values.
    let starts = vectors::collect(op, indices[..=n].iter().copied())?;
    let count = starts[n];
    let mut rows = vectors::collect(op, indices[n + 1..][..count].iter().copied())?;
    let mut numbers = vectors::collect(op, values[..count].iter().copied())?;
    let mut diagonal = vectors::vector(op, n, T::ZERO)?;
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
    let triangle = Triangle {
        starts,
        rows,
        values: numbers,
        diagonal,
        order: vectors::collect(op, order.iter().copied())?,
    };
    if triangle.is_singular(op, a)? {
        return Err(singular(op, [m, n], "lsqr finds the shortest of its solutions"));
    }
    Ok(triangle)
}

/// Steps of the iterations for singular values: each makes an error smaller by the square of the ratio of two of them.
const POWERS: usize = 6;

/// The length of a vector, after which it is one.
fn normalise(v: &mut [f64]) -> f64 {
    let largest = v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let length = largest * v.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt();
    v.iter_mut().for_each(|x| *x /= length);
    length
}

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

    /// R x, of which the places are those of R's columns.
    fn times(&self, x: &mut [f64]) {
        // From the top: what is above the diagonal of a column goes to rows that are done with.
        for j in 0..x.len() {
            let z = std::mem::take(&mut x[j]);
            self.column(j).for_each(|(i, r)| x[i] += r.to_f64() * z);
            x[j] += self.diagonal[j].to_f64() * z;
        }
    }

    /// R^T x
    fn transposed_times(&self, x: &mut [f64]) {
        for j in (0..x.len()).rev() {
            let sum: f64 = self.column(j).map(|(i, r)| r.to_f64() * x[i]).sum();
            x[j] = sum + self.diagonal[j].to_f64() * x[j];
        }
    }

    /// R^-T x
    fn transposed_solve(&self, x: &mut [f64]) {
        for j in 0..x.len() {
            let sum: f64 = self.column(j).map(|(i, r)| r.to_f64() * x[i]).sum();
            x[j] = (x[j] - sum) / self.diagonal[j].to_f64();
        }
    }

    /// R^-1 x
    fn solve(&self, x: &mut [f64]) {
        for j in (0..x.len()).rev() {
            x[j] /= self.diagonal[j].to_f64();
            let z = x[j];
            self.column(j).for_each(|(i, r)| x[i] -= r.to_f64() * z);
        }
    }

    /// Whether A, of which this is the triangle, does not have full rank: there is a v with |A v| as small beside |v| and
    /// the largest singular value as [`rank_tolerance`] says. So no good column is taken for another. In double precision.
    ///
    /// Powers of R^T R and of its inverse lead to the largest and to the smallest singular value (Golub and Van Loan, section
    /// 8.2.1), as far as R is known. Sums of many rows have rounding of their own, in which null vectors get lost: from
    /// the one that R has, u, steps v - P (R^T R)^-1 P A^T A v lead to that of A, with the projector P = I - u u^T, beyond which
    /// the inverse is of rounding.
    fn is_singular(&self, op: &'static str, a: SparseColMatRef<'_, usize, T>) -> Result<bool> {
        let n = self.order.len();
        if n == 0 {
            return Ok(false);
        }
        if self.diagonal.iter().any(|&d| d == T::ZERO || !d.is_finite()) {
            return Ok(true);
        }
        // Without a pattern.
        let mut state = 1u64;
        let mut start = || -> Result<Vec<f64>> {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64 + 0.5
            };
            vectors::collect(op, (0..n).map(|k| if k % 2 == 0 { next() } else { -next() }))
        };
        let (mut v, mut w, mut largest) = (start()?, start()?, 0.0f64);
        for _ in 0..POWERS {
            self.transposed_solve(&mut v);
            normalise(&mut v);
            self.solve(&mut v);
            normalise(&mut v);
            normalise(&mut w);
            self.times(&mut w);
            largest = largest.max(normalise(&mut w));
            self.transposed_times(&mut w);
        }
        let limit = rank_tolerance::<T>(a.nrows(), n);
        let u = vectors::collect(op, v.iter().copied())?;
        let project = |x: &mut [f64]| {
            let dot: f64 = x.iter().zip(&u).map(|(x, u)| x * u).sum();
            x.iter_mut().zip(&u).for_each(|(x, u)| *x -= dot * u);
        };
        for _ in 0..3 {
            // A v over the largest singular value.
            let mut product = vectors::vector(op, a.nrows(), 0.0f64)?;
            for (&column, &x) in self.order.iter().zip(&v) {
                let values = a.row_idx_of_col(column).zip(a.val_of_col(column));
                values.for_each(|(i, value)| product[i] += value.to_f64() / largest * x);
            }
            let along = |&column: &usize| -> f64 {
                let values = a.row_idx_of_col(column).zip(a.val_of_col(column));
                values.map(|(i, value)| value.to_f64() / largest * product[i]).sum()
            };
            let mut gradient = vectors::collect(op, self.order.iter().map(along))?;
            if normalise(&mut product) <= limit {
                return Ok(true);
            }
            project(&mut gradient);
            self.transposed_solve(&mut gradient);
            gradient.iter_mut().for_each(|x| *x *= largest);
            self.solve(&mut gradient);
            project(&mut gradient);
            v.iter_mut().zip(gradient).for_each(|(v, g)| *v -= g * largest);
            let length = normalise(&mut v);
            if length.is_nan() || length <= 0.0 {
                return Ok(false);
            }
        }
        Ok(false)
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
    // Column after column.
    let mut columns = vectors::room(op, n * k)?;
    columns.extend((0..n * k).map(|e| b[e % n * k + e / n]));
    let x = MatMut::from_column_major_slice_mut(&mut columns, n, k);
    let par = get_global_parallelism();
    match &factors.kind {
        Kind::Cholesky(known, l) => {
            let mut stack = working(op, known.solve_in_place_scratch::<T>(k, par))?;
            LltRef::new(known, l).solve_in_place_with_conj(Conj::No, x, par, MemStack::new(&mut stack));
        }
        Kind::Lu(known, lu) => {
            let lu = LuRef::new_unchecked(known, lu);
            if transposed != factors.transposed {
                let mut stack = working(op, known.solve_transpose_in_place_scratch::<T>(k, par))?;
                lu.solve_transpose_in_place_with_conj(Conj::No, x, par, MemStack::new(&mut stack));
            } else {
                let mut stack = working(op, known.solve_in_place_scratch::<T>(k, par))?;
                lu.solve_in_place_with_conj(Conj::No, x, par, MemStack::new(&mut stack));
            }
        }
        Kind::Qr(triangle) => {
            let mut line = vectors::vector(op, n, T::ZERO)?;
            for column in columns.chunks_exact_mut(n) {
                triangle.solve_normal(column, &mut line);
            }
        }
    }
    let solution = Array::build(op, shape, |out| {
        for (i, row) in out.chunks_exact_mut(k).enumerate() {
            for (j, out) in row.iter_mut().enumerate() {
                *out = columns[j * n + i];
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
        match &self.kind {
            Kind::Cholesky(known, _) => known.ncols(),
            Kind::Lu(known, _) => known.ncols(),
            Kind::Qr(triangle) => triangle.order.len(),
        }
    }
}
