//! Logistic regression with error bars: which of ten measurements say whether diabetes gets worse than usual.
//!
//! `cargo run --release --example logistic_regression --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::io::CsvOptions;
use tapegrad::optimize::{Method, MinimizeOptions, minimize_with};
use tapegrad::prelude::*;

const NAMES: [&str; 11] = ["(intercept)", "age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 442 patients: ten columns, standardised, and a measure of progression a year later.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/diabetes.csv");
    let table = Tensor::load_csv_of::<f64>(file, &CsvOptions { skip_rows: 1, ..Default::default() })?;
    let x = table.narrow(1, 0, 10)?;
    let z = (&x - x.mean_dim(0, true)?).try_div(&x.std_with(0, true, 0.0)?)?;
    let worse = table.select(1, 10)?.gt(140.0)?.to_type::<f64>();

    // The negative log-likelihood, with a small ridge penalty on all but the intercept.
    let a = Tensor::cat([&Tensor::ones([442, 1]), &z], 1)?;
    let loss = |w: &Tensor| {
        let logits = a.mv(w)?;
        let penalty = w.narrow(0, 1, 10)?.square().sum() * 0.5;
        Ok((logits.softplus() - &worse * &logits).sum() + penalty)
    };
    let options = MinimizeOptions { method: Method::NewtonCg, gtol: 1e-10, ..Default::default() };
    let found = minimize_with(loss, &Tensor::zeros([11]), options)?;
    let w = &found.x;

    // Standard errors: the square roots of the diagonal of the inverse Hessian.
    let errors = hessian(loss, w)?.inverse()?.diagonal(0, 0, 1)?.sqrt();
    println!("{found}\n\n{:12} {:>9} {:>9}", "", "log-odds", "error");
    for (k, name) in NAMES.iter().enumerate() {
        println!("{name:12} {:>9.4} {:>9.4}", w.get([k])?, errors.get([k])?);
    }

    // Newton's method in 64 bits, written out in NumPy, gives these.
    let known = [(3, 0.651158), (4, 0.53687889), (9, 0.96605904)];
    for (k, value) in known {
        assert!((w.get([k])? - value).abs() < 1e-6, "{}: {} and not {value}", NAMES[k], w.get([k])?);
    }
    assert!((errors.get([3])? - 0.15455025).abs() < 1e-6);

    let order = a.mv(w)?.argsort(0, false)?;
    let logits = a.mv(w)?.index_select(0, &order)?;
    let share = worse.index_select(0, &order)?.unfold(0, 41, 1)?.mean_dim(1, false)?;
    let (logits, chance) = (logits.to_vec(), logits.sigmoid().to_vec());
    let series = [
        Series::line("the model's probability", &logits, &chance),
        Series::dots("share among the 41 patients around", &logits[20..422], &share.to_vec()),
    ];
    let title = "Is the progression of diabetes above its median?";
    Chart { title, x: "log-odds by the model", y: "probability", series: &series }.draw(&plot::file())
}
