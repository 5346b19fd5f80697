//! A Gaussian process: its length scale, amplitude and noise by maximum likelihood, and a prediction with bands.
//!
//! `cargo run --release --example gaussian_process --features optimize`

mod plot;

use plot::{Chart, Series};
use tapegrad::optimize::minimize;
use tapegrad::prelude::*;

/// The logarithms of length scale, amplitude and noise, which then are positive.
struct Kernel {
    length: Tensor,
    amplitude: Tensor,
    noise: Tensor,
}
tapegrad::params!(Kernel { length, amplitude, noise });

impl Kernel {
    /// a^2 exp(-(x - z)^2 / 2 l^2), a row for each x and a column for each z.
    fn between(&self, x: &Tensor, z: &Tensor) -> Result<Tensor> {
        let apart = x.unsqueeze(1)? - z.unsqueeze(0)?;
        Ok((apart / self.length.exp()).square().try_mul(&Tensor::scalar(-0.5))?.exp()
            * (&self.amplitude * 2.0).exp())
    }

    /// The Cholesky factor of the covariance of observations at x.
    fn factor(&self, x: &Tensor) -> Result<Tensor> {
        (self.between(x, x)? + Tensor::eye(x.numel()) * (&self.noise * 2.0).exp()).cholesky(false)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A wave on a slope, with something like noise that is the same each time.
    let i = linspace(0.0, 39.0, 40)?;
    let x = &i * 0.15;
    let y = (&x * 2.0).sin() + &x * 0.3 + (i.square() * 17.0).sin() * 0.2;

    // The negative log marginal likelihood (Rasmussen, Williams, "Gaussian processes for machine learning", 2006, 2.30).
    let loss = |kernel: &Kernel| {
        let l = kernel.factor(&x)?;
        let fit = y.dot(&l.cholesky_solve(&y, false)?)? * 0.5;
        Ok(fit + l.diagonal(0, 0, 1)?.log().sum() + 20.0 * (2.0 * std::f64::consts::PI).ln())
    };
    let zero = || Tensor::scalar(0.0);
    let found = minimize(loss, &Kernel { length: zero(), amplitude: zero(), noise: Tensor::scalar(-1.0) })?;
    let kernel = &found.x;
    let value = |log: &Tensor| log.exp().item();
    let (length, noise) = (value(&kernel.length)?, value(&kernel.noise)?);
    println!(
        "{found}\nlength scale {length:.4}, amplitude {:.4}, noise {noise:.4}",
        value(&kernel.amplitude)?
    );
    // Nelder and Mead's method in SciPy, to ten digits, ends here.
    assert!((found.report.value - 0.358_779_935).abs() < 1e-6);
    assert!((length - 1.097892).abs() < 1e-3 && (noise - 0.142333).abs() < 1e-3);

    // Mean and variance of the function elsewhere (the same book, 2.25 and 2.26).
    let z = linspace(-0.5, 7.5, 161)?;
    let (l, across) = (kernel.factor(&x)?, kernel.between(&x, &z)?);
    let mean = across.t()?.mv(&l.cholesky_solve(&y, false)?)?;
    let explained = (&across * l.cholesky_solve(&across, false)?).sum_dim(0, false)?;
    let deviation = ((&kernel.amplitude * 2.0).exp() - explained).sqrt() * 2.0;
    let [z, low, high, middle] =
        [&z, &(&mean - &deviation), &(&mean + &deviation), &mean].map(|t| t.to_vec());
    let series = [
        Series::band("two standard deviations", &z, &low, &high),
        Series::line("mean", &z, &middle),
        Series::dots("observations", &x.to_vec(), &y.to_vec()),
    ];
    Chart { title: "A Gaussian process", x: "x", y: "y", series: &series }.draw(&plot::file())
}
