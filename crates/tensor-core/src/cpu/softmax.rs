//! Softmax of rows that lie in one piece: all passes over a row while it is in the cache.

use super::copy::elements;
use super::index::places;
use super::parallel::{for_lines, for_pieces};
use super::reduce::line;
use crate::array::Array;
use crate::element::{EachFloat, Float, ForFloat};
use crate::elementary::{Elementary, Lane};
use crate::error::Result;
use crate::expression::Expression;
use crate::heap::work;
use crate::reduction::Sum;
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch_vectors, has_vectors};
use std::f64::consts::LN_2;

/// Elements of a row up to which it is worked on by one thread, and is in its cache.
const LONGEST: usize = 1 << 14;
const LANES: usize = 16;
/// Elements of the rows whose exponentials, and then logarithms, are computed in one loop: the few that are left over at
/// the end of a row would take as long as the rest of it.
const GROUP: usize = 2048;
/// The most rows of a group.
const ROWS: usize = 64;

/// The length of the rows that a mask marks, where they lie in one piece and this file serves them.
fn row_length<T: Float>(x: &Array<T>, mask: &[bool]) -> Option<usize> {
    let kept = mask.iter().take_while(|&&reduced| !reduced).count();
    let n = x.shape()[kept..].iter().product();
    let in_rows = mask[kept..].iter().all(|&reduced| reduced) && x.layout().is_contiguous();
    (has_vectors() && in_rows && (2..=LONGEST).contains(&n) && x.numel() > 0).then_some(n)
}

/// Rows of `n` elements, and what there is for each of them.
struct Rows<'a, T> {
    out: &'a mut [T],
    x: &'a [T],
    n: usize,
    /// The cotangents of a row, or of its result.
    g: Lines<'a, T>,
    /// An element of each row, where there is one.
    classes: Option<&'a [usize]>,
}

impl<'a, T: Float> Rows<'a, T> {
    fn of(out: &'a mut [T], x: &'a [T], n: usize) -> Self {
        Rows { out, x, n, g: Lines { data: &[], step: 0 }, classes: None }
    }
}

/// What is done with rows.
struct Readings<T> {
    softmax: fn(Rows<'_, T>),
    log_softmax: fn(Rows<'_, T>),
    logsumexp: fn(Rows<'_, T>),
    shares: fn(Rows<'_, T>),
    cotangent: fn(Rows<'_, T>),
    log_cotangent: fn(Rows<'_, T>),
}

struct ReadingsOf;

impl ForFloat for ReadingsOf {
    type Of<T: Float> = Readings<T>;
}

static READINGS: EachFloat<ReadingsOf> = EachFloat { f32: readings(), f64: readings() };

const fn readings<T: Elementary>() -> Readings<T> {
    Readings {
        softmax: |rows| dispatch_vectors(Softmax::<T, false>(rows)),
        log_softmax: |rows| dispatch_vectors(Softmax::<T, true>(rows)),
        logsumexp: |rows| dispatch_vectors(LogSumExp(rows)),
        shares: |rows| dispatch_vectors(Shares(rows)),
        cotangent: |rows| dispatch_vectors(Cotangent(rows)),
        log_cotangent: |rows| dispatch_vectors(LogCotangent(rows)),
    }
}

/// Lines of one length, one after another, or one that stands for all.
#[derive(Clone, Copy)]
struct Lines<'a, T> {
    data: &'a [T],
    step: usize,
}

impl<'a, T: Float> Lines<'a, T> {
    /// The lines of `n` elements of an array of this shape; `one` has room for a line of numbers that are one and the same.
    fn of(g: &'a Array<T>, shape: &[usize], n: usize, one: &'a mut Vec<T>) -> Option<Self> {
        if g.shape() != shape {
            return None;
        }
        if let Some(data) = g.as_slice() {
            return Some(Lines { data, step: n });
        }
        let same = g.layout().strides().iter().zip(shape).all(|(&step, &d)| step == 0 || d == 1);
        same.then(|| {
            *one = work::vector(n, g.storage()[g.layout().offset()]);
            Lines { data: one, step: 0 }
        })
    }

    #[inline(always)]
    fn from(self, line: usize) -> Self {
        Lines { data: &self.data[line * self.step..], step: self.step }
    }

    #[inline(always)]
    fn get(self, line: usize, n: usize) -> &'a [T] {
        &self.data[line * self.step..][..n]
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
        for_pieces(out, n, |from, out| rows(Rows::of(out, &data[from..][..out.len()], n)));
    })
    .map(Some)
}

/// The shape with dimensions of size 1 where the mask marks them.
fn kept(shape: &[usize], mask: &[bool]) -> Dims {
    shape.iter().zip(mask).map(|(&d, &reduced)| if reduced { 1 } else { d }).collect()
}

/// The logarithm of the sum of e^x along the dimensions of a mask, which keep size 1; None as in [`softmax`].
pub fn logsumexp<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool]) -> Result<Option<Array<T>>> {
    let Some((n, data)) = row_length(x, mask).zip(x.as_slice()) else { return Ok(None) };
    let rows = T::of_floats(&READINGS).logsumexp;
    Array::build(op, kept(x.shape(), mask), |out| {
        for_lines(out, 1, n, |from, out| {
            let x = &data[from * n..][..out.len() * n];
            rows(Rows::of(out, x, n));
        });
    })
    .map(Some)
}

/// g e^x over its sum along the dimensions of a mask: the cotangent of x for that of [`logsumexp`], if that is finite;
/// None as in [`softmax`].
pub fn logsumexp_cotangent<T: Float>(
    op: &'static str,
    x: &Array<T>,
    g: &Array<T>,
    mask: &[bool],
) -> Result<Option<Array<T>>> {
    let mut one = Vec::new();
    let g = Lines::of(g, &kept(x.shape(), mask), 1, &mut one);
    let Some(((n, data), g)) = row_length(x, mask).zip(x.as_slice()).zip(g) else { return Ok(None) };
    let shares = T::of_floats(&READINGS).shares;
    Array::build(op, Dims::from_slice(x.shape()), |out| {
        for_pieces(out, n, |from, out| {
            let x = &data[from..][..out.len()];
            shares(Rows { g: g.from(from / n), ..Rows::of(out, x, n) });
        });
    })
    .map(Some)
}

/// -ln softmax(x) at a class of each row of a matrix; None as in [`softmax`].
pub fn losses<T: Float>(op: &'static str, x: &Array<T>, classes: &Array<i64>) -> Result<Option<Array<T>>> {
    let Some((n, data)) = row_length(x, &[false, true]).zip(x.as_slice()) else { return Ok(None) };
    let classes = places(op, x, 1, &elements(op, classes)?)?;
    let losses = T::of_floats(&READINGS).logsumexp;
    Array::build(op, Dims::from_slice(&x.shape()[..1]), |out| {
        for_lines(out, 1, n, |from, out| {
            let rows = from..from + out.len();
            let x = &data[rows.start * n..rows.end * n];
            losses(Rows { classes: Some(&classes[rows]), ..Rows::of(out, x, n) });
        });
    })
    .map(Some)
}

/// The cotangent of x for the cotangent `g` of its [`losses`]; None as in [`softmax`].
pub fn losses_cotangent<T: Float>(
    op: &'static str,
    x: &Array<T>,
    classes: &Array<i64>,
    g: &Array<T>,
) -> Result<Option<Array<T>>> {
    let mut one = Vec::new();
    let g = Lines::of(g, &x.shape()[..1], 1, &mut one);
    let rows = row_length(x, &[false, true]);
    let Some(((n, data), g)) = rows.zip(x.as_slice()).zip(g) else { return Ok(None) };
    let classes = places(op, x, 1, &elements(op, classes)?)?;
    let cotangent = T::of_floats(&READINGS).shares;
    Array::build(op, Dims::from_slice(x.shape()), |out| {
        for_pieces(out, n, |from, out| {
            let rows = from / n..(from + out.len()) / n;
            let (x, g) = (&data[from..][..out.len()], g.from(rows.start));
            cotangent(Rows { g, classes: Some(&classes[rows]), ..Rows::of(out, x, n) });
        });
    })
    .map(Some)
}

/// The cotangent of x for the cotangent `g` of y = softmax(x), y (g - sum(g y)), or of its logarithm, g - e^y sum(g);
/// None as in [`softmax`].
pub fn softmax_cotangent<T: Float>(
    op: &'static str,
    y: &Array<T>,
    g: &Array<T>,
    mask: &[bool],
    log: bool,
) -> Result<Option<Array<T>>> {
    let Some((n, data)) = row_length(y, mask).zip(y.as_slice()) else { return Ok(None) };
    let mut one = Vec::new();
    let Some(g) = Lines::of(g, y.shape(), n, &mut one) else { return Ok(None) };
    let Readings { cotangent, log_cotangent, .. } = T::of_floats(&READINGS);
    let rows = if log { log_cotangent } else { cotangent };
    Array::build(op, Dims::from_slice(y.shape()), |out| {
        for_pieces(out, n, |from, out| {
            let y = &data[from..][..out.len()];
            rows(Rows { g: g.from(from / n), ..Rows::of(out, y, n) });
        });
    })
    .map(Some)
}

/// The sum of a row.
#[inline(always)]
fn sum<T: Elementary>(x: &[T]) -> T {
    line(x, Sum, |x| x)
}

/// The largest element that is a number, or what shifts nothing where it is infinite.
#[inline(always)]
fn shift<T: Elementary>(x: &[T]) -> T {
    let largest = largest(x);
    if largest.is_finite() { largest } else { T::ZERO }
}

/// The largest element that is a number.
#[inline(always)]
fn largest<T: Elementary>(x: &[T]) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let mut lanes = [T::LOWEST; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    // The last ones overlap what was seen.
    let last = x.last_chunk::<LANES>().filter(|_| !rest.is_empty());
    for chunk in chunks.iter().chain(last) {
        for l in 0..LANES {
            lanes[l] = larger(lanes[l], chunk[l]);
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] = larger(lanes[l], lanes[l + width]);
        }
    }
    let rest = if last.is_some() { &[] } else { rest };
    rest.iter().fold(lanes[0], |a, &b| larger(a, b))
}

/// What is known of the rows of a group.
struct Group<T> {
    shift: [T; ROWS],
    /// The sum of the exponentials, and its logarithm where that is asked for.
    total: [T; ROWS],
    log: [T; ROWS],
}

/// e = e^(x - shift) for the rows of a group.
#[inline(always)]
fn exponentials<T: Elementary, const LOG: bool>(e: &mut [T], x: &[T], n: usize) -> Group<T> {
    let mut group = Group { shift: [T::ZERO; ROWS], total: [T::ZERO; ROWS], log: [T::ZERO; ROWS] };
    for (k, (e, x)) in e.chunks_exact_mut(n).zip(x.chunks_exact(n)).enumerate() {
        let shift = shift(x);
        e.iter_mut().zip(x).for_each(|(e, &x)| *e = x - shift);
        group.shift[k] = shift;
    }
    exp(e);
    for (k, e) in e.chunks_exact(n).enumerate() {
        let total = sum(e);
        group.total[k] = total;
        // Where one element is far above the others, their sum has digits that 1 plus it has not.
        let single = LOG && total > T::of(0.5) && total < T::of(1.5);
        group.log[k] = match single {
            true => line(e, Sum, |e| if e == T::ONE { T::ZERO } else { e }),
            false => total - T::ONE,
        };
    }
    if LOG {
        // The largest exponential is 1, if any is not 0.
        group.log[..e.len() / n].iter_mut().for_each(|log| *log = Lane::of(*log).log1p().value);
    }
    group
}

#[inline(always)]
fn exp<T: Elementary>(x: &mut [T]) {
    x.iter_mut().for_each(|x| *x = Lane::of(*x).exp().value);
}

/// Rows as many as make a group.
#[inline(always)]
fn group(n: usize) -> usize {
    (GROUP / n).clamp(1, ROWS) * n
}

/// e = g e / total
#[inline(always)]
fn divide<T: Elementary, const FMA: bool>(e: &mut [T], total: T, g: T) {
    if !FMA || !total.is_finite() {
        return e.iter_mut().for_each(|e| *e = *e / total * g);
    }
    // The quotient by the reciprocal, and by what that leaves: as exact, and several times as fast.
    let reciprocal = T::ONE / total;
    for e in e {
        let quotient = *e * reciprocal;
        *e = (-quotient).mul_add(total, *e).mul_add(reciprocal, quotient) * g;
    }
}

struct Softmax<'a, T, const LOG: bool>(Rows<'a, T>);

impl<T: Elementary, const LOG: bool> Kernel for Softmax<'_, T, LOG> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { out, x, n, .. } = self.0;
        for (out, x) in out.chunks_mut(group(n)).zip(x.chunks(group(n))) {
            let group = exponentials::<T, LOG>(out, x, n);
            for (k, (out, x)) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)).enumerate() {
                if LOG {
                    // The shift and the logarithm are never added up: large elements would take its digits.
                    let (shift, log) = (group.shift[k], group.log[k]);
                    out.iter_mut().zip(x).for_each(|(out, &x)| *out = (x - shift) - log);
                } else {
                    divide::<T, FMA>(out, group.total[k], T::ONE);
                }
            }
        }
    }
}

/// Logarithms of sums, or what they are above the element of a class.
struct LogSumExp<'a, T>(Rows<'a, T>);

impl<T: Elementary> Kernel for LogSumExp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { out, x, n, classes, .. } = self.0;
        let mut room = work::vector(group(n).min(x.len()), T::ZERO);
        let rows = group(n) / n;
        for (first, (out, x)) in out.chunks_mut(rows).zip(x.chunks(rows * n)).enumerate() {
            let group = exponentials::<T, true>(&mut room[..x.len()], x, n);
            for (k, out) in out.iter_mut().enumerate() {
                let (shift, log) = (group.shift[k], group.log[k]);
                *out = match classes {
                    None => shift + log,
                    Some(classes) => log - (x[k * n + classes[first * rows + k]] - shift),
                };
            }
        }
    }
}

/// g e^x over its sum; for losses less g at the class.
struct Shares<'a, T>(Rows<'a, T>);

impl<T: Elementary> Kernel for Shares<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { out, x, n, g, classes } = self.0;
        let rows = group(n) / n;
        for (first, (out, x)) in out.chunks_mut(rows * n).zip(x.chunks(rows * n)).enumerate() {
            let group = match classes {
                None => exponentials::<T, false>(out, x, n),
                Some(_) => exponentials::<T, true>(out, x, n),
            };
            for (k, out) in out.chunks_exact_mut(n).enumerate() {
                let g = g.get(first * rows + k, 1)[0];
                divide::<T, FMA>(out, group.total[k], g);
                if let Some(classes) = classes {
                    // The share less 1, from its logarithm: where it is almost 1, that has the digits.
                    let class = classes[first * rows + k];
                    let log = (x[k * n + class] - group.shift[k]) - group.log[k];
                    out[class] = Lane::of(log).expm1().value * g;
                }
            }
        }
    }
}

struct Cotangent<'a, T>(Rows<'a, T>);

impl<T: Elementary> Kernel for Cotangent<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { out, x: y, n, g, .. } = self.0;
        for (k, (out, y)) in out.chunks_exact_mut(n).zip(y.chunks_exact(n)).enumerate() {
            // The mean of the gradients is taken off twice: what rounding leaves of it the first time is as large as
            // the result where one element has almost all of the sum.
            let g = g.get(k, n);
            for ((out, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *out = g * y;
            }
            let mean = sum(out);
            for ((out, &y), &g) in out.iter_mut().zip(y).zip(g) {
                *out = (g - mean) * y;
            }
            let rest = sum(out);
            for (out, &y) in out.iter_mut().zip(y) {
                *out -= rest * y;
            }
        }
    }
}

struct LogCotangent<'a, T>(Rows<'a, T>);

impl<T: Elementary> Kernel for LogCotangent<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { out, x: y, n, g, .. } = self.0;
        let rows = group(n) / n;
        for (first, (out, y)) in out.chunks_mut(rows * n).zip(y.chunks(rows * n)).enumerate() {
            out.copy_from_slice(y);
            exp(out);
            for (k, (out, y)) in out.chunks_exact_mut(n).zip(y.chunks_exact(n)).enumerate() {
                let g = g.get(first * rows + k, n);
                let total = sum(g);
                for (out, &g) in out.iter_mut().zip(g) {
                    *out = g - *out * total;
                }
                // The element that has more than half of the sum, of which there is one at most: there the two almost
                // cancel, and (g - total) - (e^y - 1) total does not.
                let most = largest(y);
                if most > T::of(-LN_2)
                    && let Some(class) = y.iter().position(|&y| y == most)
                {
                    out[class] = (g[class] - total) - Lane::of(most).expm1().value * total;
                }
            }
        }
    }
}
