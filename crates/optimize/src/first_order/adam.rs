//! Adam and AdamW.

use super::state;
use super::{Gradients, TakenOut, buffer, decayed, fits, slots};
use autograd::{Params, Tensor};
use std::path::Path;
use tensor_core::{AtCaller, Error, Float, Result, compiled_once, formula, kernels};

/// What [`Adam`] does; the names and defaults are PyTorch's.
///
/// ```
/// use tapegrad::optimize::AdamOptions;
/// let options = AdamOptions { lr: 0.01, ..AdamOptions::adamw() };
/// assert_eq!(options.weight_decay, 0.01);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// The learning rate.
    pub lr: f64,
    /// How much of the averages of the gradient and of its square stays.
    pub betas: (f64, f64),
    /// What is added to the root of the average square.
    pub eps: f64,
    /// How strongly parameters are drawn to zero.
    pub weight_decay: f64,
    /// Whether decay is apart from the gradient, as in AdamW: p (1 - lr weight_decay).
    pub decoupled_weight_decay: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        AdamOptions {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled_weight_decay: false,
        }
    }
}

impl AdamOptions {
    /// PyTorch's defaults of AdamW: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019.
    pub fn adamw() -> Self {
        AdamOptions { weight_decay: 1e-2, decoupled_weight_decay: true, ..Default::default() }
    }
}

/// Kingma, Ba, "Adam: a method for stochastic optimization", 2015, as `torch.optim.Adam`: m = b1 m + (1 - b1) g, v = b2
/// v + (1 - b2) g^2, p = p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps). [`AdamOptions::adamw`] makes it
/// AdamW.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{Adam, AdamOptions, schedule};
/// let mut w = Tensor::from([1.0, -2.0]).requires_grad();
/// let mut adam = Adam::new(AdamOptions { lr: 0.1, ..Default::default() })?;
/// for k in 0..300 {
///     adam.lr = schedule::cosine_annealing(0.1, 0.0, 300, k);
///     w.square().sum().backward()?;
///     adam.step(&mut w)?;
///     adam.zero_grad(&w);
/// }
/// assert!(w.square().sum().item()? < 1e-8);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[doc(alias = "AdamW")]
#[derive(Clone)]
pub struct Adam<T: Float = f64> {
    options: AdamOptions,
    /// The learning rate of the next step: a schedule sets it.
    pub lr: f64,
    steps: Vec<u64>,
    means: Vec<Option<Tensor<T>>>,
    squares: Vec<Option<Tensor<T>>>,
}

impl Adam {
    /// Prepares steps for parameters in f64; [`Adam::of`] for other types.
    ///
    /// # Errors
    /// Argument, where an option is out of range.
    #[track_caller]
    pub fn new(options: AdamOptions) -> Result<Self> {
        Adam::of(options).at_caller()
    }
}

impl<T: Float> Adam<T> {
    /// Prepares steps for parameters of type `T`.
    ///
    /// ```
    /// use tapegrad::optimize::{Adam, AdamOptions};
    /// let adam = Adam::<f32>::of(AdamOptions::adamw())?;
    /// assert!(Adam::<f32>::of(AdamOptions { betas: (0.9, 1.0), ..Default::default() }).is_err());
    /// # let _ = adam;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where an option is out of range.
    #[track_caller]
    pub fn of(options: AdamOptions) -> Result<Self> {
        let AdamOptions { lr, betas: (b1, b2), eps, weight_decay, .. } = options;
        if [lr, eps, weight_decay].iter().any(|x| x.is_nan() || *x < 0.0) {
            let message = format!("lr {lr}, eps {eps}, weight_decay {weight_decay}: none may be negative");
            return Err(Error::argument("Adam", message).at_caller());
        }
        if ![b1, b2].iter().all(|b| (0.0..1.0).contains(b)) {
            let message = format!("betas ({b1}, {b2}): both are to be from 0 to below 1");
            return Err(Error::argument("Adam", message).at_caller());
        }
        Ok(Adam { options, lr, steps: Vec::new(), means: Vec::new(), squares: Vec::new() })
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
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::optimize::{Adam, AdamOptions};
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-adam-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("adam.safetensors");
    /// let (mut w, g) = (Tensor::from([1.0, 2.0]), Tensor::from([0.5, -1.0]));
    /// let mut adam = Adam::new(AdamOptions::default())?;
    /// adam.step_with(&mut w, &g)?;
    /// adam.save(&path)?;
    /// let mut resumed = Adam::new(AdamOptions::default())?;
    /// resumed.load(&path)?;
    /// let mut again = w.clone();
    /// adam.step_with(&mut w, &g)?;
    /// resumed.step_with(&mut again, &g)?;
    /// assert_eq!(w.to_vec(), again.to_vec());
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// File, where it cannot be written.
    #[track_caller]
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let buffers = [("exp_avg", &mut self.means), ("exp_avg_sq", &mut self.squares)];
        state::save(path.as_ref(), "Adam", &buffers, &self.steps, self.lr).at_caller()
    }

    /// Reads what [`Adam::save`] wrote: with the same options and parameters, the next steps are the same to the bit.
    ///
    /// # Errors
    /// File, where it cannot be read or holds something else.
    #[track_caller]
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let mut buffers = [("exp_avg", &mut self.means), ("exp_avg_sq", &mut self.squares)];
        (self.steps, self.lr) = state::load(path.as_ref(), "Adam", &mut buffers).at_caller()?;
        Ok(())
    }
}

compiled_once! {
    fn step<T: Float>(adam: &mut Adam<T>, params: &mut [Tensor<T>], grads: Gradients<T>) -> Result<()> {
        fits("step", params, &grads)?;
        if adam.steps.is_empty() {
            let none = vec![None; params.len()];
            (adam.steps, adam.means, adam.squares) = (vec![0; params.len()], none.clone(), none);
        }
        if adam.steps.len() != params.len() {
            let message = format!("{} parameters, and {} before", params.len(), adam.steps.len());
            return Err(Error::shape("step", message));
        }
        let AdamOptions { betas: (b1, b2), eps, weight_decay, decoupled_weight_decay, .. } = adam.options;
        let decay = T::of(if decoupled_weight_decay { 1.0 - adam.lr * weight_decay } else { 1.0 });
        let (eps, second) = (T::of(eps), T::of(b2));
        let [rest, other] = [b1, b2].map(|b| T::of(1.0 - b));
        for (k, (x, g)) in params.iter_mut().zip(grads).enumerate() {
            let Some(g) = g else { continue };
            let t = adam.steps[k] + 1;
            let power = t.min(i32::MAX as u64) as i32;
            let by = T::of(adam.lr / (1.0 - b1.powi(power)));
            let scale = T::of(1.0 / (1.0 - b2.powi(power)).sqrt());
            let g = match decoupled_weight_decay {
                true => g,
                false => decayed(g, x, weight_decay)?,
            };
            let m = buffer(&mut adam.means[k], x)?;
            let m = kernels::zip_owned("Adam", m, g.array(), &formula!(|m: T, g: T| m + (g - m) * rest))?;
            let v = buffer(&mut adam.squares[k], x)?;
            let v = kernels::zip_owned("Adam", v, g.array(), &formula!(|v: T, g: T| v * second + g * g * other))?;
            let next = formula!(|p: T, m: T, v: T| p * decay - m * by / (v.sqrt() * scale + eps));
            x.update(|x| Ok(kernels::zip3("Adam", x.array(), &m, &v, &next)?.into()))?;
            (adam.means[k], adam.squares[k], adam.steps[k]) = (Some(m.into()), Some(v.into()), t);
        }
        Ok(())
    }
}
