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
        |g, a, b| g * (b.clone() / square_sum(a, b)),
        |g, a, b| -(g * (a.clone() / square_sum(a, b)));
    /// The lengths of the vectors (`self`, `other`), without overflow on the way; the gradient at the
    /// origin is 0, where PyTorch's is NaN.
    hypot Hypot |a, b| a.hypot(b),
        |g, a, b| g * (a.clone() / length(a, b)),
        |g, a, b| g * (b.clone() / length(a, b));
    /// `self` to the power of `other`. The gradient of 0^0 is 0; that of 0^b with respect to b is 0
    /// for b >= 0, in every order.
    pow Pow |a, b| a.pow(b),
        |g, a, b| {
            // b a^(b - 1), and 0 at 0^0, where the factor is infinite
            let origin = E::both(a.is(0.0), b.is(0.0));
            let factor = a.pow(b.clone().with(origin, 1.0).plus(-1.0));
            g * (b * factor)
        },
        |g, a, b| {
            // a^b ln a, and 0 for a = 0 and b >= 0
            let flat = E::both(a.is(0.0), (-b.clone()).at_most(0.0));
            let slope = a.clone().pow(b) * a.with(flat.clone(), 1.0).log();
            g * slope.with(flat, 0.0)
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
    /// ln(e^a + e^b), without overflow.
    logaddexp Logaddexp |a, b| logaddexp(a, b),
        |g, a, b| g * (a - b).sigmoid(),
        |g, a, b| g * (b - a).sigmoid();
}

/// The cotangent of the argument that wins where it is not below (in `minimum`: above) the other.
#[inline(always)]
fn share<E: Expression>(g: E, low: &E, high: &E) -> E {
    let (wins, loses) = (low.below(high), high.below(low));
    // Neither is so where they are equal, or one is NaN, when both get everything.
    let equal = E::choose(low.same(high), g.clone().times(0.5), g.clone());
    E::choose(wins, g, equal.with(loses, 0.0))
}

/// a^2 + b^2, and 1 at the origin.
#[inline(always)]
fn square_sum<E: Expression>(a: E, b: E) -> E {
    let sum = a.square() + b.square();
    let origin = sum.is(0.0);
    sum.with(origin, 1.0)
}

/// The length of (a, b), and 1 at the origin.
#[inline(always)]
fn length<E: Expression>(a: E, b: E) -> E {
    let origin = E::both(a.is(0.0), b.is(0.0));
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
    let apart = (a.clone() - b.clone()).abs().with(a.same(&b), 0.0);
    pick(a.below(&b), a, b) + (-apart).exp().log1p()
}
