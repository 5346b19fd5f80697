//! Formulas applied to every element.

use crate::array::Array;
use crate::code::Code;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::{EachElement, Element, ForElement};
use crate::error::Result;
use crate::expression::Expression;
use crate::formula::{Closures, Elements, Formula};
use crate::once::compiled_once;
use crate::shape::Dims;
use std::marker::PhantomData;

/// f(x).
#[inline]
pub fn map<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: &dyn Formula<(T,), U>,
) -> Result<Array<U>> {
    #[cfg(feature = "cuda")]
    if x.is_on_gpu() {
        return cuda::map::map(op, x, &|x| f.text(x));
    }
    cpu::map::map(op, x, f)
}

/// f(x), in the same buffer where nothing else shares it.
#[inline]
pub fn map_owned<T: Element>(op: &'static str, x: Array<T>, f: &dyn Formula<(T,), T>) -> Result<Array<T>> {
    #[cfg(feature = "cuda")]
    if x.is_on_gpu() {
        return cuda::map::map_owned(op, x, &|x| f.text(x));
    }
    cpu::map::map_owned(op, x, f)
}

/// f(a, b), broadcast.
#[inline]
pub fn zip<A: Element, B: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    f: &dyn Formula<(A, B), U>,
) -> Result<Array<U>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() {
        return cuda::map::zip(op, a, b, &|x| f.text(x));
    }
    cpu::map::zip(op, a, b, f)
}

/// f(a, b), broadcast, in the buffer of `a` where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip_owned<A: Element, B: Element>(
    op: &'static str,
    a: Array<A>,
    b: &Array<B>,
    f: &dyn Formula<(A, B), A>,
) -> Result<Array<A>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() {
        return cuda::map::zip_owned(op, a, b, &|x| f.text(x));
    }
    cpu::map::zip_owned(op, a, b, f)
}

/// f(x, c) for a number c.
#[inline]
pub fn with_number<T: Element>(
    op: &'static str,
    x: &Array<T>,
    c: T,
    f: &dyn Formula<(T, T), T>,
) -> Result<Array<T>> {
    match x.single() {
        Some(one) if x.device() == Device::Cpu => {
            Ok(Array::one(Dims::from_slice(x.shape()), f.one((one, c))))
        }
        _ => zip(op, x, &Array::scalar(c), f),
    }
}

/// f(x, c) for a number c, in the buffer of `x` where nothing else shares it.
#[inline]
pub fn with_number_owned<T: Element>(
    op: &'static str,
    x: Array<T>,
    c: T,
    f: &dyn Formula<(T, T), T>,
) -> Result<Array<T>> {
    match x.single() {
        Some(one) if x.device() == Device::Cpu => {
            Ok(Array::one(Dims::from_slice(x.shape()), f.one((one, c))))
        }
        _ => zip_owned(op, x, &Array::scalar(c), f),
    }
}

/// f(a, b), broadcast, in the buffer of either where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip_either<T: Element>(
    op: &'static str,
    a: Array<T>,
    b: Array<T>,
    f: &dyn Formula<(T, T), T>,
) -> Result<Array<T>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() {
        return match a.is_shared() && a.shape() == b.shape() {
            true => cuda::map::zip_owned(op, b, &a, &|x| f.text(&[x[1], x[0]])),
            false => cuda::map::zip_owned(op, a, &b, &|x| f.text(x)),
        };
    }
    cpu::map::zip_either(op, a, b, f)
}

/// f(a, b, c), broadcast.
#[inline]
pub fn zip3<A: Element, B: Element, C: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: &dyn Formula<(A, B, C), U>,
) -> Result<Array<U>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() || c.is_on_gpu() {
        return cuda::map::zip3(op, a, b, c, &|x| f.text(x));
    }
    cpu::map::zip3(op, a, b, c, f)
}

/// f(a, b, c), broadcast, in the buffer of `a` where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip3_owned<A: Element, B: Element, C: Element>(
    op: &'static str,
    a: Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: &dyn Formula<(A, B, C), A>,
) -> Result<Array<A>> {
    match a.device() {
        Device::Cpu => cpu::map::zip3_owned(op, a, b, c, f),
        _ => zip3(op, &a, b, c, f),
    }
}

compiled_once! {
    /// a where the condition holds, b elsewhere; broadcast.
    pub fn select<T: Element>(op: &'static str, c: &Array<bool>, a: &Array<T>, b: &Array<T>) -> Result<Array<T>> {
        let choice = Closures::new(|c, a, b| if c { a } else { b }, |[c, a, b]| Code::choose(c, a, b));
        zip3(op, c, a, b, &choice)
    }
}

/// The formulas that convert elements of one type to each type.
struct ConversionsOf<T>(PhantomData<T>);

impl<T: Element> ForElement for ConversionsOf<T> {
    type Of<U: Element> = &'static dyn Formula<(T,), U>;
}

struct Conversions;

impl ForElement for Conversions {
    type Of<T: Element> = EachElement<ConversionsOf<T>>;
}

macro_rules! conversions {
    ($($T:ident)+) => {
        EachElement { $($T: conversions!(@ $T: f32 f64 i64 bool)),+ }
    };
    (@ $T:ident: $($U:ident)+) => {
        EachElement { $($U: &Closures::new(<$T as Element>::cast::<$U>, |[x]| x.cast(<$U as Element>::DTYPE))),+ }
    };
}
static CONVERSIONS: EachElement<Conversions> = conversions!(f32 f64 i64 bool);

/// The elements converted to another type.
pub fn cast<T: Element, U: Element>(op: &'static str, x: &Array<T>) -> Result<Array<U>> {
    map(op, x, *U::of_elements(T::of_elements(&CONVERSIONS)))
}

/// f of the elements of any number of arrays of one type, broadcast.
///
/// # Errors
/// Shape, where the shapes do not broadcast; device, for more than seven arrays on a GPU.
pub fn zip_many<T: Element>(
    op: &'static str,
    x: &[&Array<T>],
    f: &dyn Formula<Elements<T>, T>,
) -> Result<Array<T>> {
    #[cfg(feature = "cuda")]
    if x.iter().any(|x| x.is_on_gpu()) {
        return cuda::map::zip_many(op, x, &|x| f.text(x));
    }
    cpu::map::zip_many(op, x, f)
}
