//! Functions of one element.
//!
//! A function is its value and one expression for its cotangent, in PyTorch's notation: `g` is the
//! output's cotangent, `x` the input, `y` the output. The expression is read over numbers, fused into one pass that
//! writes into the cotangent's buffer, in first order; over tensors under `create_graph`; and as the text of a GPU's
//! kernel. All are compiled here: a function is a static, and one operation serves all of them.

use crate::body_once;
use crate::function::{Elementwise, Reads, elementwise};
use crate::fused::program::{Action, write};
use crate::loops::Expressions;
use crate::op::{Keep, Kept, Op, apply_at};
use crate::tensor::Tensor;
use std::f64::consts::{LN_2, LOG2_E, LOG10_E, PI};
use std::panic::Location;
use tensor_core::{
    Array, Element, Expression, Float, Number, OrRaise, Parameters, Result, compiled_once, kernels,
};

/// An [`Elementwise`] function applied to every element.
struct Each {
    function: &'static Elementwise,
    parameters: Parameters,
}

impl<T: Float> Op<T, 1> for Each {
    fn name(&self) -> &'static str {
        self.function.name
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Some(x[0].map(|x| write(Action::One(self.function, self.parameters), &[x])))
    }

    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map(self.function.name, x, &self.function.value.with(self.parameters))
    }

    fn forward_owned(&self, [x]: [Array<T>; 1]) -> Result<Array<T>> {
        kernels::map_owned(self.function.name, x, &self.function.value.with(self.parameters))
    }

    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        let reads = self.function.reads;
        Keep { inputs: [reads == Reads::Input], output: reads == Reads::Output }
    }

    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let Elementwise { name, reads, cotangent, cotangent_of_tensors, .. } = self.function;
        if kept.create_graph() {
            let v = match reads {
                Reads::Nothing => g.clone(),
                Reads::Input => kept.input(0),
                Reads::Output => kept.output(0),
            };
            return Ok([Some(T::of_floats(cotangent_of_tensors)(self.parameters, [g, v]))]);
        }
        let nothing;
        let v = match reads {
            Reads::Nothing => {
                nothing = Array::scalar(T::ZERO);
                &nothing
            }
            Reads::Input => kept.input_array(0),
            Reads::Output => kept.output_array(0),
        };
        let cotangent = cotangent.with(self.parameters);
        Ok([Some(kernels::zip_owned(name, g.into_array(), v, &cotangent)?.into())])
    }

    fn elementwise(&self) -> bool {
        true
    }
}

compiled_once! {
    fn each<T: Float>(
        function: &'static Elementwise,
        parameters: Parameters,
        x: &Tensor<T>,
        here: &'static Location<'static>,
    ) -> Result<Tensor<T>> {
        apply_at(here, Each { function, parameters }, [x])
    }
}

/// Functions as statics, and as methods of tensors that take their parameters.
macro_rules! functions {
    ($(
        $(#[$doc:meta])*
        $vis:vis $name:ident $NAME:ident($($p:ident),*) $(as $op:literal)? |$x:ident| $value:expr,
            $Reads:ident |$g:ident, $v:ident| $cotangent:expr;
    )*) => { $(
        pub(crate) static $NAME: Elementwise =
            elementwise!([$($op,)? stringify!($name)][0], ($($p),*) |$x| $value, $Reads |$g, $v| $cotangent);

        impl<T: Float> Tensor<T> {
            $(#[$doc])*
            #[track_caller]
            #[must_use]
            #[inline]
            $vis fn $name(&self $(, $p: f64)*) -> Self {
                each(&$NAME, parameters([$($p),*]), self, Location::caller()).or_raise()
            }
        }
    )* };
}

/// Up to two parameters.
fn parameters<const N: usize>(p: [f64; N]) -> Parameters {
    std::array::from_fn(|k| p.get(k).copied().unwrap_or(0.0))
}

// The derivatives are those of PyTorch's derivatives.yaml, where `grad` is g, `self` x, `result` y, in forms that
// neither cancel nor leave the range on the way, in any order: a slope that is representable has its digits, and at an
// infinity its limit. So a slope is read from the output only where that still has the digits.
functions! {
    /// e^x.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([0.0, f64::NEG_INFINITY]);
    /// assert_eq!(x.exp().to_vec(), [1.0, 0.0]);
    /// ```
    pub exp EXP() |x| x.exp(), Output |g, y| g * y;
    /// 2^x.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 0.0, 10.0]).exp2().to_vec(), [0.5, 1.0, 1024.0]);
    /// ```
    pub exp2 EXP2() |x| x.exp2(), Output |g, y| g * y.times(LN_2);
    /// e^x - 1, exact near 0.
    pub expm1 EXPM1() |x| x.expm1(), Input |g, x| g * x.exp();
    /// The natural logarithm.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, 0.0]).log().to_vec(), [0.0, f64::NEG_INFINITY]);
    /// assert!(Tensor::scalar(-1.0f64).log().item()?.is_nan());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "ln")]
    pub log LOG() |x| x.log(), Input |g, x| g / x;
    /// The logarithm to base 2.
    pub log2 LOG2() |x| x.log2(), Input |g, x| g.times(LOG2_E) / x;
    /// The logarithm to base 10.
    pub log10 LOG10() |x| x.log10(), Input |g, x| g.times(LOG10_E) / x;
    /// ln(1 + x), exact near 0.
    pub log1p LOG1P() |x| x.log1p(), Input |g, x| g / x.plus(1.0);
    /// The square root; its derivative at 0 is infinite.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([4.0, 0.0]).requires_grad();
    /// x.sqrt().sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.25, f64::INFINITY]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub sqrt SQRT() |x| x.sqrt(), Output |g, y| g / y.times(2.0);
    /// 1 / sqrt(x).
    pub rsqrt RSQRT() |x| x.sqrt().reciprocal(), Output |g, y| g * y.power(3.0).times(-0.5);
    /// x^2.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-3.0, 0.5]).square().to_vec(), [9.0, 0.25]);
    /// ```
    pub square SQUARE() |x| x.square(), Input |g, x| g * x.times(2.0);
    /// 1 / x.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([4.0, 0.0]).reciprocal().to_vec(), [0.25, f64::INFINITY]);
    /// ```
    pub reciprocal RECIPROCAL() |x| x.reciprocal(), Output |g, y| -(g * y.square());
    /// The sine of an angle in radians.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(0.0).requires_grad();
    /// x.sin().backward()?;
    /// assert_eq!(x.grad().unwrap().item()?, 1.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub sin SIN() |x| x.sin(), Input |g, x| g * x.cos();
    /// The cosine of an angle in radians.
    pub cos COS() |x| x.cos(), Input |g, x| -(g * x.sin());
    /// The tangent of an angle in radians.
    pub tan TAN() |x| x.tan(), Output |g, y| g * y.square().plus(1.0);
    /// The angle in radians whose sine is x; NaN outside of -1 to 1.
    #[doc(alias = "arcsin")]
    pub asin ASIN() |x| x.asin(), Input |g, x| g / x.one_minus_square().sqrt();
    /// The angle in radians whose cosine is x; NaN outside of -1 to 1.
    #[doc(alias = "arccos")]
    pub acos ACOS() |x| x.acos(), Input |g, x| -(g / x.one_minus_square().sqrt());
    /// The angle in radians whose tangent is x.
    #[doc(alias = "arctan")]
    pub atan ATAN() |x| x.atan(), Input |g, x| {
        // The square of 1 / sqrt(1 + x^2), factor by factor.
        let s = one_over_length(x);
        g * s.clone() * s
    };
    /// The hyperbolic sine.
    pub sinh SINH() |x| x.sinh(), Input |g, x| g * x.cosh();
    /// The hyperbolic cosine.
    pub cosh COSH() |x| x.cosh(), Input |g, x| g * x.sinh();
    /// The hyperbolic tangent.
    pub tanh TANH() |x| x.tanh(), Input |g, x| g * x.sech_square();
    /// The inverse of the hyperbolic sine.
    #[doc(alias = "arcsinh")]
    pub asinh ASINH() |x| x.asinh(), Input |g, x| g * one_over_length(x);
    /// The inverse of the hyperbolic cosine; NaN below 1.
    #[doc(alias = "arccosh")]
    pub acosh ACOSH() |x| x.acosh(),
        Input |g, x| g / x.clone().plus(-1.0).sqrt() / x.plus(1.0).sqrt();
    /// The inverse of the hyperbolic tangent; NaN outside of -1 to 1.
    #[doc(alias = "arctanh")]
    pub atanh ATANH() |x| x.atanh(), Input |g, x| g / x.one_minus_square();
    /// 1 / (1 + e^-x), without overflow.
    #[doc(alias = "expit")]
    pub sigmoid SIGMOID() |x| x.sigmoid(), Input |g, x| g * x.times(0.5).sech_square().times(0.25);
    /// ln(1 + e^x), without overflow.
    pub softplus SOFTPLUS() |x| x.softplus(), Input |g, x| g * x.sigmoid();
    /// The larger of x and 0; its derivative at 0 is 0.
    pub relu RELU() |x| {
        let below = x.lt_number(0.0);
        x.with(below, 0.0)
    }, Output |g, y| {
        let flat = y.eq_number(0.0);
        g.with(flat, 0.0)
    };
    /// x sigmoid(x), also called swish.
    pub silu SILU() |x| x.silu(), Input |g, x| g * x.silu_slope();
    /// x times the normal distribution's share below x (Hendrycks and Gimpel 2016), by the error function.
    pub gelu GELU() |x| x.gelu(), Input |g, x| g * x.gelu_slope();
    /// The logarithm of the sigmoid, without overflow.
    pub log_sigmoid LOG_SIGMOID() |x| -(-x).softplus(), Input |g, x| g * (-x).sigmoid();
    /// The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
    pub erf ERF() |x| x.erf(), Input |g, x| g * normal(x);
    /// 1 - erf(x), exact where that is small.
    pub erfc ERFC() |x| x.erfc(), Input |g, x| -(g * normal(x));
    /// The number whose error function is x, infinite at -1 and 1 and NaN beyond them.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let y = Tensor::from([0.0, 0.5, 1.0]).erfinv();
    /// assert_eq!(y.to_vec(), [0.0, 0.4769362762044699, f64::INFINITY]);
    /// ```
    pub erfinv ERFINV() |x| x.erfinv(), Output |g, y| g * y.square().exp().times(PI.sqrt() / 2.0);
    /// ln(x / (1 - x)), the inverse of the sigmoid, with its digits near 0, 1/2 and 1; infinite at 0 and 1 and NaN
    /// beyond them. PyTorch's `logit(eps)` is `x.clamp(eps, 1.0 - eps).logit()`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([0.0, 0.25, 0.5, 1.0]);
    /// assert_eq!(x.logit().to_vec(), [f64::NEG_INFINITY, -3f64.ln(), 0.0, f64::INFINITY]);
    /// ```
    pub logit LOGIT() |x| {
        // From 1/4 on 2 x - 1 is exact.
        let low = x.lt_number(0.25);
        let below = x.clone().log() - (-x.clone()).log1p();
        E::choose(low, below, x.times(2.0).plus(-1.0).atanh().times(2.0))
    }, Input |g, x| {
        let (below, above) = (x.lt_number(0.0), x.gt_number(1.0));
        let slope = (x.clone() * (-x).plus(1.0)).with(below, f64::NAN).with(above, f64::NAN);
        g / slope
    };
    /// The logarithm of the absolute value of the gamma function.
    #[doc(alias = "gammaln")]
    pub lgamma LGAMMA() |x| x.lgamma(), Input |g, x| g * x.polygamma(0);
    /// -1, 0 or 1; its derivative is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-2.5, 0.0, 3.0]).sign().to_vec(), [-1.0, 0.0, 1.0]);
    /// ```
    #[doc(alias = "sgn")]
    pub sign SIGN() |x| x.sign(), Nothing |g, _v| g.nothing();
    /// The largest integer not above x; its derivative is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 1.5]).floor().to_vec(), [-2.0, 1.0]);
    /// ```
    pub floor FLOOR() |x| x.floor(), Nothing |g, _v| g.nothing();
    /// The smallest integer not below x; its derivative is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 1.5]).ceil().to_vec(), [-1.0, 2.0]);
    /// ```
    pub ceil CEIL() |x| x.ceil(), Nothing |g, _v| g.nothing();
    /// x without its fraction; its derivative is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 1.5]).trunc().to_vec(), [-1.0, 1.0]);
    /// ```
    #[doc(alias = "fix")]
    pub trunc TRUNC() |x| x.trunc(), Nothing |g, _v| g.nothing();
    /// The nearest integer, the even one of two; its derivative is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.5, -2.5]).round().to_vec(), [0.0, 2.0, -2.0]);
    /// ```
    #[doc(alias = "rint")]
    pub round ROUND() |x| x.round(), Nothing |g, _v| g.nothing();
    /// 1 / cosh(x)^2, the slope of tanh.
    pub(super) sech_square SECH_SQUARE() |x| x.sech_square(),
        // -2 grad sech(x)^2 tanh(x)
        Input |g, x| g * (x.clone().sech_square() * x.tanh()).times(-2.0);
    /// The slope of silu, s + x s (1 - s) of the sigmoid s.
    pub(super) silu_slope SILU_SLOPE() |x| x.silu_slope(), Input |g, x| {
        // s (1 - s) (2 - x tanh(x / 2)); beyond the bound the first is 0
        let half = x.within(1000.0).times(0.5);
        g * half.clone().sech_square().times(0.5) * (-(half.clone() * half.tanh())).plus(1.0)
    };
    /// The slope of gelu, the share below x and x times the density.
    pub(super) gelu_slope GELU_SLOPE() |x| x.gelu_slope(), Input |g, x| {
        // (2 - x^2) times the density, which is 0 beyond the bound
        let x = x.within(100.0);
        let density = (-x.clone().square()).times(0.5).exp().times((2.0 * PI).sqrt().recip());
        g * density * (-x.square()).plus(2.0)
    };
    /// 1 - x^2
    pub(super) one_minus_square ONE_MINUS_SQUARE() |x| x.one_minus_square(), Input |g, x| g * x.times(-2.0);
    /// The elements of `huber_loss`, of what is left: x^2 / 2 up to delta, delta (|x| - delta / 2) beyond.
    pub(super) huber HUBER(delta) as "huber_loss" |x| {
        let size = x.clone().abs();
        let far = size.clone().plus(-0.5 * delta).times(delta);
        E::choose(size.le_number(delta), x.square().times(0.5), far)
    }, Input |g, x| {
        // x, but no farther from 0 than delta
        g * x.within(delta)
    };
    /// The derivative of order `n` of [`Tensor::digamma`]. Orders are counted far enough for the one after the last.
    pub(super) polygamma_of POLYGAMMA(n) as "polygamma" |x| x.polygamma(n as u64), Input |g, x| g * x.polygamma(n as u64 + 1);
    /// The derivative of order `n` of [`Tensor::sinc`].
    pub(super) sinc_of SINC(n) as "sinc" |x| x.sinc(n as u64), Input |g, x| g * x.sinc(n as u64 + 1);
    /// x above 0, `alpha` (e^x - 1) elsewhere (Clevert, Unterthiner and Hochreiter 2015).
    pub elu ELU(alpha) |x| E::choose(x.gt_number(0.0), x.clone(), x.expm1().times(alpha)), Input |g, x| {
        // alpha e^x below 0; the exponential of what is above is never formed
        let above = x.gt_number(0.0);
        let below = g.clone() * x.with(above.clone(), 0.0).exp().times(alpha);
        E::choose(above, g, below)
    };
    /// x above 0, `slope` x elsewhere; the derivative at 0 is `slope`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-4.0, 2.0]).leaky_relu(0.25).to_vec(), [-1.0, 2.0]);
    /// ```
    pub leaky_relu LEAKY_RELU(slope) |x| {
        let below = match slope {
            // 0 at -inf too.
            0.0 => {
                let below = x.lt_number(0.0);
                x.clone().with(below, 0.0)
            }
            slope => x.clone().times(slope),
        };
        E::choose(x.gt_number(0.0), x, below)
    }, Input |g, x| E::choose(x.gt_number(0.0), g.clone(), g.times(slope));
    /// [`Tensor::clamp`] of floats.
    pub(super) within CLAMP(min, max) as "clamp" |x| {
        let below = x.lt_number(min);
        let x = x.with(below, min);
        let above = x.gt_number(max);
        x.with(above, max)
    }, Input |g, x| {
        let inside = E::both(x.gt_number(min), x.lt_number(max));
        E::choose(inside, g.clone(), g.nothing())
    };
    /// x^p for a constant p. Its derivative is 0 for p = 0, also at 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([4.0, 0.25]).powf(-0.5).to_vec(), [0.5, 2.0]);
    /// assert!(Tensor::scalar(-8.0f64).powf(0.5).item()?.is_nan());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub powf POWF(p) |x| x.power(p), Input |g, x| match p {
        0.0 => g.nothing(),
        p => g * x.power(p - 1.0).times(p),
    };
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

/// # Elementwise functions: special ones
impl<T: Float> Tensor<T> {
    /// sin(pi x) / (pi x), and 1 at 0: 0 at every other integer, with derivatives of any order that have their digits
    /// at 0 and near it. NaN at infinities, as NumPy's and PyTorch's.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([0.0, 0.5, 3.0]);
    /// assert_eq!(x.sinc().to_vec(), [1.0, std::f64::consts::FRAC_2_PI, 0.0]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sinc(&self) -> Self {
        self.sinc_of(0.0)
    }

    /// The logarithmic derivative of the gamma function.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// // It grows by 1 / x from x to x + 1.
    /// let x = Tensor::from([1.0, 2.0]).digamma();
    /// assert!((x.get([1])? - x.get([0])? - 1.0f64).abs() < 1e-14);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    #[doc(alias = "psi")]
    pub fn digamma(&self) -> Self {
        self.polygamma(0)
    }

    /// The derivative of order `n` of [`Tensor::digamma`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let trigamma = Tensor::scalar(1.0).polygamma(1).item()?;
    /// assert!((trigamma - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-14);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn polygamma(&self, n: u32) -> Self {
        self.polygamma_of(n.into())
    }

    /// ln of the multivariate gamma function of order `p`: p (p - 1) / 4 ln pi + sum_(j < p) lgamma(x - j / 2), for x above
    /// (p - 1) / 2; NaN elsewhere. SciPy's `multigammaln`, PyTorch's `mvlgamma`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let y = Tensor::from([1.5, 0.5]).multigammaln(2);
    /// assert!((y.to_vec()[0] - (std::f64::consts::PI / 2.0).ln()).abs() < 1e-15 && y.to_vec()[1].is_nan());
    /// ```
    #[doc(alias = "mvlgamma")]
    #[track_caller]
    #[must_use]
    pub fn multigammaln(&self, p: u32) -> Self {
        body_once!(T: Float, [self, p], |x: &Tensor<T>, p: u32| -> Result<Tensor<T>> {
            let p = f64::from(p);
            let least = (p - 1.0) / 2.0;
            let x = if p > 0.0 { x.gt(T::of(least))?.where_cond(x, Tensor::scalar(T::of(f64::NAN)))? } else { x.clone() };
            let mut sum = x.full_like(T::of(p * least / 2.0 * std::f64::consts::PI.ln()));
            for j in 0..p as u32 {
                sum += (&x - T::of(f64::from(j) / 2.0)).lgamma();
            }
            Ok(sum)
        })
        .or_raise()
    }
}

/// # Constructors: ones like this tensor
impl<T: Number> Tensor<T> {
    /// Ones in this tensor's shape, on its device.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[5, 6]]).ones_like().to_vec(), [1, 1]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn ones_like(&self) -> Self {
        self.full_like(T::ONE)
    }
}

/// # Constructors: values like this tensor
impl<T: Element> Tensor<T> {
    /// Zeros (`false`) in this tensor's shape, on its device.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[5, 6]]);
    /// assert_eq!((x.zeros_like().shape(), x.zeros_like().to_vec()), (&[1, 2][..], vec![0, 0]));
    /// ```
    #[track_caller]
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        self.full_like(T::default())
    }

    /// One value everywhere in this tensor's shape, on its device.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[5, 6]]).full_like(9).to_vec(), [9, 9]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn full_like(&self, value: T) -> Self {
        Array::repeat_on(self.device(), self.shape(), value).or_raise().into()
    }
}
