//! Functions of two elements, broadcast.
//!
//! A function is its value and the cotangents of its two arguments, in PyTorch's notation: `g` is
//! the output's cotangent, `a` and `b` the arguments. As in `elementwise.rs` each expression is read
//! twice: as one pass over scalars in first order, over tensors under `create_graph`.

use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::{Array, Expression, Float, Formula, Result, Text, formula, kernels};

/// A differentiable function of two elements.
trait Pair: Copy + Send + Sync + 'static {
    const NAME: &'static str;
    fn value<E: Expression>(self, a: E, b: E) -> E;
    fn left<E: Expression>(self, g: E, a: E, b: E) -> E;
    fn right<E: Expression>(self, g: E, a: E, b: E) -> E;
}

/// A [`Pair`] applied to every two elements.
struct Each<F>(F);

impl<T: Float, F: Pair> Op<T, 2> for Each<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::zip(F::NAME, a, b, formula!(|a: T, b: T| self.0.value(a, b)))
    }

    fn keep(&self, [left, right]: [bool; 2]) -> Keep<2> {
        Keep::inputs([left || right; 2])
    }

    fn batches(&self) -> bool {
        true
    }
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let f = self.0;
        if kept.create_graph() {
            let (a, b) = (kept.input(0), kept.input(1));
            return Ok([
                kept.wrt(0, || Ok(f.left(g.clone(), a.clone(), b.clone())))?,
                kept.wrt(1, || Ok(f.right(g.clone(), a.clone(), b.clone())))?,
            ]);
        }
        Ok([
            kept.wrt(0, || pass(F::NAME, &g, kept, formula!(|g: T, a: T, b: T| f.left(g, a, b))))?,
            kept.wrt(1, || pass(F::NAME, &g, kept, formula!(|g: T, a: T, b: T| f.right(g, a, b))))?,
        ])
    }
}

/// A cotangent in one pass over scalars.
fn pass<T: Float>(
    op: &'static str,
    g: &Tensor<T>,
    kept: &Kept<'_, T, 2>,
    f: Formula<impl Fn(T, T, T) -> T + Sync, impl Text<3>>,
) -> Result<Tensor<T>> {
    Ok(kernels::zip3(op, g.array(), kept.input_array(0), kept.input_array(1), f)?.into())
}

/// Its name, its value, the cotangent of each argument, and its method.
macro_rules! pairs {
    ($( $(#[$doc:meta])* $name:ident $Name:ident |$a:ident, $b:ident| $value:expr,
        |$lg:ident, $la:ident, $lb:ident| $left:expr,
        |$rg:ident, $ra:ident, $rb:ident| $right:expr; )*) => { $(
        #[derive(Clone, Copy)]
        struct $Name;

        impl Pair for $Name {
            const NAME: &'static str = stringify!($name);
            #[inline(always)]
            fn value<E: Expression>(self, $a: E, $b: E) -> E {
                $value
            }
            #[inline(always)]
            fn left<E: Expression>(self, $lg: E, $la: E, $lb: E) -> E {
                $left
            }
            #[inline(always)]
            fn right<E: Expression>(self, $rg: E, $ra: E, $rb: E) -> E {
                $right
            }
        }

        impl<T: Float> Tensor<T> {
            $(#[$doc])*
            ///
            /// # Errors
            /// Shape, where the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: &Tensor<T>) -> Result<Self> {
                apply(Each($Name), [self, other])
            }
        }
    )* };
}

// The derivatives are those of PyTorch's derivatives.yaml unless the comment says otherwise. Where a
// factor is infinite or undefined, its argument is replaced before it is formed: a choice afterwards
// would be right in first order, and 0 times infinity in second.
pairs! {
    /// The larger of the two, NaN if either is; equal ones share the gradient evenly.
    maximum Maximum |a, b| pick(a.below(&b), a, b),
        |g, a, b| share(g, &b, &a),
        |g, a, b| share(g, &a, &b);
    /// The smaller of the two, NaN if either is; equal ones share the gradient evenly.
    minimum Minimum |a, b| pick(b.below(&a), a, b),
        |g, a, b| share(g, &a, &b),
        |g, a, b| share(g, &b, &a);
    /// The angle in radians of the points (x, y) = (`other`, `self`), from -pi to pi; its gradient at
    /// the origin is 0.
    atan2 Atan2 |a, b| a.atan2(b),
        |g, a, b| g * b.over_square(a),
        |g, a, b| -(g * a.over_square(b));
    /// The lengths of the vectors (`self`, `other`), without overflow on the way; the gradient at the
    /// origin is 0, where PyTorch's is NaN, and so are all derivatives after it.
    hypot Hypot |a, b| a.hypot(b),
        |g, a, b| g * a.direction(b),
        |g, a, b| g * b.direction(a);
    /// `self` to the power of `other`. The gradient of 0^0 is 0; that of 0^b with respect to b is 0
    /// for b >= 0, in every order.
    pow Pow |a, b| a.pow(b),
        |g, a, b| {
            // b a^(b - 1), and 0 at 0^0, where the factor is infinite, and where the factor is 0 and b infinite. As the
            // slope by b of 0^b is 0, this has none by b either.
            let flat = E::both(a.is(0.0), (-b.clone()).at_most(0.0));
            let b = E::choose(flat, b.clone().constant(), b);
            let origin = E::both(a.is(0.0), b.is(0.0));
            let factor = a.pow(b.clone().with(origin, 1.0).plus(-1.0));
            g * (b.finite() * factor)
        },
        |g, a, b| {
            // a^b ln a, and 0, as of 1^b, for a = 0 and b >= 0, and for a = inf and b < 0
            let flat = E::both(a.is(0.0), (-b.clone()).at_most(0.0));
            let far = E::both(a.is(f64::INFINITY), b.under(0.0));
            let a = a.with(flat, 1.0).with(far, 1.0);
            g * (a.clone().pow(b) * a.log())
        };
    /// `self` times the logarithm of `other`, and 0 where `self` is 0, unless `other` is NaN.
    xlogy Xlogy |a, b| {
            // 0 times whatever is not NaN
            let product = a.clone() * b.clone().log();
            let none = a.is(0.0);
            E::choose(b.isnan(), b, product.with(none, 0.0))
        },
        |g, a, b| {
            // ln b, and 0 for a = 0 and b <= 0
            let flat = E::both(a.is(0.0), b.at_most(0.0));
            g * b.with(flat, 1.0).log()
        },
        |g, a, b| g * (a / b);
    /// ln(e^a + e^b), without overflow. Equal infinities share the gradient evenly, as other equal numbers do.
    logaddexp Logaddexp |a, b| logaddexp(a, b),
        |g, a, b| g * (a.finite() - b.finite()).sigmoid(),
        |g, a, b| g * (b.finite() - a.finite()).sigmoid();
}

/// The cotangent of the argument that wins where it is not below (in `minimum`: above) the other.
#[inline(always)]
fn share<E: Expression>(g: E, low: &E, high: &E) -> E {
    let (wins, loses) = (low.below(high), high.below(low));
    // Neither is so where they are equal, or one is NaN, when both get everything.
    let equal = E::choose(low.same(high), g.clone().times(0.5), g.clone());
    E::choose(wins, g, equal.with(loses, 0.0))
}

/// The length of (a, b), and 1 at the origin.
#[inline(always)]
fn length<E: Expression>(a: E, b: E) -> E {
    let origin = E::both(a.is(0.0), b.is(0.0));
    // At the origin the length has a kink, and its own rule no second derivative.
    a.with(origin.clone(), 1.0).hypot(b.with(origin, 0.0))
}

/// a over the length of (a, b), and 0 at the origin: the slope of hypot by a.
#[derive(Clone, Copy)]
struct Direction;

impl Pair for Direction {
    const NAME: &'static str = "direction";
    #[inline(always)]
    fn value<E: Expression>(self, a: E, b: E) -> E {
        a.direction(b)
    }
    /// grad w^2 / length, where w is the direction of b: 1 minus the square of that of a
    #[inline(always)]
    fn left<E: Expression>(self, g: E, a: E, b: E) -> E {
        let w = b.clone().direction(a.clone());
        g * (w.clone() / length(a, b) * w)
    }
    /// -grad v w / length, where v is the direction of a
    #[inline(always)]
    fn right<E: Expression>(self, g: E, a: E, b: E) -> E {
        let (v, w) = (a.clone().direction(b.clone()), b.clone().direction(a.clone()));
        -(g * (v / length(a, b) * w))
    }
}

/// a / (a^2 + b^2), and 0 at the origin: the slope of atan2 by its other argument.
#[derive(Clone, Copy)]
struct OverSquare;

impl Pair for OverSquare {
    const NAME: &'static str = "over_square";
    #[inline(always)]
    fn value<E: Expression>(self, a: E, b: E) -> E {
        a.over_square(b)
    }
    /// grad (b - a)(b + a) / length^4, factor by factor; halves, so that neither sum leaves the range
    #[inline(always)]
    fn left<E: Expression>(self, g: E, a: E, b: E) -> E {
        let length = length(a.clone(), b.clone());
        let (a, b) = (a.finite().times(0.5), b.finite().times(0.5));
        let difference = (b.clone() - a.clone()) / length.clone() / length.clone();
        let sum = (b + a) / length.clone() / length;
        g * (difference * sum).times(4.0)
    }
    /// -2 grad a b / length^4
    #[inline(always)]
    fn right<E: Expression>(self, g: E, a: E, b: E) -> E {
        g * (a.clone().over_square(b.clone()) * b.over_square(a)).times(-2.0)
    }
}

/// -t ln p - (1 - t) ln(1 - p) for p = sigmoid(x).
#[derive(Clone, Copy)]
struct LogitLoss;

impl Pair for LogitLoss {
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    /// (1 - t) x + max(-x, 0) + ln(1 + e^-|x|), where the first two are w |x| for the weight w of the wrong side: for t
    /// from 0 to 1 nothing cancels. Without weight nothing counts, an infinite logit neither.
    #[inline(always)]
    fn value<E: Expression>(self, x: E, t: E) -> E {
        let weight = E::choose(x.under(0.0), t.clone(), (-t).plus(1.0));
        let none = weight.is(0.0);
        let size = x.abs();
        (size.clone() * weight).with(none, 0.0) + (-size).exp().log1p()
    }
    /// p - t, as (1 - t) p - t (1 - p)
    #[inline(always)]
    fn left<E: Expression>(self, g: E, x: E, t: E) -> E {
        let wrong = (-t.clone()).plus(1.0) * x.clone().sigmoid();
        g * (wrong - t * (-x).sigmoid())
    }
    /// -x
    #[inline(always)]
    fn right<E: Expression>(self, g: E, x: E, _: E) -> E {
        -(g * x)
    }
}

impl<T: Float> Tensor<T> {
    #[track_caller]
    pub(super) fn direction(&self, other: &Tensor<T>) -> Result<Self> {
        apply(Each(Direction), [self, other])
    }

    #[track_caller]
    pub(super) fn over_square(&self, other: &Tensor<T>) -> Result<Self> {
        apply(Each(OverSquare), [self, other])
    }

    /// The elements of `binary_cross_entropy_with_logits`.
    #[track_caller]
    pub(super) fn logit_loss(&self, target: &Tensor<T>) -> Result<Self> {
        apply(Each(LogitLoss), [self, target])
    }
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
    let apart = (a.clone() - b.clone()).abs().with(a.same(&b), 0.0);
    pick(a.below(&b), a, b) + (-apart).exp().log1p()
}
