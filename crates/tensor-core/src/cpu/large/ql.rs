//! Eigenvalues and eigenvectors by reflections, and QL and QR steps.

use super::svd::NotConverged;
use super::transpose::transpose;
use crate::cpu::scale::{largest, smallest_normal};
use crate::element::Float;
use crate::heap::work;
use crate::simd::{Kernel, dispatch, dot_line, multiply_add, sub_mul};

/// Steps for each eigenvalue, all together: two are usual. A value that has far to go takes many, and those after
/// it none.
const STEPS: usize = 30;

/// The decomposition A = V diag(w) V^T of a symmetric matrix, both triangles of which are there, with elements
/// near one: w ascending. Reflections make it tridiagonal, and implicit QL and QR steps diagonal (Golub and Van
/// Loan, sections 8.3.1 and 8.3.5; LAPACK `steqr`). Rows are added to rows, and all rotations of a step go through
/// the vectors at once. A is lost.
pub fn eigh_ql<T: Float>(a: &mut [T], n: usize, w: &mut [T], v: &mut [T]) -> Result<(), NotConverged> {
    assert!(n > 0 && a.len() == n * n && w.len() == n && v.len() == n * n);
    dispatch(Eigh { a, n, w, v })
}

/// A square of what is far below rounding beside the largest element, and still known to full precision.
#[inline(always)]
pub fn negligible_square<T: Float>(largest: T) -> T {
    let negligible = largest * T::EPSILON * T::EPSILON;
    let (square, tiny) = (negligible * negligible, smallest_normal::<T>() / T::EPSILON);
    if square > tiny { square } else { tiny }
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
        let negligible = negligible_square(largest(a.iter().copied()));
        let mut e = work::vector(n, T::ZERO);
        tridiagonal::<T, FMA>(a, n, w, &mut e, v, negligible);
        // Of V^T the rows are contiguous.
        transpose(v, n);
        diagonal::<T, FMA>(w, &mut e, v, negligible)?;
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
    let mut taus = work::vector(n, T::ZERO);
    let mut p = work::vector(n, T::ZERO);
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
///
/// A part of T that hangs together is worked on from the end that is smaller, as values move towards the other one
/// step by step: QL steps split the first value off, QR steps the last. Where a diagonal is small beside what is next
/// to it, as in noise around large values, that takes many steps, and those for the next values few.
#[inline(always)]
fn diagonal<T: Float, const FMA: bool>(
    d: &mut [T],
    e: &mut [T],
    vt: &mut [T],
    negligible: T,
) -> Result<(), NotConverged> {
    let n = d.len();
    let mut rotations = work::vector(n, (T::ZERO, T::ZERO));
    let mut steps = STEPS * n;
    let mut first = 0;
    let mut part = Part { first: 0, last: 0, turned: false };
    while first < n {
        // e_i^2 <= eps^2 d_i d_(i + 1): then it changes small eigenvalues by less than their rounding, too.
        let small = |i: usize| {
            let beside = (Float::abs(d[i]) * T::EPSILON) * (Float::abs(d[i + 1]) * T::EPSILON);
            e[i] * e[i] <= beside + negligible
        };
        let last = (first..n - 1).find(|&i| small(i)).unwrap_or(n - 1);
        e[last] = T::ZERO;
        if last == first {
            first += 1;
            continue;
        }
        if (part.first, part.last) != (first, last) {
            let ends = [(first, first), (last, last - 1)].map(|(i, j)| Float::abs(d[i]) + Float::abs(e[j]));
            part = Part { first, last, turned: ends[0] > ends[1] };
        }
        steps = steps.checked_sub(1).ok_or(NotConverged)?;
        let rotations = &mut rotations[..last - first];
        let rows = &mut vt[first * n..(last + 1) * n];
        if part.turned {
            part.step::<T, true, FMA>(d, e, rotations);
            rotate::<T, true, FMA>(rotations, rows, n);
        } else {
            part.step::<T, false, FMA>(d, e, rotations);
            rotate::<T, false, FMA>(rotations, rows, n);
        }
    }
    Ok(())
}

/// A part of T that hangs together, read backwards where it is `turned`: a QL step is then a QR step.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    last: usize,
    turned: bool,
}

impl Part {
    /// An implicit QL step; rotation `i` is that of the elements `i` and `i + 1`, counted from the end where `TURNED`.
    #[inline(always)]
    fn step<T: Float, const TURNED: bool, const FMA: bool>(
        self,
        d: &mut [T],
        e: &mut [T],
        rotations: &mut [(T, T)],
    ) {
        let at = |i: usize| if TURNED { self.last - i } else { self.first + i };
        // Of the element between `i` and `i + 1`.
        let beside = |i: usize| if TURNED { self.last - 1 - i } else { self.first + i };
        let m = rotations.len();
        // Wilkinson's shift.
        let (start, next) = (d[at(0)], e[beside(0)]);
        let half = (d[at(1)] - start) / (next + next);
        let root = multiply_add::<T, FMA>(half, half, T::ONE).sqrt();
        let signed = if half < T::ZERO { half - root } else { half + root };
        let mut g = d[at(m)] - start + next / signed;
        let (mut s, mut c, mut p) = (T::ONE, T::ONE, T::ZERO);
        for i in (0..m).rev() {
            let next = e[beside(i)];
            let (f, b) = (s * next, c * next);
            let r;
            (c, s, r) = rotation::<T, FMA>(g, f);
            if i + 1 < m {
                e[beside(i + 1)] = r;
            }
            let q = d[at(i + 1)] - p;
            let r = multiply_add::<T, FMA>(c + c, b, (d[at(i)] - q) * s);
            p = s * r;
            d[at(i + 1)] = q + p;
            g = c * r - b;
            rotations[i] = (c, s);
        }
        d[at(0)] -= p;
        e[beside(0)] = g;
    }
}

/// c, s and r with c g + s f = r and c f = s g, r not negative (LAPACK `lartg`).
#[inline(always)]
fn rotation<T: Float, const FMA: bool>(g: T, f: T) -> (T, T, T) {
    let square = multiply_add::<T, FMA>(f, f, g * g);
    if square >= smallest_normal::<T>() / T::EPSILON {
        let r = square.sqrt();
        let reciprocal = T::ONE / r;
        return (g * reciprocal, f * reciprocal, r);
    }
    // Squares that are too small to be known.
    let size = largest([g, f]);
    if size == T::ZERO {
        return (T::ONE, T::ZERO, T::ZERO);
    }
    let (g, f) = (g / size, f / size);
    let r = multiply_add::<T, FMA>(f, f, g * g).sqrt();
    (g / r, f / r, r * size)
}

/// Applies rotation i to the rows i and i + 1, from the last on; rows count from the end where `TURNED`.
#[inline(always)]
fn rotate<T: Float, const TURNED: bool, const FMA: bool>(rotations: &[(T, T)], rows: &mut [T], n: usize) {
    let mut at = 0;
    while at + 16 <= n {
        rotate_columns::<T, 16, TURNED, FMA>(rotations, rows, n, at);
        at += 16;
    }
    while at + 4 <= n {
        rotate_columns::<T, 4, TURNED, FMA>(rotations, rows, n, at);
        at += 4;
    }
    while at < n {
        rotate_columns::<T, 1, TURNED, FMA>(rotations, rows, n, at);
        at += 1;
    }
}

#[inline(always)]
fn rotate_columns<T: Float, const C: usize, const TURNED: bool, const FMA: bool>(
    rotations: &[(T, T)],
    rows: &mut [T],
    n: usize,
    at: usize,
) {
    let last = rotations.len();
    let start = |i: usize| (if TURNED { last - i } else { i }) * n + at;
    let columns = |rows: &[T], i: usize| *rows[start(i)..].first_chunk::<C>().expect("inside the row");
    let mut y = columns(rows, last);
    for (i, &(c, s)) in rotations.iter().enumerate().rev() {
        let x = columns(rows, i);
        let out = &mut rows[start(i + 1)..][..C];
        for k in 0..C {
            out[k] = multiply_add::<T, FMA>(s, x[k], c * y[k]);
            y[k] = multiply_add::<T, FMA>(-s, y[k], c * x[k]);
        }
    }
    rows[start(0)..][..C].copy_from_slice(&y);
}

/// Sorts the values, and writes the rows of `v`, in their order, as columns.
fn sort<T: Float>(w: &mut [T], v: &mut [T], copy: &mut [T]) {
    let n = w.len();
    let mut order = work::collect(0..n);
    order.sort_unstable_by(|&i, &j| {
        w[i].partial_cmp(&w[j]).unwrap_or(std::cmp::Ordering::Equal).then(i.cmp(&j))
    });
    copy.copy_from_slice(v);
    let values = work::collect(w.iter().copied());
    for (k, &from) in order.iter().enumerate() {
        w[k] = values[from];
        v[k * n..(k + 1) * n].copy_from_slice(&copy[from * n..(from + 1) * n]);
    }
    transpose(v, n);
}
