//! The linear model of a step: J as the triangle of its QR factorisation, and the step of least squares within a
//! trust region.

use crate::flat::elements;
use crate::vector::{dot, norm};
use autograd::Tensor;
use linalg::qr;
use tensor_core::Result;

/// R and Q^T f of J = Q R: all that steps need to know of J and f.
pub(super) struct Triangle {
    n: usize,
    /// `[n, n]`, row-major; zero below the diagonal, and in rows that J does not have.
    r: Vec<f64>,
    qtf: Vec<f64>,
}

/// Multiplications from which the factorisation of the library, in blocks and in parallel, is faster.
const BLOCKED: usize = 1 << 21;

impl Triangle {
    /// Of J, given by its columns as rows, `[n, m]`.
    pub(super) fn new(columns: &Tensor, f: &[f64]) -> Result<Self> {
        let (n, m) = (columns.shape()[0], f.len());
        if m * (n + 1) * (n + 1) < BLOCKED {
            let mut whole = Vec::with_capacity((n + 1) * m);
            whole.extend_from_slice(elements(columns));
            whole.extend_from_slice(f);
            triangularise(&mut whole, m, n);
            return Ok(Triangle::taken(&whole, m, n));
        }
        let (_, r) = qr(&Tensor::cat([columns, &Tensor::from_slice(f, [1, m])?], 0)?.t()?)?;
        let rows = r.shape()[0];
        Ok(Triangle::taken(&r.t()?.to_vec(), rows, n))
    }

    /// From columns of `m` elements, the last of which is Q^T f.
    fn taken(columns: &[f64], m: usize, n: usize) -> Self {
        let mut r = vec![0.0; n * n];
        for (j, column) in columns.chunks_exact(m).take(n).enumerate() {
            (0..=j.min(m - 1)).for_each(|i| r[i * n + j] = column[i]);
        }
        let mut qtf = columns[n * m..].to_vec();
        qtf.resize(n, 0.0);
        Triangle { n, r, qtf }
    }

    /// Of some columns, with J s added to f.
    pub(super) fn among(&self, free: &[usize], s: &[f64]) -> Self {
        let n = self.n;
        let mut whole = Vec::with_capacity((free.len() + 1) * n);
        for &j in free {
            whole.extend((0..n).map(|i| self.r[i * n + j]));
        }
        let moved = self.times(s);
        whole.extend(self.qtf.iter().zip(moved).map(|(f, m)| f + m));
        triangularise(&mut whole, n, free.len());
        Triangle::taken(&whole, n, free.len())
    }

    /// R s, as long as J s is.
    pub(super) fn times(&self, s: &[f64]) -> Vec<f64> {
        (0..self.n).map(|i| dot(self.row(i), &s[i..])).collect()
    }

    /// From the diagonal on.
    fn row(&self, i: usize) -> &[f64] {
        &self.r[i * self.n + i..(i + 1) * self.n]
    }

    /// The p that makes ||J p + f|| least among those of ||D p|| <= delta, D = diag(d), to a tenth: where Gauss and
    /// Newton's is not, p = -(J^T J + par D^2)^-1 J^T f, by a QR factorisation of R with sqrt(par) D below it. `par` is
    /// the start of its search, and what it found.
    ///
    /// Source: Moré, "The Levenberg-Marquardt algorithm: implementation and theory", 1978, sections 3 and 5.
    pub(super) fn step(&self, d: &[f64], delta: f64, par: &mut f64) -> Vec<f64> {
        let scaled = |p: &[f64]| -> Vec<f64> { p.iter().zip(d).map(|(p, d)| p * d).collect() };
        // Newton's step for 1 / ||D p(par)|| = 1 / delta, by the triangle of this par.
        let correction = |triangle: &Triangle, p: &[f64], length: f64| {
            let q: Vec<f64> = p.iter().zip(d).map(|(p, d)| d * (d * p / length)).collect();
            let w = norm(&triangle.transposed_solve(q));
            (length - delta) / delta / w / w
        };
        let mut least = 0.0;
        if let Some(p) = self.solve() {
            let length = norm(&scaled(&p));
            if length - delta <= 0.1 * delta {
                *par = 0.0;
                return negated(p);
            }
            least = correction(self, &p, length);
            least = if least.is_finite() { least } else { 0.0 };
        }
        let gradient: Vec<f64> = (0..self.n).map(|j| self.gradient(j) / d[j]).collect();
        let size = norm(&gradient);
        let mut most = size / delta;
        if most == 0.0 {
            most = f64::MIN_POSITIVE / delta.min(0.1);
        }
        *par = par.clamp(least, most.max(least));
        let mut before = f64::INFINITY;
        for turn in 1.. {
            if *par == 0.0 {
                *par = f64::MIN_POSITIVE.max(0.001 * most);
            }
            let damped = self.damped(d, *par);
            let Some(p) = damped.solve() else { break };
            let length = norm(&scaled(&p));
            let over = length - delta;
            // The last: Gauss and Newton's step of a matrix without full rank, which is shorter than delta.
            let enough =
                over.abs() <= 0.1 * delta || (least == 0.0 && over <= before && before < 0.0) || turn == 10;
            if enough {
                return negated(p);
            }
            let change = correction(&damped, &p, length);
            if over > 0.0 {
                least = least.max(*par);
            } else {
                most = most.min(*par);
            }
            *par = least.max(*par + change);
            before = over;
        }
        // Down the gradient: only for what no number holds.
        gradient.iter().zip(d).map(|(g, d)| -g / size * delta / d).collect()
    }

    /// (J^T f)_j
    fn gradient(&self, j: usize) -> f64 {
        (0..=j).map(|i| self.r[i * self.n + j] * self.qtf[i]).sum()
    }

    /// R^-1 Q^T f; None where R is singular in its rounding.
    fn solve(&self) -> Option<Vec<f64>> {
        let mut x = self.qtf.clone();
        for i in (0..self.n).rev() {
            let row = self.row(i);
            x[i] = (x[i] - dot(&row[1..], &x[i + 1..])) / row[0];
        }
        x.iter().all(|x| x.is_finite()).then_some(x)
    }

    /// R^-T b
    fn transposed_solve(&self, mut b: Vec<f64>) -> Vec<f64> {
        for i in 0..self.n {
            let row = self.row(i);
            b[i] /= row[0];
            let known = b[i];
            b[i + 1..].iter_mut().zip(&row[1..]).for_each(|(b, r)| *b -= r * known);
        }
        b
    }

    /// The triangle of R with sqrt(par) D below it, by rotations.
    fn damped(&self, d: &[f64], par: f64) -> Triangle {
        let n = self.n;
        let (mut r, mut qtf) = (self.r.clone(), self.qtf.clone());
        let mut extra = vec![0.0; n];
        for j in 0..n {
            extra[j..].fill(0.0);
            extra[j] = par.sqrt() * d[j];
            let mut beside = 0.0;
            for k in j..n {
                if extra[k] == 0.0 {
                    continue;
                }
                let row = &mut r[k * n + k..(k + 1) * n];
                let length = row[0].hypot(extra[k]);
                let (cos, sin) = (row[0] / length, extra[k] / length);
                row[0] = length;
                for (r, e) in row[1..].iter_mut().zip(&mut extra[k + 1..]) {
                    (*r, *e) = (cos * *r + sin * *e, cos * *e - sin * *r);
                }
                (qtf[k], beside) = (cos * qtf[k] + sin * beside, cos * beside - sin * qtf[k]);
            }
        }
        Triangle { n, r, qtf }
    }
}

fn negated(mut p: Vec<f64>) -> Vec<f64> {
    p.iter_mut().for_each(|p| *p = -*p);
    p
}

/// Householder's QR factorisation of the first `n` columns of `m` elements, applied to all.
fn triangularise(columns: &mut [f64], m: usize, n: usize) {
    for k in 0..n.min(m) {
        let (done, rest) = columns.split_at_mut((k + 1) * m);
        let v = &mut done[k * m + k..];
        let size = norm(v).copysign(v[0]);
        if size == 0.0 {
            continue;
        }
        v.iter_mut().for_each(|v| *v /= size);
        v[0] += 1.0;
        for column in rest.chunks_exact_mut(m) {
            let part = &mut column[k..];
            let factor = -dot(v, part) / v[0];
            part.iter_mut().zip(&*v).for_each(|(x, v)| *x += factor * v);
        }
        v[0] = -size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linalg::lstsq;

    fn rows(columns: &[f64], m: usize) -> Tensor {
        Tensor::from_vec(columns.to_vec(), [columns.len() / m, m]).unwrap()
    }

    fn numbers(count: usize) -> Vec<f64> {
        (1..=count).map(|i| (i as f64 * i as f64 * 0.7).sin()).collect()
    }

    #[test]
    fn steps_of_gauss_and_newton_are_least_squares() -> Result<()> {
        for (m, n) in [(7, 3), (3, 3), (900, 50)] {
            let (columns, f) = (numbers(m * n), numbers(m));
            let mut par = 1.0;
            let p = Triangle::new(&rows(&columns, f.len()), &f)?.step(&vec![1.0; n], 1e9, &mut par);
            let expected = -lstsq(&rows(&columns, m).t()?, &Tensor::from(f), None)?;
            assert!(Tensor::from(p).allclose(&expected, 1e-9, 1e-9)?);
            assert_eq!(par, 0.0);
        }
        Ok(())
    }

    #[test]
    fn steps_end_at_the_trust_region() -> Result<()> {
        // Of full rank, of fewer rows than columns, of rank one.
        let one: Vec<f64> = (0..4).flat_map(|j| (1..=5).map(move |i| f64::from(i * (j + 1)))).collect();
        for (columns, m) in [(numbers(28), 7), (numbers(12), 3), (one, 5)] {
            let (n, f) = (columns.len() / m, numbers(m));
            let d: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            for delta in [1e-3, 0.05] {
                let mut par = 0.0;
                let p = Triangle::new(&rows(&columns, f.len()), &f)?.step(&d, delta, &mut par);
                let length = norm(&p.iter().zip(&d).map(|(p, d)| p * d).collect::<Vec<_>>());
                assert!((length - delta).abs() <= 0.1 * delta, "{m} {n} {delta} {length}");
                // (J^T J + par D^2) p = -J^T f
                let (j, p, d) = (rows(&columns, m).t()?, Tensor::from(p), Tensor::from(d.clone()));
                let jt = j.t()?;
                let g = linalg::mv(&jt, &Tensor::from(f.clone()))?;
                let left = linalg::mv(&jt, &linalg::mv(&j, &p)?)? + d.square() * &p * par + &g;
                assert!(left.abs().max()?.item()? < 1e-10 * g.abs().max()?.item()?);
            }
        }
        Ok(())
    }

    #[test]
    fn some_columns_alone() -> Result<()> {
        let (columns, f) = (numbers(24), numbers(6));
        let whole = Triangle::new(&rows(&columns, f.len()), &f)?;
        let s = [0.0, 0.3, 0.0, 0.0];
        let (mut par, free) = (0.0, [0, 2, 3]);
        let p = whole.among(&free, &s).step(&[1.0; 3], 1e9, &mut par);
        let some: Vec<f64> = free.iter().flat_map(|&j| columns[6 * j..6 * j + 6].to_vec()).collect();
        let moved: Vec<f64> = f.iter().zip(&columns[6..12]).map(|(f, c)| f + 0.3 * c).collect();
        let expected = Triangle::new(&rows(&some, 6), &moved)?.step(&[1.0; 3], 1e9, &mut par);
        assert!(Tensor::from(p).allclose(&Tensor::from(expected), 1e-12, 1e-12)?);
        Ok(())
    }
}
