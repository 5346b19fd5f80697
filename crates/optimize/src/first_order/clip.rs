//! Gradients kept within bounds.

use autograd::{Params, Tensor, no_grad};
use tensor_core::{AtCaller, Error, Float, Result, compiled_once};

compiled_once! {
    fn by_norm<T: Float>(grads: Vec<Tensor<T>>, max_norm: f64) -> Result<(Vec<Tensor<T>>, f64)> {
        if max_norm.is_nan() || max_norm <= 0.0 {
            return Err(Error::argument("clip_grad_norm", format!("max_norm {max_norm}: a positive number is needed")));
        }
        let clip = || -> Result<_> {
            // The largest element is taken out, so that no square leaves the range.
            let largest = |g: &Tensor<T>| -> Result<f64> {
                if g.numel() == 0 { Ok(0.0) } else { Ok(g.abs().max()?.item()?.to_f64()) }
            };
            let mut scale = 0f64;
            for g in &grads {
                let size = largest(g)?;
                scale = if size.is_nan() { size } else { scale.max(size) };
            }
            let mut sum = 0.0;
            if scale > 0.0 && scale.is_finite() {
                for g in &grads {
                    sum += (g / T::of(scale)).square().sum().item()?.to_f64();
                }
            }
            let norm = if scale.is_finite() { scale * sum.sqrt() } else { scale };
            // PyTorch's: a little more than needed, never less.
            let factor = (max_norm / (norm + 1e-6)).min(1.0);
            let clipped = grads.iter().map(|g| g.detach() * T::of(factor));
            Ok((clipped.collect(), norm))
        };
        no_grad(clip)
    }
}

/// Gradients scaled down together where their norm, that of all elements of all tensors, is beyond `max_norm`; and the
/// norm they had, as `torch.nn.utils.clip_grad_norm_`. Pascanu, Mikolov, Bengio, "On the difficulty of training
/// recurrent neural networks", 2013.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::clip_grad_norm;
/// let g: (Tensor, Tensor) = (Tensor::from([3.0]), Tensor::from([[4.0]]));
/// let ((a, _), norm) = clip_grad_norm(&g, 1.0)?;
/// assert_eq!(norm, 5.0);
/// assert!((a.get([0])? - 0.6).abs() < 1e-6);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, where `max_norm` is not positive.
#[track_caller]
pub fn clip_grad_norm<T: Float, P: Params<T>>(gradients: &P, max_norm: f64) -> Result<(P, f64)> {
    let (clipped, norm) = by_norm(gradients.tensors(), max_norm).at_caller()?;
    Ok((gradients.rebuild(clipped), norm))
}

/// Gradients with every element between `-limit` and `limit`, as `torch.nn.utils.clip_grad_value_`.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::clip_grad_value;
/// assert_eq!(clip_grad_value(&Tensor::from([3.0, -0.5]), 1.0).to_vec(), [1.0, -0.5]);
/// ```
pub fn clip_grad_value<T: Float, P: Params<T>>(gradients: &P, limit: f64) -> P {
    let clipped = gradients.tensors().into_iter().map(|g| g.detach().clamp(T::of(-limit), T::of(limit)));
    gradients.rebuild(clipped.collect())
}
