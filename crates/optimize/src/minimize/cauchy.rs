//! The minimum of the quadratic model of L-BFGS within bounds: Byrd, Lu, Nocedal, Zhu, "A limited memory algorithm for
//! bound constrained optimization", 1995, with the projection of Morales, Nocedal, "Remark on algorithm 778", 2011.

#![allow(clippy::needless_range_loop, reason = "formulas over several vectors read best by index")]

use super::lbfgs::Memory;
use crate::bounds::Limits;
use crate::vector::{axpy, dot};

/// B = theta I - W M W^T with W = [Y, theta S] (the paper's (3.2) to (3.4)).
struct Model<'a> {
    memory: &'a Memory,
    /// The inverse of M, factored, and its size.
    inverse: Factored,
    n: usize,
}

/// A small square matrix, factored with row exchanges.
struct Factored {
    lu: Vec<f64>,
    order: Vec<usize>,
}

impl Factored {
    /// None where it is singular.
    fn of(mut a: Vec<f64>, n: usize) -> Option<Self> {
        let mut order: Vec<usize> = (0..n).collect();
        for k in 0..n {
            let pivot = (k..n).max_by(|&i, &j| a[i * n + k].abs().total_cmp(&a[j * n + k].abs()))?;
            let value = a[pivot * n + k];
            if value == 0.0 || !value.is_finite() {
                return None;
            }
            if pivot != k {
                order.swap(pivot, k);
                (0..n).for_each(|j| a.swap(pivot * n + j, k * n + j));
            }
            for i in k + 1..n {
                let factor = a[i * n + k] / a[k * n + k];
                a[i * n + k] = factor;
                for j in k + 1..n {
                    a[i * n + j] -= factor * a[k * n + j];
                }
            }
        }
        Some(Factored { lu: a, order })
    }

    fn solve(&self, b: &[f64]) -> Vec<f64> {
        let n = self.order.len();
        let mut x: Vec<f64> = self.order.iter().map(|&i| b[i]).collect();
        for i in 0..n {
            let known = dot(&self.lu[i * n..i * n + i], &x[..i]);
            x[i] -= known;
        }
        for i in (0..n).rev() {
            let known = dot(&self.lu[i * n + i + 1..(i + 1) * n], &x[i + 1..]);
            x[i] = (x[i] - known) / self.lu[i * n + i];
        }
        x
    }
}

impl<'a> Model<'a> {
    fn new(memory: &'a Memory) -> Option<Self> {
        let (m, theta) = (memory.s.len(), memory.theta);
        let n = 2 * m;
        // M^-1 = [[-D, L^T], [L, theta S^T S]], of S^T Y = L + D + what is above.
        let mut a = vec![0.0; n * n];
        for i in 0..m {
            a[i * n + i] = -dot(&memory.s[i], &memory.y[i]);
            for j in 0..m {
                if j < i {
                    let l = dot(&memory.s[i], &memory.y[j]);
                    a[(m + i) * n + j] = l;
                    a[j * n + m + i] = l;
                }
                if j <= i {
                    let ss = theta * dot(&memory.s[i], &memory.s[j]);
                    a[(m + i) * n + m + j] = ss;
                    a[(m + j) * n + m + i] = ss;
                }
            }
        }
        Some(Model { memory, inverse: Factored::of(a, n)?, n })
    }

    /// Row i of W.
    fn row(&self, i: usize) -> Vec<f64> {
        let Memory { s, y, theta, .. } = self.memory;
        y.iter().map(|y| y[i]).chain(s.iter().map(|s| theta * s[i])).collect()
    }

    /// W^T v.
    fn transposed(&self, v: &[f64]) -> Vec<f64> {
        let Memory { s, y, theta, .. } = self.memory;
        y.iter().map(|y| dot(y, v)).chain(s.iter().map(|s| theta * dot(s, v))).collect()
    }

    /// out += a W v.
    fn add_product(&self, a: f64, v: &[f64], out: &mut [f64]) {
        let (first, second) = v.split_at(self.n / 2);
        for (y, v) in self.memory.y.iter().zip(first) {
            axpy(a * v, y, out);
        }
        for (s, v) in self.memory.s.iter().zip(second) {
            axpy(a * v * self.memory.theta, s, out);
        }
    }

    /// M v.
    fn times_m(&self, v: &[f64]) -> Vec<f64> {
        self.inverse.solve(v)
    }
}

/// From x to the minimum of the model within the bounds, into `out`; false where the model is none.
pub(crate) fn direction(memory: &Memory, limits: &Limits, x: &[f64], g: &[f64], out: &mut Vec<f64>) -> bool {
    let Some(model) = Model::new(memory) else { return false };
    let (point, c) = cauchy_point(&model, limits, x, g);
    let minimum = if model.n == 0 { point } else { subspace_minimum(&model, limits, x, g, point, &c) };
    out.clear();
    out.extend(minimum.iter().zip(x).map(|(a, b)| a - b));
    out.iter().all(|d| d.is_finite())
}

/// The first minimum along the path of the projected gradient (algorithm CP), and W^T of the way there.
fn cauchy_point(model: &Model<'_>, limits: &Limits, x: &[f64], g: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let theta = model.memory.theta;
    let n = x.len();
    let mut point = x.to_vec();
    let mut d = vec![0.0; n];
    // Where the path meets each bound.
    let mut breaks: Vec<(f64, usize)> = Vec::new();
    for i in 0..n {
        let bound = if g[i] < 0.0 { limits.upper[i] } else { limits.lower[i] };
        let t = if g[i] == 0.0 { f64::INFINITY } else { (x[i] - bound) / g[i] };
        if t > 0.0 {
            d[i] = -g[i];
            if t < f64::INFINITY {
                breaks.push((t, i));
            }
        }
    }
    breaks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut p = model.transposed(&d);
    let mut c = vec![0.0; model.n];
    let mut slope = -dot(&d, &d);
    if slope == 0.0 {
        return (point, c);
    }
    let first = -theta * slope;
    let mut curve = first - dot(&p, &model.times_m(&p));
    let mut before = 0.0;
    let mut step = -slope / curve;
    for (t, i) in breaks {
        let interval = t - before;
        if step < interval {
            break;
        }
        // Onto the bound of number i, and on without it.
        point[i] = if d[i] > 0.0 { limits.upper[i] } else { limits.lower[i] };
        let z = point[i] - x[i];
        c.iter_mut().zip(&p).for_each(|(c, p)| *c += interval * p);
        let w = model.row(i);
        let mw = model.times_m(&w);
        slope += interval * curve + g[i] * g[i] + theta * g[i] * z - g[i] * dot(&mw, &c);
        curve -= theta * g[i] * g[i] + 2.0 * g[i] * dot(&mw, &p) + g[i] * g[i] * dot(&mw, &w);
        curve = curve.max(f64::EPSILON * first);
        p.iter_mut().zip(&w).for_each(|(p, w)| *p += g[i] * w);
        d[i] = 0.0;
        before = t;
        step = -slope / curve;
        if slope >= 0.0 {
            step = 0.0;
            break;
        }
    }
    let step = step.max(0.0);
    let t = before + step;
    if d.iter().any(|&d| d != 0.0) {
        for i in 0..n {
            if d[i] != 0.0 {
                point[i] = limits.clamp(i, x[i] + t * d[i]);
            }
        }
        c.iter_mut().zip(&p).for_each(|(c, p)| *c += step * p);
    }
    (point, c)
}

/// The minimum of the model over the numbers that the Cauchy point leaves between their bounds (section 5.1), projected.
fn subspace_minimum(
    model: &Model<'_>,
    limits: &Limits,
    x: &[f64],
    g: &[f64],
    point: Vec<f64>,
    c: &[f64],
) -> Vec<f64> {
    let theta = model.memory.theta;
    let size = model.n;
    let free = |i: usize| point[i] > limits.lower[i] && point[i] < limits.upper[i];
    let free: Vec<bool> = (0..x.len()).map(free).collect();
    // The model's gradient at the Cauchy point, on the free numbers.
    let mut r: Vec<f64> = (0..x.len()).map(|i| g[i] + theta * (point[i] - x[i])).collect();
    model.add_product(-1.0, &model.times_m(c), &mut r);
    r.iter_mut().zip(&free).filter(|(_, free)| !**free).for_each(|(r, _)| *r = 0.0);
    let v = model.times_m(&model.transposed(&r));
    // I - M W^T Z Z^T W / theta
    let mut wzzw = vec![0.0; size * size];
    let columns = columns(model, &free);
    for i in 0..size {
        for j in 0..=i {
            let product = dot(&columns[i], &columns[j]) / theta;
            wzzw[i * size + j] = product;
            wzzw[j * size + i] = product;
        }
    }
    let mut system = vec![0.0; size * size];
    for j in 0..size {
        let column: Vec<f64> = (0..size).map(|i| wzzw[i * size + j]).collect();
        for (i, value) in model.times_m(&column).into_iter().enumerate() {
            system[i * size + j] = f64::from(u8::from(i == j)) - value;
        }
    }
    let Some(system) = Factored::of(system, size) else { return point };
    let v = system.solve(&v);
    let mut step: Vec<f64> = r.iter().map(|r| -r / theta).collect();
    model.add_product(-1.0 / (theta * theta), &v, &mut step);
    let mut whole = point.clone();
    for i in (0..x.len()).filter(|&i| free[i]) {
        whole[i] = limits.clamp(i, point[i] + step[i]);
    }
    let down: f64 = (0..x.len()).map(|i| (whole[i] - x[i]) * g[i]).sum();
    if down < 0.0 {
        return whole;
    }
    // The projection led up: as far as the bounds allow.
    let room = |i: usize| match step[i] {
        s if s > 0.0 => (limits.upper[i] - point[i]) / s,
        s if s < 0.0 => (limits.lower[i] - point[i]) / s,
        _ => f64::INFINITY,
    };
    let t = (0..x.len()).filter(|&i| free[i]).map(room).fold(1.0, f64::min);
    (0..x.len()).map(|i| if free[i] { limits.clamp(i, point[i] + t * step[i]) } else { point[i] }).collect()
}

/// The columns of W, zero where a number is not free.
fn columns(model: &Model<'_>, free: &[bool]) -> Vec<Vec<f64>> {
    let Memory { s, y, theta, .. } = model.memory;
    let masked = |v: &Vec<f64>, scale: f64| {
        v.iter().zip(free).map(|(v, &free)| if free { scale * v } else { 0.0 }).collect()
    };
    y.iter().map(|y| masked(y, 1.0)).chain(s.iter().map(|s| masked(s, *theta))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_systems_are_solved() {
        // The first pivot is zero.
        let a = [0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 3.0, 0.0, 1.0];
        let x = [1.0, -2.0, 3.0];
        let b: Vec<f64> = (0..3).map(|i| dot(&a[3 * i..3 * i + 3], &x)).collect();
        let found = Factored::of(a.to_vec(), 3).unwrap().solve(&b);
        assert!(found.iter().zip(x).all(|(f, x)| (f - x).abs() < 1e-14), "{found:?}");
        assert!(Factored::of(vec![1.0, 2.0, 2.0, 4.0], 2).is_none());
    }
}
