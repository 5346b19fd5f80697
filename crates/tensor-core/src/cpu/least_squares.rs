//! Sum of squared residuals and its gradient in one pass over the matrix.
//!
//! With `r = y - A x`, the loss is `r · r` and its gradient in `x` is
//! `-2 Aᵀ r`. Done by two products, `A` is read twice; here each block of rows
//! gives its residuals and then, still in the cache, its share of `Aᵀ r`.

use std::ops::Range;

use super::gemv::{Lines, MatRef, PARALLEL_FROM, VecRef, gemv, sum_tree};
use super::simd::{Kernel, add_rows, dispatch, dot_line, dot_rows, has_16_lanes, multiply_add};
use crate::element::Float;

/// Elements of `A` in one partial sum, as far as the bounds on rows allow.
const LEAF: usize = 1 << 16;

/// `‖y - A x‖²` and, if `want_gradient`, `Aᵀ (y - A x)`. Any mismatch of the
/// lengths has been rejected by the caller.
pub fn least_squares<T: Float>(
    a: MatRef<T>,
    x: VecRef<T>,
    y: VecRef<T>,
    want_gradient: bool,
) -> (T, Option<Vec<T>>) {
    assert!(
        x.len() == a.cols() && y.len() == a.rows(),
        "the shapes were checked before"
    );
    match a.row_lines() {
        Some(lines) => one_pass(lines, &x.contiguous(), y, want_gradient),
        None => two_passes(a, x, y, want_gradient),
    }
}

fn one_pass<T: Float>(
    lines: Lines<T>,
    x: &[T],
    y: VecRef<T>,
    want_gradient: bool,
) -> (T, Option<Vec<T>>) {
    let (rows, cols) = (lines.count, lines.len);
    let leaf = (LEAF / cols.max(1)).clamp(16, 1024);
    let grain = if rows.saturating_mul(cols) < PARALLEL_FROM {
        rows
    } else {
        leaf.max(LEAF / cols.max(1))
    };
    // The loss follows the gradient, so that one tree sums both.
    let mut sums = vec![T::ZERO; if want_gradient { cols + 1 } else { 1 }];
    sum_tree(0..rows, leaf, grain, &mut sums, &|part: Range<usize>, sums| {
        if let Some((loss, gradient)) = sums.split_last_mut() {
            *loss += dispatch(Pass {
                lines: lines.lines(part.clone()),
                x,
                y: y.slice(part),
                gradient,
            });
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
    let mut residual = y.contiguous().into_owned();
    gemv(-T::ONE, a, x, T::ONE, &mut residual);
    let mut loss = [T::ZERO];
    sum_tree(0..residual.len(), 1024, residual.len(), &mut loss, &|part, loss| {
        loss[0] += super::simd::dot(&residual[part.clone()], &residual[part]);
    });
    let gradient = want_gradient.then(|| {
        let mut gradient = vec![T::ZERO; a.cols()];
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
            4..8 => self.blocks::<4, FMA>(),
            16.. if has_16_lanes::<T>() => self.blocks::<16, FMA>(),
            _ => self.blocks::<8, FMA>(),
        }
    }
}

impl<T: Float> Pass<'_, T> {
    #[inline(always)]
    fn blocks<const L: usize, const FMA: bool>(self) -> T {
        let count = self.lines.count;
        let mut loss = [T::ZERO; 4];
        for q in 0..count / 4 {
            let rows = self.lines.group::<4>(4 * q);
            let products = dot_rows::<T, 4, L, FMA>(rows, self.x);
            let residual: [T; 4] = std::array::from_fn(|r| self.y.at(4 * q + r) - products[r]);
            for r in 0..4 {
                loss[r] = multiply_add::<T, FMA>(residual[r], residual[r], loss[r]);
            }
            add_rows::<T, 4, L, FMA>(residual, rows, self.gradient);
        }
        for i in count / 4 * 4..count {
            let row = self.lines.line(i);
            let residual = self.y.at(i) - dot_line::<T, FMA>(row, self.x);
            loss[0] = multiply_add::<T, FMA>(residual, residual, loss[0]);
            add_rows::<T, 1, L, FMA>([residual], [row], self.gradient);
        }
        (loss[0] + loss[1]) + (loss[2] + loss[3])
    }
}
