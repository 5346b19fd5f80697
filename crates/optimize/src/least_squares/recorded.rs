//! Residuals at a point, recorded, so that their Jacobian there needs no second evaluation.

use crate::flat::Flat;
use autograd::{GradOptions, Tensor, enable_grad, grad_with, jacobian, no_grad, vjp_batched};
use tensor_core::{Error, Result};

/// Residuals of the tensors of the parameters.
pub(crate) type Residuals<'a> = dyn FnMut(&[Tensor]) -> Result<Tensor> + 'a;

/// Elements of one batch of cotangents, as autograd's own Jacobians take them.
const BATCH: usize = 1 << 14;

/// The same of passes through the backward pass, each batch of which forms that anew.
const LINEAR_BATCH: usize = 1 << 17;

/// What a backward pass through the backward pass costs beside elements, in elements.
const OVERHEAD: usize = 1 << 12;

/// Parameters and residuals, and the graph between them.
pub(crate) struct Recorded {
    xs: Vec<Tensor>,
    y: Tensor,
}

impl Recorded {
    pub(crate) fn at(f: &mut Residuals<'_>, x: &[f64], flat: &Flat) -> Result<Self> {
        let xs: Vec<Tensor> = flat.tensors(x)?.into_iter().map(Tensor::requires_grad).collect();
        let y = enable_grad(|| f(&xs).map(|y| y.flatten()))?;
        Ok(Recorded { xs, y })
    }

    pub(crate) fn residuals(&self) -> Vec<f64> {
        self.y.detach().to_vec()
    }

    fn numel(&self) -> usize {
        self.xs.iter().map(Tensor::numel).sum()
    }

    /// The Jacobian, column by column: by backward passes, or, where there are few parameters, by backward passes
    /// through the backward pass, which has up to three times the operations.
    pub(crate) fn jacobian(&self) -> Result<Vec<f64>> {
        let (m, n) = (self.y.numel(), self.numel());
        if m.saturating_mul(m.saturating_sub(3 * n)) <= OVERHEAD {
            return self.columns(&self.y);
        }
        // In a transform of its own, which leaves out all that depends on the parameters alone, and is not recorded.
        let origin = self.y.detach().zeros_like();
        let at_once = (LINEAR_BATCH / m).clamp(1, n);
        let mut columns = Vec::with_capacity(m * n);
        for start in (0..n).step_by(at_once) {
            let rows = identity(start, at_once.min(n - start), n)?.to_device(&origin.device())?;
            let (_, lines) = no_grad(|| vjp_batched(|c| self.pullback(c.clone()), &origin, &rows))?;
            columns.extend(lines.detach().into_vec());
        }
        Ok(columns)
    }

    /// The Hessian of the sum of the residuals times these weights.
    pub(crate) fn hessian(&self, weights: Vec<f64>) -> Result<Vec<f64>> {
        enable_grad(|| {
            let gradient = self.pullback(Tensor::from(weights).to_device(&self.y.device())?)?;
            self.columns(&gradient)
        })
    }

    /// The product of a cotangent and the Jacobian, recorded.
    fn pullback(&self, cotangent: Tensor) -> Result<Tensor> {
        let xs: Vec<&Tensor> = self.xs.iter().collect();
        let parts = match self.y.is_tracked() {
            true => {
                let options =
                    GradOptions { cotangent: Some(cotangent), create_graph: true, ..Default::default() };
                grad_with(&self.y, &xs, options)?
            }
            false => vec![None; xs.len()],
        };
        let flat =
            |(part, x): (Option<Tensor>, &&Tensor)| part.unwrap_or_else(|| x.detach().zeros_like()).flatten();
        let parts: Vec<Tensor> = parts.into_iter().zip(&xs).map(flat).collect();
        if let [only] = &parts[..] { Ok(only.clone()) } else { Tensor::cat(&parts, 0) }
    }

    /// The derivatives of all elements of `y` by each parameter, one parameter after another.
    fn columns(&self, y: &Tensor) -> Result<Vec<f64>> {
        let (m, n) = (y.numel(), self.numel());
        let mut all = vec![0.0; m * n];
        if !y.is_tracked() {
            return Ok(all);
        }
        let xs: Vec<&Tensor> = self.xs.iter().collect();
        let at_once = (BATCH / m.max(n)).clamp(1, m);
        for start in (0..m).step_by(at_once) {
            let rows = at_once.min(m - start);
            let cotangent = Some(identity(start, rows, m)?.to_device(&y.device())?);
            let options = GradOptions { cotangent, retain_graph: true, batched: true, create_graph: false };
            let mut first = 0;
            for (g, x) in grad_with(y, &xs, options)?.into_iter().zip(&xs) {
                if let Some(g) = g.map(|g| g.detach().into_vec()) {
                    for (i, row) in g.chunks_exact(x.numel()).enumerate() {
                        row.iter().enumerate().for_each(|(j, v)| all[(first + j) * m + start + i] = *v);
                    }
                }
                first += x.numel();
            }
        }
        Ok(all)
    }
}

/// Rows of the identity of `n`, from `start` on.
fn identity(start: usize, rows: usize, n: usize) -> Result<Tensor> {
    let mut values = vec![0.0; rows * n];
    (0..rows).for_each(|i| values[i * n + start + i] = 1.0);
    Tensor::from_vec(values, [rows, n])
}

/// Columns of a matrix `[m, n]` that is given by rows.
fn transposed(rows: &[f64], m: usize, n: usize) -> Vec<f64> {
    let mut columns = vec![0.0; m * n];
    for (i, row) in rows.chunks_exact(n.max(1)).enumerate() {
        row.iter().enumerate().for_each(|(j, x)| columns[j * m + i] = *x);
    }
    columns
}

/// Residuals and their Jacobian, column by column, from one evaluation, by autograd's own transform: it tells of
/// parameters that were read as numbers, which derivatives cannot see.
pub(crate) fn first(f: &mut Residuals<'_>, x: &[f64], flat: &Flat) -> Result<(Vec<f64>, Vec<f64>)> {
    let xs = flat.tensors(x)?;
    let mut residuals = Vec::new();
    let value = |xs: &Vec<Tensor>| {
        let y = f(xs)?.flatten();
        residuals = y.detach().to_vec();
        Ok(y)
    };
    let blocks = jacobian(value, &xs)?;
    let m = residuals.len();
    let mut columns = Vec::with_capacity(m * x.len());
    for (block, x) in blocks.iter().zip(&xs) {
        columns.extend(transposed(&block.detach().to_vec(), m, x.numel()));
    }
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
