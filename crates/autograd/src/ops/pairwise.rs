//! Functions of two elements, broadcast.
//!
//! A function is its value and the cotangents of its two arguments, in PyTorch's notation: `g` is
//! the output's cotangent, `a` and `b` the arguments. As in `elementwise.rs` each expression is read
//! twice: as one pass over scalars in first order, over tensors under `create_graph`.

use crate::function::{NONE, Pairwise, pairwise};
use crate::op::{Keep, Kept, Op, apply_at};
use crate::tensor::Tensor;
use std::panic::Location;
use tensor_core::{Array, Expression, Float, Result, compiled_once, kernels};

/// A [`Pairwise`] function applied to every two elements.
struct Each(&'static Pairwise);

impl<T: Float> Op<T, 2> for Each {
    fn name(&self) -> &'static str {
        self.0.name
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

    fn batches(&self) -> bool {
        true
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
            $vis fn $name(&self, other: &Tensor<T>) -> Result<Self> {
                each(&$NAME, self, other, Location::caller())
            }
        }
    )* };
}

// The derivatives are those of PyTorch's derivatives.yaml unless the comment says otherwise. Where a
// factor is infinite or undefined, its argument is replaced before it is formed: a choice afterwards
// would be right in first order, and 0 times infinity in second.
pairs! {
    /// The larger of the two, NaN if either is; equal ones share the gradient evenly.
    pub maximum MAXIMUM |a, b| pick(a.lt_other(&b), a, b),
        |g, a, b| share(g, &b, &a),
        |g, a, b| share(g, &a, &b);
    /// The smaller of the two, NaN if either is; equal ones share the gradient evenly.
    pub minimum MINIMUM |a, b| pick(b.lt_other(&a), a, b),
        |g, a, b| share(g, &a, &b),
        |g, a, b| share(g, &b, &a);
    /// The angle in radians of the points (x, y) = (`other`, `self`), from -pi to pi; its gradient at
    /// the origin is 0.
    pub atan2 ATAN2 |a, b| a.atan2(b),
        |g, a, b| g * b.over_square(a),
        |g, a, b| -(g * a.over_square(b));
    /// The lengths of the vectors (`self`, `other`), without overflow on the way; the gradient at the
    /// origin is 0, where PyTorch's is NaN, and so are all derivatives after it.
    pub hypot HYPOT |a, b| a.hypot(b),
        |g, a, b| g * a.direction(b),
        |g, a, b| g * b.direction(a);
    /// `self` to the power of `other`. The gradient of 0^0 is 0; that of 0^b with respect to b is 0
    /// for b >= 0, in every order.
    pub pow POW |a, b| a.pow(b),
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
