//! Products along a dimension, whole or running, and their derivatives.
//!
//! A product may be in the range where products of some of its factors are not. So everything is multiplied as it
//! stands, and what leaves the range on the way is noticed: lines where it happened are multiplied again, in numbers
//! with an exponent of their own.
//!
//! With directions h1 .. hr, the elements are x + e1 h1 + .. + er hr with e_k^2 = 0, and what is wanted of a product is
//! its coefficient of e1 .. er, the derivative along all of them (as in forward mode, Griewank and Walther 2008,
//! chapter 13). Such numbers have a coefficient for every set of directions, whose bits say which are in it.

use super::copy::copy;
use super::reduce::reduce;
use super::scan;
use crate::array::Array;
use crate::element::{DType, Number, Scalar};
use crate::error::Result;
use crate::heap::vectors;
use crate::reduction::Reduction;
use crate::shape::Dims;

/// a b, and NaN where that lost digits below the normal range, so that it shows in every product that follows.
#[derive(Clone, Copy)]
struct Product;

impl<T: Number> Reduction<T> for Product {
    const NAME: &'static str = "Product";

    #[inline(always)]
    fn neutral(self) -> T {
        T::ONE
    }
    #[inline(always)]
    fn combine(self, a: T, b: T) -> T {
        let product = a.times(b);
        if T::DTYPE.is_float() && vanished(a, b, product) {
            T::from_scalar(Scalar::Float(f64::NAN))
        } else {
            product
        }
    }
}

/// The smallest normal number.
#[inline(always)]
fn tiny<T: Number>() -> T {
    T::from_scalar(Scalar::Float(match T::DTYPE {
        DType::F32 => f64::from(f32::MIN_POSITIVE),
        _ => f64::MIN_POSITIVE,
    }))
}

/// Whether a product is below the normal range though neither factor is 0.
#[inline(always)]
fn vanished<T: Number>(a: T, b: T, product: T) -> bool {
    (product.magnitude() < tiny()) & (a != T::ZERO) & (b != T::ZERO)
}

#[inline(always)]
fn is_finite<T: Number>(x: T) -> bool {
    x.minus(x) == T::ZERO
}

/// Whether a product was computed in the range.
#[inline(always)]
fn left<T: Number>(a: T, b: T, product: T) -> bool {
    vanished(a, b, product) | !is_finite(product)
}

/// m 2^e with 1 <= |m| < 2; m is also 0, infinite or NaN.
#[derive(Clone, Copy, Debug)]
struct Wide {
    m: f64,
    e: i64,
}

impl Wide {
    const ZERO: Wide = Wide { m: 0.0, e: 0 };
    const ONE: Wide = Wide { m: 1.0, e: 0 };

    fn new(m: f64, e: i64) -> Wide {
        if m == 0.0 || !m.is_finite() {
            return Wide { m, e: 0 };
        }
        let (m, e) = if m.abs() < f64::MIN_POSITIVE { (m * 2f64.powi(64), e - 64) } else { (m, e) };
        let bits = m.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as i64 - 1023;
        Wide { m: f64::from_bits(bits & !(0x7ff << 52) | 1023 << 52), e: e + exponent }
    }

    fn times(self, other: Wide) -> Wide {
        Wide::new(self.m * other.m, self.e + other.e)
    }

    fn plus(self, other: Wide) -> Wide {
        let (a, b) =
            if self.m == 0.0 || (other.m != 0.0 && other.e > self.e) { (other, self) } else { (self, other) };
        if !a.m.is_finite() || !b.m.is_finite() || b.m == 0.0 {
            return Wide::new(a.m + b.m, a.e);
        }
        // What is 2^-128 of the sum and less does not show.
        let apart = (a.e - b.e).min(128);
        Wide::new(a.m + b.m * 2f64.powi(-apart as i32), a.e)
    }

    fn value<T: Number>(self) -> T {
        scaled(self.m, self.e)
    }
}

fn wide<T: Number>(x: T) -> Wide {
    Wide::new(x.to_f64(), 0)
}

/// Factors that are multiplied in plain numbers, as long as nothing leaves the range.
const BLOCK: usize = 16;

/// Calls `f(i, m, e)` with the products m 2^e of `before` and the factors up to each of `n`. Factors that are taken
/// together share one exponent, which is 0 while that does; products are rounded as those of [`Wide`] numbers.
#[inline(always)]
fn running_products(
    before: &mut Wide,
    n: usize,
    factor: impl Fn(usize) -> f64,
    mut f: impl FnMut(usize, f64, i64),
) {
    for start in (0..n).step_by(BLOCK) {
        let count = BLOCK.min(n - start);
        let mut x = [1.0; BLOCK];
        for (k, x) in x[..count].iter_mut().enumerate() {
            *x = factor(start + k);
        }
        let (mut last, mut products, mut kept) = (before.m, [0.0; BLOCK], true);
        for (y, x) in products.iter_mut().zip(x) {
            *y = last * x;
            // A product that is 0, infinite or NaN because a factor is, is right.
            let plain = last.is_finite() & (last != 0.0) & x.is_finite() & (x != 0.0);
            kept &= !plain | (1e-270..1e270).contains(&y.abs());
            last = *y;
        }
        if kept {
            for (k, &y) in products[..count].iter().enumerate() {
                f(start + k, y, before.e);
            }
            *before = match (1e-100..1e100).contains(&last.abs()) {
                true => Wide { m: last, e: before.e },
                false => Wide::new(last, before.e),
            };
        } else {
            for (k, &x) in x[..count].iter().enumerate() {
                *before = before.times(Wide::new(x, 0));
                f(start + k, before.m, before.e);
            }
        }
    }
}

/// m 2^e, rounded once.
#[inline(always)]
fn scaled<T: Number>(m: f64, e: i64) -> T {
    // In two steps, as the power alone may not exist.
    let e = e.clamp(-2200, 2200) as i32;
    T::from_scalar(Scalar::Float(m * power_of_two(e / 2) * power_of_two(e - e / 2)))
}

/// 2^e, or the normal power next to it.
#[inline(always)]
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e + 1023).clamp(1, 2046) as u64) << 52)
}

/// How the elements of an array in row-major order are cut into lines along a dimension.
#[derive(Clone, Copy)]
struct Lines {
    n: usize,
    /// Elements from one of a line to the next.
    step: usize,
}

impl Lines {
    fn new(shape: &[usize], dim: usize) -> Self {
        Lines { n: shape[dim], step: shape[dim + 1..].iter().product() }
    }

    /// Where line number `k` begins.
    fn start(self, k: usize) -> usize {
        k / self.step * self.step * self.n + k % self.step
    }
}

fn in_order<T: Number>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    if x.as_slice().is_some() { Ok(x.clone()) } else { copy(op, x) }
}

/// A line of elements with directions.
struct Line<'a, T> {
    x: &'a [T],
    directions: Vec<&'a [T]>,
    lines: Lines,
}

impl<T: Number> Line<'_, T> {
    /// y = y times element `i` of the line that begins at `start`.
    fn multiply(&self, y: &mut [Wide], start: usize, i: usize) {
        let at = start + i * self.lines.step;
        let x = wide(self.x[at]);
        // From the largest set on: what is read is not yet written.
        for set in (0..y.len()).rev() {
            let mut sum = y[set].times(x);
            for (k, h) in self.directions.iter().enumerate().filter(|(k, _)| set >> k & 1 == 1) {
                sum = sum.plus(y[set ^ 1 << k].times(wide(h[at])));
            }
            y[set] = sum;
        }
    }
}

fn one(y: &mut [Wide]) {
    y.fill(Wide::ZERO);
    y[0] = Wide::ONE;
}

/// The products along `dim`, which keeps size 1, or where `running` those up to each element; of each the derivative
/// along the directions, which have the shape of `x`.
pub fn products<T: Number>(
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    dim: usize,
    running: bool,
) -> Result<Array<T>> {
    if !directions.is_empty() {
        let mut shape = Dims::from_slice(x.shape());
        if !running {
            shape[dim] = 1;
        }
        return multiply_wide(op, x, directions, dim, Array::zeros(&shape)?, |_| true);
    }
    if !running {
        let mask: Vec<bool> = (0..x.ndim()).map(|k| k == dim).collect();
        let out = reduce(op, x, &mask, true, Product)?;
        let values = out.as_slice().unwrap_or(&[]);
        if !T::DTYPE.is_float() || values.iter().fold(true, |all, &y| all & is_finite(y)) {
            return Ok(out);
        }
        let values = vectors::collect(op, values.iter().copied())?;
        return multiply_wide(op, x, &[], dim, out, |line| !is_finite(values[line]));
    }
    let out = scan::running(op, x, dim, false, T::times)?;
    let lines = Lines::new(x.shape(), dim);
    let suspicious = |y: T| !is_finite(y) | (y.magnitude() < tiny());
    let values = out.as_slice().unwrap_or(&[]);
    if !T::DTYPE.is_float() || values.iter().fold(true, |all, &y| all & !suspicious(y)) {
        return Ok(out);
    }
    let x = in_order(op, x)?;
    let (values, elements) = (vectors::collect(op, values.iter().copied())?, x.as_slice().unwrap_or(&[]));
    multiply_wide(op, &x, &[], dim, out, |line| {
        let at = |k: usize| lines.start(line) + k * lines.step;
        (1..lines.n).any(|k| left(values[at(k - 1)], elements[at(k)], values[at(k)]))
    })
}

/// The products of the lines that are wanted, written into `out`: running where it is as long as `x`.
fn multiply_wide<T: Number>(
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    dim: usize,
    mut out: Array<T>,
    wanted: impl Fn(usize) -> bool,
) -> Result<Array<T>> {
    let x = in_order(op, x)?;
    let directions = directions.iter().map(|h| in_order(op, h)).collect::<Result<Vec<_>>>()?;
    let (from, to) = (Lines::new(x.shape(), dim), Lines::new(out.shape(), dim));
    let line = Line {
        x: x.as_slice().unwrap_or(&[]),
        directions: directions.iter().map(|h| h.as_slice().unwrap_or(&[])).collect(),
        lines: from,
    };
    let count = out.numel() / to.n.max(1);
    let mut product = vectors::vector(op, 1 << directions.len(), Wide::ZERO)?;
    let last = product.len() - 1;
    let y = out.fresh_mut();
    if directions.is_empty() {
        for k in (0..count).filter(|&k| wanted(k)) {
            let (x, y) = (&line.x[from.start(k)..], &mut y[to.start(k)..]);
            let (mut product, factor) = (Wide::ONE, |i: usize| x[i * from.step].to_f64());
            if to.n == from.n {
                running_products(&mut product, from.n, factor, |i, m, e| y[i * to.step] = scaled(m, e));
            } else {
                running_products(&mut product, from.n, factor, |_, _, _| {});
                y[0] = product.value();
            }
        }
        return Ok(out);
    }
    for k in (0..count).filter(|&k| wanted(k)) {
        one(&mut product);
        let start = to.start(k);
        for i in 0..from.n {
            line.multiply(&mut product, from.start(k), i);
            if to.n == from.n {
                y[start + i * to.step] = product[last].value();
            }
        }
        if to.n != from.n {
            y[start] = product[last].value();
        }
    }
    Ok(out)
}

/// The sum over `j` of g_j times the derivative of product `j` by each element of `x` (and along the directions), for
/// the running products along `dim`; where `g` has size 1 there, of the whole product alone.
pub fn product_slopes<T: Number>(
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    g: &Array<T>,
    dim: usize,
) -> Result<Array<T>> {
    let lines = Lines::new(x.shape(), dim);
    let mut out = Array::zeros(x.shape())?;
    if out.numel() == 0 {
        return Ok(out);
    }
    let (x, g) = (in_order(op, x)?, in_order(op, g)?);
    let directions = directions.iter().map(|h| in_order(op, h)).collect::<Result<Vec<_>>>()?;
    let line = Line {
        x: x.as_slice().unwrap_or(&[]),
        directions: directions.iter().map(|h| h.as_slice().unwrap_or(&[])).collect(),
        lines,
    };
    let seeds = Seeds { g: g.as_slice().unwrap_or(&[]), lines: Lines::new(g.shape(), dim), of: lines.n };
    let y = out.fresh_mut();
    let count = y.len() / lines.n;
    let fast = directions.is_empty();
    let mut lost = vectors::vector(op, count, !fast)?;
    if fast {
        for (block, lost) in lost.chunks_exact_mut(lines.step).enumerate() {
            slopes_of_block(&line, &seeds, block, y, lost);
        }
    }
    if lost.contains(&true) {
        let size = 1 << directions.len();
        let (mut after, mut before) =
            (vectors::vector(op, lines.n * size, Wide::ZERO)?, vectors::vector(op, size, Wide::ZERO)?);
        for k in (0..count).filter(|&k| lost[k]) {
            slopes_of_line(&line, &seeds, k, y, &mut after, &mut before);
        }
    }
    Ok(out)
}

/// The cotangents of products.
struct Seeds<'a, T> {
    g: &'a [T],
    lines: Lines,
    /// How many elements make a product.
    of: usize,
}

impl<T: Number> Seeds<'_, T> {
    /// That of product `i` of line `k`; None for 0.
    fn at(&self, k: usize, i: usize) -> Option<T> {
        let i = if self.lines.n == self.of { i } else { (i + 1 == self.of).then_some(0)? };
        Some(self.g[self.lines.start(k) + i * self.lines.step])
    }
}

/// Lines that lie side by side: slope j is the product before j times the weighed sum s_j of the products after it,
/// s_j = g_j + x_(j+1) s_(j+1). Notes the lines where something left the range.
fn slopes_of_block<T: Number>(
    line: &Line<T>,
    seeds: &Seeds<T>,
    block: usize,
    y: &mut [T],
    lost: &mut [bool],
) {
    let Lines { n, step } = line.lines;
    let start = block * n * step;
    let (x, y) = (&line.x[start..][..n * step], &mut y[start..][..n * step]);
    for j in (0..n).rev() {
        for i in 0..step {
            let g = seeds.at(block * step + i, j).unwrap_or(T::ZERO);
            let after = if j + 1 < n {
                let (a, b) = (x[(j + 1) * step + i], y[(j + 1) * step + i]);
                let product = a.times(b);
                lost[i] |= left(a, b, product);
                product
            } else {
                T::ZERO
            };
            y[j * step + i] = g.plus(after);
            lost[i] |= !is_finite(y[j * step + i]);
        }
    }
    for i in (0..step).filter(|&i| !lost[i]) {
        // The product before each, by the one up to the element before.
        running_products(
            &mut { Wide::ONE },
            n - 1,
            |j| x[j * step + i].to_f64(),
            |j, m, e| {
                let y = &mut y[(j + 1) * step + i];
                *y = match e {
                    0 => scaled(m * y.to_f64(), 0),
                    _ => Wide::new(m, e).times(wide(*y)).value(),
                };
            },
        );
    }
}

/// The same of one line, with directions, in numbers that do not leave the range.
fn slopes_of_line<T: Number>(
    line: &Line<T>,
    seeds: &Seeds<T>,
    k: usize,
    y: &mut [T],
    after: &mut [Wide],
    before: &mut [Wide],
) {
    let (start, step, size) = (line.lines.start(k), line.lines.step, before.len());
    after.fill(Wide::ZERO);
    for j in (0..line.lines.n).rev() {
        let (sum, later) = after[j * size..].split_at_mut(size);
        if j + 1 < line.lines.n {
            sum.copy_from_slice(&later[..size]);
            line.multiply(sum, start, j + 1);
        }
        if let Some(g) = seeds.at(k, j) {
            sum[0] = sum[0].plus(wide(g));
        }
    }
    one(before);
    for (j, after) in after.chunks_exact(size).enumerate() {
        // The last coefficient of the product of both.
        let terms = before.iter().zip(after.iter().rev());
        y[start + j * step] = terms.fold(Wide::ZERO, |sum, (&a, &b)| sum.plus(a.times(b))).value();
        line.multiply(before, start, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines whose products stay in the range, leave it and come back, and meet 0, infinity and NaN.
    fn lines() -> Vec<Vec<f64>> {
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut lines = Vec::new();
        for n in [1, 2, 15, 16, 17, 100, 3000] {
            for spread in [0.5, 5.0, 300.0] {
                for special in [1.0, 0.0, f64::INFINITY, f64::NAN, 5e-324] {
                    let mut line: Vec<f64> = (0..n)
                        .map(|_| (next() - 0.5).signum() * 10f64.powf(spread * (2.0 * next() - 1.0)))
                        .collect();
                    line[(next() * n as f64) as usize] *= special;
                    lines.push(line);
                }
            }
        }
        lines
    }

    #[test]
    fn products_of_blocks_are_those_of_one_number_after_another() {
        for line in lines() {
            let mut product = Wide::ONE;
            let right: Vec<f64> = line
                .iter()
                .map(|&x| {
                    product = product.times(wide(x));
                    product.value()
                })
                .collect();
            let mut found = vec![0.0; line.len()];
            running_products(&mut { Wide::ONE }, line.len(), |i| line[i], |i, m, e| found[i] = scaled(m, e));
            let bits = |x: &f64| if x.is_nan() { 0 } else { x.to_bits() };
            assert!(found.iter().map(bits).eq(right.iter().map(bits)), "{line:?}");
        }
    }

    #[test]
    fn slopes_in_blocks_are_those_of_numbers_with_an_exponent() {
        for line in lines().iter().filter(|line| line.iter().all(|x| x.is_finite())) {
            let x = Array::from_vec(line.clone(), &[line.len()]).unwrap();
            let g = Array::from_vec((0..line.len()).map(|k| 1.0 + (k % 3) as f64).collect(), &[line.len()])
                .unwrap();
            let found = product_slopes("test", &x, &[], &g, 0).unwrap().to_vec();
            let wide_line = Line { x: line, directions: Vec::new(), lines: Lines { n: line.len(), step: 1 } };
            let seeds = Seeds { g: g.as_slice().unwrap(), lines: wide_line.lines, of: line.len() };
            let mut right = vec![0.0; line.len()];
            slopes_of_line(
                &wide_line,
                &seeds,
                0,
                &mut right,
                &mut vec![Wide::ZERO; line.len()],
                &mut [Wide::ZERO],
            );
            for (found, right) in found.iter().zip(&right) {
                let same = (found - right).abs() <= 1e-11 * right.abs() + 1e-320;
                assert!(same || found == right, "{found} instead of {right}: {line:?}");
            }
        }
    }
}
