//! A tensor whose element type is known at run time.

use crate::tensor::Tensor;
use std::fmt;
use tensor_core::io::AnyArray;
use tensor_core::{Array, AtCaller, DType, Element, Result};

/// A constant of any of the element types: what files hold.
///
/// ```
/// use tapegrad::{AnyTensor, Tensor};
/// let labels = AnyTensor::from(Tensor::from([1i64, 0]));
/// let AnyTensor::I64(x) = &labels else { panic!("another type") };
/// assert_eq!(x.to_vec(), [1, 0]);
/// // What is exact converts; what is not is an error.
/// assert_eq!(labels.to::<f64>()?.to_vec(), [1.0, 0.0]);
/// assert!(labels.to::<bool>().is_err());
/// assert!(AnyTensor::from(Tensor::from([i64::MAX])).to::<f64>().is_err());
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum AnyTensor {
    /// 32-bit floating point.
    F32(Tensor<f32>),
    /// 64-bit floating point.
    F64(Tensor<f64>),
    /// 64-bit signed integers.
    I64(Tensor<i64>),
    /// Truth values.
    Bool(Tensor<bool>),
}

impl From<AnyArray> for AnyTensor {
    fn from(x: AnyArray) -> Self {
        match x {
            AnyArray::F32(x) => AnyTensor::F32(x.into()),
            AnyArray::F64(x) => AnyTensor::F64(x.into()),
            AnyArray::I64(x) => AnyTensor::I64(x.into()),
            AnyArray::Bool(x) => AnyTensor::Bool(x.into()),
        }
    }
}

/// The value alone: a gradient does not flow through it.
impl<T: Element> From<Tensor<T>> for AnyTensor {
    fn from(x: Tensor<T>) -> Self {
        AnyArray::from(x.into_array()).into()
    }
}

/// The value alone: a gradient does not flow through it.
impl<T: Element> From<&Tensor<T>> for AnyTensor {
    fn from(x: &Tensor<T>) -> Self {
        AnyArray::from(x.array().clone()).into()
    }
}

impl From<&AnyTensor> for AnyTensor {
    fn from(x: &AnyTensor) -> Self {
        x.clone()
    }
}

impl AnyTensor {
    /// The value, as files see it.
    pub(crate) fn array(&self) -> AnyArray {
        fn of<T: Element>(x: &Tensor<T>) -> AnyArray {
            Array::clone(x.array()).into()
        }
        match self {
            AnyTensor::F32(x) => of(x),
            AnyTensor::F64(x) => of(x),
            AnyTensor::I64(x) => of(x),
            AnyTensor::Bool(x) => of(x),
        }
    }

    /// The element type's run-time name.
    ///
    /// ```
    /// use tapegrad::{AnyTensor, DType, Tensor};
    /// assert_eq!(AnyTensor::from(Tensor::from([1, 2])).dtype(), DType::I64);
    /// ```
    pub fn dtype(&self) -> DType {
        self.array().dtype()
    }

    /// The sizes of the dimensions.
    ///
    /// ```
    /// use tapegrad::{AnyTensor, Tensor};
    /// assert_eq!(AnyTensor::from(Tensor::from([[1, 2]])).shape(), [1, 2]);
    /// ```
    pub fn shape(&self) -> &[usize] {
        match self {
            AnyTensor::F32(x) => x.shape(),
            AnyTensor::F64(x) => x.shape(),
            AnyTensor::I64(x) => x.shape(),
            AnyTensor::Bool(x) => x.shape(),
        }
    }

    /// The tensor in an element type that holds every value of its own: itself, f32 as f64, truth values as numbers,
    /// integers up to 2^53 as f64.
    ///
    /// ```
    /// use tapegrad::{AnyTensor, Tensor};
    /// let x = AnyTensor::from(Tensor::from([1, 2]));
    /// assert_eq!(x.to::<f64>()?.to_vec(), [1.0, 2.0]);
    /// assert!(x.to::<bool>().is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where the type could change a value; out of memory.
    #[track_caller]
    pub fn to<T: Element>(&self) -> Result<Tensor<T>> {
        Ok(self.array().to::<T>("to").at_caller()?.into())
    }
}

impl fmt::Display for AnyTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnyTensor::F32(x) => x.fmt(f),
            AnyTensor::F64(x) => x.fmt(f),
            AnyTensor::I64(x) => x.fmt(f),
            AnyTensor::Bool(x) => x.fmt(f),
        }
    }
}

impl fmt::Debug for AnyTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
