//! Operations that are compiled in the crate that writes them.

/// [`apply`](crate::apply) for an operation of a library: compiled in the crate that writes this, once for each element type of a
/// bound, with its rule and whatever that calls, and not anew in every program. Within a method that is
/// `#[track_caller]`, and not in a closure there.
///
/// ```
/// # use tapegrad::{Array, Float, Kept, Op, Result, Tensor, apply_once, formula, kernels};
/// # struct Half;
/// # impl<T: Float> Op<T, 1> for Half {
/// #     fn name(&self) -> &'static str {
/// #         "half"
/// #     }
/// #     fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
/// #         kernels::map("half", x, &formula!(|x: T| x * T::of(0.5)))
/// #     }
/// #     fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
/// #         Ok([Some(half(&g)?)])
/// #     }
/// # }
/// #[track_caller]
/// pub fn half<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
///     apply_once!(T: Float, Half => Half, [x])
/// }
/// assert_eq!(half(&Tensor::scalar(3.0))?.item()?, 1.5);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// `owned [x, y]` takes the operands by value, as [`apply_owned`](crate::apply_owned) does; `many x` takes a slice, as [`apply_many`](crate::apply_many).
#[macro_export]
macro_rules! apply_once {
    ($T:ident: $Bound:ident, $op:expr => $Op:ty, [$($x:expr),+ $(,)?]) => {{
        $crate::tensor_core::compiled_once! {
            fn applied<$T: $Bound>(
                here: &'static ::std::panic::Location<'static>,
                op: $Op,
                x: [&$crate::Tensor<$T>; [$(stringify!($x)),+].len()],
            ) -> $crate::tensor_core::Result<$crate::Tensor<$T>> {
                $crate::apply_at(here, op, x)
            }
        }
        applied(::std::panic::Location::caller(), $op, [$($x),+])
    }};
    ($T:ident: $Bound:ident, $op:expr => $Op:ty, owned [$($x:expr),+ $(,)?]) => {{
        $crate::tensor_core::compiled_once! {
            fn applied<$T: $Bound>(
                here: &'static ::std::panic::Location<'static>,
                op: $Op,
                x: [$crate::Tensor<$T>; [$(stringify!($x)),+].len()],
            ) -> $crate::tensor_core::Result<$crate::Tensor<$T>> {
                $crate::apply_owned_at(here, op, x)
            }
        }
        applied(::std::panic::Location::caller(), $op, [$($x),+])
    }};
    ($T:ident: $Bound:ident, $op:expr => $Op:ty, many $x:expr) => {{
        $crate::tensor_core::compiled_once! {
            fn applied<$T: $Bound>(
                here: &'static ::std::panic::Location<'static>,
                op: $Op,
                x: &[&$crate::Tensor<$T>],
            ) -> $crate::tensor_core::Result<::std::vec::Vec<$crate::Tensor<$T>>> {
                $crate::apply_many_at(here, op, x)
            }
        }
        applied(::std::panic::Location::caller(), $op, $x)
    }};
}
