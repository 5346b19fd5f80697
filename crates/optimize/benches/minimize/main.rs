//! Evaluations and times of the minimisers on standard problems, one JSON line for each. The same in SciPy:
//! benches/peers/optimize_minimize.py.

#[path = "../../tests/problems/mod.rs"]
mod problems;

use problems::{more_garbow_hillstrom, rosenbrock};
use std::time::{Duration, Instant};
use tapegrad::linalg::Linalg;
use tapegrad::optimize::{
    Adam, AdamOptions, Bounds, Constraint, Method, MinimizeOptions, Minimum, minimize_constrained,
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

fn constrained() -> Result<()> {
    let at = |x: &Tensor, i: usize| x.select(0, i);
    let name = "AugmentedLagrangian";
    let newton = || MinimizeOptions { method: Method::TrustExact, ..Default::default() };
    row("Hock-Schittkowski 6", name, || {
        let c = [Constraint::equal(|x: &Tensor| Ok((at(x, 1)? - at(x, 0)?.square()) * 10.0))];
        minimize_constrained(
            |x: &Tensor| Ok((1.0 - at(x, 0)?).square()),
            &c,
            &Tensor::from([-1.2, 1.0]),
            newton(),
        )
    });
    let weights = Tensor::from([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 1.0, 2.0], [2.0, 1.0, 1.0, 0.0]]);
    let slopes = Tensor::from([[1.0, -1.0, 1.0, -1.0], [-1.0, 0.0, 0.0, -1.0], [2.0, -1.0, 0.0, -1.0]]);
    let most = Tensor::from([8.0, 10.0, 5.0]);
    let (curves, lines) = (Tensor::from([1.0, 1.0, 2.0, 1.0]), Tensor::from([-5.0, -5.0, -21.0, 7.0]));
    row("Hock-Schittkowski 43", name, || {
        let f = |x: &Tensor| Ok(curves.dot(&x.square())? + lines.dot(x)?);
        let c = [Constraint::at_least(|x: &Tensor| Ok(&most - weights.mv(&x.square())? - slopes.mv(x)?))];
        minimize_constrained(f, &c, &Tensor::zeros([4]), newton())
    });
    row("Hock-Schittkowski 71", name, || {
        let f = |x: &Tensor| Ok(at(x, 0)? * at(x, 3)? * x.narrow(0, 0, 3)?.sum() + at(x, 2)?);
        let c = [
            Constraint::at_least(|x: &Tensor| Ok(x.prod() - 25.0)),
            Constraint::equal(|x: &Tensor| Ok(x.square().sum() - 40.0)),
        ];
        let options = MinimizeOptions { bounds: Some(Bounds::all(1.0, 5.0)), ..Default::default() };
        minimize_constrained(f, &c, &Tensor::from([1.0, 5.0, 5.0, 1.0]), options)
    });
    Ok(())
}

fn solved() {
    for method in [Method::Lbfgs, Method::NewtonCg, Method::TrustNcg, Method::TrustExact] {
        let counts = [1.0, 10.0, 100.0].map(|factor| {
            let solved = more_garbow_hillstrom().into_iter().filter(|problem| {
                let options = MinimizeOptions { method, ..Default::default() };
                let start = Tensor::from(problem.start.clone()) * factor;
                minimize_with(problem.f, &start, options)
                    .is_ok_and(|found| problem.solved_by(found.report.value))
            });
            solved.count()
        });
        println!(
            "{{\"problem\": \"More-Garbow-Hillstrom solved\", \"method\": \"{method:?}\", \"solved\": {counts:?}}}"
        );
    }
}

fn adam<T: Float>(name: &str, sizes: &[usize]) -> Result<()> {
    let mut params: Vec<Tensor<T>> = sizes.iter().map(|&n| Tensor::<f64>::ones([n]).cast()).collect();
    let grads: Vec<Tensor<T>> = params.iter().map(|x| x.zeros_like() + T::of(0.01)).collect();
    let mut adam = Adam::<T>::of(AdamOptions::default())?;
    let seconds = timed(|| adam.step_with(&mut params, &grads).expect("a step"));
    println!(
        "{{\"problem\": \"{name}\", \"method\": \"tapegrad {:?}\", \"seconds\": {seconds:e}}}",
        T::DTYPE
    );
    Ok(())
}

#[cfg(feature = "argmin")]
mod beside_argmin;

fn main() -> Result<()> {
    standard()?;
    constrained()?;
    for (name, sizes) in [("Adam 1M", vec![1_000_000]), ("Adam 100 x 100", vec![100; 100])] {
        adam::<f64>(name, &sizes)?;
        adam::<f32>(name, &sizes)?;
    }
    solved();
    #[cfg(feature = "argmin")]
    beside_argmin::run()?;
    Ok(())
}
