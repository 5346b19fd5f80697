//! Norms, means and deviations of numbers anywhere in the range.
//!
//! The terms of a sum may leave the range where the result does not: squares of 1e200 do, and so does the sum of two
//! numbers near the largest there is. On the CPU each line is summed as it stands, and then its sum tells whether that
//! may have happened: such lines, and only those, are summed again, divided by the size of their elements (as LAPACK's
//! nrm2 does). On a GPU, where looking at a sum would wait for it, sums are kept in more than one size (`reduce.cu`).

use super::map::{map, map_owned, zip, zip_owned};
use super::reduce::{max, min, sum};
use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::expression::Expression;
use crate::formula;
use crate::formula::on_cpu;
#[cfg(feature = "cuda")]
use crate::gpu::context::Gpu;
use std::cmp::Reverse;

/// The smallest normal number and the largest number of a type.
fn ends<T: Float>() -> [T; 2] {
    match T::DTYPE {
        DType::F32 => [f32::MIN_POSITIVE, f32::MAX].map(|x| T::of(f64::from(x))),
        _ => [f64::MIN_POSITIVE, f64::MAX].map(T::of),
    }
}

/// What the elements of a line are divided by.
#[derive(Clone, Copy)]
enum Unit {
    /// The power of 2 at or below their largest magnitude: division by it rounds nothing.
    PowerOfTwo,
    /// Their largest magnitude.
    Largest,
    /// Their smallest magnitude.
    Smallest,
}

/// For each line along the dimensions of a mask, which keep size 1: 1 where the sum of its terms is finite and at
/// least `least` in magnitude, so that no term has left the range, else its unit. None where all are 1.
fn units<T: Float>(
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    sums: &Array<T>,
    least: T,
    unit: Unit,
) -> Result<Option<Array<T>>> {
    let holds = move |s: T| s.is_finite() & (s.abs() >= least);
    if sums.as_slice().is_some_and(|sums| sums.iter().fold(true, |all, &s| all & holds(s))) {
        return Ok(None);
    }
    let sizes = sizes(op, x, mask, unit)?;
    let sums = sums.reshape(op, sizes.shape())?;
    let choose = move |m: T, s: T| match unit {
        _ if holds(s) => T::ONE,
        Unit::PowerOfTwo => m.log2().floor().exp2(),
        Unit::Largest | Unit::Smallest => m,
    };
    zip_owned(op, sizes, &sums, &on_cpu(choose)).map(Some)
}

/// The largest or the smallest magnitude of each line, and 1 where that is 0 or not finite.
fn sizes<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool], unit: Unit) -> Result<Array<T>> {
    let magnitudes = map(op, x, &formula!(|x: T| x.abs()))?;
    let sizes = match unit {
        Unit::Smallest => min(op, &magnitudes, mask, true)?,
        _ => max(op, &magnitudes, mask, true)?,
    };
    let largest = ends::<T>()[1].to_f64();
    map_owned(op, sizes, &formula!(|m: T| usable(m, largest)))
}

/// A magnitude that can be divided by, or 1.
#[inline(always)]
fn usable<E: Expression>(m: E, largest: f64) -> E {
    let (zero, infinite, nan) = (m.eq_number(0.0), m.gt_number(largest), m.isnan());
    m.with(zero, 1.0).with(infinite, 1.0).with(nan, 1.0)
}

kernels! {
    /// (sum |x|^p)^(1/p) over the dimensions of a mask, which keep size 1; p is finite and not 0. No intermediate leaves
    /// the range where the result is in it.
    ///
    /// # Errors
    /// Out of memory.
    pub fn norm<T: Float>(op, x: &Array<T>, mask: &[bool], p: f64) -> Result<Array<T>> {
        on x;
        norm_on_cpu;
        norm_on_gpu
    }
}

#[cfg(feature = "cuda")]
fn norm_on_gpu<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    p: f64,
) -> Result<Array<T>> {
    let unit = match p {
        1.0 => return sum(op, &map(op, x, &formula!(|x: T| x.abs()))?, mask, true),
        2.0 => return cuda::reduce::length(gpu, op, x, mask, true),
        p if p > 0.0 => Unit::Largest,
        _ => Unit::Smallest,
    };
    let unit = sizes(op, x, mask, unit)?;
    let scaled = zip(op, x, &unit, &formula!(|x: T, u: T| x / u))?;
    let root = root(op, powers(op, &scaled, mask, p)?, p)?;
    zip_owned(op, root, &unit, &formula!(|y: T, u: T| y * u))
}

fn norm_on_cpu<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool], p: f64) -> Result<Array<T>> {
    if p == 1.0 {
        return sum(op, &map(op, x, &formula!(|x: T| x.abs()))?, mask, true);
    }
    let sums = powers(op, x, mask, p)?;
    let unit = match p {
        2.0 => Unit::PowerOfTwo,
        p if p > 0.0 => Unit::Largest,
        _ => Unit::Smallest,
    };
    let Some(units) = units(op, x, mask, &sums, least(), unit)? else { return root(op, sums, p) };
    let scaled = over(op, x, &units)?;
    let root = root(op, powers(op, &scaled, mask, p)?, p)?;
    zip_owned(op, root, &units, &formula!(|y: T, u: T| y * u))
}

/// x / units in the order that x has in memory, which the order of sums follows: what a line adds up to does not depend
/// on whether others are scaled.
fn over<T: Float>(op: &'static str, x: &Array<T>, units: &Array<T>) -> Result<Array<T>> {
    let strides = x.layout().strides();
    let mut dims: Vec<usize> = (0..x.ndim()).collect();
    dims.sort_by_key(|&d| Reverse(strides[d].unsigned_abs()));
    let mut back = vec![0; dims.len()];
    dims.iter().enumerate().for_each(|(k, &d)| back[d] = k);
    let (x, units) = (x.permute(op, &dims)?, units.permute(op, &dims)?);
    zip(op, &x, &units, &formula!(|x: T, u: T| x / u))?.permute(op, &back)
}

/// The least sum of terms that are not negative in which no digit of any of them was lost below the normal range.
fn least<T: Float>() -> T {
    ends::<T>()[0] / T::EPSILON
}

/// The sums of |x|^p.
fn powers<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool], p: f64) -> Result<Array<T>> {
    let powers = match p {
        2.0 => map(op, x, &formula!(|x: T| x * x))?,
        _ => map(op, x, &formula!(|x: T| x.abs().power(p)))?,
    };
    sum(op, &powers, mask, true)
}

fn root<T: Float>(op: &'static str, sums: Array<T>, p: f64) -> Result<Array<T>> {
    match p {
        2.0 => map_owned(op, sums, &formula!(|s: T| s.sqrt())),
        _ => map_owned(op, sums, &formula!(|s: T| root_of(s, p))),
    }
}

/// s^(1/p). As 1/p is rounded, so would be the logarithm of the power, and a large one takes digits with it: a step of
/// Newton's brings them back.
#[inline(always)]
fn root_of<E: Expression>(s: E, p: f64) -> E {
    let y = s.clone().power(1.0 / p);
    let quotient = s / y.clone().power(p);
    // 0 and infinity have no error, and where the root leaves the range none is left to find.
    let (nan, above, below) = (quotient.isnan(), quotient.gt_number(2.0), quotient.lt_number(0.5));
    let error = quotient.with(nan, 1.0).with(above, 1.0).with(below, 1.0).plus(-1.0);
    y * error.times(1.0 / p).plus(1.0)
}

/// How many elements make one result.
fn count<T: Float>(x: &Array<T>, mask: &[bool]) -> T {
    T::of(x.shape().iter().zip(mask).filter(|(_, m)| **m).map(|(d, _)| d).product::<usize>() as f64)
}

kernels! {
    /// The mean over the dimensions of a mask, which keep size 1 where `keepdim`; NaN over no elements. It is in the range
    /// where the elements are, even if their sum is not.
    ///
    /// # Errors
    /// Out of memory.
    pub fn mean<T: Float>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        mean_on_cpu;
        cuda::reduce::mean
    }
}

fn mean_on_cpu<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
    let n = count(x, mask);
    let sums = sum(op, x, mask, keepdim)?;
    let Some(units) = units(op, x, mask, &sums, T::ZERO, Unit::PowerOfTwo)? else {
        // The reciprocal of a power of two is exact, and a division takes as long as a dozen products.
        let exact = n.to_f64().log2().fract() == 0.0;
        let share = T::ONE / n;
        return match exact {
            true => map_owned(op, sums, &formula!(|s: T| s * share)),
            false => map_owned(op, sums, &formula!(|s: T| s / n)),
        };
    };
    let scaled = over(op, x, &units)?;
    let sums = sum(op, &scaled, mask, true)?;
    zip_owned(op, sums, &units, &formula!(|s: T, u: T| s / n * u))?.reshape(op, &reduced(x, mask, keepdim))
}

/// The shape of what is left.
fn reduced<T: Float>(x: &Array<T>, mask: &[bool], keepdim: bool) -> crate::shape::Dims {
    let sizes = x.shape().iter().zip(mask).filter(|(_, reduced)| keepdim || !**reduced);
    sizes.map(|(&d, &reduced)| if reduced { 1 } else { d }).collect()
}

kernels! {
    /// The sum of the squared distances from the mean over `d`, or its square root, over the dimensions of a mask, which
    /// keep size 1 where `keepdim`. No intermediate leaves the range where the result is in it.
    ///
    /// # Errors
    /// Out of memory.
    pub fn variance<T: Float>(
        op,
        x: &Array<T>,
        mask: &[bool],
        keepdim: bool,
        d: f64,
        root: bool,
    ) -> Result<Array<T>> {
        on x;
        variance_on_cpu;
        variance_on_gpu
    }
}

#[cfg(feature = "cuda")]
fn variance_on_gpu<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
    d: f64,
    root: bool,
) -> Result<Array<T>> {
    let d = T::of(d);
    let mean = cuda::reduce::mean(gpu, op, x, mask, true)?;
    let centred = zip(op, x, &mean, &formula!(|x: T, m: T| x - m))?;
    let length = cuda::reduce::length(gpu, op, &centred, mask, keepdim)?;
    match root {
        true => map_owned(op, length, &formula!(|y: T| y / d.sqrt())),
        false => map_owned(op, length, &formula!(|y: T| (y / d.sqrt()).square())),
    }
}

fn variance_on_cpu<T: Float>(
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
    d: f64,
    root: bool,
) -> Result<Array<T>> {
    let (n, d) = (count(x, mask), T::of(d));
    // The mean first: a sum of squares less the square of the sum would cancel.
    let total = |x: &Array<T>, keepdim: bool| {
        if let Some(totals) = cpu::spread::squared_distances(op, x, mask, reduced(x, mask, keepdim))? {
            return Ok(totals);
        }
        let mean = map_owned(op, sum(op, x, mask, true)?, &formula!(|s: T| s / n))?;
        let squares = zip(op, x, &mean, &formula!(|x: T, m: T| (x - m) * (x - m)))?;
        sum(op, &squares, mask, keepdim)
    };
    let totals = total(x, keepdim)?;
    let Some(units) = units(op, x, mask, &totals, least(), Unit::PowerOfTwo)? else {
        return match root {
            true => map_owned(op, totals, &formula!(|s: T| (s / d).sqrt())),
            false => map_owned(op, totals, &formula!(|s: T| s / d)),
        };
    };
    let scaled = over(op, x, &units)?;
    let totals = total(&scaled, true)?;
    let result = match root {
        true => zip_owned(op, totals, &units, &formula!(|s: T, u: T| (s / d).sqrt() * u))?,
        false => zip_owned(op, totals, &units, &formula!(|s: T, u: T| s / d * u * u))?,
    };
    result.reshape(op, &reduced(x, mask, keepdim))
}
