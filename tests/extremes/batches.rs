//! No matrix of a batch feels its neighbours: its value and its slopes are the same bits whatever those are; and where one
//! of them makes the operation fail, the error names that one.

use std::collections::BTreeMap;
use tapegrad::linalg::{self, FftNorm, Linalg, MatrixNorm, PinvOptions, Triangle};
use tapegrad::prelude::*;
use tapegrad::vjp;

type Function<T> = fn(&Tensor<T>) -> Result<Tensor<T>>;

/// x and its symmetric part with a large diagonal.
fn definite<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    let n = x.shape()[x.ndim() - 1];
    Ok((x + x.mt()?) * T::of(0.5) + Tensor::eye(n).to_type::<T>() * T::of(2.0 * n as f64))
}

/// Two columns, two rows.
fn tall<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    x.narrow(-1, 0, 2)
}
fn wide<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    x.narrow(-2, 0, 2)
}

/// Of two columns of x, which are part of the matrices.
fn right<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    x.narrow(-1, -2, 2)
}

/// The matrices as rows.
fn rows<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    let n = x.shape()[2] as isize;
    x.reshape([-1, n * n])
}

fn functions<T: Float>() -> Vec<(&'static str, Function<T>)> {
    vec![
        ("matmul", |x| x.matmul(&x.mt()?)),
        ("bmm", |x| x.bmm(x)),
        ("baddbmm", |x| x.baddbmm(x, &x.mt()?, T::of(0.5), T::of(2.0))),
        ("einsum", |x| linalg::einsum("bij,bkj->bik", &[x, x])),
        ("inverse", |x| x.inverse()),
        ("solve", |x| x.solve(&right(x)?)),
        ("solve of vectors", |x| x.solve(&x.select(-1, 0)?)),
        ("solve_triangular", |x| x.solve_triangular(&right(x)?, Triangle::LOWER)),
        ("solve_triangular, upper", |x| x.solve_triangular(&right(x)?, Triangle::UPPER)),
        ("det", |x| x.det()),
        ("slogdet", |x| Ok(x.slogdet()?.1)),
        ("logdet", |x| x.matmul(&x.mt()?)?.logdet()),
        ("cholesky", |x| definite(x)?.cholesky(false)),
        ("cholesky_ex", |x| Ok(definite(x)?.cholesky_ex(true)?.0)),
        ("cholesky_jitter", |x| Ok(x.matmul(&x.mt()?)?.cholesky_jitter(1e-6)?.0)),
        ("cholesky_solve", |x| definite(x)?.cholesky(false)?.cholesky_solve(&right(x)?, false)),
        ("qr, q", |x| Ok(x.qr()?.0)),
        ("qr, r", |x| Ok(x.qr()?.1)),
        ("qr, tall", |x| Ok(tall(x)?.qr()?.1)),
        ("qr, wide", |x| Ok(wide(x)?.qr()?.1)),
        ("svd, u", |x| Ok(x.svd()?.0)),
        ("svd, v", |x| Ok(tall(x)?.svd()?.2)),
        ("svdvals", |x| x.svdvals()),
        ("eigh", |x| Ok(definite(x)?.eigh()?.1)),
        ("eigvalsh", |x| definite(x)?.eigvalsh()),
        ("eigvals", |x| Ok(x.eigvals()?.0)),
        ("eig", |x| {
            let (_, (re, im)) = x.eig()?;
            Ok(re.square() + im.square())
        }),
        ("pinv", |x| x.pinv()),
        ("pinv, tall", |x| tall(x)?.pinv()),
        ("pinv, symmetric", |x| {
            definite(x)?.pinv_with(PinvOptions { hermitian: true, ..Default::default() })
        }),
        ("lstsq", |x| x.lstsq(&right(x)?, None)),
        ("lstsq, tall", |x| tall(x)?.lstsq(&right(x)?, None)),
        ("lstsq, wide", |x| wide(x)?.lstsq(&tall(&wide(x)?)?, None)),
        ("lu, l", |x| Ok(x.lu()?.1)),
        ("lu, u", |x| Ok(wide(x)?.lu()?.2)),
        ("lu_solve", |x| {
            let (p, l, u) = x.lu()?;
            linalg::lu_solve(&p, &l, &u, &right(x)?)
        }),
        ("matrix_exp", |x| x.matrix_exp()),
        ("matrix_log", |x| definite(x)?.matrix_log()),
        ("matrix_sqrt", |x| definite(x)?.matrix_sqrt()),
        ("solve_sylvester", |x| definite(x)?.solve_sylvester(&definite(x)?, x)),
        ("rfft", |x| Ok(rows(x)?.rfft(None, -1, FftNorm::Backward)?.1)),
        ("matrix_power", |x| x.matrix_power(3)),
        ("matrix_power, negative", |x| x.matrix_power(-2)),
        ("symmetric_exp", |x| linalg::symmetric_exp(&(definite(x)? * T::of(0.1)))),
        ("symmetric_power", |x| definite(x)?.symmetric_power(0.5)),
        ("matrix_norm", |x| x.matrix_norm(MatrixNorm::Frobenius)),
        ("matrix_norm, nuclear", |x| x.matrix_norm(MatrixNorm::Nuclear)),
        ("matrix_norm, 1", |x| x.matrix_norm(1.0)),
        ("cond", |x| x.cond()),
        ("matrix_rank", |x| Ok(x.matrix_rank(None)?.to_type::<T>() + x.det()? * T::ZERO)),
        ("softmax", |x| rows(x)?.softmax(-1)),
        ("log_softmax", |x| rows(x)?.log_softmax(-1)),
        ("logsumexp", |x| rows(x)?.logsumexp(-1, false)),
        ("cumsum", |x| rows(x)?.cumsum(-1)),
        ("cumprod", |x| rows(x)?.narrow(-1, 0, 9)?.cumprod(-1)),
        ("cummax", |x| Ok(rows(x)?.cummax(-1)?.0)),
        ("prod", |x| rows(x)?.narrow(-1, 0, 9)?.prod_dim(-1, false)),
        ("sort", |x| Ok(rows(x)?.sort(-1, false)?.0)),
        ("topk", |x| Ok(rows(x)?.topk(3, -1, true)?.0)),
        ("median", |x| Ok(rows(x)?.median_dim(-1, false)?.0)),
        ("quantile", |x| rows(x)?.quantile(0.3, -1)),
        ("std", |x| rows(x)?.std_dim(-1, false)),
        ("vector_norm", |x| rows(x)?.vector_norm(3.0, -1, false)),
        ("sum", |x| rows(x)?.sum_dim(-1, false)),
    ]
}

/// Numbers in -1..1 without a pattern.
fn random<T: Float>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..len).map(|_| T::of(next())).collect()
}

/// Matrices with a large diagonal, the second with zeros of both signs beside it.
fn batch<T: Float>(count: usize, n: usize) -> Tensor<T> {
    let mut x: Vec<T> = random(count * n * n, (count * n) as u64);
    for (e, x) in x.iter_mut().enumerate() {
        let (matrix, i, j) = (e / (n * n), e / n % n, e % n);
        match matrix {
            1 if i != j => *x = if (i + 2 * j) % 3 == 0 { T::ZERO } else { -T::ZERO },
            _ if i == j => *x += T::of(2.0),
            _ => {}
        }
    }
    Tensor::from_vec(x, [count, n, n]).unwrap()
}

/// Neighbours by their element at (i, j), of which `x` is an ordinary number.
type Neighbour = fn(usize, usize, f64) -> f64;
const NEIGHBOURS: [(&str, Neighbour); 11] = [
    ("1e8", |_, _, x| 1e8 * x),
    ("1e-8", |_, _, x| 1e-8 * x),
    ("1e25", |_, _, x| 1e25 * x),
    ("1e-25", |_, _, x| 1e-25 * x),
    ("zero", |_, _, _| 0.0),
    ("ones", |_, _, _| 1.0),
    ("singular", |i, j, x| if j == 1 || i == 1 { 0.0 } else { x }),
    ("nearly singular", |i, j, x| if i == 1 { 1e-7 * x * (j + 1) as f64 } else { x }),
    ("diagonal", |i, j, _| if i == j { -3.0 * i as f64 } else { 0.0 }),
    ("NaN", |i, j, x| if (i, j) == (1, 0) { f64::NAN } else { x }),
    ("infinite", |i, j, x| if (i, j) == (0, 1) { f64::INFINITY } else { x }),
];

/// Value and slopes for a cotangent without a pattern, the bits of each matrix of the batch.
fn bits<T: Float>(f: Function<T>, x: &Tensor<T>) -> Result<Vec<Vec<u64>>> {
    let y = f(x)?;
    let cotangent = Tensor::from_vec(random(y.numel(), 5), y.shape())?;
    let (_, slopes) = vjp(f, x, &cotangent)?;
    let count = x.shape()[0];
    let parts = |t: &Tensor<T>| -> Vec<Vec<u64>> {
        let bits = |x: &T| if Element::is_nan(*x) { u64::MAX } else { x.to_f64().to_bits() };
        t.to_vec().chunks(t.numel() / count).map(|part| part.iter().map(bits).collect()).collect()
    };
    Ok(parts(&y).into_iter().zip(parts(&slopes)).map(|(y, slope)| [y, slope].concat()).collect())
}

fn neighbours_are_not_felt<T: Float>() {
    let mut wrong = BTreeMap::new();
    for (count, n, bad) in [(3, 3, 2), (6, 3, 5), (6, 3, 0), (3, 34, 2), (20, 5, 17), (5, 8, 3)] {
        let plain = batch::<T>(count, n);
        for (name, f) in functions::<T>() {
            let alone = bits(f, &plain).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut fine = 0;
            for (neighbour, element) in NEIGHBOURS {
                let mut data = plain.to_vec();
                for (e, x) in data[bad * n * n..][..n * n].iter_mut().enumerate() {
                    *x = T::of(element(e / n, e % n, x.to_f64()));
                }
                let beside = bits(f, &Tensor::from_vec(data, [count, n, n]).unwrap());
                let case = format!("{name} of {count} {n} x {n}, beside {neighbour}, {:?}", T::DTYPE);
                match beside {
                    Ok(beside) => {
                        fine += 1;
                        if (0..count).any(|i| i != bad && beside[i] != alone[i]) {
                            wrong.insert(case, "other bits".into());
                        }
                    }
                    Err(e) if e.to_string().contains(&format!("matrix {bad} of")) => {}
                    Err(e) => {
                        wrong.insert(case, e.to_string());
                    }
                }
            }
            assert!(fine >= 3, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn neighbours_are_not_felt_in_double_precision() {
    neighbours_are_not_felt::<f64>();
}

#[test]
fn neighbours_are_not_felt_in_single_precision() {
    neighbours_are_not_felt::<f32>();
}

fn exponentials<T: Float>(bound: f64) -> Result<()> {
    let first = [[0.3, -0.2], [0.1, 0.4]];
    // e^A of the first by its eigenvalues 0.35 +- i sqrt(0.07) / 2: e^0.35 (cos w I + sin w / w (A - 0.35 I))
    let w = (0.02f64 - 0.0025).sqrt();
    let exact = |i: usize, j: usize| {
        let part = first[i][j] - if i == j { 0.35 } else { 0.0 };
        0.35f64.exp() * (if i == j { w.cos() } else { 0.0 } + w.sin() / w * part)
    };
    for size in [1.0, 300.0, 1e4, 1e8, 1e30] {
        let a = [first, [[-size, 0.0], [0.0, -2.0 * size]]].as_flattened().as_flattened().to_vec();
        let a = Tensor::from_vec(a.into_iter().map(T::of).collect(), [2, 2, 2])?;
        let e = a.matrix_exp()?.to_vec();
        for (k, found) in e[..4].iter().enumerate() {
            let (found, exact) = (found.to_f64(), exact(k / 2, k % 2));
            assert!((found - exact).abs() < bound, "beside {size}: {found} and not {exact}");
        }
        assert_eq!(e[5].to_f64(), 0.0);
        assert!((e[4].to_f64() - (-size).exp()).abs() < 1e3 * bound);
    }
    Ok(())
}

#[test]
fn each_exponential_has_its_own_scale() -> Result<()> {
    exponentials::<f64>(1e-15)?;
    exponentials::<f32>(4e-7)
}

#[test]
fn ranks_and_slopes_are_each_matrix_own() -> Result<()> {
    // A regular matrix beside one of rank one: the first by QR, the second by singular values, as if alone.
    let a: Tensor = Tensor::from([[[1.0, 0.5], [0.2, 3.0]], [[1.0, 2.0], [2.0, 4.0]]]);
    let b = Tensor::from([[1.0, 2.0], [5.0, 10.0]]);
    let x = a.lstsq(&b.unsqueeze(-1)?, None)?;
    for k in 0..2 {
        let alone = a.row(k)?.lstsq(&b.row(k)?, None)?;
        assert!(x.row(k)?.flatten().allclose(&alone, 1e-13, 1e-14)?, "{x} and {alone}");
    }
    // Cofactors beside numbers whose products leave the range.
    let far = Tensor::from([[[1.0, 0.5], [0.2, 3.0]], [[1e200, 0.0], [0.0, 1e-200]]]);
    let (_, slopes) = value_and_grad(|a: &Tensor| Ok(a.det()?.sum()), &far)?;
    assert_eq!(slopes.row(0)?.to_vec(), [3.0, -0.2, -0.5, 1.0]);
    let second = slopes.row(1)?.to_vec();
    assert!(
        (second[0] / 1e-200 - 1.0).abs() < 1e-12 && (second[3] / 1e200 - 1.0).abs() < 1e-12,
        "{second:?}"
    );
    Ok(())
}
