//! The least squares loss, in one pass over the matrix.

use crate::product::{mv, outer};
use autograd::{Keep, Kept, Op, Tensor, apply, apply_once, is_grad_enabled};
use std::sync::OnceLock;
use tensor_core::{Array, Float, Result, kernels};

/// l = ||r||^2, r = y - A x. Where x is tracked, the pass that reads A for the residual forms A^T r
/// as well, from rows that are still in the cache.
struct Loss<T: Float> {
    gradient: bool,
    atr: OnceLock<Array<T>>,
}

impl<T: Float> Op<T, 3> for Loss<T> {
    fn name(&self) -> &'static str {
        "least_squares_loss"
    }
    fn forward(&self, [a, x, y]: [&Array<T>; 3]) -> Result<Array<T>> {
        let (loss, atr) = kernels::least_squares("least_squares_loss", a, x, y, self.gradient)?;
        if let Some(atr) = atr {
            self.atr.get_or_init(|| atr);
        }
        Ok(loss)
    }
    fn keep(&self, _: [bool; 3]) -> Keep<3> {
        Keep::inputs([true; 3])
    }
    fn holds(&self) -> usize {
        self.atr.get().map_or(0, |atr| atr.allocation().1)
    }
    /// A: -2 grad r x^T; x: -2 grad A^T r; y: 2 grad r
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 3]> {
        let (a, x, y) = (kept.input(0), kept.input(1), kept.input(2));
        let r = match kept.needs(0) || kept.needs(2) {
            true => y.try_sub(&mv(&a, &x)?)?.try_mul(&(&g * T::of(2.0)))?,
            false => g.clone(),
        };
        Ok([
            kept.wrt(0, || Ok(-outer(&r, &x)?))?,
            kept.wrt(1, || {
                let known = TransposedResidual { value: self.atr.get().cloned() };
                apply(known, [&a, &x, &y])?.try_mul(&(&g * T::of(-2.0)))
            })?,
            kept.wrt(2, || Ok(r.clone()))?,
        ])
    }
}

/// v = A^T (y - A x), from the loss's own pass where it was formed there: a value that is known
/// already, but a function of its inputs still, so that the second derivatives are not lost.
struct TransposedResidual<T: Float> {
    value: Option<Array<T>>,
}

impl<T: Float> Op<T, 3> for TransposedResidual<T> {
    fn name(&self) -> &'static str {
        "transposed_residual"
    }
    fn forward(&self, [a, x, y]: [&Array<T>; 3]) -> Result<Array<T>> {
        if let Some(value) = &self.value {
            return Ok(value.clone());
        }
        let r = kernels::addmv("least_squares_loss", Some(y), a, x, T::ONE, -T::ONE)?;
        kernels::addmv(
            "least_squares_loss",
            None,
            &a.permute("least_squares_loss", &[1, 0])?,
            &r,
            T::ZERO,
            T::ONE,
        )
    }
    fn keep(&self, _: [bool; 3]) -> Keep<3> {
        Keep::inputs([true; 3])
    }
    fn holds(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.allocation().1)
    }
    /// With h = A grad: A: r grad^T - h x^T; x: -A^T h; y: h
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 3]> {
        let (a, x, y) = (kept.input(0), kept.input(1), kept.input(2));
        let h = mv(&a, &g)?;
        Ok([
            kept.wrt(0, || Ok(outer(&y.try_sub(&mv(&a, &x)?)?, &g)? - outer(&h, &x)?))?,
            kept.wrt(1, || Ok(-mv(&a.t()?, &h)?))?,
            kept.wrt(2, || Ok(h.clone()))?,
        ])
    }
}

/// ||y - A x||^2 for A `[m, n]`, x `[n]` and y `[m]`. Where x is tracked, A is read from memory once for
/// value and gradient together.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 0.0], [0.0, 2.0]]);
/// let (x, y) = (Tensor::from([1.0, 1.0]).requires_grad(), Tensor::from([3.0, 3.0]));
/// let loss = linalg::least_squares_loss(&a, &x, &y)?;
/// loss.backward()?;
/// assert_eq!(loss.item()?, 5.0);
/// assert_eq!(x.grad().unwrap().to_vec(), [-4.0, -4.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit.
#[track_caller]
pub fn least_squares_loss<T: Float>(a: &Tensor<T>, x: &Tensor<T>, y: &Tensor<T>) -> Result<Tensor<T>> {
    let gradient = x.is_tracked() && is_grad_enabled();
    apply_once!(T: Float, Loss { gradient, atr: OnceLock::new() } => Loss<T>, [a, x, y])
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{check_op, hessian};

    fn composed(x: &[Tensor<f64>]) -> Result<Tensor<f64>> {
        Ok((&x[2] - mv(&x[0], &x[1])?).square().sum())
    }

    #[test]
    fn agrees_with_the_composed_form_in_every_order() -> Result<()> {
        let fused = |x: &[Tensor<f64>]| least_squares_loss(&x[0], &x[1], &x[2]);
        for [m, n] in [[7, 3], [3, 7], [1, 1], [0, 3], [3, 0]] {
            check_op(fused, &[&[m, n], &[n], &[m]])
                .single(|x| least_squares_loss(&x[0], &x[1], &x[2]))
                .reference(composed)
                .run()?;
        }
        Ok(())
    }

    #[test]
    fn the_hessian_is_twice_the_normal_matrix() -> Result<()> {
        let (a, y) = (Tensor::rand([6, 3]), Tensor::rand([6]));
        let h = hessian(|x| least_squares_loss(&a, x, &y), &Tensor::rand([3]))?;
        let normal = crate::mm(&a.t()?, &a)? * 2.0;
        assert!((h - normal).abs().max()?.item()? < 1e-13);
        Ok(())
    }
}
