//! Reductions over any dimensions.
//!
//! Every result is a balanced tree over its elements (Higham 1993, "The accuracy of floating point
//! summation": the error of pairwise summation grows with log n). The tree depends on shape and
//! strides only; threads work on its branches, so their number cannot change a result.

use super::parallel::{MIN_ELEMENTS, deal_parts, for_parts, join};
use crate::array::Array;
use crate::element::{Element, Number};
use crate::error::Result;
use crate::heap::work;
use crate::nest::Nest;
use crate::reduction::{All, Any, Max, Min, Reduction, Sum};
use crate::shape::Dims;
use crate::simd::{Kernel, dispatch};

/// Elements at the leaves of the tree over a contiguous stretch.
const LEAF: usize = 512;
/// Elements that are combined side by side within a leaf.
const LANES: usize = 32;
/// Rows at the leaves of the tree over rows.
const ROWS: usize = 32;
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
        return Ok(Array::one(shape, tree(data, r)));
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
        } else if by_columns {
            kept.segments(0..out.len(), |position, [p], n| {
                let wide = n * along.len() >= MIN_ELEMENTS;
                reduce_columns(data, p, &along, &mut out[position..][..n], wide, r);
            });
        } else if out.len() * along.len() < MIN_ELEMENTS || out.len() < 2 * rayon::current_num_threads() {
            reduce_each(data, &kept, &along, 0, out, r);
        } else {
            for_parts_of(out, along.len(), |from, out| reduce_each(data, &kept, &along, from, out, r));
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

/// [`for_parts`], for outputs that stand for `each` elements of work.
fn for_parts_of<T: Element>(out: &mut [T], each: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if each == 1 { for_parts(out, work) } else { deal_parts(out, 1, &work) }
}

/// Every output by itself: the case of rows that lie in one piece, and the general one.
fn reduce_each<T: Element, R: Reduction<T>>(
    data: &[T],
    kept: &Nest<1>,
    along: &Nest<1>,
    from: usize,
    out: &mut [T],
    r: R,
) {
    let (_, [across]) = kept.inner();
    let (len, [step]) = along.inner();
    kept.segments(from..from + out.len(), |position, [p], n| {
        for (k, o) in out[position - from..][..n].iter_mut().enumerate() {
            let p = p + k as isize * across;
            *o = match along.dims() {
                [_] => tree_strided(data, p, step, len, r),
                _ => tree_rows(along, 0..along.len() / len, &|q| tree_strided(data, p + q, step, len, r), r),
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
fn tree_strided<T: Element, R: Reduction<T>>(data: &[T], p: isize, step: isize, n: usize, r: R) -> T {
    if step == 1 {
        return tree(&data[p as usize..][..n], r);
    }
    if n > LEAF {
        let half = n / 2;
        let a = tree_strided(data, p, step, half, r);
        return r.combine(a, tree_strided(data, p + half as isize * step, step, n - half, r));
    }
    let mut gathered = [r.neutral(); LEAF];
    for (k, g) in gathered[..n].iter_mut().enumerate() {
        *g = data[(p + k as isize * step) as usize];
    }
    tree(&gathered[..n], r)
}

/// The tree over a contiguous stretch.
fn tree<T: Element, R: Reduction<T>>(x: &[T], r: R) -> T {
    if x.len() < MIN_ELEMENTS {
        return dispatch(Tree { x, r });
    }
    let (a, b) = x.split_at(middle(x.len()));
    let [mut left, mut right] = [r.neutral(); 2];
    join(true, || left = tree(a, r), || right = tree(b, r));
    r.combine(left, right)
}

/// Where a stretch is cut: at a multiple of the leaf.
#[inline(always)]
fn middle(n: usize) -> usize {
    (n / 2).next_multiple_of(LEAF)
}

struct Tree<'a, T, R> {
    x: &'a [T],
    r: R,
}

impl<T: Element, R: Reduction<T>> Kernel for Tree<'_, T, R> {
    type Output = T;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let (x, r) = (self.x, self.r);
        // The tree without recursion, which could not be inlined: leaves enter a binary counter,
        // in which equal powers of two combine.
        let mut levels = [r.neutral(); usize::BITS as usize];
        let mut leaves = 0usize;
        for chunk in x.chunks(LEAF) {
            let mut total = leaf(chunk, r);
            let mut level = 0;
            while leaves >> level & 1 == 1 {
                total = r.combine(levels[level], total);
                level += 1;
            }
            levels[level] = total;
            leaves += 1;
        }
        let mut total: Option<T> = None;
        for (level, &part) in levels.iter().enumerate() {
            if leaves >> level & 1 == 1 {
                total = Some(total.map_or(part, |t| r.combine(part, t)));
            }
        }
        total.unwrap_or(r.neutral())
    }
}

/// The elements of a leaf in lanes, then the lanes by halves.
#[inline(always)]
fn leaf<T: Element, R: Reduction<T>>(x: &[T], r: R) -> T {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let Some((first, chunks)) = chunks.split_first() else {
        return rest.iter().fold(r.neutral(), |a, &b| r.combine(a, b));
    };
    let mut lanes = *first;
    for chunk in chunks {
        for (a, &b) in lanes.iter_mut().zip(chunk) {
            *a = r.combine(*a, b);
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for k in 0..width {
            lanes[k] = r.combine(lanes[k], lanes[k + width]);
        }
    }
    rest.iter().fold(lanes[0], |a, &b| r.combine(a, b))
}

/// Many outputs side by side, each over the same walk: whole rows are combined into the output.
fn reduce_columns<T: Element, R: Reduction<T>>(
    data: &[T],
    p: isize,
    along: &Nest<1>,
    out: &mut [T],
    wide: bool,
    r: R,
) {
    if out.len() > COLUMNS {
        let half = (out.len() / 2).next_multiple_of(COLUMNS);
        let (a, b) = out.split_at_mut(half);
        join(
            wide,
            || reduce_columns(data, p, along, a, wide, r),
            || reduce_columns(data, p + half as isize, along, b, wide, r),
        );
    } else {
        add_rows(data, p, along, 0..along.len(), out, wide, r);
    }
}

/// The tree over rows: out = the combination of the rows in `range`, which counts elements of the
/// walk.
fn add_rows<T: Element, R: Reduction<T>>(
    data: &[T],
    p: isize,
    along: &Nest<1>,
    range: std::ops::Range<usize>,
    out: &mut [T],
    wide: bool,
    r: R,
) {
    if range.len() <= ROWS {
        return dispatch(Rows { data, p, along, range, out, r });
    }
    let middle = range.start + (range.len() / 2).next_multiple_of(ROWS);
    let (first, second) = (range.start..middle, middle..range.end);
    let wide = wide && out.len() * range.len() >= MIN_ELEMENTS;
    let mut other = work::vector(out.len(), r.neutral());
    join(
        wide,
        || add_rows(data, p, along, first, out, wide, r),
        || add_rows(data, p, along, second, &mut other, wide, r),
    );
    for (a, b) in out.iter_mut().zip(other) {
        *a = r.combine(*a, b);
    }
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
            for k in 0..count {
                let row = &data[(p + q + k as isize * step) as usize..][..n];
                if position + k == first {
                    out.copy_from_slice(row);
                } else {
                    for (o, &x) in out.iter_mut().zip(row) {
                        *o = r.combine(*o, x);
                    }
                }
            }
        });
    }
}
