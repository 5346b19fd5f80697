//! Minima under constraints, by every method that has them.

#[path = "problems/constrained.rs"]
mod problems;

use problems::constrained;
use tapegrad::optimize::{
    Bounds, Constraint, Method, MinimizeOptions, Stop, minimize_constrained, minimize_with,
};
use tapegrad::{ErrorKind, Result, Tensor};

fn with(method: Method) -> MinimizeOptions<'static> {
    MinimizeOptions { method, ..Default::default() }
}

/// By quadratic programs: within SciPy's evaluations (SLSQP, 1.17.1) and a fifth more.
#[test]
fn sequential_quadratic_programming() -> Result<()> {
    for problem in constrained() {
        let options = MinimizeOptions { bounds: problem.bounds.clone(), ..with(Method::Slsqp) };
        let start = Tensor::from(problem.start.clone());
        let found = minimize_constrained(problem.f, &problem.constraints, &start, options)?;
        println!("{}: {found}\n  {}", problem.name, found.x);
        assert!(found.report.converged() && found.violation <= 1e-8, "{} {found}", problem.name);
        assert!(5 * found.report.evaluations.values <= 6 * problem.scipy, "{} {found}", problem.name);
        if !problem.minimum.is_nan() {
            let off = (found.report.value - problem.minimum).abs() / problem.minimum.abs().max(1.0);
            assert!(off < 1e-6, "{} {found}", problem.name);
        }
    }
    Ok(())
}

/// Both methods agree, in multipliers too.
#[test]
fn both_ways_to_the_same_minimum() -> Result<()> {
    for problem in constrained() {
        let both = [Method::Slsqp, Method::Lbfgs].map(|method| {
            let options =
                MinimizeOptions { bounds: problem.bounds.clone(), ftol: 0.0, gtol: 1e-6, ..with(method) };
            let start = Tensor::from(problem.start.clone());
            minimize_constrained(problem.f, &problem.constraints, &start, options)
        });
        let [a, b] = both;
        let (a, b) = (a?, b?);
        println!("{}: {a}\n{b}", problem.name);
        let size = a.report.value.abs().max(1.0);
        assert!((a.report.value - b.report.value).abs() < 1e-6 * size, "{}: {a}\n{b}", problem.name);
        for (a, b) in a.multipliers.iter().zip(&b.multipliers) {
            assert!(a.allclose(b, 1e-3, 1e-3)?, "{}: {a} {b}", problem.name);
        }
    }
    Ok(())
}

#[test]
fn quadratic_programs_without_constraints_with_bounds_and_scales() -> Result<()> {
    let rosenbrock = |x: &Tensor| {
        let (a, b) = (x.select(0, 0)?, x.select(0, 1)?);
        Ok((&b - a.square()).square() * 100.0 + (&a - 1.0).square())
    };
    let start: Tensor = Tensor::from([-1.2, 1.0]);
    let options = || MinimizeOptions { ftol: 0.0, gtol: 1e-7, ..with(Method::Slsqp) };
    for scale in [None, Some(vec![0.1, 10.0])] {
        let found = minimize_with(rosenbrock, &start, MinimizeOptions { scale, ..options() })?;
        assert!(found.x.allclose(&Tensor::ones([2]), 0.0, 1e-5)?, "{found} {}", found.x);
    }
    let bounds = Some(Bounds::all(-2.0, 0.8));
    let found = minimize_with(rosenbrock, &start, MinimizeOptions { bounds, ..options() })?;
    assert!(found.x.allclose(&Tensor::from([0.8, 0.64]), 0.0, 1e-5)?, "{found} {}", found.x);
    assert_eq!(found.report.stop, Stop::Gradient);
    Ok(())
}

/// Constraints that cannot be met, that meet nowhere when linearised, that are not finite, or empty.
#[test]
fn constraints_that_are_hard() -> Result<()> {
    let f = |x: &Tensor| Ok(x.square().sum());
    let start: Tensor = Tensor::from([0.5, 0.5]);
    // Beyond 1 and within 1/2.
    let never = [
        Constraint::at_least(|x: &Tensor| Ok(x.select(0, 0)? - 1.0)),
        Constraint::at_least(|x: &Tensor| Ok(0.5 - x.select(0, 0)?)),
    ];
    for method in [Method::Slsqp, Method::Lbfgs] {
        let found = minimize_constrained(f, &never, &start, with(method))?;
        assert!(!found.report.converged() && found.violation > 0.2, "{found}");
    }
    // From 0 the linearised circle is nowhere: its slope there is zero.
    let circle = [
        Constraint::equal(|x: &Tensor| Ok(x.square().sum() - 1.0)),
        Constraint::at_least(|x: &Tensor| x.select(0, 0)?.try_sub(&x.select(0, 1)?)),
    ];
    let found = minimize_constrained(
        |x: &Tensor| Ok((x - Tensor::from([3.0, 1.0])).square().sum()),
        &circle,
        &Tensor::from([1e-3, -1e-3]),
        with(Method::Slsqp),
    )?;
    assert!(found.report.converged(), "{found}");
    assert!((found.x.get([0])? - 3.0 / 10f64.sqrt()).abs() < 1e-5, "{found} {}", found.x);
    let log = [Constraint::at_least(|x: &Tensor| Ok((x - 1.0).log()))];
    let e = minimize_constrained(f, &log, &start, with(Method::Slsqp)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFinite, "{e}");
    // A domain whose edge the constraint shares.
    let log = [Constraint::at_least(|x: &Tensor| x.log().try_add(&Tensor::scalar(1.0)))];
    let found = minimize_constrained(f, &log, &Tensor::from([5.0, 9.0]), with(Method::Slsqp))?;
    assert!(found.x.allclose(&Tensor::full([2], (-1f64).exp()), 0.0, 1e-6)?, "{found} {}", found.x);
    let none: [Constraint<'_, Tensor>; 0] = [];
    let found = minimize_constrained(f, &none, &start, with(Method::Slsqp))?;
    assert!(found.report.value < 1e-10 && found.multipliers.is_empty());
    Ok(())
}
