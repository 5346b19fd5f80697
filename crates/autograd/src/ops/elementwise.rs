//! Functions of one element.
//!
//! A function is its value and one expression for its cotangent, in PyTorch's notation: `g` is the
//! output's cotangent, `x` the input, `y` the output. The expression is read twice: over scalars,
//! fused into one pass that writes into the cotangent's buffer, in first order; over tensors under
//! `create_graph`.

use crate::op::{Keep, Kept, Op, apply, apply_owned};
use crate::tensor::Tensor;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E, LOG10_E, PI};
use tensor_core::{
    Array, Code, Element, Expression, Float, Formula, Number, OrRaise, Result, formula, kernels,
};

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
    fn value<E: Expression>(self, x: E) -> E;
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
        kernels::map(F::NAME, x, formula!(|x: T| self.0.value(x)))
    }

    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned(F::NAME, x, formula!(|x: T| self.0.value(x)))
    }

    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [F::FROM == From::Input], output: F::FROM == From::Output }
    }

    fn batches(&self) -> bool {
        true
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
                return Ok([Some(
                    kernels::map_owned(F::NAME, g, formula!(|g: T| f.cotangent(g, g)))?.into(),
                )]);
            }
            From::Input => kept.input_array(0),
            From::Output => kept.output_array(),
        };
        Ok([Some(kernels::zip_owned(F::NAME, g, v, formula!(|g: T, v: T| f.cotangent(g, v)))?.into())])
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
            fn value<E: Expression>(self, $x: E) -> E {
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

// The derivatives are those of PyTorch's derivatives.yaml, where `grad` is g, `self` x, `result` y, in forms that
// neither cancel nor leave the range on the way, in any order: a slope that is representable has its digits, and at an
// infinity its limit. So a slope is read from the output only where that still has the digits.
functions! {
    /// e^x.
    exp Exp |x| x.exp(), Output |g, y| g * y;
    /// 2^x.
    exp2 Exp2 |x| x.exp2(), Output |g, y| g * y.times(LN_2);
    /// e^x - 1, exact near 0.
    expm1 Expm1 |x| x.expm1(), Input |g, x| g * x.exp();
    /// The natural logarithm.
    log Log |x| x.log(), Input |g, x| g / x;
    /// The logarithm to base 2.
    log2 Log2 |x| x.log2(), Input |g, x| g.times(LOG2_E) / x;
    /// The logarithm to base 10.
    log10 Log10 |x| x.log10(), Input |g, x| g.times(LOG10_E) / x;
    /// ln(1 + x), exact near 0.
    log1p Log1p |x| x.log1p(), Input |g, x| g / x.plus(1.0);
    /// The square root; its derivative at 0 is infinite.
    sqrt Sqrt |x| x.sqrt(), Output |g, y| g / y.times(2.0);
    /// 1 / sqrt(x).
    rsqrt Rsqrt |x| x.sqrt().reciprocal(), Output |g, y| g * y.power(3.0).times(-0.5);
    /// x^2.
    square Square |x| x.square(), Input |g, x| g * x.times(2.0);
    /// 1 / x.
    reciprocal Reciprocal |x| x.reciprocal(), Output |g, y| -(g * y.square());
    /// The sine of an angle in radians.
    sin Sin |x| x.sin(), Input |g, x| g * x.cos();
    /// The cosine of an angle in radians.
    cos Cos |x| x.cos(), Input |g, x| -(g * x.sin());
    /// The tangent of an angle in radians.
    tan Tan |x| x.tan(), Output |g, y| g * y.square().plus(1.0);
    /// The angle in radians whose sine is x; NaN outside of -1 to 1.
    asin Asin |x| x.asin(), Input |g, x| g / x.one_minus_square().sqrt();
    /// The angle in radians whose cosine is x; NaN outside of -1 to 1.
    acos Acos |x| x.acos(), Input |g, x| -(g / x.one_minus_square().sqrt());
    /// The angle in radians whose tangent is x.
    atan Atan |x| x.atan(), Input |g, x| {
        // The square of 1 / sqrt(1 + x^2), factor by factor.
        let s = one_over_length(x);
        g * s.clone() * s
    };
    /// The hyperbolic sine.
    sinh Sinh |x| x.sinh(), Input |g, x| g * x.cosh();
    /// The hyperbolic cosine.
    cosh Cosh |x| x.cosh(), Input |g, x| g * x.sinh();
    /// The hyperbolic tangent.
    tanh Tanh |x| x.tanh(), Input |g, x| g * x.sech_square();
    /// The inverse of the hyperbolic sine.
    asinh Asinh |x| x.asinh(), Input |g, x| g * one_over_length(x);
    /// The inverse of the hyperbolic cosine; NaN below 1.
    acosh Acosh |x| x.acosh(),
        Input |g, x| g / x.clone().plus(-1.0).sqrt() / x.plus(1.0).sqrt();
    /// The inverse of the hyperbolic tangent; NaN outside of -1 to 1.
    atanh Atanh |x| x.atanh(), Input |g, x| g / x.one_minus_square();
    /// 1 / (1 + e^-x), without overflow.
    sigmoid Sigmoid |x| x.sigmoid(), Input |g, x| g * x.times(0.5).sech_square().times(0.25);
    /// ln(1 + e^x), without overflow.
    softplus Softplus |x| softplus(x), Input |g, x| g * x.sigmoid();
    /// The larger of x and 0; its derivative at 0 is 0.
    relu Relu |x| {
        let below = x.under(0.0);
        x.with(below, 0.0)
    }, Output |g, y| {
        let flat = y.is(0.0);
        g.with(flat, 0.0)
    };
    /// x sigmoid(x), also called swish.
    silu Silu |x| {
        let share = x.clone().sigmoid();
        part(x, share)
    }, Input |g, x| {
        // Beyond the bound the slope is 0 and 1.
        let x = x.within(1000.0);
        g * (x.clone().sigmoid() + x.clone() * x.times(0.5).sech_square().times(0.25))
    };
    /// x times the normal distribution's share below x (Hendrycks and Gimpel 2016), by the error function.
    gelu Gelu |x| {
        let share = (-x.clone()).times(FRAC_1_SQRT_2).erfc().times(0.5);
        part(x, share)
    }, Input |g, x| {
        // Beyond the bound the slope is 0 and 1.
        let x = x.within(100.0);
        let below = (-x.clone()).times(FRAC_1_SQRT_2).erfc().times(0.5);
        let density = (-x.clone().square()).times(0.5).exp().times((2.0 * PI).sqrt().recip());
        g * (below + x * density)
    };
    /// The logarithm of the sigmoid, without overflow.
    log_sigmoid LogSigmoid |x| -softplus(-x), Input |g, x| g * (-x).sigmoid();
    /// The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
    erf Erf |x| x.erf(), Input |g, x| g * normal(x);
    /// 1 - erf(x), exact where that is small.
    erfc Erfc |x| x.erfc(), Input |g, x| -(g * normal(x));
    /// The logarithm of the absolute value of the gamma function.
    lgamma Lgamma |x| x.lgamma(), Input |g, x| g * x.polygamma(0);
    /// -1, 0 or 1; its derivative is 0.
    sign Sign |x| x.sign(), Nothing |g, _v| g.nothing();
    /// The largest integer not above x; its derivative is 0.
    floor Floor |x| x.floor(), Nothing |g, _v| g.nothing();
    /// The smallest integer not below x; its derivative is 0.
    ceil Ceil |x| x.ceil(), Nothing |g, _v| g.nothing();
    /// x without its fraction; its derivative is 0.
    trunc Trunc |x| x.trunc(), Nothing |g, _v| g.nothing();
    /// The nearest integer, the even one of two; its derivative is 0.
    round Round |x| x.round(), Nothing |g, _v| g.nothing();
}

/// max(x, 0) + ln(1 + e^-|x|): the exponential cannot overflow.
#[inline(always)]
fn softplus<E: Expression>(x: E) -> E {
    let below = x.under(0.0);
    x.clone().with(below, 0.0) + (-x.abs()).exp().log1p()
}

/// x times a share from 0 to 1 that falls faster than x grows.
#[inline(always)]
fn part<E: Expression>(x: E, share: E) -> E {
    let none = share.is(0.0);
    (x * share).with(none, 0.0)
}

/// 1 / sqrt(1 + x^2)
#[inline(always)]
fn one_over_length<E: Expression>(x: E) -> E {
    x.clone().nothing().plus(1.0).direction(x)
}

/// 2 / sqrt(pi) e^-x^2, which is 0 beyond the bound.
#[inline(always)]
fn normal<E: Expression>(x: E) -> E {
    (-x.within(100.0).square()).exp().times(2.0 / PI.sqrt())
}

/// 1 / cosh(x)^2, the slope of tanh.
#[derive(Clone, Copy)]
struct SechSquare;

impl Function for SechSquare {
    const NAME: &'static str = "sech_square";
    const FROM: From = From::Input;

    #[inline(always)]
    fn value<E: Expression>(self, x: E) -> E {
        x.sech_square()
    }

    /// -2 grad sech(x)^2 tanh(x)
    #[inline(always)]
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        g * (x.clone().sech_square() * x.tanh()).times(-2.0)
    }
}

/// 1 - x^2
#[derive(Clone, Copy)]
struct OneMinusSquare;

impl Function for OneMinusSquare {
    const NAME: &'static str = "one_minus_square";
    const FROM: From = From::Input;

    #[inline(always)]
    fn value<E: Expression>(self, x: E) -> E {
        x.one_minus_square()
    }

    /// -2 grad x
    #[inline(always)]
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        g * x.times(-2.0)
    }
}

/// x^2 / 2 up to delta, delta (|x| - delta / 2) beyond.
#[derive(Clone, Copy)]
struct Huber(f64);

impl Function for Huber {
    const NAME: &'static str = "huber_loss";
    const FROM: From = From::Input;

    #[inline(always)]
    fn value<E: Expression>(self, x: E) -> E {
        let size = x.clone().abs();
        let far = size.clone().plus(-0.5 * self.0).times(self.0);
        E::choose(size.at_most(self.0), x.square().times(0.5), far)
    }

    /// grad times x, but no farther from 0 than delta
    #[inline(always)]
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        g * x.within(self.0)
    }
}

/// The derivative of order n of the digamma function.
#[derive(Clone, Copy)]
struct Polygamma(u64);

impl Function for Polygamma {
    const NAME: &'static str = "polygamma";
    const FROM: From = From::Input;

    fn value<E: Expression>(self, x: E) -> E {
        x.polygamma(self.0)
    }

    /// grad * polygamma(n + 1, x)
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        g * x.polygamma(self.0 + 1)
    }
}

/// x above 0, alpha (e^x - 1) elsewhere.
#[derive(Clone, Copy)]
struct Elu(f64);

impl Function for Elu {
    const NAME: &'static str = "elu";
    const FROM: From = From::Input;

    fn value<E: Expression>(self, x: E) -> E {
        E::choose(x.over(0.0), x.clone(), x.expm1().times(self.0))
    }

    /// grad above 0, grad * alpha e^x elsewhere; the exponential of what is above 0 is never formed
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        let above = x.over(0.0);
        let below = g.clone() * x.with(above.clone(), 0.0).exp().times(self.0);
        E::choose(above, g, below)
    }
}

/// x above 0, a multiple of it elsewhere.
#[derive(Clone, Copy)]
struct LeakyRelu(f64);

impl Function for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const FROM: From = From::Input;

    fn value<E: Expression>(self, x: E) -> E {
        let below = match self.0 {
            // 0 at -inf too.
            0.0 => {
                let below = x.under(0.0);
                x.clone().with(below, 0.0)
            }
            slope => x.clone().times(slope),
        };
        E::choose(x.over(0.0), x, below)
    }

    /// grad above 0, grad * slope elsewhere
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        E::choose(x.over(0.0), g.clone(), g.times(self.0))
    }
}

/// x, and the bounds where it lies beyond them.
#[derive(Clone, Copy)]
struct Clamp {
    min: f64,
    max: f64,
}

impl Function for Clamp {
    const NAME: &'static str = "clamp";
    const FROM: From = From::Input;

    #[inline(always)]
    fn value<E: Expression>(self, x: E) -> E {
        let below = x.under(self.min);
        let x = x.with(below, self.min);
        let above = x.over(self.max);
        x.with(above, self.max)
    }

    /// grad between the bounds, 0 at and beyond them
    #[inline(always)]
    fn cotangent<E: Expression>(self, g: E, x: E) -> E {
        let inside = E::both(x.over(self.min), x.under(self.max));
        E::choose(inside, g.clone(), g.nothing())
    }
}

/// x^p for a constant p.
#[derive(Clone, Copy)]
struct Power(f64);

impl Function for Power {
    const NAME: &'static str = "powf";
    const FROM: From = From::Input;

    #[inline(always)]
    fn value<E: Expression>(self, x: E) -> E {
        x.power(self.0)
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

    /// The logarithmic derivative of the gamma function.
    #[track_caller]
    #[must_use]
    pub fn digamma(&self) -> Self {
        self.polygamma(0)
    }

    /// The derivative of order `n` of [`Tensor::digamma`].
    #[track_caller]
    #[must_use]
    pub fn polygamma(&self, n: u32) -> Self {
        self.polygamma_of(n.into())
    }

    /// Orders are counted in 64 bits, so that the one after the last is there too.
    #[track_caller]
    pub(super) fn polygamma_of(&self, n: u64) -> Self {
        apply(Each(Polygamma(n)), [self]).or_raise()
    }

    #[track_caller]
    pub(super) fn sech_square(&self) -> Self {
        apply(Each(SechSquare), [self]).or_raise()
    }

    #[track_caller]
    pub(super) fn one_minus_square(&self) -> Self {
        apply(Each(OneMinusSquare), [self]).or_raise()
    }

    /// The elements of `huber_loss`, of what is left.
    #[track_caller]
    pub(super) fn huber(&self, delta: f64) -> Self {
        apply(Each(Huber(delta)), [self]).or_raise()
    }

    /// x above 0, `alpha` (e^x - 1) elsewhere (Clevert, Unterthiner and Hochreiter 2015).
    #[track_caller]
    #[must_use]
    pub fn elu(&self, alpha: f64) -> Self {
        apply(Each(Elu(alpha)), [self]).or_raise()
    }

    /// x above 0, `slope` x elsewhere; the derivative at 0 is `slope`.
    #[track_caller]
    #[must_use]
    pub fn leaky_relu(&self, slope: f64) -> Self {
        apply(Each(LeakyRelu(slope)), [self]).or_raise()
    }

    /// x, but `min` below it and `max` above it (which wins, where they cross); infinities stand for
    /// no bound. The derivative is 0 at and beyond the bounds, and NaN stays NaN.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::from([-2.0, 0.5, 2.0]);
    /// assert_eq!(x.clamp(-1.0, 1.0).to_vec(), [-1.0, 0.5, 1.0]);
    /// assert_eq!(x.clamp(f64::NEG_INFINITY, 1.0).to_vec(), [-2.0, 0.5, 1.0]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn clamp(&self, min: f64, max: f64) -> Self {
        apply(Each(Clamp { min, max }), [self]).or_raise()
    }
}

/// -x. Negation and absolute value are also defined for integers.
struct Negate;

impl<T: Number> Op<T, 1> for Negate {
    fn name(&self) -> &'static str {
        "neg"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("neg", x, formula!(|x: T| x.negated()))
    }
    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned("neg", x, formula!(|x: T| x.negated()))
    }
    fn batches(&self) -> bool {
        true
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
        kernels::map("abs", x, formula!(|x: T| x.magnitude()))
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad * sign(x)
    fn vjp(&self, kept: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let sign = |x: T| match x {
            x if x > T::ZERO => T::ONE,
            x if x < T::ZERO => T::ONE.negated(),
            // Zero, or NaN.
            x => x.times(T::ZERO),
        };
        let sign = Formula::new(sign, |[x]: [Code; 1]| x.sign());
        let sign = kernels::map("abs", kept.input_array(0), sign)?;
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

    fn code(self, x: Code) -> Code {
        match self {
            Affine::Times(c) => x * c,
            Affine::Plus(c) => x + c,
            Affine::From(c) => Code::from(c) - x,
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
        kernels::map(Op::<T, 1>::name(self), x, Formula::new(|x| self.value(x), |[x]| self.code(x)))
    }
    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned(Op::<T, 1>::name(self), x, Formula::new(|x| self.value(x), |[x]| self.code(x)))
    }
    fn batches(&self) -> bool {
        true
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

impl<T: Number> Tensor<T> {
    /// Ones in this tensor's shape, on its device.
    #[track_caller]
    #[must_use]
    pub fn ones_like(&self) -> Self {
        self.full_like(T::ONE)
    }
}

impl<T: Element> Tensor<T> {
    /// Zeros (`false`) in this tensor's shape, on its device.
    #[track_caller]
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        self.full_like(T::default())
    }

    /// One value everywhere in this tensor's shape, on its device.
    #[track_caller]
    #[must_use]
    pub fn full_like(&self, value: T) -> Self {
        Array::repeat_on(self.device(), self.shape(), value).or_raise().into()
    }
}
