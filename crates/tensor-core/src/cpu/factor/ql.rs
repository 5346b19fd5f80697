//! Eigenvalues and eigenvectors by reflections and QL steps.

use super::svd::NotConverged;
use crate::cpu::simd::{Kernel, dispatch, dot_line, multiply_add, sub_mul};
use crate::element::Float;
use crate::memory;

/// Steps that an eigenvalue may take; one to three are usual.
const STEPS: usize = 30;

/// The decomposition A = V diag(w) V^T of a symmetric matrix, both triangles of which are there, with elements
/// around one: w ascending. Reflections make it tridiagonal, and implicit QL steps diagonal (Golub and Van Loan,
/// sections 8.3.1 and 8.3.5; EISPACK `imtql2`). Rows are added to rows, and all rotations of a step go through
/// the vectors at once. A is lost.
pub fn eigh_ql<T: Float>(a: &mut [T], n: usize, w: &mut [T], v: &mut [T]) -> Result<(), NotConverged> {
    assert!(n > 0 && a.len() == n * n && w.len() == n && v.len() == n * n);
    dispatch(Eigh { a, n, w, v })
}

struct Eigh<'a, T> {
    a: &'a mut [T],
    n: usize,
    w: &'a mut [T],
    v: &'a mut [T],
}

impl<T: Float> Kernel for Eigh<'_, T> {
    type Output = Result<(), NotConverged>;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let Eigh { a, n, w, v } = self;
        let largest = a.iter().fold(T::ZERO, |l, x| if Float::abs(*x) > l { Float::abs(*x) } else { l });
        let negligible = largest * T::EPSILON * T::of(0.01);
        let mut e = memory::work(n, T::ZERO);
        tridiagonal::<T, FMA>(a, n, w, &mut e, v, negligible * negligible);
        // Of V^T the rows are contiguous.
        super::transpose(v, n);
        ql::<T, FMA>(w, &mut e, v, negligible)?;
        sort(w, v, a);
        Ok(())
    }
}

/// Q^T A Q = T: the diagonal of T in `d`, what is beside it in `e`. Squares that are negligible are left out.
#[inline(always)]
fn tridiagonal<T: Float, const FMA: bool>(
    a: &mut [T],
    n: usize,
    d: &mut [T],
    e: &mut [T],
    q: &mut [T],
    negligible: T,
) {
    let mut taus = memory::work(n, T::ZERO);
    let mut p = memory::work(n, T::ZERO);
    for k in 0..n - 1 {
        // The vector takes the place of row k, which is done with.
        let (above, below) = a.split_at_mut((k + 1) * n);
        let v = &mut above[k * n + k + 1..];
        let m = v.len();
        let alpha = v[0];
        let rest = dot_line::<T, FMA>(&v[1..], &v[1..]);
        e[k] = alpha;
        v[0] = T::ONE;
        if rest <= negligible {
            continue;
        }
        let norm = multiply_add::<T, FMA>(alpha, alpha, rest).sqrt();
        let beta = if alpha > T::ZERO { -norm } else { norm };
        let tau = (beta - alpha) / beta;
        let scale = T::ONE / (alpha - beta);
        v[1..].iter_mut().for_each(|x| *x *= scale);
        (e[k], taus[k]) = (beta, tau);
        // H A H = A - v p^T - p v^T for p = tau (A v - (tau / 2) (v^T A v) v)
        let p = &mut p[..m];
        for (p, row) in p.iter_mut().zip(below.chunks_exact(n)) {
            *p = tau * dot_line::<T, FMA>(&row[k + 1..], v);
        }
        let half = tau * T::of(0.5) * dot_line::<T, FMA>(p, v);
        for (p, &v) in p.iter_mut().zip(&*v) {
            *p = sub_mul::<T, FMA>(*p, half, v);
        }
        for (i, row) in below.chunks_exact_mut(n).enumerate() {
            let (vi, pi) = (v[i], p[i]);
            for ((x, &v), &p) in row[k + 1..].iter_mut().zip(&*v).zip(&*p) {
                *x = sub_mul::<T, FMA>(sub_mul::<T, FMA>(*x, vi, p), pi, v);
            }
        }
    }
    q.fill(T::ZERO);
    for i in 0..n {
        d[i] = a[i * n + i];
        q[i * n + i] = T::ONE;
    }
    for k in (0..n - 1).rev().filter(|&k| taus[k] != T::ZERO) {
        let v = &a[k * n + k + 1..(k + 1) * n];
        let sums = &mut p[..v.len()];
        sums.fill(T::ZERO);
        let rows = &mut q[(k + 1) * n..];
        for (row, &v) in rows.chunks_exact(n).zip(v) {
            for (sum, &x) in sums.iter_mut().zip(&row[k + 1..]) {
                *sum = multiply_add::<T, FMA>(v, x, *sum);
            }
        }
        for (row, &v) in rows.chunks_exact_mut(n).zip(v) {
            let factor = taus[k] * v;
            for (x, &sum) in row[k + 1..].iter_mut().zip(&*sums) {
                *x = sub_mul::<T, FMA>(*x, factor, sum);
            }
        }
    }
}

/// Makes T diagonal, and applies the rotations to the rows of `vt`.
#[inline(always)]
fn ql<T: Float, const FMA: bool>(
    d: &mut [T],
    e: &mut [T],
    vt: &mut [T],
    negligible: T,
) -> Result<(), NotConverged> {
    let n = d.len();
    let mut rotations = memory::work(n, (T::ZERO, T::ZERO));
    for l in 0..n {
        let mut steps = 0;
        loop {
            // The part that begins at l ends at m.
            let small = |i: usize| {
                Float::abs(e[i]) <= (Float::abs(d[i]) + Float::abs(d[i + 1])) * T::EPSILON + negligible
            };
            let m = (l..n - 1).find(|&i| small(i)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if steps == STEPS {
                return Err(NotConverged);
            }
            steps += 1;
            // Wilkinson's shift.
            let half = (d[l + 1] - d[l]) / (e[l] + e[l]);
            let root = multiply_add::<T, FMA>(half, half, T::ONE).sqrt();
            let signed = if half < T::ZERO { half - root } else { half + root };
            let mut g = d[m] - d[l] + e[l] / signed;
            let (mut s, mut c, mut p) = (T::ONE, T::ONE, T::ZERO);
            e[m] = T::ZERO;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = multiply_add::<T, FMA>(f, f, g * g).sqrt();
                if i + 1 < m {
                    e[i + 1] = r;
                }
                let reciprocal = T::ONE / r;
                (s, c) = (f * reciprocal, g * reciprocal);
                let q = d[i + 1] - p;
                let r = multiply_add::<T, FMA>(c + c, b, (d[i] - q) * s);
                p = s * r;
                d[i + 1] = q + p;
                g = c * r - b;
                rotations[i] = (c, s);
            }
            d[l] -= p;
            e[l] = g;
            rotate::<T, FMA>(&rotations[l..m], &mut vt[l * n..(m + 1) * n], n);
        }
    }
    Ok(())
}

/// Applies rotation i to the rows i and i + 1, from the last on.
#[inline(always)]
fn rotate<T: Float, const FMA: bool>(rotations: &[(T, T)], rows: &mut [T], n: usize) {
    let mut at = 0;
    while at + 16 <= n {
        rotate_columns::<T, 16, FMA>(rotations, rows, n, at);
        at += 16;
    }
    while at + 4 <= n {
        rotate_columns::<T, 4, FMA>(rotations, rows, n, at);
        at += 4;
    }
    while at < n {
        rotate_columns::<T, 1, FMA>(rotations, rows, n, at);
        at += 1;
    }
}

#[inline(always)]
fn rotate_columns<T: Float, const C: usize, const FMA: bool>(
    rotations: &[(T, T)],
    rows: &mut [T],
    n: usize,
    at: usize,
) {
    let columns = |rows: &[T], i: usize| *rows[i * n + at..].first_chunk::<C>().expect("inside the row");
    let mut y = columns(rows, rotations.len());
    for (i, &(c, s)) in rotations.iter().enumerate().rev() {
        let x = columns(rows, i);
        let out = &mut rows[(i + 1) * n + at..][..C];
        for k in 0..C {
            out[k] = multiply_add::<T, FMA>(s, x[k], c * y[k]);
            y[k] = multiply_add::<T, FMA>(-s, y[k], c * x[k]);
        }
    }
    rows[at..at + C].copy_from_slice(&y);
}

/// Sorts the values, and writes the rows of `v`, in their order, as columns.
fn sort<T: Float>(w: &mut [T], v: &mut [T], copy: &mut [T]) {
    let n = w.len();
    let mut order = memory::gather(0..n);
    order.sort_unstable_by(|&i, &j| {
        w[i].partial_cmp(&w[j]).unwrap_or(std::cmp::Ordering::Equal).then(i.cmp(&j))
    });
    copy.copy_from_slice(v);
    let values = memory::gather(w.iter().copied());
    for (k, &from) in order.iter().enumerate() {
        w[k] = values[from];
        v[k * n..(k + 1) * n].copy_from_slice(&copy[from * n..(from + 1) * n]);
    }
    super::transpose(v, n);
}
