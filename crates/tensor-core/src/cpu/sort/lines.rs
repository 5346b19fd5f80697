//! Lines in order: elements are packed into words with their places, so that the words' order is the answer.
//!
//! A word holds how far an element lies above the least of its line, in [`Number::rank`], and behind that its place: so
//! equal elements keep their order whatever sorts the words. Where both do not fit, the lowest bits of the first are
//! left out, and what comes out of order by that, which is rare, is put in order afterwards.

use super::words;
use crate::cpu::parallel::{Order, deal_parts, part_of, share};
use crate::element::Number;
use crate::heap::work;
use crate::simd::{Kernel, dispatch};
use bytemuck::cast_slice_mut;
use std::ops::Range;

/// Elements from which lines are worth another thread.
const MANY: usize = 1 << 13;
/// Elements of a long line that a thread looks at in one go.
const STRETCH: usize = 1 << 15;

/// Which elements of a line are asked for, by their numbers in its order.
#[derive(Clone)]
pub struct Wanted {
    pub descending: bool,
    pub part: Range<usize>,
}

/// Writes the values and the places of what is `wanted` of each line of `n`.
pub fn sort_lines<T: Number>(x: &[T], n: usize, wanted: &Wanted, values: &mut [T], order: &mut [i64]) {
    let len = wanted.part.len();
    if x.is_empty() || len == 0 {
        return;
    }
    let some = |x: &[T], values: &mut [T], order: &mut [i64]| {
        let mut room = if len == n { Vec::new() } else { work::vector(n, 0) };
        let lines = x.chunks_exact(n).zip(values.chunks_exact_mut(len)).zip(order.chunks_exact_mut(len));
        for ((line, values), order) in lines {
            sort_line(line, wanted, &mut room, values, cast_slice_mut(order));
        }
    };
    // Threads share the work on a long line.
    if x.len() < MANY || n >= words::WIDE || rayon::current_num_threads() == 1 {
        return some(x, values, order);
    }
    let count = part_of(x.len() / n);
    let parts = x.chunks(count * n).zip(values.chunks_mut(count * len)).zip(order.chunks_mut(count * len));
    share(parts, Order::Forwards, |((x, values), order)| some(x, values, order));
}

/// As [`sort_lines`], for one of them; `room` is for as many words, or for none where all elements are wanted.
fn sort_line<T: Number>(line: &[T], wanted: &Wanted, room: &mut [u64], values: &mut [T], order: &mut [u64]) {
    if room.is_empty() {
        let packing = sort_packed(line, wanted, order);
        return unpack(line, &packing, values, order);
    }
    let packing = sort_packed(line, wanted, room);
    let (before, rest) = room.split_at(wanted.part.start);
    let (packed, behind) = rest.split_at(order.len());
    // What the words do not tell apart from that may be what is wanted.
    if packing.dropped > 0
        && (packing.holds_alike(before, packed[0]) || packing.holds_alike(behind, packed[packed.len() - 1]))
    {
        let (mut all_values, mut all_places) =
            (work::vector(line.len(), T::ZERO), work::vector(line.len(), 0));
        let all = Wanted { part: 0..line.len(), ..wanted.clone() };
        sort_line(line, &all, &mut [], &mut all_values, &mut all_places);
        values.copy_from_slice(&all_values[wanted.part.clone()]);
        order.copy_from_slice(&all_places[wanted.part.clone()]);
        return;
    }
    order.copy_from_slice(packed);
    unpack(line, &packing, values, order);
}

/// The words of a line, of which those that are wanted are at their places.
fn sort_packed<T: Number>(line: &[T], wanted: &Wanted, packed: &mut [u64]) -> Packing {
    let packing = Packing::of(line, line.len(), wanted.descending);
    let pack = |start: usize, out: &mut [u64]| {
        let line = &line[start..][..out.len()];
        dispatch(Pack { line, places: start as u64.., packing, out });
    };
    if packed.len() < 2 * STRETCH {
        pack(0, packed)
    } else {
        deal_parts(packed, 64, &pack)
    }
    words::sort(packed, wanted.part.clone());
    packing
}

/// How the elements of a line become words.
#[derive(Clone, Copy)]
struct Packing {
    /// The bits that turn the order of the ranks around, or none.
    flip: u64,
    /// The least rank.
    least: u64,
    /// How many of its lowest bits are left out.
    dropped: u32,
    /// The bits of a place.
    place: u32,
}

impl Packing {
    /// The bit that makes of any word with up to so many bits below it a positive normal number.
    const ONE: u64 = 1 << 62;
    const ROOM: u32 = 61;

    /// For these elements, whose places are below `n`.
    fn of<T: Number>(x: &[T], n: usize, descending: bool) -> Packing {
        let flip = if descending { u64::MAX } else { 0 };
        let mut ends = [(u64::MAX, 0); 1];
        if x.len() < 2 * STRETCH {
            ends[0] = dispatch(Ends { x, flip });
        } else {
            let mut all = work::vector(x.len().div_ceil(STRETCH), ends[0]);
            deal_parts(&mut all, 1, &|start, out| {
                for (x, out) in x[start * STRETCH..].chunks(STRETCH).zip(out) {
                    *out = dispatch(Ends { x, flip });
                }
            });
            ends[0] = all.iter().fold(ends[0], |(low, high), e| (low.min(e.0), high.max(e.1)));
        }
        let [(least, most)] = ends;
        let bits = |x: u64| u64::BITS - x.leading_zeros();
        let place = bits(n as u64 - 1);
        Packing { flip, least, dropped: (bits(most - least) + place).saturating_sub(Packing::ROOM), place }
    }

    #[inline(always)]
    fn rank<T: Number>(&self, x: T) -> u64 {
        x.rank() ^ self.flip
    }

    /// What is in the word before the place.
    #[inline(always)]
    fn height<T: Number>(&self, x: T) -> u64 {
        (self.rank(x) - self.least) >> self.dropped
    }

    #[inline(always)]
    fn word<T: Number>(&self, x: T, place: u64) -> u64 {
        self.height(x) << self.place | place | Packing::ONE
    }

    #[inline(always)]
    fn place(&self, word: u64) -> u64 {
        word & ((1 << self.place) - 1)
    }

    /// Whether one of the words differs from this one by its place at most.
    fn holds_alike(&self, words: &[u64], word: u64) -> bool {
        words.iter().fold(false, |any, other| any | ((word ^ other) >> self.place == 0))
    }
}

/// The least and the largest rank.
struct Ends<'a, T> {
    x: &'a [T],
    flip: u64,
}

impl<T: Number> Kernel for Ends<'_, T> {
    type Output = (u64, u64);
    #[inline(always)]
    fn run<const FMA: bool>(self) -> (u64, u64) {
        self.x.iter().fold((u64::MAX, 0), |(least, most), x| {
            let rank = x.rank() ^ self.flip;
            (least.min(rank), most.max(rank))
        })
    }
}

struct Pack<'a, T, P> {
    line: &'a [T],
    places: P,
    packing: Packing,
    out: &'a mut [u64],
}

impl<T: Number, P: Iterator<Item = u64>> Kernel for Pack<'_, T, P> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Pack { line, places, packing, out } = self;
        for ((out, &x), place) in out.iter_mut().zip(line).zip(places) {
            *out = packing.word(x, place);
        }
    }
}

/// Turns words in order into places, and writes the values there.
fn unpack<T: Number>(line: &[T], packing: &Packing, values: &mut [T], order: &mut [u64]) {
    let part = |values: &mut [T], order: &mut [u64]| {
        for (value, word) in values.iter_mut().zip(&mut *order) {
            *word = packing.place(*word);
            *value = line[*word as usize];
        }
        if packing.dropped > 0 {
            settle(line, packing, values, order);
        }
    };
    if values.len() < 2 * STRETCH {
        return part(values, order);
    }
    let parts = values.chunks_mut(STRETCH).zip(order.chunks_mut(STRETCH));
    share(parts, Order::Forwards, |(values, order)| part(values, order));
    // In each part equal elements are in order, and their places before those in the parts behind.
    for at in (STRETCH..values.len()).step_by(STRETCH) {
        if packing.dropped > 0 && packing.rank(values[at - 1]) > packing.rank(values[at]) {
            settle_around(line, packing, at, values, order);
        }
    }
}

/// Puts in order what the words did not tell apart.
fn settle<T: Number>(line: &[T], packing: &Packing, values: &mut [T], order: &mut [u64]) {
    /// Elements that are looked at in vectors, and again where one is not in order.
    const BLOCK: usize = 512;
    let mut from = 1;
    while from < values.len() {
        let end = values.len().min(from + BLOCK);
        if dispatch(Rising { x: &values[from - 1..end], flip: packing.flip }) {
            from = end;
            continue;
        }
        let falls = |at: &usize| packing.rank(values[at - 1]) > packing.rank(values[*at]);
        from = match (from..end).find(falls) {
            Some(at) => settle_around(line, packing, at, values, order) + 1,
            None => end,
        };
    }
}

/// Puts in order what the words did not tell apart from the element `at`; where that ends.
fn settle_around<T: Number>(
    line: &[T],
    packing: &Packing,
    at: usize,
    values: &mut [T],
    order: &mut [u64],
) -> usize {
    let height = packing.height(values[at]);
    let alike = |x: &&T| packing.height(**x) == height;
    let start = at - values[..at].iter().rev().take_while(alike).count();
    let end = at + values[at..].iter().take_while(alike).count();
    let (values, order) = (&mut values[start..end], &mut order[start..end]);
    // They lie closer together than all elements did, so that more of their ranks goes into the words.
    let closer = Packing::of(values, line.len(), packing.flip != 0);
    let mut packed = work::vector(order.len(), 0);
    dispatch(Pack { line: values, places: order.iter().copied(), packing: closer, out: &mut packed });
    words::sort(&mut packed, 0..order.len());
    order.copy_from_slice(&packed);
    unpack(line, &closer, values, order);
    end
}

/// Whether no element is less than the one before it.
struct Rising<'a, T> {
    x: &'a [T],
    flip: u64,
}

impl<T: Number> Kernel for Rising<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> bool {
        let pairs = self.x.iter().zip(self.x.get(1..).unwrap_or_default());
        pairs.fold(true, |all, (a, b)| all & (a.rank() ^ self.flip <= b.rank() ^ self.flip))
    }
}
