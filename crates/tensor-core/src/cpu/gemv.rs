//! Matrix-vector product `y = alpha A x + beta y` for any strides of `A`.
//!
//! A matrix with contiguous rows or columns is a family of contiguous
//! [`Lines`]. With rows, `y` holds the dot products of the lines with `x`;
//! with columns, it is the sum of the lines weighted by `x`. Either way `A`
//! is read once, by stretches in the order of its memory.

use std::ops::Range;

use super::parallel::{Order, share};
use super::view::{Lines, MatRef, VecRef};
use crate::element::Float;
use crate::heap::work;
use crate::simd::{Kernel, add_rows, dispatch, dot_line, dot_rows, has_16_lanes, multiply_add};

/// Elements of `A` from which threads pay: below it the work takes less than
/// waking them.
pub(crate) const PARALLEL_FROM: usize = 1 << 17;

/// Elements of `A` in one parallel task, at least.
const TASK: usize = 1 << 15;

/// Elements of `A` that are read forwards where `A` is read from its end.
const STRETCH: usize = 1 << 13;

/// Elements of `A` in one part of a sum that is cut into parts, at least.
const PART: usize = 1 << 15;

/// Elements of `y` that stay in the first-level cache while lines are added.
const BLOCK: usize = 2048;

/// Length of `y` from which blocks of `y` alone make enough tasks.
const LONG: usize = 1 << 16;

/// `y = alpha A x + beta y`. With `beta == 0`, `y` is written without being
/// read. Any mismatch of the lengths has been rejected by the caller.
pub fn gemv<T: Float>(alpha: T, a: MatRef<T>, x: VecRef<T>, beta: T, y: &mut [T]) {
    assert!(x.len == a.cols && y.len() == a.rows, "the shapes were checked before");
    if a.rows == 0 {
        return;
    }
    if a.cols == 0 {
        return scale(beta, y);
    }
    // A single column is better added than dotted row by row.
    let columns = a.transposed().row_lines().filter(|_| a.rows > 1);
    match (columns, a.row_lines()) {
        (Some(columns), rows) if rows.is_none() || a.cols == 1 => {
            scale(beta, y);
            add_lines(alpha, columns, x, y);
        }
        (_, Some(rows)) => dot_lines(alpha, rows, &x.contiguous(), beta, y),
        _ => strided(alpha, a, &x.contiguous(), beta, y),
    }
}

#[inline(always)]
fn scale<T: Float>(beta: T, y: &mut [T]) {
    if beta == T::ZERO {
        y.fill(T::ZERO);
    } else if beta != T::ONE {
        y.iter_mut().for_each(|y| *y = beta * *y);
    }
}

#[inline(always)]
fn put<T: Float>(y: &mut T, value: T, beta: T) {
    *y = if beta == T::ZERO { value } else { value + beta * *y };
}

/// Neither rows nor columns are contiguous: plain loops along the shorter stride.
fn strided<T: Float>(alpha: T, a: MatRef<T>, x: &[T], beta: T, y: &mut [T]) {
    let along_rows = a.col_stride.unsigned_abs() <= a.row_stride.unsigned_abs();
    let parallel = a.rows.saturating_mul(a.cols) >= PARALLEL_FROM;
    let task_rows = if parallel { (TASK / a.cols).max(16) } else { a.rows };
    let task = |(t, y): (usize, &mut [T])| {
        let first = t * task_rows;
        if along_rows {
            for (i, y) in y.iter_mut().enumerate() {
                let row = a.row(first + i);
                let mut sum = T::ZERO;
                for (j, &x) in x.iter().enumerate() {
                    sum += row.at(j) * x;
                }
                put(y, alpha * sum, beta);
            }
        } else {
            scale(beta, y);
            for (j, &x) in x.iter().enumerate() {
                let column = a.transposed().row(j);
                for (i, y) in y.iter_mut().enumerate() {
                    *y += alpha * x * column.at(first + i);
                }
            }
        }
    };
    if parallel {
        share(y.chunks_mut(task_rows).enumerate(), Order::Forwards, task);
    } else {
        task((0, y));
    }
}

/// `y_i = alpha line_i · x + beta y_i`
fn dot_lines<T: Float>(alpha: T, lines: Lines<T>, x: &[T], beta: T, y: &mut [T]) {
    let (count, len) = (lines.count, lines.len);
    if lines.size() < PARALLEL_FROM {
        return dispatch(DotLines { alpha, lines, x, beta, y });
    }
    if count >= 64 || len < 2 * TASK {
        let task_lines = (TASK / len).max(8).next_multiple_of(4);
        share(y.chunks_mut(task_lines).enumerate(), Order::Forwards, |(t, y)| {
            let first = t * task_lines;
            let lines = lines.lines(first..first + y.len());
            dispatch(DotLines { alpha, lines, x, beta, y });
        });
    } else {
        // Too few lines for the threads: the lines are cut instead.
        scale(beta, y);
        let leaf = (TASK / count).max(1024);
        sum_parts(0..len, leaf, lines.size() / PART, y, &|part, y| {
            let lines = lines.within(part.clone());
            dispatch(DotLines { alpha, lines, x: &x[part], beta: T::ONE, y });
        });
    }
}

/// `y += alpha Σ_i x_i line_i`
fn add_lines<T: Float>(alpha: T, lines: Lines<T>, x: VecRef<T>, y: &mut [T]) {
    if lines.size() < PARALLEL_FROM {
        // From the end: `y = A x` was computed just before where this is its gradient, and the caches
        // still hold the end of `A`.
        let part = (STRETCH / lines.len).max(4).next_multiple_of(4);
        for first in (0..lines.count).step_by(part).rev() {
            let part = first..lines.count.min(first + part);
            let lines = lines.lines(part.clone());
            dispatch(AddLines { alpha, lines, x: x.slice(part), y });
        }
        return;
    }
    if lines.len >= LONG {
        share(y.chunks_mut(2 * BLOCK).enumerate(), Order::Backwards, |(t, y)| {
            let first = 2 * t * BLOCK;
            let lines = lines.within(first..first + y.len());
            dispatch(AddLines { alpha, lines, x, y });
        });
    } else {
        let leaf = (TASK / lines.len).max(32);
        sum_parts(0..lines.count, leaf, lines.size() / PART, y, &|part, y| {
            let lines = lines.lines(part.clone());
            dispatch(AddLines { alpha, lines, x: x.slice(part), y });
        });
    }
}

/// [`sum_tree`], cut into as many parts as pay, up to 64, which the threads
/// share: how many may not depend on the threads.
pub(crate) fn sum_parts<T, F>(range: Range<usize>, leaf: usize, pay: usize, out: &mut [T], part: &F)
where
    T: Float,
    F: Fn(Range<usize>, &mut [T]) + Sync,
{
    let leaves = range.len().div_ceil(leaf);
    let length = leaves.div_ceil(pay.clamp(1, 64)) * leaf;
    let parts = range.len().div_ceil(length.max(1));
    if parts <= 1 || out.is_empty() {
        return sum_tree(range, leaf, out, part);
    }
    let mut sums = work::vector(parts * out.len(), T::ZERO);
    share(sums.chunks_mut(out.len()).enumerate(), Order::Backwards, |(k, sum)| {
        let from = range.start + k * length;
        sum_tree(from..range.end.min(from + length), leaf, sum, part);
    });
    let mut apart = out.len();
    while apart < sums.len() {
        for pair in sums.chunks_mut(2 * apart).filter(|pair| pair.len() > apart) {
            let (sum, other) = pair.split_at_mut(apart);
            add(&mut sum[..out.len()], &other[..out.len()]);
        }
        apart *= 2;
    }
    add(out, &sums[..out.len()]);
}

/// Adds to `out` what `part` adds for each leaf of `range`, in a balanced tree.
pub(crate) fn sum_tree<T, F>(range: Range<usize>, leaf: usize, out: &mut [T], part: &F)
where
    T: Float,
    F: Fn(Range<usize>, &mut [T]),
{
    let leaves = range.len().div_ceil(leaf);
    if leaves <= 1 {
        return part(range, out);
    }
    let middle = range.start + leaves / 2 * leaf;
    let mut other = work::vector(out.len(), T::ZERO);
    sum_tree(middle..range.end, leaf, &mut other, part);
    sum_tree(range.start..middle, leaf, out, part);
    add(out, &other);
}

fn add<T: Float>(sum: &mut [T], other: &[T]) {
    for (sum, &other) in sum.iter_mut().zip(other) {
        *sum += other;
    }
}

struct DotLines<'a, T> {
    alpha: T,
    lines: Lines<'a, T>,
    x: &'a [T],
    beta: T,
    y: &'a mut [T],
}

impl<T: Float> Kernel for DotLines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.x.len() {
            0 => scale(self.beta, self.y),
            1 => self.short::<1, FMA>(),
            2 => self.short::<2, FMA>(),
            3 => self.short::<3, FMA>(),
            // One vector for each of four lines; a short line leaves too many elements beside eight.
            40.. if has_16_lanes::<T>() => self.wide::<8, FMA>(),
            _ => self.wide::<4, FMA>(),
        }
    }
}

impl<T: Float> DotLines<'_, T> {
    /// Lines of `K` elements, too short for lanes.
    #[inline(always)]
    fn short<const K: usize, const FMA: bool>(self) {
        let Some(x) = self.x.first_chunk::<K>() else {
            return;
        };
        for (i, y) in self.y.iter_mut().enumerate() {
            let line = self.lines.line(i);
            let mut sum = T::ZERO;
            for (&a, &x) in line.iter().zip(x) {
                sum = multiply_add::<T, FMA>(a, x, sum);
            }
            put(y, self.alpha * sum, self.beta);
        }
    }

    #[inline(always)]
    fn wide<const L: usize, const FMA: bool>(self) {
        let ahead = self.lines.ahead();
        let (quads, rest) = self.y.as_chunks_mut::<4>();
        let done = quads.len() * 4;
        for (q, quad) in quads.iter_mut().enumerate() {
            let sums = dot_rows::<T, 4, L, FMA>(self.lines.group(4 * q), self.x, ahead);
            for (y, sum) in quad.iter_mut().zip(sums) {
                put(y, self.alpha * sum, self.beta);
            }
        }
        for (i, y) in rest.iter_mut().enumerate() {
            let sum = dot_line::<T, FMA>(self.lines.line(done + i), self.x);
            put(y, self.alpha * sum, self.beta);
        }
    }
}

struct AddLines<'a, T> {
    alpha: T,
    lines: Lines<'a, T>,
    x: VecRef<'a, T>,
    y: &'a mut [T],
}

impl<T: Float> Kernel for AddLines<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.y.len() {
            0 => {}
            1 => self.short::<1, FMA>(),
            2 => self.short::<2, FMA>(),
            3 => self.short::<3, FMA>(),
            16.. if has_16_lanes::<T>() => self.wide::<16, FMA>(),
            _ => self.wide::<8, FMA>(),
        }
    }
}

impl<T: Float> AddLines<'_, T> {
    /// Lines of `K` elements: the sums stay in registers, four lines apart.
    #[inline(always)]
    fn short<const K: usize, const FMA: bool>(self) {
        let count = self.lines.count;
        let mut sums = [[T::ZERO; K]; 4];
        let add = |sum: &mut [T; K], i: usize| {
            let x = self.alpha * self.x.at(i);
            for (sum, &a) in sum.iter_mut().zip(self.lines.line(i)) {
                *sum = multiply_add::<T, FMA>(x, a, *sum);
            }
        };
        for q in 0..count / 4 {
            for (r, sum) in sums.iter_mut().enumerate() {
                add(sum, 4 * q + r);
            }
        }
        for i in count / 4 * 4..count {
            add(&mut sums[0], i);
        }
        for (k, y) in self.y.iter_mut().enumerate() {
            *y += (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]);
        }
    }

    #[inline(always)]
    fn wide<const L: usize, const FMA: bool>(self) {
        let count = self.lines.count;
        for (b, y) in self.y.chunks_mut(BLOCK).enumerate() {
            let lines = self.lines.within(b * BLOCK..b * BLOCK + y.len());
            let ahead = lines.ahead();
            for q in 0..count / 4 {
                let x = std::array::from_fn(|r| self.alpha * self.x.at(4 * q + r));
                add_rows::<T, 4, L, FMA>(x, lines.group(4 * q), y, ahead);
            }
            for i in count / 4 * 4..count {
                add_rows::<T, 1, L, FMA>([self.alpha * self.x.at(i)], lines.group(i), y, 0);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::view::step;
    use super::*;

    /// Reproducible numbers in [-1, 1).
    pub(crate) fn numbers<T: Float>(n: usize, seed: u64) -> Vec<T> {
        let mut state = seed.wrapping_mul(2) + 1;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            T::of((state >> 40) as f64 / (1u64 << 23) as f64 - 1.0)
        };
        (0..n).map(|_| next()).collect()
    }

    /// A buffer length and an offset that hold the view.
    pub(crate) fn room(axes: &[(usize, isize)]) -> (usize, usize) {
        let reach = |&(n, s): &(usize, isize)| (n.max(1) as isize - 1) * s;
        let low: isize = axes.iter().map(|a| reach(a).min(0)).sum();
        let high: isize = axes.iter().map(|a| reach(a).max(0)).sum();
        ((high - low) as usize + 1, (-low) as usize)
    }

    fn check<T: Float>(rows: usize, cols: usize, strides: (isize, isize), x_stride: isize) {
        let (size, offset) = room(&[(rows, strides.0), (cols, strides.1)]);
        let data = numbers::<T>(size, (rows * 31 + cols) as u64);
        let a = MatRef::new(&data, offset, (rows, cols), strides).unwrap();
        let (size, x_offset) = room(&[(cols, x_stride)]);
        let x_data = numbers::<T>(size, 7);
        let x = VecRef::new(&x_data, x_offset, cols, x_stride).unwrap();
        for (alpha, beta) in [(1.0, 0.0), (-0.5, 1.0), (2.0, 0.25), (0.0, 0.0)] {
            let start = if beta == 0.0 { vec![T::of(f64::NAN); rows] } else { numbers(rows, 9) };
            let mut y = start.clone();
            gemv(T::of(alpha), a, x, T::of(beta), &mut y);
            for i in 0..rows {
                let at = |j| data[step(step(offset, i, strides.0), j, strides.1)].to_f64();
                let dot: f64 = (0..cols).map(|j| at(j) * x.at(j).to_f64()).sum();
                let old = if beta == 0.0 { 0.0 } else { beta * start[i].to_f64() };
                let error = (y[i].to_f64() - (alpha * dot + old)).abs();
                // The bound on recursive summation: roundings times the sum of sizes.
                let size: f64 = (0..cols).map(|j| (at(j) * x.at(j).to_f64()).abs()).sum();
                let bound = T::EPSILON.to_f64() * (cols as f64 + 4.0) * (alpha.abs() * size + old.abs());
                assert!(error <= bound, "{rows}x{cols} {strides:?} row {i}: {error}");
            }
        }
    }

    #[test]
    fn agrees_with_the_definition() {
        for rows in [0, 1, 2, 3, 4, 5, 7, 8, 17, 33, 100] {
            for cols in [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 100, 131] {
                let (m, n) = (rows as isize, cols as isize);
                let layouts = [
                    (n, 1),
                    (n + 3, 1),
                    (-n, 1),
                    (0, 1),
                    (1, m),
                    (1, m + 2),
                    (1, -m),
                    (1, 0),
                    (n, -1),
                    (-1, m),
                    (2 * n, 2),
                    (3, 3 * m),
                    (0, 0),
                    (1, 1),
                    (-2 * n - 1, -2),
                ];
                for strides in layouts {
                    for x_stride in [1, 2, -1, 0] {
                        check::<f64>(rows, cols, strides, x_stride);
                        check::<f32>(rows, cols, strides, x_stride);
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_above_the_parallel_size() {
        for (rows, cols) in [(3, 70_001), (70_001, 3), (1000, 201), (201, 1000), (1, 200_003), (200_003, 1)] {
            let (m, n) = (rows as isize, cols as isize);
            for strides in [(n, 1), (1, m), (2 * n, 2), (2, 2 * m)] {
                check::<f64>(rows, cols, strides, 1);
                check::<f32>(rows, cols, strides, -1);
            }
        }
    }

    #[test]
    fn an_infinite_element_gives_infinity() {
        for n in 1..40 {
            let mut a = vec![1.0; n];
            a[n - 1] = f64::INFINITY;
            let (x, mut y) = (vec![1.0; n], [0.0]);
            let a = MatRef::new(&a, 0, (1, n), (n as isize, 1)).unwrap();
            gemv(1.0, a, VecRef::new(&x, 0, n, 1).unwrap(), 0.0, &mut y);
            assert_eq!(y[0], f64::INFINITY);
        }
    }

    #[test]
    fn views_outside_of_the_data_are_refused() {
        let data = [0.0f64; 6];
        assert!(MatRef::new(&data, 0, (2, 3), (3, 1)).is_some());
        assert!(MatRef::new(&data, 1, (2, 3), (3, 1)).is_none());
        assert!(MatRef::new(&data, 0, (2, 3), (-3, 1)).is_none());
        assert!(MatRef::new(&data, 0, (2, 2), (isize::MAX, isize::MAX)).is_none());
        assert!(MatRef::new(&data, usize::MAX, (0, 3), (3, 1)).is_some());
        assert!(VecRef::new(&data, 5, 6, -1).is_some());
        assert!(VecRef::new(&data, 4, 6, -1).is_none());
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        for (rows, cols) in [(3000, 301), (301, 3000), (3, 150_000), (150_000, 3), (50_000, 7)] {
            let data = numbers::<f32>(rows * cols, 3);
            let x = numbers::<f32>(rows.max(cols), 4);
            let a = MatRef::new(&data, 0, (rows, cols), (cols as isize, 1)).unwrap();
            let product = |a: MatRef<f32>| {
                let mut y = vec![0.0; a.rows()];
                gemv(1.0, a, VecRef::new(&x, 0, a.cols(), 1).unwrap(), 0.0, &mut y);
                y.iter().map(|y| y.to_bits()).collect::<Vec<_>>()
            };
            let results = [1, 2, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| (product(a), product(a.transposed())))
            });
            assert!(results[0] == results[1] && results[0] == results[2]);
        }
    }
}
