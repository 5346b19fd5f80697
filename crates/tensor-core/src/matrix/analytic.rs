//! Functions that are applied to the eigenvalues of symmetric matrices.

/// A function of one number by its Taylor series.
pub trait Analytic: Send + Sync {
    /// The derivative of order `n` at `x` over n!; the value, for 0.
    fn coefficient(&self, n: usize, x: f64) -> f64;

    /// The coefficient times `unit`^n. Where x is far from one, a coefficient of high order may leave the range of
    /// numbers that this does not leave.
    fn scaled_coefficient(&self, n: usize, x: f64, unit: f64) -> f64 {
        match self.coefficient(n, x) {
            0.0 => 0.0,
            coefficient => coefficient * unit.powi(n as i32),
        }
    }

    /// The distance from `x` within which the series converges, or any smaller one at which its terms
    /// have begun to fall.
    fn radius(&self, x: f64) -> f64;
}
