//! Numbers side by side, one of each matrix, and what an algorithm in lanes is.

use crate::element::Float;
use crate::simd::{map, multiply_add, sub_mul};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The largest order that is worth it.
pub const LARGEST: usize = 32;

/// The fewest matrices that are worth more than one lane.
pub const FEWEST: usize = 4;

/// One number of each of `W` matrices.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Lanes<T, const W: usize>(pub [T; W]);

/// An answer for each lane.
pub type Mask<const W: usize> = [bool; W];

macro_rules! lanewise {
    ($($Op:ident $op:ident)*) => { $(
        impl<T: Float, const W: usize> $Op for Lanes<T, W> {
            type Output = Self;
            #[inline(always)]
            fn $op(mut self, y: Self) -> Self {
                for l in 0..W {
                    self.0[l] = self.0[l].$op(y.0[l]);
                }
                self
            }
        }
    )* };
}
lanewise!(Add add Sub sub Mul mul Div div);

impl<T: Float, const W: usize> Neg for Lanes<T, W> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Lanes(map(self.0, |x| -x))
    }
}

impl<T: Float, const W: usize> Lanes<T, W> {
    pub const ZERO: Self = Lanes([T::ZERO; W]);
    pub const ONE: Self = Lanes([T::ONE; W]);

    #[inline(always)]
    pub fn all(x: T) -> Self {
        Lanes([x; W])
    }

    #[inline(always)]
    pub fn abs(self) -> Self {
        Lanes(map(self.0, Float::abs))
    }

    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Lanes(map(self.0, Float::sqrt))
    }

    /// `self - a b`, fused where that is one instruction.
    #[inline(always)]
    pub fn sub_mul<const FMA: bool>(mut self, a: Self, b: Self) -> Self {
        for l in 0..W {
            self.0[l] = sub_mul::<T, FMA>(self.0[l], a.0[l], b.0[l]);
        }
        self
    }

    /// `self + a b`, fused where that is one instruction.
    #[inline(always)]
    pub fn add_mul<const FMA: bool>(mut self, a: Self, b: Self) -> Self {
        for l in 0..W {
            self.0[l] = multiply_add::<T, FMA>(a.0[l], b.0[l], self.0[l]);
        }
        self
    }

    /// `yes` where `holds(self, y)`, elsewhere `no`.
    #[inline(always)]
    pub fn choose(self, y: Self, holds: impl Fn(T, T) -> bool, yes: Self, no: Self) -> Self {
        let mut chosen = no;
        for l in 0..W {
            chosen.0[l] = if holds(self.0[l], y.0[l]) { yes.0[l] } else { no.0[l] };
        }
        chosen
    }

    /// Whether `holds(self, y)` in each lane.
    #[inline(always)]
    pub fn holds(self, y: Self, holds: impl Fn(T, T) -> bool) -> Mask<W> {
        let mut mask = [false; W];
        for l in 0..W {
            mask[l] = holds(self.0[l], y.0[l]);
        }
        mask
    }
}

/// Whether any lane answers yes.
#[inline(always)]
pub fn any<const W: usize>(mask: Mask<W>) -> bool {
    mask.iter().fold(false, |any, &x| any | x)
}

/// The answers of both.
#[inline(always)]
pub fn or<const W: usize>(mut a: Mask<W>, b: Mask<W>) -> Mask<W> {
    for l in 0..W {
        a[l] |= b[l];
    }
    a
}

/// The lanes in which a number is not finite: of those, and of no others, is zero times the number NaN.
#[inline(always)]
pub(super) fn not_finite<T: Float, const W: usize, const FMA: bool>(input: &[Lanes<T, W>]) -> Mask<W> {
    let zeros = input.iter().fold(Lanes::ZERO, |sum, &x| sum.add_mul::<FMA>(x, Lanes::ZERO));
    zeros.holds(Lanes::ZERO, |sum, zero| !(sum == zero))
}

/// The numbers of row `i` from column `at` on. (An iterator over rows would divide to find their number, which
/// takes longer than what is done with a row.)
#[inline(always)]
pub(super) fn tile<T, const W: usize, const C: usize>(
    a: &[Lanes<T, W>],
    cols: usize,
    i: usize,
    at: usize,
) -> &[Lanes<T, W>; C] {
    a[i * cols + at..].first_chunk().expect("the columns of a tile are there")
}

/// [`tile`], to be written to.
#[inline(always)]
pub(super) fn tile_mut<T, const W: usize, const C: usize>(
    a: &mut [Lanes<T, W>],
    cols: usize,
    i: usize,
    at: usize,
) -> &mut [Lanes<T, W>; C] {
    a[i * cols + at..].first_chunk_mut().expect("the columns of a tile are there")
}

/// A function of small matrices, written once for any number of lanes.
pub trait Small<T: Float>: Sync {
    /// Whether it is also worth it for a single matrix, in one lane.
    const ALONE: bool = false;

    /// Whether a lane fails, too, where a number of its inputs is not finite: the caller sees what that means.
    const FINITE: bool = true;

    /// Numbers that each matrix takes of the inputs, then of the outputs, then of working memory.
    fn sizes(&self) -> [usize; 3];

    /// Computes the outputs, all one after another and row-major as the inputs are; the lanes it cannot
    /// treat.
    ///
    /// Must be `#[inline(always)]`, as [`crate::simd::Kernel::run`].
    fn run<const W: usize, const FMA: bool>(
        &self,
        input: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        work: &mut [Lanes<T, W>],
    ) -> Mask<W>;
}
