//! The real Schur form of general matrices.

use super::balance::length;
use super::svd::NotConverged;
use crate::heap::work;
use faer::c64;
use std::ops::Range;

/// The real Schur form A = Z T Z^T of a matrix with orthogonal Z: T is upper triangular but for blocks of two rows on
/// its diagonal, each with equal elements on its own diagonal and others of opposite signs, for pairs of complex eigenvalues.
pub struct Schur {
    pub t: Vec<f64>,
    /// Z^T: its rows are the Schur vectors; nothing, where only the eigenvalues are asked for.
    pub zt: Vec<f64>,
    /// The eigenvalues along the diagonal of T; of a pair the one with the positive imaginary part comes first.
    pub w: Vec<c64>,
}

/// Steps after which a shift is replaced by an exceptional one (LAPACK `lahqr`).
const EXCEPTIONAL: usize = 10;

impl Schur {
    /// The form of the row-major `n x n` matrix `a`, which is finite and upper triangular outside of the rows and columns
    /// `active` (LAPACK `gehrd` and `lahqr`: reflections to Hessenberg form, and QR steps with double shifts, Golub and Van Loan,
    /// sections 7.4 and 7.5).
    ///
    /// # Errors
    ///
    /// [`NotConverged`] after too many steps.
    pub fn of(a: Vec<f64>, n: usize, active: Range<usize>) -> Result<Self, NotConverged> {
        let mut zt = work::vector(n * n, 0.0);
        zt.iter_mut().step_by(n + 1).for_each(|x| *x = 1.0);
        Schur::begun(a, zt, n, active)
    }

    /// The eigenvalues alone: of T only the blocks on the diagonal are found, which do not wait for what is beside them.
    ///
    /// # Errors
    ///
    /// As [`Schur::of`].
    pub fn values(a: Vec<f64>, n: usize, active: Range<usize>) -> Result<Vec<c64>, NotConverged> {
        Schur::begun(a, Vec::new(), n, active).map(|schur| schur.w)
    }

    fn begun(a: Vec<f64>, zt: Vec<f64>, n: usize, active: Range<usize>) -> Result<Self, NotConverged> {
        let w = (0..n).map(|i| c64::new(a[i * n + i], 0.0));
        let mut schur = Schur { w: work::collect(w), t: a, zt };
        schur.hessenberg(n, active.clone());
        schur.iterate(n, active)?;
        Ok(schur)
    }

    /// Whether the whole of T is found, and Z.
    fn is_whole(&self) -> bool {
        !self.zt.is_empty()
    }

    /// The rows and columns of T that turns of those in `inner` change.
    fn changed(&self, n: usize, inner: Range<usize>) -> Range<usize> {
        if self.is_whole() { 0..n } else { inner }
    }

    /// Makes zeros below the first subdiagonal.
    fn hessenberg(&mut self, n: usize, active: Range<usize>) {
        let (changed, is_whole) = (self.changed(n, active.clone()), self.is_whole());
        let (t, zt) = (&mut self.t, &mut self.zt);
        let mut v = work::vector(n, 0.0);
        let mut sums = work::vector(n, 0.0);
        for k in active.start..active.end.saturating_sub(2) {
            let rows = k + 1..active.end;
            let below = length((k + 2..active.end).map(|i| t[i * n + k]));
            if below == 0.0 {
                continue;
            }
            let first = t[(k + 1) * n + k];
            let beta = -first.hypot(below).copysign(first);
            let tau = (beta - first) / beta;
            let v = &mut v[rows.clone()];
            v[0] = 1.0;
            (k + 2..active.end).for_each(|i| v[i - k - 1] = t[i * n + k] / (first - beta));
            reflect_rows(&mut t[rows.start * n..rows.end * n], n, k..changed.end, v, tau, &mut sums);
            if is_whole {
                reflect_rows(&mut zt[rows.start * n..rows.end * n], n, 0..n, v, tau, &mut sums);
            }
            for row in t[changed.start * n..active.end * n].chunks_exact_mut(n) {
                let row = &mut row[rows.clone()];
                let sum = tau * row.iter().zip(&*v).map(|(x, v)| x * v).sum::<f64>();
                row.iter_mut().zip(&*v).for_each(|(x, v)| *x -= sum * v);
            }
            t[(k + 1) * n + k] = beta;
            (k + 2..active.end).for_each(|i| t[i * n + k] = 0.0);
        }
    }

    /// QR steps until the matrix falls into blocks of one and two rows.
    fn iterate(&mut self, n: usize, active: Range<usize>) -> Result<(), NotConverged> {
        let low = active.start;
        let most = 30 * active.len().max(10);
        let small = f64::MIN_POSITIVE * (active.len() as f64 / f64::EPSILON);
        let mut end = active.end;
        while end > low {
            let last = end - 1;
            let (mut start, mut steps) = (low, 0);
            loop {
                start = self.decoupled(n, start..last, active.clone(), small);
                if start > low {
                    self.t[start * n + start - 1] = 0.0;
                }
                if start + 1 >= last {
                    break;
                }
                steps += 1;
                if steps > most {
                    return Err(NotConverged);
                }
                let shifts = self.shifts(n, start..last, steps);
                self.step(n, start..last, shifts);
            }
            if start == last {
                self.w[last] = c64::new(self.t[last * n + last], 0.0);
            } else {
                self.split(n, start);
            }
            end = start;
        }
        Ok(())
    }

    /// The last row of a block, from its end up, before which the subdiagonal is negligible (Ahues and Tisseur, "A new
    /// deflation criterion for the QR algorithm", 1997).
    fn decoupled(&self, n: usize, block: Range<usize>, active: Range<usize>, small: f64) -> usize {
        let t = |i: usize, j: usize| self.t[i * n + j];
        let is_negligible = |k: &usize| {
            let k = *k;
            let below = t(k, k - 1).abs();
            if below <= small {
                return true;
            }
            let mut size = t(k - 1, k - 1).abs() + t(k, k).abs();
            if size == 0.0 {
                if k >= active.start + 2 {
                    size += t(k - 1, k - 2).abs();
                }
                if k + 1 < active.end {
                    size += t(k + 1, k).abs();
                }
            }
            if below > f64::EPSILON * size {
                return false;
            }
            let above = t(k - 1, k).abs();
            let gap = (t(k - 1, k - 1) - t(k, k)).abs();
            let (a, b) = (t(k, k).abs().max(gap), t(k, k).abs().min(gap));
            let sum = a + below.max(above);
            below.min(above) * (below.max(above) / sum) <= small.max(f64::EPSILON * (b * (a / sum)))
        };
        (block.start + 1..=block.end).rev().find(is_negligible).unwrap_or(block.start)
    }

    /// Two shifts: the eigenvalues of the last two rows, a real one twice.
    fn shifts(&self, n: usize, block: Range<usize>, steps: usize) -> [c64; 2] {
        let t = |i: usize, j: usize| self.t[i * n + j];
        let Range { start, end: last } = block;
        let exceptional = |s: f64, corner: f64| [0.75 * s + corner, -0.4375 * s, s, 0.75 * s + corner];
        let [mut a, mut b, mut c, mut d] = if steps.is_multiple_of(2 * EXCEPTIONAL) {
            exceptional(t(last, last - 1).abs() + t(last - 1, last - 2).abs(), t(last, last))
        } else if steps.is_multiple_of(EXCEPTIONAL) {
            exceptional(t(start + 1, start).abs() + t(start + 2, start + 1).abs(), t(start, start))
        } else {
            [t(last - 1, last - 1), t(last - 1, last), t(last, last - 1), t(last, last)]
        };
        let s = a.abs() + b.abs() + c.abs() + d.abs();
        if s == 0.0 {
            return [c64::new(0.0, 0.0); 2];
        }
        [&mut a, &mut b, &mut c, &mut d].into_iter().for_each(|x| *x /= s);
        let mean = 0.5 * (a + d);
        let det = (a - mean) * (d - mean) - b * c;
        let root = det.abs().sqrt();
        if det >= 0.0 {
            return [c64::new(mean * s, root * s), c64::new(mean * s, -root * s)];
        }
        let (one, other) = (mean + root, mean - root);
        let nearer = if (one - d).abs() <= (other - d).abs() { one } else { other };
        [c64::new(nearer * s, 0.0); 2]
    }

    /// A step with two shifts on the rows `block.start..=block.end`.
    fn step(&mut self, n: usize, block: Range<usize>, [first, second]: [c64; 2]) {
        let Range { start, end: last } = block;
        let (changed, is_whole) = (self.changed(n, start..last + 1), self.is_whole());
        let t = |i: usize, j: usize| self.t[i * n + j];
        let mut v = [0.0; 3];
        let mut from = last - 1;
        while from > start {
            from -= 1;
            let m = from;
            let s = (t(m, m) - second.re).abs() + second.im.abs() + t(m + 1, m).abs();
            let below = t(m + 1, m) / s;
            v = [
                below * t(m, m + 1) + (t(m, m) - first.re) * ((t(m, m) - second.re) / s)
                    - first.im * (second.im / s),
                below * (t(m, m) + t(m + 1, m + 1) - first.re - second.re),
                below * t(m + 2, m + 1),
            ];
            let s = v.iter().map(|x| x.abs()).sum::<f64>();
            v.iter_mut().for_each(|x| *x /= s);
            if m == start {
                break;
            }
            let around = t(m - 1, m - 1).abs() + t(m, m).abs() + t(m + 1, m + 1).abs();
            if t(m, m - 1).abs() * (v[1].abs() + v[2].abs()) <= f64::EPSILON * v[0].abs() * around {
                break;
            }
        }
        for k in from..last {
            let count = (last - k + 1).min(3);
            if k > from {
                (0..count).for_each(|i| v[i] = self.t[(k + i) * n + k - 1]);
            }
            let (beta, tau) = reflector(&mut v[..count]);
            if k > from {
                self.t[k * n + k - 1] = beta;
                (1..count).for_each(|i| self.t[(k + i) * n + k - 1] = 0.0);
            } else if from > start {
                // Instead of the sign alone: v_1 and v_2 may underflow.
                self.t[k * n + k - 1] *= 1.0 - tau;
            }
            let v = &v[1..count];
            reflect_few_rows(&mut self.t[k * n..], n, k..changed.end, v, tau);
            if is_whole {
                reflect_few_rows(&mut self.zt[k * n..], n, 0..n, v, tau);
            }
            let rows = &mut self.t[changed.start * n..((k + 3).min(last) + 1) * n];
            match *v {
                [v1, v2] => {
                    for row in rows.chunks_exact_mut(n) {
                        let x = &mut row[k..k + 3];
                        let sum = tau * (x[0] + v1 * x[1] + v2 * x[2]);
                        x[0] -= sum;
                        x[1] -= sum * v1;
                        x[2] -= sum * v2;
                    }
                }
                _ => {
                    for row in rows.chunks_exact_mut(n) {
                        let x = &mut row[k..k + 2];
                        let sum = tau * (x[0] + v[0] * x[1]);
                        x[0] -= sum;
                        x[1] -= sum * v[0];
                    }
                }
            }
        }
    }

    /// Turns the block of rows p and p + 1 into standard form.
    fn split(&mut self, n: usize, p: usize) {
        let at = |i: usize, j: usize| (p + i) * n + p + j;
        let t = &self.t;
        let (block, [c, s], w) = standard([t[at(0, 0)], t[at(0, 1)], t[at(1, 0)], t[at(1, 1)]]);
        [at(0, 0), at(0, 1), at(1, 0), at(1, 1)].into_iter().zip(block).for_each(|(k, x)| self.t[k] = x);
        self.w[p..p + 2].copy_from_slice(&w);
        if !self.is_whole() {
            return;
        }
        let turn = |x: &mut f64, y: &mut f64| (*x, *y) = (c * *x + s * *y, c * *y - s * *x);
        let turn_rows = |matrix: &mut [f64], from: usize| {
            let (x, y) = matrix[p * n..][..2 * n].split_at_mut(n);
            x[from..].iter_mut().zip(&mut y[from..]).for_each(|(x, y)| turn(x, y));
        };
        turn_rows(&mut self.t, p + 2);
        turn_rows(&mut self.zt, 0);
        for row in self.t[..p * n].chunks_exact_mut(n) {
            let (x, y) = row.split_at_mut(p + 1);
            turn(&mut x[p], &mut y[0]);
        }
    }
}

/// Turns (alpha, x) into (1, v) with (I - tau (1, v) (1, v)^T) (alpha, x) = (beta, 0), and answers beta and tau (LAPACK `larfg`).
fn reflector(v: &mut [f64]) -> (f64, f64) {
    let alpha = v[0];
    let rest = length(v[1..].iter().copied());
    if rest == 0.0 {
        return (alpha, 0.0);
    }
    let beta = -alpha.hypot(rest).copysign(alpha);
    v[1..].iter_mut().for_each(|x| *x /= alpha - beta);
    (beta, (beta - alpha) / beta)
}

/// (I - tau v v^T) A for some columns of rows A.
fn reflect_rows(rows: &mut [f64], n: usize, columns: Range<usize>, v: &[f64], tau: f64, sums: &mut [f64]) {
    let sums = &mut sums[columns.clone()];
    sums.fill(0.0);
    for (row, v) in rows.chunks_exact(n).zip(v) {
        sums.iter_mut().zip(&row[columns.clone()]).for_each(|(sum, x)| *sum += v * x);
    }
    for (row, v) in rows.chunks_exact_mut(n).zip(v) {
        let v = tau * v;
        row[columns.clone()].iter_mut().zip(&*sums).for_each(|(x, sum)| *x -= v * sum);
    }
}

/// [`reflect_rows`] for the first two or three rows, whose first number of v is 1.
fn reflect_few_rows(rows: &mut [f64], n: usize, columns: Range<usize>, v: &[f64], tau: f64) {
    let (x, rest) = rows.split_at_mut(n);
    let (y, rest) = rest.split_at_mut(n);
    let (x, y) = (&mut x[columns.clone()], &mut y[columns.clone()]);
    match *v {
        [v1, v2] => {
            for ((x, y), z) in x.iter_mut().zip(y).zip(&mut rest[columns]) {
                let sum = tau * (*x + v1 * *y + v2 * *z);
                *x -= sum;
                *y -= sum * v1;
                *z -= sum * v2;
            }
        }
        _ => {
            for (x, y) in x.iter_mut().zip(y) {
                let sum = tau * (*x + v[0] * *y);
                *x -= sum;
                *y -= sum * v[0];
            }
        }
    }
}

/// The standard form of a block of two rows, the cosine and the sine of the rotation to it, and its eigenvalues (LAPACK `lanv2`).
fn standard([mut a, mut b, mut c, mut d]: [f64; 4]) -> ([f64; 4], [f64; 2], [c64; 2]) {
    let (mut cos, mut sin) = (1.0, 0.0);
    if c == 0.0 {
    } else if b == 0.0 {
        (cos, sin) = (0.0, 1.0);
        (a, b, c, d) = (d, -c, 0.0, a);
    } else if a != d || b.is_sign_positive() == c.is_sign_positive() {
        let difference = a - d;
        let half = 0.5 * difference;
        let larger = b.abs().max(c.abs());
        let smaller = b.abs().min(c.abs()) * 1f64.copysign(b) * 1f64.copysign(c);
        let scale = half.abs().max(larger);
        let z = half / scale * half + larger / scale * smaller;
        if z >= 4.0 * f64::EPSILON {
            // Real eigenvalues.
            let z = half + (scale.sqrt() * z.sqrt()).copysign(half);
            a = d + z;
            d -= larger / z * smaller;
            let tau = c.hypot(z);
            (cos, sin) = (z / tau, c / tau);
            (b, c) = (b - c, 0.0);
        } else {
            // Complex ones, or real ones that are nearly equal: the diagonal is made equal.
            let sigma = b + c;
            let tau = sigma.hypot(difference);
            cos = (0.5 * (1.0 + sigma.abs() / tau)).sqrt();
            sin = -(half / (tau * cos)) * 1f64.copysign(sigma);
            let (aa, bb) = (a * cos + b * sin, b * cos - a * sin);
            let (cc, dd) = (c * cos + d * sin, d * cos - c * sin);
            (a, b, c, d) =
                (aa * cos + cc * sin, bb * cos + dd * sin, cc * cos - aa * sin, dd * cos - bb * sin);
            let mean = 0.5 * (a + d);
            (a, d) = (mean, mean);
            if c != 0.0 && b != 0.0 && b.is_sign_positive() == c.is_sign_positive() {
                let (root_b, root_c) = (b.abs().sqrt(), c.abs().sqrt());
                let p = (root_b * root_c).copysign(c);
                let tau = 1.0 / (b + c).abs().sqrt();
                (a, d) = (mean + p, mean - p);
                (b, c) = (b - c, 0.0);
                let (cos_1, sin_1) = (root_b * tau, root_c * tau);
                (cos, sin) = (cos * cos_1 - sin * sin_1, cos * sin_1 + sin * cos_1);
            } else if c != 0.0 && b == 0.0 {
                (b, c) = (-c, 0.0);
                (cos, sin) = (-sin, cos);
            }
        }
    }
    let im = if c == 0.0 { 0.0 } else { b.abs().sqrt() * c.abs().sqrt() };
    ([a, b, c, d], [cos, sin], [c64::new(a, im), c64::new(d, -im)])
}
