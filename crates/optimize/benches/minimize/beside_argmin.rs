//! argmin's own solvers on the same functions, with evaluations limited so that a search without an end has one.

use crate::problems::{more_garbow_hillstrom, rosenbrock};
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian};
use argmin::solver::linesearch::{HagerZhangLineSearch, MoreThuenteLineSearch};
use argmin::solver::newton::NewtonCG;
use argmin::solver::quasinewton::LBFGS;
use std::cell::Cell;
use tapegrad::optimize::argmin::{HessianProducts, Problem, Products};
use tapegrad::optimize::{Method, MinimizeOptions, minimize_with};
use tapegrad::{Result, Tensor};

const MOST: usize = 15_000;

/// The problem, until it was asked too often. Products of the Hessian count, too.
struct Limited<'a, 'b> {
    problem: &'b Problem<'a, Tensor>,
    products: Products<'a>,
    asked: Cell<usize>,
    best: Cell<f64>,
}

impl Limited<'_, '_> {
    fn ask(&self) -> Result<(), Error> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > 4 * MOST { Err(Error::msg("without an end")) } else { Ok(()) }
    }
}

impl CostFunction for &Limited<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        self.ask()?;
        let value = self.problem.cost(x)?;
        self.best.set(self.best.get().min(value));
        Ok(value)
    }
}

impl Gradient for &Limited<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.ask()?;
        self.problem.gradient(x)
    }
}

impl<'a> Hessian for &Limited<'a, '_> {
    type Param = Vec<f64>;
    type Hessian = HessianProducts<'a>;
    fn hessian(&self, x: &Vec<f64>) -> Result<HessianProducts<'a>, Error> {
        self.ask()?;
        self.products.hessian(x)
    }
}

fn report(name: &str, method: &str, limited: &Limited<'_, '_>, iterations: Result<u64, Error>) {
    let counts = limited.problem.evaluations();
    let ended = match iterations {
        Ok(iterations) => format!("{iterations} iterations"),
        Err(error) => error.to_string(),
    };
    println!(
        "argmin {method} | {name} | best value {:.3e} | {} evaluations, {} products | {ended}",
        limited.best.get(),
        counts.values,
        counts.products
    );
}

fn each(name: &str, f: fn(&Tensor) -> Result<Tensor>, start: &Tensor) -> Result<[f64; 4]> {
    let mut best = [f64::NAN; 4];
    for (k, method) in
        ["L-BFGS, Moré-Thuente", "L-BFGS, Hager-Zhang", "Newton-CG, Moré-Thuente"].into_iter().enumerate()
    {
        let problem: Problem<Tensor> = Problem::new(f, start)?;
        let limited = Limited {
            problem: &problem,
            products: problem.products(),
            asked: Cell::new(0),
            best: Cell::new(f64::INFINITY),
        };
        let x: Vec<f64> = problem.start();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match k {
            0 => {
                let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10).with_tolerance_grad(1e-5)?;
                let end =
                    Executor::new(&limited, solver).configure(|s| s.param(x).max_iters(MOST as u64)).run()?;
                Ok(end.state.iter)
            }
            1 => {
                let solver = LBFGS::new(HagerZhangLineSearch::new(), 10).with_tolerance_grad(1e-5)?;
                let end =
                    Executor::new(&limited, solver).configure(|s| s.param(x).max_iters(MOST as u64)).run()?;
                Ok(end.state.iter)
            }
            _ => {
                let solver = NewtonCG::new(MoreThuenteLineSearch::new()).with_tolerance(1e-9)?;
                let end =
                    Executor::new(&limited, solver).configure(|s| s.param(x).max_iters(MOST as u64)).run()?;
                Ok(end.state.iter)
            }
        }));
        let ended = ended.unwrap_or_else(|_| Err(Error::msg("a panic")));
        best[k] = limited.best.get();
        report(name, method, &limited, ended);
    }
    for method in [Method::Lbfgs, Method::NewtonCg] {
        let found = minimize_with(f, start, MinimizeOptions { method, ..Default::default() })?;
        let e = found.report.evaluations;
        println!(
            "tapegrad {method:?} | {name} | value {:.3e} | {} evaluations, {} products | {} iterations: {}",
            found.report.value, e.values, e.products, found.report.iterations, found.report.stop
        );
    }
    Ok(best)
}

pub fn run() -> Result<()> {
    each("Rosenbrock 2", rosenbrock, &Tensor::from([-1.2, 1.0]))?;
    each("Rosenbrock 1000", rosenbrock, &Tensor::from([-1.2, 1.0].repeat(500)))?;
    // Around its minimum the value is all rounding.
    let flat = |x: &Tensor| Ok(1e8 + (x - 1.0).square().sum() * 1e-3);
    each("flat at 1e8", flat, &Tensor::zeros([2]))?;
    let line = |x: &Tensor| Ok(x.sum());
    each("a line", line, &Tensor::ones([2]))?;
    let mut solved = [0; 3];
    for problem in more_garbow_hillstrom() {
        let best = each(problem.name, problem.f, &Tensor::from(problem.start.clone()))?;
        for (solved, best) in solved.iter_mut().zip(best) {
            *solved += usize::from(problem.solved_by(best));
        }
    }
    println!("argmin solved: {solved:?}");
    Ok(())
}
