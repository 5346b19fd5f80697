//! Run-time choice of the instruction set, and the inner loops built on it.
//!
//! A kernel is a plain loop over slices in `#[inline(always)]` code. It is
//! compiled three times, inside functions that enable AVX-512, AVX2 + FMA or
//! nothing, and the compiler vectorises each copy. The order of the additions
//! is written out in lanes of a fixed number, so the levels differ by the
//! rounding of fused multiply-adds only.

use crate::element::Float;
use std::hint::black_box;

/// A loop nest to be compiled for every instruction set.
///
/// `run` and all it calls must be `#[inline(always)]`: only inlined code is
/// compiled with the features of the function that calls it.
pub trait Kernel {
    /// What the kernel computes.
    type Output;

    /// The loop; `FMA` says whether [`Float::mul_add`] is one instruction.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs a kernel with the best instruction set of this processor.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    if has_vectors() { dispatch_vectors(kernel) } else { plain(kernel) }
}

/// Whether the processor has vectors that are worth a body of their own: on x86-64 AVX2, elsewhere what it is compiled
/// for.
#[inline]
pub fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::level() != x86::Level::Baseline;
    #[cfg(not(target_arch = "x86_64"))]
    return true;
}

/// Whether the processor has AVX-512, and what comes with it: `popcnt`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_avx512() -> bool {
    x86::level() == x86::Level::Avx512
}

/// [`dispatch`] where there is another way without vectors, so that no body is compiled for that; see [`has_vectors`].
#[inline]
pub fn dispatch_vectors<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use x86::{Level, Vectors};
        let run: unsafe fn(K) -> K::Output = match x86::level() {
            Level::Avx512 => K::avx512,
            Level::Avx2 => K::avx2,
            Level::Baseline => no_vectors(),
        };
        // SAFETY: the level is what the processor was found to support.
        unsafe { run(kernel) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    plain(kernel)
}

/// [`dispatch_vectors`] of a kernel without loops, to which wider vectors bring nothing.
#[inline]
pub fn dispatch_scalar<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    match x86::level() {
        // SAFETY: both levels have what is asked for.
        x86::Level::Avx512 | x86::Level::Avx2 => unsafe { x86::Vectors::avx2(kernel) },
        x86::Level::Baseline => no_vectors(),
    }
    #[cfg(not(target_arch = "x86_64"))]
    plain(kernel)
}

#[cfg(target_arch = "x86_64")]
#[cold]
fn no_vectors() -> ! {
    unreachable!("vectors were asked for on a processor without")
}

/// Runs a kernel with what every processor of the architecture has.
#[inline]
pub fn plain<K: Kernel>(kernel: K) -> K::Output {
    // NEON, with fused multiply-add, is part of every 64-bit ARM processor.
    #[cfg(target_arch = "aarch64")]
    return kernel.run::<true>();
    #[cfg(not(target_arch = "aarch64"))]
    return kernel.run::<false>();
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Kernel;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(u8)]
    pub enum Level {
        Baseline = 1,
        Avx2 = 2,
        Avx512 = 3,
    }

    /// The level found, or 0 before the first look. Relaxed order is enough:
    /// every thread that finds 0 stores the same value.
    static FOUND: AtomicU8 = AtomicU8::new(0);

    #[inline]
    pub fn level() -> Level {
        match FOUND.load(Ordering::Relaxed) {
            3 => Level::Avx512,
            2 => Level::Avx2,
            1 => Level::Baseline,
            _ => detect(),
        }
    }

    #[cold]
    fn detect() -> Level {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("popcnt");
        let level = match (avx2, avx512) {
            (true, true) => Level::Avx512,
            (true, false) => Level::Avx2,
            (false, _) => Level::Baseline,
        };
        FOUND.store(level as u8, Ordering::Relaxed);
        level
    }

    /// The bodies of a kernel. As methods of its type they are compiled beside it, and not all in this file's unit.
    pub trait Vectors: Kernel {
        /// # Safety
        /// The processor has AVX-512.
        unsafe fn avx512(self) -> Self::Output;
        /// # Safety
        /// The processor has AVX2 and FMA.
        unsafe fn avx2(self) -> Self::Output;
    }

    impl<K: Kernel> Vectors for K {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        unsafe fn avx512(self) -> Self::Output {
            self.run::<true>()
        }

        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(self) -> Self::Output {
            self.run::<true>()
        }
    }
}

/// `a * b + c`, rounded once where the instruction exists.
#[inline(always)]
pub fn multiply_add<T: Float, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Whether 64 bytes, the widest vector in use, hold 16 elements rather than 8.
#[inline(always)]
pub const fn has_16_lanes<T>() -> bool {
    size_of::<T>() == 4
}

/// `array::map`, which the compiler does not always inline.
#[inline(always)]
pub fn map<A: Copy, B: Copy, const N: usize>(a: [A; N], f: impl Fn(A) -> B) -> [B; N] {
    let mut mapped = [f(a[0]); N];
    for n in 1..N {
        mapped[n] = f(a[n]);
    }
    mapped
}

/// Dot products of `R` rows with `x`, each in `L` lanes; what is left over is
/// added one by one. The rows are at least as long as `x`.
///
/// `ahead` is as in [`add_rows`].
///
/// The lanes of one row are summed by halves, out of reach of the loop: in one
/// piece with it, the compiler keeps one lane of all rows in a register
/// instead, at the price of a transposition in every step.
#[inline(always)]
pub fn dot_rows<T: Float, const R: usize, const L: usize, const FMA: bool>(
    rows: [&[T]; R],
    x: &[T],
    ahead: isize,
) -> [T; R] {
    let (x_chunks, x_rest) = x.as_chunks::<L>();
    let row_chunks = map(rows, |row| &row.as_chunks::<L>().0[..x_chunks.len()]);
    let mut sums = [[T::ZERO; L]; R];
    for c in 0..x_chunks.len() {
        if ahead != 0 {
            for chunks in &row_chunks {
                prefetch(chunks[c].as_ptr().wrapping_offset(ahead));
            }
        }
        for r in 0..R {
            multiply_add_lanes::<T, L, FMA>(&row_chunks[r][c], &x_chunks[c], &mut sums[r]);
        }
    }
    let mut totals = map(black_box(sums), sum_lanes);
    let done = x_chunks.len() * L;
    let rest = map(rows, |row| &row[done..][..x_rest.len()]);
    for (k, &x) in x_rest.iter().enumerate() {
        for r in 0..R {
            totals[r] = multiply_add::<T, FMA>(rest[r][k], x, totals[r]);
        }
    }
    totals
}

#[inline(always)]
fn sum_lanes<T: Float, const L: usize>(mut lanes: [T; L]) -> T {
    let mut width = L;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
    }
    lanes[0]
}

#[inline(always)]
fn multiply_add_lanes<T: Float, const L: usize, const FMA: bool>(a: &[T; L], b: &[T; L], sum: &mut [T; L]) {
    for l in 0..L {
        sum[l] = multiply_add::<T, FMA>(a[l], b[l], sum[l]);
    }
}

/// `y += c_0 row_0 + ... + c_{R-1} row_{R-1}`. The rows are at least as long
/// as `y`. The terms of one element are summed before they are added to it,
/// which keeps the dependency from call to call one addition long.
///
/// `ahead`, where it is not 0, is the distance in elements to what will be read
/// next: it is fetched into the cache meanwhile.
#[inline(always)]
pub fn add_rows<T: Float, const R: usize, const L: usize, const FMA: bool>(
    coefficients: [T; R],
    rows: [&[T]; R],
    y: &mut [T],
    ahead: isize,
) {
    let done = add_chunks::<T, R, L, FMA>(coefficients, rows, y, ahead);
    let rest = &mut y[done..];
    let rows = map(rows, |row| &row[done..]);
    let done = add_chunks::<T, R, 4, FMA>(coefficients, rows, rest, 0);
    let rest = &mut rest[done..];
    let rows = map(rows, |row| &row[done..]);
    add_chunks::<T, R, 1, FMA>(coefficients, rows, rest, 0);
}

/// [`add_rows`] for the full chunks of `L`; returns how many elements they hold.
#[inline(always)]
fn add_chunks<T: Float, const R: usize, const L: usize, const FMA: bool>(
    coefficients: [T; R],
    rows: [&[T]; R],
    y: &mut [T],
    ahead: isize,
) -> usize {
    let chunks = y.as_chunks_mut::<L>().0;
    let row_chunks = map(rows, |row| &row.as_chunks::<L>().0[..chunks.len()]);
    for (c, y_chunk) in chunks.iter_mut().enumerate() {
        if ahead != 0 {
            for chunks in &row_chunks {
                prefetch(chunks[c].as_ptr().wrapping_offset(ahead));
            }
        }
        let mut sum = map(row_chunks[0][c], |a| coefficients[0] * a);
        for r in 1..R {
            let chunk = &row_chunks[r][c];
            for l in 0..L {
                sum[l] = multiply_add::<T, FMA>(coefficients[r], chunk[l], sum[l]);
            }
        }
        for l in 0..L {
            y_chunk[l] += sum[l];
        }
    }
    chunks.len() * L
}

/// Starts to bring the line at `place` into the cache.
#[inline(always)]
fn prefetch<T>(place: *const T) {
    // SAFETY: a prefetch has no effect that the program can see, and an address that cannot be read
    // is ignored.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

struct Dot<'a, T> {
    a: &'a [T],
    b: &'a [T],
}

impl<T: Float> Kernel for Dot<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        dot_line::<T, FMA>(self.a, self.b)
    }
}

/// One dot product; long ones in four times the lanes, to hide the latency of
/// the additions.
#[inline(always)]
pub fn dot_line<T: Float, const FMA: bool>(a: &[T], b: &[T]) -> T {
    // As a constant, so that only the branch of this type is compiled.
    let [sum] = if const { has_16_lanes::<T>() } {
        match b.len() {
            256.. => dot_rows::<T, 1, 64, FMA>([a], b, 0),
            _ => dot_rows::<T, 1, 16, FMA>([a], b, 0),
        }
    } else {
        match b.len() {
            128.. => dot_rows::<T, 1, 32, FMA>([a], b, 0),
            _ => dot_rows::<T, 1, 8, FMA>([a], b, 0),
        }
    };
    sum
}

/// Dot product of two vectors; of the common part where the lengths differ.
pub fn dot<T: Float>(a: &[T], b: &[T]) -> T {
    let n = a.len().min(b.len());
    dispatch(Dot { a: &a[..n], b: &b[..n] })
}

/// `c - a b`, fused where that is one instruction; elsewhere a fused operation is a slow call.
#[inline(always)]
pub fn sub_mul<T: Float, const FMA: bool>(c: T, a: T, b: T) -> T {
    multiply_add::<T, FMA>(-a, b, c)
}

/// `x -= factor row`.
#[inline(always)]
pub fn subtract_multiple<T: Float, const FMA: bool>(x: &mut [T], factor: T, row: &[T]) {
    for (x, &r) in x.iter_mut().zip(row) {
        *x = sub_mul::<T, FMA>(*x, factor, r);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_agrees_with_the_definition() {
        for n in [0, 1, 3, 4, 7, 8, 31, 33, 127, 128, 131, 255, 257, 1001] {
            let a: Vec<f64> = (0..n).map(|i| ((i * 37 % 101) as f64 - 50.0) / 64.0).collect();
            let b: Vec<f64> = (0..n).map(|i| ((i * 53 % 97) as f64 - 48.0) / 64.0).collect();
            // All sums are exact in f64, so any order gives the same.
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&a, &b), exact);
            let single = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<_>>();
            assert_eq!(dot(&single(&a), &single(&b)) as f64, exact as f32 as f64);
        }
    }

    #[test]
    fn the_portable_kernel_differs_by_rounding_only() {
        let a: Vec<f64> = (1..500).map(|i| 1.0 / i as f64).collect();
        let (fast, plain) = (dot(&a, &a), Dot { a: &a, b: &a }.run::<false>());
        assert!((fast - plain).abs() <= 4.0 * f64::EPSILON);
    }
}
