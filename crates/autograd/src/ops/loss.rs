//! Losses of predictions beside targets, and how they are weighted and reduced.

use super::gather::Indices;
use super::softmax::CrossEntropy;
use crate::body_once;
use crate::op::apply;
use crate::tensor::Tensor;
use tensor_core::shape::{Dims, broadcast};
use tensor_core::{AtCaller, Device, Error, Float, Result};

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
}

impl<T: Float> Default for LossOptions<'_, T> {
    fn default() -> Self {
        LossOptions {
            reduction: Reduction::Mean,
            weight: None,
            pos_weight: None,
            ignore_index: None,
            label_smoothing: 0.0,
        }
    }
}

/// The options that a loss reads beside the reduction.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    Nothing,
    Weights,
    Classes,
    Smoothed,
}

impl<T: Float> LossOptions<'_, T> {
    /// An error where an option is given that the loss does not read.
    fn check(&self, op: &'static str, reads: Reads) -> Result<()> {
        let classes = matches!(reads, Reads::Classes | Reads::Smoothed);
        let unread = [
            ("weight", self.weight.is_some() && reads == Reads::Nothing),
            ("pos_weight", self.pos_weight.is_some() && reads != Reads::Weights),
            ("ignore_index", self.ignore_index.is_some() && !classes),
            ("label_smoothing", self.label_smoothing != 0.0 && reads != Reads::Smoothed),
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

/// A loss of each two elements, and the same with its options.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $name:ident $with:ident($($p:ident: $P:ty)?) $(check $check:expr;)? |$x:ident, $target:ident| $loss:expr;
    )*) => {
        /// # Losses: of each two elements
        impl<T: Float> Tensor<T> { $(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self, target: &Tensor<T> $(, $p: $P)?) -> Result<Self> {
                self.$with(target, $($p,)? LossOptions::default())
            }

            #[doc = concat!("[`Tensor::", stringify!($name), "`] with another [`LossOptions::reduction`].")]
            ///
            /// # Errors
            #[doc = concat!(
                "As [`Tensor::", stringify!($name), "`]; argument, for an option that this loss does not read."
            )]
            #[track_caller]
            pub fn $with(&self, target: &Tensor<T>, $($p: $P,)? options: LossOptions<'_, T>) -> Result<Self> {
                body_once!(
                    T: Float,
                    [self, target, options $(, $p)?],
                    |$x: &Tensor<T>, $target: &Tensor<T>, options: LossOptions<'_, T> $(, $p: $P)?| -> Result<Tensor<T>> {
                        options.check(stringify!($name), Reads::Nothing)?;
                        $($check?;)?
                        let losses = || -> Result<Tensor<T>> { $loss };
                        Ok(options.reduced(losses().called(stringify!($name))?))
                    }
                )
            }
        )* }
    };
}
losses! {
    /// The mean of (x - target)^2.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 3.0]);
    /// assert_eq!(x.mse_loss(&Tensor::from([1.0, 1.0]))?.item()?, 2.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    mse_loss mse_loss_with() |x, target| Ok(x.try_sub(target)?.square());

    /// The mean of |x - target|; its derivative at 0 is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 3.0]);
    /// assert_eq!(x.l1_loss(&Tensor::from([2.0, 1.0]))?.item()?, 1.5);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    l1_loss l1_loss_with() |x, target| Ok(x.try_sub(target)?.abs());

    /// The mean of d^2 / 2 for |d| <= delta and delta (|d| - delta / 2) beyond, with d = x - target
    /// (Huber 1964). From |d| = delta on the derivative by x is +-delta, at infinity too, and the second is 0.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, for a delta that is not positive.
    huber_loss huber_loss_with(delta: f64) check positive("huber_loss", "delta", delta, false);
        |x, target| Ok(x.try_sub(target)?.huber(delta));

    /// The mean of d^2 / (2 beta) for |d| < beta and |d| - beta / 2 beyond, with d = x - target: `huber_loss` over its
    /// parameter (Girshick 2015), and `l1_loss` for beta 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([0.5, 3.0]);
    /// assert_eq!(x.smooth_l1_loss(&Tensor::zeros([2]), 1.0)?.item()?, (0.125 + 2.5) / 2.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, for a negative beta.
    smooth_l1_loss smooth_l1_loss_with(beta: f64) check positive("smooth_l1_loss", "beta", beta, true);
        |x, target| {
            let d = x.try_sub(target)?;
            Ok(if beta == 0.0 { d.abs() } else { (d / T::of(beta)).huber(1.0) * T::of(beta) })
        };

    /// The mean of t (ln t - x) for logarithms x of a distribution and another one t, 0 where t is 0: over all elements,
    /// as PyTorch's does; the divergence of Kullback and Leibler (1951) is the [`Reduction::Sum`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let target = Tensor::from([0.5, 0.5, 0.0]);
    /// let x = Tensor::from([0.5, 0.25, 0.25]).log();
    /// assert_eq!(x.kl_div(&target)?.item()?, 0.5 * 2f64.ln() / 3.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    kl_div kl_div_with() |x, target| {
        // Where nothing is expected the logarithm may be -inf.
        let none = target.eq(T::ZERO)?;
        let x = none.where_cond(Tensor::scalar(T::ZERO), x)?;
        target.xlogy(target)?.try_sub(&target.try_mul(&x)?)
    };
}

/// An error for a parameter that is not positive, or, where `or_zero`, negative.
fn positive(op: &'static str, name: &str, value: f64, or_zero: bool) -> Result<()> {
    if value > 0.0 || (or_zero && value == 0.0) {
        return Ok(());
    }
    let wanted = if or_zero { "0 or more" } else { "a positive one" };
    Err(Error::argument(op, format!("{name} {value}: {wanted} is needed")))
}

/// # Losses: of logits and classes
impl<T: Float> Tensor<T> {
    /// The mean of -t ln p - (1 - t) ln(1 - p) for p = sigmoid(x), without overflow, and with all digits
    /// of a loss that is almost 0. An infinite logit on the target's side costs nothing.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (x, target) = (Tensor::from([0.0, f64::INFINITY]), Tensor::from([1.0, 1.0]));
    /// assert_eq!(x.binary_cross_entropy_with_logits(&target)?.item()?, 2f64.ln() / 2.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(&self, target: &Tensor<T>) -> Result<Self> {
        self.binary_cross_entropy_with_logits_with(target, LossOptions::default())
    }

    /// [`Tensor::binary_cross_entropy_with_logits`] with [`LossOptions::weight`], [`LossOptions::pos_weight`] and another
    /// reduction.
    ///
    /// ```
    /// use tapegrad::{LossOptions, Tensor};
    /// let (x, target) = (Tensor::from([0.0, 0.0]), Tensor::from([1.0, 0.0]));
    /// let options = LossOptions { pos_weight: Some(&Tensor::scalar(3.0)), ..Default::default() };
    /// assert_eq!(x.binary_cross_entropy_with_logits_with(&target, options)?.item()?, 2.0 * 2f64.ln());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; argument, for an option that this loss does not read.
    #[track_caller]
    pub fn binary_cross_entropy_with_logits_with(
        &self,
        target: &Tensor<T>,
        options: LossOptions<'_, T>,
    ) -> Result<Self> {
        body_once!(
            T: Float,
            [self, target, options],
            |x: &Tensor<T>, target: &Tensor<T>, options: LossOptions<'_, T>| -> Result<Tensor<T>> {
                const OP: &str = "binary_cross_entropy_with_logits";
                options.check(OP, Reads::Weights)?;
                let losses = match options.pos_weight {
                    None => x.logit_loss(target)?,
                    Some(factor) => {
                        let right = target.try_mul(factor).called(OP)?;
                        let wrong = -target + T::ONE;
                        cost(&right, &(-x)).and_then(|cost_of| cost_of.try_add(&cost(&wrong, x)?)).called(OP)?
                    }
                };
                let losses = match options.weight {
                    None => losses,
                    Some(weight) => losses.try_mul(weight).called(OP)?,
                };
                Ok(options.reduced(losses))
            }
        )
    }

    /// The mean of -ln softmax(x) at the target over the rows of a batch: `self` holds logits in shape `[N, C]`, `target`
    /// classes from 0 to C - 1 in shape `[N]`, a tensor or a list. Further dimensions are rows as well, `[N, C, ..]` beside `[N, ..]`, and
    /// `[C]` beside a scalar is one.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 4]);
    /// assert_eq!(x.cross_entropy(&Tensor::from([0, 3]))?.item()?, 4f64.ln());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for any other shapes; index, for a class that does not exist.
    #[track_caller]
    pub fn cross_entropy(&self, target: impl Indices) -> Result<Self> {
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
    pub fn cross_entropy_with(&self, target: impl Indices, options: LossOptions<'_, T>) -> Result<Self> {
        let target = target.indices(self.device()).at_caller()?;
        body_once!(
            T: Float,
            [self, &target, options],
            |x: &Tensor<T>, target: &Tensor<i64>, options: LossOptions<'_, T>| -> Result<Tensor<T>> {
                options.check("cross_entropy", Reads::Smoothed)?;
                if !(0.0..=1.0).contains(&options.label_smoothing) {
                    let message = format!("label_smoothing {}: 0 to 1 is needed", options.label_smoothing);
                    return Err(Error::argument("cross_entropy", message));
                }
                of_classes("cross_entropy", x, target, options, |rows, classes| {
                    apply(CrossEntropy(classes.clone()), [rows])
                })
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

/// What a share of a target that a logit is against costs: w ln(1 + e^x), and nothing without a share, at infinity too.
fn cost<T: Float>(w: &Tensor<T>, x: &Tensor<T>) -> Result<Tensor<T>> {
    let free = w.eq(T::ZERO)?.logical_and(&x.eq(T::INFINITY)?)?;
    let shape = broadcast("binary_cross_entropy_with_logits", w.shape(), x.shape())?;
    w.try_mul(&free.where_cond(Tensor::scalar(T::ZERO), &x.expand(&shape)?)?.softplus())
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
    // The dimension of the classes: the second, or the only one.
    let along = usize::from(x.ndim() > 1);
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
    if let Some(weight) = options.weight
        && weight.shape() != [count]
    {
        let message =
            format!("weights of shape {:?} for {count} classes: one each is needed", weight.shape());
        return Err(Error::shape(op, message));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    const REDUCTIONS: [Reduction; 3] = [Reduction::Mean, Reduction::Sum, Reduction::None];

    #[test]
    fn derivatives_of_losses_of_elements() -> Result<()> {
        for reduction in REDUCTIONS {
            let options = LossOptions { reduction, ..Default::default() };
            for shapes in [[&[3, 2][..], &[3, 2]], [&[2], &[3, 1]], [&[], &[]], [&[0], &[0]]] {
                check_op(|x| x[0].mse_loss_with(&x[1], options), &shapes).run()?;
                check_op(|x| x[0].l1_loss_with(&x[1], options), &shapes).run()?;
                check_op(|x| x[0].huber_loss_with(&x[1], 0.7, options), &shapes).run()?;
                let over = |x: &[Tensor]| Ok(x[0].huber_loss_with(&x[1], 0.7, options)? / 0.7);
                check_op(|x| x[0].smooth_l1_loss_with(&x[1], 0.7, options), &shapes).reference(over).run()?;
                check_op(
                    |x| x[0].kl_div_with(&x[1].square().try_add(&Tensor::scalar(0.1))?, options),
                    &shapes,
                )
                .run()?;
                let weighted = |x: &[Tensor]| {
                    let (weight, pos_weight) = (x[1].exp(), x[0].sigmoid());
                    let options =
                        LossOptions { weight: Some(&weight), pos_weight: Some(&pos_weight), ..options };
                    x[0].binary_cross_entropy_with_logits_with(&x[1].sigmoid(), options)
                };
                check_op(weighted, &shapes).run()?;
            }
        }
        let one = Tensor::scalar(1.0);
        let options = LossOptions { pos_weight: Some(&one), ..Default::default() };
        check_op(|x| x[0].binary_cross_entropy_with_logits_with(&x[1].sigmoid(), options), &[&[4], &[4]])
            .reference(|x| x[0].binary_cross_entropy_with_logits(&x[1].sigmoid()))
            .run()
    }

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
        let (inf, one) = (f64::INFINITY, Tensor::scalar(1.0));
        let each = LossOptions { reduction: Reduction::None, ..Default::default() };
        let options = LossOptions { pos_weight: Some(&one), ..each };
        let x = Tensor::from([inf, -inf, inf, -800.0]);
        let target = Tensor::from([1.0, 0.0, 0.0, 1.0]);
        let losses = x.binary_cross_entropy_with_logits_with(&target, options)?;
        assert_eq!(losses.to_vec(), [0.0, 0.0, inf, 800.0]);
        let ignore = LossOptions { ignore_index: Some(1), ..Default::default() };
        assert!(Tensor::zeros([1, 3]).cross_entropy_with(Tensor::from([1]), ignore)?.item()?.is_nan());
        assert_eq!(Tensor::from([-inf]).kl_div(&Tensor::from([0.0]))?.item()?, 0.0);
        Ok(())
    }

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
