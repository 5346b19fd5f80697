//! When work is spread over rayon's threads.

use std::sync::{Mutex, PoisonError};

/// Elements from which an elementwise loop is worth waking other threads for.
pub const MIN_ELEMENTS: usize = 1 << 16;

/// Runs `work(start, part)` over consecutive parts of `out`, on several threads where `out` is
/// long enough. Each element is written by itself, so how `out` is cut cannot change a result.
#[inline]
pub fn for_parts<U: Send>(out: &mut [U], work: impl Fn(usize, &mut [U]) + Sync) {
    let n = out.len();
    let threads = if n < MIN_ELEMENTS { 1 } else { rayon::current_num_threads() };
    if threads == 1 {
        return work(0, out);
    }
    // Four parts a thread even out what a busy machine takes away from one of them.
    let part = n.div_ceil(4 * threads).next_multiple_of(64);
    share(out.chunks_mut(part).enumerate(), |(k, chunk)| work(k * part, chunk));
}

/// Runs `work` on every item, in any order, on this thread and on the others as they wake up: that
/// takes as long as some hundred thousand additions, in which this thread need not wait.
pub fn share<I: Send>(items: impl Iterator<Item = I> + Send, work: impl Fn(I) + Sync) {
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let all = || {
        while let Some(item) = next() {
            work(item);
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| all());
        }
        all();
    });
}

/// Runs both, at the same time where `wide`.
#[inline]
pub fn join<A: Send, B: Send>(
    wide: bool,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if wide { rayon::join(a, b) } else { (a(), b()) }
}
