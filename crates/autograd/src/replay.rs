//! Values and gradients of one function over and over, at the cost of one launch each on a GPU.

use crate::functional::value_and_grad;
use crate::params::Params;
use crate::tensor::Tensor;
use tensor_core::{AtCaller, Device, Error, Float, Result, cuda, kernels, random};

/// [`value_and_grad`] of a function at inputs of fixed shapes on one device; made by [`replayed`].
pub struct Replayed<T: Float, P, F> {
    f: F,
    captured: Option<Captured<T, P>>,
}

/// On a GPU: work that reads the inputs and writes the value and the gradient where they are.
struct Captured<T: Float, P> {
    work: cuda::Captured,
    inputs: Vec<Tensor<T>>,
    value: Tensor<T>,
    gradient: P,
}

/// Prepares to compute the value and the gradient of `f` many times, at inputs like `x`. On a GPU the work is
/// captured once, as a CUDA graph, and replayed: hundreds of small operations take one launch. So `f` runs only
/// here, once to warm up and once captured: what it decides, it decides for all replays, and tensors and numbers
/// that it holds keep the values they have now. On the CPU `f` runs in every call. Random numbers that `f` draws on its device are new
/// ones in every call, the same on every device, and none are drawn before the first call.
///
/// ```
/// use tapegrad::{Tensor, replayed};
/// let a: Tensor = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let x: Tensor = Tensor::from([1.0, 1.0]);
/// let step = replayed(|x: &Tensor| Ok((&a * x).square().sum()), &x)?;
/// let (value, gradient) = step.call(&x)?;
/// assert_eq!((value.item()?, gradient.to_vec()), (30.0, vec![20.0, 40.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value is not a scalar; device, where `f` needs a value from the GPU, as
/// operations that check indices or pivots do.
#[track_caller]
pub fn replayed<T: Float, P: Params<T>, F: Fn(&P) -> Result<Tensor<T>>>(
    f: F,
    x: &P,
) -> Result<Replayed<T, P, F>> {
    let device = x.tensors().first().map_or(Device::Cpu, Tensor::device);
    if device == Device::Cpu {
        return Ok(Replayed { f, captured: None });
    }
    let capture = || {
        // Kernels are compiled and loaded before anything is captured; nobody sees the random numbers of this run.
        random::apart(|| value_and_grad(&f, x))?;
        let own = |x: &Tensor<T>| Ok(Tensor::constant(kernels::copy("replayed", x.array())?));
        let inputs: Vec<Tensor<T>> = x.tensors().iter().map(own).collect::<Result<_>>()?;
        let at = x.rebuild(inputs.clone());
        let (work, (value, gradient)) = cuda::capture(&device, || value_and_grad(&f, &at))?;
        Ok(Captured { work, inputs, value, gradient })
    };
    let captured = capture().at_caller()?;
    Ok(Replayed { f, captured: Some(captured) })
}

impl<T: Float, P: Params<T>, F: Fn(&P) -> Result<Tensor<T>>> Replayed<T, P, F> {
    /// The value and the gradient at `x`, which has the shapes and the device it was prepared for.
    ///
    /// ```
    /// use tapegrad::{Tensor, replayed};
    /// let x: Tensor = Tensor::from([1.0, 2.0]);
    /// let step = replayed(|x: &Tensor| Ok(x.square().sum()), &x)?;
    /// assert_eq!(step.call(&x)?.1.to_vec(), [2.0, 4.0]);
    /// assert_eq!(step.call(&Tensor::from([3.0, 0.0]))?.0.item()?, 9.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape and device, where `x` has others; what the function returns.
    #[track_caller]
    pub fn call(&self, x: &P) -> Result<(Tensor<T>, P)> {
        let Some(captured) = &self.captured else { return value_and_grad(&self.f, x) };
        captured.replay(x).at_caller()
    }
}

impl<T: Float, P: Params<T>> Captured<T, P> {
    fn replay(&self, x: &P) -> Result<(Tensor<T>, P)> {
        let x = x.tensors();
        if x.len() != self.inputs.len() {
            let message = format!("{} tensors: it was prepared for {}", x.len(), self.inputs.len());
            return Err(Error::shape("replayed", message));
        }
        for (to, from) in self.inputs.iter().zip(&x) {
            cuda::overwrite(to.array(), from.array())?;
        }
        self.work.replay()?;
        // The next replay writes to the same places.
        let own = |x: &Tensor<T>| Ok(Tensor::constant(kernels::copy("replayed", x.array())?));
        let gradient: Vec<Tensor<T>> = self.gradient.tensors().iter().map(own).collect::<Result<_>>()?;
        Ok((own(&self.value)?, self.gradient.rebuild(gradient)))
    }
}
