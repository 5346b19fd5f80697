//! The numbers of an expression that is being written down.

use super::program::{Action, write};
use crate::function::{Elementwise, Expr, Pairwise, elementwise, pairwise};
use crate::ops::elementwise as one;
use crate::ops::pairwise as two;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};
use tensor_core::Expression;

/// Where a condition on an [`Expr`] holds.
///
/// ```
/// use tapegrad::{Expr, Tensor, fused};
/// let f = fused(|[x]: [Expr; 1]| (x.clone().gt(0.0) & x.clone().lt(2.0)).where_cond(x, 0.0));
/// assert_eq!(f.call([&Tensor::from([-1.0, 1.0, 3.0])])?.to_vec(), [0.0, 1.0, 0.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Condition(Expr);

// What a program uses beside the functions of tensors. Conditions are the numbers 1 and 0, through which no gradient flows.
pub(crate) static TIMES: Elementwise =
    elementwise!("mul", (c) | x | x.times(c), Nothing | g, _v | g.times(c));
pub(crate) static PLUS: Elementwise = elementwise!(
    "add",
    (c) | x | x.plus(c),
    Nothing | g,
    v | {
        let _ = (v, c);
        g
    }
);
pub(crate) static NEGATE: Elementwise = elementwise!("neg", () | x | -x, Nothing | g, _v | -g);
pub(crate) static ABS: Elementwise = elementwise!("abs", () | x | x.abs(), Input | g, x | g * x.sign());
static FINITE: Elementwise = elementwise!(
    "finite",
    () | x | x.finite(),
    Input | g,
    x | {
        let infinite = x.abs().eq_number(f64::INFINITY);
        g.with(infinite, 0.0)
    }
);
pub(crate) static ADD: Pairwise = pairwise!("add", |a, b| a + b, |g, _a, _b| g, |g, _a, _b| g);
pub(crate) static SUB: Pairwise = pairwise!("sub", |a, b| a - b, |g, _a, _b| g, |g, _a, _b| -g);
pub(crate) static MUL: Pairwise = pairwise!("mul", |a, b| a * b, |g, _a, b| g * b, |g, a, _b| g * a);
pub(crate) static DIV: Pairwise =
    pairwise!("div", |a, b| a / b, |g, _a, b| g / b, |g, a, b| -(g * (a / b.clone()) / b));

macro_rules! conditions {
    ($($NAME:ident |$x:ident| $holds:expr;)*) => { $(
        static $NAME: Elementwise = elementwise!("compare", (c) |x| {
            let _ = c;
            let $x = (&x, c);
            let holds = $holds;
            x.nothing().with(holds, 1.0)
        }, Nothing |g, _v| {
            let _ = c;
            g.nothing()
        });
    )* };
}
conditions! {
    IS |x| x.0.eq_number(x.1);
    UNDER |x| x.0.lt_number(x.1);
    AT_MOST |x| x.0.le_number(x.1);
    OVER |x| x.0.gt_number(x.1);
    ISNAN |x| x.0.isnan();
}
static BELOW: Pairwise = pairwise!(
    "compare",
    |a, b| {
        let holds = a.lt_other(&b);
        a.nothing().with(holds, 1.0)
    },
    |g, _a, _b| g.nothing(),
    |g, _a, _b| g.nothing()
);
static SAME: Pairwise = pairwise!(
    "compare",
    |a, b| {
        let holds = a.eq_other(&b);
        a.nothing().with(holds, 1.0)
    },
    |g, _a, _b| g.nothing(),
    |g, _a, _b| g.nothing()
);
static AT_MOST_OTHER: Pairwise = pairwise!(
    "compare",
    |a, b| {
        let (less, equal) = (a.lt_other(&b), a.eq_other(&b));
        a.nothing().with(less, 1.0).with(equal, 1.0)
    },
    |g, _a, _b| g.nothing(),
    |g, _a, _b| g.nothing()
);
static BOTH: Pairwise = pairwise!("both", |a, b| a * b, |g, _a, _b| g.nothing(), |g, _a, _b| g.nothing());

impl Expr {
    fn number(c: f64) -> Self {
        write(Action::Number(c), &[])
    }

    fn one(self, f: &'static Elementwise, parameters: [f64; 2]) -> Self {
        write(Action::One(f, parameters), &[self])
    }

    fn two(self, f: &'static Pairwise, other: Self) -> Self {
        write(Action::Two(f), &[self, other])
    }
}

macro_rules! functions {
    ($($name:ident $NAME:ident;)*) => {
        impl Expr { $(
            #[doc = concat!("See [`Tensor::", stringify!($name), "`](crate::Tensor::", stringify!($name), ").")]
            #[must_use]
            pub fn $name(self) -> Self {
                self.one(&one::$NAME, [0.0; 2])
            }
        )* }
    };
}
functions! {
    exp EXP; exp2 EXP2; expm1 EXPM1; log LOG; log2 LOG2; log10 LOG10; log1p LOG1P; sqrt SQRT; rsqrt RSQRT; square SQUARE;
    reciprocal RECIPROCAL; sin SIN; cos COS; tan TAN; asin ASIN; acos ACOS; atan ATAN; sinh SINH; cosh COSH; tanh TANH;
    asinh ASINH; acosh ACOSH; atanh ATANH; sigmoid SIGMOID; softplus SOFTPLUS; relu RELU; silu SILU; gelu GELU;
    log_sigmoid LOG_SIGMOID; erf ERF; erfc ERFC; erfinv ERFINV; logit LOGIT; sinc SINC; lgamma LGAMMA; sign SIGN; floor FLOOR; ceil CEIL; trunc TRUNC; round ROUND;
}

impl Expr {
    /// See [`Tensor::abs`](crate::Tensor::abs).
    #[must_use]
    pub fn abs(self) -> Self {
        self.one(&ABS, [0.0; 2])
    }

    /// See [`Tensor::powf`](crate::Tensor::powf).
    #[must_use]
    pub fn powf(self, p: f64) -> Self {
        self.one(&one::POWF, [p, 0.0])
    }

    /// See [`Tensor::clamp`](crate::Tensor::clamp).
    #[must_use]
    pub fn clamp(self, min: f64, max: f64) -> Self {
        self.one(&one::CLAMP, [min, max])
    }
}

macro_rules! pairs {
    ($($name:ident $NAME:ident;)*) => {
        impl Expr { $(
            #[doc = concat!("See [`Tensor::", stringify!($name), "`](crate::Tensor::", stringify!($name), ").")]
            #[must_use]
            pub fn $name(self, other: Self) -> Self {
                self.two(&two::$NAME, other)
            }
        )* }
    };
}
pairs! {
    maximum MAXIMUM; minimum MINIMUM; atan2 ATAN2; hypot HYPOT; pow POW; xlogy XLOGY; logaddexp LOGADDEXP;
}

impl From<f64> for Expr {
    fn from(c: f64) -> Self {
        Expr::number(c)
    }
}

impl Expr {
    /// Where this is less.
    #[must_use]
    pub fn lt(self, other: impl Into<Expr>) -> Condition {
        Condition(self.two(&BELOW, other.into()))
    }

    /// Where this is greater.
    #[must_use]
    pub fn gt(self, other: impl Into<Expr>) -> Condition {
        Condition(other.into().two(&BELOW, self))
    }

    /// Where this is less or equal.
    #[must_use]
    pub fn le(self, other: impl Into<Expr>) -> Condition {
        Condition(self.two(&AT_MOST_OTHER, other.into()))
    }

    /// Where this is greater or equal.
    #[must_use]
    pub fn ge(self, other: impl Into<Expr>) -> Condition {
        Condition(other.into().two(&AT_MOST_OTHER, self))
    }

    /// Where this is equal.
    #[must_use]
    pub fn eq(self, other: impl Into<Expr>) -> Condition {
        Condition(self.two(&SAME, other.into()))
    }

    /// The value without its derivative.
    #[must_use]
    pub fn detach(self) -> Self {
        write(Action::Constant, &[self])
    }
}

impl Condition {
    /// `a` where the condition holds, else `b`: chosen, so that nothing of the other leaks.
    #[must_use]
    pub fn where_cond(self, a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
        write(Action::Choose, &[self.0, a.into(), b.into()])
    }
}

impl BitAnd for Condition {
    type Output = Condition;
    fn bitand(self, other: Condition) -> Condition {
        Condition(self.0.two(&BOTH, other.0))
    }
}

impl BitOr for Condition {
    type Output = Condition;
    fn bitor(self, other: Condition) -> Condition {
        !(!self & !other)
    }
}

impl Not for Condition {
    type Output = Condition;
    fn not(self) -> Condition {
        Condition(self.0.one(&IS, [0.0; 2]))
    }
}

macro_rules! operators {
    ($($Trait:ident $method:ident $NAME:ident |$x:ident, $c:ident| $right:expr, $left:expr;)*) => { $(
        impl $Trait for Expr {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                self.two(&$NAME, other)
            }
        }

        impl $Trait<f64> for Expr {
            type Output = Expr;
            fn $method(self, $c: f64) -> Expr {
                let $x = self;
                $right
            }
        }

        impl $Trait<Expr> for f64 {
            type Output = Expr;
            fn $method(self, $x: Expr) -> Expr {
                let $c = self;
                $left
            }
        }
    )* };
}
operators! {
    Add add ADD |x, c| x.one(&PLUS, [c, 0.0]), x.one(&PLUS, [c, 0.0]);
    Sub sub SUB |x, c| x.one(&PLUS, [-c, 0.0]), (-x).one(&PLUS, [c, 0.0]);
    Mul mul MUL |x, c| x.one(&TIMES, [c, 0.0]), x.one(&TIMES, [c, 0.0]);
    Div div DIV |x, c| x.two(&DIV, Expr::number(c)), Expr::number(c).two(&DIV, x);
}

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.one(&NEGATE, [0.0; 2])
    }
}

macro_rules! own_methods {
    ($($name:ident)*) => { $(
        fn $name(self) -> Self {
            Expr::$name(self)
        }
    )* };
}

impl Expression for Expr {
    type Mask = Condition;

    own_methods!(abs square reciprocal sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh);
    own_methods!(asinh acosh atanh sigmoid softplus silu gelu erf erfc erfinv lgamma floor ceil trunc round sign);
    fn times(self, c: f64) -> Self {
        self * c
    }
    fn plus(self, c: f64) -> Self {
        self + c
    }
    fn power(self, p: f64) -> Self {
        self.powf(p)
    }
    fn pow(self, p: Self) -> Self {
        Expr::pow(self, p)
    }
    fn hypot(self, other: Self) -> Self {
        Expr::hypot(self, other)
    }
    fn atan2(self, x: Self) -> Self {
        Expr::atan2(self, x)
    }
    fn direction(self, other: Self) -> Self {
        self.two(&two::DIRECTION, other)
    }
    fn over_square(self, other: Self) -> Self {
        self.two(&two::OVER_SQUARE, other)
    }
    fn polygamma(self, n: u64) -> Self {
        self.one(&one::POLYGAMMA, [n as f64, 0.0])
    }
    fn sinc(self, n: u64) -> Self {
        self.one(&one::SINC, [n as f64, 0.0])
    }
    fn sech_square(self) -> Self {
        self.one(&one::SECH_SQUARE, [0.0; 2])
    }
    fn one_minus_square(self) -> Self {
        self.one(&one::ONE_MINUS_SQUARE, [0.0; 2])
    }
    fn silu_slope(self) -> Self {
        self.one(&one::SILU_SLOPE, [0.0; 2])
    }
    fn gelu_slope(self) -> Self {
        self.one(&one::GELU_SLOPE, [0.0; 2])
    }
    fn nothing(self) -> Self {
        Expr::number(0.0)
    }
    fn constant(self) -> Self {
        self.detach()
    }
    fn within(self, bound: f64) -> Self {
        self.clamp(-bound, bound)
    }
    fn finite(self) -> Self {
        self.one(&FINITE, [0.0; 2])
    }
    fn eq_number(&self, c: f64) -> Condition {
        Condition(self.one(&IS, [c, 0.0]))
    }
    fn lt_other(&self, other: &Self) -> Condition {
        self.lt(*other)
    }
    fn eq_other(&self, other: &Self) -> Condition {
        self.eq(*other)
    }
    fn lt_number(&self, c: f64) -> Condition {
        Condition(self.one(&UNDER, [c, 0.0]))
    }
    fn le_number(&self, c: f64) -> Condition {
        Condition(self.one(&AT_MOST, [c, 0.0]))
    }
    fn gt_number(&self, c: f64) -> Condition {
        Condition(self.one(&OVER, [c, 0.0]))
    }
    fn isnan(&self) -> Condition {
        Condition(self.one(&ISNAN, [0.0; 2]))
    }
    fn both(a: Condition, b: Condition) -> Condition {
        a & b
    }
    fn choose(mask: Condition, a: Self, b: Self) -> Self {
        mask.where_cond(a, b)
    }
    fn with(self, mask: Condition, c: f64) -> Self {
        mask.where_cond(c, self)
    }
}
