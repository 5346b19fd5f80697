//! Making tensors.
//!
//! The default element type is f64, and default type parameters do not guide inference: so the
//! constructors that take no value are f64, and each has a form that names the type, `zeros_of`.

mod nested;
mod ranges;

pub use nested::Nested;
pub use ranges::{arange, arange_on, geomspace, linspace, logspace};

use crate::body_once;
use crate::tensor::Tensor;
use rand_core::Rng;
use tensor_core::shape::{Dims, Integer, IntoDims};
use tensor_core::{
    Array, AtCaller, Device, Element, Error, Float, Layout, Number, OrRaise, Result, kernels, memory, random,
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
