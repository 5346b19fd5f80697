//! Functions of one element.
//!
//! A function is its value and one expression for its cotangent, in PyTorch's notation: `g` is the
//! output's cotangent, `x` the input, `y` the output. The expression is read twice: over scalars,
//! fused into one pass that writes into the cotangent's buffer, in first order; over tensors under
//! `create_graph`.

use crate::op::{Keep, Kept, Op, apply, apply_owned};
use crate::tensor::Tensor;
use std::ops::{Add, Div, Mul, Neg, Sub};
use tensor_core::{Array, Element, Float, Number, OrRaise, Result, kernels};

/// What a cotangent's expression may use, over scalars and over tensors alike.
pub(crate) trait Expression:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    fn times(self, c: f64) -> Self;
    fn plus(self, c: f64) -> Self;
    fn square(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn power(self, p: f64) -> Self;
    /// -1, 0 or 1.
    fn sign(self) -> Self;
    /// The value where `of > 0` or `of` is NaN, else 0: chosen, not multiplied by a mask.
    fn where_positive(self, of: Self) -> Self;
    /// Zero wherever the function is flat.
    fn nothing(self) -> Self;
}

impl<T: Float> Expression for T {
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
    #[inline(always)]
    fn sin(self) -> Self {
        Float::sin(self)
    }
    #[inline(always)]
    fn cos(self) -> Self {
        Float::cos(self)
    }
    #[inline(always)]
    fn sinh(self) -> Self {
        Float::sinh(self)
    }
    #[inline(always)]
    fn cosh(self) -> Self {
        Float::cosh(self)
    }
    #[inline(always)]
    fn power(self, p: f64) -> Self {
        raise_to(self, p)
    }
    #[inline(always)]
    fn sign(self) -> Self {
        if self > T::ZERO {
            T::ONE
        } else if self < T::ZERO {
            -T::ONE
        } else {
            self * T::ZERO
        }
    }
    #[inline(always)]
    fn where_positive(self, of: Self) -> Self {
        if of <= T::ZERO { T::ZERO } else { self }
    }
    #[inline(always)]
    fn nothing(self) -> Self {
        T::ZERO
    }
}

impl<T: Float> Expression for Tensor<T> {
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    fn square(self) -> Self {
        Tensor::square(&self)
    }
    fn sin(self) -> Self {
        Tensor::sin(&self)
    }
    fn cos(self) -> Self {
        Tensor::cos(&self)
    }
    fn sinh(self) -> Self {
        Tensor::sinh(&self)
    }
    fn cosh(self) -> Self {
        Tensor::cosh(&self)
    }
    fn power(self, p: f64) -> Self {
        Tensor::powf(&self, p)
    }
    fn sign(self) -> Self {
        Tensor::sign(&self)
    }
    fn where_positive(self, of: Self) -> Self {
        let flat = kernels::map("relu", of.array(), |v| v <= T::ZERO).or_raise();
        let nothing = Tensor::scalar(T::ZERO);
        Tensor::constant(flat).where_cond(&nothing, &self).or_raise()
    }
    fn nothing(self) -> Self {
        self.zeros_like()
    }
}

/// x^p. Integer exponents go by multiplication: exact for squares and cubes, and right for
/// negative bases.
#[inline(always)]
fn raise_to<T: Float>(x: T, p: f64) -> T {
    match p {
        0.0 => T::ONE,
        1.0 => x,
        2.0 => x * x,
        3.0 => x * x * x,
        0.5 => Float::sqrt(x),
        -1.0 => T::ONE / x,
        _ => Float::powf(x, T::of(p)),
    }
}

/// What a function's cotangent is computed from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum From {
    Nothing,
    Input,
    Output,
}

/// A differentiable function of one element.
pub(crate) trait Function: Copy + Send + Sync + 'static {
    const NAME: &'static str;
    /// What `v` is in [`Function::cotangent`].
    const FROM: From;
    fn value<T: Float>(self, x: T) -> T;
    fn cotangent<E: Expression>(self, g: E, v: E) -> E;
}

/// A [`Function`] applied to every element.
struct Each<F>(F);

impl<T: Float, F: Function> Op<T, 1> for Each<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    #[inline]
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map(F::NAME, x, |x| self.0.value(x))
    }

    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned(F::NAME, x, |x| self.0.value(x))
    }

    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [F::FROM == From::Input], output: F::FROM == From::Output }
    }

    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let f = self.0;
        if kept.create_graph() {
            let v = match F::FROM {
                From::Nothing => g.clone(),
                From::Input => kept.input(0),
                From::Output => kept.output(),
            };
            return Ok([Some(f.cotangent(g, v))]);
        }
        let g = g.into_array();
        let v = match F::FROM {
            From::Nothing => {
                return Ok([Some(kernels::map_owned(F::NAME, g, |g| f.cotangent(g, g))?.into())]);
            }
            From::Input => kept.input_array(0),
            From::Output => kept.output_array(),
        };
        Ok([Some(kernels::zip_owned(F::NAME, g, v, |g, v| f.cotangent(g, v))?.into())])
    }
}

/// A function without parameters: its name, its value, its cotangent, and its method.
macro_rules! functions {
    ($( $(#[$doc:meta])* $name:ident $Name:ident |$x:ident| $value:expr, $From:ident |$g:ident, $v:ident| $cotangent:expr; )*) => { $(
        #[derive(Clone, Copy)]
        struct $Name;

        impl Function for $Name {
            const NAME: &'static str = stringify!($name);
            const FROM: From = From::$From;
            #[inline(always)]
            fn value<T: Float>(self, $x: T) -> T {
                $value
            }
            #[inline(always)]
            fn cotangent<E: Expression>(self, $g: E, $v: E) -> E {
                $cotangent
            }
        }

        impl<T: Float> Tensor<T> {
            $(#[$doc])*
            #[track_caller]
            #[must_use]
            #[inline]
            pub fn $name(&self) -> Self {
                apply(Each($Name), [self]).or_raise()
            }
        }
    )* };
}

// The derivatives are those of PyTorch's derivatives.yaml, where `grad` is g, `self` x, `result` y.
functions! {
    /// e^x.
    exp Exp |x| Float::exp(x), Output |g, y| g * y;
    /// e^x - 1, exact near 0.
    expm1 Expm1 |x| Float::exp_m1(x), Output |g, y| g * y.plus(1.0);
    /// The natural logarithm.
    log Log |x| Float::ln(x), Input |g, x| g / x;
    /// The square root; its derivative at 0 is infinite.
    sqrt Sqrt |x| Float::sqrt(x), Output |g, y| g / y.times(2.0);
    /// x^2.
    square Square |x| x * x, Input |g, x| g * x.times(2.0);
    /// 1 / x.
    reciprocal Reciprocal |x| T::ONE / x, Output |g, y| -(g * y.square());
    /// The sine of an angle in radians.
    sin Sin |x| Float::sin(x), Input |g, x| g * x.cos();
    /// The cosine of an angle in radians.
    cos Cos |x| Float::cos(x), Input |g, x| -(g * x.sin());
    /// The hyperbolic sine.
    sinh Sinh |x| Float::sinh(x), Input |g, x| g * x.cosh();
    /// The hyperbolic cosine.
    cosh Cosh |x| Float::cosh(x), Input |g, x| g * x.sinh();
    /// The hyperbolic tangent.
    tanh Tanh |x| Float::tanh(x), Output |g, y| g * (-y.square()).plus(1.0);
    /// 1 / (1 + e^-x), without overflow.
    sigmoid Sigmoid |x| logistic(x), Output |g, y| g * ((-y.clone()).plus(1.0) * y);
    /// The larger of x and 0; its derivative at 0 is 0.
    relu Relu |x| if x < T::ZERO { T::ZERO } else { x }, Output |g, y| g.where_positive(y);
    /// -1, 0 or 1; its derivative is 0.
    sign Sign |x| Expression::sign(x), Nothing |g, _v| g.nothing();
}

/// 1 / (1 + e^-x) with an exponential that cannot overflow.
#[inline(always)]
fn logistic<T: Float>(x: T) -> T {
    let e = Float::exp(-Float::abs(x));
    let small = e / (T::ONE + e);
    if x >= T::ZERO {
        T::ONE / (T::ONE + e)
    } else {
        // NaN comes here and stays NaN.
        small
    }
}

/// x^p for a constant p.
#[derive(Clone, Copy)]
struct Power(f64);

impl Function for Power {
    const NAME: &'static str = "powf";
    const FROM: From = From::Input;

    #[inline(always)]
    fn value<T: Float>(self, x: T) -> T {
        raise_to(x, self.0)
    }

    /// grad * p x^(p-1); no gradient at all for p = 0, so that 0^0 has none.
    #[inline(always)]
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        match self.0 {
            0.0 => g.nothing(),
            p => g * x.power(p - 1.0).times(p),
        }
    }
}

impl<T: Float> Tensor<T> {
    /// x^p for a constant p.
    #[track_caller]
    #[must_use]
    pub fn powf(&self, p: f64) -> Self {
        apply(Each(Power(p)), [self]).or_raise()
    }
}

/// -x. Negation and absolute value are also defined for integers.
struct Negate;

impl<T: Number> Op<T, 1> for Negate {
    fn name(&self) -> &'static str {
        "neg"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("neg", x, T::negated)
    }
    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned("neg", x, T::negated)
    }
    fn vjp(&self, _: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(apply_owned(Negate, [g])?)])
    }
}

/// |x|; its derivative at 0 is 0.
struct Magnitude;

impl<T: Number> Op<T, 1> for Magnitude {
    fn name(&self) -> &'static str {
        "abs"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("abs", x, T::magnitude)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    /// grad * sign(x)
    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let sign = kernels::map("abs", kept.input_array(0), |x| match x {
            x if x > T::ZERO => T::ONE,
            x if x < T::ZERO => T::ONE.negated(),
            // Zero, or NaN.
            x => x.times(T::ZERO),
        })?;
        Ok([Some(g.try_mul(&sign.into())?)])
    }
}

/// c x or x + c for a constant c.
#[derive(Clone, Copy)]
pub(crate) enum Affine<T> {
    Times(T),
    Plus(T),
    /// c - x
    From(T),
}

impl<T: Number> Affine<T> {
    #[inline(always)]
    fn value(self, x: T) -> T {
        match self {
            Affine::Times(c) => x.times(c),
            Affine::Plus(c) => x.plus(c),
            Affine::From(c) => c.minus(x),
        }
    }
}

impl<T: Number> Op<T, 1> for Affine<T> {
    fn name(&self) -> &'static str {
        match self {
            Affine::Times(_) => "mul",
            Affine::Plus(_) => "add",
            Affine::From(_) => "sub",
        }
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map(Op::<T, 1>::name(self), x, |x| self.value(x))
    }
    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned(Op::<T, 1>::name(self), x, |x| self.value(x))
    }
    fn vjp(&self, _: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(match *self {
            Affine::Times(c) => apply_owned(Affine::Times(c), [g])?,
            Affine::Plus(_) => g,
            Affine::From(_) => apply_owned(Negate, [g])?,
        })])
    }
}

impl<T: Number> Tensor<T> {
    /// -x.
    #[track_caller]
    #[must_use]
    pub fn neg(&self) -> Self {
        apply(Negate, [self]).or_raise()
    }

    /// |x|; its derivative at 0 is 0.
    #[track_caller]
    #[must_use]
    pub fn abs(&self) -> Self {
        apply(Magnitude, [self]).or_raise()
    }

    #[track_caller]
    pub(crate) fn negate_owned(self) -> Self {
        apply_owned(Negate, [self]).or_raise()
    }

    #[track_caller]
    pub(crate) fn affine(&self, op: Affine<T>) -> Self {
        apply(op, [self]).or_raise()
    }

    #[track_caller]
    pub(crate) fn affine_owned(self, op: Affine<T>) -> Self {
        apply_owned(op, [self]).or_raise()
    }
}

impl<T: Element> Tensor<T> {
    /// Zeros (`false`) in this tensor's shape.
    #[track_caller]
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        Array::repeat(self.shape(), T::default()).or_raise().into()
    }
}
