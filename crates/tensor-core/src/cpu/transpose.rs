//! Squares of elements transposed in registers: the compiler makes a loop over them a load and a store for each element.

use crate::element::Element;

/// Rows that are worked on together: as many elements of four bytes as share a line of the caches.
pub const ROWS: usize = 16;

/// `out[r * width + c] = data[c * step + r]` for r below `rows` and c below `width`.
pub fn transpose<T: Element>(out: &mut [T], width: usize, data: &[T], step: usize, rows: usize) {
    if width == 0 || rows == 0 {
        return;
    }
    // The last places, so that the loops below need not look.
    let out = &mut out[..(rows - 1) * width + width];
    let data = &data[..(width - 1) * step + rows];
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if crate::simd::has_vectors() && rows == ROWS {
        done = x86::transpose(out, width, data, step);
    }
    for c in done..width {
        for (r, &x) in data[c * step..][..rows].iter().enumerate() {
            out[r * width + c] = x;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::ROWS;
    use crate::element::Element;
    use std::arch::x86_64::{
        __m256, __m256d, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_permute2f128_pd, _mm256_permute2f128_ps,
        _mm256_shuffle_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps,
        _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    };

    /// As above, for [`ROWS`] rows and as many columns as make whole squares; how many these are. The slices end with the
    /// last element.
    pub fn transpose<T: Element>(out: &mut [T], width: usize, data: &[T], step: usize) -> usize {
        let (to, from) = (out.as_mut_ptr(), data.as_ptr());
        // SAFETY: the processor has AVX2. Column c of the data begins at c * step and has ROWS elements; row r of the
        // result begins at r * width and has `width` elements. Squares of S columns from c on, of which c + S is at most
        // `width`, read and write within these, and elements of 8 or 4 bytes are moved as they are, whatever they mean.
        unsafe {
            match size_of::<T>() {
                8 => doubles(to.cast(), width, from.cast(), step),
                4 => singles(to.cast(), width, from.cast(), step),
                _ => 0,
            }
        }
    }

    /// # Safety
    /// As is said in [`transpose`].
    #[target_feature(enable = "avx2")]
    unsafe fn doubles(out: *mut f64, width: usize, data: *const f64, step: usize) -> usize {
        const S: usize = 4;
        for c in (0..width / S * S).step_by(S) {
            for r in (0..ROWS).step_by(S) {
                // SAFETY: four elements from row r of each of four columns.
                let x: [__m256d; S] =
                    std::array::from_fn(|k| unsafe { _mm256_loadu_pd(data.add((c + k) * step + r)) });
                // Neighbours, and then halves.
                let [a, b, c_, d] = [
                    _mm256_unpacklo_pd(x[0], x[1]),
                    _mm256_unpackhi_pd(x[0], x[1]),
                    _mm256_unpacklo_pd(x[2], x[3]),
                    _mm256_unpackhi_pd(x[2], x[3]),
                ];
                let y = [
                    _mm256_permute2f128_pd::<0x20>(a, c_),
                    _mm256_permute2f128_pd::<0x20>(b, d),
                    _mm256_permute2f128_pd::<0x31>(a, c_),
                    _mm256_permute2f128_pd::<0x31>(b, d),
                ];
                for (k, y) in y.into_iter().enumerate() {
                    // SAFETY: four elements from column c of row r + k.
                    unsafe { _mm256_storeu_pd(out.add((r + k) * width + c), y) };
                }
            }
        }
        width / S * S
    }

    /// # Safety
    /// As is said in [`transpose`].
    #[target_feature(enable = "avx2")]
    unsafe fn singles(out: *mut f32, width: usize, data: *const f32, step: usize) -> usize {
        const S: usize = 8;
        for c in (0..width / S * S).step_by(S) {
            for r in (0..ROWS).step_by(S) {
                // SAFETY: eight elements from row r of each of eight columns.
                let x: [__m256; S] =
                    std::array::from_fn(|k| unsafe { _mm256_loadu_ps(data.add((c + k) * step + r)) });
                // Neighbours, pairs of them, and then halves.
                let pairs: [__m256; S] = std::array::from_fn(|k| match k % 2 {
                    0 => _mm256_unpacklo_ps(x[k], x[k + 1]),
                    _ => _mm256_unpackhi_ps(x[k - 1], x[k]),
                });
                let fours: [__m256; S] = std::array::from_fn(|k| {
                    let (first, second) = (pairs[k / 4 * 4 + k % 4 / 2], pairs[k / 4 * 4 + k % 4 / 2 + 2]);
                    match k % 2 {
                        0 => _mm256_shuffle_ps::<0x44>(first, second),
                        _ => _mm256_shuffle_ps::<0xee>(first, second),
                    }
                });
                for k in 0..S {
                    let (low, high) = (fours[k % 4], fours[k % 4 + 4]);
                    let y = match k / 4 {
                        0 => _mm256_permute2f128_ps::<0x20>(low, high),
                        _ => _mm256_permute2f128_ps::<0x31>(low, high),
                    };
                    // SAFETY: eight elements from column c of row r + k.
                    unsafe { _mm256_storeu_ps(out.add((r + k) * width + c), y) };
                }
            }
        }
        width / S * S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Element>(of: impl Fn(usize) -> T) {
        for (rows, width, step) in
            [(16, 1, 16), (16, 8, 17), (16, 37, 20), (5, 9, 5), (16, 64, 100), (1, 3, 2)]
        {
            let data: Vec<T> = (0..(width - 1) * step + rows).map(&of).collect();
            let mut out = vec![T::default(); rows * width];
            transpose(&mut out, width, &data, step, rows);
            for r in 0..rows {
                for c in 0..width {
                    assert_eq!(out[r * width + c], data[c * step + r], "{rows} {width} {step}");
                }
            }
        }
    }

    #[test]
    fn elements_of_every_size_change_rows_for_columns() {
        check(|k| k as f64);
        check(|k| k as f32);
        check(|k| k as i64);
        check(|k| k % 3 == 0);
    }
}
