//! Sorting of words of 64 bits, the bits of positive normal numbers of double precision; see [`avx512`](super::avx512).

use crate::cpu::parallel::join;
#[cfg(target_arch = "x86_64")]
use crate::simd::has_avx512;
use std::ops::Range;

/// Words that are worth another thread.
pub const WIDE: usize = 1 << 15;

/// Brings those words to the places `wanted` that would be there if all were in order, and in order; on several threads
/// where there are many words.
pub fn sort(words: &mut [u64], wanted: Range<usize>) {
    match rayon::current_num_threads() {
        threads @ 2.. if words.len() >= WIDE => sort_wide(words, wanted, threads.ilog2() + 2),
        _ => sort_alone(words, wanted),
    }
}

/// Parts at the same time, after `depth` partitions.
fn sort_wide(words: &mut [u64], wanted: Range<usize>, depth: u32) {
    const SAMPLE: usize = 255;
    if wanted.is_empty() {
        return;
    }
    if words.len() < WIDE || depth == 0 {
        return sort_alone(words, wanted);
    }
    let mut sample = [0; SAMPLE];
    for (k, x) in sample.iter_mut().enumerate() {
        *x = words[words.len() / SAMPLE * k];
    }
    sample.sort_unstable();
    let pivot = sample[SAMPLE / 2];
    // Both halves, and then what is on the wrong side of the middle changes places.
    let middle = words.len() / 2;
    let (a, b) = words.split_at_mut(middle);
    let (mut below_a, mut below_b) = (0, 0);
    join(true, || below_a = partition(a, pivot), || below_b = partition(b, pivot));
    let swapped = below_b.min(middle - below_a);
    a[below_a..][..swapped].swap_with_slice(&mut b[below_b - swapped..below_b]);
    let below = below_a + below_b;
    let (low, high) = words.split_at_mut(below);
    let in_low = wanted.start.min(below)..wanted.end.min(below);
    let in_high = wanted.start.saturating_sub(below)..wanted.end.saturating_sub(below);
    join(true, || sort_wide(low, in_low, depth - 1), || sort_wide(high, in_high, depth - 1));
}

fn sort_alone(words: &mut [u64], wanted: Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: this processor has what it is compiled for.
        return unsafe { super::avx512::sort(words, wanted) };
    }
    sort_plain(words, wanted);
}

fn sort_plain(mut words: &mut [u64], wanted: Range<usize>) {
    if wanted.is_empty() {
        return;
    }
    if wanted.end < words.len() {
        words = words.select_nth_unstable(wanted.end).0;
    }
    if wanted.start > 0 {
        words.select_nth_unstable(wanted.start);
        words = &mut words[wanted.start..];
    }
    words.sort_unstable();
}

/// Moves the words below `pivot` before the others; their number.
fn partition(words: &mut [u64], pivot: u64) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: this processor has what it is compiled for.
        return unsafe { super::avx512::partition(words, pivot) };
    }
    let mut below = 0;
    for k in 0..words.len() {
        // Without a branch, which would be guessed wrong every other time.
        words.swap(k, below);
        below += usize::from(words[below] < pivot);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of `n` numbers that repeat where `kinds` is small.
    fn words(n: usize, kinds: u64, random: &mut u64) -> Vec<u64> {
        let mut next = || {
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            (1 << 62) | ((*random >> 4) % kinds)
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_length_and_every_part() {
        let mut random = 88_172_645_463_325_252;
        let lengths = (0..=600).chain([1000, 4095, 10_000, 3 * WIDE + 7]);
        for (round, n) in lengths.enumerate() {
            for kinds in [1, 2, 10, 1 << 59] {
                let words = words(n, kinds, &mut random);
                let mut sorted = words.clone();
                sorted.sort_unstable();
                let third = n / 3 + round % 3;
                for wanted in [0..n, 0..third.min(n), third.min(n)..n, n / 2..(n / 2 + 1).min(n)] {
                    for sort in [sort, sort_alone, sort_plain] {
                        let mut own = words.clone();
                        sort(&mut own, wanted.clone());
                        assert_eq!(own[wanted.clone()], sorted[wanted.clone()], "{n} words, {kinds} kinds");
                        own.sort_unstable();
                        assert_eq!(own, sorted);
                    }
                }
            }
        }
    }

    #[test]
    fn patterns() {
        let n = 50_000_u64;
        let rising: Vec<u64> = (0..n).map(|k| (1 << 62) | k).collect();
        let falling = rising.iter().rev().copied().collect();
        let organ =
            rising.iter().copied().step_by(2).chain(rising.iter().rev().copied().step_by(2)).collect();
        for words in [rising.clone(), falling, organ] {
            let mut sorted = words.clone();
            sorted.sort_unstable();
            for sort in [sort, sort_alone] {
                let mut own = words.clone();
                sort(&mut own, 0..words.len());
                assert_eq!(own, sorted);
            }
        }
    }

    #[test]
    fn what_is_below_comes_first() {
        let mut random = 3;
        for n in 0..400 {
            let mut own = words(n, 1 << 40, &mut random);
            for pivot in [1 << 62, (1 << 62) | (1 << 39), (1 << 62) | (1 << 41)] {
                let below = partition(&mut own, pivot);
                assert!(own.iter().enumerate().all(|(k, &x)| (x < pivot) == (k < below)));
            }
        }
    }
}
