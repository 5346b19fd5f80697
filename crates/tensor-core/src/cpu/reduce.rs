//! Reductions over any dimensions.
//!
//! Every result is a balanced tree over its elements (Higham 1993, "The accuracy of floating point
//! summation": the error of pairwise summation grows with log n). The tree depends on shape and
//! strides only; threads work on its branches, so their number cannot change a result.

use super::parallel::for_lines;
use crate::array::Array;
use crate::element::{Element, Number};
use crate::error::Result;
use crate::heap::work;
use crate::nest::Nest;
use crate::reduction::{All, Any, Max, Min, Reduction, Sum};
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch};
use std::hint::black_box;

/// Elements of the pieces that threads share: a long stretch is reduced piece by piece, and the results are reduced.
pub(super) const PIECE: usize = 1 << 13;
/// Elements at the leaves of the tree over a contiguous stretch.
const LEAF: usize = 512;
/// Rows at the leaves of the tree over rows.
const ROWS: usize = 64;
/// Chunks of lanes that are combined one after another, at the leaves of that tree.
const CHAIN: usize = 8;
/// Lanes for what is less than all of them.
const FEW: usize = 8;
/// Rows of fewer elements are reduced many at a time.
const SHORT: usize = 32;
/// Columns that are combined in one go, so that they stay in the first-level cache.
const COLUMNS: usize = 1024;

macro_rules! reductions {
    ($($name:ident $Reduction:ident;)*) => { $(
        /// [`reduce`] by the operation of this name.
        pub fn $name<T: Number>(op: &'static str, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
            reduce(op, x, mask, keepdim, $Reduction)
        }
    )* };
}
reductions! { sum Sum; max Max; min Min; }

/// [`reduce`] by "and".
pub fn all(op: &'static str, x: &Array<bool>, mask: &[bool], keepdim: bool) -> Result<Array<bool>> {
    reduce(op, x, mask, keepdim, All)
}

/// [`reduce`] by "or".
pub fn any(op: &'static str, x: &Array<bool>, mask: &[bool], keepdim: bool) -> Result<Array<bool>> {
    reduce(op, x, mask, keepdim, Any)
}

/// Reduces the dimensions marked in `mask`, which keep size 1 where `keepdim`.
pub fn reduce<T: Element, R: Reduction<T>>(
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
    r: R,
) -> Result<Array<T>> {
    let shape: Dims = (x.shape().iter().zip(mask))
        .filter(|&(_, &reduced)| !reduced || keepdim)
        .map(|(&d, &reduced)| if reduced { 1 } else { d })
        .collect();
    if let Some(x) = x.single() {
        return Ok(Array::one(shape, x));
    }
    if shape.iter().all(|&d| d == 1)
        && let Some(start) = x.layout().dense_start()
    {
        // Everything, in whatever order it lies.
        let data = x.storage().get(start..start + x.numel()).unwrap_or(&[]);
        return Ok(Array::one(shape, tree(data, true, r)));
    }
    let strides = x.layout().strides();
    // A dimension in which one element stands for all is not walked.
    let stands_for = |k: usize, d: usize| if mask[k] && strides[k] == 0 && d > 1 { d } else { 1 };
    let times: usize = x.shape().iter().enumerate().map(|(k, &d)| stands_for(k, d)).product();
    let dims = |reduced| {
        let pick = move |&(k, _): &(usize, &usize)| mask[k] == reduced;
        let strides = &strides;
        x.shape().iter().enumerate().filter(pick).map(move |(k, &d)| (d / stands_for(k, d), [strides[k]]))
    };
    let kept = Nest::of(dims(false), [x.layout().offset() as isize]);
    let along = Nest::of(dims(true), [0]);
    let data = x.storage();
    let (columns, [across]) = kept.inner();
    let by_columns = across == 1 && columns > 1 && along.inner().1 != [1];
    Array::build(op, shape, |out| {
        if along.len() == 0 {
            out.fill(r.neutral());
        } else if by_columns && out.len() < 2 * rayon::current_num_threads() * columns {
            kept.segments(0..out.len(), |position, [p], n| {
                reduce_columns(data, p, &along, &mut out[position..][..n], true, r);
            });
        } else if by_columns {
            for_lines(out, columns, along.len(), |from, out| {
                kept.segments(from..from + out.len(), |position, [p], n| {
                    reduce_columns(data, p, &along, &mut out[position - from..][..n], false, r);
                });
            });
        } else if out.len() < 2 * rayon::current_num_threads() {
            reduce_each(data, &kept, &along, 0, out, true, r);
        } else {
            for_lines(out, 1, along.len(), |from, out| reduce_each(data, &kept, &along, from, out, false, r));
        }
        if times > 1 {
            out.iter_mut().for_each(|x| *x = repeated(*x, times, r));
        }
    })
}

/// The combination of `x` with itself, so many times: by halves, as the tree over as many elements.
fn repeated<T: Element, R: Reduction<T>>(x: T, mut times: usize, r: R) -> T {
    let (mut total, mut power) = (r.neutral(), x);
    loop {
        if times % 2 == 1 {
            total = r.combine(total, power);
        }
        times /= 2;
        if times == 0 {
            return total;
        }
        power = r.combine(power, power);
    }
}

/// Every output by itself, on several threads where `wide`: the case of rows that lie in one piece, and the general one.
fn reduce_each<T: Element, R: Reduction<T>>(
    data: &[T],
    kept: &Nest<1>,
    along: &Nest<1>,
    from: usize,
    out: &mut [T],
    wide: bool,
    r: R,
) {
    let (_, [across]) = kept.inner();
    let (len, [step]) = along.inner();
    kept.segments(from..from + out.len(), |position, [start], n| {
        let out = &mut out[position - from..][..n];
        if along.dims().len() == 1 && step == 1 && len < 2 * PIECE {
            return dispatch(Lines { data, start, across, len, out, r });
        }
        for (k, o) in out.iter_mut().enumerate() {
            let p = start + k as isize * across;
            *o = match along.dims() {
                [_] => tree_strided(data, p, step, len, wide, r),
                _ => tree_rows(
                    along,
                    0..along.len() / len,
                    &|q| tree_strided(data, p + q, step, len, wide, r),
                    r,
                ),
            };
        }
    });
}

/// The tree over the rows of a nest, each of which `row` reduces.
fn tree_rows<T: Element, R: Reduction<T>>(
    along: &Nest<1>,
    rows: std::ops::Range<usize>,
    row: &impl Fn(isize) -> T,
    r: R,
) -> T {
    let len = along.inner().0;
    if rows.len() > ROWS {
        let middle = rows.start + rows.len() / 2;
        let (a, b) =
            (tree_rows(along, rows.start..middle, row, r), tree_rows(along, middle..rows.end, row, r));
        return r.combine(a, b);
    }
    let mut total = r.neutral();
    along.segments(rows.start * len..rows.end * len, |_, [q], _| total = r.combine(total, row(q)));
    total
}

/// The tree over `n` elements `step` apart.
fn tree_strided<T: Element, R: Reduction<T>>(
    data: &[T],
    p: isize,
    step: isize,
    n: usize,
    wide: bool,
    r: R,
) -> T {
    if step == 1 {
        return tree(&data[p as usize..][..n], wide, r);
    }
    let at = |k: usize| data[(p + k as isize * step) as usize];
    if n < SHORT {
        return (1..n).fold(at(0), |total, k| r.combine(total, at(k)));
    }
    if n > LEAF {
        let half = n / 2;
        let a = tree_strided(data, p, step, half, wide, r);
        return r.combine(a, tree_strided(data, p + half as isize * step, step, n - half, wide, r));
    }
    let mut gathered = [r.neutral(); LEAF];
    for (k, g) in gathered[..n].iter_mut().enumerate() {
        *g = at(k);
    }
    tree(&gathered[..n], false, r)
}

/// The tree over a contiguous stretch.
fn tree<T: Element, R: Reduction<T>>(x: &[T], wide: bool, r: R) -> T {
    let whole = |x: &[T]| {
        let mut total = r.neutral();
        let out = std::slice::from_mut(&mut total);
        dispatch(Lines { data: x, start: 0, across: 0, len: x.len(), out, r });
        total
    };
    if x.len() < 2 * PIECE {
        return whole(x);
    }
    let mut totals = work::vector(x.len() / PIECE, r.neutral());
    let last = totals.len() - 1;
    let pieces = |from: usize, totals: &mut [T]| {
        for (k, total) in totals.iter_mut().enumerate() {
            let start = (from + k) * PIECE;
            // The last has what is left over.
            *total = whole(&x[start..if from + k == last { x.len() } else { start + PIECE }]);
        }
    };
    if wide {
        for_lines(&mut totals, 1, PIECE, pieces)
    } else {
        pieces(0, &mut totals)
    }
    tree(&totals, false, r)
}

/// Contiguous lines of fewer than twice [`PIECE`], which begin `across` apart, an output for each.
struct Lines<'a, T, R> {
    data: &'a [T],
    start: isize,
    across: isize,
    len: usize,
    out: &'a mut [T],
    r: R,
}

impl<T: Element, R: Reduction<T>> Kernel for Lines<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Lines { data, start, across, len, out, r } = self;
        // Of truth values many fit a vector: few left of each row are enough.
        let left = if const { size_of::<T>() == 1 } { len >> len.trailing_zeros().min(4) } else { len };
        let short = (1..SHORT).contains(&left);
        if short && across == len as isize {
            return short_rows(&data[start as usize..][..len * out.len()], len, out, r);
        }
        for (k, o) in out.iter_mut().enumerate() {
            let x = &data[(start + k as isize * across) as usize..][..len];
            match short {
                // In the same order as among others.
                true => short_rows(x, len, std::slice::from_mut(o), r),
                false => *o = line(x, r, |x| x),
            }
        }
    }
}

/// Short rows one after another: while their length is even, neighbours are combined in all of them at once; what is
/// left of each is combined by itself.
#[inline(always)]
fn short_rows<T: Element, R: Reduction<T>>(x: &[T], len: usize, out: &mut [T], r: R) {
    let halvings = len.trailing_zeros() as usize;
    let odd = len >> halvings;
    let rows = LEAF / len;
    let [mut even, mut other] = [[r.neutral(); LEAF / 2]; 2];
    for (x, out) in x.chunks(rows * len).zip(out.chunks_mut(rows)) {
        let mut n = x.len();
        for halving in 0..halvings {
            let (to, from) = if halving % 2 == 0 { (&mut even, &other) } else { (&mut other, &even) };
            let from = if halving == 0 { x } else { &from[..n] };
            n /= 2;
            halve(from, &mut to[..n], r);
        }
        let left = match halvings {
            0 => x,
            _ if halvings % 2 == 1 => &even[..n],
            _ => &other[..n],
        };
        if odd == 1 {
            out.copy_from_slice(left);
        } else {
            for (o, row) in out.iter_mut().zip(left.chunks_exact(odd)) {
                *o = row[1..].iter().fold(row[0], |a, &b| r.combine(a, b));
            }
        }
    }
}

/// Combines neighbours; a function, so that the compiler knows `x` and `out` apart.
#[inline(always)]
fn halve<T: Element, R: Reduction<T>>(x: &[T], out: &mut [T], r: R) {
    let x = &x[..2 * out.len()];
    for (k, o) in out.iter_mut().enumerate() {
        *o = r.combine(x[2 * k], x[2 * k + 1]);
    }
}

/// The tree over what `read` makes of the elements of a line of fewer than twice [`PIECE`].
#[inline(always)]
pub(super) fn line<T: Element, R: Reduction<T>>(x: &[T], r: R, read: impl Fn(T) -> T + Copy) -> T {
    // Constants, so that only the branch of this type is compiled: up to four of the widest vectors, to hide the
    // latency of the additions.
    if const { size_of::<T>() <= 4 } {
        in_lanes::<_, _, 64>(x, r, read)
    } else {
        in_lanes::<_, _, 32>(x, r, read)
    }
}

/// The elements in lanes, and then these by halves; what is left over is combined in fewer lanes, and one by one.
#[inline(always)]
fn in_lanes<T: Element, R: Reduction<T>, const LANES: usize>(
    x: &[T],
    r: R,
    read: impl Fn(T) -> T + Copy,
) -> T {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut few = Lanes([r.neutral(); FEW]);
    if !chunks.is_empty() {
        let mut lanes = Lanes(if chunks.len() <= CHAIN {
            chain(chunks, r, read)
        } else {
            tree_of_lanes(chunks, r, read)
        });
        let mut width = LANES;
        while width > FEW {
            width /= 2;
            // Out of the compiler's sight, which in one piece with the loop would take the lanes apart.
            lanes = black_box(lanes);
            for k in 0..width {
                lanes.0[k] = r.combine(lanes.0[k], lanes.0[k + width]);
            }
        }
        few.0.copy_from_slice(&lanes.0[..FEW]);
    }
    let (chunks, rest) = rest.as_chunks::<FEW>();
    for chunk in chunks {
        few.0 = side_by_side(few.0, chunk, r, read);
    }
    let [a, b, c, d, e, f, g, h] = black_box(few).0;
    let [a, b, c, d] = side_by_side([a, b, c, d], &[e, f, g, h], r, |x| x);
    let [a, b] = side_by_side([a, b], &[c, d], r, |x| x);
    rest.iter().fold(r.combine(a, b), |total, &x| r.combine(total, read(x)))
}

/// Lanes in memory, where a vector that crosses a line of the cache is late to be read again.
#[repr(align(64))]
struct Lanes<A>(A);

/// `a = a b`, side by side: in place, as copies of lanes would keep them in memory.
#[inline(always)]
fn combine_lanes<T: Element, R: Reduction<T>, const N: usize>(
    a: &mut [T; N],
    b: &[T; N],
    r: R,
    read: impl Fn(T) -> T,
) {
    for k in 0..N {
        a[k] = r.combine(a[k], read(b[k]));
    }
}

/// [`combine_lanes`] of few enough to be copied.
#[inline(always)]
fn side_by_side<T: Element, R: Reduction<T>, const N: usize>(
    mut a: [T; N],
    b: &[T; N],
    r: R,
    read: impl Fn(T) -> T,
) -> [T; N] {
    combine_lanes(&mut a, b, r, read);
    a
}

#[inline(always)]
fn chain<T: Element, R: Reduction<T>, const N: usize>(
    chunks: &[[T; N]],
    r: R,
    read: impl Fn(T) -> T + Copy,
) -> [T; N] {
    let mut lanes = [r.neutral(); N];
    let (fours, rest) = chunks.as_chunks::<4>();
    for four in fours {
        for k in 0..N {
            lanes[k] = r.combine_four(
                lanes[k],
                [read(four[0][k]), read(four[1][k]), read(four[2][k]), read(four[3][k])],
            );
        }
    }
    for chunk in rest {
        combine_lanes(&mut lanes, chunk, r, read);
    }
    lanes
}

/// The tree without recursion, which could not be inlined: chains enter a binary counter, in which equal powers of two
/// combine.
#[inline(always)]
fn tree_of_lanes<T: Element, R: Reduction<T>, const N: usize>(
    chunks: &[[T; N]],
    r: R,
    read: impl Fn(T) -> T + Copy,
) -> [T; N] {
    // There are 32 lanes or more.
    let mut levels = [[r.neutral(); N]; (2 * PIECE / (32 * CHAIN)).ilog2() as usize + 1];
    let mut count = 0usize;
    for chunks in chunks.chunks(CHAIN) {
        let mut lanes = black_box(chain(chunks, r, read));
        let mut level = 0;
        while count >> level & 1 == 1 {
            combine_lanes(&mut lanes, &levels[level], r, |x| x);
            level += 1;
        }
        levels[level] = lanes;
        count += 1;
    }
    // What is left stands where the count has ones, the latest in the lowest.
    let mut lanes = levels[count.trailing_zeros() as usize];
    count &= count - 1;
    while count > 0 {
        combine_lanes(&mut lanes, &levels[count.trailing_zeros() as usize], r, |x| x);
        count &= count - 1;
    }
    lanes
}

/// Many outputs side by side, each over the same walk: whole rows are combined into the output, piece by piece, and the
/// results of the pieces by pairs. On several threads where `wide`.
fn reduce_columns<T: Element, R: Reduction<T>>(
    data: &[T],
    p: isize,
    along: &Nest<1>,
    out: &mut [T],
    wide: bool,
    r: R,
) {
    let (n, rows) = (out.len(), along.len());
    let height = (PIECE / n).next_multiple_of(ROWS);
    let count = rows.div_ceil(height.max(ROWS));
    if count < 2 {
        let columns =
            |from: usize, out: &mut [T]| combine_rows(data, p + from as isize, along, 0..rows, out, r);
        return if wide { for_lines(out, 64, rows, columns) } else { columns(0, out) };
    }
    let height = rows.div_ceil(count);
    let mut pieces = work::vector(count * n, r.neutral());
    let each = |from: usize, pieces: &mut [T]| {
        for (k, out) in pieces.chunks_exact_mut(n).enumerate() {
            let first = (from / n + k) * height;
            combine_rows(data, p, along, first..rows.min(first + height), out, r);
        }
    };
    if wide {
        for_lines(&mut pieces, n, height, each)
    } else {
        each(0, &mut pieces)
    }
    let mut apart = n;
    while apart < pieces.len() {
        for pair in pieces.chunks_mut(2 * apart).filter(|pair| pair.len() > apart) {
            let (a, b) = pair.split_at_mut(apart);
            a[..n].iter_mut().zip(&b[..n]).for_each(|(a, &b)| *a = r.combine(*a, b));
        }
        apart *= 2;
    }
    out.copy_from_slice(&pieces[..n]);
}

/// out = the combination of the rows in `range`, which counts elements of the walk, by pairs of [`ROWS`].
fn combine_rows<T: Element, R: Reduction<T>>(
    data: &[T],
    p: isize,
    along: &Nest<1>,
    range: std::ops::Range<usize>,
    out: &mut [T],
    r: R,
) {
    for (k, out) in out.chunks_mut(COLUMNS).enumerate() {
        tree_of_rows(data, p + (k * COLUMNS) as isize, along, range.clone(), out, r);
    }
}

fn tree_of_rows<T: Element, R: Reduction<T>>(
    data: &[T],
    p: isize,
    along: &Nest<1>,
    range: std::ops::Range<usize>,
    out: &mut [T],
    r: R,
) {
    if range.len() <= ROWS {
        return dispatch(Rows { data, p, along, range, out, r });
    }
    let middle = range.start + (range.len() / 2).next_multiple_of(ROWS);
    tree_of_rows(data, p, along, range.start..middle, out, r);
    let mut other = work::vector(out.len(), r.neutral());
    tree_of_rows(data, p, along, middle..range.end, &mut other, r);
    out.iter_mut().zip(other).for_each(|(a, b)| *a = r.combine(*a, b));
}

struct Rows<'a, T, R> {
    data: &'a [T],
    p: isize,
    along: &'a Nest<1>,
    range: std::ops::Range<usize>,
    out: &'a mut [T],
    r: R,
}

impl<T: Element, R: Reduction<T>> Kernel for Rows<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { data, p, along, range, out, r } = self;
        let (_, [step]) = along.inner();
        let n = out.len();
        let first = range.start;
        along.segments(range, |position, [q], count| {
            let row = |k: usize| &data[(p + q + k as isize * step) as usize..][..n];
            let mut k = 0;
            if position == first {
                out.copy_from_slice(row(0));
                k = 1;
            }
            while k + 4 <= count {
                combine_four(out, row(k), row(k + 1), row(k + 2), row(k + 3), r);
                k += 4;
            }
            for k in k..count {
                for (o, &x) in out.iter_mut().zip(row(k)) {
                    *o = r.combine(*o, x);
                }
            }
        });
    }
}

/// Four rows in one go, so that the output is read and written a quarter as often; a function, as is [`halve`].
#[inline(always)]
fn combine_four<T: Element, R: Reduction<T>>(out: &mut [T], a: &[T], b: &[T], c: &[T], d: &[T], r: R) {
    let n = out.len();
    let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
    for k in 0..n {
        out[k] = r.combine_four(out[k], [a[k], b[k], c[k], d[k]]);
    }
}
