//! When work is spread over rayon's threads.

use super::crew;
use crate::heap::work;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Elements from which work that cannot be timed is shared.
pub const MIN_ELEMENTS: usize = 1 << 16;

/// Elements of a loop that are timed before other threads are woken for the rest.
const SAMPLE: usize = 1 << 12;

/// Elements up to which [`for_parts`] wakes nobody.
pub const ALONE: usize = 2 * SAMPLE;

/// What waking another thread costs, and half of what is left has to be worth.
const WAKING: Duration = Duration::from_micros(10);

/// What handing work to a thread that is awake costs, with what then lies in the other one's caches: from
/// docs/benchmarks-threads.md.
const HANDING: Duration = Duration::from_nanos(4500);

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
    match out.len() <= ALONE {
        true => work(0, out),
        false => deal_timed(out, piece, SAMPLE.next_multiple_of(piece), &work),
    }
}

/// [`for_pieces`] of results that stand for `length` elements of work each.
#[inline]
pub fn for_lines<U: Send>(out: &mut [U], piece: usize, length: usize, work: impl Fn(usize, &mut [U]) + Sync) {
    match out.len().saturating_mul(length) <= ALONE {
        true => work(0, out),
        false => deal_timed(out, piece, (SAMPLE / length).max(1).next_multiple_of(piece), &work),
    }
}

fn deal_timed<U: Send>(out: &mut [U], piece: usize, sample: usize, work: &(dyn Fn(usize, &mut [U]) + Sync)) {
    if rayon::current_num_threads() == 1 || out.len() <= sample {
        return work(0, out);
    }
    let (first, rest) = out.split_at_mut(sample);
    let began = Instant::now();
    work(0, first);
    let samples = rest.len().div_ceil(sample) as u32;
    if worthwhile(began.elapsed() * samples) {
        deal_parts(rest, piece, &|start, part| work(sample + start, part));
    } else {
        work(sample, rest);
    }
}

/// Whether work that takes one thread so long is worth sharing. What would be with a thread that is awake has one woken
/// for the work that comes after it.
fn worthwhile(alone: Duration) -> bool {
    let awake = crew::ready();
    let share = alone >= 2 * if awake { HANDING } else { WAKING };
    if !share && !awake && alone >= 2 * HANDING {
        crew::rouse();
    }
    share
}

/// [`for_parts`] of what is known to be worth it, in parts of a multiple of `unit` elements. This is compiled once, and
/// not for every kernel.
pub fn deal_parts<U: Send>(out: &mut [U], unit: usize, work: &(dyn Fn(usize, &mut [U]) + Sync)) {
    let threads = rayon::current_num_threads();
    if threads == 1 || out.is_empty() {
        return work(0, out);
    }
    share(uneven(out, unit, threads).into_iter(), Order::Forwards, |(start, part)| work(start, part));
}

/// Parts of a multiple of `unit` elements, with their starts: for each thread as many, and smaller ones at its end, so that
/// nobody waits long for the last.
fn uneven<U>(mut out: &mut [U], unit: usize, threads: usize) -> Vec<(usize, &mut [U])> {
    const SIXTEENTHS: [usize; 8] = [4, 4, 2, 2, 1, 1, 1, 1];
    let (count, mut start) = (out.len().div_ceil(unit), 0);
    let mut parts = Vec::with_capacity(threads * SIXTEENTHS.len());
    for thread in 0..threads {
        let mut sixteenths = 0;
        for share in SIXTEENTHS {
            sixteenths += share;
            let end = (count * (16 * thread + sixteenths)).div_ceil(16 * threads) * unit;
            let (part, rest) = out.split_at_mut((end - start).min(out.len()));
            out = rest;
            if !part.is_empty() {
                parts.push((start, part));
            }
            start = end;
        }
    }
    parts
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
