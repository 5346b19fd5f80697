//! One optimum inside another: the ridge penalty that predicts best, by the derivative of the fit's solution.
//!
//! `cargo run --release --example bilevel --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::io::CsvOptions;
use tapegrad::linalg::implicit_argmin;
use tapegrad::optimize::{MinimizeOptions, minimize, minimize_with};
use tapegrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Sixty patients to fit, the others to predict, so that a penalty is worth it.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/diabetes.csv");
    let table = Tensor::load_csv_of::<f64>(file, &CsvOptions { skip_rows: 1, ..Default::default() })?;
    let z = (&table - table.mean_dim(0, true)?).try_div(&table.std_dim(0, true)?)?;
    let part = |rows: &Tensor| -> Result<_> { Ok((rows.narrow(1, 0, 10)?, rows.select(1, 10)?)) };
    let (a, y) = part(&z.narrow(0, 0, 60)?)?;
    let (unseen, expected) = part(&z.narrow(0, 60, 382)?)?;

    // Inner: x minimises |a x - y|^2 + e^penalty |x|^2. Any solver may find it: here L-BFGS does.
    let fit = |penalty: &Tensor| {
        let loss = |x: &Tensor| Ok((a.mv(x)? - &y).square().sum() + penalty.exp() * x.square().sum());
        let constant = penalty.detach().exp();
        let inner = |x: &Tensor| Ok((a.mv(x)? - &y).square().sum() + &constant * x.square().sum());
        let options = MinimizeOptions { gtol: 1e-9, ftol: 0.0, ..Default::default() };
        implicit_argmin(loss, &minimize_with(inner, &Tensor::zeros([10]), options)?.x)
    };
    // Outer: the error of its predictions, a function of the penalty alone.
    let outer = |penalty: &Tensor| Ok((unseen.mv(&fit(penalty)?)? - &expected).square().mean());
    let found = minimize(outer, &Tensor::scalar(0.0))?;
    let best = found.x.item()?;
    println!("{found}\nthe best penalty: e^{best:.4} = {:.2}", best.exp());

    // The closed form x = (a'a + e^p I)^-1 a'y, on a grid.
    let closed = |p: f64| -> Result<f64> {
        let x = (a.t()?.mm(&a)? + Tensor::eye(10) * p.exp()).solve(&a.t()?.mv(&y)?)?;
        (unseen.mv(&x)? - &expected).square().mean().item()
    };
    let grid: Vec<f64> = (0..=400).map(|k| -2.0 + 0.02 * k as f64).collect();
    let errors = grid.iter().map(|&p| closed(p)).collect::<Result<Vec<_>>>()?;
    let (k, least) = errors.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).ok_or("no grid")?;
    assert!((grid[k] - best).abs() <= 0.02, "the grid's best is e^{}", grid[k]);
    assert!(found.report.value <= *least + 1e-9);

    let series = [
        Series::line("on a grid, in closed form", &grid, &errors),
        Series::dots("found by gradients", &[best], &[found.report.value]),
    ];
    let (x, y) = ("logarithm of the penalty", "mean squared error of predictions");
    Chart { title: "A ridge penalty by implicit differentiation", x, y, series: &series }.draw(&plot::file())
}
