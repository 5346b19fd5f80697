//! Groups of matrices on their way into lanes and back.

use super::lanes::{FEWEST, Lanes, Small, not_finite, or};
use crate::array::Array;
use crate::cpu::parallel::{Order, share};
use crate::element::{Element, Float};
use crate::error::Result;
use crate::heap::work;
use crate::simd::{Kernel, dispatch_vectors, has_vectors, plain};
use std::borrow::Cow;

/// Matrices (or vectors, of one column) that lie at equal distances.
pub struct Matrices<'a, T: Element> {
    data: Cow<'a, [T]>,
    /// Elements from a matrix, a row, a column to the next.
    steps: [usize; 3],
    rows: usize,
    cols: usize,
}

impl<'a, T: Float> Matrices<'a, T> {
    /// The last two dimensions of `a` as matrices. Views are read where they lie, unless the leading
    /// dimensions do not have a common stride.
    pub fn of(op: &'static str, a: &'a Array<T>) -> Result<Self> {
        let lead = a.ndim() - 2;
        let (rows, cols) = (a.shape()[lead], a.shape()[lead + 1]);
        let count: usize = a.shape()[..lead].iter().product();
        let flat = a.layout().reshape(&[count, rows, cols]);
        if let Some(flat) = flat.filter(|l| l.strides().iter().all(|&s| s >= 0)) {
            let data = a.storage().get(flat.offset()..).unwrap_or(&[]);
            let steps = std::array::from_fn(|d| flat.strides()[d] as usize);
            return Ok(Matrices { data: Cow::Borrowed(data), steps, rows, cols });
        }
        let copy = crate::cpu::copy::copy(op, a)?;
        Ok(Matrices { data: Cow::Owned(copy.fresh_vec()), steps: [rows * cols, cols, 1], rows, cols })
    }

    /// Numbers in a matrix.
    fn size(&self) -> usize {
        self.rows * self.cols
    }

    /// Matrix `i`, row-major.
    pub fn to_vec(&self, i: usize) -> Vec<T> {
        let [step, row, col] = self.steps;
        let place = |e: usize| i * step + e / self.cols * row + e % self.cols * col;
        work::collect((0..self.size()).map(|e| self.data[place(e)]))
    }

    /// Brings `W` matrices from `first` on into lanes; behind the last one, `last` again.
    #[inline(always)]
    fn load<const W: usize>(&self, first: usize, last: usize, lanes: &mut [Lanes<T, W>]) {
        let [step, row, col] = self.steps;
        let (rows, cols) = (self.rows, self.cols);
        let lanes = &mut lanes[..rows * cols];
        let end = last * step + (rows - 1) * row + (cols - 1) * col;
        assert!(first <= last && end < self.data.len());
        let data = self.data.as_ptr();
        let starts: [usize; W] = std::array::from_fn(|l| (first + l).min(last) * step);
        let mut fetch = |e: usize, place: usize| {
            let mut x = Lanes::ZERO;
            for l in 0..W {
                // SAFETY: `starts[l]` is at most that of the last matrix, and `place` at most its last element,
                // which was found inside `data`.
                x.0[l] = unsafe { *data.add(starts[l] + place) };
            }
            lanes[e] = x;
        };
        if col == 1 && row == cols {
            (0..rows * cols).for_each(|e| fetch(e, e));
        } else {
            (0..rows).for_each(|i| (0..cols).for_each(|j| fetch(i * cols + j, i * row + j * col)));
        }
    }
}

/// Writes the first lanes to as many matrices, one after another.
#[inline(always)]
fn store<T: Float, const W: usize>(lanes: &[Lanes<T, W>], matrices: &mut [T]) {
    let size = lanes.len();
    if matrices.len() < W * size {
        for (l, matrix) in matrices.chunks_exact_mut(size.max(1)).enumerate() {
            for (x, lanes) in matrix.iter_mut().zip(lanes) {
                *x = lanes.0[l];
            }
        }
        return;
    }
    let data = matrices.as_mut_ptr();
    for (e, x) in lanes.iter().enumerate() {
        for l in 0..W {
            // SAFETY: `e < size` and `l < W`, and there are W times `size` numbers.
            unsafe { *data.add(l * size + e) = x.0[l] };
        }
    }
}

/// Matrices below which a batch stays on one thread, by the numbers they hold.
const PARALLEL_FROM: usize = 1 << 13;

/// Runs `f` over the matrices of a batch, `W` at a time, and writes what it computes to `outputs`, each cut
/// into pieces of its size, one a matrix. `one(i, outputs)` is asked for each matrix that `f` could not treat.
pub fn for_groups<T: Float, F: Small<T>, const O: usize>(
    f: &F,
    inputs: &[Matrices<'_, T>],
    outputs: [(&mut [T], usize); O],
    count: usize,
    one: impl Fn(usize, [&mut [T]; O]) + Sync,
) {
    let sizes = outputs.each_ref().map(|(_, size)| *size);
    let outputs = outputs.map(|(data, _)| data);
    let whole = Part { inputs, outputs, sizes, first: 0, count, one: &one };
    if F::ALONE && count < FEWEST || !has_vectors() {
        whole.share::<F, 1>(f, |groups| plain(groups));
    } else if const { size_of::<T>() == 4 } {
        whole.share::<F, { WIDTH / 4 }>(f, |groups| dispatch_vectors(groups));
    } else {
        whole.share::<F, { WIDTH / 8 }>(f, |groups| dispatch_vectors(groups));
    }
}

/// Bytes of the lanes of one number: two registers of AVX2, or one of AVX-512; one of NEON.
const WIDTH: usize = if cfg!(target_arch = "x86_64") { 64 } else { 16 };

/// A stretch of the batch.
struct Part<'a, T: Float, G, const O: usize> {
    inputs: &'a [Matrices<'a, T>],
    outputs: [&'a mut [T]; O],
    sizes: [usize; O],
    first: usize,
    count: usize,
    one: &'a G,
}

impl<'a, T: Float, G: Fn(usize, [&mut [T]; O]) + Sync, const O: usize> Part<'a, T, G, O> {
    /// Deals the batch out to the threads, where it is worth it, and runs each part.
    fn share<F: Small<T>, const W: usize>(self, f: &F, run: fn((&F, Groups<'_, T, G, O, W>))) {
        let Part { inputs, outputs, sizes, first, count, one } = self;
        let numbers: usize = f.sizes().iter().sum();
        let (groups, threads) = (count.div_ceil(W), rayon::current_num_threads());
        if threads == 1 || groups < 2 || count * numbers < PARALLEL_FROM {
            return run((f, Groups(Part { inputs, outputs, sizes, first, count, one })));
        }
        // Two parts a thread even out what a busy machine takes away from one of them.
        let part = groups.div_ceil(2 * threads) * W;
        let mut rest = outputs;
        let parts = (0..count).step_by(part).map(|start| {
            let count = part.min(count - start);
            let mut k = 0;
            let outputs = rest.each_mut().map(|data| {
                let size = sizes[k];
                k += 1;
                let (head, tail) = std::mem::take(data).split_at_mut(count * size);
                *data = tail;
                head
            });
            Part { inputs, outputs, sizes, first: first + start, count, one }
        });
        share(parts, Order::Forwards, |part| run((f, Groups(part))));
    }
}

struct Groups<'a, T: Float, G, const O: usize, const W: usize>(Part<'a, T, G, O>);

/// The type of what is done with the matrices comes first: its file's unit is where this is compiled.
impl<T: Float, F: Small<T>, G: Fn(usize, [&mut [T]; O]) + Sync, const O: usize, const W: usize> Kernel
    for (&F, Groups<'_, T, G, O, W>)
{
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (f, Groups(Part { inputs, mut outputs, sizes, first, count, one })) = self;
        let [input_size, output_size, work_size] = f.sizes();
        let mut memory = work::vector(input_size + output_size + work_size, Lanes::<T, W>::ZERO);
        let (input, rest) = memory.split_at_mut(input_size);
        let (output, work) = rest.split_at_mut(output_size);
        for group in (0..count).step_by(W) {
            let mut at = 0;
            for matrices in inputs {
                matrices.load(first + group, first + count - 1, &mut input[at..]);
                at += matrices.size();
            }
            // Before the input is lost.
            let not_finite = if F::FINITE { not_finite::<T, W, FMA>(input) } else { [false; W] };
            let failed = or(f.run::<W, FMA>(input, output, work), not_finite);
            let here = W.min(count - group);
            let mut at = 0;
            for (data, &size) in outputs.iter_mut().zip(&sizes) {
                store(&output[at..at + size], &mut data[group * size..(group + here) * size]);
                at += size;
            }
            for l in (0..here).filter(|&l| failed[l]) {
                let mut k = 0;
                let outputs = outputs.each_mut().map(|data| {
                    let size = sizes[k];
                    k += 1;
                    &mut data[(group + l) * size..][..size]
                });
                one(first + group + l, outputs);
            }
        }
    }
}
