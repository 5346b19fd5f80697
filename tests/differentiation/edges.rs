//! Where the mathematics is undefined, ambiguous or numerically dangerous: the answers that are
//! promised. They are PyTorch's, except where a comment says otherwise.

use tapegrad::prelude::*;

/// Value, gradients and second derivatives (of the sum of the first, in every variable) of a function
/// of scalars.
fn at<const N: usize>(
    f: impl Fn(&[Tensor; N]) -> Result<Tensor>,
    x: [f64; N],
) -> Result<(f64, [f64; N], [[f64; N]; N])> {
    let x = x.map(|x| Tensor::scalar(x).requires_grad());
    let y = f(&x)?;
    let wrt: Vec<&Tensor> = x.iter().collect();
    let create = || GradOptions { create_graph: true, ..Default::default() };
    let zero = || Tensor::scalar(0.0);
    let slopes = grad_with(&y, &wrt, create())?;
    let mut first = [0.0; N];
    let mut second = [[0.0; N]; N];
    for (i, slope) in slopes.into_iter().enumerate() {
        let slope = slope.unwrap_or_else(zero);
        first[i] = slope.item()?;
        for (j, s) in grad_with(&slope, &wrt, create())?.into_iter().enumerate() {
            second[i][j] = s.unwrap_or_else(zero).item()?;
        }
    }
    Ok((y.item()?, first, second))
}

/// The gradient of the sum.
fn gradient(f: impl Fn(&Tensor) -> Result<Tensor>, x: impl Into<Tensor>) -> Result<Vec<f64>> {
    Ok(value_and_grad(|x| Ok(f(x)?.sum()), &x.into())?.1.to_vec())
}

fn is_nan(x: &[f64]) -> bool {
    x.iter().all(|x| x.is_nan())
}

#[test]
fn powers_of_zero() -> Result<()> {
    let pow = |[a, b]: &[Tensor; 2]| a.pow(b);
    assert_eq!(at(pow, [0.0, 0.0])?.1, [0.0, 0.0], "0^0 has no slope");
    let (value, first, second) = at(pow, [0.0, 2.0])?;
    assert_eq!((value, first), (0.0, [0.0, 0.0]));
    // PyTorch: NaN in the row of b.
    assert_eq!(second, [[2.0, 0.0], [0.0, 0.0]]);
    let (value, first, _) = at(pow, [0.0, -1.0])?;
    assert_eq!((value, first[0]), (f64::INFINITY, f64::NEG_INFINITY));
    // At b = 0 the mixed derivative is 1 / a; PyTorch masks it to 0.
    assert_eq!(at(pow, [2.0, 0.0])?.2[0][1], 0.5);
    for p in [0.0, 1.0, 2.0, 3.0] {
        let (_, [first], [[second]]) = at(|[x]| Ok(x.powf(p)), [0.0])?;
        assert_eq!((first, second), (f64::from(p == 1.0), if p == 2.0 { 2.0 } else { 0.0 }), "x^{p}");
    }
    assert_eq!(at(|[x]| Ok(x.sqrt()), [0.0])?.1, [f64::INFINITY]);
    Ok(())
}

#[test]
fn kinks_at_the_origin() -> Result<()> {
    assert_eq!(at(|[x]| Ok(x.abs()), [0.0])?.1, [0.0]);
    assert_eq!(at(|[x]| Ok(x.relu()), [0.0])?.1, [0.0]);
    assert_eq!(at(|[a, b]| a.atan2(b), [0.0, 0.0])?.1, [0.0, 0.0]);
    // PyTorch: NaN.
    let (value, first, second) = at(|[a, b]| a.hypot(b), [0.0, 0.0])?;
    assert_eq!((value, first), (0.0, [0.0, 0.0]));
    assert!(second.iter().flatten().all(|s| s.is_finite()));
    assert_eq!(gradient(|x| x.vector_norm(2.0, 0, false), [0.0, 0.0])?, [0.0, 0.0]);
    assert_eq!(gradient(|x| x.vector_norm(3.0, 0, false), [0.0, 0.0])?, [0.0, 0.0]);
    let squares = hessian(|x| Ok(x.square().sum()), &Tensor::zeros([2]))?;
    assert_eq!(squares.to_vec(), [2.0, 0.0, 0.0, 2.0]);
    Ok(())
}

#[test]
fn logarithms_of_zero() -> Result<()> {
    let (value, first, _) = at(|[a, b]| a.xlogy(b), [0.0, 0.0])?;
    assert_eq!((value, first[0]), (0.0, 0.0));
    assert!(first[1].is_nan());
    assert_eq!(at(|[a, b]| a.xlogy(b), [0.0, -1.0])?.0, 0.0);
    assert!(at(|[a, b]| a.xlogy(b), [0.0, f64::NAN])?.0.is_nan());
    let inf = f64::INFINITY;
    assert_eq!(at(|[a, b]| a.logaddexp(b), [-inf, -inf])?.0, -inf);
    assert_eq!(at(|[a, b]| a.logaddexp(b), [inf, 0.0])?.0, inf);
    assert_eq!(at(|[a, b]| a.logaddexp(b), [1000.0, 1000.0])?.1, [0.5, 0.5]);
    // PyTorch: NaN.
    assert_eq!(gradient(|x| x.logsumexp(0, false), [-inf, -inf])?, [0.0, 0.0]);
    assert_eq!(gradient(|x| x.logsumexp(0, false), [-inf, 1.0])?, [0.0, 1.0]);
    assert_eq!(Tensor::zeros([0]).logsumexp(0, false)?.item()?, -inf);
    assert_eq!(Tensor::from([1e4, -1e4]).softmax(0)?.to_vec(), [1.0, 0.0]);
    assert!(is_nan(&Tensor::from([-inf, -inf]).softmax(0)?.to_vec()));
    assert_eq!(Tensor::from([800.0, -800.0]).softplus().to_vec(), [800.0, 0.0]);
    Ok(())
}

#[test]
fn bounds_and_ties() -> Result<()> {
    let x = [-2.0, -1.0, 0.0, 1.0, 2.0];
    assert_eq!(gradient(|x| Ok(x.clamp(-1.0, 1.0)), x)?, [0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(Tensor::from([3.0]).clamp(2.0, 1.0).item()?, 1.0, "the upper bound wins");
    let (value, first, _) = at(|[x]| Ok(x.clamp(-1.0, 1.0)), [f64::NAN])?;
    assert!(value.is_nan() && first == [0.0]);
    assert_eq!(at(|[a, b]| a.maximum(b), [1.0, 1.0])?.1, [0.5, 0.5]);
    assert_eq!(at(|[a, b]| a.minimum(b), [1.0, 1.0])?.1, [0.5, 0.5]);
    assert_eq!(at(|[a, b]| a.maximum(b), [1.0, f64::NEG_INFINITY])?.1, [1.0, 0.0]);
    let (value, first, _) = at(|[a, b]| a.maximum(b), [f64::NAN, 1.0])?;
    assert!(value.is_nan() && first == [1.0, 1.0]);
    let zero: Tensor = Tensor::from([-0.0]).maximum(Tensor::from([0.0]))?;
    assert!(zero.item()?.is_sign_negative());
    assert_eq!(gradient(|x| x.max(), [1.0, 3.0, 3.0])?, [0.0, 0.5, 0.5]);
    assert_eq!(gradient(|x| x.amax(0, false), [1.0, 3.0, 3.0])?, [0.0, 0.5, 0.5]);
    assert_eq!(gradient(|x| Ok(x.max_dim(0, false)?.0), [1.0, 3.0, 3.0])?, [0.0, 1.0, 0.0]);
    assert_eq!(gradient(|x| x.median(), [2.0, 1.0, 2.0, 3.0])?, [0.5, 0.0, 0.5, 0.0]);
    assert_eq!(Tensor::from([4.0, 1.0, 3.0, 2.0]).median()?.item()?, 2.0, "the lower of the two");
    assert!(is_nan(&Tensor::from([1.0, f64::NAN, 3.0]).median()?.to_vec()));
    assert_eq!(Tensor::zeros([0]).median().unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(Tensor::from([2.5, 3.5, -0.5]).round().to_vec(), [2.0, 4.0, -0.0]);
    Ok(())
}

#[test]
fn activations_far_out_and_at_their_kinks() -> Result<()> {
    // Value, first and second derivative; the exponential of what is above 0 is never formed.
    assert_eq!(at(|[x]| Ok(x.elu(1.5)), [1000.0])?, (1000.0, [1.0], [[0.0]]));
    assert_eq!(at(|[x]| Ok(x.elu(1.0)), [-1000.0])?, (-1.0, [0.0], [[0.0]]));
    assert_eq!(at(|[x]| Ok(x.elu(2.0)), [0.0])?.1, [2.0]);
    assert_eq!(at(|[x]| Ok(x.leaky_relu(0.1)), [0.0])?, (0.0, [0.1], [[0.0]]));
    assert_eq!(at(|[x]| Ok(x.log_sigmoid()), [-1000.0])?, (-1000.0, [1.0], [[0.0]]));
    assert_eq!(at(|[x]| Ok(x.silu()), [800.0])?, (800.0, [1.0], [[0.0]]));
    assert_eq!(at(|[x]| Ok(x.gelu()), [40.0])?, (40.0, [1.0], [[0.0]]));
    assert_eq!(at(|[x]| Ok(x.gelu()), [-40.0])?.0, -0.0);
    Ok(())
}

#[test]
fn masks_and_counts_of_nothing() -> Result<()> {
    let none = Tensor::zeros_of::<bool>([0, 3]);
    assert_eq!((none.all(), none.any(), none.count_nonzero()), (true, false, 0));
    assert_eq!(none.all_dim(0, false)?.to_vec(), [true; 3]);
    assert_eq!(none.any_dim(0, true)?.shape(), [1, 3]);
    assert_eq!(none.nonzero().shape(), [0, 2]);
    assert_eq!(Tensor::scalar(2.0).nonzero().shape(), [1, 0]);
    assert_eq!(Tensor::from([0.0, f64::NAN, -0.0]).nonzero().to_vec(), [1]);
    assert_eq!(none.all_dim([0, 0], false).unwrap_err().kind(), ErrorKind::Index);
    let x = Tensor::from([1.0, 2.0]);
    let e = x.index_put(Tensor::from([2]), Tensor::scalar(1.0), false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Index);
    assert_eq!(gradient(|x| x.index_put(Tensor::from([0, 0]), x.square(), false), [3.0, 5.0])?, [0.0, 11.0]);
    Ok(())
}

#[test]
fn products_with_zeros() -> Result<()> {
    assert_eq!(gradient(|x| Ok(x.prod()), [2.0, 0.0, 4.0])?, [0.0, 8.0, 0.0]);
    assert_eq!(gradient(|x| Ok(x.prod()), [2.0, 0.0, 0.0])?, [0.0, 0.0, 0.0]);
    let h = hessian(|x| Ok(x.prod()), &Tensor::from([2.0, 0.0, 0.0]))?;
    assert_eq!(h.to_vec(), [0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0]);
    assert_eq!(gradient(|x| x.cumprod(0), [2.0, 0.0, 4.0])?, [1.0, 10.0, 0.0]);
    assert_eq!(Tensor::zeros([0]).prod().item()?, 1.0);
    assert_eq!(Tensor::zeros([2, 0]).prod_dim(1, false)?.to_vec(), [1.0, 1.0]);
    assert_eq!(Tensor::from([3, -4]).prod().item()?, -12);
    Ok(())
}

#[test]
fn spreads_of_constants() -> Result<()> {
    assert_eq!(gradient(|x| Ok(x.std()), [2.0, 2.0])?, [0.0, 0.0]);
    assert!(is_nan(&gradient(|x| Ok(x.var()), [2.0])?));
    Ok(())
}

#[test]
fn an_index_named_often_accumulates() -> Result<()> {
    let index = Tensor::from([1, 1, -2]);
    assert_eq!(gradient(|x| x.gather(0, &index), [5.0, 6.0, 7.0])?, [0.0, 3.0, 0.0]);
    assert_eq!(gradient(|x| x.index_select(0, &index), [5.0, 6.0, 7.0])?, [0.0, 3.0, 0.0]);
    let added = Tensor::zeros([3]).scatter_add(0, &index, &Tensor::from([1.0, 2.0, 4.0]))?;
    assert_eq!(added.to_vec(), [0.0, 7.0, 0.0]);
    // To the tensor that is added to, the gradient is 1 everywhere.
    assert_eq!(gradient(|x| x.scatter_add(0, &index, &Tensor::ones([3])), [5.0, 6.0, 7.0])?, [1.0; 3]);
    // What a small index does not read of the source has the gradient 0; PyTorch refuses.
    let few = Tensor::from([2, 0]);
    assert_eq!(gradient(|x| Tensor::zeros([3]).scatter_add(0, &few, x), [5.0, 6.0, 7.0])?, [1.0, 1.0, 0.0]);
    for wrong in [3, -4, i64::MIN, i64::MAX] {
        let index = Tensor::from([wrong]);
        assert_eq!(Tensor::zeros([3]).gather(0, &index).unwrap_err().kind(), ErrorKind::Index);
        let e = Tensor::zeros([3]).scatter_add(0, &index, &Tensor::ones([1])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Index);
        assert!(e.to_string().contains(&wrong.to_string()), "{e}");
    }
    Ok(())
}

#[test]
fn division_that_leaves_a_remainder() -> Result<()> {
    let (a, b) = (Tensor::from([-7, 7, -7, 7]), Tensor::from([2, 2, -2, -2]));
    assert_eq!(a.floor_divide(&b)?.to_vec(), [-4, 3, 3, -4]);
    assert_eq!(a.remainder(&b)?.to_vec(), [1, 1, -1, -1]);
    assert_eq!(a.fmod(&b)?.to_vec(), [-1, 1, -1, 1]);
    let (a, b) = (a.to_type::<f64>(), b.to_type::<f64>());
    assert_eq!(a.floor_divide(&b)?.to_vec(), [-4.0, 3.0, 3.0, -4.0]);
    assert_eq!(a.remainder(&b)?.to_vec(), [1.0, 1.0, -1.0, -1.0]);
    assert_eq!(a.fmod(&b)?.to_vec(), [-1.0, 1.0, -1.0, 1.0]);
    let zero = Tensor::from([0]);
    for divided in [zero.floor_divide(&zero), zero.remainder(&zero), zero.fmod(&zero)] {
        assert_eq!(divided.unwrap_err().kind(), ErrorKind::Argument);
    }
    assert_eq!(Tensor::from([i64::MIN]).floor_divide(Tensor::from([-1]))?.to_vec(), [i64::MIN]);
    assert!(Tensor::from([1.0]).remainder(Tensor::from([0.0]))?.item()?.is_nan());
    Ok(())
}

#[test]
fn selections_are_parts_of_the_order() -> Result<()> {
    for shape in [[300, 7], [7, 300], [40_000, 2], [2, 40_000]] {
        // With ties.
        let x = (Tensor::randn(shape) * 4.0).round();
        for d in [0, 1] {
            for largest in [false, true] {
                let (sorted, order) = x.sort(d, largest)?;
                assert_eq!(x.gather(d, &order)?.to_vec(), sorted.to_vec());
                let k = 5.min(x.size(d)?);
                let (values, index) = x.topk(k, d, largest)?;
                assert_eq!(values.to_vec(), sorted.narrow(d, 0, k)?.to_vec());
                assert_eq!(index.to_vec(), order.narrow(d, 0, k)?.to_vec());
            }
            let (sorted, order) = x.sort(d, false)?;
            let middle = ((x.size(d)? - 1) / 2) as isize;
            let (values, index) = x.median_dim(d, false)?;
            assert_eq!(values.to_vec(), sorted.select(d, middle)?.to_vec());
            assert_eq!(index.to_vec(), order.select(d, middle)?.to_vec());
            assert_eq!(x.quantile(0.0, d)?.to_vec(), x.amin(d, false)?.to_vec());
            assert_eq!(x.quantile(1.0, d)?.to_vec(), x.amax(d, false)?.to_vec());
        }
    }
    Ok(())
}

#[test]
fn order_with_nan_and_ties() -> Result<()> {
    let x = Tensor::from([2.0, f64::NAN, 1.0, 2.0]);
    assert_eq!(x.argsort(0, false)?.to_vec(), [2, 0, 3, 1]);
    assert_eq!(x.argsort(0, true)?.to_vec(), [1, 0, 3, 2]);
    assert_eq!(x.topk(0, 0, true)?.0.numel(), 0);
    assert_eq!(x.topk(5, 0, true).unwrap_err().kind(), ErrorKind::Index);
    assert_eq!(Tensor::zeros([2, 0]).sort(1, false)?.0.shape(), [2, 0]);
    assert_eq!(Tensor::from([1.0, 1.0, 0.0]).cummax(0)?.1.to_vec(), [0, 1, 1]);
    assert_eq!(gradient(|x| Ok(x.cummax(0)?.0), [1.0, 1.0, 0.0])?, [1.0, 2.0, 0.0]);
    let (running, places) = x.cummin(0)?;
    assert!(running.to_vec()[0] == 2.0 && is_nan(&running.to_vec()[1..]));
    assert_eq!(places.to_vec(), [0, 1, 1, 1]);
    assert_eq!(Tensor::from([[1, 5], [3, 2]]).cummax(0)?.0.to_vec(), [1, 5, 3, 5]);
    let bounds = Tensor::from([1.0, 2.0, 2.0, f64::NAN]);
    let at = Tensor::from([[2.0, f64::NAN], [0.0, 3.0]]);
    assert_eq!(bounds.searchsorted(&at, false)?.to_vec(), [1, 3, 0, 3]);
    assert_eq!(bounds.searchsorted(&at, true)?.to_vec(), [3, 4, 0, 3]);
    assert_eq!(at.searchsorted(&bounds, true).unwrap_err().kind(), ErrorKind::Shape);
    let inf = f64::INFINITY;
    let close = Tensor::from([1.0, inf, inf, f64::NAN]);
    let mask = close.isclose(&Tensor::from([1.0 + 1e-9, inf, 1.0, f64::NAN]), 1e-5, 1e-8)?;
    assert_eq!(mask.to_vec(), [true, true, false, false]);
    Ok(())
}

#[test]
fn special_functions_at_their_poles() -> Result<()> {
    let x = Tensor::from([0.0, -1.0, f64::INFINITY]);
    assert_eq!(x.lgamma().to_vec(), [f64::INFINITY; 3]);
    assert_eq!(x.digamma().to_vec()[0], f64::NEG_INFINITY);
    assert!(x.digamma().to_vec()[1].is_nan());
    let small = Tensor::from([10.0]).erfc().item()?;
    assert!((small / 2.088_487_583_762_545e-45 - 1.0).abs() < 1e-13, "{small}");
    Ok(())
}

#[test]
fn einsum_reads_what_numpy_reads() -> Result<()> {
    let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let same = |equation: &str, tensors: &[&Tensor], expected: &Tensor| -> Result<()> {
        let found = linalg::einsum(equation, tensors)?;
        assert_eq!((found.shape(), found.to_vec()), (expected.shape(), expected.to_vec()), "{equation}");
        Ok(())
    };
    same("ij->ji", &[&a], &a.t()?)?;
    same("ba", &[&a], &a.t()?)?;
    same("ij, jk", &[&a, &a], &a.mm(&a)?)?;
    same("ii->i", &[&a], &Tensor::from([1.0, 4.0]))?;
    same("ij->", &[&a], &Tensor::scalar(10.0))?;
    same("i,j", &[&a.row(0)?, &a.row(1)?], &a.row(0)?.outer(&a.row(1)?)?)?;
    same("ij,ij->ij", &[&a, &a], &a.square())?;
    same("...,...", &[&a, &Tensor::scalar(2.0)], &(&a * 2.0))?;
    same("i...->...", &[&a], &a.sum_dim(0, false)?)?;
    same("ij,kj->ik", &[&Tensor::ones([2, 1]), &a], &Tensor::from([[3.0, 7.0], [3.0, 7.0]]))?;
    for (equation, kind) in [
        ("ij,jk->ik", ErrorKind::Shape),
        ("ijk->i", ErrorKind::Shape),
        ("ij->k", ErrorKind::Argument),
        ("ij->ii", ErrorKind::Argument),
        ("i1->i", ErrorKind::Argument),
        ("i......j", ErrorKind::Argument),
    ] {
        assert_eq!(linalg::einsum(equation, &[&a]).unwrap_err().kind(), kind, "{equation}");
    }
    let e = linalg::einsum("ij,jk", &[&a, &Tensor::ones([3, 2])]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
    Ok(())
}
