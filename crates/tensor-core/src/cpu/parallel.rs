//! When work is spread over rayon's threads.

use super::crew;
use crate::heap::work;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Elements from which an elementwise loop is worth waking other threads for.
pub const MIN_ELEMENTS: usize = 1 << 16;

/// Elements of a loop that are timed before other threads are woken for the rest.
const SAMPLE: usize = 1 << 13;

/// Elements up to which [`for_parts`] wakes nobody.
pub const ALONE: usize = 2 * SAMPLE;

/// What waking another thread costs, and half of what is left has to be worth.
const WAKING: Duration = Duration::from_micros(10);

/// Runs `work(start, part)` over consecutive parts of `out`, on several threads where it takes long enough: an addition
/// is done a hundred times sooner than a gamma function, so a part is timed. Each element is written by itself, so how
/// `out` is cut cannot change a result.
#[inline]
pub fn for_parts<U: Send>(out: &mut [U], work: impl Fn(usize, &mut [U]) + Sync) {
    for_pieces(out, 64, work);
}

/// [`for_parts`] that are multiples of `piece` elements, but for the last.
#[inline]
pub fn for_pieces<U: Send>(out: &mut [U], piece: usize, work: impl Fn(usize, &mut [U]) + Sync) {
    if out.len() <= ALONE { work(0, out) } else { deal_timed(out, piece, &work) }
}

fn deal_timed<U: Send>(out: &mut [U], piece: usize, work: &(dyn Fn(usize, &mut [U]) + Sync)) {
    let sample = SAMPLE.next_multiple_of(piece);
    if rayon::current_num_threads() == 1 || out.len() <= sample {
        return work(0, out);
    }
    let (first, rest) = out.split_at_mut(sample);
    let began = Instant::now();
    work(0, first);
    let samples = rest.len().div_ceil(sample) as u32;
    match began.elapsed() * samples < 2 * WAKING {
        true => work(sample, rest),
        false => deal_parts(rest, piece, &|start, part| work(sample + start, part)),
    }
}

/// [`for_parts`] of what is known to be worth it, in parts of a multiple of `unit` elements. This is compiled once, and
/// not for every kernel.
pub fn deal_parts<U: Send>(out: &mut [U], unit: usize, work: &(dyn Fn(usize, &mut [U]) + Sync)) {
    let threads = rayon::current_num_threads();
    if threads == 1 || out.is_empty() {
        return work(0, out);
    }
    let part = part_of(out.len().div_ceil(unit)) * unit;
    let parts = out.chunks_mut(part).enumerate().map(|(k, chunk)| (k * part, chunk));
    share(parts, Order::Forwards, |(start, chunk)| work(start, chunk));
}

/// How many of `count` pieces make a part: four parts a thread even out what a busy machine takes away from one of them.
pub fn part_of(count: usize) -> usize {
    count.div_ceil(4 * rayon::current_num_threads())
}

/// The order in which a thread works through its items.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    Forwards,
    Backwards,
}

/// Runs `work` on every item: on this thread, and on others as they wake up. Every thread has a stretch of the items to
/// begin with, so that it finds in its caches what it worked on in an earlier call, and then takes from the others.
pub fn share<I: Send>(items: impl Iterator<Item = I>, order: Order, work: impl Fn(I) + Sync) {
    share_items(work::collect(items.map(|item| Mutex::new(Some(item)))), order, &work);
}

fn share_items<I: Send>(items: Vec<Mutex<Option<I>>>, order: Order, work: &(dyn Fn(I) + Sync)) {
    share_numbers(items.len(), order, &|k| {
        // Every number comes once.
        if let Some(item) = items[k].lock().unwrap_or_else(PoisonError::into_inner).take() {
            work(item);
        }
    });
}

/// [`share`] for the numbers below `count`.
fn share_numbers(count: usize, order: Order, work: &(dyn Fn(usize) + Sync)) {
    let threads = rayon::current_num_threads().min(count).max(1);
    let start = |thread: usize| count * thread / threads;
    let stretches: Vec<Mutex<Range<usize>>> =
        (0..threads).map(|t| Mutex::new(start(t)..start(t + 1))).collect();
    let take = |thread: usize, own: bool| {
        let mut stretch = stretches[thread].lock().unwrap_or_else(PoisonError::into_inner);
        if own == (order == Order::Forwards) { stretch.next() } else { stretch.next_back() }
    };
    let run = |thread: usize| {
        while let Some(k) = take(thread, true) {
            work(k);
        }
        for other in (0..threads).filter(|&other| other != thread) {
            while let Some(k) = take(other, false) {
                work(k);
            }
        }
    };
    crew::run(threads, &run);
}

/// Runs both, at the same time where `wide`.
#[inline]
pub fn join(wide: bool, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if !wide {
        a();
        return b();
    }
    let (mut a, mut b) = (Some(a), Some(b));
    join_both(&mut || a.take().into_iter().for_each(|a| a()), &mut || b.take().into_iter().for_each(|b| b()));
}

/// rayon's `join`, compiled once.
fn join_both(a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
    rayon::join(a, b);
}
