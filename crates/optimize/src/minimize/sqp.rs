//! Sequential quadratic programming: constraints of small problems.

use super::augmented::{Kind, Multipliers, Part};
use super::quadratic::{self, Cholesky, Row};
use super::{Flat, Found, Function, Halt, MinimizeOptions, Search, begin, finish, flat};
use crate::report::{Callback, Stop};
use crate::vector::{axpy, dot};
use autograd::{Tensor, no_grad, value_and_jacobian};
use tensor_core::{Error, ErrorKind, Result};

/// Trials along one direction.
const TRIALS: usize = 25;

/// The constraints' elements at a point, and their derivatives, row by row.
#[derive(Default)]
struct Linear {
    values: Vec<f64>,
    rows: Vec<Vec<f64>>,
}

/// All constraints, as functions of z = x / scale.
struct Constraints<'a> {
    parts: &'a [Part<'a>],
    flat: Flat,
    scale: Option<&'a [f64]>,
    /// Of each element.
    kinds: Vec<Kind>,
    shapes: Vec<Vec<usize>>,
}

impl Constraints<'_> {
    /// The constraints at a point that is given without scaling.
    fn at(&mut self, x: &[f64]) -> Result<Linear> {
        let x = self.flat.tensors(x)?;
        let mut all = Linear::default();
        self.kinds.clear();
        self.shapes.clear();
        for part in self.parts {
            let (value, blocks) = no_grad(|| value_and_jacobian(|x: &Vec<Tensor>| (part.f)(x), &x))?;
            let value = value.detach();
            let blocks: Vec<(usize, Vec<f64>)> =
                blocks.iter().zip(&x).map(|(block, x)| (x.numel(), block.detach().to_vec())).collect();
            for k in 0..value.numel() {
                let mut row = Vec::with_capacity(self.flat.numel());
                for (n, block) in &blocks {
                    row.extend_from_slice(&block[k * n..(k + 1) * n]);
                }
                if let Some(scale) = self.scale {
                    row.iter_mut().zip(scale).for_each(|(a, s)| *a *= s);
                }
                all.rows.push(row);
                self.kinds.push(part.kind);
            }
            all.values.extend(flat::values(std::slice::from_ref(&value)));
            self.shapes.push(value.shape().to_vec());
        }
        Ok(all)
    }

    /// How far each element is from being met.
    fn violations(&self, values: &[f64]) -> Vec<f64> {
        let off = |(kind, c): (&Kind, &f64)| if *kind == Kind::Equal { c.abs() } else { (-c).max(0.0) };
        self.kinds.iter().zip(values).map(off).collect()
    }

    /// One tensor for each constraint.
    fn tensors(&self, mut numbers: &[f64]) -> Result<Vec<Tensor>> {
        let tensor = |shape: &Vec<usize>| {
            let (part, rest) = numbers.split_at(shape.iter().product());
            numbers = rest;
            Tensor::from_slice(part, shape)
        };
        self.shapes.iter().map(tensor).collect()
    }
}

/// The Lagrangian's gradient, g - A^T m.
fn lagrangian(g: &[f64], linear: &Linear, multipliers: &[f64]) -> Vec<f64> {
    let mut sum = g.to_vec();
    linear.rows.iter().zip(multipliers).for_each(|(row, m)| axpy(-m, row, &mut sum));
    sum
}

/// The step that a quadratic program says, and its multipliers; `left` is how much of the violations it has to leave.
struct Step {
    d: Vec<f64>,
    multipliers: Vec<f64>,
    left: f64,
}

/// With B for the Lagrangian's Hessian. Where the linearised constraints contradict each other, each is
/// relaxed by the same fraction of its violation, which costs, as in Kraft's.
fn step(b: &[Vec<f64>], search: &Search<'_, '_>, linear: &Linear, kinds: &[Kind]) -> Option<Step> {
    let (g, x, n) = (&search.at.gradient, &search.at.x, search.at.x.len());
    let m = kinds.len();
    let unit = |i: usize, sign: f64| (0..n).map(|j| if i == j { sign } else { 0.0 }).collect();
    let mut rows: Vec<Row> = Vec::with_capacity(m);
    for ((a, &c), kind) in linear.rows.iter().zip(&linear.values).zip(kinds) {
        rows.push(Row { a: a.clone(), c, equal: *kind == Kind::Equal });
    }
    for (i, x) in x.iter().enumerate() {
        let room = [(x - search.limits.lower[i], 1.0), (search.limits.upper[i] - x, -1.0)];
        let finite = room.iter().filter(|(c, _)| c.is_finite());
        rows.extend(finite.map(|&(c, sign)| Row { a: unit(i, sign), c, equal: false }));
    }
    if let Some((d, mut multipliers)) = quadratic::solve(&Cholesky::of(b)?, g, &rows) {
        multipliers.truncate(m);
        return Some(Step { d, multipliers, left: 0.0 });
    }
    for (k, row) in rows.iter_mut().enumerate() {
        let relaxed = k < m && (row.equal || row.c < 0.0);
        row.a.push(if relaxed { -row.c } else { 0.0 });
    }
    let mut last = vec![0.0; n + 1];
    last[n] = 1.0;
    rows.push(Row { a: last.clone(), c: 0.0, equal: false });
    let mut wider: Vec<Vec<f64>> = b.iter().map(|row| row.iter().copied().chain([0.0]).collect()).collect();
    last[n] = 1e4 * b.iter().enumerate().fold(1.0, |most: f64, (i, row)| most.max(row[i]));
    wider.push(last);
    let g: Vec<f64> = g.iter().copied().chain([0.0]).collect();
    let (mut d, mut multipliers) = quadratic::solve(&Cholesky::of(&wider)?, &g, &rows)?;
    multipliers.truncate(m);
    let left = d.pop()?.clamp(0.0, 1.0);
    Some(Step { d, multipliers, left })
}

/// B after a step s along which the Lagrangian's gradient changed by y, positive definite whatever the curvature: Powell,
/// "A fast algorithm for nonlinearly constrained optimization calculations", 1978.
fn update(b: &mut [Vec<f64>], s: &[f64], mut y: Vec<f64>) {
    let bs: Vec<f64> = b.iter().map(|row| dot(row, s)).collect();
    let (curve, sbs) = (dot(s, &y), dot(s, &bs));
    if curve.is_nan() || sbs.is_nan() || sbs <= 0.0 {
        return;
    }
    if curve < 0.2 * sbs {
        let theta = 0.8 * sbs / (sbs - curve);
        y.iter_mut().zip(&bs).for_each(|(y, bs)| *y = theta * *y + (1.0 - theta) * bs);
    }
    let curve = dot(s, &y);
    for (i, row) in b.iter_mut().enumerate() {
        axpy(y[i] / curve, &y, row);
        axpy(-bs[i] / sbs, &bs, row);
    }
}

fn identity(n: usize) -> Vec<Vec<f64>> {
    (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect()
}

/// Han and Powell's method as Kraft, "A software package for sequential quadratic programming", 1988, has it: a quadratic
/// program for each step, its Hessian by BFGS, and a search on the sum of f and weighted violations.
pub(crate) fn solve<'c>(
    op: &'static str,
    f: &Function<'_>,
    parts: &[Part<'_>],
    x0: &[Tensor],
    options: &MinimizeOptions<'_>,
    callback: Option<&'c mut Callback<'c>>,
) -> Result<(Found, Multipliers)> {
    let mut search = begin(op, f, x0, options, callback)?;
    // What ends a search without constraints does not end this one.
    (search.tolerances.gradient, search.tolerances.value) = (-1.0, -1.0);
    let scale = options.scale.as_deref();
    let flat = Flat::of(op, x0)?;
    let mut constraints = Constraints { parts, flat, scale, kinds: vec![], shapes: vec![] };
    let mut linear = constraints.at(&search.objective.unscaled(&search.at.x))?;
    if linear.values.iter().chain(linear.rows.iter().flatten()).any(|c| !c.is_finite()) {
        let message = "a constraint, or its derivative, is not finite at x0: begin where it is";
        return Err(Error::new(ErrorKind::NotFinite, op, message));
    }
    let mut multipliers = vec![0.0; linear.values.len()];
    let stop = match run(&mut search, &mut constraints, &mut linear, &mut multipliers, options) {
        Halt::Error(error) => return Err(error),
        Halt::Stop(stop) => stop,
    };
    search.at.gradient = lagrangian(&search.at.gradient, &linear, &multipliers);
    let violation = constraints.violations(&linear.values).into_iter().fold(0.0, f64::max);
    let known = Multipliers { multipliers: constraints.tensors(&multipliers)?, violation };
    Ok((finish(search, options, stop), known))
}

fn run(
    search: &mut Search<'_, '_>,
    constraints: &mut Constraints<'_>,
    linear: &mut Linear,
    multipliers: &mut Vec<f64>,
    options: &MinimizeOptions<'_>,
) -> Halt {
    let n = search.at.x.len();
    let (mut b, mut fresh) = (identity(n), true);
    let mut weights = vec![0.0; linear.values.len()];
    loop {
        let violations = constraints.violations(&linear.values);
        let within = violations.iter().all(|v| *v <= options.ctol);
        // The multipliers of the last step are those of its end, within what a step changes.
        let gradient = lagrangian(&search.at.gradient, linear, multipliers);
        let size = search.limits.gradient_norm(&search.at.x, &gradient);
        let idle = |((kind, c), m): ((&Kind, &f64), &f64)| {
            *kind == Kind::Equal || c.abs().min(m.abs()) <= options.gtol
        };
        let complementary = constraints.kinds.iter().zip(&linear.values).zip(&*multipliers).all(idle);
        if within && size <= options.gtol && complementary {
            return Halt::Stop(Stop::Gradient);
        }
        if search.iterations >= options.max_iterations {
            return Halt::Stop(Stop::Iterations);
        }
        let found = step(&b, search, linear, &constraints.kinds);
        let slope = |step: &Step| {
            let weighted = weights.iter().zip(&step.multipliers).zip(&violations);
            let all: f64 = weighted.map(|((w, m), v)| m.abs().max(0.5 * (w + m.abs())) * v).sum();
            dot(&search.at.gradient, &step.d) - (1.0 - step.left) * all
        };
        let Some(found) = found.filter(|found| slope(found) < 0.0 || fresh) else {
            if fresh {
                return Halt::Stop(Stop::NoProgress);
            }
            (b, fresh) = (identity(n), true);
            continue;
        };
        let slope = slope(&found);
        let force: f64 = found.multipliers.iter().zip(&violations).map(|(m, v)| m.abs() * v).sum();
        let foreseen = dot(&search.at.gradient, &found.d).abs() + force;
        *multipliers = found.multipliers;
        if within && foreseen <= options.ftol * search.at.value.abs().max(1.0) {
            return Halt::Stop(Stop::Value);
        }
        if slope >= 0.0 {
            return Halt::Stop(Stop::NoProgress);
        }
        let heavier = weights.iter_mut().zip(&*multipliers);
        heavier.for_each(|(w, m)| *w = m.abs().max(0.5 * (*w + m.abs())));
        let (mut length, start) = (1.0, search.at.value + dot(&weights, &violations));
        let mut next = None;
        for _ in 0..TRIALS {
            let value = match search.try_step(&found.d, length) {
                Ok((value, _)) => value,
                Err(halt) => return halt,
            };
            let trial = match constraints.at(&search.objective.unscaled(&search.trial.x)) {
                Ok(trial) => trial,
                Err(error) => return Halt::Error(error),
            };
            let merit = value + dot(&weights, &constraints.violations(&trial.values));
            if merit <= start + 0.1 * length * slope + 1e-14 * start.abs() {
                next = Some(trial);
                break;
            }
            // Where the parabola through both values and the slope is least.
            let least = 0.5 * length * slope / (length * slope - (merit - start));
            length *= if least.is_finite() { least.clamp(0.1, 0.5) } else { 0.1 };
        }
        let Some(trial) = next else {
            if fresh {
                return Halt::Stop(Stop::NoProgress);
            }
            (b, fresh) = (identity(n), true);
            continue;
        };
        let mut y = lagrangian(&search.trial.gradient, &trial, multipliers);
        axpy(-1.0, &lagrangian(&search.at.gradient, linear, multipliers), &mut y);
        let s: Vec<f64> = search.trial.x.iter().zip(&search.at.x).map(|(new, old)| new - old).collect();
        update(&mut b, &s, y);
        fresh = false;
        *linear = trial;
        if let Err(halt) = search.accept(false) {
            return halt;
        }
        let (new, old) = (search.at.value, search.trial.value);
        let still = length == 1.0 && (new - old).abs() <= options.ftol * new.abs().max(old.abs()).max(1.0);
        if still && constraints.violations(&linear.values).iter().all(|v| *v <= options.ctol) {
            return Halt::Stop(Stop::Value);
        }
    }
}
