//! Minima under constraints: Hock, Schittkowski, "Test examples for nonlinear programming codes", 1981, and others.

use tapegrad::linalg::Linalg;
use tapegrad::optimize::{Bounds, Constraint};
use tapegrad::{Result, Tensor, linspace};

pub struct Constrained {
    pub name: &'static str,
    pub f: fn(&Tensor) -> Result<Tensor>,
    pub constraints: Vec<Constraint<'static, Tensor>>,
    pub start: Vec<f64>,
    pub bounds: Option<Bounds>,
    pub minimum: f64,
    /// Evaluations of SciPy's SLSQP (1.17.1) with `ftol` 2.2e-9.
    pub scipy: usize,
}

/// The numbers of a short vector.
fn each<const N: usize>(x: &Tensor) -> Result<[Tensor; N]> {
    let all: Result<Vec<Tensor>> = (0..N).map(|i| x.select(0, i)).collect();
    all?.try_into().map_err(|_| tapegrad::Error::other("too few numbers"))
}

fn row(
    name: &'static str,
    f: fn(&Tensor) -> Result<Tensor>,
    constraints: Vec<Constraint<'static, Tensor>>,
    start: &[f64],
    (minimum, scipy): (f64, usize),
) -> Constrained {
    Constrained { name, f, constraints, start: start.to_vec(), bounds: None, minimum, scipy }
}

fn portfolio(x: &Tensor) -> Result<Tensor> {
    let n = x.numel();
    let risks: Tensor = linspace(0.1, 2.0, n)?;
    let returns: Tensor = linspace(0.5, 1.5, n)?;
    Ok((risks * x.square()).sum() + x.sum().square() * 0.1 - returns.dot(x)?)
}

pub fn constrained() -> Vec<Constrained> {
    let c6 = |x: &Tensor| each(x).map(|[x, y]| (y - x.square()) * 10.0);
    let c7 = |x: &Tensor| each(x).map(|[x, y]| (1.0 + x.square()).square() + y.square() - 4.0);
    let c26 = |x: &Tensor| each(x).map(|[x, y, z]| (1.0 + y.square()) * x + z.powi(4) - 3.0);
    let c35 = |x: &Tensor| each(x).map(|[x, y, z]| 3.0 - x - y - z * 2.0);
    let c43 = |x: &Tensor| {
        let weights = Tensor::from([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 1.0, 2.0], [2.0, 1.0, 1.0, 0.0]]);
        let slopes = Tensor::from([[1.0, -1.0, 1.0, -1.0], [-1.0, 0.0, 0.0, -1.0], [2.0, -1.0, 0.0, -1.0]]);
        Ok(Tensor::from([8.0, 10.0, 5.0]) - weights.mv(&x.square())? - slopes.mv(x)?)
    };
    let c100 = |x: &Tensor| {
        let [a, b, c, d, e, f, g] = each(x)?;
        let first = 127.0 - a.square() * 2.0 - b.powi(4) * 3.0 - &c - d.square() * 4.0 - &e * 5.0;
        let second = 282.0 - &a * 7.0 - &b * 3.0 - c.square() * 10.0 - d + e;
        let third = 196.0 - &a * 23.0 - b.square() - f.square() * 6.0 + &g * 8.0;
        let last = a.square() * -4.0 - b.square() + a * b * 3.0 - c.square() * 2.0 - f * 5.0 + g * 11.0;
        Tensor::stack(&[first, second, third, last], 0)
    };
    let positive = |row: Constrained| Constrained { bounds: Some(Bounds::all(0.0, f64::INFINITY)), ..row };
    vec![
        row(
            "HS 6",
            |x| each(x).map(|[x, _]| (1.0 - x).square()),
            vec![Constraint::equal(c6)],
            &[-1.2, 1.0],
            (0.0, 11),
        ),
        row(
            "HS 7",
            |x| each(x).map(|[x, y]| (1.0 + x.square()).log() - y),
            vec![Constraint::equal(c7)],
            &[2.0, 2.0],
            (-(3f64.sqrt()), 12),
        ),
        row(
            "HS 26",
            |x| each(x).map(|[x, y, z]| (x - &y).square() + (y - z).powi(4)),
            vec![Constraint::equal(c26)],
            &[-2.6, 2.0, 2.0],
            (0.0, 37),
        ),
        positive(row(
            "HS 35",
            |x| {
                let [a, b, c] = each(x)?;
                let squares = a.square() * 2.0 + b.square() * 2.0 + c.square();
                Ok(9.0 - &a * 8.0 - &b * 6.0 - &c * 4.0 + squares + &a * b * 2.0 + a * c * 2.0)
            },
            vec![Constraint::at_least(c35)],
            &[0.5; 3],
            (1.0 / 9.0, 7),
        )),
        row(
            "HS 43",
            |x| {
                let (curves, lines) =
                    (Tensor::from([1.0, 1.0, 2.0, 1.0]), Tensor::from([-5.0, -5.0, -21.0, 7.0]));
                Ok(curves.dot(&x.square())? + lines.dot(x)?)
            },
            vec![Constraint::at_least(c43)],
            &[0.0; 4],
            (-44.0, 12),
        ),
        Constrained {
            bounds: Some(Bounds::all(1.0, 5.0)),
            ..row(
                "HS 71",
                |x| each(x).map(|[a, b, c, d]| (&a + b + &c) * a * d + c),
                vec![
                    Constraint::at_least(|x: &Tensor| Ok(x.prod() - 25.0)),
                    Constraint::equal(|x: &Tensor| Ok(x.square().sum() - 40.0)),
                ],
                &[1.0, 5.0, 5.0, 1.0],
                (17.0140173, 6),
            )
        },
        row(
            "HS 100",
            |x| {
                let [a, b, c, d, e, f, g] = each(x)?;
                let first = (a - 10.0).square() + (b - 12.0).square() * 5.0 + c.powi(4);
                let second = (d - 11.0).square() * 3.0 + e.powi(6) * 10.0 + f.square() * 7.0 + g.powi(4);
                Ok(first + second - &f * &g * 4.0 - f * 10.0 - g * 8.0)
            },
            vec![Constraint::at_least(c100)],
            &[1.0, 2.0, 0.0, 4.0, 0.0, 1.0, 1.0],
            (680.6300573, 37),
        ),
        row(
            "Rosenbrock in a disc",
            |x| each(x).map(|[x, y]| (y - x.square()).square() * 100.0 + (1.0 - x).square()),
            vec![Constraint::at_least(|x: &Tensor| Ok(2.0 - x.square().sum()))],
            &[-1.2, 1.0],
            (0.0, 49),
        ),
        positive(row(
            "portfolio of 50",
            portfolio,
            vec![Constraint::equal(|x: &Tensor| Ok(x.sum() - 1.0))],
            &[0.02; 50],
            (f64::NAN, 23),
        )),
    ]
}
