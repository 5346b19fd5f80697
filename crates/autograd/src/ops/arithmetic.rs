//! Arithmetic of tensors and numbers, broadcast, and its operators.

use crate::function::Expr;
use crate::loops::Expressions;
use crate::op::{Keep, Kept, Op, apply_at, apply_owned_at};
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::panic::Location;
use tensor_core::{
    Array, EachFloat, EachNumber, Float, ForFloat, ForNumber, Formula, Number, OrRaise, Result, ValueFor,
    compiled_once, formulas, kernels,
};

/// Functions of one number.
struct Unary;

impl ForNumber for Unary {
    type Of<T: Number> = &'static dyn Formula<(T,), T>;
}

/// Functions of two numbers.
pub(super) struct Binary;

impl ForNumber for Binary {
    type Of<T: Number> = &'static dyn Formula<(T, T), T>;
}

impl ForFloat for Binary {
    type Of<T: Float> = &'static dyn Formula<(T, T), T>;
}

static ADD: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.plus(b) });
static SUB: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.minus(b) });
static SUB_FROM: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { b.minus(a) });
static MUL: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.times(b) });
static DIV: EachFloat<Binary> = formulas!(Float: |a: T, b: T| -> T { a / b });
static NEGATE: EachNumber<Unary> = formulas!(Number: |x: T| -> T { x.negated() });
static MAGNITUDE: EachNumber<Unary> = formulas!(Number: |x: T| -> T { x.magnitude() });

/// a + b
struct AddOp;

impl<T: Number> Op<T, 2> for AddOp {
    fn name(&self) -> &'static str {
        "add"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].zip(x[1], |a, b| a + b)
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("add", a, b, *T::of_numbers(&ADD))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip_either("add", a, b, *T::of_numbers(&ADD))
    }
    /// grad, grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        Ok([kept.wrt(0, || Ok(g.clone()))?, kept.wrt(1, || Ok(g))?])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// a - b
struct SubOp;

impl<T: Number> Op<T, 2> for SubOp {
    fn name(&self) -> &'static str {
        "sub"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].zip(x[1], |a, b| a - b)
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("sub", a, b, *T::of_numbers(&SUB))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip_either("sub", a, b, *T::of_numbers(&SUB))
    }
    /// grad, -grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        Ok([kept.wrt(0, || Ok(g.clone()))?, kept.wrt(1, || negate_owned(Location::caller(), g))?])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// a b
struct MulOp;

impl<T: Number> Op<T, 2> for MulOp {
    fn name(&self) -> &'static str {
        "mul"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].zip(x[1], |a, b| a * b)
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("mul", a, b, *T::of_numbers(&MUL))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip_either("mul", a, b, *T::of_numbers(&MUL))
    }
    fn keep(&self, [a, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, a])
    }
    /// grad b, grad a
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        if !kept.needs(1) {
            return Ok([Some(mul_owned(Location::caller(), g, kept.input(1))?), None]);
        }
        Ok([
            kept.wrt(0, || g.try_mul(&kept.input(1)))?,
            Some(mul_owned(Location::caller(), g, kept.input(0))?),
        ])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// a / b
struct DivOp;

impl<T: Float> Op<T, 2> for DivOp {
    fn name(&self) -> &'static str {
        "div"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].zip(x[1], |a, b| a / b)
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip("div", a, b, *T::of_floats(&DIV))
    }
    fn forward_owned(&self, [a, b]: [Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip_either("div", a, b, *T::of_floats(&DIV))
    }
    fn keep(&self, [_, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, true])
    }
    /// grad / b, -grad (a / b) / b
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let b = kept.input(1);
        Ok([
            kept.wrt(0, || g.try_div(&b))?,
            kept.wrt(1, || {
                let here = Location::caller();
                let ratio = div_owned(here, kept.input(0).try_div(&b)?, b.clone())?;
                negate_owned(here, mul_owned(here, ratio, g.clone())?)
            })?,
        ])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// -x. Negation and absolute value are also defined for integers.
struct Negate;

impl<T: Number> Op<T, 1> for Negate {
    fn name(&self) -> &'static str {
        "neg"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Some(x[0].map(|x| -x))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("neg", x, *T::of_numbers(&NEGATE))
    }
    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned("neg", x, *T::of_numbers(&NEGATE))
    }
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(negate_owned(Location::caller(), g)?)])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// -1, 0 or 1, or NaN.
fn sign<T: Number>(x: T) -> T {
    match x {
        x if x > T::ZERO => T::ONE,
        x if x < T::ZERO => T::ONE.negated(),
        x => x.times(T::ZERO),
    }
}

static SIGN: EachNumber<Unary> = formulas!(Number: |x: T| -> T { sign(x) } "sign($0)");

/// |x|; its derivative at 0 is 0.
struct Magnitude;

impl<T: Number> Op<T, 1> for Magnitude {
    fn name(&self) -> &'static str {
        "abs"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Some(x[0].map(Expr::abs))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("abs", x, *T::of_numbers(&MAGNITUDE))
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    /// grad * sign(x)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let sign = kernels::map("abs", kept.input_array(0), *T::of_numbers(&SIGN))?;
        Ok([Some(g.try_mul(&sign.into())?)])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// c x, x + c or c - x for a number c.
#[derive(Clone, Copy)]
pub(super) enum WithNumber<T> {
    Times(T),
    Plus(T),
    From(T),
}

impl<T: Number> WithNumber<T> {
    /// The formula and the number.
    fn formula(self) -> (&'static dyn Formula<(T, T), T>, T) {
        match self {
            WithNumber::Times(c) => (*T::of_numbers(&MUL), c),
            WithNumber::Plus(c) => (*T::of_numbers(&ADD), c),
            WithNumber::From(c) => (*T::of_numbers(&SUB_FROM), c),
        }
    }
}

impl<T: Number> Op<T, 1> for WithNumber<T> {
    fn name(&self) -> &'static str {
        match self {
            WithNumber::Times(_) => "mul",
            WithNumber::Plus(_) => "add",
            WithNumber::From(_) => "sub",
        }
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Some(match *self {
            WithNumber::Times(c) => x[0].map(|x| x * c.to_f64()),
            WithNumber::Plus(c) => x[0].map(|x| x + c.to_f64()),
            WithNumber::From(c) => x[0].map(|x| c.to_f64() - x),
        })
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let (f, c) = self.formula();
        kernels::with_number(Op::<T, 1>::name(self), x, c, f)
    }
    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        let (f, c) = self.formula();
        kernels::with_number_owned(Op::<T, 1>::name(self), x, c, f)
    }
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(match *self {
            WithNumber::Times(_) => with_number_owned(Location::caller(), *self, g)?,
            WithNumber::Plus(_) => g,
            WithNumber::From(_) => negate_owned(Location::caller(), g)?,
        })])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// Operations applied to tensors, and to those whose buffers may be reused: compiled here, once for each type.
macro_rules! applied_once {
    ($($name:ident $name_owned:ident $Op:ident $Bound:ident [$($x:ident),+];)*) => { $(
        compiled_once! {
            pub(super) fn $name<T: $Bound>(here: &'static Location<'static>, $($x: &Tensor<T>),+) -> Result<Tensor<T>> {
                apply_at(here, $Op, [$($x),+])
            }
            pub(super) fn $name_owned<T: $Bound>(here: &'static Location<'static>, $($x: Tensor<T>),+) -> Result<Tensor<T>> {
                apply_owned_at(here, $Op, [$($x),+])
            }
        }
    )* };
}
applied_once! {
    add add_owned AddOp Number [a, b];
    sub sub_owned SubOp Number [a, b];
    mul mul_owned MulOp Number [a, b];
    div div_owned DivOp Float [a, b];
    negate negate_owned Negate Number [x];
}

compiled_once! {
    fn magnitude<T: Number>(here: &'static Location<'static>, x: &Tensor<T>) -> Result<Tensor<T>> {
        apply_at(here, Magnitude, [x])
    }
    pub(super) fn with_number<T: Number>(here: &'static Location<'static>, op: WithNumber<T>, x: &Tensor<T>) -> Result<Tensor<T>> {
        apply_at(here, op, [x])
    }
    pub(super) fn with_number_owned<T: Number>(
        here: &'static Location<'static>,
        op: WithNumber<T>,
        x: Tensor<T>,
    ) -> Result<Tensor<T>> {
        apply_owned_at(here, op, [x])
    }
}

/// # Arithmetic: signs and absolute values
impl<T: Number> Tensor<T> {
    /// -x.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1, -2]);
    /// assert_eq!(x.neg().to_vec(), (-&x).to_vec());
    /// assert_eq!((-x).to_vec(), [-1, 2]);
    /// ```
    #[doc(alias = "negative")]
    #[track_caller]
    #[must_use]
    pub fn neg(&self) -> Self {
        negate(Location::caller(), self).or_raise()
    }

    /// |x|; its derivative at 0 is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([-2.0, 0.0, 3.0]).requires_grad();
    /// x.abs().sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [-1.0, 0.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias("absolute", "fabs"))]
    #[track_caller]
    #[must_use]
    pub fn abs(&self) -> Self {
        magnitude(Location::caller(), self).or_raise()
    }

    #[track_caller]
    pub(crate) fn negate_owned(self) -> Self {
        negate_owned(Location::caller(), self).or_raise()
    }
}

/// An operation as a method that returns a `Result`, and as an operator that panics.
macro_rules! operator {
    ($T:ident: $Bound:ident, $Trait:ident $method:ident $try_method:ident $owned:ident $alias:literal, $doc:literal) => {
        impl<$T: $Bound> Tensor<$T> {
            #[doc = $doc]
            ///
            /// ```
            /// use tapegrad::Tensor;
            /// let (column, row) = (Tensor::from([[1.0], [2.0]]), Tensor::from([1.0, 2.0, 4.0]));
            #[doc = concat!("assert_eq!(column.", stringify!($try_method), "(&row)?.shape(), [2, 3]);")]
            #[doc = concat!("assert!(row.", stringify!($try_method), "(&Tensor::zeros([2])).is_err());")]
            /// # Ok::<(), tapegrad::Error>(())
            /// ```
            ///
            /// # Errors
            /// Shape, where the shapes do not broadcast.
            #[doc(alias = $alias)]
            #[track_caller]
            pub fn $try_method(&self, other: &Tensor<$T>) -> Result<Tensor<$T>> {
                $method(Location::caller(), self, other)
            }
        }

        impl<$T: $Bound> $Trait<&Tensor<$T>> for &Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            #[inline]
            fn $method(self, other: &Tensor<$T>) -> Tensor<$T> {
                $method(Location::caller(), self, other).or_raise()
            }
        }

        impl<$T: $Bound> $Trait<Tensor<$T>> for &Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, other: Tensor<$T>) -> Tensor<$T> {
                $owned(Location::caller(), self.clone(), other).or_raise()
            }
        }

        impl<$T: $Bound> $Trait<&Tensor<$T>> for Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, other: &Tensor<$T>) -> Tensor<$T> {
                $owned(Location::caller(), self, other.clone()).or_raise()
            }
        }

        impl<$T: $Bound> $Trait<Tensor<$T>> for Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, other: Tensor<$T>) -> Tensor<$T> {
                $owned(Location::caller(), self, other).or_raise()
            }
        }
    };
}
operator!(T: Number, Add add try_add add_owned "plus", "a + b, broadcast.");
operator!(T: Number, Sub sub try_sub sub_owned "subtract", "a - b, broadcast.");
operator!(T: Number, Mul mul try_mul mul_owned "multiply", "a b element by element, broadcast.");
operator!(T: Float, Div div try_div div_owned "divide", "a / b element by element, broadcast.");

/// An operator with a number on its right.
macro_rules! number_on_the_right {
    ($T:ident: $Bound:ident, $Trait:ident $method:ident, |$c:ident| $op:expr) => {
        impl<$T: $Bound, N: ValueFor<$T>> $Trait<N> for &Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, c: N) -> Tensor<$T> {
                let $c: $T = c.as_element();
                with_number(Location::caller(), $op, self).or_raise()
            }
        }

        impl<$T: $Bound, N: ValueFor<$T>> $Trait<N> for Tensor<$T> {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, c: N) -> Tensor<$T> {
                let $c: $T = c.as_element();
                with_number_owned(Location::caller(), $op, self).or_raise()
            }
        }
    };
}
number_on_the_right!(T: Number, Add add, |c| WithNumber::Plus(c));
number_on_the_right!(T: Number, Sub sub, |c| WithNumber::Plus(c.negated()));
number_on_the_right!(T: Number, Mul mul, |c| WithNumber::Times(c));

impl<T: Float, N: ValueFor<T>> Div<N> for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn div(self, c: N) -> Tensor<T> {
        self / Tensor::scalar(c.as_element())
    }
}

impl<T: Float, N: ValueFor<T>> Div<N> for Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn div(self, c: N) -> Tensor<T> {
        self / Tensor::scalar(c.as_element())
    }
}

/// Operators with a number on their left, which the language asks for type by type. Beside floats a literal without a
/// point is `i32`, and `i64` beside integers.
macro_rules! number_on_the_left {
    ($([$($bound:tt)*] $N:ty: $T:ty;)*) => { $(
        number_on_the_left!(operator [$($bound)*] $N, $T, Add add, |c| WithNumber::Plus(c));
        number_on_the_left!(operator [$($bound)*] $N, $T, Sub sub, |c| WithNumber::From(c));
        number_on_the_left!(operator [$($bound)*] $N, $T, Mul mul, |c| WithNumber::Times(c));
    )* };
    (operator [$($bound:tt)*] $N:ty, $T:ty, $Trait:ident $method:ident, |$c:ident| $op:expr) => {
        impl<$($bound)*> $Trait<&Tensor<$T>> for $N {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, x: &Tensor<$T>) -> Tensor<$T> {
                let $c: $T = self.as_element();
                with_number(Location::caller(), $op, x).or_raise()
            }
        }

        impl<$($bound)*> $Trait<Tensor<$T>> for $N {
            type Output = Tensor<$T>;
            #[track_caller]
            fn $method(self, x: Tensor<$T>) -> Tensor<$T> {
                let $c: $T = self.as_element();
                with_number_owned(Location::caller(), $op, x).or_raise()
            }
        }
    };
}
number_on_the_left!([] f32: f32; [] f64: f64; [] i64: i64; [T: Float] i32: T;);

macro_rules! number_over_tensor {
    ($([$($bound:tt)*] $N:ty: $T:ty;)*) => { $(
        impl<$($bound)*> Div<&Tensor<$T>> for $N {
            type Output = Tensor<$T>;
            #[track_caller]
            fn div(self, x: &Tensor<$T>) -> Tensor<$T> {
                Tensor::scalar(self.as_element()) / x
            }
        }

        impl<$($bound)*> Div<Tensor<$T>> for $N {
            type Output = Tensor<$T>;
            #[track_caller]
            fn div(self, x: Tensor<$T>) -> Tensor<$T> {
                Tensor::scalar(self.as_element()) / x
            }
        }
    )* };
}
number_over_tensor!([] f32: f32; [] f64: f64; [T: Float] i32: T;);

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
        add_owned(Location::caller(), self, other)
    }
}
