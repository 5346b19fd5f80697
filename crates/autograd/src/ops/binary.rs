//! Arithmetic of two tensors, broadcast, and its operators.

use super::elementwise::Affine;
use crate::op::{Keep, Kept, Op, apply, apply_owned};
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};
use tensor_core::shape::same;
use tensor_core::{Array, Float, Formula, Number, OrRaise, Result, Text, formula, kernels};

/// a + b
struct AddOp;

impl<T: Number> Op<T, 2> for AddOp {
    fn name(&self) -> &'static str {
        "add"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("add", a, b, formula!(|a: T, b: T| a.plus(b)))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        into_either("add", a, b, formula!(|a: T, b: T| a.plus(b)))
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad, grad
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        Ok([kept.wrt(0, || Ok(g.clone()))?, kept.wrt(1, || Ok(g))?])
    }
}

/// a - b
struct SubOp;

impl<T: Number> Op<T, 2> for SubOp {
    fn name(&self) -> &'static str {
        "sub"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("sub", a, b, formula!(|a: T, b: T| a.minus(b)))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        into_either("sub", a, b, formula!(|a: T, b: T| a.minus(b)))
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad, -grad
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        Ok([kept.wrt(0, || Ok(g.clone()))?, kept.wrt(1, || Ok(g.negate_owned()))?])
    }
}

/// a b
struct MulOp;

impl<T: Number> Op<T, 2> for MulOp {
    fn name(&self) -> &'static str {
        "mul"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("mul", a, b, formula!(|a: T, b: T| a.times(b)))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        into_either("mul", a, b, formula!(|a: T, b: T| a.times(b)))
    }
    fn keep(&self, [a, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, a])
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad b, grad a
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        if !kept.needs(1) {
            return Ok([Some(apply_owned(MulOp, [g, kept.input(1)])?), None]);
        }
        Ok([
            kept.wrt(0, || apply(MulOp, [&g, &kept.input(1)]))?,
            Some(apply_owned(MulOp, [g, kept.input(0)])?),
        ])
    }
}

/// a / b
struct DivOp;

impl<T: Float> Op<T, 2> for DivOp {
    fn name(&self) -> &'static str {
        "div"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("div", a, b, formula!(|a: T, b: T| a / b))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        into_either("div", a, b, formula!(|a: T, b: T| a / b))
    }
    fn keep(&self, [_, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, true])
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad / b, -grad (a / b) / b
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let b = kept.input(1);
        Ok([
            kept.wrt(0, || apply(DivOp, [&g, &b]))?,
            kept.wrt(1, || {
                let ratio = apply_owned(DivOp, [apply(DivOp, [&kept.input(0), &b])?, b.clone()])?;
                Ok(apply_owned(MulOp, [ratio, g.clone()])?.negate_owned())
            })?,
        ])
    }
}

/// f(a, b), in the buffer of `a` or else of `b` where nothing else shares it and it has the
/// result's shape.
fn into_either<T: Number>(
    op: &'static str,
    a: Array<T>,
    b: Array<T>,
    f: Formula<impl Fn(T, T) -> T + Sync, impl Text<2>>,
) -> Result<Array<T>> {
    if a.is_shared() && same(a.shape(), b.shape()) {
        return kernels::zip_owned(op, b, &a, f.flipped());
    }
    kernels::zip_owned(op, a, &b, f)
}

/// An operation as a method that returns a `Result`, and as an operator that panics.
macro_rules! operator {
    ($T:ident: $Bound:ident, $Trait:ident $method:ident $try_method:ident $Op:ident, $doc:literal) => {
        impl<$T: $Bound> Tensor<$T> {
            #[doc = $doc]
            ///
            /// # Errors
            /// Shape, where the shapes do not broadcast.
            #[track_caller]
            pub fn $try_method(&self, other: &Tensor<$T>) -> Result<Tensor<$T>> {
                apply($Op, [self, other])
            }
        }

        impl<$T: $Bound> $Trait<&Tensor<$T>> for &Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            #[inline]
            fn $method(self, other: &Tensor<$T>) -> Tensor<$T> {
                apply($Op, [self, other]).or_raise()
            }
        }

        impl<$T: $Bound> $Trait<Tensor<$T>> for &Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, other: Tensor<$T>) -> Tensor<$T> {
                apply_owned($Op, [self.clone(), other]).or_raise()
            }
        }

        impl<$T: $Bound> $Trait<&Tensor<$T>> for Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, other: &Tensor<$T>) -> Tensor<$T> {
                apply_owned($Op, [self, other.clone()]).or_raise()
            }
        }

        impl<$T: $Bound> $Trait<Tensor<$T>> for Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, other: Tensor<$T>) -> Tensor<$T> {
                apply_owned($Op, [self, other]).or_raise()
            }
        }
    };
}
operator!(T: Number, Add add try_add AddOp, "a + b, broadcast.");
operator!(T: Number, Sub sub try_sub SubOp, "a - b, broadcast.");
operator!(T: Number, Mul mul try_mul MulOp, "a b element by element, broadcast.");
operator!(T: Float, Div div try_div DivOp, "a / b element by element, broadcast.");

/// An operator with a scalar on its right.
macro_rules! scalar_operator {
    ($T:ident: $Bound:ident, $Trait:ident $method:ident, |$c:ident| $op:expr) => {
        impl<$T: $Bound> $Trait<$T> for &Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, $c: $T) -> Tensor<$T> {
                self.affine($op)
            }
        }

        impl<$T: $Bound> $Trait<$T> for Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, $c: $T) -> Tensor<$T> {
                self.affine_owned($op)
            }
        }
    };
}
scalar_operator!(T: Number, Add add, |c| Affine::Plus(c));
scalar_operator!(T: Number, Sub sub, |c| Affine::Plus(c.negated()));
scalar_operator!(T: Number, Mul mul, |c| Affine::Times(c));

impl<T: Float> Div<T> for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn div(self, c: T) -> Tensor<T> {
        self / Tensor::scalar(c)
    }
}

impl<T: Float> Div<T> for Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn div(self, c: T) -> Tensor<T> {
        self / Tensor::scalar(c)
    }
}

/// Operators with a scalar on their left, which the language asks for type by type.
macro_rules! scalar_on_the_left {
    ($($T:ty)*) => { $(
        impl Add<&Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn add(self, x: &Tensor<$T>) -> Tensor<$T> {
                x.affine(Affine::Plus(self))
            }
        }

        impl Add<Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn add(self, x: Tensor<$T>) -> Tensor<$T> {
                x.affine_owned(Affine::Plus(self))
            }
        }

        impl Sub<&Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn sub(self, x: &Tensor<$T>) -> Tensor<$T> {
                x.affine(Affine::From(self))
            }
        }

        impl Sub<Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn sub(self, x: Tensor<$T>) -> Tensor<$T> {
                x.affine_owned(Affine::From(self))
            }
        }

        impl Mul<&Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn mul(self, x: &Tensor<$T>) -> Tensor<$T> {
                x.affine(Affine::Times(self))
            }
        }

        impl Mul<Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn mul(self, x: Tensor<$T>) -> Tensor<$T> {
                x.affine_owned(Affine::Times(self))
            }
        }
    )* };
}
scalar_on_the_left!(f32 f64 i64);

macro_rules! scalar_over_tensor {
    ($($T:ty)*) => { $(
        impl Div<&Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn div(self, x: &Tensor<$T>) -> Tensor<$T> {
                Tensor::scalar(self) / x
            }
        }

        impl Div<Tensor<$T>> for $T {
            type Output = Tensor<$T>;
            #[track_caller]
            fn div(self, x: Tensor<$T>) -> Tensor<$T> {
                Tensor::scalar(self) / x
            }
        }
    )* };
}
scalar_over_tensor!(f32 f64);

impl<T: Number> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn neg(self) -> Tensor<T> {
        Tensor::neg(self)
    }
}

impl<T: Number> Neg for Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn neg(self) -> Tensor<T> {
        self.negate_owned()
    }
}

impl<T: Number> Tensor<T> {
    /// a + b for the cotangents of one tensor, in the first one's buffer where nothing shares it.
    pub(crate) fn accumulate(self, other: Tensor<T>) -> Result<Tensor<T>> {
        apply_owned(AddOp, [self, other])
    }
}
