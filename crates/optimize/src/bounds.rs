//! Lower and upper bounds on parameters.

use crate::flat;
use autograd::Params;
use tensor_core::{Error, Result};

/// Bounds on parameters: lower <= x <= upper, infinite where there is none. An element whose bounds are equal is fixed.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::Bounds;
/// // All parameters, whatever their structure.
/// let positive = Bounds::all(0.0, f64::INFINITY);
/// // One bound for each.
/// let x0 = (Tensor::from([1.0, 2.0]), Tensor::scalar(0.5));
/// let lower = (Tensor::from([0.0, f64::NEG_INFINITY]), Tensor::scalar(0.0));
/// let upper = (Tensor::from([5.0, 5.0]), Tensor::scalar(1.0));
/// let each = Bounds::each(&lower, &upper);
/// # let _ = (positive, each, x0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// One element stands for all parameters.
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Bounds {
    /// The same bounds for every element of every parameter.
    pub fn all(lower: f64, upper: f64) -> Self {
        Bounds { lower: vec![lower], upper: vec![upper] }
    }

    /// Bounds for each element, in structures like that of the parameters. Whether they fit is found out by the solver.
    pub fn each<P: Params<f64>>(lower: &P, upper: &P) -> Self {
        Bounds { lower: flat::values(&lower.tensors()), upper: flat::values(&upper.tensors()) }
    }

    /// Bounds for `n` numbers.
    pub(crate) fn of(self, op: &'static str, n: usize) -> Result<Limits> {
        let expand = |mut v: Vec<f64>, which: &str| match v.len() {
            len if len == n => Ok(v),
            1 => {
                v.resize(n, v[0]);
                Ok(v)
            }
            len => {
                let message = format!(
                    "{len} {which} bounds for {n} parameters: give one of each, or one for all by Bounds::all"
                );
                Err(Error::shape(op, message))
            }
        };
        let (lower, upper) = (expand(self.lower, "lower")?, expand(self.upper, "upper")?);
        if let Some(i) = (0..n).find(|&i| !matches!(lower[i].partial_cmp(&upper[i]), Some(o) if o.is_le())) {
            let message = format!(
                "bounds {} and {} of parameter {i}: the lower one has to be at most the upper one",
                lower[i], upper[i]
            );
            return Err(Error::argument(op, message));
        }
        Ok(Limits { lower, upper })
    }
}

/// Bounds of each number of a vector.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) lower: Vec<f64>,
    pub(crate) upper: Vec<f64>,
}

impl Limits {
    /// None at all, for n numbers.
    pub(crate) fn none(n: usize) -> Self {
        Limits { lower: vec![f64::NEG_INFINITY; n], upper: vec![f64::INFINITY; n] }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.lower.iter().all(|&l| l == f64::NEG_INFINITY) && self.upper.iter().all(|&u| u == f64::INFINITY)
    }

    /// The nearest number within the bounds of place `i`.
    pub(crate) fn clamp(&self, i: usize, x: f64) -> f64 {
        x.max(self.lower[i]).min(self.upper[i])
    }

    /// Moves every number within its bounds.
    pub(crate) fn project(&self, x: &mut [f64]) {
        for (i, x) in x.iter_mut().enumerate() {
            *x = self.clamp(i, *x);
        }
    }

    /// The largest component of P(x - g) - x: of the gradient, but where a bound holds the number or is nearer. It is
    /// zero exactly where no feasible direction leads down.
    pub(crate) fn gradient_norm(&self, x: &[f64], g: &[f64]) -> f64 {
        let component = |(i, (&x, &g)): (usize, (&f64, &f64))| {
            // A difference of x rounds: only a bound that is nearer than g counts.
            let room = if g > 0.0 { x - self.lower[i] } else { self.upper[i] - x };
            g.abs().min(room.max(0.0))
        };
        x.iter().zip(g).enumerate().map(component).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::Tensor;
    use tensor_core::ErrorKind;

    #[test]
    fn bounds_fit_or_say_why_not() -> Result<()> {
        let inside = Bounds::all(-1.0, 2.0).of("minimize", 2)?;
        let mut x = [-3.0, 5.0];
        inside.project(&mut x);
        assert_eq!(x, [-1.0, 2.0]);
        assert_eq!(inside.gradient_norm(&x, &[1.0, -1.0]), 0.0);
        assert_eq!(inside.gradient_norm(&[0.0, 1.5], &[0.25, -1.0]), 0.5);
        let three = Tensor::from([1.0, 2.0, 3.0]);
        let e = Bounds::each(&three, &three).of("minimize", 2).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape);
        for wrong in [Bounds::all(1.0, 0.0), Bounds::all(f64::NAN, 0.0)] {
            let e = wrong.of("minimize", 2).unwrap_err();
            assert!(e.to_string().contains("of parameter 0"), "{e}");
        }
        assert!(Limits::none(3).is_none() && !inside.is_none());
        Ok(())
    }
}
