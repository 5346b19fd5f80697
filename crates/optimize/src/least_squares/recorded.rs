//! Residuals at a point, recorded, so that their Jacobian there needs no second evaluation.

use autograd::{GradOptions, Tensor, enable_grad, grad_with, jacobian};
use tensor_core::{Device, Error, Result};

/// Residuals of a vector of parameters.
pub(crate) type Residuals<'a> = dyn FnMut(&Tensor) -> Result<Tensor> + 'a;

/// Elements of one batch of cotangents, as autograd's own Jacobians take them.
const BATCH: usize = 1 << 14;

/// Parameters and residuals, and the graph between them.
pub(crate) struct Recorded {
    x: Tensor,
    y: Tensor,
}

impl Recorded {
    pub(crate) fn at(f: &mut Residuals<'_>, x: &[f64], device: &Device) -> Result<Self> {
        let x = Tensor::from(x.to_vec()).to_device(device)?.requires_grad();
        let y = enable_grad(|| f(&x).map(|y| y.flatten()))?;
        Ok(Recorded { x, y })
    }

    pub(crate) fn residuals(&self) -> Vec<f64> {
        self.y.detach().to_vec()
    }

    /// The Jacobian, column by column: by backward passes, or, where there are few parameters, by backward passes
    /// through the backward pass, which has up to three times the operations.
    pub(crate) fn jacobian(&self) -> Result<Vec<f64>> {
        let (m, n) = (self.y.numel(), self.x.numel());
        if !self.y.is_tracked() {
            return Ok(vec![0.0; m * n]);
        }
        if 3 * n >= m {
            return Ok(transposed(&lines(&self.y, &self.x)?, m, n));
        }
        enable_grad(|| {
            let cotangent = self.y.detach().zeros_like().requires_grad();
            let options =
                GradOptions { cotangent: Some(cotangent.clone()), create_graph: true, ..Default::default() };
            match grad_with(&self.y, &[&self.x], options)?.swap_remove(0) {
                // Not tracked where it is the same for every cotangent: zero.
                Some(pullback) if pullback.is_tracked() => lines(&pullback, &cotangent),
                _ => Ok(vec![0.0; m * n]),
            }
        })
    }

    /// The Hessian of the sum of the residuals times these weights, row by row.
    pub(crate) fn hessian(&self, weights: Vec<f64>) -> Result<Vec<f64>> {
        let n = self.x.numel();
        if !self.y.is_tracked() {
            return Ok(vec![0.0; n * n]);
        }
        enable_grad(|| {
            let cotangent = Some(Tensor::from(weights).to_device(&self.x.device())?);
            let options = GradOptions { cotangent, create_graph: true, ..Default::default() };
            match grad_with(&self.y, &[&self.x], options)?.swap_remove(0) {
                Some(gradient) if gradient.is_tracked() => lines(&gradient, &self.x),
                _ => Ok(vec![0.0; n * n]),
            }
        })
    }
}

/// The derivatives of each element of `y` by all of `x`, one after another.
fn lines(y: &Tensor, x: &Tensor) -> Result<Vec<f64>> {
    let (m, n) = (y.numel(), x.numel());
    let at_once = (BATCH / m.max(n)).clamp(1, m);
    let mut all = Vec::with_capacity(m * n);
    for start in (0..m).step_by(at_once) {
        let rows = at_once.min(m - start);
        let mut identity = vec![0.0; rows * m];
        (0..rows).for_each(|i| identity[i * m + start + i] = 1.0);
        let cotangent = Tensor::from_vec(identity, [rows, m])?.to_device(&x.device())?;
        let options = GradOptions {
            cotangent: Some(cotangent),
            retain_graph: true,
            batched: true,
            create_graph: false,
        };
        match grad_with(y, &[x], options)?.swap_remove(0) {
            Some(g) => all.extend(g.detach().into_vec()),
            None => all.resize(all.len() + rows * n, 0.0),
        }
    }
    Ok(all)
}

/// Columns of a matrix that is given by rows.
fn transposed(rows: &[f64], m: usize, n: usize) -> Vec<f64> {
    let mut columns = vec![0.0; m * n];
    for (i, row) in rows.chunks_exact(n.max(1)).enumerate() {
        row.iter().enumerate().for_each(|(j, x)| columns[j * m + i] = *x);
    }
    columns
}

/// Residuals and their Jacobian, column by column, from one evaluation, by autograd's own transform: it tells of
/// parameters that were read as numbers, which derivatives cannot see.
pub(crate) fn first(f: &mut Residuals<'_>, x: &[f64], device: &Device) -> Result<(Vec<f64>, Vec<f64>)> {
    let x = Tensor::from(x.to_vec()).to_device(device)?;
    let mut residuals = Vec::new();
    let value = |x: &Tensor| {
        let y = f(x)?.flatten();
        residuals = y.detach().to_vec();
        Ok(y)
    };
    let rows = jacobian(value, &x)?.detach().to_vec();
    let columns = transposed(&rows, residuals.len(), x.numel());
    Ok((residuals, columns))
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
