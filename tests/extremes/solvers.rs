//! Least squares, iterative solvers and functions of matrices at their limits.

use crate::scaling::homogeneous;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tapegrad::linalg::{
    self, IterativeOptions, Linalg, MatrixFree, MatrixNorm, PinvOptions, Triangle, cg, lsqr,
};
use tapegrad::prelude::*;

fn from<T: Float>(shape: [usize; 2], element: impl Fn(usize, usize) -> f64) -> Tensor<T> {
    let data = (0..shape[0] * shape[1]).map(|e| T::of(element(e / shape[1], e % shape[1]))).collect();
    Tensor::from_vec(data, shape).unwrap()
}

/// Numbers in 0..1 without a pattern.
fn noise(k: usize) -> f64 {
    let x = (k as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
}

fn vector<T: Float>(x: &[f64]) -> Tensor<T> {
    Tensor::from_vec(x.iter().map(|&x| T::of(x)).collect(), [x.len()]).unwrap()
}

fn near<T: Float>(what: &str, x: &Tensor<T>, right: &[f64], tolerance: f64) {
    let x: Vec<f64> = x.to_vec().into_iter().map(|x| x.to_f64()).collect();
    let worst = x.iter().zip(right).map(|(x, r)| (x - r).abs() / r.abs()).fold(0.0, f64::max);
    assert!(x.len() == right.len() && worst <= tolerance, "{what} {:?}: {x:?} and not {right:?}", T::DTYPE);
}

/// Columns far from dependent keep their rank, however many rows they have.
fn tall_and_regular<T: Float>(rows: usize, tolerance: f64) -> Result<()> {
    let step = 1000.0 / (rows - 1) as f64;
    let line = from::<T>([rows, 2], |i, j| if j == 0 { i as f64 * step } else { 1.0 });
    let b = line.select(1, 0)? * T::of(-0.0085) + T::of(1.25);
    near("lstsq", &line.lstsq(&b, None)?, &[-0.0085, 1.25], tolerance);
    assert_eq!(line.matrix_rank(None)?.item()?, 2);
    near("pinv", &line.pinv()?.mv(&b)?, &[-0.0085, 1.25], 10.0 * tolerance);
    near(
        "transposed",
        &line.t()?.lstsq(&vector(&[500.0 * rows as f64, rows as f64]), None)?.mean_dim(0, true)?,
        &[1.0],
        100.0 * tolerance,
    );
    let sparse = SparseTensor::from_dense(&line)?;
    near("sparse lstsq", &sparse.lstsq(&b)?, &[-0.0085, 1.25], 10.0 * tolerance);
    // The condition is that of the columns 0..1000 and 1.
    near("cond", &line.cond()?, &[1155.0], 0.02);
    // What is left of the second column beside the first is a fortieth of it.
    let line = from::<T>([rows, 2], |i, j| if j == 0 { 10.0 + i as f64 / (rows - 1) as f64 } else { 1.0 });
    let b = line.mv(&vector(&[-0.85, 1.25]))?;
    near("a short line", &line.lstsq(&b, None)?, &[-0.85, 1.25], 10.0 * tolerance);
    // Errors are small beside the length of the columns.
    let bound = 32.0 * T::EPSILON.to_f64() * 10.5 * (rows as f64).sqrt();
    let (q, r) = line.qr()?;
    let left = (q.mm(&r)? - &line).abs().max()?.item()?.to_f64();
    assert!(left < bound, "A - Q R of {rows} rows is {left}");
    let (u, s, vt) = line.svd()?;
    let left = (u.try_mul(&s)?.mm(&vt)? - &line).abs().max()?.item()?.to_f64();
    assert!(left < bound, "A - U S V^T of {rows} rows is {left}");
    let wide = line.t()?.svd()?.1;
    near(
        "singular values of the transpose",
        &wide,
        &s.to_vec().iter().map(|s| s.to_f64()).collect::<Vec<_>>(),
        1e-3,
    );
    Ok(())
}

#[test]
fn tall_matrices_keep_their_columns() -> Result<()> {
    tall_and_regular::<f32>(20_000, 1e-3)?;
    tall_and_regular::<f32>(200_000, 1e-2)?;
    tall_and_regular::<f32>(40, 1e-4)?;
    tall_and_regular::<f64>(20_000, 1e-11)?;
    tall_and_regular::<f64>(200_000, 1e-10)
}

/// Columns that are dependent but for rounding are found, however many rows they have.
fn tall_and_dependent<T: Float>(rows: usize) -> Result<()> {
    type Column = fn(usize) -> f64;
    let kinds: [(&str, [Column; 3]); 7] = [
        (
            "ones beside their parts",
            [|_| 1.0, |i| if i % 3 == 0 { 1.0 } else { 0.0 }, |i| if i % 3 == 0 { 0.0 } else { 1.0 }],
        ),
        ("a column twice", [noise, |i| noise(i + 7) - 0.5, noise]),
        ("a column of zeros", [noise, |_| 0.0, |_| 1.0]),
        ("a sum", [noise, |i| noise(i + 7), |i| noise(i) + noise(i + 7)]),
        ("a multiple of ones", [|_| 1.0, noise, |_| 0.1]),
        ("a difference", [|i| i as f64, |i| noise(i) * 100.0, |i| i as f64 / 3.0 - noise(i) * 70.0]),
        ("large and small", [|i| 1e3 * noise(i), |i| noise(i) * 1e-3, |i| noise(i + 3)]),
    ];
    for (name, columns) in kinds {
        let a = from::<T>([rows, 3], |i, j| columns[j](i));
        let s: Vec<f64> = a.svdvals()?.to_vec().into_iter().map(|s| s.to_f64()).collect();
        let ratio = s[2] / s[0] / T::EPSILON.to_f64();
        assert_eq!(
            a.matrix_rank(None)?.item()?,
            2,
            "{name}, {rows} rows of {:?}: {ratio} roundings",
            T::DTYPE
        );
        // The shortest of the solutions: it lies in the space of the rows.
        let b = a.mv(&vector(&[1.0, -2.0, 0.5]))?;
        let x = a.lstsq(&b, None)?;
        let left = (a.mv(&x)? - &b).vector_norm(2.0, 0, false)?.item()?.to_f64();
        let size = b.vector_norm(2.0, 0, false)?.item()?.to_f64();
        assert!(left <= 1e3 * T::EPSILON.to_f64() * size, "{name}: {left} of {size}");
        assert!(x.abs().max()?.item()?.to_f64() < 1e4, "{name}: {x}");
        let e = SparseTensor::from_dense(&a)?.lstsq(&b).map(|_| ());
        let Err(e) = e else { panic!("{name}, {rows} rows of {:?}, sparse: Ok", T::DTYPE) };
        assert!(matches!(e.kind(), ErrorKind::Singular { .. }), "{name}, {rows} rows of {:?}: {e}", T::DTYPE);
    }
    Ok(())
}

#[test]
fn dependent_columns_are_found_at_any_height() -> Result<()> {
    for rows in [5, 100, 3000, 50_000, 150_000] {
        tall_and_dependent::<f64>(rows)?;
        tall_and_dependent::<f32>(rows)?;
    }
    Ok(())
}

type Op = fn(&Tensor) -> Result<()>;

fn unit<V>(_: V) {}

/// Everything that factors a matrix or solves with one, of batches of square matrices.
const FACTORISATIONS: [(&str, Op); 31] = [
    ("inverse", |x| x.inverse().map(unit)),
    ("solve", |x| x.solve(&Tensor::ones([x.shape()[x.ndim() - 1], 1])).map(unit)),
    ("solve", |x| x.solve(&Tensor::ones([x.shape()[x.ndim() - 1], 40])).map(unit)),
    ("solve_triangular", |x| {
        let b = Tensor::ones([x.shape()[x.ndim() - 1], 1]);
        x.solve_triangular(&b, Triangle::LOWER)?;
        x.solve_triangular(&b, Triangle::UPPER).map(unit)
    }),
    ("cholesky", |x| x.cholesky(false).map(unit)),
    ("cholesky", |x| x.cholesky(true).map(unit)),
    ("cholesky_jitter", |x| x.cholesky_jitter(1e-6).map(unit)),
    ("cholesky_solve", |x| x.cholesky_solve(&Tensor::ones([x.shape()[x.ndim() - 1], 1]), false).map(unit)),
    ("qr", |x| x.qr().map(unit)),
    ("qr", |x| linalg::qr_complete(x).map(unit)),
    ("qr_complete", |x| linalg::qr_complete(&x.narrow(-1, 0, 2)?).map(unit)),
    ("qr", |x| x.narrow(-2, 0, 2)?.qr().map(unit)),
    ("svd", |x| x.svd().map(unit)),
    ("svd", |x| x.narrow(-1, 0, 2)?.svd().map(unit)),
    ("svdvals", |x| x.svdvals().map(unit)),
    ("eigh", |x| x.eigh().map(unit)),
    ("eigvalsh", |x| x.eigvalsh().map(unit)),
    ("pinv", |x| x.pinv().map(unit)),
    ("pinv", |x| x.pinv_with(PinvOptions { hermitian: true, ..Default::default() }).map(unit)),
    ("lstsq", |x| x.lstsq(&Tensor::ones([x.shape()[x.ndim() - 1], 1]), None).map(unit)),
    ("lstsq", |x| x.narrow(-1, 0, 2)?.lstsq(&Tensor::ones([x.shape()[x.ndim() - 1], 1]), None).map(unit)),
    ("lstsq", |x| x.narrow(-2, 0, 2)?.lstsq(&Tensor::ones([2, 1]), None).map(unit)),
    ("lu", |x| x.lu().map(unit)),
    ("lu_solve", |x| {
        let one = Tensor::eye(x.shape()[x.ndim() - 1]).expand(x.shape())?;
        linalg::lu_solve(&one, &one, &x.triu(0)?, &one)
            .and_then(|_| linalg::lu_solve(&one, &x.tril(0)?, &one, &one))
            .map(unit)
    }),
    ("cond", |x| x.cond().map(unit)),
    ("matrix_rank", |x| x.matrix_rank(None).map(unit)),
    ("matrix_norm", |x| x.matrix_norm(MatrixNorm::Nuclear).map(unit)),
    ("matrix_exp", |x| x.matrix_exp().map(unit)),
    ("matrix_power", |x| x.matrix_power(-1).map(unit)),
    ("symmetric_exp", |x| linalg::symmetric_exp(x).map(unit)),
    ("symmetric_power", |x| x.symmetric_power(0.5).map(unit)),
];

#[test]
fn what_is_not_finite_has_one_error_that_names_the_matrix() -> Result<()> {
    for (shape, name) in [
        (&[3, 3][..], "the matrix"),
        (&[40, 40], "the matrix"),
        (&[2, 3, 3], "matrix 1 of"),
        (&[9, 3, 3], "matrix 1 of"),
        (&[3, 40, 40], "matrix 1 of"),
        (&[2, 3, 4, 4], "matrix 1 of"),
    ] {
        let n = shape[shape.len() - 1];
        let identity =
            Tensor::eye(n).expand(shape.iter().map(|&d| d as isize).collect::<Vec<_>>())?.contiguous();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in [[0, 0], [1, 0], [0, 1]] {
                let mut data = identity.to_vec();
                let matrix = if shape.len() > 2 { n * n } else { 0 };
                data[matrix + place[0] * n + place[1]] = bad;
                let x = Tensor::from_vec(data, shape)?;
                for (op, f) in FACTORISATIONS {
                    // The upper triangle is not read by these.
                    let lower = ["cholesky", "cholesky_jitter", "cholesky_solve", "eigh", "eigvalsh"]
                        .contains(&op)
                        || op.starts_with("symmetric");
                    for x in [x.clone(), x.clone().requires_grad()] {
                        if op == "qr_complete" && x.is_tracked() {
                            continue;
                        }
                        let case = format!("{op} of {shape:?} with {bad} at {place:?}");
                        match f(&x) {
                            Ok(()) => assert!(lower && place == [0, 1], "{case}: Ok"),
                            Err(e) => {
                                assert_eq!((e.kind(), e.op()), (ErrorKind::Argument, op), "{case}: {e}");
                                assert!(e.to_string().contains(name), "{case}: {e}");
                                let file = e.location().map(|l| l.file());
                                assert_eq!(file, Some(file!()), "{case}: {e}");
                            }
                        }
                    }
                }
                // Determinants have a number for it.
                for d in [x.det()?, x.slogdet()?.1] {
                    let d = d.to_vec();
                    let sound = d.iter().enumerate().filter(|(i, _)| shape.len() > 2 && *i != 1);
                    sound.for_each(|(_, d)| assert!(*d == 1.0 || *d == 0.0, "{d}"));
                }
                let (_, slopes) = value_and_grad(|x: &Tensor| Ok(x.det()?.sum()), &x)?;
                if shape.len() > 2 {
                    assert_eq!(slopes.to_vec()[..n * n], identity.to_vec()[..n * n]);
                }
            }
        }
    }
    // What is not finite on the right only spoils its own solutions.
    let b = Tensor::from([[1.0, f64::NAN], [2.0, 1.0]]);
    let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
    for x in [a.solve(&b)?, a.lstsq(&b, None)?, a.solve_triangular(&b, Triangle::LOWER)?] {
        near("beside NaN", &x.select(1, 0)?, &[0.5, 0.5], 1e-14);
        assert!(x.get([0, 1])?.is_nan());
    }
    let e = linalg::einsum("ij,jk->ik", &[&Tensor::ones([2, 3]), &Tensor::ones([4, 2])]).unwrap_err();
    assert!(e.to_string().contains("`j` is 3 and 4"), "{e}");
    let e = linalg::einsum("ij->k", &[&Tensor::ones([2, 3])]).unwrap_err();
    assert!(e.to_string().contains("`k`"), "{e}");
    Ok(())
}

/// Every function of linear algebra, of any tensor.
const ENTRIES: [(&str, Op); 49] = [
    ("dot", |x| x.dot(x).map(unit)),
    ("outer", |x| x.outer(x).map(unit)),
    ("kron", |x| x.kron(x).map(unit)),
    ("cross", |x| x.cross(x, 0).and_then(|_| x.cross(x, -3)).map(unit)),
    ("tensordot", |x| x.tensordot(x, 1).and_then(|_| x.tensordot(x, 9)).map(unit)),
    ("mv", |x| x.mv(x).map(unit)),
    ("mv", |x| x.mv(&Tensor::ones([3])).map(unit)),
    ("mm", |x| x.mm(x).map(unit)),
    ("bmm", |x| x.bmm(x).map(unit)),
    ("matmul", |x| x.matmul(x).map(unit)),
    ("matmul", |x| x.matmul(&Tensor::ones([3])).map(unit)),
    ("addmv", |x| x.addmv(x, x, 1.0, 1.0).map(unit)),
    ("addmm", |x| x.addmm(x, x, 1.0, 1.0).map(unit)),
    ("baddbmm", |x| x.baddbmm(x, x, 1.0, 1.0).map(unit)),
    ("inverse", |x| x.inverse().map(unit)),
    ("det", |x| x.det()?.sum().backward_if_tracked()),
    ("slogdet", |x| x.slogdet()?.1.sum().backward_if_tracked()),
    ("logdet", |x| x.logdet().map(unit)),
    ("pinv", |x| x.pinv()?.sum().backward_if_tracked()),
    ("pinv_with", |x| x.pinv_with(PinvOptions { hermitian: true, ..Default::default() }).map(unit)),
    ("solve", |x| x.solve(x).map(unit)),
    ("solve", |x| x.solve(&Tensor::ones([2, 3, 3])).map(unit)),
    ("solve", |x| Tensor::ones([2, 3]).solve(x).map(unit)),
    ("solve", |x| Tensor::eye(3).solve(x).map(unit)),
    ("solve_triangular", |x| x.solve_triangular(x, Triangle::UPPER).map(unit)),
    ("cholesky", |x| x.cholesky(false).map(unit)),
    ("cholesky_ex", |x| x.cholesky_ex(true).map(unit)),
    ("cholesky_jitter", |x| x.cholesky_jitter(1e-9).map(unit)),
    ("cholesky_solve", |x| x.cholesky_solve(x, true).map(unit)),
    ("qr", |x| x.qr().map(unit)),
    ("qr_complete", |x| linalg::qr_complete(x).map(unit)),
    ("eigh", |x| x.eigh().map(unit)),
    ("eigvalsh", |x| x.eigvalsh().map(unit)),
    ("svd", |x| x.svd().map(unit)),
    ("lstsq", |x| x.lstsq(x, None).map(unit)),
    ("lstsq", |x| x.lstsq(&Tensor::ones([3]), None).map(unit)),
    ("lstsq", |x| Tensor::ones([3, 2]).lstsq(x, Some(0.1)).map(unit)),
    ("lu", |x| x.lu().map(unit)),
    ("lu_solve", |x| linalg::lu_solve(x, x, x, x).map(unit)),
    ("matrix_norm", |x| {
        let orders = [1.0, -1.0, 2.0, -2.0, f64::INFINITY, -f64::INFINITY, 0.3].map(MatrixNorm::Order);
        orders
            .into_iter()
            .chain([MatrixNorm::Frobenius, MatrixNorm::Nuclear])
            .for_each(|o| unit(x.matrix_norm(o)));
        Ok(())
    }),
    ("cond", |x| x.cond().map(unit)),
    ("matrix_rank", |x| x.matrix_rank(None).and_then(|_| x.matrix_rank(Some(0.1))).map(unit)),
    ("matrix_power", |x| x.matrix_power(-2).and_then(|_| x.matrix_power(0)).map(unit)),
    ("matrix_exp", |x| x.matrix_exp()?.sum().backward_if_tracked()),
    ("symmetric", |x| {
        unit(linalg::symmetric_exp(x));
        unit(linalg::symmetric_log(x));
        unit(linalg::spectral_projector(x, 0.5));
        x.symmetric_power(0.5).map(unit)
    }),
    ("vander", |x| x.vander(3, false).map(unit)),
    ("structured", |x| {
        unit(linalg::toeplitz(x, x));
        unit(linalg::block_diag(&[x, x]));
        linalg::multi_dot(&[x, x, x]).map(unit)
    }),
    ("least_squares_loss", |x| least_squares_loss(x, x, x).map(unit)),
    ("iterative", |x| {
        let options = IterativeOptions::default();
        unit(cg(x, x, options));
        unit(cg(x, &Tensor::ones([3]), options));
        unit(SparseTensor::from_dense(x).and_then(|a| a.lstsq(x)));
        unit(SparseTensor::from_dense(x).and_then(|a| a.solve(&Tensor::ones([3]))));
        lsqr(x, &Tensor::ones([3]), options).map(unit)
    }),
];

trait BackwardIfTracked {
    fn backward_if_tracked(&self) -> Result<()>;
}
impl BackwardIfTracked for Tensor {
    fn backward_if_tracked(&self) -> Result<()> {
        if self.is_tracked() { self.backward() } else { Ok(()) }
    }
}

#[test]
fn no_shape_makes_linear_algebra_panic() {
    let shapes: [&[usize]; 14] = [
        &[],
        &[0],
        &[1],
        &[3],
        &[3, 3],
        &[2, 3],
        &[3, 2],
        &[0, 0],
        &[0, 3],
        &[3, 0],
        &[2, 3, 3],
        &[0, 3, 3],
        &[2, 0, 0],
        &[2, 3, 2],
    ];
    let hook = std::panic::take_hook();
    let mut panicked = Vec::new();
    for (op, f) in ENTRIES {
        for shape in shapes {
            for value in [1.0, 0.0, f64::NAN] {
                for tracked in [false, true] {
                    let x = Tensor::full(shape.to_vec(), value);
                    let x = if tracked { x.requires_grad() } else { x };
                    if catch_unwind(AssertUnwindSafe(|| f(&x))).is_err() {
                        panicked.push(format!("{op} of {shape:?}, {value}, tracked: {tracked}"));
                    }
                }
            }
        }
    }
    std::panic::set_hook(hook);
    assert!(panicked.is_empty(), "{panicked:#?}");
    for shape in [&[][..], &[3], &[0]] {
        for x in [Tensor::ones(shape.to_vec()), Tensor::full(shape.to_vec(), f64::NAN).requires_grad()] {
            assert_eq!(x.pinv().unwrap_err().kind(), ErrorKind::Shape);
            assert_eq!(x.pinv().unwrap_err().op(), "pinv");
        }
    }
}

/// A well conditioned symmetric positive definite matrix.
fn definite<T: Float>(n: usize) -> Tensor<T> {
    from([n, n], |i, j| if i == j { 3.0 + noise(i) } else { 0.5 / (1 + i.abs_diff(j)) as f64 })
}

fn extreme_scales<T: Float>(scales: &[(f64, f64)], tolerance: f64) -> Result<()> {
    let options = IterativeOptions::default();
    let (square, tall) =
        (definite::<T>(5), from::<T>([7, 3], |i, j| noise(3 * i + j) + f64::from(u8::from(i == j))));
    for &(a, x) in scales {
        let case = format!("A of {a:e} and x of {x:e}");
        // Powers of two, which round nothing.
        let (a, x) = (2f64.powi(a.log2().round() as i32), 2f64.powi(x.log2().round() as i32));
        let right = [1.0, -2.0, 0.5, 3.0, -0.25];
        let scaled: Vec<f64> = right.iter().map(|r| r * x).collect();
        let b = square.mv(&vector(&right))? * T::of(a * x);
        let found = cg(&(&square * T::of(a)), &b, options)?;
        near(&format!("cg, {case}"), &found.x, &scaled, tolerance);
        let found = cg(&SparseTensor::from_dense(&(&square * T::of(a)))?, &b, options)?;
        near(&format!("cg of a sparse matrix, {case}"), &found.x, &scaled, tolerance);
        let b = tall.mv(&vector(&right[..3]))? * T::of(a * x);
        let found = lsqr(&(&tall * T::of(a)), &b, options)?;
        near(&format!("lsqr, {case}"), &found.x, &scaled[..3], tolerance);
    }
    Ok(())
}

#[test]
fn iterations_do_not_feel_the_scale() -> Result<()> {
    let double = [
        (1e155, 1.0),
        (1e-155, 1.0),
        (1e-100, 1e-50),
        (1e-200, 1e-80),
        (1e200, 1e-250),
        (1e-250, 1e250),
        (1e250, 1e50),
        (1.0, 1e-300),
        (1.0, 1e300),
    ];
    extreme_scales::<f64>(&double, 1e-8)?;
    let single = [
        (1.0, 1e-24),
        (1.0, 1e24),
        (1e-24, 1.0),
        (1e30, 1e-10),
        (1e-20, 1e-15),
        (1e25, 1e-35),
        (1e-30, 1e30),
    ];
    extreme_scales::<f32>(&single, 1e-4)
}

#[test]
fn iterations_name_what_is_not_finite() -> Result<()> {
    let options = IterativeOptions::default();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for n in [1, 2, 5] {
            for zero in [false, true] {
                let mut a = definite::<f64>(n);
                let b = if zero { Tensor::zeros([n]) } else { Tensor::ones([n]) };
                a.set([n as isize - 1, 0], bad)?;
                let free = a.clone();
                let free = MatrixFree::new([n, n], move |x: &Tensor| free.mv(x));
                for e in [
                    cg(&a, &b, options),
                    lsqr(&a, &b, options),
                    cg(&SparseTensor::from_dense(&a)?, &b, options),
                    lsqr(&SparseTensor::from_dense(&a)?, &b, options),
                    cg(&free, &b, options),
                    lsqr(&free, &b, options),
                    lsqr(&a, &b, IterativeOptions { damp: 0.5, ..options }),
                ] {
                    let e = e.map(|s| s.x).unwrap_err();
                    assert_eq!(e.kind(), ErrorKind::Argument, "{e}");
                    assert!(e.to_string().contains("the operator"), "{e}");
                    assert_eq!(e.location().map(|l| l.file()), Some(file!()));
                }
            }
            let mut b = Tensor::ones([n]);
            b.set([n as isize - 1], bad)?;
            for e in [cg(&definite(n), &b, options), lsqr(&definite(n), &b, options)] {
                let e = e.map(|s| s.x).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Argument, "{e}");
                assert!(e.to_string().contains(&format!("right-hand side is {bad} at [{}]", n - 1)), "{e}");
            }
        }
    }
    Ok(())
}

/// The residual that is told is that of the solution, computed in double precision.
#[test]
fn residuals_are_those_of_the_solutions() -> Result<()> {
    for n in [3, 10, 40] {
        for condition in [1.0, 1e2, 1e4] {
            // Second differences and a multiple of the identity.
            let a = from::<f32>([n, n], |i, j| match i.abs_diff(j) {
                0 => 2.0 + 4.0 / condition,
                1 => -1.0,
                _ => 0.0,
            });
            let b = from::<f32>([n, 1], |i, _| noise(i) - 0.5).flatten();
            let wide = |x: &Tensor<f32>| x.to_type::<f64>();
            let (a64, b64) = (wide(&a), wide(&b));
            let norm = |x: &Tensor| x.vector_norm(2.0, 0, false)?.item();
            let found = cg(&a, &b, IterativeOptions::default())?;
            let right = norm(&(&b64 - a64.mv(&wide(&found.x))?))? / norm(&b64)?;
            let rounding = 1e-6 * (1.0 + 4.0 * norm(&wide(&found.x))? / norm(&b64)?);
            assert!(
                (found.residual - right).abs() < rounding,
                "cg {n} {condition}: {} {right}",
                found.residual
            );
            let found = lsqr(&a, &b, IterativeOptions::default())?;
            let left = a64.t()?.mv(&(&b64 - a64.mv(&wide(&found.x))?))?;
            let scale = norm(&a64.t()?.mv(&b64)?)?;
            let right = norm(&left)? / scale;
            let rounding = 4e-6 * (norm(&b64)? + 4.0 * norm(&wide(&found.x))?) / scale;
            assert!(
                (found.residual - right).abs() < rounding,
                "lsqr {n} {condition}: {} {right}",
                found.residual
            );
        }
    }
    Ok(())
}

fn solvers_that_scale<T: Float>() -> Result<()> {
    let options = IterativeOptions { tolerance: 1e-14, ..Default::default() };
    let square = definite::<T>(4);
    let tall = from::<T>([5, 3], |i, j| noise(3 * i + j) + f64::from(u8::from(i == j)));
    let (b, c) = (vector::<T>(&[1.0, -0.5, 2.0, 0.3]), vector::<T>(&[1.0, -0.5, 2.0, 0.3, 0.7]));
    let batch = |x: &Tensor<T>| Tensor::stack(&[x, &(x * T::of(0.5)), x, x, &(x * T::of(2.0))], 0);
    let (squares, rights) = (batch(&square)?, batch(&b)?);
    let (talls, longs) = (batch(&tall)?, batch(&c)?.unsqueeze(-1)?);
    let symmetric = |x: &Tensor<T>| Ok::<_, Error>((x + x.mt()?) * T::of(0.5));
    let by_cg = |x: &[Tensor<T>]| Ok(cg(&symmetric(&x[0])?, &x[1], options)?.x);
    let by_lsqr = |x: &[Tensor<T>]| Ok(lsqr(&x[0], &x[1], options)?.x);
    type Case<'a, T> =
        (&'a str, &'a dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>>, Vec<Tensor<T>>, [[i32; 2]; 3], [i32; 3]);
    // By A, by b, and by both.
    let linear = ([[1, 0], [0, 1], [1, 1]], [-1, 1, 0]);
    let cases: Vec<Case<'_, T>> = vec![
        ("solve", &|x| x[0].solve(&x[1]), vec![square.clone(), b.clone()], linear.0, linear.1),
        ("solve, batched", &|x| x[0].solve(&x[1]), vec![squares.clone(), rights], linear.0, linear.1),
        ("lstsq", &|x| x[0].lstsq(&x[1], None), vec![tall.clone(), c.clone()], linear.0, linear.1),
        (
            "lstsq, batched",
            &|x| x[0].lstsq(&x[1], None),
            vec![talls.clone(), longs.clone()],
            linear.0,
            linear.1,
        ),
        (
            "lstsq, wide",
            &|x| x[0].mt()?.lstsq(&x[1].narrow(-2, 0, 3)?, None),
            vec![talls.clone(), longs],
            linear.0,
            linear.1,
        ),
        ("cg", &by_cg, vec![square.clone(), b.clone()], linear.0, linear.1),
        ("lsqr", &by_lsqr, vec![tall.clone(), c.clone()], linear.0, linear.1),
        (
            "cholesky_solve",
            &|x| x[0].cholesky(false)?.cholesky_solve(&x[1], false),
            vec![square.clone(), b.clone()],
            linear.0,
            linear.1,
        ),
        (
            "solve_triangular",
            &|x| x[0].solve_triangular(&x[1], Triangle::LOWER),
            vec![square.clone(), b],
            linear.0,
            linear.1,
        ),
        (
            "sparse lstsq",
            &|x| SparseTensor::from_dense(&x[0])?.lstsq(&x[1]),
            vec![tall.clone(), c],
            linear.0,
            linear.1,
        ),
    ];
    for (name, f, inputs, degrees, degree) in cases {
        for (degrees, degree) in degrees.iter().zip(degree) {
            homogeneous(&format!("{name} by {degrees:?}"), f, &inputs, degrees, degree)?;
        }
    }
    for (name, a) in [("pinv", &tall), ("pinv, batched", &talls), ("pinv, wide", &tall.t()?)] {
        homogeneous(name, |x| x[0].pinv(), std::slice::from_ref(a), &[1], -1)?;
    }
    homogeneous("inverse", |x| x[0].inverse(), &[square], &[1], -1)?;
    homogeneous("inverse, batched", |x| x[0].inverse(), &[squares], &[1], -1)?;
    let loss = |x: &[Tensor<T>]| least_squares_loss(&x[0], &x[1], &x[2]);
    let inputs = [tall, vector(&[0.5, -1.0, 0.25]), vector(&[1.0, 2.0, 0.5, -1.0, 0.3])];
    homogeneous("least_squares_loss by A and y", loss, &inputs, &[1, 0, 1], 2)?;
    homogeneous("least_squares_loss by x and y", loss, &inputs, &[0, 1, 1], 2)
}

#[test]
fn solvers_scale() -> Result<()> {
    solvers_that_scale::<f64>()?;
    solvers_that_scale::<f32>()
}
