//! Softmax of rows that lie in one piece: all passes over a row while it is in the cache.

use super::parallel::{MIN_ELEMENTS, deal_parts, for_pieces};
use crate::array::Array;
use crate::element::{EachFloat, Float, ForFloat};
use crate::elementary::{Elementary, Lane};
use crate::error::Result;
use crate::expression::Expression;
use crate::heap::work;
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch_vectors, has_vectors};

/// Elements of a row up to which its sums are added in lanes, chunk by chunk: of longer ones the error would show.
const LONGEST: usize = 1 << 14;
/// Elements that are added in lanes before the lanes are.
const CHUNK: usize = 512;
const LANES: usize = 16;

/// The length of the rows that a mask marks, where they lie in one piece and this file serves them.
fn row_length<T: Float>(x: &Array<T>, mask: &[bool]) -> Option<usize> {
    let kept = mask.iter().take_while(|&&reduced| !reduced).count();
    let n = x.shape()[kept..].iter().product();
    let in_rows = mask[kept..].iter().all(|&reduced| reduced) && x.layout().is_contiguous();
    (has_vectors() && in_rows && (2..=LONGEST).contains(&n) && x.numel() > 0).then_some(n)
}

/// What is done with rows of one length.
struct Readings<T> {
    softmax: fn(out: &mut [T], x: &[T], n: usize),
    log_softmax: fn(out: &mut [T], x: &[T], n: usize),
    logsumexp: fn(out: &mut [T], x: &[T], n: usize),
    cotangent: fn(out: &mut [T], y: &[T], g: &[T], n: usize),
}

struct ReadingsOf;

impl ForFloat for ReadingsOf {
    type Of<T: Float> = Readings<T>;
}

static READINGS: EachFloat<ReadingsOf> = EachFloat { f32: readings(), f64: readings() };

const fn readings<T: Elementary>() -> Readings<T> {
    Readings {
        softmax: |out, x, n| dispatch_vectors(Softmax::<T, false> { out, x, n }),
        log_softmax: |out, x, n| dispatch_vectors(Softmax::<T, true> { out, x, n }),
        logsumexp: |out, x, n| dispatch_vectors(LogSumExp { out, x, n }),
        cotangent: |out, y, g, n| dispatch_vectors(Cotangent { out, y, g, n }),
    }
}

/// e^x over its sum along the dimensions of a mask, or the logarithm of that; None where they are no short rows.
pub fn softmax<T: Float>(
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    log: bool,
) -> Result<Option<Array<T>>> {
    let Some((n, data)) = row_length(x, mask).zip(x.as_slice()) else { return Ok(None) };
    let Readings { softmax, log_softmax, .. } = T::of_floats(&READINGS);
    let rows = if log { log_softmax } else { softmax };
    Array::build(op, Dims::from_slice(x.shape()), |out| {
        for_pieces(out, n, |from, out| rows(out, &data[from..][..out.len()], n));
    })
    .map(Some)
}

/// The logarithm of the sum of e^x along the dimensions of a mask, which keep size 1; None as in [`softmax`].
pub fn logsumexp<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool]) -> Result<Option<Array<T>>> {
    let Some((n, data)) = row_length(x, mask).zip(x.as_slice()) else { return Ok(None) };
    let rows = T::of_floats(&READINGS).logsumexp;
    let shape: Dims = x.shape().iter().zip(mask).map(|(&d, &reduced)| if reduced { 1 } else { d }).collect();
    let work = |from: usize, out: &mut [T]| rows(out, &data[from * n..][..out.len() * n], n);
    Array::build(
        op,
        shape,
        |out| if data.len() < MIN_ELEMENTS { work(0, out) } else { deal_parts(out, 1, &work) },
    )
    .map(Some)
}

/// y (g - sum(g y)), the cotangent of x for that of y = softmax(x); None as in [`softmax`].
pub fn softmax_cotangent<T: Float>(
    op: &'static str,
    y: &Array<T>,
    g: &Array<T>,
    mask: &[bool],
) -> Result<Option<Array<T>>> {
    let slices = y.as_slice().zip(g.as_slice()).filter(|_| y.shape() == g.shape());
    let Some((n, (y_data, g_data))) = row_length(y, mask).zip(slices) else { return Ok(None) };
    let cotangent = T::of_floats(&READINGS).cotangent;
    Array::build(op, Dims::from_slice(y.shape()), |out| {
        for_pieces(out, n, |from, out| {
            let range = from..from + out.len();
            cotangent(out, &y_data[range.clone()], &g_data[range], n);
        });
    })
    .map(Some)
}

/// The sum of f(k) for k below n, in lanes.
#[inline(always)]
fn sum<T: Elementary>(n: usize, f: impl Fn(usize) -> T) -> T {
    let mut total = T::ZERO;
    for from in (0..n).step_by(CHUNK) {
        let end = n.min(from + CHUNK);
        let mut lanes = [T::ZERO; LANES];
        let mut k = from;
        while k + LANES <= end {
            for (l, lane) in lanes.iter_mut().enumerate() {
                *lane += f(k + l);
            }
            k += LANES;
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for l in 0..width {
                lanes[l] += lanes[l + width];
            }
        }
        let mut rest = T::ZERO;
        while k < end {
            rest += f(k);
            k += 1;
        }
        total += lanes[0] + rest;
    }
    total
}

/// The largest element that is a number, or what shifts nothing where it is infinite.
#[inline(always)]
fn shift<T: Elementary>(x: &[T]) -> T {
    let mut lanes = [T::LOWEST; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            lanes[l] = if chunk[l] > lanes[l] { chunk[l] } else { lanes[l] };
        }
    }
    let largest = lanes.iter().chain(rest).fold(T::LOWEST, |a, &b| if b > a { b } else { a });
    if largest.is_finite() { largest } else { T::ZERO }
}

/// out = e^(x - shift)
#[inline(always)]
fn exponentials<T: Elementary>(out: &mut [T], x: &[T], shift: T) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = Lane::of(x - shift).exp().value;
    }
}

/// The logarithm of the sum of numbers of which the largest is 1, if any is not 0.
#[inline(always)]
fn log_of_sum<T: Elementary>(e: &[T]) -> T {
    let total = sum(e.len(), |k| e[k]);
    // Where one element is far above the others, their sum has digits that 1 plus it has not.
    let others = sum(e.len(), |k| if e[k] == T::ONE { T::ZERO } else { e[k] });
    let single = total > T::of(0.5) && total < T::of(1.5);
    Lane::of(if single { others } else { total - T::ONE }).log1p().value
}

struct Softmax<'a, T, const LOG: bool> {
    out: &'a mut [T],
    x: &'a [T],
    n: usize,
}

impl<T: Elementary, const LOG: bool> Kernel for Softmax<'_, T, LOG> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (out, x) in self.out.chunks_exact_mut(self.n).zip(self.x.chunks_exact(self.n)) {
            let shift = shift(x);
            exponentials(out, x, shift);
            let e: &[T] = out;
            if LOG {
                // The shift and the logarithm are never added up: large elements would take its digits.
                let log = log_of_sum(e);
                out.iter_mut().zip(x).for_each(|(out, &x)| *out = (x - shift) - log);
            } else {
                let total = sum(e.len(), |k| e[k]);
                out.iter_mut().for_each(|e| *e /= total);
            }
        }
    }
}

struct LogSumExp<'a, T> {
    out: &'a mut [T],
    x: &'a [T],
    n: usize,
}

impl<T: Elementary> Kernel for LogSumExp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut e = work::vector(self.n, T::ZERO);
        for (out, x) in self.out.iter_mut().zip(self.x.chunks_exact(self.n)) {
            let shift = shift(x);
            exponentials(&mut e, x, shift);
            *out = shift + log_of_sum(&e);
        }
    }
}

struct Cotangent<'a, T> {
    out: &'a mut [T],
    y: &'a [T],
    g: &'a [T],
    n: usize,
}

impl<T: Elementary> Kernel for Cotangent<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let lines = self.y.chunks_exact(self.n).zip(self.g.chunks_exact(self.n));
        for (out, (y, g)) in self.out.chunks_exact_mut(self.n).zip(lines) {
            // The mean of the gradients is taken off twice: what rounding leaves of it the first time is as large as
            // the result where one element has almost all of the sum.
            let mean = sum(y.len().min(g.len()), |k| g[k] * y[k]);
            for ((out, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *out = (g - mean) * y;
            }
            let almost: &[T] = out;
            let rest = sum(almost.len(), |k| almost[k]);
            for (out, &y) in out.iter_mut().zip(y) {
                *out -= rest * y;
            }
        }
    }
}
