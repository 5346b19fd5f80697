//! What least squares and curve fits promise besides digits: bounds, losses, limits, errors, statistics.

use std::ops::ControlFlow;
use tapegrad::optimize::{
    Bounds, CurveFitOptions, Jacobian, LeastSquaresMethod, LeastSquaresOptions, Loss, Scale, Stop, curve_fit,
    curve_fit_with, least_squares, least_squares_with,
};
use tapegrad::prelude::*;

fn rosenbrock(x: &Tensor) -> Result<Tensor> {
    let (a, b) = (x.select(0, 0)?, x.select(0, 1)?);
    Tensor::stack(&[(&b - &a * &a) * 10.0, 1.0 - a], 0)
}

fn methods() -> [LeastSquaresMethod; 2] {
    [LeastSquaresMethod::Lm, LeastSquaresMethod::SparseLm(None)]
}

/// Tolerances of rounding: those of the sparse method are all that ends it.
fn tight(method: &LeastSquaresMethod) -> LeastSquaresOptions<'static> {
    LeastSquaresOptions {
        method: method.clone(),
        ftol: 1e-15,
        xtol: 1e-12,
        gtol: 1e-14,
        ..Default::default()
    }
}

fn close(x: &Tensor, expected: &[f64], tolerance: f64) {
    let expected = Tensor::from(expected.to_vec()).reshape(x.shape()).unwrap();
    assert!(x.allclose(&expected, tolerance, tolerance).unwrap(), "{x} for {expected}");
}

/// By SciPy's `least_squares(.., bounds)`, method trf with tolerances of 1e-15, on the same problems.
#[test]
fn results_on_bounds() -> Result<()> {
    let cases: [[[f64; 2]; 4]; 4] = [
        // The minimum outside: on a bound of the first.
        [[-1.5, -1.0], [0.5, 2.0], [-1.2, 1.0], [0.5, 0.25]],
        // Of the second.
        [[-2.0, -2.0], [0.5, 0.1], [-1.0, 0.0], [0.33176908, 0.1]],
        // Inside.
        [[-5.0, -5.0], [5.0, 5.0], [-1.2, 1.0], [1.0, 1.0]],
        // A start beyond them.
        [[2.0, 6.0], [3.0, 7.0], [0.0, 0.0], [2.44888582, 6.0]],
    ];
    for method in methods() {
        for [lower, upper, start, expected] in &cases {
            let bounds = Bounds::each(&Tensor::from(*lower), &Tensor::from(*upper));
            let options = LeastSquaresOptions { bounds: Some(bounds), ..tight(&method) };
            let found = least_squares_with(rosenbrock, &Tensor::from(*start), options)?;
            close(&found.x, expected, 1e-7);
            assert!(found.report.gradient_norm < 1e-6, "{found}");
            for i in 0..2 {
                let x = found.x.get([i])?;
                assert!(lower[i] <= x && x <= upper[i]);
            }
        }
    }
    Ok(())
}

#[test]
fn every_point_that_is_tried_is_within_the_bounds() -> Result<()> {
    for method in methods() {
        let outside = std::cell::Cell::new(0);
        let f = |x: &Tensor| {
            outside.set(outside.get() + x.to_vec().iter().filter(|x| **x < 0.5 || **x > 4.0).count());
            Ok(x.log() - Tensor::from([-3.0, 0.1, 9.0]))
        };
        let options = LeastSquaresOptions { bounds: Some(Bounds::all(0.5, 4.0)), ..tight(&method) };
        // Detection looks beside the start.
        let found = least_squares_with(f, &Tensor::from([1.0, 2.0, 1.0]), options)?;
        close(&found.x, &[0.5, 0.1f64.exp(), 4.0], 1e-7);
        assert_eq!(outside.get(), 0);
    }
    Ok(())
}

#[test]
fn bounds_that_are_equal_hold_a_parameter() -> Result<()> {
    let f = |(a, b): &(Tensor, Tensor)| {
        let x = Tensor::from([0.0, 1.0, 2.0]);
        Ok(a * &x + b - Tensor::from([1.0, 2.5, 5.0]))
    };
    let inf = f64::INFINITY;
    let bounds = Bounds::each(
        &(Tensor::scalar(-inf), Tensor::scalar(1.0)),
        &(Tensor::scalar(inf), Tensor::scalar(1.0)),
    );
    let options = LeastSquaresOptions { bounds: Some(bounds), ..Default::default() };
    let found = least_squares_with(f, &(Tensor::scalar(0.0), Tensor::scalar(7.0)), options)?;
    assert_eq!(found.x.1.item()?, 1.0);
    assert!((found.x.0.item()? - 1.9).abs() < 1e-12);
    Ok(())
}

/// Costs and solutions by SciPy's `least_squares` with the same losses and f_scale, method trf, tolerances 1e-15.
#[test]
fn robust_losses() -> Result<()> {
    let x = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let y = Tensor::from([1.0, 3.1, 4.9, 7.2, 20.0, 11.1]);
    let line = |p: &Tensor| Ok(p.select(0, 0)? * &x + p.select(0, 1)? - &y);
    let expected = [
        (Loss::Linear, SCIPY[0]),
        (Loss::Huber, SCIPY[1]),
        (Loss::SoftL1, SCIPY[2]),
        (Loss::Cauchy, SCIPY[3]),
        (Loss::Arctan, SCIPY[4]),
    ];
    for method in methods() {
        for (loss, [a, b, cost]) in expected {
            let options = LeastSquaresOptions { loss, f_scale: 0.5, ..tight(&method) };
            let found = least_squares_with(line, &Tensor::from([1.0, 1.0]), options)?;
            close(&found.x, &[a, b], 1e-6);
            assert!((found.report.value - cost).abs() < 1e-9 * cost, "{loss:?}: {found}");
            assert!(found.report.gradient_norm < 1e-6, "{loss:?}: {found}");
        }
    }
    Ok(())
}

const SCIPY: [[f64; 3]; 5] = [
    [2.957142857142857, 0.4904761904761912, 41.87809523809524],
    [2.0837837837837836, 0.9756756756756759, 5.294054054054055],
    [2.0947404507445753, 0.969317171843876, 5.1689484841673075],
    [2.025377560763414, 1.0105185352930428, 0.7918917115396171],
    [2.022938348521511, 1.0097460464529782, 0.2181347063506734],
];

#[test]
fn limits_and_callbacks_end_a_search() -> Result<()> {
    let start = Tensor::from([-1.2, 1.0]);
    for method in methods() {
        let with = |change: fn(&mut LeastSquaresOptions<'static>)| {
            let mut options = LeastSquaresOptions { method: method.clone(), ..Default::default() };
            change(&mut options);
            least_squares_with(rosenbrock, &start, options)
        };
        let found = with(|o| o.max_evaluations = Some(3))?;
        assert_eq!((found.report.stop, found.report.evaluations.values), (Stop::Evaluations, 3));
        let found = with(|o| o.max_iterations = Some(2))?;
        assert_eq!((found.report.stop, found.report.iterations), (Stop::Iterations, 2));
        let found = with(|o| o.callback = Some(Box::new(|_| ControlFlow::Break(()))))?;
        assert_eq!((found.report.stop, found.report.iterations), (Stop::Callback, 1));
        assert!(!found.report.converged());
    }
    Ok(())
}

#[test]
fn a_point_is_evaluated_once_for_value_and_jacobian() -> Result<()> {
    let mut calls = 0;
    let f = |x: &Tensor| {
        calls += 1;
        rosenbrock(x)
    };
    let found = least_squares(f, &Tensor::from([-1.2, 1.0]))?;
    assert_eq!(calls, found.report.evaluations.values);
    assert!(found.report.evaluations.derivatives <= calls);
    Ok(())
}

#[test]
fn steps_to_where_there_is_no_value_are_refused() -> Result<()> {
    for method in methods() {
        // The first step of Gauss and Newton is far below zero, where the logarithm is not.
        let options = LeastSquaresOptions { method, ..Default::default() };
        let found = least_squares_with(|x: &Tensor| Ok(x.log() + 3.0), &Tensor::from([5.0]), options)?;
        close(&found.x, &[(-3f64).exp()], 1e-9);
    }
    Ok(())
}

#[test]
fn errors_name_what_is_wrong() {
    let line = line!() + 1;
    let e = least_squares(|x: &Tensor| x.mv(x), &Tensor::ones([2])).err().unwrap();
    assert_eq!(e.location().unwrap().line(), line);
    let e = least_squares(|_: &Tensor| Err(Error::other("mine")), &Tensor::ones([2])).err().unwrap();
    assert_eq!(e.to_string(), "mine");

    let ones = Tensor::ones([2]);
    let messages = [
        (least_squares(|x: &Tensor| Ok(x.log()), &-&ones).err(), "the residual at x0 is NaN at [0]"),
        (least_squares(|x: &Tensor| Ok((x - 1.0).sqrt()), &ones).err(), "the Jacobian"),
        (
            least_squares(|x: &Tensor| Ok(x.clone()), &Tensor::from([0.0, f64::NAN])).err(),
            "the parameter at x0",
        ),
        (least_squares(|x: &Tensor| Ok(x.clone()), &Tensor::zeros([0])).err(), "no elements"),
        (least_squares(|x: &Tensor| x.narrow(0, 0, 0), &ones).err(), "no residuals"),
    ];
    for (e, part) in messages {
        let e = e.unwrap().to_string();
        assert!(e.contains(part) && e.contains("least_squares"), "{e}");
    }
    let wrong: [(LeastSquaresOptions<'_>, &str); 4] = [
        (LeastSquaresOptions { ftol: -1.0, ..Default::default() }, "ftol"),
        (LeastSquaresOptions { f_scale: 0.0, ..Default::default() }, "f_scale"),
        (LeastSquaresOptions { x_scale: Scale::Given(vec![1.0]), ..Default::default() }, "x_scale"),
        (LeastSquaresOptions { bounds: Some(Bounds::all(1.0, 0.0)), ..Default::default() }, "bounds"),
    ];
    for (options, part) in wrong {
        let e = least_squares_with(|x: &Tensor| Ok(x.clone()), &ones, options).err().unwrap();
        assert!(e.to_string().contains(part), "{e}");
    }
    // As many residuals at every point.
    let mut first = true;
    let f = |x: &Tensor| Ok(if std::mem::take(&mut first) { x - 3.0 } else { x.narrow(0, 0, 1)? });
    assert!(least_squares(f, &ones).err().unwrap().to_string().contains("2 residuals at x0 and now 1"));
}

#[test]
fn parameters_are_scaled_by_their_columns() -> Result<()> {
    // The same problem in units that differ by 1e12.
    let f = |x: &Tensor| rosenbrock(&(x * Tensor::from([1e6, 1e-6])));
    let found = least_squares(f, &Tensor::from([-1.2e-6, 1e6]))?;
    close(&found.x, &[1e-6, 1e6], 1e-10);
    let plain = least_squares(rosenbrock, &Tensor::from([-1.2, 1.0]))?;
    assert_eq!(found.report.evaluations.values, plain.report.evaluations.values);
    let options = LeastSquaresOptions { x_scale: Scale::Given(vec![1e-6, 1e6]), ..Default::default() };
    close(&least_squares_with(f, &Tensor::from([-1.2e-6, 1e6]), options)?.x, &[1e-6, 1e6], 1e-10);
    Ok(())
}

#[test]
fn more_parameters_than_residuals_and_columns_of_zeros() -> Result<()> {
    let found = least_squares(|x: &Tensor| Ok(x.sum() - 3.0), &Tensor::from([1.0, 0.0, 0.0, 0.0]))?;
    assert!(found.report.value < 1e-20, "{found}");
    for method in methods() {
        let options = LeastSquaresOptions { method, ..Default::default() };
        let f = |x: &Tensor| Ok(x.narrow(0, 0, 1)?.expand([3])? - Tensor::from([1.0, 2.0, 3.0]));
        let found = least_squares_with(f, &Tensor::from([0.0, 5.0]), options)?;
        close(&found.x, &[2.0, 5.0], 1e-7);
    }
    Ok(())
}

/// Ten thousands of parameters: a chain of springs that is held at both ends, by noisy positions.
#[test]
fn sparse_problems() -> Result<()> {
    let n = 20_000;
    let truth = Tensor::from((0..n).map(|i| (f64::from(i) * 1e-3).sin()).collect::<Vec<_>>());
    let seen = truth.exp();
    let calls = std::cell::Cell::new(0);
    let f = |x: &Tensor| {
        calls.set(calls.get() + 1);
        let ahead = x.narrow(0, 1, n as usize - 1)?;
        let behind = x.narrow(0, 0, n as usize - 1)?;
        let slopes = truth.narrow(0, 1, n as usize - 1)? - truth.narrow(0, 0, n as usize - 1)?;
        Tensor::cat(&[x.exp() - &seen, (ahead - behind - slopes) * 0.1], 0)
    };
    // The pattern of a part serves to write down that of the whole.
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for i in 0..i64::from(n) {
        rows.push(i);
        columns.push(i);
    }
    for i in 0..i64::from(n) - 1 {
        rows.extend([i64::from(n) + i; 2]);
        columns.extend([i, i + 1]);
    }
    let count = rows.len();
    let indices = Tensor::from_vec([rows, columns].concat(), [2, count])?;
    let pattern = SparseTensor::coo(&indices, &Tensor::ones([count]), [2 * n as usize - 1, n as usize])?;
    let plan = linalg::SparseJacobian::new(&pattern)?;
    let options =
        LeastSquaresOptions { method: LeastSquaresMethod::SparseLm(Some(plan)), ..Default::default() };
    let found = least_squares_with(f, &Tensor::zeros([n as usize]), options)?;
    assert!(found.report.converged(), "{found}");
    assert!(found.x.allclose(&truth, 1e-9, 1e-9)?);
    // Residuals and Jacobian of a point are one evaluation.
    assert_eq!(calls.get(), found.report.evaluations.values);
    assert!(matches!(found.jacobian, Jacobian::Sparse(j) if j.nnz() == count));
    Ok(())
}

/// By SciPy's `curve_fit` on the same data.
#[test]
fn covariances_with_and_without_weights() -> Result<()> {
    let x = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let y = Tensor::from([2.5, 1.6, 1.1, 0.7, 0.55, 0.3]);
    let model = |x: &Tensor, p: &Tensor| Ok(p.select(0, 0)? * (-(p.select(0, 1)? * x)).exp());
    let sigma = Tensor::from([0.1, 0.1, 0.05, 0.05, 0.02, 0.02]);
    for (k, (sigma, absolute_sigma)) in
        [(None, false), (Some(&sigma), false), (Some(&sigma), true)].into_iter().enumerate()
    {
        let options = CurveFitOptions { sigma: sigma.cloned(), absolute_sigma, ..Default::default() };
        let fit = curve_fit_with(model, &x, &y, &Tensor::ones([2]), options)?;
        let [a, b, aa, ab, bb] = SCIPY_FITS[k];
        close(&fit.parameters, &[a, b], 1e-7);
        close(&(&fit.covariance / &Tensor::from([[aa, ab], [ab, bb]])), &[1.0; 4], 1e-6);
        if let Some(sigma) = sigma {
            // The same as a covariance of the data.
            let covariance = Some(Tensor::diag(&sigma.square(), 0)?);
            let options = CurveFitOptions { sigma: covariance, absolute_sigma, ..Default::default() };
            let whole = curve_fit_with(model, &x, &y, &Tensor::ones([2]), options)?;
            assert!(whole.covariance.allclose(&fit.covariance, 1e-9, 0.0)?);
            assert!((whole.r_squared - fit.r_squared).abs() < 1e-12);
        }
    }
    Ok(())
}

const SCIPY_FITS: [[f64; 5]; 3] = [
    [
        2.4787606271186253, 0.41037043753927865, 0.0017355095226228988, 0.0003075970926018974,
        0.00016721185941612795,
    ],
    [
        2.472438197976813, 0.39766968548045195, 0.01776395356620741, 0.0019676945033831245,
        0.0003404247199675525,
    ],
    [
        2.472438197976813, 0.39766968548045195, 0.006712017065664489, 0.0007434830899268935,
        0.00012862770224433208,
    ],
];

/// By lmfit on the same data: `Model.fit`, its `eval_uncertainty` at one sigma.
#[test]
fn statistics_as_lmfit_has_them() -> Result<()> {
    let x = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let y = Tensor::from([2.5, 1.6, 1.1, 0.7, 0.55, 0.3]);
    let model = |x: &Tensor, p: &Tensor| Ok(p.select(0, 0)? * (-(p.select(0, 1)? * x)).exp());
    let fit = curve_fit(model, &x, &y, &Tensor::ones([2]))?;
    let [chi, reduced, aic, bic, r2, correlation, band, width] = LMFIT;
    for (found, expected) in [
        (fit.chi_square, chi),
        (fit.reduced_chi_square, reduced),
        (fit.aic, aic),
        (fit.bic, bic),
        (fit.r_squared, r2),
        (fit.correlation.get([0, 1])?, correlation),
    ] {
        // lmfit's Jacobian is of differences.
        assert!((found - expected).abs() < 1e-5 * expected.abs(), "{found} for {expected}");
    }
    let at = fit.confidence_band(model, &Tensor::from([2.5]), 0.6826894921370859)?;
    assert!((at.fit.item()? - band).abs() < 1e-7 * band);
    assert!(((at.upper - at.lower).item()? / 2.0 - width).abs() < 1e-5 * width);
    let text = fit.to_string();
    for part in ["degrees of freedom   4", "p0", "+-", "Correlations", "AIC"] {
        assert!(text.contains(part), "{text}");
    }
    Ok(())
}

const LMFIT: [f64; 8] = [
    0.00829559806108085, 0.0020738995152702125, -35.50273836909055, -35.91921943063444, 0.9974928302044335,
    0.5709995307868199, 0.888547239472777, 0.02697356444557691,
];

#[test]
fn what_the_data_do_not_determine_has_no_bounds() -> Result<()> {
    let (x, y) = (Tensor::from([0.0, 1.0, 2.0]), Tensor::from([1.0, 2.0, 3.5]));
    let twice = |x: &Tensor, p: &Tensor| Ok((p.select(0, 0)? + p.select(0, 1)?) * x);
    let fit = curve_fit(twice, &x, &y, &Tensor::ones([2]))?;
    assert!(fit.standard_errors.to_vec().iter().all(|e| e.is_infinite()));
    // A parameter that is held has no error, and takes no degree of freedom.
    let solver = LeastSquaresOptions {
        bounds: Some(Bounds::each(&Tensor::from([1.0, -9.0]), &Tensor::from([1.0, 9.0]))),
        ..Default::default()
    };
    let fit =
        curve_fit_with(twice, &x, &y, &Tensor::ones([2]), CurveFitOptions { solver, ..Default::default() })?;
    assert_eq!((fit.degrees_of_freedom, fit.standard_errors.get([0])?), (2, 0.0));
    assert!(fit.standard_errors.get([1])?.is_finite());
    Ok(())
}

#[test]
fn curve_fits_name_what_does_not_fit() {
    let (x, y) = (Tensor::zeros([3]), Tensor::zeros([3, 1]));
    let line = |x: &Tensor, p: &Tensor| Ok(x * p);
    let e = curve_fit(line, &x, &y, &Tensor::scalar(1.0)).unwrap_err().to_string();
    assert!(e.contains("[3]") && e.contains("[3, 1]"), "{e}");
    let y = Tensor::zeros([3]);
    for (sigma, part) in
        [(Tensor::from([1.0, 0.0, 1.0]), "sigma is 0"), (Tensor::ones([2]), "sigma of shape [2]")]
    {
        let options = CurveFitOptions { sigma: Some(sigma), ..Default::default() };
        let e = curve_fit_with(line, &x, &y, &Tensor::scalar(1.0), options).unwrap_err().to_string();
        assert!(e.contains(part), "{e}");
    }
}
