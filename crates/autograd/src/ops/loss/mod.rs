//! Losses of predictions beside targets, and how they are weighted and reduced.

mod classes;
mod elements;

pub use classes::{Target, Targets};

use crate::tensor::Tensor;
use tensor_core::{Error, Float, Result};

/// What becomes of the losses of single elements, or of the rows of a batch.
///
/// ```
/// use tapegrad::{LossOptions, Reduction, Tensor};
/// let (x, target) = (Tensor::from([1.0, 3.0]), Tensor::from([0.0, 1.0]));
/// let options = |reduction| LossOptions { reduction, ..Default::default() };
/// assert_eq!(x.mse_loss_with(&target, options(Reduction::Sum))?.item()?, 5.0);
/// assert_eq!(x.mse_loss_with(&target, options(Reduction::None))?.to_vec(), [1.0, 4.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean; with weights of classes divided by the weights of the targets.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Each by itself.
    None,
}

/// How a loss is weighted and reduced: what is not named keeps the value it has in the plain call. A loss refuses what
/// it does not read.
///
/// ```
/// use tapegrad::{LossOptions, Reduction, Tensor};
/// let (x, target) = (Tensor::zeros([3, 2]), Tensor::from([0, -100, 1]));
/// let options = LossOptions { reduction: Reduction::Sum, ignore_index: Some(-100), ..Default::default() };
/// assert_eq!(x.cross_entropy_with(&target, options)?.item()?, 2.0 * 2f64.ln());
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LossOptions<'a, T: Float = f64> {
    /// The mean, the sum, or each loss by itself.
    pub reduction: Reduction,
    /// A factor for each class, a vector, in `cross_entropy` and `nll_loss`; for each element, broadcast, in
    /// `binary_cross_entropy_with_logits`.
    pub weight: Option<&'a Tensor<T>>,
    /// A factor of what positive targets cost, broadcast, in `binary_cross_entropy_with_logits`.
    pub pos_weight: Option<&'a Tensor<T>>,
    /// A target that costs nothing and does not count, in `cross_entropy` and `nll_loss`; PyTorch's is -100.
    pub ignore_index: Option<i64>,
    /// The share of a target that is spread evenly over all classes, in `cross_entropy`.
    pub label_smoothing: f64,
    /// Whether the target of `kl_div` is the logarithm of a distribution, too.
    pub log_target: bool,
}

impl<T: Float> Default for LossOptions<'_, T> {
    fn default() -> Self {
        LossOptions {
            reduction: Reduction::Mean,
            weight: None,
            pos_weight: None,
            ignore_index: None,
            label_smoothing: 0.0,
            log_target: false,
        }
    }
}

/// The options that a loss reads beside the reduction.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    Nothing,
    LogTarget,
    Weights,
    Classes,
    Smoothed,
}

impl<T: Float> LossOptions<'_, T> {
    /// An error where an option is given that the loss does not read.
    fn check(&self, op: &'static str, reads: Reads) -> Result<()> {
        let classes = matches!(reads, Reads::Classes | Reads::Smoothed);
        let unread = [
            ("weight", self.weight.is_some() && matches!(reads, Reads::Nothing | Reads::LogTarget)),
            ("pos_weight", self.pos_weight.is_some() && reads != Reads::Weights),
            ("ignore_index", self.ignore_index.is_some() && !classes),
            ("label_smoothing", self.label_smoothing != 0.0 && reads != Reads::Smoothed),
            ("log_target", self.log_target && reads != Reads::LogTarget),
        ];
        match unread.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!(
                    "{name} is not an option of this loss: multiply the losses of Reduction::None, or leave it out"
                );
                Err(Error::argument(op, message))
            }
        }
    }

    fn reduced(&self, losses: Tensor<T>) -> Tensor<T> {
        match self.reduction {
            Reduction::Mean => losses.mean(),
            Reduction::Sum => losses.sum(),
            Reduction::None => losses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() -> Result<()> {
        let (x, classes) = (Tensor::ones([2, 3]), Tensor::from([0, 2]));
        let weight = LossOptions { weight: Some(&x), ..Default::default() };
        assert!(x.mse_loss_with(&x, weight).is_err() && x.cross_entropy_with(&classes, weight).is_err());
        let smooth = |label_smoothing| LossOptions { label_smoothing, ..Default::default() };
        assert!(x.nll_loss_with(&classes, smooth(0.1)).is_err());
        assert!(x.cross_entropy_with(&classes, smooth(1.1)).is_err());
        let ignore = LossOptions { ignore_index: Some(0), ..Default::default() };
        assert!(x.l1_loss_with(&x, ignore).is_err());
        for wrong in [Tensor::from([0, 3]), Tensor::from([0, -1])] {
            assert!(x.cross_entropy(&wrong).is_err() && x.nll_loss(&wrong).is_err());
        }
        assert!(x.cross_entropy(Tensor::from([0])).is_err() && x.huber_loss(&x, 0.0).is_err());
        assert!(x.smooth_l1_loss(&x, -1.0).is_err() && x.smooth_l1_loss(&x, f64::NAN).is_err());
        assert!(x.smooth_l1_loss(&Tensor::ones([2]), 1.0).is_err());
        Ok(())
    }
}
