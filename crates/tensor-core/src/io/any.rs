//! An array whose element type is known at run time.

use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, EachElement, Element, ForElement};
use crate::error::{Error, Result};
use crate::io::stored::{Stored, is_exact};
use crate::io::write::Saved;
use crate::kernels;
use std::fmt;

/// An array of any of the element types, as files hold them.
///
/// ```
/// use tapegrad::{Array, DType, io::AnyArray};
/// let x = AnyArray::from(Array::from_vec(vec![1i64, 2], &[2])?);
/// assert_eq!((x.dtype(), x.shape()), (DType::I64, &[2][..]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
pub enum AnyArray {
    /// 32-bit floating point.
    F32(Array<f32>),
    /// 64-bit floating point.
    F64(Array<f64>),
    /// 64-bit signed integers.
    I64(Array<i64>),
    /// Truth values.
    Bool(Array<bool>),
}

/// How an array of a type becomes one of any type, and is found in it again.
struct Conversion<T: Element> {
    into: fn(Array<T>) -> AnyArray,
    get: fn(&AnyArray) -> Option<&Array<T>>,
}

struct Conversions;

impl ForElement for Conversions {
    type Of<T: Element> = Conversion<T>;
}

macro_rules! conversions {
    ($($T:ident $Variant:ident),+) => {
        EachElement { $($T: Conversion {
            into: AnyArray::$Variant,
            get: |x| if let AnyArray::$Variant(x) = x { Some(x) } else { None },
        }),+ }
    };
}
static CONVERSIONS: EachElement<Conversions> = conversions!(f32 F32, f64 F64, i64 I64, bool Bool);

impl<T: Element> From<Array<T>> for AnyArray {
    fn from(x: Array<T>) -> Self {
        (T::of_elements(&CONVERSIONS).into)(x)
    }
}

impl AnyArray {
    /// The element type's run-time name.
    ///
    /// ```
    /// use tapegrad::{Array, DType};
    /// use tapegrad::io::AnyArray;
    /// assert_eq!(AnyArray::from(Array::scalar(true)).dtype(), DType::Bool);
    /// ```
    pub fn dtype(&self) -> DType {
        self.saved().dtype()
    }

    /// The sizes of the dimensions.
    ///
    /// ```
    /// use tapegrad::{Array, shape};
    /// use tapegrad::io::AnyArray;
    /// assert_eq!(AnyArray::from(Array::from_vec(vec![1, 2], &[1, 2])?).shape(), [1, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn shape(&self) -> &[usize] {
        match self {
            AnyArray::F32(x) => x.shape(),
            AnyArray::F64(x) => x.shape(),
            AnyArray::I64(x) => x.shape(),
            AnyArray::Bool(x) => x.shape(),
        }
    }

    /// The number of elements.
    ///
    /// ```
    /// use tapegrad::Array;
    /// use tapegrad::io::AnyArray;
    /// assert_eq!(AnyArray::from(Array::from_vec(vec![1, 2], &[1, 2])?).numel(), 2);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn numel(&self) -> usize {
        self.shape().iter().product()
    }

    /// The array itself, where it is of this type.
    ///
    /// ```
    /// use tapegrad::Array;
    /// use tapegrad::io::AnyArray;
    /// let x = AnyArray::from(Array::scalar(2.5f32));
    /// assert!(x.get::<f32>().is_some() && x.get::<f64>().is_none());
    /// ```
    pub fn get<T: Element>(&self) -> Option<&Array<T>> {
        (T::of_elements(&CONVERSIONS).get)(self)
    }

    /// The array in an element type that holds every value of its own: itself, f32 as f64, truth values as
    /// numbers, integers up to 2^53 as f64.
    ///
    /// ```
    /// use tapegrad::Array;
    /// use tapegrad::io::AnyArray;
    /// let x = AnyArray::from(Array::scalar(2.5f32));
    /// assert_eq!(x.to::<f64>("to")?.to_vec(), [2.5]);
    /// assert!(x.to::<i64>("to").is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where the type could change a value; out of memory.
    pub fn to<T: Element>(&self, op: &'static str) -> Result<Array<T>> {
        if let Some(x) = self.get::<T>() {
            return Ok(x.clone());
        }
        let exact = match self {
            AnyArray::I64(x) => x.to_vec().into_iter().all(|i| is_exact(i, T::DTYPE)),
            _ => true,
        };
        if !exact || !Stored::of(self.dtype()).fits(T::DTYPE) {
            let (from, to) = (self.dtype(), T::DTYPE);
            let message =
                format!("not every {from} is exact as {to}: take it as {from}, and to_type::<{to}>() rounds");
            return Err(Error::argument(op, message));
        }
        match self {
            AnyArray::F32(x) => kernels::cast(op, x),
            AnyArray::F64(x) => kernels::cast(op, x),
            AnyArray::I64(x) => kernels::cast(op, x),
            AnyArray::Bool(x) => kernels::cast(op, x),
        }
    }

    /// What writing to a file needs of it.
    pub(crate) fn saved(&self) -> &dyn Saved {
        match self {
            AnyArray::F32(x) => x,
            AnyArray::F64(x) => x,
            AnyArray::I64(x) => x,
            AnyArray::Bool(x) => x,
        }
    }

    /// The array in the host's memory.
    pub(crate) fn cpu(&self, op: &'static str) -> Result<AnyArray> {
        Ok(match self {
            AnyArray::F32(x) => x.to_device(op, Device::Cpu)?.into(),
            AnyArray::F64(x) => x.to_device(op, Device::Cpu)?.into(),
            AnyArray::I64(x) => x.to_device(op, Device::Cpu)?.into(),
            AnyArray::Bool(x) => x.to_device(op, Device::Cpu)?.into(),
        })
    }
}

impl fmt::Display for AnyArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnyArray::F32(x) => x.fmt(f),
            AnyArray::F64(x) => x.fmt(f),
            AnyArray::I64(x) => x.fmt(f),
            AnyArray::Bool(x) => x.fmt(f),
        }
    }
}

impl fmt::Debug for AnyArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
