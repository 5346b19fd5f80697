//! Small quadratic programs, strictly convex.

use crate::vector::{axpy, dot, norm};

/// A linear constraint: c + a d = 0, or >= 0.
pub(super) struct Row {
    pub(super) a: Vec<f64>,
    pub(super) c: f64,
    pub(super) equal: bool,
}

/// The factor L of B = L L^T, row by row; None where B is not positive definite.
pub(super) struct Cholesky(Vec<Vec<f64>>);

impl Cholesky {
    pub(super) fn of(b: &[Vec<f64>]) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(b.len());
        for (i, source) in b.iter().enumerate() {
            let mut row = Vec::with_capacity(i + 1);
            for (j, above) in rows.iter().enumerate() {
                row.push((source[j] - dot(&row, &above[..j])) / above[j]);
            }
            let square = source[i] - dot(&row, &row);
            if !(square > f64::EPSILON * source[i].abs() && square.is_finite()) {
                return None;
            }
            row.push(square.sqrt());
            rows.push(row);
        }
        Some(Cholesky(rows))
    }

    /// x = L^-1 x.
    fn forward(&self, x: &mut [f64]) {
        for (i, row) in self.0.iter().enumerate() {
            x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
        }
    }

    /// x = L^-T x.
    fn backward(&self, x: &mut [f64]) {
        for (i, row) in self.0.iter().enumerate().rev() {
            x[i] /= row[i];
            let last = x[i];
            axpy(-last, &row[..i], &mut x[..i]);
        }
    }
}

/// The constraints that hold with equality: Y = L^-1 A^T of them, column by column, is Q R.
#[derive(Default)]
struct Active {
    rows: Vec<usize>,
    y: Vec<Vec<f64>>,
    q: Vec<Vec<f64>>,
    r: Vec<Vec<f64>>,
}

impl Active {
    /// Q^T y, and y less its part in Q.
    fn project(&self, y: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut parts, mut rest) = (vec![0.0; self.q.len()], y.to_vec());
        // The second time for what rounding left.
        for _ in 0..2 {
            for (part, q) in parts.iter_mut().zip(&self.q) {
                let along = dot(q, &rest);
                axpy(-along, q, &mut rest);
                *part += along;
            }
        }
        (parts, rest)
    }

    fn push(&mut self, row: usize, y: Vec<f64>) {
        let (mut parts, mut rest) = self.project(&y);
        let size = norm(&rest);
        rest.iter_mut().for_each(|x| *x /= size);
        parts.push(size);
        self.rows.push(row);
        self.y.push(y);
        self.q.push(rest);
        self.r.push(parts);
    }

    fn remove(&mut self, k: usize) {
        let mut all: Vec<_> = self.rows.drain(..).zip(self.y.drain(..)).collect();
        all.remove(k);
        *self = Active::default();
        all.into_iter().for_each(|(row, y)| self.push(row, y));
    }

    /// R^-1 x.
    fn back_substitute(&self, mut x: Vec<f64>) -> Vec<f64> {
        for (k, column) in self.r.iter().enumerate().rev() {
            x[k] /= column[k];
            let last = x[k];
            axpy(-last, &column[..k], &mut x[..k]);
        }
        x
    }
}

/// The d that makes g d + d B d / 2 least under the constraints, and their multipliers, so that B d + g = A^T m; None where
/// the constraints contradict each other. Goldfarb, Idnani, "A numerically stable dual method for solving strictly convex
/// quadratic programs", 1983, with the factors of the active constraints made anew where one leaves.
pub(super) fn solve(b: &Cholesky, g: &[f64], rows: &[Row]) -> Option<(Vec<f64>, Vec<f64>)> {
    let mut d: Vec<f64> = g.iter().map(|g| -g).collect();
    b.forward(&mut d);
    b.backward(&mut d);
    let mut active = Active::default();
    // Of the active constraints, each for its sign, with which it is an inequality that was violated.
    let (mut multipliers, mut signs): (Vec<f64>, Vec<f64>) = Default::default();
    let sizes: Vec<f64> = rows.iter().map(|row| norm(&row.a)).collect();
    for _ in 0..20 * (rows.len() + 1) {
        // The constraint that is violated most, equalities first.
        let length = norm(&d);
        let violated = |(p, row): (usize, &Row)| {
            let value = row.c + dot(&row.a, &d);
            let sign = if row.equal && value > 0.0 { -1.0 } else { 1.0 };
            let rounding = 1e-12 * (row.c.abs() + sizes[p] * length);
            let off = -sign * value;
            let open = off > rounding && !active.rows.contains(&p);
            open.then(|| (row.equal, off / sizes[p].max(f64::MIN_POSITIVE), p, sign))
        };
        let worst = rows.iter().enumerate().filter_map(violated);
        let Some((_, _, p, sign)) = worst.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))) else {
            let mut all = vec![0.0; rows.len()];
            let known = active.rows.iter().zip(&signs).zip(&multipliers);
            known.for_each(|((&row, sign), m)| all[row] = sign * m);
            return d.iter().all(|d| d.is_finite()).then_some((d, all));
        };
        let mut y: Vec<f64> = rows[p].a.iter().map(|a| sign * a).collect();
        b.forward(&mut y);
        let mut new = 0.0;
        loop {
            let (parts, rest) = active.project(&y);
            let change = active.back_substitute(parts);
            // How far the multipliers stay positive, and how far it is to the constraint.
            let limit = |(k, (&row, (m, r))): (usize, (&usize, (&f64, &f64)))| {
                (*r > 0.0 && !rows[row].equal).then(|| (m / r, k))
            };
            let blocking = active.rows.iter().zip(multipliers.iter().zip(&change)).enumerate();
            let blocking = blocking.filter_map(limit).min_by(|a, b| a.0.total_cmp(&b.0));
            let square = dot(&rest, &rest);
            let value = sign * (rows[p].c + dot(&rows[p].a, &d));
            let independent = square > 1e-20 * dot(&y, &y);
            let to_constraint = if independent { -value / square } else { f64::INFINITY };
            let step = blocking.map_or(to_constraint, |(most, _)| most.min(to_constraint));
            if !step.is_finite() {
                return None;
            }
            if independent {
                let mut z = rest;
                b.backward(&mut z);
                axpy(step, &z, &mut d);
            }
            axpy(-step, &change, &mut multipliers);
            new += step;
            match blocking {
                Some((most, k)) if most < to_constraint => {
                    active.remove(k);
                    multipliers.remove(k);
                    signs.remove(k);
                }
                _ => break,
            }
        }
        active.push(p, y);
        multipliers.push(new);
        signs.push(sign);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(a: &[f64], c: f64, equal: bool) -> Row {
        Row { a: a.to_vec(), c, equal }
    }

    /// The conditions of a minimum, on programs of numbers without a pattern.
    #[test]
    fn conditions_of_a_minimum() {
        let mut state = 1u64;
        let mut number = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mut met = 0;
        for k in 0..300 {
            let (n, m) = (1 + k % 7, k % 11);
            let half: Vec<Vec<f64>> = (0..n).map(|_| (0..n).map(|_| number()).collect()).collect();
            let entry = |i: usize, j: usize| dot(&half[i], &half[j]) + if i == j { 0.1 } else { 0.0 };
            let b: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
            let g: Vec<f64> = (0..n).map(|_| number()).collect();
            let equal = |i: usize| i < m.min(n / 2);
            let rows: Vec<Row> = (0..m)
                .map(|i| row(&(0..n).map(|_| number()).collect::<Vec<f64>>(), 0.3 * number(), equal(i)))
                .collect();
            let Some((d, multipliers)) = solve(&Cholesky::of(&b).unwrap(), &g, &rows) else { continue };
            met += 1;
            for i in 0..n {
                let forces: f64 = rows.iter().zip(&multipliers).map(|(row, m)| m * row.a[i]).sum();
                let size = multipliers.iter().fold(1.0, |s: f64, m| s.max(m.abs()));
                assert!((dot(&b[i], &d) + g[i] - forces).abs() < 1e-9 * size, "{k}");
            }
            for (row, m) in rows.iter().zip(&multipliers) {
                let value = row.c + dot(&row.a, &d);
                let size = 1.0 + m.abs();
                assert!(
                    if row.equal { value.abs() < 1e-9 } else { value > -1e-9 && *m >= 0.0 },
                    "{k} {value} {m}"
                );
                assert!((value * m).abs() < 1e-8 * size, "{k} {value} {m}");
            }
        }
        assert!(met > 200, "{met}");
    }

    #[test]
    fn contradictions_are_found() {
        let b = Cholesky::of(&[vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
        let between = [row(&[1.0, 0.0], -1.0, false), row(&[-1.0, 0.0], 0.5, false)];
        assert!(solve(&b, &[0.0, 0.0], &between).is_none());
        assert!(Cholesky::of(&[vec![1.0, 2.0], vec![2.0, 1.0]]).is_none());
        // A constraint said twice is none.
        let twice = [row(&[1.0, 1.0], -2.0, true), row(&[2.0, 2.0], -4.0, true)];
        let (d, _) = solve(&b, &[0.0, 0.0], &twice).unwrap();
        assert!((d[0] - 1.0).abs() < 1e-12 && (d[1] - 1.0).abs() < 1e-12);
    }
}
