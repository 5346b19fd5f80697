//! Stochastic gradient descent.

use super::state;
use super::{Gradients, TakenOut, buffer, decayed, fits, slots};
use autograd::{Params, Tensor};
use std::path::Path;
use tensor_core::{AtCaller, Error, Float, Result, compiled_once, formula, kernels};

/// What [`Sgd`] does; the names and defaults are PyTorch's.
///
/// ```
/// use tapegrad::optimize::SgdOptions;
/// let options = SgdOptions { lr: 0.1, momentum: 0.9, nesterov: true, ..Default::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    /// The learning rate.
    pub lr: f64,
    /// How much of the last step's direction stays.
    pub momentum: f64,
    /// How much of the gradient does not get into the direction.
    pub dampening: f64,
    /// This times the parameter is added to its gradient.
    pub weight_decay: f64,
    /// Whether the step looks ahead along its direction.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        SgdOptions { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

/// Stochastic gradient descent with momentum, as `torch.optim.SGD`: g = grad + weight_decay p; b = momentum b + (1 -
/// dampening) g, at the first step b = g; p = p - lr b, or with `nesterov` p = p - lr (g + momentum b). Sutskever and
/// others, "On the importance of initialization and momentum in deep learning", 2013.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{Sgd, SgdOptions};
/// let mut w = Tensor::from([1.0, -2.0]).requires_grad();
/// let mut sgd = Sgd::new(SgdOptions { lr: 0.1, momentum: 0.5, ..Default::default() })?;
/// for _ in 0..60 {
///     w.square().sum().backward()?;
///     sgd.step(&mut w)?;
///     sgd.zero_grad(&w);
/// }
/// assert!(w.square().sum().item()? < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Sgd<T: Float = f64> {
    options: SgdOptions,
    /// The learning rate of the next step: a schedule sets it.
    pub lr: f64,
    steps: Vec<u64>,
    directions: Vec<Option<Tensor<T>>>,
}

impl Sgd {
    /// Prepares steps for parameters in f64; [`Sgd::of`] for other types.
    ///
    /// # Errors
    /// Argument, where an option is out of range.
    #[track_caller]
    pub fn new(options: SgdOptions) -> Result<Self> {
        Sgd::of(options).at_caller()
    }
}

impl<T: Float> Sgd<T> {
    /// Prepares steps for parameters of type `T`.
    ///
    /// ```
    /// use tapegrad::optimize::{Sgd, SgdOptions};
    /// let sgd = Sgd::<f32>::of(SgdOptions::default())?;
    /// assert!(Sgd::<f32>::of(SgdOptions { nesterov: true, ..Default::default() }).is_err());
    /// # let _ = sgd;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where an option is out of range.
    #[track_caller]
    pub fn of(options: SgdOptions) -> Result<Self> {
        let SgdOptions { lr, momentum, dampening, weight_decay, nesterov } = options;
        if [lr, momentum, weight_decay].iter().any(|x| x.is_nan() || *x < 0.0) {
            let message =
                format!("lr {lr}, momentum {momentum}, weight_decay {weight_decay}: none may be negative");
            return Err(Error::argument("Sgd", message).at_caller());
        }
        if nesterov && (momentum == 0.0 || dampening != 0.0) {
            return Err(Error::argument("Sgd", "nesterov needs a momentum, and no dampening").at_caller());
        }
        Ok(Sgd { options, lr, steps: Vec::new(), directions: Vec::new() })
    }

    /// A step along the gradients that backward passes have left with the parameters; one that has none stays.
    ///
    /// # Errors
    /// Graph, where no parameter has a gradient, or one was made by an operation; shape, where the parameters are
    /// others than before.
    #[track_caller]
    pub fn step(&mut self, params: &mut impl Params<T>) -> Result<()> {
        let mut taken = TakenOut::of(params);
        let grads = slots("step", &taken.tensors).at_caller()?;
        step(self, &mut taken.tensors, grads).at_caller()
    }

    /// A step along gradients in the parameters' structure, as [`value_and_grad`](autograd::value_and_grad) gives them.
    ///
    /// ```
    /// use tapegrad::{Tensor, value_and_grad};
    /// use tapegrad::optimize::{Sgd, SgdOptions};
    /// let mut w = (Tensor::scalar(3.0), Tensor::from([1.0]));
    /// let mut sgd = Sgd::new(SgdOptions { lr: 0.5, ..Default::default() })?;
    /// let (_, g) = value_and_grad(|(a, b): &(Tensor, Tensor)| Ok(a.square() + b.sum()), &w)?;
    /// sgd.step_with(&mut w, &g)?;
    /// assert_eq!((w.0.item()?, w.1.to_vec()), (0.0, vec![0.5]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where gradients or parameters do not fit each other or those of earlier steps.
    #[track_caller]
    pub fn step_with<P: Params<T>>(&mut self, params: &mut P, gradients: &P) -> Result<()> {
        let grads = gradients.tensors().into_iter().map(Some).collect();
        let mut taken = TakenOut::of(params);
        step(self, &mut taken.tensors, grads).at_caller()
    }

    /// As [`zero_grad`](super::zero_grad).
    pub fn zero_grad(&self, params: &impl Params<T>) {
        super::zero_grad(params);
    }

    /// Writes what the next steps depend on, beside the options and the parameters, to a safetensors file.
    ///
    /// # Errors
    /// File, where it cannot be written.
    #[track_caller]
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let buffers = [("momentum_buffer", &mut self.directions)];
        state::save(path.as_ref(), "SGD", &buffers, &self.steps, self.lr).at_caller()
    }

    /// Reads what [`Sgd::save`] wrote: with the same options and parameters, the next steps are the same to the bit.
    ///
    /// # Errors
    /// File, where it cannot be read or holds something else.
    #[track_caller]
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let mut buffers = [("momentum_buffer", &mut self.directions)];
        (self.steps, self.lr) = state::load(path.as_ref(), "SGD", &mut buffers).at_caller()?;
        Ok(())
    }
}

compiled_once! {
    fn step<T: Float>(sgd: &mut Sgd<T>, params: &mut [Tensor<T>], grads: Gradients<T>) -> Result<()> {
        fits("step", params, &grads)?;
        if sgd.steps.is_empty() {
            (sgd.steps, sgd.directions) = (vec![0; params.len()], vec![None; params.len()]);
        }
        if sgd.steps.len() != params.len() {
            let message = format!("{} parameters, and {} before", params.len(), sgd.steps.len());
            return Err(Error::shape("step", message));
        }
        let SgdOptions { momentum, dampening, weight_decay, nesterov, .. } = sgd.options;
        let (lr, part, rest) = (T::of(sgd.lr), T::of(momentum), T::of(1.0 - dampening));
        let along = formula!(|p: T, b: T| p - b * lr);
        let ahead = formula!(|p: T, b: T, g: T| p - (g + b * part) * lr);
        for (k, (x, g)) in params.iter_mut().zip(grads).enumerate() {
            let Some(g) = g else { continue };
            let g = decayed(g, x, weight_decay)?;
            if momentum == 0.0 {
                x.update(|x| Ok(kernels::zip("SGD", x.array(), g.array(), &along)?.into()))?;
            } else {
                let b = match sgd.directions[k].is_some() {
                    true => {
                        let b = buffer(&mut sgd.directions[k], x)?;
                        kernels::zip_owned("SGD", b, g.array(), &formula!(|b: T, g: T| b * part + g * rest))?
                    }
                    false => g.array().clone(),
                };
                x.update(|x| {
                    let next = match nesterov {
                        true => kernels::zip3("SGD", x.array(), &b, g.array(), &ahead),
                        false => kernels::zip("SGD", x.array(), &b, &along),
                    };
                    Ok(next?.into())
                })?;
                sgd.directions[k] = Some(b.into());
            }
            sgd.steps[k] += 1;
        }
        Ok(())
    }
}
