//! Losses by which residuals far away count less.

use crate::vector::dot;

/// How much a residual counts: the cost is `0.5 sum s^2 rho((r / s)^2)` for residuals r and the scale s, `f_scale`.
/// Formulas of rho(z) as SciPy's `least_squares` has them; all are z for small z, so that residuals well within
/// `f_scale` count as in ordinary least squares.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{LeastSquaresOptions, Loss, least_squares_with};
/// // Where the samples are, whatever the last one says.
/// let samples = Tensor::from([1.0, 1.1, 0.9, 1.0, 25.0]);
/// let options = LeastSquaresOptions { loss: Loss::Cauchy, f_scale: 0.1, ..Default::default() };
/// let found = least_squares_with(|x: &Tensor| x.try_sub(&samples), &Tensor::from([3.0]), options)?;
/// assert!((found.x.get([0])? - 1.0).abs() < 0.01);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// z: ordinary least squares.
    #[default]
    Linear,
    /// z up to 1, and `2 sqrt(z) - 1` beyond: squares near, distances far away.
    Huber,
    /// `2 (sqrt(1 + z) - 1)`: as Huber's, and smooth.
    SoftL1,
    /// `ln(1 + z)`: outliers hardly pull.
    Cauchy,
    /// `atan(z)`: the loss of one residual is bounded.
    Arctan,
}

impl Loss {
    /// rho(z) and its first and second derivative.
    pub fn rho(self, z: f64) -> [f64; 3] {
        match self {
            Loss::Linear => [z, 1.0, 0.0],
            Loss::Huber if z <= 1.0 => [z, 1.0, 0.0],
            Loss::Huber => {
                let root = z.sqrt();
                [2.0 * root - 1.0, 1.0 / root, -0.5 / (z * root)]
            }
            Loss::SoftL1 => {
                let root = (1.0 + z).sqrt();
                // sqrt(1 + z) - 1 without cancellation.
                [2.0 * z / (root + 1.0), 1.0 / root, -0.5 / ((1.0 + z) * root)]
            }
            Loss::Cauchy => [z.ln_1p(), 1.0 / (1.0 + z), -1.0 / ((1.0 + z) * (1.0 + z))],
            Loss::Arctan => {
                let d = 1.0 + z * z;
                [z.atan(), 1.0 / d, -2.0 * z / (d * d)]
            }
        }
    }

    /// The cost, half the sum of the losses; infinite where a residual is NaN or infinite, or the sum too large.
    pub(crate) fn cost(self, scale: f64, residuals: &[f64]) -> f64 {
        let sum: f64 = match self {
            Loss::Linear => dot(residuals, residuals),
            _ => residuals.iter().map(|r| scale * scale * self.rho((r / scale) * (r / scale))[0]).sum(),
        };
        // atan has a value even at infinity.
        if sum.is_finite() && residuals.iter().all(|r| r.is_finite()) { 0.5 * sum } else { f64::INFINITY }
    }

    /// rho' for each residual: the gradient of the cost is J^T (rho' r). None where all are 1.
    pub(crate) fn slopes(self, scale: f64, residuals: &[f64]) -> Option<Vec<f64>> {
        self.each(scale, residuals, |_, [_, first, _]| first)
    }

    /// rho' + 2 z rho'' for each residual: the Hessian of the cost is J^T diag(these) J and what the curvature of the
    /// residuals adds. None where all are 1.
    pub(crate) fn curvatures(self, scale: f64, residuals: &[f64]) -> Option<Vec<f64>> {
        self.each(scale, residuals, |z, [_, first, second]| first + 2.0 * z * second)
    }

    fn each(self, scale: f64, residuals: &[f64], of: impl Fn(f64, [f64; 3]) -> f64) -> Option<Vec<f64>> {
        let value = |r: &f64| {
            let z = (r / scale) * (r / scale);
            of(z, self.rho(z))
        };
        (self != Loss::Linear).then(|| residuals.iter().map(value).collect())
    }

    /// Factors of the rows of the Jacobian by which J^T J is near the Hessian of the cost and never indefinite, as SciPy
    /// has them. None where all are 1.
    pub(crate) fn rows(self, scale: f64, residuals: &[f64]) -> Option<Vec<f64>> {
        let curvatures = self.curvatures(scale, residuals)?;
        Some(curvatures.into_iter().map(|c| c.max(f64::EPSILON).sqrt()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_of_the_losses() {
        let h = 1e-5;
        for loss in [Loss::Linear, Loss::Huber, Loss::SoftL1, Loss::Cauchy, Loss::Arctan] {
            for z in [0.1, 0.9, 1.5, 30.0] {
                let [before, at, after] = [z - h, z, z + h].map(|z| loss.rho(z));
                for k in 0..2 {
                    let slope = (after[k] - before[k]) / (2.0 * h);
                    assert!((slope - at[k + 1]).abs() < 1e-8, "{loss:?} {z} {k}");
                }
            }
            assert!((loss.rho(1e-9)[0] - 1e-9).abs() < 1e-17, "{loss:?}");
        }
    }

    #[test]
    fn costs_that_are_no_numbers() {
        assert_eq!(Loss::Arctan.cost(1.0, &[1.0, f64::INFINITY]), f64::INFINITY);
        assert_eq!(Loss::Linear.cost(1.0, &[f64::NAN]), f64::INFINITY);
    }
}
