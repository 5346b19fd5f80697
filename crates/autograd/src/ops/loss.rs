//! Losses: means over all elements, or over the rows of a batch.

use super::gather::Indices;
use super::softmax::CrossEntropy;
use crate::body_once;
use crate::op::apply;
use crate::tensor::Tensor;
use tensor_core::{AtCaller, Error, Float, Result};

impl<T: Float> Tensor<T> {
    /// The mean of (x - target)^2.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::from([1.0, 3.0]);
    /// assert_eq!(x.mse_loss(&Tensor::from([1.0, 1.0]))?.item()?, 2.0);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn mse_loss(&self, target: &Tensor<T>) -> Result<Self> {
        body_once!(T: Float, [self, target], |x: &Tensor<T>, target: &Tensor<T>| -> Result<Tensor<T>> {
            Ok(x.try_sub(target)?.square().mean())
        })
    }

    /// The mean of d^2 / 2 for |d| <= delta and delta (|d| - delta / 2) beyond, with d = x - target
    /// (Huber 1964). From |d| = delta on the derivative by x is +-delta, at infinity too, and the second is 0.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, for a delta that is not positive.
    #[track_caller]
    pub fn huber_loss(&self, target: &Tensor<T>, delta: f64) -> Result<Self> {
        body_once!(
            T: Float,
            [self, target, delta],
            |x: &Tensor<T>, target: &Tensor<T>, delta: f64| -> Result<Tensor<T>> {
                if delta.is_nan() || delta <= 0.0 {
                    let message = format!("delta {delta}: a positive one is needed");
                    return Err(Error::argument("huber_loss", message));
                }
                Ok(x.try_sub(target)?.huber(delta).mean())
            }
        )
    }

    /// The mean of -t ln p - (1 - t) ln(1 - p) for p = sigmoid(x), without overflow, and with all digits
    /// of a loss that is almost 0. An infinite logit on the target's side costs nothing.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(&self, target: &Tensor<T>) -> Result<Self> {
        body_once!(T: Float, [self, target], |x: &Tensor<T>, target: &Tensor<T>| -> Result<Tensor<T>> {
            Ok(x.logit_loss(target)?.mean())
        })
    }

    /// The mean of -ln softmax(x) at the target over the rows of a batch: `self` holds logits in shape
    /// `[N, C]`, `target` classes from 0 to C - 1 in shape `[N]`, a tensor or a list.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::zeros([2, 4]);
    /// assert_eq!(x.cross_entropy(&Tensor::from([0, 3]))?.item()?, 4f64.ln());
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for any other shapes; index, for a class that does not exist.
    #[track_caller]
    pub fn cross_entropy(&self, target: impl Indices) -> Result<Self> {
        let target = target.indices(self.device()).at_caller()?;
        body_once!(T: Float, [self, &target], |x: &Tensor<T>, target: &Tensor<i64>| -> Result<Tensor<T>> {
            if x.ndim() != 2 || target.shape() != &x.shape()[..1] {
                let message = format!(
                    "logits of shape {:?} and classes of shape {:?}: [N, C] and [N] are needed",
                    x.shape(),
                    target.shape()
                );
                return Err(Error::shape("cross_entropy", message));
            }
            Ok(apply(CrossEntropy(target.clone()), [x])?.mean())
        })
    }
}
