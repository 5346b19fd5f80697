//! Batches against the kernels for single matrices, and against what defines a factorisation.

use super::LARGEST;
use crate::array::Array;
use crate::cpu::batch;
use crate::cpu::large;
use crate::element::Float;
use crate::error::ErrorKind;
use crate::kernels;
use crate::matrix::flaw::Flaw;
use crate::on_cpu;

/// Uniform numbers in -1..1 by a linear congruential generator (Knuth's constants).
fn random<T: Float>(len: usize, seed: usize) -> Vec<T> {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..len).map(|_| T::of(next())).collect()
}

fn batch<T: Float>(shape: [usize; 3]) -> Array<T> {
    Array::from_vec(random(shape.iter().product(), shape[0] + 7 * shape[1] + shape[2]), &shape).unwrap()
}

/// The greatest difference, relative to the greatest element.
fn error<T: Float>(found: &Array<T>, expected: &Array<T>) -> f64 {
    let (found, expected) = (found.to_vec(), expected.to_vec());
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().map(|x| x.to_f64().abs()).fold(1e-300, f64::max);
    found.iter().zip(&expected).map(|(x, y)| (x.to_f64() - y.to_f64()).abs() / size).fold(0.0, |m, e| {
        assert!(!e.is_nan());
        f64::max(m, e)
    })
}

fn product<T: Float>(a: &Array<T>, b: &Array<T>) -> Array<T> {
    kernels::addmm("mm", None, a, b, T::ZERO, T::ONE).unwrap()
}

fn transposed<T: Float>(a: &Array<T>) -> Array<T> {
    a.permute("", &[0, 2, 1]).unwrap()
}

/// Checks `f` on batches of every size that is treated in another way, as they lie and transposed; `f` gives
/// an error to be compared with `factor` roundings.
fn check<T: Float>(square: bool, factor: f64, f: impl Fn(&Array<T>) -> f64) {
    for count in [1, 3, 4, 16, 21] {
        for m in 1..=LARGEST {
            if m > 9 && (m % 5 != 0 || count == 3) && m != LARGEST {
                continue;
            }
            for n in [m, m / 2 + 1] {
                if square && n != m {
                    continue;
                }
                for a in [batch([count, m, n]), transposed(&batch([count, n, m]))] {
                    let e = f(&a);
                    assert!(e <= factor * T::EPSILON.to_f64(), "{count} of {m} x {n}: {e}");
                }
            }
        }
    }
}

/// Diagonally dominant.
fn shifted<T: Float>(a: &Array<T>) -> Array<T> {
    let n = a.shape()[1];
    let mut data = a.to_vec();
    for (i, x) in data.iter_mut().enumerate() {
        if (i % (n * n)).is_multiple_of(n + 1) {
            *x += T::of(n as f64);
        }
    }
    Array::from_vec(data, a.shape()).unwrap()
}

fn identity<T: Float>(count: usize, n: usize) -> Array<T> {
    let one = |e: usize| if (e % (n * n)).is_multiple_of(n + 1) { T::ONE } else { T::ZERO };
    Array::from_vec((0..count * n * n).map(one).collect(), &[count, n, n]).unwrap()
}

fn symmetric<T: Float>(a: &Array<T>) -> Array<T> {
    kernels::zip("add", a, &transposed(a), &on_cpu(|x, y| x + y)).unwrap()
}

fn each<T: Float>() {
    check::<T>(true, 100.0, |a| {
        let a = shifted(a);
        let x = batch::inverse("inverse", &a).unwrap();
        error(&product(&a, &x), &identity(a.shape()[0], a.shape()[1]))
    });
    for flipped in [false, true] {
        check::<T>(true, 100.0, |a| {
            let a = shifted(a);
            let b = batch([a.shape()[0], a.shape()[1], 3]);
            let (x, singular) = batch::lu("", &a).unwrap().solve("solve", &b, flipped).unwrap();
            assert_eq!(singular, None);
            error(&product(&if flipped { transposed(&a) } else { a }, &x), &b)
        });
    }
    // The same pivots and products in single matrices and in lanes: the same bits.
    check::<T>(true, 0.0, |a| {
        let n = a.shape()[1];
        let one = |a: &[T]| {
            let (mut a, mut pivots) = (a.to_vec(), vec![0; n]);
            large::lu(&mut a, n, &mut pivots);
            large::lu_det(&a, &pivots, n)
        };
        let expected = a.to_vec().chunks_exact(n * n).map(one).collect();
        error(
            &batch::lu("", a).unwrap().det("det").unwrap(),
            &Array::from_vec(expected, &[a.shape()[0]]).unwrap(),
        )
    });
    check::<T>(true, 100.0, |a| {
        let spd = shifted(&product(a, &transposed(a)));
        let l = batch::cholesky("cholesky", &spd).unwrap();
        error(&product(&l, &transposed(&l)), &spd)
    });
    check::<T>(false, 200.0, |a| {
        let [count, m, n] = a.shape().try_into().unwrap();
        [false, true].into_iter().fold(0.0, |worst, complete| {
            let [q, r] = batch::qr("qr", a, complete).unwrap();
            let k = if complete { m } else { m.min(n) };
            for (e, &x) in r.to_vec().iter().enumerate() {
                let (i, j) = (e / n % k, e % n);
                assert!(if j < i { x == T::ZERO } else { j > i || x >= T::ZERO });
            }
            worst
                .max(error(&product(&q, &r), a))
                .max(error(&product(&transposed(&q), &q), &identity(count, k)))
        })
    });
    check::<T>(true, 500.0, |a| {
        let (a, n) = (symmetric(a), a.shape()[1]);
        let [w, v] = batch::eigh("eigh", &a).unwrap();
        assert!(w.to_vec().chunks_exact(n).all(|w| w.is_sorted()));
        let scaled = kernels::zip("mul", &v, &w.insert_dim("", 1).unwrap(), &on_cpu(|v, w| v * w)).unwrap();
        error(&product(&scaled, &transposed(&v)), &a)
            .max(error(&product(&transposed(&v), &v), &identity(a.shape()[0], n)))
    });
    check::<T>(false, 500.0, |a| {
        let [count, m, n] = a.shape().try_into().unwrap();
        let k = m.min(n);
        let [u, s, vt] = batch::svd("svd", a).unwrap();
        assert!(s.to_vec().chunks_exact(k).all(|s| s.is_sorted_by(|x, y| x >= y)));
        let scaled = kernels::zip("mul", &u, &s.insert_dim("", 1).unwrap(), &on_cpu(|u, s| u * s)).unwrap();
        error(&product(&scaled, &vt), a)
            .max(error(&product(&transposed(&u), &u), &identity(count, k)))
            .max(error(&product(&vt, &transposed(&vt)), &identity(count, k)))
    });
    check::<T>(true, 1000.0, |a| {
        let a = shifted(a);
        let d = batch::lu("", &a).unwrap().det("det").unwrap();
        let g = Array::from_vec(random(a.shape()[0], 5), &[a.shape()[0]]).unwrap();
        let (found, unknown) = batch::cofactors("det", &a, &g).unwrap().unwrap();
        if !unknown.is_empty() {
            // The determinants of the large ones leave the range of single precision.
            assert!(a.shape()[1] > 20 && size_of::<T>() == 4);
            return 0.0;
        }
        let scale = kernels::zip("mul", &d, &g, &on_cpu(|d, g| d * g))
            .unwrap()
            .insert_dim("", 1)
            .unwrap()
            .insert_dim("", 2)
            .unwrap();
        let inverse = transposed(&batch::inverse("inverse", &a).unwrap());
        error(&found, &kernels::zip("mul", &inverse, &scale, &on_cpu(|x, y| x * y)).unwrap())
    });
}

#[test]
fn every_order_in_double_precision() {
    each::<f64>();
}

#[test]
fn every_order_in_single_precision() {
    each::<f32>();
}

/// Five matrices, of which the third is `a`.
fn amid(a: [[f64; 3]; 3]) -> Array<f64> {
    let mut data = shifted(&batch::<f64>([5, 3, 3])).to_vec();
    data[18..27].copy_from_slice(a.as_flattened());
    Array::from_vec(data, &[5, 3, 3]).unwrap()
}

#[test]
fn matrices_that_lanes_do_not_treat() {
    let singular = amid([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]);
    let kind = |e: crate::Error| e.kind();
    assert_eq!(batch::inverse("", &singular).map_err(kind).unwrap_err(), ErrorKind::Singular { batch: 2 });
    assert_eq!(
        batch::lu("", &singular).unwrap().solve("", &singular, false).unwrap().1,
        Some(Flaw::Singular(2))
    );
    assert_eq!(batch::lu("", &singular).unwrap().det("").unwrap().to_vec()[2], 0.0);
    let e = batch::cholesky("", &amid([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotPositiveDefinite { batch: 2, minor: 2 });
    for scale in [0.0, 1e-300, 1e-170, 1e-100, 1e-72, 1e72, 1e100, 1e170, 1e300] {
        let a = amid([[scale, scale, 0.0], [scale, -scale, 0.0], [0.0, 0.0, 0.5 * scale]]);
        let [w, _] = batch::eigh("", &a).unwrap();
        let [u, s, vt] = batch::svd("", &a).unwrap();
        let [q, r] = batch::qr("", &a, false).unwrap();
        let root = 2f64.sqrt() * scale;
        for (found, expected) in [
            (&w.to_vec()[6..9], [-root, 0.5 * scale, root]),
            (&s.to_vec()[6..9], [root, root, 0.5 * scale]),
            (&[0, 4, 8].map(|i| r.to_vec()[18 + i])[..], [root, root, 0.5 * scale]),
        ] {
            let near = found.iter().zip(expected).all(|(x, y)| (x - y).abs() <= 1e-14 * scale);
            assert!(near, "{scale}: {found:?} and not {expected:?}");
        }
        for orthogonal in [&u, &vt, &q] {
            assert!(error(&product(orthogonal, &transposed(orthogonal)), &identity(5, 3)) < 1e-14);
        }
    }
    for bad in [f64::NAN, f64::INFINITY] {
        let a = amid([[1.0, 0.0, 0.0], [bad, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(batch::svd("", &a).map(|_| ()).map_err(kind), Err(ErrorKind::Argument));
        assert_eq!(batch::eigh("", &a).map(|_| ()).map_err(kind), Err(ErrorKind::Argument));
        assert!(!batch::lu("", &a).unwrap().det("").unwrap().to_vec()[2].is_finite());
    }
    // A NaN beside a zero pivot is no proof of a singular matrix.
    let a = amid([[0.0, f64::NAN, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    assert_eq!(batch::inverse("", &a).map_err(kind).unwrap_err(), ErrorKind::Argument);
    assert_eq!(batch::lu("", &a).unwrap().solve("", &a, false).unwrap().1, Some(Flaw::NotFinite(2)));
    // What is not read may be anything.
    let a = amid([[1.0, f64::NAN, f64::INFINITY], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    assert_eq!(batch::cholesky("", &a).unwrap().to_vec()[18..27], identity::<f64>(1, 3).to_vec());
    assert_eq!(batch::eigh("", &a).unwrap()[0].to_vec()[6..9], [1.0; 3]);
}

#[test]
fn a_matrix_does_not_feel_its_neighbours() {
    let (n, count) = (6, 40);
    let data = symmetric(&batch::<f64>([count, n, n])).to_vec();
    // In the other order, beside others and in other lanes.
    let reversed: Vec<f64> = data.chunks_exact(n * n).rev().flatten().copied().collect();
    let [a, b] = [data, reversed].map(|data| Array::from_vec(data, &[count, n, n]).unwrap());
    let turned = |x: &Array<f64>| -> Vec<f64> {
        x.to_vec().chunks_exact(x.numel() / count).rev().flatten().copied().collect()
    };
    for (x, y) in batch::eigh("", &a).unwrap().iter().zip(&batch::eigh("", &b).unwrap()) {
        assert_eq!(x.to_vec(), turned(y));
    }
    for (x, y) in batch::svd("", &a).unwrap().iter().zip(&batch::svd("", &b).unwrap()) {
        assert_eq!(x.to_vec(), turned(y));
    }
    assert_eq!(batch::inverse("", &a).unwrap().to_vec(), turned(&batch::inverse("", &b).unwrap()));
}

/// Symmetric matrices that an iteration finds hard, or finds done.
fn spectra<T: Float>(n: usize) -> Array<T> {
    let ahead = |i: usize, j: usize| i.abs_diff(j) == 1;
    let kinds: [&dyn Fn(usize, usize) -> f64; 9] = [
        &|_, _| 0.0,
        &|i, j| (i == j) as usize as f64,
        &|_, _| 1.0,
        &|i, j| ahead(i, j) as usize as f64,
        // A sum of parts of two rows, each with the same values.
        &|i, j| (i / 2 == j / 2 && i != j) as usize as f64,
        &|i, j| if i == j { 10f64.powi(-(i as i32)) } else { 0.0 },
        &|i, j| 10f64.powi(-((i + j) as i32) / 4),
        &|i, j| 1.0 / (i + j + 1) as f64,
        // Wilkinson's: pairs that are nearly equal.
        &|i, j| if i == j { (n as f64 / 2.0 - i as f64).abs() } else { ahead(i, j) as usize as f64 },
    ];
    let data = kinds.iter().flat_map(|f| (0..n * n).map(move |e| T::of(f(e / n, e % n)))).collect();
    Array::from_vec(data, &[kinds.len(), n, n]).unwrap()
}

fn hard_spectra<T: Float>() {
    for n in (1..=LARGEST).chain([33, 64, 100, 101, 257]) {
        let a = spectra::<T>(n);
        let bound = 100.max(4 * n) as f64 * T::EPSILON.to_f64();
        let [w, v] = batch::eigh("eigh", &a).unwrap();
        let scaled = kernels::zip("mul", &v, &w.insert_dim("", 1).unwrap(), &on_cpu(|v, w| v * w)).unwrap();
        let worst = error(&product(&scaled, &transposed(&v)), &a)
            .max(error(&product(&transposed(&v), &v), &identity(9, n)));
        assert!(worst < bound, "{n}: {worst:e}");
        // What is left of dependent columns is next to nothing, and Q orthogonal all the same.
        let [q, r] = batch::qr("qr", &a, false).unwrap();
        let worst = error(&product(&q, &r), &a).max(error(&product(&transposed(&q), &q), &identity(9, n)));
        assert!(worst < bound, "{n}: {worst:e}");
        // One by one, in one lane.
        let together = w.to_vec();
        for (a, together) in a.to_vec().chunks_exact(n * n).zip(together.chunks_exact(n)) {
            let one = Array::from_vec(a.to_vec(), &[1, n, n]).unwrap();
            let [alone, _] = batch::eigh("eigh", &one).unwrap();
            let together = Array::from_vec(together.to_vec(), &[1, n]).unwrap();
            assert!(error(&alone, &together) < bound);
        }
    }
}

#[test]
fn spectra_that_are_hard_or_done() {
    hard_spectra::<f64>();
    hard_spectra::<f32>();
}

#[test]
fn cofactors_at_every_rank() {
    let a = amid([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]);
    let ones = Array::full(&[5], 1.0).unwrap();
    let found = batch::cofactors("", &a, &ones).unwrap().unwrap().0.to_vec();
    for (x, y) in found[18..27].iter().zip([4.0, 4.0, -4.0, -2.0, -2.0, 2.0, 0.0, 0.0, 0.0]) {
        assert!((x - y).abs() < 1e-13, "{found:?}");
    }
    let rank_one = amid([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]]);
    let found = batch::cofactors("", &rank_one, &ones).unwrap().unwrap().0.to_vec();
    assert!(found[18..27].iter().all(|x| x.abs() < 1e-14));
    let huge = amid([[1e200, 0.0, 0.0], [0.0, 1e200, 0.0], [0.0, 0.0, 1e-300]]);
    assert_eq!(batch::cofactors("", &huge, &ones).unwrap().unwrap().1, [2]);
}
