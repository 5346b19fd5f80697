//! QR factorisation.

use super::lanes::{LARGEST, Lanes, Mask, Small, any, tile, tile_mut};
use crate::cpu::scale::{near_one, smallest_normal};
use crate::element::Float;
use crate::simd::map;

/// A = Q R of `m x n` matrices with `k` columns of Q, the smaller of both or `m`; the diagonal of R is not
/// negative. No lane fails.
pub struct Qr {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

impl<T: Float> Small<T> for Qr {
    const ALONE: bool = true;

    fn sizes(&self) -> [usize; 3] {
        let Qr { m, n, k } = *self;
        [m * n, m * k + k * n, m + m.min(n)]
    }

    /// Householder reflections H = I - tau v v^T with v_j = 1 (Golub and Van Loan, section 5.2; LAPACK
    /// `geqr2`, `org2r`).
    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        work: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let Qr { m, n, k } = *self;
        let (q, r) = output.split_at_mut(m * k);
        // Behind the one that leads it.
        let (v, tau) = work.split_at_mut(m);
        // A column that is scaled has the same Q, and a column of R that is scaled alike.
        let mut scales = [None; LARGEST];
        let high = if size_of::<T>() == 4 { 1e4 } else { 1e100 };
        for (j, scale) in scales.iter_mut().enumerate().take(n) {
            *scale = rescale(a, j, n, high).0;
        }
        // Squares below are not known to full precision, and those of what is far below rounding beside its column.
        let negligible = Lanes::all(smallest_normal::<T>() / T::EPSILON);
        for j in 0..m.min(n) {
            let mut rest = Lanes::ZERO;
            for i in j + 1..m {
                rest = rest.add_mul::<FMA>(a[i * n + j], a[i * n + j]);
            }
            let (beta, scale);
            (beta, tau[j], scale) = reflector::<T, W, FMA>(a[j * n + j], rest, negligible);
            a[j * n + j] = beta;
            for i in j + 1..m {
                a[i * n + j] = a[i * n + j] * scale;
                v[i] = a[i * n + j];
            }
            reflect::<T, W, FMA>(a, n, j + 1, &v[..m], j, tau[j]);
        }
        q[..m * k].fill(Lanes::ZERO);
        for i in 0..k {
            q[i * k + i] = Lanes::ONE;
        }
        for j in (0..m.min(n)).rev() {
            for i in j + 1..m {
                v[i] = a[i * n + j];
            }
            reflect::<T, W, FMA>(q, k, j, &v[..m], j, tau[j]);
        }
        // Reflections leave the signs open: with a diagonal of R that is not negative, the factors are unique.
        for i in 0..k {
            let negative = |x: T, zero: T| x < zero;
            let diagonal = if i < n { a[i * n + i] } else { Lanes::ONE };
            let sign = diagonal.choose(Lanes::ZERO, negative, -Lanes::ONE, Lanes::ONE);
            for c in 0..n {
                r[i * n + c] = if c < i { Lanes::ZERO } else { a[i * n + c] * sign };
            }
            for row in 0..m {
                q[row * k + i] = q[row * k + i] * sign;
            }
        }
        for (c, scale) in scales.iter().enumerate().take(n) {
            let Some(scale) = scale else { continue };
            for i in 0..=c.min(k - 1) {
                r[i * n + c] = r[i * n + c] / *scale;
            }
        }
        [false; W]
    }
}

/// beta, tau and 1 / (alpha - beta) of the reflection I - tau v v^T that makes (beta, 0, ..) of a vector of which
/// alpha is the first number and `rest` the sum of the other squares: v is 1 and the other numbers over
/// alpha - beta. Where `rest` is not above `negligible`, there is nothing to reflect.
#[inline(always)]
pub(super) fn reflector<T: Float, const W: usize, const FMA: bool>(
    alpha: Lanes<T, W>,
    rest: Lanes<T, W>,
    negligible: Lanes<T, W>,
) -> (Lanes<T, W>, Lanes<T, W>, Lanes<T, W>) {
    let norm = rest.add_mul::<FMA>(alpha, alpha).sqrt();
    let beta = alpha.choose(Lanes::ZERO, |x, zero| x > zero, -norm, norm);
    let done = |rest: T, negligible: T| rest <= negligible;
    let beta = rest.choose(negligible, done, alpha, beta);
    let divisor = rest.choose(negligible, done, Lanes::ONE, beta);
    let difference = rest.choose(negligible, done, Lanes::ONE, alpha - beta);
    (beta, (beta - alpha) / divisor, Lanes::ONE / difference)
}

/// (I - tau v v^T) X for the columns of X behind `from`; `v` is zero before its `j`-th number, and that is one.
#[inline(always)]
pub(super) fn reflect<T: Float, const W: usize, const FMA: bool>(
    x: &mut [Lanes<T, W>],
    cols: usize,
    from: usize,
    v: &[Lanes<T, W>],
    j: usize,
    tau: Lanes<T, W>,
) {
    for_tiles!(from..cols, |C, at| {
        let mut sums = *tile::<_, W, C>(x, cols, j, at);
        for i in j + 1..v.len() {
            let x = tile::<_, W, C>(x, cols, i, at);
            for c in 0..C {
                sums[c] = sums[c].add_mul::<FMA>(v[i], x[c]);
            }
        }
        let sums = map(sums, |sum| sum * tau);
        let first = tile_mut::<_, W, C>(x, cols, j, at);
        for c in 0..C {
            first[c] = first[c] - sums[c];
        }
        for i in j + 1..v.len() {
            let x = tile_mut::<_, W, C>(x, cols, i, at);
            for c in 0..C {
                x[c] = x[c].sub_mul::<FMA>(v[i], sums[c]);
            }
        }
    });
}

/// Of every `step`-th number from `start` on, the largest magnitude; NaN is never larger, and is found by who looks
/// at the results.
#[inline(always)]
pub(super) fn largest<T: Float, const W: usize>(a: &[Lanes<T, W>], start: usize, step: usize) -> Lanes<T, W> {
    let larger = |x: T, y: T| x > y;
    let (mut largest, mut e) = (Lanes::ZERO, start);
    while e < a.len() {
        largest = a[e].abs().choose(largest, larger, a[e].abs(), largest);
        e += step;
    }
    largest
}

/// Brings every `step`-th number from `start` on near one in the lanes where the largest of them is neither zero nor
/// between 1 / high and high: by what they are multiplied, if any are, and the largest afterwards.
#[inline(always)]
pub(super) fn rescale<T: Float, const W: usize>(
    a: &mut [Lanes<T, W>],
    start: usize,
    step: usize,
    high: f64,
) -> (Option<Lanes<T, W>>, Lanes<T, W>) {
    let (low, high) = (T::of(1.0 / high), T::of(high));
    let largest = largest(a, start, step);
    let far = largest.holds(Lanes::ZERO, |x, zero| x != zero && !(low..=high).contains(&x));
    if !any(far) {
        return (None, largest);
    }
    let mut scale = Lanes::ONE;
    for l in 0..W {
        scale.0[l] = if far[l] { near_one(largest.0[l]) } else { T::ONE };
    }
    let mut e = start;
    while e < a.len() {
        a[e] = a[e] * scale;
        e += step;
    }
    (Some(scale), largest * scale)
}
