//! Divided differences: what functions of symmetric matrices, and their derivatives, are made of.

use crate::matrix::analytic::Analytic;

/// Points this near each other, relative to the radius, are one point and its Taylor series: apart they
/// lose at most one digit to cancellation.
const NEAR: f64 = 0.1;
/// Terms of the series: (NEAR / 2)^13 is below the rounding of f64.
const TERMS: usize = 13;

/// f[x_0, .., x_k], the divided difference over `points` in ascending order: for equal points the derivative
/// of order k over k!.
///
/// Points apart by the recursion (f[x_1, .., x_k] - f[x_0, .., x_(k-1)]) / (x_k - x_0); near ones by the
/// series sum_j c_(k+j) h_j(x_0 - m, .., x_k - m) around the middle m, where h_j is the complete homogeneous
/// symmetric polynomial (de Boor, "Divided differences", Surveys in Approximation Theory 1, 2005).
pub fn divided_difference(f: &dyn Analytic, points: &[f64]) -> f64 {
    let (first, last) = (points[0], points[points.len() - 1]);
    if first == last {
        return f.coefficient(points.len() - 1, first);
    }
    let middle = 0.5 * (first + last);
    let radius = f.radius(middle).min(f.radius(first)).min(f.radius(last));
    if last - first > NEAR * radius {
        let (upper, lower) = (&points[1..], &points[..points.len() - 1]);
        return (divided_difference(f, upper) - divided_difference(f, lower)) / (last - first);
    }
    // h[j] over the points so far: each further one adds x h[j - 1]. In units of the radius nothing leaves the range.
    let unit = if radius.is_finite() { radius } else { 1.0 };
    let mut h = [0.0; TERMS];
    h[0] = 1.0;
    for x in points {
        for j in 1..TERMS {
            h[j] += (x - middle) / unit * h[j - 1];
        }
    }
    let order = points.len() - 1;
    let sum: f64 = (0..TERMS).rev().map(|j| f.scaled_coefficient(order + j, middle, unit) * h[j]).sum();
    (0..order).fold(sum, |sum, _| sum / unit)
}

/// The derivative of order k of a function of a diagonal matrix, in the directions E_1, .., E_k, all `n x n`:
/// K_ij = sum over orders of the directions and over paths from i to j of
/// f[w_i, .., w_j] E_(1) .. E_(k) along the path (Daleckii and Krein 1965; Higham, "Functions of Matrices",
/// theorem 3.11, for k = 1). `w` is ascending and the directions are symmetric, as is what is returned.
pub fn derivative(f: &dyn Analytic, w: &[f64], directions: &[Vec<f64>], out: &mut [f64]) {
    let (n, k) = (w.len(), directions.len());
    assert!(out.len() == n * n && directions.iter().all(|e| e.len() == n * n));
    if k == 0 {
        out.fill(0.0);
        (0..n).for_each(|i| out[i * n + i] = f.coefficient(0, w[i]));
        return;
    }
    let orders = permutations(k);
    let mut path = vec![0; k + 1];
    let mut points = vec![0.0; k + 1];
    for i in 0..n {
        for j in i..n {
            path.fill(0);
            (path[0], path[k]) = (i, j);
            let mut sum = 0.0;
            loop {
                let along = |order: &Vec<usize>| -> f64 {
                    order
                        .iter()
                        .zip(path.windows(2))
                        .map(|(&e, step)| directions[e][step[0] * n + step[1]])
                        .product()
                };
                let weight: f64 = orders.iter().map(along).sum();
                if weight != 0.0 {
                    for (point, &p) in points.iter_mut().zip(&path) {
                        *point = w[p];
                    }
                    points.sort_by(f64::total_cmp);
                    sum += weight * divided_difference(f, &points);
                }
                // The inner places count up as the digits of a number to base n.
                let Some(place) = (1..k).rev().find(|&l| path[l] + 1 < n) else { break };
                path[place] += 1;
                path[place + 1..k].fill(0);
            }
            out[i * n + j] = sum;
            out[j * n + i] = sum;
        }
    }
}

/// All orders of 0, .., k - 1.
fn permutations(k: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..k {
        let longer = |order: &Vec<usize>| {
            (0..=next)
                .map(|at| {
                    let mut order = order.clone();
                    order.insert(at, next);
                    order
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp;
    impl Analytic for Exp {
        fn coefficient(&self, n: usize, x: f64) -> f64 {
            (1..=n).fold(x.exp(), |c, k| c / k as f64)
        }
        fn radius(&self, _: f64) -> f64 {
            1.0
        }
    }

    struct Reciprocal;
    impl Analytic for Reciprocal {
        fn coefficient(&self, n: usize, x: f64) -> f64 {
            (-1f64).powi(n as i32) / x.powi(n as i32 + 1)
        }
        fn radius(&self, x: f64) -> f64 {
            x.abs()
        }
    }

    #[test]
    fn differences_lose_no_digits_near_or_far() {
        // (1/x)[x_0, .., x_k] = (-1)^k / (x_0 .. x_k), at any distance.
        for points in [
            vec![1.0, 1.0],
            vec![1.0, 1.0 + 1e-12],
            vec![1.0, 1.09],
            vec![1.0, 1.3],
            vec![0.5, 0.5, 0.5],
            vec![0.5, 0.5 + 1e-9, 2.0],
            vec![1e-3, 2e-3, 5.0, 5.0],
            vec![3.0, 3.1, 3.2, 3.25],
        ] {
            let k = points.len() as i32 - 1;
            let exact = (-1f64).powi(k) / points.iter().product::<f64>();
            let found = divided_difference(&Reciprocal, &points);
            assert!((found / exact - 1.0).abs() < 1e-12, "{points:?}: {found} instead of {exact}");
        }
        // e^x[a, b] = e^b (e^(a - b) - 1) / (a - b)
        for (a, b) in [(0.0, 1e-300), (-1e-9, 1e-9), (3.0, 3.07), (3.0, 3.5), (-2.0, 4.0)] {
            let exact = f64::exp(b) * f64::exp_m1(a - b) / (a - b);
            let found = divided_difference(&Exp, &[a, b]);
            assert!((found / exact - 1.0).abs() < 1e-14, "{a} {b}: {found} instead of {exact}");
        }
    }

    #[test]
    fn derivatives_of_the_inverse() {
        // d/dt (D + t E)^-1 = -D^-1 E D^-1, and the second derivative 2 D^-1 E D^-1 E D^-1.
        let (w, e) = ([1.0, 1.0, 4.0], vec![1.0, 2.0, 3.0, 2.0, 0.5, -1.0, 3.0, -1.0, 2.0]);
        let mut out = [0.0; 9];
        derivative(&Reciprocal, &w, std::slice::from_ref(&e), &mut out);
        for i in 0..3 {
            for j in 0..3 {
                assert!((out[i * 3 + j] + e[i * 3 + j] / (w[i] * w[j])).abs() < 1e-14);
            }
        }
        derivative(&Reciprocal, &w, &[e.clone(), e.clone()], &mut out);
        for i in 0..3 {
            for j in 0..3 {
                let exact: f64 =
                    (0..3).map(|m| 2.0 * e[i * 3 + m] * e[m * 3 + j] / (w[i] * w[m] * w[j])).sum();
                assert!((out[i * 3 + j] - exact).abs() < 1e-13);
            }
        }
    }
}
