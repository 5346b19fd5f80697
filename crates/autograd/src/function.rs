//! Differentiable functions of elements, as values: all that one holds is compiled where it is made, as a `static`.

use crate::tensor::Tensor;
use tensor_core::{EachFloat, Expressed, Float, ForFloat, Function, Parameters};

/// A number of an expression that [`fused`](crate::fused) makes a function of: it has the operators, with other such
/// numbers and with plain ones, and the functions, comparisons and choices of tensors under their names.
#[derive(Clone, Copy, Debug)]
pub struct Expr {
    pub(crate) place: u32,
}

/// What a function's cotangent is computed from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reads {
    Nothing,
    Input,
    Output,
}

/// A differentiable function of one element.
pub(crate) struct Elementwise {
    pub(crate) name: &'static str,
    pub(crate) reads: Reads,
    pub(crate) value: Function<1>,
    pub(crate) cotangent: Function<2>,
    pub(crate) cotangent_of_tensors: EachFloat<CotangentOf>,
    pub(crate) cotangent_of_expr: fn(Parameters, [Expr; 2]) -> Expr,
}

/// A cotangent over tensors.
pub(crate) struct CotangentOf;

impl ForFloat for CotangentOf {
    type Of<T: Float> = fn(Parameters, [Tensor<T>; 2]) -> Tensor<T>;
}

impl Elementwise {
    pub(crate) const fn of<Value: Expressed<1>, Cotangent: Expressed<2>>(
        name: &'static str,
        reads: Reads,
    ) -> Self {
        Elementwise {
            name,
            reads,
            value: Function::<1>::of::<Value>(),
            cotangent: Function::<2>::of::<Cotangent>(),
            cotangent_of_tensors: EachFloat { f32: Cotangent::value, f64: Cotangent::value },
            cotangent_of_expr: Cotangent::value,
        }
    }

    /// The value.
    pub(crate) fn value(&'static self) -> &'static Function<1> {
        &self.value
    }

    /// The cotangent of x for that of y = f(x), written down.
    pub(crate) fn cotangent_of_expr(&self, parameters: Parameters, g: Expr, x: Expr, y: Expr) -> Expr {
        let v = match self.reads {
            Reads::Nothing => g,
            Reads::Input => x,
            Reads::Output => y,
        };
        (self.cotangent_of_expr)(parameters, [g, v])
    }
}

/// A function: its name, its parameters, its value, and its cotangent.
macro_rules! elementwise {
    ($name:expr, ($($p:ident),*) |$x:ident| $value:expr, $Reads:ident |$g:ident, $v:ident| $cotangent:expr) => {{
        struct Value;
        impl ::tensor_core::Expressed<1> for Value {
            #[inline(always)]
            fn value<E: ::tensor_core::Expression>([$($p,)* ..]: ::tensor_core::Parameters, [$x]: [E; 1]) -> E {
                $value
            }
        }
        struct Cotangent;
        impl ::tensor_core::Expressed<2> for Cotangent {
            #[inline(always)]
            fn value<E: ::tensor_core::Expression>([$($p,)* ..]: ::tensor_core::Parameters, [$g, $v]: [E; 2]) -> E {
                $(let _ = $p;)*
                $cotangent
            }
        }
        $crate::function::Elementwise::of::<Value, Cotangent>(
            $name,
            $crate::function::Reads::$Reads,
        )
    }};
}
pub(crate) use elementwise;

/// Functions of two elements have no parameters.
pub(crate) const NONE: Parameters = [0.0; 2];

/// A differentiable function of two elements.
pub(crate) struct Pairwise {
    pub(crate) name: &'static str,
    pub(crate) value: Function<2>,
    pub(crate) cotangents: [Function<3>; 2],
    pub(crate) cotangents_of_tensors: EachFloat<CotangentsOf>,
    pub(crate) cotangents_of_expr: [fn(Parameters, [Expr; 3]) -> Expr; 2],
}

/// The cotangents over tensors.
pub(crate) struct CotangentsOf;

impl ForFloat for CotangentsOf {
    type Of<T: Float> = [fn(Parameters, [Tensor<T>; 3]) -> Tensor<T>; 2];
}

impl Pairwise {
    pub(crate) const fn of<Value: Expressed<2>, Left: Expressed<3>, Right: Expressed<3>>(
        name: &'static str,
    ) -> Self {
        Pairwise {
            name,
            value: Function::<2>::of::<Value>(),
            cotangents: [Function::<3>::of::<Left>(), Function::<3>::of::<Right>()],
            cotangents_of_tensors: EachFloat {
                f32: [Left::value, Right::value],
                f64: [Left::value, Right::value],
            },
            cotangents_of_expr: [Left::value, Right::value],
        }
    }

    /// The value.
    pub(crate) fn value(&'static self) -> &'static Function<2> {
        &self.value
    }

    /// The cotangent of argument `k` for that of the value, written down.
    pub(crate) fn cotangent_of_expr(&self, k: usize, g: Expr, a: Expr, b: Expr) -> Expr {
        (self.cotangents_of_expr[k])(NONE, [g, a, b])
    }
}

/// A function: its name, its value, and the cotangent of each argument.
macro_rules! pairwise {
    ($name:expr, |$a:ident, $b:ident| $value:expr,
        |$lg:ident, $la:ident, $lb:ident| $left:expr,
        |$rg:ident, $ra:ident, $rb:ident| $right:expr) => {{
        struct Value;
        impl ::tensor_core::Expressed<2> for Value {
            #[inline(always)]
            fn value<E: ::tensor_core::Expression>(_: ::tensor_core::Parameters, [$a, $b]: [E; 2]) -> E {
                $value
            }
        }
        struct Left;
        impl ::tensor_core::Expressed<3> for Left {
            #[inline(always)]
            fn value<E: ::tensor_core::Expression>(
                _: ::tensor_core::Parameters,
                [$lg, $la, $lb]: [E; 3],
            ) -> E {
                $left
            }
        }
        struct Right;
        impl ::tensor_core::Expressed<3> for Right {
            #[inline(always)]
            fn value<E: ::tensor_core::Expression>(
                _: ::tensor_core::Parameters,
                [$rg, $ra, $rb]: [E; 3],
            ) -> E {
                $right
            }
        }
        $crate::function::Pairwise::of::<Value, Left, Right>($name)
    }};
}
pub(crate) use pairwise;
