//! The complex Schur form, and what is solved in it.

use super::eig::quotient;
use super::schur::Schur;
use super::svd::NotConverged;
use crate::cpu::scale::{largest, near_one};
use crate::heap::work;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par, c64};

/// A = Z T Z^H with upper triangular T and unitary Z, both row-major.
pub struct ComplexSchur {
    n: usize,
    pub t: Vec<c64>,
    z: Vec<c64>,
}

impl ComplexSchur {
    /// The form of the row-major, finite `n x n` matrix, from the real one (SciPy `rsf2csf`: a rotation for each pair).
    ///
    /// # Errors
    ///
    /// [`NotConverged`] after too many steps.
    pub fn of(a: Vec<f64>, n: usize) -> Result<Self, NotConverged> {
        let real = Schur::of(a, n, 0..n)?;
        let mut t: Vec<c64> = work::collect(real.t.iter().map(|&x| x.into()));
        let mut z: Vec<c64> = work::collect((0..n * n).map(|k| real.zt[k % n * n + k / n].into()));
        for m in (1..n).rev() {
            let below = real.t[m * n + m - 1];
            if below == 0.0 {
                continue;
            }
            let gap = c64::new(0.0, real.w[m - 1].im);
            let size = gap.im.hypot(below);
            let (c, s) = (gap / size, below / size);
            // Rows by (c^*, s; -s, c) from the left, columns by its conjugate transpose from the right.
            let (above, row) = t[(m - 1) * n..].split_at_mut(n);
            for (x, y) in above.iter_mut().zip(&mut row[..n]).skip(m - 1) {
                (*x, *y) = (c.conj() * *x + *y * s, c * *y - *x * s);
            }
            let turn = |matrix: &mut [c64]| {
                for row in matrix.chunks_exact_mut(n) {
                    let (x, y) = (row[m - 1], row[m]);
                    (row[m - 1], row[m]) = (c * x + y * s, c.conj() * y - x * s);
                }
            };
            turn(&mut t[..(m + 1) * n]);
            turn(&mut z);
            t[m * n + m - 1] = c64::new(0.0, 0.0);
        }
        Ok(ComplexSchur { n, t, z })
    }

    /// The eigenvalues.
    pub fn values(&self) -> impl Iterator<Item = c64> {
        self.t.iter().step_by(self.n + 1).copied()
    }

    /// The real part of Z F Z^H.
    pub fn back(&self, f: &[c64], out: &mut [f64]) {
        let n = self.n;
        real_part(&product(&product(&self.z, f, n), &adjoint(&self.z, n), n), out);
    }
}

fn real_part(x: &[c64], out: &mut [f64]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = x.re);
}

/// A B for row-major matrices with rows of A and columns of B as they come; `k` is the size between. By four real products, of
/// which there is code already.
fn product(a: &[c64], b: &[c64], k: usize) -> Vec<c64> {
    let (m, n) = (a.len() / k, b.len() / k);
    let parts = |x: &[c64]| [work::collect(x.iter().map(|x| x.re)), work::collect(x.iter().map(|x| x.im))];
    let ([a_re, a_im], [b_re, b_im]) = (parts(a), parts(b));
    let [mut re, mut im] = [work::vector(m * n, 0.0), work::vector(m * n, 0.0)];
    let add = |out: &mut [f64], a: &[f64], b: &[f64], sign: f64| {
        matmul(
            MatMut::from_row_major_slice_mut(out, m, n),
            Accum::Add,
            MatRef::from_row_major_slice(a, m, k),
            MatRef::from_row_major_slice(b, k, n),
            sign,
            Par::Seq,
        );
    };
    add(&mut re, &a_re, &b_re, 1.0);
    add(&mut re, &a_im, &b_im, -1.0);
    add(&mut im, &a_re, &b_im, 1.0);
    add(&mut im, &a_im, &b_re, 1.0);
    work::collect(re.into_iter().zip(im).map(|(re, im)| c64::new(re, im)))
}

/// A^H for a row-major square matrix.
fn adjoint(a: &[c64], n: usize) -> Vec<c64> {
    work::collect((0..n * n).map(|k| a[k % n * n + k / n].conj()))
}

/// The X of A X + X B = C for row-major, finite A [m, m] and B [n, n], and C [m, n] (Bartels and Stewart, "Solution of the matrix
/// equation AX + XB = C", 1972); None where an eigenvalue of A is one of -B.
///
/// # Errors
///
/// [`NotConverged`] after too many steps.
pub fn sylvester(
    mut a: Vec<f64>,
    mut b: Vec<f64>,
    c: &[f64],
    [m, n]: [usize; 2],
    x: &mut [f64],
) -> Result<bool, NotConverged> {
    if m * n == 0 {
        return Ok(true);
    }
    let scale = near_one(largest(a.iter().chain(&b).copied()));
    a.iter_mut().chain(&mut b).for_each(|x| *x *= scale);
    let height = near_one(largest(c.iter().copied()));
    let (a, b) = (ComplexSchur::of(a, m)?, ComplexSchur::of(b, n)?);
    let scaled = work::collect(c.iter().map(|&x| c64::new(x * height, 0.0)));
    let f = product(&product(&adjoint(&a.z, m), &scaled, m), &b.z, n);
    // Column after column of S Y + Y R = F, each a row of `y`.
    let mut y: Vec<c64> = work::collect((0..m * n).map(|k| f[k % m * n + k / m]));
    for j in 0..n {
        let (known, column) = y.split_at_mut(j * m);
        let column = &mut column[..m];
        for (k, other) in known.chunks_exact(m).enumerate() {
            let r = b.t[k * n + j];
            column.iter_mut().zip(other).for_each(|(y, x)| *y -= r * x);
        }
        let right = b.t[j * n + j];
        for i in (0..m).rev() {
            let row = &a.t[i * m..][..m];
            let sum = row[i + 1..].iter().zip(&column[i + 1..]).map(|(s, y)| s * y).sum::<c64>();
            let d = row[i] + right;
            if d.l1_norm() <= 4.0 * f64::EPSILON * (row[i].l1_norm() + right.l1_norm()) {
                return Ok(false);
            }
            column[i] = quotient(column[i] - sum, d);
        }
    }
    let y = work::collect((0..m * n).map(|k| y[k % n * m + k / n]));
    real_part(&product(&product(&a.z, &y, m), &adjoint(&b.z, n), n), x);
    x.iter_mut().for_each(|x| *x = *x * scale / height);
    Ok(true)
}
