//! Evaluations and times of the minimisers on standard problems, one JSON line for each. The same in SciPy:
//! benches/peers/optimize_minimize.py.

#[path = "../../tests/problems/mod.rs"]
mod problems;

#[path = "../../tests/problems/constrained.rs"]
mod under_constraints;

use problems::{more_garbow_hillstrom, rosenbrock};
use std::time::{Duration, Instant};
use tapegrad::linalg::Linalg;
use tapegrad::optimize::{
    Adam, AdamOptions, Bounds, Method, MinimizeOptions, Minimum, Sgd, SgdOptions, minimize_constrained,
    minimize_with,
};
use tapegrad::{Float, Result, Tensor, linspace};

type Found = Result<Minimum<Tensor>>;

/// The median of up to 30 runs within half a second, after one that does not count.
fn timed(mut run: impl FnMut()) -> f64 {
    run();
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || (begin.elapsed() < Duration::from_millis(500) && times.len() < 1000) {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn row(problem: &str, method: &str, run: impl Fn() -> Found) {
    let report = match run() {
        Ok(found) => found.report,
        Err(error) => return println!("{problem} {method}: {error}"),
    };
    let seconds = timed(|| drop(run()));
    println!(
        "{{\"problem\": \"{problem}\", \"method\": \"{method}\", \"value\": {:e}, \"evaluations\": {}, \"products\": {}, \
         \"iterations\": {}, \"gradient\": {:e}, \"stop\": \"{}\", \"seconds\": {seconds:e}}}",
        report.value,
        report.evaluations.values,
        report.evaluations.products,
        report.iterations,
        report.gradient_norm,
        report.stop
    );
}

fn unconstrained(problem: &str, method: Method, f: impl Fn(&Tensor) -> Result<Tensor>, start: &Tensor) {
    let options = || MinimizeOptions { method, ..Default::default() };
    row(problem, &format!("{method:?}"), || minimize_with(&f, start, options()));
}

/// The numbers that the peer makes.
fn data(n: usize, d: usize) -> Result<(Tensor, Tensor)> {
    let entry = |i: f64, j: f64| (1.0 + 3.7 * i + 1.3 * j * (1.0 + 0.1 * i)).sin() + (0.9 * i * j).cos();
    let a: Vec<f64> = (0..n * d).map(|k| entry((k / d) as f64, (k % d) as f64)).collect();
    let y = (0..n).map(|i| {
        let score = (i as f64 * 1.7).sin() + 0.5 * a[i * d] - 0.3 * a[i * d + 1];
        if score > 0.0 { 1.0 } else { 0.0 }
    });
    let y: Vec<f64> = y.collect();
    Ok((Tensor::from_vec(a, [n, d])?, Tensor::from(y)))
}

fn standard() -> Result<()> {
    let near = Tensor::from([-1.2, 1.0]);
    let far = Tensor::from([-1.2, 1.0].repeat(500));
    unconstrained("Rosenbrock 2", Method::Lbfgs, rosenbrock, &near);
    unconstrained("Rosenbrock 2", Method::TrustExact, rosenbrock, &near);
    for method in [Method::Lbfgs, Method::NewtonCg, Method::TrustNcg] {
        unconstrained("Rosenbrock 1000", method, rosenbrock, &far);
    }
    let (a, y) = data(2000, 20)?;
    let logistic = |w: &Tensor| {
        let z = a.mv(w)?;
        Ok((z.softplus() - &y * &z).mean() + w.square().sum() * 5e-4)
    };
    for method in [Method::Lbfgs, Method::TrustNcg] {
        unconstrained("logistic regression 2000 x 20", method, logistic, &Tensor::zeros([20]));
    }
    let n = 10_000;
    let weights: Tensor = (0..n).map(|i| (1 + i % 100) as f64).collect::<Vec<f64>>().into();
    let pull: Tensor = (0..n).map(|i| (i as f64).sin()).collect::<Vec<f64>>().into();
    let chain = |x: &Tensor| {
        let steps = x.narrow(0, 1, n - 1)? - x.narrow(0, 0, n - 1)?;
        Ok((&weights * (x - &pull).square()).sum() / 2.0 + steps.powi(4).sum())
    };
    for method in [Method::Lbfgs, Method::NewtonCg] {
        unconstrained("chain 10000", method, chain, &Tensor::zeros([n]));
    }
    let (target, stiff) = (linspace(-1.0, 1.0, 1000)?, linspace(1.0, 50.0, 1000)?);
    let bounded = |x: &Tensor| Ok((&stiff * (x - &target).square()).sum() + (x.mean() - 3.0).powi(4) * 1e-3);
    row("bounded 1000", "Lbfgs", || {
        let options = MinimizeOptions { bounds: Some(Bounds::all(0.0, f64::INFINITY)), ..Default::default() };
        minimize_with(bounded, &Tensor::ones([1000]), options)
    });
    Ok(())
}

fn constrained() {
    for problem in under_constraints::constrained() {
        let start = Tensor::from(problem.start.clone());
        println!(
            "{{\"problem\": \"{}\", \"method\": \"SLSQP, ftol 2.2e-9\", \"value\": {:e}, \"evaluations\": {}}}",
            problem.name, problem.minimum, problem.scipy
        );
        for (name, method) in [("Slsqp", Method::Slsqp), ("AugmentedLagrangian", Method::Lbfgs)] {
            row(problem.name, name, || {
                let options =
                    MinimizeOptions { method, bounds: problem.bounds.clone(), ..Default::default() };
                minimize_constrained(problem.f, &problem.constraints, &start, options)
            });
        }
    }
}

fn solved() {
    for method in [Method::Lbfgs, Method::NewtonCg, Method::TrustNcg, Method::TrustExact] {
        let counts = [1.0, 10.0, 100.0].map(|factor| {
            let solved = more_garbow_hillstrom().into_iter().filter(|problem| {
                let options = MinimizeOptions { method, ..Default::default() };
                let start = Tensor::from(problem.start.clone()) * factor;
                let begin = Instant::now();
                let found = minimize_with(problem.f, &start, options);
                let (seconds, name) = (begin.elapsed().as_secs_f64(), problem.name);
                let Ok(report) = found.map(|found| found.report) else { return false };
                let solved = problem.solved_by(report.value);
                let (evaluations, products) = (report.evaluations.values, report.evaluations.products);
                println!(
                    "{{\"problem\": \"{name} from {factor}\", \"method\": \"{method:?}\", \"value\": {:e}, \"solved\": {solved}, \
                     \"evaluations\": {evaluations}, \"products\": {products}, \"stop\": \"{}\", \"seconds\": {seconds:e}}}",
                    report.value, report.stop
                );
                solved
            });
            solved.count()
        });
        println!(
            "{{\"problem\": \"More-Garbow-Hillstrom solved\", \"method\": \"{method:?}\", \"solved\": {counts:?}}}"
        );
    }
}

fn first_order<T: Float>(name: &str, sizes: &[usize]) -> Result<()> {
    let mut params: Vec<Tensor<T>> = sizes.iter().map(|&n| Tensor::<f64>::ones([n]).cast()).collect();
    let grads: Vec<Tensor<T>> = params.iter().map(|x| x.zeros_like() + T::of(0.01)).collect();
    let mut adam = Adam::<T>::of(AdamOptions::default())?;
    let seconds = timed(|| adam.step_with(&mut params, &grads).expect("a step"));
    let line = |kind: &str, seconds: f64| {
        let method = format!("tapegrad {:?}", T::DTYPE);
        println!("{{\"problem\": \"{kind} {name}\", \"method\": \"{method}\", \"seconds\": {seconds:e}}}");
    };
    line("Adam", seconds);
    let mut sgd = Sgd::<T>::of(SgdOptions { momentum: 0.9, ..Default::default() })?;
    line("SGD", timed(|| sgd.step_with(&mut params, &grads).expect("a step")));
    Ok(())
}

#[cfg(feature = "argmin")]
mod beside_argmin;

fn main() -> Result<()> {
    // One part by its name, or all.
    let parts: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    if asked("standard") {
        standard()?;
    }
    if asked("constrained") {
        constrained();
    }
    if asked("first-order") {
        for (name, sizes) in [("1M", vec![1_000_000]), ("100 x 100", vec![100; 100])] {
            first_order::<f64>(name, &sizes)?;
            first_order::<f32>(name, &sizes)?;
        }
    }
    if asked("solved") {
        solved();
    }
    #[cfg(feature = "argmin")]
    if asked("argmin") {
        beside_argmin::run()?;
    }
    Ok(())
}
