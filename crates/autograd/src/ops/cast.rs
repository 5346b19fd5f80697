//! Conversion between element types.

use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::{Array, Element, Float, OrRaise, Result, kernels};

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
        Ok([Some(apply(Cast, [&g])?)])
    }
}

impl<T: Float> Tensor<T> {
    /// The elements in another float type; differentiable.
    #[track_caller]
    #[must_use]
    pub fn cast<U: Float>(&self) -> Tensor<U> {
        apply(Cast, [self]).or_raise()
    }
}

impl<T: Element> Tensor<T> {
    /// The elements converted to any type, as a constant: fractions are cut off, everything but
    /// zero is `true`. [`Tensor::cast`] is the differentiable form, between floats.
    #[track_caller]
    #[must_use]
    pub fn to_type<U: Element>(&self) -> Tensor<U> {
        kernels::cast("to_type", self.array()).or_raise().into()
    }
}
