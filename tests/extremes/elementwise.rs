//! Functions of one and two elements, and losses, at the ends of the range and near poles.
//!
//! What must hold: a value, slope or second derivative that a type can hold has its digits, and at an infinity or a kink
//! the limit or the one documented subgradient, in every order.

use crate::scaling::homogeneous;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, PI};
use tapegrad::prelude::*;

const INF: f64 = f64::INFINITY;

type One<T> = fn(&Tensor<T>) -> Tensor<T>;
type Two<T> = fn(&Tensor<T>, &Tensor<T>) -> Result<Tensor<T>>;

/// Functions of one element.
fn one<T: Float>() -> Vec<(&'static str, One<T>)> {
    vec![
        ("asinh", |x| x.asinh()),
        ("acosh", |x| x.acosh()),
        ("atanh", |x| x.atanh()),
        ("asin", |x| x.asin()),
        ("acos", |x| x.acos()),
        ("atan", |x| x.atan()),
        ("tanh", |x| x.tanh()),
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus()),
        ("log_sigmoid", |x| x.log_sigmoid()),
        ("silu", |x| x.silu()),
        ("gelu", |x| x.gelu()),
        ("erf", |x| x.erf()),
        ("erfc", |x| x.erfc()),
        ("exp", |x| x.exp()),
        ("expm1", |x| x.expm1()),
        ("elu", |x| x.elu(1.0)),
        ("sinh", |x| x.sinh()),
        ("cosh", |x| x.cosh()),
        ("log", |x| x.log()),
        ("log2", |x| x.log2()),
        ("log10", |x| x.log10()),
        ("log1p", |x| x.log1p()),
        ("sqrt", |x| x.sqrt()),
        ("rsqrt", |x| x.rsqrt()),
        ("reciprocal", |x| x.reciprocal()),
        ("abs", |x| x.abs()),
        ("relu", |x| x.relu()),
        ("leaky_relu of 0", |x| x.leaky_relu(0.0)),
        ("lgamma", |x| x.lgamma()),
        ("digamma", |x| x.digamma()),
        ("clamp", |x| x.clamp(-1.0, 1.0)),
        ("huber_loss", |x| x.huber_loss(&Tensor::scalar(T::ZERO), 0.5).unwrap() * T::of(x.numel() as f64)),
    ]
}

/// Functions of two elements.
fn two<T: Float>() -> Vec<(&'static str, Two<T>)> {
    vec![
        ("hypot", |a, b| a.hypot(b)),
        ("atan2", |a, b| a.atan2(b)),
        ("logaddexp", |a, b| a.logaddexp(b)),
        ("logit_loss", |x, t| x.binary_cross_entropy_with_logits(t)),
        ("pow", |a, b| a.pow(b)),
        ("xlogy", |a, b| a.xlogy(b)),
        ("maximum", |a, b| a.maximum(b)),
        ("minimum", |a, b| a.minimum(b)),
        ("div", |a, b| a.try_div(b)),
        ("huber_loss", |a, b| a.huber_loss(b, 0.5)),
    ]
}

fn named<F: Copy>(list: &[(&'static str, F)], name: &str) -> F {
    list.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name} is in no list")).1
}

/// Value, slopes and second derivatives of the sum of f: of one variable f, f', f''; of two f, the gradient, and the
/// Hessian row by row. The slopes of first order alone, which are formed in one pass, are asserted to be close to them.
fn derivatives<T: Float>(
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>>,
    at: &[&[f64]],
) -> Result<Vec<Vec<f64>>> {
    let tensor = |x: &&[f64]| Tensor::from_vec(x.iter().map(|&x| T::of(x)).collect(), [x.len()]);
    let x = at.iter().map(tensor).collect::<Result<Vec<_>>>()?;
    let x: Vec<_> = x.into_iter().map(|x| x.requires_grad()).collect();
    let wrt: Vec<&Tensor<T>> = x.iter().collect();
    let numbers = |x: &Tensor<T>| x.to_vec().into_iter().map(|x| x.to_f64()).collect::<Vec<_>>();
    let slopes = |y: &Tensor<T>, create_graph: bool| -> Result<Vec<Tensor<T>>> {
        let options = GradOptions { create_graph, retain_graph: true, ..Default::default() };
        let slopes = grad_with(&y.sum(), &wrt, options)?;
        Ok(slopes.into_iter().zip(&x).map(|(s, x)| s.unwrap_or_else(|| x.zeros_like())).collect())
    };
    let y = f(&x)?;
    let first = slopes(&y, true)?;
    for (alone, recorded) in slopes(&y, false)?.iter().zip(&first) {
        for (alone, recorded) in numbers(alone).into_iter().zip(numbers(recorded)) {
            let close = (alone - recorded).abs() <= 8.0 * T::EPSILON.to_f64() * recorded.abs() + least::<T>();
            assert!(
                alone == recorded || close || alone.is_nan() == recorded.is_nan(),
                "{alone:e}, {recorded:e}"
            );
        }
    }
    let mut found = vec![numbers(&y)];
    found.extend(first.iter().map(numbers));
    for slope in &first {
        // A slope that is constant has no graph.
        let second =
            if slope.is_tracked() { slopes(slope, false)? } else { vec![slope.zeros_like(); x.len()] };
        found.extend(second.iter().map(numbers));
    }
    Ok(found)
}

/// What rounding may do where numbers are below the normal range.
fn least<T: Float>() -> f64 {
    if T::DTYPE == DType::F32 { 16.0 * 1.4e-45 } else { 16.0 * 5e-324 }
}

fn largest<T: Float>() -> f64 {
    if T::DTYPE == DType::F32 { f32::MAX.into() } else { f64::MAX }
}

/// Whether `found` is `expected` in type `T`, but for so many units of its epsilon.
fn agree<T: Float>(found: f64, expected: f64, units: f64) -> bool {
    if expected.is_nan() || expected.abs() > largest::<T>() {
        return found == T::of(expected).to_f64() || (expected.is_nan() && found.is_nan());
    }
    (found - expected).abs() <= units * T::EPSILON.to_f64() * expected.abs() + least::<T>()
}

/// A line of the table: the function, its arguments, and what follows them.
fn table<T: Float>() -> Vec<(&'static str, Vec<f64>)> {
    let lines = include_str!("elementwise.txt").lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let (name, numbers) = line.split_once(' ').unwrap();
        (name, numbers.split(' ').map(|x| x.parse().unwrap()).collect::<Vec<f64>>())
    });
    let held = |x: f64| T::of(x).to_f64() == x && (x == 0.0 || x.abs() > 1.2e-38 || T::DTYPE == DType::F64);
    lines.filter(|(_, x)| x[..if x.len() == 4 { 1 } else { 2 }].iter().all(|&x| held(x))).collect()
}

/// How many units of epsilon f of x may be off. An argument of the normal distribution is rounded on the way, and its
/// condition there is x^2.
fn units(name: &str, x: f64) -> f64 {
    match name {
        "erf" | "erfc" => 8.0 + 3.0 * x * x,
        // A slope near its zero is a difference of terms ten times as large.
        "gelu" => 16.0 + 3.0 * x * x,
        _ => 8.0,
    }
}

fn known_values<T: Float>() -> Result<()> {
    let (one, two, table) = (one::<T>(), two::<T>(), table::<T>());
    let mut wrong = Vec::new();
    let mut check = |name: &str, x: &[f64], part: usize, found: f64, expected: f64| {
        if !agree::<T>(found, expected, units(name, x[0])) {
            wrong.push(format!("{name} {:?} {x:?} part {part}: {found:e}, not {expected:e}", T::DTYPE));
        }
    };
    for (name, f) in &one {
        let lines: Vec<_> = table.iter().filter(|(n, x)| n == name && x.len() == 4).collect();
        let x: Vec<f64> = lines.iter().map(|(_, x)| x[0]).collect();
        if lines.is_empty() {
            continue;
        }
        let found = derivatives(|x| Ok(f(&x[0])), &[&x])?;
        for (k, (_, expected)) in lines.iter().enumerate() {
            (0..3).for_each(|part| check(name, &[x[k]], part, found[part][k], expected[1 + part]));
        }
    }
    for (name, x) in table.iter().filter(|(_, x)| x.len() > 4) {
        let f = named(&two, name);
        let found = derivatives(|x| f(&x[0], &x[1]), &[&x[..1], &x[1..2]])?;
        let expected = [x[2], x[3], x[4], x[5], x[6], x[6], x[7]];
        for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
            check(name, &x[..2], part, found[0], expected);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn values_slopes_and_second_derivatives_over_the_range() -> Result<()> {
    known_values::<f64>()?;
    known_values::<f32>()
}

/// A function of one element at an infinity: value, slope, second derivative.
const AT_INFINITY: &[(&str, f64, [f64; 3])] = &[
    ("silu", -INF, [0.0, 0.0, 0.0]),
    ("silu", INF, [INF, 1.0, 0.0]),
    ("gelu", -INF, [0.0, 0.0, 0.0]),
    ("gelu", INF, [INF, 1.0, 0.0]),
    ("elu", -INF, [-1.0, 0.0, 0.0]),
    ("elu", INF, [INF, 1.0, 0.0]),
    ("softplus", -INF, [0.0, 0.0, 0.0]),
    ("softplus", INF, [INF, 1.0, 0.0]),
    ("log_sigmoid", -INF, [-INF, 1.0, 0.0]),
    ("log_sigmoid", INF, [0.0, 0.0, 0.0]),
    ("sigmoid", -INF, [0.0, 0.0, 0.0]),
    ("sigmoid", INF, [1.0, 0.0, 0.0]),
    ("tanh", -INF, [-1.0, 0.0, 0.0]),
    ("tanh", INF, [1.0, 0.0, 0.0]),
    ("erf", -INF, [-1.0, 0.0, 0.0]),
    ("erf", INF, [1.0, 0.0, 0.0]),
    ("erfc", -INF, [2.0, 0.0, 0.0]),
    ("erfc", INF, [0.0, 0.0, 0.0]),
    ("exp", -INF, [0.0, 0.0, 0.0]),
    ("expm1", -INF, [-1.0, 0.0, 0.0]),
    ("asinh", -INF, [-INF, 0.0, 0.0]),
    ("asinh", INF, [INF, 0.0, 0.0]),
    ("acosh", INF, [INF, 0.0, 0.0]),
    ("acosh", 1.0, [0.0, INF, -INF]),
    ("atanh", 1.0, [INF, INF, INF]),
    ("atanh", -1.0, [-INF, INF, -INF]),
    ("atan", -INF, [-FRAC_PI_2, 0.0, 0.0]),
    ("atan", INF, [FRAC_PI_2, 0.0, 0.0]),
    ("log", INF, [INF, 0.0, 0.0]),
    ("log2", INF, [INF, 0.0, 0.0]),
    ("log10", INF, [INF, 0.0, 0.0]),
    ("log1p", INF, [INF, 0.0, 0.0]),
    ("sqrt", INF, [INF, 0.0, 0.0]),
    ("rsqrt", INF, [0.0, 0.0, 0.0]),
    ("reciprocal", -INF, [0.0, 0.0, 0.0]),
    ("lgamma", INF, [INF, INF, 0.0]),
    ("digamma", INF, [INF, 0.0, 0.0]),
    ("abs", -INF, [INF, -1.0, 0.0]),
    ("relu", -INF, [0.0, 0.0, 0.0]),
    ("relu", INF, [INF, 1.0, 0.0]),
    ("leaky_relu of 0", -INF, [0.0, 0.0, 0.0]),
    ("leaky_relu of 0", INF, [INF, 1.0, 0.0]),
    ("clamp", -INF, [-1.0, 0.0, 0.0]),
    ("huber_loss", -INF, [INF, -0.5, 0.0]),
    ("huber_loss", INF, [INF, 0.5, 0.0]),
];

/// A function of two elements where one is infinite: value and gradient.
const TWO_AT_INFINITY: &[(&str, [f64; 2], [f64; 3])] = &[
    ("pow", [INF, -1.0], [0.0, 0.0, 0.0]),
    ("pow", [INF, -0.5], [0.0, 0.0, 0.0]),
    ("pow", [INF, -INF], [0.0, 0.0, 0.0]),
    ("pow", [INF, 2.0], [INF, INF, INF]),
    ("pow", [0.5, INF], [0.0, 0.0, 0.0]),
    ("pow", [0.0, INF], [0.0, 0.0, 0.0]),
    ("pow", [2.0, -INF], [0.0, 0.0, 0.0]),
    ("pow", [2.0, INF], [INF, INF, INF]),
    ("pow", [0.5, -INF], [INF, -INF, -INF]),
    ("hypot", [INF, 1.0], [INF, 1.0, 0.0]),
    ("hypot", [-2.0, -INF], [INF, 0.0, -1.0]),
    ("hypot", [-INF, INF], [INF, -FRAC_1_SQRT_2, FRAC_1_SQRT_2]),
    ("atan2", [INF, 1.0], [FRAC_PI_2, 0.0, 0.0]),
    ("atan2", [1.0, -INF], [PI, 0.0, 0.0]),
    ("atan2", [INF, INF], [FRAC_PI_2 / 2.0, 0.0, 0.0]),
    ("logaddexp", [-INF, -INF], [-INF, 0.5, 0.5]),
    ("logaddexp", [INF, INF], [INF, 0.5, 0.5]),
    ("logaddexp", [INF, 1.0], [INF, 1.0, 0.0]),
    ("logaddexp", [1.0, -INF], [1.0, 1.0, 0.0]),
    ("logaddexp", [-INF, INF], [INF, 0.0, 1.0]),
    ("xlogy", [0.0, INF], [0.0, INF, 0.0]),
    ("xlogy", [2.0, INF], [INF, INF, 0.0]),
    ("logit_loss", [INF, 0.0], [INF, 1.0, -INF]),
    ("logit_loss", [INF, 1.0], [0.0, 0.0, -INF]),
    ("logit_loss", [-INF, 0.0], [0.0, 0.0, INF]),
    ("logit_loss", [-INF, 1.0], [INF, -1.0, INF]),
    ("maximum", [INF, 1.0], [INF, 1.0, 0.0]),
    ("minimum", [-INF, -INF], [-INF, 0.5, 0.5]),
    ("div", [1.0, INF], [0.0, 0.0, 0.0]),
    ("huber_loss", [INF, 1.0], [INF, 0.5, -0.5]),
    ("huber_loss", [3.0, INF], [INF, -0.5, 0.5]),
];

fn limits<T: Float>() -> Result<()> {
    let (one, two) = (one::<T>(), two::<T>());
    for (name, x, expected) in AT_INFINITY {
        let found = derivatives(|x| Ok(named(&one, name)(&x[0])), &[&[*x]])?;
        let right = (0..3).all(|k| agree::<T>(found[k][0], expected[k], 4.0));
        assert!(right, "{name} {:?} at {x}: {found:?}, not {expected:?}", T::DTYPE);
    }
    for (name, [a, b], expected) in TWO_AT_INFINITY {
        let found = derivatives(|x| named(&two, name)(&x[0], &x[1]), &[&[*a], &[*b]])?;
        let right = (0..3).all(|k| agree::<T>(found[k][0], expected[k], 4.0));
        assert!(right, "{name} {:?} at {a}, {b}: {found:?}, not {expected:?}", T::DTYPE);
    }
    Ok(())
}

#[test]
fn limits_at_infinities() -> Result<()> {
    limits::<f64>()?;
    limits::<f32>()
}

/// Where a function has a kink, one subgradient is taken, the same in every order: value, gradient and Hessian.
#[test]
fn kinks_have_one_subgradient_in_every_order() -> Result<()> {
    let one: [(&str, One<f64>, f64, [f64; 3]); 14] = [
        ("abs", |x| x.abs(), 0.0, [0.0; 3]),
        ("|x|^2", |x| x.abs().square(), 0.0, [0.0; 3]),
        ("x |x|", |x| x * x.abs(), 0.0, [0.0; 3]),
        ("x sign x", |x| x * x.sign(), 0.0, [0.0; 3]),
        ("relu", |x| x.relu(), 0.0, [0.0; 3]),
        ("relu^2", |x| x.relu().square(), 0.0, [0.0; 3]),
        ("leaky_relu", |x| x.leaky_relu(0.5), 0.0, [0.0, 0.5, 0.0]),
        ("clamp", |x| x.clamp(-1.0, 1.0).square(), 1.0, [1.0, 0.0, 0.0]),
        ("huber", |x| x.huber_loss(&Tensor::scalar(0.0), 1.0).unwrap(), 1.0, [0.5, 1.0, 0.0]),
        ("huber at 0", |x| x.huber_loss(&Tensor::scalar(0.0), 1.0).unwrap(), 0.0, [0.0, 0.0, 1.0]),
        ("norm", |x| x.vector_norm(2.0, 0, false).unwrap().square(), 0.0, [0.0; 3]),
        ("1-norm", |x| x.vector_norm(1.0, 0, false).unwrap().square(), 0.0, [0.0; 3]),
        ("largest", |x| x.vector_norm(INF, 0, false).unwrap().square(), 0.0, [0.0; 3]),
        (
            "|x| in a norm",
            |x| Tensor::stack(&[&x.abs(), &x.cos()], 0).unwrap().vector_norm(2.0, 0, false).unwrap(),
            0.0,
            [1.0, 0.0, -1.0],
        ),
    ];
    for (name, f, x, expected) in one {
        let found = derivatives(|x| Ok(f(&x[0])), &[&[x]])?;
        assert!((0..3).all(|k| found[k][0] == expected[k]), "{name}: {found:?}, not {expected:?}");
    }
    let two = two::<f64>();
    for (name, [a, b], expected) in [
        ("hypot", [0.0, 0.0], [0.0; 7]),
        ("hypot", [-0.0, 0.0], [0.0; 7]),
        ("atan2", [0.0, 0.0], [0.0; 7]),
        ("pow", [0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        ("pow", [0.0, 0.5], [0.0, INF, 0.0, -INF, 0.0, 0.0, 0.0]),
        ("pow", [0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        ("pow", [0.0, 2.0], [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]),
        ("pow", [0.0, 3.0], [0.0; 7]),
        ("maximum", [2.0, 2.0], [2.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]),
    ] {
        let found = derivatives(|x| named(&two, name)(&x[0], &x[1]), &[&[a], &[b]])?;
        assert!(
            (0..7).all(|k| found[k][0] == expected[k]),
            "{name} at {a}, {b}: {found:?}, not {expected:?}"
        );
    }
    Ok(())
}

/// a = q b + rest with an integer q, and the slope of the rest by b is -q.
fn quotients<T: Float>() -> Result<()> {
    let drawn = |scale: f64| (Tensor::<f64>::randn([4000]).to_type::<T>() * T::of(scale)).to_vec();
    let mut a: Vec<T> = [5.3, 4.7, 3.1, 0.3, 0.9, 1.0, 6.0, -0.7].map(T::of).to_vec();
    let mut b: Vec<T> = [0.7, 0.9, 0.6, 0.1, 0.3, 0.1, 3.0, 0.1].map(T::of).to_vec();
    a.extend(drawn(5.0));
    b.extend(drawn(1.0));
    let n = a.len();
    let (ta, tb) = (Tensor::from_vec(a.clone(), [n])?, Tensor::from_vec(b.clone(), [n])?);
    let slope = |f: Two<T>| -> Result<Vec<T>> {
        Ok(value_and_grad(|b: &Tensor<T>| Ok(f(&ta, b)?.sum()), &tb)?.1.to_vec())
    };
    let (truncated, floored) = (slope(|a, b| a.fmod(b))?, slope(|a, b| a.remainder(b))?);
    let (fmod, quotient) = (ta.fmod(&tb)?.to_vec(), ta.floor_divide(&tb)?.to_vec());
    for k in 0..n {
        // What fmod leaves is exact, and so is the sum that rounds once.
        let q = -truncated[k];
        assert!(
            q.round_ties_even() == q && (-q).mul_add(b[k], a[k]) == fmod[k],
            "fmod {} {}: {q}",
            a[k],
            b[k]
        );
        let below = fmod[k] != T::ZERO && (fmod[k] < T::ZERO) != (b[k] < T::ZERO);
        let q = if below { q - T::ONE } else { q };
        assert!(-floored[k] == q && quotient[k] == q, "remainder {} {}: {}, not {q}", a[k], b[k], floored[k]);
    }
    Ok(())
}

#[test]
fn slopes_of_remainders_are_quotients() -> Result<()> {
    manual_seed(7);
    quotients::<f64>()?;
    quotients::<f32>()
}

/// Python's a // b and a % b, and C's fmod, with the signs of zeros.
fn divisions<T: Float>() -> Result<()> {
    const NAN: f64 = f64::NAN;
    for (a, b, expected) in [
        (-1.0, INF, [-1.0, INF, -1.0]),
        (1.0, -INF, [-1.0, -INF, 1.0]),
        (1.0, INF, [0.0, 1.0, 1.0]),
        (-1.0, -INF, [0.0, -1.0, -1.0]),
        (0.0, INF, [0.0, 0.0, 0.0]),
        (-0.0, INF, [-0.0, 0.0, -0.0]),
        (0.0, -3.0, [-0.0, -0.0, 0.0]),
        (INF, 2.0, [NAN, NAN, NAN]),
        (INF, INF, [NAN, NAN, NAN]),
        (1.0, NAN, [NAN, NAN, NAN]),
        (1.0, 0.0, [INF, NAN, NAN]),
        (-6.0, 3.0, [-2.0, 0.0, -0.0]),
        (6.0, -3.0, [-2.0, -0.0, 0.0]),
        (-7.5, 2.0, [-4.0, 0.5, -1.5]),
        (7.5, -2.0, [-4.0, -0.5, 1.5]),
        (-1e-30, 3.0, [-1.0, 3.0, -1e-30]),
    ] {
        let (a, b) = (Tensor::from([T::of(a)]), Tensor::from([T::of(b)]));
        let found = [a.floor_divide(&b)?, a.remainder(&b)?, a.fmod(&b)?];
        for (found, expected) in found.iter().zip(expected) {
            let (found, expected) = (found.item()?.to_f64(), T::of(expected).to_f64());
            let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(same, "{a} by {b}: {found}, not {expected}");
        }
    }
    // Far beyond where all integers are numbers.
    let (a, b) = (T::of(1e30), T::of(3e-5));
    let q = Tensor::from([a]).floor_divide(Tensor::from([b]))?.item()?;
    assert!(agree::<T>(q.to_f64(), (a / b).to_f64(), 4.0), "{q}");
    // 1 % inf is 1 + 0 inf, and -1 % inf is -1 + inf: the slope by the divisor.
    let a = Tensor::from([T::of(1.0), T::of(-1.0)]);
    let f = |b: &Tensor<T>| Ok(a.remainder(b)?.sum());
    let (_, slope) = value_and_grad(f, &Tensor::full([2], T::INFINITY))?;
    assert_eq!(slope.to_vec(), [T::ZERO, T::ONE]);
    Ok(())
}

#[test]
fn division_by_infinities_and_signs_of_zeros() -> Result<()> {
    divisions::<f64>()?;
    divisions::<f32>()
}

/// e^-x for a winner that is x above the one other class: what its loss and the derivatives are made of.
fn winner<T: Float>(x: f64) -> Result<()> {
    let e = (-T::of(x).to_f64()).exp();
    let (loss, p) = (e.ln_1p(), e / (1.0 + e));
    let name = format!("{:?} {x}", T::DTYPE);
    let check = |what: &str, found: &[f64], expected: &[f64]| {
        let right = found.iter().zip(expected).all(|(&f, &e)| agree::<T>(f, e, 8.0));
        assert!(right && found.len() == expected.len(), "{what} {name}: {found:?}, not {expected:?}");
    };
    let logits = [x, 0.0];
    let entropy = |x: &[Tensor<T>]| x[0].reshape([1, 2])?.cross_entropy(Tensor::from([0]));
    let picked = |x: &[Tensor<T>]| x[0].log_softmax(0)?.neg().select(0, 0);
    type Loss<'a, T> = &'a dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>>;
    let losses: [(&str, Loss<T>); 2] = [("cross_entropy", &entropy), ("log_softmax", &picked)];
    for (what, f) in losses {
        let found = derivatives(f, &[&logits])?;
        check(what, &found[0], &[loss]);
        check(what, &found[1], &[-p, p]);
        let h = hessian(|x: &Tensor<T>| f(std::slice::from_ref(x)), &Tensor::from([T::of(x), T::ZERO]))?;
        let h: Vec<f64> = h.to_vec().into_iter().map(|x| x.to_f64()).collect();
        let curve = p * (1.0 - p);
        check(what, &h, &[curve, -curve, -curve, curve]);
    }
    let softmax = derivatives(|x: &[Tensor<T>]| x[0].softmax(0)?.select(0, 0), &[&logits])?;
    check("softmax", &softmax[1], &[p * (1.0 - p), -p * (1.0 - p)]);
    let h = hessian(|x: &Tensor<T>| x.softmax(0)?.select(0, 0), &Tensor::from([T::of(x), T::ZERO]))?;
    let curve = p * (1.0 - p) * (1.0 - 2.0 * p);
    let h: Vec<f64> = h.to_vec().into_iter().map(|x| x.to_f64()).collect();
    check("softmax", &h, &[-curve, curve, curve, -curve]);
    let sum = derivatives(|x: &[Tensor<T>]| x[0].logsumexp(0, false), &[&[0.0, -x]])?;
    check("logsumexp", &sum[0], &[loss]);
    Ok(())
}

#[test]
fn a_clear_winner_keeps_the_digits_of_its_loss() -> Result<()> {
    for x in [0.1, 0.5, 2.0, 12.0, 20.0, 40.0, 80.0] {
        winner::<f64>(x)?;
        winner::<f32>(x)?;
    }
    // Ties, rows of several, and rows of which nothing is left.
    let x = Tensor::from([[3.0, 3.0, 3.0], [40.0, 0.0, 0.0], [-INF, -INF, -INF], [1.0, -INF, 1.0]]);
    let sums = x.logsumexp(1, false)?.to_vec();
    let expected = [3.0 + 3f64.ln(), 40.0, -INF, 1.0 + 2f64.ln()];
    assert!(sums.iter().zip(expected).all(|(&f, e)| f == e || agree::<f64>(f, e, 4.0)), "{sums:?}");
    let logs = x.log_softmax(1)?.select(1, 0)?.to_vec();
    let expected = [-(3f64.ln()), -(2.0 * (-40f64).exp()), f64::NAN, -(2f64.ln())];
    assert!(logs.iter().zip(expected).all(|(&f, e)| agree::<f64>(f, e, 4.0)), "{logs:?}");
    Ok(())
}

#[test]
fn huber_loss_of_infinite_residuals() -> Result<()> {
    let x = Tensor::from([1.0, INF, -INF, 0.25]);
    let f = |x: &Tensor| x.huber_loss(&Tensor::zeros([4]), 0.5);
    let (value, slope) = value_and_grad(f, &x)?;
    assert_eq!((value.item()?, slope.to_vec()), (INF, vec![0.125, 0.125, -0.125, 0.0625]));
    let h = hessian(f, &x)?.diagonal(0, 0, 1)?;
    assert_eq!(h.to_vec(), [0.0, 0.0, 0.0, 0.25]);
    Ok(())
}

/// Any order takes bounded work and is finite where its value is.
#[test]
fn polygamma_of_any_order() -> Result<()> {
    let x = Tensor::from([100.0, 1.5, -0.3, 4e9]);
    let found = x.polygamma(200).to_vec();
    assert!(agree::<f64>(found[0], -9.125424691096223e-28, 1000.0), "{found:?}");
    assert_eq!(found[1..], [-INF, INF, 0.0]);
    let (_, slope) = value_and_grad(|x: &Tensor| Ok(x.polygamma(199).sum()), &x)?;
    assert_eq!(slope.to_vec()[0], found[0]);
    for n in [1 << 20, 1 << 31, u32::MAX] {
        let (_, slope) = value_and_grad(|x: &Tensor| Ok(x.polygamma(n).sum()), &x)?;
        assert!(slope.to_vec().iter().all(|s| !s.is_nan()));
    }
    Ok(())
}

/// Norms, absolute values and what is between them, at vectors with zeros: the Hessian is what PyTorch has, and where
/// that has NaN, at a vector of zeros, it is 0.
#[test]
fn norms_at_zeros_have_no_second_order_of_the_kink() -> Result<()> {
    type Function = fn(&Tensor, f64) -> Result<Tensor>;
    let square: Function = |x, p| Ok(x.vector_norm(p, 0, false)?.square());
    let plain: Function = |x, p| x.vector_norm(p, 0, false);
    let absolute: Function = |x, p| x.abs().vector_norm(p, 0, false);
    let rows: Function = |x, p| Ok(x.diag_embed(0)?.abs().vector_norm(p, 1, false)?.square().sum());
    let stacked: Function = |x, p| {
        let norms = Tensor::stack(&[&x.vector_norm(p, 0, false)?, &x.abs().vector_norm(p, 0, false)?], 0)?;
        Ok(norms.diag_embed(0)?.abs().square().sum())
    };
    let (none, last) = ([0.0; 4], [0.0, 0.0, 0.0, 2.0]);
    for (name, f, p, x, expected) in [
        ("square", square, 1.0, [0.0, 2.0], last),
        ("square", square, 2.0, [0.0, 2.0], [2.0, 0.0, 0.0, 2.0]),
        ("square", square, 3.0, [0.0, 2.0], last),
        ("square", square, INF, [0.0, 2.0], last),
        ("square", square, -INF, [0.0, 2.0], none),
        ("plain", plain, 1.0, [0.0, 2.0], none),
        ("plain", plain, 2.0, [0.0, 2.0], [0.5, 0.0, 0.0, 0.0]),
        ("plain", plain, 3.0, [0.0, 2.0], none),
        ("absolute", absolute, 1.0, [0.0, 2.0], none),
        ("absolute", absolute, 2.0, [0.0, 2.0], none),
        ("absolute", absolute, 3.0, [0.0, 2.0], none),
        ("rows", rows, 1.0, [0.0, 2.0], last),
        ("rows", rows, 2.0, [0.0, 2.0], last),
        ("rows", rows, 3.0, [0.0, 2.0], last),
        ("rows", rows, INF, [0.0, 2.0], last),
        ("stacked", stacked, 2.0, [0.0, 2.0], [2.0, 0.0, 0.0, 4.0]),
    ] {
        let h = hessian(|x: &Tensor| f(x, p), &Tensor::from(x))?.to_vec();
        let right = h.iter().zip(expected).all(|(h, e)| (h - e).abs() <= 1e-15);
        assert!(right, "{name} {p} {x:?}: {h:?}, not {expected:?}");
    }
    for p in [1.0, 2.0, 3.0, INF, -INF] {
        for f in [square, plain, absolute, rows, stacked] {
            for x in [[0.0, 0.0], [-0.0, 0.0]] {
                assert_eq!(hessian(|x: &Tensor| f(x, p), &Tensor::from(x))?.to_vec(), none, "{p}");
                let v = Tensor::from([1.0, -2.0]);
                assert_eq!(hvp(|x: &Tensor| f(x, p), &Tensor::from(x), &v)?.to_vec(), [0.0; 2], "{p}");
            }
        }
    }
    Ok(())
}

/// Lengths and angles of vectors that are scaled: f(c x) = c^k f(x), and the slopes likewise.
fn lengths<T: Float>() -> Result<()> {
    let vector = |x: [f64; 3]| Tensor::from_vec(x.map(T::of).to_vec(), [3]);
    let x = [vector([0.3, -1.7, 0.9])?, vector([0.4, 0.2, -2.5])?];
    homogeneous("hypot", |x| x[0].hypot(&x[1]), &x, &[1, 1], 1)?;
    homogeneous("atan2", |x| x[0].atan2(&x[1]), &x, &[1, 1], 0)?;
    homogeneous("maximum", |x| x[0].maximum(&x[1]), &x, &[1, 1], 1)?;
    homogeneous("abs", |x| Ok(x[0].abs()), &x[..1], &[1], 1)?;
    homogeneous("fmod", |x| x[0].fmod(&x[1]), &x, &[1, 1], 1)?;
    homogeneous("remainder", |x| x[0].remainder(&x[1]), &x, &[1, 1], 1)
}

#[test]
fn lengths_scale() -> Result<()> {
    lengths::<f64>()?;
    lengths::<f32>()
}
