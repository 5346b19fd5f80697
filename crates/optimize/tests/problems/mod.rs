//! Problems with known minima. Moré, Garbow, Hillstrom, "Testing unconstrained optimization software", 1981: numbers, starts and
//! minima are theirs.

use tapegrad::linalg::Linalg;
use tapegrad::{Result, Tensor};

pub struct Problem {
    pub name: &'static str,
    pub start: Vec<f64>,
    pub f: fn(&Tensor) -> Result<Tensor>,
    /// The global minimum, and known local ones.
    pub minima: &'static [f64],
}

impl Problem {
    /// Whether a value agrees with a known minimum to four digits, as the Ceres solver counts its own; of a minimum that is
    /// zero, to four digits of 1.
    pub fn solved_by(&self, value: f64) -> bool {
        self.minima.iter().any(|&m| (value - m).abs() <= 1e-4 * if m == 0.0 { 1.0 } else { m })
    }
}

fn at(x: &Tensor, i: usize) -> Result<Tensor> {
    x.select(0, i)
}

fn numbers(numbers: &[f64]) -> Tensor {
    Tensor::from(numbers.to_vec())
}

/// From `first` to `last` in steps of one.
fn count(first: usize, last: usize) -> Tensor {
    (first..=last).map(|i| i as f64).collect::<Vec<f64>>().into()
}

pub fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let (a, b) = (x.narrow(0, 0, n - 1)?, x.narrow(0, 1, n - 1)?);
    Ok((b - a.square()).square().sum() * 100.0 + (1.0 - a).square().sum())
}

fn freudenstein_roth(x: &Tensor) -> Result<Tensor> {
    let (x, y) = (at(x, 0)?, at(x, 1)?);
    let a = ((5.0 - &y) * &y - 2.0) * &y + &x - 13.0;
    let b = ((&y + 1.0) * &y - 14.0) * &y + x - 29.0;
    Ok(a.square() + b.square())
}

fn powell_badly_scaled(x: &Tensor) -> Result<Tensor> {
    let (x, y) = (at(x, 0)?, at(x, 1)?);
    Ok((&x * &y * 1e4 - 1.0).square() + ((-x).exp() + (-y).exp() - 1.0001).square())
}

fn brown_badly_scaled(x: &Tensor) -> Result<Tensor> {
    let (x, y) = (at(x, 0)?, at(x, 1)?);
    Ok((&x - 1e6).square() + (&y - 2e-6).square() + (x * y - 2.0).square())
}

fn beale(x: &Tensor) -> Result<Tensor> {
    let (x, y) = (at(x, 0)?, at(x, 1)?);
    let part = |c: f64, k: i32| (c - &x * (1.0 - y.powi(k))).square();
    Ok(part(1.5, 1) + part(2.25, 2) + part(2.625, 3))
}

fn jennrich_sampson(x: &Tensor) -> Result<Tensor> {
    let i = count(1, 10);
    let r = &i * 2.0 + 2.0 - (&i * at(x, 0)?).exp() - (&i * at(x, 1)?).exp();
    Ok(r.square().sum())
}

fn helical_valley(x: &Tensor) -> Result<Tensor> {
    let (x, y, z) = (at(x, 0)?, at(x, 1)?, at(x, 2)?);
    let turn = y.atan2(&x)? / (2.0 * std::f64::consts::PI);
    let r = (x.square() + y.square()).sqrt();
    Ok(((&z - turn * 10.0) * 10.0).square() + ((r - 1.0) * 10.0).square() + z.square())
}

fn bard(x: &Tensor) -> Result<Tensor> {
    let y =
        numbers(&[0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]);
    let u = count(1, 15);
    let v = 16.0 - &u;
    let w = u.minimum(&v)?;
    Ok((y - (at(x, 0)? + u / (v * at(x, 1)? + w * at(x, 2)?))).square().sum())
}

fn gaussian(x: &Tensor) -> Result<Tensor> {
    let y = numbers(&[
        0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540,
        0.0175, 0.0044, 0.0009,
    ]);
    let t = (8.0 - count(1, 15)) * 0.5;
    Ok((at(x, 0)? * (at(x, 1)? * (t - at(x, 2)?).square() * -0.5).exp() - y).square().sum())
}

fn meyer(x: &Tensor) -> Result<Tensor> {
    let y = numbers(&[
        34780.0, 28610.0, 23650.0, 19630.0, 16370.0, 13720.0, 11540.0, 9744.0, 8261.0, 7030.0, 6005.0,
        5147.0, 4427.0, 3820.0, 3307.0, 2872.0,
    ]);
    let t = count(1, 16) * 5.0 + 45.0;
    Ok((at(x, 0)? * (at(x, 1)? / (t + at(x, 2)?)).exp() - y).square().sum())
}

fn gulf(x: &Tensor) -> Result<Tensor> {
    let t = count(1, 99) / 100.0;
    let y = (t.log() * -50.0).powf(2.0 / 3.0) + 25.0;
    let power = (at(x, 2)? * (y - at(x, 1)?).abs().log()).exp();
    Ok(((-power / at(x, 0)?).exp() - t).square().sum())
}

fn box_3d(x: &Tensor) -> Result<Tensor> {
    let t = count(1, 10) * 0.1;
    let known = (-&t).exp() - (&t * -10.0).exp();
    Ok(((-&t * at(x, 0)?).exp() - (-&t * at(x, 1)?).exp() - at(x, 2)? * known).square().sum())
}

/// x = (.., a, b, c, d, ..): the columns of rows of four.
fn four(x: &Tensor) -> Result<[Tensor; 4]> {
    let rows = x.reshape([x.numel() / 4, 4])?;
    Ok([rows.select(1, 0)?, rows.select(1, 1)?, rows.select(1, 2)?, rows.select(1, 3)?])
}

fn powell_singular(x: &Tensor) -> Result<Tensor> {
    let [a, b, c, d] = four(x)?;
    let first = (&a + &b * 10.0).square() + (&c - &d).square() * 5.0;
    Ok((first + (b - c * 2.0).powi(4) + (a - d).powi(4) * 10.0).sum())
}

fn wood(x: &Tensor) -> Result<Tensor> {
    let [a, b, c, d] = four(x)?;
    let first = (&b - a.square()).square() * 100.0 + (1.0 - a).square();
    let second = (&d - c.square()).square() * 90.0 + (1.0 - c).square();
    Ok((first + second + (&b + &d - 2.0).square() * 10.0 + (b - d).square() / 10.0).sum())
}

fn kowalik_osborne(x: &Tensor) -> Result<Tensor> {
    let y =
        numbers(&[0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]);
    let u = numbers(&[4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]);
    let above = at(x, 0)? * (u.square() + &u * at(x, 1)?);
    Ok((y - above / (u.square() + &u * at(x, 2)? + at(x, 3)?)).square().sum())
}

fn brown_dennis(x: &Tensor) -> Result<Tensor> {
    let t = count(1, 20) / 5.0;
    let a = (at(x, 0)? + &t * at(x, 1)? - t.exp()).square();
    let b = (at(x, 2)? + at(x, 3)? * t.sin() - t.cos()).square();
    Ok((a + b).square().sum())
}

fn osborne_1(x: &Tensor) -> Result<Tensor> {
    let y = numbers(&[
        0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658,
        0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431,
        0.424, 0.420, 0.414, 0.411, 0.406,
    ]);
    let t = count(0, 32) * -10.0;
    let model = at(x, 0)? + at(x, 1)? * (&t * at(x, 3)?).exp() + at(x, 2)? * (t * at(x, 4)?).exp();
    Ok((y - model).square().sum())
}

fn biggs(x: &Tensor) -> Result<Tensor> {
    let t = count(1, 13) * -0.1;
    let y = t.exp() - (&t * 10.0).exp() * 5.0 + (&t * 4.0).exp() * 3.0;
    let model = at(x, 2)? * (&t * at(x, 0)?).exp() - at(x, 3)? * (&t * at(x, 1)?).exp()
        + at(x, 5)? * (t * at(x, 4)?).exp();
    Ok((model - y).square().sum())
}

fn osborne_2(x: &Tensor) -> Result<Tensor> {
    let y = numbers(&[
        1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655,
        0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558,
        0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562,
        0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710,
        0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
    ]);
    let t = count(0, 64) / 10.0;
    let mut model = at(x, 0)? * (-&t * at(x, 4)?).exp();
    for k in 0..3 {
        model += at(x, 1 + k)? * (-(&t - at(x, 8 + k)?).square() * at(x, 5 + k)?).exp();
    }
    Ok((y - model).square().sum())
}

fn watson(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let t = (count(1, 29) / 29.0).unsqueeze(1)?;
    let j = count(0, n - 1);
    let slopes = &j * t.pow((&j - 1.0).clamp(0.0, f64::INFINITY))?;
    let powers = t.pow(&j)?;
    let r = slopes.mv(x)? - powers.mv(x)?.square() - 1.0;
    let (a, b) = (at(x, 0)?, at(x, 1)?);
    Ok(r.square().sum() + a.square() + (b - a.square() - 1.0).square())
}

fn extended_rosenbrock(x: &Tensor) -> Result<Tensor> {
    let rows = x.reshape([x.numel() / 2, 2])?;
    let (a, b) = (rows.select(1, 0)?, rows.select(1, 1)?);
    Ok(((b - a.square()).square() * 100.0 + (1.0 - a).square()).sum())
}

fn penalty_1(x: &Tensor) -> Result<Tensor> {
    Ok((x - 1.0).square().sum() * 1e-5 + (x.square().sum() - 0.25).square())
}

fn penalty_2(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let e = (x / 10.0).exp();
    let known = (count(2, n) / 10.0).exp() + (count(1, n - 1) / 10.0).exp();
    let pairs = e.narrow(0, 1, n - 1)? + e.narrow(0, 0, n - 1)? - known;
    let singles = e.narrow(0, 1, n - 1)? - (-0.1f64).exp();
    let weights = (n as f64 + 1.0) - count(1, n);
    Ok((at(x, 0)? - 0.2).square()
        + (pairs.square().sum() + singles.square().sum()) * 1e-5
        + ((weights * x.square()).sum() - 1.0).square())
}

fn variably_dimensioned(x: &Tensor) -> Result<Tensor> {
    let moved = x - 1.0;
    let sum = (count(1, x.numel()) * &moved).sum();
    Ok(moved.square().sum() + sum.square() + sum.powi(4))
}

fn trigonometric(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let r = n as f64 - x.cos().sum() + count(1, n) * (1.0 - x.cos()) - x.sin();
    Ok(r.square().sum())
}

fn brown_almost_linear(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let r = x + x.sum() - (n as f64 + 1.0);
    Ok(r.narrow(0, 0, n - 1)?.square().sum() + (x.prod() - 1.0).square())
}

/// x moved on by one, with zeros beyond the ends.
fn neighbours(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let n = x.numel();
    Ok((x.pad([1, 0], 0.0)?.narrow(0, 0, n)?, x.pad([0, 1], 0.0)?.narrow(0, 1, n)?))
}

fn discrete_boundary_value(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let h = 1.0 / (n as f64 + 1.0);
    let (before, after) = neighbours(x)?;
    let r = x * 2.0 - before - after + (x + count(1, n) * h + 1.0).powi(3) * (0.5 * h * h);
    Ok(r.square().sum())
}

fn broyden_tridiagonal(x: &Tensor) -> Result<Tensor> {
    let (before, after) = neighbours(x)?;
    Ok(((3.0 - x * 2.0) * x - before - after * 2.0 + 1.0).square().sum())
}

fn chebyquad(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let y = x * 2.0 - 1.0;
    let (mut before, mut polynomial) = (y.ones_like(), y.clone());
    let mut sum = Tensor::scalar(0.0);
    for i in 1..=n {
        let integral = if i % 2 == 0 { -1.0 / ((i * i) as f64 - 1.0) } else { 0.0 };
        sum += (polynomial.mean() - integral).square();
        let next = &y * 2.0 * &polynomial - before;
        (before, polynomial) = (polynomial, next);
    }
    Ok(sum)
}

fn repeated(part: &[f64], times: usize) -> Vec<f64> {
    part.repeat(times)
}

/// The problems of the paper that are written here, at the sizes of its tables.
pub fn more_garbow_hillstrom() -> Vec<Problem> {
    let problem = |name, start: Vec<f64>, f, minima| Problem { name, start, f, minima };
    let points = |n: usize| (1..=n).map(|i| i as f64 / (n as f64 + 1.0)).collect::<Vec<f64>>();
    vec![
        problem("Rosenbrock", vec![-1.2, 1.0], rosenbrock, &[0.0]),
        problem("Freudenstein-Roth", vec![0.5, -2.0], freudenstein_roth, &[0.0, 48.98425367]),
        problem("Powell badly scaled", vec![0.0, 1.0], powell_badly_scaled, &[0.0]),
        problem("Brown badly scaled", vec![1.0, 1.0], brown_badly_scaled, &[0.0]),
        problem("Beale", vec![1.0, 1.0], beale, &[0.0]),
        problem("Jennrich-Sampson", vec![0.3, 0.4], jennrich_sampson, &[124.3621824]),
        problem("helical valley", vec![-1.0, 0.0, 0.0], helical_valley, &[0.0]),
        problem("Bard", vec![1.0; 3], bard, &[8.214877307e-3, 17.42869333]),
        problem("Gaussian", vec![0.4, 1.0, 0.0], gaussian, &[1.127932770e-8]),
        problem("Meyer", vec![0.02, 4000.0, 250.0], meyer, &[87.94585517]),
        problem("Gulf", vec![5.0, 2.5, 0.15], gulf, &[0.0]),
        problem("Box", vec![0.0, 10.0, 20.0], box_3d, &[0.0]),
        problem("Powell singular", vec![3.0, -1.0, 0.0, 1.0], powell_singular, &[0.0]),
        problem("Wood", vec![-3.0, -1.0, -3.0, -1.0], wood, &[0.0]),
        problem(
            "Kowalik-Osborne",
            vec![0.25, 0.39, 0.415, 0.39],
            kowalik_osborne,
            &[3.075056039e-4, 1.02734e-3],
        ),
        problem("Brown-Dennis", vec![25.0, 5.0, -5.0, -1.0], brown_dennis, &[85822.20163]),
        problem("Osborne 1", vec![0.5, 1.5, -1.0, 0.01, 0.02], osborne_1, &[5.464894697e-5]),
        problem("Biggs EXP6", vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0], biggs, &[0.0, 5.655649925e-3]),
        problem(
            "Osborne 2",
            vec![1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5],
            osborne_2,
            &[4.013774e-2],
        ),
        problem("Watson 6", vec![0.0; 6], watson, &[2.287670054e-3]),
        problem("Watson 9", vec![0.0; 9], watson, &[1.399760138e-6]),
        problem("extended Rosenbrock 10", repeated(&[-1.2, 1.0], 5), extended_rosenbrock, &[0.0]),
        problem("extended Powell 12", repeated(&[3.0, -1.0, 0.0, 1.0], 3), powell_singular, &[0.0]),
        problem("penalty I 4", count(1, 4).to_vec(), penalty_1, &[2.249977501e-5]),
        problem("penalty I 10", count(1, 10).to_vec(), penalty_1, &[7.087651e-5]),
        problem("penalty II 4", vec![0.5; 4], penalty_2, &[9.376293e-6]),
        problem("penalty II 10", vec![0.5; 10], penalty_2, &[2.936605e-4]),
        problem(
            "variably dimensioned 10",
            (1..=10).map(|i| 1.0 - i as f64 / 10.0).collect(),
            variably_dimensioned,
            &[0.0],
        ),
        problem("trigonometric 10", vec![0.1; 10], trigonometric, &[0.0, 2.795056e-5]),
        problem("Brown almost-linear 10", vec![0.5; 10], brown_almost_linear, &[0.0, 1.0]),
        problem(
            "discrete boundary value 10",
            points(10).into_iter().map(|t| t * (t - 1.0)).collect(),
            discrete_boundary_value,
            &[0.0],
        ),
        problem("Broyden tridiagonal 10", vec![-1.0; 10], broyden_tridiagonal, &[0.0]),
        problem("Chebyquad 7", points(7), chebyquad, &[0.0]),
        problem("Chebyquad 8", points(8), chebyquad, &[3.516873726e-3]),
    ]
}
