//! Comparisons, masks, and choosing by a mask.

use crate::apply_once;
use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use std::borrow::{Borrow, Cow};
use std::ops::{BitAnd, BitOr, BitXor, Not};
use tensor_core::shape::{IntoDims, dim_mask};
use tensor_core::{
    Array, AtCaller, Closures, Code, DType, EachElement, EachNumber, Element, Float, ForElement, ForNumber,
    Formula, Number, OrRaise, Result, ValueFor, compiled_once, formula, formulas, kernels,
};

/// What stands beside a tensor: a tensor of the same type, or a number.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand beside a tensor of `{T}`",
    label = "a tensor of `{T}`, a reference to one, or a number is needed",
    note = "tensors of other types are converted by `x.cast::<f32>()` or `x.to_type::<i64>()`, numbers by `as`"
)]
pub trait Operand<T: Element> {
    /// The operand as a tensor.
    fn operand(&self) -> Cow<'_, Tensor<T>>;

    /// The number, where it is one.
    fn number(&self) -> Option<T> {
        None
    }
}

impl<T: Element, N: ValueFor<T>> Operand<T> for N {
    fn operand(&self) -> Cow<'_, Tensor<T>> {
        Cow::Owned(Tensor::scalar(self.as_element()))
    }
    fn number(&self) -> Option<T> {
        Some(self.as_element())
    }
}

impl<T: Element> Operand<T> for &Tensor<T> {
    fn operand(&self) -> Cow<'_, Tensor<T>> {
        Cow::Borrowed(self)
    }
}

impl<T: Element> Operand<T> for Tensor<T> {
    fn operand(&self) -> Cow<'_, Tensor<T>> {
        Cow::Borrowed(self)
    }
}

/// Comparisons of two elements.
pub(super) struct Comparison;

impl ForElement for Comparison {
    type Of<T: Element> = &'static dyn Formula<(T, T), bool>;
}

macro_rules! comparisons {
    ($($name:ident $NAME:ident $op:tt $pattern:literal $doc:literal;)*) => {
        $(
            pub(super) static $NAME: EachElement<Comparison> =
                formulas!(Element: |a: T, b: T| -> bool { a $op b } $pattern);
        )*

        /// # Comparisons
        impl<T: Element> Tensor<T> { $(
            #[doc = $doc]
            ///
            /// ```
            /// use tapegrad::Tensor;
            /// let (column, row) = (Tensor::from([[1], [2]]), Tensor::from([1, 2, 3]));
            #[doc = concat!("let mask = column.", stringify!($name), "(&row)?;")]
            /// assert_eq!(mask.shape(), [2, 3]);
            #[doc = concat!("assert_eq!(row.", stringify!($name), "(2)?.get([0])?, 1 ", stringify!($op), " 2);")]
            /// # Ok::<(), tapegrad::Error>(())
            /// ```
            ///
            /// # Errors
            /// Shape, where the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Operand<T>) -> Result<Tensor<bool>> {
                let other = other.operand();
                let mask =
                    kernels::zip(stringify!($name), self.array(), other.array(), *T::of_elements(&$NAME));
                Ok(mask.at_caller()?.into())
            }
        )* }
    };
}
comparisons! {
    eq EQ == "$0 == $1" "Where the elements are equal, broadcast. NaN equals nothing.";
    ne NE != "$0 != $1" "Where the elements differ, broadcast.";
    lt LT < "$0 < $1" "Where the elements are less than the other's, broadcast.";
    le LE <= "$0 <= $1" "Where the elements are at most the other's, broadcast.";
    gt GT > "$0 > $1" "Where the elements are greater than the other's, broadcast.";
    ge GE >= "$0 >= $1" "Where the elements are at least the other's, broadcast.";
}

/// a where the condition holds, b elsewhere. Values are chosen, never multiplied by the mask, so
/// that nothing of the branch not taken leaks.
struct Where(Array<bool>);

impl<T: Element> Op<T, 2> for Where {
    fn name(&self) -> &'static str {
        "where_cond"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::select("where_cond", &self.0, a, b)
    }
    fn holds(&self) -> usize {
        self.0.allocation().1
    }
    /// where(c, grad, 0), where(c, 0, grad)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let zero = Tensor::scalar(T::default());
        Ok([
            kept.wrt(0, || apply(Where(self.0.clone()), [&g, &zero]))?,
            kept.wrt(1, || apply(Where(self.0.clone()), [&zero, &g]))?,
        ])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// # Masks
impl Tensor<bool> {
    /// `a` where this mask holds, `b` elsewhere, tensors or numbers; the three broadcast.
    ///
    /// The gradient of the branch not taken is 0, but its own derivative is still evaluated: where
    /// that is infinite (the square root at 0), mask the branch's input as well.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([-1.0, 4.0]);
    /// let y = x.gt(0.0)?.where_cond(&x, 0.0)?;
    /// assert_eq!(y.to_vec(), [0.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias = "where")]
    #[track_caller]
    pub fn where_cond<T: Element>(&self, a: impl Operand<T>, b: impl Operand<T>) -> Result<Tensor<T>> {
        let (a, b) = (a.operand(), b.operand());
        apply_once!(T: Element, Where(self.array().clone()) => Where, [a.as_ref(), b.as_ref()])
    }

    /// True where the mask is false, as `!mask`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let mask = Tensor::from([true, false]);
    /// assert_eq!(mask.logical_not().to_vec(), (!&mask).to_vec());
    /// assert_eq!((!mask).to_vec(), [false, true]);
    /// ```
    #[doc(alias("invert", "bitwise_not"))]
    #[track_caller]
    #[must_use]
    pub fn logical_not(&self) -> Tensor<bool> {
        kernels::map("logical_not", self.array(), &formula!(|x: bool| !x)).or_raise().into()
    }

    /// Where both masks hold, broadcast, as `&a & &b`, which panics where the shapes do not.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(x.gt(1.0)?.logical_and(&x.lt(3.0)?)?.to_vec(), [false, true, false]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias = "bitwise_and")]
    #[track_caller]
    pub fn logical_and(&self, other: &Tensor<bool>) -> Result<Tensor<bool>> {
        self.combined("logical_and", other, &formula!(|a: bool, b: bool| a & b))
    }

    /// Where either mask holds, broadcast, as `&a | &b`, which panics where the shapes do not.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (row, column) = (Tensor::from([false, true]), Tensor::from([[false], [true]]));
    /// assert_eq!(row.logical_or(&column)?.to_vec(), [false, true, true, true]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias = "bitwise_or")]
    #[track_caller]
    pub fn logical_or(&self, other: &Tensor<bool>) -> Result<Tensor<bool>> {
        self.combined("logical_or", other, &formula!(|a: bool, b: bool| a | b))
    }

    /// Where exactly one of the masks holds, broadcast, as `&a ^ &b`, which panics where the shapes do not.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (a, b) = (Tensor::from([true, true]), Tensor::from([true, false]));
    /// assert_eq!((&a ^ &b).to_vec(), a.logical_xor(&b)?.to_vec());
    /// assert_eq!((a ^ b).to_vec(), [false, true]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias = "bitwise_xor")]
    #[track_caller]
    pub fn logical_xor(&self, other: &Tensor<bool>) -> Result<Tensor<bool>> {
        self.combined("logical_xor", other, &formula!(|a: bool, b: bool| a ^ b))
    }

    #[track_caller]
    fn combined(
        &self,
        op: &'static str,
        other: &Tensor<bool>,
        f: &dyn Formula<(bool, bool), bool>,
    ) -> Result<Tensor<bool>> {
        Ok(kernels::zip(op, self.array(), other.array(), f).at_caller()?.into())
    }

    /// Whether every element is true.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert!(x.gt(0.0)?.all() && !x.gt(1.0)?.all());
    /// assert!(Tensor::zeros([0]).gt(0.0)?.all());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn all(&self) -> bool /* over dimensions: x.all_dim(0, false)? */ {
        let all = vec![true; self.ndim()];
        let all = kernels::all("all", self.array(), &all, false).or_raise();
        all.item("all").or_raise()
    }

    /// Whether any element is true.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, f64::NAN]);
    /// assert!(x.isnan().any());
    /// assert!(!Tensor::zeros([0]).isnan().any());
    /// ```
    #[track_caller]
    #[must_use]
    pub fn any(&self) -> bool /* over dimensions: x.any_dim(0, false)? */ {
        let all = vec![true; self.ndim()];
        let any = kernels::any("any", self.array(), &all, false).or_raise();
        any.item("any").or_raise()
    }

    /// Whether every element over `dims` is true; the dimensions stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let mask = Tensor::from([[true, false], [true, true]]);
    /// assert_eq!(mask.all_dim(1, false)?.to_vec(), [false, true]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn all_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Tensor<bool>> {
        let mask = dim_mask("all", &dims.into_dims(), self.ndim()).at_caller()?;
        Ok(kernels::all("all", self.array(), &mask, keepdim).at_caller()?.into())
    }

    /// Whether any element over `dims` is true; the dimensions stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let mask = Tensor::from([[true, false], [false, false]]);
    /// assert_eq!(mask.any_dim(1, false)?.to_vec(), [true, false]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn any_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Tensor<bool>> {
        let mask = dim_mask("any", &dims.into_dims(), self.ndim()).at_caller()?;
        Ok(kernels::any("any", self.array(), &mask, keepdim).at_caller()?.into())
    }
}

impl Not for &Tensor<bool> {
    type Output = Tensor<bool>;
    #[track_caller]
    fn not(self) -> Tensor<bool> {
        self.logical_not()
    }
}

impl Not for Tensor<bool> {
    type Output = Tensor<bool>;
    #[track_caller]
    fn not(self) -> Tensor<bool> {
        self.logical_not()
    }
}

/// An operator of masks, owned or borrowed on either side.
macro_rules! mask_operators {
    ($($Trait:ident $method:ident $logical:ident)*) => { $(
        mask_operators!($Trait $method $logical, &Tensor<bool>, &Tensor<bool>);
        mask_operators!($Trait $method $logical, &Tensor<bool>, Tensor<bool>);
        mask_operators!($Trait $method $logical, Tensor<bool>, &Tensor<bool>);
        mask_operators!($Trait $method $logical, Tensor<bool>, Tensor<bool>);
    )* };
    ($Trait:ident $method:ident $logical:ident, $A:ty, $B:ty) => {
        impl $Trait<$B> for $A {
            type Output = Tensor<bool>;
            #[track_caller]
            fn $method(self, other: $B) -> Tensor<bool> {
                self.$logical(other.borrow()).or_raise()
            }
        }
    };
}
mask_operators!(BitAnd bitand logical_and BitOr bitor logical_or BitXor bitxor logical_xor);

/// # Counting what is not 0
impl<T: Element> Tensor<T> {
    /// How many elements are not 0 (not `false`).
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([0.0, -0.0, f64::NAN, 2.0]).count_nonzero(), 2);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn count_nonzero(&self) -> usize /* over dimensions: x.count_nonzero_dim(0, false)? */ {
        let zero = Array::scalar(T::default());
        let nonzero = kernels::zip("count_nonzero", self.array(), &zero, *T::of_elements(&NE)).or_raise();
        Tensor::from(nonzero).to_type::<i64>().sum().array().item("count_nonzero").or_raise() as usize
    }

    /// How many elements over `dims` are not 0 (not `false`); the dimensions stay with size 1 where
    /// `keepdim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[0, 1, 2], [0, 0, 3]]);
    /// assert_eq!(x.count_nonzero_dim(1, false)?.to_vec(), [2, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn count_nonzero_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Tensor<i64>> {
        self.ne(T::default())?.to_type::<i64>().sum_dim(dims, keepdim)
    }
}

compiled_once! {
    fn isclose<T: Float>(a: &Array<T>, b: &Array<T>, rtol: T, atol: T) -> Result<Array<bool>> {
        let close =
            |a: T, b: T| a == b || (b.is_finite() && Float::abs(a - b) <= atol + rtol * Float::abs(b));
        let text = |[a, b]: [Code; 2]| {
            let near =
                Code::cuda("$0 <= $1", DType::Bool, &[(a - b).magnitude(), b.magnitude() * rtol + atol]);
            Code::cuda("$0 == $1", DType::Bool, &[a, b]) | (b.is_finite() & near)
        };
        kernels::zip("isclose", a, b, &Closures::new(close, text))
    }
}

/// # Comparisons within tolerances
impl<T: Float> Tensor<T> {
    /// Where |a - b| <= atol + rtol |b|, or a and b are equal infinities; broadcast. NaN is close to
    /// nothing.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, f64::INFINITY, f64::NAN]);
    /// let y = Tensor::from([1.125, f64::INFINITY, f64::NAN]);
    /// assert_eq!(x.isclose(&y, 0.0, 0.125)?.to_vec(), [true, true, false]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn isclose(&self, other: &Tensor<T>, rtol: f64, atol: f64) -> Result<Tensor<bool>> {
        let mask = isclose(self.array(), other.array(), T::of(rtol), T::of(atol));
        Ok(mask.at_caller()?.into())
    }

    /// Whether all elements are close; see [`Tensor::isclose`]. NumPy's and PyTorch's tolerances are
    /// `rtol` 1e-5 and `atol` 1e-8.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert!(x.allclose(&(&x + 1e-9), 1e-5, 1e-8)?);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias = "equal")]
    #[track_caller]
    pub fn allclose(&self, other: &Tensor<T>, rtol: f64, atol: f64) -> Result<bool> {
        Ok(self.isclose(other, rtol, atol)?.all())
    }
}

/// Properties of numbers.
struct Property;

impl ForNumber for Property {
    type Of<T: Number> = &'static dyn Formula<(T,), bool>;
}

macro_rules! properties {
    ($($name:ident $NAME:ident |$x:ident| $holds:expr, $pattern:literal, $doc:literal;)*) => {
        $(
            static $NAME: EachNumber<Property> = formulas!(Number: |$x: T| -> bool { $holds } $pattern);
        )*

        /// # Properties of numbers
        impl<T: Number> Tensor<T> { $(
            #[doc = $doc]
            #[track_caller]
            #[must_use]
            pub fn $name(&self) -> Tensor<bool> {
                kernels::map(stringify!($name), self.array(), *T::of_numbers(&$NAME)).or_raise().into()
            }
        )* }
    };
}
properties! {
    isnan ISNAN |x| x.is_nan(), "$0 != $0", "Where the elements are not a number.";
    isinf ISINF |x| x.to_f64().is_infinite(), "is_infinite($0)", "Where the elements are infinite, with either sign.";
    isfinite ISFINITE |x| x.to_f64().is_finite(), "is_finite($0)", "Where the elements are neither infinite nor NaN.";
}
