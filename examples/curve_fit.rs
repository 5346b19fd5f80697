//! A curve with error bars: how long onions grow, with the uncertainty of each parameter and bands around the curve.
//!
//! `cargo run --release --example curve_fit --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::optimize::{CurveFitOptions, curve_fit_with};
use tapegrad::prelude::*;

/// b1 / (1 + exp(b2 - b3 x))^(1 / b4).
fn growth(x: &Tensor, [b1, b2, b3, b4]: &[Tensor; 4]) -> Result<Tensor> {
    let slowed = (1.0 + (b2 - b3 * x).exp()).pow(&(1.0 / b4))?;
    b1.try_div(&slowed)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Rat43 of the Statistical Reference Datasets: dry weight of onion bulbs over time (Ratkowsky, "Nonlinear regression
    // modeling", 1983).
    let x = linspace(1.0, 15.0, 15)?;
    let y = Tensor::from([
        16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96,
        637.56, 717.41,
    ]);
    let start = [100.0, 10.0, 1.0, 1.0].map(Tensor::scalar);
    let options =
        CurveFitOptions { names: ["b1", "b2", "b3", "b4"].map(String::from).to_vec(), ..Default::default() };
    let fit = curve_fit_with(growth, &x, &y, &start, options)?;
    println!("{fit}");

    // NIST's certified values and their standard deviations.
    let certified = [
        (6.9964151270e2, 1.6302297817e1),
        (5.2771253025, 2.0828735829),
        (7.5962938329e-1, 1.9566123451e-1),
        (1.2792483859, 6.8761936385e-1),
    ];
    for (k, (value, deviation)) in certified.into_iter().enumerate() {
        let (b, error) = (fit.parameters[k].item()?, fit.standard_errors[k].item()?);
        assert!((b / value - 1.0).abs() < 1e-8, "b{}: {b} and not {value}", k + 1);
        assert!((error / deviation - 1.0).abs() < 1e-6, "b{}: error {error} and not {deviation}", k + 1);
    }

    let z = linspace(0.5, 16.0, 120)?;
    let curve = fit.confidence_band(growth, &z, 0.95)?;
    let observation = fit.prediction_band(growth, &z, 0.95, None)?;
    let z = z.to_vec();
    let series = [
        Series::band("95 %: the curve", &z, &curve.lower.to_vec(), &curve.upper.to_vec()),
        Series::band("95 %: an observation", &z, &observation.lower.to_vec(), &observation.upper.to_vec()),
        Series::line("fit", &z, &curve.fit.to_vec()),
        Series::dots("onions", &x.to_vec(), &y.to_vec()),
    ];
    Chart { title: "Growth of onions (Rat43)", x: "time", y: "dry weight", series: &series }
        .draw(&plot::file())
}
