//! What reductions combine elements with, on every device.

use crate::element::Number;

/// An associative operation with a neutral element.
pub trait Reduction<T>: Copy + Send + Sync {
    /// Whether `combine` is one instruction, beside which reading and writing counts.
    const LIGHT: bool = true;
    /// Its name in CUDA C++.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "the CPU names nothing"))]
    const NAME: &'static str;
    /// The result over no elements.
    fn neutral(self) -> T;
    /// Combines two results.
    fn combine(self, a: T, b: T) -> T;
}

/// a + b.
#[derive(Clone, Copy)]
pub struct Sum;
/// The larger of a and b; NaN if either is.
#[derive(Clone, Copy)]
pub struct Max;
/// The smaller of a and b; NaN if either is.
#[derive(Clone, Copy)]
pub struct Min;
/// a and b.
#[derive(Clone, Copy)]
pub struct All;
/// a or b.
#[derive(Clone, Copy)]
pub struct Any;

impl<T: Number> Reduction<T> for Sum {
    const NAME: &'static str = "Sum";

    #[inline(always)]
    fn neutral(self) -> T {
        T::ZERO
    }
    #[inline(always)]
    fn combine(self, a: T, b: T) -> T {
        a.plus(b)
    }
}

impl<T: Number> Reduction<T> for Max {
    const LIGHT: bool = false;
    const NAME: &'static str = "Max";

    #[inline(always)]
    fn neutral(self) -> T {
        T::LOWEST
    }
    #[inline(always)]
    fn combine(self, a: T, b: T) -> T {
        if (b > a) | b.is_nan() { b } else { a }
    }
}

impl<T: Number> Reduction<T> for Min {
    const LIGHT: bool = false;
    const NAME: &'static str = "Min";

    #[inline(always)]
    fn neutral(self) -> T {
        T::HIGHEST
    }
    #[inline(always)]
    fn combine(self, a: T, b: T) -> T {
        if (b < a) | b.is_nan() { b } else { a }
    }
}

impl Reduction<bool> for All {
    const NAME: &'static str = "All";

    #[inline(always)]
    fn neutral(self) -> bool {
        true
    }
    #[inline(always)]
    fn combine(self, a: bool, b: bool) -> bool {
        a & b
    }
}

impl Reduction<bool> for Any {
    const NAME: &'static str = "Any";

    #[inline(always)]
    fn neutral(self) -> bool {
        false
    }
    #[inline(always)]
    fn combine(self, a: bool, b: bool) -> bool {
        a | b
    }
}
