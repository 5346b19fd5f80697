//! Comparisons, masks, and choosing by a mask.

use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::panic::Location;
use tensor_core::kernels::{All, Any};
use tensor_core::shape::{IntoDims, dim_mask};
use tensor_core::{
    Array, Code, DType, Element, Float, Formula, Number, OrRaise, Result, Text, formula, kernels,
};

/// The right-hand side of a comparison: a tensor or a scalar.
pub trait Operand<T: Element> {
    /// The operand as an array.
    fn operand(&self) -> Cow<'_, Array<T>>;
}

impl<T: Element> Operand<T> for T {
    fn operand(&self) -> Cow<'_, Array<T>> {
        Cow::Owned(Array::scalar(*self))
    }
}

impl<T: Element> Operand<T> for &Tensor<T> {
    fn operand(&self) -> Cow<'_, Array<T>> {
        Cow::Borrowed(self.array())
    }
}

macro_rules! comparison {
    ($($name:ident $op:tt $doc:literal;)*) => {
        impl<T: Element> Tensor<T> { $(
            #[doc = $doc]
            ///
            /// # Errors
            /// Shape, where the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Operand<T>) -> Result<Tensor<bool>> {
                let here = Location::caller();
                let text = |[a, b]: [Code; 2]| Code::cuda(concat!("$0 ", stringify!($op), " $1"), DType::Bool, &[a, b]);
                let compare = Formula::new(|a, b| a $op b, text);
                let mask = kernels::zip(stringify!($name), self.array(), &other.operand(), compare);
                Ok(mask.map_err(|e| e.at(here))?.into())
            }
        )* }
    };
}
comparison! {
    eq == "Where the elements are equal, broadcast. NaN equals nothing.";
    ne != "Where the elements differ, broadcast.";
    lt < "Where the elements are less than the other's, broadcast.";
    le <= "Where the elements are at most the other's, broadcast.";
    gt > "Where the elements are greater than the other's, broadcast.";
    ge >= "Where the elements are at least the other's, broadcast.";
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
    fn batches(&self) -> bool {
        true
    }
    /// where(c, grad, 0), where(c, 0, grad)
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let zero = Tensor::scalar(T::default());
        Ok([
            kept.wrt(0, || apply(Where(self.0.clone()), [&g, &zero]))?,
            kept.wrt(1, || apply(Where(self.0.clone()), [&zero, &g]))?,
        ])
    }
}

impl Tensor<bool> {
    /// `a` where this mask holds, `b` elsewhere; the three broadcast.
    ///
    /// The gradient of the branch not taken is 0, but its own derivative is still evaluated: where
    /// that is infinite (the square root at 0), mask the branch's input as well.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::from([-1.0, 4.0]);
    /// let y = x.gt(0.0)?.where_cond(&x, &Tensor::scalar(0.0))?;
    /// assert_eq!(y.to_vec(), [0.0, 4.0]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn where_cond<T: Element>(&self, a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
        apply(Where(self.array().clone()), [a, b])
    }

    /// True where the mask is false.
    #[track_caller]
    #[must_use]
    pub fn logical_not(&self) -> Tensor<bool> {
        kernels::map("logical_not", self.array(), formula!(|x: bool| !x)).or_raise().into()
    }

    /// Where both masks hold, broadcast.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn logical_and(&self, other: &Tensor<bool>) -> Result<Tensor<bool>> {
        self.combined("logical_and", other, formula!(|a: bool, b: bool| a & b))
    }

    /// Where either mask holds, broadcast.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn logical_or(&self, other: &Tensor<bool>) -> Result<Tensor<bool>> {
        self.combined("logical_or", other, formula!(|a: bool, b: bool| a | b))
    }

    /// Where exactly one of the masks holds, broadcast.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn logical_xor(&self, other: &Tensor<bool>) -> Result<Tensor<bool>> {
        self.combined("logical_xor", other, formula!(|a: bool, b: bool| a ^ b))
    }

    #[track_caller]
    fn combined(
        &self,
        op: &'static str,
        other: &Tensor<bool>,
        f: Formula<impl Fn(bool, bool) -> bool + Sync, impl Text<2>>,
    ) -> Result<Tensor<bool>> {
        let here = Location::caller();
        Ok(kernels::zip(op, self.array(), other.array(), f).map_err(|e| e.at(here))?.into())
    }

    /// Whether every element is true.
    #[track_caller]
    #[must_use]
    pub fn all(&self) -> bool {
        let all = vec![true; self.ndim()];
        let all = kernels::reduce("all", self.array(), &all, false, All).or_raise();
        all.item("all").or_raise()
    }

    /// Whether any element is true.
    #[track_caller]
    #[must_use]
    pub fn any(&self) -> bool {
        let all = vec![true; self.ndim()];
        let any = kernels::reduce("any", self.array(), &all, false, Any).or_raise();
        any.item("any").or_raise()
    }

    /// Whether every element over `dims` is true; the dimensions stay with size 1 where `keepdim`.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn all_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Tensor<bool>> {
        let here = Location::caller();
        let mask = dim_mask("all", &dims.into_dims(), self.ndim()).map_err(|e| e.at(here))?;
        Ok(kernels::reduce("all", self.array(), &mask, keepdim, All).map_err(|e| e.at(here))?.into())
    }

    /// Whether any element over `dims` is true; the dimensions stay with size 1 where `keepdim`.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let mask = Tensor::from([[true, false], [false, false]]);
    /// assert_eq!(mask.any_dim(1, false)?.to_vec(), [true, false]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn any_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Tensor<bool>> {
        let here = Location::caller();
        let mask = dim_mask("any", &dims.into_dims(), self.ndim()).map_err(|e| e.at(here))?;
        Ok(kernels::reduce("any", self.array(), &mask, keepdim, Any).map_err(|e| e.at(here))?.into())
    }
}

impl<T: Element> Tensor<T> {
    /// How many elements are not 0 (not `false`).
    #[track_caller]
    #[must_use]
    pub fn count_nonzero(&self) -> usize {
        let text = |[x]: [Code; 1]| x.cast(DType::Bool).cast(DType::I64);
        let one = Formula::new(|x| i64::from(x != T::default()), text);
        let ones = kernels::map("count_nonzero", self.array(), one).or_raise();
        Tensor::from(ones).sum().array().item("count_nonzero").or_raise() as usize
    }

    /// How many elements over `dims` are not 0 (not `false`); the dimensions stay with size 1 where
    /// `keepdim`.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn count_nonzero_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Tensor<i64>> {
        self.ne(T::default())?.to_type::<i64>().sum_dim(dims, keepdim)
    }
}

impl<T: Float> Tensor<T> {
    /// Where |a - b| <= atol + rtol |b|, or a and b are equal infinities; broadcast. NaN is close to
    /// nothing.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn isclose(&self, other: &Tensor<T>, rtol: f64, atol: f64) -> Result<Tensor<bool>> {
        let here = Location::caller();
        let (rtol, atol) = (T::of(rtol), T::of(atol));
        let close =
            |a: T, b: T| a == b || (b.is_finite() && Float::abs(a - b) <= atol + rtol * Float::abs(b));
        let text = |[a, b]: [Code; 2]| {
            let near =
                Code::cuda("$0 <= $1", DType::Bool, &[(a - b).magnitude(), b.magnitude() * rtol + atol]);
            Code::cuda("$0 == $1", DType::Bool, &[a, b]) | (b.is_finite() & near)
        };
        let mask = kernels::zip("isclose", self.array(), other.array(), Formula::new(close, text));
        Ok(mask.map_err(|e| e.at(here))?.into())
    }

    /// Whether all elements are close; see [`Tensor::isclose`]. NumPy's and PyTorch's tolerances are
    /// `rtol` 1e-5 and `atol` 1e-8.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// assert!(x.allclose(&(&x + 1e-9), 1e-5, 1e-8)?);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn allclose(&self, other: &Tensor<T>, rtol: f64, atol: f64) -> Result<bool> {
        Ok(self.isclose(other, rtol, atol)?.all())
    }
}

impl<T: Number> Tensor<T> {
    /// Where the elements are not a number.
    #[track_caller]
    #[must_use]
    pub fn isnan(&self) -> Tensor<bool> {
        kernels::map("isnan", self.array(), formula!(|x: T| x.is_nan())).or_raise().into()
    }

    /// Where the elements are infinite, with either sign.
    #[track_caller]
    #[must_use]
    pub fn isinf(&self) -> Tensor<bool> {
        kernels::map(
            "isinf",
            self.array(),
            Formula::new(
                |x: T| x.to_f64().is_infinite(),
                |[x]| Code::cuda("is_infinite($0)", DType::Bool, &[x]),
            ),
        )
        .or_raise()
        .into()
    }

    /// Where the elements are neither infinite nor NaN.
    #[track_caller]
    #[must_use]
    pub fn isfinite(&self) -> Tensor<bool> {
        kernels::map(
            "isfinite",
            self.array(),
            Formula::new(|x: T| x.to_f64().is_finite(), |[x]: [Code; 1]| x.is_finite()),
        )
        .or_raise()
        .into()
    }
}
