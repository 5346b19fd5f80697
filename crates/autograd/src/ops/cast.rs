//! Conversion between element types.

use crate::op::{Kept, Op, apply_at};
use crate::tensor::Tensor;
use std::marker::PhantomData;
use std::panic::Location;
use tensor_core::{Array, EachFloat, Element, Float, ForFloat, OrRaise, Result, kernels};

/// Between the float types: an ordinary differentiable operation.
struct Cast;

impl<T: Float, U: Float> Op<T, 1, U> for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<U>> {
        kernels::cast("cast", x)
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad, in the input's type
    fn vjp(&self, _: &Kept<'_, T, U>, g: Tensor<U>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(cast_at(Location::caller(), &g)?)])
    }
    fn jvp(&self, _: &Kept<'_, T, U>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<U>>> {
        t.map(|t| cast_at(Location::caller(), &t)).transpose()
    }
}

/// The operation on tensors of one type, to each type: compiled here.
struct CastsOf<T>(PhantomData<T>);

impl<T: Float> ForFloat for CastsOf<T> {
    type Of<U: Float> = fn(&'static Location<'static>, &Tensor<T>) -> Result<Tensor<U>>;
}

struct Casts;

impl ForFloat for Casts {
    type Of<T: Float> = EachFloat<CastsOf<T>>;
}

fn cast_at<T: Float, U: Float>(here: &'static Location<'static>, x: &Tensor<T>) -> Result<Tensor<U>> {
    apply_at(here, Cast, [x])
}

static CASTS: EachFloat<Casts> = EachFloat {
    f32: EachFloat { f32: cast_at::<f32, f32>, f64: cast_at::<f32, f64> },
    f64: EachFloat { f32: cast_at::<f64, f32>, f64: cast_at::<f64, f64> },
};

/// # Element types: between floats, differentiably
impl<T: Float> Tensor<T> {
    /// The elements in another float type; differentiable.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// x.cast::<f32>().square().sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [2.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "astype")]
    #[track_caller]
    #[must_use]
    pub fn cast<U: Float>(&self) -> Tensor<U> {
        U::of_floats(T::of_floats(&CASTS))(Location::caller(), self).or_raise()
    }
}

/// # Element types: to any, as constants
impl<T: Element> Tensor<T> {
    /// The elements converted to any type, as a constant: fractions are cut off, everything but
    /// zero is `true`. [`Tensor::cast`] is the differentiable form, between floats.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([-1.5, 0.0, 2.5]);
    /// assert_eq!(x.to_type::<i64>().to_vec(), [-1, 0, 2]);
    /// assert_eq!(x.to_type::<bool>().to_vec(), [true, false, true]);
    /// ```
    #[doc(alias = "astype")]
    #[track_caller]
    #[must_use]
    pub fn to_type<U: Element>(&self) -> Tensor<U> {
        kernels::cast("to_type", self.array()).or_raise().into()
    }
}
