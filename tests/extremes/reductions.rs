//! Sums, norms, products and positions whose intermediates would leave the range.

use tapegrad::prelude::*;
use tapegrad::{gradcheck, gradgradcheck};

/// Fails unless `found` is `want` within 16 units of rounding: equal, where that is not finite.
fn close<T: Float>(name: &str, found: &[T], want: &[f64]) {
    assert_eq!(found.len(), want.len(), "{name}");
    for (i, (found, want)) in found.iter().zip(want).enumerate() {
        let (found, bound) = (found.to_f64(), 16.0 * T::EPSILON.to_f64() * want.abs());
        let same = found == *want || (found.is_nan() && want.is_nan());
        assert!(same || (found - want).abs() <= bound, "{name} [{i}]: {found:e}, not {want:e}");
    }
}

type Function<T> = fn(&Tensor<T>) -> Result<Tensor<T>>;

/// A function of a vector, its name, the vector, its value there, and its slopes.
type Line<'a, T> = (&'a str, Function<T>, &'a [T], f64, &'a [f64]);

fn check<T: Float>(lines: &[Line<T>]) -> Result<()> {
    for &(name, f, x, value, slopes) in lines {
        let (found, slope) = value_and_grad(|x: &Tensor<T>| f(x), &Tensor::from(x.to_vec()))?;
        close(name, &[found.item()?], &[value]);
        close(name, &slope.to_vec(), slopes);
    }
    Ok(())
}

/// The result decides whether it is in the range, not the squares on the way to it.
#[test]
fn lengths_and_deviations_of_any_size() -> Result<()> {
    let third = 1.5275252316519468;
    let slopes = [-4.0 / 3.0, -1.0 / 3.0, 5.0 / 3.0].map(|c: f64| c / 2.0 / third);
    check::<f32>(&[
        ("norm", |x| x.vector_norm(2.0, 0, false), &[3e20, 4e20], 5e20, &[0.6, 0.8]),
        ("small norm", |x| x.vector_norm(2.0, 0, false), &[3e-25, 4e-25], 5e-25, &[0.6, 0.8]),
        ("tiny norm", |x| x.vector_norm(2.0, 0, false), &[3e-36, -4e-36], 5e-36, &[0.6, -0.8]),
        (
            "norm 3",
            |x| x.vector_norm(3.0, 0, false),
            &[1e20, 1e20],
            1.2599210498948732e20,
            &[0.6299605249474366; 2],
        ),
        ("norm 0.5", |x| x.vector_norm(0.5, 0, false), &[1e30, 1e30], 4e30, &[2.0, 2.0]),
        ("std", |x| Ok(x.std()), &[1e20, 2e20, 4e20], third * 1e20, &slopes),
        ("small std", |x| Ok(x.std()), &[1e-30, 2e-30, 4e-30], third * 1e-30, &slopes),
        ("mean", |x| Ok(x.mean()), &[3e38, 3e38, 3e38], 3e38, &[1.0 / 3.0; 3]),
        ("huge std", |x| x.std_with(0, false, 0.0), &[3e38, -3e38], 3e38, &[0.5, -0.5]),
    ])?;
    check::<f64>(&[
        ("norm", |x| x.vector_norm(2.0, 0, false), &[3e200, 4e200], 5e200, &[0.6, 0.8]),
        ("norm of the smallest", |x| x.vector_norm(2.0, 0, false), &[5e-324, 0.0], 5e-324, &[1.0, 0.0]),
        (
            "norm of the largest",
            |x| x.vector_norm(2.0, 0, false),
            &[1.2e308, 0.0, 1.2e308],
            1.697056274847714e308,
            &[std::f64::consts::FRAC_1_SQRT_2, 0.0, std::f64::consts::FRAC_1_SQRT_2],
        ),
        ("norm -2", |x| x.vector_norm(-2.0, 0, false), &[3e-200, 4e-200], 2.4e-200, &[0.512, 0.216]),
        (
            "norm 1.5",
            |x| x.vector_norm(1.5, 0, false),
            &[0.0, 4e250, -9e250],
            10.699874805650794e250,
            &[0.0, 0.6114214174657597, -0.9171321261986396],
        ),
        (
            "norm out of the range",
            |x| x.vector_norm(0.5, 0, false),
            &[1e308, 1e308],
            f64::INFINITY,
            &[f64::INFINITY; 2],
        ),
        ("norm 100", |x| x.vector_norm(100.0, 0, false), &[1e30, 1e-30], 1e30, &[1.0, 0.0]),
        ("std", |x| Ok(x.std()), &[1e200, 2e200, 4e200], third * 1e200, &slopes),
        ("small std", |x| Ok(x.std()), &[1e-200, 2e-200, 4e-200], third * 1e-200, &slopes),
        (
            "var",
            |x| x.var_with(0, false, 0.0),
            &[1.2e154, -1.2e154, 1.2e154, -1.2e154],
            1.44e308,
            &[0.6e154, -0.6e154, 0.6e154, -0.6e154],
        ),
        ("mean", |x| Ok(x.mean()), &[1e308, 1e308], 1e308, &[0.5, 0.5]),
        ("mean of both signs", |x| Ok(x.mean()), &[1.5e308, 1.5e308, -1.5e308, -1.5e308], 0.0, &[0.25; 4]),
        ("mean of infinity", |x| Ok(x.mean()), &[f64::INFINITY, 1.0], f64::INFINITY, &[0.5; 2]),
        (
            "norm of infinity",
            |x| x.vector_norm(2.0, 0, false),
            &[f64::NEG_INFINITY, 1.0],
            f64::INFINITY,
            &[f64::NAN, 0.0],
        ),
        ("norm of nothing but 0", |x| x.vector_norm(2.0, 0, false), &[0.0, 0.0], 0.0, &[0.0, 0.0]),
        ("std of equal", |x| Ok(x.std()), &[1e-300, 1e-300], 0.0, &[0.0, 0.0]),
    ])
}

/// A function of a vector, its name, the vector, and its Hessian there.
type Bend<'a, T> = (&'a str, Function<T>, &'a [T], &'a [f64]);

fn check_hessians<T: Float>(lines: &[Bend<'_, T>]) -> Result<()> {
    for &(name, f, x, want) in lines {
        let found = hessian(|x: &Tensor<T>| f(x), &Tensor::from(x.to_vec()))?;
        close(name, &found.to_vec(), want);
    }
    Ok(())
}

/// Second derivatives are in the range where they are themselves.
#[test]
fn second_derivatives_of_any_size() -> Result<()> {
    check_hessians::<f64>(&[
        (
            "norm",
            |x| x.vector_norm(2.0, 0, false),
            &[3e200, 4e200],
            &[1.28e-201, -0.96e-201, -0.96e-201, 0.72e-201],
        ),
        (
            "norm",
            |x| x.vector_norm(2.0, 0, false),
            &[3e-200, 4e-200],
            &[1.28e199, -0.96e199, -0.96e199, 0.72e199],
        ),
        (
            "std",
            |x| Ok(x.std()),
            &[1e200, 2e200, 4e200],
            &[
                0.09352195295828242e-200, -0.1402829294374237e-200, 0.04676097647914128e-200,
                -0.1402829294374237e-200, 0.21042439415613554e-200, -0.07014146471871181e-200,
                0.04676097647914128e-200, -0.07014146471871181e-200, 0.023380488239570618e-200,
            ],
        ),
        (
            "norm 3",
            |x| x.vector_norm(3.0, 0, false),
            &[1e200, 1e200],
            &[
                0.6299605249474366e-200, -0.6299605249474366e-200, -0.6299605249474366e-200,
                0.6299605249474366e-200,
            ],
        ),
        (
            "prod",
            |x| Ok(x.prod()),
            &[1e200, 1e200, 1e-200],
            &[0.0, 1e-200, 1e200, 1e-200, 0.0, 1e200, 1e200, 1e200, 0.0],
        ),
        (
            "prod of nothing",
            |x| Ok(x.prod()),
            &[1e-200, 1e-200, 1e-200],
            &[0.0, 1e-200, 1e-200, 1e-200, 0.0, 1e-200, 1e-200, 1e-200, 0.0],
        ),
        (
            "prod with 0",
            |x| Ok(x.prod()),
            &[0.0, 3.0, 0.0, 5.0],
            &[0.0, 0.0, 15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 15.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ),
        (
            "cumprod",
            |x| x.cumprod(0)?.select(0, 3),
            &[1e200, 1e200, 1e-200, 1e-200],
            &[
                0.0,
                0.0,
                1.0,
                1.0,
                0.0,
                0.0,
                1.0,
                1.0,
                1.0,
                1.0,
                0.0,
                f64::INFINITY,
                1.0,
                1.0,
                f64::INFINITY,
                0.0,
            ],
        ),
    ])?;
    check_hessians::<f32>(&[
        (
            "norm",
            |x| x.vector_norm(2.0, 0, false),
            &[3e25, 4e25],
            &[1.28e-26, -0.96e-26, -0.96e-26, 0.72e-26],
        ),
        ("prod", |x| Ok(x.prod()), &[1e-30, 1e30, 2.0], &[0.0, 2.0, 1e30, 2.0, 0.0, 1e-30, 1e30, 1e-30, 0.0]),
    ])
}

/// A power below 2 has no finite second derivative at 0, one below 1 no finite first: an element that is 0 takes no
/// part in either.
#[test]
fn norms_of_vectors_with_zeros() -> Result<()> {
    check::<f64>(&[
        (
            "norm 0.25",
            |x| x.vector_norm(0.25, 0, false),
            &[0.0, 4.0, -9.0],
            97.98979485566359,
            &[0.0, 11.011351921262154, -5.993820796734997],
        ),
        ("norm 0.5", |x| x.vector_norm(0.5, 0, false), &[0.0, 4.0, -9.0], 25.0, &[0.0, 2.5, -5.0 / 3.0]),
        (
            "norm 0.9",
            |x| x.vector_norm(0.9, 0, false),
            &[0.0, 4.0, -9.0],
            13.933806068182516,
            &[0.0, 1.1329245217196369, -1.0446786645893298],
        ),
        ("norm 0.875 far apart", |x| x.vector_norm(0.875, 0, false), &[1e-300, 1e300], 1e300, &[1e75, 1.0]),
        ("norm 0.5 of 0", |x| x.vector_norm(0.5, 0, false), &[0.0, 0.0], 0.0, &[0.0, 0.0]),
        ("norm 1.5 of x - x", |x| (x - x).vector_norm(1.5, 0, false), &[1.0, 2.0], 0.0, &[0.0, 0.0]),
        ("norm 0.25 of x - x", |x| (x - x).vector_norm(0.25, 0, false), &[1.0, 2.0], 0.0, &[0.0, 0.0]),
        ("norm -1 with 0", |x| x.vector_norm(-1.0, 0, false), &[0.0, 4.0, -9.0], 0.0, &[0.0; 3]),
        ("norm -1", |x| x.vector_norm(-1.0, 0, false), &[4.0, -12.0], 3.0, &[9.0 / 16.0, -1.0 / 16.0]),
        ("norm 0", |x| x.vector_norm(0.0, 0, false), &[1e-300, 0.0, 1e300], 2.0, &[0.0; 3]),
        (
            "norm inf",
            |x| x.vector_norm(f64::INFINITY, 0, false),
            &[-1e300, 0.0, 1.0],
            1e300,
            &[-1.0, 0.0, 0.0],
        ),
    ])?;
    let (a, b, c) = (0.0589584938270554, 0.026203775034246854, 0.011646122237443025);
    check_hessians::<f64>(&[
        (
            "norm 1.5",
            |x| x.vector_norm(1.5, 0, false),
            &[0.0, 4.0, -9.0],
            &[0.0, 0.0, 0.0, 0.0, a, b, 0.0, b, c],
        ),
        ("norm 1.5 of 0", |x| x.vector_norm(1.5, 0, false), &[0.0, 0.0], &[0.0; 4]),
        ("norm -1 with 0", |x| x.vector_norm(-1.0, 0, false), &[0.0, 4.0], &[0.0; 4]),
        ("norm 0.5 of x - x", |x| (x - x).vector_norm(0.5, 0, false), &[1.0, 2.0], &[0.0; 4]),
        // (sqrt a + sqrt b)^2 = a + b + 2 sqrt(a b)
        (
            "norm 0.5",
            |x| x.vector_norm(0.5, 0, false),
            &[4.0, 0.0, 9.0],
            &[-3.0 / 16.0, 0.0, 1.0 / 12.0, 0.0, 0.0, 0.0, 1.0 / 12.0, 0.0, -1.0 / 27.0],
        ),
    ])
}

/// Rows of a matrix are reduced each as if alone: one that leaves the range does not change the bits of another.
#[test]
fn a_line_does_not_feel_its_neighbours() -> Result<()> {
    let own = [0.1, -0.7, 1.3, 0.45];
    let others = [
        [1e200, -2e200, 1e200, 3e-200],
        [0.0; 4],
        [f64::NAN; 4],
        [f64::INFINITY; 4],
        [1e-200, 2e-200, 1e-310, 0.0],
    ];
    let functions: [(&str, Function<f64>); 9] = [
        ("mean", |x| x.mean_dim(-1, false)),
        ("std", |x| x.std_dim(-1, false)),
        ("var", |x| x.var_dim(-1, false)),
        ("norm 2", |x| x.vector_norm(2.0, -1, false)),
        ("norm 3", |x| x.vector_norm(3.0, -1, false)),
        ("norm -1", |x| x.vector_norm(-1.0, -1, false)),
        ("prod", |x| x.prod_dim(-1, false)),
        ("cumprod", |x| x.cumprod(-1)),
        ("logsumexp", |x| x.logsumexp(-1, false)),
    ];
    for (name, f) in functions {
        let alone = value_and_grad(|x: &Tensor| Ok(f(x)?.sum()), &Tensor::from([own]))?;
        for other in others {
            let x = Tensor::from([own, other]);
            assert_eq!(
                f(&x)?.row(0)?.to_vec(),
                f(&Tensor::from([own]))?.row(0)?.to_vec(),
                "{name} beside {other:?}"
            );
            let row = value_and_grad(|x: &Tensor| Ok(f(x)?.row(0)?.sum()), &x)?.1.row(0)?;
            assert_eq!(row.to_vec(), alone.1.to_vec(), "slopes of {name} beside {other:?}");
            // Along columns, which may add up in another order than rows.
            let columns = |x: &Tensor| f(&Tensor::from_vec(x.t()?.to_vec(), [4, x.size(0)?])?.t()?);
            let beside_zeros = columns(&Tensor::from([own, [0.0; 4]]))?;
            assert_eq!(columns(&x)?.row(0)?.to_vec(), beside_zeros.row(0)?.to_vec(), "{name} of columns");
        }
    }
    Ok(())
}

/// A product is in the range where the result is, in any order of the factors.
#[test]
fn products_of_any_factors() -> Result<()> {
    check::<f32>(&[
        (
            "prod",
            |x| Ok(x.prod()),
            &[1e-30, 1e30, 1e30, 1e-30, 2.0, 3.0],
            6.0,
            &[6e30, 6e-30, 6e-30, 6e30, 3.0, 2.0],
        ),
        (
            "digits below the range",
            |x| Ok(x.prod()),
            &[1e-20, 3e-20, 1e30, 1e10],
            3.0,
            &[3e20, 1e20, 3e-30, 3e-10],
        ),
    ])?;
    check::<f64>(&[
        ("prod", |x| Ok(x.prod()), &[1e200, 1e-200, 1e200, 1e-200], 1.0, &[1e-200, 1e200, 1e-200, 1e200]),
        (
            "prod by columns",
            |x| x.reshape([2, 2])?.prod_dim([0, 1], false),
            &[1e200, 1e200, 1e-200, 1e-200],
            1.0,
            &[1e-200, 1e-200, 1e200, 1e200],
        ),
        ("prod of a 0", |x| Ok(x.prod()), &[0.0, 1e200, 1e200, 1e-200], 0.0, &[1e200, 0.0, 0.0, 0.0]),
        ("prod below the range", |x| Ok(x.prod()), &[1e-200, 1e-200], 0.0, &[1e-200, 1e-200]),
        ("prod above the range", |x| Ok(x.prod()), &[-1e200, 1e200], f64::NEG_INFINITY, &[1e200, -1e200]),
        ("prod of infinity", |x| Ok(x.prod()), &[f64::INFINITY, 2.0], f64::INFINITY, &[2.0, f64::INFINITY]),
        (
            "digits below the range",
            |x| Ok(x.prod()),
            &[1e-160, 3e-160, 1e160, 7e160],
            21.0,
            &[21e160, 7e160, 21e-160, 3e-160],
        ),
        (
            "cumprod",
            |x| x.cumprod(0)?.select(0, 2),
            &[0.0, 1e200, 1e200, 3.0],
            0.0,
            &[f64::INFINITY, 0.0, 0.0, 0.0],
        ),
        (
            "cumprod",
            |x| x.cumprod(0)?.select(0, 3),
            &[1e200, 1e200, 1e-200, 1e-200],
            1.0,
            &[1e-200, 1e-200, 1e200, 1e200],
        ),
        (
            "all of cumprod",
            |x| Ok((x.cumprod(0)? * Tensor::from([0.0, 0.0, 1.0, 2.0])).sum()),
            &[1e-200, 1e-200, 1e200, 1e200],
            1e-200 + 2.0,
            &[1.0 + 2e200, 1.0 + 2e200, 2e-200, 2e-200],
        ),
        ("no factor", |x| x.narrow(0, 0, 0)?.prod_dim(0, false), &[1.0], 1.0, &[0.0]),
    ])?;
    assert_eq!(Tensor::from([0.0, 1e200, 1e200, 3.0]).cumprod(0)?.to_vec(), [0.0; 4]);
    assert_eq!(Tensor::from([i64::MAX, 2, -1]).prod().item()?, 2);
    // 1, 0.5, 2, .. and so on: as long as you like.
    let long: Vec<f64> = (0..100_000).map(|i| if i < 50_000 { 2.0 } else { 0.5 }).collect();
    let (value, slopes) = value_and_grad(|x: &Tensor| Ok(x.prod()), &Tensor::from(long.clone()))?;
    assert_eq!(value.item()?, 1.0);
    assert!(slopes.to_vec().iter().zip(&long).all(|(g, x)| g * x == 1.0));
    assert_eq!(Tensor::from(long).cumprod(0)?.to_vec()[99_999], 1.0);
    Ok(())
}

/// The rules of products are right in first to third order, batched and along any dimension.
#[test]
fn derivatives_of_products() -> Result<()> {
    let x = Tensor::from([[1.3, -0.7, 2.1], [0.4, 0.0, -1.1], [0.9, 1.7, 0.6]]);
    for running in [false, true] {
        for dim in [0, 1] {
            let f = |x: &Tensor| if running { x.cumprod(dim) } else { x.prod_dim(dim, false) };
            gradcheck(|x| f(&x[0]), std::slice::from_ref(&x))?;
            gradgradcheck(|x| f(&x[0]), std::slice::from_ref(&x))?;
            let slopes = |x: &Tensor| Ok(value_and_grad(|x: &Tensor| Ok(f(x)?.square().sum()), x)?.1);
            gradcheck(|x| slopes(&x[0]), std::slice::from_ref(&x))?;
            gradgradcheck(|x| slopes(&x[0]), std::slice::from_ref(&x))?;
            let rows = jacobian(|x: &Tensor| f(x), &x)?;
            let one = value_and_grad(|x: &Tensor| f(x)?.flatten().select(0, 1), &x)?.1;
            let y = f(&x)?.numel() as isize;
            assert_eq!(rows.reshape([y, 9])?.row(1)?.to_vec(), one.to_vec());
        }
    }
    Ok(())
}

/// Integers are counted as integers, and ends are exact.
#[test]
fn counted_numbers() -> Result<()> {
    const MAX: i64 = i64::MAX;
    let integers: [(i64, i64, i64, &[i64]); 9] = [
        (1 << 53, (1 << 53) + 3, 1, &[1 << 53, (1 << 53) + 1, (1 << 53) + 2]),
        (MAX - 3, MAX, 1, &[MAX - 3, MAX - 2, MAX - 1]),
        (MAX, MAX - 3, -1, &[MAX, MAX - 1, MAX - 2]),
        (i64::MIN, MAX, MAX, &[i64::MIN, -1, MAX - 1]),
        (MAX, i64::MIN, i64::MIN, &[MAX, -1]),
        (i64::MIN, i64::MIN + 2, 1, &[i64::MIN, i64::MIN + 1]),
        (5, 0, -2, &[5, 3, 1]),
        (0, 6, 3, &[0, 3]),
        (7, 7, -1, &[]),
    ];
    for (start, end, step, want) in integers {
        assert_eq!(arange(start, end, step)?.to_vec(), want, "{start} to {end} by {step}");
    }
    for step in [999_999_999_999_937, 1_000_000_000_000_001, 1_125_899_906_842_623] {
        let x = arange(0, 100 * step, step)?;
        assert_eq!((x.numel(), x.to_vec()[99]), (100, 99 * step));
    }
    for (start, end, step) in [(0, 3, 0), (0, 3, -1), (3, 0, 1), (3, 3, 0), (MAX, i64::MIN, 1)] {
        let refused = arange(start, end, step).unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Argument), "{start} to {end} by {step}: {refused}");
    }
    assert!(matches!(arange(i64::MIN, MAX, 1).unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
    assert_eq!(arange(-1.5e308, 1.5e308, 1e308)?.to_vec(), [-1.5e308, -0.5e308, 0.5e308]);
    assert_eq!(arange(0.0, 1e17, 1e15)?.numel(), 100);
    assert!(arange(0.0, f64::INFINITY, 1.0).is_err());

    assert_eq!(linspace(-1e308, 1e308, 3)?.to_vec(), [-1e308, 0.0, 1e308]);
    assert_eq!(linspace(-f32::MAX, f32::MAX, 2)?.to_vec(), [-f32::MAX, f32::MAX]);
    assert_eq!(linspace(f64::MAX, -f64::MAX, 3)?.to_vec(), [f64::MAX, 0.0, -f64::MAX]);
    close("linspace", &linspace(-1e308, 1e308, 5)?.to_vec(), &[-1e308, -0.5e308, 0.0, 0.5e308, 1e308]);
    assert_eq!(linspace(0.1, 0.7, 1)?.to_vec(), [0.1]);
    for n in 2..200 {
        let x = linspace(0.1, 0.7, n)?.to_vec();
        assert_eq!([x[0], x[n - 1]], [0.1, 0.7]);
    }
    Ok(())
}

/// Functions of infinities have their limits.
#[test]
fn reductions_of_infinities() -> Result<()> {
    const INF: f64 = f64::INFINITY;
    check::<f64>(&[
        ("quantile", |x| x.quantile(0.5, 0), &[1.0, INF, INF], INF, &[0.0, 1.0, 0.0]),
        ("quantile", |x| x.quantile(0.75, 0), &[1.0, INF, INF, INF], INF, &[0.0, 0.0, 0.75, 0.25]),
        ("quantile", |x| x.quantile(0.25, 0), &[-INF, -INF, 1.0], -INF, &[0.5, 0.5, 0.0]),
        ("quantile", |x| x.quantile(0.5, 0), &[1.0, INF], INF, &[0.5, 0.5]),
        ("quantile", |x| x.quantile(0.5, 0), &[-INF, INF], f64::NAN, &[0.5, 0.5]),
        ("quantile", |x| x.quantile(0.5, 0), &[-1.5e308, 1.5e308], 0.0, &[0.5, 0.5]),
        ("quantile", |x| x.quantile(0.5, 0), &[4.0, 1.0, 3.0, 2.0], 2.5, &[0.0, 0.0, 0.5, 0.5]),
        ("logsumexp", |x| x.logsumexp(0, false), &[1.0, INF], INF, &[0.0, 1.0]),
        ("logsumexp", |x| x.logsumexp(0, false), &[800.0, INF, -INF, INF], INF, &[0.0, 0.5, 0.0, 0.5]),
        ("logsumexp", |x| x.logsumexp(0, false), &[-INF, -INF], -INF, &[0.0, 0.0]),
        ("logsumexp", |x| x.logsumexp(0, false), &[-INF, 2.0], 2.0, &[0.0, 1.0]),
        ("logsumexp", |x| x.logsumexp(0, false), &[1e17, 1e17, -1e17], 1e17, &[0.5, 0.5, 0.0]),
        ("logsumexp", |x| x.logsumexp(0, false), &[f64::NAN, INF], f64::NAN, &[f64::NAN, f64::NAN]),
    ])?;
    check_hessians::<f64>(&[
        ("logsumexp", |x| x.logsumexp(0, false), &[800.0, INF], &[0.0; 4]),
        ("logsumexp", |x| x.logsumexp(0, false), &[-INF, -INF], &[0.0; 4]),
    ])?;
    let x = Tensor::from([[1.0, INF], [0.0, 0.0]]);
    let slopes = value_and_grad(|x: &Tensor| Ok(x.logsumexp(1, false)?.sum()), &x)?.1;
    assert_eq!(slopes.to_vec(), [0.0, 1.0, 0.5, 0.5]);
    Ok(())
}

/// A tensor without dimensions is a vector of one element along dimension 0 or -1, for every operation along one.
#[test]
fn tensors_without_dimensions() -> Result<()> {
    // What becomes of 3, and its slope.
    type Along = fn(&Tensor, isize) -> Result<Tensor>;
    let values: [(&str, Along, f64, f64); 35] = [
        ("cumsum", |x, d| x.cumsum(d), 3.0, 1.0),
        ("cumprod", |x, d| x.cumprod(d), 3.0, 1.0),
        ("cummax", |x, d| Ok(x.cummax(d)?.0), 3.0, 1.0),
        ("cummin", |x, d| Ok(x.cummin(d)?.0), 3.0, 1.0),
        ("sort", |x, d| Ok(x.sort(d, true)?.0), 3.0, 1.0),
        ("topk", |x, d| Ok(x.topk(1, d, true)?.0), 3.0, 1.0),
        ("max_dim", |x, d| Ok(x.max_dim(d, false)?.0), 3.0, 1.0),
        ("min_dim", |x, d| Ok(x.min_dim(d, true)?.0), 3.0, 1.0),
        ("median_dim", |x, d| Ok(x.median_dim(d, false)?.0), 3.0, 1.0),
        ("median_dim", |x, d| Ok(x.median_dim(d, true)?.0), 3.0, 1.0),
        ("quantile", |x, d| x.quantile(0.3, d), 3.0, 1.0),
        ("amax", |x, d| x.amax(d, false), 3.0, 1.0),
        ("amin", |x, d| x.amin(d, true), 3.0, 1.0),
        ("sum_dim", |x, d| x.sum_dim(d, false), 3.0, 1.0),
        ("mean_dim", |x, d| x.mean_dim(d, true), 3.0, 1.0),
        ("prod_dim", |x, d| x.prod_dim(d, false), 3.0, 1.0),
        ("prod_dim", |x, d| x.prod_dim(d, true), 3.0, 1.0),
        ("var_with", |x, d| x.var_with(d, false, 0.0), 0.0, 0.0),
        ("std_with", |x, d| x.std_with(d, false, 0.0), 0.0, 0.0),
        ("vector_norm", |x, d| x.vector_norm(2.0, d, false), 3.0, 1.0),
        ("vector_norm", |x, d| x.vector_norm(0.5, d, true), 3.0, 1.0),
        ("logsumexp", |x, d| x.logsumexp(d, false), 3.0, 1.0),
        ("softmax", |x, d| x.softmax(d), 1.0, 0.0),
        ("log_softmax", |x, d| x.log_softmax(d), 0.0, 0.0),
        ("flip", |x, d| x.flip(d), 3.0, 1.0),
        ("roll", |x, d| x.roll(1, d), 3.0, 1.0),
        ("squeeze", |x, d| x.squeeze(d), 3.0, 1.0),
        ("transpose", |x, d| x.transpose(d, -1), 3.0, 1.0),
        ("index_select", |x, d| x.index_select(d, Tensor::from([0i64])), 3.0, 1.0),
        ("index_select", |x, d| x.index_select(d, Tensor::from(-1i64)), 3.0, 1.0),
        ("gather", |x, d| x.gather(d, Tensor::from(0i64)), 3.0, 1.0),
        ("scatter_add", |x, d| x.scatter_add(d, Tensor::from(0i64), &Tensor::from(1.0)), 4.0, 1.0),
        ("scatter_add", |x, d| x.scatter_add(d, Tensor::from([0i64]), &Tensor::from(1.0)), 4.0, 1.0),
        ("scatter_add of it", |x, d| Tensor::from(1.0).scatter_add(d, Tensor::from([0i64]), x), 4.0, 1.0),
        ("unsqueeze", |x, d| x.unsqueeze(d)?.squeeze(d), 3.0, 1.0),
    ];
    for (name, f, value, slope) in values {
        for d in [0, -1] {
            let y = f(&Tensor::from(3.0), d)?;
            assert!(y.shape().is_empty(), "{name} along {d}: {:?}", y.shape());
            close(name, &[y.item()?], &[value]);
            let g = value_and_grad(|x: &Tensor| f(x, d), &Tensor::from(3.0))?.1;
            assert!(g.shape().is_empty(), "slope of {name} along {d}: {:?}", g.shape());
            close(name, &[g.item()?], &[slope]);
        }
        for d in [1, -2] {
            let refused = f(&Tensor::from(3.0), d).map(|y| y.to_vec());
            assert!(
                matches!(refused.as_ref().map_err(|e| e.kind()), Err(ErrorKind::Index)),
                "{name} along {d}: {refused:?}"
            );
        }
    }
    type Places = fn(&Tensor, isize) -> Result<Tensor<i64>>;
    let places: [(&str, Places); 8] = [
        ("argsort", |x, d| x.argsort(d, false)),
        ("argmax", |x, d| x.argmax(d, false)),
        ("argmin", |x, d| x.argmin(d, true)),
        ("cummax", |x, d| Ok(x.cummax(d)?.1)),
        ("sort", |x, d| Ok(x.sort(d, false)?.1)),
        ("topk", |x, d| Ok(x.topk(1, d, false)?.1)),
        ("max_dim", |x, d| Ok(x.max_dim(d, true)?.1)),
        ("median_dim", |x, d| Ok(x.median_dim(d, false)?.1)),
    ];
    for (name, f) in places {
        for d in [0, -1] {
            let y = f(&Tensor::from(3.0), d)?;
            assert_eq!((y.shape(), y.item()?), (&[][..], 0), "places of {name} along {d}");
        }
        assert!(matches!(f(&Tensor::from(3.0), 1).unwrap_err().kind(), ErrorKind::Index), "{name}");
    }
    // The index says the shape of what is gathered.
    assert_eq!(Tensor::from(3.0).gather(0, Tensor::from([0i64, 0, 0]))?.to_vec(), [3.0; 3]);
    assert_eq!(Tensor::from([3.0, 4.0]).gather(0, Tensor::from(1i64))?.shape(), [0usize; 0]);
    assert!(Tensor::from(3.0).index_select(0, Tensor::from([0i64, 0])).is_err());
    assert!(Tensor::from(3.0).topk(2, 0, true).is_err());
    Ok(())
}
