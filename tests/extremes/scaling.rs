//! f(c x) = c^k f(x) for operations that are homogeneous, at factors that bring operands near the ends of the range:
//! nothing on the way may leave it where the result does not.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::fmt::Debug;
use tapegrad::prelude::*;

/// What is scaled: powers of two, so that scaling itself rounds nothing.
const FACTORS: [(DType, [i32; 2]); 2] = [(DType::F64, [-400, 400]), (DType::F32, [-50, 50])];

/// The exponents of 2 by which operands of type `T` are scaled.
fn exponents<T: Float>() -> [i32; 2] {
    FACTORS.iter().find(|(dtype, _)| *dtype == T::DTYPE).unwrap().1
}

/// Fails unless `f` of inputs that are scaled by c^`degrees` is c^`degree` times `f` of the inputs as they are, and
/// its slopes likewise, for c far from 1 in both directions. Elements that leave the normal range are not compared.
pub fn homogeneous<T: Float>(
    name: &str,
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>>,
    inputs: &[Tensor<T>],
    degrees: &[i32],
    degree: i32,
) -> Result<()> {
    let value_and_slopes = |inputs: &[Tensor<T>]| -> Result<Vec<Tensor<T>>> {
        let value = f(inputs)?;
        // Weighed, so that no slope cancels.
        let weighed = |x: &Vec<Tensor<T>>| {
            let y = f(x)?;
            let weights = arange(1, 1 + y.numel() as i64, 1)?.to_type::<T>().reshape(isize_shape(&y))?;
            Ok(y.try_mul(&(weights / T::of(y.numel() as f64)))?.sum())
        };
        let (_, slopes) = value_and_grad(weighed, &inputs.to_vec())?;
        Ok(std::iter::once(value).chain(slopes).collect())
    };
    let plain = value_and_slopes(inputs)?;
    for e in exponents::<T>() {
        let scaled: Vec<_> = inputs.iter().zip(degrees).map(|(x, k)| x * T::of(2f64.powi(k * e))).collect();
        let found = value_and_slopes(&scaled)?;
        let powers = std::iter::once(degree).chain(degrees.iter().map(|k| degree - k));
        for (part, ((found, plain), k)) in found.iter().zip(&plain).zip(powers).enumerate() {
            let found = found.to_vec().into_iter().map(|y| y.to_f64());
            let plain: Vec<f64> = plain.to_vec().into_iter().map(|y| y.to_f64()).collect();
            let largest = plain.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
            for (found, plain) in found.zip(&plain) {
                let want = scaled_by_power_of_two(*plain, k * e);
                let normal = match T::DTYPE {
                    DType::F32 => {
                        want.abs() < f64::from(f32::MAX) && want.abs() > f64::from(f32::MIN_POSITIVE)
                    }
                    _ => want.abs() < f64::MAX && want.abs() > f64::MIN_POSITIVE,
                };
                if plain.is_finite() && normal {
                    let error = (scaled_by_power_of_two(found, -k * e) - plain).abs();
                    let bound = 64.0 * T::EPSILON.to_f64() * largest;
                    let part = if part == 0 { "value".into() } else { format!("slope {}", part - 1) };
                    assert!(error <= bound, "{name} {:?} at 2^{e}: {part} {found:e}, not {want:e}", T::DTYPE);
                }
            }
        }
    }
    Ok(())
}

/// x 2^k, in two steps, since 2^k alone may not exist.
fn scaled_by_power_of_two(x: f64, k: i32) -> f64 {
    x * 2f64.powi(k / 2) * 2f64.powi(k - k / 2)
}

fn isize_shape<T: Float>(x: &Tensor<T>) -> Vec<isize> {
    x.shape().iter().map(|&d| d as isize).collect()
}

fn numbers<T: Float>(x: &[f64]) -> Tensor<T> {
    Tensor::from_vec(x.iter().map(|&x| T::of(x)).collect(), [x.len()]).unwrap()
}

type Function<T> = fn(&[Tensor<T>]) -> Result<Tensor<T>>;

fn reductions<T: Float>(shape: [usize; 2], values: &[f64]) -> Result<()> {
    let x = [numbers::<T>(values).reshape(shape)?];
    let whole: [(&str, Function<T>, i32); 8] = [
        ("sum", |x| Ok(x[0].sum()), 1),
        ("mean", |x| Ok(x[0].mean()), 1),
        ("std", |x| Ok(x[0].std()), 1),
        ("var", |x| Ok(x[0].var()), 2),
        ("std_with", |x| x[0].std_with([0, 1], true, 0.5), 1),
        ("max", |x| x[0].max(), 1),
        ("median", |x| x[0].median(), 1),
        ("quantile", |x| x[0].flatten().quantile(0.3, 0), 1),
    ];
    for (name, f, degree) in whole {
        homogeneous(name, f, &x, &[1], degree)?;
    }
    for d in [0, 1] {
        homogeneous("sum_dim", |x| x[0].sum_dim(d, false), &x, &[1], 1)?;
        homogeneous("mean_dim", |x| x[0].mean_dim(d, true), &x, &[1], 1)?;
        homogeneous("std_dim", |x| x[0].std_dim(d, false), &x, &[1], 1)?;
        homogeneous("var_dim", |x| x[0].var_dim(d, true), &x, &[1], 2)?;
        homogeneous("amax", |x| x[0].amax(d, false), &x, &[1], 1)?;
        homogeneous("amin", |x| x[0].amin(d, false), &x, &[1], 1)?;
        homogeneous("cumsum", |x| x[0].cumsum(d), &x, &[1], 1)?;
        homogeneous("median_dim", |x| Ok(x[0].median_dim(d, false)?.0), &x, &[1], 1)?;
    }
    const INF: f64 = f64::INFINITY;
    for p in [-INF, -3.0, -1.0, 0.5, 0.9, 1.0, 1.5, 2.0, 2.5, 3.0, 7.0, INF] {
        let name = format!("vector_norm {p}");
        homogeneous(&name, |x| x[0].vector_norm(p, [0, 1], false), &x, &[1], 1)?;
        homogeneous(&name, |x| x[0].vector_norm(p, 0, false), &x, &[1], 1)?;
        homogeneous(&name, |x| x[0].vector_norm(p, -1, true), &x, &[1], 1)?;
    }
    Ok(())
}

/// Factors of both kinds: their products in any order leave the range, and the whole does not.
fn products<T: Float>(a: &[f64], b: &[f64]) -> Result<()> {
    let [a, b] = [numbers::<T>(a), numbers(b)];
    let both = |x: &[Tensor<T>]| Tensor::cat(&[&x[0], &x[1]], 0);
    homogeneous(
        "prod of 2",
        |x| x[0].narrow(0, 1, 2)?.prod_dim(0, false),
        std::slice::from_ref(&a),
        &[1],
        2,
    )?;
    homogeneous("prod of 3", |x| Ok(x[0].prod()), std::slice::from_ref(&a), &[1], 3)?;
    homogeneous("prod", |x| Ok(both(x)?.prod()), &[a.clone(), b.clone()], &[1, -1], 0)?;
    homogeneous(
        "prod_dim",
        |x| both(x)?.reshape([2, 3])?.prod_dim(0, false),
        &[a.clone(), b.clone()],
        &[2, -1],
        1,
    )?;
    homogeneous(
        "last of cumprod",
        |x| both(x)?.cumprod(0)?.select(0, -1),
        &[a.clone(), b.clone()],
        &[1, -1],
        0,
    )?;
    let alternating =
        |x: &[Tensor<T>]| Tensor::stack(&[&x[0], &x[1]], 1)?.flatten().cumprod(0)?.slice(s![1..;2]);
    homogeneous("cumprod", alternating, &[a.clone(), b.clone()], &[2, -2], 0)?;
    // The angle between two vectors has no size.
    let cosine = |x: &[Tensor<T>]| {
        let lengths = x[0].vector_norm(2.0, 0, false)?.try_mul(&x[1].vector_norm(2.0, 0, false)?)?;
        x[0].try_mul(&x[1])?.sum().try_div(&lengths)
    };
    homogeneous("cosine", cosine, &[a.clone(), b.clone()], &[1, 1], 0)?;
    homogeneous("cosine", cosine, &[a.clone(), b.clone()], &[2, -1], 0)?;
    homogeneous("z-scores", |x| x[0].try_sub(&x[0].mean())?.try_div(&x[0].std()), &[a], &[2], 0)
}

fn pairs<T: Float>(a: &[f64], b: &[f64]) -> Result<()> {
    let x = [numbers::<T>(a), numbers(b)];
    homogeneous("hypot", |x| x[0].hypot(&x[1]), &x, &[1, 1], 1)?;
    homogeneous("hypot", |x| x[0].hypot(&x[1]), &x, &[2, 2], 2)
}

/// Numbers of either sign and of sizes that are not far apart, no two of them alike.
fn drawn(len: usize) -> impl Strategy<Value = Vec<f64>> {
    vec((0.1..4.0f64, any::<bool>()).prop_map(|(size, negative)| if negative { -size } else { size }), len)
}

/// Runs a property on a few dozen drawn values.
fn holds<S: Strategy<Value: Debug>>(strategy: &S, property: impl Fn(S::Value) -> Result<()>) {
    let run = |value| property(value).map_err(|e| TestCaseError::fail(e.to_string()));
    TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() })
        .run(strategy, run)
        .unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn reductions_scale() {
    let matrices =
        (2..5usize, 2..6usize).prop_flat_map(|(m, n)| drawn(m * n).prop_map(move |values| ([m, n], values)));
    holds(&matrices, |(shape, values)| {
        reductions::<f64>(shape, &values)?;
        reductions::<f32>(shape, &values)
    });
}

#[test]
fn products_scale() {
    holds(&(drawn(3), drawn(3)), |(a, b)| {
        products::<f64>(&a, &b)?;
        products::<f32>(&a, &b)
    });
}

#[test]
fn lengths_of_pairs_scale() {
    let both = (1..9usize).prop_flat_map(|n| (drawn(n), drawn(n)));
    holds(&both, |(a, b)| {
        pairs::<f64>(&a, &b)?;
        pairs::<f32>(&a, &b)
    });
}
