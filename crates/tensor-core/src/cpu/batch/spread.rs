//! The matrices of a batch, dealt out to threads.

use crate::array::Array;
use crate::cpu::parallel::{Order, part_of, share};
use crate::cpu::small;
use crate::element::Float;
use crate::shape::Dims;

/// Multiplications in a batch from which its matrices are dealt out to threads.
const PARALLEL_FROM: usize = 1 << 15;

/// Runs `f(number, a, b)` for the matrices of a batch, cut from `a` and `b` in pieces of
/// `a_size` and `b_size`; `cost` is the work for one.
pub fn for_batch<A: Send, B: Send>(
    (a, a_size): (&mut [A], usize),
    (b, b_size): (&mut [B], usize),
    cost: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let Some(count) = a.len().checked_div(a_size).filter(|_| b_size > 0) else { return };
    let run = |first: usize, a: &mut [A], b: &mut [B]| {
        let b = b.chunks_exact_mut(b_size);
        a.chunks_exact_mut(a_size).zip(b).enumerate().for_each(|(i, (a, b))| f(first + i, a, b));
    };
    // A single large matrix has its threads within the factorisation.
    if count < 2 || cost.saturating_mul(count) < PARALLEL_FROM {
        return run(0, a, b);
    }
    let part = part_of(count);
    let parts = a.chunks_mut(part * a_size).zip(b.chunks_mut(part * b_size)).enumerate();
    share(parts, Order::Forwards, |(i, (a, b))| run(i * part, a, b));
}

/// Whether the matrices of a batch are small and many enough for lanes.
pub fn lanes_pay(count: usize, n: usize) -> bool {
    (1..=small::LARGEST).contains(&n) && count >= small::FEWEST
}

/// The order of the square matrices in `a`, which the caller has checked, and the batch's shape.
pub fn square<T: Float>(a: &Array<T>) -> (usize, Dims) {
    let lead = a.ndim() - 2;
    (a.shape()[lead], Dims::from_slice(&a.shape()[..lead]))
}
