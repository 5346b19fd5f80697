//! NIST's reference problems: <https://www.itl.nist.gov/div898/strd/>. The nonlinear ones are read from the folder that
//! NIST_STRD_DIR names, as .dat files; NIST_TABLE names a file to write the table of docs/nist.md to.

#[path = "nist/models.rs"]
mod models;
#[path = "nist/problem.rs"]
mod problem;

use problem::{Problem, digits};
use std::fmt::Write;
use std::path::PathBuf;
use tapegrad::optimize::{CurveFit, curve_fit, least_squares};
use tapegrad::prelude::*;

const PROBLEMS: [&str; 27] = [
    "Misra1a", "Chwirut2", "Chwirut1", "Lanczos3", "Gauss1", "Gauss2", "DanWood", "Misra1b", "Kirby2",
    "Hahn1", "Nelson", "MGH17", "Lanczos1", "Lanczos2", "Gauss3", "Misra1c", "Misra1d", "Roszman1", "ENSO",
    "MGH09", "Thurber", "BoxBOD", "Rat42", "MGH10", "Eckerle4", "Rat43", "Bennett5",
];

/// Digits of parameters and of standard errors that have to be right.
///
/// Lanczos1 has data of 14 digits and residuals of 1e-13: rounding in them leaves no digit of the standard errors that
/// is certain. NIST certifies its values from computations in 500 digits.
fn wanted(name: &str) -> [f64; 2] {
    match name {
        "Lanczos1" => [8.0, 0.0],
        _ => [8.0, 6.0],
    }
}

/// One call: parameters as one tensor each, from a start.
fn fit(problem: &Problem, start: &[f64]) -> Result<CurveFit<Vec<Tensor>>> {
    let start: Vec<Tensor> = start.iter().map(|&b| Tensor::scalar(b)).collect();
    let x = Tensor::stack(&problem.x, 0)?;
    let columns = |x: &Tensor| x.unbind(0);
    curve_fit(|x: &Tensor, b: &Vec<Tensor>| (problem.model)(&columns(x)?, b), &x, &problem.y, &start)
}

/// That of NIST_STRD_DIR: cargo runs tests in the folder of their package, and it may be relative to the workspace.
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("NIST_STRD_DIR")?);
    Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder))
}

fn worst(found: &[Tensor], certified: &[f64]) -> f64 {
    found.iter().zip(certified).map(|(x, c)| digits(x.item().unwrap(), *c)).fold(f64::INFINITY, f64::min)
}

#[test]
fn nonlinear_regression() {
    let Some(folder) = folder() else {
        println!("skipped: NIST_STRD_DIR does not name a folder of NIST's .dat files");
        return;
    };
    let mut table = String::from(
        "| problem | start | stopped by | iterations | evaluations | Jacobians | digits of parameters | of standard errors |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let (mut count, mut failures) = (0, Vec::new());
    for name in PROBLEMS {
        let path = folder.join(name).with_extension("dat");
        if !path.exists() {
            continue;
        }
        let problem = Problem::read(&path).unwrap();
        count += 1;
        for (i, start) in problem.starts.iter().enumerate() {
            let fit = match fit(&problem, start) {
                Ok(fit) => fit,
                Err(e) => {
                    failures.push(format!("{name}, start {}: {e}", i + 1));
                    continue;
                }
            };
            let (parameters, errors) =
                (worst(&fit.parameters, &problem.parameters), worst(&fit.standard_errors, &problem.errors));
            let evaluations = fit.report.evaluations;
            let line = format!(
                "| {name} | {} | {} | {} | {} | {} | {parameters:.1} | {errors:.1} |",
                i + 1,
                fit.report.stop,
                fit.report.iterations,
                evaluations.values,
                evaluations.derivatives,
            );
            let [least, least_errors] = wanted(name);
            if parameters < least || errors < least_errors {
                failures.push(line.clone());
            }
            writeln!(table, "{line}").unwrap();
        }
    }
    println!("{table}");
    if let Some(path) = std::env::var_os("NIST_TABLE") {
        std::fs::write(path, table).unwrap();
    }
    assert!(count > 0, "{} has none of NIST's files", folder.display());
    assert!(failures.is_empty(), "not enough digits:\n{}", failures.join("\n"));
}

/// The same problems by the crate levenberg-marquardt, through this library's adapter: its digits are its own.
#[cfg(feature = "levenberg-marquardt")]
#[test]
fn nonlinear_regression_by_another_crate() {
    use tapegrad::optimize::levenberg_marquardt::{LevenbergMarquardt, Problem as Adapted};
    let Some(folder) = folder() else { return };
    let (mut runs, mut good) = (0, 0);
    for name in PROBLEMS {
        let Ok(problem) = Problem::read(&folder.join(name).with_extension("dat")) else { continue };
        for (i, start) in problem.starts.iter().enumerate() {
            let start: Vec<Tensor> = start.iter().map(|&b| Tensor::scalar(b)).collect();
            let residuals = |b: &Vec<Tensor>| (problem.model)(&problem.x, b)?.try_sub(&problem.y);
            let (adapted, report) =
                LevenbergMarquardt::new().minimize(Adapted::new(residuals, &start).unwrap());
            let found = adapted.parameters().unwrap();
            let digits = worst(&found, &problem.parameters);
            println!(
                "{name} {}: {digits:.1} digits, {} evaluations, {:?}",
                i + 1,
                report.number_of_evaluations,
                report.termination
            );
            (runs, good) = (runs + 1, good + usize::from(digits >= 6.0));
        }
    }
    assert!(runs > 0 && good * 10 >= runs * 8, "{good} of {runs} to six digits");
}

/// Longley, "An appraisal of least squares programs for the electronic computer from the point of view of the user",
/// 1967: six predictors that nearly depend on each other. Certified values: NIST StRD, linear regression.
const LONGLEY: [[f64; 7]; 16] = [
    [60323., 83.0, 234289., 2356., 1590., 107608., 1947.],
    [61122., 88.5, 259426., 2325., 1456., 108632., 1948.],
    [60171., 88.2, 258054., 3682., 1616., 109773., 1949.],
    [61187., 89.5, 284599., 3351., 1650., 110929., 1950.],
    [63221., 96.2, 328975., 2099., 3099., 112075., 1951.],
    [63639., 98.1, 346999., 1932., 3594., 113270., 1952.],
    [64989., 99.0, 365385., 1870., 3547., 115094., 1953.],
    [63761., 100.0, 363112., 3578., 3350., 116219., 1954.],
    [66019., 101.2, 397469., 2904., 3048., 117388., 1955.],
    [67857., 104.6, 419180., 2822., 2857., 118734., 1956.],
    [68169., 108.4, 442769., 2936., 2798., 120445., 1957.],
    [66513., 110.8, 444546., 4681., 2637., 121950., 1958.],
    [68655., 112.6, 482704., 3813., 2552., 123366., 1959.],
    [69564., 114.2, 502601., 3931., 2514., 125368., 1960.],
    [69331., 115.7, 518173., 4806., 2572., 127852., 1961.],
    [70551., 116.9, 554894., 4007., 2827., 130081., 1962.],
];
const LONGLEY_PARAMETERS: [f64; 7] = [
    -3482258.63459582, 15.0618722713733, -0.358191792925910E-01, -2.02022980381683, -1.03322686717359,
    -0.511041056535807E-01, 1829.15146461355,
];
const LONGLEY_ERRORS: [f64; 7] = [
    890420.383607373, 84.9149257747669, 0.334910077722432E-01, 0.488399681651699, 0.214274163161675,
    0.226073200069370, 455.478499142212,
];

#[test]
fn longley() -> Result<()> {
    let y = Tensor::from(LONGLEY.map(|row| row[0]));
    let x = Tensor::from(LONGLEY.map(|row| [1.0, row[1], row[2], row[3], row[4], row[5], row[6]]));
    let fit = curve_fit(|x: &Tensor, b: &Tensor| x.mv(b), &x, &y, &Tensor::zeros([7]))?;
    let direct = linalg::lstsq(&x, &y, Some(0.0))?;
    for (i, certified) in LONGLEY_PARAMETERS.iter().enumerate() {
        let found = [fit.parameters.get([i])?, direct.get([i])?].map(|b| digits(b, *certified));
        assert!(found[0] >= 9.0 && found[1] >= 9.0, "b{i}: {found:?} digits");
        let error = digits(fit.standard_errors.get([i])?, LONGLEY_ERRORS[i]);
        assert!(error >= 9.0, "standard error of b{i}: {error} digits");
    }
    assert!(digits(fit.r_squared, 0.995479004577296) >= 9.0);
    assert!(digits(fit.reduced_chi_square.sqrt(), 304.854073561965) >= 9.0);
    assert_eq!(fit.degrees_of_freedom, 9);
    Ok(())
}

/// Problems whose files may not be at hand, by their data: from both of NIST's starts.
#[test]
fn hard_starts() -> Result<()> {
    let kowalik = [
        (0.1957, 4.0),
        (0.1947, 2.0),
        (0.1735, 1.0),
        (0.16, 0.5),
        (0.0844, 0.25),
        (0.0627, 0.167),
        (0.0456, 0.125),
        (0.0342, 0.1),
        (0.0323, 0.0833),
        (0.0235, 0.0714),
        (0.0246, 0.0625),
    ];
    let oxygen = [(109.0, 1.0), (149.0, 2.0), (149.0, 3.0), (191.0, 5.0), (213.0, 7.0), (224.0, 10.0)];
    let filter = [
        (0.0001575, 400.0),
        (0.0001699, 405.0),
        (0.0002350, 410.0),
        (0.0003102, 415.0),
        (0.0004917, 420.0),
        (0.0008710, 425.0),
        (0.0017418, 430.0),
        (0.0046400, 435.0),
        (0.0065895, 436.5),
        (0.0097302, 438.0),
        (0.0149002, 439.5),
        (0.0237310, 441.0),
        (0.0401683, 442.5),
        (0.0712559, 444.0),
        (0.1264458, 445.5),
        (0.2073413, 447.0),
        (0.2902366, 448.5),
        (0.3445623, 450.0),
        (0.3698049, 451.5),
        (0.3668534, 453.0),
        (0.3106727, 454.5),
        (0.2078154, 456.0),
        (0.1164354, 457.5),
        (0.0616764, 459.0),
        (0.0337200, 460.5),
        (0.0194023, 462.0),
        (0.0117831, 463.5),
        (0.0074357, 465.0),
        (0.0022732, 470.0),
        (0.0008800, 475.0),
        (0.0004579, 480.0),
        (0.0002345, 485.0),
        (0.0001586, 490.0),
        (0.0001143, 495.0),
        (0.0000710, 500.0),
    ];
    let pasture = [
        (8.93, 9.0),
        (10.8, 14.0),
        (18.59, 21.0),
        (22.33, 28.0),
        (39.35, 42.0),
        (56.11, 57.0),
        (61.73, 63.0),
        (64.62, 70.0),
        (67.08, 79.0),
    ];
    let misra = [
        (10.07, 77.6),
        (14.73, 114.9),
        (17.94, 141.1),
        (23.93, 190.8),
        (29.61, 239.9),
        (35.18, 289.0),
        (40.02, 332.8),
        (44.82, 378.4),
        (50.76, 434.8),
        (55.05, 477.3),
        (61.01, 536.8),
        (66.4, 593.1),
        (75.47, 689.1),
        (81.78, 760.0),
    ];
    // Three exponentials to six digits.
    let lanczos: Vec<(f64, f64)> = (0..24)
        .map(|i| {
            let x = 0.05 * f64::from(i);
            let y = 0.0951 * (-x).exp() + 0.8607 * (-3.0 * x).exp() + 1.5576 * (-5.0 * x).exp();
            (format!("{y:.5e}").parse().unwrap(), x)
        })
        .collect();
    type Case<'a> = (&'a str, &'a [(f64, f64)], [&'a [f64]; 2], &'a [f64]);
    let cases: [Case<'_>; 6] = [
        (
            "MGH09",
            &kowalik,
            [&[25.0, 39.0, 41.5, 39.0], &[0.25, 0.39, 0.415, 0.39]],
            &[1.9280693458E-01, 1.9128232873E-01, 1.2305650693E-01, 1.3606233068E-01],
        ),
        ("BoxBOD", &oxygen, [&[1.0, 1.0], &[100.0, 0.75]], &[2.1380940889E+02, 5.4723748542E-01]),
        (
            "Eckerle4",
            &filter,
            [&[1.0, 10.0, 500.0], &[1.5, 5.0, 450.0]],
            &[1.5543827178E+00, 4.0888321754E+00, 4.5154121844E+02],
        ),
        (
            "Rat42",
            &pasture,
            [&[100.0, 1.0, 0.1], &[75.0, 2.5, 0.07]],
            &[7.2462237576E+01, 2.6180768402E+00, 6.7359200066E-02],
        ),
        ("Misra1c", &misra, [&[500.0, 0.0001], &[600.0, 0.0002]], &[6.3642725809E+02, 2.0813627256E-04]),
        (
            "Lanczos2",
            &lanczos,
            [&[1.2, 0.3, 5.6, 5.5, 6.5, 7.6], &[0.5, 0.7, 3.6, 4.2, 4.0, 6.3]],
            &[
                9.6251029939E-02, 1.0057332849E+00, 8.6424689056E-01, 3.0078283915E+00, 1.5529016879E+00,
                5.0028798100E+00,
            ],
        ),
    ];
    let mut failures = Vec::new();
    for (name, data, starts, certified) in cases {
        let problem = Problem {
            model: models::model(name).unwrap(),
            starts: starts.map(<[f64]>::to_vec),
            parameters: certified.to_vec(),
            errors: Vec::new(),
            x: vec![Tensor::from(data.iter().map(|p| p.1).collect::<Vec<_>>())],
            y: Tensor::from(data.iter().map(|p| p.0).collect::<Vec<_>>()),
        };
        for (i, start) in problem.starts.iter().enumerate() {
            let fit = fit(&problem, start)?;
            let digits = worst(&fit.parameters, &problem.parameters);
            println!("{name}, start {}: {digits:.1} digits, {}", i + 1, fit.report);
            if digits < 8.0 {
                failures.push(format!("{name}, start {}: {digits:.1}", i + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
    Ok(())
}

/// Hahn1 from its starts, on data made of its model: what was put in is found.
#[test]
fn made_data() -> Result<()> {
    let truth = [
        1.0776351733, -0.12269296921, 0.0040863750610, -1.4262662514e-6, -0.0057609940901, 2.4053735503e-4,
        -1.2314450199e-7,
    ];
    let x = [Tensor::from((0..236).map(|i| 14.0 + 3.55 * f64::from(i)).collect::<Vec<_>>())];
    let model = models::model("Hahn1").unwrap();
    let y = model(&x, &truth.map(Tensor::scalar))?;
    let starts =
        [[10.0, -1.0, 0.05, -1e-5, -0.05, 0.001, -1e-6], [1.0, -0.1, 0.005, -1e-6, -0.005, 1e-4, -1e-7]];
    for start in starts {
        let residuals = |b: &[Tensor; 7]| model(&x, b)?.try_sub(&y);
        let found = least_squares(residuals, &start.map(Tensor::scalar))?;
        assert!(found.report.value < 1e-18, "{found}");
    }
    Ok(())
}
