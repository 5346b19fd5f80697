//! What reductions combine elements with, on every device.

use crate::element::Number;

/// An associative operation with a neutral element.
pub trait Reduction<T>: Copy + Send + Sync {
    /// Its name in CUDA C++.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "the CPU names nothing"))]
    const NAME: &'static str;
    /// The result over no elements.
    fn neutral(self) -> T;
    /// Combines two results.
    fn combine(self, a: T, b: T) -> T;
    /// Combines a result with four.
    #[inline(always)]
    fn combine_four(self, a: T, [b, c, d, e]: [T; 4]) -> T {
        self.combine(a, self.combine(self.combine(b, c), self.combine(d, e)))
    }
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
    const NAME: &'static str = "Max";

    #[inline(always)]
    fn neutral(self) -> T {
        T::LOWEST
    }
    #[inline(always)]
    fn combine(self, a: T, b: T) -> T {
        if (b > a) | b.is_nan() { b } else { a }
    }
    /// NaN is looked for in pairs, which is one comparison.
    #[inline(always)]
    fn combine_four(self, a: T, [b, c, d, e]: [T; 4]) -> T {
        let further = |a: T, b: T| if b > a { b } else { a };
        let known = further(further(further(further(a, b), c), d), e);
        if (b.is_nan() | c.is_nan()) | (d.is_nan() | e.is_nan()) { b.plus(c).plus(d).plus(e) } else { known }
    }
}

impl<T: Number> Reduction<T> for Min {
    const NAME: &'static str = "Min";

    #[inline(always)]
    fn neutral(self) -> T {
        T::HIGHEST
    }
    #[inline(always)]
    fn combine(self, a: T, b: T) -> T {
        if (b < a) | b.is_nan() { b } else { a }
    }
    /// NaN is looked for in pairs, which is one comparison.
    #[inline(always)]
    fn combine_four(self, a: T, [b, c, d, e]: [T; 4]) -> T {
        let further = |a: T, b: T| if b < a { b } else { a };
        let known = further(further(further(further(a, b), c), d), e);
        if (b.is_nan() | c.is_nan()) | (d.is_nan() | e.is_nan()) { b.plus(c).plus(d).plus(e) } else { known }
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
