//! Residuals at a point, linearised, so that their derivatives there need no second evaluation.

use crate::flat::Flat;
use autograd::{Linearized, Tensor, linearize, no_grad};
use tensor_core::{Device, Error, Result};

/// Residuals of the tensors of the parameters.
pub(crate) type Residuals<'a> = dyn FnMut(&[Tensor]) -> Result<Tensor> + 'a;

/// Residuals, as one vector, with their graph.
pub(crate) struct Recorded {
    linear: Linearized<f64, Vec<Tensor>, Tensor>,
}

impl Recorded {
    pub(crate) fn at(f: &mut Residuals<'_>, x: &[f64], flat: &Flat) -> Result<Self> {
        let xs = flat.tensors(x)?;
        // What the residuals capture may be tracked, for somebody else.
        let linear = no_grad(|| linearize(|xs: &Vec<Tensor>| Ok(f(xs)?.flatten()), &xs))?;
        Ok(Recorded { linear })
    }

    pub(crate) fn residuals(&self) -> Vec<f64> {
        self.linear.value().to_vec()
    }

    /// The Jacobian on the host, its columns as rows: `[n, m]`.
    pub(crate) fn jacobian(&self) -> Result<Tensor> {
        let m = self.linear.value().numel();
        let blocks = self.linear.jacobian()?.into_iter().zip(self.linear.point());
        let columns = blocks.map(|(block, x)| block.reshape([m, x.numel()])?.t());
        Tensor::cat(&columns.collect::<Result<Vec<_>>>()?, 0)?.to_device(&Device::Cpu)
    }

    /// The Hessian of the sum of the residuals times these weights: directions pushed through the gradient, all in one
    /// batch.
    pub(crate) fn hessian(&self, weights: Vec<f64>, flat: &Flat) -> Result<Vec<f64>> {
        let weights = Tensor::from(weights).to_device(&self.linear.value().device())?;
        let sum = self.linear.weighted(&weights)?;
        flat.matrix(|rows| sum.hvp_batched(rows))
    }
}

/// An error where a residual at the start is not finite.
pub(crate) fn finite_at_start(op: &'static str, what: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let message = format!(
                "{what} at x0 is {} at [{i}]: start where the function has a finite value",
                values[i]
            );
            Err(Error::argument(op, message))
        }
    }
}
