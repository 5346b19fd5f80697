//! When work is spread over rayon's threads.

use std::collections::VecDeque;
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
    share(out.chunks_mut(part).enumerate(), Order::Forwards, |(k, chunk)| work(k * part, chunk));
}

/// The order in which a thread works through its items.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    Forwards,
    Backwards,
}

/// Runs `work` on every item: on this thread, and on others as they wake up, which takes as long as
/// some hundred thousand additions. Every thread has a stretch of the items to begin with, so that it
/// finds in its caches what it worked on in an earlier call, and then takes from the others.
pub fn share<I: Send>(items: impl Iterator<Item = I>, order: Order, work: impl Fn(I) + Sync) {
    let mut items: Vec<I> = items.collect();
    let threads = rayon::current_num_threads().min(items.len()).max(1);
    let stretches: Vec<Mutex<VecDeque<I>>> = (0..threads)
        .rev()
        .map(|t| Mutex::new(items.split_off(items.len() - items.len() / (t + 1)).into()))
        .collect();
    let take = |thread: usize, own: bool| {
        let mut stretch = stretches[thread].lock().unwrap_or_else(PoisonError::into_inner);
        if own == (order == Order::Forwards) { stretch.pop_front() } else { stretch.pop_back() }
    };
    let run = |thread: usize| {
        while let Some(item) = take(thread, true) {
            work(item);
        }
        for other in (0..threads).filter(|&other| other != thread) {
            while let Some(item) = take(other, false) {
                work(item);
            }
        }
    };
    rayon::in_place_scope(|scope| {
        for thread in 1..threads {
            let run = &run;
            scope.spawn(move |_| run(thread));
        }
        run(0);
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
