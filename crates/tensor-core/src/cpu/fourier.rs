//! Discrete Fourier transforms along the last dimension, by rustfft and realfft: of any length.

use super::copy::elements;
use super::parallel::{Order, for_parts, part_of, share};
use crate::array::Array;
use crate::element::{Float, Slice, SliceMut};
use crate::error::Result;
use crate::heap::buffer::Buffer;
use crate::heap::work;
use crate::shape::Dims;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, FftNum, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftDirection, FftPlanner};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Plans that are kept; beyond them all are made anew.
const MOST_PLANS: usize = 64;

/// Elements, times the logarithm of the length, from which lines are dealt out to threads.
const PARALLEL_FROM: usize = 1 << 17;

/// What is known of lengths that were transformed.
struct Plans<R: FftNum> {
    complex: FftPlanner<R>,
    real: RealFftPlanner<R>,
    used: Vec<usize>,
}

impl<R: FftNum> Plans<R> {
    fn new() -> Self {
        Plans { complex: FftPlanner::new(), real: RealFftPlanner::new(), used: Vec::new() }
    }

    /// Itself, before a plan of length n is taken from it.
    fn before(&mut self, n: usize) -> &mut Self {
        if !self.used.contains(&n) {
            if self.used.len() == MOST_PLANS {
                *self = Plans::new();
            }
            self.used.push(n);
        }
        self
    }
}

/// The types that are transformed.
trait Real: FftNum + Float {
    fn plans() -> &'static Mutex<Plans<Self>>;

    fn complex(n: usize, inverse: bool) -> Arc<dyn Fft<Self>> {
        let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
        let mut plans = Self::plans().lock().unwrap_or_else(PoisonError::into_inner);
        plans.before(n).complex.plan_fft(n, direction)
    }

    fn forward(n: usize) -> Arc<dyn RealToComplex<Self>> {
        let mut plans = Self::plans().lock().unwrap_or_else(PoisonError::into_inner);
        plans.before(n).real.plan_fft_forward(n)
    }

    fn inverse(n: usize) -> Arc<dyn ComplexToReal<Self>> {
        let mut plans = Self::plans().lock().unwrap_or_else(PoisonError::into_inner);
        plans.before(n).real.plan_fft_inverse(n)
    }
}

impl Real for f32 {
    fn plans() -> &'static Mutex<Plans<f32>> {
        static PLANS: LazyLock<Mutex<Plans<f32>>> = LazyLock::new(|| Mutex::new(Plans::new()));
        &PLANS
    }
}

impl Real for f64 {
    fn plans() -> &'static Mutex<Plans<f64>> {
        static PLANS: LazyLock<Mutex<Plans<f64>>> = LazyLock::new(|| Mutex::new(Plans::new()));
        &PLANS
    }
}

/// Runs `work(first line, part of a, part of b)` over all lines, of sizes `a.1` and `b.1`, on several threads where it pays.
fn for_lines<R: Send>(
    a: (&mut [R], usize),
    b: (&mut [R], usize),
    cost: usize,
    work: impl Fn(usize, &mut [R], &mut [R]) + Sync,
) {
    let count = a.0.len() / a.1;
    if count < 2 || count.saturating_mul(cost) < PARALLEL_FROM {
        return work(0, a.0, b.0);
    }
    let part = part_of(count);
    let parts = a.0.chunks_mut(part * a.1).zip(b.0.chunks_mut(part * b.1)).enumerate();
    share(parts, Order::Forwards, |(i, (a, b))| work(i * part, a, b));
}

/// What a line of n elements takes.
fn cost(n: usize) -> usize {
    n * (n.ilog2() as usize + 1)
}

/// Room for n complex numbers, of arbitrary values: large ones from the cache of buffers, whose pages are there already.
struct Room<R: Real>(Buffer<R>);

impl<R: Real> Room<R> {
    fn new(n: usize) -> Self {
        Room(work::buffer(2 * n))
    }

    fn numbers(&mut self) -> &mut [Complex<R>] {
        let (numbers, n) = (self.0.as_mut_ptr(), self.0.len() / 2);
        // SAFETY: a complex number is two real ones, one behind the other, as `repr(C)` has it, and aligned as they are.
        unsafe { std::slice::from_raw_parts_mut(numbers.cast(), n) }
    }
}

/// Numbers from which a single line is put together and taken apart by several threads.
const LONG: usize = 1 << 16;

/// Complex numbers of these parts.
fn join<R: Real>(re: &[R], im: &[R], line: &mut [Complex<R>]) {
    let fill = |from: usize, line: &mut [Complex<R>]| {
        for (x, (&re, &im)) in line.iter_mut().zip(re[from..].iter().zip(&im[from..])) {
            *x = Complex { re, im };
        }
    };
    if line.len() < LONG { fill(0, line) } else { for_parts(line, fill) }
}

/// `scale` times the real and the imaginary parts.
fn part<R: Real>(line: &[Complex<R>], re: &mut [R], im: &mut [R], scale: R) {
    if line.len() < LONG {
        for (x, (re, im)) in line.iter().zip(re.iter_mut().zip(im)) {
            (*re, *im) = (x.re * scale, x.im * scale);
        }
        return;
    }
    for_parts(re, |from, re| re.iter_mut().zip(&line[from..]).for_each(|(re, x)| *re = x.re * scale));
    for_parts(im, |from, im| im.iter_mut().zip(&line[from..]).for_each(|(im, x)| *im = x.im * scale));
}

fn complex<R: Real>(re: &[R], im: &[R], out: [&mut [R]; 2], n: usize, inverse: bool, scale: f64) {
    let (plan, scale) = (R::complex(n, inverse), R::of(scale));
    let [out_re, out_im] = out;
    for_lines((out_re, n), (out_im, n), cost(n), |first, out_re, out_im| {
        let mut scratch = Room::new(plan.get_outofplace_scratch_len());
        let (mut line, mut transformed) = (Room::new(n), Room::new(n));
        let (scratch, line, transformed) = (scratch.numbers(), line.numbers(), transformed.numbers());
        for (k, (out_re, out_im)) in out_re.chunks_exact_mut(n).zip(out_im.chunks_exact_mut(n)).enumerate() {
            let here = (first + k) * n..(first + k + 1) * n;
            join(&re[here.clone()], &im[here], line);
            plan.process_outofplace_with_scratch(line, transformed, scratch);
            part(transformed, out_re, out_im, scale);
        }
    });
}

fn of_real<R: Real>(x: &[R], out: [&mut [R]; 2], n: usize, scale: f64) {
    let (plan, scale, half) = (R::forward(n), R::of(scale), n / 2 + 1);
    let [out_re, out_im] = out;
    for_lines((out_re, half), (out_im, half), cost(n), |first, out_re, out_im| {
        let (mut scratch, mut line) = (Room::new(plan.get_scratch_len()), Room::new(half));
        let (scratch, line) = (scratch.numbers(), line.numbers());
        let mut given = work::buffer(n);
        for (k, (out_re, out_im)) in
            out_re.chunks_exact_mut(half).zip(out_im.chunks_exact_mut(half)).enumerate()
        {
            given.copy_from_slice(&x[(first + k) * n..][..n]);
            // The lengths are right.
            let _ = plan.process_with_scratch(&mut given, line, scratch);
            part(line, out_re, out_im, scale);
        }
    });
}

fn to_real<R: Real>(re: &[R], im: &[R], out: &mut [R], n: usize, scale: f64) {
    let (plan, scale, half) = (R::inverse(n), R::of(scale), n / 2 + 1);
    let mut nothing = work::vector(out.len() / n, R::of(0.0));
    for_lines((out, n), (&mut nothing, 1), cost(n), |first, out, _| {
        let (mut scratch, mut line) = (Room::new(plan.get_scratch_len()), Room::new(half));
        let (scratch, line) = (scratch.numbers(), line.numbers());
        for (k, out) in out.chunks_exact_mut(n).enumerate() {
            let here = (first + k) * half..(first + k + 1) * half;
            join(&re[here.clone()], &im[here], line);
            // Of a real signal these are real: their imaginary parts do not count.
            line[0].im = R::of(0.0);
            if n.is_multiple_of(2) {
                line[half - 1].im = R::of(0.0);
            }
            let _ = plan.process_with_scratch(line, out, scratch);
            out.iter_mut().for_each(|x| *x *= scale);
        }
    });
}

/// Two arrays of one shape, whose elements `fill` writes.
fn both<T: Float>(
    op: &'static str,
    shape: &[usize],
    fill: impl FnOnce(&mut [T], &mut [T]),
) -> Result<[Array<T>; 2]> {
    let mut second = Ok(Array::scalar(T::ZERO));
    let first = Array::build(op, Dims::from_slice(shape), |a| {
        second = Array::build(op, Dims::from_slice(shape), |b| fill(a, b));
    })?;
    Ok([first, second?])
}

/// `shape` with `n` elements along the last dimension.
fn with_last(shape: &[usize], n: usize) -> Dims {
    shape[..shape.len() - 1].iter().copied().chain([n]).collect()
}

/// Transforms of complex lines: the sums over t of x_t e^(-2 pi i k t / n), with plus where `inverse`, times `scale`.
pub fn fft<T: Float>(
    op: &'static str,
    re: &Array<T>,
    im: &Array<T>,
    inverse: bool,
    scale: f64,
) -> Result<[Array<T>; 2]> {
    let n = re.shape()[re.ndim() - 1];
    let (re_elements, im_elements) = (elements(op, re)?, elements(op, im)?);
    both(op, re.shape(), |out_re, out_im| {
        if out_re.is_empty() {
            return;
        }
        let out = [out_re, out_im].map(T::slice_mut);
        match (T::slice(&re_elements), T::slice(&im_elements), out) {
            (Slice::F32(re), Slice::F32(im), [SliceMut::F32(a), SliceMut::F32(b)]) => {
                complex(re, im, [a, b], n, inverse, scale);
            }
            (Slice::F64(re), Slice::F64(im), [SliceMut::F64(a), SliceMut::F64(b)]) => {
                complex(re, im, [a, b], n, inverse, scale);
            }
            _ => unreachable!("floats are of two types"),
        }
    })
}

/// The first n / 2 + 1 numbers of the transforms of real lines of n, times `scale`; the others are their conjugates.
pub fn rfft<T: Float>(op: &'static str, x: &Array<T>, scale: f64) -> Result<[Array<T>; 2]> {
    let n = x.shape()[x.ndim() - 1];
    let x_elements = elements(op, x)?;
    both(op, &with_last(x.shape(), n / 2 + 1), |re, im| {
        if x_elements.is_empty() {
            return re.iter_mut().chain(im).for_each(|x| *x = T::ZERO);
        }
        match (T::slice(&x_elements), [re, im].map(T::slice_mut)) {
            (Slice::F32(x), [SliceMut::F32(re), SliceMut::F32(im)]) => of_real(x, [re, im], n, scale),
            (Slice::F64(x), [SliceMut::F64(re), SliceMut::F64(im)]) => of_real(x, [re, im], n, scale),
            _ => unreachable!("floats are of two types"),
        }
    })
}

/// The real lines of n numbers whose transform, of which the first n / 2 + 1 are given, is this one, times `scale` n.
pub fn irfft<T: Float>(
    op: &'static str,
    re: &Array<T>,
    im: &Array<T>,
    n: usize,
    scale: f64,
) -> Result<Array<T>> {
    let shape = with_last(re.shape(), n);
    let (re, im) = (elements(op, re)?, elements(op, im)?);
    Array::build(op, shape, |x| {
        if x.is_empty() {
            return;
        }
        match (T::slice(&re), T::slice(&im), T::slice_mut(x)) {
            (Slice::F32(re), Slice::F32(im), SliceMut::F32(x)) => to_real(re, im, x, n, scale),
            (Slice::F64(re), Slice::F64(im), SliceMut::F64(x)) => to_real(re, im, x, n, scale),
            _ => unreachable!("floats are of two types"),
        }
    })
}
