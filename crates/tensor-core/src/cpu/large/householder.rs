//! QR factorisation of tall matrices by Householder reflections. Every column is reflected, however little of it is left:
//! faer's factorisation takes what is below 16 m roundings of a column for nothing, which with many rows is a part of it that
//! matters.

use crate::element::Float;
use crate::heap::{buffer::Buffer, work};
use crate::simd::{Kernel, dispatch, multiply_add, sub_mul};
use faer::linalg::matmul::matmul;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Columns that are reflected one by one.
const PANEL: usize = 8;
/// Products that are summed as they come; sums of so many are added in double precision.
const SUMMED: usize = 256;

/// `A = Q R` of the `m x n` matrix `a`, `m >= n`, which lies column by column: R takes the place of its upper triangle. Q is
/// the product of reflections `I - V T V^T`, with V one below the diagonal and T upper triangular (R. Schreiber and C. Van
/// Loan, "A storage-efficient WY representation for products of Householder transformations", SIAM J. Sci. Stat. Comput.
/// 10(1), 1989), by halves of the columns (E. Elmroth and F. G. Gustavson, "Applying recursion to serial and parallel QR
/// factorization leads to better performance", IBM J. Res. Dev. 44(4), 2000).
pub(super) struct Reflections<T: Float> {
    m: usize,
    n: usize,
    /// Column by column, zeros above the diagonal.
    v: Buffer<T>,
    /// Column by column.
    t: Buffer<T>,
}

/// The product of two matrices, column by column.
fn product<T: Float>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Buffer<T> {
    let mut out = work::buffer(a.nrows() * b.ncols());
    let place = MatMut::from_column_major_slice_mut(&mut out, a.nrows(), b.ncols());
    matmul(place, Accum::Replace, a, b, T::ONE, Par::Seq);
    out
}

impl<T: Float> Reflections<T> {
    pub fn of(a: &mut [T], m: usize, n: usize) -> Self {
        assert!(m >= n && a.len() == m * n);
        let (mut v, mut t) = (work::zeros(m * n), work::zeros(n * n));
        factor(a, &mut v, MatMut::from_column_major_slice_mut(&mut t, n, n), m, 0);
        Reflections { m, n, v, t }
    }

    /// The first `k` columns of Q, column by column.
    pub fn columns(&self, k: usize) -> Buffer<T> {
        let (m, n) = (self.m, self.n);
        let v = MatRef::from_column_major_slice(&self.v, m, n);
        let t = MatRef::from_column_major_slice(&self.t, n, n);
        let inner = product(t, v.subrows(0, k).transpose());
        let mut q = work::zeros(m * k);
        (0..k).for_each(|i| q[i * m + i] = T::ONE);
        let out = MatMut::from_column_major_slice_mut(&mut q, m, k);
        let inner = MatRef::from_column_major_slice(&inner, n, k);
        matmul(out, Accum::Add, v, inner, -T::ONE, Par::Seq);
        q
    }
}

/// Reflects the columns `a` of a matrix of `m` rows, from row `row` on.
fn factor<T: Float>(a: &mut [T], v: &mut [T], mut t: MatMut<'_, T>, m: usize, row: usize) {
    let n = t.ncols();
    if n <= PANEL {
        return dispatch(Panel { a, v, t, m, row });
    }
    let half = (n / 2).next_multiple_of(PANEL).min(n - 1);
    let (left, right) = a.split_at_mut(half * m);
    let (v1, v2) = v.split_at_mut(half * m);
    let (mut t11, mut t12, _, mut t22) = t.rb_mut().split_at_mut(half, half);
    factor(left, v1, t11.rb_mut(), m, row);
    let rows = m - row;
    let v1 = MatRef::from_column_major_slice(v1, m, half).subrows(row, rows);
    {
        let right = MatMut::from_column_major_slice_mut(right, m, n - half).subrows_mut(row, rows);
        let w = product(v1.transpose(), right.rb());
        let w = product(t11.rb().transpose(), MatRef::from_column_major_slice(&w, half, n - half));
        let w = MatRef::from_column_major_slice(&w, half, n - half);
        matmul(right, Accum::Add, v1, w, -T::ONE, Par::Seq);
    }
    factor(right, v2, t22.rb_mut(), m, row + half);
    // T12 = -T11 V1^T V2 T22
    let v2 = MatRef::from_column_major_slice(v2, m, n - half).subrows(row, rows);
    let w = product(v1.transpose(), v2);
    let w = product(t11.rb(), MatRef::from_column_major_slice(&w, half, n - half));
    let w = MatRef::from_column_major_slice(&w, half, n - half);
    matmul(t12.rb_mut(), Accum::Replace, w, t22.rb(), -T::ONE, Par::Seq);
}

/// A few columns, one by one (Golub and Van Loan, algorithm 5.2.1; LAPACK `geqr2`, `larft`).
struct Panel<'a, T> {
    a: &'a mut [T],
    v: &'a mut [T],
    t: MatMut<'a, T>,
    m: usize,
    row: usize,
}

/// In loops: what an iterator's `sum` or `fold` calls is not always inlined, and then lacks the instructions of the kernel.
#[inline(always)]
fn dot<T: Float, const FMA: bool>(x: &[T], y: &[T]) -> f64 {
    let mut sum = 0.0;
    for (x, y) in x.chunks(SUMMED).zip(y.chunks(SUMMED)) {
        let mut lanes = [T::ZERO; 16];
        let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<16>(), y.as_chunks::<16>());
        for (x, y) in x.iter().zip(y) {
            for l in 0..16 {
                lanes[l] = multiply_add::<T, FMA>(x[l], y[l], lanes[l]);
            }
        }
        let mut part = 0.0;
        for (x, y) in x_rest.iter().zip(y_rest) {
            part += x.to_f64() * y.to_f64();
        }
        for lane in lanes {
            part += lane.to_f64();
        }
        // Of a long column few sums are added, each of many products.
        sum += part;
    }
    sum
}

impl<T: Float> Kernel for Panel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Panel { a, v, mut t, m, row } = self;
        for j in 0..t.ncols() {
            let top = row + j;
            let (before, reflector) = v[..(j + 1) * m].split_at_mut(j * m);
            let (column, others) = a[j * m..].split_at_mut(m);
            let alpha = column[top].to_f64();
            let rest = dot::<T, FMA>(&column[top + 1..], &column[top + 1..]);
            reflector[top] = T::ONE;
            if rest == 0.0 {
                continue;
            }
            let beta = -(alpha * alpha + rest).sqrt().copysign(alpha);
            let (tau, scale) = (T::of((beta - alpha) / beta), T::of(1.0 / (alpha - beta)));
            for (v, &x) in reflector[top + 1..].iter_mut().zip(&column[top + 1..]) {
                *v = x * scale;
            }
            column[top] = T::of(beta);
            let reflector = &reflector[top..];
            for other in others.chunks_exact_mut(m) {
                let other = &mut other[top..];
                let factor = tau * T::of(dot::<T, FMA>(reflector, other));
                for (x, &v) in other.iter_mut().zip(reflector) {
                    *x = sub_mul::<T, FMA>(*x, factor, v);
                }
            }
            // The column of T: -tau T V^T v, and tau.
            let mut products = [T::ZERO; PANEL];
            for (product, v) in products.iter_mut().zip(before.chunks_exact(m)) {
                *product = T::of(dot::<T, FMA>(&v[top..], reflector));
            }
            for i in 0..j {
                let sum: T = (i..j).map(|l| t[(i, l)] * products[l]).sum();
                t[(i, j)] = -tau * sum;
            }
            t[(j, j)] = tau;
        }
    }
}
