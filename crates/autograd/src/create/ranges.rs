//! Numbers in even steps.

use crate::body_once;
use crate::tensor::Tensor;
use tensor_core::shape::Integer;
use tensor_core::{
    Array, AtCaller, Device, Element, Error, Float, Number, Result, Scalar, compiled_once, formula, kernels,
};

/// `start`, `start + step`, ... up to and without `end`: of integers exactly, wherever they are; of floating-point numbers
/// as many as the rounded quotient of the distance and the step says.
///
/// ```
/// assert_eq!(tapegrad::arange(0, 5, 2)?.to_vec(), [0, 2, 4]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, for a step of zero or away from `end`, or one that is not finite; out of memory.
#[track_caller]
pub fn arange<T: Number>(start: T, end: T, step: T) -> Result<Tensor<T>> {
    arange_on(&Device::Cpu, start, end, step)
}

/// As [`arange`], on a device.
///
/// ```
/// use tapegrad::{Device, arange_on};
/// assert_eq!(arange_on(&Device::Cpu, 1.0, 2.0, 0.25)?.to_vec(), [1.0, 1.25, 1.5, 1.75]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`arange`]; device, where it cannot be used.
#[track_caller]
pub fn arange_on<T: Number>(device: &Device, start: T, end: T, step: T) -> Result<Tensor<T>> {
    body_once!(
        T: Number,
        [device, start, end, step],
        |device: &Device, start: T, end: T, step: T| -> Result<Tensor<T>> {
            let wrong = |why: &str| {
                let message = format!("from {start} to {end} by {step} never arrives: {why}");
                Error::argument("arange", message)
            };
            let count = match [start, end, step].map(Element::to_scalar) {
                [Scalar::Int(start), Scalar::Int(end), Scalar::Int(step)] => {
                    // Integers are counted as such: beyond 2^53 not all of them are floating-point numbers.
                    let (gap, step) = (i128::from(end) - i128::from(start), i128::from(step));
                    if step == 0 || (gap != 0 && gap.signum() != step.signum()) {
                        return Err(wrong("the step must lead to the end"));
                    }
                    (gap.abs() + step.abs() - 1) / step.abs()
                }
                _ => {
                    let [start, end, step] = [start, end, step].map(T::to_f64);
                    let steps = (end - start) / step;
                    // Where the distance is out of the range, the number of steps need not be.
                    let steps = if (end - start).is_finite() { steps } else { end / step - start / step };
                    if !steps.is_finite() || steps < 0.0 {
                        return Err(wrong("the step must lead to the end"));
                    }
                    steps.ceil() as i128
                }
            };
            let Some(count) = usize::try_from(count).ok().filter(|&n| n < isize::MAX as usize / 8) else {
                return Err(Error::out_of_memory("arange", usize::MAX));
            };
            Ok(steps_from(*device, count, start, step)?.into())
        }
    )
}

compiled_once! {
    /// start, start + step, ..: as many numbers as are counted.
    fn steps_from<T: Number>(device: Device, count: usize, start: T, step: T) -> Result<Array<T>> {
        let i = kernels::cast("arange", &kernels::arange("arange", device, count)?)?;
        let distance = T::from_i64(count as i64).times(step);
        if distance.minus(distance) != T::ZERO {
            // Halves stay in the range.
            let [step, start] = [step, start].map(|x| T::from_scalar(Scalar::Float(x.to_f64() / 2.0)));
            let halves = kernels::map_owned("arange", i, &formula!(|i: T| i.times(step).plus(start)))?;
            return kernels::map_owned("arange", halves, &formula!(|x: T| x.plus(x)));
        }
        // Where there is nothing to do, nothing is rounded.
        let i =
            if step == T::ONE { i } else { kernels::map_owned("arange", i, &formula!(|i: T| i.times(step)))? };
        if start == T::ZERO { Ok(i) } else { kernels::map_owned("arange", i, &formula!(|i: T| i.plus(start))) }
    }
}

/// `steps` numbers from `start` to `end`, both included, evenly spaced, in shape `[steps]`.
///
/// ```
/// use tapegrad::linspace;
/// assert_eq!(linspace(0.0, 1.0, 5)?.to_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
/// assert_eq!(linspace(2.0, -2.0, 3)?.to_vec(), [2.0, 0.0, -2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
#[track_caller]
pub fn linspace<T: Float>(start: T, end: T, steps: impl Integer) -> Result<Tensor<T>> {
    let steps = steps.to_size("linspace").at_caller()?;
    body_once!(T: Float, [start, end, steps], |start: T, end: T, steps: usize| -> Result<Tensor<T>> {
        let mut x = Array::zeros(&[steps])?;
        let n = T::of(steps.saturating_sub(1).max(1) as f64);
        // The distance of the ends may be out of the range; that of neighbours between them is not.
        let gap = if (end - start).is_finite() { (end - start) / n } else { end / n - start / n };
        for (i, x) in x.make_mut()?.iter_mut().enumerate() {
            // From the nearer end, as in PyTorch, and exact at both.
            *x = if i == 0 {
                start
            } else if i + 1 == steps {
                end
            } else if 2 * i < steps {
                start + gap * T::of(i as f64)
            } else {
                end - gap * T::of((steps - 1 - i) as f64)
            };
        }
        Ok(x.into())
    })
}

/// `base` to the powers of `steps` evenly spaced exponents from `start` to `end`, both included.
///
/// ```
/// assert_eq!(tapegrad::logspace(0.0, 2.0, 3, 10.0)?.to_vec(), [1.0, 10.0, 100.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
#[track_caller]
pub fn logspace<T: Float>(start: T, end: T, steps: impl Integer, base: f64) -> Result<Tensor<T>> {
    let steps = steps.to_size("logspace").at_caller()?;
    body_once!(
        T: Float,
        [start, end, steps, base],
        |start: T, end: T, steps: usize, base: f64| -> Result<Tensor<T>> {
            Tensor::scalar(T::of(base)).pow(&linspace(start, end, steps)?).called("logspace")
        }
    )
}

/// `steps` numbers from `start` to `end`, both included and exact, each the same factor times the one before.
///
/// ```
/// assert_eq!(tapegrad::geomspace(1.0, 100.0, 3)?.to_vec(), [1.0, 10.0, 100.0]);
/// assert_eq!(tapegrad::geomspace(-8.0, -2.0, 3)?.to_vec(), [-8.0, -4.0, -2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, where an end is 0 or not finite, or they have different signs; out of memory.
#[track_caller]
pub fn geomspace<T: Float>(start: T, end: T, steps: impl Integer) -> Result<Tensor<T>> {
    let steps = steps.to_size("geomspace").at_caller()?;
    body_once!(T: Float, [start, end, steps], |start: T, end: T, steps: usize| -> Result<Tensor<T>> {
        let sign = start.to_f64().signum();
        let proper = |x: T| x.is_finite() && x != T::ZERO;
        if !(proper(start) && proper(end)) || end.to_f64().signum() != sign {
            let message = format!("from {start} to {end}: two finite numbers of one sign, not 0, are needed");
            return Err(Error::argument("geomspace", message));
        }
        // In double precision, from which a power of either type is rounded once.
        let [first, last] = [start, end].map(|x| x.to_f64().abs().log10());
        let x = logspace(first, last, steps, 10.0)?.to_vec().into_iter().map(|x| T::of(sign * x));
        let mut x: Vec<T> = x.collect();
        if let Some(first) = x.first_mut() {
            *first = start;
        }
        if let [_, .., last] = &mut x[..] {
            *last = end;
        }
        Tensor::from_vec(x, [steps])
    })
}
