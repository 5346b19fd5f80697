//! The factorisations against their definitions, and against themselves on other thread counts.

use super::svd::NotConverged;
use super::{cholesky, inverse, lu, lu_det, lu_slogdet, lu_solve, svd};
use crate::array::Array;
use crate::cpu::gemm::addmm;
use crate::element::Float;

const ORDERS: [usize; 15] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 100, 257];

/// Uniform numbers in -1..1 by a linear congruential generator (Knuth's constants).
fn random<T: Float>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..len).map(|_| T::of(next())).collect()
}

/// `A B` in f64.
fn product<T: Float>(a: &[T], b: &[T], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for l in 0..k {
            let x = a[i * k + l].to_f64();
            for j in 0..n {
                c[i * n + j] += x * b[l * n + j].to_f64();
            }
        }
    }
    c
}

fn transpose<T: Float>(a: &[T], m: usize, n: usize) -> Vec<T> {
    let mut t = vec![T::ZERO; m * n];
    for i in 0..m {
        for j in 0..n {
            t[j * m + i] = a[i * n + j];
        }
    }
    t
}

fn difference<T: Float>(a: &[f64], b: &[T]) -> f64 {
    assert_eq!(a.len(), b.len());
    let gaps = a.iter().zip(b).map(|(x, y)| (x - y.to_f64()).abs());
    gaps.fold(0.0, |max, gap| {
        assert!(!gap.is_nan());
        max.max(gap)
    })
}

fn max_abs<T: Float>(a: &[T]) -> f64 {
    a.iter().fold(0.0, |max, x| max.max(x.to_f64().abs()))
}

/// Factors a copy of `a`.
fn factored<T: Float>(a: &[T], n: usize) -> (Vec<T>, Vec<usize>, Option<usize>) {
    let mut f = a.to_vec();
    let mut pivots = vec![usize::MAX; n];
    let zero = lu(&mut f, n, &mut pivots);
    (f, pivots, zero)
}

fn check_factors<T: Float>(a: &[T], n: usize) {
    let (f, pivots, _) = factored(a, n);
    let mut pa = a.to_vec();
    for (i, &p) in pivots.iter().enumerate() {
        assert!((i..n).contains(&p));
        for j in 0..n {
            pa.swap(i * n + j, p * n + j);
        }
    }
    let mut l = vec![T::ZERO; n * n];
    let mut u = vec![T::ZERO; n * n];
    for i in 0..n {
        for j in 0..n {
            if j < i {
                l[i * n + j] = f[i * n + j];
                assert!(f[i * n + j].to_f64().abs() <= 1.0);
            } else {
                u[i * n + j] = f[i * n + j];
            }
        }
        l[i * n + i] = T::ONE;
    }
    let bound = 4.0 * n as f64 * T::EPSILON.to_f64() * max_abs(&u).max(1.0);
    let gap = difference(&product(&l, &u, n, n, n), &pa);
    assert!(gap <= bound, "n = {n}: {gap} > {bound}");
}

#[test]
fn lu_reconstructs() {
    for n in ORDERS.into_iter().chain([800]) {
        check_factors(&random::<f64>(n * n, n as u64 + 1), n);
        check_factors(&random::<f32>(n * n, n as u64 + 1), n);
    }
}

#[test]
fn lu_reconstructs_rank_deficient() {
    for n in [5, 32, 33, 64, 100, 257] {
        let r = n / 2;
        let a = product(&random::<f64>(n * r, 1), &random::<f64>(r * n, 2), n, r, n);
        check_factors(&a, n);
        let mut zero_column = random::<f64>(n * n, 3);
        for row in zero_column.chunks_exact_mut(n) {
            row[r] = 0.0;
        }
        check_factors(&zero_column, n);
        assert_eq!(factored(&zero_column, n).2, Some(r));
    }
}

fn check_solve<T: Float>(n: usize) {
    let a = random::<T>(n * n, n as u64 + 7);
    let (f, pivots, zero) = factored(&a, n);
    assert_eq!(zero, None);
    for k in [0, 1, 2, 3, 40, 300] {
        let b = random::<T>(n * k, k as u64 + 3);
        for transposed in [false, true] {
            let mut x = b.clone();
            lu_solve(&f, &pivots, n, &mut x, k, transposed);
            let matrix = if transposed { transpose(&a, n, n) } else { a.clone() };
            let gap = difference(&product(&matrix, &x, n, n, k), &b);
            let bound = 8.0 * n as f64 * T::EPSILON.to_f64() * max_abs(&x).max(1.0);
            assert!(gap <= bound, "n = {n}, k = {k}, {transposed}: {gap} > {bound}");
        }
    }
}

#[test]
fn solves_both_ways() {
    for n in ORDERS {
        check_solve::<f64>(n);
        check_solve::<f32>(n);
    }
}

fn check_inverse<T: Float>(n: usize) {
    let a = random::<T>(n * n, 2 * n as u64 + 5);
    let mut x = vec![T::of(f64::NAN); n * n];
    assert_eq!(inverse(&a, &mut x, n), Ok(()));
    let mut identity = vec![T::ZERO; n * n];
    for value in identity.iter_mut().step_by(n + 1) {
        *value = T::ONE;
    }
    // |A X - I| <= c n eps |A| |X| (Higham, Accuracy and Stability, section 14.3).
    let bound = 8.0 * n as f64 * T::EPSILON.to_f64() * max_abs(&x).max(1.0);
    let right = difference(&product(&a, &x, n, n, n), &identity);
    assert!(right <= bound, "n = {n}: {right} > {bound}");
    let left = difference(&product(&x, &a, n, n, n), &identity);
    let bound = bound * (n as f64 * max_abs(&x)).max(1.0);
    assert!(left <= bound, "n = {n}: {left} > {bound}");
}

#[test]
fn inverse_residual() {
    for n in ORDERS {
        check_inverse::<f64>(n);
        check_inverse::<f32>(n);
    }
}

fn det(a: &[f64], n: usize) -> f64 {
    let (f, pivots, _) = factored(a, n);
    lu_det(&f, &pivots, n)
}

fn slogdet(a: &[f64], n: usize) -> (f64, f64) {
    let (f, pivots, _) = factored(a, n);
    lu_slogdet(&f, &pivots, n)
}

fn diagonal(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut a = vec![0.0; n * n];
    for (i, &v) in values.iter().enumerate() {
        a[i * n + i] = v;
    }
    a
}

#[test]
fn determinant_of_known_matrices() {
    assert_eq!(det(&[], 0), 1.0);
    assert_eq!(slogdet(&[], 0), (1.0, 0.0));
    assert_eq!(det(&[-3.0], 1), -3.0);
    assert_eq!(det(&[1.0, 2.0, 3.0, 4.0], 2), -2.0);
    assert_eq!(det(&[1.0, 2.0, 2.0, 4.0], 2), 0.0);
    assert_eq!(slogdet(&[1.0, 2.0, 2.0, 4.0], 2), (0.0, f64::NEG_INFINITY));
    for n in [2, 3, 9, 33, 70] {
        // A cycle of length n has the sign of n - 1 transpositions.
        let mut cycle = vec![0.0; n * n];
        for i in 0..n {
            cycle[i * n + (i + 1) % n] = 1.0;
        }
        let sign = if n % 2 == 0 { -1.0 } else { 1.0 };
        assert_eq!(det(&cycle, n), sign);
        assert_eq!(slogdet(&cycle, n), (sign, 0.0));
    }
}

#[test]
fn determinant_is_multiplicative() {
    for n in [2, 3, 5, 8, 33, 64] {
        let (a, b) = (random(n * n, 1), random(n * n, 2));
        let ab = product(&a, &b, n, n, n);
        let expected = det(&a, n) * det(&b, n);
        assert!((det(&ab, n) / expected - 1.0).abs() < 1e-9);
        let (sign, log) = slogdet(&ab, n);
        assert_eq!(sign, expected.signum());
        assert!((log - expected.abs().ln()).abs() < 1e-9);
    }
}

#[test]
fn determinant_keeps_in_range() {
    let near = |x: f64, y: f64| assert!((x / y - 1.0).abs() < 1e-14, "{x} {y}");
    near(det(&diagonal(&[1e200, 1e200, 1e-200, 1e-200]), 4), 1.0);
    near(det(&diagonal(&[1e-200, -1e-200, 1e200, 1e200]), 4), -1.0);
    near(det(&diagonal(&[5e-324, 1e300, 1e20]), 3), 5e-324 * 1e300 * 1e20);
    assert_eq!(det(&diagonal(&[1e200, 1e200]), 2), f64::INFINITY);
    assert_eq!(det(&diagonal(&[1e-200, -1e-200]), 2), 0.0);
    assert_eq!(det(&diagonal(&[2f64.powi(-600), 2f64.powi(-470)]), 2), 16.0 * f64::from_bits(1));
    let (sign, log) = slogdet(&diagonal(&[1e-200, -1e-200]), 2);
    assert_eq!(sign, -1.0);
    near(log, 2.0 * 1e-200f64.ln());
    let wide: Vec<f32> = [1e30, 1e30, 1e-30, 1e-30].map(|x: f32| x).to_vec();
    let mut a = vec![0f32; 16];
    for (i, &v) in wide.iter().enumerate() {
        a[i * 5] = v;
    }
    let (f, pivots, _) = factored(&a, 4);
    assert!((lu_det(&f, &pivots, 4) - 1.0).abs() < 1e-5);
}

#[test]
fn singular_matrices_are_reported() {
    let index = |a: &[f64], n: usize| {
        let (f, _, zero) = factored(a, n);
        assert!(f.iter().all(|x| x.is_finite()));
        let mut out = vec![0.0; n * n];
        assert_eq!(inverse(a, &mut out, n).err(), zero);
        zero
    };
    assert_eq!(index(&[0.0], 1), Some(0));
    assert_eq!(index(&[1.0, 2.0, 2.0, 4.0], 2), Some(1));
    assert_eq!(index(&[0.0, 1.0, 0.0, 2.0], 2), Some(0));
    assert_eq!(index(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0], 3), Some(2));
    assert_eq!(index(&[2.0, 4.0, 6.0, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0], 3), Some(1));
    assert_eq!(index(&[3.0, 3.0, 1.0, 1.0], 2), Some(1));
    for n in [4, 8, 9, 32, 33, 64, 100] {
        assert_eq!(index(&vec![0.0; n * n], n), Some(0));
        assert_eq!(index(&vec![1.0; n * n], n), Some(1));
        if n <= 32 {
            // The multiplier between equal rows is exactly one. Blocked products round a row that
            // is eliminated unlike one that is a pivot row.
            let mut equal_rows = random::<f64>(n * n, 9);
            equal_rows.copy_within(0..n, n);
            assert_eq!(index(&equal_rows, n), Some(n - 1));
        }
        // L of halves and U of small integers: every step is exact and no rows are exchanged.
        let (mut l, mut u) = (vec![0.0; n * n], vec![0.0; n * n]);
        for i in 0..n {
            for j in 0..n {
                let small = ((7 * i + 5 * j + i * j) % 3) as f64 - 1.0;
                match i.cmp(&j) {
                    core::cmp::Ordering::Greater => l[i * n + j] = small / 2.0,
                    core::cmp::Ordering::Equal => (l[i * n + i], u[i * n + i]) = (1.0, 4.0),
                    core::cmp::Ordering::Less => u[i * n + j] = small,
                }
            }
        }
        u[n * n - 1] = 0.0;
        assert_eq!(index(&product(&l, &u, n, n, n), n), Some(n - 1));
        let mut zero_row = random::<f64>(n * n, 9);
        zero_row[n..2 * n].fill(0.0);
        assert_eq!(index(&zero_row, n), Some(n - 1));
    }
}

#[test]
fn nan_spreads_and_is_not_singular() {
    for n in [1, 2, 3, 8, 9, 33, 64, 100] {
        for at in [0, n * n / 2, n * n - 1] {
            let mut a = random::<f64>(n * n, 4);
            a[at] = f64::NAN;
            let (f, pivots, zero) = factored(&a, n);
            assert_eq!(zero, None);
            assert!(lu_det(&f, &pivots, n).is_nan());
            assert!(lu_slogdet(&f, &pivots, n).1.is_nan());
            let mut out = vec![0.0; n * n];
            assert_eq!(inverse(&a, &mut out, n), Ok(()));
            assert!(out.iter().any(|x| x.is_nan()));
        }
    }
    for n in [2, 8, 9, 40] {
        let mut a = vec![0.0; n * n];
        a[1] = f64::NAN;
        let (f, pivots, zero) = factored(&a, n);
        assert_eq!(zero, None);
        assert!(lu_det(&f, &pivots, n).is_nan());
        let mut out = vec![0.0; n * n];
        assert_eq!(inverse(&a, &mut out, n), Ok(()));
        assert!(out.iter().any(|x| x.is_nan()));
        let _ = factored(&vec![f64::INFINITY; n * n], n);
    }
}

fn check_cholesky<T: Float>(n: usize) {
    let b: Vec<T> = random(n * n, n as u64);
    let mut a: Vec<T> = product(&b, &transpose(&b, n, n), n, n, n).into_iter().map(T::of).collect();
    (0..n).for_each(|i| a[i * n + i] += T::of(n as f64));
    let mut l = a.clone();
    assert_eq!(cholesky(&mut l, n), Ok(()));
    assert!((0..n).all(|i| l[i * n + i + 1..(i + 1) * n].iter().all(|&x| x == T::ZERO)));
    let error = difference(&product(&l, &transpose(&l, n, n), n, n, n), &a);
    assert!(error <= 4.0 * n as f64 * T::EPSILON.to_f64() * max_abs(&a), "{n}: {error}");
    if n > 2 {
        a[(n - 2) * n + n - 2] = -T::ONE;
        assert_eq!(cholesky(&mut a.clone(), n), Err(n - 1));
        a[(n - 2) * n + n - 2] = T::NAN;
        assert_eq!(cholesky(&mut a, n), Err(n - 1));
    }
}

#[test]
fn cholesky_reconstructs() {
    for n in ORDERS {
        check_cholesky::<f32>(n);
        check_cholesky::<f64>(n);
    }
}

#[test]
fn products_of_large_matrices_of_any_strides() {
    let (m, k, n) = (300, 260, 280);
    let (a, b): (Vec<f64>, Vec<f64>) = (random(m * k, 1), random(k * n, 2));
    let expected = product(&a, &b, m, k, n);
    let as_it_lies =
        |x: &[f64], rows: usize, cols: usize| Array::from_vec(x.to_vec(), &[rows, cols]).unwrap();
    let turned = |x: &[f64], rows, cols| {
        as_it_lies(&transpose(x, rows, cols), cols, rows).permute("", &[1, 0]).unwrap()
    };
    let backwards = |x: &[f64], rows: usize, cols: usize| {
        let reversed = x.chunks_exact(cols).rev().flatten().copied().collect();
        Array::from_vec(reversed, &[rows, cols]).unwrap().slice("", 0, rows - 1, -1, rows).unwrap()
    };
    type Lies<'a> = &'a dyn Fn(&[f64], usize, usize) -> Array<f64>;
    let layouts: [Lies<'_>; 3] = [&as_it_lies, &turned, &backwards];
    for left in layouts {
        for right in layouts {
            let found = addmm("mm", None, &left(&a, m, k), &right(&b, k, n), 0.0, 1.0).unwrap();
            assert!(difference(&expected, &found.to_vec()) <= 1e-13 * k as f64);
        }
    }
}

fn check_svd<T: Float>(a: &[T], m: usize, n: usize) -> Vec<T> {
    let k = m.min(n);
    let nan = T::of(f64::NAN);
    let (mut u, mut s, mut vt) = (vec![nan; m * k], vec![nan; k], vec![nan; k * n]);
    assert_eq!(svd(a, m, n, &mut u, &mut s, &mut vt), Ok(()));
    assert!(s.is_sorted_by(|x, y| x >= y) && s.iter().all(|x| *x >= T::ZERO));
    let mut us = u.clone();
    for row in us.chunks_exact_mut(k.max(1)) {
        for (x, &s) in row.iter_mut().zip(&s) {
            *x *= s;
        }
    }
    let eps = 16.0 * (m + n) as f64 * T::EPSILON.to_f64();
    let gap = difference(&product(&us, &vt, m, k, n), a);
    assert!(gap <= eps * s.first().map_or(0.0, |x| x.to_f64()), "{m} x {n}: {gap}");
    let mut identity = vec![T::ZERO; k * k];
    for value in identity.iter_mut().step_by(k + 1) {
        *value = T::ONE;
    }
    assert!(difference(&product(&transpose(&u, m, k), &u, k, m, k), &identity) <= eps);
    assert!(difference(&product(&vt, &transpose(&vt, k, n), k, n, k), &identity) <= eps);
    s
}

#[test]
fn svd_reconstructs() {
    let shapes = [
        (0, 0),
        (0, 4),
        (4, 0),
        (1, 1),
        (1, 5),
        (5, 1),
        (2, 2),
        (3, 3),
        (8, 5),
        (5, 8),
        (33, 33),
        (64, 20),
        (20, 64),
        (100, 100),
        (150, 140),
        (200, 257),
    ];
    for (m, n) in shapes {
        check_svd(&random::<f64>(m * n, 6), m, n);
        check_svd(&random::<f32>(m * n, 6), m, n);
        check_svd(&vec![0.0; m * n], m, n);
        check_svd(&vec![1.0; m * n], m, n);
    }
}

#[test]
fn svd_of_known_matrices() {
    let s = check_svd(&diagonal(&[1.0, -3.0, 2.0]), 3, 3);
    assert!(difference(&[3.0, 2.0, 1.0], &s) < 1e-15);
    for scale in [1e-320, 1e-300, 1e-160, 1e160, 1e300] {
        let s = check_svd(&[3.0 * scale, 0.0, 0.0, 4.0 * scale], 2, 2);
        assert!((s[0] / (4.0 * scale) - 1.0).abs() < 1e-3);
        let wide: Vec<f64> = random::<f64>(150 * 140, 8).iter().map(|x| x * scale).collect();
        if scale > 1e-310 {
            check_svd(&wide, 150, 140);
        }
    }
    for scale in [1e-40f32, 1e-30, 1e30] {
        let s = check_svd(&[3.0 * scale, 0.0, 0.0, 4.0 * scale], 2, 2);
        assert!((s[0] / (4.0 * scale) - 1.0).abs() < 1e-3);
    }
}

#[test]
fn svd_of_matrices_that_are_not_finite() {
    for bad in [f64::NAN, f64::INFINITY] {
        for n in [1, 3, 150] {
            let mut a = random::<f64>(n * n, 5);
            a[n * n - 1] = bad;
            let (mut u, mut s, mut vt) = (vec![0.0; n * n], vec![0.0; n], vec![0.0; n * n]);
            assert_eq!(svd(&a, n, n, &mut u, &mut s, &mut vt), Err(NotConverged));
        }
    }
}

#[cfg(not(feature = "blas"))]
fn all_results<T: Float>(n: usize) -> Vec<T> {
    let a = random::<T>(n * n, 11);
    let (f, pivots, _) = factored(&a, n);
    let mut all = f.clone();
    for (k, transposed) in [(1, false), (1, true), (3, false), (300, false), (300, true)] {
        let mut b = random::<T>(n * k, 12);
        lu_solve(&f, &pivots, n, &mut b, k, transposed);
        all.append(&mut b);
    }
    let mut x = vec![T::ZERO; n * n];
    assert_eq!(inverse(&a, &mut x, n), Ok(()));
    all.append(&mut x);
    if n <= 257 {
        let (mut u, mut s, mut vt) = (vec![T::ZERO; n * n], vec![T::ZERO; n], vec![T::ZERO; n * n]);
        assert_eq!(svd(&a, n, n, &mut u, &mut s, &mut vt), Ok(()));
        all.extend(u.iter().chain(&s).chain(&vt));
    }
    all.push(lu_det(&f, &pivots, n));
    all
}

#[cfg(not(feature = "blas"))]
fn same_on_all_pools<T: Float>(n: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    let mut first: Option<Vec<T>> = None;
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let results = pool.install(|| all_results::<T>(n));
        // Finite values: equality is equality of bits up to the sign of zero.
        let expected = first.get_or_insert_with(|| results.clone());
        assert!(*expected == results, "n = {n}, {threads} threads");
    }
    Ok(())
}

/// Of our own kernels: a library that is linked decides for itself.
#[cfg(not(feature = "blas"))]
#[test]
fn same_bits_for_every_number_of_threads() -> Result<(), rayon::ThreadPoolBuildError> {
    for n in [3, 40, 130, 257, 400] {
        same_on_all_pools::<f64>(n)?;
        same_on_all_pools::<f32>(n)?;
    }
    // Large enough for every parallel split.
    same_on_all_pools::<f64>(600)
}
