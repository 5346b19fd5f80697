//! Sum of squared residuals and its gradient in one pass over the matrix.
//!
//! With `r = y - A x`, the loss is `r · r` and its gradient in `x` is
//! `-2 Aᵀ r`. Done by two products, `A` is read twice; here each block of rows
//! gives its residuals and then, still in the cache, its share of `Aᵀ r`.

use std::ops::Range;

use super::gemm;
use super::gemv::{PARALLEL_FROM, gemv, sum_parts, sum_tree};
use super::view::{Lines, MatRef, VecRef};
use crate::array::Array;
use crate::element::Float;
use crate::error::Result;
use crate::heap::work;
use crate::simd::{Kernel, add_rows, dispatch, dot, dot_line, dot_rows, has_16_lanes, multiply_add};

/// Elements of `A` in one partial sum, as far as the bounds on rows allow.
const LEAF: usize = 1 << 16;

/// `‖y - A x‖²` and, if `want_gradient`, `Aᵀ (y - A x)`. Any mismatch of the
/// shapes has been rejected by the caller.
pub fn loss<T: Float>(
    _: &'static str,
    a: &Array<T>,
    x: &Array<T>,
    y: &Array<T>,
    want_gradient: bool,
) -> Result<(Array<T>, Option<Array<T>>)> {
    let (loss, gradient) = least_squares(gemm::whole(a), gemm::vector(x), gemm::vector(y), want_gradient);
    Ok((Array::scalar(loss), gradient.map(|g| Array::from_vec(g, x.shape())).transpose()?))
}

/// The same for matrices and vectors as the kernels take them.
fn least_squares<T: Float>(
    a: MatRef<T>,
    x: VecRef<T>,
    y: VecRef<T>,
    want_gradient: bool,
) -> (T, Option<Vec<T>>) {
    assert!(x.len() == a.cols() && y.len() == a.rows(), "the shapes were checked before");
    match a.row_lines().filter(|_| a.cols() > 0) {
        Some(lines) => one_pass(lines, &x.contiguous(), y, want_gradient),
        None => two_passes(a, x, y, want_gradient),
    }
}

fn one_pass<T: Float>(lines: Lines<T>, x: &[T], y: VecRef<T>, want_gradient: bool) -> (T, Option<Vec<T>>) {
    let (rows, cols) = (lines.count, lines.len);
    let leaf = (LEAF / cols.max(1)).clamp(16, 1024);
    let size = rows.saturating_mul(cols);
    let pay = if size < PARALLEL_FROM { 1 } else { size / LEAF };
    // The loss follows the gradient, so that one tree sums both.
    let mut sums = work::vector(if want_gradient { cols + 1 } else { 1 }, T::ZERO);
    sum_parts(0..rows, leaf, pay, &mut sums, &|part: Range<usize>, sums| {
        if let Some((loss, gradient)) = sums.split_last_mut() {
            *loss += dispatch(Pass { lines: lines.lines(part.clone()), x, y: y.slice(part), gradient });
        }
    });
    let loss = sums.pop().unwrap_or(T::ZERO);
    (loss, want_gradient.then_some(sums))
}

fn two_passes<T: Float>(
    a: MatRef<T>,
    x: VecRef<T>,
    y: VecRef<T>,
    want_gradient: bool,
) -> (T, Option<Vec<T>>) {
    let mut residual = work::collect((0..y.len()).map(|i| y.at(i)));
    gemv(-T::ONE, a, x, T::ONE, &mut residual);
    let mut loss = [T::ZERO];
    sum_tree(0..residual.len(), 1024, &mut loss, &|part, loss| {
        loss[0] += dot(&residual[part.clone()], &residual[part]);
    });
    let gradient = want_gradient.then(|| {
        let mut gradient = work::vector(a.cols(), T::ZERO);
        if let Some(residual) = VecRef::new(&residual, 0, a.rows(), 1) {
            gemv(T::ONE, a.transposed(), residual, T::ZERO, &mut gradient);
        }
        gradient
    });
    (loss[0], gradient)
}

/// Returns the loss of some rows and adds their `Aᵀ r` to `gradient`, unless
/// that is empty.
struct Pass<'a, T> {
    lines: Lines<'a, T>,
    x: &'a [T],
    y: VecRef<'a, T>,
    gradient: &'a mut [T],
}

impl<T: Float> Kernel for Pass<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        match self.x.len() {
            40.. if has_16_lanes::<T>() => self.blocks::<8, 16, FMA>(),
            _ => self.blocks::<4, 8, FMA>(),
        }
    }
}

impl<T: Float> Pass<'_, T> {
    #[inline(always)]
    fn blocks<const DOT: usize, const ADD: usize, const FMA: bool>(self) -> T {
        let count = self.lines.count;
        let mut loss = [T::ZERO; 4];
        // While a group of rows is read again from the cache, memory would be idle.
        let ahead = 4 * self.lines.stride;
        for q in 0..count / 4 {
            let rows = self.lines.group::<4>(4 * q);
            let products = dot_rows::<T, 4, DOT, FMA>(rows, self.x, 0);
            let residual: [T; 4] = std::array::from_fn(|r| self.y.at(4 * q + r) - products[r]);
            for r in 0..4 {
                loss[r] = multiply_add::<T, FMA>(residual[r], residual[r], loss[r]);
            }
            add_rows::<T, 4, ADD, FMA>(residual, rows, self.gradient, ahead);
        }
        for i in count / 4 * 4..count {
            let row = self.lines.line(i);
            let residual = self.y.at(i) - dot_line::<T, FMA>(row, self.x);
            loss[0] = multiply_add::<T, FMA>(residual, residual, loss[0]);
            add_rows::<T, 1, ADD, FMA>([residual], [row], self.gradient, 0);
        }
        (loss[0] + loss[1]) + (loss[2] + loss[3])
    }
}

#[cfg(test)]
mod tests {
    use super::super::gemv::tests::{numbers, room};
    use super::*;

    fn check<T: Float>(rows: usize, cols: usize, strides: (isize, isize), stride: isize) {
        let (size, offset) = room(&[(rows, strides.0), (cols, strides.1)]);
        let a_data = numbers::<T>(size, (rows + 3 * cols) as u64);
        let a = MatRef::new(&a_data, offset, (rows, cols), strides).unwrap();
        let (size, offset) = room(&[(cols, stride)]);
        let x_data = numbers::<T>(size, 5);
        let x = VecRef::new(&x_data, offset, cols, stride).unwrap();
        let (size, offset) = room(&[(rows, stride)]);
        let y_data = numbers::<T>(size, 6);
        let y = VecRef::new(&y_data, offset, rows, stride).unwrap();

        let (mut loss, mut gradient) = (0.0, vec![0.0; cols]);
        let a_data: Vec<f64> = a_data.iter().map(|a| a.to_f64()).collect();
        let offset = room(&[(rows, strides.0), (cols, strides.1)]).1 as isize;
        let at =
            |i: usize, j: usize| a_data[(offset + i as isize * strides.0 + j as isize * strides.1) as usize];
        for i in 0..rows {
            let dot: f64 = (0..cols).map(|j| at(i, j) * x.at(j).to_f64()).sum();
            let r = y.at(i).to_f64() - dot;
            loss += r * r;
            for (j, g) in gradient.iter_mut().enumerate() {
                *g += at(i, j) * r;
            }
        }
        // Every residual is at most 1 + cols, each with an error of cols roundings.
        let (m, n, eps) = (rows as f64, cols as f64, T::EPSILON.to_f64());
        let bound = 4.0 * eps * (n + 32.0) * (1.0 + m) * (1.0 + n);
        let (got, atr) = least_squares(a, x, y, true);
        assert!((got.to_f64() - loss).abs() <= bound * (1.0 + n), "{rows}x{cols} {strides:?}");
        let atr = atr.unwrap();
        assert_eq!(atr.len(), cols);
        for (g, h) in atr.iter().zip(&gradient) {
            assert!((g.to_f64() - h).abs() <= bound, "{rows}x{cols} {strides:?}: {g} {h}");
        }
        assert_eq!(least_squares(a, x, y, false), (got, None));
    }

    #[test]
    fn agrees_with_the_definition() {
        for rows in [0, 1, 2, 3, 4, 5, 9, 33, 1030] {
            for cols in [0, 1, 2, 3, 4, 5, 8, 15, 17, 33, 70] {
                let (m, n) = (rows as isize, cols as isize);
                for strides in [(n, 1), (n + 2, 1), (-n, 1), (0, 1), (1, m), (2 * n, 2), (0, 0), (n, -1)] {
                    for stride in [1, -2, 0] {
                        check::<f64>(rows, cols, strides, stride);
                        check::<f32>(rows, cols, strides, stride);
                    }
                }
            }
        }
    }

    #[test]
    fn very_wide_and_very_tall() {
        for (rows, cols) in [(40, 100_000), (200_000, 1), (100_000, 3), (2, 70_001)] {
            check::<f64>(rows, cols, (cols as isize, 1), 1);
            check::<f32>(rows, cols, (1, rows as isize), 1);
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        for (rows, cols) in [(3000, 301), (40, 20_000), (150_000, 3)] {
            let data = numbers::<f64>(rows * cols, 3);
            let (x, y) = (numbers::<f64>(cols, 4), numbers::<f64>(rows, 5));
            let a = MatRef::new(&data, 0, (rows, cols), (cols as isize, 1)).unwrap();
            let (x, y) = (VecRef::new(&x, 0, cols, 1).unwrap(), VecRef::new(&y, 0, rows, 1).unwrap());
            let results = [1, 2, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| least_squares(a, x, y, true))
            });
            assert!(results[0] == results[1] && results[0] == results[2]);
        }
    }
}
