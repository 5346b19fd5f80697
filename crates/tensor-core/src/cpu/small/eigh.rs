//! Eigenvalues and eigenvectors of symmetric matrices.

use super::lanes::{Lanes, Mask, Small, any, or, tile, tile_mut};
use super::qr::{reflect, reflector, rescale};
use crate::cpu::large::negligible_square;
use crate::cpu::scale::smallest_normal;
use crate::element::Float;
use crate::simd::map;

/// Steps that an eigenvalue may take; one to three are usual.
const STEPS: usize = 30;

/// w ascending and V with A = V diag(w) V^T, of which the lower triangle is read. A lane fails where
/// squares are too small to be known or the iteration goes on.
pub struct Eigh(pub usize);

impl<T: Float> Small<T> for Eigh {
    fn sizes(&self) -> [usize; 3] {
        let n = self.0;
        [n * n, n + n * n, n * n + 3 * n]
    }

    /// Reflections make the matrix tridiagonal, and implicit QL steps diagonal (Golub and Van Loan, sections
    /// 8.3.1 and 8.3.5; LAPACK `steqr`).
    #[inline(always)]
    fn run<const W: usize, const FMA: bool>(
        &self,
        a: &mut [Lanes<T, W>],
        output: &mut [Lanes<T, W>],
        work: &mut [Lanes<T, W>],
    ) -> Mask<W> {
        let n = self.0;
        let (d, v) = output.split_at_mut(n);
        let (vt, work) = work.split_at_mut(n * n);
        let (e, work) = work.split_at_mut(n);
        for i in 0..n {
            for j in 0..i {
                a[j * n + i] = a[i * n + j];
            }
        }
        let (scale, largest) = rescale(a, 0, 1, if size_of::<T>() == 4 { 1e3 } else { 1e60 });
        let negligible = Lanes(map(largest.0, negligible_square));
        tridiagonal::<T, W, FMA>(a, d, e, v, work, negligible);
        for i in 0..n {
            for j in 0..n {
                vt[i * n + j] = v[j * n + i];
            }
        }
        small_end_first(d, e, vt);
        let mut failed = ql::<T, W, FMA>(d, e, vt, negligible);
        for d in d.iter_mut() {
            failed = or(failed, d.holds(*d, |x, y| !(x - y == T::ZERO)));
            *d = scale.map_or(*d, |scale| *d / scale);
        }
        sort(d, vt, n, |x, y| x <= y);
        for i in 0..n {
            for j in 0..n {
                v[i * n + j] = vt[j * n + i];
            }
        }
        failed
    }
}

/// Q^T A Q = T: the diagonal of T in `d`, what is beside it in `e`. A is lost; squares that are negligible are
/// left out.
#[inline(always)]
fn tridiagonal<T: Float, const W: usize, const FMA: bool>(
    a: &mut [Lanes<T, W>],
    d: &mut [Lanes<T, W>],
    e: &mut [Lanes<T, W>],
    q: &mut [Lanes<T, W>],
    work: &mut [Lanes<T, W>],
    negligible: Lanes<T, W>,
) {
    let n = d.len();
    let (v, tau) = work.split_at_mut(n);
    for k in 0..n.saturating_sub(1) {
        let mut rest = Lanes::ZERO;
        for i in k + 2..n {
            rest = rest.add_mul::<FMA>(a[i * n + k], a[i * n + k]);
        }
        let scale;
        (e[k], tau[k], scale) = reflector::<T, W, FMA>(a[(k + 1) * n + k], rest, negligible);
        v[k + 1] = Lanes::ONE;
        for i in k + 2..n {
            a[i * n + k] = a[i * n + k] * scale;
            v[i] = a[i * n + k];
        }
        // H A H = A - v p^T - p v^T for p = tau (A v - (tau / 2) (v^T A v) v), which has its place in `d`.
        let mut product = Lanes::ZERO;
        for_tiles!(k + 1..n, |C, at| {
            let mut sums = [Lanes::ZERO; C];
            for i in k + 1..n {
                let x = tile::<_, W, C>(a, n, i, at);
                for c in 0..C {
                    sums[c] = sums[c].add_mul::<FMA>(v[i], x[c]);
                }
            }
            let sums = map(sums, |sum| sum * tau[k]);
            for c in 0..C {
                product = product.add_mul::<FMA>(sums[c], v[at + c]);
            }
            *tile_mut(d, n, 0, at) = sums;
        });
        let half = product * tau[k] * Lanes::all(T::of(0.5));
        for i in k + 1..n {
            d[i] = d[i].sub_mul::<FMA>(half, v[i]);
        }
        for i in k + 1..n {
            for_tiles!(k + 1..n, |C, at| {
                let x = tile_mut::<_, W, C>(a, n, i, at);
                for c in 0..C {
                    x[c] = x[c].sub_mul::<FMA>(v[i], d[at + c]).sub_mul::<FMA>(d[i], v[at + c]);
                }
            });
        }
    }
    for i in 0..n {
        d[i] = a[i * n + i];
    }
    q[..n * n].fill(Lanes::ZERO);
    for i in 0..n {
        q[i * n + i] = Lanes::ONE;
    }
    for k in (0..n.saturating_sub(2)).rev() {
        for i in k + 2..n {
            v[i] = a[i * n + k];
        }
        reflect::<T, W, FMA>(q, n, k + 1, &v[..n], k + 1, tau[k]);
    }
}

/// Turns T around, and with it the rows of `vt`, in the lanes where it begins with what is far larger than its end:
/// QL steps move large values towards the end, which takes many of them.
#[inline(always)]
fn small_end_first<T: Float, const W: usize>(
    d: &mut [Lanes<T, W>],
    e: &mut [Lanes<T, W>],
    vt: &mut [Lanes<T, W>],
) {
    let n = d.len();
    if n < 2 {
        return;
    }
    let (start, end) = (d[0].abs() + e[0].abs(), d[n - 1].abs() + e[n - 2].abs());
    let far = |x: T, y: T| x > y * T::of(100.0);
    if !any(start.holds(end, far)) {
        return;
    }
    let exchange = |x: &mut [Lanes<T, W>], i: usize, j: usize| {
        let (u, v) = (x[i], x[j]);
        // What is added keeps the compiler from stores under a mask.
        x[i] = start.choose(end, far, v, u) + Lanes::ZERO;
        x[j] = start.choose(end, far, u, v) + Lanes::ZERO;
    };
    for i in 0..n / 2 {
        exchange(d, i, n - 1 - i);
        (0..n).for_each(|k| exchange(vt, i * n + k, (n - 1 - i) * n + k));
    }
    for i in 0..(n - 1) / 2 {
        exchange(e, i, n - 2 - i);
    }
}

/// Makes T diagonal, and applies the rotations to the rows of `vt`; the lanes in which it does not.
///
/// Each lane has its own way: it works where a part of T begins and ends that hangs together, and rests, which
/// is a rotation by nothing, while those beside it need more steps.
#[inline(always)]
fn ql<T: Float, const W: usize, const FMA: bool>(
    d: &mut [Lanes<T, W>],
    e: &mut [Lanes<T, W>],
    vt: &mut [Lanes<T, W>],
    negligible: Lanes<T, W>,
) -> Mask<W> {
    let n = d.len();
    let number = |i: usize| Lanes::<T, W>::all(T::of(i as f64));
    let equal = |x: T, y: T| x == y;
    let less = |x: T, y: T| x < y;
    let (eps, tiny) = (Lanes::all(T::EPSILON), Lanes::all(smallest_normal::<T>() / T::EPSILON));
    let mut resting = Lanes::ZERO;
    for l in 0..n.saturating_sub(1) {
        for step in 0..=STEPS {
            // The part that begins at l ends at m.
            let mut m = number(n - 1);
            for i in (l..n - 1).rev() {
                // e_i^2 <= eps^2 d_i d_(i + 1), as for single matrices.
                let beside = (d[i].abs() * eps) * (d[i + 1].abs() * eps) + negligible;
                m = (e[i] * e[i]).choose(beside, |square, beside| square <= beside, number(i), m);
            }
            m = resting.choose(Lanes::ZERO, equal, m, number(l));
            let works = m.holds(number(l), |m, l| m > l);
            if !any(works) {
                break;
            }
            if step == STEPS {
                for l in 0..W {
                    resting.0[l] = if works[l] { T::ONE } else { resting.0[l] };
                }
                break;
            }
            // Wilkinson's shift.
            let divisor = number(l).choose(m, less, e[l], Lanes::ONE);
            let half = (d[l + 1] - d[l]) / (divisor + divisor);
            let root = Lanes::ONE.add_mul::<FMA>(half, half).sqrt();
            let signed = half.choose(Lanes::ZERO, less, half - root, half + root);
            let shift = d[l] - e[l] / signed;
            let (mut s, mut c, mut p, mut g) = (Lanes::ZERO, Lanes::ONE, Lanes::ZERO, Lanes::ZERO);
            for i in (l..n - 1).rev() {
                let (here, next) = (number(i), number(i + 1));
                s = m.choose(next, equal, Lanes::ONE, s);
                g = m.choose(next, equal, d[i + 1] - shift, g);
                let (f, b) = (s * e[i], c * e[i]);
                // A square that is too small to be known makes the lane NaN.
                let square = (f * f).add_mul::<FMA>(g, g);
                let r = square.choose(tiny, |square, tiny| square < tiny, Lanes::all(T::NAN), square).sqrt();
                let below = next.choose(m, less, r, e[i + 1]);
                e[i + 1] = m.choose(next, equal, Lanes::ZERO, below);
                let reciprocal = Lanes::ONE / here.choose(m, less, r, Lanes::ONE);
                s = here.choose(m, less, f * reciprocal, Lanes::ZERO);
                c = here.choose(m, less, g * reciprocal, Lanes::ONE);
                let q = d[i + 1] - p;
                let r = ((d[i] - q) * s).add_mul::<FMA>(c + c, b);
                p = s * r;
                d[i + 1] = here.choose(m, less, q + p, d[i + 1]);
                g = here.choose(m, less, (c * r) - b, g);
                for_tiles!(0..n, |C, at| {
                    let x = *tile::<_, W, C>(vt, n, i, at);
                    let y = *tile::<_, W, C>(vt, n, i + 1, at);
                    let (mut turned, mut other) = (x, y);
                    for k in 0..C {
                        turned[k] = (c * x[k]).sub_mul::<FMA>(s, y[k]);
                        other[k] = (c * y[k]).add_mul::<FMA>(s, x[k]);
                    }
                    *tile_mut(vt, n, i, at) = turned;
                    *tile_mut(vt, n, i + 1, at) = other;
                });
            }
            let works = |l: T, m: T| l < m;
            d[l] = number(l).choose(m, works, d[l] - p, d[l]);
            e[l] = number(l).choose(m, works, g, e[l]);
        }
    }
    resting.holds(Lanes::ZERO, |resting, zero| resting != zero)
}

/// Sorts the values, and with them the rows of `len` numbers, so that `ordered` holds for neighbours.
#[inline(always)]
pub(super) fn sort<T: Float, const W: usize>(
    values: &mut [Lanes<T, W>],
    rows: &mut [Lanes<T, W>],
    len: usize,
    ordered: impl Fn(T, T) -> bool + Copy,
) {
    for end in (1..values.len()).rev() {
        for i in 0..end {
            let (x, y) = (values[i], values[i + 1]);
            if !any(x.holds(y, |x, y| !ordered(x, y))) {
                continue;
            }
            values[i] = x.choose(y, ordered, x, y);
            values[i + 1] = x.choose(y, ordered, y, x);
            let (head, tail) = rows.split_at_mut((i + 1) * len);
            for (u, v) in head[i * len..].iter_mut().zip(tail) {
                let (first, second) = (x.choose(y, ordered, *u, *v), x.choose(y, ordered, *v, *u));
                // What is added keeps the compiler from stores under a mask.
                (*u, *v) = (first + Lanes::ZERO, second + Lanes::ZERO);
            }
        }
    }
}
