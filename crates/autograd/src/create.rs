//! Making tensors.
//!
//! The default element type is f64, and default type parameters do not guide inference: so the
//! constructors that take no value are f64, and each has a form that names the type, `zeros_of`.

use crate::body_once;
use crate::tensor::Tensor;
use rand_core::Rng;
use std::iter::Sum;
use tensor_core::shape::{Dims, Integer, IntoDims};
use tensor_core::{
    Array, AtCaller, Device, Element, Error, Float, Layout, Number, OrRaise, Result, Scalar, compiled_once,
    formula, kernels, memory, random,
};

/// # Constructors: of `f64`, or of the type that is named
impl Tensor<f64> {
    /// Zeros.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::zeros([2, 3]).shape(), [2, 3]);
    /// assert_eq!(Tensor::zeros_of::<f32>([2]).to_vec(), [0.0f32; 2]);
    /// ```
    ///
    /// # Panics
    /// Out of memory; [`Tensor::try_zeros`] returns it.
    #[doc(alias = "empty")]
    #[track_caller]
    #[must_use]
    pub fn zeros(shape: impl IntoDims) -> Self {
        Tensor::zeros_of(shape)
    }

    /// Zeros of any type (`false` for truth values).
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::zeros_of::<i64>([2]).to_vec(), [0, 0]);
    /// assert_eq!(Tensor::zeros_of::<bool>(()).item()?, false);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Out of memory; [`Tensor::try_zeros`] returns it.
    #[track_caller]
    #[must_use]
    pub fn zeros_of<T: Element>(shape: impl IntoDims) -> Tensor<T> {
        Array::zeros(&shape.into_shape("zeros").or_raise()).or_raise().into()
    }

    /// Zeros of any type, for sizes from outside.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::try_zeros::<f32>([2, 2])?;
    /// assert_eq!(x.to_vec(), [0.0; 4]);
    /// assert!(Tensor::try_zeros::<f32>([usize::MAX, 2]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn try_zeros<T: Element>(shape: impl IntoDims) -> Result<Tensor<T>> {
        Ok(Array::zeros(&shape.into_shape("zeros").at_caller()?).at_caller()?.into())
    }

    /// Ones.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::ones((2, 3)).sum().item()?, 6.0);
    /// assert_eq!(Tensor::ones(2).shape(), [2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Out of memory; [`Tensor::try_full`] returns it.
    #[track_caller]
    #[must_use]
    pub fn ones(shape: impl IntoDims) -> Self {
        Tensor::full(shape, 1.0)
    }

    /// Ones of any number type.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::ones_of::<i64>([3]).to_vec(), [1, 1, 1]);
    /// ```
    ///
    /// # Panics
    /// Out of memory; [`Tensor::try_full`] returns it.
    #[track_caller]
    #[must_use]
    pub fn ones_of<T: Number>(shape: impl IntoDims) -> Tensor<T> {
        Tensor::full(shape, T::ONE)
    }

    /// The identity matrix, in shape `[n, n]`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::eye(2).to_vec(), [1.0, 0.0, 0.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// Out of memory.
    #[doc(alias = "identity")]
    #[track_caller]
    #[must_use]
    pub fn eye(n: impl Integer) -> Self {
        Tensor::eye_of(n)
    }

    /// The identity matrix of any number type, in shape `[n, n]`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::eye_of::<i64>(3).trace()?.item()?, 3);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Out of memory.
    #[track_caller]
    #[must_use]
    pub fn eye_of<T: Number>(n: impl Integer) -> Tensor<T> {
        Tensor::eye_on(&Device::Cpu, n).or_raise()
    }

    /// Uniform numbers in [0, 1), from the generator that `manual_seed` seeds.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::random::manual_seed;
    /// manual_seed(7);
    /// let x = Tensor::rand([1000]);
    /// assert!(x.ge(0.0)?.all() && x.lt(1.0)?.all());
    /// manual_seed(7);
    /// assert_eq!(x.to_vec(), Tensor::rand([1000]).to_vec());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Out of memory.
    #[doc(alias("random", "uniform"))]
    #[track_caller]
    #[must_use]
    pub fn rand(shape: impl IntoDims) -> Self {
        Tensor::rand_of(shape)
    }

    /// Uniform numbers in [0, 1) on a device: the same ones as on any other.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor, random::manual_seed};
    /// manual_seed(7);
    /// let x = Tensor::rand_on::<f64>(&Device::Cpu, [3])?;
    /// manual_seed(7);
    /// assert_eq!(x.to_vec(), Tensor::rand([3]).to_vec());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    #[track_caller]
    pub fn rand_on<T: Float>(device: &Device, shape: impl IntoDims) -> Result<Tensor<T>> {
        Ok(random::rand_on(*device, &shape.into_shape("rand").at_caller()?).at_caller()?.into())
    }

    /// Standard normal numbers on a device: the same ones as on any other, up to rounding.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor};
    /// assert_eq!(Tensor::randn_on::<f32>(&Device::Cpu, [2, 3])?.shape(), [2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    #[track_caller]
    pub fn randn_on<T: Float>(device: &Device, shape: impl IntoDims) -> Result<Tensor<T>> {
        Ok(random::randn_on(*device, &shape.into_shape("randn").at_caller()?).at_caller()?.into())
    }

    /// Uniform numbers in [0, 1) of either float type.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert!(Tensor::rand_of::<f32>([100]).lt(1.0)?.all());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Out of memory.
    #[track_caller]
    #[must_use]
    pub fn rand_of<T: Float>(shape: impl IntoDims) -> Tensor<T> {
        random::rand(&shape.into_shape("rand").or_raise()).or_raise().into()
    }

    /// Integers from `low` to `high - 1`, each as likely as any other.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let dice = Tensor::randint(1, 7, [100])?;
    /// assert!(dice.ge(1)?.all() && dice.le(6)?.all());
    /// assert!(Tensor::randint(3, 3, [1]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where there is none, or more than 2^53; out of memory.
    #[doc(alias = "integers")]
    #[track_caller]
    pub fn randint(low: i64, high: i64, shape: impl IntoDims) -> Result<Tensor<i64>> {
        let count = i128::from(high) - i128::from(low);
        if !(1..=1 << 53).contains(&count) {
            let message =
                format!("from {low} to {high} - 1 there are {count} integers: 1 to 2^53 are needed");
            return Err(Error::argument("randint", message).at_caller());
        }
        let shares: Tensor =
            random::rand::<f64>(&shape.into_shape("randint").at_caller()?).at_caller()?.into();
        Ok((shares * count as f64).floor().to_type::<i64>() + low)
    }

    /// The integers from 0 to `n - 1` in random order, in shape `[n]`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let order = Tensor::randperm(5)?;
    /// assert_eq!(order.sort(0, false)?.0.to_vec(), [0, 1, 2, 3, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[doc(alias("permutation", "shuffle"))]
    #[track_caller]
    pub fn randperm(n: impl Integer) -> Result<Tensor<i64>> {
        let n = n.to_size("randperm").at_caller()?;
        let keys: Tensor = random::rand::<f64>(&[n]).at_caller()?.into();
        keys.argsort(0, false)
    }

    /// Standard normal numbers, from the generator that `manual_seed` seeds.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::randn([10_000]);
    /// assert!(x.mean().item()?.abs() < 0.1 && (x.std().item()? - 1.0).abs() < 0.1);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Out of memory.
    #[doc(alias("normal", "standard_normal"))]
    #[track_caller]
    #[must_use]
    pub fn randn(shape: impl IntoDims) -> Self {
        Tensor::randn_of(shape)
    }

    /// Standard normal numbers of either float type.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::randn_of::<f32>([2, 3]).shape(), [2, 3]);
    /// ```
    ///
    /// # Panics
    /// Out of memory.
    #[track_caller]
    #[must_use]
    pub fn randn_of<T: Float>(shape: impl IntoDims) -> Tensor<T> {
        random::randn(&shape.into_shape("randn").or_raise()).or_raise().into()
    }

    /// Standard normal numbers from a generator of the caller's own.
    ///
    /// # Panics
    /// Out of memory.
    #[track_caller]
    #[must_use]
    pub fn randn_using(shape: impl IntoDims, rng: &mut impl Rng) -> Self {
        random::randn_using(&shape.into_shape("randn").or_raise(), rng).or_raise().into()
    }
}

/// Constructors of the type that is named: `Tensor::<f32>::zeros([2, 3])`. Without a type, as `Tensor::zeros([2, 3])`, they
/// are those of `f64`.
///
/// ```
/// use tapegrad::{Tensor, TypedConstructors};
/// assert_eq!(Tensor::<f32>::zeros([2]).to_vec(), [0f32; 2]);
/// ```
pub trait TypedConstructors<T: Element>: Sized {
    /// [`Tensor::zeros_of`].
    #[must_use]
    fn zeros(shape: impl IntoDims) -> Self;
    /// [`Tensor::ones_of`].
    #[must_use]
    fn ones(shape: impl IntoDims) -> Self
    where
        T: Number;
    /// [`Tensor::eye_of`].
    #[must_use]
    fn eye(n: impl Integer) -> Self
    where
        T: Number;
    /// [`Tensor::rand_of`].
    #[must_use]
    fn rand(shape: impl IntoDims) -> Self
    where
        T: Float;
    /// [`Tensor::randn_of`].
    #[must_use]
    fn randn(shape: impl IntoDims) -> Self
    where
        T: Float;
}

impl<T: Element> TypedConstructors<T> for Tensor<T> {
    #[track_caller]
    fn zeros(shape: impl IntoDims) -> Self {
        Tensor::zeros_of(shape)
    }
    #[track_caller]
    fn ones(shape: impl IntoDims) -> Self
    where
        T: Number,
    {
        Tensor::ones_of(shape)
    }
    #[track_caller]
    fn eye(n: impl Integer) -> Self
    where
        T: Number,
    {
        Tensor::eye_of(n)
    }
    #[track_caller]
    fn rand(shape: impl IntoDims) -> Self
    where
        T: Float,
    {
        Tensor::rand_of(shape)
    }
    #[track_caller]
    fn randn(shape: impl IntoDims) -> Self
    where
        T: Float,
    {
        Tensor::randn_of(shape)
    }
}

/// # Constructors: of the values' own type
impl<T: Element> Tensor<T> {
    /// A tensor without dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(2.5);
    /// assert_eq!((x.ndim(), x.numel(), x.item()?), (0, 1, 2.5));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn scalar(x: T) -> Self {
        Tensor::constant(Array::scalar(x))
    }

    /// One value everywhere.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::full([2, 2], 7).to_vec(), [7, 7, 7, 7]);
    /// assert_eq!(Tensor::full([2], true).to_vec(), [true, true]);
    /// ```
    ///
    /// # Panics
    /// Out of memory; [`Tensor::try_full`] returns it.
    #[doc(alias = "fill")]
    #[track_caller]
    #[must_use]
    pub fn full(shape: impl IntoDims, value: T) -> Self {
        Array::full(&shape.into_shape("full").or_raise(), value).or_raise().into()
    }

    /// One value everywhere, for sizes from outside.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::try_full([2], 0.5)?.to_vec(), [0.5, 0.5]);
    /// assert!(Tensor::try_full([usize::MAX, 2], 0.5).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn try_full(shape: impl IntoDims, value: T) -> Result<Self> {
        Ok(Array::full(&shape.into_shape("full").at_caller()?, value).at_caller()?.into())
    }

    /// Zeros (`false` for truth values) on a device.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor};
    /// assert_eq!(Tensor::<f32>::zeros_on(&Device::Cpu, [2])?.to_vec(), [0.0; 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    #[track_caller]
    pub fn zeros_on(device: &Device, shape: impl IntoDims) -> Result<Self> {
        Ok(Array::zeros_on(*device, &shape.into_shape("zeros").at_caller()?).at_caller()?.into())
    }

    /// One value everywhere, on a device, where it is stored once until something is written.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor};
    /// let x = Tensor::full_on(&Device::Cpu, [2, 2], 7)?;
    /// assert_eq!(x.layout().strides()[..], [0, 0]);
    /// assert_eq!(x.to_vec(), [7; 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    #[track_caller]
    pub fn full_on(device: &Device, shape: impl IntoDims, value: T) -> Result<Self> {
        Ok(Array::repeat_on(*device, &shape.into_shape("full").at_caller()?, value).at_caller()?.into())
    }

    /// Takes a vector over, without copying, in row-major order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?;
    /// assert_eq!(x.row(1)?.to_vec(), [4, 5, 6]);
    /// assert!(Tensor::from_vec(vec![1, 2, 3], [2, 2]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the vector does not have as many elements as the shape.
    #[track_caller]
    pub fn from_vec(data: Vec<T>, shape: impl IntoDims) -> Result<Self> {
        Ok(Array::from_vec(data, &shape.into_shape("from_vec").at_caller()?).at_caller()?.into())
    }

    /// A tensor from nested vectors, slices or arrays, whose lengths must agree.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::new(&vec![vec![1.0, 2.0], vec![3.0, 4.0]])?;
    /// assert_eq!(x.shape(), [2, 2]);
    /// assert!(Tensor::new(&vec![vec![1.0, 2.0], vec![3.0]]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the nesting is ragged.
    #[doc(alias("tensor", "array", "asarray"))]
    #[track_caller]
    pub fn new(nested: &(impl Nested<T> + ?Sized)) -> Result<Self> {
        let (mut shape, mut data) = (Vec::new(), Vec::new());
        nested.lengths(&mut shape);
        let first = tensor_core::shape::numel("new", &shape).at_caller()?;
        memory::grow("new", &mut data, first).at_caller()?;
        nested.collect(&shape, &mut data).at_caller()?;
        Tensor::from_vec(data, shape)
    }
}

/// # Constructors: the identity on a device
impl<T: Number> Tensor<T> {
    /// The `n x n` matrix with ones on its diagonal, on a device.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor};
    /// assert_eq!(Tensor::<i64>::eye_on(&Device::Cpu, 2)?.to_vec(), [1, 0, 0, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory; device, where it cannot be used.
    #[track_caller]
    pub fn eye_on(device: &Device, n: impl Integer) -> Result<Self> {
        body_once!(T: Number, [device, n.to_size("eye").at_caller()?], |device: &Device, n: usize| -> Result<Tensor<T>> {
            let eye = || {
                let diagonal = Layout::row_major(Dims::from_slice(&[n, n])).diagonal(0, [0, 1]);
                kernels::embed("eye", &[n, n], &diagonal, &Array::repeat_on(*device, &[n], T::ONE)?)
            };
            Ok(eye()?.into())
        })
    }
}

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

/// Nested sequences of one element type: numbers, and vectors, slices and arrays of them.
///
/// ```
/// use tapegrad::Tensor;
/// let rows: Vec<Vec<i64>> = vec![vec![1, 2], vec![3, 4]];
/// assert_eq!(Tensor::new(&rows)?.shape(), [2, 2]);
/// assert_eq!(Tensor::new(&[[[0.5]]; 3])?.shape(), [3, 1, 1]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub trait Nested<T: Element> {
    /// Adds the lengths, the outermost first.
    #[doc(hidden)]
    fn lengths(&self, shape: &mut Vec<usize>);
    /// Adds the elements, after checking the lengths.
    #[doc(hidden)]
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()>;
}

macro_rules! nested_element {
    ($($T:ty)*) => { $(
        impl Nested<$T> for $T {
            fn lengths(&self, _: &mut Vec<usize>) {}
            fn collect(&self, _: &[usize], data: &mut Vec<$T>) -> Result<()> {
                data.push(*self);
                Ok(())
            }
        }
    )* };
}
nested_element!(f32 f64 i64 bool);

impl<T: Element, N: Nested<T>> Nested<T> for [N] {
    fn lengths(&self, shape: &mut Vec<usize>) {
        shape.push(self.len());
        if let Some(first) = self.first() {
            first.lengths(shape);
        }
    }
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()> {
        if self.len() != shape[0] {
            let message =
                format!("ragged nesting: a row of {} elements beside one of {}", self.len(), shape[0]);
            return Err(Error::shape("new", message));
        }
        self.iter().try_for_each(|n| n.collect(&shape[1..], data))
    }
}

impl<T: Element, N: Nested<T>> Nested<T> for Vec<N> {
    fn lengths(&self, shape: &mut Vec<usize>) {
        Nested::lengths(self.as_slice(), shape);
    }
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()> {
        self.as_slice().collect(shape, data)
    }
}

impl<T: Element, N: Nested<T>, const L: usize> Nested<T> for [N; L] {
    fn lengths(&self, shape: &mut Vec<usize>) {
        Nested::lengths(self.as_slice(), shape);
    }
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()> {
        self.as_slice().collect(shape, data)
    }
}

impl<T: Element> From<T> for Tensor<T> {
    fn from(x: T) -> Self {
        Tensor::scalar(x)
    }
}

impl<T: Element> From<Vec<T>> for Tensor<T> {
    fn from(x: Vec<T>) -> Self {
        let n = x.len();
        Tensor::from_vec(x, [n]).or_raise()
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Tensor<T> {
    fn from(x: [T; N]) -> Self {
        Tensor::from(x.to_vec())
    }
}

impl<T: Element, const M: usize, const N: usize> From<[[T; N]; M]> for Tensor<T> {
    fn from(x: [[T; N]; M]) -> Self {
        Tensor::from_vec(x.into_iter().flatten().collect(), [M, N]).or_raise()
    }
}

impl<T: Element, const L: usize, const M: usize, const N: usize> From<[[[T; N]; M]; L]> for Tensor<T> {
    fn from(x: [[[T; N]; M]; L]) -> Self {
        let data = x.into_iter().flatten().flatten().collect();
        Tensor::from_vec(data, [L, M, N]).or_raise()
    }
}

impl<T: Element, const N: usize> From<&[T; N]> for Tensor<T> {
    fn from(x: &[T; N]) -> Self {
        Tensor::from(x.as_slice())
    }
}

impl<T: Element> From<&Vec<T>> for Tensor<T> {
    fn from(x: &Vec<T>) -> Self {
        Tensor::from(x.as_slice())
    }
}

/// Rows of one length.
///
/// # Panics
/// Where their lengths differ: [`Tensor::new`] returns an error.
impl<T: Element + Nested<T>> From<Vec<Vec<T>>> for Tensor<T> {
    #[track_caller]
    fn from(rows: Vec<Vec<T>>) -> Self {
        Tensor::new(&rows).or_raise()
    }
}

impl<T: Element + Nested<T>, const N: usize> From<Vec<[T; N]>> for Tensor<T> {
    #[track_caller]
    fn from(rows: Vec<[T; N]>) -> Self {
        Tensor::new(&rows).or_raise()
    }
}

/// A vector of the numbers.
impl<T: Element> FromIterator<T> for Tensor<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        Tensor::from(numbers.into_iter().collect::<Vec<T>>())
    }
}

/// The sum of tensors, element by element, broadcast; that of none is the number 0.
impl<T: Number> Sum for Tensor<T> {
    #[track_caller]
    fn sum<I: Iterator<Item = Tensor<T>>>(tensors: I) -> Self {
        tensors.reduce(|sum, x| sum + x).unwrap_or_else(|| Tensor::scalar(T::ZERO))
    }
}

/// The sum of tensors, element by element, broadcast; that of none is the number 0.
impl<'a, T: Number> Sum<&'a Tensor<T>> for Tensor<T> {
    #[track_caller]
    fn sum<I: Iterator<Item = &'a Tensor<T>>>(tensors: I) -> Self {
        tensors.cloned().sum()
    }
}
