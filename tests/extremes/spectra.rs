//! Factorisations of matrices that are hard, at every order and at the ends of the range, and functions of their
//! spectra.

use crate::scaling::homogeneous;
use tapegrad::linalg::MatrixNorm;
use tapegrad::prelude::*;

const LARGEST: usize = 130;

/// Up to this order, all kinds are tried at each; above, every few.
const SMALL: usize = 12;

/// Numbers in -1..1 that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    fn many(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// An `n x n` matrix, row-major, of which f(i, j) are the elements.
fn matrix(n: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..n * n).map(|e| f(e / n, e % n)).collect()
}

/// The sum of r products of a vector with itself.
fn low_rank(n: usize, r: usize) -> Vec<f64> {
    let u = |i: usize, k: usize| {
        let x = (i + 1) as f64;
        [x.sin(), x.cos(), x.sqrt(), x.ln(), (2.0 * x).sin()][k]
    };
    matrix(n, |i, j| (0..r).map(|k| u(i, k) * u(j, k)).sum())
}

fn with_noise(mut a: Vec<f64>, n: usize, size: f64) -> Vec<f64> {
    let mut numbers = Numbers(n as u64);
    for i in 0..n {
        for j in 0..=i {
            let x = size * numbers.next();
            a[i * n + j] += x;
            a[j * n + i] = a[i * n + j];
        }
    }
    a
}

fn kernel(n: usize, length: f64) -> Vec<f64> {
    let x = Numbers(3).many(2 * n);
    let square = |i: usize, j: usize| (x[i] - x[j]).powi(2) + (x[n + i] - x[n + j]).powi(2);
    matrix(n, |i, j| (-square(i, j) / (2.0 * length * length)).exp())
}

/// H diag(w) H for a reflection H.
fn of_spectrum(w: &[f64]) -> Vec<f64> {
    let n = w.len();
    let v = Numbers(5).many(n);
    let square: f64 = v.iter().map(|x| x * x).sum();
    let h = |i: usize, j: usize| f64::from(i == j) - 2.0 * v[i] * v[j] / square;
    matrix(n, |i, j| {
        let (i, j) = (i.max(j), i.min(j));
        (0..n).map(|k| h(i, k) * w[k] * h(k, j)).sum()
    })
}

fn tridiagonal(n: usize, diagonal: impl Fn(usize) -> f64, beside: f64) -> Vec<f64> {
    matrix(n, |i, j| match i.abs_diff(j) {
        0 => diagonal(i),
        1 => beside,
        _ => 0.0,
    })
}

/// [B, C; C, B] beside each other: values whose ends are small and whose middle is large, or the other way round.
fn hump(n: usize, down: bool) -> Vec<f64> {
    let height = |i: usize| {
        let from_middle = i.abs_diff(n / 2) as f64 / (n as f64 / 2.0);
        10f64.powf(-18.0 * if down { from_middle } else { 1.0 - from_middle })
    };
    let x = with_noise(vec![0.0; n * n], n, 1.0);
    matrix(n, |i, j| x[i * n + j] * (height(i) * height(j)).sqrt())
}

type Kind = (&'static str, fn(usize) -> Vec<f64>);

/// Symmetric matrices that an iteration finds hard, or finds done.
const KINDS: [Kind; 33] = [
    ("rank 1", |n| low_rank(n, 1)),
    ("rank 2", |n| low_rank(n, 2)),
    ("rank 3", |n| low_rank(n, 3)),
    ("rank 5", |n| low_rank(n, 5)),
    ("rank 1 and noise", |n| with_noise(low_rank(n, 1), n, 1e-16)),
    ("rank 2 and noise", |n| with_noise(low_rank(n, 2), n, 1e-16)),
    ("rank 3 and noise", |n| with_noise(low_rank(n, 3), n, 1e-16)),
    ("rank 5 and noise", |n| with_noise(low_rank(n, 5), n, 1e-16)),
    ("a wide kernel", |n| kernel(n, 2.0)),
    ("a kernel", |n| kernel(n, 0.5)),
    ("a narrow kernel", |n| kernel(n, 0.01)),
    ("two clusters", |n| of_spectrum(&(0..n).map(|i| 1.0 + (i % 2) as f64).collect::<Vec<_>>())),
    ("a cluster and one", |n| {
        of_spectrum(&(0..n).map(|i| if i == 0 { 1e8 } else { 1.0 }).collect::<Vec<_>>())
    }),
    ("close clusters", |n| {
        of_spectrum(&(0..n).map(|i| 1.0 + 1e-15 * (i / 3) as f64 + (i % 3) as f64).collect::<Vec<_>>())
    }),
    ("graded down", |n| {
        let x = with_noise(vec![0.0; n * n], n, 1.0);
        matrix(n, |i, j| x[i * n + j] * 10f64.powf(-1.5 * (i + j) as f64))
    }),
    ("graded up", |n| {
        let x = with_noise(vec![0.0; n * n], n, 1.0);
        matrix(n, |i, j| x[i * n + j] * 10f64.powf(-1.5 * (2 * n - 2 - i - j) as f64))
    }),
    ("gently graded", |n| matrix(n, |i, j| 10f64.powf(-0.1 * (i + j) as f64))),
    ("large in the middle", |n| hump(n, true)),
    ("small in the middle", |n| hump(n, false)),
    ("equal rows", |n| vec![1.0; n * n]),
    ("equal rows, one of them not", |n| matrix(n, |i, j| if i == n / 2 || j == n / 2 { 3.0 } else { 1.0 })),
    ("Wilkinson's", |n| tridiagonal(n, |i| ((n - 1) as f64 / 2.0 - i as f64).abs(), 1.0)),
    ("second differences", |n| tridiagonal(n, |_| 2.0, -1.0)),
    ("a zero diagonal", |n| tridiagonal(n, |_| 0.0, 1.0)),
    ("glued", |n| tridiagonal(n, |i| (i % 7) as f64, 1e-9)),
    ("an arrow", |n| {
        matrix(n, |i, j| {
            if i == j {
                i as f64
            } else if i * j == 0 {
                1.0
            } else {
                0.0
            }
        })
    }),
    ("Hilbert's", |n| matrix(n, |i, j| 1.0 / (i + j + 1) as f64)),
    ("a diagonal", |n| matrix(n, |i, j| if i == j { (i as f64 * 7.0) % 5.0 - 2.0 } else { 0.0 })),
    ("zero", |n| vec![0.0; n * n]),
    ("the identity", |n| matrix(n, |i, j| f64::from(i == j))),
    ("integers", |n| with_noise(vec![0.0; n * n], n, 4.0).into_iter().map(f64::round).collect()),
    ("a chessboard", |n| matrix(n, |i, j| ((i + j) % 2) as f64)),
    ("random", |n| with_noise(vec![0.0; n * n], n, 1.0)),
];

const SCALES: usize = 5;

/// By what the largest element of a kind may be brought: from where squares leave the range to where elements are
/// subnormal, or sums of them are all but infinite.
fn scales<T: Float>(n: usize) -> [f64; SCALES] {
    let highest = match T::DTYPE {
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    };
    [1.0, highest / (4 * n) as f64, 4.0 / highest, smallest::<T>() * 1e3, smallest::<T>() * 3.0]
}

fn smallest<T: Float>() -> f64 {
    match T::DTYPE {
        DType::F32 => f64::from(f32::from_bits(1)),
        _ => f64::from_bits(1),
    }
}

/// The matrix of a kind of order n, at one of the scales.
fn sample<T: Float>(kind: usize, n: usize, scale: usize) -> Vec<T> {
    let a = KINDS[kind].1(n);
    let largest = a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if scale == 0 || largest == 0.0 {
        return a.into_iter().map(T::of).collect();
    }
    let by = scales::<T>(n)[scale];
    a.into_iter().map(|x| T::of(x / largest * by)).collect()
}

/// One matrix, or a batch of several.
fn tensor<T: Float>(matrices: &[Vec<T>], m: usize, n: usize) -> Result<Tensor<T>> {
    let batch = Tensor::from_vec(matrices.concat(), [matrices.len(), m, n])?;
    if matrices.len() == 1 { batch.squeeze(0) } else { Ok(batch) }
}

/// In double precision and by a power of two, so that the largest of `largest_of` is near one.
fn near_one<T: Float>(x: &[T], largest_of: &[T]) -> Vec<f64> {
    let largest = largest_of.iter().fold(0.0, |m: f64, x| m.max(x.to_f64().abs()));
    let k = if largest > 0.0 { -largest.log2().floor() as i32 } else { 0 };
    x.iter().map(|x| x.to_f64() * 2f64.powi(k / 2) * 2f64.powi(k - k / 2)).collect()
}

/// A B of `m x k` and `k x n` matrices.
fn product(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for l in 0..k {
            for (c, b) in c[i * n..(i + 1) * n].iter_mut().zip(&b[l * n..(l + 1) * n]) {
                *c += a[i * k + l] * b;
            }
        }
    }
    c
}

fn transposed(a: &[f64], m: usize, n: usize) -> Vec<f64> {
    (0..m * n).map(|e| a[e % m * n + e / m]).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |m, (x, y)| if (x - y).abs() <= m { m } else { (x - y).abs() })
}

fn frobenius(a: &[f64]) -> f64 {
    a.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Fails unless the columns of the `m x k` matrix are orthonormal.
fn assert_orthonormal<T: Float>(q: &[T], [m, k]: [usize; 2], what: &dyn Fn() -> String) {
    let q: Vec<f64> = q.iter().map(|x| x.to_f64()).collect();
    let gap = distance(&product(&transposed(&q, m, k), &q, [k, m, k]), &matrix(k, |i, j| f64::from(i == j)));
    let bound = 4.0 * (m + 8) as f64 * T::EPSILON.to_f64();
    assert!(gap <= bound, "{}: columns orthonormal to {gap:e}, not {bound:e}", what());
}

/// Fails unless the factors multiply to A, within rounding of its norm and of the smallest number there is.
fn assert_product<T: Float>(
    a: &[T],
    left: &[f64],
    right: &[f64],
    sizes: [usize; 3],
    slack: f64,
    what: &dyn Fn() -> String,
) {
    let exact = near_one(a, a);
    let largest = a.iter().fold(0.0, |m: f64, x| m.max(x.to_f64().abs()));
    let rounding = if largest > 0.0 { smallest::<T>() / largest * 2.0 } else { 0.0 };
    let gap = distance(&product(left, right, sizes), &exact);
    let bound = slack * (sizes[1] + 8) as f64 * (T::EPSILON.to_f64() * frobenius(&exact) + rounding);
    assert!(gap <= bound, "{}: the product is off by {gap:e}, more than {bound:e}", what());
}

/// A = V diag(w) V^T of each matrix of a batch.
fn check_eigh<T: Float>(matrices: &[Vec<T>], n: usize, what: &dyn Fn(usize) -> String) -> Result<()> {
    let a = tensor(matrices, n, n)?;
    let (w, v) = a.eigh().unwrap_or_else(|e| panic!("{} and {} more: {e}", what(0), matrices.len() - 1));
    assert_eq!(a.eigvalsh()?.to_vec(), w.to_vec());
    let (w, v) = (w.to_vec(), v.to_vec());
    for (k, a) in matrices.iter().enumerate() {
        let (w, v) = (&w[k * n..][..n], &v[k * n * n..][..n * n]);
        assert!(w.is_sorted(), "{}", what(k));
        assert_orthonormal(v, [n, n], &|| what(k));
        let (w, v) = (near_one(w, a), v.iter().map(|x| x.to_f64()).collect::<Vec<_>>());
        let scaled: Vec<f64> = v.iter().enumerate().map(|(e, x)| x * w[e % n]).collect();
        assert_product(a, &scaled, &transposed(&v, n, n), [n, n, n], 1.0, &|| format!("eigh of {}", what(k)));
    }
    Ok(())
}

/// A = U diag(s) V^T of the first columns of each matrix.
fn check_svd<T: Float>(
    matrices: &[Vec<T>],
    m: usize,
    n: usize,
    what: &dyn Fn(usize) -> String,
) -> Result<()> {
    let k = m.min(n);
    let (u, s, vt) = tensor(matrices, m, n)?.svd().unwrap_or_else(|e| panic!("{}: {e}", what(0)));
    let (u, s, vt) = (u.to_vec(), s.to_vec(), vt.to_vec());
    for (b, a) in matrices.iter().enumerate() {
        let what = || format!("svd of {}", what(b));
        let (u, s, vt) = (&u[b * m * k..][..m * k], &s[b * k..][..k], &vt[b * k * n..][..k * n]);
        assert!(s.is_sorted_by(|x, y| x >= y) && s.iter().all(|s| *s >= T::ZERO), "{}", what());
        let vt: Vec<f64> = vt.iter().map(|x| x.to_f64()).collect();
        assert_orthonormal(u, [m, k], &what);
        let v: Vec<T> = transposed(&vt, k, n).into_iter().map(T::of).collect();
        assert_orthonormal(&v, [n, k], &what);
        let s = near_one(s, a);
        let scaled: Vec<f64> = u.iter().enumerate().map(|(e, x)| x.to_f64() * s[e % k]).collect();
        assert_product(a, &scaled, &vt, [m, k, n], 1.0, &what);
    }
    Ok(())
}

/// A = Q R of each matrix, each column of it to its own precision.
fn check_qr<T: Float>(matrices: &[Vec<T>], m: usize, n: usize, what: &dyn Fn(usize) -> String) -> Result<()> {
    let k = m.min(n);
    let (q, r) = tensor(matrices, m, n)?.qr()?;
    let (q, r) = (q.to_vec(), r.to_vec());
    for (b, a) in matrices.iter().enumerate() {
        let what = || format!("qr of {}", what(b));
        let (q, r) = (&q[b * m * k..][..m * k], &r[b * k * n..][..k * n]);
        assert!(r.iter().enumerate().all(|(e, x)| e / n <= e % n || *x == T::ZERO), "{}", what());
        assert_orthonormal(q, [m, k], &what);
        let q: Vec<f64> = q.iter().map(|x| x.to_f64()).collect();
        let column = |x: &[T], j: usize| x.iter().skip(j).step_by(n).copied().collect::<Vec<T>>();
        // Reflections that are applied in blocks cost digits where rows are graded.
        let slack = if m.max(n) <= 32 { 1.0 } else { 64.0 };
        for j in 0..n {
            let exact = column(a, j);
            assert_product(&exact, &q, &near_one(&column(r, j), &exact), [m, k, 1], slack, &what);
        }
    }
    Ok(())
}

/// A = L L^T of each matrix.
fn check_cholesky<T: Float>(matrices: &[Vec<T>], n: usize, what: &dyn Fn(usize) -> String) -> Result<()> {
    let l = tensor(matrices, n, n)?.cholesky(false).unwrap_or_else(|e| panic!("{}: {e}", what(0))).to_vec();
    for (b, a) in matrices.iter().enumerate() {
        let largest = a.iter().fold(0.0, |m: f64, x| m.max(x.to_f64().abs()));
        // L has the root of an even power of two.
        let root = 2f64.powi(-(largest.log2() / 2.0).floor() as i32);
        let scaled: Vec<f64> = l[b * n * n..][..n * n].iter().map(|x| x.to_f64() * root).collect();
        let exact: Vec<f64> = a.iter().map(|x| x.to_f64() * root * root).collect();
        assert!(scaled.iter().enumerate().all(|(e, x)| e % n <= e / n || *x == 0.0));
        let gap = distance(&product(&scaled, &transposed(&scaled, n, n), [n, n, n]), &exact);
        let bound = (n + 8) as f64 * T::EPSILON.to_f64() * frobenius(&exact);
        assert!(gap <= bound, "cholesky of {}: the product is off by {gap:e}, more than {bound:e}", what(b));
    }
    Ok(())
}

/// Some of the kinds, others at each order; all of them where `n` is small.
fn kinds_at(n: usize, some: usize, small: usize) -> Vec<usize> {
    if n <= small {
        return (0..KINDS.len()).collect();
    }
    (0..some).map(|k| (n * some + k) % KINDS.len()).collect()
}

/// Runs a check on matrices of all kinds, one by one and in batches, at every order; `some` of them at the large ones.
fn at_every_order<T: Float>(
    some: usize,
    check: impl Fn(&[Vec<T>], usize, &dyn Fn(usize) -> String) -> Result<()>,
) -> Result<()> {
    for n in 1..=LARGEST {
        let named = |kind: usize, scale: usize| {
            format!("{} of order {n} at scale {scale} in {:?}", KINDS[kind].0, T::DTYPE)
        };
        for (k, &kind) in kinds_at(n, some, SMALL).iter().enumerate() {
            let scale = if k % 2 == 0 && n % 2 == 0 { 0 } else { (n + kind) % SCALES };
            check(&[sample(kind, n, scale)], n, &|_| named(kind, scale))?;
        }
        // Beyond those that are treated side by side, a batch is a matter of few matrices.
        if n > 34 && !n.is_multiple_of(4) {
            continue;
        }
        let (kinds, scale) = (kinds_at(n, 3, 34), |k: usize| (k + n) % SCALES);
        let batch: Vec<_> = kinds.iter().enumerate().map(|(k, &kind)| sample(kind, n, scale(k))).collect();
        check(&batch, n, &|k| format!("{} in a batch", named(kinds[k], scale(k))))?;
    }
    Ok(())
}

/// The first three of four columns, or rows.
fn part<T: Float>(matrices: &[Vec<T>], n: usize, wide: bool) -> (Vec<Vec<T>>, [usize; 2]) {
    let k = (3 * n).div_ceil(4);
    if wide {
        return (matrices.iter().map(|a| a[..k * n].to_vec()).collect(), [k, n]);
    }
    let columns = |a: &Vec<T>| a.chunks_exact(n).flat_map(|row| row[..k].to_vec()).collect();
    (matrices.iter().map(columns).collect(), [n, k])
}

#[test]
fn eigenvalues_are_found_of_every_symmetric_matrix() -> Result<()> {
    at_every_order::<f64>(2, check_eigh)?;
    at_every_order::<f32>(2, check_eigh)
}

#[test]
fn singular_values_are_found_of_every_matrix() -> Result<()> {
    fn run<T: Float>(a: &[Vec<T>], n: usize, what: &dyn Fn(usize) -> String) -> Result<()> {
        let (a, [m, n]) = if n.is_multiple_of(3) { (a.to_vec(), [n, n]) } else { part(a, n, n % 3 == 1) };
        check_svd(&a, m, n, what)
    }
    at_every_order::<f64>(1, run)?;
    at_every_order::<f32>(1, run)
}

#[test]
fn qr_is_exact_for_each_column() -> Result<()> {
    fn run<T: Float>(a: &[Vec<T>], n: usize, what: &dyn Fn(usize) -> String) -> Result<()> {
        let (a, [m, n]) = if n.is_multiple_of(3) { (a.to_vec(), [n, n]) } else { part(a, n, n % 3 == 1) };
        check_qr(&a, m, n, what)
    }
    at_every_order::<f64>(1, run)?;
    at_every_order::<f32>(1, run)
}

#[test]
fn cholesky_is_found_of_every_matrix_that_is_well_inside() -> Result<()> {
    // With a multiple of the largest sum of a row added to the diagonal, all are positive definite.
    fn run<T: Float>(a: &[Vec<T>], n: usize, what: &dyn Fn(usize) -> String) -> Result<()> {
        let definite = |a: &Vec<T>| {
            let largest = a.iter().fold(T::ZERO, |m, &x| {
                if x.to_f64().abs() > m.to_f64() { T::of(x.to_f64().abs()) } else { m }
            });
            let mut a: Vec<T> = a.iter().map(|&x| x * T::of(0.25 / n as f64)).collect();
            let add = if largest == T::ZERO { T::ONE } else { largest * T::of(0.5) };
            (0..n).for_each(|i| a[i * n + i] += add);
            a
        };
        check_cholesky(&a.iter().map(definite).collect::<Vec<_>>(), n, what)
    }
    at_every_order::<f64>(1, run)?;
    at_every_order::<f32>(1, run)
}

#[test]
fn eigenvalues_that_are_known() -> Result<()> {
    let largest = |a: Tensor<f64>, k: isize| -> Result<Vec<f64>> {
        let w = a.eigvalsh()?;
        Ok(w.narrow(-1, w.numel() as isize - k, k as usize)?.to_vec())
    };
    let i = arange(1, 35, 1)?.to_type::<f64>();
    let u = Tensor::stack(&[&i.sin(), &i.cos(), &i.sqrt()], 1)?;
    // By the determinants of u^T u, of order 3.
    let small = u.t()?.mm(&u)?.eigvalsh()?.to_vec();
    for (found, known) in largest(u.mm(&u.t()?)?, 3)?.iter().zip(&small) {
        assert!((found - known).abs() < 1e-11, "{found} and not {known}");
    }
    assert!(
        (small[0] - 16.68).abs() < 0.01
            && (small[1] - 17.24).abs() < 0.01
            && (small[2] - 595.08).abs() < 0.01
    );
    for n in [2, 5, 31, 32, 33, 64, 100, 101, 130] {
        // 2 - 2 cos(k pi / (n + 1))
        let a = Tensor::from_vec(tridiagonal(n, |_| 2.0, -1.0), [n, n])?;
        for (k, w) in a.eigvalsh()?.to_vec().into_iter().enumerate() {
            let known = 2.0 - 2.0 * (std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64).cos();
            assert!((w - known).abs() < 1e-14 * n as f64, "{n}: {w} and not {known}");
        }
        if n > 100 {
            continue;
        }
        // The values of a diagonal are its elements, of any size.
        let d: Vec<f64> = (0..n).map(|i| 10f64.powi(2 * (i as i32 * 7 % n as i32) - 130)).collect();
        let mut sorted = d.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(Tensor::from(d.clone()).diag_embed(0)?.eigvalsh()?.to_vec(), sorted);
        assert_eq!(Tensor::from(d).diag_embed(0)?.expand([4, n, n])?.eigvalsh()?.row(3)?.to_vec(), sorted);
    }
    Ok(())
}

/// Independent columns, or rows.
fn general<T: Float>(m: usize, n: usize) -> Result<Tensor<T>> {
    let mut numbers = Numbers((m * 7 + n) as u64);
    let x = (0..m * n).map(|e| numbers.next() + if e / n == e % n { 2.0 + (e % 5) as f64 } else { 0.0 });
    Tensor::from_vec(x.map(T::of).collect(), [m, n])
}

type Function<T> = (&'static str, i32, fn(&Tensor<T>) -> Result<Tensor<T>>);

fn factors_scale<T: Float>() -> Result<()> {
    let functions: [Function<T>; 18] = [
        ("Q", 0, |a| Ok(a.qr()?.0)),
        ("R", 1, |a| Ok(a.qr()?.1)),
        ("U of svd", 0, |a| Ok(a.svd()?.0)),
        ("s of svd", 1, |a| Ok(a.svd()?.1)),
        ("V of svd", 0, |a| Ok(a.svd()?.2)),
        ("svdvals", 1, |a| a.svdvals()),
        ("L of lu", 0, |a| Ok(a.lu()?.1)),
        ("U of lu", 1, |a| Ok(a.lu()?.2)),
        ("inverse", -1, |a| a.inverse()),
        ("cond", 0, |a| a.cond()),
        ("Frobenius norm", 1, |a| a.matrix_norm(MatrixNorm::Frobenius)),
        ("nuclear norm", 1, |a| a.matrix_norm(MatrixNorm::Nuclear)),
        ("norm of order 1", 1, |a| a.matrix_norm(1.0)),
        ("norm of order -1", 1, |a| a.matrix_norm(-1.0)),
        ("norm of order 2", 1, |a| a.matrix_norm(2.0)),
        ("norm of order -2", 1, |a| a.matrix_norm(-2.0)),
        ("norm of order infinity", 1, |a| a.matrix_norm(f64::INFINITY)),
        ("norm of order -infinity", 1, |a| a.matrix_norm(f64::NEG_INFINITY)),
    ];
    for (m, n) in [(1, 1), (4, 4), (5, 3), (3, 5), (40, 40), (40, 33)] {
        let a = general::<T>(m, n)?;
        let batch = Tensor::stack(&[&a, &(&a * T::of(1.5)), &a.flip([-1])?, &-&a], 0)?;
        for (name, degree, f) in functions {
            if m != n && (name == "inverse" || name.contains("lu")) {
                continue;
            }
            homogeneous(name, |x| f(&x[0]), std::slice::from_ref(&a), &[1], degree)?;
            homogeneous(name, |x| f(&x[0]), std::slice::from_ref(&batch), &[1], degree)?;
        }
        let ranks = |by: f64| -> Result<Vec<i64>> { Ok((&batch * T::of(by)).matrix_rank(None)?.to_vec()) };
        let powers = if T::DTYPE == DType::F32 { [-100, 100] } else { [-900, 900] };
        for k in powers {
            assert_eq!(ranks(2f64.powi(k))?, ranks(1.0)?);
        }
    }
    Ok(())
}

fn spectra_scale<T: Float>() -> Result<()> {
    let functions: [Function<T>; 6] = [
        ("w of eigh", 2, |a| Ok(a.eigh()?.0)),
        ("V of eigh", 0, |a| Ok(a.eigh()?.1)),
        ("eigvalsh", 2, |a| a.eigvalsh()),
        ("cholesky", 1, |a| a.cholesky(false)),
        ("root", 1, |a| a.symmetric_power(0.5)),
        ("whitening", -1, |a| a.symmetric_power(-0.5)),
    ];
    for n in [1, 4, 36, 104] {
        let x = general::<T>(n, n)?;
        let a = x.mm(&x.t()?)?;
        let batch = Tensor::stack(&[&a, &(&a * T::of(1.5)), &a.flip([-1, -2])?, &a], 0)?;
        for (name, degree, f) in functions {
            // Quotients of differences take time for large ones.
            if n > 4 && degree.abs() == 1 && name != "cholesky" {
                continue;
            }
            homogeneous(name, |x| f(&x[0]), std::slice::from_ref(&a), &[2], degree)?;
            homogeneous(name, |x| f(&x[0]), std::slice::from_ref(&batch), &[2], degree)?;
        }
    }
    Ok(())
}

#[test]
fn factors_scale_with_the_matrix() -> Result<()> {
    factors_scale::<f64>()?;
    factors_scale::<f32>()?;
    spectra_scale::<f64>()?;
    spectra_scale::<f32>()
}

/// Roots of semidefinite matrices of any rank, whatever rounding makes of their zeros.
fn roots<T: Float>() -> Result<()> {
    let mut cases: Vec<(usize, Vec<f64>)> = vec![(3, vec![1.0; 9]), (2, vec![0.0; 4]), (1, vec![0.0])];
    for n in [2, 4, 9, 33] {
        cases.extend([1, 2, 3, 5].map(|r| (n, low_rank(n, r))));
        cases.push((n, of_spectrum(&(0..n).map(|i| (i % 2) as f64).collect::<Vec<_>>())));
    }
    for (n, a) in cases {
        for scale in [1.0, 1e-30, 1e30] {
            let a = Tensor::from_vec(a.iter().map(|&x| T::of(x * scale)).collect(), [n, n])?;
            let batch = Tensor::stack(&[&a, &Tensor::eye_of(n), &(&a * T::of(1e-4)), &a, &a], 0)?;
            let largest = a.abs().max()?.item()?.to_f64();
            let bound = 8.0 * (n as f64).powi(2) * T::EPSILON.to_f64() * largest;
            let (root, roots) = (a.symmetric_power(0.5)?, batch.symmetric_power(0.5)?);
            for root in [&root, &roots.row(0)?, &roots.row(4)?] {
                let gap = (root.mm(root)? - &a).abs().max()?.item()?.to_f64();
                assert!(gap <= bound, "{n}: the square of the root is off by {gap:e}, more than {bound:e}");
            }
            let third = a.symmetric_power(1.0 / 3.0)?;
            let gap = (third.mm(&third)?.mm(&third)? - &a).abs().max()?.item()?.to_f64();
            assert!(gap <= 4.0 * bound, "{n}: the third power is off by {gap:e}, more than {bound:e}");
            // A power that is natural is a polynomial, with all its slopes.
            let square =
                |x: &Tensor<T>| x.symmetric_power(2.0)?.sum().try_mul(&Tensor::scalar(T::of(1.0 / scale)));
            let product = |x: &Tensor<T>| x.mm(x)?.sum().try_mul(&Tensor::scalar(T::of(1.0 / scale)));
            let (found, known) = (jacobian(square, &a)?, jacobian(product, &a)?);
            assert!(
                found.allclose(&known, 1e3 * T::EPSILON.to_f64(), 1e3 * T::EPSILON.to_f64())?,
                "{found}, not {known}"
            );
        }
    }
    Ok(())
}

#[test]
fn roots_of_semidefinite_matrices() -> Result<()> {
    roots::<f64>()?;
    roots::<f32>()
}

#[test]
fn slopes_of_roots_along_changes_that_keep_the_rank() -> Result<()> {
    // (X X^T)^p = X (X^T X)^(p - 1) X^T, where X^T X is regular.
    for p in [0.5, 0.3, 1.5] {
        for (n, r) in [(3, 1), (4, 2), (6, 3)] {
            let weights = general::<f64>(n, n)?;
            let root = |x: &Tensor| x.mm(&x.t()?)?.symmetric_power(p);
            let small = |x: &Tensor| x.mm(&x.t()?.mm(x)?.symmetric_power(p - 1.0)?)?.mm(&x.t()?);
            let weighed = |y: Tensor| Ok(y.try_mul(&weights)?.sum());
            let x = general::<f64>(n, r)?;
            let (found, known) =
                (jacobian(|x| weighed(root(x)?), &x)?, jacobian(|x| weighed(small(x)?), &x)?);
            assert!(found.allclose(&known, 1e-9, 1e-9)?, "{p}: {found}, not {known}");
            let (found, known) = (hessian(|x| weighed(root(x)?), &x)?, hessian(|x| weighed(small(x)?), &x)?);
            assert!(found.allclose(&known, 1e-6, 1e-6)?, "{p}: {found}, not {known}");
        }
    }
    Ok(())
}

#[test]
fn powers_that_do_not_exist() -> Result<()> {
    let cases: [(&[f64], f64); 6] = [
        (&[1.0, -0.1], 0.5),
        (&[1.0, -1e-12], 0.5),
        (&[-1.0, -2.0], 1.5),
        (&[1.0, 0.0], -0.5),
        (&[1.0, -1e-17], -0.5),
        (&[1.0, 0.0], -1.0),
    ];
    for (w, p) in cases {
        let a: Tensor = Tensor::from(w.to_vec()).diag_embed(0)?;
        let batch = Tensor::stack(&[&Tensor::eye(2), &a], 0)?;
        for (a, number) in [(&a, "matrix 0"), (&batch, "matrix 1")] {
            let e = a.symmetric_power(p).unwrap_err();
            assert_eq!((e.kind(), e.op()), (ErrorKind::Argument, "symmetric_power"));
            assert!(e.to_string().contains(number) && e.to_string().contains("eigenvalue"), "{e}");
        }
    }
    Ok(())
}

/// What is computed, and how.
type Named<'a> = (&'a str, &'a dyn Fn(&Tensor) -> Result<Tensor>);

/// What a matrix of a batch comes to does not change where another one has to be treated on its own.
#[test]
fn neighbours_that_are_treated_on_their_own() -> Result<()> {
    let regular = |k: usize| general::<f64>(3, 3).map(|a| a * (1.0 + k as f64));
    let others: [Tensor; 5] = [
        Tensor::from([1e200, 1e200, 1e-300]).diag_embed(0)?,
        Tensor::from([1e-160, 2e-160, 3e-160]).diag_embed(0)?,
        Tensor::from_vec(low_rank(3, 1), [3, 3])?,
        Tensor::zeros([3, 3]),
        Tensor::from([5e-324, 1e-310, 1e300]).diag_embed(0)?,
    ];
    let batch = |other: &Tensor| -> Result<Tensor> {
        let mut all = (0..9).map(regular).collect::<Result<Vec<_>>>()?;
        all[4] = other.clone();
        Tensor::stack(&all.iter().collect::<Vec<_>>(), 0)
    };
    let symmetric = |a: &Tensor| a.try_add(&a.mt()?);
    let functions: [Named<'_>; 9] = [
        ("slope of det", &|a| Ok(value_and_grad(|x: &Tensor| Ok(x.det()?.sum()), a)?.1)),
        ("Q", &|a| Ok(a.qr()?.0)),
        ("R", &|a| Ok(a.qr()?.1)),
        ("U of svd", &|a| Ok(a.svd()?.0)),
        ("svdvals", &|a| a.svdvals()),
        ("w of eigh", &|a| Ok(symmetric(a)?.eigh()?.0)),
        ("V of eigh", &|a| Ok(symmetric(a)?.eigh()?.1)),
        ("cholesky_ex", &|a| Ok(a.matmul(&a.mt()?)?.cholesky_ex(false)?.0)),
        ("projector", &|a| linalg::spectral_projector(&symmetric(a)?, 0.0)),
    ];
    for (name, f) in functions {
        let known = f(&batch(&regular(4)?)?)?;
        for (k, other) in others.iter().enumerate() {
            let found = f(&batch(other)?)?;
            for i in (0..9).filter(|&i| i != 4) {
                assert_eq!(
                    found.row(i)?.to_vec(),
                    known.row(i)?.to_vec(),
                    "{name} of matrix {i} beside other {k}"
                );
            }
        }
    }
    Ok(())
}
