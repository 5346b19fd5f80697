//! 35 problems of Moré, Garbow, Hillstrom, "Testing unconstrained optimization software", 1981, as residuals.

use std::f64::consts::PI;
use tapegrad::prelude::*;

/// Residuals, the standard start, and the least sum of their squares.
pub struct Problem {
    pub name: &'static str,
    pub residuals: fn(&Tensor) -> Result<Tensor>,
    pub start: Vec<f64>,
    pub least: f64,
}

fn problem(
    name: &'static str,
    start: &[f64],
    least: f64,
    residuals: fn(&Tensor) -> Result<Tensor>,
) -> Problem {
    Problem { name, residuals, start: start.to_vec(), least }
}

/// 1, 2, .. n
fn count(n: usize) -> Tensor {
    Tensor::from((1..=n).map(|i| i as f64).collect::<Vec<_>>())
}

fn join(parts: &[Tensor]) -> Result<Tensor> {
    let parts: Vec<Tensor> = parts.iter().map(Tensor::flatten).collect();
    Tensor::cat(&parts, 0)
}

const BARD: [f64; 15] =
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.1, 4.39];
const GAUSSIAN: [f64; 15] = [
    0.0009, 0.0044, 0.0175, 0.054, 0.1295, 0.242, 0.3521, 0.3989, 0.3521, 0.242, 0.1295, 0.054, 0.0175,
    0.0044, 0.0009,
];
const MEYER: [f64; 16] = [
    34780., 28610., 23650., 19630., 16370., 13720., 11540., 9744., 8261., 7030., 6005., 5147., 4427., 3820.,
    3307., 2872.,
];
const KOWALIK: [[f64; 11]; 2] = [
    [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246],
    [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625],
];
const OSBORNE1: [f64; 33] = [
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.85, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628,
    0.603, 0.58, 0.558, 0.538, 0.522, 0.506, 0.49, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.42,
    0.414, 0.411, 0.406,
];
const OSBORNE2: [f64; 65] = [
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616,
    0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495,
    0.5, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672,
    0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.71, 0.729, 0.72, 0.636, 0.581,
    0.428, 0.292, 0.162, 0.098, 0.054,
];

fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let x = x.unbind(0)?;
    let pair = |p: &[Tensor]| [(&p[1] - p[0].square()) * 10.0, 1.0 - &p[0]];
    join(&x.chunks(2).flat_map(pair).collect::<Vec<_>>())
}

fn powell_singular(x: &Tensor) -> Result<Tensor> {
    let x = x.unbind(0)?;
    let four = |p: &[Tensor]| {
        [
            &p[0] + &p[1] * 10.0,
            (&p[2] - &p[3]) * 5f64.sqrt(),
            (&p[1] - &p[2] * 2.0).square(),
            (&p[0] - &p[3]).square() * 10f64.sqrt(),
        ]
    };
    join(&x.chunks(4).flat_map(four).collect::<Vec<_>>())
}

fn chebyquad(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let y = x * 2.0 - 1.0;
    let (mut before, mut now) = (Tensor::ones([n]), y.clone());
    let mut all = Vec::new();
    for i in 1..=n {
        let k = i as f64;
        let integral = if i % 2 == 0 { -1.0 / (k * k - 1.0) } else { 0.0 };
        all.push(now.mean() - integral);
        (before, now) = (now.clone(), &y * &now * 2.0 - before);
    }
    join(&all)
}

fn watson(x: &Tensor) -> Result<Tensor> {
    let t = count(29) / 29.0;
    let power = |p: usize| t.powf(p as f64);
    let p = x.unbind(0)?;
    let mut slope = Tensor::zeros([29]);
    let mut value = Tensor::zeros([29]);
    for (j, p) in p.iter().enumerate() {
        if j > 0 {
            slope += p * power(j - 1) * j as f64;
        }
        value += p * power(j);
    }
    join(&[slope - value.square() - 1.0, p[0].clone(), &p[1] - p[0].square() - 1.0])
}

/// All of them.
pub fn all() -> Vec<Problem> {
    let ones = |n: usize| vec![1.0; n];
    vec![
        problem("linear, full rank", &ones(5), 5.0, |x| {
            let (m, n) = (10.0, 5);
            join(&[x - x.sum() * (2.0 / m) - 1.0, (x.sum() * (-2.0 / m) - 1.0).expand([10 - n])?])
        }),
        problem("linear, rank one", &ones(5), 15.0 / 7.0, |x| Ok((x * count(5)).sum() * count(10) - 1.0)),
        problem("linear, rank one, zeros", &ones(5), 124.0 / 34.0, |x| {
            let inner = (x.narrow(0, 1, 3)? * Tensor::from([2.0, 3.0, 4.0])).sum();
            join(&[Tensor::from([-1.0]), inner * count(8) - 1.0, Tensor::from([-1.0])])
        }),
        problem("Rosenbrock", &[-1.2, 1.0], 0.0, rosenbrock),
        problem("helical valley", &[-1.0, 0.0, 0.0], 0.0, |x| {
            let x = x.unbind(0)?;
            let turn = x[1].atan2(&x[0])? / (2.0 * PI);
            join(&[
                (&x[2] - turn * 10.0) * 10.0,
                ((x[0].square() + x[1].square()).sqrt() - 1.0) * 10.0,
                x[2].clone(),
            ])
        }),
        problem("Powell singular", &[3.0, -1.0, 0.0, 1.0], 0.0, powell_singular),
        problem("Freudenstein and Roth", &[0.5, -2.0], 0.0, |x| {
            let x = x.unbind(0)?;
            let (a, b) = (&x[0], &x[1]);
            join(&[a - 13.0 + ((5.0 - b) * b - 2.0) * b, a - 29.0 + ((b + 1.0) * b - 14.0) * b])
        }),
        problem("Bard", &[1.0, 1.0, 1.0], 8.21487e-3, |x| {
            let x = x.unbind(0)?;
            let u = count(15);
            let v = 16.0 - &u;
            let w = u.minimum(&v)?;
            Ok(Tensor::from(BARD) - (&x[0] + u / (v * &x[1] + w * &x[2])))
        }),
        problem("Kowalik and Osborne", &[0.25, 0.39, 0.415, 0.39], 3.07505e-4, |x| {
            let x = x.unbind(0)?;
            let (y, u) = (Tensor::from(KOWALIK[0]), Tensor::from(KOWALIK[1]));
            Ok(y - &x[0] * (u.square() + &u * &x[1]) / (u.square() + &u * &x[2] + &x[3]))
        }),
        problem("Meyer", &[0.02, 4000.0, 250.0], 87.9458, |x| {
            let x = x.unbind(0)?;
            Ok(&x[0] * (&x[1] / (count(16) * 5.0 + 45.0 + &x[2])).exp() - Tensor::from(MEYER))
        }),
        problem("Watson, 6", &[0.0; 6], 2.28767e-3, watson),
        problem("Watson, 9", &[0.0; 9], 1.39976e-6, watson),
        problem("Box, three dimensions", &[0.0, 10.0, 20.0], 0.0, |x| {
            let x = x.unbind(0)?;
            let t = count(10) / 10.0;
            let sides = (-&t).exp() - (&t * -10.0).exp();
            Ok((-&t * &x[0]).exp() - (-&t * &x[1]).exp() - &x[2] * sides)
        }),
        problem("Jennrich and Sampson", &[0.3, 0.4], 124.362, |x| {
            let x = x.unbind(0)?;
            let i = count(10);
            Ok(&i * 2.0 + 2.0 - ((&i * &x[0]).exp() + (&i * &x[1]).exp()))
        }),
        problem("Brown and Dennis", &[25.0, 5.0, -5.0, -1.0], 85822.2, |x| {
            let x = x.unbind(0)?;
            let t = count(20) / 5.0;
            Ok((&x[0] + &t * &x[1] - t.exp()).square() + (&x[2] + &x[3] * t.sin() - t.cos()).square())
        }),
        problem("Chebyquad, 8", &[1., 2., 3., 4., 5., 6., 7., 8.].map(|i| i / 9.0), 3.51687e-3, chebyquad),
        problem("Brown almost linear, 10", &[0.5; 10], 0.0, |x| {
            join(&[x.narrow(0, 0, 9)? + x.sum() - 11.0, x.prod() - 1.0])
        }),
        problem("Osborne 1", &[0.5, 1.5, -1.0, 0.01, 0.02], 5.46489e-5, |x| {
            let x = x.unbind(0)?;
            let t = (count(33) - 1.0) * 10.0;
            Ok(Tensor::from(OSBORNE1) - (&x[0] + &x[1] * (-&t * &x[3]).exp() + &x[2] * (-&t * &x[4]).exp()))
        }),
        problem("Osborne 2", &[1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5], 4.01377e-2, |x| {
            let x = x.unbind(0)?;
            let t = (count(65) - 1.0) / 10.0;
            let peak = |k: usize| &x[k + 1] * (-((&t - &x[k + 8]).square()) * &x[k + 5]).exp();
            Ok(Tensor::from(OSBORNE2) - (&x[0] * (-&t * &x[4]).exp() + peak(0) + peak(1) + peak(2)))
        }),
        problem("Beale", &[1.0, 1.0], 0.0, |x| {
            let x = x.unbind(0)?;
            let term = |y: f64, i: i32| y - &x[0] * (1.0 - x[1].powf(f64::from(i)));
            join(&[term(1.5, 1), term(2.25, 2), term(2.625, 3)])
        }),
        problem("Wood", &[-3.0, -1.0, -3.0, -1.0], 0.0, |x| {
            let x = x.unbind(0)?;
            join(&[
                (&x[1] - x[0].square()) * 10.0,
                1.0 - &x[0],
                (&x[3] - x[2].square()) * 90f64.sqrt(),
                1.0 - &x[2],
                (&x[1] + &x[3] - 2.0) * 10f64.sqrt(),
                (&x[1] - &x[3]) / 10f64.sqrt(),
            ])
        }),
        problem("Gaussian", &[0.4, 1.0, 0.0], 1.12793e-8, |x| {
            let x = x.unbind(0)?;
            let t = (8.0 - count(15)) / 2.0;
            Ok(&x[0] * (&x[1] * (t - &x[2]).square() * -0.5).exp() - Tensor::from(GAUSSIAN))
        }),
        problem("Gulf", &[5.0, 2.5, 0.15], 0.0, |x| {
            let x = x.unbind(0)?;
            let t = count(99) / 100.0;
            let y = (t.log() * -50.0).powf(2.0 / 3.0) + 25.0;
            Ok((-((y - &x[1]).abs().pow(&x[2])?) / &x[0]).exp() - t)
        }),
        problem("Powell badly scaled", &[0.0, 1.0], 0.0, |x| {
            let x = x.unbind(0)?;
            join(&[&x[0] * &x[1] * 1e4 - 1.0, (-&x[0]).exp() + (-&x[1]).exp() - 1.0001])
        }),
        problem("Brown badly scaled", &[1.0, 1.0], 0.0, |x| {
            let x = x.unbind(0)?;
            join(&[&x[0] - 1e6, &x[1] - 2e-6, &x[0] * &x[1] - 2.0])
        }),
        problem("Biggs EXP6", &[1.0, 2.0, 1.0, 1.0, 1.0, 1.0], 0.0, |x| {
            let x = x.unbind(0)?;
            let t = count(13) / 10.0;
            let y = (-&t).exp() - (&t * -10.0).exp() * 5.0 + (&t * -4.0).exp() * 3.0;
            let term = |k: usize, i: usize| &x[k] * (-&t * &x[i]).exp();
            Ok(term(2, 0) - term(3, 1) + term(5, 4) - y)
        }),
        problem("penalty I, 4", &[1.0, 2.0, 3.0, 4.0], 2.24997e-5, |x| {
            join(&[(x - 1.0) * 1e-5f64.sqrt(), x.square().sum() - 0.25])
        }),
        problem("penalty II, 4", &[0.5; 4], 9.37629e-6, |x| {
            let n = x.numel();
            let a = 1e-5f64.sqrt();
            let i = count(n);
            let y = (&i / 10.0).exp() + ((&i - 1.0) / 10.0).exp();
            let (ahead, behind) = (x.narrow(0, 1, n - 1)?, x.narrow(0, 0, n - 1)?);
            let pairs = ((ahead / 10.0).exp() + (behind / 10.0).exp() - y.narrow(0, 1, n - 1)?) * a;
            let single = ((x.narrow(0, 1, n - 1)? / 10.0).exp() - (-0.1f64).exp()) * a;
            let weights = (n + 1) as f64 - &i;
            join(&[x.select(0, 0)? - 0.2, pairs, single, (weights * x.square()).sum() - 1.0])
        }),
        problem(
            "variably dimensioned, 10",
            &[1., 2., 3., 4., 5., 6., 7., 8., 9., 10.].map(|i| 1.0 - i / 10.0),
            0.0,
            |x| {
                let sum = ((x - 1.0) * count(10)).sum();
                join(&[x - 1.0, sum.clone(), sum.square()])
            },
        ),
        problem("trigonometric, 10", &[0.1; 10], 0.0, |x| {
            Ok(10.0 - x.cos().sum() + count(10) * (1.0 - x.cos()) - x.sin())
        }),
        problem("extended Rosenbrock, 10", &[-1.2, 1.0].repeat(5), 0.0, rosenbrock),
        problem("extended Powell singular, 12", &[3.0, -1.0, 0.0, 1.0].repeat(3), 0.0, powell_singular),
        problem(
            "discrete boundary value, 10",
            &[1., 2., 3., 4., 5., 6., 7., 8., 9., 10.].map(|i| i / 11.0 * (i / 11.0 - 1.0)),
            0.0,
            |x| {
                let h = 1.0 / 11.0;
                let neighbours =
                    x.pad([1, 0], 0.0)?.narrow(0, 0, 10)? + x.pad([0, 1], 0.0)?.narrow(0, 1, 10)?;
                Ok(x * 2.0 - neighbours + (x + count(10) * h + 1.0).powf(3.0) * (h * h / 2.0))
            },
        ),
        problem(
            "discrete integral equation, 10",
            &[1., 2., 3., 4., 5., 6., 7., 8., 9., 10.].map(|i| i / 11.0 * (i / 11.0 - 1.0)),
            0.0,
            |x| {
                let h = 1.0 / 11.0;
                let t = count(10) * h;
                let cubes = (x + &t + 1.0).powf(3.0);
                let (below, above) = (&t * &cubes, (1.0 - &t) * &cubes);
                // Sums up to i, and beyond it.
                let below = below.cumsum(0)?;
                let above = above.sum() - above.cumsum(0)?;
                Ok(x + ((1.0 - &t) * below + t * above) * (h / 2.0))
            },
        ),
        problem("Broyden tridiagonal, 10", &[-1.0; 10], 0.0, |x| {
            let before = x.pad([1, 0], 0.0)?.narrow(0, 0, 10)?;
            let after = x.pad([0, 1], 0.0)?.narrow(0, 1, 10)?;
            Ok((3.0 - x * 2.0) * x - before - after * 2.0 + 1.0)
        }),
        problem("Broyden banded, 10", &[-1.0; 10], 0.0, |x| {
            let near = x * (x + 1.0);
            let mut band = Tensor::zeros([10]);
            for shift in 1..=5usize {
                band += near.pad([shift, 0], 0.0)?.narrow(0, 0, 10)?;
            }
            band += near.pad([0, 1], 0.0)?.narrow(0, 1, 10)?;
            Ok(x * (x.square() * 5.0 + 2.0) + 1.0 - band)
        }),
    ]
}
