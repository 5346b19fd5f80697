//! Losses of each two elements.

use super::{LossOptions, Reads};
use crate::body_once;
use crate::tensor::Tensor;
use tensor_core::shape::broadcast;
use tensor_core::{AtCaller, Error, Float, Result};

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
}

/// An error for a parameter that is not positive, or, where `or_zero`, negative.
fn positive(op: &'static str, name: &str, value: f64, or_zero: bool) -> Result<()> {
    if value > 0.0 || (or_zero && value == 0.0) {
        return Ok(());
    }
    let wanted = if or_zero { "0 or more" } else { "a positive one" };
    Err(Error::argument(op, format!("{name} {value}: {wanted} is needed")))
}

/// # Losses: of distributions and logits
impl<T: Float> Tensor<T> {
    /// The mean of t (ln t - x) for logarithms x of a distribution and another one t, 0 where t is 0: over all elements,
    /// as PyTorch's does; the divergence of Kullback and Leibler (1951) is the [`Reduction::Sum`](crate::Reduction::Sum).
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
    #[track_caller]
    pub fn kl_div(&self, target: &Tensor<T>) -> Result<Self> {
        self.kl_div_with(target, LossOptions::default())
    }

    /// [`Tensor::kl_div`] with another [`LossOptions::reduction`], and of logarithms t as well where
    /// [`LossOptions::log_target`]: the mean of e^t (t - x), 0 where t is -inf.
    ///
    /// ```
    /// use tapegrad::{LossOptions, Tensor};
    /// let (x, target) = (Tensor::from([0.5, 0.5]).log(), Tensor::from([1.0, 0.0]).log());
    /// let options = LossOptions { log_target: true, ..Default::default() };
    /// assert_eq!(x.kl_div_with(&target, options)?.item()?, 2f64.ln() / 2.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::kl_div`]; argument, for an option that this loss does not read.
    #[track_caller]
    pub fn kl_div_with(&self, target: &Tensor<T>, options: LossOptions<'_, T>) -> Result<Self> {
        body_once!(
            T: Float,
            [self, target, options],
            |x: &Tensor<T>, target: &Tensor<T>, options: LossOptions<'_, T>| -> Result<Tensor<T>> {
                options.check("kl_div", Reads::LogTarget)?;
                Ok(options.reduced(divergences(x, target, options.log_target).called("kl_div")?))
            }
        )
    }

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
}

/// t (ln t - x), or e^t (t - x) where `t` is a logarithm itself.
fn divergences<T: Float>(x: &Tensor<T>, t: &Tensor<T>, logarithm: bool) -> Result<Tensor<T>> {
    // Where nothing is expected either logarithm may be -inf.
    let none = if logarithm { t.eq(-T::INFINITY)? } else { t.eq(T::ZERO)? };
    let zero = Tensor::scalar(T::ZERO);
    let x = none.where_cond(&zero, x)?;
    if logarithm {
        let finite = none.where_cond(&zero, t)?;
        return t.exp().try_mul(&finite.try_sub(&x)?);
    }
    t.xlogy(t)?.try_sub(&t.try_mul(&x)?)
}

/// What a share of a target that a logit is against costs: w ln(1 + e^x), and nothing without a share, at infinity too.
fn cost<T: Float>(w: &Tensor<T>, x: &Tensor<T>) -> Result<Tensor<T>> {
    let free = w.eq(T::ZERO)?.logical_and(&x.eq(T::INFINITY)?)?;
    let shape = broadcast("binary_cross_entropy_with_logits", w.shape(), x.shape())?;
    w.try_mul(&free.where_cond(Tensor::scalar(T::ZERO), &x.expand(&shape)?)?.softplus())
}

#[cfg(test)]
mod tests {
    use super::super::Reduction;
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
                let logarithms = LossOptions { log_target: true, ..options };
                check_op(|x| x[0].kl_div_with(&x[1], logarithms), &shapes)
                    .reference(|x| x[0].kl_div_with(&x[1].exp(), options))
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
    fn ends() -> Result<()> {
        let (inf, one) = (f64::INFINITY, Tensor::scalar(1.0));
        let each = LossOptions { reduction: Reduction::None, ..Default::default() };
        let options = LossOptions { pos_weight: Some(&one), ..each };
        let x = Tensor::from([inf, -inf, inf, -800.0]);
        let target = Tensor::from([1.0, 0.0, 0.0, 1.0]);
        let losses = x.binary_cross_entropy_with_logits_with(&target, options)?;
        assert_eq!(losses.to_vec(), [0.0, 0.0, inf, 800.0]);
        assert_eq!(Tensor::from([-inf]).kl_div(&Tensor::from([0.0]))?.item()?, 0.0);
        let (x, target) =
            (Tensor::from([-inf, 0.0]).requires_grad(), Tensor::from([-inf, 0.0]).requires_grad());
        let loss = x.kl_div_with(&target, LossOptions { log_target: true, ..Default::default() })?;
        loss.backward()?;
        assert_eq!((loss.item()?, x.grad().unwrap().to_vec()), (0.0, vec![0.0, -0.5]));
        assert_eq!(target.grad().unwrap().to_vec(), [0.0, 0.5]);
        Ok(())
    }
}
