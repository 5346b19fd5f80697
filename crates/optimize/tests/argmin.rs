//! argmin's solvers on problems made of functions over tensors.

#![cfg(feature = "argmin")]

use argmin::core::{CostFunction, Executor, Gradient, Hessian, Jacobian, Operator};
#[cfg(feature = "nalgebra-0_34")]
use argmin::solver::gaussnewton::GaussNewton;
use argmin::solver::linesearch::{HagerZhangLineSearch, MoreThuenteLineSearch};
use argmin::solver::newton::NewtonCG;
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use tapegrad::optimize::argmin::{Problem, Residuals};
use tapegrad::{Error, Result, Tensor};

fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let (a, b) = (x.select(0, 0)?, x.select(0, 1)?);
    Ok((b - a.square()).square() * 100.0 + (1.0 - a).square())
}

type Failure = argmin::core::Error;

#[test]
fn lbfgs_counts_a_point_once() -> Result<(), Failure> {
    let calls = std::cell::Cell::new(0);
    let f = |x: &Tensor| {
        calls.set(calls.get() + 1);
        rosenbrock(x)
    };
    let problem = Problem::new(f, &Tensor::from([-1.2, 1.0]))?;
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7).with_tolerance_grad(1e-8)?;
    let start: Vec<f64> = problem.start();
    let end = Executor::new(&problem, solver).configure(|state| state.param(start).max_iters(100)).run()?;
    let x = problem.params(&end.state.best_param.unwrap())?;
    assert!(x.try_sub(&Tensor::ones([2]))?.abs().max()?.item()? < 1e-7);
    let counts = end.problem.counts;
    assert_eq!(problem.evaluations().values, calls.get());
    // argmin asks for values and gradients apart.
    assert!(
        calls.get() < (counts["cost_count"] + counts["gradient_count"]) as usize,
        "{counts:?} {}",
        calls.get()
    );
    Ok(())
}

#[test]
fn newton_and_trust_region_by_matrices_and_by_products() -> Result<(), Failure> {
    // argmin-math has no products of Vec<Vec<f64>> and Vec<f64> that its Newton-CG would take other than these.
    let f = |x: &Tensor| Ok((x - 2.0).powi(4).sum() + x.square().sum());
    let slope = |x: f64| 4.0 * (x - 2.0).powi(3) + 2.0 * x;
    let problem = Problem::new(f, &Tensor::zeros([5]))?;
    let start: Vec<f64> = problem.start();
    let steihaug = || TrustRegion::new(Steihaug::new());
    let by_matrix = Executor::new(&problem, steihaug())
        .configure(|state| state.param(start.clone()).max_iters(50))
        .run()?;
    let by_products = Executor::new(problem.products(), steihaug())
        .configure(|state| state.param(start.clone()).max_iters(50))
        .run()?;
    for x in [by_matrix.state.best_param.unwrap(), by_products.state.best_param.unwrap()] {
        assert!(x.iter().all(|x| slope(*x).abs() < 1e-4), "{x:?}");
    }
    let newton = || NewtonCG::new(MoreThuenteLineSearch::new()).with_tolerance(1e-12);
    let end = Executor::new(problem.products(), newton()?)
        .configure(|state| state.param(start).max_iters(50))
        .run()?;
    assert!(end.state.best_param.unwrap().iter().all(|x| slope(*x).abs() < 1e-4));
    assert!(problem.evaluations().products > 0);
    Ok(())
}

#[test]
fn derivatives_of_structures_are_rows_of_one_matrix() -> Result<(), Failure> {
    let x0 = (Tensor::from([1.0, 2.0]), Tensor::scalar(3.0));
    // a b^2 c
    let f = |(x, c): &(Tensor, Tensor)| Ok(x.select(0, 0)? * x.select(0, 1)?.square() * c);
    let problem: Problem<_> = Problem::new(f, &x0)?;
    let x = problem.start();
    assert_eq!((problem.cost(&x)?, problem.gradient(&x)?), (12.0, vec![12.0, 12.0, 4.0]));
    assert_eq!(problem.hessian(&x)?, [[0.0, 12.0, 4.0], [12.0, 6.0, 4.0], [4.0, 4.0, 0.0]]);
    let residuals = |(x, c): &(Tensor, Tensor)| Ok(x * c);
    let problem: Residuals<_> = Residuals::new(residuals, &x0)?;
    assert_eq!(problem.apply(&x)?, [3.0, 6.0]);
    assert_eq!(problem.jacobian(&x)?, [[3.0, 0.0, 1.0], [0.0, 3.0, 2.0]]);
    assert!(problem.apply(&vec![1.0]).unwrap_err().to_string().contains("1 numbers for 3 parameters"));
    Ok(())
}

#[test]
fn errors_and_nan_as_line_searches_expect() -> Result<(), Failure> {
    let problem: Problem<_> = Problem::new(|x: &Tensor| Ok(x.log().sum()), &Tensor::from([1.0]))?;
    assert_eq!(problem.cost(&vec![-1.0])?, f64::INFINITY);
    let failing: Problem<_> =
        Problem::new(|_: &Tensor| Err::<Tensor, _>(Error::other("mine")), &Tensor::from([1.0]))?;
    let error = failing.cost(&vec![1.0]).unwrap_err().downcast::<Error>()?;
    assert_eq!(error.into_other().unwrap().to_string(), "mine");
    // The first step of the search leaves the domain.
    let f = |x: &Tensor| Ok((x * 2.0 - x.log()).sum());
    let problem: Problem<_> = Problem::new(f, &Tensor::from([5.0]))?;
    let solver = LBFGS::new(HagerZhangLineSearch::new(), 5).with_tolerance_grad(1e-8)?;
    let end = Executor::new(&problem, solver).configure(|s| s.param(problem.start()).max_iters(50)).run()?;
    assert!((end.state.best_param.unwrap()[0] - 0.5).abs() < 1e-6);
    Ok(())
}

#[cfg(feature = "nalgebra-0_34")]
#[test]
fn gauss_newton_on_nalgebra() -> Result<(), Failure> {
    use nalgebra_0_34::DVector;
    let t: Tensor = Tensor::from([0.0, 1.0, 2.0, 3.0]);
    let y = (&t * -0.5).exp() * 2.0;
    let residuals = |(a, k): &(Tensor, Tensor)| Ok((&t * k).exp() * a - &y);
    let x0 = (Tensor::scalar(1.0), Tensor::scalar(-0.3));
    let problem: Residuals<_, DVector<f64>> = Residuals::new(residuals, &x0)?;
    let start = problem.start();
    let solver = GaussNewton::new().with_tolerance(1e-12)?;
    let end = Executor::new(&problem, solver).configure(|state| state.param(start).max_iters(50)).run()?;
    let (a, k) = problem.params(&end.state.best_param.unwrap())?;
    assert!((a.item()? - 2.0).abs() < 1e-8 && (k.item()? + 0.5).abs() < 1e-8);
    let problem: Problem<_, DVector<f64>> = Problem::new(rosenbrock, &Tensor::from([0.5, 0.5]))?;
    let newton = NewtonCG::new(MoreThuenteLineSearch::new());
    let end =
        Executor::new(&problem, newton).configure(|s| s.param(problem.start()).max_iters(2000)).run()?;
    assert!((end.state.best_param.unwrap()[0] - 1.0).abs() < 1e-3);
    Ok(())
}

#[cfg(feature = "ndarray-0_16")]
#[test]
fn lbfgs_on_ndarray() -> Result<(), Failure> {
    use ndarray_0_16::Array1;
    let problem: Problem<_, Array1<f64>> = Problem::new(rosenbrock, &Tensor::from([-1.2, 1.0]))?;
    assert_eq!(problem.hessian(&Array1::from_vec(vec![1.0, 1.0]))?[[0, 1]], -400.0);
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7).with_tolerance_grad(1e-8)?;
    let end = Executor::new(&problem, solver).configure(|s| s.param(problem.start()).max_iters(100)).run()?;
    assert!((end.state.best_param.unwrap()[0] - 1.0).abs() < 1e-6);
    Ok(())
}

/// argmin cannot be told of an error in a product: the problem returns it.
#[test]
fn errors_of_products_are_kept() -> Result<(), Failure> {
    use argmin_math::ArgminDot;
    let problem = Problem::new(rosenbrock, &Tensor::from([0.5, 0.5]))?;
    let (products, x) = (problem.products(), vec![0.5, 0.5]);
    let hessian = products.hessian(&x)?;
    let wrong: Vec<f64> = hessian.dot(&vec![1.0, 2.0, 3.0]);
    assert!(wrong.iter().all(|h| h.is_nan()));
    let e = problem.params(&x).unwrap_err();
    assert!(e.to_string().contains("3 numbers for 2"), "{e}");
    // Once, and then all goes on.
    problem.params(&x)?;
    let _: Vec<f64> = hessian.dot(&vec![1.0]);
    assert!(products.cost(&vec![0.7, 0.5]).unwrap_err().to_string().contains("1 numbers for 2"));
    assert!(products.cost(&vec![0.7, 0.5])?.is_finite());
    Ok(())
}
