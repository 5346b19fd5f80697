//! What derivatives mean where values are constant or read as numbers.

use tapegrad::linalg::SparseJacobian;
use tapegrad::prelude::*;
use tapegrad::{jvp_batched, vjp_batched};

/// What reads, and a function in which it does.
type Losing = (&'static str, fn(&Tensor) -> Result<Tensor>);

/// Functions that lose a variable by reading it.
const LOSING: &[Losing] = &[
    ("get", |x| Ok(Tensor::scalar(x.get([0])? * 2.0))),
    ("item", |x| Ok(Tensor::scalar(x.sum().item()?))),
    ("to_vec", |x| Ok(Tensor::from(x.to_vec()).sum())),
    ("into_vec", |x| Ok(Tensor::from(x.clone().into_vec()).sum())),
    ("as_slice", |x| Ok(Tensor::scalar(x.as_slice().map_or(0.0, |x| x[0])))),
    ("as_ndarray", |x| Ok(Tensor::scalar(x.as_ndarray()[[0]]))),
    ("into_ndarray", |x| Ok(Tensor::from_ndarray(x.exp().into_ndarray()).sum())),
    ("item", |x| {
        Ok(Tensor::scalar(value_and_grad(|w| Ok(w.square()), &Tensor::scalar(x.sum().item()?))?.1.item()?))
    }),
    // Read within a transform that knows nothing of x.
    ("item", |x| {
        let (_, slope) = value_and_grad(|w| Ok(w * x.sum().item()?), &Tensor::scalar(1.0))?;
        Ok(slope)
    }),
];

#[test]
fn a_variable_that_was_read_and_lost_is_an_error_on_its_line() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]);
    let refused = |what: &str, found: Result<()>| {
        let error = found.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Graph, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(what) && text.contains("tests/extremes/engine.rs"), "{what}: {text}");
    };
    for &(what, f) in LOSING {
        refused(what, value_and_grad(f, &x).map(drop));
        refused(what, jacobian(f, &x).map(drop));
        refused(what, hessian(f, &x).map(drop));
        refused(what, hvp(f, &x, &x).map(drop));
        refused(what, jvp(f, &x, &x).map(drop));
        refused(what, vjp(f, &x, &Tensor::scalar(1.0)).map(drop));
        refused(what, vjp_batched(f, &x, &Tensor::ones([2, 1])).map(drop));
        refused(what, jvp_batched(f, &x, &Tensor::ones([3, 2])).map(drop));
        // One of several variables.
        let two = |[a, b]: &[Tensor; 2]| Ok(a.sum() + f(b)?);
        refused(what, value_and_grad(two, &[x.clone(), x.clone()]).map(drop));
    }
    Ok(())
}

#[test]
fn reading_is_free_where_gradients_flow_and_where_zero_is_meant() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]);
    let slope = |f: fn(&Tensor) -> Result<Tensor>| value_and_grad(f, &x).map(|(_, g)| g.to_vec());
    // A branch, a scale and a printed loss.
    let branch = slope(|x| if x.get([0])? > 0.0 { Ok(x.square().sum()) } else { Ok(x.sum()) })?;
    assert_eq!(branch, [2.0, 4.0]);
    let scaled = slope(|x| Ok((x / x.max()?.item()?).sum()))?;
    assert_eq!(scaled, [0.5, 0.5]);
    // Constants of the function, detached readings, no_grad.
    assert_eq!(slope(|_| Ok(Tensor::scalar(3.0)))?, [0.0, 0.0]);
    assert_eq!(slope(|x| Ok(Tensor::scalar(x.detach().get([0])?)))?, [0.0, 0.0]);
    assert_eq!(slope(|x| Ok(Tensor::scalar(no_grad(|| x.sum().item())?)))?, [0.0, 0.0]);
    // A tensor that is no variable.
    let w = Tensor::scalar(2.0).requires_grad();
    let (_, slope) = value_and_grad(|_| Ok(Tensor::scalar(w.item()?)), &x)?;
    assert_eq!(slope.to_vec(), [0.0, 0.0]);
    Ok(())
}

/// A pattern, a function and whether the pattern holds its Jacobian.
type Pattern = (&'static str, fn() -> Result<SparseTensor>, fn(&Tensor) -> Result<Tensor>, bool);

const PATTERNS: &[Pattern] = &[
    ("a full Jacobian, a diagonal pattern", || SparseTensor::eye(3), |x| Ok(x * x.sum()), false),
    (
        "one element beside the diagonal",
        || SparseTensor::eye(3),
        |x| x.roll([1], [0])?.try_mul(&Tensor::from([0.0, 0.0, 1e-3]))?.try_add(x),
        false,
    ),
    (
        "a column that is not in the pattern",
        || tall([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]),
        |x| Tensor::cat(&[x, x], 0),
        false,
    ),
    ("a diagonal one", || SparseTensor::eye(3), |x| Ok(x.sin()), true),
    (
        "elements that are zero here",
        || tall([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]),
        |x| Tensor::cat(&[x, x], 0),
        true,
    ),
    (
        "two columns",
        || tall([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]),
        |x| Tensor::cat(&[&x.exp(), x], 0),
        true,
    ),
    (
        "sizes far apart",
        || SparseTensor::eye(3),
        |x| x.exp().try_mul(&Tensor::from([1e-30, 1.0, 1e30])),
        true,
    ),
];

fn tall(rows: [[f64; 2]; 4]) -> Result<SparseTensor> {
    SparseTensor::from_dense(&Tensor::from(rows))
}

#[test]
fn a_pattern_that_misses_elements_is_an_error_where_it_is_checked() -> Result<()> {
    for &(name, pattern, f, holds) in PATTERNS {
        let pattern = pattern()?;
        let x = linspace(0.5, 1.5, pattern.shape()[1])?;
        let plan = SparseJacobian::new(&pattern)?.checked(true);
        match plan.evaluate(f, &x) {
            Ok(j) => {
                assert!(holds, "{name}");
                assert_eq!(j.to_dense()?.to_vec(), jacobian(f, &x)?.to_vec(), "{name}");
            }
            Err(e) => assert!(!holds && e.to_string().contains("outside of the pattern"), "{name}: {e}"),
        }
        plan.checked(false).evaluate(f, &x)?;
    }
    Ok(())
}
