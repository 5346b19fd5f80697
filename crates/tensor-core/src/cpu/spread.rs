//! Squared distances from the mean, in one pass over memory.

use super::parallel::for_lines;
use super::reduce::{PIECE, line};
use crate::array::Array;
use crate::element::Float;
use crate::error::Result;
use crate::heap::work;
use crate::nest::Nest;
use crate::reduction::Sum;
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch};

/// Elements that are still in the first-level cache when their mean is known.
const BLOCK: usize = 2048;

/// The sums of the squared distances from the mean over the dimensions marked in `mask`, in `shape`; None where the
/// elements of a result do not lie in one piece.
///
/// The mean of a block is known when the block is read again, and blocks combine in pairs (Chan, Golub and LeVeque 1983,
/// "Algorithms for computing the sample variance"). Of all elements the first of the line is subtracted, so that a mean
/// far from 0 does not cancel when blocks combine.
pub fn squared_distances<T: Float>(
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    shape: Dims,
) -> Result<Option<Array<T>>> {
    let strides = x.layout().strides();
    let dims = |reduced| {
        let pick = move |&(k, _): &(usize, &usize)| mask[k] == reduced;
        let strides = &strides;
        x.shape().iter().enumerate().filter(pick).map(move |(k, &d)| (d, [strides[k]]))
    };
    let kept = Nest::of(dims(false), [x.layout().offset() as isize]);
    let along = Nest::of(dims(true), [0]);
    let &[(len, [1])] = along.dims() else { return Ok(None) };
    if len == 0 {
        return Ok(None);
    }
    let (data, (_, [across])) = (x.storage(), kept.inner());
    let wide = kept.len() < 2 * rayon::current_num_threads();
    let work = |from: usize, out: &mut [T]| {
        kept.segments(from..from + out.len(), |position, [start], n| {
            let out = &mut out[position - from..][..n];
            if len <= BLOCK {
                return dispatch(Spreads { data, start, across, len, out });
            }
            for (k, o) in out.iter_mut().enumerate() {
                let x = &data[(start + k as isize * across) as usize..][..len];
                *o = spread_of_pieces(x, wide).squares;
            }
        });
    };
    Array::build(op, shape, |out| if wide { work(0, out) } else { for_lines(out, 1, len, work) }).map(Some)
}

/// What blocks have of their elements, less a shift.
#[derive(Clone, Copy, Default)]
struct Spread<T> {
    mean: T,
    /// The sum of the squared distances from it.
    squares: T,
}

impl<T: Float> Spread<T> {
    /// Of `n` elements, and of `other_n` others (Chan, Golub and LeVeque 1983).
    fn join(self, n: usize, other: Self, other_n: usize) -> Self {
        let share = T::of(other_n as f64 / (n + other_n) as f64);
        let apart = other.mean - self.mean;
        Spread {
            mean: self.mean + apart * share,
            squares: self.squares + other.squares + apart * apart * share * T::of(n as f64),
        }
    }
}

/// In pieces, on several threads where `wide`; their results are joined by pairs.
fn spread_of_pieces<T: Float>(x: &[T], wide: bool) -> Spread<T> {
    let shift = x[0];
    if x.len() <= PIECE {
        return spread(x, shift);
    }
    let mut spreads = work::vector(x.len().div_ceil(PIECE), Spread::default());
    let piece = |k: usize| &x[k * PIECE..x.len().min((k + 1) * PIECE)];
    let each = |from: usize, spreads: &mut [Spread<T>]| {
        spreads.iter_mut().enumerate().for_each(|(k, s)| *s = spread(piece(from + k), shift));
    };
    if wide {
        for_lines(&mut spreads, 1, PIECE, each)
    } else {
        each(0, &mut spreads)
    }
    let mut apart = 1;
    while apart < spreads.len() {
        for k in (0..spreads.len() - apart).step_by(2 * apart) {
            let n = (x.len() - (k + apart) * PIECE).min(apart * PIECE);
            spreads[k] = spreads[k].join(apart * PIECE, spreads[k + apart], n);
        }
        apart *= 2;
    }
    spreads[0]
}

fn spread<T: Float>(x: &[T], shift: T) -> Spread<T> {
    if x.len() <= BLOCK {
        return dispatch(Block { x, shift });
    }
    let (a, b) = x.split_at((x.len() / 2).next_multiple_of(BLOCK));
    spread(a, shift).join(a.len(), spread(b, shift), b.len())
}

#[inline(always)]
fn of_block<T: Float>(x: &[T], shift: T) -> Spread<T> {
    let mean = line(x, Sum, |x| x - shift) / T::of(x.len() as f64);
    let square = |x: T| (x - shift - mean) * (x - shift - mean);
    Spread { mean, squares: line(x, Sum, square) }
}

struct Block<'a, T> {
    x: &'a [T],
    shift: T,
}

impl<T: Float> Kernel for Block<'_, T> {
    type Output = Spread<T>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Spread<T> {
        of_block(self.x, self.shift)
    }
}

/// Lines of one block each, which begin `across` apart.
struct Spreads<'a, T> {
    data: &'a [T],
    start: isize,
    across: isize,
    len: usize,
    out: &'a mut [T],
}

impl<T: Float> Kernel for Spreads<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Spreads { data, start, across, len, out } = self;
        for (k, o) in out.iter_mut().enumerate() {
            let x = &data[(start + k as isize * across) as usize..][..len];
            *o = of_block(x, x[0]).squares;
        }
    }
}
