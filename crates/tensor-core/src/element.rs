//! The element types an array can hold, and the arithmetic each family of them has.

use bytemuck::cast_slice_mut;
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

pub(crate) mod sealed {
    use super::{EachElement, Element, ForElement, Slice, SliceMut};
    use bytemuck::NoUninit;

    /// Keeps the set of element types closed, and tells them apart for whatever there is one of for each.
    pub trait Sealed: NoUninit {
        /// What is there for this type.
        fn of_each<F: ForElement>(each: &EachElement<F>) -> &F::Of<Self>
        where
            Self: Element;
        /// Elements without their type.
        fn slice(x: &[Self]) -> Slice<'_>;
        /// Elements without their type, to be written.
        fn slice_mut(x: &mut [Self]) -> SliceMut<'_>;
        /// The elements again.
        ///
        /// # Panics
        /// Where they are of another type.
        fn typed(x: Slice<'_>) -> &[Self];
        /// The elements again, to be written.
        ///
        /// # Panics
        /// Where they are of another type.
        fn typed_mut(x: SliceMut<'_>) -> &mut [Self];
        /// A number in the order of the elements: NaN comes after all others, and the two zeros are equal.
        fn rank(self) -> u64;
    }

    macro_rules! sealed {
        ($($T:ident $Variant:ident $rank:expr;)*) => { $(
            impl Sealed for $T {
                #[inline(always)]
                fn of_each<F: ForElement>(each: &EachElement<F>) -> &F::Of<Self> {
                    &each.$T
                }
                #[inline(always)]
                fn slice(x: &[Self]) -> Slice<'_> {
                    Slice::$Variant(x)
                }
                #[inline(always)]
                fn slice_mut(x: &mut [Self]) -> SliceMut<'_> {
                    SliceMut::$Variant(x)
                }
                #[inline(always)]
                fn typed(x: Slice<'_>) -> &[Self] {
                    match x {
                        Slice::$Variant(x) => x,
                        _ => super::another_type(),
                    }
                }
                #[inline(always)]
                fn typed_mut(x: SliceMut<'_>) -> &mut [Self] {
                    match x {
                        SliceMut::$Variant(x) => x,
                        _ => super::another_type(),
                    }
                }
                #[inline(always)]
                fn rank(self) -> u64 {
                    let rank: fn($T) -> u64 = $rank;
                    rank(self)
                }
            }
        )* };
    }
    // Of negative floating-point numbers all bits are turned around, of others the first.
    sealed! {
        f32 F32 |x| {
            let bits = if x.is_nan() { f32::NAN } else { x + 0.0 }.to_bits();
            u64::from(bits ^ ((bits as i32 >> 31) as u32 | 1 << 31))
        };
        f64 F64 |x| {
            let bits = if x.is_nan() { f64::NAN } else { x + 0.0 }.to_bits();
            bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
        };
        i64 I64 |x| x as u64 ^ 1 << 63;
        bool Bool |x| u64::from(x);
    }
}

#[cold]
#[inline(never)]
fn another_type() -> ! {
    panic!("elements of another type than the formula's")
}

/// A kind of thing of which there is one for each element type; see [`EachElement`].
///
/// ```
/// use tapegrad::tensor_core::{EachElement, Element, ForElement};
/// struct Names;
/// impl ForElement for Names {
///     type Of<T: Element> = &'static str;
/// }
/// static NAMES: EachElement<Names> = EachElement { f32: "single", f64: "double", i64: "long", bool: "mask" };
/// assert_eq!(*f32::of_elements(&NAMES), "single");
/// ```
pub trait ForElement {
    /// The thing for one type.
    type Of<T: Element>;
}

/// One thing for each element type. A generic function that takes from a static one of these what it calls is
/// compiled in no other crate than that of the static: see [`compiled_once!`](crate::compiled_once!).
#[expect(missing_docs, reason = "the fields are the types' own names")]
pub struct EachElement<F: ForElement> {
    pub f32: F::Of<f32>,
    pub f64: F::Of<f64>,
    pub i64: F::Of<i64>,
    pub bool: F::Of<bool>,
}

/// As [`ForElement`], for numbers.
///
/// ```
/// use tapegrad::tensor_core::{EachNumber, ForNumber, Number};
/// struct Sums;
/// impl ForNumber for Sums {
///     type Of<T: Number> = fn(T, T) -> T;
/// }
/// static SUMS: EachNumber<Sums> = EachNumber { f32: f32::plus, f64: f64::plus, i64: i64::plus };
/// assert_eq!(i64::of_numbers(&SUMS)(2, 3), 5);
/// ```
pub trait ForNumber {
    /// The thing for one type.
    type Of<T: Number>;
}

/// As [`EachElement`], for numbers.
#[expect(missing_docs, reason = "the fields are the types' own names")]
pub struct EachNumber<F: ForNumber> {
    pub f32: F::Of<f32>,
    pub f64: F::Of<f64>,
    pub i64: F::Of<i64>,
}

/// As [`ForElement`], for floating-point numbers.
///
/// ```
/// use tapegrad::tensor_core::{EachFloat, Float, ForFloat};
/// struct Ends;
/// impl ForFloat for Ends {
///     type Of<T: Float> = T;
/// }
/// static ENDS: EachFloat<Ends> = EachFloat { f32: f32::MAX, f64: f64::MAX };
/// assert_eq!(*f64::of_floats(&ENDS), f64::MAX);
/// ```
pub trait ForFloat {
    /// The thing for one type.
    type Of<T: Float>;
}

/// As [`EachElement`], for floating-point numbers.
#[expect(missing_docs, reason = "the fields are the types' own names")]
pub struct EachFloat<F: ForFloat> {
    pub f32: F::Of<f32>,
    pub f64: F::Of<f64>,
}

/// Elements one after another, of any type.
///
/// ```
/// use tapegrad::tensor_core::{DType, Slice};
/// let part = Slice::I64(&[1, 2]);
/// assert_eq!(part.dtype(), DType::I64);
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the variants are the types' own names")]
pub enum Slice<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
}

impl<'a> Slice<'a> {
    /// The type of the elements.
    ///
    /// ```
    /// use tapegrad::tensor_core::{DType, Slice};
    /// assert_eq!(Slice::F32(&[1.0]).dtype(), DType::F32);
    /// ```
    pub fn dtype(self) -> DType {
        match self {
            Slice::F32(_) => DType::F32,
            Slice::F64(_) => DType::F64,
            Slice::I64(_) => DType::I64,
            Slice::Bool(_) => DType::Bool,
        }
    }

    /// The `n` elements from `start` on.
    #[inline]
    pub(crate) fn part(self, start: usize, n: usize) -> Self {
        match self {
            Slice::F32(x) => Slice::F32(&x[start..][..n]),
            Slice::F64(x) => Slice::F64(&x[start..][..n]),
            Slice::I64(x) => Slice::I64(&x[start..][..n]),
            Slice::Bool(x) => Slice::Bool(&x[start..][..n]),
        }
    }
}

/// Elements one after another, of any type, to be written.
///
/// ```
/// use tapegrad::tensor_core::SliceMut;
/// let mut numbers = [1.0, 2.0];
/// if let SliceMut::F64(x) = SliceMut::F64(&mut numbers) {
///     x[0] = 5.0;
/// }
/// assert_eq!(numbers, [5.0, 2.0]);
/// ```
#[derive(Debug)]
#[expect(missing_docs, reason = "the variants are the types' own names")]
pub enum SliceMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    I64(&'a mut [i64]),
    Bool(&'a mut [bool]),
}

impl<'a> SliceMut<'a> {
    /// The elements to be read.
    #[inline]
    pub(crate) fn read(&self) -> Slice<'_> {
        match self {
            SliceMut::F32(x) => Slice::F32(x),
            SliceMut::F64(x) => Slice::F64(x),
            SliceMut::I64(x) => Slice::I64(x),
            SliceMut::Bool(x) => Slice::Bool(x),
        }
    }

    /// The type of the elements.
    ///
    /// ```
    /// use tapegrad::tensor_core::{DType, SliceMut};
    /// assert_eq!(SliceMut::Bool(&mut [true]).dtype(), DType::Bool);
    /// ```
    pub fn dtype(&self) -> DType {
        self.read().dtype()
    }

    /// How many there are.
    ///
    /// ```
    /// use tapegrad::tensor_core::SliceMut;
    /// assert_eq!(SliceMut::F64(&mut [1.0, 2.0]).len(), 2);
    /// ```
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            SliceMut::F32(x) => x.len(),
            SliceMut::F64(x) => x.len(),
            SliceMut::I64(x) => x.len(),
            SliceMut::Bool(x) => x.len(),
        }
    }

    /// The `n` elements from `start` on.
    #[inline]
    pub(crate) fn part(&mut self, start: usize, n: usize) -> SliceMut<'_> {
        match self {
            SliceMut::F32(x) => SliceMut::F32(&mut x[start..][..n]),
            SliceMut::F64(x) => SliceMut::F64(&mut x[start..][..n]),
            SliceMut::I64(x) => SliceMut::I64(&mut x[start..][..n]),
            SliceMut::Bool(x) => SliceMut::Bool(&mut x[start..][..n]),
        }
    }

    /// The bytes of numbers; None for truth values, which not every byte is.
    pub(crate) fn bytes(self) -> Option<&'a mut [u8]> {
        match self {
            SliceMut::F32(x) => Some(cast_slice_mut(x)),
            SliceMut::F64(x) => Some(cast_slice_mut(x)),
            SliceMut::I64(x) => Some(cast_slice_mut(x)),
            SliceMut::Bool(_) => None,
        }
    }

    /// Takes the elements of a slice of the same type and length.
    pub(crate) fn copy_from(&mut self, x: Slice<'_>) {
        match (self, x) {
            (SliceMut::F32(out), Slice::F32(x)) => out.copy_from_slice(x),
            (SliceMut::F64(out), Slice::F64(x)) => out.copy_from_slice(x),
            (SliceMut::I64(out), Slice::I64(x)) => out.copy_from_slice(x),
            (SliceMut::Bool(out), Slice::Bool(x)) => out.copy_from_slice(x),
            _ => another_type(),
        }
    }
}

/// The run-time name of an element type.
///
/// ```
/// use tapegrad::{DType, Element};
/// assert_eq!((DType::F32.to_string(), f64::DTYPE), ("f32".to_string(), DType::F64));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point, the default.
    F64,
    /// 64-bit signed integer: indices and counts.
    I64,
    /// Truth values: masks and comparisons.
    Bool,
}

impl DType {
    /// Bytes one element takes.
    ///
    /// ```
    /// use tapegrad::DType;
    /// assert_eq!((DType::F32.size(), DType::I64.size(), DType::Bool.size()), (4, 8, 1));
    /// ```
    pub const fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::F64 | DType::I64 => 8,
            DType::Bool => 1,
        }
    }

    /// True for the types a tensor can be differentiated in.
    ///
    /// ```
    /// use tapegrad::DType;
    /// assert!(DType::F32.is_float() && !DType::I64.is_float());
    /// ```
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }
}

impl Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I64 => "i64",
            DType::Bool => "bool",
        })
    }
}

/// A value of any element type, the way station of a conversion between two of them.
///
/// ```
/// use tapegrad::{Element, Scalar};
/// assert_eq!(2.5f32.to_scalar(), Scalar::Float(2.5));
/// assert_eq!(i64::from_scalar(Scalar::Float(-2.5)), -2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar {
    /// A floating-point value.
    Float(f64),
    /// An integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

/// What stands for an element of type `T` where a tensor of such elements meets a single number: `T` itself; beside
/// floats also `f64`, which is rounded, and integers. So literals need no suffix, in code that is generic over
/// [`Float`] neither.
///
/// ```
/// use tapegrad::{Float, ValueFor};
/// fn twice<T: Float>(x: impl ValueFor<T>) -> T {
///     x.as_element() + x.as_element()
/// }
/// assert_eq!((twice::<f32>(1.5), twice::<f64>(3)), (3.0, 6.0));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand for a number beside tensors of `{T}`",
    label = "a number, or a tensor of `{T}`, is needed",
    note = "tensors of other types are converted by `x.cast::<f32>()` or `x.to_type::<i64>()`, numbers by `as`"
)]
// `Default` tells coherence that no reference to a tensor is one.
pub trait ValueFor<T>: Copy + Default {
    /// The element.
    fn as_element(self) -> T;
}

impl<T: Float> ValueFor<T> for f64 {
    #[inline]
    fn as_element(self) -> T {
        T::of(self)
    }
}

impl ValueFor<f32> for f32 {
    #[inline]
    fn as_element(self) -> f32 {
        self
    }
}

impl<T: Number> ValueFor<T> for i64 {
    #[inline]
    fn as_element(self) -> T {
        T::from_i64(self)
    }
}

// Beside integers these would leave the type of a literal open: large ones would not fit what it falls back to.
impl<T: Float> ValueFor<T> for i32 {
    #[inline]
    fn as_element(self) -> T {
        T::of(f64::from(self))
    }
}

impl<T: Float> ValueFor<T> for usize {
    #[inline]
    fn as_element(self) -> T {
        T::of(self as f64)
    }
}

impl ValueFor<bool> for bool {
    #[inline]
    fn as_element(self) -> bool {
        self
    }
}

/// What an array can hold: `f32`, `f64`, `i64` or `bool`.
///
/// The default value of each type is the one whose bytes are all zero, which the buffers rely on.
///
/// ```
/// use tapegrad::Element;
/// assert_eq!((2.9.cast::<i64>(), 1e300.cast::<i64>(), 3i64.cast::<bool>()), (2, i64::MAX, true));
/// assert_eq!(Element::cast::<i64>(f64::NAN), 0);
/// ```
pub trait Element:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + ValueFor<Self>
    + sealed::Sealed
    + 'static
{
    /// The type's run-time name.
    const DTYPE: DType;
    /// What is there for this type.
    #[inline(always)]
    fn of_elements<F: ForElement>(each: &EachElement<F>) -> &F::Of<Self> {
        Self::of_each(each)
    }
    /// The value as the widest type of its family.
    fn to_scalar(self) -> Scalar;
    /// The nearest value of this type: fractions are cut off, out-of-range values saturate, NaN
    /// becomes integer 0, and everything but zero is `true`.
    fn from_scalar(x: Scalar) -> Self;
    /// True for NaN; integers and truth values never are.
    #[inline]
    fn is_nan(self) -> bool {
        false
    }
    /// Converts to another element type, as `as` does.
    #[inline]
    fn cast<U: Element>(self) -> U {
        U::from_scalar(self.to_scalar())
    }
}

/// Element types with arithmetic: `f32`, `f64` and `i64` (which wraps on overflow, as NumPy's does).
///
/// ```
/// use tapegrad::Number;
/// fn next<T: Number>(x: T) -> T {
///     x.plus(T::ONE)
/// }
/// assert_eq!((next(1.5), next(i64::MAX)), (2.5, i64::MIN));
/// assert_eq!((7.remainder(-2i64), 7.fmod(-2i64)), (-1, 1));
/// ```
pub trait Number: Element {
    /// What is there for this type.
    fn of_numbers<F: ForNumber>(each: &EachNumber<F>) -> &F::Of<Self>;
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;
    /// The value every other is greater than: minus infinity, or the smallest integer.
    const LOWEST: Self;
    /// The value every other is less than: infinity, or the largest integer.
    const HIGHEST: Self;
    /// `self + y`.
    fn plus(self, y: Self) -> Self;
    /// `self - y`.
    fn minus(self, y: Self) -> Self;
    /// `self * y`.
    fn times(self, y: Self) -> Self;
    /// `-self`.
    fn negated(self) -> Self;
    /// The largest integer not above `self / y`; an integer `y` must not be 0.
    fn floor_divide(self, y: Self) -> Self;
    /// What [`Number::floor_divide`] leaves, with the sign of `y`.
    fn remainder(self, y: Self) -> Self;
    /// `self / y` rounded towards 0; an integer `y` must not be 0.
    fn trunc_divide(self, y: Self) -> Self;
    /// What [`Number::trunc_divide`] leaves, with the sign of `self`.
    fn fmod(self, y: Self) -> Self;
    /// `|self|`.
    fn magnitude(self) -> Self;
    /// `n` as this type, rounded to the nearest where it is not exact.
    fn from_i64(n: i64) -> Self;
    /// The value in double precision.
    fn to_f64(self) -> f64;
}

/// Floating-point element types, the ones a tensor can be differentiated in: `f32` and `f64`.
///
/// ```
/// use tapegrad::Float;
/// fn half<T: Float>(x: T) -> T {
///     x * T::of(0.5)
/// }
/// assert_eq!((half(3.0f32), half(3.0f64)), (1.5, 1.5));
/// ```
pub trait Float:
    Number
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Sum
    + faer::traits::RealField
{
    /// What is there for this type.
    fn of_floats<F: ForFloat>(each: &EachFloat<F>) -> &F::Of<Self>;
    /// The distance from 1 to the next larger value.
    const EPSILON: Self;
    /// Not a number.
    const NAN: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// The largest finite value.
    const LARGEST: Self;
    /// The nearest value to `x`.
    fn of(x: f64) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// 2 to the power of `self`.
    fn exp2(self) -> Self;
    /// e to the power of `self`, minus 1, exact near 0.
    fn exp_m1(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    fn log10(self) -> Self;
    /// The natural logarithm of 1 + `self`, exact near 0.
    fn ln_1p(self) -> Self;
    /// The sine of an angle in radians.
    fn sin(self) -> Self;
    /// The cosine of an angle in radians.
    fn cos(self) -> Self;
    /// The tangent of an angle in radians.
    fn tan(self) -> Self;
    /// The angle in radians whose sine this is.
    fn asin(self) -> Self;
    /// The angle in radians whose cosine this is.
    fn acos(self) -> Self;
    /// The angle in radians whose tangent this is.
    fn atan(self) -> Self;
    /// The angle in radians of the point (`x`, `self`).
    fn atan2(self, x: Self) -> Self;
    /// The hyperbolic sine.
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The inverse of the hyperbolic sine.
    fn asinh(self) -> Self;
    /// The inverse of the hyperbolic cosine.
    fn acosh(self) -> Self;
    /// The inverse of the hyperbolic tangent.
    fn atanh(self) -> Self;
    /// The largest integer not above.
    fn floor(self) -> Self;
    /// The smallest integer not below.
    fn ceil(self) -> Self;
    /// The integer part.
    fn trunc(self) -> Self;
    /// The nearest integer, the even one of two.
    fn round_ties_even(self) -> Self;
    /// The length of (`self`, `y`), without overflow on the way.
    fn hypot(self, y: Self) -> Self;
    /// `self` to the power of `p`.
    fn powf(self, p: Self) -> Self;
    /// `self` to an integer power.
    fn powi(self, p: i32) -> Self;
}
