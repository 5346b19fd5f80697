//! Losses of logits beside classes, or beside shares of classes.

use super::super::gather::Indices;
use super::super::softmax::CrossEntropy;
use super::{LossOptions, Reads, Reduction};
use crate::body_once;
use crate::op::apply;
use crate::tensor::Tensor;
use std::any::Any;
use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use tensor_core::shape::{Dims, Integer};
use tensor_core::{AtCaller, Device, Element, Error, Float, Result};

/// What `cross_entropy` is held against: classes, as for `nll_loss`, or a tensor of floats with the share of each class.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds neither classes nor shares of classes",
    label = "a tensor or a list of integers, or a tensor of `{T}` in the shape of the logits, is needed"
)]
pub trait Targets<T: Float> {
    /// The target, a list on a device.
    ///
    /// # Errors
    /// Argument, for a tensor of another type; out of memory.
    fn targets(&self, device: Device) -> Result<Target<'_, T>>;
}

/// A target of a loss of classes.
pub enum Target<'a, T: Float> {
    /// The class of each row.
    Classes(Cow<'a, Tensor<i64>>),
    /// The share of each class.
    Shares(&'a Tensor<T>),
}

impl<T: Float, E: Element> Targets<T> for Tensor<E> {
    fn targets(&self, _: Device) -> Result<Target<'_, T>> {
        let target: &dyn Any = self;
        if let Some(classes) = target.downcast_ref() {
            return Ok(Target::Classes(Cow::Borrowed(classes)));
        }
        target.downcast_ref().map(Target::Shares).ok_or_else(|| {
            let (given, wanted) = (E::DTYPE, T::DTYPE);
            let message = format!(
                "a target of {given} beside logits of {wanted}: classes as i64, or shares as {wanted}, are needed; \
                 to_type converts"
            );
            Error::argument("cross_entropy", message)
        })
    }
}

impl<T: Float, X: Targets<T> + ?Sized> Targets<T> for &X {
    fn targets(&self, device: Device) -> Result<Target<'_, T>> {
        (**self).targets(device)
    }
}

/// Lists of classes.
macro_rules! listed {
    ($([$($generics:tt)*] $List:ty;)*) => { $(
        impl<T: Float, $($generics)*> Targets<T> for $List {
            fn targets(&self, device: Device) -> Result<Target<'_, T>> {
                self.indices(device).map(Target::Classes)
            }
        }
    )* };
}
listed! {
    [I: Integer] [I];
    [I: Integer, const N: usize] [I; N];
    [I: Integer] Vec<I>;
    [I: Integer] Range<I>;
    [I: Integer] RangeInclusive<I>;
}

/// # Losses: of classes
impl<T: Float> Tensor<T> {
    /// The mean of -ln softmax(x) at the target over the rows of a batch: `self` holds logits in shape `[N, C]`, `target`
    /// classes from 0 to C - 1 in shape `[N]`, a tensor or a list. Further dimensions are rows as well, `[N, C, ..]` beside `[N, ..]`, and
    /// `[C]` beside a scalar is one. A target of floats in the shape of the logits holds the share of each class: then it is the mean of
    /// -sum_c t_c ln softmax(x)_c, with a gradient by the shares, too.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 4]);
    /// assert_eq!(x.cross_entropy(&Tensor::from([0, 3]))?.item()?, 4f64.ln());
    /// let shares = Tensor::from([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);
    /// assert_eq!(x.cross_entropy(&shares)?.item()?, 4f64.ln());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for any other shapes; index, for a class that does not exist; argument, for a target of another float type.
    #[track_caller]
    pub fn cross_entropy(&self, target: impl Targets<T>) -> Result<Self> {
        self.cross_entropy_with(target, LossOptions::default())
    }

    /// [`Tensor::cross_entropy`] with weights of classes, [`LossOptions::ignore_index`],
    /// [`LossOptions::label_smoothing`] and another reduction.
    ///
    /// ```
    /// use tapegrad::{LossOptions, Tensor};
    /// let (x, target) = (Tensor::from([[0.0, 0.0], [0.0, 3f64.ln()]]), Tensor::from([0, 1]));
    /// let weight = Tensor::from([1.0, 3.0]);
    /// let loss = x.cross_entropy_with(&target, LossOptions { weight: Some(&weight), ..Default::default() })?;
    /// assert!((loss.item()? - (2f64.ln() + 3.0 * (4.0f64 / 3.0).ln()) / 4.0).abs() < 1e-15);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::cross_entropy`]; shape, where there is not a weight for each class; argument, for a share of labels
    /// outside of 0 to 1, and for an option that this loss does not read.
    #[track_caller]
    pub fn cross_entropy_with(&self, target: impl Targets<T>, options: LossOptions<'_, T>) -> Result<Self> {
        let target = target.targets(self.device()).at_caller()?;
        body_once!(
            T: Float,
            [self, &target, options],
            |x: &Tensor<T>, target: &Target<'_, T>, options: LossOptions<'_, T>| -> Result<Tensor<T>> {
                options.check("cross_entropy", Reads::Smoothed)?;
                if !(0.0..=1.0).contains(&options.label_smoothing) {
                    let message = format!("label_smoothing {}: 0 to 1 is needed", options.label_smoothing);
                    return Err(Error::argument("cross_entropy", message));
                }
                match target {
                    Target::Shares(shares) => of_shares(x, shares, options).called("cross_entropy"),
                    Target::Classes(classes) => of_classes("cross_entropy", x, classes, options, |rows, classes| {
                        apply(CrossEntropy(classes.clone()), [rows])
                    }),
                }
            }
        )
    }

    /// The mean of -x at the target over the rows of a batch, for logarithms x of probabilities; shapes as in
    /// [`Tensor::cross_entropy`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[-1.0, -2.0], [-3.0, -4.0]]);
    /// assert_eq!(x.nll_loss(&Tensor::from([0, 1]))?.item()?, 2.5);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for any other shapes; index, for a class that does not exist.
    #[track_caller]
    pub fn nll_loss(&self, target: impl Indices) -> Result<Self> {
        self.nll_loss_with(target, LossOptions::default())
    }

    /// [`Tensor::nll_loss`] with weights of classes, [`LossOptions::ignore_index`] and another reduction.
    ///
    /// ```
    /// use tapegrad::{LossOptions, Tensor};
    /// let x = Tensor::from([[-1.0, -2.0], [-3.0, -4.0]]);
    /// let options = LossOptions { ignore_index: Some(1), ..Default::default() };
    /// assert_eq!(x.nll_loss_with(&Tensor::from([0, 1]), options)?.item()?, 1.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::nll_loss`]; shape, where there is not a weight for each class; argument, for an option that this loss
    /// does not read.
    #[track_caller]
    pub fn nll_loss_with(&self, target: impl Indices, options: LossOptions<'_, T>) -> Result<Self> {
        let target = target.indices(self.device()).at_caller()?;
        body_once!(
            T: Float,
            [self, &target, options],
            |x: &Tensor<T>, target: &Tensor<i64>, options: LossOptions<'_, T>| -> Result<Tensor<T>> {
                options.check("nll_loss", Reads::Classes)?;
                of_classes("nll_loss", x, target, options, |rows, classes| {
                    Ok(-rows.gather(1, &classes.unsqueeze(1)?)?.squeeze(1)?)
                })
            }
        )
    }
}

/// Classes of which none is negative: what reads them would count those from the end.
fn known(op: &'static str, classes: Tensor<i64>, count: usize) -> Result<Tensor<i64>> {
    let negative = classes.lt(0)?;
    if classes.device() != Device::Cpu {
        // Out of range for the kernel that reads them: looking at them here would wait for the GPU.
        return negative.where_cond(Tensor::scalar(count as i64), &classes);
    }
    if negative.any() {
        let message = format!("class {}: classes are 0 to {count} - 1", classes.min()?.item()?);
        return Err(Error::index(op, message));
    }
    Ok(classes)
}

/// The losses of the rows of a batch at their classes, weighted, smoothed and reduced.
fn of_classes<T: Float>(
    op: &'static str,
    x: &Tensor<T>,
    target: &Tensor<i64>,
    options: LossOptions<'_, T>,
    losses: impl FnOnce(&Tensor<T>, &Tensor<i64>) -> Result<Tensor<T>>,
) -> Result<Tensor<T>> {
    let along = dim_of_classes(x);
    let mut without = Dims::from_slice(x.shape());
    if x.ndim() > 0 {
        without.remove(along);
    }
    if x.ndim() == 0 || *target.shape() != without[..] {
        let message = format!(
            "logits of shape {:?} and classes of shape {:?}: [N, C] and [N], or [N, C, ..] and [N, ..], are needed",
            x.shape(),
            target.shape()
        );
        return Err(Error::shape(op, message));
    }
    let count = x.shape()[along];
    one_weight_each(op, options.weight, count)?;
    let rows = match x.ndim() {
        2 => x.clone(),
        _ => x.movedim(along as isize, -1)?.reshaped(Dims::from_slice(&[target.numel(), count]))?,
    };
    let target = target.flatten();
    let ignored = options.ignore_index.map(|class| target.eq(class)).transpose()?;
    let (zero, first) = (Tensor::scalar(T::ZERO), Tensor::scalar(0));
    let classes = match &ignored {
        Some(ignored) => ignored.where_cond(&first, &target)?,
        None => target,
    };
    let counted = |losses: Tensor<T>| match &ignored {
        Some(ignored) => ignored.where_cond(&zero, &losses),
        None => Ok(losses),
    };
    let classes = known(op, classes, count)?;
    let mut loss = losses(&rows, &classes).called(op)?;
    // What each row counts for in the mean.
    let weights = match options.weight {
        Some(weight) => Some(counted(weight.index_select(0, &classes)?)?),
        None => None,
    };
    if let Some(weights) = &weights {
        loss = loss.try_mul(weights)?;
    }
    if options.label_smoothing > 0.0 {
        let mut spread = -rows.log_softmax(1)?;
        if let Some(weight) = options.weight {
            spread = spread.try_mul(weight)?;
        }
        let share = options.label_smoothing;
        loss = loss * T::of(1.0 - share) + spread.sum_dim(1isize, false)? * T::of(share / count as f64);
    }
    let loss = counted(loss)?;
    match (options.reduction, weights, &ignored) {
        (Reduction::Mean, Some(weights), _) => loss.sum().try_div(&weights.sum()),
        (Reduction::Mean, None, Some(ignored)) => {
            loss.sum().try_div(&ignored.logical_not().to_type::<T>().sum())
        }
        (Reduction::None, ..) => loss.reshaped(without),
        _ => Ok(options.reduced(loss)),
    }
}

/// The dimension of the classes: the second, or the only one.
fn dim_of_classes<T: Float>(x: &Tensor<T>) -> usize {
    usize::from(x.ndim() > 1)
}

fn one_weight_each<T: Float>(op: &'static str, weight: Option<&Tensor<T>>, count: usize) -> Result<()> {
    match weight {
        Some(weight) if weight.shape() != [count] => {
            let message =
                format!("weights of shape {:?} for {count} classes: one each is needed", weight.shape());
            Err(Error::shape(op, message))
        }
        _ => Ok(()),
    }
}

/// The losses of the rows of a batch for shares of their classes, weighted, smoothed and reduced: PyTorch's
/// `cross_entropy` of probabilities, whose mean counts rows and not weights.
fn of_shares<T: Float>(x: &Tensor<T>, shares: &Tensor<T>, options: LossOptions<'_, T>) -> Result<Tensor<T>> {
    const OP: &str = "cross_entropy";
    if x.ndim() == 0 || x.shape() != shares.shape() {
        let message = format!(
            "logits of shape {:?} and shares of shape {:?}: [N, C, ..] or [C] both are needed",
            x.shape(),
            shares.shape()
        );
        return Err(Error::shape(OP, message));
    }
    if options.ignore_index.is_some() {
        let message =
            "ignore_index beside shares of classes: it names a class; leave it out, or make the shares 0";
        return Err(Error::argument(OP, message));
    }
    let along = dim_of_classes(x);
    let count = x.shape()[along];
    one_weight_each(OP, options.weight, count)?;
    let share = options.label_smoothing;
    let shares = match share > 0.0 {
        true => shares * T::of(1.0 - share) + T::of(share / count as f64),
        false => shares.clone(),
    };
    let logarithms = x.log_softmax(along)?;
    // A class that is impossible and not expected costs nothing.
    let free = shares.eq(T::ZERO)?.logical_and(&logarithms.eq(-T::INFINITY)?)?;
    let mut losses = -shares.try_mul(&free.where_cond(Tensor::scalar(T::ZERO), &logarithms)?)?;
    if let Some(weight) = options.weight {
        let mut line = Dims::from_elem(1, x.ndim());
        line[along] = count;
        losses = losses.try_mul(&weight.reshape(&line)?)?;
    }
    Ok(options.reduced(losses.sum_dim(along, false)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    const REDUCTIONS: [Reduction; 3] = [Reduction::Mean, Reduction::Sum, Reduction::None];

    #[test]
    fn derivatives_of_losses_of_classes() -> Result<()> {
        let (flat, images) = (Tensor::from([2, 0, 7, 2]), Tensor::from([[1, 7], [0, 2]]));
        for reduction in REDUCTIONS {
            for (shape, target) in [(&[4, 3][..], &flat), (&[2, 3, 2], &images), (&[3], &Tensor::scalar(1))] {
                for label_smoothing in [0.0, 0.2] {
                    let loss = |x: &[Tensor]| {
                        let weight = x[1].exp();
                        let options = LossOptions {
                            reduction,
                            weight: Some(&weight),
                            ignore_index: Some(7),
                            label_smoothing,
                            ..Default::default()
                        };
                        x[0].cross_entropy_with(target, options)
                    };
                    check_op(loss, &[shape, &[3]]).run()?;
                }
                let weight = Tensor::from([1.0, 2.0, 0.5]);
                let options = LossOptions {
                    reduction,
                    weight: Some(&weight),
                    ignore_index: Some(7),
                    ..Default::default()
                };
                let dim = isize::from(shape.len() > 1);
                check_op(|x| x[0].log_softmax(dim)?.nll_loss_with(target, options), &[shape])
                    .reference(|x| x[0].cross_entropy_with(target, options))
                    .run()?;
            }
        }
        Ok(())
    }

    #[test]
    fn ends() -> Result<()> {
        let ignore = LossOptions { ignore_index: Some(1), ..Default::default() };
        assert!(Tensor::zeros([1, 3]).cross_entropy_with(Tensor::from([1]), ignore)?.item()?.is_nan());
        // A class that is impossible costs nothing where it is not expected.
        let x = Tensor::from([[0.0, f64::NEG_INFINITY, 0.0]]).requires_grad();
        let loss = x.cross_entropy(Tensor::from([[0.5, 0.0, 0.5]]))?;
        loss.backward()?;
        assert_eq!((loss.item()?, x.grad().unwrap().to_vec()), (2f64.ln(), vec![0.0; 3]));
        assert_eq!(x.cross_entropy(Tensor::from([[0.5, 0.5, 0.0]]))?.item()?, f64::INFINITY);
        Ok(())
    }

    #[test]
    fn shares_of_classes() -> Result<()> {
        for reduction in REDUCTIONS {
            for shape in [&[4, 3][..], &[2, 3, 2], &[3]] {
                for label_smoothing in [0.0, 0.2] {
                    let loss = |x: &[Tensor]| {
                        let weight = x[2].exp();
                        let options = LossOptions {
                            reduction,
                            weight: Some(&weight),
                            label_smoothing,
                            ..Default::default()
                        };
                        x[0].cross_entropy_with(&x[1].softmax(-1)?, options)
                    };
                    check_op(loss, &[shape, shape, &[3]]).run()?;
                    let options = LossOptions { reduction, label_smoothing, ..Default::default() };
                    check_op(|x| x[0].cross_entropy_with(&x[1], options), &[shape, shape])
                        .single(|x| {
                            let options = LossOptions { reduction, label_smoothing, ..Default::default() };
                            x[0].cross_entropy_with(&x[1], options)
                        })
                        .run()?;
                }
            }
            // One class with all of it is that class.
            let x = Tensor::from([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]);
            let options = LossOptions { reduction, label_smoothing: 0.1, ..Default::default() };
            let classes = x.cross_entropy_with([2, 0], options)?;
            let shares = x.cross_entropy_with(Tensor::from([2, 0]).one_hot(3)?.to_type::<f64>(), options)?;
            assert!(classes.allclose(&shares, 1e-14, 0.0)?);
        }
        let (none, sum) =
            (Tensor::zeros([0, 3]), LossOptions { reduction: Reduction::Sum, ..Default::default() });
        assert_eq!(none.cross_entropy_with(&none, sum)?.item()?, 0.0);
        let x = Tensor::zeros([2, 3]);
        let ignore = LossOptions { ignore_index: Some(1), ..Default::default() };
        assert!(x.cross_entropy_with(&x, ignore).is_err() && x.cross_entropy(Tensor::zeros([3])).is_err());
        let e = x.cross_entropy(x.to_type::<f32>()).unwrap_err();
        assert!(e.to_string().contains("to_type"), "{e}");
        Ok(())
    }
}
