//! Eigenvalues and eigenvectors of general matrices.

use super::balance::{Balance, length};
use super::schur::Schur;
use super::svd::NotConverged;
use crate::cpu::scale::{largest, near_one};
use crate::heap::work;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par, c64};

/// The magnitude that elements of a vector may grow to on the way.
const HUGE: f64 = 1e150;

/// The eigenvalues `w` and the eigenvectors `v` of the row-major, finite `n x n` matrix (LAPACK `geev`), the vectors row-major as
/// columns of length 1; of a complex one the largest element is real. Of a pair the eigenvalue with the positive imaginary part
/// comes first.
///
/// # Errors
///
/// [`NotConverged`] after too many steps.
pub fn eig(mut a: Vec<f64>, n: usize, w: &mut [c64], v: &mut [c64]) -> Result<(), NotConverged> {
    if n == 0 {
        return Ok(());
    }
    let scale = near_one(largest(a.iter().copied()));
    a.iter_mut().for_each(|x| *x *= scale);
    let balance = Balance::of(&mut a, n);
    let Schur { t, zt, w: values } = Schur::of(a, n, balance.active.clone())?;
    // Of a complex pair two columns hold the real and the imaginary part.
    let mut inner = work::vector(n * n, 0.0);
    let mut x = work::vector(n, c64::new(0.0, 0.0));
    let mut k = n;
    while k > 0 {
        k -= 1;
        let is_pair = values[k].im != 0.0;
        k -= usize::from(is_pair);
        triangular_vector(&t, n, k, values[k], &mut x);
        for (row, x) in inner.chunks_exact_mut(n).zip(&x) {
            row[k] = x.re;
            if is_pair {
                row[k + 1] = x.im;
            }
        }
    }
    let mut vectors = work::vector(n * n, 0.0);
    matmul(
        MatMut::from_row_major_slice_mut(&mut vectors, n, n),
        Accum::Replace,
        MatRef::from_row_major_slice(&zt, n, n).transpose(),
        MatRef::from_row_major_slice(&inner, n, n),
        1.0,
        Par::Seq,
    );
    balance.undo(&mut vectors, n);
    let mut k = 0;
    while k < n {
        let is_pair = values[k].im != 0.0;
        let im = |row: &[f64]| if is_pair { row[k + 1] } else { 0.0 };
        let column = |i: usize| c64::new(vectors[i * n + k], im(&vectors[i * n..][..n]));
        x.iter_mut().enumerate().for_each(|(i, x)| *x = column(i));
        normalise(&mut x, is_pair);
        for (row, &x) in v.chunks_exact_mut(n).zip(&x) {
            row[k] = x;
            if is_pair {
                row[k + 1] = x.conj();
            }
        }
        k += 1 + usize::from(is_pair);
    }
    for (w, value) in w.iter_mut().zip(&values) {
        *w = c64::new(value.re / scale, value.im / scale);
    }
    Ok(())
}

/// The eigenvalues alone, as [`eig`] finds them.
///
/// # Errors
///
/// [`NotConverged`] after too many steps.
pub fn eigvals(mut a: Vec<f64>, n: usize, w: &mut [c64]) -> Result<(), NotConverged> {
    if n == 0 {
        return Ok(());
    }
    let scale = near_one(largest(a.iter().copied()));
    a.iter_mut().for_each(|x| *x *= scale);
    let active = Balance::of(&mut a, n).active;
    for (w, value) in w.iter_mut().zip(Schur::values(a, n, active)?) {
        *w = c64::new(value.re / scale, value.im / scale);
    }
    Ok(())
}

/// Brings a vector to length 1, and its largest element to the positive real numbers where it is complex.
fn normalise(x: &mut [c64], is_complex: bool) {
    let size = length(x.iter().flat_map(|x| [x.re, x.im]));
    x.iter_mut().for_each(|x| *x = c64::new(x.re / size, x.im / size));
    if !is_complex {
        return;
    }
    let mut first = 0;
    for (i, y) in x.iter().enumerate() {
        if y.norm_sqr() > x[first].norm_sqr() {
            first = i;
        }
    }
    let size = x[first].norm();
    let phase = x[first].conj() / size;
    x.iter_mut().for_each(|x| *x *= phase);
    x[first] = c64::new(size, 0.0);
}

/// The vector of the eigenvalue at row k of a Schur form, which for a pair is that of rows k and k + 1, up to a factor (LAPACK
/// `trevc`): equations that are singular are taken for such of the next larger gap.
fn triangular_vector(t: &[f64], n: usize, k: usize, value: c64, x: &mut [c64]) {
    let t = |i: usize, j: usize| t[i * n + j];
    let tiny = f64::MIN_POSITIVE * (n as f64 / f64::EPSILON);
    let least = (f64::EPSILON * (value.re.abs() + value.im.abs())).max(tiny);
    let held = |d: c64| if d.l1_norm() < least { c64::new(least, 0.0) } else { d };
    x.fill(c64::new(0.0, 0.0));
    let mut end = k + 1;
    if value.im == 0.0 {
        x[k] = c64::new(1.0, 0.0);
    } else {
        end += 1;
        (x[k], x[k + 1]) = match t(k, k + 1).abs() >= t(k + 1, k).abs() {
            true => (c64::new(1.0, 0.0), c64::new(0.0, value.im / t(k, k + 1))),
            false => (c64::new(-value.im / t(k + 1, k), 0.0), c64::new(0.0, 1.0)),
        };
    }
    let mut j = k;
    while j > 0 {
        j -= 1;
        let sum = |row: usize, x: &[c64]| -> c64 { (j + 1..end).map(|m| x[m] * t(row, m)).sum::<c64>() };
        if j == 0 || t(j, j - 1) == 0.0 {
            x[j] = -sum(j, x);
            divide(x, j, j, held(t(j, j) - value));
        } else {
            // Two rows at once, by the larger pivot.
            (x[j - 1], x[j]) = (-sum(j - 1, x), -sum(j, x));
            let (mut above, mut below) =
                ([t(j - 1, j - 1) - value, t(j - 1, j).into()], [t(j, j - 1).into(), t(j, j) - value]);
            if above[0].l1_norm() < below[0].l1_norm() {
                std::mem::swap(&mut above, &mut below);
                x.swap(j - 1, j);
            }
            let pivot = held(above[0]);
            let ratio = quotient(below[0], pivot);
            x[j] -= ratio * x[j - 1];
            divide(x, j - 1, j, held(below[1] - ratio * above[1]));
            x[j - 1] -= above[1] * x[j];
            divide(x, j - 1, j - 1, pivot);
            j -= 1;
        }
    }
}

/// Divides element `at` of a vector by d; where that would become huge, all from element `from` on become smaller.
fn divide(x: &mut [c64], from: usize, at: usize, d: c64) {
    let (size, by) = (x[at].l1_norm(), d.l1_norm());
    if by < 1.0 && size > by * HUGE {
        let factor = by * (HUGE / size);
        x[from..].iter_mut().for_each(|x| *x *= factor);
    }
    x[at] = quotient(x[at], d);
}

/// a / d, where d is brought near one, so that its square stays in range.
pub fn quotient(a: c64, d: c64) -> c64 {
    let size = d.l1_norm();
    (a / size) / (d / size)
}
