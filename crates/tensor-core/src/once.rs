//! Generic functions that are compiled in the crate that writes them, and not once more in every crate that calls them.

/// Compiles a generic function here, once for each element type of its bound, [`Element`](crate::Element),
/// [`Number`](crate::Number) or [`Float`](crate::Float): other crates call what this one holds. A function as it
/// stands is compiled anew in every crate that uses it, with all that it calls.
///
/// ```
/// use tapegrad::{Array, Float, Result, compiled_once, formula, kernels};
/// compiled_once! {
///     /// x e^x
///     pub fn x_exp_x<T: Float>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
///         kernels::map(op, x, &formula!(|x: T| x * x.exp()))
///     }
/// }
/// assert_eq!(x_exp_x("example", &Array::scalar(0.0))?.item("example")?, 0.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[macro_export]
macro_rules! compiled_once {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$T:ident: $Bound:ident>($($arg:ident: $Arg:ty),* $(,)?) -> $Out:ty $body:block
    )+) => { $(
        $(#[$meta])*
        #[inline]
        $vis fn $name<$T: $Bound>($($arg: $Arg),*) -> $Out {
            #[allow(clippy::too_many_arguments, reason = "the caller's are no fewer")]
            fn once<$T: $Bound>($($arg: $Arg),*) -> $Out $body
            struct Signature;
            $crate::compiled_once!(@ $Bound, $T, fn($($Arg),*) -> $Out, ($($arg),*))
        }
    )+ };
    (@ Element, $T:ident, $Signature:ty, $args:tt) => {{
        impl $crate::ForElement for Signature {
            type Of<$T: $crate::Element> = $Signature;
        }
        static EACH: $crate::EachElement<Signature> = $crate::EachElement {
            f32: once::<f32>,
            f64: once::<f64>,
            i64: once::<i64>,
            bool: once::<bool>,
        };
        $crate::compiled_once!(@ call $T::of_elements(&EACH), $args)
    }};
    (@ Number, $T:ident, $Signature:ty, $args:tt) => {{
        impl $crate::ForNumber for Signature {
            type Of<$T: $crate::Number> = $Signature;
        }
        static EACH: $crate::EachNumber<Signature> =
            $crate::EachNumber { f32: once::<f32>, f64: once::<f64>, i64: once::<i64> };
        $crate::compiled_once!(@ call $T::of_numbers(&EACH), $args)
    }};
    (@ Float, $T:ident, $Signature:ty, $args:tt) => {{
        impl $crate::ForFloat for Signature {
            type Of<$T: $crate::Float> = $Signature;
        }
        static EACH: $crate::EachFloat<Signature> = $crate::EachFloat { f32: once::<f32>, f64: once::<f64> };
        $crate::compiled_once!(@ call $T::of_floats(&EACH), $args)
    }};
    (@ call $each:expr, ($($arg:ident),*)) => {
        $each($($arg),*)
    };
}

pub(crate) use compiled_once;
