//! Functions of single elements as values, each written once and read three times: over numbers one by one, over
//! blocks of them, and as [`Code`], the text of a GPU's kernel.
//!
//! ```
//! use tapegrad::{Array, formula, kernels};
//! let x = Array::from_vec(vec![1.0, 2.0, 3.0], &[3])?;
//! let c = 0.5;
//! let y = kernels::map("cube", &x, &formula!(|x: f64| x * x * x * c))?;
//! assert_eq!(y.to_vec(), [0.5, 4.0, 13.5]);
//! # Ok::<(), tapegrad::Error>(())
//! ```

use crate::code::Code;
use crate::element::{EachFloat, Element, Float, ForFloat, Slice, SliceMut};
use crate::elementary::{Elementary, Lane};
use crate::expression::Expression;
use crate::simd::{Kernel, dispatch, dispatch_scalar, dispatch_vectors, has_vectors};
use smallvec::SmallVec;
use std::marker::PhantomData;

/// A function of elements of the types of the tuple `X`, with values of type `U`: what kernels that go over elements
/// take. They are compiled once, whatever the function.
///
/// ```
/// use tapegrad::{Array, formula, kernels};
/// let length = formula!(|x: f64, y: f64| (x * x + y * y).sqrt());
/// let x = Array::from_vec(vec![3.0, 0.0], &[2])?;
/// assert_eq!(kernels::zip("length", &x, &Array::scalar(4.0), &length)?.to_vec(), [5.0, 4.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub trait Formula<X, U>: Sync {
    /// The value at one place.
    fn one(&self, x: X) -> U;
    /// The values over slices of one length, of the types of this function; see [`Formula::spreads`].
    fn block(&self, out: SliceMut<'_>, x: &[Slice<'_>]);
    /// Whether an operand that is one number comes as a slice of that alone. Others read it as often as it is needed, from
    /// a slice that was filled with it: beside an addition, that would show.
    fn spreads(&self) -> bool {
        false
    }
    /// The value as code, None where there is none.
    fn text(&self, x: &[Code]) -> Option<Code>;
}

/// An element of each of any number of operands of one type, as a [`Formula`] takes them.
pub type Elements<T> = SmallVec<[T; 4]>;

/// out = f(x..) over slices of one length.
struct Loop<'a, X, U, F> {
    out: &'a mut [U],
    x: X,
    f: F,
}

impl<A: Copy, U, F: Fn(A) -> U> Kernel for Loop<'_, (&[A],), U, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, &a) in self.out.iter_mut().zip(self.x.0) {
            *out = (self.f)(a);
        }
    }
}

impl<A: Copy, B: Copy, U, F: Fn(A, B) -> U> Kernel for Loop<'_, (&[A], &[B]), U, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((out, &a), &b) in self.out.iter_mut().zip(self.x.0).zip(self.x.1) {
            *out = (self.f)(a, b);
        }
    }
}

impl<A: Copy, B: Copy, C: Copy, U, F: Fn(A, B, C) -> U> Kernel for Loop<'_, (&[A], &[B], &[C]), U, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (((out, &a), &b), &c) in self.out.iter_mut().zip(self.x.0).zip(self.x.1).zip(self.x.2) {
            *out = (self.f)(a, b, c);
        }
    }
}

/// A [`Formula`] of two closures, one over numbers and one over [`Code`]; [`formula!`](crate::formula!) makes both from
/// one expression.
///
/// ```
/// use tapegrad::{Array, Closures, Code, DType, cuda, kernels};
/// let f = Closures::new(|x: f64| x.cbrt(), |[x]: [Code; 1]| Code::cuda("cbrt($0)", DType::F64, &[x]));
/// assert_eq!(kernels::map("cbrt", &Array::scalar(-1.0), &f)?.to_vec(), [-1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct Closures<F, G> {
    value: F,
    code: G,
}

impl<F, G> Closures<F, G> {
    /// The readings of a function of `N` elements, where one expression does not do for both.
    pub const fn new<const N: usize>(value: F, code: G) -> Self
    where
        G: Fn([Code; N]) -> Code,
    {
        Closures { value, code }
    }
}

macro_rules! closures {
    ($N:literal: $($x:ident $X:ident $k:literal),+) => {
        impl<$($X: Element,)+ U: Element, F, G> Formula<($($X,)+), U> for Closures<F, G>
        where
            F: Fn($($X),+) -> U + Sync,
            G: Text<$N> + Sync,
        {
            #[inline]
            fn one(&self, ($($x,)+): ($($X,)+)) -> U {
                (self.value)($($x),+)
            }
            fn block(&self, out: SliceMut<'_>, x: &[Slice<'_>]) {
                dispatch(Loop { out: U::typed_mut(out), x: ($($X::typed(x[$k]),)+), f: &self.value });
            }
            fn text(&self, x: &[Code]) -> Option<Code> {
                self.code.text([$(x[$k]),+])
            }
        }
    };
}
closures!(1: a A 0);
closures!(2: a A 0, b B 1);
closures!(3: a A 0, b B 1, c C 2);

/// [`Closures`] with a loop for each operand that is one number, for functions that are compiled once, and that take no
/// longer than reading their operands.
pub struct Spreading<F>(pub F);

impl<A: Element, U: Element, F, G> Formula<(A,), U> for Spreading<Closures<F, G>>
where
    Closures<F, G>: Formula<(A,), U>,
{
    #[inline]
    fn one(&self, x: (A,)) -> U {
        self.0.one(x)
    }
    fn block(&self, out: SliceMut<'_>, x: &[Slice<'_>]) {
        self.0.block(out, x);
    }
    fn text(&self, x: &[Code]) -> Option<Code> {
        self.0.text(x)
    }
}

impl<A: Element, B: Element, U: Element, F, G> Formula<(A, B), U> for Spreading<Closures<F, G>>
where
    F: Fn(A, B) -> U + Sync,
    Closures<F, G>: Formula<(A, B), U>,
{
    #[inline]
    fn one(&self, x: (A, B)) -> U {
        self.0.one(x)
    }
    fn block(&self, out: SliceMut<'_>, x: &[Slice<'_>]) {
        let (out, f) = (U::typed_mut(out), &self.0.value);
        match (A::typed(x[0]), B::typed(x[1])) {
            (&[a], &[b]) => out.fill(f(a, b)),
            (a, &[b]) => dispatch(Loop { out, x: (a,), f: |a| f(a, b) }),
            (&[a], b) => dispatch(Loop { out, x: (b,), f: |b| f(a, b) }),
            (a, b) => dispatch(Loop { out, x: (a, b), f }),
        }
    }
    fn spreads(&self) -> bool {
        true
    }
    fn text(&self, x: &[Code]) -> Option<Code> {
        self.0.text(x)
    }
}

/// A function of elements as one expression over its arguments, whose types are named:
/// `formula!(|x: T, y: T| (x - y).exp())`. Where the operands are on a GPU, the expression is read over
/// [`Code`], which has the operators, the methods of [`Expression`](crate::Expression), and takes captured numbers as operands on
/// the right.
#[macro_export]
macro_rules! formula {
    (|$($x:ident: $T:ty),+| $body:expr) => {
        // Captured numbers are copied: read through references they would be loaded again for each element.
        $crate::Closures::new(move |$($x: $T),+| $body, move |[$($x),+]| {
            #[allow(unused_imports, reason = "operators alone need no method of the trait")]
            use $crate::Expression as _;
            $body
        })
    };
}

/// A function that only the CPU has; on a GPU it is an error.
///
/// ```
/// use tapegrad::{Array, kernels, on_cpu};
/// let x = Array::from_vec(vec![0.0, 1.0], &[2])?;
/// assert_eq!(kernels::map("bits", &x, &on_cpu(|x: f64| x.to_bits() as i64))?.to_vec()[0], 0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn on_cpu<F>(value: F) -> Closures<F, OnCpu> {
    Closures { value, code: OnCpu }
}

/// The missing text of [`on_cpu`].
pub struct OnCpu;

/// What writes a function of `N` elements down.
pub trait Text<const N: usize> {
    /// The value as code, None where there is none.
    fn text(&self, x: [Code; N]) -> Option<Code>;
}

impl<const N: usize, G: Fn([Code; N]) -> Code> Text<N> for G {
    fn text(&self, x: [Code; N]) -> Option<Code> {
        Some(self(x))
    }
}

impl<const N: usize> Text<N> for OnCpu {
    fn text(&self, _: [Code; N]) -> Option<Code> {
        None
    }
}

/// The numbers that a [`Function`] has beside its arguments.
pub type Parameters = [f64; 2];

/// One expression of `N` numbers, for whatever it is read over.
pub trait Expressed<const N: usize>: 'static {
    /// The value.
    fn value<E: Expression>(parameters: Parameters, x: [E; N]) -> E;
}

/// A function of `N` floating-point numbers of one type that is compiled where this is made, as a `static`; see
/// [`function!`](crate::function!).
pub struct Function<const N: usize> {
    readings: EachFloat<ReadingsOf<N>>,
    text: fn(Parameters, [Code; N]) -> Code,
}

struct Readings<T, const N: usize> {
    /// Of the standard library's functions: where there are no vectors, or they do not reach.
    slow: fn(Parameters, [T; N]) -> T,
    one: fn(Parameters, [T; N]) -> T,
    /// Whether there are values that have to be computed one by one.
    block: fn(Parameters, &mut [T], [&[T]; N]) -> bool,
    /// Whether a value is one of those.
    unknown: fn(T) -> bool,
}

struct ReadingsOf<const N: usize>;

impl<const N: usize> ForFloat for ReadingsOf<N> {
    type Of<T: Float> = Readings<T, N>;
}

/// A [`Function`] and its parameters: a [`Formula`].
#[derive(Clone, Copy)]
pub struct Applied<const N: usize> {
    function: &'static Function<N>,
    parameters: Parameters,
}

impl<const N: usize> Function<N> {
    /// The function of these parameters.
    pub const fn with(&'static self, parameters: Parameters) -> Applied<N> {
        Applied { function: self, parameters }
    }
}

/// out = f(x..) over slices of one length.
struct Block<'a, T, F, const N: usize> {
    parameters: Parameters,
    out: &'a mut [T],
    x: [&'a [T]; N],
    f: PhantomData<F>,
}

/// f(x..), to the last bit as in a block.
struct One<T, F, const N: usize> {
    parameters: Parameters,
    x: [T; N],
    f: PhantomData<F>,
}

/// Functions of each number of arguments. Over arrays of slices, one loop for all of them is several times as much work
/// for the compiler.
macro_rules! functions {
    ($N:literal: $($T:ident $x:ident $k:literal),+) => {
        impl<T: Elementary, F: Expressed<$N>> Kernel for Block<'_, T, F, $N> {
            /// Whether a value is marked as unknown.
            type Output = bool;
            #[inline(always)]
            fn run<const FMA: bool>(self) -> bool {
                let Block { parameters, out, x: [$($x),+], .. } = self;
                $(let $x = &$x[..out.len()];)+
                let mut far = false;
                for k in 0..out.len() {
                    if FMA {
                        let y = F::value(parameters, [$(Lane::of($x[k])),+]);
                        out[k] = y.known();
                        far |= y.far;
                    } else {
                        out[k] = F::value(parameters, [$($x[k]),+]);
                    }
                }
                far
            }
        }

        impl<T: Elementary, F: Expressed<$N>> Kernel for One<T, F, $N> {
            type Output = T;
            #[inline(always)]
            fn run<const FMA: bool>(self) -> T {
                let [$($x),+] = self.x;
                match FMA {
                    true => F::value(self.parameters, [$(Lane::of($x)),+]).known(),
                    false => F::value(self.parameters, [$($x),+]),
                }
            }
        }

        impl Function<$N> {
            /// The function of an expression.
            pub const fn of<F: Expressed<$N>>() -> Self {
                Function {
                    readings: EachFloat { f32: Self::readings::<f32, F>(), f64: Self::readings::<f64, F>() },
                    text: F::value::<Code>,
                }
            }

            const fn readings<T: Elementary, F: Expressed<$N>>() -> Readings<T, $N> {
                Readings {
                    slow: F::value::<T>,
                    one: |parameters, x| dispatch_scalar(One { parameters, x, f: PhantomData::<F> }),
                    block: |parameters, out, x| dispatch_vectors(Block { parameters, out, x, f: PhantomData::<F> }),
                    unknown: |y| y.to_bits() == T::UNKNOWN.to_bits(),
                }
            }
        }

        impl<T: Float> Formula<($($T,)+), T> for Applied<$N> {
            fn one(&self, ($($x,)+): ($($T,)+)) -> T {
                let Readings { slow, one, unknown, .. } = T::of_floats(&self.function.readings);
                if !has_vectors() {
                    return slow(self.parameters, [$($x),+]);
                }
                match one(self.parameters, [$($x),+]) {
                    y if unknown(y) => slow(self.parameters, [$($x),+]),
                    y => y,
                }
            }
            fn block(&self, out: SliceMut<'_>, x: &[Slice<'_>]) {
                let Readings { slow, block, unknown, .. } = T::of_floats(&self.function.readings);
                let (parameters, out, [$($x),+]) = (self.parameters, T::typed_mut(out), [$(T::typed(x[$k])),+]);
                let vectors = has_vectors();
                if vectors && !block(parameters, out, [$($x),+]) {
                    return;
                }
                for k in 0..out.len() {
                    if !vectors || unknown(out[k]) {
                        out[k] = slow(parameters, [$($x[k]),+]);
                    }
                }
            }
            fn text(&self, x: &[Code]) -> Option<Code> {
                Some((self.function.text)(self.parameters, [$(x[$k]),+]))
            }
        }
    };
}
functions!(1: T a 0);
functions!(2: T a 0, T b 1);
functions!(3: T a 0, T b 1, T c 2);

/// A [`Function`](crate::Function) as one expression over its arguments, to be made a `static`: what it computes is
/// compiled in the crate that holds that, and in no other.
///
/// ```
/// use tapegrad::{Array, Function, function, kernels};
/// static SHIFTED: Function<2> = function!(|x, shift| (x - shift).exp());
/// static SCALED: Function<1> = function!(|x; scale, power| x.power(power).times(scale));
/// let x = Array::from_vec(vec![1.0, 2.0], &[2])?;
/// assert_eq!(kernels::zip("shifted", &x, &x, &SHIFTED.with([0.0; 2]))?.to_vec(), [1.0, 1.0]);
/// assert_eq!(kernels::map("scaled", &x, &SCALED.with([0.5, 2.0]))?.to_vec(), [0.5, 2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[macro_export]
macro_rules! function {
    (|$($x:ident),+ $(; $p:ident $(, $q:ident)?)?| $body:expr) => {{
        struct Written;
        impl $crate::Expressed<{ [$(stringify!($x)),+].len() }> for Written {
            #[inline(always)]
            fn value<E: $crate::Expression>(
                parameters: $crate::Parameters,
                [$($x),+]: [E; [$(stringify!($x)),+].len()],
            ) -> E {
                $(let $p = parameters[0]; $(let $q = parameters[1];)?)?
                let _ = parameters;
                $body
            }
        }
        $crate::Function::<{ [$(stringify!($x)),+].len() }>::of::<Written>()
    }};
}

/// A [`Formula`] for each of the element types of a bound, as one expression over its arguments, to be made a
/// `static`: what it computes is compiled in the crate that holds that. Where the expression is not one of
/// [`Code`], what it is in CUDA C++ stands behind it.
///
/// ```
/// use tapegrad::tensor_core::{Array, EachNumber, ForNumber, Formula, Number, formulas, kernels};
/// struct Binary;
/// impl ForNumber for Binary {
///     type Of<T: Number> = &'static dyn Formula<(T, T), T>;
/// }
/// static ADD: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { a.plus(b) });
/// static LARGER: EachNumber<Binary> = formulas!(Number: |a: T, b: T| -> T { if a > b { a } else { b } } "$0 > $1 ? $0 : $1");
/// let x = Array::from_vec(vec![1, 2], &[2])?;
/// assert_eq!(kernels::zip("add", &x, &x, *i64::of_numbers(&ADD))?.to_vec(), [2, 4]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
#[macro_export]
macro_rules! formulas {
    (Element: $($formula:tt)+) => {
        $crate::formulas!(@ Element EachElement [f32 f64 i64 bool] $($formula)+)
    };
    (Number: $($formula:tt)+) => {
        $crate::formulas!(@ Number EachNumber [f32 f64 i64] $($formula)+)
    };
    (Float: $($formula:tt)+) => {
        $crate::formulas!(@ Float EachFloat [f32 f64] $($formula)+)
    };
    (@ $Bound:ident $Each:ident [$($Type:ident)+] |$($x:ident: $T:ident),+| -> $U:ty $value:block) => {{
        struct Written<T>(::std::marker::PhantomData<T>);
        impl<T: $crate::$Bound> Written<T> {
            const FORMULA: &'static dyn $crate::Formula<($($T,)+), $U> =
                &$crate::Spreading($crate::formula!(|$($x: $T),+| $value));
        }
        $crate::$Each { $($Type: Written::<$Type>::FORMULA),+ }
    }};
    (@ $Bound:ident $Each:ident [$($Type:ident)+] |$($x:ident: $T:ident),+| -> $U:ty $value:block $cuda:literal) => {{
        struct Written<T>(::std::marker::PhantomData<T>);
        impl<T: $crate::$Bound> Written<T> {
            const FORMULA: &'static dyn $crate::Formula<($($T,)+), $U> = &$crate::Spreading($crate::Closures::new(
                |$($x: $T),+| $value,
                |x: [$crate::Code; [$(stringify!($x)),+].len()]| {
                    $crate::Code::cuda($cuda, <$U as $crate::Element>::DTYPE, &x)
                },
            ));
        }
        $crate::$Each { $($Type: Written::<$Type>::FORMULA),+ }
    }};
}
