//! Running sums and products, and the places of running extremes.

use super::copy::elements;
use super::parallel::{MIN_ELEMENTS, Order, for_pieces, share};
use crate::array::Array;
use crate::element::{Float, Number};
use crate::error::Result;
use crate::heap::work;
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch, multiply_add};

/// The running sums along `dim`, from the end where `reverse`.
pub fn cumsum<T: Number>(op: &'static str, x: &Array<T>, dim: usize, reverse: bool) -> Result<Array<T>> {
    running(op, x, dim, reverse, T::plus)
}

/// What `combine` makes of all elements up to each along `dim`, from the end where `reverse`.
pub(super) fn running<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    reverse: bool,
    combine: impl Fn(T, T) -> T + Copy + Sync,
) -> Result<Array<T>> {
    let (n, inner) = lengths(x, dim);
    let data = elements(op, x)?;
    Array::build(op, Dims::from_slice(x.shape()), |out| {
        if out.is_empty() {
            return;
        }
        if inner == 1 {
            return for_pieces(out, n, |from, out| {
                dispatch(RunningLines { x: &data[from..][..out.len()], out, n, reverse, combine });
            });
        }
        for_columns(out, n, inner, |from, rows| {
            dispatch(RunningColumns { x: &data[from..], inner, rows, reverse, combine });
        });
    })
}

/// The index of the extreme element so far along `dim`, of the last where several are equal: of the
/// largest, or of the smallest where `smallest`. NaN counts as more extreme than anything.
pub fn cum_arg_extreme<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    let (n, inner) = lengths(x, dim);
    let data = elements(op, x)?;
    Array::build(op, Dims::from_slice(x.shape()), |out| {
        if out.is_empty() {
            return;
        }
        if inner == 1 {
            return for_pieces(out, n, |from, out| {
                dispatch(LineExtremes { x: &data[from..][..out.len()], out, n, smallest });
            });
        }
        for_columns(out, n, inner, |from, rows| {
            dispatch(ColumnExtremes { x: &data[from..], inner, rows, smallest });
        });
    })
}

/// y_i = b_i + a_i y_(i-1) along `dim`, for operands of one shape; a_0 is not read.
pub fn recurrence<T: Float>(op: &'static str, a: &Array<T>, b: &Array<T>, dim: usize) -> Result<Array<T>> {
    let (n, inner) = lengths(b, dim);
    let shape = Dims::from_slice(b.shape());
    let (a, b) = (elements(op, a)?, elements(op, b)?);
    Array::build(op, shape, |out| {
        if out.is_empty() {
            return;
        }
        if inner == 1 {
            return for_pieces(out, n, |from, out| {
                let stretch = from..from + out.len();
                dispatch(RecurrentLines { a: &a[stretch.clone()], b: &b[stretch], out, n });
            });
        }
        for_columns(out, n, inner, |from, rows| {
            dispatch(RecurrentColumns { a: &a[from..], b: &b[from..], inner, rows });
        });
    })
}

/// How many elements there are along the dimension, and how far they lie apart in row-major order.
fn lengths<T: Number>(x: &Array<T>, dim: usize) -> (usize, usize) {
    (x.shape()[dim], x.shape()[dim + 1..].iter().product())
}

/// Calls `work(from, rows)` with all `n` rows of matrices of `inner` columns, or of some of the columns; `from` is the
/// place of the first element. What belongs to one column is done by one thread.
fn for_columns<U: Send>(out: &mut [U], n: usize, inner: usize, work: impl Fn(usize, Vec<&mut [U]>) + Sync) {
    /// Columns below which lines of memory are torn apart.
    const FEW: usize = 64;
    let (block, parts) = (n * inner, 4 * rayon::current_num_threads());
    let matrices = out.chunks_exact_mut(block).enumerate();
    if n * inner * matrices.len() < MIN_ELEMENTS || parts == 4 {
        return matrices.for_each(|(k, matrix)| work(k * block, work::collect(matrix.chunks_mut(inner))));
    }
    let wide = inner.div_ceil(parts.div_ceil(matrices.len())).max(FEW).min(inner);
    let stretches = inner.div_ceil(wide);
    let mut items = work::collect((0..matrices.len() * stretches).map(|k| {
        let from = k / stretches * block + k % stretches * wide;
        (from, work::collect((0..n).map(|_| <&mut [U]>::default())))
    }));
    for (k, matrix) in matrices {
        for (row, line) in matrix.chunks_mut(inner).enumerate() {
            for (part, piece) in line.chunks_mut(wide).enumerate() {
                items[k * stretches + part].1[row] = piece;
            }
        }
    }
    share(items.into_iter(), Order::Forwards, |(from, rows)| work(from, rows));
}

/// Lines of `n`.
struct RunningLines<'a, T, F> {
    x: &'a [T],
    out: &'a mut [T],
    n: usize,
    reverse: bool,
    combine: F,
}

impl<T: Number, F: Fn(T, T) -> T + Copy> Kernel for RunningLines<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let RunningLines { x, out, n, reverse, combine } = self;
        if reverse {
            for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                let mut last = x[n - 1];
                out[n - 1] = last;
                for (out, &x) in out.iter_mut().zip(x).rev().skip(1) {
                    last = combine(last, x);
                    *out = last;
                }
            }
            return;
        }
        // Each number waits for the one before, and the processor looks ahead into the next line by itself. Of short
        // elements two lines at once are quicker (31 and 40 microseconds for 900 lines of 100), of long ones slower.
        let pairs = if const { size_of::<T>() <= 4 } { x.len() / (2 * n) * (2 * n) } else { 0 };
        let ((twos, ones), (out_twos, out_ones)) = (x.split_at(pairs), out.split_at_mut(pairs));
        for (x, out) in twos.chunks_exact(2 * n).zip(out_twos.chunks_exact_mut(2 * n)) {
            run_lines::<T, 2>(x, out, n, combine);
        }
        for (x, out) in ones.chunks_exact(n).zip(out_ones.chunks_exact_mut(n)) {
            run_lines::<T, 1>(x, out, n, combine);
        }
    }
}

/// `L` lines of `n`, in blocks that are read and written as such.
#[inline(always)]
fn run_lines<T: Number, const L: usize>(x: &[T], out: &mut [T], n: usize, combine: impl Fn(T, T) -> T) {
    const BLOCK: usize = 8;
    let mut last: [T; L] = std::array::from_fn(|l| x[l * n]);
    for l in 0..L {
        out[l * n] = last[l];
    }
    let mut k = 1;
    while k + BLOCK <= n {
        let mut block = [[T::ZERO; BLOCK]; L];
        for l in 0..L {
            block[l].copy_from_slice(&x[l * n + k..][..BLOCK]);
        }
        for l in 0..L {
            for x in &mut block[l] {
                last[l] = combine(last[l], *x);
                *x = last[l];
            }
        }
        for l in 0..L {
            out[l * n + k..][..BLOCK].copy_from_slice(&block[l]);
        }
        k += BLOCK;
    }
    for k in k..n {
        for l in 0..L {
            last[l] = combine(last[l], x[l * n + k]);
            out[l * n + k] = last[l];
        }
    }
}

/// Columns, whose rows begin `inner` apart.
struct RunningColumns<'a, T, F> {
    x: &'a [T],
    inner: usize,
    rows: Vec<&'a mut [T]>,
    reverse: bool,
    combine: F,
}

impl<T: Number, F: Fn(T, T) -> T + Copy> Kernel for RunningColumns<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let RunningColumns { x, inner, mut rows, reverse, combine } = self;
        let last = rows.len() - 1;
        if reverse {
            rows.reverse();
        }
        let mut before: Option<&[T]> = None;
        for (k, row) in rows.into_iter().enumerate() {
            let x = &x[if reverse { last - k } else { k } * inner..][..row.len()];
            match before {
                None => row.copy_from_slice(x),
                Some(before) => {
                    for ((out, &last), &x) in row.iter_mut().zip(before).zip(x) {
                        *out = combine(last, x);
                    }
                }
            }
            before = Some(row);
        }
    }
}

/// Recurrences along lines of `n`.
struct RecurrentLines<'a, T> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
    n: usize,
}

impl<T: Float> Kernel for RecurrentLines<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        /// Lines that are run at once, since each number waits for the one before.
        const LINES: usize = 4;
        let RecurrentLines { a, b, out, n } = self;
        let together = a.chunks(LINES * n).zip(b.chunks(LINES * n)).zip(out.chunks_mut(LINES * n));
        for ((a, b), out) in together {
            if a.len() < LINES * n {
                for ((a, b), out) in a.chunks_exact(n).zip(b.chunks_exact(n)).zip(out.chunks_exact_mut(n)) {
                    recur::<T, 1, FMA>(a, b, out, n);
                }
            } else {
                recur::<T, LINES, FMA>(a, b, out, n);
            }
        }
    }
}

#[inline(always)]
fn recur<T: Float, const L: usize, const FMA: bool>(a: &[T], b: &[T], out: &mut [T], n: usize) {
    let (a, b): ([&[T]; L], [&[T]; L]) =
        (std::array::from_fn(|l| &a[l * n..][..n]), std::array::from_fn(|l| &b[l * n..][..n]));
    let mut last: [T; L] = std::array::from_fn(|l| b[l][0]);
    for l in 0..L {
        out[l * n] = last[l];
    }
    for k in 1..n {
        for l in 0..L {
            last[l] = multiply_add::<T, FMA>(a[l][k], last[l], b[l][k]);
            out[l * n + k] = last[l];
        }
    }
}

/// Recurrences down columns, whose rows begin `inner` apart.
struct RecurrentColumns<'a, T> {
    a: &'a [T],
    b: &'a [T],
    inner: usize,
    rows: Vec<&'a mut [T]>,
}

impl<T: Float> Kernel for RecurrentColumns<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let RecurrentColumns { a, b, inner, rows } = self;
        let mut before: Option<&[T]> = None;
        for (k, row) in rows.into_iter().enumerate() {
            let (a, b) = (&a[k * inner..][..row.len()], &b[k * inner..][..row.len()]);
            match before {
                None => row.copy_from_slice(b),
                Some(before) => {
                    for (((out, &last), &a), &b) in row.iter_mut().zip(before).zip(a).zip(b) {
                        *out = multiply_add::<T, FMA>(a, last, b);
                    }
                }
            }
            before = Some(row);
        }
    }
}

/// Whether an element takes the place of the extreme one so far.
#[inline(always)]
fn takes_over<T: Number>(x: T, best: T, smallest: bool) -> bool {
    x.is_nan() | if smallest { x <= best } else { x >= best }
}

/// The places of the running extremes of lines of `n`.
struct LineExtremes<'a, T> {
    x: &'a [T],
    out: &'a mut [i64],
    n: usize,
    smallest: bool,
}

impl<T: Number> Kernel for LineExtremes<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        /// Elements that are looked at in vectors: most of them follow a more extreme one.
        const BLOCK: usize = 32;
        let LineExtremes { x, out, n, smallest } = self;
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let (mut best, mut at) = (x[0], 0);
            for (block, (x, out)) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)).enumerate() {
                if !x.iter().fold(false, |any, &x| any | takes_over(x, best, smallest)) {
                    out.fill(at);
                    continue;
                }
                for ((k, &x), out) in ((block * BLOCK) as i64..).zip(x).zip(out) {
                    (best, at) = if takes_over(x, best, smallest) { (x, k) } else { (best, at) };
                    *out = at;
                }
            }
        }
    }
}

/// The places of the running extremes down columns, whose rows begin `inner` apart.
struct ColumnExtremes<'a, T> {
    x: &'a [T],
    inner: usize,
    rows: Vec<&'a mut [i64]>,
    smallest: bool,
}

impl<T: Number> Kernel for ColumnExtremes<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let ColumnExtremes { x, inner, rows, smallest } = self;
        let mut best = work::collect(x[..rows[0].len()].iter().copied());
        let mut before: Option<&[i64]> = None;
        for (k, row) in rows.into_iter().enumerate() {
            let x = &x[k * inner..][..row.len()];
            match before {
                None => row.fill(0),
                Some(before) => {
                    for (((out, &at), &x), best) in row.iter_mut().zip(before).zip(x).zip(&mut best) {
                        let over = takes_over(x, *best, smallest);
                        *best = if over { x } else { *best };
                        *out = if over { k as i64 } else { at };
                    }
                }
            }
            before = Some(row);
        }
    }
}

#[cfg(test)]
mod tests;
