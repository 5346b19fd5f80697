//! Tensors as a user of NumPy or PyTorch expects them.

use ndarray::{ArrayD, IxDyn, SliceInfoElem};
use proptest::prelude::{Strategy, any, prop_assert_eq};
use proptest::{collection::vec, sample::select};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tapegrad::prelude::*;

fn kind<R>(result: Result<R>) -> ErrorKind {
    result.err().expect("an error").kind()
}

/// 0, 1, 2, ... in this shape.
fn counted(shape: &[usize]) -> Tensor<i64> {
    Tensor::from_vec((0..shape.iter().product::<usize>() as i64).collect(), shape).unwrap()
}

// Creation.

#[test]
fn constructors() -> Result<()> {
    assert_eq!(Tensor::zeros([2, 3]).to_vec(), [0.0; 6]);
    assert_eq!(Tensor::ones([2, 3]).shape(), [2, 3]);
    assert_eq!(Tensor::zeros([2]).dtype(), DType::F64);
    assert_eq!(Tensor::zeros_of::<f32>(2).dtype(), DType::F32);
    assert_eq!(Tensor::zeros_of::<bool>([2]).to_vec(), [false; 2]);
    assert_eq!(Tensor::ones_of::<i64>([2]).to_vec(), [1; 2]);
    assert_eq!(Tensor::full([2], 7.5).to_vec(), [7.5; 2]);
    assert_eq!(Tensor::eye(2).to_vec(), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(Tensor::eye(0).shape(), [0, 0]);
    assert_eq!(Tensor::from([[1, 2], [3, 4]]).shape(), [2, 2]);
    assert_eq!(Tensor::from([[[1.0], [2.0]]]).shape(), [1, 2, 1]);
    assert_eq!(Tensor::from(2.5).ndim(), 0);
    assert_eq!(Tensor::from(vec![1.0f32]).shape(), [1]);
    let t = Tensor::scalar(2.0);
    assert_eq!((t.ndim(), t.numel(), t.item()?), (0, 1, 2.0));
    assert_eq!(t.device(), Device::Cpu);
    let x = Tensor::zeros([4, 5]);
    assert_eq!((x.size(-1)?, x.size(0)?, kind(x.size(2))), (5, 4, ErrorKind::Index));
    Ok(())
}

#[test]
fn ranges() -> Result<()> {
    assert_eq!(arange(0, 5, 1)?.to_vec(), [0, 1, 2, 3, 4]);
    assert_eq!(arange(5, 0, -2)?.to_vec(), [5, 3, 1]);
    assert_eq!(arange(0.0, 1.0, 0.25)?.to_vec(), [0.0, 0.25, 0.5, 0.75]);
    assert_eq!(arange(1, 1, 1)?.numel(), 0);
    assert_eq!(kind(arange(0, 5, 0)), ErrorKind::Argument);
    assert_eq!(kind(arange(0, 5, -1)), ErrorKind::Argument);
    assert_eq!(kind(arange(0.0, f64::NAN, 1.0)), ErrorKind::Argument);
    assert_eq!(linspace(0.0, 1.0, 5)?.to_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    assert_eq!(linspace(3.0, 4.0, 1)?.to_vec(), [3.0]);
    assert_eq!(linspace(3.0, 4.0, 0)?.numel(), 0);
    let thirds = linspace(0.0, 0.3, 4)?.to_vec();
    assert_eq!((thirds[0], thirds[3]), (0.0, 0.3), "both ends are exact");
    Ok(())
}

#[test]
fn nested_input() -> Result<()> {
    let x = Tensor::new(&vec![vec![vec![1, 2], vec![3, 4]], vec![vec![5, 6], vec![7, 8]]])?;
    assert_eq!((x.shape(), x.to_vec()), (&[2, 2, 2][..], (1..=8).collect()));
    assert_eq!(Tensor::new(&[1.5, 2.5][..])?.shape(), [2]);
    let empty: Vec<Vec<f64>> = vec![vec![], vec![]];
    assert_eq!(Tensor::new(&empty)?.shape(), [2, 0]);
    let e = Tensor::new(&vec![vec![1.0, 2.0], vec![3.0]]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
    assert!(e.to_string().contains("ragged"), "{e}");
    assert_eq!(kind(Tensor::new(&vec![vec![vec![1], vec![2, 3]], vec![vec![4], vec![5]]])), ErrorKind::Shape);
    assert_eq!(kind(Tensor::from_vec(vec![1, 2, 3], [2, 2])), ErrorKind::Shape);
    Ok(())
}

// Indexing and shape.

#[test]
fn elements_by_index() -> Result<()> {
    let x = counted(&[3, 4]);
    assert_eq!((x.get([0, 0])?, x.get([1, 2])?, x.get([-1, -1])?, x.get([-3, 3])?), (0, 6, 11, 3));
    assert_eq!(x.t()?.get([2, 1])?, 6);
    assert_eq!(kind(x.get([3, 0])), ErrorKind::Index);
    assert_eq!(kind(x.get([0, -5])), ErrorKind::Index);
    assert_eq!(kind(x.get([isize::MIN, isize::MAX])), ErrorKind::Index);
    assert_eq!(kind(x.get([0])), ErrorKind::Shape);
    assert_eq!(Tensor::scalar(5).get([])?, 5);
    assert_eq!(x.row(-1)?.to_vec(), [8, 9, 10, 11]);
    assert_eq!(x.select(1, -4)?.to_vec(), [0, 4, 8]);
    assert_eq!(x.narrow(-1, -2, 2)?.to_vec(), [2, 3, 6, 7, 10, 11]);
    assert_eq!(x.narrow(0, 3, 0)?.shape(), [0, 4]);
    assert_eq!(kind(x.narrow(0, 2, 2)), ErrorKind::Index);
    assert_eq!(kind(x.select(2, 0)), ErrorKind::Index);
    assert_eq!(kind(x.row(3)), ErrorKind::Index);
    assert_eq!(kind(Tensor::scalar(1).row(0)), ErrorKind::Index);
    assert_eq!(kind(x.item()), ErrorKind::Shape);
    assert_eq!(Tensor::full([1, 1], 3).item()?, 3);
    Ok(())
}

#[test]
fn slices_by_hand() -> Result<()> {
    let x = counted(&[3, 4]);
    assert_eq!(x.slice(s![1, ..])?.to_vec(), [4, 5, 6, 7]);
    assert_eq!(x.slice(s![-1, -1])?.item()?, 11);
    assert_eq!(x.slice(s![.., 1..3])?.shape(), [3, 2]);
    assert_eq!(x.slice(s![..;2, ..;-1])?.to_vec(), [3, 2, 1, 0, 11, 10, 9, 8]);
    assert_eq!(x.slice(s![1..1, ..])?.shape(), [0, 4]);
    assert_eq!(x.slice(s![ndarray::NewAxis, .., 0])?.shape(), [1, 3]);
    assert_eq!(x.slice(s![1..])?.shape(), [2, 4], "dimensions that are not named stay whole");
    assert_eq!(kind(x.slice(s![4.., ..])), ErrorKind::Index);
    assert_eq!(kind(x.slice(s![.., .., 0])), ErrorKind::Index);
    assert_eq!(kind(x.slice(s![3, 0])), ErrorKind::Index);
    Ok(())
}

/// A part of a dimension of `n` elements.
fn part(n: usize) -> impl Strategy<Value = SliceInfoElem> {
    let n = n as isize;
    let steps = vec![-4isize, -3, -2, -1, 1, 2, 3, 4];
    (0..=n, 0..=n, select(steps), any::<[bool; 3]>(), 0..6).prop_map(
        move |(a, b, step, [p, q, open], form)| {
            // Counted from the start or from the end; a place past the last has only the one form.
            let place = |i: isize, negative: bool| if negative && i < n { i - n } else { i };
            match form {
                0 if n > 0 => SliceInfoElem::Index(place(a.min(n - 1), p)),
                _ => {
                    let end = if open { None } else { Some(place(a.max(b), q)) };
                    SliceInfoElem::Slice { start: place(a.min(b), p), end, step }
                }
            }
        },
    )
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn slices_are_ndarrays(
        (shape, first, second) in vec(0..6usize, 1..4).prop_flat_map(|s| {
            let parts: Vec<_> = s.iter().map(|&n| part(n)).collect();
            let steps = vec(select(vec![-2isize, -1, 1, 2]), s.len());
            (proptest::prelude::Just(s), parts, steps)
        })
    ) {
        let x = counted(&shape);
        let n = ArrayD::from_shape_vec(IxDyn(&shape), x.to_vec()).unwrap();
        let sliced = x.slice(&first).unwrap();
        let expected = n.slice(&first[..]);
        prop_assert_eq!(sliced.as_ndarray(), &expected);
        // A slice of a slice, in another order of dimensions.
        let again: Vec<SliceInfoElem> = second[..expected.ndim()]
            .iter()
            .map(|&step| SliceInfoElem::Slice { start: 0, end: None, step })
            .collect();
        let order: Vec<isize> = (0..expected.ndim() as isize).rev().collect();
        let sliced = sliced.permute(&order).unwrap().slice(&again).unwrap();
        let reversed = expected.reversed_axes();
        let expected = reversed.slice(&again[..]);
        prop_assert_eq!(sliced.as_ndarray(), &expected);
        prop_assert_eq!(sliced.to_vec(), expected.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(sliced.contiguous().into_ndarray(), expected.to_owned());
        prop_assert_eq!((&sliced * 2 + 1).into_ndarray(), expected.mapv(|x| x * 2 + 1));
        prop_assert_eq!(sliced.sum().item().unwrap(), expected.sum());
        prop_assert_eq!(sliced.flatten().to_vec(), expected.iter().copied().collect::<Vec<_>>());
    }

    #[test]
    fn broadcasting_is_ndarrays((shape, a, b) in vec(0..4usize, 0..4).prop_flat_map(|s| {
        let masks = vec(any::<bool>(), s.len());
        (proptest::prelude::Just(s), masks.clone(), masks)
    })) {
        let reduced = |mask: &[bool]| -> Vec<usize> {
            let sizes = shape.iter().zip(mask).map(|(&d, &one)| if one { 1 } else { d });
            sizes.skip_while(|&d| d == 1).collect()
        };
        let (x, y) = (counted(&reduced(&a)), counted(&reduced(&b)) * 10);
        let sum = x.try_add(&y).unwrap();
        let wide = |t: &Tensor<i64>| t.as_ndarray().broadcast(IxDyn(sum.shape())).unwrap().to_owned();
        prop_assert_eq!(sum.clone().into_ndarray(), wide(&x) + wide(&y));
        let product = &y * &x;
        prop_assert_eq!(product.into_ndarray(), wide(&x) * wide(&y));
    }
}

#[test]
fn shapes() -> Result<()> {
    let x = counted(&[2, 3, 4]);
    assert_eq!((x.reshape([-1])?.shape(), x.reshape(-1)?.shape()), (&[24][..], &[24][..]));
    assert_eq!(x.reshape([4, -1, 2])?.shape(), [4, 3, 2]);
    assert_eq!(x.reshape([6, 4])?.get([5, 3])?, 23);
    assert_eq!(
        x.permute([2, 0, 1])?.reshape([-1])?.to_vec()[..4],
        [0, 4, 8, 12],
        "row-major order of the view"
    );
    let e = x.reshape([5, -1]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
    assert!(e.to_string().contains("[2, 3, 4]"), "{e}");
    assert_eq!(kind(x.reshape([-1, -1])), ErrorKind::Shape);
    assert_eq!(kind(x.reshape([-2, 12])), ErrorKind::Shape);
    assert_eq!(kind(x.permute([0, 1, 2])?.mt()?.view([24])), ErrorKind::Shape);
    assert_eq!(x.transpose(0, -1)?.shape(), [4, 3, 2]);
    assert_eq!(kind(x.permute([0, 0, 1])), ErrorKind::Index);
    assert_eq!(x.mt()?.shape(), [2, 4, 3]);
    assert_eq!(x.unsqueeze(-1)?.shape(), [2, 3, 4, 1]);
    assert_eq!(x.unsqueeze(0)?.squeeze(0)?.shape(), [2, 3, 4]);
    assert_eq!(x.squeeze(0)?.shape(), [2, 3, 4], "only sizes of 1 go");
    assert_eq!(Tensor::ones([1, 2, 1]).squeeze_all().shape(), [2]);
    assert_eq!(Tensor::ones([2, 1]).expand([3, -1, 4])?.shape(), [3, 2, 4]);
    assert_eq!(kind(Tensor::ones([2]).expand([3])), ErrorKind::Shape);
    assert_eq!(kind(Tensor::ones([2]).expand([-1, 2])), ErrorKind::Shape);
    assert_eq!(Tensor::scalar(1).reshape([1, 1])?.shape(), [1, 1]);
    let e = counted(&[2, 3]).try_add(&counted(&[2])).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
    assert!(e.to_string().contains("[2, 3]") && e.to_string().contains("[2]"), "{e}");
    Ok(())
}

// Zero-size tensors.

#[test]
fn nothing_goes_through_every_operation() -> Result<()> {
    for shape in [&[0][..], &[0, 3], &[3, 0], &[2, 0, 4]] {
        let x = Tensor::zeros(shape);
        for y in
            [x.exp(), -&x, &x + 1.0, &x * &x, 1.0 / &x, x.abs(), x.relu(), x.powf(2.0), x.sigmoid(), x.cast()]
        {
            assert_eq!((y.shape(), y.to_vec().len()), (shape, 0));
        }
        assert_eq!((&x + Tensor::scalar(1.0)).shape(), shape);
        assert_eq!(x.gt(0.0)?.where_cond(&x, &x)?.shape(), shape);
        assert!(x.eq(&x)?.all() && !x.eq(&x)?.any());
        assert_eq!((x.sum().item()?, x.flatten().shape()), (0.0, &[0][..]));
        assert_eq!(x.t().or_else(|_| x.mt())?.numel(), 0);
        assert_eq!(Tensor::cat(&[&x, &x], 0)?.numel(), 0);
        assert_eq!(Tensor::stack(&[&x, &x], 0)?.shape()[0], 2);
        assert_eq!(x.reshape([0, 7])?.shape(), [0, 7]);
        assert_eq!(kind(x.reshape([0, -1])), ErrorKind::Shape);
        assert_eq!(
            x.slice(vec![SliceInfoElem::Slice { start: 0, end: None, step: -1 }; shape.len()])?.shape(),
            shape
        );
        assert_eq!(x.expand([&[5], shape].concat())?.numel(), 0);
        assert_eq!(Tensor::from_ndarray(x.clone().into_ndarray()).shape(), shape);
        let x = x.requires_grad();
        (x.exp() * &x).sum().backward()?;
        assert_eq!(x.grad().unwrap().shape(), shape);
    }
    assert_eq!((Tensor::zeros([0, 1]) + Tensor::zeros([1, 4])).shape(), [0, 4]);
    let none = |m, k, n| Tensor::zeros([m, k]).mm(&Tensor::zeros([k, n]));
    assert_eq!(none(2, 0, 3)?.to_vec(), [0.0; 6], "an empty sum of products is zero");
    assert_eq!(none(0, 2, 3)?.shape(), [0, 3]);
    assert_eq!(Tensor::zeros([2, 0]).mv(&Tensor::zeros([0]))?.to_vec(), [0.0; 2]);
    assert_eq!(Tensor::zeros([0]).dot(&Tensor::zeros([0]))?.item()?, 0.0);
    assert_eq!(Tensor::zeros([0]).outer(&Tensor::zeros([3]))?.shape(), [0, 3]);
    assert_eq!(Tensor::eye(0).inverse()?.shape(), [0, 0]);
    assert_eq!(Tensor::eye(0).det()?.item()?, 1.0);
    assert_eq!(Tensor::zeros([0, 3]).pinv()?.shape(), [3, 0]);
    assert_eq!(Tensor::eye(0).solve(&Tensor::zeros([0, 2]))?.shape(), [0, 2]);
    assert_eq!(Tensor::zeros([0, 2, 2]).inverse()?.shape(), [0, 2, 2]);
    Ok(())
}

#[test]
fn reductions_of_nothing() -> Result<()> {
    let x = Tensor::zeros([0]);
    assert_eq!(x.sum().item()?, 0.0);
    assert!(x.mean().item()?.is_nan() && x.var().item()?.is_nan() && x.std().item()?.is_nan());
    assert_eq!((kind(x.max()), kind(x.min())), (ErrorKind::Shape, ErrorKind::Shape));
    let x = Tensor::zeros([2, 0]);
    assert_eq!(x.sum_dim(1, false)?.to_vec(), [0.0; 2]);
    assert_eq!(x.sum_dim(0, true)?.shape(), [1, 0]);
    assert!(x.mean_dim(1, false)?.isnan().all());
    assert_eq!(kind(x.amax(1, false)), ErrorKind::Shape);
    assert_eq!(x.amax(0, false)?.shape(), [0], "an empty result is no empty reduction");
    assert_eq!(kind(x.max_dim(1, false)), ErrorKind::Shape);
    assert_eq!(Tensor::zeros_of::<i64>([0]).sum().item()?, 0);
    assert!(Tensor::scalar(3.0).var().item()?.is_nan());
    Ok(())
}

// Arithmetic.

#[test]
fn integers() -> Result<()> {
    let (a, b) = (Tensor::from([7, -7, 0]), Tensor::from([2, 2, -5]));
    assert_eq!((&a + &b).to_vec(), [9, -5, -5]);
    assert_eq!((&a - &b).to_vec(), [5, -9, 5]);
    assert_eq!((&a * &b).to_vec(), [14, -14, 0]);
    assert_eq!((-&a).to_vec(), [-7, 7, 0]);
    assert_eq!((10 - &a).to_vec(), [3, 17, 10]);
    assert_eq!((&a * 3 + 1).to_vec(), [22, -20, 1]);
    assert_eq!(a.abs().to_vec(), [7, 7, 0]);
    assert_eq!((a.sum().item()?, a.max()?.item()?, a.min()?.item()?), (0, 7, -7));
    assert_eq!(a.max_dim(0, false)?.1.item()?, 0);
    // Beyond the ends the numbers wrap, as PyTorch's do; nothing panics.
    let ends = Tensor::from([i64::MAX, i64::MIN]);
    assert_eq!((&ends + 1).to_vec(), [i64::MIN, i64::MIN + 1]);
    assert_eq!((&ends * 2).to_vec(), [-2, 0]);
    assert_eq!((-&ends).to_vec(), [-i64::MAX, i64::MIN]);
    assert_eq!(ends.abs().to_vec(), [i64::MAX, i64::MIN]);
    // Exact where a float would not be.
    assert_eq!(Tensor::from([(1i64 << 53) + 1, 1]).sum().item()?, (1 << 53) + 2);
    Ok(())
}

#[test]
fn conversions() {
    let x = Tensor::from([1.9, -1.9, 0.0, f64::NAN, 1e30]);
    assert_eq!(x.to_type::<bool>().to_vec(), [true, true, false, true, true]);
    assert_eq!(x.to_type::<i64>().to_vec()[..3], [1, -1, 0]);
    assert_eq!(Tensor::from([true, false]).to_type::<f64>().to_vec(), [1.0, 0.0]);
    assert_eq!(Tensor::from([3, -4]).to_type::<f32>().to_vec(), [3.0, -4.0]);
    assert_eq!(Tensor::from([0.1f32]).cast::<f64>().to_vec(), [f64::from(0.1f32)]);
    assert!(!Tensor::from([1.0]).requires_grad().to_type::<i64>().is_tracked());
}

#[test]
fn comparisons() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, f64::NAN]);
    assert_eq!(x.gt(1.0)?.to_vec(), [false, true, false]);
    assert_eq!(x.ge(1.0)?.to_vec(), [true, true, false]);
    assert_eq!(x.lt(2.0)?.to_vec(), [true, false, false]);
    assert_eq!(x.le(&x)?.to_vec(), [true, true, false]);
    assert_eq!(x.eq(&x)?.to_vec(), [true, true, false]);
    assert_eq!(x.ne(&x)?.to_vec(), [false, false, true]);
    assert_eq!(x.isnan().to_vec(), [false, false, true]);
    assert_eq!(Tensor::from([[1], [2]]).lt(Tensor::from([1, 2, 3]))?.shape(), [2, 3]);
    assert!(x.isnan().any() && !x.isnan().all() && x.isnan().logical_not().any());
    assert_eq!(kind(x.eq(Tensor::ones([2]))), ErrorKind::Shape);
    Ok(())
}

#[test]
fn choosing_leaks_nothing() -> Result<()> {
    let mask = Tensor::from([true, false]);
    let (a, b) = (Tensor::from([1.0, f64::NAN]), Tensor::from([f64::INFINITY, 2.0]));
    assert_eq!(mask.where_cond(&a, &b)?.to_vec(), [1.0, 2.0]);
    assert_eq!(mask.where_cond(Tensor::from([[1], [2]]), Tensor::scalar(0))?.to_vec(), [1, 0, 2, 0]);
    let (a, b) = (a.requires_grad(), b.requires_grad());
    mask.where_cond(&a, &b)?.sum().backward()?;
    assert_eq!(a.grad().unwrap().to_vec(), [1.0, 0.0]);
    assert_eq!(b.grad().unwrap().to_vec(), [0.0, 1.0]);
    // What comes in for the branch not taken does not leak either.
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let y = mask.where_cond(&x, Tensor::scalar(0.0))?;
    y.backward_with(Some(Tensor::from([3.0, f64::NAN])), false)?;
    assert_eq!(x.grad().unwrap().to_vec(), [3.0, 0.0]);
    Ok(())
}

#[test]
fn numbers_keep_their_signs_and_their_tails() -> Result<()> {
    let negative_zero = |x: &Tensor| x.to_vec()[0] == 0.0 && x.to_vec()[0].is_sign_negative();
    assert!(negative_zero(&Tensor::from([-0.0]).relu()));
    assert!(negative_zero(&-Tensor::from([0.0])));
    assert!(negative_zero(&(Tensor::from([-0.0]) * 1.0)));
    assert_eq!(Tensor::from([5e-324]).abs().to_vec(), [5e-324]);
    assert!(Tensor::from([f64::NAN]).relu().isnan().all());
    assert!(Tensor::from([f64::NAN]).sigmoid().isnan().all());
    assert_eq!(Tensor::from([1e4, -1e4]).sigmoid().to_vec(), [1.0, 0.0]);
    assert_eq!(Tensor::from([f64::INFINITY]).tanh().to_vec(), [1.0]);
    assert_eq!(Tensor::from([1e-20]).expm1().to_vec(), [1e-20]);
    Ok(())
}

// Sums and extremes.

#[test]
fn running_sums_of_rows_are_those_of_each() -> Result<()> {
    let _alone = generator();
    for rows in [1, 7, 8, 9, 19] {
        for n in [1, 2, 5, 33] {
            let x = Tensor::randn([rows, n]).requires_grad();
            let (whole, g) = (x.cumsum(1)?, Tensor::randn([rows, n]));
            whole.try_mul(&g)?.sum().backward()?;
            for r in 0..rows as isize {
                let row = x.row(r)?.to_vec();
                let sums: Vec<f64> =
                    row.iter().scan(0.0, |s, x| Some(*s + x).inspect(|sum| *s = *sum)).collect();
                assert_eq!(whole.row(r)?.to_vec(), sums);
                // From the end: the sums of g behind each.
                let g = g.row(r)?.to_vec();
                let back: Vec<f64> =
                    g.iter().rev().scan(0.0, |s, g| Some(*s + g).inspect(|sum| *s = *sum)).collect();
                let slopes = x.grad().unwrap().row(r)?.to_vec();
                assert_eq!(slopes, back.into_iter().rev().collect::<Vec<_>>());
            }
        }
    }
    Ok(())
}

#[test]
fn lines_are_selected_along_any_dimension() -> Result<()> {
    let x = arange(0, 5 * 6 * 7, 1)?.reshape([5, 6, 7])?;
    for dim in 0..3isize {
        let index = [2i64, -1, 0, 2];
        let lines: Vec<_> = index.iter().map(|&k| x.select(dim, k as isize)).collect::<Result<_>>()?;
        let stacked = Tensor::stack(&lines.iter().collect::<Vec<_>>(), dim)?;
        assert_eq!(x.index_select(dim, Tensor::from(index))?.to_vec(), stacked.to_vec());
        for wrong in [7i64, -8] {
            let error = x.index_select(dim, Tensor::from([0, wrong])).unwrap_err();
            assert!(error.to_string().contains(&format!("index {wrong} is out of range")), "{error}");
        }
    }
    Ok(())
}

#[test]
fn softmax_of_rows_is_that_of_columns() -> Result<()> {
    let _alone = generator();
    type Function = fn(&Tensor, isize) -> Result<Tensor>;
    let functions: [(&str, Function); 3] = [
        ("softmax", |x, d| x.softmax(d)),
        ("log_softmax", |x, d| x.log_softmax(d)),
        ("logsumexp", |x, d| x.logsumexp(d, true)),
    ];
    // Columns are put together of other kernels.
    for (name, f) in functions {
        for n in [2, 3, 16, 100, 600] {
            let (x, g) = (Tensor::randn([9, n]) * 5.0, Tensor::randn([9, n]));
            let slopes = |d: isize, x: &Tensor, g: &Tensor| {
                value_and_grad(|x: &Tensor| Ok((f(x, d)? * g).sum()), x).map(|(_, slope)| slope)
            };
            let columns = |x: &Tensor| Ok::<_, Error>(x.t()?.contiguous());
            let value = f(&columns(&x)?, 0)?.t()?;
            let slope = slopes(0, &columns(&x)?, &columns(&g)?)?.t()?;
            for (a, b) in [(f(&x, 1)?, value), (slopes(1, &x, &g)?, slope)] {
                let apart = (&a - &b).abs().max()?.item()?;
                assert!(apart < 1e-13 * (1.0 + b.abs().max()?.item()?), "{name} of {n}: {apart}");
            }
        }
    }
    Ok(())
}

#[test]
fn cross_entropy_is_the_logarithm_of_softmax_at_a_class() -> Result<()> {
    let _alone = generator();
    for n in [2usize, 3, 100, 600] {
        // Rows, and columns, which other kernels put together; a cotangent of each row, and one for all.
        let (rows, weights) = (Tensor::randn([37, n]) * 5.0, Tensor::randn([37]));
        let classes = Tensor::randint(0, n as i64, [37])?;
        let loss = |x: &Tensor| x.cross_entropy(&classes);
        let picked = |x: &Tensor| {
            let log = x.log_softmax(1)?.gather(1, &classes.unsqueeze(1)?)?.squeeze(1)?;
            Ok::<_, Error>((log * &weights).sum() + x.softmax(1)?.square().sum())
        };
        let weighted = |x: &Tensor| {
            let each = (0..37).map(|k| x.narrow(0, k, 1)?.cross_entropy(&classes.narrow(0, k, 1)?));
            let losses = Tensor::stack(&each.collect::<Result<Vec<_>>>()?.iter().collect::<Vec<_>>(), 0)?;
            Ok::<_, Error>(-(losses * &weights).sum() + x.softmax(1)?.square().sum())
        };
        let mean = |x: &Tensor| Ok::<_, Error>(-x.log_softmax(1)?.gather(1, &classes.unsqueeze(1)?)?.mean());
        let turned = rows.t()?.contiguous().t()?;
        for x in [&rows, &turned] {
            for [(a, da), (b, db)] in [
                [value_and_grad(loss, x)?, value_and_grad(mean, x)?],
                [value_and_grad(weighted, x)?, value_and_grad(picked, x)?],
            ] {
                assert!((a.item()? - b.item()?).abs() < 1e-11 * (1.0 + b.item()?.abs()), "{n}");
                assert!((da - db).abs().max()?.item()? < 1e-13, "slopes of {n}");
            }
        }
        for wrong in [n as i64, -1] {
            let error = rows.cross_entropy(Tensor::full([37], wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Index, "{error}");
            assert!(error.to_string().contains("cross_entropy"), "{error}");
        }
    }
    Ok(())
}

#[test]
fn sums_are_accurate() -> Result<()> {
    let tenths = Tensor::full([500_000], 0.1f32);
    assert!((tenths.sum().item()? - 50_000.0).abs() < 0.01);
    assert!((tenths.reshape([2, 250_000])?.sum_dim(1, false)?.to_vec()[1] - 25_000.0).abs() < 0.01);
    assert!((tenths.reshape([250_000, 2])?.sum_dim(0, false)?.to_vec()[1] - 25_000.0).abs() < 0.01);
    assert!((tenths.mean().item()? - 0.1).abs() < 1e-7);
    let repeated = Tensor::scalar(1.0f32).expand([10_000, 10_000])?;
    assert_eq!(repeated.sum().item()?, 1e8);
    assert_eq!(repeated.sum_dim(0, false)?.get([77])?, 1e4);
    let stored = Tensor::full([1 << 25], 1.0f32);
    assert_eq!(stored.sum().item()?, (1 << 25) as f32);
    let every_second = stored.slice(s![..;-2])?;
    assert_eq!(every_second.sum().item()?, (1 << 24) as f32);
    // A large mean does not swallow a small spread.
    let far = Tensor::from([1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
    assert_eq!(far.var().item()?, 30.0);
    Ok(())
}

#[test]
fn sums_do_not_depend_on_the_layout_they_come_in() -> Result<()> {
    let x = linspace(-1.0, 2.0, 300 * 200)?.sin().reshape([300, 200])?;
    let turned = x.t()?.contiguous().t()?;
    for dims in [&[0isize][..], &[1], &[0, 1]] {
        let (a, b) = (x.sum_dim(dims, false)?, turned.sum_dim(dims, false)?);
        assert!((a - b).abs().max()?.item()? < 1e-10);
    }
    assert_eq!(x.sum().item()?, x.sum().item()?);
    Ok(())
}

#[test]
fn extremes() -> Result<()> {
    let x = Tensor::from([[1.0, 5.0, 5.0], [4.0, 2.0, 0.0]]);
    assert_eq!((x.max()?.item()?, x.min()?.item()?), (5.0, 0.0));
    assert_eq!(x.amax(0, false)?.to_vec(), [4.0, 5.0, 5.0]);
    assert_eq!(x.amin([0, 1], true)?.shape(), [1, 1]);
    let (values, index) = x.max_dim(-1, false)?;
    assert_eq!((values.to_vec(), index.to_vec()), (vec![5.0, 4.0], vec![1, 0]));
    let (values, index) = x.min_dim(0, true)?;
    assert_eq!((values.shape(), index.to_vec()), (&[1, 3][..], vec![0, 1, 1]));
    // NaN is the largest and the smallest, wherever it stands.
    for k in [0, 1, 37, 999] {
        let mut v: Vec<f64> = (0..1000).map(f64::from).collect();
        v[k] = f64::NAN;
        let x = Tensor::from(v);
        assert!(x.max()?.item()?.is_nan() && x.min()?.item()?.is_nan(), "at {k}");
        let grid = x.reshape([10, 100])?;
        assert!(grid.amax(0, false)?.isnan().any() && grid.amin(1, false)?.isnan().any());
        assert_eq!(x.max_dim(0, false)?.1.item()?, k as i64);
        assert_eq!(x.min_dim(0, false)?.1.item()?, k as i64);
    }
    assert_eq!(Tensor::from([f64::NEG_INFINITY; 3]).max()?.item()?, f64::NEG_INFINITY);
    Ok(())
}

// Random numbers.

/// The generator is one for the whole process.
fn generator() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_seed_fixes_what_is_drawn() -> Result<()> {
    let _alone = generator();
    let draws = |seed| {
        manual_seed(seed);
        [Tensor::rand([1000]), Tensor::randn([10, 7]), Tensor::rand([3])].map(|t| t.to_vec())
    };
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
    manual_seed(3);
    let (first, second) = (Tensor::rand([100]), Tensor::rand([100]));
    assert_ne!(first.to_vec(), second.to_vec());
    // Element i depends on the seed, the draw and i: not on the size, the shape or the threads.
    let of_size = |n: usize| {
        manual_seed(4);
        (Tensor::randn([n]).to_vec(), Tensor::rand([n]).to_vec())
    };
    let (small, large) = (of_size(11), of_size(3_000_000));
    assert_eq!((&small.0[..], &small.1[..]), (&large.0[..11], &large.1[..11]));
    manual_seed(5);
    let flat = Tensor::rand([12]).to_vec();
    manual_seed(5);
    assert_eq!(Tensor::rand([3, 4]).to_vec(), flat);
    manual_seed(5);
    let single: Tensor<f32> = Tensor::rand_of([12]);
    assert_eq!(single.to_vec(), flat.iter().map(|&x| x as f32).collect::<Vec<_>>());
    // On another thread too.
    let elsewhere = std::thread::spawn(|| {
        manual_seed(5);
        Tensor::rand([12]).to_vec()
    });
    assert_eq!(elsewhere.join().unwrap(), flat);
    Ok(())
}

#[test]
fn random_numbers_have_their_distribution() -> Result<()> {
    let _alone = generator();
    manual_seed(6);
    const N: usize = 1_000_000;
    let near = |x: f64, to: f64, sigmas: f64| assert!((x - to).abs() < 5.0 * sigmas, "{x} instead of {to}");
    let error = 1.0 / (N as f64).sqrt();
    let u = Tensor::rand([N]);
    assert!(u.min()?.item()? >= 0.0 && u.max()?.item()? < 1.0);
    near(u.mean().item()?, 0.5, error * 0.289);
    near(u.var().item()?, 1.0 / 12.0, error * 0.0745);
    let n = Tensor::randn([N]);
    near(n.mean().item()?, 0.0, error);
    near(n.var().item()?, 1.0, error * 1.42);
    near(n.powf(3.0).mean().item()?, 0.0, error * 3.88);
    near(n.powf(4.0).mean().item()?, 3.0, error * 9.8);
    // Neighbours have nothing to do with each other.
    near((n.narrow(0, 0, N - 1)? * n.narrow(0, 1, N - 1)?).mean().item()?, 0.0, error);
    near(((&u - 0.5) * &n).mean().item()?, 0.0, error * 0.289);
    let single: Tensor<f32> = Tensor::rand_of([N]);
    assert!(single.max()?.item()? < 1.0);
    Ok(())
}

// Printing.

#[test]
fn prints_as_pytorch_does() -> Result<()> {
    let shown = |t: Tensor, text: &str| assert_eq!(t.to_string(), text);
    shown(Tensor::scalar(3.5), "tensor(3.5000)");
    shown(Tensor::from([1.0, 2.0, 3.0]), "tensor([1., 2., 3.])");
    shown(Tensor::from([1.0, -2.5]), "tensor([ 1.0000, -2.5000])");
    shown(Tensor::from([[1.5, 2.0], [3.0, 4.0]]), "tensor([[1.5000, 2.0000],\n        [3.0000, 4.0000]])");
    shown(Tensor::from([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])");
    shown(Tensor::from([1e6, 1.5]), "tensor([1.0000e+06, 1.5000e+00])");
    shown(Tensor::from([f64::NAN, 1.0, f64::INFINITY]), "tensor([nan, 1., inf])");
    shown(Tensor::zeros([0]), "tensor([])");
    assert_eq!(Tensor::from([[1, -2], [30, 4]]).to_string(), "tensor([[ 1, -2],\n        [30,  4]])");
    assert_eq!(Tensor::from([true, false]).to_string(), "tensor([ True, False])");
    let cube = counted(&[2, 2, 2]).to_string();
    assert_eq!(cube, "tensor([[[0, 1],\n         [2, 3]],\n\n        [[4, 5],\n         [6, 7]]])");
    shown(
        arange(0.0, 30.0, 1.0)?,
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n        \
         14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,\n        28., 29.])",
    );
    shown(arange(0.0, 1001.0, 1.0)?, "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])");
    shown(
        arange(0.0, 2000.0, 1.0)?,
        "tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.9970e+03, 1.9980e+03,\n        1.9990e+03])",
    );
    // A view prints as what it shows.
    assert_eq!(counted(&[2, 3]).t()?.to_string(), "tensor([[0, 3],\n        [1, 4],\n        [2, 5]])");
    Ok(())
}

#[test]
fn lines_of_a_matrix_are_as_long_as_pytorchs() -> Result<()> {
    // torch.full((2, 10), 0.5): 80 - 8 characters leave room for nine of eight.
    let half = "0.5000, ";
    let row = format!("{}\n         0.5000", half.repeat(9).trim_end());
    let text = format!("tensor([[{row}],\n        [{row}]])");
    assert_eq!(Tensor::full([2, 10], 0.5).to_string(), text);
    Ok(())
}

#[test]
fn an_empty_matrix_prints_its_size_as_pytorch_does() {
    assert_eq!(Tensor::zeros([0, 3]).to_string(), "tensor([], size=(0, 3))");
}

// ndarray.

#[test]
fn ndarrays_change_hands_without_copying() -> Result<()> {
    let n = ndarray::Array2::from_shape_fn((1000, 1000), |(i, j)| (i * 1000 + j) as f64);
    let place = n.as_ptr();
    let t = Tensor::from_ndarray(n);
    assert_eq!(t.as_ndarray().as_ptr(), place);
    assert_eq!((t.get([3, 4])?, t.is_contiguous()), (3004.0, true));
    let clone = t.clone();
    assert_eq!(clone.as_ndarray().as_ptr(), place);
    drop(clone);
    let back = t.into_ndarray();
    assert_eq!(back.as_ptr(), place);
    // Other strides, and a start within the vector.
    let turned = back.into_dimensionality::<ndarray::Ix2>().unwrap().reversed_axes();
    let t = Tensor::from_ndarray(turned);
    assert_eq!((t.as_ndarray().as_ptr(), t.get([4, 3])?, t.is_contiguous()), (place, 3004.0, false));
    assert_eq!(t.as_ndarray().strides(), [1, 1000]);
    let back = t.into_ndarray();
    assert_eq!((back.as_ptr(), back[[4, 3]]), (place, 3004.0));
    let reversed = back.into_dimensionality::<ndarray::Ix2>().unwrap().slice_move(ndarray::s![..;-1, 1..]);
    let last = reversed.as_ptr();
    let t = Tensor::from_ndarray(reversed);
    assert_eq!((t.as_ndarray().as_ptr(), t.shape()), (last, &[1000, 999][..]));
    assert_eq!(t.get([0, 0])?, 1999.0);
    Ok(())
}

#[test]
fn two_owners_never_see_each_others_writes() {
    let t = Tensor::from([1.0, 2.0, 3.0]);
    let view = t.narrow(0, 1, 2).unwrap();
    let mut array = t.into_ndarray();
    array.fill(9.0);
    assert_eq!(view.to_vec(), [2.0, 3.0]);
    let t = Tensor::from_ndarray(array);
    let twice = t.clone() * 2.0;
    assert_eq!((t.to_vec(), twice.to_vec()), (vec![9.0; 3], vec![18.0; 3]));
    let v = vec![1.0, 2.0];
    let place = v.as_ptr();
    let t = Tensor::from_vec(v, [2]).unwrap();
    assert_eq!(t.as_ndarray().as_ptr(), place);
    // In place where the operand is used up.
    let doubled = t * 2.0;
    assert_eq!((doubled.as_ndarray().as_ptr(), doubled.to_vec()), (place, vec![2.0, 4.0]));
}

#[test]
fn devices() {
    assert_eq!("cpu".parse::<Device>().unwrap(), Device::Cpu);
    assert_eq!("cuda:1".parse::<Device>().unwrap().to_string(), "cuda:1");
    for text in ["gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0x", ""] {
        assert_eq!(kind(text.parse::<Device>()), ErrorKind::Device, "{text}");
    }
    assert_eq!(Tensor::ones([2]).to_device(&Device::Cpu).unwrap().to_vec(), [1.0; 2]);
}
