//! Functions of two elements, broadcast.
//!
//! A function is its value and the cotangents of its two arguments, in PyTorch's notation: `g` is
//! the output's cotangent, `a` and `b` the arguments. As in `elementwise.rs` each expression is read
//! twice: as one pass over scalars in first order, over tensors under `create_graph`.

use super::compare::Operand;
use crate::for_line;
use crate::function::{NONE, Pairwise, pairwise};
use crate::fused::program::{Action, write};
use crate::loops::Expressions;
use crate::op::{Keep, Kept, Op, apply_at};
use crate::tensor::Tensor;
use std::panic::Location;
use tensor_core::{
    Array, AtCaller, EachNumber, Expression, Float, ForNumber, Number, OrRaise, Result, ValueFor,
    compiled_once, kernels,
};

/// A [`Pairwise`] function applied to every two elements.
struct Each(&'static Pairwise);

impl<T: Float> Op<T, 2> for Each {
    fn name(&self) -> &'static str {
        self.0.name
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].zip(x[1], |a, b| write(Action::Two(self.0), &[a, b]))
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip(self.0.name, a, b, &self.0.value.with(NONE))
    }

    fn keep(&self, [left, right]: [bool; 2]) -> Keep<2> {
        Keep::inputs([left || right; 2])
    }

    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let Pairwise { name, cotangents, cotangents_of_tensors, .. } = self.0;
        let cotangent = |k: usize, g: Tensor<T>| {
            if kept.create_graph() {
                let x = [g, kept.input(0), kept.input(1)];
                return Ok(T::of_floats(cotangents_of_tensors)[k](NONE, x));
            }
            let (a, b) = (kept.input_array(0), kept.input_array(1));
            Ok(kernels::zip3_owned(name, g.into_array(), a, b, &cotangents[k].with(NONE))?.into())
        };
        Ok([kept.wrt(0, || cotangent(0, g.clone()))?, kept.wrt(1, || cotangent(1, g))?])
    }

    fn elementwise(&self) -> bool {
        true
    }
}

compiled_once! {
    fn each<T: Float>(
        function: &'static Pairwise,
        a: &Tensor<T>,
        b: &Tensor<T>,
        here: &'static Location<'static>,
    ) -> Result<Tensor<T>> {
        apply_at(here, Each(function), [a, b])
    }
}

/// Functions as statics, and as methods of tensors.
macro_rules! pairs {
    ($(
        $(#[$doc:meta])*
        $vis:vis $name:ident $NAME:ident $(as $op:literal)? |$a:ident, $b:ident| $value:expr,
            |$lg:ident, $la:ident, $lb:ident| $left:expr,
            |$rg:ident, $ra:ident, $rb:ident| $right:expr;
    )*) => { $(
        pub(crate) static $NAME: Pairwise = pairwise!(
            [$($op,)? stringify!($name)][0],
            |$a, $b| $value,
            |$lg, $la, $lb| $left,
            |$rg, $ra, $rb| $right
        );

        impl<T: Float> Tensor<T> {
            $(#[$doc])*
            ///
            /// # Errors
            /// Shape, where the shapes do not broadcast.
            #[track_caller]
            #[inline]
            $vis fn $name(&self, other: impl Operand<T>) -> Result<Self> {
                each(&$NAME, self, &other.operand(), Location::caller())
            }
        }
    )* };
}

// The derivatives are those of PyTorch's derivatives.yaml unless the comment says otherwise. Where a
// factor is infinite or undefined, its argument is replaced before it is formed: a choice afterwards
// would be right in first order, and 0 times infinity in second.
pairs! {
    /// [`Tensor::maximum`] of floats.
    larger MAXIMUM as "maximum" |a, b| pick(a.lt_other(&b), a, b),
        |g, a, b| share(g, &b, &a),
        |g, a, b| share(g, &a, &b);
    /// [`Tensor::minimum`] of floats.
    smaller MINIMUM as "minimum" |a, b| pick(b.lt_other(&a), a, b),
        |g, a, b| share(g, &a, &b),
        |g, a, b| share(g, &b, &a);
    /// The angle in radians of the points (x, y) = (`other`, `self`), from -pi to pi; its gradient at
    /// the origin is 0.
    #[doc(alias = "arctan2")]
    pub atan2 ATAN2 |a, b| a.atan2(b),
        |g, a, b| g * b.over_square(a),
        |g, a, b| -(g * a.over_square(b));
    /// The lengths of the vectors (`self`, `other`), without overflow on the way; the gradient at the
    /// origin is 0, where PyTorch's is NaN, and so are all derivatives after it.
    pub hypot HYPOT |a, b| a.hypot(b),
        |g, a, b| g * a.direction(b),
        |g, a, b| g * b.direction(a);
    /// [`Tensor::pow`] by a tensor.
    to_power POW as "pow" |a, b| a.pow(b),
        |g, a, b| {
            // b a^(b - 1), and 0 at 0^0, where the factor is infinite, and where the factor is 0 and b infinite. As the
            // slope by b of 0^b is 0, this has none by b either.
            let flat = E::both(a.eq_number(0.0), (-b.clone()).le_number(0.0));
            let b = E::choose(flat, b.clone().constant(), b);
            let origin = E::both(a.eq_number(0.0), b.eq_number(0.0));
            let factor = a.pow(b.clone().with(origin, 1.0).plus(-1.0));
            g * (b.finite() * factor)
        },
        |g, a, b| {
            // a^b ln a, and 0, as of 1^b, for a = 0 and b >= 0, and for a = inf and b < 0
            let flat = E::both(a.eq_number(0.0), (-b.clone()).le_number(0.0));
            let far = E::both(a.eq_number(f64::INFINITY), b.lt_number(0.0));
            let a = a.with(flat, 1.0).with(far, 1.0);
            g * (a.clone().pow(b) * a.log())
        };
    /// `self` times the logarithm of `other`, and 0 where `self` is 0, unless `other` is NaN.
    pub xlogy XLOGY |a, b| {
            // 0 times whatever is not NaN
            let product = a.clone() * b.clone().log();
            let none = a.eq_number(0.0);
            E::choose(b.isnan(), b, product.with(none, 0.0))
        },
        |g, a, b| {
            // ln b, and 0 for a = 0 and b <= 0
            let flat = E::both(a.eq_number(0.0), b.le_number(0.0));
            g * b.with(flat, 1.0).log()
        },
        |g, a, b| g * (a / b);
    /// ln(e^a + e^b), without overflow. Equal infinities share the gradient evenly, as other equal numbers do.
    pub logaddexp LOGADDEXP |a, b| logaddexp(a, b),
        |g, a, b| g * (a.finite() - b.finite()).sigmoid(),
        |g, a, b| g * (b.finite() - a.finite()).sigmoid();
    /// a over the length of (a, b), and 0 at the origin: the slope of hypot by a.
    pub(super) direction DIRECTION |a, b| a.direction(b),
        |g, a, b| {
            // w^2 / length, where w is the direction of b: 1 minus the square of that of a
            let w = b.clone().direction(a.clone());
            g * (w.clone() / length(a, b) * w)
        },
        |g, a, b| {
            // -v w / length, where v is the direction of a
            let (v, w) = (a.clone().direction(b.clone()), b.clone().direction(a.clone()));
            -(g * (v / length(a, b) * w))
        };
    /// a / (a^2 + b^2), and 0 at the origin: the slope of atan2 by its other argument.
    pub(super) over_square OVER_SQUARE |a, b| a.over_square(b),
        |g, a, b| {
            // (b - a)(b + a) / length^4, factor by factor; halves, so that neither sum leaves the range
            let length = length(a.clone(), b.clone());
            let (a, b) = (a.finite().times(0.5), b.finite().times(0.5));
            let difference = (b.clone() - a.clone()) / length.clone() / length.clone();
            let sum = (b + a) / length.clone() / length;
            g * (difference * sum).times(4.0)
        },
        |g, a, b| {
            // -2 a b / length^4
            g * (a.clone().over_square(b.clone()) * b.over_square(a)).times(-2.0)
        };
    /// The elements of `binary_cross_entropy_with_logits`: -t ln p - (1 - t) ln(1 - p) for p = sigmoid(x).
    pub(super) logit_loss LOGIT_LOSS as "binary_cross_entropy_with_logits" |x, t| {
            // (1 - t) x + max(-x, 0) + ln(1 + e^-|x|), where the first two are w |x| for the weight w of the wrong side:
            // for t from 0 to 1 nothing cancels. Without weight nothing counts, an infinite logit neither.
            let weight = E::choose(x.lt_number(0.0), t.clone(), (-t).plus(1.0));
            let none = weight.eq_number(0.0);
            let size = x.abs();
            (size.clone() * weight).with(none, 0.0) + (-size).exp().log1p()
        },
        |g, x, t| {
            // p - t, as (1 - t) p - t (1 - p)
            let wrong = (-t.clone()).plus(1.0) * x.clone().sigmoid();
            g * (wrong - t * (-x).sigmoid())
        },
        |g, x, _t| -(g * x);
}

/// A function of two tensors, of integers too.
struct OfTwo;

impl ForNumber for OfTwo {
    type Of<T: Number> = fn(&Tensor<T>, &Tensor<T>) -> Result<Tensor<T>>;
}

static LARGER: EachNumber<OfTwo> =
    EachNumber { f32: |a, b| a.larger(b), f64: |a, b| a.larger(b), i64: |a, b| a.lt(b)?.where_cond(b, a) };

static SMALLER: EachNumber<OfTwo> =
    EachNumber { f32: |a, b| a.smaller(b), f64: |a, b| a.smaller(b), i64: |a, b| a.gt(b)?.where_cond(b, a) };

/// The bounds below and above.
struct Bounded;

impl ForNumber for Bounded {
    type Of<T: Number> = fn(&Tensor<T>, T, T) -> Result<Tensor<T>>;
}

static CLAMPED: EachNumber<Bounded> = EachNumber {
    f32: |x, min, max| Ok(x.within(f64::from(min), f64::from(max))),
    f64: |x, min, max| Ok(x.within(min, max)),
    i64: |x, min, max| x.maximum(min)?.minimum(max),
};

/// A function of a tensor and a bound.
struct OneBound;

impl ForNumber for OneBound {
    type Of<T: Number> = fn(&Tensor<T>, T) -> Result<Tensor<T>>;
}

static AT_LEAST: EachNumber<OneBound> = EachNumber {
    f32: |x, min| Ok(x.within(f64::from(min), f64::INFINITY)),
    f64: |x, min| Ok(x.within(min, f64::INFINITY)),
    i64: |x, min| x.maximum(min),
};
static AT_MOST: EachNumber<OneBound> = EachNumber {
    f32: |x, max| Ok(x.within(f64::NEG_INFINITY, f64::from(max))),
    f64: |x, max| Ok(x.within(f64::NEG_INFINITY, max)),
    i64: |x, max| x.minimum(max),
};

/// # Functions of two: the larger, the smaller and the like
impl<T: Number> Tensor<T> {
    /// The larger of the two, NaN if either is; equal ones share the gradient evenly.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 2.0]).maximum(0.0)?.to_vec(), [0.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn maximum(&self, other: impl Operand<T>) -> Result<Self> {
        let other = other.operand();
        for_line(Location::caller(), || T::of_numbers(&LARGER)(self, &other)).called("maximum")
    }

    /// The smaller of the two, NaN if either is; equal ones share the gradient evenly.
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn minimum(&self, other: impl Operand<T>) -> Result<Self> {
        let other = other.operand();
        for_line(Location::caller(), || T::of_numbers(&SMALLER)(self, &other)).called("minimum")
    }

    /// x, but `min` below it and `max` above it (which wins, where they cross); infinities stand for
    /// no bound. The derivative is 0 at and beyond the bounds, and NaN stays NaN.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([-2.0, 0.5, 2.0]);
    /// assert_eq!(x.clamp(-1.0, 1.0).to_vec(), [-1.0, 0.5, 1.0]);
    /// assert_eq!(x.clamp(f64::NEG_INFINITY, 1.0).to_vec(), [-2.0, 0.5, 1.0]);
    /// ```
    #[doc(alias = "clip")]
    #[track_caller]
    #[must_use]
    pub fn clamp(&self, min: impl ValueFor<T>, max: impl ValueFor<T>) -> Self {
        let (min, max) = (min.as_element(), max.as_element());
        for_line(Location::caller(), || T::of_numbers(&CLAMPED)(self, min, max)).called("clamp").or_raise()
    }

    /// x, but `min` below it: [`Tensor::clamp`] without an upper bound.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([-2.0, 0.5]).clamp_min(0).to_vec(), [0.0, 0.5]);
    /// assert_eq!(Tensor::from([-2, 3]).clamp_min(0).to_vec(), [0, 3]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn clamp_min(&self, min: impl ValueFor<T>) -> Self {
        let min = min.as_element();
        for_line(Location::caller(), || T::of_numbers(&AT_LEAST)(self, min)).called("clamp_min").or_raise()
    }

    /// x, but `max` above it: [`Tensor::clamp`] without a lower bound.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([0.5, 2.0]).clamp_max(1).to_vec(), [0.5, 1.0]);
    /// assert_eq!(Tensor::from([-2, 3]).clamp_max(1).to_vec(), [-2, 1]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn clamp_max(&self, max: impl ValueFor<T>) -> Self {
        let max = max.as_element();
        for_line(Location::caller(), || T::of_numbers(&AT_MOST)(self, max)).called("clamp_max").or_raise()
    }
}

/// # Functions of two: powers, angles and the like
impl<T: Float> Tensor<T> {
    /// `self` to the power of `other`, a tensor or a number. The gradient of 0^0 is 0; that of 0^b with respect to b is 0
    /// for b >= 0, in every order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, -2.0]);
    /// assert_eq!(x.pow(2)?.to_vec(), [1.0, 4.0]);
    /// assert_eq!(x.abs().pow(&x)?.to_vec(), [1.0, 0.25]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[doc(alias("power", "float_power"))]
    #[track_caller]
    pub fn pow(&self, other: impl Operand<T>) -> Result<Self> {
        match other.number() {
            Some(p) => Ok(self.powf(p.to_f64())),
            None => self.to_power(other),
        }
    }

    /// x^n for a whole number n; see [`Tensor::powf`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([2.0, -3.0]).powi(3).to_vec(), [8.0, -27.0]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn powi(&self, n: i32) -> Self {
        self.powf(f64::from(n))
    }
}

/// The cotangent of the argument that wins where it is not below (in `minimum`: above) the other.
#[inline(always)]
fn share<E: Expression>(g: E, low: &E, high: &E) -> E {
    let (wins, loses) = (low.lt_other(high), high.lt_other(low));
    // Neither is so where they are equal, or one is NaN, when both get everything.
    let equal = E::choose(low.eq_other(high), g.clone().times(0.5), g.clone());
    E::choose(wins, g, equal.with(loses, 0.0))
}

/// The length of (a, b), and 1 at the origin.
#[inline(always)]
fn length<E: Expression>(a: E, b: E) -> E {
    let origin = E::both(a.eq_number(0.0), b.eq_number(0.0));
    // At the origin the length has a kink, and its own rule no second derivative.
    a.with(origin.clone(), 1.0).hypot(b.with(origin, 0.0))
}

/// b where it is better, else a; NaN if either is.
#[inline(always)]
fn pick<E: Expression>(better: E::Mask, a: E, b: E) -> E {
    let best = E::choose(better, b.clone(), a);
    E::choose(b.isnan(), b, best)
}

/// max(a, b) + ln(1 + e^-|a - b|)
#[inline(always)]
fn logaddexp<E: Expression>(a: E, b: E) -> E {
    // Equal infinities have no difference.
    let apart = (a.clone() - b.clone()).abs().with(a.eq_other(&b), 0.0);
    pick(a.lt_other(&b), a, b) + (-apart).exp().log1p()
}
