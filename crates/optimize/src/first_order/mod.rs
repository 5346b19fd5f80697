//! First-order methods for mini-batches, in place, over any structure of parameters.

mod adam;
mod clip;
pub mod schedule;
mod sgd;
mod state;

pub use adam::{Adam, AdamOptions};
pub use clip::{clip_grad_norm, clip_grad_value};
pub use sgd::{Sgd, SgdOptions};

use autograd::{Params, Tensor};
use tensor_core::{Array, Error, ErrorKind, Float, Result, compiled_once, formula, kernels};

/// Forgets the gradients that backward passes have left with the parameters.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::zero_grad;
/// let net = (Tensor::scalar(2.0).requires_grad(), Tensor::scalar(1.0).requires_grad());
/// (&net.0 * &net.1).backward()?;
/// zero_grad(&net);
/// assert!(net.0.grad().is_none());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn zero_grad<T: Float>(params: &impl Params<T>) {
    params.tensors().iter().for_each(Tensor::zero_grad);
}

/// The gradients that backward passes have left with the parameters, in their structure; zeros where there is none.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::gradients;
/// let net = (Tensor::scalar(2.0).requires_grad(), Tensor::scalar(5.0).requires_grad());
/// (&net.0 * &net.1).backward()?;
/// assert_eq!(gradients(&net).0.item()?, 5.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn gradients<T: Float, P: Params<T>>(params: &P) -> P {
    let grads = params.tensors().into_iter().map(|x| x.grad().unwrap_or_else(|| x.detach().zeros_like()));
    params.rebuild(grads.collect())
}

/// Gradients, one for each parameter; None leaves it alone.
type Gradients<T> = Vec<Option<Tensor<T>>>;

/// The gradients in the parameters' slots.
fn slots<T: Float>(op: &'static str, params: &[Tensor<T>]) -> Result<Gradients<T>> {
    let grads: Gradients<T> = params.iter().map(Tensor::grad).collect();
    if !grads.is_empty() && grads.iter().all(Option::is_none) {
        let message = "no parameter has a gradient: they have to be leaves (requires_grad()) of what backward() was called on";
        return Err(Error::new(ErrorKind::Graph, op, message));
    }
    Ok(grads)
}

/// An error where gradients do not fit their parameters.
fn fits<T: Float>(op: &'static str, params: &[Tensor<T>], grads: &Gradients<T>) -> Result<()> {
    if params.len() != grads.len() {
        let message =
            format!("{} gradients for {} parameters: one for each is needed", grads.len(), params.len());
        return Err(Error::shape(op, message));
    }
    for (k, (x, g)) in params.iter().zip(grads).enumerate() {
        if let Some(g) = g.as_ref().filter(|g| g.shape() != x.shape()) {
            let message =
                format!("gradient of shape {:?} for parameter {k} of shape {:?}", g.shape(), x.shape());
            return Err(Error::shape(op, message));
        }
    }
    Ok(())
}

compiled_once! {
    /// g + weight_decay p
    fn decayed<T: Float>(g: Tensor<T>, p: &Tensor<T>, weight_decay: f64) -> Result<Tensor<T>> {
        if weight_decay == 0.0 {
            return Ok(g);
        }
        let c = T::of(weight_decay);
        Ok(kernels::zip("step", g.array(), p.array(), &formula!(|g: T, p: T| g + p * c))?.into())
    }

    /// What the last step left with a parameter, taken out, so that it can be written over; zeros before the first.
    fn buffer<T: Float>(slot: &mut Option<Tensor<T>>, x: &Tensor<T>) -> Result<Array<T>> {
        match slot.take() {
            Some(buffer) if buffer.device() == x.device() => Ok(buffer.into_array()),
            Some(buffer) => Ok(buffer.to_device(&x.device())?.into_array()),
            None => Array::zeros_on(x.device(), x.shape()),
        }
    }
}

/// The tensors of a structure, taken out of it, so that the memory of each is free once it has another value; they are
/// put back in any case.
struct TakenOut<'a, T: Float, P: Params<T>> {
    params: &'a mut P,
    tensors: Vec<Tensor<T>>,
}

impl<'a, T: Float, P: Params<T>> TakenOut<'a, T, P> {
    fn of(params: &'a mut P) -> Self {
        let tensors = params.tensors();
        let stand_in = Tensor::from(Array::scalar(T::ZERO));
        *params = params.rebuild(vec![stand_in; tensors.len()]);
        TakenOut { params, tensors }
    }
}

impl<T: Float, P: Params<T>> Drop for TakenOut<'_, T, P> {
    fn drop(&mut self) {
        *self.params = self.params.rebuild(std::mem::take(&mut self.tensors));
    }
}
