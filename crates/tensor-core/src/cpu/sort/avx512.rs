//! Sorting of 64-bit words in vectors of eight: a quicksort whose partitions move whole vectors, and networks for what
//! is short. Intel's x86-simd-sort and Google's vqsort are made so; what is different here is said below.
//!
//! Words are taken for the positive normal numbers of double precision whose bits they are: these have one order with
//! the words, and their minimum and maximum are one instruction each, where those of integers are two.

use std::arch::x86_64::{
    __m512d, __m512i, __mmask8, _CMP_LT_OQ, _mm_cvtsi64_si128, _mm512_cmp_pd_mask, _mm512_cvtepu8_epi64,
    _mm512_loadu_pd, _mm512_mask_cmp_pd_mask, _mm512_mask_loadu_pd, _mm512_mask_max_pd, _mm512_mask_mov_pd,
    _mm512_mask_storeu_pd, _mm512_max_pd, _mm512_min_pd, _mm512_permutexvar_pd, _mm512_set1_pd,
    _mm512_setr_epi64, _mm512_shuffle_f64x2, _mm512_storeu_pd, _mm512_unpackhi_pd, _mm512_unpacklo_pd,
};
use std::ops::Range;

/// Words in a vector.
const LANES: usize = 8;
/// Words that a network sorts.
const NETWORK: usize = 16 * LANES;
/// Vectors that are read at a time from one end of what is partitioned.
const TOGETHER: usize = 4;
const STRIDE: usize = TOGETHER * LANES;

/// The lanes of a vector, eight bits for each: first those of the mask, then the others.
static SPLIT: [u64; 256] = {
    let mut table = [0; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut count, mut wanted) = (0, 1);
        while count < LANES {
            let mut lane = 0;
            while lane < LANES {
                if mask >> lane & 1 == wanted {
                    table[mask] |= (lane as u64) << (8 * count);
                    count += 1;
                }
                lane += 1;
            }
            wanted = 0;
        }
        mask += 1;
    }
    table
};

macro_rules! compiled_for_avx512 {
    ($($item:item)*) => { $(
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt")]
        $item
    )* };
}

compiled_for_avx512! {
/// Brings those words to the places `wanted` that would be there if all were in order, and in order. Every word is the
/// bits of a positive normal number.
pub fn sort(words: &mut [u64], wanted: Range<usize>) {
    // Twice as many steps as halves need.
    quick(words, wanted, 2 * words.len().max(1).ilog2() + 4);
}

/// Moves the words below `pivot` before the others; their number.
pub fn partition(words: &mut [u64], pivot: u64) -> usize {
    let p = _mm512_set1_pd(f64::from_bits(pivot));
    let n = words.len();
    let (mut left, mut right) = (0, n);
    if n < 2 * STRIDE {
        let mut held = [p; 2 * TOGETHER];
        for (k, x) in held.iter_mut().enumerate().take(n.div_ceil(LANES)) {
            *x = load_up_to(words, k * LANES, n);
        }
        for (k, &x) in held.iter().enumerate().take(n.div_ceil(LANES)) {
            put(words, x, (n - k * LANES).min(LANES), p, &mut left, &mut right);
        }
        return left;
    }
    // What is held in registers leaves room for what is written: as much at either end as was read from there last.
    let end = n - n % STRIDE;
    let (mut head, mut back, mut rest) = ([p; TOGETHER], [p; TOGETHER], [p; TOGETHER]);
    for k in 0..TOGETHER {
        head[k] = load(words, k * LANES);
        back[k] = load(words, end - STRIDE + k * LANES);
        if end + k * LANES < n {
            rest[k] = load_up_to(words, end + k * LANES, n);
        }
    }
    let (mut from, mut to) = (STRIDE, end - STRIDE);
    while from < to {
        let start = if from - left <= right - to {
            from += STRIDE;
            from - STRIDE
        } else {
            to -= STRIDE;
            to
        };
        let mut held = [p; TOGETHER];
        for (k, x) in held.iter_mut().enumerate() {
            *x = load(words, start + k * LANES);
        }
        for x in held {
            let below = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(x, p);
            let x = _mm512_permutexvar_pd(split(below), x);
            let count = below.count_ones() as usize;
            // Whole vectors: of each the lanes on the other side will be overwritten.
            store(words, left, x);
            store(words, right - LANES, x);
            left += count;
            right -= LANES - count;
        }
    }
    for x in head.into_iter().chain(back) {
        put(words, x, LANES, p, &mut left, &mut right);
    }
    for (k, x) in rest.into_iter().enumerate().take((n - end).div_ceil(LANES)) {
        put(words, x, (n - end - k * LANES).min(LANES), p, &mut left, &mut right);
    }
    left
}

fn quick(mut words: &mut [u64], mut wanted: Range<usize>, mut steps: u32) {
    loop {
        let n = words.len();
        if wanted.is_empty() {
            return;
        }
        if n <= NETWORK {
            return network_of(words);
        }
        let pivot = pivot(words);
        let left = if steps == 0 { 0 } else { partition(words, pivot) };
        if left == 0 {
            // The pivot is the least, or others of its kind came before.
            return words.sort_unstable();
        }
        steps -= 1;
        let (low, high) = words.split_at_mut(left);
        quick(low, wanted.start..wanted.end.min(left), steps);
        (words, wanted) = (high, wanted.start.saturating_sub(left)..wanted.end.saturating_sub(left));
    }
}

/// The median of words from all over.
fn pivot(words: &[u64]) -> u64 {
    /// More where a better half saves more.
    const LONG: usize = 4096;
    let n = words.len();
    let mut sample = [0; 64];
    let sample = if n < LONG { &mut sample[..32] } else { &mut sample[..] };
    let mut random = n as u64;
    for x in sample.iter_mut() {
        // Knuth's linear congruence: a pattern in the words shall not be one in the sample.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *x = words[(((random >> 32) as u128 * n as u128) >> 32) as usize];
    }
    network_of(sample);
    sample[sample.len() / 2]
}

fn network_of(words: &mut [u64]) {
    match words.len().div_ceil(LANES) {
        0 => {}
        1 => network::<1>(words),
        2 => network::<2>(words),
        3..=4 => network::<4>(words),
        5..=8 => network::<8>(words),
        _ => network::<16>(words),
    }
}

/// Sorts up to `R` vectors. They are the rows of a matrix: its columns are sorted by a network without a single move
/// across lanes, and merged in pairs, three times.
#[inline]
fn network<const R: usize>(words: &mut [u64]) {
    let n = words.len();
    // What is not there comes after everything.
    let mut v = [_mm512_set1_pd(f64::INFINITY); R];
    for (k, x) in v.iter_mut().enumerate() {
        if (k + 1) * LANES <= n {
            *x = load(words, k * LANES);
        } else if k * LANES < n {
            *x = load_up_to(words, k * LANES, n);
        }
    }
    sort_columns(&mut v);
    let pairs = lanes([1, 0, 3, 2, 5, 4, 7, 6]);
    let twos = lanes([2, 3, 0, 1, 6, 7, 4, 5]);
    merge_across(&mut v, pairs, 0b1010_1010);
    merge_columns(&mut v);
    merge_across(&mut v, lanes([3, 2, 1, 0, 7, 6, 5, 4]), 0b1100_1100);
    merge_lanes(&mut v, pairs, 0b1010_1010);
    merge_columns(&mut v);
    merge_across(&mut v, lanes([7, 6, 5, 4, 3, 2, 1, 0]), 0b1111_0000);
    merge_lanes(&mut v, twos, 0b1100_1100);
    merge_lanes(&mut v, pairs, 0b1010_1010);
    merge_columns(&mut v);
    // The order now runs down the columns.
    if R == 1 {
        return store_up_to(words, 0, v[0]);
    }
    for part in 0..R.div_ceil(LANES) {
        let mut rows = [v[0]; LANES];
        for (k, row) in rows.iter_mut().enumerate() {
            *row = v[(part * LANES + k) % R];
        }
        let columns = transpose(rows);
        match R {
            2 => {
                let ends = |k: usize| _mm512_shuffle_f64x2::<0>(columns[k], columns[k + 1]);
                store_up_to(words, 0, _mm512_shuffle_f64x2::<0x88>(ends(0), ends(2)));
                store_up_to(words, LANES, _mm512_shuffle_f64x2::<0x88>(ends(4), ends(6)));
            }
            4 => {
                for k in 0..4 {
                    let x = _mm512_shuffle_f64x2::<0x44>(columns[2 * k], columns[2 * k + 1]);
                    store_up_to(words, k * LANES, x);
                }
            }
            _ => {
                for (k, &x) in columns.iter().enumerate() {
                    store_up_to(words, k * R + part * LANES, x);
                }
            }
        }
    }
}

/// Knuth's networks of the fewest exchanges, of which that for 16 has one more and fewer steps.
#[inline]
fn sort_columns<const R: usize>(v: &mut [__m512d; R]) {
    macro_rules! exchange {
        ($($i:literal $j:literal,)*) => { {$(
            (v[$i], v[$j]) = (_mm512_min_pd(v[$i], v[$j]), _mm512_max_pd(v[$i], v[$j]));
        )*} };
    }
    match R {
        2 => exchange!(0 1,),
        4 => exchange!(0 2, 1 3, 0 1, 2 3, 1 2,),
        8 => exchange!(
            0 2, 1 3, 4 6, 5 7, 0 4, 1 5, 2 6, 3 7, 0 1, 2 3, 4 5, 6 7, 2 4, 3 5, 1 4, 3 6, 1 2, 3 4, 5 6,
        ),
        16 => exchange!(
            0 13, 1 12, 2 15, 3 14, 4 8, 5 6, 7 11, 9 10, 0 5, 1 7, 2 9, 3 4, 6 13, 8 14, 10 15, 11 12, 0 1, 2 3, 4 5,
            6 8, 7 9, 10 11, 12 13, 14 15, 0 2, 1 3, 4 10, 5 11, 6 7, 8 9, 12 14, 13 15, 1 2, 3 12, 4 6, 5 7, 8 10,
            9 11, 13 14, 1 4, 2 6, 5 8, 7 10, 9 13, 11 14, 2 4, 3 6, 9 12, 11 13, 3 5, 6 8, 7 9, 10 12, 3 4, 5 6, 7 8,
            9 10, 11 12, 6 7, 8 9,
        ),
        _ => {}
    }
}

/// Columns each of which rises and falls, or falls and rises, in order.
#[inline]
fn merge_columns<const R: usize>(v: &mut [__m512d; R]) {
    macro_rules! halves {
        ($half:literal) => {
            if R >= 2 * $half {
                for i in 0..R {
                    if i & $half == 0 {
                        (v[i], v[i + $half]) = (_mm512_min_pd(v[i], v[i + $half]), _mm512_max_pd(v[i], v[i + $half]));
                    }
                }
            }
        };
    }
    // One after another, so that each is unrolled.
    halves!(8);
    halves!(4);
    halves!(2);
    halves!(1);
}

/// The smaller of two groups of columns in order to the first, where `reversed` is the order of their lanes backwards
/// and `second` are the lanes of the second.
#[inline]
fn merge_across<const R: usize>(v: &mut [__m512d; R], reversed: __m512i, second: __mmask8) {
    if R == 1 {
        return merge_lanes(v, reversed, second);
    }
    for i in 0..R / 2 {
        let (a, b) = (v[i], _mm512_permutexvar_pd(reversed, v[R - 1 - i]));
        let (low, high) = (_mm512_min_pd(a, b), _mm512_max_pd(a, b));
        v[i] = _mm512_mask_mov_pd(low, second, high);
        v[R - 1 - i] = _mm512_permutexvar_pd(reversed, _mm512_mask_mov_pd(high, second, low));
    }
}

/// The smaller of each lane and the one that `other` puts there to the first, the larger to the `second`.
#[inline]
fn merge_lanes<const R: usize>(v: &mut [__m512d; R], other: __m512i, second: __mmask8) {
    for x in v {
        let y = _mm512_permutexvar_pd(other, *x);
        *x = _mm512_mask_max_pd(_mm512_min_pd(*x, y), second, *x, y);
    }
}

#[inline]
fn transpose(r: [__m512d; 8]) -> [__m512d; 8] {
    let pair = |i: usize| (_mm512_unpacklo_pd(r[i], r[i + 1]), _mm512_unpackhi_pd(r[i], r[i + 1]));
    // The columns 0 and 4, then 2 and 6 of even ones, of two pairs of rows; and so on.
    let halves = |a, b| (_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xdd>(a, b));
    let [(a, e), (b, f), (c, g), (d, h)] = [pair(0), pair(2), pair(4), pair(6)];
    let ((ab04, ab26), (cd04, cd26)) = (halves(a, b), halves(c, d));
    let ((ef15, ef37), (gh15, gh37)) = (halves(e, f), halves(g, h));
    let ((c0, c4), (c2, c6)) = (halves(ab04, cd04), halves(ab26, cd26));
    let ((c1, c5), (c3, c7)) = (halves(ef15, gh15), halves(ef37, gh37));
    [c0, c1, c2, c3, c4, c5, c6, c7]
}

#[inline]
fn lanes([a, b, c, d, e, f, g, h]: [i64; 8]) -> __m512i {
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

/// The lanes of the mask before the others.
#[inline]
fn split(mask: __mmask8) -> __m512i {
    _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(SPLIT[mask as usize] as i64))
}

#[inline]
fn first(n: usize) -> __mmask8 {
    if n >= LANES { __mmask8::MAX } else { (1 << n) - 1 }
}

/// Writes the first `n` lanes: those below the pivot from `left` on, the others up to `right`, and nothing else.
#[inline]
fn put(words: &mut [u64], x: __m512d, n: usize, pivot: __m512d, left: &mut usize, right: &mut usize) {
    let below = _mm512_mask_cmp_pd_mask::<_CMP_LT_OQ>(first(n), x, pivot);
    let x = _mm512_permutexvar_pd(split(below), x);
    let count = below.count_ones() as usize;
    store_lanes(words, *left, 0..count, x);
    store_lanes(words, *right + count - n, count..n, x);
    *left += count;
    *right = *right + count - n;
}

#[inline]
fn load(words: &[u64], at: usize) -> __m512d {
    let x = &words[at..at + LANES];
    // SAFETY: there are as many words.
    unsafe { _mm512_loadu_pd(x.as_ptr().cast()) }
}

/// Up to the word `end`, and infinity.
#[inline]
fn load_up_to(words: &[u64], at: usize, end: usize) -> __m512d {
    let x = &words[at..end.min(at + LANES)];
    // SAFETY: the lanes of the mask are as many as there are words.
    unsafe { _mm512_mask_loadu_pd(_mm512_set1_pd(f64::INFINITY), first(x.len()), x.as_ptr().cast()) }
}

#[inline]
fn store(words: &mut [u64], at: usize, x: __m512d) {
    let out = &mut words[at..at + LANES];
    // SAFETY: there is room for as many.
    unsafe { _mm512_storeu_pd(out.as_mut_ptr().cast(), x) }
}

/// Up to the end of the words.
#[inline]
fn store_up_to(words: &mut [u64], at: usize, x: __m512d) {
    if at + LANES <= words.len() {
        store(words, at, x);
    } else if at < words.len() {
        store_lanes(words, at, 0..words.len() - at, x);
    }
}

/// These lanes, the first of them to `at`.
#[inline]
fn store_lanes(words: &mut [u64], at: usize, which: Range<usize>, x: __m512d) {
    let out = &mut words[at..at + which.len()];
    let mask = first(which.end) & !first(which.start);
    // SAFETY: the lanes of the mask fall on the words of the slice; no other is touched.
    unsafe { _mm512_mask_storeu_pd(out.as_mut_ptr().wrapping_sub(which.start).cast(), mask, x) }
}
}
